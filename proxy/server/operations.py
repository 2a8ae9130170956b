"""What a route is: method, path and handler, and for the API what its document says of it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from aiohttp import web
from msgspec import Struct

from proxy.access import Permission

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"


class Operation(NamedTuple):
    """What the OpenAPI document says of a route under ``/api/v1/``.

    Attributes:
        id: unique, in camelCase: clients that are generated name their functions so.
        summary: one sentence.
        permission: what is wanted, everywhere; None wants only to know who asks.
        body: type of the body; None takes none.
        reply: type of the answer's body; None has none.
        query: the parameters, as the fields of a Struct; None takes none.
        status: of a success.
        refusals: statuses that are possible, beside those that any request can get.
        media: the type of a successful answer's body.
        description: more than the summary says; empty when there is no more to say.
    """

    id: str
    summary: str
    permission: Permission | None = None
    body: Any = None
    reply: Any = None
    query: type[Struct] | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    media: str = JSON
    description: str = ""


class Route(NamedTuple):
    """One method and path, and what answers it.

    Attributes:
        method: of HTTP.
        path: in aiohttp's notation; ``{name:.+}`` takes slashes.
        handler: answers.
        operation: must be there for each path under ``/api/v1/``.
        is_open: no credentials are asked for: it tells nothing of a state or a workspace.
        is_public: no credentials are asked for when the configuration makes the log public.
        is_entrance: it asks for them itself, and is on record as asked by nobody known.
    """

    method: str
    path: str
    handler: Handler
    operation: Operation | None = None
    is_open: bool = False
    is_entrance: bool = False
    is_public: bool = False
