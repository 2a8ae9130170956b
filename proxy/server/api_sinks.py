"""Sinks over HTTP: made and changed like any object, and looked at, tried and given entries anew.

Whoever may ask this may have the server connect to addresses of their choice: that is what a sink
is. So it wants ``administer`` everywhere, a far side's redirects are not followed, and of its
answers no more than a few words are told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from proxy.access import EVERYWHERE, Permission
from proxy.contracts import SinkReplay
from proxy.gate import gate
from proxy.server import shapes
from proxy.server.api_objects import object_routes
from proxy.server.appkeys import CALLER, SINKS, STORE
from proxy.server.operations import Operation, Route
from proxy.server.replies import PageParameters, json_reply, list_reply, page_of
from proxy.server.requests import read_json, read_query, refuse_parameters
from proxy.sink_status import SinkStatus
from proxy.sinks import sink_types
from proxy.sinks.describing import SinkType, describe

_ONE: Final = "/api/v1/sinks/{name}"


async def list_sink_types(request: web.Request) -> web.Response:
    """List the types of sinks with their options."""
    parameters = read_query(request.query, PageParameters)
    await gate(request.app[STORE], request[CALLER], Permission.ADMINISTER, EVERYWHERE)
    # Each is imported for it, which takes time.
    found = await asyncio.to_thread(_types)
    page, following = page_of(found, lambda each: each.type, parameters)
    return list_reply(page, following)


def _types() -> Sequence[SinkType]:
    return [describe(of) for of in sorted(sink_types())]


async def show_sink_status(request: web.Request) -> web.Response:
    """Tell how a sink is doing."""
    refuse_parameters(request)
    [found] = await request.app[SINKS].status(request[CALLER], request.match_info["name"])
    return json_reply(_status(found))


async def run_sink_test(request: web.Request) -> web.Response:
    """Send a marked event to a sink, and tell what its far side answered."""
    refuse_parameters(request)
    done = await request.app[SINKS].test(request[CALLER], request.match_info["name"])
    return json_reply(done.value, done.index)


async def list_dead_letters(request: web.Request) -> web.Response:
    """List what is set aside for a sink, in the order of the log."""
    parameters = read_query(request.query, shapes.DeadLetterParameters)
    found = await request.app[SINKS].dead_letters(
        request[CALLER], request.match_info["name"], parameters.first, parameters.limit + 1
    )
    page = found[: parameters.limit]
    following = found[parameters.limit].index if len(found) > parameters.limit else None
    items = [{"index": each.index, "reason": each.reason, "time": each.time} for each in page]
    return json_reply({"items": items, "next": following})


async def list_replays(request: web.Request) -> web.Response:
    """List what a sink is still to be given once more, the oldest first."""
    parameters = read_query(request.query, PageParameters)
    [found] = await request.app[SINKS].status(request[CALLER], request.match_info["name"])
    page, following = page_of(found.replays, lambda each: each.id, parameters)
    return list_reply([_replay(each) for each in page], following)


async def create_replay(request: web.Request) -> web.Response:
    """Have entries sent to a sink once more."""
    refuse_parameters(request)
    wish = await read_json(request, shapes.ReplayCreation, "replay")
    done = await request.app[SINKS].replay(
        request[CALLER],
        request.match_info["name"],
        wish.first,
        wish.until,
        only_dead_letters=wish.only_dead_letters,
    )
    return json_reply(_replay(done.value), done.index, status=202)


def _status(found: SinkStatus) -> dict[str, Any]:
    return {**asdict(found), "replays": [_replay(each) for each in found.replays]}


def _replay(found: SinkReplay) -> dict[str, Any]:
    return {name: value for name, value in found._asdict().items() if name != "sink"}


def sink_routes() -> tuple[Route, ...]:
    """Return the routes of sinks: those of any object, and what only they have."""
    wanted = Permission.ADMINISTER
    return (
        *object_routes("sink"),
        Route(
            "GET",
            "/api/v1/sink-types",
            list_sink_types,
            Operation(
                "listSinkTypes",
                "List the types of sinks, with the options of each.",
                wanted,
                reply=shapes.SinkTypeList,
                query=PageParameters,
            ),
        ),
        Route(
            "GET",
            f"{_ONE}/status",
            show_sink_status,
            Operation(
                "showSinkStatus",
                "Tell how far a sink is, and how it is doing.",
                wanted,
                reply=shapes.SinkStatus,
                refusals=(404,),
            ),
        ),
        Route(
            "POST",
            f"{_ONE}/test",
            run_sink_test,
            Operation(
                "testSink",
                "Send a marked event to a sink, and tell what its far side answered.",
                wanted,
                reply=shapes.Tested,
                refusals=(404,),
                description="The event is `sink.tested`, an entry of the log. It is sent at once, "
                "beside whatever waits, also to a paused sink. That the far side did not take it "
                "is told in `is_taken`; the status is 200.",
            ),
        ),
        Route(
            "GET",
            f"{_ONE}/dead-letters",
            list_dead_letters,
            Operation(
                "listDeadLetters",
                "List the entries that a sink refused, in the order of the log.",
                wanted,
                reply=shapes.DeadLetterList,
                query=shapes.DeadLetterParameters,
                refusals=(404,),
            ),
        ),
        Route(
            "GET",
            f"{_ONE}/replays",
            list_replays,
            Operation(
                "listReplays",
                "List what a sink is still to be given once more, the oldest first.",
                wanted,
                reply=shapes.ReplayList,
                query=PageParameters,
                refusals=(404,),
            ),
        ),
        Route(
            "POST",
            f"{_ONE}/replays",
            create_replay,
            Operation(
                "createReplay",
                "Have entries sent to a sink once more.",
                wanted,
                body=shapes.ReplayCreation,
                reply=shapes.Replay,
                status=202,
                refusals=(404, 409, 410),
                description="It is done beside what is new, and goes on after a restart. Each "
                "entry has the ID that it had, by which a receiver knows what it has already.",
            ),
        ),
    )
