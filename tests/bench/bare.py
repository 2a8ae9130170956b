"""An aiohttp handler that returns the same bytes: the floor under every figure.

Run it as ``python bare.py PORT STATE``.
"""

import sys
from pathlib import Path

from aiohttp import web


def create_app(state: bytes) -> web.Application:
    """Return an application that answers every GET below ``/state/`` with these bytes."""

    async def read(_: web.Request) -> web.Response:
        return web.Response(body=state, headers={"Content-Type": "application/json"})

    app = web.Application()
    app.router.add_get("/state/{workspace:.+}", read)
    return app


if __name__ == "__main__":
    web.run_app(
        create_app(Path(sys.argv[2]).read_bytes()),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )
