"""Every method and path, and what answers it, on one screen."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from proxy.server import api, backend, health
from proxy.server.bodies import defer_continue

_STATE: Final = "/state/{workspace:.+}"
_LOCK: Final = "/state/{workspace:.+}/{ending:lock}"
_UNLOCK: Final = "/state/{workspace:.+}/{ending:unlock}"

Route = tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]

ROUTES: Final[tuple[Route, ...]] = (
    # Terraform's default dialect
    ("GET", _STATE, backend.read),
    ("POST", _STATE, backend.write),
    ("PUT", _STATE, backend.write),
    ("LOCK", _STATE, backend.lock),
    ("UNLOCK", _STATE, backend.unlock),
    ("DELETE", _STATE, backend.delete),
    # GitLab's dialect, and the one of POST alone for networks that block other methods
    ("POST", _LOCK, backend.lock),
    ("PUT", _LOCK, backend.lock),
    ("LOCK", _LOCK, backend.lock),
    ("DELETE", _LOCK, backend.unlock),
    ("UNLOCK", _LOCK, backend.unlock),
    ("POST", _UNLOCK, backend.unlock),
    ("PUT", _UNLOCK, backend.unlock),
    ("DELETE", _UNLOCK, backend.unlock),
    ("UNLOCK", _UNLOCK, backend.unlock),
    # Administration
    ("GET", "/api/v1/tokens", api.list_tokens),
    ("POST", "/api/v1/tokens", api.create_token),
    ("DELETE", "/api/v1/tokens/{ref}", api.revoke_token),
    ("GET", "/api/v1/log", api.read_log),
    # For anybody
    ("GET", "/checkpoint", health.checkpoint),
    ("GET", "/healthz", health.healthz),
    ("GET", "/readyz", health.readyz),
    ("GET", "/metrics", health.metrics),
)

OPEN: Final = frozenset({health.checkpoint, health.healthz, health.readyz, health.metrics})
"""Handlers that ask for no credentials: none of them tells anything of a state or a workspace."""


def add_routes(app: web.Application) -> dict[str, AbstractRoute]:
    """Register every route; the first match wins.

    Reads of a state come first, as most requests are that, then the longer paths.

    Returns:
        the routes of a state's own address, by method.
    """
    found: dict[str, AbstractRoute] = {}
    for method, path, handler in sorted(ROUTES, key=_rank):
        route = app.router.add_route(method, path, handler, expect_handler=defer_continue)
        if path == _STATE:
            found[method] = route
    return found


def _rank(route: Route) -> tuple[bool, int]:
    method, path, _ = route
    return (method, path) != ("GET", _STATE), -len(path)
