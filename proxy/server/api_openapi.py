"""The API's own description."""

from functools import lru_cache

import msgspec
from aiohttp import hdrs, web

from proxy.server.appkeys import ROUTES
from proxy.server.openapi import document
from proxy.server.operations import JSON, Route


async def openapi(request: web.Request) -> web.Response:
    """Answer with the OpenAPI document, which tells nothing that the documentation does not."""
    return web.Response(
        body=_encoded(request.app[ROUTES]),
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "max-age=300"},
    )


@lru_cache(maxsize=1)
def _encoded(routes: tuple[Route, ...]) -> bytes:
    return msgspec.json.encode(document(routes))
