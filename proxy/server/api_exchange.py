"""The exchange of an identity token for one of ours, and its end (RFC 8693, RFC 7009)."""

from aiohttp import web

from proxy.server.appkeys import CALLER, EXCHANGE
from proxy.server.replies import json_reply
from proxy.server.requests import read_query, refuse_parameters
from proxy.server.shapes import ExchangeParameters, GivenToken


async def exchange_token(request: web.Request) -> web.Response:
    """Give a token for the identity token that the request was sent with; the body is not read."""
    wish = read_query(request.query, ExchangeParameters)
    given = await request.app[EXCHANGE].exchange(request[CALLER], wish.expires_in)
    return json_reply(GivenToken(access_token=given.text, expires_in=given.seconds), given.index)


async def end_token(request: web.Request) -> web.Response:
    """Take the token out of force that the request was sent with."""
    refuse_parameters(request)
    done = await request.app[EXCHANGE].end(request[CALLER])
    return json_reply({}, done.index)
