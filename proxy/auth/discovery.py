"""Asks an issuer for its keys (OpenID Connect Discovery 1.0 section 4, RFC 7517)."""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, hdrs

from proxy.answers import read_up_to
from proxy.auth.key_sets import KeySet
from proxy.client_text import client_text
from proxy.directory import is_loopback
from proxy.errors import ConfigError, UnavailableError

SECONDS: Final = 5.0
"""For both questions together."""
_MAX_DOCUMENT: Final = 262_144
"""Bytes of an answer; GitHub's keys have 4 KB."""
_CONNECTIONS: Final = 16
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class DiscoveryError(UnavailableError):
    """The issuer could not be asked, or its answer is none; the text says what was wrong."""


class Discovered(NamedTuple):
    """What an issuer says of itself.

    Attributes:
        jwks_uri: where its keys are.
        keys: those that are of use here.
    """

    jwks_uri: str
    keys: KeySet


class Discovery:
    """Fetches keys over connections of its own; an async context manager.

    Args:
        ca: PEM file of authorities that are trusted beside those of the system.
        seconds: within which an issuer has answered.

    Raises:
        ConfigError: the file can't be used.
    """

    def __init__(self, ca: Path | None = None, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._session: ClientSession | None = None
        self._tls: ssl.SSLContext | bool = True  # the client's own, with the system's authorities
        if ca is not None:
            context = self._tls = ssl.create_default_context()
            try:
                context.load_verify_locations(ca)
            except OSError as error:  # ssl.SSLError is one
                raise ConfigError(
                    f"auth.issuer_ca {ca} can't be used: {error.strerror or error}; it must be a "
                    "PEM file with certificates"
                ) from error

    async def __aenter__(self) -> Self:
        """Be ready to ask; nobody is asked yet."""
        self._session = ClientSession(
            connector=TCPConnector(ssl=self._tls, limit=_CONNECTIONS),
            cookie_jar=DummyCookieJar(),
            # Nothing is unpacked: a small answer must not become a huge one.
            auto_decompress=False,
            headers={hdrs.ACCEPT: "application/json", hdrs.ACCEPT_ENCODING: "identity"},
            timeout=ClientTimeout(total=None),  # ask() has one for all
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, issuer_url: str) -> Discovered:
        """Return what an issuer publishes.

        Args:
            issuer_url: as its record says it; https, or http on this machine.

        Raises:
            DiscoveryError: it could not be had.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask(issuer_url)
        except TimeoutError:
            raise DiscoveryError(
                f"{issuer_url} did not answer within {self._seconds:g} seconds"
            ) from None

    async def _ask(self, issuer_url: str) -> Discovered:
        address = issuer_url.rstrip("/") + _WELL_KNOWN
        document = _object(address, await self._fetch(address))
        if document.get("issuer") != issuer_url:
            said = client_text(str(document.get("issuer")))
            raise DiscoveryError(
                f"{address} is the document of the issuer {said}, which is not to the letter "
                f"{issuer_url}"
            )
        jwks_uri = document.get("jwks_uri")
        if not isinstance(jwks_uri, str) or not _is_safe(jwks_uri, issuer_url):
            raise DiscoveryError(f"{address} names no jwks_uri that begins with https://")
        try:
            keys = KeySet.parse(await self._fetch(jwks_uri))
        except ValueError:
            raise DiscoveryError(f"{client_text(jwks_uri)} is no set of keys") from None
        return Discovered(jwks_uri, keys)

    async def _fetch(self, address: str) -> bytes:
        if self._session is None:
            raise DiscoveryError("nobody can be asked: the server is starting or stopping")
        shown = client_text(address)
        try:
            async with self._session.get(address, allow_redirects=False) as response:
                if response.status != 200:
                    raise DiscoveryError(f"{shown} answered with status {response.status}, not 200")
                if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
                    raise DiscoveryError(f"{shown} answered with a compressed document")
                found, is_whole = await read_up_to(response.content, _MAX_DOCUMENT)
                if not is_whole:
                    raise DiscoveryError(f"{shown} answered with more than {_MAX_DOCUMENT} bytes")
                return found
        except (ClientError, OSError, ValueError) as error:
            # Of an error its kind: the text of some quotes what was received.
            raise DiscoveryError(f"{shown} can't be asked: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return client_text(str(error.strerror))
    return type(error).__name__


def _object(address: str, content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise DiscoveryError(f"{address} is not the document of an OpenID provider")
    return found


def _is_safe(jwks_uri: str, issuer_url: str) -> bool:
    """Tell whether keys may be taken from there: over TLS, or within this machine as the issuer."""
    try:
        of, at = urlsplit(jwks_uri), urlsplit(issuer_url)
        hosts = of.hostname, at.hostname
    except ValueError:
        return False
    if of.scheme == "https":
        return bool(hosts[0])
    return of.scheme == at.scheme == "http" and all(host and is_loopback(host) for host in hosts)
