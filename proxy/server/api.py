"""Administration and the log as JSON, under ``/api/v1/``."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import InvalidInputError
from proxy.records import json_line
from proxy.server.appkeys import ADMIN, CALLER, CONFIG
from proxy.server.bodies import read_body
from proxy.timestamps import micros_of, rfc3339

MAX_BODY: Final = 65_536
_MAX_INDEX: Final = 2**53 - 1
_CHUNK: Final = 65_536


async def create_token(request: web.Request) -> web.Response:
    """Make a token: ``{name, role, workspaces, expires_in}``, the last in seconds or absent."""
    name, role, workspaces, expires_in = _token_wish(await _body(request))
    minted = await request.app[ADMIN].create_token(
        request[CALLER], name, role, workspaces, expires_in
    )
    return _json({**asdict(minted.token), "token": minted.text}, minted.index, status=201)


async def list_tokens(request: web.Request) -> web.Response:
    """List all tokens, oldest first, those revoked and expired too."""
    _refuse_unknown(request.query, ())
    found = await request.app[ADMIN].list_tokens(request[CALLER])
    return _json({"tokens": [asdict(token) for token in found]})


async def revoke_token(request: web.Request) -> web.Response:
    """Take the token out of force that the path names by ID or name."""
    done = await request.app[ADMIN].revoke_token(request[CALLER], request.match_info["ref"])
    return _json(asdict(done.value), done.index)


async def read_log(request: web.Request) -> web.StreamResponse:
    """Stream the matching entries, one JSON object a line."""
    query = parse_log_query(request.query)
    opened = await request.app[ADMIN].open_log(request[CALLER], query)
    response = web.StreamResponse(headers=_headers("application/x-ndjson", opened.index))
    # Once the stream has begun the middleware can add no header any more.
    response.headers["Request-Id"] = request[CALLER].request_id
    await response.prepare(request)
    try:
        await _send(response, opened.records)
    except ConnectionError:
        pass  # the client hung up; that it asked is on record
    except BaseException:
        # The status is out: only a connection that breaks tells the client that lines are missing.
        if request.transport is not None:
            request.transport.abort()
        raise
    return response


async def _send(response: web.StreamResponse, records: AsyncIterator[StoredRecord]) -> None:
    waiting = bytearray()
    async for stored in records:
        waiting += json_line(stored) + b"\n"
        if len(waiting) >= _CHUNK:
            await response.write(bytes(waiting))
            waiting.clear()
    await response.write_eof(bytes(waiting))


def parse_log_query(parameters: Mapping[str, str]) -> LogQuery:
    """Return the query that the parameters of an address ask for.

    Args:
        parameters: ``workspace``, ``event``, ``actor``, ``source_ip``, ``outcome``, ``since``,
            ``until`` (RFC 3339 with any offset), ``after`` (an index), ``limit`` and
            ``newest_first`` (true or false); a multidict when some are given twice.

    Raises:
        InvalidInputError: a parameter that is unknown, given twice, empty or malformed.
    """
    _refuse_unknown(parameters, tuple(_PARAMETERS))
    return LogQuery(**{name: _PARAMETERS[name](name, text) for name, text in parameters.items()})


def _refuse_unknown(parameters: Mapping[str, str], known: tuple[str, ...]) -> None:
    # A multidict tells a repeated name only in its items.
    names = [name for name, _ in parameters.items()]
    for name in names:
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "there are none"
            raise InvalidInputError(f"the parameter {name[:100]!r} is not known: {there_are}")
        if names.count(name) > 1:
            raise InvalidInputError(f"the parameter {name} is given more than once")


def _text(name: str, text: str) -> str:
    if not text:
        raise InvalidInputError(f"the parameter {name} is empty: leave it out")
    return text


def _time(name: str, text: str) -> str:
    try:
        return rfc3339(micros_of(text))
    except InvalidInputError as error:
        # In a query "+" is a space: the offset of 10:00:00+01:00 is lost when it is not escaped.
        raise InvalidInputError(f"the parameter {name}: {error} (write + as %2B)") from error


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and int(text) <= _MAX_INDEX):
        raise InvalidInputError(f"the parameter {name} must be a whole number from 0")
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise InvalidInputError(f"the parameter {name} must be true or false")
    return text == "true"


_PARAMETERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "workspace": _text,
    "event": _text,
    "actor": _text,
    "source_ip": _text,
    "outcome": _text,
    "since": _time,
    "until": _time,
    "after": _number,
    "limit": _number,
    "newest_first": _flag,
}


async def _body(request: web.Request) -> dict[str, Any]:
    # A page of another site can make a browser send a form or plain text with the person's
    # remembered password; it can't make it send this type.
    if request.content_type != "application/json":
        raise InvalidInputError("send the body as JSON, with Content-Type: application/json")
    content = await read_body(request, request.app[CONFIG].server, MAX_BODY)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInputError("the body must be a JSON object")
    return body


_WISH: Final = ("name", "role", "workspaces", "expires_in")


def _token_wish(body: dict[str, Any]) -> tuple[str, str, list[str], timedelta | None]:
    for key in body:
        if key not in _WISH:
            raise InvalidInputError(
                f"the key {key[:100]!r} is not known: there are {', '.join(_WISH)}"
            )
    name, role, workspaces, expires_in = (body.get(key) for key in _WISH)
    if not isinstance(name, str) or not isinstance(role, str):
        raise InvalidInputError("name and role must be texts")
    if not isinstance(workspaces, list) or not all(isinstance(each, str) for each in workspaces):
        raise InvalidInputError('workspaces must be a list of globs; ["*"] is all')
    if expires_in is None:
        return name, role, workspaces, None
    if isinstance(expires_in, bool) or not isinstance(expires_in, int):
        raise InvalidInputError("expires_in must be a whole number of seconds")
    try:
        return name, role, workspaces, timedelta(seconds=expires_in)
    except OverflowError as error:
        raise InvalidInputError("expires_in is too many seconds") from error


def _headers(content_type: str, index: int | None) -> dict[str, str]:
    # What is asked here is for one reader; no cache on the way may keep it.
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    if index is not None:
        headers["Audit-Index"] = str(index)
    return headers


def _json(content: object, index: int | None = None, *, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(content) + b"\n",
        status=status,
        headers=_headers("application/json", index),
    )
