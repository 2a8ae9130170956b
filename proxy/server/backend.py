"""Terraform's ``backend "http"`` in its three dialects: parse, one service call, render.

Source: Terraform's ``internal/backend/remote-state/http/client.go`` and OpenTofu's counterpart.
"""

import asyncio
import re
import zlib
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from proxy.access import parse_workspace
from proxy.contracts import Committed
from proxy.errors import InvalidInputError
from proxy.server.appkeys import CALLER, CONFIG, LOCKS, STATES
from proxy.server.bodies import read_body
from proxy.server.targets import path_of
from proxy.tfstate.lock import MAX_BODY_BYTES

_STATE_TYPE: Final = "application/json"
_PACKET: Final = 1400
"""Bytes; below that, compression saves no packet."""
_NO_WEIGHT: Final = re.compile(r"q=0(?:\.0{0,3})?")
_GZIP_AT_ONCE: Final = 65_536
"""Bytes that are compressed on the event loop; more go to a thread."""


async def read(request: web.Request) -> web.Response:
    """GET: the newest state, byte for byte; 404 is certain knowledge that there is none."""
    headers = request.headers
    if hdrs.CONTENT_MD5 in headers or hdrs.CONTENT_TYPE in headers:
        await request.app[STATES].refuse_forged_read(request[CALLER], _path_name(request))
    workspace = _workspace(request)
    reading = await request.app[STATES].read(request[CALLER], workspace)
    if reading.body is None:
        return web.Response(status=404, headers={"Audit-Index": str(reading.index)})
    return await _state(request, reading.body, reading.index)


async def write(request: web.Request) -> web.Response:
    """POST or PUT: store the body as the newest state; empty answer, so the connection stays."""
    workspace = _workspace(request)
    written = await request.app[STATES].write(
        request[CALLER],
        workspace,
        partial(_upload, request),
        # Without a query none need be taken apart.
        request.query.get("ID") if "?" in request.raw_path else None,
        request.headers.get(hdrs.CONTENT_MD5),
    )
    return _done(written.index)


async def _upload(request: web.Request, limit: int | None) -> bytes | bytearray:
    """Return the body, up to the workspace's own limit (bytes) or the server's."""
    config = request.app[CONFIG].server
    if limit is None or limit >= config.body_limit:
        return await read_body(request, config, config.body_limit)
    return await read_body(request, config, limit, "the workspace's body_limit")


async def lock(request: web.Request) -> web.Response:
    """LOCK, or POST or PUT to ``/lock``: take the lock; ``?wait=60`` waits for it."""
    workspace = _workspace(request)
    wait = _seconds(request, request.app[CONFIG].server.lock_wait_limit)
    body = await _lock_info(request, workspace, "state.lock_refused")

    def is_gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    committed = await request.app[LOCKS].lock(
        request[CALLER],
        workspace,
        body,
        request.headers.get(hdrs.CONTENT_MD5),
        wait=wait,
        is_gone=is_gone,
    )
    return _done(committed.index)


async def unlock(request: web.Request) -> web.Response:
    """UNLOCK, or DELETE, POST or PUT to the unlock address; without a body a force-unlock."""
    workspace = _workspace(request)
    body = await _lock_info(request, workspace, "state.unlock_refused")
    committed: Committed[None] = await request.app[LOCKS].unlock(
        request[CALLER], workspace, body, request.headers.get(hdrs.CONTENT_MD5)
    )
    return _done(committed.index)


async def delete(request: web.Request) -> web.Response:
    """DELETE on the state's own address: an unlock when it names a lock; never a deletion.

    No client deletes a state. One that is configured with ``unlock_method = "DELETE"`` on the
    state's address sends a LockInfo, or at least the Content-MD5 of its body.
    """
    if request.body_exists or hdrs.CONTENT_MD5 in request.headers:
        return await unlock(request)
    raise web.HTTPMethodNotAllowed("DELETE", ["GET", "POST", "PUT", "LOCK", "UNLOCK"])


async def _lock_info(request: web.Request, workspace: str, refusal: str) -> bytes:
    """Return the body of a LOCK or an UNLOCK; that it can't be read is on record as refusal."""
    try:
        return bytes(await read_body(request, request.app[CONFIG].server, MAX_BODY_BYTES))
    except InvalidInputError as error:
        await request.app[LOCKS].refuse_unread(request[CALLER], workspace, refusal, error)


def _workspace(request: web.Request) -> str:
    """Return the workspace as the path spells it; nothing is decoded or normalised.

    Raises:
        InvalidInputError: it is no workspace's name, or has an escaped or empty segment.
    """
    ending = request.match_info.get("ending")
    name = _path_name(request)
    return parse_workspace(name.removesuffix(f"/{ending}") if ending else name)


def _path_name(request: web.Request) -> str:
    """Return what follows ``/state/``, as it is written."""
    return path_of(request).removeprefix("/state/")


async def _state(request: web.Request, body: bytes, index: int | None) -> web.Response:
    headers = {"Audit-Index": str(index), hdrs.CONTENT_TYPE: _STATE_TYPE}
    if len(body) >= _PACKET and _takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if len(body) <= _GZIP_AT_ONCE:
            body = _gzip(body)
        else:
            body = await asyncio.to_thread(_gzip, body)
    return web.Response(body=body, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Read Accept-Encoding (RFC 9110 section 12.5.3): a weight of 0 says no."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return not _NO_WEIGHT.fullmatch(weight.strip())
    return False


def _gzip(body: bytes) -> bytes:
    return zlib.compress(body, level=1, wbits=31)  # 31: a gzip header (RFC 1952)


def _done(index: int | None) -> web.Response:
    return web.Response(headers={"Audit-Index": str(index)})


def _seconds(request: web.Request, limit: float) -> float:
    """Return how long a LOCK may wait, from ``?wait=``."""
    text = request.query.get("wait")
    if text is None:
        return 0.0
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidInputError(
            f"wait in the lock address must be whole seconds from 0 to {limit:.0f}, for example "
            'lock_address = "…?wait=60"'
        )
    return min(float(text), limit)
