"""What the tables beside the log must hold, by what the entries of the log say happened."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

from proxy.access import is_act, proof_of, taker_of
from proxy.cli._comparing import is_moment as _is_moment
from proxy.cli._comparing import is_printed as _is_printed
from proxy.cli._comparing import printed as _printed
from proxy.cli._replay_people import PeopleReplay
from proxy.cli._replay_runs import RunsReplay
from proxy.cli._replay_sinks import SinksReplay
from proxy.cli._uses import Uses
from proxy.contracts import HeldLock, StateVersion
from proxy.directory import Object
from proxy.errors import InvalidInputError, MissingError, VerificationError
from proxy.pruned_entries import EVENT, LASTING
from proxy.retention import Retention, ends_run
from proxy.tfstate.policy import Policy
from proxy.timestamps import micros_of, parse_length
from proxy.tlog.tiles import WIDTH

_STORING: Final = frozenset({"state.written", "state.rolled_back"})
"""Events whose entries vouch for a stored version."""

_DESTROYING: Final = frozenset({"workspace.purged", "state.versions_pruned"})
"""Events that leave nothing of stored versions but what the log says of them."""
_UNLOCKING: Final = frozenset({"state.unlocked", "state.force_unlocked"})

_STATE_FIELDS: Final = ("serial", "sha256", "size")
"""What an entry says of a stored version, and the store must say, too."""

_STATE_TEXTS: Final = {"lineage": 256, "terraform_version": 64}
"""The same of the client's own words, with how much of each an entry shows."""

_LOCK_TEXTS: Final = {"Operation": 256, "Who": 256, "Version": 64}
"""What others are shown of a held lock, with how much of each an entry shows."""

_TOKEN_FIELDS: Final = ("name", "role", "hint", "expires")
"""What an entry says of a token in the words of the store."""


@dataclass(slots=True)
class Promise:
    """What an entry says of a version that it stored.

    Attributes:
        index: the entry's.
        workspace: whose state.
        number: by the order of the log, 1 for the workspace's first version.
        state: what is said of it: serial, digest, size.
        texts: what it and later entries say of its lineage and Terraform, as each shows it: those
            of an older release show more of the same text.
        created: time of the entry.
        run: index and time of the entry of the lock under which it was written; None without one.
        pruned: index and time of the entry by which retention destroyed its body; None is kept.
    """

    index: int
    workspace: str
    number: int
    state: Mapping[str, Any]
    texts: list[Mapping[str, Any]]
    created: str
    run: tuple[int, str] | None = None
    pruned: tuple[int, str] | None = None

    def is_of(self, version: StateVersion) -> bool:
        """Tell whether the store says the same."""
        said = {name: getattr(version, name) for name in _STATE_FIELDS}
        return (
            (version.workspace, version.number, said) == (self.workspace, self.number, self.state)
            and _is_moment(version.created, self.created)
            and all(
                _is_printed(texts[name], getattr(version, name), limit)
                for texts in self.texts
                for name, limit in _STATE_TEXTS.items()
            )
        )

    def is_kept_as(self, version: StateVersion) -> bool:
        """Tell whether the store says the same of its run, and of what retention did."""
        index, time = self.pruned or (None, None)
        return (
            _is_time(version.run, self.run[1] if self.run else None)
            and _is_time(version.pruned, time)
            and version.pruned_by == index
        )


@dataclass(slots=True)
class _Token:
    """What entries say of a token.

    Attributes:
        index: of the entry that made it.
        columns: what the table must have of it.
        created: time of that entry.
        revoked: index and time of the newest entry that revoked it; None is in force.
        replaced: index and time of the entry that gave its name to another; None has its name.
        uses: what was done with it last.
    """

    index: int
    columns: dict[str, object]
    created: str
    revoked: tuple[int, str] | None = None
    replaced: tuple[int, str] | None = None
    uses: Uses = field(default_factory=Uses)


@dataclass(frozen=True, slots=True)
class _Lock:
    """What the entry of a lock that is held says of it, and the version that its run began with."""

    index: int
    run: Mapping[str, Any]
    actor: Mapping[str, Any]
    time: str
    start: int

    @property
    def given(self) -> tuple[int, str]:
        """Index and time of the entry."""
        return self.index, self.time


@dataclass(frozen=True, slots=True)
class _Made:
    """What the newest entry of an object of the directory says of it."""

    index: int
    id: str
    document: Mapping[str, Any]
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """What the newest ``audit.pruned`` says.

    Attributes:
        until: index of the first entry that is not pruned; 0 when none ever was.
        index: of the entry that says so; -1 without one.
        baseline: SHA-256 of what is known of the pruned entries, hex.
        archive: where the newest of them are.
        before: all of them are older, RFC 3339.
    """

    until: int = 0
    index: int = -1
    baseline: str = ""
    archive: str = ""
    before: str = ""

    @classmethod
    def by(cls, index: int, entry: Mapping[str, Any]) -> "Pruned":
        """Return what an entry says.

        Raises:
            LookupError, TypeError: it does not say what it must.
        """
        said = entry["pruning"]
        texts = [str(said[name]) for name in ("baseline_sha256", "archive", "before")]
        return cls(int(said["until"]), index, *texts)


NOTHING_PRUNED: Final = Pruned()


@dataclass(slots=True)
class Replay:
    """What follows from the entries so far.

    Attributes:
        by_version: the promise of each version, by its ID, in the order of the log.
        newest: the ID of each workspace's newest version.
        destroyed: so many of a workspace's first versions were destroyed by a purge.
        last_time: of the newest entry; empty before the first.
        is_running: whether a server started and did not stop.
        people: what follows for passwords and sessions.
        runs: what follows for runs.
        sinks: what follows for what is set aside for sinks, and what they get once more.
        pruned: which entries are pruned.
        lasting: indices of entries that are never pruned: they tell how to read the others.
        last_start: index of the newest start of a server; None before the first.
    """

    by_version: dict[str, Promise] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    destroyed: dict[str, int] = field(default_factory=dict)
    last_time: str = ""
    is_running: bool = False
    people: PeopleReplay = field(default_factory=PeopleReplay)
    runs: RunsReplay = field(default_factory=RunsReplay)
    sinks: SinksReplay = field(default_factory=SinksReplay)
    pruned: Pruned = NOTHING_PRUNED
    lasting: list[int] = field(default_factory=list)
    last_start: int | None = None
    _policy: tuple[int, bytes] | None = None
    _tokens: dict[str, _Token] = field(default_factory=dict)
    _locks: dict[str, _Lock] = field(default_factory=dict)
    _objects: dict[tuple[str, str], _Made] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def note(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the next entry, whose signature is proved.

        Raises:
            VerificationError: it contradicts an earlier one, or is not what its kind must be.
        """
        self.last_time = entry["time"]
        self.sinks.note_any(index, entry)
        try:
            self.runs.note(index, entry)
            if entry.get("outcome") == "success":
                self._follow(index, entry)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise VerificationError(
                f"Entry {index} does not say what an entry of its kind must say.", index
            ) from error

    def _follow(self, index: int, entry: Mapping[str, Any]) -> None:
        event = entry.get("event")
        self._note_use(entry)
        self.people.note(index, entry)
        self.sinks.note(index, entry)
        if "object" in entry:
            self._note_object(index, entry["time"], entry["object"])
        if event in _STORING:
            self._note_state(index, entry)
        elif event == "state.locked":
            self._note_lock(index, entry)
        elif event in _UNLOCKING:
            self._locks.pop(entry["workspace"], None)
        elif event in {"token.created", "token.rotated", "token.revoked"}:
            self._note_token(index, entry)
        elif event in _DESTROYING:
            note = self._note_purge if event == "workspace.purged" else self._note_pruned
            note(index, entry)
        elif event in LASTING:
            self.lasting.append(index)
            if event == EVENT:
                self._note_pruning(index, entry)
        elif event in {"audit.started", "audit.stopped"}:
            self._note_life(index, entry)

    def _note_use(self, entry: Mapping[str, Any]) -> None:
        token_id, _ = proof_of(entry["actor"])
        if is_act(entry) and token_id is not None and token_id in self._tokens:
            self._tokens[token_id].uses.note(entry["time"], entry["source"]["ip"])

    def _note_life(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the start or the stop of a server."""
        self.is_running = entry["event"] == "audit.started"
        if self.is_running:
            self.last_start = index
        if "redaction.mode" in entry.get("config", {}):
            self._policy = index, _policy_of(entry["config"]).packed

    def _note_state(self, index: int, entry: Mapping[str, Any]) -> None:
        state = entry.get("state")
        if not isinstance(state, dict) or "version" not in state:
            return
        workspace, version = str(entry.get("workspace")), str(state["version"])
        said = {name: state.get(name) for name in _STATE_FIELDS}
        earlier = self.by_version.get(version)
        # The same bytes sent again are recorded again, but stored once.
        if earlier is not None and (earlier.workspace, earlier.state) != (workspace, said):
            raise VerificationError(
                f"Entry {index} says something else of a stored state than entry "
                f"{earlier.index} did.",
                index,
            )
        texts = {name: state.get(name) for name in _STATE_TEXTS}
        if earlier is not None:
            if texts not in earlier.texts:
                earlier.texts.append(texts)
        else:
            before = self.newest.get(workspace)
            number = 1 if before is None else self.by_version[before].number + 1
            held = self._locks.get(workspace)
            run = None if held is None else held.given
            self.by_version[version] = Promise(
                index, workspace, number, said, [texts], entry["time"], run
            )
            self._ids.setdefault(workspace, []).append(version)
            self.newest[workspace] = version

    def _note_lock(self, index: int, entry: Mapping[str, Any]) -> None:
        workspace, run = entry["workspace"], entry["run"]
        held = self._locks.get(workspace)
        if held is None:
            start = len(self._ids.get(workspace, ()))
            self._locks[workspace] = _Lock(index, run, entry["actor"], entry["time"], start)
        elif held.run["id"] != run["id"]:  # otherwise it was confirmed to its holder
            raise VerificationError(
                f"Entry {index} gave the lock of {workspace} away while the one that entry "
                f"{held.index} gave was held: that was removed behind the log's back.",
                index,
            )

    def _note_object(self, index: int, time: str, said: Mapping[str, Any]) -> None:
        key = said["kind"], said["name"]
        before = self._objects.pop(key, None)
        if (None if before is None else before.document) != said["before"]:
            raise VerificationError(
                f"Entry {index} says that the {key[0]} {key[1]} was something else before than "
                "what the log made of it.",
                index,
            )
        if said["after"] is not None:
            created = time if before is None else before.created
            self._objects[key] = _Made(index, said["id"], said["after"], created, time)

    def _note_purge(self, index: int, entry: Mapping[str, Any]) -> None:
        workspace = entry["workspace"]
        newest = self.newest.get(workspace)
        number = 0 if newest is None else self.by_version[newest].number
        after = entry["object"]["after"]
        destroyed: int = after["destroyed_versions"]
        is_all = destroyed == number
        if after["purged"] != is_all or not self.destroyed.get(workspace, 0) <= destroyed <= number:
            raise VerificationError(
                f"Entry {index} says that {destroyed} states of {workspace} were destroyed, of "
                f"{number} that the log has, which can't be.",
                index,
            )
        self.destroyed[workspace] = destroyed

    def _note_pruned(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow what retention destroyed, and see that it was what its rules do not keep."""
        workspace, said = entry["workspace"], entry["pruned"]
        rules = Retention.of_entry(said["kept"])
        numbers = (n for first, last in said["versions"] for n in range(first, last + 1))
        sizes = [self._prune(index, entry, number, rules) for number in numbers]
        if (said["number"], said["size"]) != (len(sizes), sum(sizes)):
            raise VerificationError(
                f"Entry {index} says that {said['number']} versions of {workspace} with "
                f"{said['size']} bytes were pruned, and those that it names are {len(sizes)} with "
                f"{sum(sizes)}.",
                index,
            )

    def _prune(self, index: int, entry: Mapping[str, Any], number: int, rules: Retention) -> int:
        """Note that a version was pruned; return its size.

        Raises:
            VerificationError: it can't have been, or the rules keep it.
        """
        workspace = entry["workspace"]
        ids = self._ids.get(workspace, ())
        held = self._locks.get(workspace)
        if not self.destroyed.get(workspace, 0) < number < len(ids):
            raise _not_pruned(index, workspace, number, "it was not there to be pruned")
        promise, following = (self.by_version[each] for each in ids[number - 1 : number + 1])
        if promise.pruned is not None:
            raise _not_pruned(index, workspace, number, "an entry before it pruned it")
        now, created = micros_of(entry["time"]), micros_of(promise.created)
        ends = ends_run(promise, following)
        is_start = held is not None and number == held.start
        if is_start or rules.keeps(number, created, len(ids), now, ends_run=ends):
            raise _not_pruned(index, workspace, number, "the rules it names keep it")
        promise.pruned = index, entry["time"]
        size: int = promise.state["size"]
        return size

    def _note_pruning(self, index: int, entry: Mapping[str, Any]) -> None:
        said = entry["pruning"]
        until = said["until"]
        is_next = said["from"] == self.pruned.until < until <= index and until % WIDTH == 0
        is_old = _is_older(said["before"], entry["time"], said["keep"])
        if not (is_next and is_old):
            raise VerificationError(
                f"Entry {index} says that entries {said['from']} to {until - 1} were pruned, being "
                f"older than {said['keep']}, which can't be.",
                index,
            )
        self.pruned = Pruned.by(index, entry)

    def is_destroyed(self, promise: Promise) -> bool:
        """Tell whether a version's body was destroyed, so that there must be none."""
        return promise.pruned is not None or promise.number <= self.destroyed.get(
            promise.workspace, 0
        )

    def _note_token(self, index: int, entry: Mapping[str, Any]) -> None:
        token = entry["token"]
        if entry["event"] == "token.revoked":
            for each in (token, *entry.get("predecessors", ())):
                known = self._tokens.get(each["id"])
                if known is not None:
                    known.revoked = (index, entry["time"])
            return
        if entry["event"] == "token.rotated":
            old = self._tokens[entry["replaced"]["id"]]
            old.replaced = (index, entry["time"])
            old.columns["expires"] = entry["replaced"]["expires"]
        columns = {name: token[name] for name in _TOKEN_FIELDS}
        columns["principal"] = token.get("principal")
        columns["issuer"] = token.get("issuer")
        columns["identity_sha256"] = token.get("identity_sha256")
        columns["workspaces"] = json.dumps(token["workspaces"])
        columns["digest"] = bytes.fromhex(token["sha256"])
        self._tokens[token["id"]] = _Token(index, columns, entry["time"])

    # ------------------------------------------------------------ comparing with the tables

    def check_version(self, version: StateVersion, promise: Promise) -> None:
        """Compare what the store says of a version with what its entry says.

        Raises:
            VerificationError: they differ.
        """
        if not promise.is_of(version):
            raise VerificationError(
                f"What the store says of the stored state of {promise.workspace}, version "
                f"{version.id}, is not what entry {promise.index} recorded.",
                promise.index,
            )

    @staticmethod
    def check_kept(version: StateVersion, promise: Promise) -> None:
        """Compare what retention goes by, and what it did, with what the entries say.

        Raises:
            VerificationError: they differ.
        """
        if not promise.is_kept_as(version):
            raise VerificationError(
                f"What the store says of the run of {promise.workspace}, version {version.id}, or "
                "of its pruning, is not what entries recorded.",
                promise.index if promise.pruned is None else promise.pruned[0],
            )

    def check_newest(self, heads: Mapping[str, object]) -> None:
        """See that the store gives out, for each workspace, the version that was stored last.

        Args:
            heads: the ID of the version that the store gives out, by workspace.

        Raises:
            VerificationError: it gives out another one, or one of nobody's.
        """
        for name, version_id in self.newest.items():
            if heads.get(name) != version_id:
                index = self.by_version[version_id].index
                raise VerificationError(
                    f"The newest state of {name}, which entry {index} recorded, is not the one "
                    "that the store gives out.",
                    index,
                )
        for name in heads.keys() - self.newest.keys():
            raise VerificationError(
                f"The store gives out a state for {_printed(name)}, which no entry recorded: it "
                "was put there behind the log's back."
            )

    def check_tokens(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Compare the tokens of the store, by column, with those that were made and revoked.

        Raises:
            VerificationError: naming the token and the entry that says something else of it.
        """
        left = dict(self._tokens)
        for row in rows:
            token = left.pop(row["id"], None)
            if token is None:
                raise VerificationError(
                    f"The token {_printed(row['name'])} ({_printed(row['id'])}) has no entry in "
                    "the log: it was put there behind its back."
                )
            _check_token(row, token)
        for token in left.values():
            if token.columns["issuer"] is not None and str(token.columns["expires"]) < (
                self.last_time
            ):
                continue  # those are not kept for long after their end
            raise MissingError(
                f"The token {token.columns['name']} that entry {token.index} recorded is gone "
                "from the store.",
                token.index,
            )

    def check_locks(self, rows: Iterable[HeldLock]) -> None:
        """Compare the locks of the store with those that were given and not released.

        Raises:
            VerificationError: naming the workspace and the entry that says something else of it.
        """
        left = dict(self._locks)
        for row in rows:
            lock = left.pop(row.workspace, None)
            if lock is None:
                raise VerificationError(
                    f"The lock of {_printed(row.workspace)} is not one that the log gave: it was "
                    "put there behind its back."
                )
            if not _is_lock(row, lock):
                raise VerificationError(
                    f"The lock of {row.workspace} is not the one that entry {lock.index} gave.",
                    lock.index,
                )
        for workspace, lock in left.items():
            raise MissingError(
                f"The lock of {workspace} that entry {lock.index} gave is gone from the store, "
                "and no entry released it.",
                lock.index,
            )

    def check_objects(self, rows: Iterable[Object]) -> None:
        """Compare principals, grants, issuers, sinks and settings with those that the log made.

        Raises:
            VerificationError: naming the object and the entry that says something else of it.
        """
        left = dict(self._objects)
        for row in rows:
            made = left.pop((row.kind, row.name), None)
            if made is None:
                raise VerificationError(
                    f"The {_printed(row.kind)} {_printed(row.name)} has no entry in the log: it "
                    "was put there behind its back."
                )
            if (row.id, _loaded(row.document)) != (made.id, made.document):
                raise VerificationError(
                    f"The {row.kind} {row.name} is not what entry {made.index} recorded.",
                    made.index,
                )
            if not (
                _is_moment(row.created, made.created) and _is_moment(row.updated, made.updated)
            ):
                raise VerificationError(
                    f"When the {row.kind} {row.name} was made or last changed is not what entry "
                    f"{made.index} and those before it recorded.",
                    made.index,
                )
        for (kind, name), made in left.items():
            raise MissingError(
                f"The {kind} {name} that entry {made.index} recorded is gone from the store.",
                made.index,
            )

    def check_policy(self, packed: object) -> None:
        """Compare the redaction policy that is in force with the one that a start recorded.

        Raises:
            VerificationError: more would be shown, or less, than the log says.
        """
        recorded = None if self._policy is None else self._policy[1]
        if packed != recorded:
            raise VerificationError(
                "The redaction policy in force is not the one that the last start of a server "
                "recorded: it was changed behind the log's back.",
                None if self._policy is None else self._policy[0],
            )


def _not_pruned(index: int, workspace: str, number: int, why: str) -> VerificationError:
    return VerificationError(
        f"Entry {index} says that version {number} of {workspace} was pruned, but {why}.", index
    )


def _is_time(column: object, entry_time: str | None) -> bool:
    """Tell whether a column holds an entry's time, or nothing when there is no such entry."""
    return column is None if entry_time is None else _is_moment(column, entry_time)


def _is_older(moment: str, time: str, keep: str) -> bool:
    """Tell whether a moment was so long before a time, or longer."""
    try:
        return micros_of(time) - micros_of(moment) >= parse_length(keep) / timedelta(microseconds=1)
    except InvalidInputError:
        return False


def _policy_of(config: Mapping[str, Any]) -> Policy:
    """Return the redaction policy that a start recorded."""
    mode, *lists = (
        config[f"redaction.{name}"] for name in ("mode", "hidden", "readable", "hidden_values")
    )
    return Policy(mode, *map(tuple, lists))


def _check_token(row: Mapping[str, Any], token: _Token) -> None:
    name = token.columns["name"]
    identity = row["identity"]
    said_of_it = None if identity is None else sha256(str(identity).encode()).hexdigest()
    row = {**row, "identity_sha256": said_of_it}
    for column, said in token.columns.items():
        if row[column] != said:
            raise VerificationError(
                f"The {column} of the token {name} ({row['id']}) is not what entry {token.index} "
                "recorded.",
                token.index,
            )
    if not _is_moment(row["created"], token.created):
        raise VerificationError(
            f"The token {name} ({row['id']}) was not made when entry {token.index} recorded it.",
            token.index,
        )
    for column, said in (("revoked", token.revoked), ("replaced", token.replaced)):
        if said is None:
            if row[column] is not None:
                raise VerificationError(
                    f"The token {name} ({row['id']}), made by entry {token.index}, is {column}, "
                    "and no entry says so.",
                    token.index,
                )
            continue
        index, time = said
        if not _is_moment(row[column], time):
            raise VerificationError(
                f"The token {name} ({row['id']}) is not {column} as entry {index} recorded.", index
            )
    if "used" not in row:  # an older database has no place for it
        return
    used = row["used"], row["used_from"]
    if not token.uses.is_last(*used):
        raise VerificationError(
            f"The last use of the token {name} ({row['id']}) is not one that is on record.",
            token.index,
        )


def _loaded(document: object) -> object:
    try:
        return orjson.loads(document)  # type: ignore[arg-type] # of an altered database anything
    except (orjson.JSONDecodeError, TypeError):
        return None


def _is_lock(row: HeldLock, lock: _Lock) -> bool:
    """Tell whether a lock, and the lock info that others are shown, are what an entry gave.

    All but the ID was kept without credentials, and is not cleaned again: that could change it.
    """
    try:
        info = orjson.loads(row.info)
        shown = [_cut(info[name], limit) for name, limit in _LOCK_TEXTS.items()]
    except (LookupError, TypeError, orjson.JSONDecodeError):
        return False
    said = [lock.run[name] for name in ("operation", "who", "terraform_version")]
    return (
        shown == said == [row.operation, row.who, _cut(row.version, 64)]
        and row.id == info["ID"]
        and _is_printed(lock.run["id"], row.id)
        and row.actor == lock.actor["name"]
        # An older release stored no taker.
        and row.taker in {"", taker_of(lock.actor)}
        and _is_moment(row.taken, lock.time)
    )


def _cut(text: object, limit: int) -> object:
    return text[:limit] if isinstance(text, str) else text
