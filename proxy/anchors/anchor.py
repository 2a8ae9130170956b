"""One anchor: compared with the log, and written when the log is ahead of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

from proxy.anchors.place import MAX_BYTES, Label, Place, hint_of, label_of
from proxy.contracts import Store
from proxy.errors import (
    InvalidInputError,
    UnavailableError,
    VerificationError,
)
from proxy.last_checkpoint import Lost, Verify, recovered_size, root_at

_TRIES: Final = 40
_TRY_SECONDS: Final = 0.05


class ForeignError(InvalidInputError):
    """What stands in an anchor's place is no checkpoint of this log; it is left as it is."""


class Anchor:
    """One anchor of the log.

    Args:
        name: that the configuration gives it.
        kind: of place.
        place: where checkpoints go.
        interval: seconds between two, at least.
        lock: a file that is held while the place is compared and written. It says what was put
            there last, ``SIZE WHERE``: whoever empties the place does not empty that.

    Attributes:
        gone: how many entries the checkpoint covered that was put there, before this program
            began, and stands there no more; None when there is none.
    """

    def __init__(self, name: str, kind: str, place: Place, interval: float, lock: Path) -> None:
        self.name = name
        self.kind = kind
        self.where = place.where
        self.interval = interval
        self.size: int | None = None
        self.is_compared = False
        self.error = ""
        self.gone: int | None = None
        self._place = place
        self._lock = lock

    async def compare(self, store: Store, verify: Verify) -> Lost | None:
        """Compare the log with the newest checkpoint that stands there.

        Returns:
            The checkpoint if the log does not contain it, and that is not on record; else None.

        Raises:
            UnavailableError: it can't be told.
            ForeignError: something else stands there.
        """
        async with self._held() as held:
            return (await self._compare(store, verify, held))[0]

    async def keep(self, store: Store, verify: Verify) -> Lost | None:
        """Compare, then put the newest checkpoint there if it is newer than what is.

        Returns:
            As ``compare``; then nothing was put.

        Raises:
            UnavailableError: it can't be told whether it was put.
            ForeignError: something else stands there, and was left.
        """
        async with self._held() as held:
            # Before the look: whoever put a newer one meanwhile is not undone.
            note = await store.checkpoint()
            if not note:
                return (await self._compare(store, verify, held))[0]
            newest = label_of(await verify(store, note))
            if self.is_compared and self._place.is_settled and self.size == newest.size:
                return None
            lost, present = await self._compare(store, verify, held)
            if lost is not None:
                return lost
            if present is not None and present.size > newest.size:
                return None
            if present != newest or not self._place.is_settled:
                await self._place.put(newest, note)
            self.size = newest.size
            self._note(held, newest.size)
            return None

    async def _compare(
        self, store: Store, verify: Verify, held: int
    ) -> tuple[Lost | None, Label | None]:
        """Return what the log should have and has not, else the newest that it has."""
        try:
            labels = await self._place.seen(await store.size())
            lost, present = await self._first(labels, store, verify)
        except InvalidInputError as error:
            raise ForeignError(
                f"{str(error).removesuffix('.')}: it is left as it is. Put back what was there, or "
                f"give the anchor {self.name} another place"
            ) from error
        if lost is None and self.size is not None and (present is None or present.size < self.size):
            raise UnavailableError(
                f"{self.where} has no more the checkpoint of {self.size} entries that was put "
                "there: is the right one mounted? Put it back, or start the server anew if it is "
                "lost"
            )
        if lost is None and not self.is_compared:
            put = self._noted(held)
            if (0 if present is None else present.size) < put and put > await recovered_size(store):
                self.gone = put
        self.is_compared = True
        if lost is None and present is not None:
            self.size = present.size
        return lost, present

    async def _first(
        self, labels: Sequence[Label], store: Store, verify: Verify
    ) -> tuple[Lost | None, Label | None]:
        recovered: int | None = None
        for label in labels:
            root = await root_at(store, label.size, verify)
            if root is None or hint_of(root) != label.root:
                if recovered is None:
                    recovered = await recovered_size(store)
                if label.size <= recovered:
                    continue  # lost, and on record as that
            note = await self._place.read(label)
            try:
                seen = await verify(store, note)
            except (InvalidInputError, VerificationError) as error:
                file = self.where if self.kind == "file" else f"{label.name} in {self.where}"
                raise InvalidInputError(
                    f"{file} is no checkpoint that this log's key signed: {error}"
                ) from error
            if label_of(seen) != label:
                raise InvalidInputError(f"{self.where} holds {label.name} with another's content")
            if seen.root != root:
                return Lost(f"the anchor {self.name}", seen.size, note), None
            return None, label
        return None, None

    def _noted(self, held: int) -> int:
        """Return how many entries that covers which was put there last; 0 when nothing was."""
        size, _, where = os.pread(held, MAX_BYTES, 0).decode("utf-8", "replace").partition(" ")
        is_here = where == f"{self.where}\n" and size.isascii() and size.isdecimal()
        return int(size) if is_here else 0

    def _note(self, held: int, size: int) -> None:
        os.ftruncate(held, 0)
        os.pwrite(held, f"{size} {self.where}\n".encode(), 0)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[int]:
        """Let no other process of this data directory write there meanwhile.

        Yields:
            The lock's file.

        Raises:
            UnavailableError: one does.
        """
        number = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(_TRIES):
                with suppress(BlockingIOError):
                    flock(number, LOCK_EX | LOCK_NB)
                    break
                await asyncio.sleep(_TRY_SECONDS)
            else:
                raise UnavailableError(
                    f"another tfaudit is at the anchor {self.name} at this moment: try again"
                )
            yield number
        finally:
            os.close(number)

    async def aclose(self) -> None:
        """Let go of the place."""
        await self._place.aclose()
