"""Every method and path, and what answers it, on one screen."""

from typing import Any, Final

from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from proxy.access import Permission
from proxy.server import (
    api_exchange,
    api_log,
    api_openapi,
    api_proof,
    api_tokens,
    api_whoami,
    backend,
    health,
    shapes,
)
from proxy.server.api_login import LOGIN_ROUTES
from proxy.server.api_objects import object_routes
from proxy.server.api_sinks import sink_routes
from proxy.server.appkeys import ROUTES as ROUTES_KEY
from proxy.server.bodies import defer_continue
from proxy.server.operations import Operation, Route
from proxy.server.replies import PageParameters
from proxy.server.workspaces import workspace_routes
from proxy.whoami import WhoAmI

_STATE: Final = "/state/{workspace:.+}"
_LOCK: Final = "/state/{workspace:.+}/{ending:lock}"
_UNLOCK: Final = "/state/{workspace:.+}/{ending:unlock}"

ROUTES: Final[tuple[Route, ...]] = (
    # Terraform's default dialect
    Route("GET", _STATE, backend.read),
    Route("POST", _STATE, backend.write),
    Route("PUT", _STATE, backend.write),
    Route("LOCK", _STATE, backend.lock),
    Route("UNLOCK", _STATE, backend.unlock),
    Route("DELETE", _STATE, backend.delete),
    # GitLab's dialect, and the one of POST alone for networks that block other methods
    Route("POST", _LOCK, backend.lock),
    Route("PUT", _LOCK, backend.lock),
    Route("LOCK", _LOCK, backend.lock),
    Route("DELETE", _LOCK, backend.unlock),
    Route("UNLOCK", _LOCK, backend.unlock),
    Route("POST", _UNLOCK, backend.unlock),
    Route("PUT", _UNLOCK, backend.unlock),
    Route("DELETE", _UNLOCK, backend.unlock),
    Route("UNLOCK", _UNLOCK, backend.unlock),
    # Administration
    *object_routes("principal"),
    *object_routes("grant"),
    *object_routes("issuer"),
    *sink_routes(),
    *workspace_routes(),
    Route(
        "GET",
        "/api/v1/tokens",
        api_tokens.list_tokens,
        Operation(
            "listTokens",
            "List the tokens, oldest first, revoked and expired ones too.",
            Permission.ADMINISTER,
            reply=shapes.TokenList,
            query=PageParameters,
        ),
    ),
    Route(
        "POST",
        "/api/v1/tokens",
        api_tokens.create_token,
        Operation(
            "createToken",
            "Make a token; it is shown only now.",
            Permission.ADMINISTER,
            body=shapes.TokenCreation,
            reply=shapes.NewToken,
            status=201,
            refusals=(404, 409),
        ),
    ),
    Route(
        "GET",
        "/api/v1/tokens/{ref}",
        api_tokens.show_token,
        Operation(
            "showToken",
            "Show a token by its ID, or by its name while it is in force; never its text.",
            Permission.ADMINISTER,
            reply=shapes.Token,
            refusals=(404,),
        ),
    ),
    Route(
        "POST",
        "/api/v1/tokens/{ref}/rotate",
        api_tokens.rotate_token,
        Operation(
            "rotateToken",
            "Make a token that takes another one's name and rights; it is shown only now.",
            Permission.ADMINISTER,
            body=shapes.TokenRotation,
            reply=shapes.NewToken,
            status=201,
            refusals=(404, 409),
        ),
    ),
    Route(
        "DELETE",
        "/api/v1/tokens/{ref}",
        api_tokens.revoke_token,
        Operation(
            "revokeToken",
            "Take a token out of force, at once and for good.",
            Permission.ADMINISTER,
            reply=shapes.Token,
            refusals=(404,),
        ),
    ),
    # For runs of a CI system
    Route(
        "POST",
        "/api/v1/token",
        api_exchange.exchange_token,
        Operation(
            "exchangeToken",
            "Exchange an identity token for a token that lives as long as a run.",
            reply=shapes.GivenToken,
            query=shapes.ExchangeParameters,
            refusals=(403,),
            description="The identity token of a CI system is sent as the Bearer token. What is "
            "given for it is the same identity, for as long as the issuer's record allows.",
        ),
    ),
    Route(
        "DELETE",
        "/api/v1/token",
        api_exchange.end_token,
        Operation(
            "endToken",
            "Take the token that this is sent with, which was given in exchange, out of force.",
            reply=dict[str, Any],
        ),
    ),
    Route(
        "GET",
        "/api/v1/log",
        api_log.read_log,
        Operation(
            "readLog",
            "Read the log: one JSON object a line.",
            Permission.LOG_READ,
            query=api_log.LogParameters,
            media=api_log.NDJSON,
            description="A line is `{index, entry, leaf_hash, signature}`. Each reading is an "
            "entry of the log itself. If the connection breaks, lines are missing. Where older "
            "entries were archived and pruned, the header `Log-Pruned-Until` says below which "
            "index.",
        ),
    ),
    Route(
        "GET",
        "/api/v1/entries/{index}/proof",
        api_proof.prove_entry,
        Operation(
            "proveEntry",
            "Give an entry's receipt, which proves it to be in the log.",
            Permission.LOG_READ,
            media=api_proof.TEXT,
            refusals=(404, 410),
            description="A text (C2SP tlog-proof) that anybody can check with the log's public "
            "checkpoint key alone. The entry's bytes are its `extra` line, in base64. 410 says "
            "where an entry is that was archived and pruned.",
        ),
    ),
    Route(
        "GET",
        "/api/v1/proofs/consistency",
        api_proof.prove_growth,
        Operation(
            "proveGrowth",
            "Prove that the log only grew between two sizes.",
            Permission.LOG_READ,
            reply=api_proof.Growth,
            query=api_proof.GrowthParameters,
            refusals=(404,),
        ),
    ),
    Route(
        "GET",
        "/tile/{path:.+}",
        api_proof.tile,
        Operation(
            "readTile",
            "Read a tile of the log's tree, or an entry bundle (C2SP tlog-tiles).",
            Permission.LOG_READ,
            media=api_proof.BYTES,
            refusals=(404, 410),
        ),
        is_public=True,
    ),
    # For whoever is known
    Route(
        "GET",
        "/api/v1/whoami",
        api_whoami.whoami,
        Operation(
            "whoAmI",
            "Tell who is asking, what was granted to them, and what is allowed on a workspace.",
            reply=WhoAmI,
            query=api_whoami.WhoAmIParameters,
        ),
    ),
    # People
    *LOGIN_ROUTES,
    # For anybody
    Route(
        "GET",
        "/api/v1/openapi.json",
        api_openapi.openapi,
        Operation("showDescription", "Show this document.", reply=dict[str, Any]),
        is_open=True,
    ),
    Route("GET", "/checkpoint", health.checkpoint, is_open=True),
    Route("GET", "/checkpoint/cosigned", health.cosigned_checkpoint, is_open=True),
    # The same as an export of tiles has it, where a file can't be a directory, too.
    Route("GET", "/checkpoint.cosigned", health.cosigned_checkpoint, is_open=True),
    Route("GET", "/healthz", health.healthz, is_open=True),
    Route("GET", "/readyz", health.readyz, is_open=True),
    Route("GET", "/metrics", health.metrics, is_open=True),
)

OPEN: Final = frozenset(route.handler for route in ROUTES if route.is_open)
"""Handlers that ask for no credentials: none of them tells anything of a state or a workspace."""

PUBLIC: Final = frozenset(route.handler for route in ROUTES if route.is_public)
"""Handlers that ask for no credentials when the configuration makes the log public."""

ENTRANCES: Final = frozenset(route.handler for route in ROUTES if route.is_entrance)
"""Handlers to which whoever asks comes to prove who they are."""


def add_routes(app: web.Application) -> dict[str, AbstractRoute]:
    """Register every route; the first match wins.

    Reads of a state come first, as most requests are that, then the longer paths.

    Returns:
        the routes of a state's own address, by method.
    """
    found: dict[str, AbstractRoute] = {}
    for route in sorted(ROUTES, key=_rank):
        added = app.router.add_route(
            route.method, route.path, route.handler, expect_handler=defer_continue
        )
        if route.path == _STATE:
            found[route.method] = added
    app[ROUTES_KEY] = ROUTES
    return found


def _rank(route: Route) -> tuple[bool, int]:
    return (route.method, route.path) != ("GET", _STATE), -len(route.path)
