"""Who is asking, told to whoever asks."""

from aiohttp import web
from msgspec import Struct

from proxy.server.api_login import csrf_of
from proxy.server.appkeys import CALLER
from proxy.server.replies import json_reply
from proxy.server.requests import read_query
from proxy.whoami import who_am_i


class WhoAmIParameters(Struct, frozen=True):
    """What else to say.

    Attributes:
        workspace: on which to say what is allowed, and why.
    """

    workspace: str | None = None


async def whoami(request: web.Request) -> web.Response:
    """Answer with who is asking, what was granted to them, and what is allowed on a workspace."""
    asked = read_query(request.query, WhoAmIParameters)
    return json_reply(who_am_i(request[CALLER].principal, asked.workspace, csrf_of(request) or ""))
