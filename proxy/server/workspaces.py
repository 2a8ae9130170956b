"""What is particular about workspaces in the API: all are listed, and a deletion can be undone."""

from typing import Final

from aiohttp import web
from msgspec import Struct

from proxy.access import Permission, parse_workspace
from proxy.client_text import client_text
from proxy.directory import Object, shown
from proxy.errors import InvalidInputError
from proxy.server.api_objects import object_routes
from proxy.server.appkeys import CALLER, WORKSPACES
from proxy.server.operations import Operation, Route
from proxy.server.replies import PageParameters, json_reply, list_reply, page_of
from proxy.server.requests import read_query, refuse_parameters
from proxy.server.shapes import SHOWN

_NAME: Final = "{name:.+}"
_ONE: Final = f"/api/v1/workspaces/{_NAME}"


class PurgeParameters(Struct, frozen=True):
    """When states may be destroyed.

    Attributes:
        now: even though the workspace could still be restored; for administrators.
    """

    now: bool = False


async def list_workspaces(request: web.Request) -> web.Response:
    """List all workspaces; those whose settings were never set have the defaults, and no ID."""
    parameters = read_query(request.query, PageParameters)
    found = await request.app[WORKSPACES].list(request[CALLER])
    page, following = page_of(found, _key, parameters)
    return list_reply([shown(each) for each in page], following)


async def show_workspace(request: web.Request) -> web.Response:
    """Show one workspace with its settings."""
    refuse_parameters(request)
    found = await request.app[WORKSPACES].show(request[CALLER], request.match_info["name"])
    return json_reply(shown(found))


async def delete_workspace(request: web.Request) -> web.Response:
    """Delete a workspace, for some time so that it can be restored."""
    refuse_parameters(request)
    done = await request.app[WORKSPACES].delete(request[CALLER], _name(request))
    return json_reply(shown(done.value), done.index)


async def restore_workspace(request: web.Request) -> web.Response:
    """Bring a deleted workspace back."""
    refuse_parameters(request)
    done = await request.app[WORKSPACES].restore(request[CALLER], _name(request))
    return json_reply(shown(done.value), done.index)


async def purge_workspace(request: web.Request) -> web.Response:
    """Destroy the states of a deleted workspace."""
    parameters = read_query(request.query, PurgeParameters)
    done = await request.app[WORKSPACES].purge(
        request[CALLER], _name(request), at_once=parameters.now
    )
    return json_reply(shown(done.value), done.index)


def _name(request: web.Request) -> str:
    """Return the workspace that the path names; it stands in the entry as it is.

    Raises:
        InvalidInputError: it is no workspace's name, or looks like a credential.
    """
    name = parse_workspace(request.match_info["name"])
    if client_text(name) != name:
        raise InvalidInputError("the workspace in the address looks like a credential")
    return name


def _key(each: Object) -> str:
    return each.name


def workspace_routes() -> tuple[Route, ...]:
    """Return the routes of workspaces: those of any object, and what only they have."""
    own = {"list_workspaces": list_workspaces, "show_workspace": show_workspace}
    return (
        *(
            route._replace(handler=own.get(route.handler.__name__, route.handler))
            for route in object_routes("workspace", name=_NAME, deletes=False)
        ),
        Route(
            "DELETE",
            _ONE,
            delete_workspace,
            Operation(
                "deleteWorkspace",
                "Delete a workspace; it can be restored for some time.",
                Permission.DELETE,
                reply=SHOWN["workspace"],
                refusals=(404, 409, 423),
                description="Nothing of it is given out or taken in any more. When the time is "
                "over, its states are destroyed for good.",
            ),
        ),
        Route(
            "POST",
            f"{_ONE}/restore",
            restore_workspace,
            Operation(
                "restoreWorkspace",
                "Bring a deleted workspace back as it was.",
                Permission.DELETE,
                reply=SHOWN["workspace"],
                refusals=(404, 409),
            ),
        ),
        Route(
            "POST",
            f"{_ONE}/purge",
            purge_workspace,
            Operation(
                "purgeWorkspace",
                "Destroy the states of a deleted workspace for good.",
                Permission.DELETE,
                reply=SHOWN["workspace"],
                query=PurgeParameters,
                refusals=(404, 409),
                description="`now=true` does it before the time is over in which it could be "
                "restored, and needs the permission `administer`.",
            ),
        ),
    )
