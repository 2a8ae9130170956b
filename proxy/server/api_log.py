"""The log as JSON lines."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct, structs

from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import InvalidInputError
from proxy.fields import FieldError
from proxy.records import json_line
from proxy.server.appkeys import ADMIN, CALLER
from proxy.server.replies import headers_of
from proxy.server.requests import read_query
from proxy.server.shapes import Outcome
from proxy.timestamps import micros_of, rfc3339

NDJSON: Final = "application/x-ndjson"
PRUNED_UNTIL: Final = "Log-Pruned-Until"
"""Header: entries below this index may match, too, and were archived and pruned."""
_CHUNK: Final = 65_536
_MAX_INDEX: Final = 2**53 - 1

_Index = Annotated[int, Meta(ge=0, le=_MAX_INDEX)]
_Moment = Annotated[str, Meta(description="RFC 3339 with an offset; write its `+` as `%2B`.")]


class LogParameters(Struct, frozen=True, kw_only=True):
    """Which entries; each parameter narrows.

    Attributes:
        workspace: a workspace, as a glob; `*` matches `/` too.
        event: an event, as a glob: `state.*`.
        actor: the actor's name or ID, exactly, or the principal whose token it is; `anonymous` for
            whoever proved nothing.
        source_ip: the client's address, exactly.
        outcome: how it ended.
        since: this moment and later.
        until: before this moment.
        after: indices above this one.
        limit: at most so many entries; without it, all.
        newest_first: the newest first; else the oldest.
        claim: what the actor's issuer says of it, as `name=value`; given again, all must hold.
    """

    workspace: str | None = None
    event: str | None = None
    actor: str | None = None
    source_ip: str | None = None
    outcome: Outcome | None = None
    since: _Moment | None = None
    until: _Moment | None = None
    after: _Index | None = None
    limit: Annotated[int, Meta(ge=1, le=_MAX_INDEX)] | None = None
    newest_first: bool = False
    claim: tuple[Annotated[str, Meta(min_length=2, pattern="^[^=]+=")], ...] = ()


async def read_log(request: web.Request) -> web.StreamResponse:
    """Stream the matching entries, one JSON object a line."""
    query = parse_log_query(request.query)
    opened = await request.app[ADMIN].open_log(request[CALLER], query)
    response = web.StreamResponse(headers=headers_of(NDJSON, opened.index))
    if opened.pruned:
        response.headers[PRUNED_UNTIL] = str(opened.pruned)
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
        parameters: by the names of LogParameters; a multidict when some are given twice.

    Raises:
        InvalidInputError: a parameter that is unknown, given twice, empty or malformed.
    """
    asked = structs.asdict(read_query(parameters, LogParameters))
    for name in ("since", "until"):
        if asked[name] is not None:
            asked[name] = _time(name, asked[name])
    claims = [claim.partition("=") for claim in asked.pop("claim")]
    return LogQuery(**asked, claims=tuple((name, value) for name, _, value in claims))


def _time(name: str, text: str) -> str:
    try:
        return rfc3339(micros_of(text))
    except InvalidInputError as error:
        # In a query "+" is a space: the offset of 10:00:00+01:00 is lost when it is not escaped.
        message = f"the parameter {name}: {error} (write + as %2B)"
        raise FieldError(message, name) from error
