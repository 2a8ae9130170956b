"""A thread of a sink's own, for what blocks: the far side's slowness holds up nobody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from proxy.sinks.contract import NotTakenError

T = TypeVar("T")


class OneThread:
    """Runs one call after the other, also when the one who waited for the first gave up.

    The event loop's own threads are few and serve requests.

    Args:
        who: the sink, as the thread's name has it.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._executor: ThreadPoolExecutor | None = None
        self._is_closed = False

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns.

        Raises:
            NotTakenError: the sink is closed.
        """
        if self._is_closed:
            raise NotTakenError(f"the sink {self._who} is closed")
        return await self._run(call)

    async def aclose(self, last: Callable[[], None]) -> None:
        """Run one last call; safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            await self._run(last)
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, f"sink-{self._who}")
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)
