"""Tells where a secret was seen, and destroys the key that can tell it: for administrators."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from proxy.access import Caller, Permission
from proxy.audit_log import draft
from proxy.contracts import LogQuery, Salt, StateVersion, Store, Transaction
from proxy.errors import InvalidInputError, NotFoundError, UnavailableError
from proxy.gate import gate
from proxy.preparation import Keys, open_sealed
from proxy.state_entries import name_of
from proxy.tfstate import document as documents
from proxy.tfstate.commitment import PREFIX, commitments, workspace_key
from proxy.tfstate.sightings import SUBSTRING, Search, Sighting, in_changes, leaves_values_out

_EVERYTHING: Final = "*"
_COMMITMENT: Final = PREFIX.encode()
_LEFT_OUT: Final = b'"changed":true'


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
    """An entry of the log in which a value is hidden."""

    index: int
    time: str
    event: str
    sightings: list[Sighting]


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """A stored version that holds a value."""

    version: StateVersion
    sightings: list[Sighting]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a value was seen.

    Attributes:
        entries: of the log, oldest first.
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
        entries = await self._in_log(workspace, value, done.value, untold)
        versions = await self._in_versions(workspace, value, untold)
        if len(value.strip()) < SUBSTRING:
            untold.append(
                f"a value of less than {SUBSTRING} characters is not looked for inside other texts"
            )
        return Whereabouts(entries, versions, untold, done.index)

    async def _in_log(
        self, workspace: str, value: str, salt: Salt | None, untold: list[str]
    ) -> list[SeenEntry]:
        wanted: frozenset[str] = frozenset()
        if salt is not None:
            wanted = commitments(workspace_key(self._keys.redaction, workspace, salt.value), value)
        found: list[SeenEntry] = []
        before = silent = 0
        async for stored in self._store.entries(LogQuery(workspace=workspace)):
            if stored.document is None and not _is_hiding(stored.record.entry):
                continue
            entry = orjson.loads(stored.record.entry)
            changes = stored.document or orjson.dumps(entry.get("changes"))
            if not _is_hiding(changes):
                continue
            if leaves_values_out(orjson.loads(changes)):
                silent += 1
            elif salt is None or entry["time"] < salt.since:
                before += 1
            elif any(each.encode() in changes for each in wanted):
                sightings = in_changes(orjson.loads(changes), wanted)
                found.append(
                    SeenEntry(stored.record.index, entry["time"], entry["event"], sightings)
                )
        if silent:
            untold.append(f"{_entries(silent)} in the mode names-only left values out")
        if before:
            until = "" if salt is None else f", before {salt.since},"
            untold.append(
                f"{_entries(before)}{until} hid values with a key that was destroyed: nobody can "
                "tell whether the value is among them"
            )
        return found

    async def _in_versions(
        self, workspace: str, value: str, untold: list[str]
    ) -> list[SeenVersion]:
        search = Search(value)
        found: list[SeenVersion] = []
        for version in reversed(await self._store.versions(workspace)):
            if version.kind == "encrypted":
                untold.append(f"version {version.number} is encrypted by OpenTofu")
                continue
            try:
                sealed = await self._store.sealed(version.id)
                sightings = await asyncio.to_thread(self._look(search, version, sealed))
            except UnavailableError as error:
                untold.append(f"version {version.number} can't be read: {error}")
                continue
            if sightings:
                found.append(SeenVersion(version, sightings))
        return found

    def _look(
        self, search: Search, version: StateVersion, sealed: bytes
    ) -> Callable[[], list[Sighting]]:
        def work() -> list[Sighting]:
            body = open_sealed(version, sealed, self._keys.master)
            return search.in_document(documents.parse(body))

        return work


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _is_hiding(text: bytes) -> bool:
    return _COMMITMENT in text or _LEFT_OUT in text


def _not_found(
    event: str, caller: Caller, workspace: str, transaction: Transaction
) -> NotFoundError:
    error = NotFoundError(f"there is no {workspace}: `tfaudit state list` shows all workspaces")
    message = f"{name_of(caller)}: {error}"
    transaction.append(draft(event, "error", message, caller, 404, workspace=workspace))
    return error
