"""What a running server does by itself: it destroys what is due, and tells of long runs."""

from collections.abc import Sequence
from typing import Final

from proxy.access import Caller
from proxy.contracts import Store
from proxy.directory import WorkspaceRecord
from proxy.lock_service import LockService
from proxy.retention_service import RetentionService
from proxy.state_service import StateService
from proxy.workspace_service import WorkspaceService

SECONDS: Final = 60.0
"""Between two rounds."""

_PRUNING: Final = 60
"""In one of so many rounds versions are pruned: nobody waits for it."""


class Housekeeper:
    """Purges workspaces when their time is over, prunes versions that no rule keeps, tells of runs.

    And lets go of what others destroyed.

    Args:
        store: says what is purged.
        workspaces: purges.
        states: hold states in memory.
        locks: tells which runs hold their lock for too long.
        retention: prunes versions.
        caller: on whose behalf; the server's own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it looks after
        self,
        store: Store,
        workspaces: WorkspaceService,
        states: StateService,
        locks: LockService,
        retention: RetentionService,
        caller: Caller,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._states = states
        self._locks = locks
        self._retention = retention
        self._caller = caller
        self._destroyed: frozenset[tuple[str, int]] = frozenset()
        # Of entries from here on it is not known yet which versions they pruned.
        self._pruned = 0
        self._rounds = 0

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

    async def prune(self) -> Sequence[str]:
        """Prune versions when it is time for that, and let go of those that anybody pruned.

        Returns:
            The names of the workspaces of which versions were pruned.

        Raises:
            UnavailableError: one of the next rounds goes on with it.
        """
        try:
            if self._rounds % _PRUNING == 0:
                return [each.workspace for each in await self._retention.prune_due(self._caller)]
            return ()
        finally:
            self._rounds += 1
            pruned = await self._store.pruned_versions(self._pruned)
            if pruned:
                self._pruned = pruned[-1][0] + 1
                self._states.forget_versions([version_id for _, version_id in pruned])

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
