"""Checks records and checkpoints in as many processes as there are cores, ahead of whoever reads.

What a record says by itself, its signature above all, is most of the work and needs nothing of the
records before it. The answers come in the order of the questions. They only spare work: of what
does not hold, whoever goes through the log in order finds out and says what it is.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from proxy.contracts import StoredRecord
from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.entry import Record
from proxy.tlog.note import NoteVerifier
from proxy.tlog.verify import IsSigned, check_record, signature_checks

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")

WORTH_A_PROCESS: Final = 4_000
"""Entries from which on other processes are started: they take half a second to begin."""

_CHUNK: Final = 250
_AHEAD: Final = 3
"""Chunks for each process that are read ahead."""

Found = tuple[StoredRecord, tuple[object, ...]]
"""A record and the columns it is filed as."""


class Keys(NamedTuple):
    """What records and checkpoints are checked with, as other processes are told it.

    Attributes:
        entry: 32 bytes of each public key of entries, by its ID.
        checkpoint: the checkpoint keys as text.
    """

    entry: dict[str, bytes]
    checkpoint: tuple[str, ...]


class _Checks:
    """The keys, ready for use in one process."""

    def __init__(self, keys: Keys) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - quick start
            Ed25519PublicKey,
        )

        public = {name: Ed25519PublicKey.from_public_bytes(raw) for name, raw in keys.entry.items()}
        self.entry: dict[str, IsSigned] = signature_checks(public)
        self.checkpoint = tuple(map(NoteVerifier.parse, keys.checkpoint))

    def record(self, record: Record) -> bool:
        """Tell whether a record holds by itself; see verify.check_record."""
        try:
            check_record(record, self.entry)
        except (VerificationError, TypeError):  # SQLite may hold a text where bytes were
            return False
        return True

    def note(self, note: str) -> Checkpoint | None:
        """Open one checkpoint; None when it does not hold."""
        try:
            return verify_checkpoint(note, *self.checkpoint)
        except (InvalidInputError, VerificationError, TypeError):
            return None


_own: list[_Checks] = []
"""In a process that only checks: its keys."""


def _begin(keys: Keys) -> None:
    _own.append(_Checks(keys))


def _records(chunk: Sequence[tuple[Any, ...]]) -> list[bool]:
    return [_own[0].record(Record(*each)) for each in chunk]


def _notes(chunk: Sequence[str]) -> list[Checkpoint | None]:
    return [_own[0].note(each) for each in chunk]


_SAFE_PATH: Final = "PYTHONSAFEPATH"
"""Python's own: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH."""


class Checkers:
    """Checks in other processes, or in this one.

    Args:
        keys: from outside.
        processes: how many; 1 is this one.
    """

    def __init__(self, keys: Keys, processes: int) -> None:
        self._processes = processes
        self._here = _Checks(keys)
        self._outer: str | None = None
        self._pool: ProcessPoolExecutor | None = None
        if processes > 1:
            self._pool = ProcessPoolExecutor(
                processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(keys,)
            )

    def __enter__(self) -> Self:
        """Let no process take modules from the directory that something is verified in."""
        self._outer = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes; what waits is not checked any more."""
        if self._outer is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = self._outer
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    async def records(self, found: AsyncIterator[Found]) -> AsyncIterator[tuple[Found, bool]]:
        """Yield what is found, each with whether it holds by itself."""
        if self._pool is None:
            async for each in found:
                yield each, self._here.record(each[0].record)
            return
        async for pair in self._ahead(found, _records, _told):
            yield pair

    async def notes(
        self, found: AsyncIterator[tuple[int, str]]
    ) -> AsyncIterator[tuple[tuple[int, str], Checkpoint | None]]:
        """Yield (size, checkpoint), each opened; with None when it does not hold."""
        if self._pool is None:
            async for each in found:
                yield each, self._here.note(each[1])
            return
        async for pair in self._ahead(found, _notes, lambda each: each[1]):
            yield pair

    async def _ahead(
        self,
        found: AsyncIterator[T],
        check: Callable[[Sequence[R]], list[A]],
        told: Callable[[T], R],
    ) -> AsyncIterator[tuple[T, A]]:
        loop = asyncio.get_running_loop()
        waiting: deque[tuple[list[T], asyncio.Future[list[A]]]] = deque()
        chunk: list[T] = []
        is_more = True
        while is_more or waiting:
            while is_more and len(waiting) < self._processes * _AHEAD:
                chunk = []
                async for each in found:
                    chunk.append(each)
                    if len(chunk) == _CHUNK:
                        break
                is_more = len(chunk) == _CHUNK
                if chunk:
                    asked = loop.run_in_executor(self._pool, check, list(map(told, chunk)))
                    waiting.append((chunk, asked))
            if waiting:
                chunk, asked = waiting.popleft()
                for pair in zip(chunk, await asked, strict=True):
                    yield pair


def _told(found: Found) -> tuple[Any, ...]:
    record = found[0].record
    return record.index, record.entry, record.leaf_hash, record.signature, record.key_id


def processes_for(entries: int) -> int:
    """Return how many processes are worth their start for a log of so many entries."""
    return len(os.sched_getaffinity(0)) if entries >= WORTH_A_PROCESS else 1
