"""What contracts.Store and contracts.Transaction promise, as tests that every store passes.

A store's own test module subclasses StoreContract and gives the fixture ``reopen``.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from proxy import runs
from proxy.access import Principal, View
from proxy.contracts import (
    Baseline,
    Committed,
    LogQuery,
    StateVersion,
    Store,
    StoredPassword,
    StoredSession,
    StoredToken,
    Transaction,
)
from proxy.directory import Object, WorkspaceRecord, document_of, read_record
from proxy.errors import InvalidInputError, UnauthenticatedError, UnavailableError
from proxy.refusals import AccessChangedError
from proxy.timestamps import micros_of, rfc3339
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.entry import key_id
from proxy.tlog.merkle import tree_hash
from proxy.tlog.proof import root_hash, root_nodes
from proxy.tlog.tiles import Tile, hash_of, tile_of
from proxy.tlog.verify import LogVerifier
from tests.contracts import sinks_contract
from tests.fakes import ENTRY_KEY, START
from tests.samples import (
    WORKSPACE,
    a_draft,
    a_held_lock,
    a_version,
    an_audit_log,
    events_of,
    log_of,
)

T = TypeVar("T")

Reopen: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens the same data once more; what it gives may be entered any number of times."""

DIGEST = bytes(range(32))


def a_token(name: str = "ci", number: int = 1) -> StoredToken:
    """Return a token as it is kept."""
    return StoredToken(
        id=f"0193-{number}",
        name=name,
        role="writer",
        workspaces=("prod/*", "dev"),
        hint="a1b2c3",
        created=rfc3339(START + number),
        expires=None,
        revoked=None,
    )


def an_object(**fields: Any) -> Object:
    """Return a principal as the directory keeps it."""
    record = read_record("principal", {"name": "alice", **fields})
    when = rfc3339(START)
    identity = "00000000-0000-7000-8000-000000000001"
    return Object("principal", "alice", identity, when, when, document_of(record))


def a_session(number: int = 1) -> StoredSession:
    """Return a session as it is kept."""
    return StoredSession(
        id=f"0193-s{number}",
        principal="alice",
        created=rfc3339(START),
        seen=rfc3339(START),
        seen_from="10.0.0.1",
        expires="2999-01-01T00:00:00.000000Z",
    )


def as_session(tx: Transaction) -> None:
    """Do something in the session."""
    entry = a_draft("in the session")
    entry.entry["actor"] = {"type": "user", "id": "alice", "name": "alice", "session": "0193-s1"}
    tx.append(entry)


def _add(version: StateVersion, tx: Transaction, sealed: bytes = b"sealed") -> None:
    tx.add_version(version, sealed)


def _kept(tx: Transaction) -> list[StateVersion]:
    return tx.kept_versions(WORKSPACE)


def _rotate_master(new: str, tx: Transaction) -> None:
    rotated = a_draft(event="key.rotated")
    rotated.entry["master"] = {"old": "x", "new": new, "versions": 0}
    tx.append(rotated)


def _set_run(run: runs.Run, tx: Transaction) -> None:
    tx.set_run(run)


async def _newest(store: Store) -> StateVersion:
    """Return the newest version of the last workspace that is listed."""
    head = (await store.workspaces())[-1].head
    assert head is not None
    return head


async def verify_whole(store: Store) -> int:
    """Verify every entry and every checkpoint with the public keys alone; return the size.

    Raises:
        VerificationError: something does not hold.
    """
    public = ENTRY_KEY.public_key()
    checkpoint_verifier = an_audit_log().note_signer.verifier
    verifier = LogVerifier({key_id(public.public_bytes_raw()): public}, [checkpoint_verifier])
    notes = {size: note async for size, note in store.checkpoints()}
    size = 0
    async for stored in store.entries(LogQuery()):
        verifier.add(stored.record)
        size += 1
        if size in notes:
            verifier.at(notes.pop(size))
    if size:
        verifier.finish(await store.checkpoint())
    assert not notes
    return size


def a_run(workspace: str = WORKSPACE) -> runs.Run:
    """Return a run that has begun."""
    locked = runs.Evidence("state.locked", 0)
    return runs.Run(workspace, "lock-1", "plan", "bob@laptop", "1.11.4", rfc3339(START), (locked,))


def an_identity(claims: dict[str, object]) -> dict[str, object]:
    """Return the actor of an entry: an identity of a pipeline of acme/infra."""
    said = {"repository": "acme/infra", **claims}
    return {"type": "oidc", "id": "ci:x", "name": "acme/infra", "issuer": "ci", "claims": said}


class JobError(Exception):
    """What a job of these tests raises."""


def appends(*messages: str) -> Callable[[Transaction], None]:
    """Return a job that appends an entry for each message."""

    def run(tx: Transaction) -> None:
        for message in messages:
            tx.append(a_draft(message))

    return run


def prunes(baseline: Baseline) -> Callable[[Transaction], None]:
    """Return a job that lets entries be dropped and records it."""

    def run(tx: Transaction) -> None:
        tx.set_baseline(baseline)
        tx.append(a_draft())

    return run


def adds(version: StateVersion, sealed: bytes = b"") -> Callable[[Transaction], None]:
    """Return a job that adds a version and records it."""

    def run(tx: Transaction) -> None:
        tx.append(a_draft())
        tx.add_version(version, sealed)

    return run


def recorded(job: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
    """Return the job with an entry before what it does, since no effect may be without one."""

    def run(tx: Transaction) -> T:
        tx.append(a_draft())
        return job(tx)

    return run


def puts_in_force(packed: bytes) -> Callable[[Transaction], None]:
    """Return a job that changes the policy."""
    return lambda tx: tx.set_policy(packed)


def uses_token(
    ip: str = "10.0.0.9", outcome: str = "success", by: str = "0193-1"
) -> Callable[[Transaction], str]:
    """Return a job that does something with the token of these tests."""

    def run(tx: Transaction) -> str:
        entry = a_draft()
        entry.entry["actor"] = {"type": "token", "id": by, "name": "ci"}
        entry.entry["source"] = {"ip": ip}
        entry.entry["outcome"] = outcome
        tx.append(entry)
        return tx.time

    return run


class StoreContract:
    """The promises, one a test."""

    @pytest.fixture
    async def stack(self) -> AsyncIterator[AsyncExitStack]:
        """Close at the end whatever a test opens."""
        async with AsyncExitStack() as stack:
            yield stack

    @pytest.fixture
    async def store(self, reopen: Reopen, stack: AsyncExitStack) -> Store:
        """Open an empty store."""
        return await stack.enter_async_context(reopen())

    # ------------------------------------------------------------ sinks

    @pytest.mark.parametrize("check", sinks_contract.CHECKS)
    async def test_what_is_kept_of_sinks(
        self, store: Store, check: Callable[[Store], Awaitable[None]]
    ) -> None:
        """See sinks_contract."""
        await check(store)

    async def test_what_is_kept_of_sinks_survives(
        self, stack: AsyncExitStack, reopen: Reopen
    ) -> None:
        """A restart changes nothing."""
        async with reopen() as store:
            await sinks_contract.with_sinks(store)

            def fill(tx: Transaction) -> None:
                tx.keep_delivery(sinks_contract.DELIVERY)
                tx.note_dead_letters([sinks_contract.letter(3)])
                tx.add_replay(sinks_contract.REPLAY)
                tx.append(a_draft())

            await store.write(fill)
        again = await stack.enter_async_context(reopen())
        assert [sinks_contract.DELIVERY] == await again.deliveries()
        assert [sinks_contract.letter(3)] == await again.dead_letters(sinks_contract.SINK.id)
        assert [sinks_contract.REPLAY] == await again.replays()

    # ------------------------------------------------------------ an empty store

    async def test_an_empty_store_says_that_it_is_empty(self, store: Store) -> None:
        """Nothing is there, and that is certain."""
        assert 0 == await store.size()
        assert "" == await store.checkpoint()
        assert [] == [each async for each in store.checkpoints()]
        assert [] == await log_of(store)
        assert [] == await store.workspaces()
        assert [] == await store.versions(WORKSPACE)
        assert [] == await store.locks()
        assert [] == await store.tokens()
        assert store.token_by_digest(DIGEST) is None

    async def test_a_missing_body_is_never_an_empty_answer(self, store: Store) -> None:
        """A version that is on record but has no body is a failure."""
        with pytest.raises(UnavailableError):
            await store.sealed("0193")

    # ------------------------------------------------------------ jobs and batches

    async def test_a_write_gives_the_jobs_value_and_the_index_of_its_last_entry(
        self, store: Store
    ) -> None:
        """From 0; a job may append any number of entries."""

        def job(tx: Transaction) -> str:
            tx.append(a_draft("first"))
            tx.append(a_draft("second"))
            return "value"

        committed = await store.write(job)
        assert ("value", 1) == (committed.value, committed.index)
        assert ["first", "second"] == [entry["message"] for entry in await log_of(store)]

    async def test_an_entry_that_is_appended_is_told_its_index(self, store: Store) -> None:
        """Before it is committed, also when jobs before it in the batch fail."""

        def job(tx: Transaction) -> tuple[int, int]:
            return tx.append(a_draft("first")), tx.append(a_draft("second"))

        def fails(tx: Transaction) -> None:
            tx.append(a_draft("failed"))
            raise JobError

        answers = await asyncio.gather(
            *(store.write(each) for each in (job, fails, job)), return_exceptions=True
        )
        told = [answer.value for answer in answers if isinstance(answer, Committed)]
        assert [(0, 1), (2, 3)] == told
        messages = [entry["message"] for entry in await log_of(store)]
        assert ["first", "second", "first", "second"] == messages

    async def test_the_index_of_a_write_is_not_that_of_what_was_inferred(
        self, store: Store
    ) -> None:
        """Who asked for something is told the entry of that; unless there is no other."""

        def inferred(tx: Transaction) -> None:
            entry = a_draft("inferred")
            entry.entry["inferred_from"] = []
            tx.append(entry)

        def both(tx: Transaction) -> None:
            tx.append(a_draft("asked for"))
            inferred(tx)
            inferred(tx)

        assert 0 == (await store.write(both)).index
        assert 3 == (await store.write(inferred)).index

    async def test_a_job_without_entries_has_no_index(self, store: Store) -> None:
        """And makes no checkpoint."""
        committed = await store.write(lambda _: "value")
        assert ("value", None, "") == (
            committed.value,
            committed.index,
            await store.checkpoint(),
        )

    async def test_no_effect_without_its_entry(self, store: Store) -> None:
        """A job that changes something and records nothing is a bug, and is undone."""
        with pytest.raises(AssertionError, match="recorded nothing"):
            await store.write(lambda tx: tx.set_lock(a_held_lock()))
        assert [] == await store.locks()

    async def test_a_job_that_raises_leaves_nothing(self, store: Store) -> None:
        """Neither its changes nor its entries, and the caller gets what it raised."""

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.add_version(a_version(), b"sealed")
            tx.set_lock(a_held_lock())
            tx.add_token(a_token(), DIGEST)
            raise JobError

        with pytest.raises(JobError):
            await store.write(job)
        assert 0 == await store.size()
        assert [] == await store.workspaces()
        assert [] == await store.tokens()

    async def test_a_job_that_fails_undoes_only_itself(self, store: Store) -> None:
        """Its neighbours in the batch, before and behind, are kept whole and in order."""

        def job(number: int) -> Callable[[Transaction], int]:
            def run(tx: Transaction) -> int:
                tx.set_lock(a_held_lock(f"lock-{number}", workspace=f"ws-{number}"))
                tx.append(a_draft(str(number)))
                if number % 3 == 1:
                    raise JobError
                return number

            return run

        answers = await asyncio.gather(
            *(store.write(job(number)) for number in range(9)), return_exceptions=True
        )
        kept = [0, 2, 3, 5, 6, 8]
        assert [number % 3 != 1 for number in range(9)] == [
            not isinstance(answer, JobError) for answer in answers
        ]
        assert [str(number) for number in kept] == [e["message"] for e in await log_of(store)]
        assert [f"lock-{number}" for number in kept] == [
            lock.id for lock in sorted(await store.locks(), key=lambda lock: lock.id)
        ]
        assert 6 == await verify_whole(store)

    async def test_an_oversize_entry_fails_alone(self, store: Store) -> None:
        """The job that appended it is refused and undone; the others are kept."""

        def oversize(tx: Transaction) -> None:
            tx.set_lock(a_held_lock(workspace="too-large"))
            tx.append(a_draft("good"))
            tx.append(a_draft("x" * 70_000))

        answers = await asyncio.gather(
            store.write(lambda tx: tx.append(a_draft("before"))),
            store.write(oversize),
            store.write(lambda tx: tx.append(a_draft("behind"))),
            return_exceptions=True,
        )
        assert isinstance(answers[1], InvalidInputError)
        assert ["before", "behind"] == [entry["message"] for entry in await log_of(store)]
        assert [] == await store.locks()
        assert 2 == await verify_whole(store)

    async def test_a_job_sees_what_earlier_jobs_did(self, store: Store) -> None:
        """Of a hundred who want the lock at once exactly one finds it free."""

        def take(number: int) -> Callable[[Transaction], bool]:
            def job(tx: Transaction) -> bool:
                if tx.lock(WORKSPACE) is not None:
                    return False
                tx.set_lock(a_held_lock(f"lock-{number}"))
                return True

            return job

        answers = await asyncio.gather(
            *(store.write(recorded(take(number))) for number in range(100))
        )
        assert 1 == sum(answer.value for answer in answers)
        assert 1 == len(await store.locks())

    async def test_a_job_does_not_see_what_a_failed_one_did(self, store: Store) -> None:
        """The lock that a failed job took is free for the next of the same batch."""

        def fails(tx: Transaction) -> None:
            tx.set_lock(a_held_lock())
            raise JobError

        _, seen = await asyncio.gather(
            store.write(fails), store.write(lambda tx: tx.lock(WORKSPACE)), return_exceptions=True
        )
        assert not isinstance(seen, BaseException)
        assert seen.value is None

    async def test_the_order_of_indices_is_the_order_of_commits(self, store: Store) -> None:
        """A hundred writers: each index once, none left out, each caller told its own."""

        async def writer(number: int) -> list[tuple[int | None, str]]:
            found = []
            for turn in range(5):
                name = f"{number}/{turn}"
                committed = await store.write(appends(name))
                found.append((committed.index, name))
            return found

        told = [each for found in await asyncio.gather(*map(writer, range(100))) for each in found]
        assert [name for _, name in sorted(told, key=lambda each: each[0] or 0)] == [
            entry["message"] for entry in await log_of(store)
        ]
        assert list(range(500)) == sorted(index for index, _ in told if index is not None)
        assert 500 == await verify_whole(store)

    async def test_a_write_that_was_given_up_is_whole_or_not_there(self, store: Store) -> None:
        """A caller that is cancelled while it waits does not tear its job apart."""

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.set_lock(a_held_lock())

        task = asyncio.create_task(store.write(job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.write(lambda _: None)
        assert await store.size() == len(await store.locks())

    async def test_each_commit_has_a_checkpoint_of_its_size(self, store: Store) -> None:
        """The newest, that of a size, and all of them."""
        for number in range(3):
            await store.write(appends(*"abc"[: number + 1]))
        verifier = an_audit_log().note_signer.verifier
        found = [(size, note) async for size, note in store.checkpoints()]
        assert [1, 3, 6] == [size for size, _ in found]
        assert all(size == verify_checkpoint(note, verifier).size for size, note in found)
        assert found[-1][1] == await store.checkpoint()
        assert found[1][1] == await store.checkpoint(3)
        assert "" == await store.checkpoint(2)

    # ------------------------------------------------------------ readers

    async def test_a_reader_sees_only_what_is_committed(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """While a job is under way nobody sees its entry or its lock; afterwards everybody."""
        other = await stack.enter_async_context(reopen())
        await store.write(lambda tx: tx.append(a_draft("before")))
        is_inside, may_end = threading.Event(), threading.Event()

        def job(tx: Transaction) -> None:
            tx.append(a_draft("under way"))
            tx.set_lock(a_held_lock())
            is_inside.set()
            may_end.wait(10)

        writing = asyncio.create_task(store.write(job))
        await asyncio.to_thread(is_inside.wait, 10)
        during = [(await each.size(), await each.locks()) for each in (store, other)]
        may_end.set()
        await writing
        after = [(await each.size(), await each.locks()) for each in (store, other)]
        assert [(1, [])] * 2 == during
        assert [(2, [a_held_lock()])] * 2 == after

    async def test_a_reading_of_the_log_ends_where_it_began(self, store: Store) -> None:
        """Entries that come while it is read are not in it."""
        await store.write(appends("a", "b", "c"))
        seen = 0
        async for _ in store.entries(LogQuery()):
            seen += 1
            await store.write(lambda tx: tx.append(a_draft()))
        assert 3 == seen

    # ------------------------------------------------------------ the log

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (LogQuery(), "abcdef"),
            (LogQuery(newest_first=True), "fedcba"),
            (LogQuery(limit=2), "ab"),
            (LogQuery(limit=2, newest_first=True), "fe"),
            (LogQuery(limit=0), ""),
            (LogQuery(after=3), "ef"),
            (LogQuery(event="state.*"), "abcd"),
            (LogQuery(event="state.written"), "c"),
            (LogQuery(outcome="denied"), "d"),
            (LogQuery(workspace="prod/*"), "ab"),
            (LogQuery(workspace="*"), "abcd"),
            (LogQuery(workspace="prod/[n]etwork"), ""),
            (LogQuery(view=View(("prod/network", "dev"))), "ac"),
            (LogQuery(view=View(("prod/*", "*"))), "abcdef"),
            (LogQuery(view=View(())), ""),
            (LogQuery(actor="bob"), "b"),
            (LogQuery(actor="id-of-bob"), "b"),
            (LogQuery(actor="laptop"), "c"),
            (LogQuery(actor="carol"), "c"),
            (LogQuery(actor="carol", event="state.read"), ""),
            (LogQuery(source_ip="10.0.0.9"), "e"),
            (LogQuery(claims=(("repository", "acme/infra"),)), "df"),
            (LogQuery(claims=(("repository", "acme/infra"), ("run_id", "7"))), "f"),
            (LogQuery(claims=(("groups", "ops"),)), "f"),
            (LogQuery(claims=(("https://x.example/a.b", "1"),)), "f"),
            (LogQuery(claims=(("groups", '["dev","ops"]'),)), ""),
            (LogQuery(workspace="prod/*", actor="bob", newest_first=True), "b"),
        ],
        ids=repr,
    )
    async def test_a_query_narrows_the_log(
        self, store: Store, query: LogQuery, expected: str
    ) -> None:
        """Each field alone, and some together."""

        def job(tx: Transaction) -> None:
            parts_of: dict[str, dict[str, object]] = {
                "a": {"workspace": "prod/network"},
                "b": {
                    "workspace": "prod/eu/db",
                    "actor": {"type": "user", "id": "id-of-bob", "name": "bob"},
                },
                "c": {
                    "workspace": "dev",
                    "event": "state.written",
                    "outcome": "conflict",  # a success needs a token that there is
                    "actor": {"type": "token", "id": "7", "name": "laptop", "principal": "carol"},
                },
                "d": {"workspace": "x[y", "outcome": "denied", "actor": an_identity({})},
                "e": {"event": "auth.failed", "source": {"ip": "10.0.0.9"}},
                "f": {
                    "event": "audit.read",
                    "actor": an_identity(
                        {"run_id": "7", "groups": ["dev", "ops"], "https://x.example/a.b": "1"}
                    ),
                },
            }
            for message, parts in parts_of.items():
                entry = a_draft(message)
                entry.entry.update(parts)
                tx.append(entry)

        await store.write(job)
        assert expected == "".join([entry["message"] for entry in await log_of(store, query)])

    async def test_a_query_by_time_takes_the_beginning_and_not_the_end(self, store: Store) -> None:
        """``since`` is inclusive, ``until`` exclusive."""
        await store.write(appends(*"abcd"))
        times = [entry["time"] for entry in await log_of(store)]
        found = await log_of(store, LogQuery(since=times[1], until=times[3]))
        assert ["b", "c"] == [entry["message"] for entry in found]

    async def test_a_document_is_kept_beside_its_entry(self, store: Store) -> None:
        """And an entry without one has none."""
        with_one = a_draft()._replace(document=b'{"items": []}')
        await store.write(lambda tx: tx.append(with_one))
        await store.write(appends("without one"))
        documents = [stored.document async for stored in store.entries(LogQuery())]
        assert [b'{"items": []}', None] == documents

    async def test_the_time_of_a_transaction_is_that_of_its_first_entry(self, store: Store) -> None:
        """What is stored and what is recorded bear the same time."""

        def job(tx: Transaction) -> str:
            tx.append(a_draft())
            return tx.time

        committed = await store.write(job)
        assert committed.value == (await log_of(store))[0]["time"]

    # ------------------------------------------------------------ states

    async def test_a_version_becomes_the_newest(self, store: Store) -> None:
        """By the transaction, in the lists, and its body as it was."""
        first, second = a_version(1), a_version(2)
        await store.write(recorded(lambda tx: tx.add_version(first, b"one")))
        await store.write(recorded(lambda tx: tx.add_version(second, b"two")))
        assert second == (await store.write(lambda tx: tx.head(WORKSPACE))).value
        assert [second, first] == await store.versions(WORKSPACE)
        assert [b"one", b"two"] == [await store.sealed(each.id) for each in (first, second)]

    async def test_a_version_by_another_process_is_the_newest_at_once(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """What was the newest before, or that there was none, is not remembered past its time."""
        other = await stack.enter_async_context(reopen())
        seen = []
        for number in (1, 2):
            seen.append((await store.write(lambda tx: tx.head(WORKSPACE))).value)
            await other.write(adds(a_version(number)))
            seen.append((await store.write(lambda tx: tx.head(WORKSPACE))).value)
        assert [None, 1, 1, 2] == [version and version.number for version in seen]

    async def test_a_version_of_a_failed_job_was_never_the_newest(self, store: Store) -> None:
        """Neither to the next job of the batch nor to one that comes later."""
        first = a_version(1)

        def fails(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.add_version(a_version(2), b"two")
            raise JobError

        await store.write(recorded(lambda tx: tx.add_version(first, b"one")))
        _, next_of_batch = await asyncio.gather(
            store.write(fails), store.write(lambda tx: tx.head(WORKSPACE)), return_exceptions=True
        )
        later = await store.write(lambda tx: tx.head(WORKSPACE))
        assert not isinstance(next_of_batch, BaseException)
        assert [first, first] == [next_of_batch.value, later.value]

    async def test_destroyed_bodies_are_gone_and_their_versions_stay(self, store: Store) -> None:
        """Of one workspace; of others nothing is touched."""
        first, second, foreign = a_version(1), a_version(2), a_version(3, workspace="dev")
        for version in (first, second, foreign):
            await store.write(recorded(partial(_add, version)))
        await store.write(recorded(lambda tx: tx.destroy_bodies(WORKSPACE, 1)))
        assert b"sealed" == await store.sealed(second.id)
        await store.write(recorded(lambda tx: tx.destroy_bodies(WORKSPACE, 2)))
        await store.scrub()
        for version in (first, second):
            with pytest.raises(UnavailableError):
                await store.sealed(version.id)
        assert b"sealed" == await store.sealed(foreign.id)
        assert [second, first] == await store.versions(WORKSPACE)
        assert second == (await store.write(lambda tx: tx.head(WORKSPACE))).value

    async def test_pruned_versions_are_marked_and_their_bodies_gone(self, store: Store) -> None:
        """Of those that were named; when, and by which entry. The newest is what it was."""
        versions = [a_version(number) for number in range(1, 6)]
        versions[-1] = versions[-1]._replace(run=rfc3339(START))
        for version in versions:
            await store.write(recorded(partial(_add, version)))

        def prune(tx: Transaction) -> tuple[str, int]:
            index = tx.append(a_draft())
            tx.prune_versions([versions[place].id for place in (0, 2, 3)], index)
            return tx.time, index

        assert versions == (await store.write(_kept)).value
        assert [] == await store.pruned_versions(0)
        time, index = (await store.write(prune)).value
        await store.scrub()
        gone = [versions[place].id for place in (0, 2, 3)]
        for version_id in gone:
            with pytest.raises(UnavailableError):
                await store.sealed(version_id)
        assert b"sealed" == await store.sealed(versions[1].id) == await store.sealed(versions[4].id)
        marked = [
            each._replace(pruned=time, pruned_by=index) if each.id in gone else each
            for each in versions
        ]
        assert marked[::-1] == await store.versions(WORKSPACE)
        # The third follows right after one that is kept.
        assert [marked[1], marked[2], marked[4]] == (await store.write(_kept)).value
        assert [marked[1], marked[2], marked[4]] == await store.kept_versions(WORKSPACE)
        assert marked[0] == (await store.write(lambda tx: tx.version(WORKSPACE, "1"))).value
        assert marked[4] == (await store.write(lambda tx: tx.head(WORKSPACE))).value
        assert [(5, 3)] == [(each.versions, each.pruned) for each in await store.workspaces()]
        assert set(gone) == {each for _, each in await store.pruned_versions(index)}
        assert [] == await store.pruned_versions(index + 1)

    async def test_a_pruning_of_a_failed_job_never_happened(self, store: Store) -> None:
        """Neither the mark nor the loss."""
        first = a_version(1)
        await store.write(recorded(partial(_add, first)))
        await store.write(recorded(partial(_add, a_version(2))))

        def fails(tx: Transaction) -> None:
            tx.prune_versions([first.id], tx.append(a_draft()))
            raise JobError

        with pytest.raises(JobError):
            await store.write(fails)
        assert b"sealed" == await store.sealed(first.id)
        assert first == (await store.versions(WORKSPACE))[-1]

    async def test_bodies_begin_otherwise_and_go_on_as_they_were(self, store: Store) -> None:
        """Whatever bytes stand in them; those of destroyed ones are not there."""
        bodies = {a_version(1): b"\0\xffhead\0one\0", a_version(2): b"head2", a_version(3): b"gone"}
        for version, body in bodies.items():
            await store.write(recorded(partial(_add, version, sealed=body)))
        _, second, third = bodies
        await store.write(recorded(lambda tx: tx.destroy_bodies(WORKSPACE, 1)))
        heads = (await store.write(lambda tx: tx.body_heads(3))).value
        assert [(second, b"hea"), (third, b"gon")] == sorted(
            heads, key=lambda found: found[0].number
        )

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.set_body_head(second.id, b"\0\xff\0")

        await store.write(job)
        assert b"\0\xff\0d2" == await store.sealed(second.id)
        assert b"gone" == await store.sealed(third.id)

    async def test_a_key_is_asked_whether_it_opens_what_is_stored(self, store: Store) -> None:
        """By how the newest bodies begin."""
        seen: list[tuple[StateVersion, bytes]] = []

        def opens(version: StateVersion, head: bytes) -> bool:
            seen.append((version, head))
            return head == b"se"

        first = a_version(1)
        await store.write(recorded(partial(_add, first)))
        await store.write(lambda tx: tx.require_master("id", opens, 2))
        assert [(first, b"se")] == seen

    async def test_a_key_that_opens_nothing_of_what_is_stored_is_refused(
        self, store: Store
    ) -> None:
        """Nobody could read what would be stored under it."""
        await store.write(recorded(partial(_add, a_version(1))))
        with pytest.raises(UnavailableError, match="master key"):
            await store.write(lambda tx: tx.require_master("id", lambda *_: False, 2))

    async def test_where_nothing_is_stored_the_newest_rotation_tells_the_master_key(
        self, store: Store
    ) -> None:
        """Whoever has the retired one would store what nobody can read."""
        for new in ("first", "second"):
            await store.write(partial(_rotate_master, new))
        await store.write(lambda tx: tx.require_master("second", lambda *_: False, 2))

    async def test_where_nothing_is_stored_and_none_was_rotated_any_master_key_will_do(
        self, store: Store
    ) -> None:
        """It is the log's first."""
        await store.write(lambda tx: tx.require_master("any", lambda *_: False, 2))

    async def test_where_nothing_is_stored_a_retired_master_key_is_refused(
        self, store: Store
    ) -> None:
        """By the entry that brought in the newest."""
        await store.write(partial(_rotate_master, "y"))
        with pytest.raises(UnavailableError, match="master key"):
            await store.write(lambda tx: tx.require_master("x", lambda *_: True, 2))

    async def test_workspaces_that_were_made_ahead_are_listed(self, store: Store) -> None:
        """With their settings; what was destroyed is no newest version."""
        record = read_record("workspace", {"name": "ahead", "protected": True})
        ahead = an_object()._replace(
            kind="workspace", name="ahead", document=document_of(record), created=rfc3339(START - 9)
        )
        purged = read_record("workspace", {"name": WORKSPACE, "destroyed_versions": 1})
        gone = ahead._replace(name=WORKSPACE, id="other", document=document_of(purged))
        await store.write(recorded(lambda tx: tx.put_object(ahead)))
        await store.write(recorded(partial(_add, a_version())))
        await store.write(recorded(lambda tx: tx.put_object(gone)))
        await store.write(recorded(lambda tx: tx.set_lock(a_held_lock(workspace="locked"))))
        listed = await store.workspaces()
        assert [("ahead", None, 0), ("locked", None, 0), (WORKSPACE, None, 1)] == [
            (each.name, each.head, each.versions) for each in listed
        ]
        assert [record, WorkspaceRecord(name="locked"), purged] == [each.record for each in listed]
        assert rfc3339(START - 9) == listed[0].created
        await store.write(recorded(partial(_add, a_version(2))))
        assert a_version(2)._replace(id="") == (await _newest(store))._replace(id="")

    async def test_a_version_is_found_by_id_and_by_number(self, store: Store) -> None:
        """In its own workspace only."""
        first, second = a_version(1), a_version(2)
        foreign = a_version(1, workspace="dev")

        def add(tx: Transaction) -> None:
            for version in (first, second, foreign):
                tx.add_version(version, b"")

        def find(tx: Transaction) -> list[StateVersion | None]:
            asked = (first.id, "1", "2", "3", "01", "", foreign.id)
            return [tx.version(WORKSPACE, reference) for reference in asked]

        await store.write(recorded(add))
        assert [first, first, second, None, None, None, None] == (await store.write(find)).value

    async def test_a_workspace_exists_from_its_first_version_on(self, store: Store) -> None:
        """A lock alone does not make one."""

        def look(tx: Transaction) -> tuple[bool, bool]:
            return tx.is_workspace(WORKSPACE), tx.head(WORKSPACE) is not None

        await store.write(recorded(lambda tx: tx.set_lock(a_held_lock())))
        before = await store.write(look)
        await store.write(recorded(lambda tx: tx.add_version(a_version(), b"")))
        after = await store.write(look)
        assert ((False, False), (True, True)) == (before.value, after.value)

    async def test_the_list_of_workspaces_has_head_lock_and_count(self, store: Store) -> None:
        """Sorted by name; those that are only locked are in it."""

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.add_version(a_version(1, workspace="b"), b"")
            tx.add_version(a_version(2, workspace="b"), b"")
            tx.add_version(a_version(1, workspace="c"), b"")
            tx.set_lock(a_held_lock(workspace="b"))
            tx.set_lock(a_held_lock(workspace="a"))

        await store.write(job)
        assert [("a", None, True, 0), ("b", 2, True, 2), ("c", 1, False, 1)] == [
            (each.name, each.head and each.head.number, each.lock is not None, each.versions)
            for each in await store.workspaces()
        ]

    async def test_the_same_version_can_not_be_added_twice(self, store: Store) -> None:
        """A number belongs to one version: a bug above must not overwrite a state."""
        await store.write(recorded(lambda tx: tx.add_version(a_version(1), b"one")))
        with pytest.raises(UnavailableError):
            await store.write(recorded(lambda tx: tx.add_version(a_version(1), b"two")))
        assert 1 == len(await store.versions(WORKSPACE))

    # ------------------------------------------------------------ locks

    async def test_a_lock_is_kept_whole_until_it_is_cleared(self, store: Store) -> None:
        """Every field, and of its workspace only."""
        await store.write(recorded(lambda tx: tx.set_lock(a_held_lock())))
        seen = await store.write(lambda tx: (tx.lock(WORKSPACE), tx.lock("dev")))
        await store.write(recorded(lambda tx: tx.clear_lock(WORKSPACE)))
        cleared = await store.write(lambda tx: tx.lock(WORKSPACE))
        assert ((a_held_lock(), None), None) == (seen.value, cleared.value)

    async def test_locks_are_listed_oldest_first(self, store: Store) -> None:
        """By the time at which they were taken."""

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            for name, taken in (("a", 2), ("b", 1), ("c", 3)):
                lock = replace(a_held_lock(workspace=name), taken=rfc3339(START + taken))
                tx.set_lock(lock)

        await store.write(job)
        assert ["b", "a", "c"] == [lock.workspace for lock in await store.locks()]

    async def test_clearing_a_free_lock_is_nothing(self, store: Store) -> None:
        """An UNLOCK may come twice."""
        await store.write(recorded(lambda tx: tx.clear_lock(WORKSPACE)))
        assert [] == await store.locks()

    # ------------------------------------------------------------ runs

    async def test_a_run_is_kept_changed_and_forgotten(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """Whole, of its workspace only, and for other processes, too."""
        run, other = a_run(), a_run("dev")
        for kept in (run, other):
            await store.write(recorded(partial(_set_run, kept)))
        assert [other, run] == await store.runs()
        changed = runs.saved(run, runs.Save(3, (1, 2, 3), runs.Addresses(("a.b",), 4)), 7)
        await store.write(recorded(lambda tx: tx.set_run(changed)))
        beside = await stack.enter_async_context(reopen())
        for each in (store, beside):
            seen = await each.write(lambda tx: (tx.run(WORKSPACE), tx.run("dev"), tx.run("new")))
            assert (changed, other, None) == seen.value
        await beside.write(recorded(lambda tx: tx.clear_run(WORKSPACE)))
        assert (await store.write(lambda tx: tx.run(WORKSPACE))).value is None
        assert [other] == await store.runs()

    async def test_a_run_whose_job_failed_is_as_it_was(self, store: Store) -> None:
        """Neither kept, nor changed, nor forgotten."""
        await store.write(recorded(lambda tx: tx.set_run(a_run())))

        def fails(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.clear_run(WORKSPACE)
            tx.set_run(a_run("dev"))
            raise JobError

        with pytest.raises(JobError):
            await store.write(fails)
        assert [a_run()] == await store.runs()
        assert a_run() == (await store.write(lambda tx: tx.run(WORKSPACE))).value

    # ------------------------------------------------------------ directory

    async def test_an_object_is_kept_changed_and_dropped(self, store: Store) -> None:
        """Each change makes another generation; earlier views stay what they were."""
        assert 0 == store.directory().generation
        await store.write(recorded(lambda tx: tx.put_object(an_object())))
        first = store.directory()
        changed = an_object(disabled=True)
        await store.write(recorded(lambda tx: tx.put_object(changed)))
        second = store.directory()
        await store.write(recorded(lambda tx: tx.drop_object("principal", "alice")))
        assert [[an_object()], [changed], []] == [
            each.objects("principal") for each in (first, second, store.directory())
        ]
        assert [1, 2, 3] == [each.generation for each in (first, second, store.directory())]

    async def test_a_job_sees_the_directory_as_the_one_before_it_left_it(
        self, store: Store
    ) -> None:
        """In the same batch, too."""
        answers = await asyncio.gather(
            store.write(recorded(lambda tx: tx.put_object(an_object()))),
            store.write(lambda tx: tx.directory().objects("principal")),
        )
        assert [an_object()] == answers[1].value

    async def test_a_job_that_fails_leaves_the_directory(self, store: Store) -> None:
        """And its generation."""

        def job(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.put_object(an_object())
            raise KeyError

        with pytest.raises(KeyError):
            await store.write(job)
        assert (0, []) == (store.directory().generation, store.directory().objects("principal"))
        assert 0 == (await store.write(lambda tx: tx.directory().generation)).value

    async def test_a_change_of_the_directory_needs_its_entry(self, store: Store) -> None:
        """No effect without it."""
        with pytest.raises(AssertionError, match="recorded nothing"):
            await store.write(lambda tx: tx.put_object(an_object()))

    async def test_the_directory_survives(self, store: Store, reopen: Reopen) -> None:
        """Closing and opening."""
        await store.write(recorded(lambda tx: tx.put_object(an_object())))
        await store.aclose()
        async with reopen() as other:
            assert [an_object()] == other.directory().objects("principal")

    async def test_a_change_by_another_process_counts_in_the_transaction_at_once(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """Whoever was let in by the old directory does nothing by it."""
        other = await stack.enter_async_context(reopen())
        await store.write(recorded(lambda tx: tx.put_object(an_object())))
        principal = Principal("user", an_object().id, "alice", holder=an_object().id, generation=1)

        def as_alice(tx: Transaction) -> None:
            tx.append(a_draft()._replace(principal=principal))

        await store.write(as_alice)
        await other.write(recorded(lambda tx: tx.put_object(an_object(disabled=True))))
        with pytest.raises(AccessChangedError, match="was changed"):
            await store.write(as_alice)
        # What is told without an entry is told to nobody whose rights are gone, either.
        with pytest.raises(AccessChangedError, match="was changed"):
            await store.write(lambda tx: tx.require_in_force(principal))

    async def test_a_change_by_another_process_is_seen_after_a_second(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """By whoever only wants to tell who asks."""
        other = await stack.enter_async_context(reopen())
        assert [] == store.directory().objects("principal")
        await other.write(recorded(lambda tx: tx.put_object(an_object())))
        async with asyncio.timeout(10):
            while not store.directory().objects("principal"):  # noqa: ASYNC110 - another's
                await asyncio.sleep(0.05)

    # ------------------------------------------------------------ people

    async def test_a_password_is_kept_replaced_and_dropped(self, store: Store) -> None:
        """With the time at which it was set."""
        assert await store.password("alice") is None

        def sets(hashed: str) -> Callable[[Transaction], StoredPassword]:
            def job(tx: Transaction) -> StoredPassword:
                tx.append(a_draft())
                tx.set_password("alice", hashed)
                return StoredPassword(hashed, tx.time)

            return job

        for hashed in ("one", "two"):
            kept = (await store.write(sets(hashed))).value
            assert kept == await store.password("alice")
            assert kept == (await store.write(lambda tx: tx.password("alice"))).value
        assert await store.password("bob") is None
        await store.write(recorded(lambda tx: tx.drop_password("alice")))
        assert await store.password("alice") is None

    async def test_a_session_is_found_by_digest_id_and_principal(self, store: Store) -> None:
        """Whole; after a restart of the program as before."""
        await store.write(recorded(lambda tx: tx.add_session(a_session(), DIGEST)))
        assert a_session() == store.session_by_digest(DIGEST)
        assert store.session_by_digest(DIGEST[::-1]) is None
        assert a_session() == (await store.write(lambda tx: tx.session("0193-s1"))).value
        assert [a_session()] == (await store.write(lambda tx: tx.sessions("alice"))).value
        assert [] == (await store.write(lambda tx: tx.sessions("bob"))).value

    async def test_an_ended_session_is_still_known(self, store: Store) -> None:
        """As one that is over; what ended it stays, whatever ends it once more."""
        await store.write(recorded(lambda tx: tx.add_session(a_session(), DIGEST)))

        def end(tx: Transaction) -> str:
            tx.append(a_draft())
            tx.end_session("0193-s1")
            return tx.time

        time = (await store.write(end)).value
        await store.write(end)
        assert replace(a_session(), ended=time) == store.session_by_digest(DIGEST)
        assert [] == (await store.write(lambda tx: tx.sessions("alice"))).value

    async def test_an_expired_session_is_forgotten_at_the_next_login(self, store: Store) -> None:
        """Of the same person; so the table grows with people and not with time."""
        old = replace(a_session(), expires=rfc3339(START - 1))
        others = replace(old, id="0193-s3", principal="bob")
        await store.write(recorded(lambda tx: tx.add_session(old, DIGEST)))
        await store.write(recorded(lambda tx: tx.add_session(others, DIGEST[:31] + b"b")))
        assert [] == (await store.write(lambda tx: tx.sessions("alice"))).value
        new = a_session(2)
        await store.write(recorded(lambda tx: tx.add_session(new, DIGEST[::-1])))
        assert store.session_by_digest(DIGEST) is None
        assert others == store.session_by_digest(DIGEST[:31] + b"b")
        assert [new] == (await store.write(lambda tx: tx.sessions("alice"))).value

    @pytest.mark.parametrize("how", ["ended", "expired", "unknown"])
    async def test_a_session_that_is_over_does_nothing_any_more(
        self, store: Store, how: str
    ) -> None:
        """It ended while its request was under way: in the transaction it is too late."""
        expires = rfc3339(START - 1) if how == "expired" else a_session().expires
        if how != "unknown":
            session = replace(a_session(), expires=expires)
            await store.write(recorded(lambda tx: tx.add_session(session, DIGEST)))
        if how == "ended":
            await store.write(as_session)
            answers = await asyncio.gather(
                store.write(recorded(lambda tx: tx.end_session("0193-s1"))),
                store.write(as_session),
                return_exceptions=True,
            )
            assert isinstance(answers[1], UnauthenticatedError)
        with pytest.raises(UnauthenticatedError, match="log in again"):
            await store.write(as_session)
        principal = Principal("user", "alice", "alice", session="0193-s1")
        with pytest.raises(UnauthenticatedError, match="log in again"):
            await store.write(lambda tx: tx.require_in_force(principal))
        messages = [entry["message"] for entry in await log_of(store)]
        assert (1 if how == "ended" else 0) == messages.count("in the session")

    async def test_a_session_that_another_process_ends_is_over_at_once(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """The command line sets a password while the server runs."""
        other = await stack.enter_async_context(reopen())
        await store.write(recorded(lambda tx: tx.add_session(a_session(), DIGEST)))
        await store.write(as_session)
        await other.write(recorded(lambda tx: tx.end_session("0193-s1")))
        with pytest.raises(UnauthenticatedError):
            await store.write(as_session)

    async def test_the_use_of_a_session_is_kept_once_a_minute(self, store: Store) -> None:
        """With an entry that is written anyway, and the address of that use."""
        await store.write(recorded(lambda tx: tx.add_session(a_session(), DIGEST)))
        await store.write(as_session)
        seen = (await store.write(lambda tx: tx.session("0193-s1"))).value
        assert seen is not None
        assert seen.seen > a_session().seen
        assert "10.0.0.7" == seen.seen_from
        await store.write(as_session)
        again = (await store.write(lambda tx: tx.session("0193-s1"))).value
        assert again is not None
        assert seen.seen[:16] != again.seen[:16] or seen == again

    # ------------------------------------------------------------ tokens

    async def test_a_token_is_found_by_digest_name_and_id(self, store: Store) -> None:
        """Whole, with its globs in their order."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        by_name, by_id = (await store.write(lambda tx: (tx.token("ci"), tx.token("0193-1")))).value
        assert [a_token()] * 4 == [
            by_name,
            by_id,
            store.token_by_digest(DIGEST),
            *await store.tokens(),
        ]

    async def test_a_revoked_token_is_found_by_digest_and_id_but_not_by_name(
        self, store: Store
    ) -> None:
        """Its name is free for another; its digest still tells whose it was."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))

        def revoke(tx: Transaction) -> str:
            tx.append(a_draft())
            tx.revoke_token("0193-1")
            return tx.time

        time = (await store.write(revoke)).value
        revoked = replace(a_token(), revoked=time)
        found = (await store.write(lambda tx: (tx.token("ci"), tx.token("0193-1")))).value
        assert (None, revoked) == found
        assert revoked == store.token_by_digest(DIGEST)

    async def test_a_name_in_force_is_had_once(self, store: Store) -> None:
        """A second token of the name can come only after the first is revoked."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        await store.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        second = a_token(number=2)
        await store.write(recorded(lambda tx: tx.add_token(second, DIGEST[::-1])))
        assert second == (await store.write(lambda tx: tx.token("ci"))).value
        assert ["0193-1", "0193-2"] == [token.id for token in await store.tokens()]

    async def test_a_revoked_token_does_nothing_any_more(self, store: Store) -> None:
        """Revoked while its request was under way: in the transaction it is too late."""

        def as_token(tx: Transaction) -> None:
            entry = a_draft("by the token")
            entry.entry["actor"] = {"type": "token", "id": "0193-1", "name": "ci"}
            tx.append(entry)

        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        await store.write(as_token)
        answers = await asyncio.gather(
            store.write(recorded(lambda tx: tx.revoke_token("0193-1"))),
            store.write(as_token),
            return_exceptions=True,
        )
        assert isinstance(answers[1], UnauthenticatedError)
        messages = [entry["message"] for entry in await log_of(store)]
        assert 1 == messages.count("by the token")

    async def test_an_expired_token_does_nothing_any_more(self, store: Store) -> None:
        """Expired while its request was under way: the transaction's own time counts."""

        def as_token(tx: Transaction) -> str:
            entry = a_draft()
            entry.entry["actor"] = {"type": "token", "id": "0193-1", "name": "ci"}
            tx.append(entry)
            return tx.time

        now = (await store.write(lambda tx: tx.time)).value
        expires = rfc3339(micros_of(now) + 5_000)
        token = replace(a_token(), expires=expires)
        await store.write(recorded(lambda tx: tx.add_token(token, DIGEST)))
        times: list[str] = []

        async def go_on() -> None:
            while len(times) < 6_000:
                times.append((await store.write(as_token)).value)

        with pytest.raises(UnauthenticatedError, match="expired"):
            await go_on()
        assert times
        assert max(times) < expires

    async def test_a_revocation_by_another_process_counts_at_once(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """The command line revokes while the server runs: what it knew of the token is void."""

        def as_token(tx: Transaction) -> None:
            entry = a_draft()
            entry.entry["actor"] = {"type": "token", "id": "0193-1", "name": "ci"}
            tx.append(entry)

        other = await stack.enter_async_context(reopen())
        await other.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        await store.write(as_token)
        await other.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        with pytest.raises(UnauthenticatedError):
            await store.write(as_token)

    async def test_predecessors_are_those_replaced_that_still_work(self, store: Store) -> None:
        """Of the name, oldest first; neither revoked nor ended, nor another's."""
        now = (await store.write(lambda tx: tx.time)).value
        later = rfc3339(micros_of(now) + 60_000_000)

        def replaces(tx: Transaction) -> None:
            for number in (3, 1, 2, 4):
                name = "other" if number == 4 else "ci"
                tx.add_token(a_token(name, number), bytes([number]) * 32)
                tx.replace_token(f"0193-{number}", now if number == 2 else later)
            tx.add_token(a_token("ci", 5), bytes(32))

        await store.write(recorded(replaces))
        found = (await store.write(lambda tx: tx.predecessors("ci"))).value
        assert ["0193-1", "0193-3"] == [token.id for token in found]
        assert [later, later] == [token.expires for token in found]
        await store.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        found = (await store.write(lambda tx: tx.predecessors("ci"))).value
        assert ["0193-3"] == [token.id for token in found]

    async def test_exchanged_tokens_are_forgotten_when_they_ended(self, store: Store) -> None:
        """Those alone, with what the issuer said; whoever shows one is unknown then."""
        said = replace(a_token("said", 1), issuer="i", identity='{"a": 1}', expires=rfc3339(START))
        later = replace(said, id="0193-2", name="later", expires=rfc3339(START + 10))
        other = replace(a_token("other", 3), expires=rfc3339(START))

        def keeps(tx: Transaction) -> None:
            for number, token in enumerate((said, later, other)):
                tx.add_token(token, bytes([number]) * 32)

        await store.write(recorded(keeps))
        assert said == store.token_by_digest(bytes(32))
        await store.write(recorded(lambda tx: tx.forget_exchanged(rfc3339(START + 10))))
        assert [later, other] == await store.tokens()
        assert store.token_by_digest(bytes(32)) is None

    async def test_an_exchanged_token_is_used_by_its_identity(self, store: Store) -> None:
        """The entry's actor is the identity, and names the token: its use is kept, and its end."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        entry = a_draft()
        entry.entry["actor"] = {"type": "oidc", "id": "ci:x", "name": "x", "token": "0193-1"}
        await store.write(lambda tx: tx.append(entry))
        assert ["10.0.0.7"] == [each.used_from for each in await store.tokens()]
        await store.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        with pytest.raises(UnauthenticatedError):
            await store.write(lambda tx: tx.append(entry))

    async def test_nothing_is_done_when_its_proof_expired(self, store: Store) -> None:
        """A refusal is still recorded."""
        principal = Principal("oidc", "ci:x", "x", expires=rfc3339(START))
        entry = a_draft()._replace(principal=principal)
        with pytest.raises(UnauthenticatedError, match="while the request was under way"):
            await store.write(lambda tx: tx.append(entry))
        entry.entry["outcome"] = "denied"
        await store.write(lambda tx: tx.append(entry))
        await store.write(
            lambda tx: tx.append(
                a_draft()._replace(principal=replace(principal, expires="2099-01-01T00:00:00Z"))
            )
        )

    async def test_the_last_use_is_that_of_an_entry(self, store: Store) -> None:
        """Its transaction's time and its address; others' entries are no use of a token."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        assert [(None, None)] == [(each.used, each.used_from) for each in await store.tokens()]
        time = (await store.write(uses_token())).value
        assert [(time, "10.0.0.9")] == [
            (each.used, each.used_from) for each in await store.tokens()
        ]

    async def test_the_last_use_is_kept_once_a_minute(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """However many there are, in one batch or in many, and by whichever process."""
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        time = (await store.write(uses_token())).value
        await asyncio.gather(*(store.write(uses_token("10.0.0.1")) for _ in range(5)))
        other = await stack.enter_async_context(reopen())
        await other.write(uses_token("10.0.0.2"))
        await store.write(uses_token("10.0.0.3"))
        assert [(time, "10.0.0.9")] == [
            (each.used, each.used_from) for each in await store.tokens()
        ]

    async def test_a_refusal_and_a_failed_job_are_no_use(self, store: Store) -> None:
        """What did not happen leaves nothing, and does not stand for what happens then."""

        def fails(tx: Transaction) -> None:
            uses_token()(tx)
            raise JobError

        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        await store.write(uses_token(outcome="denied"))
        answers = await asyncio.gather(store.write(fails), return_exceptions=True)
        assert isinstance(answers[0], JobError)
        assert [None] == [each.used for each in await store.tokens()]
        time = (await store.write(uses_token())).value
        assert [time] == [each.used for each in await store.tokens()]

    async def test_a_revocation_holds_for_a_token_in_use(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """By another process; the last use stays what it was."""
        other = await stack.enter_async_context(reopen())
        await store.write(recorded(lambda tx: tx.add_token(a_token(), DIGEST)))
        time = (await store.write(uses_token())).value
        await other.write(recorded(lambda tx: tx.revoke_token("0193-1")))
        with pytest.raises(UnauthenticatedError):
            await store.write(uses_token())
        [token] = await store.tokens()
        assert (time, True) == (token.used, token.revoked is not None)

    # ------------------------------------------------------------ salts and the policy

    async def test_a_salt_is_had_until_it_is_destroyed(self, store: Store) -> None:
        """With the time from which on it holds; another workspace's stays."""
        await store.write(recorded(lambda tx: tx.set_salt(WORKSPACE, DIGEST)))
        await store.write(recorded(lambda tx: tx.set_salt("other", DIGEST[::-1])))
        salt = (await store.write(lambda tx: tx.salt(WORKSPACE))).value
        assert salt is not None
        assert (DIGEST, 27) == (salt.value, len(salt.since))

        await store.write(recorded(lambda tx: tx.destroy_salt(WORKSPACE)))
        assert (await store.write(lambda tx: tx.salt(WORKSPACE))).value is None
        other = (await store.write(lambda tx: tx.salt("other"))).value
        assert other is not None
        assert DIGEST[::-1] == other.value

        await store.write(recorded(lambda tx: tx.set_salt(WORKSPACE, bytes(32))))
        again = (await store.write(lambda tx: tx.salt(WORKSPACE))).value
        assert again is not None
        assert bytes(32) == again.value
        assert salt.since <= again.since

    async def test_jobs_of_a_batch_see_each_others_salts(self, store: Store) -> None:
        """Of ten who find none, one gives it; of ten who destroy it, one finds it."""

        def give(tx: Transaction) -> bool:
            if tx.salt(WORKSPACE) is not None:
                return False
            tx.set_salt(WORKSPACE, DIGEST)
            return True

        def destroy(tx: Transaction) -> bool:
            if tx.salt(WORKSPACE) is None:
                return False
            tx.destroy_salt(WORKSPACE)
            return True

        given = await asyncio.gather(*(store.write(recorded(give)) for _ in range(10)))
        assert [True] + [False] * 9 == [each.value for each in given]
        destroyed = await asyncio.gather(*(store.write(recorded(destroy)) for _ in range(10)))
        assert [True] + [False] * 9 == [each.value for each in destroyed]

    async def test_a_salt_of_a_failed_job_was_never_there(self, store: Store) -> None:
        """Nor is one gone that a failed job destroyed."""

        def fail(tx: Transaction) -> None:
            tx.append(a_draft())
            tx.destroy_salt(WORKSPACE)
            tx.set_salt("other", DIGEST)
            raise JobError

        await store.write(recorded(lambda tx: tx.set_salt(WORKSPACE, DIGEST)))
        with pytest.raises(JobError):
            await store.write(fail)
        kept, never = (await store.write(lambda tx: (tx.salt(WORKSPACE), tx.salt("other")))).value
        assert kept is not None
        assert (DIGEST, None) == (kept.value, never)

    async def test_a_salt_destroyed_by_another_process_is_gone_at_once(
        self, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """As the command line does beside a running server."""
        server = await stack.enter_async_context(reopen())
        await server.write(recorded(lambda tx: tx.set_salt(WORKSPACE, DIGEST)))
        async with reopen() as beside:
            await beside.write(recorded(lambda tx: tx.destroy_salt(WORKSPACE)))
            await beside.scrub()
        assert (await server.write(lambda tx: tx.salt(WORKSPACE))).value is None

    async def test_the_policy_in_force_is_everybodys(
        self, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """None at first; then the last one that was put in force, for other processes, too."""
        server = await stack.enter_async_context(reopen())
        assert (await server.write(lambda tx: tx.policy())).value is None
        for packed in (b"first", b"second"):
            async with reopen() as beside:
                await beside.write(recorded(puts_in_force(packed)))
            assert packed == (await server.write(lambda tx: tx.policy())).value

    async def test_a_salt_and_a_policy_need_an_entry(self, store: Store) -> None:
        """No effect is without one."""
        jobs: list[Callable[[Transaction], None]] = [
            lambda tx: tx.set_salt(WORKSPACE, DIGEST),
            lambda tx: tx.destroy_salt(WORKSPACE),
            lambda tx: tx.set_policy(b"{}"),
        ]
        for job in jobs:
            with pytest.raises(AssertionError, match="recorded nothing"):
                await store.write(job)

    # ------------------------------------------------------------ the server's own mark

    async def test_the_mark_of_a_running_server_is_kept(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """So that the next start knows how this one ended."""
        seen = [(await store.write(lambda tx: tx.is_running())).value]
        other = await stack.enter_async_context(reopen())
        await store.write(recorded(lambda tx: tx.set_running(running=True)))
        seen.append((await other.write(lambda tx: tx.is_running())).value)
        await store.write(recorded(lambda tx: tx.set_running(running=False)))
        seen.append((await other.write(lambda tx: tx.is_running())).value)
        assert [False, True, False] == seen

    # ------------------------------------------------------------ opened again

    async def test_everything_is_there_after_a_restart(self, reopen: Reopen) -> None:
        """What was acknowledged before the store was closed."""
        async with reopen() as store:

            def job(tx: Transaction) -> None:
                tx.append(a_draft("kept"))
                tx.add_version(a_version(), b"body")
                tx.set_lock(a_held_lock())
                tx.add_token(a_token(), DIGEST)

            await store.write(job)
        async with reopen() as store:
            assert ["kept"] == [entry["message"] for entry in await log_of(store)]
            assert a_held_lock() == (await store.locks())[0]
            assert a_token() == store.token_by_digest(DIGEST)
            assert b"body" == await store.sealed((await store.versions(WORKSPACE))[0].id)

    async def test_a_log_goes_on_after_a_restart(self, reopen: Reopen) -> None:
        """Indices, times and the tree continue; the whole log verifies."""
        for _ in range(3):
            async with reopen() as store:
                await store.write(lambda tx: tx.append(a_draft()))
        async with reopen() as store:
            assert 3 == await verify_whole(store)

    async def test_two_stores_may_append_to_the_same_data(
        self, store: Store, reopen: Reopen, stack: AsyncExitStack
    ) -> None:
        """The command line beside the server: one log, no entry lost, every checkpoint true."""
        other = await stack.enter_async_context(reopen())

        async def appends(to: Store, name: str) -> None:
            for _ in range(20):
                await to.write(lambda tx: tx.append(a_draft(name)))

        await asyncio.gather(appends(store, "one"), appends(other, "two"))
        messages = [entry["message"] for entry in await log_of(store)]
        assert (20, 20) == (messages.count("one"), messages.count("two"))
        assert 40 == await verify_whole(other)

    async def test_closing_finishes_the_jobs_that_wait(self, reopen: Reopen) -> None:
        """Nothing that was taken on is dropped."""
        async with reopen() as store:
            tasks = [
                asyncio.create_task(store.write(lambda tx: tx.append(a_draft()))) for _ in range(50)
            ]
            await asyncio.sleep(0)
            await store.aclose()
            assert list(range(50)) == [(await task).index for task in tasks]
        async with reopen() as store:
            assert 50 == await store.size()

    async def test_a_closed_store_takes_nothing(self, reopen: Reopen) -> None:
        """A job that comes too late is told so."""
        async with reopen() as store:
            await store.aclose()
            with pytest.raises(UnavailableError):
                await store.write(lambda tx: tx.append(a_draft()))

    # ------------------------------------------------------------ tiles

    async def test_every_root_follows_from_the_tiles(self, store: Store) -> None:
        """At every size that the log had, before and after its full tiles are kept."""
        await store.write(appends(*map(str, range(530))))
        leaves = [stored.record.leaf_hash async for stored in store.entries(LogQuery())]

        async def roots() -> list[bytes]:
            found = []
            for size in (1, 2, 255, 256, 257, 300, 511, 512, 513, 530):
                nodes = root_nodes(size)
                tiles = await store.tiles(tile_of(node, size) for node in nodes)
                found.append(root_hash(size, [hash_of(node, tiles, size) for node in nodes]))
            return found

        expected = [
            tree_hash(leaves[:size]) for size in (1, 2, 255, 256, 257, 300, 511, 512, 513, 530)
        ]
        assert expected == await roots()
        while await store.keep_tiles():
            pass
        assert expected == await roots()

    async def test_keeping_tiles_records_nothing(self, store: Store, reopen: Reopen) -> None:
        """They follow from the entries: the log stays as long as it is, and goes on."""
        await store.write(appends(*map(str, range(300))))
        while await store.keep_tiles():
            pass
        assert 300 == await store.size()
        await store.write(appends("one more"))
        async with reopen() as again:
            while await again.keep_tiles():
                pass
            assert 301 == await verify_whole(again)

    async def test_a_tile_that_the_log_has_not_is_never_given(self, store: Store) -> None:
        """Neither an empty answer nor a part of one."""
        await store.write(appends("a", "b", "c"))
        for wanted in (Tile(0, 0, 4), Tile(0, 1, 1), Tile(1, 0, 1)):
            with pytest.raises(UnavailableError):
                await store.tiles([wanted])

    # ------------------------------------------------------------ pruning

    async def test_what_is_pruned_is_dropped_and_the_hashes_stay(
        self, store: Store, reopen: Reopen
    ) -> None:
        """But for entries that are to be kept; what comes after can be read on, and grow."""
        await store.write(appends(*map(str, range(300))))
        assert 0 == await store.pruned()
        assert not await store.drop_pruned()
        while await store.keep_tiles():
            pass
        leaves = (await store.tiles([Tile(0, 0)]))[Tile(0, 0)]
        await store.write(prunes(Baseline(256, (7, 200), b"known")))
        assert 256 == await store.pruned()
        assert 256 == (await store.write(lambda tx: tx.pruned())).value
        async with reopen() as again:
            while await again.drop_pruned():
                pass
            found = [each.record.index async for each in again.entries(LogQuery())]
            assert [7, 200, *range(256, 301)] == found
            assert [300, 301] == [size async for size, _ in again.checkpoints()]
            assert leaves == (await again.tiles([Tile(0, 0)]))[Tile(0, 0)]
            assert 256 == (await again.following(256, 1))[0].index
            for first in (0, 7, 255):
                with pytest.raises(UnavailableError):
                    await again.following(first, 10)
            assert 301 == (await again.write(lambda tx: tx.append(a_draft()))).index

    async def test_a_pruning_that_can_not_be_recorded_prunes_nothing(self, store: Store) -> None:
        """As any change."""

        def job(tx: Transaction) -> None:
            tx.set_baseline(Baseline(256, (), b""))
            raise InvalidInputError("something else was wrong")

        await store.write(appends(*map(str, range(300))))
        with pytest.raises(InvalidInputError):
            await store.write(job)
        assert 0 == await store.pruned()
        assert not await store.drop_pruned()

    # ------------------------------------------------------------ backup

    async def test_a_backup_does_not_overwrite(self, store: Store, tmp_path: Path) -> None:
        """The file named must be new."""
        target = tmp_path / "backup.db"
        target.write_bytes(b"precious")
        with pytest.raises(InvalidInputError, match="exists"):
            await store.backup(target)
        assert b"precious" == target.read_bytes()

    async def test_a_backup_that_can_not_be_written_is_a_failure(
        self, store: Store, tmp_path: Path
    ) -> None:
        """And leaves nothing."""
        with pytest.raises(UnavailableError):
            await store.backup(tmp_path / "nowhere" / "backup.db")

    async def test_events_are_kept_as_they_were_appended(self, store: Store) -> None:
        """The names of the catalogue come back."""
        await store.write(lambda tx: tx.append(a_draft(event="state.locked")))
        assert ["state.locked"] == await events_of(store)
