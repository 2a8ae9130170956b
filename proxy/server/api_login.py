"""People as JSON: log in and out, sessions, passwords."""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from proxy.access import Permission
from proxy.auth.sessions import csrf_token
from proxy.contracts import StoredSession
from proxy.passwords import LONGEST, SHORTEST
from proxy.refusals import ForeignRequestError
from proxy.server.appkeys import CALLER, CONFIG, LOGINS, PEOPLE
from proxy.server.cookies import DEVICE, SESSION, Network, cookie_of, is_foreign, set_cookies
from proxy.server.operations import Operation, Route
from proxy.server.replies import PageParameters, json_reply, page_of
from proxy.server.requests import read_json, read_query, refuse_parameters
from proxy.server.shapes import Id, Time

_Name = Annotated[str, Meta(min_length=1, max_length=100)]
_Given = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
_Csrf = Annotated[
    str | None, Meta(description="Of the session that asks, for `X-CSRF-Token`; null without one.")
]


class _Secret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body with a password in it, which no log shows."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"


class Credentials(_Secret, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who logs in.

    Attributes:
        name: of a principal that is a person.
        password: as it was typed.
    """

    name: _Name
    password: _Given


class PasswordChange(_Secret, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One's own new password.

    Attributes:
        old: the one that it takes the place of.
        new: at least 12 characters of any kind, and at most 256.
    """

    old: _Given
    new: Annotated[str, Meta(min_length=SHORTEST, max_length=LONGEST)]


class NewPassword(_Secret, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody's new password.

    Attributes:
        password: at least 12 characters of any kind, and at most 256.
    """

    password: Annotated[str, Meta(min_length=SHORTEST, max_length=LONGEST)]


class Session(Struct, frozen=True, kw_only=True):
    """A session of a person who logged in.

    Attributes:
        id: of the session; what its cookie holds is shown nowhere.
        principal: ID of whose it is.
        created: when the person logged in.
        seen: its newest use that left an entry, to the minute.
        seen_from: the address of that use.
        expires: when it ends at the latest.
        current: whether it is the one that asks.
    """

    id: Id
    principal: str
    created: Time
    seen: Time
    seen_from: str
    expires: Time
    current: bool


class SessionList(Struct, frozen=True, kw_only=True):
    """A page of sessions, and what a page of ours sends beside the cookie."""

    items: list[Session]
    next: Annotated[
        str | None, Meta(description="The `cursor` of the next page; null: this is the last.")
    ]
    csrf_token: _Csrf


class LoggedInAs(Struct, frozen=True, kw_only=True):
    """A login that succeeded.

    Attributes:
        principal: ID of who logged in.
        name: of that principal.
        session: that began.
        csrf_token: to be sent as ``X-CSRF-Token`` with whatever may change something.
    """

    principal: str
    name: str
    session: Session
    csrf_token: str


class SessionParameters(PageParameters, frozen=True):
    """Whose sessions.

    Attributes:
        limit: at most so many items.
        cursor: where the page before ended: its ``next``.
        principal: name or ID; absent is whoever asks.
    """

    principal: _Name | None = None


async def login(request: web.Request) -> web.Response:
    """Begin a session; its secret goes into a cookie and nowhere else."""
    if is_foreign(request):
        # Else a page could log a person in as somebody else, who then reads what they do.
        raise ForeignRequestError("a page of another site may not log anybody in")
    refuse_parameters(request)
    given = await read_json(request, Credentials, "login")
    trusted = _trusted(request)
    done = await request.app[LOGINS].login(
        request[CALLER],
        given.name,
        given.password,
        cookie=cookie_of(request, SESSION, trusted),
        device=cookie_of(request, DEVICE, trusted),
    )
    content = LoggedInAs(
        principal=done.principal.id,
        name=done.principal.name,
        session=_shown(done.session, done.session.id),
        csrf_token=csrf_token(done.cookie),
    )
    response = json_reply(content, done.index)
    set_cookies(response, request, trusted, session=done.cookie, device=done.device)
    return response


async def logout(request: web.Request) -> web.Response:
    """End the session that the request's cookie is of."""
    refuse_parameters(request)
    done = await request.app[PEOPLE].logout(request[CALLER])
    response = _done(done.index)
    set_cookies(response, request, _trusted(request), session="")
    return response


async def list_sessions(request: web.Request) -> web.Response:
    """List sessions, oldest first: one's own, or a principal's for an administrator."""
    parameters = read_query(request.query, SessionParameters)
    caller = request[CALLER]
    found = await request.app[PEOPLE].sessions(caller, parameters.principal)
    page, following = page_of(sorted(found, key=_id), _id, parameters)
    shown = [_shown(session, caller.principal.session) for session in page]
    return json_reply(SessionList(items=shown, next=following, csrf_token=csrf_of(request)))


async def end_session(request: web.Request) -> web.Response:
    """End the session that the path names by ID."""
    refuse_parameters(request)
    done = await request.app[PEOPLE].end_session(request[CALLER], request.match_info["id"])
    return _done(done.index)


async def change_password(request: web.Request) -> web.Response:
    """Change one's own password; all other sessions of the person end."""
    refuse_parameters(request)
    given = await read_json(request, PasswordChange, "password")
    done = await request.app[LOGINS].change_password(request[CALLER], given.old, given.new)
    return _done(done.index)


async def set_password(request: web.Request) -> web.Response:
    """Give a person a password; all sessions of the person end."""
    refuse_parameters(request)
    given = await read_json(request, NewPassword, "password")
    name = request.match_info["name"]
    done = await request.app[PEOPLE].set_password(request[CALLER], name, given.password)
    return _done(done.index)


def csrf_of(request: web.Request) -> str | None:
    """Return the CSRF token of the session that the request is made in; None when in none."""
    if not request[CALLER].principal.session:
        return None
    cookie = cookie_of(request, SESSION, _trusted(request))
    return None if cookie is None else csrf_token(cookie)


def _trusted(request: web.Request) -> tuple[Network, ...]:
    return request.app[CONFIG].server.trusted_proxies


def _done(index: int | None) -> web.Response:
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    if index is not None:
        response.headers["Audit-Index"] = str(index)
    return response


def _shown(session: StoredSession, current: str) -> Session:
    return Session(
        id=session.id,
        principal=session.principal,
        created=session.created,
        seen=session.seen,
        seen_from=session.seen_from,
        expires=session.expires,
        current=session.id == current,
    )


def _id(session: StoredSession) -> str:
    """Return what sessions are sorted by: a UUIDv7, the oldest first."""
    return session.id


LOGIN_ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/login",
        login,
        Operation(
            "login",
            "Log in with name and password: a session begins, and its cookie is set.",
            body=Credentials,
            reply=LoggedInAs,
            refusals=(401, 403, 429),
            description="The answer to a wrong name is that to a wrong password. After some wrong "
            "ones tries are refused for a while (429), which `Retry-After` tells.",
        ),
        is_open=True,
        is_entrance=True,
    ),
    Route(
        "POST",
        "/api/v1/logout",
        logout,
        Operation(
            "logout",
            "End the session that asks.",
            status=204,
            refusals=(403,),
            description="Wants the session's cookie, with its `X-CSRF-Token`.",
        ),
    ),
    Route(
        "GET",
        "/api/v1/sessions",
        list_sessions,
        Operation(
            "listSessions",
            "List one's own sessions, or a principal's.",
            reply=SessionList,
            query=SessionParameters,
            refusals=(403, 404),
            description="Those of somebody else want `administer`.",
        ),
    ),
    Route(
        "DELETE",
        "/api/v1/sessions/{id}",
        end_session,
        Operation(
            "endSession",
            "End a session of one's own, or anybody's.",
            status=204,
            refusals=(403, 404),
            description="One of somebody else wants `administer`.",
        ),
    ),
    Route(
        "POST",
        "/api/v1/password",
        change_password,
        Operation(
            "changePassword",
            "Change one's own password; all other sessions of one's own end.",
            body=PasswordChange,
            status=204,
            refusals=(403, 429),
            description="Wants the session's cookie, with its `X-CSRF-Token`.",
        ),
    ),
    Route(
        "PUT",
        "/api/v1/principals/{name}/password",
        set_password,
        Operation(
            "setPassword",
            "Give a person a password; all sessions of the person end.",
            Permission.ADMINISTER,
            body=NewPassword,
            status=204,
            refusals=(404, 409),
        ),
    ),
)
"""What is there for people who log in."""
