"""What machines ask: is the program alive, is it ready, how busy, and where the log stands."""

import math
import time
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from proxy.anchors.keeping import AnchorStatus
from proxy.cosigned import Cosigned
from proxy.errors import HaltedError, NotFoundError, UnavailableError
from proxy.logs import Logger
from proxy.server.appkeys import ANCHORS, COSIGNED, METRICS, READINESS, SINKS, STORE

_log: Final = Logger(__name__)


async def healthz(_: web.Request) -> web.Response:
    """Answer as long as the program runs at all."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when requests can be served, else 503.

    The reason goes to the program's own log: it may name files, and whoever asks is unknown.
    """
    try:
        await request.app[READINESS].require()
    except HaltedError:
        # Its log told why when it began to refuse, once.
        return _not_ready(
            "the log is not signed on, as it is not the one that a witness or an anchor knows"
        )
    except UnavailableError as error:
        _log.warning("not ready", error=str(error))
        return _not_ready("the store can't be used")
    anchors = await _anchors(request)
    lines = "".join(f"{_anchor_line(each)}\n" for each in anchors)
    return web.Response(text=f"ready\n{_cosigned_line(request)}{lines}")


def _not_ready(why: str) -> web.Response:
    return web.Response(
        status=503,
        text=f"not ready: {why}; see the server's log\n",
        headers={"Retry-After": "10"},
    )


async def _anchors(request: web.Request) -> list[AnchorStatus]:
    """Return how the anchors are doing; none when the log can't be read."""
    try:
        return await request.app[ANCHORS].statuses(datetime.now(UTC))
    except UnavailableError:
        return []


def _anchor_line(anchor: AnchorStatus) -> str:
    """Return how far an anchor is; of no weight for whether all is ready."""
    if not anchor.is_compared:
        return f"the anchor {anchor.name} could not be compared with the log since the start"
    if anchor.gone is not None:
        return (
            f"the anchor {anchor.name} had no more the checkpoint of {anchor.gone} entries that "
            "was put there before the start"
        )
    if anchor.lag:
        return f"the anchor {anchor.name} is {anchor.age:.0f} s behind the log"
    return f"the anchor {anchor.name} has the newest checkpoint"


def _cosigned_line(request: web.Request) -> str:
    """Return how old the newest cosigned checkpoint is; of no weight for whether all is ready."""
    cosigned = request.app[COSIGNED]
    if not cosigned.is_wanted:
        return ""
    if cosigned.newest is None:
        return "no checkpoint is cosigned yet\n"
    return f"the newest cosigned checkpoint is {_age(cosigned.newest):.0f} s old\n"


def _age(cosigned: Cosigned) -> float:
    """Return seconds; the clock of a witness may be a little ahead of ours."""
    return max(0.0, time.time() - cosigned.seconds)


async def metrics(request: web.Request) -> web.Response:
    """Answer a scrape in Prometheus's text format; also when the store can't be asked."""
    try:
        locks_held = float(len(await request.app[STORE].locks()))
    except UnavailableError:
        locks_held = math.nan
    try:
        sinks = await request.app[SINKS].measure()
    except UnavailableError:
        sinks = []
    cosigned = request.app[COSIGNED]
    age = size = None
    if cosigned.is_wanted:
        age, size = (
            (math.inf, 0)
            if cosigned.newest is None
            else (_age(cosigned.newest), cosigned.newest.checkpoint.size)
        )
    return web.Response(
        body=request.app[METRICS].render(
            locks_held,
            sinks,
            await _anchors(request),
            cosigned_age=age,
            cosigned_size=size,
        ),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def checkpoint(request: web.Request) -> web.Response:
    """Answer the newest signed checkpoint (C2SP tlog-tiles, *Checkpoints*)."""
    note = await request.app[STORE].checkpoint()
    if not note:
        raise NotFoundError("the log has no entry yet, and so no checkpoint")
    return web.Response(text=note, headers={"Cache-Control": "no-cache"})


async def cosigned_checkpoint(request: web.Request) -> web.Response:
    """Answer the newest checkpoint that enough witnesses cosigned (C2SP tlog-cosignature)."""
    newest = request.app[COSIGNED].newest
    if newest is None:
        raise NotFoundError(
            "no checkpoint is cosigned: witnesses are named in [witness], and asked after commits"
        )
    return web.Response(text=newest.note, headers={"Cache-Control": "no-cache"})
