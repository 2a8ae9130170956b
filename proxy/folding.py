"""What is counted and not recorded one by one: windows of time, at whose end it is committed.

A flood makes no entry for each of its parts. What was counted in a window is committed when the
window ends, and when the server stops; what could not be committed is counted on.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from proxy.contracts import Draft, Store, Transaction
from proxy.errors import UnavailableError
from proxy.logs import Logger

_log = Logger(__name__)


class Counted(NamedTuple):
    """What a window leaves.

    Attributes:
        entries: that tell of it; without any there is nothing to be committed.
        number: of what they count, together.
        put_back: counts it on, because it could not be committed.
    """

    entries: list[Draft]
    number: int
    put_back: Callable[[], None]


class Windows:
    """One window after the other, until one passes in which nothing was counted.

    Args:
        store: keeps the entries.
        seconds: of a window.
        what: is counted, for people: ``failed logins``.
        is_counting: tells whether there is anything to wait for.
        take: ends a window: gives what was counted in it, and begins anew.
    """

    def __init__(
        self,
        store: Store,
        seconds: float,
        what: str,
        is_counting: Callable[[], bool],
        take: Callable[[], Counted],
    ) -> None:
        self._store = store
        self.seconds = seconds
        self._what = what
        self._is_counting = is_counting
        self._take = take
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_closing(self) -> bool:
        """Whether nothing is to be counted any more."""
        return self._closing.is_set()

    def begin(self) -> bool:
        """Let windows pass if none does; tell whether the first one began just now."""
        if self._task is not None or self.is_closing:
            return False
        self._task = asyncio.create_task(self._run(), name=self._what)
        return True

    async def wait(self) -> None:
        """Wait until a window passed in which nothing was counted."""
        if self._task is not None:
            await self._task

    async def aclose(self) -> None:
        """Commit what was counted, without waiting for the window's end."""
        self._closing.set()
        await self.wait()

    async def _run(self) -> None:
        try:
            while self._is_counting():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self.seconds)
                counted = self._take()
                if not counted.entries:
                    continue
                try:
                    await self._store.write(_appending(counted.entries))
                except UnavailableError as error:
                    _log.warning(
                        f"counted {self._what} not committed",
                        count=counted.number,
                        error=str(error),
                    )
                    if self.is_closing:
                        break
                    counted.put_back()
        finally:
            self._task = None


def _appending(entries: list[Draft]) -> Callable[[Transaction], None]:
    def job(tx: Transaction) -> None:
        for entry in entries:
            tx.append(entry)

    return job
