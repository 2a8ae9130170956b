"""The typed names under which handlers find the services, and the caller on a request."""

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from proxy.access import Caller
from proxy.admin_service import AdminService
from proxy.anchors.keeping import Anchors
from proxy.auth.authenticator import Authenticator
from proxy.auth.failures import FailureLog
from proxy.auth.logins import Logins
from proxy.auth.people import People
from proxy.config import Config
from proxy.contracts import Store
from proxy.cosigned import CosignedCheckpoint
from proxy.directory_service import DirectoryService
from proxy.lock_service import LockService
from proxy.proof_service import ProofService
from proxy.server.metrics import Metrics
from proxy.server.operations import Route
from proxy.server.readiness import Readiness
from proxy.server.shortcut import Shortcut
from proxy.sink_service import SinkService
from proxy.state_service import StateService
from proxy.token_exchange import TokenExchange
from proxy.workspace_service import WorkspaceService

CONFIG: Final = web.AppKey("config", Config)
STORE: Final = web.AppKey("store", Store)
LOCKS: Final = web.AppKey("locks", LockService)
STATES: Final = web.AppKey("states", StateService)
WORKSPACES: Final = web.AppKey("workspaces", WorkspaceService)
PROOFS: Final = web.AppKey("proofs", ProofService)
COSIGNED: Final = web.AppKey("cosigned", CosignedCheckpoint)
ANCHORS: Final = web.AppKey("anchors", Anchors)
ADMIN: Final = web.AppKey("admin", AdminService)
EXCHANGE: Final = web.AppKey("exchange", TokenExchange)
SINKS: Final = web.AppKey("sinks", SinkService)
DIRECTORY: Final = web.AppKey("directory", DirectoryService)
AUTHENTICATOR: Final = web.AppKey("authenticator", Authenticator)
LOGINS: Final = web.AppKey("logins", Logins)
PEOPLE: Final = web.AppKey("people", People)
FAILURES: Final = web.AppKey("failures", FailureLog)
METRICS: Final = web.AppKey("metrics", Metrics)
REQUEST_IDS: Final[web.AppKey[Iterator[str]]] = web.AppKey("request_ids")
READINESS: Final = web.AppKey("readiness", Readiness)
ROUTES: Final[web.AppKey[tuple[Route, ...]]] = web.AppKey("routes")
SHORTCUT: Final = web.AppKey("shortcut", Shortcut)

CALLER: Final = web.RequestKey("caller", Caller)
"""Set on each request by the middleware: who is asking."""
