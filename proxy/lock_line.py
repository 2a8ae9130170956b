"""Who waits for a workspace's lock, first come first served.

A release in this process wakes the first in line at once. A release by another process (the
command line) can't, so the first in line also looks for itself every POLL_SECONDS.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

POLL_SECONDS: Final = 1.0


class _Line:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()  # asyncio's lock serves its waiters in order
        self.released = asyncio.Event()
        self.people = 0


class LockLines:
    """One line of waiters for each workspace that somebody waits for."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def is_empty(self, workspace: str) -> bool:
        """Tell whether nobody waits for the workspace's lock."""
        return workspace not in self._lines

    def wake(self, workspace: str) -> None:
        """Tell the first in line that the lock was released."""
        line = self._lines.get(workspace)
        if line is not None:
            line.released.set()

    def wake_all(self) -> None:
        """Let everybody look again, for example because the server stops."""
        for line in self._lines.values():
            line.released.set()

    @asynccontextmanager
    async def turn(self, workspace: str) -> AsyncIterator[asyncio.Event]:
        """Wait for the first place in the workspace's line and hold it.

        Yields:
            an event that is set at each release; clear it before looking at the lock.
        """
        line = self._lines.setdefault(workspace, _Line())
        line.people += 1
        try:
            async with line.turn:
                yield line.released
        finally:
            line.people -= 1
            if not line.people:
                self._lines.pop(workspace, None)
