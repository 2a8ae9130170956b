"""Tests of proxy.server.shortcut."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from proxy.server import backend
from proxy.server.routes import ROUTES, add_routes
from proxy.server.shortcut import Handler, Shortcut

METHODS = sorted({route.method for route in ROUTES} | {"HEAD", "PATCH", "get"})
STATES = ["/state/a", "/state/prod/network?ID=1", "/state//", "/state/lock", "/state/a/lock?wait=1"]
OTHERS = ["/", "/state", "/state/", "/state/?ID=1", "/states/a", "/checkpoint", "/api/v1/log"]


async def routed(app: web.Application, request: web.Request) -> Handler | None:
    """Return the handler that the router finds; None when it finds none."""
    found = await app.router.resolve(request)
    return found.handler if found.http_exception is None else None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", STATES + OTHERS)
async def test_the_short_way_leads_where_the_router_leads(method: str, target: str) -> None:
    """For each method and address: to the same handler, or it is left to the router."""
    app = web.Application()
    ways: list[Handler | None] = []

    async def middleware(request: web.Request, handler: Handler) -> web.Response:
        assert (app, handler) == (request.app, request.match_info.handler)
        ways.append(handler)
        return web.Response()

    async def otherwise(request: web.Request) -> web.Response:
        ways.append(await routed(app, request))
        return web.Response()

    shortcut = Shortcut(app, add_routes(app), middleware)
    request = make_mocked_request(method, target)
    await shortcut.handle(request, otherwise)

    assert [await routed(app, request)] == ways


async def taken(method: str, target: str, headers: dict[str, str]) -> bool:
    """Tell whether the short way is taken."""
    app = web.Application()

    async def short(_: web.Request, __: Handler) -> web.Response:
        return web.Response()

    async def long(_: web.Request) -> web.Response:
        return web.Response(status=500)

    shortcut = Shortcut(app, add_routes(app), short)
    request = make_mocked_request(method, target, headers)
    return (await shortcut.handle(request, long)).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "LOCK", "UNLOCK", "DELETE"])
async def test_it_is_taken_for_a_states_own_address(method: str) -> None:
    """Whatever is done there."""
    assert await taken(method, "/state/prod/network?ID=1", {})


async def test_who_waits_for_a_word_before_the_body_is_left_to_the_router() -> None:
    """The route's own answer to Expect is aiohttp's to call."""
    assert not await taken("POST", "/state/a", {"Expect": "100-continue"})


def test_the_handlers_are_the_protocols() -> None:
    """All methods of a state's own address are led to the handlers of Terraform's protocol."""
    found = {method: route.handler for method, route in add_routes(web.Application()).items()}
    assert {
        "GET": backend.read,
        "POST": backend.write,
        "PUT": backend.write,
        "LOCK": backend.lock,
        "UNLOCK": backend.unlock,
        "DELETE": backend.delete,
    } == found
