"""A receiver of webhooks in a process of its own: ``python intake.py PORT [silent]``.

It counts events, and shows a body for a bare loop to post; or it takes requests and never answers.
"""

import asyncio
import sys
from typing import Final

from aiohttp import web

_MARK: Final = b'"leaf_hash":'
"""Stands once in each event of our own format."""

COUNTS: Final = web.AppKey("counts", dict[str, int])
BODIES: Final = web.AppKey("bodies", list[bytes])


async def take(request: web.Request) -> web.Response:
    """Count the events of a body."""
    body = await request.read()
    counts, bodies = request.app[COUNTS], request.app[BODIES]
    counts["events"] += body.count(_MARK)
    counts["requests"] += 1
    if not bodies or len(body) > len(bodies[0]):
        bodies[:] = [body]
    return web.Response(status=204)


async def hang(request: web.Request) -> web.Response:
    """Take a body and never answer."""
    await request.read()
    request.app[COUNTS]["requests"] += 1
    await asyncio.Event().wait()
    return web.Response()


async def count(request: web.Request) -> web.Response:
    """Answer what came so far."""
    return web.json_response(request.app[COUNTS])


async def sample(request: web.Request) -> web.Response:
    """Answer the longest body that came."""
    return web.Response(body=request.app[BODIES][0])


async def is_there(_: web.Request) -> web.Response:
    """Answer a probe."""
    return web.Response(status=204)


def main(port: int, *, is_silent: bool) -> None:
    """Serve until it is ended."""
    app = web.Application(client_max_size=1 << 26)
    app[COUNTS] = {"events": 0, "requests": 0}
    app[BODIES] = []
    app.router.add_post("/hook", hang if is_silent else take)
    app.router.add_route("OPTIONS", "/hook", is_there)
    app.router.add_get("/count", count)
    app.router.add_get("/sample", sample)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, shutdown_timeout=0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]), is_silent="silent" in sys.argv[2:])
