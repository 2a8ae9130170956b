"""Tokens as JSON: list, make, rotate, revoke."""

from dataclasses import asdict
from datetime import timedelta

from aiohttp import web

from proxy.admin_service import MintedToken
from proxy.contracts import StoredToken
from proxy.server.appkeys import ADMIN, CALLER
from proxy.server.replies import PageParameters, json_reply, list_reply, page_of
from proxy.server.requests import read_json, read_query, refuse_parameters
from proxy.server.shapes import TokenCreation, TokenRotation


async def create_token(request: web.Request) -> web.Response:
    """Make a token; the answer alone ever holds its text."""
    refuse_parameters(request)
    wish = await read_json(request, TokenCreation, "token")
    expires_in = None if wish.expires_in is None else timedelta(seconds=wish.expires_in)
    minted = await request.app[ADMIN].create_token(
        request[CALLER],
        wish.name,
        "" if wish.role is None else wish.role.value,
        wish.workspaces,
        expires_in,
        principal=wish.principal,
    )
    return _minted(minted)


async def rotate_token(request: web.Request) -> web.Response:
    """Make a successor of the token that the path names; the old one ends a little later."""
    refuse_parameters(request)
    wish = await read_json(request, TokenRotation, "rotation of a token")
    expires_in = None if wish.expires_in is None else timedelta(seconds=wish.expires_in)
    minted = await request.app[ADMIN].rotate_token(
        request[CALLER], request.match_info["ref"], timedelta(seconds=wish.overlap), expires_in
    )
    return _minted(minted)


async def list_tokens(request: web.Request) -> web.Response:
    """List all tokens, oldest first, those revoked and expired too."""
    parameters = read_query(request.query, PageParameters)
    found = await request.app[ADMIN].list_tokens(request[CALLER])
    page, following = page_of(sorted(found, key=_age), _age, parameters)
    return list_reply([_shown(token) for token in page], following)


async def show_token(request: web.Request) -> web.Response:
    """Show the token that the path names by ID, or by the name of one in force."""
    refuse_parameters(request)
    found = await request.app[ADMIN].show_token(request[CALLER], request.match_info["ref"])
    return json_reply(_shown(found))


async def revoke_token(request: web.Request) -> web.Response:
    """Take the token out of force that the path names by ID or name."""
    refuse_parameters(request)
    done = await request.app[ADMIN].revoke_token(request[CALLER], request.match_info["ref"])
    return json_reply(_shown(done.value), done.index)


def _shown(token: StoredToken) -> dict[str, object]:
    """Return what is shown of a token: all but what an issuer said of whoever has it."""
    return {name: value for name, value in asdict(token).items() if name != "identity"}


def _minted(minted: MintedToken) -> web.Response:
    content = {**_shown(minted.token), "token": minted.text}
    return json_reply(
        content, minted.index, status=201, location=f"/api/v1/tokens/{minted.token.id}"
    )


def _age(token: StoredToken) -> str:
    """Return what tokens are sorted by: the oldest first."""
    return f"{token.created} {token.id}"
