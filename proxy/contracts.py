"""What the store and its transactions promise; promises first, methods second."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from proxy.access import EVERYTHING, Principal, View, taker_of
from proxy.directory import Directory, Object, WorkspaceRecord
from proxy.runs import Run
from proxy.tlog.entry import Record
from proxy.tlog.signer import Signer as Signer  # noqa: PLC0414 - a promise among the others
from proxy.tlog.tiles import Tile

T = TypeVar("T")


class Draft(NamedTuple):
    """An entry before the log gives it its ID, its time and its place.

    Attributes:
        entry: the fields of AUDIT section 1 without ``v``, ``id`` and ``time``; only strings,
            booleans, None, integers below 2**53, lists and dicts with ASCII keys, and
            ``orjson.Fragment`` of the canonical JSON of such.
        document: the whole redacted change document (JSON) when the entry had to be cut, as
            packing.pack returns it.
        principal: on whose behalf; the transaction makes sure that they still may. None is nobody
            whose rights could have changed.
    """

    entry: dict[str, Any]
    document: bytes | None = None
    principal: Principal | None = None


class StateVersion(NamedTuple):
    """One stored version of a workspace's state; the body is kept apart, sealed.

    Attributes:
        id: UUIDv7, text.
        workspace: whose state.
        number: 1 for the first version of the workspace, then up by one.
        lineage: as the state says; may be empty in old states.
        serial: as the state says, 0 <= serial < 2**53.
        sha256: of the body as it came in, hex.
        size: of the body, bytes.
        terraform_version: as the state says; empty when it does not (encrypted states).
        kind: ``v1`` … ``v4`` or ``encrypted``.
        created: RFC 3339 UTC with microseconds and ``Z``.
        run: when the lock was taken under which it was written, RFC 3339 UTC; None without a lock.
        pruned: RFC 3339 UTC, when retention destroyed the body; None as long as it did not.
        pruned_by: index of the entry that records that.
    """

    id: str
    workspace: str
    number: int
    lineage: str
    serial: int
    sha256: str
    size: int
    terraform_version: str
    kind: str
    created: str
    run: str | None = None
    pruned: str | None = None
    pruned_by: int | None = None


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A workspace's lock.

    Attributes:
        workspace: what is locked.
        id: LockInfo's ID, which everybody learns who is refused the lock.
        info: the LockInfo as the client sent it, JSON bytes.
        md5: base64 MD5 of those bytes: what an UNLOCK whose body got lost still tells.
        operation: LockInfo's Operation.
        who: LockInfo's Who, as the client says of itself.
        version: LockInfo's Version.
        actor: name of the principal that took it.
        taken: RFC 3339 UTC with microseconds and ``Z``.
        taker: who took it, as access.taker_of tells; empty in what an older release stored.
    """

    workspace: str
    id: str
    info: bytes
    md5: str
    operation: str
    who: str
    version: str
    actor: str
    taken: str
    taker: str = ""

    def is_of(self, principal: Principal) -> bool:
        """Tell whether it was this principal that took it, whatever proves so today."""
        if not self.taker:
            return self.actor in {principal.name, principal.holder_name}
        return self.taker == taker_of(principal.actor())


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is kept: never the token itself.

    Attributes:
        id: UUIDv7, text.
        name: unique among tokens that are neither revoked nor replaced.
        role: a role's name; empty narrows nothing that the principal may.
        workspaces: globs.
        hint: the last six characters of the token.
        created: RFC 3339 UTC.
        expires: RFC 3339 UTC; None never expires.
        revoked: RFC 3339 UTC; None is in force.
        principal: ID of the principal that it belongs to; None stands alone.
        replaced: RFC 3339 UTC; when another one of the name took its place, and it went on until
            it expires. None is the one of this name.
        used: RFC 3339 UTC of its newest use, to the minute; None when it was never used.
        used_from: the address of that use.
        issuer: ID of the issuer for whose identity token it was given in exchange.
        identity: what that issuer said, as JSON; never shown.
    """

    id: str
    name: str
    role: str
    workspaces: tuple[str, ...]
    hint: str
    created: str
    expires: str | None
    revoked: str | None
    principal: str | None = None
    replaced: str | None = None
    used: str | None = None
    used_from: str | None = None
    issuer: str | None = None
    identity: str | None = field(default=None, repr=False)


class StoredPassword(NamedTuple):
    """A person's password as it is kept.

    Attributes:
        hash: Argon2id in its own encoding (RFC 9106; parameters, salt and hash).
        changed: RFC 3339 UTC.
    """

    hash: str
    changed: str

    def __repr__(self) -> str:
        return f"StoredPassword(hidden, {self.changed!r})"


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A person's session as it is kept: never what the cookie holds.

    Attributes:
        id: UUIDv7, text.
        principal: ID of who logged in.
        created: RFC 3339 UTC.
        seen: RFC 3339 UTC of its newest use that is on record, to the minute.
        seen_from: the address of that use.
        expires: RFC 3339 UTC; it ends then at the latest.
        ended: RFC 3339 UTC of its logout, or of whatever ended it; None was not ended.
    """

    id: str
    principal: str
    created: str
    seen: str
    seen_from: str
    expires: str
    ended: str | None = None


class Salt(NamedTuple):
    """What makes the commitments of one workspace its own: see tfstate.commitment.

    Attributes:
        value: 32 random bytes.
        since: RFC 3339 UTC; what was recorded before was hidden with another, or none.
    """

    value: bytes
    since: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries; every field narrows, None does not.

    Attributes:
        workspace: glob; ``*`` matches ``/`` too.
        view: the reader's own limits: which workspaces' entries are shown.
        event: glob, for example ``state.*``.
        actor: the actor's name or ID, or of a token the name of the principal that it belongs to;
            exact.
        source_ip: exact.
        outcome: exact.
        since: RFC 3339 UTC, inclusive.
        until: RFC 3339 UTC, exclusive.
        after: only indices above this one.
        limit: at most so many entries.
        newest_first: the order.
        claims: name and value of claims that the actor's issuer says, all of them; of a claim
            that is a list, one of its values.
    """

    workspace: str | None = None
    view: View = EVERYTHING
    event: str | None = None
    actor: str | None = None
    source_ip: str | None = None
    outcome: str | None = None
    since: str | None = None
    until: str | None = None
    after: int | None = None
    limit: int | None = None
    newest_first: bool = False
    claims: tuple[tuple[str, str], ...] = ()


class StoredRecord(NamedTuple):
    """A committed entry and the document (JSON) kept beside it."""

    record: Record
    document: bytes | None


@dataclass(slots=True)  # not frozen, which would make it thrice as slow to make
class Committed(Generic[T]):
    """What a job returned, once it is durable.

    Attributes:
        value: the job's return value.
        index: of the last entry the job appended (from 0) that tells of what was asked for, not
            of what was inferred from it; None when it appended none.
    """

    value: T
    index: int | None


@dataclass(frozen=True, slots=True)
class WorkspaceSummary:
    """A workspace in a list.

    Attributes:
        name: unique.
        created: RFC 3339 UTC: of its first write, or ahead of it.
        head: the newest version that exists.
        lock: that is held.
        versions: how many were ever stored.
        record: its settings.
        pruned: of how many versions retention destroyed the body.
    """

    name: str
    created: str
    head: StateVersion | None
    lock: HeldLock | None
    versions: int
    record: WorkspaceRecord
    pruned: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a sink is, and how it is doing.

    Attributes:
        sink: ID of the object: another sink of the same name has another.
        cursor: index of the first entry that it was not given yet.
        delivered: entries that its far side took, replays included.
        retries: batches that were given to it again.
        dead_letters: entries that were ever set aside for it.
        failing_since: RFC 3339 UTC; None when the newest try was taken.
        failures: tries in a row that were not taken.
        error: why not, for people; empty when none failed.
        last_delivery: RFC 3339 UTC; None when nothing was ever taken.
        next_try: RFC 3339 UTC; None when nothing waits for it.
        is_open: it is tried seldom: it failed too often, or somebody has to mend something.
        is_reported: the newest of its ``sink.failed`` and ``sink.recovered`` is the former.
        reported: RFC 3339 UTC of its newest ``sink.failed``; None when there is none.
        unreported: how often it failed since without an entry.
    """

    sink: str
    cursor: int
    delivered: int = 0
    retries: int = 0
    dead_letters: int = 0
    failing_since: str | None = None
    failures: int = 0
    error: str = ""
    last_delivery: str | None = None
    next_try: str | None = None
    is_open: bool = False
    is_reported: bool = False
    reported: str | None = None
    unreported: int = 0


@dataclass(frozen=True, slots=True, order=True)
class DeadLetter:
    """An entry that a sink refused.

    Attributes:
        sink: ID of the object.
        index: of the entry.
        reason: what the far side said, for people.
        time: RFC 3339 UTC.
    """

    sink: str
    index: int
    reason: str
    time: str


class SinkReplay(NamedTuple):
    """Entries that a sink is to be given once more.

    Attributes:
        id: UUIDv7, text.
        sink: ID of the object.
        first: index of the first entry that is not done with.
        until: one more than that of the last.
        only_dead_letters: of those between, only the ones that were set aside.
        cursor: index of the first entry that was not given yet.
        requested: RFC 3339 UTC; what was set aside before, and is taken now, is no dead letter.
    """

    id: str
    sink: str
    first: int
    until: int
    only_dead_letters: bool
    cursor: int
    requested: str


class Baseline(NamedTuple):
    """What stays known of the entries of a prefix that was archived, so that they can be pruned.

    Attributes:
        until: index of the first entry that is not pruned; a multiple of 256.
        kept: indices of entries below it that stay all the same, ascending.
        packed: what follows from all entries below it, for whoever verifies those that are left.
    """

    until: int
    kept: tuple[int, ...]
    packed: bytes


class Transaction(Protocol):
    """What one job sees and does inside the one write transaction.

    Reads see everything committed before and everything done by earlier jobs of the same
    batch, but not the job's own changes: read first, then change. Writes and appended entries
    are kept or dropped together: they become durable with the batch's commit, and a job that
    raises leaves neither. Jobs run on the writer's thread, one at a time, may be run again, and
    must not block, wait or keep the transaction.

    Attributes:
        time: the commit's time, RFC 3339 UTC with microseconds and ``Z``.
    """

    time: str

    def append(self, draft: Draft) -> int:
        """Add an entry to the log, in order of the calls.

        Returns:
            Its index, if the job is kept.

        Raises:
            UnauthenticatedError: it tells of a success, and the token, session or identity token
                behind it is no longer in force.
            AccessChangedError: it tells of a success, and the principal behind it may no longer
                what it might when the request was let in.
        """

    def require_in_force(self, principal: Principal) -> None:
        """Pass when the principal still is who they were and may what they might.

        For what is told without an entry; ``append`` looks by itself.

        Raises:
            UnauthenticatedError: the token, session or identity token behind it is no longer in
                force.
            AccessChangedError: what the principal may was changed.
        """

    def head(self, workspace: str) -> StateVersion | None:
        """Return the newest version; None is certain knowledge that there is none."""

    def version(self, workspace: str, version: str) -> StateVersion | None:
        """Return a version by its ID or its number (decimal text)."""

    def kept_versions(self, workspace: str) -> list[StateVersion]:
        """Return the versions that are not pruned, oldest first.

        And each that is, if it follows right after one that is not.
        """

    def add_version(self, version: StateVersion, sealed: bytes) -> None:
        """Make this the workspace's newest version; creates the workspace when it is new."""

    def require_master(
        self, key_id: str, is_opened: Callable[[StateVersion, bytes], bool], length: int
    ) -> None:
        """Pass when a master key opens what is stored last, so that it may seal something.

        Whoever has a key that was rotated meanwhile would store what nobody can read. Where nothing
        is stored, the newest rotation of the key tells.

        Args:
            key_id: as ``key.rotated`` names the key.
            is_opened: tells it of a version by the first so many bytes of its body.
            length: how many bytes.

        Raises:
            UnavailableError: it opens none of the newest, or another was brought in.
        """

    def destroy_bodies(self, workspace: str, through: int) -> None:
        """Destroy the bodies of all versions up to this number.

        ``Store.scrub`` then removes their last traces.
        """

    def prune_versions(self, version_ids: Sequence[str], index: int) -> None:
        """Destroy the bodies of these versions, and keep when, and which entry records it.

        ``Store.scrub`` then removes their last traces.

        Args:
            version_ids: none of them its workspace's newest.
            index: of the entry.
        """

    def body_heads(self, length: int) -> list[tuple[StateVersion, bytes]]:
        """Return the first so many bytes of each body that is stored, and whose it is."""

    def set_body_head(self, version_id: str, head: bytes) -> None:
        """Put as many bytes in the place of the first ones of a body."""

    def is_workspace(self, workspace: str) -> bool:
        """Tell whether the workspace was ever written."""

    def lock(self, workspace: str) -> HeldLock | None:
        """Return the lock that is held, if any."""

    def set_lock(self, lock: HeldLock) -> None:
        """Take the lock; the caller has looked that it is free, in this same job."""

    def clear_lock(self, workspace: str) -> None:
        """Release the lock, whoever holds it."""

    def run(self, workspace: str) -> Run | None:
        """Return the run under way; None also when its lock was taken by an older release."""

    def set_run(self, run: Run) -> None:
        """Keep a run in place of what was kept of it before."""

    def clear_run(self, workspace: str) -> None:
        """Forget the run, because it is over."""

    def token(self, name_or_id: str) -> StoredToken | None:
        """Return the token of this name that is not revoked or replaced, or any token by ID."""

    def predecessors(self, name: str) -> list[StoredToken]:
        """Return the tokens of this name that were replaced and still work, oldest first."""

    def add_token(self, token: StoredToken, digest: bytes) -> None:
        """Keep a new token under the SHA-256 digest of its text (32 bytes)."""

    def revoke_token(self, token_id: str) -> None:
        """Mark the token revoked at this transaction's time."""

    def forget_exchanged(self, before: str) -> None:
        """Drop the tokens that were given for identity tokens and expired before this time."""

    def replace_token(self, token_id: str, expires: str) -> None:
        """Free the token's name at this transaction's time, and let it expire at another."""

    def password(self, principal_id: str) -> StoredPassword | None:
        """Return a person's password; None when there is none."""

    def set_password(self, principal_id: str, hashed: str) -> None:
        """Keep a person's password from this transaction's time on, in place of an older one."""

    def drop_password(self, principal_id: str) -> None:
        """Take a person's password away, if there is one."""

    def session(self, session_id: str) -> StoredSession | None:
        """Return a session, also one that is over."""

    def sessions(self, principal_id: str) -> list[StoredSession]:
        """Return the person's sessions that are not over at this transaction's time, oldest first.

        Those that nobody used for too long are among them.
        """

    def add_session(self, session: StoredSession, digest: bytes) -> None:
        """Keep a new session under the SHA-256 digest of its cookie (32 bytes).

        The person's sessions that expired before are forgotten.
        """

    def end_session(self, session_id: str) -> None:
        """Mark the session ended at this transaction's time."""

    def directory(self) -> Directory:
        """Return all principals, grants, issuers, sinks and workspaces' settings."""

    def put_object(self, found: Object) -> None:
        """Keep an object of the directory in place of the one of its kind and name, if any."""

    def drop_object(self, kind: str, name: str) -> None:
        """Take an object out of the directory; with a sink goes all that is kept of it."""

    def salt(self, workspace: str) -> Salt | None:
        """Return the salt of a workspace's commitments; None when it has none (any more)."""

    def set_salt(self, workspace: str, value: bytes) -> None:
        """Give the workspace a salt (32 bytes) from this transaction's time on."""

    def destroy_salt(self, workspace: str) -> None:
        """Take the workspace's salt away; ``Store.scrub`` then removes its last traces."""

    def policy(self) -> bytes | None:
        """Return the redaction policy in force, packed; None when none was ever put in force."""

    def set_policy(self, packed: bytes) -> None:
        """Put a redaction policy in force for every process."""

    def delivery(self, sink: str) -> Delivery | None:
        """Return how far a sink is, by its object's ID; None before it was ever given anything."""

    def keep_delivery(self, delivery: Delivery) -> None:
        """Keep how far a sink is, unless its object is no more.

        Bookkeeping: it says nothing that the log must, and so needs no entry beside it.
        """

    def dead_letters(self, sink: str, first: int, until: int) -> list[DeadLetter]:
        """Return what was set aside for a sink from an index on and below another, in order."""

    def dead_letter_bounds(
        self, sink: str, first: int, until: int | None
    ) -> tuple[int, int] | None:
        """Return the first index and one more than the last of those; None when there are none."""

    def add_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Set entries aside for sinks, in place of what was set aside of the same before."""

    def note_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Do so with entries about sinks. Bookkeeping: an entry about it would beget the next."""

    def drop_dead_letters(self, sink: str, indices: Sequence[int]) -> None:
        """Forget what was set aside: a sink took it after all."""

    def replay(self, replay_id: str) -> SinkReplay | None:
        """Return a replay; None when it is done."""

    def add_replay(self, replay: SinkReplay) -> None:
        """Let a sink be given entries once more."""

    def keep_replay(self, replay_id: str, cursor: int) -> None:
        """Keep how far a replay is. Bookkeeping: it needs no entry."""

    def settle_replay(self, replay_id: str, first: int) -> None:
        """Keep that all below an index is done with; the replay is over when nothing is left."""

    def has_replay_below(self, index: int) -> bool:
        """Tell whether a sink is to be given entries below an index once more."""

    def pruned(self) -> int:
        """Return the index of the first entry that is not pruned; 0 when none ever was."""

    def set_baseline(self, baseline: Baseline) -> None:
        """Let the entries below be dropped; it takes the place of an earlier one."""

    def is_running(self) -> bool:
        """Tell whether a server started and has not recorded a stop."""

    def set_running(self, *, running: bool) -> None:
        """Remember that a server runs, or that it stopped in order."""


class Store(Protocol):
    """Durable, transactional storage of states, locks, tokens and the log.

    ``write`` returns only after the commit is durable; when it raises UnavailableError nothing
    of the job is kept. It may be called by many at once; the order of the log's indices is the
    order of commits. Readers see only what is committed. Whatever can't be read is
    UnavailableError, never an empty answer.
    """

    async def write(self, job: Callable[[Transaction], T]) -> Committed[T]:
        """Run the job in the next batch's transaction and wait for its commit.

        Raises:
            UnavailableError: the batch could not be committed; nothing happened.
            Exception: whatever the job raised; its effects are undone.
        """
        ...

    def token_by_digest(self, digest: bytes) -> StoredToken | None:
        """Return the token (revoked or expired ones too) kept under this SHA-256 digest."""
        ...

    async def password(self, principal_id: str) -> StoredPassword | None:
        """Return a person's password; None when there is none."""
        ...

    def session_by_digest(self, digest: bytes) -> StoredSession | None:
        """Return the session (one that is over, too) kept under this SHA-256 digest."""
        ...

    def directory(self) -> Directory:
        """Return the directory for telling who asks; what is done is checked again when it is done.

        Raises:
            UnavailableError: it can't be told.
        """
        ...

    async def sealed(self, version_id: str) -> bytes:
        """Return a version's sealed body.

        Raises:
            UnavailableError: also when it should be there and is not.
        """
        ...

    async def workspaces(self) -> list[WorkspaceSummary]:
        """Return all workspaces by name: written, made ahead, or only locked."""
        ...

    async def versions(self, workspace: str) -> list[StateVersion]:
        """Return a workspace's versions, newest first."""
        ...

    async def kept_versions(self, workspace: str) -> list[StateVersion]:
        """Return a workspace's versions as ``Transaction.kept_versions`` does, oldest first."""
        ...

    async def pruned_versions(self, index: int) -> list[tuple[int, str]]:
        """Return the versions that entries from an index on say were pruned: index and ID."""
        ...

    async def locks(self) -> list[HeldLock]:
        """Return all locks that are held, oldest first."""
        ...

    async def runs(self) -> list[Run]:
        """Return all runs that are under way, by workspace."""
        ...

    async def tokens(self) -> list[StoredToken]:
        """Return all tokens, oldest first, revoked ones too."""
        ...

    async def size(self) -> int:
        """Return the number of committed entries."""
        ...

    def entries(self, query: LogQuery) -> AsyncIterator[StoredRecord]:
        """Yield the committed entries that match, in one consistent view."""
        ...

    async def checkpoint(self, size: int | None = None) -> str:
        """Return the newest signed checkpoint, or that of a tree size; empty when there is none."""
        ...

    def checkpoints(self) -> AsyncIterator[tuple[int, str]]:
        """Yield (tree size, signed checkpoint) of every commit, oldest first."""
        ...

    async def following(self, first: int, limit: int) -> list[Record]:
        """Return the committed entries from an index on, in order, without their documents.

        At most so many, and no more than about 4 MiB of them: none is the end of the log.

        Raises:
            UnavailableError: also when one between is not there, as below ``pruned``.
        """
        ...

    async def pruned(self) -> int:
        """Return the index of the first entry that is not pruned; 0 when none ever was."""
        ...

    async def drop_pruned(self) -> bool:
        """Drop some of the entries and checkpoints that are pruned.

        Their hashes stay in the tiles.

        Returns:
            Whether there may be more to drop: call it again.
        """
        ...

    async def deliveries(self) -> list[Delivery]:
        """Return how far each sink is that was ever given anything."""
        ...

    async def dead_letters(
        self, sink: str, first: int = 0, limit: int | None = None
    ) -> list[DeadLetter]:
        """Return what was set aside for a sink from an index on, in order."""
        ...

    async def dead_letter_counts(self) -> dict[str, int]:
        """Return how many entries are set aside now, by the sink's ID."""
        ...

    async def replays(self) -> list[SinkReplay]:
        """Return the replays that are not done, oldest first."""
        ...

    async def tiles(self, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """Return tiles of the tree, each as its hashes one after the other, in one view.

        Args:
            wanted: all of them in the tree of the committed entries.

        Raises:
            UnavailableError: also when the store does not hold what they are made of.
        """
        ...

    async def keep_tiles(self) -> bool:
        """Keep some of the full tiles that would else be made anew whenever they are asked for.

        Returns:
            Whether there may be more to keep: call it again.
        """
        ...

    async def scrub(self) -> None:
        """Make sure that no file of the store holds what was destroyed before the call.

        Raises:
            UnavailableError: somebody is reading an older view; traces may be left.
        """
        ...

    async def backup(self, target: Path) -> None:
        """Write a consistent copy while others go on writing.

        Raises:
            InvalidInputError: the target exists.
        """
        ...

    async def aclose(self) -> None:
        """Finish the jobs that wait, then close."""
        ...
