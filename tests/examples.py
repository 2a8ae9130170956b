"""One entry of each event, as a server makes it: the examples of docs/events.md and of formats.

They hang together: a team's continuous integration changes prod/network, and people look after it.
A new event of the catalogue needs a line in `EXAMPLES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy import run_entries, runs, sink_entries, state_entries
from proxy.access import Caller, Principal
from proxy.audit_log import AuditLog, LogHead, draft
from proxy.contracts import (
    DeadLetter,
    Delivery,
    Draft,
    HeldLock,
    SinkReplay,
    StateVersion,
    StoredRecord,
    StoredToken,
)
from proxy.directory import (
    Object,
    changed_record,
    difference,
    document_of,
    read_record,
)
from proxy.outputs import Outputs
from proxy.refusals import LockRefusedError, SerialRegressionError
from proxy.retention import Retention
from proxy.retention_service import Pruned, pruned_entry
from proxy.runs import Addresses, Save
from proxy.timestamps import rfc3339, uuid7
from proxy.tlog.rotation import Rotation
from proxy.token_entries import token_part
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, START, FakeTransaction, _Contents

ORIGIN: Final = "tfaudit.example.com/log"
WORKSPACE: Final = "prod/network"
LINEAGE: Final = "b3da4ef1-7c57-4d0e-8c1a-6a1d4c2f7b10"
LOCK_ID: Final = "6f1c8a52-90d4-3f77-5b0c-1d2e3f405162"
_DAY: Final = 86_400_000_000
_RUN: Final = {
    "id": LOCK_ID,
    "operation": "OperationTypeApply",
    "who": "runner@fv-az1234",
    "terraform_version": "1.11.4",
    "who_differs_from_actor": True,
}


def _id(of: str) -> str:
    """Return an ID that is the same whenever it is made for the same thing."""
    digest = sha256(of.encode()).digest()
    return uuid7(START - _DAY - int.from_bytes(digest[:4], "big"), digest[8:16])


def _time(hours: float) -> str:
    return rfc3339(START + int(hours * _DAY / 24))


PIPELINE: Final = Principal(
    "oidc",
    "github:repo:example/network:environment:production",
    "example/network",
    issuer="github",
    claims={
        "repository": "example/network",
        "ref": "refs/heads/main",
        "run_id": "8123456789",
        "actor": "bob",
    },
)
ALICE: Final = Principal("user", _id("alice"), "alice", session=_id("session of alice"))
TOKEN: Final = Principal(
    "token", _id("token ci"), "ci", token_hint="0EjH1I", holder=_id("ci"), holder_name="ci"
)
NOBODY: Final = Principal("anonymous", "", "")
SERVER: Final = Principal("system", "server", "tfaudit")
ROOT: Final = Principal("system", "cli:root", "root")


def _terraform(method: str, path: str = f"/state/{WORKSPACE}") -> Caller:
    """Return a request of the pipeline, through a trusted proxy."""
    return Caller(
        PIPELINE,
        "198.51.100.7",
        "5d0c8b1f0a3e-17",
        "terraform",
        method,
        path,
        "HashiCorp Terraform/1.11.4 (+https://www.terraform.io)",
        ("198.51.100.7",),
    )


def _api(method: str, path: str, principal: Principal = ALICE) -> Caller:
    return Caller(
        principal, "203.0.113.20", "5d0c8b1f0a3e-42", "api", method, path, "tfaudit/0.1.0"
    )


def _cli(command: str) -> Caller:
    request_id = sha256(command.encode()).hexdigest()[:32]
    return Caller(ROOT, "", request_id, "cli", command, "", "tfaudit/0.1.0")


_ITSELF: Final = Caller(SERVER, "", "", "cli", "serve", "")


# ---------------------------------------------------------------- states and locks


def _version(number: int = 42) -> StateVersion:
    return StateVersion(
        id=_id(f"version {number}"),
        workspace=WORKSPACE,
        number=number,
        lineage=LINEAGE,
        serial=number,
        sha256=sha256(b"%d" % number).hexdigest(),
        size=18_231,
        terraform_version="1.11.4",
        kind="v4",
        created=_time(-1),
    )


_LOCK: Final = HeldLock(
    workspace=WORKSPACE,
    id=LOCK_ID,
    info=b"",
    md5="",
    operation="OperationTypeApply",
    who="runner@fv-az1234",
    version="1.11.4",
    actor="example/network",
    taken=_time(-0.1),
)
_CHANGES: Final = {
    "resources": {"added": 0, "changed": 1, "removed": 0},
    "outputs": {"added": 0, "changed": 0, "removed": 0},
    "items": [
        {
            "address": "aws_db_instance.main",
            "action": "update",
            "attributes": {
                "instance_class": {"before": "db.t3.micro", "after": "db.t3.large"},
                "password": {
                    "before": {"redacted": "hmac-sha256:3q2+7w8JmXc="},
                    "after": {"redacted": "hmac-sha256:Ej0RVQwPl2k="},
                },
            },
        }
    ],
    "omitted": 0,
}


def _state(event: str, outcome: str, message: str, caller: Caller, **parts: Any) -> Draft:
    return draft(event, outcome, message, caller, 200, workspace=WORKSPACE, **parts)


def _written() -> Draft:
    state = {**state_entries.state_of(_version()), "previous_serial": 41}
    message = f"example/network wrote {WORKSPACE}, serial 41 -> 42: 0 added, 1 changed, 0 removed"
    caller = _terraform("POST")
    return _state(
        "state.written", "success", message, caller, state=state, changes=_CHANGES, run=_RUN
    )


def _rolled_back() -> Draft:
    state = {**state_entries.state_of(_version(43)), "previous_serial": 42}
    message = (
        f"alice wrote {WORKSPACE}, serial 42 -> 43: 0 added, 1 changed, 0 removed "
        "(rolled back to version 41)"
    )
    caller = _api("POST", f"/api/v1/workspaces/{WORKSPACE}/rollback")
    return _state("state.rolled_back", "success", message, caller, state=state, changes=_CHANGES)


def _write_refused() -> Draft:
    error = SerialRegressionError(
        f"{WORKSPACE} has serial 42, and this state has 41: pull the newest state first"
    )
    state = {"state": {"lineage": LINEAGE, "serial": 41, "size": 18_100}}
    return state_entries.refused(
        "state.write_refused",
        "conflict",
        error,
        _terraform("POST"),
        WORKSPACE,
        **state,
        run={**_RUN, "unsaved": True},
    )


def _lock_refused() -> Draft:
    error = LockRefusedError(
        f"{WORKSPACE} is locked by runner@fv-az1234 (OperationTypeApply) since {_LOCK.taken}: "
        "wait, or look at `tfaudit lock list`",
        b"",
    )
    run = {"run": {**_RUN, "id": "0b7e0f63-11d2-8a44-9e55-6a7b8c9d0e1f", "who": "bob@laptop"}}
    holder = state_entries.holder_of(_LOCK)
    return state_entries.refused(
        "state.lock_refused",
        "conflict",
        error,
        _terraform("LOCK"),
        WORKSPACE,
        holder=holder,
        **run,
    )


def _unlock_refused() -> Draft:
    return _state(
        "state.unlock_refused",
        "conflict",
        f"alice: {WORKSPACE} is locked by runner@fv-az1234 (OperationTypeApply) with another ID: "
        "only its holder or a force-unlock can release it",
        _api("UNLOCK", f"/state/{WORKSPACE}", TOKEN),
        holder=state_entries.holder_of(_LOCK),
        run={"id": "0b7e0f63-11d2-8a44-9e55-6a7b8c9d0e1f"},
    )


# ---------------------------------------------------------------- objects


_OBJECTS: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    # kind: how it is made, and what is changed later
    "workspace": ({"name": WORKSPACE}, {"protected": True, "description": "the shared network"}),
    "principal": ({"name": "bob", "kind": "person"}, {"disabled": True}),
    "grant": (
        {
            "name": "network-team",
            "principal": "bob",
            "role": "writer",
            "workspaces": ["prod/network"],
        },
        {"role": "operator"},
    ),
    "issuer": (
        {
            "name": "github",
            "url": "https://token.actions.githubusercontent.com",
            "audience": ["https://tfaudit.example.com"],
            "claims": ["repository", "ref", "run_id", "actor"],
        },
        {"session_minutes": 60},
    ),
    "sink": (
        {
            "name": "siem",
            "type": "webhook",
            "options": {"url": "https://siem.example.com/intake"},
            "filter": {"event": ["run.completed"], "workspace": [{"prefix": "prod/"}]},
        },
        {"description": "the security team's"},
    ),
}


def _object(kind: str, changes: dict[str, Any] | None = None) -> Object:
    record = read_record(kind, _OBJECTS[kind][0])
    if changes:
        record = changed_record(record, changes)
    document = document_of(record)
    return Object(kind, record.name, _id(f"{kind} {record.name}"), _time(-48), _time(0), document)


def _administered(event: str) -> Draft:
    """Return the entry of an object that is created, updated, deleted, enabled or disabled."""
    kind, _, verb = event.partition(".")
    changes = {
        "updated": _OBJECTS[kind][1],
        "enabled": {"enabled": True},
    }.get(verb, {})
    made = _object(kind, {"enabled": False} if verb == "enabled" else None)
    after = _object(kind, changes)
    message = f"alice {verb} the {kind} {made.name}"
    if verb == "updated":
        message += f": {difference(made.record, after.record)}"
    method = {"created": "POST", "deleted": "DELETE"}.get(verb, "PATCH")
    path = f"/api/v1/{kind}s" + ("" if verb == "created" else f"/{made.name}")
    part = {
        "kind": kind,
        "name": made.name,
        "id": made.id,
        "before": None if verb == "created" else msgspec.to_builtins(made.record),
        "after": None if verb == "deleted" else msgspec.to_builtins(after.record),
    }
    workspace = WORKSPACE if kind == "workspace" else None
    status = {"created": 201, "deleted": 204}.get(verb, 200)
    return draft(
        event, "success", message, _api(method, path), status, workspace=workspace, object=part
    )


def _workspace(event: str) -> Draft:
    """Return the entry of a workspace that is deleted, restored or purged."""
    verb = event.partition(".")[2]
    standing = msgspec.to_builtins(_object("workspace").record)
    gone = {**standing, "deleted": _time(-30), "restorable_until": _time(690)}
    purged = {**gone, "purged": True, "destroyed_versions": 42}
    before, after, told = {
        "deleted": (standing, gone, f" with 42 versions; it can be restored until {_time(690)}"),
        "restored": (gone, standing, ""),
        "purged": (
            gone,
            purged,
            ": 42 versions and the key of its commitments are destroyed",
        ),
    }[verb]
    made = _object("workspace")
    return draft(
        event,
        "success",
        f"alice {verb} the workspace {WORKSPACE}{told}",
        _api("DELETE" if verb == "deleted" else "POST", f"/api/v1/workspaces/{WORKSPACE}"),
        200,
        workspace=WORKSPACE,
        object={
            "kind": "workspace",
            "name": WORKSPACE,
            "id": made.id,
            "before": before,
            "after": after,
        },
    )


def _pruned() -> Draft:
    """Return the entry of versions that the server itself pruned."""
    rules = Retention(versions=20, seconds=90 * 86_400, last_of_run=True)
    pruned = Pruned(WORKSPACE, (*range(1, 9), 11, 12), 184_320, rules)
    return pruned_entry(_ITSELF._replace(method="housekeeping"), pruned, "configuration")


# ---------------------------------------------------------------- authentication, administration


def _token(**changes: Any) -> StoredToken:
    fields: dict[str, Any] = {
        "id": _id("token ci"),
        "name": "ci",
        "role": "writer",
        "workspaces": ("prod/*",),
        "hint": "0EjH1I",
        "created": _time(0),
        "expires": _time(90 * 24),
        "revoked": None,
        "principal": _id("ci"),
    }
    return StoredToken(**fields | changes)


def _rotated() -> Draft:
    successor = _token(id=_id("token ci again"), hint="3SDfrW")
    return draft(
        "token.rotated",
        "success",
        f"alice rotated the token ci: the old one ends {_time(24)}",
        _api("POST", "/api/v1/tokens/ci/rotate"),
        201,
        token=token_part(successor, sha256(b"token").digest()),
        replaced={"id": _id("token ci"), "hint": "0EjH1I", "expires": _time(24)},
    )


def _login() -> Draft:
    return draft(
        "auth.login",
        "success",
        "alice logged in",
        _api("POST", "/api/v1/login"),
        200,
        session={
            "id": _id("session of alice"),
            "expires": _time(12),
            "sha256": sha256(b"session").hexdigest(),
        },
    )


_KEYS: Final = {"entry": "5a1d3c7e9f0b2846", "checkpoint": "tfaudit.example.com/log+1c2d3e4f+AXy8"}


def _key_rotated() -> Draft:
    old, new = ENTRY_KEY, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
    before, after = (key.public_key().public_bytes_raw() for key in (old, new))
    made = Rotation(8123, "entry", "tfaudit.example.com/log", before, after)
    statement = made.statement()
    signatures = {"old": old.sign(statement), "new": new.sign(statement)}
    return draft(
        "key.rotated",
        "success",
        "alice brought in a new entry key: signed by both",
        _ITSELF,
        key=replace(made, signatures=signatures).part(),
    )


# ---------------------------------------------------------------- runs


def _run(event: str) -> Draft:
    """Return an event of the pipeline's run, as it follows from entries around index 8000."""
    transaction = FakeTransaction(_Contents(), _time(0))
    run_entries.begin(transaction, _terraform("LOCK"), _LOCK, 8000)
    run = transaction.run(WORKSPACE)
    assert run is not None
    left = Addresses(("aws_instance.web[1]",)) if event == "run.errored" else Addresses()
    transaction.set_run(runs.saved(run, Save(42, (1, 2, 0), left), 8003))
    transaction.add_version(_version(), b"")
    if event == "run.needs_attention":
        run_entries.refuse_other(transaction, _terraform("LOCK"), _LOCK, 8005)
    else:
        run_entries.end(transaction, _terraform("UNLOCK"), _LOCK, "state.unlocked", 8006)
    return next(each for each in transaction.drafts if each.entry["event"] == event)


# ---------------------------------------------------------------- sinks


_SINK: Final = _object("sink")
_FAILING: Final = Delivery(
    _SINK.id,
    cursor=1204,
    failing_since=_time(-0.5),
    failures=6,
    error="siem.example.com answered 503 Service Unavailable",
)
_PLACES: Final = [{"id": _SINK.id, "name": _SINK.name, "cursor": 1204}]
_REPLAY: Final = SinkReplay(_id("replay"), _SINK.id, 1000, 1204, False, 1000, _time(0))


EXAMPLES: Final[Mapping[str, Callable[[], Draft]]] = {
    "state.read": lambda: _state(
        "state.read",
        "success",
        f"example/network read {WORKSPACE}, serial 41",
        _terraform("GET"),
        state=state_entries.state_of(_version(41)),
    ),
    "state.outputs_read": lambda: state_entries.outputs_read(
        _api("GET", f"/state/{WORKSPACE}", TOKEN),
        WORKSPACE,
        _version(),
        Outputs(body=b"", sent=("vpc_id", "subnet_ids"), sensitive=1, secret=0),
    ),
    "state.version_read": lambda: _state(
        "state.version_read",
        "success",
        f"alice read {WORKSPACE}, version 40 (serial 40)",
        _api("GET", f"/api/v1/workspaces/{WORKSPACE}/versions/40"),
        state=state_entries.state_of(_version(40)),
    ),
    "state.written": _written,
    "state.write_refused": _write_refused,
    "state.rolled_back": _rolled_back,
    "state.versions_pruned": _pruned,
    "state.locked": lambda: _state(
        "state.locked",
        "success",
        f"example/network locked {WORKSPACE} for OperationTypeApply",
        _terraform("LOCK"),
        run=_RUN,
    ),
    "state.lock_refused": _lock_refused,
    "state.unlocked": lambda: _state(
        "state.unlocked",
        "success",
        f"example/network unlocked {WORKSPACE} after OperationTypeApply",
        _terraform("UNLOCK"),
        run=_RUN,
    ),
    "state.unlock_refused": _unlock_refused,
    "state.force_unlocked": lambda: _state(
        "state.force_unlocked",
        "success",
        f"alice forced the lock of {WORKSPACE}, held by runner@fv-az1234 (OperationTypeApply) "
        f"since {_LOCK.taken}",
        _api("UNLOCK", f"/state/{WORKSPACE}"),
        holder=state_entries.holder_of(_LOCK),
    ),
    "run.created": lambda: _run("run.created"),
    "run.needs_attention": lambda: _run("run.needs_attention"),
    "run.completed": lambda: _run("run.completed"),
    "run.errored": lambda: _run("run.errored"),
    "workspace.created": lambda: state_entries.created(_terraform("POST"), WORKSPACE),
    "workspace.updated": partial(_administered, "workspace.updated"),
    "workspace.deleted": partial(_workspace, "workspace.deleted"),
    "workspace.restored": partial(_workspace, "workspace.restored"),
    "workspace.purged": partial(_workspace, "workspace.purged"),
    "auth.login": _login,
    "auth.logout": lambda: draft(
        "auth.logout",
        "success",
        "alice logged out",
        _api("POST", "/api/v1/logout"),
        204,
        ended_sessions=[_id("session of alice")],
    ),
    "auth.locked_out": lambda: draft(
        "auth.locked_out",
        "denied",
        "logins to alice from devices that are not known are refused for 30 seconds, after 5 that "
        "failed",
        _api("POST", "/api/v1/login", NOBODY),
        401,
        account="alice",
        lockout={"what": "account", "failures": 5, "seconds": 30},
    ),
    "auth.failed": lambda: draft(
        "auth.failed",
        "denied",
        "the name or the password is wrong",
        _api("POST", "/api/v1/login", NOBODY),
        401,
        account="alice",
    ),
    "access.denied": lambda: draft(
        "access.denied",
        "denied",
        f"ci may not workspace:delete on {WORKSPACE}: ask an administrator for a grant whose role "
        "and workspaces allow it",
        _api("DELETE", f"/api/v1/workspaces/{WORKSPACE}", TOKEN),
        403,
        workspace=WORKSPACE,
        permission="workspace:delete",
    ),
    "token.created": lambda: draft(
        "token.created",
        "success",
        f"alice created the token ci: writer on prod/*, until {_time(90 * 24)}",
        _api("POST", "/api/v1/tokens"),
        201,
        token=token_part(_token(), sha256(b"token").digest()),
    ),
    "token.rotated": _rotated,
    "token.revoked": lambda: draft(
        "token.revoked",
        "success",
        "alice revoked the token ci",
        _api("DELETE", "/api/v1/tokens/ci"),
        204,
        token=token_part(_token()),
    ),
    "token.expired": lambda: draft(
        "token.expired",
        "denied",
        f"the token ci expired at {_time(-1)}: ask an administrator for a new one",
        _api("GET", f"/state/{WORKSPACE}", TOKEN),
        401,
    ),
    **{
        event: partial(_administered, event)
        for kind in ("principal", "grant", "issuer", "sink")
        for event in (f"{kind}.created", f"{kind}.updated", f"{kind}.deleted")
    },
    "sink.enabled": partial(_administered, "sink.enabled"),
    "sink.disabled": lambda: sink_entries.disabled(
        _SINK,
        _object("sink", {"enabled": False}),
        "siem.example.com answered 410 Gone: it wants nothing more",
        _ITSELF,
    ),
    "sink.tested": lambda: sink_entries.tested(_SINK, _api("POST", "/api/v1/sinks/siem/test")),
    "key.rotated": _key_rotated,
    "config.changed": lambda: draft(
        "config.changed",
        "success",
        "the configuration changed: server.port",
        _ITSELF,
        changes={"server.port": {"before": "8920", "after": "443"}},
    ),
    "audit.started": lambda: draft(
        "audit.started",
        "success",
        "the server started",
        _ITSELF,
        config={"server.host": "0.0.0.0", "server.port": "443"},  # noqa: S104 - an example
        keys=_KEYS,
        sinks=_PLACES,
    ),
    "audit.stopped": lambda: draft(
        "audit.stopped", "success", "the server stopped", _ITSELF, sinks=_PLACES
    ),
    "audit.unclean_shutdown": lambda: draft(
        "audit.unclean_shutdown",
        "error",
        f"the server that started at {_time(-6)} left no record of its stop: it was killed, or "
        "the machine failed",
        _ITSELF,
    ),
    "audit.read": lambda: draft(
        "audit.read",
        "success",
        f"alice read the log: workspace {WORKSPACE}",
        _api("GET", "/api/v1/log"),
        200,
        query={"workspace": WORKSPACE},
    ),
    "audit.exported": lambda: draft(
        "audit.exported",
        "success",
        "root exported the log as jsonl: event state.*",
        _cli("export"),
        export={"format": "jsonl", "filters": {"event": "state.*"}},
    ),
    "audit.verified": lambda: draft(
        "audit.verified",
        "success",
        "root verified the log: 1,204 entries, 42 stored states",
        _cli("verify"),
        verification={
            "result": "verified",
            "entries": 1204,
            "checkpoints": 1101,
            "states": 42,
            "root": sha256(b"root").hexdigest(),
        },
    ),
    "audit.recovered": lambda: draft(
        "audit.recovered",
        "success",
        "root let the log go on with 1,200 entries, where it once had 1,204: 4 are lost",
        _cli("log recover"),
        recovery={
            "size": 1200,
            "known_size": 1204,
            "lost": 4,
            "known_by": "checkpoint.last",
            "checkpoint_sha256": sha256(b"checkpoint").hexdigest(),
        },
    ),
    "audit.pruned": lambda: draft(
        "audit.pruned",
        "success",
        "root pruned entries 0 to 1023, from before 2025-10-18: they are archived in "
        "s3://acme-audit/tfaudit/tfaudit-000000000000-000000001023.zip",
        _cli("retain"),
        pruning={
            "from": 0,
            "until": 1024,
            "keep": "400d",
            "before": _time(0).replace("2026", "2025"),
            "archive": "s3://acme-audit/tfaudit/tfaudit-000000000000-000000001023.zip",
            "sha256": sha256(b"archive").hexdigest(),
            "size": 181_204,
            "baseline_sha256": sha256(b"baseline").hexdigest(),
        },
    ),
    "sink.failed": lambda: sink_entries.failed(_SINK, _FAILING, _ITSELF),
    "sink.recovered": lambda: sink_entries.recovered(_SINK, _FAILING, _ITSELF),
    "sink.dead_lettered": lambda: sink_entries.dead_lettered(
        _SINK,
        [DeadLetter(_SINK.id, 1203, "400 Bad Request: event too large", _time(0))],
        _ITSELF,
    )[0],
    "sink.replayed": lambda: sink_entries.replay_asked(
        _SINK, _REPLAY, _api("POST", "/api/v1/sinks/siem/replay")
    ),
}
"""What makes the example of each event."""


@cache
def example(event: str, outcome: str | None = None) -> StoredRecord:
    """Return the example of an event as it is committed: really signed, and always the same.

    Args:
        event: a name of the catalogue.
        outcome: in place of the example's own.
    """
    made = EXAMPLES[event]()
    if outcome is not None:
        made.entry["outcome"] = outcome
    return committed(made, event)


def committed(made: Draft, of: str) -> StoredRecord:
    """Return an entry as it is committed, at an index and a time that go by the text ``of``."""
    digest = sha256(of.encode()).digest()
    index = int.from_bytes(digest[:2], "big")
    log = AuditLog(
        ENTRY_KEY,
        CHECKPOINT_KEY,
        ORIGIN,
        clock=lambda: START + int.from_bytes(digest[2:8], "big") % _DAY,
        random=lambda count: (digest * count)[:count],
    )
    batch = log.begin(LogHead(index, bytes(32 * index.bit_count()), 0))
    (record,) = batch.append([made])
    return StoredRecord(record, made.document)


def entry_of(stored: StoredRecord) -> dict[str, Any]:
    """Return the committed entry, as decoded JSON."""
    entry: dict[str, Any] = orjson.loads(stored.record.entry)
    return entry
