"""Tests of the witness over HTTP: the specification's statuses, two at once, faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.errors import UnavailableError
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.cosignature import add_cosignatures, cosignatures
from proxy.tlog.note import NoteSigner, NoteVerifier
from proxy.tlog.witnessing import AddCheckpoint, latest_path
from proxy.witness.ledger import Ledger
from proxy.witness.server import WitnessServer
from tests.fakes import CHECKPOINT_KEY
from tests.witness.logs import FORKED, LOG, WITNESS, at, request

NOW = 1_800_000_000


class Face:
    """A witness that listens, and whoever asks it."""

    def __init__(self, client: TestClient, ledger: Ledger) -> None:  # type: ignore[type-arg]
        self.client = client
        self.ledger = ledger
        self.now = NOW

    async def ask(self, of: AddCheckpoint | bytes) -> tuple[int, str, str]:
        """Return status, content type and body of the answer."""
        body = of if isinstance(of, bytes) else of.body()
        async with self.client.post("/add-checkpoint", data=body) as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run a witness of one log."""
    with closing(Ledger(tmp_path / "witness.db")) as ledger:
        logs = {"log.example": [NoteVerifier.parse(LOG.vkey)]}
        server = WitnessServer(WITNESS, logs, ledger, lambda: running.now)
        async with TestClient(TestServer(server.app())) as client:
            running = Face(client, ledger)
            yield running


async def test_a_log_that_grows_is_cosigned(face: Face) -> None:
    """Each answer is a signature line that makes the checkpoint a cosigned one."""
    for old, new in ((0, 0), (0, 5), (5, 5), (5, 12)):
        status, _, line = await face.ask(request(old, new))
        assert 200 == status
        cosigned = add_cosignatures(sign(at(new), LOG), [line])
        (found,) = cosignatures(cosigned, [WITNESS.verifier])
        assert NOW == found.seconds
        assert at(new) == face.ledger.latest("log.example")


async def test_a_conflict_tells_the_size_in_its_own_type(face: Face) -> None:
    """As the specification has it, to a byte."""
    await face.ask(request(0, 7))

    assert (409, "text/x.tlog.size", "7\n") == await face.ask(request(0, 9))
    assert (409, "text/x.tlog.size", "7\n") == await face.ask(request(7, 7, FORKED))


async def test_what_was_cosigned_last_is_shown(face: Face) -> None:
    """As the log signed it, to anybody: it proves what the witness says when it refuses."""
    path = f"/{latest_path('log.example')}"
    async with face.client.get(path) as answer:
        assert 404 == answer.status
    asked = request(0, 7)
    await face.ask(asked)
    await face.ask(request(7, 9, FORKED))
    async with face.client.get(path) as answer:
        assert (200, asked.note) == (answer.status, await answer.text())
    async with face.client.get("/latest-checkpoint/other") as answer:
        assert 404 == answer.status


async def test_every_other_refusal_has_its_status(face: Face) -> None:
    """400, 403, 404, 413, 422; and nothing was remembered."""
    other = NoteSigner("other.example", CHECKPOINT_KEY)
    stranger = NoteSigner("log.example", CHECKPOINT_KEY)
    unknown = AddCheckpoint(0, (), sign(Checkpoint("other.example", 1, bytes(32)), other))
    await face.ask(request(0, 7))

    assert 400 == (await face.ask(b"nonsense"))[0]
    assert 400 == (await face.ask(request(8, 7)))[0]
    assert 403 == (await face.ask(request(7, 9, signer=stranger)))[0]
    assert 404 == (await face.ask(unknown))[0]
    assert 413 == (await face.ask(b"x" * 70_000))[0]
    assert 422 == (await face.ask(request(7, 9, FORKED)))[0]
    assert at(7) == face.ledger.latest("log.example")


async def test_of_many_at_once_none_rolls_another_back(face: Face) -> None:
    """The race that the specification tells of: the size only ever grows, one answer a step."""
    await face.ask(request(0, 5))

    answers = await asyncio.gather(*(face.ask(request(5, 5 + more)) for more in range(1, 20)))

    statuses = [status for status, _, _ in answers]
    assert (1, 18) == (statuses.count(200), statuses.count(409))
    latest = face.ledger.latest("log.example")
    assert latest == at(5 + 1 + statuses.index(200))


async def test_what_could_not_be_remembered_is_not_cosigned(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 without a word of files, and the witness works again afterwards."""

    def full(*_: object) -> None:
        raise UnavailableError("/secret/place: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(face.ledger, "advance", full)
        status, _, text = await face.ask(request(0, 7))
    assert 503 == status
    assert "/secret" not in text
    assert 200 == (await face.ask(request(0, 7)))[0]


async def test_an_answer_that_was_lost_can_be_had_again(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remembered but never sent: the log is told the size and asks from there."""

    def dies(*_: object) -> str:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(type(WITNESS), "cosign", dies)
        assert 500 == (await face.ask(request(0, 7)))[0]
    assert (409, "text/x.tlog.size", "7\n") == await face.ask(request(0, 7))
    assert 200 == (await face.ask(request(7, 7)))[0]


async def test_a_clock_that_was_set_back_cosigns_nothing(face: Face) -> None:
    """503 until it is right again."""
    await face.ask(request(0, 7))
    face.now -= 60
    assert 503 == (await face.ask(request(7, 9)))[0]
    face.now += 60
    assert 200 == (await face.ask(request(7, 9)))[0]


async def test_it_says_whether_it_is_healthy(face: Face) -> None:
    """Only while it can read what it remembers."""
    async with face.client.get("/healthz") as answer:
        assert 200 == answer.status
    face.ledger.close()
    async with face.client.get("/healthz") as answer:
        assert 503 == answer.status
