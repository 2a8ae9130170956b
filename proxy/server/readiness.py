"""Whether the program can serve: the store takes writes, and the log's head fits its entries."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from proxy.contracts import Store, Transaction
from proxy.errors import InvalidInputError, UnavailableError
from proxy.tlog.checkpoint import parse

_FRESH: Final = 1.0
"""Seconds for which one probe's answer is given to all who ask."""

_PATIENCE: Final = 2.0
"""Seconds after which a store that has not answered counts as not ready."""


class Readiness:
    """Asks the store whether it can serve, at most once a second however many ask.

    Args:
        store: what is probed.
        monotonic: seconds of a clock that is never set back.
        patience: seconds to wait for the store.
    """

    def __init__(
        self, store: Store, monotonic: Callable[[], float], *, patience: float = _PATIENCE
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._patience = patience
        self._probe: asyncio.Task[UnavailableError | None] | None = None
        self._fresh_until = -math.inf

    async def require(self) -> None:
        """Pass when the store takes writes and the log's head fits its entries.

        Raises:
            UnavailableError: it does not, or has not answered in time.
        """
        if self._probe is None or (self._probe.done() and self._monotonic() >= self._fresh_until):
            self._probe = asyncio.create_task(self._ask(), name="readiness probe")
            self._fresh_until = self._monotonic() + _FRESH
        # The wait ends, not the probe: a store that hangs is not asked again and again.
        await asyncio.wait({self._probe}, timeout=self._patience)
        if not self._probe.done():
            raise UnavailableError(
                f"the store has not answered for {self._patience:g} s: check its disk"
            )
        failure = self._probe.result()
        if failure is not None:
            raise failure

    async def _ask(self) -> UnavailableError | None:
        # Returned, not raised: when nobody waits any more nobody would hear it.
        try:
            await probe(self._store)
        except UnavailableError as error:
            return error
        return None


async def probe(store: Store) -> None:
    """Commit nothing, then compare the log's checkpoint with its size.

    Raises:
        UnavailableError: the store takes no writes, or the log's head is not consistent.
    """
    await store.write(_nothing)
    # Others append meanwhile: the checkpoint is read in between two looks at the size.
    before = await store.size()
    note = await store.checkpoint()
    after = await store.size()
    size = _promised(note)
    if not before <= size <= after:
        raise UnavailableError(
            f"the newest checkpoint promises {size} entries but the log has {after}: "
            "run `tfaudit verify`"
        )


def _nothing(_: Transaction) -> None:
    """Write nothing; the transaction around it is the probe."""


def _promised(note: str) -> int:
    """Return the tree size of a checkpoint; an empty log has none."""
    if not note:
        return 0
    try:
        # The store signs and checks its own notes; here only the text in front is read.
        return parse(note.split("\n\n", 1)[0] + "\n").size
    except InvalidInputError as error:
        raise UnavailableError(
            "the newest checkpoint can't be read: run `tfaudit verify`"
        ) from error
