"""Principals, grants, issuers, sinks and workspaces as JSON: list, show, create, update, delete.

One set of handlers serves all kinds: they differ in nothing but the shape of their record.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aiohttp import web

from proxy.access import Permission
from proxy.directory import shown
from proxy.server.appkeys import CALLER, DIRECTORY
from proxy.server.operations import Handler, Operation, Route
from proxy.server.replies import PageParameters, json_reply, list_reply, page_of
from proxy.server.requests import read_members, read_query, refuse_parameters
from proxy.server.shapes import CHANGES, CREATIONS, LISTS, SHOWN

_SEGMENT: Final = "{name}"


def object_routes(kind: str, *, name: str = _SEGMENT, deletes: bool = True) -> tuple[Route, ...]:
    """Return the routes of one kind of object.

    Args:
        kind: a key of directory.RECORDS.
        name: how aiohttp finds the name in the path.
        deletes: whether a deletion is nothing more than that the object goes.
    """
    title = kind.capitalize()
    every = f"/api/v1/{kind}s"
    one = f"{every}/{name}"
    article = "an" if kind == "issuer" else "a"
    routes = (
        Route(
            "GET",
            every,
            _lister(kind),
            Operation(
                f"list{title}s",
                f"List the {kind}s, by name.",
                Permission.ADMINISTER,
                reply=LISTS[kind],
                query=PageParameters,
            ),
        ),
        Route(
            "POST",
            every,
            _creator(kind),
            Operation(
                f"create{title}",
                f"Make {article} {kind}.",
                Permission.ADMINISTER,
                body=CREATIONS[kind],
                reply=SHOWN[kind],
                status=201,
                refusals=(404, 409),
            ),
        ),
        Route(
            "GET",
            one,
            _shower(kind),
            Operation(
                f"show{title}",
                f"Show {article} {kind} by its name or ID.",
                Permission.ADMINISTER,
                reply=SHOWN[kind],
                refusals=(404,),
            ),
        ),
        Route(
            "PATCH",
            one,
            _updater(kind),
            Operation(
                f"update{title}",
                f"Change some fields of {article} {kind}; null puts a field back to its default.",
                Permission.ADMINISTER,
                body=CHANGES[kind],
                reply=SHOWN[kind],
                refusals=(404, 409),
                description="A JSON merge patch (RFC 7396). The name can't be changed. What "
                "changes nothing is no entry of the log, and answers without `Audit-Index`.",
            ),
        ),
        Route(
            "DELETE",
            one,
            _deleter(kind),
            Operation(
                f"delete{title}",
                f"Delete {article} {kind}; the answer shows it as it was.",
                Permission.ADMINISTER,
                reply=SHOWN[kind],
                refusals=(404, 409),
            ),
        ),
    )
    return routes if deletes else routes[:-1]


def _named(handler: Handler, name: str) -> Handler:
    """Return the handler under the name by which metrics and logs tell it from others."""
    handler.__name__ = handler.__qualname__ = name
    return handler


def _lister(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        parameters = read_query(request.query, PageParameters)
        found = await request.app[DIRECTORY].list(request[CALLER], kind)
        page, following = page_of(found, lambda each: each.name, parameters)
        return list_reply([shown(each) for each in page], following)

    return _named(handler, f"list_{kind}s")


def _creator(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        refuse_parameters(request)
        fields = await read_members(request, CREATIONS[kind], kind)
        done = await request.app[DIRECTORY].create(request[CALLER], kind, fields)
        place = f"/api/v1/{kind}s/{quote(done.value.name)}"
        return json_reply(shown(done.value), done.index, status=201, location=place)

    return _named(handler, f"create_{kind}")


def _shower(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        refuse_parameters(request)
        found = await request.app[DIRECTORY].show(request[CALLER], kind, _name(request.match_info))
        return json_reply(shown(found))

    return _named(handler, f"show_{kind}")


def _updater(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        refuse_parameters(request)
        changes = await read_members(request, CHANGES[kind], kind)
        done = await request.app[DIRECTORY].update(
            request[CALLER], kind, _name(request.match_info), changes
        )
        return json_reply(shown(done.value), done.index)

    return _named(handler, f"update_{kind}")


def _deleter(kind: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        refuse_parameters(request)
        done = await request.app[DIRECTORY].delete(request[CALLER], kind, _name(request.match_info))
        return json_reply(shown(done.value), done.index)

    return _named(handler, f"delete_{kind}")


def _name(found: Mapping[str, str]) -> str:
    return found["name"]
