"""The log for those who check it: receipts, proofs that it only grew, and its tiles."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from proxy.access import EVERYTHING, EVERYWHERE, Caller, Permission
from proxy.audit_log import draft
from proxy.contracts import LogQuery, Store, StoredRecord
from proxy.cosigned import CosignedCheckpoint
from proxy.errors import (
    EntryPrunedError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from proxy.fields import FieldError
from proxy.gate import gate
from proxy.key_history import verify_own
from proxy.pruned_entries import refuse_pruned
from proxy.reading_log import ReadingLog
from proxy.state_entries import refused
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.entry import Record
from proxy.tlog.merkle import leaf_hash
from proxy.tlog.note import NoteVerifier
from proxy.tlog.proof import (
    Node,
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    root_hash,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)
from proxy.tlog.receipt import Receipt
from proxy.tlog.tiles import Bundle, Tile, hash_of, is_in, pack_entries, tile_of


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """An entry with what proves it.

    Attributes:
        record: the entry.
        receipt: that proves it to be in the log.
        index: of the entry that records this reading.
    """

    record: StoredRecord
    receipt: Receipt
    index: int | None


@dataclass(frozen=True, slots=True)
class LogAt:
    """The log at one size.

    Attributes:
        size: number of entries.
        root: root hash of the tree over them, 32 bytes.
        checkpoint: the signed checkpoint of this very size; None when no commit ended there.
    """

    size: int
    root: bytes
    checkpoint: str | None


@dataclass(frozen=True, slots=True)
class ProvedGrowth:
    """Two sizes of the log with what proves that the larger begins with the smaller.

    Attributes:
        old: the smaller.
        new: the larger, or the same.
        proof: hashes of 32 bytes each (RFC 6962 section 2.1.2).
        newest: the newest checkpoint.
        index: of the entry that records this reading.
    """

    old: LogAt
    new: LogAt
    proof: tuple[bytes, ...]
    newest: str
    index: int | None


class ProofService:
    """Proofs out of the log, for whoever may read it; each reading an entry.

    What is handed out was checked: a proof that does not hold would accuse a true log of a damaged
    database.

    Args:
        store: keeps the log.
        readings: records those of tiles.
        verifier: the log's checkpoint key.
        entry_key: the log's entry key, 32 bytes; see ``verify_own``.
        cosigned: the newest checkpoint that witnesses cosigned; receipts lead to it if they can.
        is_public: anybody may read all of the log as tiles.
    """

    def __init__(  # noqa: PLR0913 - what it proves with
        self,
        store: Store,
        readings: ReadingLog,
        verifier: NoteVerifier,
        *,
        entry_key: bytes | None = None,
        cosigned: CosignedCheckpoint | None = None,
        is_public: bool = False,
    ) -> None:
        self._store = store
        self._readings = readings
        self._verifier = verifier
        self._entry_key = entry_key
        self._cosigned = cosigned
        self._is_public = is_public

    async def prove_entry(self, caller: Caller, index: int) -> ProvedEntry:
        """Record the reading and return an entry that the caller may see, with its receipt.

        Raises:
            ForbiddenError: the caller may not read the log.
            NotFoundError: there is no such entry, or none for the caller.
            EntryPrunedError: it was archived and pruned.
            UnavailableError: it could not be proved; perhaps the database was altered.
        """
        await gate(self._store, caller, Permission.LOG_READ)
        view = caller.principal.rights.view(Permission.LOG_READ)
        query = LogQuery(view=view, after=index - 1 if index else None, limit=1)
        found = [stored async for stored in self._store.entries(query)]
        if not found or found[0].record.index != index:
            error = NotFoundError(
                f"there is no entry {index} that {caller.principal.name} may read: look for one "
                "in the log"
            )
            try:
                await refuse_pruned(self._store, index, tells_archive=view == EVERYTHING)
            except EntryPrunedError as pruned:
                error = pruned
            entry = refused("audit.read", "error", error, caller, None, query={"index": index})
            error.audit_index = (await self._store.write(lambda tx: tx.append(entry))).index
            raise error
        message = f"{caller.principal.name} read entry {index} with its proof"
        entry = draft("audit.read", "success", message, caller, 200, query={"index": index})
        recorded = (await self._store.write(lambda tx: tx.append(entry))).index
        return ProvedEntry(found[0], await self.receipt(found[0]), recorded)

    async def receipt(self, stored: StoredRecord) -> Receipt:
        """Return the receipt of an entry; leaves no entry itself.

        It leads to the checkpoint that witnesses cosigned, if that covers the entry and is one of
        this log as it is; else to the newest.

        Raises:
            UnavailableError: as ``prove_entry``.
        """
        cosigned = self._cosigned.newest if self._cosigned is not None else None
        if cosigned is not None and cosigned.checkpoint.size > stored.record.index:
            with suppress(VerificationError, InvalidInputError):
                return await self._receipt(stored.record, cosigned.note, cosigned.checkpoint)
        try:
            note, newest = await self._newest()
            return await self._receipt(stored.record, note, newest)
        except (VerificationError, InvalidInputError) as error:
            raise _damaged(f"entry {stored.record.index}", error) from error

    async def _receipt(self, record: Record, note: str, newest: Checkpoint) -> Receipt:
        nodes = inclusion_nodes(record.index, newest.size)
        hashes = await self._hashes(nodes, newest.size)
        proof = tuple(inclusion_proof(record.index, newest.size, hashes))
        receipt = Receipt(record.index, proof, note, record.entry)
        # A cosigned checkpoint may be one of before a rotation: it was checked when it was loaded.
        leaf = leaf_hash(record.entry)
        verify_inclusion(leaf, record.index, newest.size, proof, newest.root)
        return receipt

    async def prove_growth(
        self, caller: Caller, old_size: int, new_size: int | None = None
    ) -> ProvedGrowth:
        """Record the reading and return the proof that the log only grew between two sizes.

        Args:
            caller: who asks.
            old_size: from 0.
            new_size: at least that; None is the newest.

        Raises:
            ForbiddenError: the caller may not read the log.
            InvalidInputError: the sizes are the wrong way round.
            NotFoundError: the newest checkpoint does not cover so many entries.
            UnavailableError: it could not be proved; perhaps the database was altered.
        """
        await gate(self._store, caller, Permission.LOG_READ)
        if new_size is not None and old_size > new_size:
            raise FieldError(
                f"the parameter from ({old_size}) is above to ({new_size}): name the smaller size "
                "first",
                "from",
            )
        _, newest = await self._newest()
        for size in (old_size, new_size or 0):
            if size > newest.size:
                raise NotFoundError(
                    f"the newest checkpoint covers {newest.size} entries, not {size}: name sizes "
                    "up to that"
                )
        asked = {"from": old_size} if new_size is None else {"from": old_size, "to": new_size}
        message = f"{caller.principal.name} asked for the proof that the log only grew from "
        message += f"{old_size} entries" + ("" if new_size is None else f" to {new_size}")
        entry = draft("audit.read", "success", message, caller, 200, query=asked)
        recorded = (await self._store.write(lambda tx: tx.append(entry))).index
        note, newest = await self._newest()
        size = newest.size if new_size is None else new_size
        try:
            return await self._growth(old_size, size, note, recorded)
        except (VerificationError, InvalidInputError) as error:
            raise _damaged(f"the growth from {old_size} to {size} entries", error) from error

    async def _growth(
        self, old_size: int, new_size: int, newest: str, recorded: int | None
    ) -> ProvedGrowth:
        needed = consistency_nodes(old_size, new_size)
        proof = consistency_proof(old_size, new_size, await self._hashes(needed, new_size))
        old, new = await self._log_at(old_size), await self._log_at(new_size)
        verify_consistency(old_size, old.root, new_size, new.root, proof)
        return ProvedGrowth(old, new, tuple(proof), newest, recorded)

    async def growth(self, old_size: int, new_size: int) -> list[bytes]:
        """Return the proof that the log only grew between two sizes; leaves no entry.

        Raises:
            InvalidInputError: the sizes are the wrong way round.
            UnavailableError: the store can't give it.
        """
        nodes = consistency_nodes(old_size, new_size)
        return consistency_proof(old_size, new_size, await self._hashes(nodes, new_size))

    async def root(self, size: int) -> bytes | None:
        """Return the root of the log at a size; None when it never had so many entries."""
        if size > await self._store.size():
            return None
        return root_hash(size, await self._hashes(root_nodes(size), size))

    async def _log_at(self, size: int) -> LogAt:
        root = root_hash(size, await self._hashes(root_nodes(size), size))
        note = await self._store.checkpoint(size) if size else ""
        if note:
            signed = await verify_own(self._store, note, self._verifier, self._entry_key)
            if signed.root != root:
                raise VerificationError(f"the checkpoint of {size} entries has another root")
        return LogAt(size, root, note or None)

    async def tile(self, caller: Caller, wanted: Tile | Bundle) -> tuple[bytes, int | None]:
        """Record or count the reading and return a tile or an entry bundle (C2SP tlog-tiles).

        Returns:
            The file's content, and the index of the entry that records it, if one does by itself.

        Raises:
            ForbiddenError: the log is not public, and the caller may not read it; a bundle holds
                entries of all workspaces, so whoever may read some gets hashes alone.
            NotFoundError: the newest checkpoint does not cover it.
            EntryPrunedError: the entries of a bundle were archived and pruned (C2SP tlog-tiles,
                *Pruning*); hashes never are.
            UnavailableError: the store can't give it.
        """
        if not self._is_public:
            await self._require_reader(caller, wanted)
        if not is_in(wanted, await self._store.size()):
            raise NotFoundError(
                f"the log has no {wanted.path}: /checkpoint tells how many entries it has"
            )
        if isinstance(wanted, Bundle):
            may_know = caller.principal.rights.view(Permission.LOG_READ) == EVERYTHING
            await refuse_pruned(self._store, wanted.first, tells_archive=may_know)
        index = await self._readings.record(caller, wanted)
        if isinstance(wanted, Tile):
            return (await self._store.tiles([wanted]))[wanted], index
        after = wanted.first - 1 if wanted.first else None
        query = LogQuery(after=after, limit=wanted.width)
        entries = [stored.record.entry async for stored in self._store.entries(query)]
        if len(entries) != wanted.width:
            raise UnavailableError(
                f"the entries of {wanted.path} can't be read: run `tfaudit verify`"
            )
        return pack_entries(entries), index

    async def _require_reader(self, caller: Caller, wanted: Tile | Bundle) -> None:
        await gate(self._store, caller, Permission.LOG_READ)
        if isinstance(wanted, Tile):
            return
        await gate(self._store, caller, Permission.LOG_READ, EVERYWHERE)
        if caller.principal.rights.view(Permission.LOG_READ) != EVERYTHING:
            error = ForbiddenError(
                f"{caller.principal.name} may not read the entries of all workspaces, which "
                f"{wanted.path} holds: ask an administrator for a grant of auditor on '*'"
            )
            entry = refused("access.denied", "denied", error, caller, None)
            error.audit_index = (await self._store.write(lambda tx: tx.append(entry))).index
            raise error

    async def _newest(self) -> tuple[str, Checkpoint]:
        note = await self._store.checkpoint()
        if not note:
            raise NotFoundError("the log has no entry yet, and so no checkpoint")
        return note, verify_checkpoint(note, self._verifier)

    async def _hashes(self, nodes: Iterable[Node], size: int) -> list[bytes]:
        wanted = {node: tile_of(node, size) for node in nodes}
        tiles = await self._store.tiles(wanted.values())
        return [hash_of(node, tiles, size) for node in wanted]


def _damaged(what: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{what} can't be proved from the database, which was altered or damaged: run `tfaudit "
        f"verify` ({error})"
    )
