"""Every role against every operation: what is expected is written out by hand, in two tables.

Nothing here is worked out from `access.PERMISSIONS`. Whoever adds a permission, a route or a method
of a service has to say in these tables who may use it; until then a test fails.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from inspect import getmembers, isfunction, signature
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.access import PERMISSIONS, Caller, Permission, Principal, Role, rights_of
from proxy.contracts import HeldLock, LogQuery, Transaction
from proxy.directory import SinkRecord
from proxy.directory_service import Change
from proxy.errors import ForbiddenError, TfauditError
from proxy.program import Program
from proxy.refusals import LockRefusedError
from proxy.retention import Retention
from proxy.server.openapi import path_of
from proxy.server.routes import ROUTES
from proxy.tlog.tiles import Bundle
from tests import sample_sink
from tests.running import SYSTEM, Answer, Face, a_face
from tests.samples import a_draft, a_held_lock, a_lock_info, a_state

ROLES: Final = ("admin", "operator", "writer", "planner", "reader", "outputs-reader", "auditor")

PERMISSION_TABLE: Final = """
                     admin operator writer planner reader outputs-reader auditor
state:read           yes   yes      yes    yes     yes    -              -
state:read-outputs   yes   -        -      -       -      yes            -
state:write          yes   yes      yes    -       -      -              -
state:roll-back      yes   yes      -      -       -      -              -
lock:take            yes   yes      yes    -       -      -              -
lock:take-to-plan    yes   yes      yes    yes     -      -              -
lock:force           yes   yes      -      -       -      -              -
workspace:delete     yes   yes      -      -       -      -              -
log:read             yes   -        -      -       -      -              yes
administer           yes   -        -      -       -      -              -
"""

OPERATION_TABLE: Final = """
                     admin operator writer planner reader outputs-reader auditor nobody
read                 yes   yes      yes    yes     yes    yes            -       -
write                yes   yes      yes    -       -      -              -       -
lock-to-plan         yes   yes      yes    yes     -      -              -       -
lock-to-apply        yes   yes      yes    -       -      -              -       -
unlock-after-plan    yes   yes      yes    yes     -      -              -       -
unlock-after-apply   yes   yes      yes    -       -      -              -       -
force-unlock         yes   yes      -      -       -      -              -       -

listPrincipals       yes   -        -      -       -      -              -       -
createPrincipal      yes   -        -      -       -      -              -       -
showPrincipal        yes   -        -      -       -      -              -       -
updatePrincipal      yes   -        -      -       -      -              -       -
deletePrincipal      yes   -        -      -       -      -              -       -
setPassword          yes   -        -      -       -      -              -       -
listGrants           yes   -        -      -       -      -              -       -
createGrant          yes   -        -      -       -      -              -       -
showGrant            yes   -        -      -       -      -              -       -
updateGrant          yes   -        -      -       -      -              -       -
deleteGrant          yes   -        -      -       -      -              -       -
listIssuers          yes   -        -      -       -      -              -       -
createIssuer         yes   -        -      -       -      -              -       -
showIssuer           yes   -        -      -       -      -              -       -
updateIssuer         yes   -        -      -       -      -              -       -
deleteIssuer         yes   -        -      -       -      -              -       -
listSinks            yes   -        -      -       -      -              -       -
createSink           yes   -        -      -       -      -              -       -
showSink             yes   -        -      -       -      -              -       -
updateSink           yes   -        -      -       -      -              -       -
deleteSink           yes   -        -      -       -      -              -       -
listSinkTypes        yes   -        -      -       -      -              -       -
showSinkStatus       yes   -        -      -       -      -              -       -
testSink             yes   -        -      -       -      -              -       -
listDeadLetters      yes   -        -      -       -      -              -       -
listReplays          yes   -        -      -       -      -              -       -
createReplay         yes   -        -      -       -      -              -       -
listWorkspaces       yes   -        -      -       -      -              -       -
createWorkspace      yes   -        -      -       -      -              -       -
showWorkspace        yes   -        -      -       -      -              -       -
updateWorkspace      yes   -        -      -       -      -              -       -
deleteWorkspace      yes   yes      -      -       -      -              -       -
restoreWorkspace     yes   yes      -      -       -      -              -       -
purgeWorkspace       yes   yes      -      -       -      -              -       -
listTokens           yes   -        -      -       -      -              -       -
createToken          yes   -        -      -       -      -              -       -
showToken            yes   -        -      -       -      -              -       -
rotateToken          yes   -        -      -       -      -              -       -
revokeToken          yes   -        -      -       -      -              -       -
readLog              yes   -        -      -       -      -              yes     -
proveEntry           yes   -        -      -       -      -              yes     -
proveGrowth          yes   -        -      -       -      -              yes     -
readTile             yes   -        -      -       -      -              yes     -
whoAmI               yes   yes      yes    yes     yes    yes            yes     yes
"""
"""What goes over HTTP: the state protocol in words, the API by the names of its document."""

SERVICE_TABLE: Final = """
                     admin operator writer planner reader outputs-reader auditor
states.read          yes   yes      yes    yes     yes    yes            -
states.read_version  yes   yes      yes    yes     yes    -              -
states.show          yes   yes      yes    yes     yes    -              -
states.compare       yes   yes      yes    yes     yes    -              -
states.scan          yes   yes      yes    yes     yes    -              -
states.write         yes   yes      yes    -       -      -              -
states.import_state  yes   yes      yes    -       -      -              -
states.roll_back     yes   yes      -      -       -      -              -
locks.lock           yes   yes      yes    -       -      -              -
locks.unlock         yes   yes      yes    -       -      -              -
locks.release        yes   yes      -      -       -      -              -
admin.create_token   yes   -        -      -       -      -              -
admin.list_tokens    yes   -        -      -       -      -              -
admin.show_token     yes   -        -      -       -      -              -
admin.rotate_token   yes   -        -      -       -      -              -
admin.revoke_token   yes   -        -      -       -      -              -
admin.open_log       yes   -        -      -       -      -              yes
admin.read_log       yes   -        -      -       -      -              yes
proofs.prove_entry   yes   -        -      -       -      -              yes
proofs.prove_growth  yes   -        -      -       -      -              yes
proofs.tile          yes   -        -      -       -      -              yes
directory.change     yes   -        -      -       -      -              -
directory.create     yes   -        -      -       -      -              -
directory.update     yes   -        -      -       -      -              -
directory.update_told yes   -        -      -       -      -              -
directory.delete     yes   -        -      -       -      -              -
directory.configure_sinks yes   -        -      -       -      -              -
directory.list       yes   -        -      -       -      -              -
directory.show       yes   -        -      -       -      -              -
directory.view       yes   -        -      -       -      -              -
workspaces.list      yes   -        -      -       -      -              -
workspaces.show      yes   -        -      -       -      -              -
workspaces.delete    yes   yes      -      -       -      -              -
workspaces.restore   yes   yes      -      -       -      -              -
workspaces.purge     yes   yes      -      -       -      -              -
workspaces.reuse     yes   -        -      -       -      -              -
retention.plan       yes   -        -      -       -      -              -
retention.prune      yes   -        -      -       -      -              -
people.set_password  yes   -        -      -       -      -              -
sinks.status         yes   -        -      -       -      -              -
sinks.dead_letters   yes   -        -      -       -      -              -
sinks.replay         yes   -        -      -       -      -              -
sinks.probe          yes   -        -      -       -      -              -
sinks.test           yes   -        -      -       -      -              -
secrets.find         yes   -        -      -       -      -              -
secrets.forget       yes   -        -      -       -      -              -
"""
"""What the services do for whoever asks them; the command line asks for more than HTTP does."""

ABOUT_ONESELF: Final = {
    *("exchangeToken", "endToken", "logout", "listSessions", "endSession", "changePassword"),
    *("people.sessions", "people.end_session", "people.logout"),
    *("exchange.exchange", "exchange.end"),
}
"""Wants no permission: it is about one's own session or token. Their own tests say the rest."""

ANYBODYS: Final = {"login", "showDescription"}
"""Wants no credentials."""

NOT_ASKED_BY_ROLES: Final = {
    *("locks.alert_overdue", "readings.record", "retention.prune_due", "workspaces.purge_due")
}
"""What the server does by itself, through what the table has."""

STATE_ROUTES: Final = {
    "read": ["GET /state/{workspace}"],
    "write": ["POST /state/{workspace}", "PUT /state/{workspace}"],
    "lock": [
        "LOCK /state/{workspace}",
        "LOCK /state/{workspace}/{ending}",
        "POST /state/{workspace}/{ending}",
        "PUT /state/{workspace}/{ending}",
    ],
    "unlock": [
        "UNLOCK /state/{workspace}",
        "DELETE /state/{workspace}",
        "UNLOCK /state/{workspace}/{ending}",
        "DELETE /state/{workspace}/{ending}",
        "POST /state/{workspace}/{ending}",
        "PUT /state/{workspace}/{ending}",
    ],
}
"""The addresses of the state protocol in its three dialects."""

ZERO: Final = timedelta(0)


def read_table(text: str) -> dict[str, dict[str, bool]]:
    """Return what is expected, by row and column."""
    head, *rows = (line.split() for line in text.splitlines() if line.strip())
    table: dict[str, dict[str, bool]] = {}
    for name, *cells in rows:
        assert len(head) == len(cells), name
        assert {"yes", "-"} >= set(cells), name
        table[name] = {column: cell == "yes" for column, cell in zip(head, cells, strict=True)}
    return table


EXPECTED_OPERATIONS: Final = read_table(OPERATION_TABLE)
EXPECTED_SERVICES: Final = read_table(SERVICE_TABLE)


# ---------------------------------------------------------------- permissions


def test_each_role_has_the_permissions_of_the_table() -> None:
    """Neither more nor fewer; there is no role and no permission beside these."""
    table = read_table(PERMISSION_TABLE)
    assert set(ROLES) == {role.value for role in Role}
    assert list(table) == [permission.value for permission in Permission]
    for role in Role:
        expected = {name for name, row in table.items() if row[role.value]}
        assert expected == {permission.value for permission in PERMISSIONS[role]}


# ---------------------------------------------------------------- over HTTP


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over a store with somebody to whom nothing is granted."""
    async with a_face(tmp_path) as running:
        directory, admin = running.program.directory, running.program.admin
        await directory.create(SYSTEM, "principal", {"name": "somebody"})
        minted = await admin.create_token(SYSTEM, "nobody", "", ["*"], None, principal="somebody")
        running.tokens["nobody"] = minted.text
        yield running


BODIES: Final[dict[str, dict[str, Any]]] = {
    "createPrincipal": {"name": "new"},
    "updatePrincipal": {"description": "changed"},
    "setPassword": {"password": "correct horse battery nail"},
    "createGrant": {
        "name": "new",
        "principal": "somebody",
        "role": "reader",
        "workspaces": ["none"],
    },
    "updateGrant": {"deny": True},
    "createIssuer": {"name": "new", "url": "https://new.example", "audience": ["a"]},
    "updateIssuer": {"description": "changed"},
    "createSink": {
        "name": "new",
        "type": sample_sink.TYPE,
        "options": {"url": "https://siem.example"},
    },
    "updateSink": {"description": "changed"},
    "createReplay": {"first": 0},
    "createWorkspace": {"name": "new"},
    "updateWorkspace": {"description": "changed"},
    "createToken": {"name": "new", "role": "reader", "workspaces": ["none"]},
    "rotateToken": {},
}


QUERIES: Final = {"proveGrowth": "?from=1"}
"""What an operation can't do without."""


def asked_of_states() -> Iterator[tuple[str, str, str, bytes, str | None]]:
    """Yield row, method, ending of the path, body, and the operation that holds the lock."""
    plan, apply = "OperationTypePlan", "OperationTypeApply"
    for name, routes in STATE_ROUTES.items():
        for route in routes:
            method, path = route.split()
            ending = f"/{name}" if path.endswith("{ending}") else ""
            if ending == "/unlock" and method in {"UNLOCK", "DELETE"}:
                # GitLab's dialect unlocks where it locks.
                yield "unlock-after-apply", method, "/lock", a_lock_info(operation=apply), apply
            if name == "read":
                yield name, method, ending, b"", None
            elif name == "write":
                yield name, method, ending, a_state(2), None
            elif name == "lock":
                yield "lock-to-plan", method, ending, a_lock_info(operation=plan), None
                yield "lock-to-apply", method, ending, a_lock_info(operation=apply), None
            else:
                yield "unlock-after-plan", method, ending, a_lock_info(operation=plan), plan
                yield "unlock-after-apply", method, ending, a_lock_info(operation=apply), apply
    yield "force-unlock", "UNLOCK", "", b"", apply


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
async def test_a_role_may_ask_of_states_what_the_table_says(face: Face, role: str) -> None:
    """In each dialect; a refusal is on record as one before it is told."""
    token = face.tokens["nobody"] if role == "nobody" else await face.token(Role(role))
    for number, (row, method, ending, body, holder) in enumerate(asked_of_states()):
        workspace = f"prod/{number}"
        await face.program.states.import_state(SYSTEM, workspace, a_state(1))
        if holder is not None:
            # Its own, also of a role that could not have taken it.
            lock = replace(
                a_held_lock(workspace=workspace), operation=holder, taker=f"token:{role}"
            )
            await face.program.store.write(partial(set_lock, lock))
        answer = await face.ask(method, f"/state/{workspace}{ending}", body or None, token=token)
        await compare(face, (row, role, method, ending), answer, 200)


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
async def test_a_role_may_ask_of_the_api_what_the_table_says(face: Face, role: str) -> None:
    """What is allowed is done, as far as there is something to do it with."""
    token = face.tokens["nobody"] if role == "nobody" else await face.token(Role(role))
    await face.program.directory.create(SYSTEM, "workspace", {"name": "some/where"})
    names = {"name": "some/where", "ref": "none", "id": "none", "index": "0", "path": "0/000.p/1"}
    for route in ROUTES:
        operation = route.operation
        if operation is None or operation.id in ABOUT_ONESELF | ANYBODYS:
            continue
        path = path_of(route)
        if "workspaces" not in path:
            names["name"] = "none"
        body = BODIES.get(operation.id)
        answer = await face.ask(
            route.method,
            path.format(**names) + QUERIES.get(operation.id, ""),
            None if body is None else json.dumps(body).encode(),
            token=token,
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        names["name"] = "some/where"
        # What there is not, 404, or not yet, 409, was allowed to be asked for.
        expected = (operation.status, 404, 409)
        await compare(face, (operation.id, role), answer, *expected)


def set_lock(lock: HeldLock, transaction: Transaction) -> None:
    """Put a lock there, whoever may take it."""
    transaction.set_lock(lock)
    transaction.append(a_draft())


async def compare(face: Face, about: tuple[str, ...], answer: Answer, *allowed: int) -> None:
    """Hold an answer against the table."""
    row, role, *_ = about
    if EXPECTED_OPERATIONS[row][role]:
        assert answer.status in allowed, (about, answer.body)
        return
    # A refused LOCK tells Terraform the reason in its own words, which wants 423.
    assert answer.status in ({403, 423} if row.startswith("lock-") else {403}), about
    entry = await face.last()
    assert ("denied", answer.index is not None) == (entry["outcome"], True), about


def test_every_route_is_in_a_table() -> None:
    """A new one must say there who may use it."""
    state_routes = {route for routes in STATE_ROUTES.values() for route in routes}
    operations = set(EXPECTED_OPERATIONS) | ABOUT_ONESELF | ANYBODYS
    named = set()
    for route in ROUTES:
        if route.operation is not None:
            assert route.operation.id in operations
            named.add(route.operation.id)
        elif not route.is_open:
            assert f"{route.method} {path_of(route)}" in state_routes
    of_services = {name for name in ABOUT_ONESELF if "." in name}
    assert operations - of_services - named == {
        *("read", "write", "lock-to-plan", "lock-to-apply"),
        *("unlock-after-plan", "unlock-after-apply", "force-unlock"),
    }


# ---------------------------------------------------------------- services


def calls_of(program: Program, who: Caller, place: str) -> dict[str, Callable[[], Any]]:
    """Return a call of each method, on a workspace of its own."""
    states, locks, admin = program.states, program.locks, program.admin
    directory, workspaces = program.directory, program.workspaces

    async def body(_: int | None) -> bytes:
        return a_state(2)

    async def first() -> object:
        async for record in admin.read_log(who, LogQuery(limit=1)):
            return record
        return None

    return {
        "states.read": lambda: states.read(who, place),
        "states.read_version": lambda: states.read_version(who, place, "1"),
        "states.show": lambda: states.show(who, place),
        "states.compare": lambda: states.compare(who, place, None, None),
        "states.scan": lambda: states.scan(who, place),
        "states.write": lambda: states.write(who, place, body, None, None),
        "states.import_state": lambda: states.import_state(who, place, a_state(3)),
        "states.roll_back": lambda: states.roll_back(who, place, "1"),
        "locks.lock": lambda: locks.lock(who, place, a_lock_info(), None),
        "locks.unlock": lambda: locks.unlock(who, place, a_lock_info(), None),
        "locks.release": lambda: locks.release(who, place),
        "admin.create_token": lambda: admin.create_token(who, "n", "reader", ["x"], None),
        "admin.list_tokens": lambda: admin.list_tokens(who),
        "admin.show_token": lambda: admin.show_token(who, "none"),
        "admin.rotate_token": lambda: admin.rotate_token(who, "none", ZERO),
        "admin.revoke_token": lambda: admin.revoke_token(who, "none"),
        "admin.open_log": lambda: admin.open_log(who, LogQuery()),
        "admin.read_log": first,
        "proofs.prove_entry": lambda: program.proofs.prove_entry(who, 0),
        "proofs.prove_growth": lambda: program.proofs.prove_growth(who, 1, 2),
        "proofs.tile": lambda: program.proofs.tile(who, Bundle(0, 1)),
        "directory.change": lambda: directory.change(who, [Change("delete", "grant", "none")]),
        "directory.create": lambda: directory.create(who, "principal", {"name": "p"}),
        "directory.update_told": lambda: directory.update_told(who, "principal", "none", {}),
        "directory.update": lambda: directory.update(who, "principal", "none", {}),
        "directory.delete": lambda: directory.delete(who, "principal", "none"),
        "directory.configure_sinks": lambda: directory.configure_sinks(who, {}),
        "directory.list": lambda: directory.list(who, "principal"),
        "directory.show": lambda: directory.show(who, "principal", "none"),
        "directory.view": lambda: directory.view(who),
        "workspaces.list": lambda: workspaces.list(who),
        "workspaces.show": lambda: workspaces.show(who, place),
        "workspaces.delete": lambda: workspaces.delete(who, place),
        "workspaces.restore": lambda: workspaces.restore(who, place),
        "workspaces.purge": lambda: workspaces.purge(who, place),
        "workspaces.reuse": lambda: workspaces.reuse(who, place, {}),
        "retention.plan": lambda: program.retention.plan(who, place),
        "retention.prune": lambda: program.retention.prune(who, place, Retention(versions=1)),
        "people.set_password": lambda: program.people.set_password(who, "none", "x" * 20),
        "sinks.status": lambda: program.sinks.status(who),
        "sinks.dead_letters": lambda: program.sinks.dead_letters(who, "none"),
        "sinks.replay": lambda: program.sinks.replay(who, "none", 0),
        "sinks.probe": lambda: program.sinks.probe(
            who,
            SinkRecord(name="s", type=sample_sink.TYPE, options={"url": "https://siem.example"}),
        ),
        "sinks.test": lambda: program.sinks.test(who, "none"),
        "secrets.find": lambda: program.secrets.find(who, place, "value of a secret"),
        "secrets.forget": lambda: program.secrets.forget(who, place),
    }


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_ask_of_a_service_what_the_table_says(face: Face, role: str) -> None:
    """Whoever asks: HTTP, the command line or a page; a refusal is on record."""
    program = face.program
    principal = Principal("system", f"as:{role}", role, rights_of(Role(role)))
    who = SYSTEM._replace(principal=principal)
    for row, expected in EXPECTED_SERVICES.items():
        place = f"prod/{row}"
        await program.states.import_state(SYSTEM, place, a_state(1))
        try:
            await calls_of(program, who, place)[row]()
        except (ForbiddenError, LockRefusedError):
            assert not expected[role], row
            assert "denied" == (await face.last())["outcome"]
        except TfauditError:  # there is nothing to do it with; but it was allowed
            assert expected[role], row
        else:
            assert expected[role], row


def test_every_method_of_a_service_is_in_a_table() -> None:
    """Whatever takes a caller: a new one must say there who may use it."""
    methods = set()
    for part, of in Program.__annotations__.items():
        for name, method in getmembers(of, isfunction):
            takes_caller = "caller" in signature(method).parameters
            if takes_caller and not name.startswith(("_", "refuse_")):
                methods.add(f"{part}.{name}")
    of_services = {name for name in ABOUT_ONESELF if "." in name}
    assert methods == set(EXPECTED_SERVICES) | of_services | NOT_ASKED_BY_ROLES
