"""Asks a server over HTTP who one is to it, with the credentials that Terraform would send."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from proxy.answers import read_up_to
from proxy.cli._common import notice
from proxy.config import CLIENT_TOKEN
from proxy.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TfauditError,
    UnauthenticatedError,
    UnavailableError,
)
from proxy.whoami import WhoAmI

_SECONDS: Final = 15
_MAX_ANSWER: Final = 1 << 20
_STATE: Final = "/state/"
_REFUSALS: Final[Mapping[int, type[TfauditError]]] = {
    400: InvalidInputError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
}


class _Detail(msgspec.Struct):
    """What is read of problem details."""

    detail: str


async def ask_who_am_i(url: str, workspace: str | None) -> WhoAmI:
    """Return what a server says.

    Args:
        url: of the server, or of a state on it, whose workspace is asked about by default.
        workspace: which to ask about.

    Raises:
        InvalidInputError: that is no such address, or there are no credentials.
        UnauthenticatedError, ForbiddenError, NotFoundError: the server's answer is no.
        UnavailableError: it could not be asked, or it did not answer as tfaudit does.
    """
    root, of_url = _split(url)
    workspace = of_url if workspace is None else workspace
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
            # A redirect could lead the credentials to somebody else.
            session.get(
                f"{root}/api/v1/whoami",
                params={} if workspace is None else {"workspace": workspace},
                headers={"Authorization": _authorization()},
                allow_redirects=False,
            ) as response,
        ):
            content, is_whole = await read_up_to(response.content, _MAX_ANSWER)
            if not is_whole:
                raise UnavailableError(f"{root} did not answer as tfaudit does")
            status = response.status
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # What is raised may hold the address, but never the header.
        reason = str(error) or "it did not answer in time"
        raise UnavailableError(f"{root} could not be asked: {reason}") from error
    if status == 200:
        try:
            return msgspec.json.decode(content, type=WhoAmI)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"{root} did not answer as tfaudit does") from error
    raise _REFUSALS.get(status, UnavailableError)(f"{root} answered {status}: {_detail(content)}")


def _split(url: str) -> tuple[str, str | None]:
    """Return the server's address, and the workspace that the address names, if it does."""
    parts = urlsplit(url)
    try:
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_plain = parts.port is None or parts.port > 0
    except ValueError:
        is_address = is_plain = False
    if not (is_address and is_plain) or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            "--url must be the server's address, such as https://tfaudit.example.com, or that of a "
            "state on it; credentials come from the environment"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        notice(f"The credentials go to {parts.hostname} in clear: use https.")
    before, is_state, workspace = parts.path.partition(_STATE)
    return f"{parts.scheme}://{parts.netloc}{before.rstrip('/')}", workspace if is_state else None


def authorization_if_any() -> str:
    """Return the header of the credentials in the environment; empty without any."""
    if not (os.environ.get(CLIENT_TOKEN) or os.environ.get("TF_HTTP_PASSWORD")):
        return ""
    return _authorization()


def is_loopback(host: str) -> bool:
    """Tell whether what is sent to the host never leaves this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorization() -> str:
    token = os.environ.get(CLIENT_TOKEN)
    if token:
        return f"Bearer {token.strip()}"
    password = os.environ.get("TF_HTTP_PASSWORD")
    if password:
        name = os.environ.get("TF_HTTP_USERNAME", "")
        if ":" in name:
            raise InvalidInputError("TF_HTTP_USERNAME has a colon, which no user name may have")
        return aiohttp.encode_basic_auth(name, password, "utf-8")
    raise InvalidInputError(
        "there are no credentials: set TFAUDIT_TOKEN, or TF_HTTP_USERNAME and TF_HTTP_PASSWORD"
    )


def _detail(content: bytes) -> str:
    try:
        return msgspec.json.decode(content, type=_Detail).detail
    except msgspec.DecodeError:
        return "not in the words of tfaudit; is this the right address?"
