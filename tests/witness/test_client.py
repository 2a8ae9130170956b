"""Tests of how witnesses are asked over HTTP."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.errors import UnavailableError
from proxy.witness.client import open_client
from proxy.witnesses import Answer


async def answer(request: web.Request) -> web.Response:
    """Answer as the path asks."""
    body = await request.read()
    if request.path == "/long":
        return web.Response(body=b"x" * 70_000)
    if request.path == "/away":
        raise web.HTTPFound("/here")
    return web.Response(status=409, body=body)


async def test_status_and_body_come_back() -> None:
    """A redirection is not followed, a long answer not read to its end, silence is told."""
    app = web.Application()
    app.router.add_post("/{path}", answer)
    async with TestServer(app) as server, open_client() as client:
        assert Answer(409, b"body") == await client.post(str(server.make_url("/here")), b"body")
        assert 302 == (await client.post(str(server.make_url("/away")), b"")).status
        with pytest.raises(UnavailableError, match="longer than 65,536"):
            await client.post(str(server.make_url("/long")), b"")
        there = await client.get(str(server.make_url("/here")))
        assert Answer(405, b"405: Method Not Allowed") == there
        gone = str(server.make_url("/here"))
        await server.close()
        with pytest.raises(UnavailableError, match="can't be reached at http"):
            await client.post(gone, b"")
