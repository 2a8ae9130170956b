"""Tests of proxy.witnesses: who is asked when, what is kept, and what a witness can't do to us."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.contracts import Store
from proxy.cosigned import CosignedCheckpoint
from proxy.key_history import verify_own
from proxy.proof_service import ProofService
from proxy.reading_log import ReadingLog
from proxy.tlog.checkpoint import Checkpoint, sign, verify_checkpoint
from proxy.tlog.cosignature import cosignatures
from proxy.tlog.note import NoteSigner
from proxy.witnesses import REFRESH_SECONDS, Answer, Witnesses
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN
from tests.samples import a_draft, an_open_store
from tests.server.faces import NOW
from tests.witness.asked import Asked

VERIFIER = NoteSigner(ORIGIN, CHECKPOINT_KEY).verifier


@dataclass
class World:
    """A log, three witnesses, and whoever asks two of them to agree."""

    store: Store
    asked: Asked
    path: Path
    quorum: int = 2
    ahead: list[tuple[str, int]] = field(default_factory=list)
    forks: list[tuple[str, str]] = field(default_factory=list)

    async def restart(self) -> None:
        """Forget what is not in a file."""
        keys = [each.verifier for each in self.asked.cosigners]
        self.cosigned = CosignedCheckpoint(self.path, VERIFIER, keys, self.quorum)
        await self.cosigned.load(lambda note: verify_own(self.store, note, VERIFIER))
        readings = ReadingLog(self.store, window=60.0, now=lambda: NOW)
        proofs = ProofService(self.store, readings, VERIFIER)
        self.witnesses = Witnesses(
            self.asked.listed,
            self.cosigned,
            self.store,
            VERIFIER,
            prove=proofs.growth,
            root=proofs.root,
            post=self.asked.post,
            get=self.asked.get,
            clock=lambda: self.asked.now,
            on_ahead=lambda name, size: self.ahead.append((name, size)),
            on_fork=lambda name, note: self.forks.append((name, note)),
        )

    async def grow(self, entries: int = 1) -> None:
        """Commit so many entries."""
        for _ in range(entries):
            await self.store.write(lambda tx: tx.append(a_draft()))

    def size(self) -> int | None:
        """Return how many entries the cosigned checkpoint covers."""
        newest = self.cosigned.newest
        return None if newest is None else newest.checkpoint.size


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Begin with an empty log."""
    async with an_open_store(tmp_path) as store:
        with Asked(tmp_path, VERIFIER, 3) as asked:
            made = World(store, asked, tmp_path / "checkpoint.cosigned")
            await made.restart()
            yield made


async def test_an_empty_log_is_not_shown(world: World) -> None:
    """There is nothing to cosign."""
    await world.witnesses.ask()
    assert [] == world.asked.requests[0]


async def test_the_newest_checkpoint_is_cosigned_by_all(world: World) -> None:
    """In a file, as a note that the log's key and each witness's opens."""
    await world.grow(5)
    await world.witnesses.ask()
    note = world.path.read_text("utf-8")
    assert 5 == verify_checkpoint(note, VERIFIER).size
    assert 3 == len(cosignatures(note, [each.verifier for each in world.asked.cosigners]))


async def test_growth_is_proved_from_what_the_witness_knows(world: World) -> None:
    """One request each, not one for each commit."""
    for more in (3, 4, 300):
        await world.grow(more)
        await world.witnesses.ask()
    assert [0, 3, 7] == [each.old_size for each in world.asked.requests[0]]
    assert 307 == world.size()


async def test_after_a_start_the_witness_tells_how_far_it_was(world: World) -> None:
    """The answer 409 has the size."""
    await world.grow(5)
    await world.witnesses.ask()
    await world.grow(2)
    await world.restart()
    assert 5 == world.size()
    await world.witnesses.ask()
    assert [0, 0, 5] == [each.old_size for each in world.asked.requests[1]]
    assert 7 == world.size()


async def test_a_log_that_did_not_grow_is_cosigned_anew_after_a_while(world: World) -> None:
    """The age tells whether witnesses answer, not whether anybody uses Terraform."""
    await world.grow()
    await world.witnesses.ask()
    world.asked.now += REFRESH_SECONDS - 1
    await world.witnesses.ask()
    assert 1 == len(world.asked.requests[0])
    world.asked.now += 1
    await world.witnesses.ask()
    assert world.cosigned.newest is not None
    assert world.asked.now == world.cosigned.newest.seconds


async def test_one_of_three_that_is_down_is_done_without(world: World) -> None:
    """Two are wanted; when it is back it is shown the newest alone."""
    await world.grow()
    await world.witnesses.ask()
    world.asked.down = {1}
    await world.grow()
    await world.witnesses.ask()
    assert 2 == world.size()
    await world.grow()
    world.asked.down = set()
    await world.witnesses.ask()
    assert 3 == len(cosignatures(world.path.read_text(), [w.verifier for w in world.asked.listed]))
    assert 1 == world.asked.requests[1][-1].old_size


async def test_too_few_keep_what_was(world: World) -> None:
    """The file stays the newest that two agreed on."""
    await world.grow()
    await world.witnesses.ask()
    before = world.path.read_bytes()
    world.asked.down = {0, 2}
    await world.grow()
    await world.witnesses.ask()
    assert (1, before) == (world.size(), world.path.read_bytes())


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, b""), id="nothing"),
        pytest.param(Answer(200, b"\xff\xff"), id="no text"),
        pytest.param(Answer(200, b"hello\n"), id="no line"),
        pytest.param(
            Answer(200, "\N{EM DASH} witness.example/0 AAAAAAAAAAAA\n".encode()), id="another key"
        ),
        pytest.param(Answer(302, b""), id="a redirection"),
        pytest.param(Answer(403, b"no\n"), id="forbidden"),
        pytest.param(Answer(404, b"no\n"), id="not found"),
        pytest.param(Answer(409, b"lots\n"), id="no size"),
        pytest.param(Answer(409, b"1\n"), id="the same size again"),
        pytest.param(Answer(422, b"no\n"), id="a fork"),
        pytest.param(Answer(500, b""), id="a fault"),
    ],
)
async def test_no_answer_of_one_stops_the_others(world: World, answer: Answer) -> None:
    """Whatever it is, it is told in words and the two others suffice."""
    world.asked.instead[0] = answer
    await world.grow(3)
    await world.witnesses.ask()
    assert 3 == world.size()
    assert [] == world.ahead
    assert 3 >= len(world.asked.requests[0])


async def test_a_cosignature_of_the_wrong_text_does_not_count(world: World) -> None:
    """A witness could send an old one of its own."""
    line = world.asked.cosigners[0].cosign("other\n", world.asked.now)
    world.asked.instead[0] = Answer(200, line.encode())
    world.asked.down = {1}
    await world.grow()
    await world.witnesses.ask()
    assert world.size() is None


async def test_a_cosignature_from_the_future_does_not_count(world: World) -> None:
    """It would look fresh for long."""
    await world.grow()
    world.asked.now += 10_000
    world.witnesses._clock = lambda: world.asked.now - 10_000
    await world.witnesses.ask()
    assert world.size() is None


async def test_a_witness_that_knows_more_of_the_log_is_told_of(tmp_path: Path) -> None:
    """The newest database was lost, and last week's was put in its place."""
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    with Asked(tmp_path, VERIFIER, 3) as asked:
        async with an_open_store(tmp_path / "new") as store:
            world = World(store, asked, tmp_path / "a")
            await world.restart()
            await world.grow(5)
            await world.witnesses.ask()
            newest = await store.checkpoint()
        async with an_open_store(tmp_path / "old") as store:
            world = World(store, asked, tmp_path / "b")
            await world.restart()
            await world.grow(2)
            await world.witnesses.ask()
            assert sorted(world.ahead) == [(f"witness.example/{n}", 5) for n in range(3)]
            assert world.size() is None
            # Grown past what the witnesses know, it is a fork, and nobody cosigns it.
            assert [] == world.forks
            await world.grow(7)
            await world.witnesses.ask()
            assert world.size() is None
            assert sorted(world.forks) == [(f"witness.example/{n}", newest) for n in range(3)]


async def forked(tmp_path: Path, asked: Asked, then: int, now: int) -> World:
    """Let the witnesses see a log of a size, and ask them about another of its name and key."""
    for name, size in (("then", then), ("now", now)):
        (tmp_path / name).mkdir()
        async with an_open_store(tmp_path / name) as store:
            world = World(store, asked, tmp_path / f"{name}.cosigned")
            await world.restart()
            await world.grow(size)
            await world.witnesses.ask()
    return world


@pytest.mark.parametrize("now", [5, 9])
async def test_a_fork_is_told_of_with_what_proves_it(tmp_path: Path, now: int) -> None:
    """Of the same size as what the witness knows, or a larger one."""
    with Asked(tmp_path, VERIFIER, 3) as asked:
        world = await forked(tmp_path, asked, 5, now)
    assert sorted(name for name, _ in world.forks) == [f"witness.example/{n}" for n in range(3)]
    assert {5} == {verify_checkpoint(note, VERIFIER).size for _, note in world.forks}
    assert world.size() is None


OTHER = NoteSigner(ORIGIN, ENTRY_KEY)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(Answer(404, b"no\n"), id="another program's witness"),
        pytest.param(Answer(200, b"\xff"), id="no text"),
        pytest.param(Answer(200, b"nonsense\n"), id="no checkpoint"),
        pytest.param(
            Answer(200, sign(Checkpoint(ORIGIN, 3, b"x" * 32), OTHER).encode()), id="another key's"
        ),
    ],
)
@pytest.mark.parametrize("answers", [(Answer(409, b"3\n"),), (Answer(422, b""),)])
async def test_a_claim_without_proof_stops_nothing(
    world: World, shown: Answer, answers: tuple[Answer]
) -> None:
    """A witness that lies, or is at fault, costs its own cosignature."""
    (world.asked.instead[0],) = answers
    world.asked.shown[0] = shown
    await world.grow(3)
    await world.witnesses.ask()
    assert ([], [], 3) == (world.forks, world.ahead, world.size())
    assert "shows nothing that proves it" in world.witnesses._failures["witness.example/0"]


async def test_a_true_checkpoint_proves_no_fork(world: World) -> None:
    """Whatever the witness says of it; nor one that is larger than the log."""
    await world.grow(2)
    old = await world.store.checkpoint()
    await world.grow(2)
    larger = sign(Checkpoint(ORIGIN, 50, b"x" * 32), NoteSigner(ORIGIN, CHECKPOINT_KEY))
    world.asked.instead[0] = Answer(422, b"")
    for note in (old, await world.store.checkpoint(), larger):
        world.asked.shown[0] = Answer(200, note.encode())
        await world.grow()
        await world.witnesses.ask()
    assert [] == world.forks


async def test_a_disk_that_is_full_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next round tries again."""
    await world.grow()
    rounds = 0

    async def sleep(seconds: float) -> None:
        nonlocal rounds
        assert 5.0 == seconds
        rounds += 1
        if rounds == 1:
            assert world.size() is None
            monkeypatch.undo()
        else:
            raise asyncio.CancelledError

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxy.cosigned.replace_text", full)
    with pytest.raises(asyncio.CancelledError):
        await world.witnesses.run(5.0, sleep)
    assert 1 == world.size()


async def test_a_witness_tells_how_far_it_knows_the_log(world: World) -> None:
    """By what it shows, which the log's key signed; else by its word; one that is down by nothing.

    None of them stops anything.
    """
    await world.grow(5)
    await world.witnesses.ask()
    world.asked.shown = {n: Answer(404, b"none\n") for n in (1, 2)}
    world.asked.down = {2}
    told = {each.witness: each for each in await world.witnesses.tell()}
    names = [each.verifier.name for each in world.asked.cosigners]
    assert [5, 5, None] == [told[name].size for name in names]
    assert [True, False, False] == [bool(told[name].note) for name in names]
    assert "can't be reached" in told[names[2]].error
    assert [] == [*world.ahead, *world.forks]
