"""What a running server does by itself: it purges what is due, and tells of runs that take long."""

from collections.abc import Sequence
from typing import Final

from proxy.access import Caller
from proxy.contracts import Store
from proxy.directory import WorkspaceRecord
from proxy.lock_service import LockService
from proxy.state_service import StateService
from proxy.workspace_service import WorkspaceService

SECONDS: Final = 60.0
"""Between two rounds."""


class Housekeeper:
    """Purges workspaces when their time is over, forgets what others purged, and tells of runs.

    Args:
        store: says what is purged.
        workspaces: purges.
        states: hold states in memory.
        locks: tells which runs hold their lock for too long.
        caller: on whose behalf; the server's own.
    """

    def __init__(
        self,
        store: Store,
        workspaces: WorkspaceService,
        states: StateService,
        locks: LockService,
        caller: Caller,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._states = states
        self._locks = locks
        self._caller = caller
        self._destroyed: frozenset[tuple[str, int]] = frozenset()

    async def tidy(self) -> Sequence[str]:
        """Do one round of purging.

        Returns:
            The names of the workspaces that were purged.

        Raises:
            UnavailableError: the next round goes on with it.
        """
        try:
            return await self._workspaces.purge_due(self._caller)
        finally:
            self._forget()

    async def alert(self) -> Sequence[str]:
        """Put on record which runs hold their lock for too long, each once.

        Returns:
            The names of their workspaces.

        Raises:
            UnavailableError: the next round goes on with it.
        """
        return await self._locks.alert_overdue(self._caller)

    def _forget(self) -> None:
        """Let go of states in memory when any were destroyed, by this process or another."""
        records = [each.record for each in self._store.directory().objects("workspace")]
        destroyed = frozenset(
            (record.name, record.destroyed_versions)
            for record in records
            if isinstance(record, WorkspaceRecord) and record.destroyed_versions
        )
        if destroyed - self._destroyed:
            self._states.forget_bodies()
        self._destroyed = destroyed
