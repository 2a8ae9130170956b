"""Tells where a secret was seen, and destroys the key that can tell it: for administrators."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.access import Caller, Permission
from proxy.audit_log import draft
from proxy.contracts import LogQuery, Salt, StateVersion, Store, Transaction
from proxy.errors import InvalidInputError, NotFoundError, UnavailableError
from proxy.gate import gate
from proxy.preparation import Keys, open_sealed
from proxy.retention import ranges, ranges_text
from proxy.state_entries import name_of
from proxy.tfstate import document as documents
from proxy.tfstate.commitment import PREFIX, commitments, workspace_key
from proxy.tfstate.recorded import in_changes, in_plain, leaves_values_out
from proxy.tfstate.sightings import SUBSTRING, Search, Sighting

_EVERYTHING: Final = "*"
_COMMITMENT: Final = PREFIX.encode()
_LEFT_OUT: Final = b'"changed":true'
_CHANGES: Final = b'"changes":'
_PLAIN: Final = "plain"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was done.

    Attributes:
        since: RFC 3339 UTC, from when the destroyed key was in use; None when there was none.
        index: of the entry that records it.
    """

    since: str | None
    index: int | None


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """An entry of the log in which a value is hidden, or which shows it.

    Attributes:
        index: from 0.
        time: RFC 3339 UTC.
        event: its name.
        sightings: first those where the value stands in plain.
    """

    index: int
    time: str
    event: str
    sightings: list[Sighting]

    @property
    def shows_it(self) -> bool:
        """Whether the value stands in it for all to read."""
        return any(place.how == _PLAIN for place in self.sightings)


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """A stored version that holds a value."""

    version: StateVersion
    sightings: list[Sighting]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a value was seen.

    Attributes:
        entries: of the log; first those that show the value in plain, then the others, oldest
            first.
        versions: that are stored, oldest first.
        untold: what could not be told, each a sentence.
        index: of the entry that records the question.
    """

    entries: list[SeenEntry]
    versions: list[SeenVersion]
    untold: list[str]
    index: int | None


class SecretService:
    """Questions about secrets that only the holder of the keys can answer.

    Args:
        store: keeps states, log and salts.
        keys: to open states, and to test commitments.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    async def forget(self, caller: Caller, workspace: str) -> Forgotten:
        """Destroy the key of a workspace's commitments; the next write gets a new one.

        Raises:
            ForbiddenError: the caller may not administer everything.
            NotFoundError: the workspace was never written.
            UnavailableError: nothing happened; or, as the message says, the key is destroyed and
                on record, but a copy may be left in the store's files.
        """
        await gate(self._store, caller, Permission.ADMINISTER, _EVERYTHING)

        def job(transaction: Transaction) -> Salt | NotFoundError | None:
            if not transaction.is_workspace(workspace):
                return _not_found("key.rotated", caller, workspace, transaction)
            salt = transaction.salt(workspace)
            message = (
                f"{name_of(caller)} destroyed the key of the commitments of {workspace}: what was "
                f"hidden with it since {salt.since} can't be compared with a value any more, and "
                "the next write gets a new key"
                if salt is not None
                else f"{name_of(caller)} wanted the key of the commitments of {workspace} "
                "destroyed: there was none any more"
            )
            transaction.append(
                draft("key.rotated", "success", message, caller, 200, workspace=workspace)
            )
            if salt is not None:
                transaction.destroy_salt(workspace)
            return salt

        done = await self._store.write(job)
        if isinstance(done.value, NotFoundError):
            done.value.audit_index = done.index
            raise done.value
        try:
            await self._store.scrub()
        except UnavailableError as error:
            raise UnavailableError(
                f"the key of {workspace} is destroyed, and that is on record; but a copy may be "
                f"left in the database's files: {error}; run `tfaudit forget {workspace}` again"
            ) from error
        return Forgotten(None if done.value is None else done.value.since, done.index)

    async def find(self, caller: Caller, workspace: str, value: str) -> Whereabouts:
        """Tell where a value was seen: in entries, and in stored versions.

        The question is on record before anything is told, without the value.

        Raises:
            ForbiddenError: the caller may not administer everything.
            InvalidInputError: there is no value.
            NotFoundError: the workspace was never written.
            UnavailableError: the log can't be read, or the question not be recorded.
        """
        await gate(self._store, caller, Permission.ADMINISTER, _EVERYTHING)
        if not value.strip():
            raise InvalidInputError("there is no value to look for: give it on the standard input")

        def job(transaction: Transaction) -> Salt | NotFoundError | None:
            if not transaction.is_workspace(workspace):
                return _not_found("audit.read", caller, workspace, transaction)
            transaction.append(
                draft(
                    "audit.read",
                    "success",
                    f"{name_of(caller)} asked where a value was seen in {workspace}",
                    caller,
                    200,
                    workspace=workspace,
                )
            )
            return transaction.salt(workspace)

        done = await self._store.write(job)
        if isinstance(done.value, NotFoundError):
            done.value.audit_index = done.index
            raise done.value
        untold: list[str] = []
        if pruned := await self._store.pruned():
            untold.append(
                f"entries before {pruned} can't be searched: they were archived and pruned, see "
                "`tfaudit log --event audit.pruned`"
            )
        search = Search(value)
        searched, unread = await self._in_versions(workspace, search)
        entries = await self._in_log(workspace, value, done.value, search, searched, untold)
        versions = [seen for seen in searched.values() if seen.sightings]
        untold += unread
        if len(value.strip()) < SUBSTRING:
            untold.append(
                f"a value of less than {SUBSTRING} characters is not looked for inside other texts"
            )
        return Whereabouts(entries, versions, untold, done.index)

    async def _in_log(  # noqa: PLR0913, PLR0917 - what is asked, and what is known already
        self,
        workspace: str,
        value: str,
        salt: Salt | None,
        search: Search,
        searched: dict[str, SeenVersion],
        untold: list[str],
    ) -> list[SeenEntry]:
        """Return the entries that show or hide the value, and add what can't be told."""
        wanted: frozenset[str] = frozenset()
        if salt is not None:
            wanted = commitments(workspace_key(self._keys.redaction, workspace, salt.value), value)
        shown: list[SeenEntry] = []
        hidden: list[SeenEntry] = []
        hiding = _Hiding(wanted, salt, searched)
        async for stored in self._store.entries(LogQuery(workspace=workspace)):
            text, document = stored.record.entry, stored.document or b""
            if not (_CHANGES in text or document or search.may_stand_in(text)):
                continue
            entry = orjson.loads(text)
            whole = orjson.loads(document) if document else None
            sightings = in_plain(search, entry, whole)
            if _is_hiding(document or text):
                sightings += _masked(hiding.look(entry, whole or entry.get("changes")), search)
            if sightings:
                seen = SeenEntry(stored.record.index, entry["time"], entry["event"], sightings)
                (shown if seen.shows_it else hidden).append(seen)
        untold += hiding.untold(is_seen=bool(shown or hidden))
        return shown + hidden

    async def _in_versions(
        self, workspace: str, search: Search
    ) -> tuple[dict[str, SeenVersion], list[str]]:
        """Return all versions that could be searched by ID, oldest first, and why others not."""
        searched: dict[str, SeenVersion] = {}
        unread: list[str] = []
        pruned: list[int] = []
        destroyed = self._store.directory().workspace(workspace).destroyed_versions
        if destroyed:
            unread.append(f"{_count(destroyed)} can't be searched: they were destroyed by a purge")
        for version in reversed(await self._store.versions(workspace)):
            if version.number <= destroyed:
                continue
            if version.pruned is not None:
                pruned.append(version.number)
                continue
            if version.kind == "encrypted":
                unread.append(f"version {version.number} is encrypted by OpenTofu")
                continue
            try:
                sealed = await self._store.sealed(version.id)
                sightings = await asyncio.to_thread(self._look(search, version, sealed))
            except UnavailableError as error:
                unread.append(f"version {version.number} can't be read: {error}")
                continue
            searched[version.id] = SeenVersion(version, sightings)
        if pruned:
            unread.append(
                f"{_count(len(pruned))} ({ranges_text(ranges(pruned))}) can't be searched: "
                "retention pruned them"
            )
        return searched, unread

    def _look(
        self, search: Search, version: StateVersion, sealed: bytes
    ) -> Callable[[], list[Sighting]]:
        def work() -> list[Sighting]:
            body = open_sealed(version, sealed, self._keys.master)
            return search.in_document(documents.parse(body))

        return work


def _count(number: int) -> str:
    return f"{number} version{'s'[: number != 1]}"


class _Hiding:
    """Looks for commitments in the entries that hide values, and keeps count of what can't be told.

    An entry's values are those of the versions before and after it: where these were searched and
    do not hold the value, neither does the entry, even if its commitments tell nothing any more.

    Args:
        wanted: the value's commitments.
        salt: of the key that is in use; None when it was destroyed.
        searched: versions by ID.
    """

    def __init__(
        self, wanted: frozenset[str], salt: Salt | None, searched: Mapping[str, SeenVersion]
    ) -> None:
        self._wanted = wanted
        self._salt = salt
        self._searched = searched
        self._without = {seen.version.number for seen in searched.values() if not seen.sightings}
        self._silent = self._before = self._compared = 0

    def look(self, entry: Mapping[str, Any], changes: Mapping[str, Any] | None) -> list[Sighting]:
        """Return where the changes of an entry hide the value."""
        if changes is None:
            return []
        if leaves_values_out(changes):
            self._silent += not self._is_without(entry)
        elif self._salt is None or entry["time"] < self._salt.since:
            self._before += not self._is_without(entry)
        else:
            self._compared += 1
        # In any case: what stands there is told, whatever else is left out.
        return in_changes(changes, self._wanted)

    def _is_without(self, entry: Mapping[str, Any]) -> bool:
        """Tell whether the versions before and after an entry are known not to hold the value."""
        state = entry.get("state")
        seen = self._searched.get(state.get("version", "")) if isinstance(state, dict) else None
        if seen is None:
            return False
        return {seen.version.number, max(1, seen.version.number - 1)} <= self._without

    def untold(self, *, is_seen: bool) -> list[str]:
        """Return what the entries could not tell, each a sentence.

        Args:
            is_seen: in any entry.
        """
        sentences: list[str] = []
        if self._silent:
            sentences.append(f"{_entries(self._silent)} in the mode names-only left values out")
        if self._before:
            until = "" if self._salt is None else f", before {self._salt.since},"
            sentences.append(
                f"{_entries(self._before)}{until} hid values with a key that was destroyed: nobody "
                "can tell whether the value is among them"
            )
        if self._compared and not is_seen and len(self._without) < len(self._searched):
            sentences.append(
                "no entry hides it as a value of its own, though stored versions hold it: it may "
                "be hidden there as a part of a longer secret"
            )
        return sentences


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _masked(sightings: list[Sighting], search: Search) -> list[Sighting]:
    """Return the sightings of commitments without the value, which may stand beside one."""
    return [
        each._replace(address=search.masked(each.address), path=search.masked(each.path))
        for each in sightings
    ]


def _is_hiding(text: bytes) -> bool:
    return _COMMITMENT in text or _LEFT_OUT in text


def _not_found(
    event: str, caller: Caller, workspace: str, transaction: Transaction
) -> NotFoundError:
    error = NotFoundError(f"there is no {workspace}: `tfaudit state list` shows all workspaces")
    message = f"{name_of(caller)}: {error}"
    transaction.append(draft(event, "error", message, caller, 404, workspace=workspace))
    return error
