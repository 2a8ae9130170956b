"""A store in memory that keeps what contracts.Store promises, or breaks it when told to; a sink."""

# ruff: noqa: D102 - contracts.py says what each method promises

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.access import Caller, Principal, Role, is_act, matches_any, rights_of
from proxy.audit_log import EMPTY_HEAD, AuditLog, LogHead
from proxy.contracts import (
    Baseline,
    Committed,
    DeadLetter,
    Delivery,
    Draft,
    HeldLock,
    LogQuery,
    Salt,
    SinkReplay,
    StateVersion,
    Store,
    StoredPassword,
    StoredRecord,
    StoredSession,
    StoredToken,
    Transaction,
    WorkspaceSummary,
)
from proxy.directory import RECORDS, Directory, Object
from proxy.errors import InvalidInputError, UnauthenticatedError, UnavailableError
from proxy.refusals import AccessChangedError
from proxy.runs import Run
from proxy.sinks.contract import (
    Batch,
    Limits,
    NotTakenError,
    Options,
    Receipt,
    RefusedError,
    Sink,
)
from proxy.timestamps import rfc3339
from proxy.tlog.entry import Record
from proxy.tlog.merkle import tree_hash
from proxy.tlog.tiles import Tile
from proxy.workspace_rules import standing

T = TypeVar("T")

ENTRY_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
CHECKPOINT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
ORIGIN = "tfaudit.test/fake"
START = 1_795_341_600_000_000
"""2026-11-22T10:00:00Z in microseconds; the fake's clock stands still there."""


class Fault(Enum):
    """How the next write goes wrong; the caller can't tell the two apart."""

    NOT_PERSISTED = auto()
    ANSWER_LOST = auto()


@dataclass(slots=True)
class _Contents:
    """Everything a commit changes, so that it is kept or dropped as one."""

    versions: dict[str, list[StateVersion]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    locks: dict[str, HeldLock] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    tokens: dict[bytes, StoredToken] = field(default_factory=dict)
    records: list[StoredRecord] = field(default_factory=list)
    checkpoints: list[tuple[int, str]] = field(default_factory=list)
    head: LogHead = EMPTY_HEAD
    running: bool = False
    salts: dict[str, Salt] = field(default_factory=dict)
    policy: bytes | None = None
    directory: Directory = field(default_factory=Directory)
    passwords: dict[str, StoredPassword] = field(default_factory=dict)
    sessions: dict[bytes, StoredSession] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    dead_letters: dict[tuple[str, int], DeadLetter] = field(default_factory=dict)
    replays: dict[str, SinkReplay] = field(default_factory=dict)
    baseline: Baseline | None = None
    leaves: list[bytes] = field(default_factory=list)

    def copy(self) -> "_Contents":
        return _Contents(
            {name: list(versions) for name, versions in self.versions.items()},
            dict(self.bodies),
            dict(self.locks),
            dict(self.runs),
            dict(self.tokens),
            list(self.records),
            list(self.checkpoints),
            self.head,
            self.running,
            dict(self.salts),
            self.policy,
            self.directory,
            dict(self.passwords),
            dict(self.sessions),
            dict(self.deliveries),
            dict(self.dead_letters),
            dict(self.replays),
            self.baseline,
            list(self.leaves),
        )


def _kept(versions: Sequence[StateVersion]) -> list[StateVersion]:
    return [
        version
        for before, version in zip([None, *versions], versions, strict=False)
        if version.pruned is None or (before is not None and before.pruned is None)
    ]


class FakeTransaction(Transaction):
    """One job's view of the contents."""

    def __init__(self, contents: _Contents, time: str) -> None:
        self.time = time
        self.drafts: list[Draft] = []
        self._contents = contents

    def append(self, draft: Draft) -> int:
        principal = draft.principal
        if is_act(draft.entry) and principal is not None:
            if not self._contents.directory.is_still_so(principal):
                raise AccessChangedError(f"what {principal.name} may do was changed")
            self._require_session(principal)
        self.drafts.append(draft)
        return self._contents.head.size + len(self.drafts) - 1

    def _require_session(self, principal: Principal) -> None:
        session = self.session(principal.session)
        if principal.session and (session is None or session.ended or self.time >= session.expires):
            raise UnauthenticatedError("the session ended")

    def require_in_force(self, principal: Principal) -> None:
        known = {token.id: token for token in self._contents.tokens.values()}
        token = known.get(principal.id)
        if principal.kind == "token" and token is not None and token.revoked is not None:
            raise UnauthenticatedError("the token is unknown or revoked")
        self._require_session(principal)
        if not self._contents.directory.is_still_so(principal):
            raise AccessChangedError(f"what {principal.name} may do was changed")

    def head(self, workspace: str) -> StateVersion | None:
        versions = self._contents.versions.get(workspace)
        return versions[-1] if versions else None

    def version(self, workspace: str, version: str) -> StateVersion | None:
        versions = self._contents.versions.get(workspace, [])
        return next((v for v in versions if version in {v.id, str(v.number)}), None)

    def add_version(self, version: StateVersion, sealed: bytes) -> None:
        self._contents.versions.setdefault(version.workspace, []).append(version)
        self._contents.bodies[version.id] = sealed

    def require_master(
        self, key_id: str, is_opened: Callable[[StateVersion, bytes], bool], length: int
    ) -> None:
        heads = self.body_heads(length)
        entries = [orjson.loads(stored.record.entry) for stored in self._contents.records]
        brought_in = [entry["master"]["new"] for entry in entries if "master" in entry]
        is_right = any(is_opened(*each) for each in heads) if heads else key_id in brought_in[-1:]
        if (heads or brought_in) and not is_right:
            raise UnavailableError("the master key does not open what is stored")

    def destroy_bodies(self, workspace: str, through: int) -> None:
        for version in self._contents.versions.get(workspace, [])[:through]:
            self._contents.bodies.pop(version.id, None)

    def kept_versions(self, workspace: str) -> list[StateVersion]:
        return _kept(self._contents.versions.get(workspace, []))

    def prune_versions(self, version_ids: Sequence[str], index: int) -> None:
        for versions in self._contents.versions.values():
            for place, version in enumerate(versions):
                if version.id in version_ids:
                    versions[place] = version._replace(pruned=self.time, pruned_by=index)
                    self._contents.bodies.pop(version.id, None)

    def body_heads(self, length: int) -> list[tuple[StateVersion, bytes]]:
        bodies = self._contents.bodies
        found = (each for versions in self._contents.versions.values() for each in versions)
        return [(each, bodies[each.id][:length]) for each in found if each.id in bodies]

    def set_body_head(self, version_id: str, head: bytes) -> None:
        sealed = self._contents.bodies[version_id]
        self._contents.bodies[version_id] = head + sealed[len(head) :]

    def is_workspace(self, workspace: str) -> bool:
        return workspace in self._contents.versions

    def lock(self, workspace: str) -> HeldLock | None:
        return self._contents.locks.get(workspace)

    def set_lock(self, lock: HeldLock) -> None:
        self._contents.locks[lock.workspace] = lock

    def clear_lock(self, workspace: str) -> None:
        self._contents.locks.pop(workspace, None)

    def run(self, workspace: str) -> Run | None:
        return self._contents.runs.get(workspace)

    def set_run(self, run: Run) -> None:
        self._contents.runs[run.workspace] = run

    def clear_run(self, workspace: str) -> None:
        self._contents.runs.pop(workspace, None)

    def token(self, name_or_id: str) -> StoredToken | None:
        for token in self._contents.tokens.values():
            is_named = token.name == name_or_id and token.revoked is token.replaced is None
            if token.id == name_or_id or is_named:
                return token
        return None

    def predecessors(self, name: str) -> list[StoredToken]:
        return [
            token
            for token in self._contents.tokens.values()
            if (token.name, token.revoked) == (name, None)
            and token.replaced is not None
            and (token.expires or "") > self.time
        ]

    def add_token(self, token: StoredToken, digest: bytes) -> None:
        self._contents.tokens[digest] = token

    def revoke_token(self, token_id: str) -> None:
        for digest, token in self._contents.tokens.items():
            if token.id == token_id:
                self._contents.tokens[digest] = replace(token, revoked=self.time)

    def forget_exchanged(self, before: str) -> None:
        self._contents.tokens = {
            digest: token
            for digest, token in self._contents.tokens.items()
            if token.issuer is None or token.expires is None or token.expires >= before
        }

    def replace_token(self, token_id: str, expires: str) -> None:
        for digest, token in self._contents.tokens.items():
            if token.id == token_id:
                changed = replace(token, replaced=self.time, expires=expires)
                self._contents.tokens[digest] = changed

    def password(self, principal_id: str) -> StoredPassword | None:
        return self._contents.passwords.get(principal_id)

    def set_password(self, principal_id: str, hashed: str) -> None:
        self._contents.passwords[principal_id] = StoredPassword(hashed, self.time)

    def drop_password(self, principal_id: str) -> None:
        self._contents.passwords.pop(principal_id, None)

    def session(self, session_id: str) -> StoredSession | None:
        found = self._contents.sessions.values()
        return next((session for session in found if session.id == session_id), None)

    def sessions(self, principal_id: str) -> list[StoredSession]:
        return [
            session
            for session in self._contents.sessions.values()
            if session.principal == principal_id
            and session.ended is None
            and session.expires > self.time
        ]

    def add_session(self, session: StoredSession, digest: bytes) -> None:
        self._contents.sessions[digest] = session

    def end_session(self, session_id: str) -> None:
        for digest, session in self._contents.sessions.items():
            if session.id == session_id and session.ended is None:
                self._contents.sessions[digest] = replace(session, ended=self.time)

    def directory(self) -> Directory:
        return self._contents.directory

    def put_object(self, found: Object) -> None:
        self._change_object(found.kind, found.name, found)

    def drop_object(self, kind: str, name: str) -> None:
        found = self._contents.directory.get(kind, name)
        if kind == "sink" and found is not None:
            self._forget_sink(found.id)
        self._change_object(kind, name, None)

    def _forget_sink(self, sink: str) -> None:
        contents = self._contents
        contents.deliveries.pop(sink, None)
        letters = contents.dead_letters.items()
        contents.dead_letters = {key: each for key, each in letters if each.sink != sink}
        contents.replays = {
            key: each for key, each in contents.replays.items() if each.sink != sink
        }

    def _change_object(self, kind: str, name: str, found: Object | None) -> None:
        directory = self._contents.directory
        objects = {(each.kind, each.name): each for of in RECORDS for each in directory.objects(of)}
        objects.pop((kind, name), None)
        if found is not None:
            objects[kind, name] = found
        self._contents.directory = Directory(directory.generation + 1, objects.values())

    def salt(self, workspace: str) -> Salt | None:
        return self._contents.salts.get(workspace)

    def set_salt(self, workspace: str, value: bytes) -> None:
        self._contents.salts[workspace] = Salt(value, self.time)

    def destroy_salt(self, workspace: str) -> None:
        self._contents.salts.pop(workspace, None)

    def policy(self) -> bytes | None:
        return self._contents.policy

    def set_policy(self, packed: bytes) -> None:
        self._contents.policy = packed

    def delivery(self, sink: str) -> Delivery | None:
        return self._contents.deliveries.get(sink)

    def keep_delivery(self, delivery: Delivery) -> None:
        if self._is_sink(delivery.sink):
            self._contents.deliveries[delivery.sink] = delivery

    def _is_sink(self, sink: str) -> bool:
        return self._contents.directory.get("sink", sink) is not None

    def dead_letters(self, sink: str, first: int, until: int) -> list[DeadLetter]:
        found = sorted(self._contents.dead_letters.values())
        return [each for each in found if each.sink == sink and first <= each.index < until]

    def dead_letter_bounds(
        self, sink: str, first: int, until: int | None
    ) -> tuple[int, int] | None:
        found = self.dead_letters(sink, first, 2**53 if until is None else until)
        return (found[0].index, found[-1].index + 1) if found else None

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        for each in letters:
            if self._is_sink(each.sink):
                self._contents.dead_letters[each.sink, each.index] = each

    def note_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        self.add_dead_letters(letters)

    def drop_dead_letters(self, sink: str, indices: Sequence[int]) -> None:
        for index in indices:
            self._contents.dead_letters.pop((sink, index), None)

    def replay(self, replay_id: str) -> SinkReplay | None:
        return self._contents.replays.get(replay_id)

    def add_replay(self, replay: SinkReplay) -> None:
        self._contents.replays[replay.id] = replay

    def keep_replay(self, replay_id: str, cursor: int) -> None:
        if (found := self.replay(replay_id)) is not None:
            self._contents.replays[replay_id] = found._replace(cursor=cursor)

    def settle_replay(self, replay_id: str, first: int) -> None:
        if (found := self._contents.replays.pop(replay_id, None)) is not None:
            settled = found._replace(first=first, cursor=max(found.cursor, first))
            if settled.first < settled.until:
                self._contents.replays[replay_id] = settled

    def has_replay_below(self, index: int) -> bool:
        return any(each.first < index for each in self._contents.replays.values())

    def pruned(self) -> int:
        return _until(self._contents)

    def set_baseline(self, baseline: Baseline) -> None:
        self._contents.baseline = baseline

    def is_running(self) -> bool:
        return self._contents.running

    def set_running(self, *, running: bool) -> None:
        self._contents.running = running


class FakeStore(Store):
    """Each write is a batch of its own; entries are really signed.

    Attributes:
        fault: what happens to every write from now on; None is no fault.
        is_readable: whether reads succeed.
        writes: how many writes were tried.
    """

    def __init__(self, clock: Callable[[], int] = lambda: START) -> None:
        self.fault: Fault | None = None
        self.is_readable = True
        self.writes = 0
        self._contents = _Contents()
        self._audit = AuditLog(ENTRY_KEY, CHECKPOINT_KEY, ORIGIN, clock=clock, random=bytes)

    @property
    def log(self) -> list[dict[str, Any]]:
        """All committed entries, parsed, oldest first."""
        return [orjson.loads(stored.record.entry) for stored in self._contents.records]

    async def write(self, job: Callable[[Transaction], T]) -> Committed[T]:
        self.writes += 1
        contents = self._contents.copy()
        batch = self._audit.begin(contents.head)
        transaction = FakeTransaction(contents, rfc3339(batch.micros))
        value = job(transaction)
        records = batch.append(transaction.drafts)
        if self.fault is Fault.NOT_PERSISTED:
            raise UnavailableError("the fake store did not persist this")
        if records:
            contents.records += [
                StoredRecord(record, draft.document)
                for record, draft in zip(records, transaction.drafts, strict=True)
            ]
            contents.leaves += [record.leaf_hash for record in records]
            contents.head, note = batch.close()
            contents.checkpoints.append((contents.head.size, note))
        self._contents = contents
        if self.fault is Fault.ANSWER_LOST:
            raise UnavailableError("the fake store persisted this, but its answer got lost")
        told = [
            record.index
            for record, draft in zip(records, transaction.drafts, strict=True)
            if "inferred_from" not in draft.entry
        ]
        inferred = records[-1].index if records else None
        return Committed(value, told[-1] if told else inferred)

    def _read(self) -> _Contents:
        if not self.is_readable:
            raise UnavailableError("the fake store can't be read")
        return self._contents

    def token_by_digest(self, digest: bytes) -> StoredToken | None:
        return self._read().tokens.get(digest)

    async def password(self, principal_id: str) -> StoredPassword | None:
        return self._read().passwords.get(principal_id)

    def session_by_digest(self, digest: bytes) -> StoredSession | None:
        return self._read().sessions.get(digest)

    def directory(self) -> Directory:
        return self._read().directory

    async def sealed(self, version_id: str) -> bytes:
        body = self._read().bodies.get(version_id)
        if body is None:
            raise UnavailableError(f"the body of {version_id} is missing")
        return body

    async def workspaces(self) -> list[WorkspaceSummary]:
        contents = self._read()
        found = []
        made = {each.name: each for each in contents.directory.objects("workspace")}
        for name in sorted({*contents.versions, *contents.locks, *made}):
            versions = contents.versions.get(name, [])
            lock = contents.locks.get(name)
            times = [each.created for each in versions[:1]]
            times += [made[name].created] if name in made else []
            times += [] if lock is None else [lock.taken]
            record = contents.directory.workspace(name)
            head = standing(versions[-1] if versions else None, record)
            pruned = sum(each.pruned is not None for each in versions)
            summary = WorkspaceSummary(name, min(times), head, lock, len(versions), record, pruned)
            found.append(summary)
        return found

    async def versions(self, workspace: str) -> list[StateVersion]:
        return self._read().versions.get(workspace, [])[::-1]

    async def kept_versions(self, workspace: str) -> list[StateVersion]:
        return _kept(self._read().versions.get(workspace, []))

    async def pruned_versions(self, index: int) -> list[tuple[int, str]]:
        return sorted(
            (version.pruned_by, version.id)
            for versions in self._read().versions.values()
            for version in versions
            if version.pruned_by is not None and version.pruned_by >= index
        )

    async def locks(self) -> list[HeldLock]:
        return sorted(self._read().locks.values(), key=lambda lock: lock.taken)

    async def runs(self) -> list[Run]:
        return [run for _, run in sorted(self._read().runs.items())]

    async def tokens(self) -> list[StoredToken]:
        return list(self._read().tokens.values())

    async def size(self) -> int:
        return self._read().head.size

    async def entries(self, query: LogQuery) -> AsyncIterator[StoredRecord]:
        records = list(self._read().records)
        if query.newest_first:
            records.reverse()
        left = query.limit
        for stored in records:
            if left == 0:
                return
            if _matches(query, stored):
                left = None if left is None else left - 1
                yield stored

    async def checkpoint(self, size: int | None = None) -> str:
        checkpoints = self._read().checkpoints
        if size is None:
            return checkpoints[-1][1] if checkpoints else ""
        return next((note for at, note in checkpoints if at == size), "")

    async def checkpoints(self) -> AsyncIterator[tuple[int, str]]:
        for each in list(self._read().checkpoints):
            yield each

    async def following(self, first: int, limit: int) -> list[Record]:
        found = [each.record for each in self._read().records if each.record.index >= first]
        for index, record in enumerate(found[:limit], first):
            if record.index != index:
                raise UnavailableError(f"the fake store has no entry {index}")
        return found[:limit]

    async def deliveries(self) -> list[Delivery]:
        return list(self._read().deliveries.values())

    async def dead_letters(
        self, sink: str, first: int = 0, limit: int | None = None
    ) -> list[DeadLetter]:
        found = sorted(each for each in self._read().dead_letters.values() if each.sink == sink)
        return [each for each in found if each.index >= first][:limit]

    async def dead_letter_counts(self) -> dict[str, int]:
        return dict(Counter(each.sink for each in self._read().dead_letters.values()))

    async def replays(self) -> list[SinkReplay]:
        return sorted(self._read().replays.values())

    async def tiles(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        leaves = self._read().leaves
        return {tile: _tile(tile, leaves) for tile in wanted}

    async def keep_tiles(self) -> bool:
        self._read()
        return False  # it makes each anew

    async def pruned(self) -> int:
        return _until(self._read())

    async def drop_pruned(self) -> bool:
        contents = self._read()
        baseline = contents.baseline
        if baseline is None:
            return False
        left = [
            each
            for each in contents.records
            if each.record.index >= baseline.until or each.record.index in baseline.kept
        ]
        notes = [each for each in contents.checkpoints if each[0] >= baseline.until]
        is_done = (left, notes) == (contents.records, contents.checkpoints)
        contents.records, contents.checkpoints = left, notes
        return not is_done

    async def scrub(self) -> None:
        self._read()

    async def backup(self, target: Path) -> None:
        copy = b"\n".join(stored.record.entry for stored in self._read().records)
        try:
            await asyncio.to_thread(_write_new, target, copy)
        except FileExistsError as error:
            raise InvalidInputError(f"{target} exists") from error

    async def aclose(self) -> None:
        self.is_readable = False


def _until(contents: _Contents) -> int:
    return 0 if contents.baseline is None else contents.baseline.until


def _tile(tile: Tile, leaves: list[bytes]) -> bytes:
    span = 256**tile.level
    starts = range(tile.first * span, (tile.first + tile.width) * span, span)
    if starts[-1] + span > len(leaves):
        raise UnavailableError(f"the fake store has no {tile.path}")
    return b"".join(tree_hash(leaves[start : start + span]) for start in starts)


def _write_new(target: Path, content: bytes) -> None:
    with target.open("xb") as file:
        file.write(content)


def _matches(query: LogQuery, stored: StoredRecord) -> bool:
    entry = orjson.loads(stored.record.entry)
    workspace = entry.get("workspace")
    return (
        query.view.shows(workspace)
        and (query.workspace is None or _is_like(workspace, query.workspace))
        and (query.event is None or _is_like(entry["event"], query.event))
        and query.actor in {None, *map(entry["actor"].get, ("name", "id", "principal"))}
        and query.source_ip in {None, entry["source"]["ip"]}
        and all(_says(entry["actor"].get("claims", {}), *each) for each in query.claims)
        and query.outcome in {None, entry["outcome"]}
        and (query.since is None or entry["time"] >= query.since)
        and (query.until is None or entry["time"] < query.until)
        and (query.after is None or stored.record.index > query.after)
    )


def _says(claims: dict[str, Any], name: str, value: str) -> bool:
    said = claims.get(name)
    return value in said if isinstance(said, list) else value == said


def _is_like(text: str | None, glob: str) -> bool:
    return text is not None and matches_any((glob.replace("[", "[[]"),), text)


def a_caller(
    role: Role | None = Role.ADMIN,
    *,
    workspaces: tuple[str, ...] = ("*",),
    name: str = "alice",
    ip: str = "10.0.0.7",
) -> Caller:
    """Return a request of somebody with this role."""
    return Caller(
        principal=Principal("token", f"id-of-{name}", name, rights_of(role, *workspaces), "a1b2c3"),
        ip=ip,
        request_id="request-1",
        via="api",
        method="GET",
        path="/api/v1/log",
    )


HANG: Final = "hang"
"""A step of FakeSink: it never answers."""

Step: TypeAlias = "Receipt | Exception | str | Callable[[Batch], Receipt] | None"
"""What a sink does with one batch: None takes it, an error is raised, HANG never ends."""


class FakeSink(Sink):
    """A sink that plays a script, and takes whatever comes after it.

    Attributes:
        sent: the entries' indices of each batch that it was given, taken or not.
        taken: the entries' indices that it took, in their order.
        replayed: those of them that were said to be a replay's.
        script: what it does next.
        always: what it does when the script is over.
        hang: ends HANG, when it is set.
        probes: what it does when it is probed.
        is_closed: whether it was closed, and not made again.
        made: how often it was made.
    """

    options_type = Options

    def __init__(self, *script: Step, limits: Limits = Limits(100)) -> None:  # noqa: B008 - frozen
        self.limits = limits
        self.script = deque(script)
        self.always: Step = None
        self.hang = asyncio.Event()
        self.probes: deque[Exception | None] = deque()
        self.sent: list[list[int]] = []
        self.taken: list[int] = []
        self.events: list[str] = []
        self.replayed: list[int] = []
        self.is_closed = False
        self.made = 0

    def make(self, _: Object) -> Sink:
        """Be made once more, as the class of a sink would be."""
        self.made += 1
        self.is_closed = False
        return self

    async def send(self, batch: Batch) -> Receipt:
        """Play the next step of the script."""
        self.sent.append([event.record.index for event in batch.events])
        step = self.script.popleft() if self.script else self.always
        if step == HANG:
            await self.hang.wait()
        try:
            receipt = _played(step, batch)
        except NotTakenError as error:
            if error.left is not None:
                self._take(batch, error.left | error.rejected.keys())
            raise
        except RefusedError as error:
            self._take(batch, error.refused | error.left)
            raise
        self._take(batch, frozenset(receipt.rejected))
        return receipt

    def _take(self, batch: Batch, but: frozenset[int]) -> None:
        taken = [event for at, event in enumerate(batch.events) if at not in but]
        self.taken += [event.record.index for event in taken]
        if batch.is_replay:
            self.replayed += [event.record.index for event in taken]
        self.events += [event.entry["event"] for event in taken]

    async def probe(self) -> str:
        """Play the next step of the probes."""
        step = self.probes.popleft() if self.probes else None
        if step is not None:
            raise step
        return "it is there"

    async def aclose(self) -> None:
        """Remember it."""
        self.is_closed = True


def _played(step: Step, batch: Batch) -> Receipt:
    if isinstance(step, Exception):
        raise step
    if isinstance(step, Receipt):
        return step
    return step(batch) if callable(step) else Receipt("200 OK")


def refuse(*poison: int, reason: str = "not valid") -> Callable[[Batch], Receipt]:
    """Return a step that refuses a batch as a whole when one of these is in it."""

    def step(batch: Batch) -> Receipt:
        indices = [event.record.index for event in batch.events]
        if set(poison) & set(indices):
            raise RefusedError(reason, refused=range(len(indices)))
        return Receipt("200 OK")

    return step
