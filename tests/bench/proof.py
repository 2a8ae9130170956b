"""How fast a log is verified, and a proof made out of a large one."""

import asyncio
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.access import Caller, Principal, Role, rights_of
from proxy.audit_log import AuditLog, draft
from proxy.cli._verification import TrustedKeys, verify_root, verify_store
from proxy.contracts import LogQuery, Transaction
from proxy.proof_service import ProofService
from proxy.reading_log import ReadingLog
from proxy.storage.reader import SQLiteReader
from proxy.storage.sqlite import SQLiteStore
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.entry import key_id
from proxy.tlog.merkle import Frontier, leaf_hash
from proxy.tlog.note import NoteSigner, NoteVerifier

MIN_RATE: Final = 7_000
MIN_TREE_RATE: Final = 200_000
MAX_PROOF_MS: Final = 5.0

ENTRIES: Final = 20_000
LARGE: Final = 1_000_000
_BATCH: Final = 20
"""Entries of one commit: so many checkpoints are verified with them."""
_PROOFS: Final = 200
_ORIGIN: Final = "tfaudit.bench/log"
_ENTRY_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
_CHECKPOINT_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
_KEYS: Final = TrustedKeys(
    {key_id(_ENTRY_KEY.public_key().public_bytes_raw()): _ENTRY_KEY.public_key()},
    (NoteVerifier(_ORIGIN, _CHECKPOINT_KEY.public_key()),),
)
_CALLER: Final = Caller(
    Principal("user", "0193ab12-0000-7000-8000-000000000001", "ci", rights_of(Role.WRITER)),
    "10.0.0.7",
    "request-1",
    "terraform",
    "GET",
    "/state/prod/network",
    "Terraform/1.11.4",
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured.

    Attributes:
        entries: of the log that was verified.
        bytes: of one entry.
        one: entries a second that one process verifies, with every signature.
        one_cpu: the same by the processor's time of that process, which other programs don't take.
        all: entries a second with as many processes as there are cores.
        cores: how many those are.
        tree: entries a second when the tree alone is checked.
        tree_cpu: the same by the processor's time.
        large: entries of the log that proofs were made out of.
        proof: milliseconds for a receipt, the median.
        longest: the longest.
    """

    entries: int
    bytes: int
    one: float
    one_cpu: float
    all: float
    cores: int
    tree: float
    tree_cpu: float
    large: int
    proof: float
    longest: float


def measure(directory: Path, entries: int = ENTRIES, large: int = LARGE) -> Proof:
    """Verify one log, and make proofs out of a larger one.

    Args:
        directory: an empty one.
        entries: of the one.
        large: of the other.
    """
    directory.mkdir()
    return asyncio.run(_measure(directory, entries, large))


async def _measure(directory: Path, entries: int, large: int) -> Proof:
    small, big = directory / "small.db", directory / "large.db"
    size = await _fill(small, entries)
    cores = len(os.sched_getaffinity(0))
    one, one_cpu = await _rate(small, entries, processes=1)
    every, _ = await _rate(small, entries, processes=cores)
    tree, tree_cpu = await _tree_rate(small, entries)
    took = await _proofs(big, large)
    return Proof(
        entries=entries,
        bytes=size,
        one=one,
        one_cpu=one_cpu,
        all=every,
        cores=cores,
        tree=tree,
        tree_cpu=tree_cpu,
        large=large,
        proof=statistics.median(took),
        longest=max(took),
    )


def _audit() -> AuditLog:
    return AuditLog(
        _ENTRY_KEY,
        _CHECKPOINT_KEY,
        _ORIGIN,
        clock=lambda: time.time_ns() // 1000,
        random=os.urandom,
    )


def _read_entry(number: int) -> Any:
    return draft(
        "state.read",
        "success",
        f"ci read prod/network, serial {number}, version {number}, 18231 bytes",
        _CALLER,
        200,
        workspace="prod/network",
        state={
            "lineage": "b3da4ef1-0000-4000-8000-000000000001",
            "serial": number,
            "sha256": sha256(b"%d" % number).hexdigest(),
            "size": 18_231,
            "version": "0193ab12-0000-7000-8000-000000000002",
            "terraform_version": "1.11.4",
        },
    )


async def _fill(path: Path, entries: int) -> int:
    """Make a log by the store itself; return the bytes of an entry."""

    def job(tx: Transaction) -> None:
        for number in range(_BATCH):
            tx.append(_read_entry(number))

    async with SQLiteStore(path, _audit(), create=True) as store:
        for _ in range(0, entries, _BATCH):
            await store.write(job)
        async for stored in store.entries(LogQuery(limit=1)):
            return len(stored.record.entry)
    raise AssertionError("no entry")


async def _rate(path: Path, entries: int, *, processes: int) -> tuple[float, float]:
    started, used = time.perf_counter(), time.process_time()
    async with SQLiteReader(path) as reader:
        findings = await verify_store(reader, _KEYS, (), lambda: None, processes)
    assert entries == findings.entries
    return entries / (time.perf_counter() - started), entries / (time.process_time() - used)


async def _tree_rate(path: Path, entries: int) -> tuple[float, float]:
    took, used = [], []
    for _ in range(5):
        started, before = time.perf_counter(), time.process_time()
        async with SQLiteReader(path) as reader:
            findings = await verify_root(reader, _KEYS, (), lambda: None)
        took.append(time.perf_counter() - started)
        used.append(time.process_time() - before)
        assert entries == findings.entries
    return entries / min(took), entries / min(used)


async def _proofs(path: Path, entries: int) -> list[float]:
    """Make receipts of entries all over a log whose full tiles are kept; milliseconds each."""
    async with SQLiteStore(path, _audit(), create=True):
        pass
    _fill_large(path, entries)
    async with SQLiteStore(path, _audit()) as store:
        while await store.keep_tiles():
            pass
        readings = ReadingLog(store, window=60, now=_never)
        proofs = ProofService(store, readings, _KEYS.checkpoint[0])
        choose = random.Random(0)
        took = []
        for index in [0, entries - 1, *(choose.randrange(entries) for _ in range(_PROOFS))]:
            query = LogQuery(after=index - 1 if index else None, limit=1)
            found = [stored async for stored in store.entries(query)]
            started = time.perf_counter()
            await proofs.receipt(found[0])
            took.append((time.perf_counter() - started) * 1000)
    return took


def _never() -> Any:
    raise AssertionError("nothing is read here")


def _fill_large(path: Path, entries: int) -> None:
    """Put entries into a log that only their hashes are asked of: a million need no signatures."""
    tree = Frontier()
    key = key_id(_ENTRY_KEY.public_key().public_bytes_raw())

    def rows() -> Iterator[tuple[Any, ...]]:
        for index in range(entries):
            entry = b'{"number":%d}' % index
            leaf = leaf_hash(entry)
            tree.append(leaf)
            yield index, "", "state.read", "success", key, leaf, b"", entry

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO entry (idx, time, event, outcome, key_id, leaf_hash, signature, entry) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows(),
        )
        note = sign(Checkpoint(_ORIGIN, entries, tree.root()), NoteSigner(_ORIGIN, _CHECKPOINT_KEY))
        connection.execute("INSERT INTO checkpoint (size, note) VALUES (?, ?)", (entries, note))
        connection.execute(
            "UPDATE log_head SET size = ?, frontier = ?, micros = 1", (entries, tree.to_bytes())
        )
        connection.execute("COMMIT")
