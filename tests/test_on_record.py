"""Every administrative call, by API and command line, leaves exactly one entry and no secret in it.

Done, refused, not understood, or about what there is not: each is on record once. Reading who there
is leaves none, as long as it is allowed.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

from proxy.access import Role
from proxy.cli import app
from proxy.cli._common import settings
from proxy.program import open_program
from proxy.server.openapi import path_of
from proxy.server.routes import ROUTES
from tests import sample_sink
from tests.documents import check_entries
from tests.people import quicken
from tests.running import SYSTEM, Answer, Face, a_face
from tests.samples import a_state, log_of

PASSWORD: Final = "correct horse battery nail"
SECRET: Final = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""Of a shape that is known, put wherever a client could put one by mistake."""
WORKSPACE: Final = "some/where"

SINK: Final[dict[str, Any]] = {"type": sample_sink.TYPE, "options": {"url": "https://s.example"}}

NAMES: Final = {"principal": "p", "grant": "g", "issuer": "i", "sink": "s", "workspace": WORKSPACE}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "createPrincipal": {"name": "new", "description": f"token {SECRET}"},
    "updatePrincipal": {"description": f"token {SECRET}"},
    "setPassword": {"password": PASSWORD},
    "createGrant": {"name": "new", "principal": "p", "role": "reader", "workspaces": ["x"]},
    "updateGrant": {"deny": True},
    "createIssuer": {"name": "new", "url": "https://new.example", "audience": ["a"]},
    "updateIssuer": {"description": SECRET},
    "createSink": {"name": "new", **SINK},
    "updateSink": {"description": SECRET},
    "createReplay": {"first": 0},
    "createWorkspace": {"name": "new", "description": SECRET},
    "updateWorkspace": {"description": SECRET},
    "createToken": {"name": "new", "role": "reader", "workspaces": ["x"]},
    "rotateToken": {},
}
NO_BODY: Final = {
    *(f"delete{kind}" for kind in ("Principal", "Grant", "Issuer", "Sink", "Workspace")),
    *("restoreWorkspace", "purgeWorkspace", "revokeToken", "testSink"),
}
READING: Final = {
    *("listSinkTypes", "showSinkStatus", "listDeadLetters", "listReplays"),
    *(f"list{kind}s" for kind in ("Principal", "Grant", "Issuer", "Sink", "Workspace", "Token")),
    *(f"show{kind}" for kind in ("Principal", "Grant", "Issuer", "Sink", "Workspace", "Token")),
}
NOT_ADMINISTRATION: Final = {
    *("proveEntry", "proveGrowth", "readTile"),
    *("readLog", "whoAmI", "showDescription", "login", "logout", "listSessions", "endSession"),
    *("changePassword", "exchangeToken", "endToken"),
}
CHANGING: Final = {
    route.operation.id: (route.method, path_of(route))
    for route in ROUTES
    if route.operation is not None and route.operation.id not in READING | NOT_ADMINISTRATION
}


def test_every_operation_is_told_apart() -> None:
    """A new one must say here whether it changes something."""
    assert set(BODIES) | NO_BODY == set(CHANGING)


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over a store with one object of each kind, and a token."""
    async with a_face(tmp_path) as running:
        quicken(running)
        program = running.program
        for kind, fields in (
            ("principal", {"name": "p", "kind": "person"}),
            ("principal", {"name": "free"}),
            ("issuer", {"name": "i", "url": "https://i.example", "audience": ["a"]}),
            ("sink", {"name": "s", **SINK}),
            ("workspace", {"name": WORKSPACE}),
        ):
            await program.directory.create(SYSTEM, kind, fields)
        grant = {"name": "g", "principal": "p", "role": "reader", "workspaces": ["x"]}
        await program.directory.create(SYSTEM, "grant", grant)
        await program.states.import_state(SYSTEM, WORKSPACE, a_state(1))
        minted = await program.admin.create_token(SYSTEM, "t", "reader", ["x"], None)
        running.tokens["t"] = minted.text
        for role in (Role.ADMIN, Role.READER):
            await running.token(role)
        yield running


def secrets_of(face: Face) -> list[str]:
    """Return all that no entry may hold."""
    return [*face.tokens.values(), SECRET, PASSWORD]


async def once(face: Face, before: int, about: object) -> dict[str, Any]:
    """Return the one entry that was made since; it fits its schema and holds no secret."""
    entries = (await log_of(face.program.store))[before:]
    assert 1 == len(entries), (about, [entry["message"] for entry in entries])
    check_entries(entries)
    text = json.dumps(entries)
    assert [] == [secret for secret in secrets_of(face) if secret in text], about
    return entries[0]


async def send(face: Face, operation: str, name: str, content: bytes, **options: Any) -> Answer:
    """Call an operation of the API."""
    method, path = CHANGING[operation]
    headers = {"Content-Type": "application/json"} if content else {}
    target = path.format(name=name, ref=name)
    return await face.ask(method, target, content or None, headers=headers, **options)


@pytest.mark.parametrize("operation", CHANGING)
async def test_a_call_of_the_api_is_one_entry(face: Face, operation: str) -> None:
    """However it ends; and the answer names the entry."""
    kind = operation.lstrip("abcdefghijklmnopqrstuvwxyz").lower()
    name = {**NAMES, "token": "t", "password": "p", "replay": "s"}[kind]
    if operation == "deletePrincipal":
        name = "free"  # something is granted to the other
    body = BODIES.get(operation)
    good = b"" if body is None else json.dumps(body).encode()
    wrong = {**(body or {}), "passwort": SECRET, SECRET: 1}
    takes_name = "{" in CHANGING[operation][1]
    calls: list[tuple[str, str, bytes, dict[str, Any], set[int]]] = [
        ("nobody known", name, good, {"role": None}, {401}),
        ("not allowed", name, good, {"role": Role.READER}, {403}),
    ]
    if body is not None:
        calls += [
            ("not understood", name, json.dumps(wrong).encode(), {}, {400}),
            ("no JSON", name, SECRET.encode(), {}, {400}),
        ]
    if takes_name:
        # 400: a workspace's name can't look so.
        calls.append(("a token as a name", face.tokens["t"], good, {}, {400, 404}))
        calls.append(("a secret as a name", SECRET, good, {}, {400, 404}))
    calls.append(("done", name, good, {}, {200, 201, 204, 409}))
    for about, target, content, options, statuses in calls:
        before = await face.program.store.size()
        answer = await send(face, operation, target, content, **{"role": Role.ADMIN, **options})
        assert answer.status in statuses, (about, answer)
        if operation in {"createToken", "rotateToken"} and about == "done":
            face.tokens["new"] = json.loads(answer.body)["token"]
        entry = await once(face, before, about)
        assert before == answer.index
        assert answer.status // 100 == entry["request"]["status"] // 100
        assert ("success" == entry["outcome"]) == (answer.status < 300)


async def test_reading_who_there_is_leaves_no_entry_when_it_is_allowed(face: Face) -> None:
    """Only a refusal does; the log's own reading does in any case."""
    for route in ROUTES:
        if route.operation is None or route.operation.id not in READING:
            continue
        kind = path_of(route).split("/")[3].removesuffix("s")
        name = {**NAMES, "token": "t", "sink-type": ""}[kind]
        path = path_of(route).format(name=name, ref=name)
        before = await face.program.store.size()
        answer = await face.ask(route.method, path, role=Role.ADMIN)
        assert (200, before) == (answer.status, await face.program.store.size())
        refused = await face.ask(route.method, path, role=Role.READER)
        assert 403 == refused.status
        assert "access.denied" == (await once(face, before, path))["event"]


# ---------------------------------------------------------------- the command line

LINES: Final[tuple[tuple[str, int, int], ...]] = (
    # what is typed, its exit code, and how many entries it leaves
    ("principal create p --kind person", 0, 1),
    ("principal create p", 1, 1),
    ("principal update p --description SECRET", 0, 1),
    ("principal update p --kind person", 0, 0),  # is so already
    ("principal set-password p", 0, 1),
    ("principal set-password none", 1, 1),
    ("principal list", 0, 0),
    ("principal show p", 0, 0),
    ("principal show none", 1, 0),
    ("issuer create i --url https://i.example --audience a", 0, 1),
    ("issuer create SECRET --url https://j.example --audience a --algorithm SECRET", 2, 1),
    ("issuer update i --description SECRET", 0, 1),
    ("grant create g --principal p --role reader --workspace x", 0, 1),
    ("grant create h --principal none --role reader --workspace x", 1, 1),
    ("grant update g --role planner", 0, 1),
    ("grant delete g", 0, 1),
    ("grant delete g", 1, 1),
    ("issuer delete i", 0, 1),
    ("principal delete p", 0, 1),
    ("principal delete TOKEN", 1, 1),
    ("token create t --role reader --workspace x", 0, 1),
    ("token create t --role reader --workspace x", 1, 1),
    ("token rotate t", 0, 1),
    ("token rotate none", 1, 1),
    ("token revoke t", 0, 1),
    ("token revoke TOKEN", 1, 1),
    (f"sink create s --type {sample_sink.TYPE} --option url=https://s.example", 0, 1),
    ("sink create t --type none --option url=SECRET", 2, 1),
    (f"sink create t --type {sample_sink.TYPE} --option url=https://s.example?SECRET", 2, 1),
    # it could not send, so nothing was asked for
    (f"sink create t --type {sample_sink.TYPE} -o url=https://t.example -o is_down=true", 2, 0),
    ("sink update s --description SECRET", 0, 1),
    ("sink update s --option size=SECRET", 2, 1),
    ("sink pause s", 0, 1),
    ("sink pause s", 0, 0),
    ("sink resume s", 0, 1),
    ("sink probe s", 0, 0),
    ("sink test s", 0, 1),
    ("sink test none", 1, 1),
    ("sink replay s --from beginning", 1, 1),
    ("sink dead-letters s", 0, 0),
    ("sink types", 0, 0),
    ("sink delete s --yes", 0, 1),
    ("sink delete TOKEN --yes", 1, 1),
    ("workspace create some/where", 0, 1),
    ("workspace update some/where --description SECRET", 0, 1),
    ("workspace delete some/where --yes", 0, 1),
    ("workspace restore some/where", 0, 1),
    ("workspace restore some/where", 1, 1),
    ("workspace delete some/where --yes", 0, 1),
    ("workspace purge some/where --yes", 1, 1),
    ("workspace purge some/where --yes --now", 0, 1),
    ("workspace purge none --yes", 1, 1),
)


def commands() -> Iterator[str]:
    """Yield every command of the groups that administer."""
    root: Any = typer.main.get_command(app)
    for group in ("principal", "grant", "issuer", "token", "sink", "workspace"):
        for verb in root.commands[group].commands:
            yield f"{group} {verb}"


def test_every_command_is_tried() -> None:
    """A new one must say here how many entries it leaves."""
    tried = {" ".join(line.split()[:2]) for line, _, _ in LINES}
    reading = {name for name in commands() if name.split()[1] in {"list", "show"}}
    assert set(commands()) - reading - {"issuer test"} <= tried


def test_a_command_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done or refused; what is so already is none, and neither is what is only shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    data = tmp_path / "data"
    runner = CliRunner()
    token = f"tfa_{'x' * 43}"
    made = [SECRET, token, PASSWORD]

    def run(line: str) -> Any:
        words = [word.replace("SECRET", SECRET).replace("TOKEN", token) for word in line.split()]
        arguments = words if line == "sink types" else [*words, "--data", str(data)]
        return runner.invoke(app, arguments, input=f"{PASSWORD}\n")

    make_directory(data)
    for line, code, entries in LINES:
        before = size_of(data)
        result = run(line)
        assert code == result.exit_code, (line, result.output, result.exception)
        if line.startswith(("token create", "token rotate")) and not code:
            made.append(result.stdout.strip())
        assert before + entries == size_of(data), line
    with sqlite3.connect(data / "tfaudit.db") as database:
        text = b"\n".join(row[0] for row in database.execute("SELECT entry FROM entry")).decode()
    database.close()
    check_entries(map(json.loads, text.splitlines()))
    assert [] == [secret for secret in made if secret in text]


def make_directory(data: Path) -> None:
    """Make a data directory as the first start does."""

    async def first_start() -> None:
        async with open_program(settings(data, None), create=True):
            pass

    asyncio.run(first_start())


def size_of(data: Path) -> int:
    """Return the number of entries."""
    with sqlite3.connect(f"file:{data / 'tfaudit.db'}?mode=ro", uri=True) as database:
        (size,) = database.execute("SELECT size FROM log_head").fetchone()
    database.close()
    return int(size)
