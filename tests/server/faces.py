"""The HTTP face over a store in memory, for the tests of handlers."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient

from proxy import tokens
from proxy.access import Role
from proxy.admin_service import AdminService
from proxy.anchors.keeping import Anchors
from proxy.auth.authenticator import Authenticator
from proxy.auth.failures import FailureLog
from proxy.config import Config
from proxy.contracts import StoredToken
from proxy.cosigned import CosignedCheckpoint
from proxy.directory_service import DirectoryService
from proxy.last_checkpoint import LastCheckpoint
from proxy.proof_service import ProofService
from proxy.reading_log import ReadingLog
from proxy.server import appkeys
from proxy.server.connections import request_ids
from proxy.server.metrics import Metrics
from proxy.server.middleware import Gatekeeper, Traffic
from proxy.server.readiness import Readiness
from proxy.server.routes import OPEN, add_routes
from proxy.sink_service import SinkService
from proxy.tlog.note import NoteVerifier
from proxy.token_exchange import TokenExchange
from proxy.workspace_service import WorkspaceService
from tests.fakes import CHECKPOINT_KEY, ORIGIN, START, FakeSink, FakeStore

Client = TestClient[web.Request, web.Application]
Serve = Callable[[web.Application], Awaitable[Client]]

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def api_app(store: FakeStore) -> web.Application:
    """Return the application without the parts that handle states."""
    calls = iter(range(1, 1000))
    failures = FailureLog(store, window=3600, immediate=10, now=lambda: NOW)
    metrics = Metrics()
    gatekeeper = Gatekeeper(
        store,
        Authenticator(store, lambda: NOW),
        failures,
        metrics,
        Traffic(),
        open_handlers=OPEN,
        trusted_proxies=(),
        request_ids=request_ids("test"),
    )
    app = web.Application(middlewares=[gatekeeper.handle])
    app[appkeys.CONFIG] = Config()
    app[appkeys.STORE] = store
    app[appkeys.ADMIN] = AdminService(store, lambda: NOW, lambda n: bytes([next(calls)]) * n)
    readings = ReadingLog(store, window=3600, now=lambda: NOW)
    verifier = NoteVerifier(ORIGIN, CHECKPOINT_KEY.public_key())
    app[appkeys.COSIGNED] = CosignedCheckpoint(Path(), verifier, (), 0)
    app[appkeys.ANCHORS] = Anchors(
        (), store, LastCheckpoint(Path("checkpoint.last"), verifier).verified
    )
    app[appkeys.PROOFS] = ProofService(store, readings, verifier)
    app[appkeys.DIRECTORY] = DirectoryService(
        store, lambda: NOW, lambda n: bytes([next(calls)]) * n
    )
    app[appkeys.EXCHANGE] = TokenExchange(store, lambda: START, lambda n: bytes([next(calls)]) * n)
    app[appkeys.WORKSPACES] = WorkspaceService(
        store, lambda: NOW, lambda n: bytes([next(calls)]) * n, grace_days=30
    )
    app[appkeys.SINKS] = SinkService(store, FakeSink().make, ORIGIN, lambda: NOW, bytes)
    app[appkeys.METRICS] = metrics
    app[appkeys.READINESS] = Readiness(store, lambda: 0.0)
    add_routes(app)

    async def close(_: web.Application) -> None:
        await failures.aclose()
        await readings.aclose()

    app.on_cleanup.append(close)
    return app


async def token_of(store: FakeStore, role: Role, workspaces: tuple[str, ...] = ("*",)) -> str:
    """Store a token of this role and return the header that carries it."""
    text = tokens.mint(lambda size: role.value.ljust(size).encode())
    stored = StoredToken(
        id=f"id-{role}",
        name=role.value,
        role=role.value,
        workspaces=workspaces,
        hint=text[-6:],
        created="2026-11-22T10:00:00.000000Z",
        expires=None,
        revoked=None,
    )
    await store.write(lambda tx: tx.add_token(stored, tokens.digest(text)))
    return f"Bearer {text}"
