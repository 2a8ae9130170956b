"""HTTP for sinks: one request, its answer or a failure in words, what a status means for events.

Nothing is followed, nothing is believed: a redirection is a failure (RFC 9110 section 15.4 leaves
it to the client), an answer is read up to a limit, and its own words are kept out of every message:
whoever tries a sink is shown them beside it (``heard``). Errors of the library below are never
passed on nor chained: some hold the headers of the request.
"""

import asyncio
import errno
import gzip
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    ServerDisconnectedError,
    TCPConnector,
    encode_basic_auth,
    hdrs,
)
from msgspec import Meta
from yarl import URL

from proxy.answers import read_up_to
from proxy.client_text import client_text
from proxy.directory import is_loopback
from proxy.errors import ConfigError
from proxy.fields import FieldError
from proxy.sinks._bounded import EndlessAnswerError, bounded
from proxy.sinks._quoting import quoted
from proxy.sinks._trust import trusting
from proxy.sinks.contract import (
    Batch,
    Context,
    NotTakenError,
    Options,
    Receipt,
    RefusedError,
    SinkGoneError,
)
from proxy.sinks.options import require_safe_url

CONNECT_SECONDS: Final = 10.0
"""Within which a connection, with its TLS, must stand; the option ``timeout`` may be less."""
BUDGET: Final = 60.0
"""Seconds after which one call of ``send`` begins no further request: of a batch that a slow far
side takes only in part, that part must count before the call's deadline is over."""
MAX_REQUESTS: Final = 20
"""That a batch should need, where each event has one of its own."""
MAX_ANSWER: Final = 65_536
"""Bytes of an answer that are read; the connection of a longer one is closed."""
MAX_RETRY_AFTER: Final = 86_400.0
"""Seconds: a far side that asks for more is asked again after a day."""
_MAX_QUOTED: Final = 200
_LARGE: Final = 32_768
"""Bytes from which on work is done in a thread."""
_MANY: Final = 20
"""Events from which on they are rendered in a thread."""

T = TypeVar("T")

Seconds: TypeAlias = Annotated[
    float,
    Meta(gt=0, le=60, description="Whole seconds within which each request must be answered."),
]
PemFile: TypeAlias = Annotated[str, Meta(max_length=4096)]


class HttpOptions(Options, frozen=True, kw_only=True):
    """What every sink over HTTP can be told beside its own options."""

    timeout: Seconds = 10
    ca: Annotated[
        PemFile,
        Meta(
            description="PEM file on the server with authorities that are trusted beside those of "
            "the system."
        ),
    ] = ""
    client_certificate: Annotated[
        PemFile, Meta(description="PEM file with a certificate to show to the far side.")
    ] = ""
    client_key: Annotated[
        PemFile,
        Meta(description="PEM file with that certificate's key, if it is not in the same file."),
    ] = ""

    def __post_init__(self) -> None:
        """Refuse an address with a secret in it before it is on record."""
        if (url := getattr(self, "url", None)) is not None:
            require_safe_url(url, "url", allow_http=getattr(self, "allow_http", False))


class HasAddress(Protocol):
    """Options with an address that may be a secret."""

    @property
    def url(self) -> str | None:
        """The address."""
        ...

    @property
    def url_secret(self) -> str | None:
        """Name of the secret that is the address."""
        ...


def address_of(
    options: HasAddress, context: Context, *, allow_http: bool = False
) -> tuple[str, list[str]]:
    """Return the address, and what of it may not be quoted.

    Raises:
        FieldError: there is none, there are two, or it can't be used.
        ConfigError: the secret is not there, or is no address.
    """
    if (options.url is None) == (options.url_secret is None):
        raise FieldError(
            "the address is missing: give url, or url_secret when a secret is in it"
            if options.url is None
            else "there are two addresses: give url or url_secret",
            "url",
        )
    if options.url is not None:
        return options.url, []
    address = secret_address(context, options.url_secret or "", allow_http=allow_http)
    return address, [address]


def secret_address(context: Context, name: str, *, allow_http: bool = False) -> str:
    """Return an address that is a secret.

    Raises:
        ConfigError: it is not there, or is no address.
    """
    address = context.secret(name).reveal().strip()
    try:
        parts = urlsplit(address)
        scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:
        scheme = host = ""
    is_safe = scheme == "https" or (scheme == "http" and (allow_http or is_loopback(host)))
    if not is_safe or not host or not re.fullmatch("[!-~]+", address):
        # Outside of the handler: what urlsplit says quotes the address.
        raise ConfigError(f"the secret {name} is no address that begins with https://")
    return address


def header_secret(context: Context, name: str) -> str:
    """Return a secret that is sent in a header.

    Raises:
        ConfigError: it is not there, or is none that a header can have.
    """
    value = context.secret(name).reveal().strip()
    if not re.fullmatch("[ -~]+", value):
        raise ConfigError(
            f"the secret {name} is empty, or has characters that no header may have: it is one "
            "line of ASCII"
        )
    return value


class Verdict(Enum):
    """What a status means for the events of a request."""

    TAKEN = auto()
    AGAIN = auto()
    REPAIR = auto()
    REFUSED = auto()
    GONE = auto()


Verdicts: TypeAlias = Mapping[int, Verdict]
NO_OVERRIDES: Final[Verdicts] = {}
_AGAIN: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({400, 413, 422})
_HINTS: Final[Mapping[int, str]] = {
    401: "check that its secret is right and still valid",
    403: "check that its secret is right, still valid and may do this",
    404: "check its address",
    405: "check its address",
    407: "check the user and password in HTTPS_PROXY",
    410: "check its address: there is nothing any more",
}


def verdict(status: int, overrides: Verdicts = NO_OVERRIDES) -> Verdict:
    """Return what a status means.

    Events are set aside for a status that speaks of them alone (400, 413, 422). Any other that
    waiting does not change speaks of the sink's own settings: nothing may be lost for those.

    Args:
        status: of the answer.
        overrides: what this far side means by it, where that is something else.
    """
    if status in overrides:
        return overrides[status]
    if 200 <= status <= 299:
        return Verdict.TAKEN
    if status in _REFUSED:
        return Verdict.REFUSED
    if status in _AGAIN or not 300 <= status <= 499:
        return Verdict.AGAIN
    return Verdict.REPAIR


@dataclass(frozen=True, slots=True)
class Answer:
    """What the far side answered.

    Attributes:
        status: HTTP's.
        said: status and phrase for people: ``202 Accepted``.
        body: the answer's content, whole and as it came.
        heard: what it says of a failure in its own words, for whoever tries the sink and for no
            record: cut, and clean of secrets and of what was sent; empty for a success.
        retry_after: seconds that it asks to be left alone.
    """

    status: int
    said: str
    body: bytes = field(repr=False)
    heard: str
    retry_after: float | None


class Http:
    """The connections of one sink.

    Args:
        options: the sink's.
        context: the sink's.
        who: the far side, as a message begins with it: ``Datadog at https://…``.
        secrets: every text that may not be quoted: keys, tokens, secret addresses.
    """

    def __init__(
        self, options: HttpOptions, context: Context, who: str, secrets: Iterable[str] = ()
    ) -> None:
        self.who = who
        self._options = options
        self._now = context.now
        self._secrets = tuple(secrets)
        self._session: ClientSession | None = None
        self._is_closed = False
        self._proxies: dict[str, tuple[URL | None, dict[str, str]]] = {}

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        is_packed: bool = False,
    ) -> Answer:
        """Send one request and return its answer, whatever the status is.

        Args:
            method: of the request.
            url: absolute.
            headers: beside those of every request.
            body: as it is, not packed.
            is_packed: send it as gzip.

        Raises:
            NotTakenError: there is no whole answer; says why.
        """
        try:
            session = await self._opened()
            sent = await _packed(body) if is_packed else body
            proxy, login = self._proxy_of(url)
            headers = dict(headers)
            if is_packed:
                headers[hdrs.CONTENT_ENCODING] = "gzip"
            if login and not url.startswith("https:"):
                # Else it is for the proxy alone, with what opens the tunnel.
                headers |= login
            async with session.request(
                method,
                URL(url, encoded=True),
                data=sent or None,
                headers=headers,
                allow_redirects=False,
                proxy=proxy,
                proxy_headers=dict(login) if login else None,
            ) as response:
                content = await _read(response)
                status = response.status
                retry_after = None if status < 300 else _retry_after(response, self._now())
        except TimeoutError:
            failure = f"did not answer within {self._options.timeout:g} seconds", False
        except (ClientError, OSError, ValueError) as error:
            failure = _reason(error)
        else:
            heard = "" if status < 300 else await self.quoted(content, body)
            return Answer(status, _phrase(status), content, heard, retry_after)
        # Raised here so that what the library said is not chained: it may hold what was sent.
        said, needs_repair = failure
        raise NotTakenError(f"{self.who} {said}", needs_repair=needs_repair)

    def require_taken(
        self,
        answer: Answer,
        indices: Collection[int],
        overrides: Verdicts = NO_OVERRIDES,
        hint: str = "",
        reason: str = "",
    ) -> Receipt:
        """Return what was said of events that were taken.

        Args:
            answer: to the request that sent them.
            indices: of the events in it.
            overrides: what this far side means by a status.
            hint: what to do about it; else what is usual for the status.
            reason: why, in our words: of the far side's own none is kept.

        Raises:
            NotTakenError: again later.
            RefusedError: never these.
            SinkGoneError: never anything.
        """
        meaning = verdict(answer.status, overrides)
        if meaning is Verdict.TAKEN:
            return Receipt(answer.said)
        hint = hint or _hint(answer.status)
        heard = answer.heard
        text = f"{self.who} answered {answer.said}" + (f" ({reason})" if reason else "")
        if meaning is Verdict.REFUSED:
            raise RefusedError(text, refused=indices, heard=heard)
        if meaning is Verdict.GONE:
            raise SinkGoneError(f"{text}: it wants no more events", heard=heard)
        if meaning is Verdict.REPAIR and hint:
            text = f"{text}; {hint}"
        raise NotTakenError(
            text,
            retry_after=answer.retry_after,
            needs_repair=meaning is Verdict.REPAIR,
            heard=heard,
        )

    def require_well(
        self, answer: Answer, overrides: Verdicts = NO_OVERRIDES, hint: str = "", reason: str = ""
    ) -> str:
        """Return what was said to a question of ``probe``.

        Raises:
            NotTakenError: anything but a success.
        """
        try:
            receipt = self.require_taken(answer, (), overrides, hint, reason)
        except (RefusedError, SinkGoneError) as error:
            failure, heard = str(error), error.heard
        else:
            return f"{self.who} answered {receipt.said}"
        raise NotTakenError(failure, needs_repair=True, heard=heard)

    async def aclose(self) -> None:
        """Close the connections; a request that waits fails."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _opened(self) -> ClientSession:
        if self._is_closed:
            raise NotTakenError(f"{self.who} was not asked: the sink is being closed")
        if self._session is None:
            options = self._options
            tls: ssl.SSLContext | bool = True  # the client's own, with the system's authorities
            if options.ca or options.client_certificate:
                tls = await asyncio.to_thread(trusting, options, self.who, _why)
                if self._is_closed:
                    raise NotTakenError(f"{self.who} was not asked: the sink is being closed")
            timeout = options.timeout
            connector = TCPConnector(ssl=tls, limit=4)
            bounded(connector)
            self._session = ClientSession(
                connector=connector,
                cookie_jar=DummyCookieJar(),
                # An answer is short, and a short one must not become a huge one.
                auto_decompress=False,
                headers={
                    hdrs.USER_AGENT: f"tfaudit/{version('tfaudit')}",
                    hdrs.ACCEPT_ENCODING: "identity",
                },
                timeout=ClientTimeout(
                    total=timeout, sock_connect=min(CONNECT_SECONDS, timeout), connect=timeout
                ),
                # The user's .netrc is no place of a sink's secrets; see _proxy_of.
                trust_env=False,
            )
        return self._session

    def _proxy_of(self, url: str) -> tuple[URL | None, dict[str, str]]:
        """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name, and its login.

        ClientSession's own way would also send what ~/.netrc has for the host.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._proxies:
            found = getproxies().get(parts.scheme)
            proxy = URL(found) if found and not proxy_bypass(parts.netloc) else None
            login: dict[str, str] = {}
            if proxy is not None and (user := proxy.user) is not None:
                login[hdrs.PROXY_AUTHORIZATION] = encode_basic_auth(user, proxy.password or "")
                proxy = proxy.with_user(None)
            self._proxies[origin] = proxy, login
        return self._proxies[origin]

    async def quoted(self, content: bytes, sent: bytes) -> str:
        """Return what the far side says in its own words; see the module _quoting."""
        if len(sent) > _LARGE:
            return await asyncio.to_thread(quoted, content, self._secrets, sent)
        return quoted(content, self._secrets, sent)


def is_there(http: Http, answer: Answer) -> str:
    """Return that a far side answers, when there is no question that it could say yes to.

    Raises:
        NotTakenError: it redirects, is gone or fails.
    """
    if answer.status in (401, 403, 404, 405, 501) or verdict(answer.status) in (
        Verdict.TAKEN,
        Verdict.REFUSED,
    ):
        return (
            f"{http.who} is there ({answer.said} to a question without an event); whether it "
            "takes events, only one can tell"
        )
    return http.require_well(answer)


def object_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that an answer is; empty when it is none."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


async def _packed(body: bytes) -> bytes:
    if len(body) > _LARGE:
        return await asyncio.to_thread(gzip.compress, body, 4, mtime=0)
    return gzip.compress(body, 4, mtime=0)


async def _read(response: ClientResponse) -> bytes:
    """Return what there is of an answer up to the limit."""
    found, is_whole = await read_up_to(response.content, MAX_ANSWER)
    if not is_whole:
        response.close()
    return found


def _retry_after(response: ClientResponse, now: datetime) -> float | None:
    """Return the seconds of Retry-After (RFC 9110 section 10.2.3), else of Datadog's own field."""
    text = response.headers.get(hdrs.RETRY_AFTER, response.headers.get("X-RateLimit-Reset", ""))
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        seconds = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _phrase(status: int) -> str:
    """Return a status in our words: the far side's phrase may say anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _hint(status: int) -> str:
    if 300 <= status <= 399:
        return "a redirection is not followed: give the address that it moved to"
    return _HINTS.get(status, "")


def _reason(error: Exception) -> tuple[str, bool]:
    """Return why there is no answer, and whether somebody has to repair it."""
    for kind, said, needs_repair in _KINDS:
        if isinstance(error, kind):
            return said, needs_repair
    match error:
        case ClientConnectorCertificateError():
            found = error.certificate_error
            why = client_text(getattr(found, "verify_message", ""), _MAX_QUOTED)
            said = f"is not trusted: {why}; name the file of its authority in the option ca"
            return said, True
        case ClientConnectorSSLError() | ssl.SSLError():
            return f"has no TLS for us: {_reason_of_tls(error)}", False
        case ClientHttpProxyError():
            return f"can't be reached: the proxy answered {_phrase(error.status)}", False
        case OSError() if error.errno is not None and error.errno > 0:
            return _ERRNO.get(error.errno, f"can't be reached: {os.strerror(error.errno)}"), False
        case _:
            return f"can't be asked: {type(error).__name__}", False


_KINDS: Final[tuple[tuple[type[Exception], str, bool], ...]] = (
    (EndlessAnswerError, "answered without an end, and was hung up on", False),
    (ClientConnectorDNSError, "can't be found: no resolver knows its name", False),
    (ClientProxyConnectionError, "can't be reached: the proxy takes no connection", False),
    (InvalidURL, "can't be asked: its address is none", True),
    (ClientPayloadError, "broke off in the middle of its answer", False),
    (ServerDisconnectedError, "closed the connection before it answered", False),
)
_ERRNO: Final = {
    errno.ECONNREFUSED: "refuses the connection",
    errno.ECONNRESET: "reset the connection before it answered",
}


def _why(error: OSError | ValueError) -> str:
    """Return why a PEM file can't be used."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return (error.strerror or type(error).__name__).lower()
    return "it has not what it should have, as PEM"


def _reason_of_tls(error: Exception) -> str:
    found = getattr(error, "os_error", error)
    reason = getattr(found, "reason", None) or type(found).__name__
    return str(reason).replace("_", " ").lower()


class Part(NamedTuple):
    """What of a batch goes into one request.

    Attributes:
        indices: of the events.
        pieces: what stands for each, encoded.
    """

    indices: tuple[int, ...]
    pieces: tuple[bytes, ...]


def in_parts(pieces: Iterable[tuple[int, bytes]], *, most: int, size: int) -> list[Part]:
    """Part a batch so that no request is larger than the far side takes.

    Args:
        pieces: index and encoded form of each event; one that is too large stands alone.
        most: pieces in a part.
        size: bytes of a part, with one byte between two pieces and one at each end.
    """
    parts: list[Part] = []
    indices: list[int] = []
    held: list[bytes] = []
    used = 1
    for index, piece in pieces:
        if held and (len(held) == most or used + len(piece) + 1 > size):
            parts.append(Part(tuple(indices), tuple(held)))
            indices, held, used = [], [], 1
        indices.append(index)
        held.append(piece)
        used += len(piece) + 1
    if held:
        parts.append(Part(tuple(indices), tuple(held)))
    return parts


async def made(batch: Batch, make: Callable[[Batch], T]) -> T:
    """Return what a sink makes of a batch; of a large one off the event loop.

    Args:
        batch: to be sent.
        make: renders it.
    """
    if len(batch.events) > _MANY:
        return await asyncio.to_thread(make, batch)
    return make(batch)


async def in_order(parts: Sequence[Part], send: Callable[[Part], Awaitable[Receipt]]) -> Receipt:
    """Send one part after the other; what goes wrong with one tells what of the rest is left.

    Args:
        parts: in the order of the log.
        send: delivers one.

    Raises:
        NotTakenError: of the first part that was not taken; with all that is left.
        RefusedError: likewise.
        SinkGoneError: from ``send``.
    """
    said = "nothing to send"
    heard = ""
    rejected: dict[int, str] = {}
    until = asyncio.get_running_loop().time() + BUDGET
    for number, part in enumerate(parts):
        later = frozenset(index for each in parts[number + 1 :] for index in each.indices)
        if number and asyncio.get_running_loop().time() > until:
            raise NotTakenError(
                f"the far side is slow: it took {number} of {len(parts)} requests within "
                f"{BUDGET:g} seconds",
                left=later.union(part.indices),
                rejected=rejected,
                retry_after=0.0,
            )
        try:
            receipt = await send(part)
        except NotTakenError as error:
            error.left = later | (frozenset(part.indices) if error.left is None else error.left)
            error.rejected = {**rejected, **error.rejected}
            raise
        except RefusedError as error:
            error.left |= later
            if rejected:  # those are certain; the refused ones are found out on the next call
                raise NotTakenError(
                    str(error),
                    left=error.refused | error.left,
                    rejected=rejected,
                    retry_after=0.0,
                    heard=error.heard,
                ) from None
            raise
        said = receipt.said
        heard = receipt.heard or heard
        rejected.update(receipt.rejected)
    return Receipt(said, rejected, heard)
