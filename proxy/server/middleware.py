"""What every request passes: its ID, who is asking, and how a failure becomes an answer."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import islice
from typing import Final

from aiohttp import hdrs, web

from proxy.access import ANONYMOUS, Caller, Principal, parse_workspace, printable
from proxy.auth.authenticator import Authenticator
from proxy.auth.failures import FailureLog
from proxy.auth.presented import KnownButRefusedError, Presented
from proxy.client_text import client_path, client_text
from proxy.contracts import Store
from proxy.errors import (
    ForbiddenError,
    HaltedError,
    InvalidInputError,
    TfauditError,
    UnauthenticatedError,
    UnavailableError,
)
from proxy.gate import record_misdirected
from proxy.logs import Logger
from proxy.refusals import (
    ForeignRequestError,
    LockRefusedError,
    TooManyTriesError,
    UnlockRefusedError,
)
from proxy.server import health
from proxy.server.api_whoami import whoami
from proxy.server.appkeys import CALLER
from proxy.server.client_certificates import ClientCertificates
from proxy.server.connections import SERVER_NAME
from proxy.server.cookies import CSRF_HEADER, SESSION, cookie_of, is_change, is_foreign
from proxy.server.metrics import Metrics
from proxy.server.peers import is_among
from proxy.server.problems import is_api, kind_of, problem, with_index
from proxy.server.targets import path_of
from proxy.statuses import status_of
from proxy.tokens import PREFIX

RETRY_SECONDS: Final = "10"
"""Sent as Retry-After: gives Terraform 1.1 and later two more tries over 20 seconds, not 3."""

_MAX_PATH: Final = 512
_MAX_HOPS: Final = 16
"""Proxies on the way from a client that are believed and kept."""
_MAX_HOP: Final = 100
"""Characters of one of them."""
_TRACEBACKS: Final = 10
"""In our own log in a minute, of bugs that strangers meet: they decide how often."""
_STATE: Final = "/state/"
_WITH_PORT: Final = re.compile(r"\[(?P<v6>[^\]]+)\](?::[0-9]{1,5})?|(?P<v4>[^:]+):[0-9]{1,5}")
_log = Logger("tfaudit.server")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Traffic:
    """What is under way, for a stop in order.

    Attributes:
        running: requests being handled.
        is_stopping: new requests are refused.
    """

    __slots__ = ("_idle", "is_stopping", "running")

    def __init__(self) -> None:
        self.running = 0
        self.is_stopping = False
        self._idle = asyncio.Event()

    def leave(self) -> None:
        """Count a request that was answered."""
        self.running -= 1
        if self.is_stopping and not self.running:
            self._idle.set()

    async def drain(self) -> None:
        """Refuse what is new and wait until all that runs is answered."""
        self.is_stopping = True
        if self.running:
            await self._idle.wait()


class _Few:
    """Lets so many of something pass in a minute.

    Args:
        most: that pass.
    """

    __slots__ = ("_ends", "_left", "_most")

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._ends = 0.0

    def take(self) -> bool:
        """Tell whether one more may pass."""
        now = time.monotonic()
        if now >= self._ends:
            self._ends, self._left = now + 60, self._most
        self._left -= 1
        return self._left >= 0


class Gatekeeper:
    """The one middleware.

    Args:
        store: for the record of what was refused here.
        authenticator: credentials to principal.
        failures: records those that failed.
        metrics: counts requests.
        traffic: shared with whoever stops the server.
        open_handlers: those that anybody may call.
        entrances: those of them to which somebody comes to log in.
        public: those that anybody may call, too, and that record by themselves that somebody did.
        trusted_proxies: networks whose X-Forwarded-For is believed.
        request_ids: an ID for each request, unique among servers and restarts.
        certificates: finds the client certificate behind a request; None believes none.
    """

    def __init__(  # noqa: PLR0913 - what one request needs, looked up once
        self,
        store: Store,
        authenticator: Authenticator,
        failures: FailureLog,
        metrics: Metrics,
        traffic: Traffic,
        *,
        open_handlers: frozenset[_Handler],
        entrances: frozenset[_Handler] = frozenset(),
        public: frozenset[_Handler] = frozenset(),
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...],
        request_ids: Iterator[str],
        certificates: ClientCertificates | None = None,
    ) -> None:
        self._store = store
        self._identify = authenticator.identify
        self._failures = failures
        self._metrics = metrics
        self._traffic = traffic
        self._open = open_handlers
        self._entrances = entrances
        self._public = public
        self._trusted = trusted_proxies
        self._ids = request_ids
        self._certificates = certificates
        self._tracebacks = _Few(_TRACEBACKS)

    @web.middleware
    async def handle(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer one request; whatever is raised below ends here."""
        request_id = next(self._ids)
        self._traffic.running += 1
        route = getattr(request.match_info.handler, "__name__", "none")
        reason = ""
        try:
            response = await self._serve(request, handler, request_id)
        except web.HTTPException as error:
            response = _routing_failure(request, error)
        except TfauditError as error:
            response = _failure(request, error)
            # Why it was halted stands in the log, once.
            is_halted = isinstance(error, HaltedError)
            reason = "the log is not signed on" if is_halted else str(error)
        except Exception as error:  # noqa: BLE001 - whatever a bug raises is answered, and told in the log
            self._tell_bug("internal error", request, request_id=request_id, route=route)
            response = _failure(request, error)
            with_index(response, await self._record_bug(request, request_id))
        finally:
            self._traffic.leave()
        if not response.prepared:
            response.headers["Request-Id"] = request_id
            response.headers[hdrs.SERVER] = SERVER_NAME
            if response.status >= 500:
                response.headers[hdrs.RETRY_AFTER] = RETRY_SECONDS
        if response.status >= 500:
            _log.warning(
                "failed",
                request_id=request_id,
                route=route,
                status=response.status,
                reason=printable(reason or response.reason),
            )
        self._metrics.on_request(
            route,
            request.method,
            response.status,
            received=request.content.total_bytes,
            sent=response.content_length or 0,
        )
        return response

    async def _serve(
        self, request: web.Request, handler: _Handler, request_id: str
    ) -> web.StreamResponse:
        asked = request.match_info.handler
        if self._traffic.is_stopping and asked is not health.healthz:
            raise UnavailableError("the server is stopping: try again in a moment")
        if asked in self._open:
            if asked in self._entrances:
                return await self._admit(request, handler, request_id)
            return await handler(request)
        if asked in self._public:
            request[CALLER] = self._caller(request, request_id, ANONYMOUS)
            return await handler(request)
        caller = request[CALLER] = await self._authenticate(request, request_id)
        try:
            response = await handler(request)
            if caller.principal.session and not response.prepared:
                # What a browser was sent stays in no cache of its own.
                response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
            return response  # noqa: TRY300 - what is raised is raised above
        except UnauthenticatedError as error:
            # Out of the transaction: the token was revoked while the request was under way.
            error.audit_index = await self._failures.record(caller, str(error))
            raise
        except InvalidInputError as error:
            if error.audit_index is None:
                error.audit_index = await self._record(caller, str(error), status_of(error))
            raise
        except web.HTTPException as error:
            detail = _why(request, error)
            index = await self._record(caller, detail, _routed_status(request, error))
            return with_index(_routing_failure(request, error), index)

    async def _admit(
        self, request: web.Request, handler: _Handler, request_id: str
    ) -> web.StreamResponse:
        """Let somebody log in, who is nobody until then; what is no login at all is on record."""
        caller = request[CALLER] = self._caller(request, request_id, ANONYMOUS)
        try:
            return await handler(request)
        except (InvalidInputError, ForeignRequestError) as error:
            # What it says of the body stays away from the record: a password is in there.
            message = "what was sent is no login"
            if isinstance(error, ForeignRequestError):
                message = str(error)
            error.audit_index = await self._failures.record(
                caller, message, status=status_of(error)
            )
            raise

    async def _record_bug(self, request: web.Request, request_id: str) -> int | None:
        """Record that a request of somebody known failed, if that can still be done."""
        caller = request.get(CALLER)
        if caller is None:
            return None
        try:
            return await self._record(caller, "internal error: see the server's log", 500)
        except Exception:  # noqa: BLE001 - the bug may be the record's own
            self._tell_bug("the internal error is not on record", request, request_id=request_id)
            return None

    def _tell_bug(self, what: str, request: web.Request, **about: str) -> None:
        """Write the traceback of a bug into our own log; few of those that strangers meet."""
        caller = request.get(CALLER)
        is_stranger = caller is None or caller.principal.rights.is_nothing
        if is_stranger and not self._tracebacks.take():
            _log.error(what, traceback="left out: there were enough this minute", **about)
        else:
            _log.exception(what, **about)

    async def _record(self, caller: Caller, message: str, status: int) -> int | None:
        """Record what could not be served; counted in a flood of whom nothing is granted to.

        Anybody can be nobody, and a public issuer vouches for anybody: they can't fill the disk.
        """
        message = message.strip()
        if caller.principal.rights.is_nothing:
            return await self._failures.record(
                caller, message, "access.denied", outcome="error", status=status
            )
        return await record_misdirected(self._store, caller, message, status)

    async def _authenticate(self, request: web.Request, request_id: str) -> Caller:
        """Return who is asking; before anything of the body is read.

        Raises:
            UnauthenticatedError: on record, or counted.
        """
        try:
            principal = await self._identify(self._presented(request))
        except UnauthenticatedError as error:
            known, event = ANONYMOUS, "auth.failed"
            if isinstance(error, KnownButRefusedError):
                known, event = error.principal, error.event
            elif isinstance(error, ForeignRequestError) and error.principal is not None:
                known = error.principal
            caller = self._caller(request, request_id, known)
            error.audit_index = await self._failures.record(
                caller, str(error), event, status=status_of(error)
            )
            raise
        caller = self._caller(request, request_id, principal)
        if principal.kind == "oidc" and principal.rights.is_nothing:
            await self._refuse_stranger(request, caller)
        return caller

    async def _refuse_stranger(self, request: web.Request, caller: Caller) -> None:
        """Refuse an identity that nothing is granted to whatever it asks for but who it is.

        A public issuer vouches for anybody in the world: so what these ask for is on record like
        failed logins, each at first and counted in a flood, and they can't fill the disk.

        Raises:
            ForbiddenError: on record, or counted.
        """
        if request.match_info.handler is whoami:
            return
        error = ForbiddenError(
            f"{caller.principal.name} may do nothing here: nothing is granted to it; ask an "
            "administrator for a grant whose rule its claims meet"
        )
        error.audit_index = await self._failures.record(
            caller, str(error), "access.denied", status=status_of(error)
        )
        raise error

    def _presented(self, request: web.Request) -> Presented:
        """Return what proves who is asking; several Authorization headers become one, that is none.

        A cookie counts where there is no such header, so that a token decides over it, and a
        certificate where there is no cookie.
        """
        given = request.headers.getall(hdrs.AUTHORIZATION, ())
        if given:
            return Presented(
                authorization=", ".join(given),
                is_change=is_change(request),
                is_foreign=is_foreign(request),
            )
        session = cookie_of(request, SESSION, self._trusted)
        found = None
        if session is None and self._certificates is not None:
            found = self._certificates.of(request)
        return Presented(
            session=session,
            csrf=request.headers.get(CSRF_HEADER),
            is_change=is_change(request),
            is_foreign=is_foreign(request),
            certificate=() if found is None else found.names,
            certificate_sha256="" if found is None else found.sha256,
        )

    def _caller(self, request: web.Request, request_id: str, principal: Principal) -> Caller:
        ip, forwarded_for = self._source(request)
        path = path_of(request)
        return Caller(
            principal=principal,
            ip=ip,
            request_id=request_id,
            via="api" if path.startswith("/api/") else "terraform",
            method=request.method,
            path=(printable if _is_plain(path) else client_path)(path, _MAX_PATH),
            user_agent=client_text(request.headers.get(hdrs.USER_AGENT, "")),
            forwarded_for=forwarded_for,
        )

    def _source(self, request: web.Request) -> tuple[str, tuple[str, ...]]:
        """Return the client's address, and what trusted proxies said on the way.

        X-Forwarded-For is read from the right, as each proxy appends the peer it saw; the first
        address that is not a trusted proxy's is the client's. Whatever stands left of it was
        written by the client and is not believed, and nothing left of what is no address is, nor
        what is further away than _MAX_HOPS: an entry has no room for any number of them.
        """
        peer = request.remote or ""
        if not self._trusted or hdrs.X_FORWARDED_FOR not in request.headers:
            return peer, ()
        values = reversed(request.headers.getall(hdrs.X_FORWARDED_FOR))
        hops = (hop for value in values for hop in reversed(value.rsplit(",", _MAX_HOPS)))
        believed: list[str] = []
        for hop in islice(hops, _MAX_HOPS):
            address = _address(hop) if is_among(peer, self._trusted) else None
            if address is None:
                break
            peer = address
            believed.append(peer)
        return peer, tuple(reversed(believed))


def _is_plain(path: str) -> bool:
    """Tell whether the path is a workspace's name and no more: it stands in the entry anyway."""
    if not path.startswith(_STATE):
        return False
    name = path.removeprefix(_STATE)
    try:
        parse_workspace(name.removesuffix("/lock").removesuffix("/unlock"))
    except InvalidInputError:
        return False
    return PREFIX not in path


def _address(element: str) -> str | None:
    """Return the IP address of one element of X-Forwarded-For, without a port; None for others.

    A zone (RFC 4007 section 11) may be of any length and any characters: those of people fit.
    """
    if len(element) > _MAX_HOP or not element.isascii():
        return None
    found = _WITH_PORT.fullmatch(element.strip())
    try:
        return str(ip_address(found["v6"] or found["v4"] if found else element.strip()))
    except ValueError:
        return None


def _routing_failure(request: web.Request, error: web.HTTPException) -> web.Response:
    """Answer what the router could not place."""
    status, detail = _routed_status(request, error), _why(request, error)
    if is_api(request):
        kind = {404: "no-such-address", 405: "no-such-method"}.get(status, "malformed-request")
        response = problem(kind, status, detail)
    else:
        response = web.Response(status=status, text=f"{detail}\n")
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
    return response


def _routed_status(request: web.Request, error: web.HTTPException) -> int:
    """Return the status for what the router could not place.

    404 under ``/api/`` alone: to Terraform that says "there is no state", and it would create
    everything anew.
    """
    is_unknown = isinstance(error, web.HTTPNotFound) and not is_api(request)
    return 400 if is_unknown else error.status


def _why(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{error.method} is not possible here"
    if not isinstance(error, web.HTTPNotFound):
        return error.reason
    if is_api(request):
        return "there is nothing at this address: /api/v1/openapi.json lists all that there are"
    return "there is nothing at this address: a state is at /state/<workspace>"


def _failure(request: web.Request, error: Exception) -> web.Response:
    """Turn a failure into its answer: status, text, and the entry that records it."""
    status = status_of(error)
    text = "internal error: it is in the server's log" if status == 500 else str(error)
    if isinstance(error, LockRefusedError | UnlockRefusedError):
        response = web.Response(status=status, body=error.info, content_type="application/json")
    elif is_api(request):
        response = problem(kind_of(error), status, text, error)
    else:
        response = web.Response(status=status, text=text + "\n")
    if status == 401:
        # To Basic a browser answers with a dialogue of its own, over any page of ours.
        is_page = "Sec-Fetch-Site" in request.headers
        challenge = (
            'Bearer realm="tfaudit"' if is_page else 'Basic realm="tfaudit", charset="UTF-8"'
        )
        response.headers[hdrs.WWW_AUTHENTICATE] = challenge
    if isinstance(error, TooManyTriesError):
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    if isinstance(error, TfauditError):
        with_index(response, error.audit_index)
    return response
