"""The short way for requests of a state's own address, which nearly all are.

aiohttp's router tries one pattern after another, then wraps what it found for each request anew.
Here the method decides, as the routes of such an address differ in nothing else; whatever is not
plainly such a request goes the router's way, and to the same handlers.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import AbstractRoute, UrlMappingMatchInfo

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_START: Final = "/state/"
_ENDINGS: Final = ("/lock", "/unlock")


class Shortcut:
    """Leads a request to its handler.

    Args:
        app: whose routes these are.
        routes: of a state's own address, by method.
        middleware: the application's only one.
    """

    def __init__(
        self,
        app: web.Application,
        routes: Mapping[str, AbstractRoute],
        middleware: Callable[[web.Request, Handler], Awaitable[web.StreamResponse]],
    ) -> None:
        self._middleware = middleware
        self._found: dict[str, UrlMappingMatchInfo] = {}
        for method, route in routes.items():
            # Shared by all requests: no handler changes it, or asks it for the workspace.
            found = self._found[method] = UrlMappingMatchInfo({}, route)
            found.add_app(app)
            found.freeze()

    async def handle(self, request: web.Request, otherwise: Handler) -> web.StreamResponse:
        """Answer a request.

        Args:
            request: any.
            otherwise: the router's way.
        """
        found = self._found.get(request.method)
        path = request.raw_path.partition("?")[0]
        if (
            found is None
            or not path.startswith(_START)
            or path == _START
            or path.endswith(_ENDINGS)
            or hdrs.EXPECT in request.headers
        ):
            return await otherwise(request)
        request._match_info = found  # noqa: SLF001 - as aiohttp's application and test tools do
        return await self._middleware(request, found.handler)
