"""Tests of commits and signatures that fail, before and after they did their work."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.storage import sqlite
from tests.faults.face import Answer, Face, Fault, a_face
from tests.samples import a_lock_info, a_state

WORKSPACE = "/state/prod/network"
HELD = "/state/prod/held"
KEPT = a_state(1)


class Operation(NamedTuple):
    """A request, and what it does when nothing fails.

    Attributes:
        method: of the request.
        path: of the request.
        body: of the request.
        status: of its answer.
        event: of its entry.
    """

    method: str
    path: str
    body: bytes | None
    status: int
    event: str


FOLLOWING = {
    "workspace.created",
    "run.created",
    "run.completed",
    "run.errored",
    "run.needs_attention",
}
"""What is recorded with some of them."""

OPERATIONS = [
    Operation("GET", WORKSPACE, None, 200, "state.read"),
    Operation("GET", "/state/none", None, 404, "state.read"),
    Operation("POST", WORKSPACE, a_state(2), 200, "state.written"),
    Operation("POST", "/state/new", a_state(1), 200, "state.written"),
    Operation("POST", WORKSPACE, a_state(1, "other"), 409, "state.write_refused"),
    Operation("LOCK", WORKSPACE, a_lock_info("mine"), 200, "state.locked"),
    Operation("LOCK", HELD, a_lock_info("mine"), 423, "state.lock_refused"),
    Operation("POST", f"{HELD}?ID=held", a_state(2, "two"), 200, "state.written"),
    Operation("POST", f"{HELD}?ID=held", a_state(1, "other"), 409, "state.write_refused"),
    Operation("UNLOCK", HELD, a_lock_info("held"), 200, "state.unlocked"),
    Operation("UNLOCK", HELD, None, 200, "state.force_unlocked"),
]
"""What is asked of a store that fails, in a program that `face` has prepared."""


def operation_name(value: object) -> str:
    """Return a name for a test's parameter."""
    if isinstance(value, Operation):
        return f"{value.event}-{value.status}"
    return getattr(value, "name", str(value))


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Open a program with a state in one workspace, and a run that saved one in another."""
    async with a_face(tmp_path / "data") as opened:
        assert 200 == (await opened.ask("POST", WORKSPACE, KEPT)).status
        assert 200 == (await opened.ask("LOCK", HELD, a_lock_info("held"))).status
        assert 200 == (await opened.ask("POST", f"{HELD}?ID=held", KEPT)).status
        yield opened


async def ask(face: Face, operation: Operation) -> Answer:
    """Send the operation's request."""
    return await face.ask(operation.method, operation.path, operation.body)


Contents = tuple[list[str], list[str], list[tuple[str, str]], list[tuple[Any, ...]]]
"""Events, version IDs, locks, and what is known of runs, but for the entries that say so."""


async def contents(face: Face) -> Contents:
    """Return all that a request may change."""
    versions = [
        version.id
        for workspace in await face.store.workspaces()
        for version in await face.store.versions(workspace.name)
    ]
    locks = [(lock.workspace, lock.id) for lock in await face.store.locks()]
    runs = [
        (run.id, run.writes, run.resources, run.refused, run.attention)
        for run in await face.store.runs()
    ]
    return await face.events(), versions, locks, runs


def assert_in_doubt(answer: Answer) -> None:
    """The client is told to ask again, and nothing else."""
    assert 503 == answer.status
    assert "10" == answer.headers["Retry-After"]
    assert "Audit-Index" not in answer.headers


# ---------------------------------------------------------------- the store


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_name)
async def test_what_was_not_persisted_did_not_happen(face: Face, operation: Operation) -> None:
    """The commit fails: 503, no trace of it; asked again it happens once."""
    broken = face.break_commits()
    before = await contents(face)
    broken.fault = Fault.NOT_PERSISTED
    assert_in_doubt(await ask(face, operation))
    assert before == await contents(face)
    broken.fault = None
    answer = await ask(face, operation)
    assert operation.status == answer.status
    events = (await contents(face))[0]
    assert operation.event == events[int(answer.headers["Audit-Index"])]
    assert [operation.event] == [e for e in events[len(before[0]) :] if e not in FOLLOWING]
    await face.verify()


@pytest.mark.parametrize("operation", OPERATIONS, ids=operation_name)
async def test_what_was_persisted_is_found_when_asked_again(
    face: Face, operation: Operation
) -> None:
    """The commit lands, its answer is lost: 503; asked again nothing is done twice."""
    broken = face.break_commits()
    broken.fault = Fault.ANSWER_LOST
    assert_in_doubt(await ask(face, operation))
    broken.fault = None
    once = await contents(face)
    answer = await ask(face, operation)
    assert operation.status == answer.status
    twice = await contents(face)
    assert once[1:] == twice[1:]
    assert operation.event == [event for event in twice[0] if event not in FOLLOWING][-1]
    await face.verify()


async def test_a_read_whose_entry_may_be_lost_shows_no_state(face: Face) -> None:
    """Not a byte of the state leaves before its entry is durable."""
    broken = face.break_commits()
    for fault in Fault:
        broken.fault = fault
        answer = await face.ask("GET", WORKSPACE)
        assert_in_doubt(answer)
        assert b"lineage" not in answer.body


async def test_a_failed_login_that_can_not_be_recorded_is_in_doubt(face: Face) -> None:
    """Even who was refused is told only what is on record."""
    broken = face.break_commits()
    broken.fault = Fault.NOT_PERSISTED
    async with face._client.get(WORKSPACE) as reply:
        assert 503 == reply.status
    broken.fault = None
    async with face._client.get(WORKSPACE) as reply:
        assert 401 == reply.status


async def test_a_failed_commit_fails_everybody_in_it(face: Face) -> None:
    """Requests that shared the batch share its fate, and each may ask again."""
    broken = face.break_commits()
    broken.fault = Fault.NOT_PERSISTED
    addresses = [f"/state/many/{number}" for number in range(12)]
    failed = await asyncio.gather(*(face.ask("POST", each, KEPT) for each in addresses))
    assert [503] * 12 == [answer.status for answer in failed]
    broken.fault = None
    done = await asyncio.gather(*(face.ask("POST", each, KEPT) for each in addresses))
    assert [200] * 12 == [answer.status for answer in done]
    assert 14 == (await face.verify()).states


@pytest.mark.parametrize("fault", Fault, ids=operation_name)
async def test_a_restart_after_a_failed_commit_finds_a_whole_log(
    tmp_path: Path, fault: Fault
) -> None:
    """Whether it landed or not: the next start goes on from what is stored."""
    async with a_face(tmp_path / "data") as face:
        broken = face.break_commits()
        broken.fault = fault
        assert_in_doubt(await face.ask("POST", WORKSPACE, KEPT))
        broken.fault = None
    async with a_face(tmp_path / "data") as face:
        answer = await face.ask("GET", WORKSPACE)
        assert (404 if fault is Fault.NOT_PERSISTED else 200) == answer.status
        await face.verify()


async def test_a_store_that_failed_is_not_ready_until_it_writes_again(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe that commits nothing would be pleased with a full disk."""
    monkeypatch.setattr("proxy.server.readiness._FRESH", 0.0)
    assert 200 == (await face.ask("GET", "/readyz")).status
    broken = face.break_commits()
    broken.fault = Fault.NOT_PERSISTED
    assert_in_doubt(await face.ask("GET", WORKSPACE))
    assert 503 == (await face.ask("GET", "/readyz")).status
    broken.fault = None
    assert 200 == (await face.ask("GET", "/readyz")).status


# ---------------------------------------------------------------- the signer


def refuse(_: object) -> bytes:
    """Fail before anything is signed."""
    raise OSError("the key is gone")


def sign_in_vain(sign: Callable[..., object]) -> Callable[..., object]:
    """Sign, and lose the signature."""

    def lost(*arguments: object) -> object:
        sign(*arguments)
        raise TimeoutError("the signer did not answer")

    return lost


@pytest.mark.parametrize("is_answer_lost", [False, True], ids=["not-signed", "answer-lost"])
@pytest.mark.parametrize("key", ["entry", "checkpoint"])
@pytest.mark.parametrize("operation", [OPERATIONS[at] for at in (0, 3, 5)], ids=operation_name)
async def test_what_can_not_be_signed_does_not_happen(
    face: Face,
    operation: Operation,
    key: str,
    is_answer_lost: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that fails: 503, no trace; when it works again, so does everything."""
    audit = face.store._audit
    before = await contents(face)
    with monkeypatch.context() as patch:
        if key == "entry":
            failing = sign_in_vain(audit.sign_entry) if is_answer_lost else refuse
            patch.setattr(audit, "sign_entry", failing)
        else:
            real = audit.note_signer.sign
            signer = type("Signer", (), {"sign": staticmethod(refuse)})
            if is_answer_lost:
                signer = type("Signer", (), {"sign": staticmethod(sign_in_vain(real))})
            patch.setattr(audit, "note_signer", signer())
        assert_in_doubt(await ask(face, operation))
    assert before == await contents(face)
    assert operation.status == (await ask(face, operation)).status
    await face.verify()


# ---------------------------------------------------------------- the writer's lock


async def test_a_store_that_another_process_holds_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the busy time 503, nothing half done; when the other lets go, all goes on."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)
    async with a_face(tmp_path / "data") as face:
        assert 200 == (await face.ask("POST", WORKSPACE, KEPT)).status
        before = await contents(face)
        path = face.program.config.data.database
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                face.ask("POST", WORKSPACE, a_state(2)),
                face.ask("LOCK", WORKSPACE, a_lock_info()),
                face.ask("GET", WORKSPACE),
            )
            for answer in answers:
                assert_in_doubt(answer)
            assert before == await contents(face)
            other.execute("ROLLBACK")
        assert 200 == (await face.ask("POST", WORKSPACE, a_state(2))).status
        assert 2 == (await face.verify()).states


async def test_a_short_wait_for_another_process_is_only_a_wait(tmp_path: Path) -> None:
    """The command line beside the server costs nobody an error."""
    async with a_face(tmp_path / "data") as face:
        path = face.program.config.data.database
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(face.ask("POST", WORKSPACE, KEPT))
            await asyncio.sleep(0.2)
            assert not asking.done()
            other.execute("ROLLBACK")
            assert 200 == (await asking).status
