"""Takes, confirms, waits for, releases and forces the lock of a workspace."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from proxy import run_entries, runs
from proxy.access import Caller, Permission, Principal, require, taker_of
from proxy.audit_log import draft
from proxy.client_text import LOOKED_AT, client_text
from proxy.contracts import Committed, HeldLock, Store, Transaction
from proxy.errors import ForbiddenError, InvalidInputError, TfauditError, UnavailableError
from proxy.gate import gate
from proxy.lock_line import POLL_SECONDS, LockLines
from proxy.refusals import (
    DamagedUploadError,
    LockRefusedError,
    ProtectedError,
    StrippedUnlockError,
    UnlockRefusedError,
    WorkspaceDeletedError,
)
from proxy.state_entries import holder_of, name_of, refused, run_of, run_of_info
from proxy.tfstate import lock as locks
from proxy.tfstate.lock import PLAN_OPERATIONS
from proxy.uploads import check_md5
from proxy.workspace_rules import force_permission, require_forcing, require_lockable


class LockService:
    """The one place where a lock is taken or released.

    Args:
        store: where it is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lines = LockLines()
        self._stopping = False

    def stop_waiting(self) -> None:
        """Send everybody who waits for a lock away, because the server stops."""
        self._stopping = True
        self._lines.wake_all()

    async def lock(  # noqa: PLR0913 - one LOCK request
        self,
        caller: Caller,
        workspace: str,
        body: bytes,
        content_md5: str | None,
        *,
        wait: float = 0,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Committed[None]:
        """Take the lock, or confirm it to its holder.

        Args:
            caller: who asks.
            workspace: what to lock.
            body: LockInfo JSON.
            content_md5: the request's header, base64, if it has one.
            wait: seconds to wait for a held lock to become free.
            is_gone: tells that the client hung up, so that nobody gets a lock he never hears of.

        Raises:
            LockRefusedError: held by another, or not allowed; explains itself as LockInfo.
            InvalidInputError: the body is no LockInfo.
            DamagedUploadError: the body is not what its Content-MD5 says.
            UnavailableError: the entry could not be committed, or the server stops.
        """
        try:
            check_md5(body, content_md5)
            info = locks.parse(body)
        except (InvalidInputError, DamagedUploadError) as error:
            await self._refuse_lock(caller, workspace, "error", error, {})
        try:
            _require_lock(caller.principal, workspace, info.operation)
        except ForbiddenError as error:
            refusal = _explained(error, info, workspace)
            await self._refuse_lock(caller, workspace, "denied", refusal, run_of_info(info, caller))
        given = await self._try_lock(
            caller,
            workspace,
            body,
            info,
            final=wait <= 0,
            # Who can wait does not overtake those who wait already.
            may_take=wait <= 0 or self._lines.is_empty(workspace),
        )
        if given is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    given = await self._wait_for(caller, workspace, body, info, is_gone)
        if given is None and (self._stopping or is_gone()):
            reason = "the server stops" if self._stopping else "the client hung up"
            late = UnavailableError(f"{reason} while {workspace} was locked: ask again")
            await self._refuse_lock(caller, workspace, "error", late, run_of_info(info, caller))
        # The last try also finds a lock that was given in the moment the wait ended.
        given = given or await self._try_lock(caller, workspace, body, info, final=True)
        if given is None:
            raise UnavailableError(f"{workspace} could not be locked: try again in a moment")
        return given

    async def _wait_for(
        self,
        caller: Caller,
        workspace: str,
        body: bytes,
        info: locks.LockInfo,
        is_gone: Callable[[], bool],
    ) -> Committed[None] | None:
        """Stand in line and try at each release; None when there is no point in it any more."""
        async with self._lines.turn(workspace) as released:
            while not (self._stopping or is_gone()):
                released.clear()
                # A commit that is under way is not abandoned: it may give the lock.
                given = await asyncio.shield(
                    self._try_lock(caller, workspace, body, info, final=False)
                )
                if given is not None:
                    return given
                with suppress(TimeoutError):
                    await asyncio.wait_for(released.wait(), POLL_SECONDS)
        return None

    async def _try_lock(  # noqa: PLR0913 - one try of one LOCK request
        self,
        caller: Caller,
        workspace: str,
        body: bytes,
        info: locks.LockInfo,
        *,
        final: bool,
        may_take: bool = True,
    ) -> Committed[None] | None:
        """Take the lock in one transaction; None when that was not possible, and not the last try.

        Raises:
            LockRefusedError: it is held by another, and this was the last try; or the workspace's
                settings forbid it.
        """
        who = run_of_info(info, caller)
        shown_operation = client_text(info.operation) or "a run"

        def job(transaction: Transaction) -> LockRefusedError | bool:
            record = transaction.directory().workspace(workspace)
            try:
                require_lockable(record, caller.principal, info.operation)
            except (WorkspaceDeletedError, ProtectedError) as error:
                refusal = _explained(error, info, workspace)
                outcome = "denied" if isinstance(error, ProtectedError) else "conflict"
                transaction.append(
                    refused("state.lock_refused", outcome, refusal, caller, workspace, **who)
                )
                return refusal
            held = transaction.lock(workspace)
            if held is None:
                if not may_take:
                    return False
                taken = HeldLock(
                    workspace=workspace,
                    id=info.id,
                    info=_shown(info).to_json(),
                    md5=locks.content_md5(body),
                    operation=client_text(info.operation),
                    who=client_text(info.who),
                    version=client_text(info.version),
                    actor=caller.principal.name,
                    taken=transaction.time,
                    taker=taker_of(caller.principal.actor()),
                )
                transaction.set_lock(taken)
                note = ""
            elif (
                held.id == info.id
                and held.operation == client_text(info.operation)
                and held.is_of(caller.principal)
            ):
                taken, note = None, " again: it holds it already"
            elif final:
                message = (
                    f"{workspace} is locked by {held.who or held.actor} ({held.operation}) since "
                    f"{held.taken}: wait, or look at `tfaudit lock list`"
                )
                refusal = LockRefusedError(message, held.info)
                index = transaction.append(
                    refused(
                        "state.lock_refused",
                        "conflict",
                        refusal,
                        caller,
                        workspace,
                        **who,
                        holder=holder_of(held),
                    )
                )
                run_entries.refuse_other(transaction, caller, held, index)
                return refusal
            else:
                # Whoever waits in line looks again and again: it is told once a run.
                run_entries.refuse_other(transaction, caller, held, None)
                return False
            index = transaction.append(
                draft(
                    "state.locked",
                    "success",
                    f"{name_of(caller)} locked {workspace} for {shown_operation}{note}",
                    caller,
                    200,
                    workspace=workspace,
                    **who,
                )
            )
            if taken is not None:
                run_entries.begin(transaction, caller, taken, index)
            return True

        committed = await self._store.write(job)
        value = committed.value
        if isinstance(value, LockRefusedError):
            value.audit_index = committed.index
            raise value
        return Committed(None, committed.index) if value else None

    async def alert_overdue(self, caller: Caller) -> Sequence[str]:
        """Record each run that has held its lock for longer than its workspace allows, once.

        Args:
            caller: the system.

        Returns:
            The names of their workspaces.

        Raises:
            UnavailableError: the next call finds them again.
        """
        directory = self._store.directory()
        limited = [
            run.workspace
            for run in await self._store.runs()
            if directory.workspace(run.workspace).lock_alert_minutes is not None
            and runs.LOCK_HELD_LONG not in run.attention
        ]
        found = []
        for workspace in limited:
            job = partial(run_entries.alert_overdue, caller=caller, workspace=workspace)
            if (await self._store.write(job)).value:
                found.append(workspace)
        return found

    async def refuse_unread(
        self, caller: Caller, workspace: str, event: str, error: InvalidInputError
    ) -> NoReturn:
        """Record and raise why the body of a LOCK or an UNLOCK could not be read.

        Args:
            caller: who asks.
            workspace: what was to be locked or unlocked.
            event: ``state.lock_refused`` or ``state.unlock_refused``.
            error: told as the reason; gets the index of its entry.
        """
        refusal = refused(event, "error", error, caller, workspace)
        error.audit_index = (await self._store.write(lambda tx: tx.append(refusal))).index
        raise error

    async def _refuse_lock(
        self,
        caller: Caller,
        workspace: str,
        outcome: str,
        error: TfauditError,
        run: dict[str, Any],
    ) -> NoReturn:
        refusal = refused("state.lock_refused", outcome, error, caller, workspace, **run)
        error.audit_index = (await self._store.write(lambda tx: tx.append(refusal))).index
        raise error

    async def unlock(
        self, caller: Caller, workspace: str, body: bytes, content_md5: str | None
    ) -> Committed[None]:
        """Release the lock; one that is free already counts as released.

        An empty body is a ``force-unlock``, which never sends the ID, unless its Content-MD5
        tells that there was a body: then something on the way removed it. The MD5 of the
        LOCK's body still tells which lock is meant, since UNLOCK repeats that body.

        Whoever was refused the lock knows all that is in that body. So by somebody else than
        who took the lock, any of these is a ``force-unlock``, too.

        Raises:
            UnlockRefusedError: somebody else holds the lock.
            StrippedUnlockError: see above.
            InvalidInputError: the body is no LockInfo.
            ForbiddenError, UnavailableError: as ``read``.
        """
        if body:
            return await self._unlock_by_id(caller, workspace, body)
        if content_md5 is None or locks.is_empty_md5(content_md5):
            return await self.release(caller, workspace)
        await gate(self._store, caller, _needed(caller.principal, workspace), workspace)

        def job(transaction: Transaction) -> StrippedUnlockError | ForbiddenError | None:
            held = transaction.lock(workspace)
            if held is not None and held.md5 != content_md5:
                error = StrippedUnlockError(
                    f"the UNLOCK of {workspace} arrived without its body: a proxy on the way "
                    "removes bodies; let it pass them, or use the dialect with POST"
                )
                transaction.append(
                    refused("state.unlock_refused", "error", error, caller, workspace)
                )
                return error
            if (not_theirs := _not_theirs(caller.principal, held)) is not None:
                return _deny_unlock(transaction, caller, not_theirs, workspace)
            if held is not None and not held.is_of(caller.principal):
                return _try_to_force(transaction, caller, workspace)
            _release(transaction, caller, workspace, held, "; its body was lost on the way")
            return None

        return await self._unlocked(workspace, job)

    async def _unlock_by_id(self, caller: Caller, workspace: str, body: bytes) -> Committed[None]:
        try:
            info = locks.parse(body)
        except InvalidInputError as error:
            refusal = refused("state.unlock_refused", "error", error, caller, workspace)
            error.audit_index = (await self._store.write(lambda tx: tx.append(refusal))).index
            raise
        # OpenTofu 1.10 and later send the ID that a person typed, and nothing else.
        forced = not (info.operation or info.who)
        if not forced:
            needed = _needed(caller.principal, workspace, info.operation)
            await gate(self._store, caller, needed, workspace)

        def job(transaction: Transaction) -> UnlockRefusedError | ForbiddenError | None:
            if forced and (denied := _require_forcing(transaction, caller, workspace)) is not None:
                return denied
            held = transaction.lock(workspace)
            if held is not None and held.id != info.id:
                error = UnlockRefusedError(
                    f"{workspace} is locked by {held.who or held.actor} ({held.operation}) with "
                    "another ID: only its holder or a force-unlock can release it",
                    held.info,
                )
                transaction.append(
                    refused(
                        "state.unlock_refused",
                        "conflict",
                        error,
                        caller,
                        workspace,
                        **run_of_info(info, caller),
                        holder=holder_of(held),
                    )
                )
                return error
            if forced:
                _force(transaction, caller, workspace, held)
            elif (not_theirs := _not_theirs(caller.principal, held)) is not None:
                return _deny_unlock(transaction, caller, not_theirs, workspace)
            elif held is not None and not held.is_of(caller.principal):
                return _try_to_force(transaction, caller, workspace)
            else:
                _release(transaction, caller, workspace, held, "")
            return None

        return await self._unlocked(workspace, job)

    async def release(self, caller: Caller, workspace: str) -> Committed[None]:
        """Release the lock without its ID, whoever holds it (``force-unlock``).

        Raises:
            ForbiddenError, UnavailableError: as ``read``.
        """
        return await self._unlocked(workspace, lambda tx: _try_to_force(tx, caller, workspace))

    async def _unlocked(
        self, workspace: str, job: Callable[[Transaction], TfauditError | None]
    ) -> Committed[None]:
        committed = await self._store.write(job)
        value = committed.value
        if value is not None:
            value.audit_index = committed.index
            raise value
        self._lines.wake(workspace)
        return Committed(None, committed.index)


def _needed(principal: Principal, workspace: str, operation: str | None = None) -> Permission:
    """Return what somebody needs to lock or unlock for an operation; None: for any of theirs.

    Whoever may lock for everything needs no more to lock for a plan.
    """
    if (
        (operation is None or operation in PLAN_OPERATIONS)
        and not principal.allows(Permission.LOCK, workspace)
        and principal.allows(Permission.LOCK_TO_PLAN, workspace)
    ):
        return Permission.LOCK_TO_PLAN
    return Permission.LOCK


def _require_lock(principal: Principal, workspace: str, operation: str) -> None:
    """Pass when somebody may lock for an operation.

    Raises:
        ForbiddenError: says so; to a planner also what they may lock for.
    """
    needed = _needed(principal, workspace, operation)
    if needed is Permission.LOCK and principal.allows(Permission.LOCK_TO_PLAN, workspace):
        decision = principal.rights.decide(Permission.LOCK, workspace)
        if not decision.allowed:
            raise ForbiddenError(
                f"{principal.name} ({principal.rights.roles()}) may lock {workspace} for plan and "
                f"refresh alone, not for {_in_words(operation)}: ask an administrator for the role "
                "writer there"
            )
    require(principal, needed, workspace)


def _in_words(operation: str) -> str:
    """Return a lock's operation as a person would say it: ``apply`` for ``OperationTypeApply``."""
    return client_text(operation, 64).removeprefix("OperationType").lower() or "other operations"


def _explained(error: TfauditError, info: locks.LockInfo, workspace: str) -> LockRefusedError:
    """Return a refusal whose LockInfo says why: the only text that a client shows.

    Terraform before 1.15 shows its ID, later releases show Info, too.
    """
    told = replace(info, id=str(error), info=str(error), who="tfaudit", path=workspace)
    return LockRefusedError(str(error), told.to_json())


def _require_forcing(
    transaction: Transaction, caller: Caller, workspace: str
) -> ForbiddenError | None:
    """Return why somebody may not force the lock, once that is an entry; None if they may."""
    record = transaction.directory().workspace(workspace)
    try:
        require_forcing(record, caller.principal)
    except ForbiddenError as error:
        permission = force_permission(record).value
        transaction.append(
            refused("access.denied", "denied", error, caller, workspace, permission=permission)
        )
        return error
    return None


def _try_to_force(
    transaction: Transaction, caller: Caller, workspace: str
) -> ForbiddenError | None:
    """Force the lock, or return why not, once that is an entry."""
    denied = _require_forcing(transaction, caller, workspace)
    if denied is None:
        _force(transaction, caller, workspace, transaction.lock(workspace))
    return denied


def _not_theirs(principal: Principal, held: HeldLock | None) -> ForbiddenError | None:
    """Return why a lock is not for a planner to release: it was not taken for a plan."""
    if held is None or held.operation in PLAN_OPERATIONS:
        return None
    if principal.allows(Permission.LOCK, held.workspace):
        return None
    return ForbiddenError(
        f"{principal.name} ({principal.rights.roles()}) may release locks for plan and refresh "
        f"alone, and {held.workspace} is locked for {_in_words(held.operation)}"
    )


def _deny_unlock(
    transaction: Transaction, caller: Caller, error: ForbiddenError, workspace: str
) -> ForbiddenError:
    transaction.append(refused("state.unlock_refused", "denied", error, caller, workspace))
    return error


def _shown(info: locks.LockInfo) -> locks.LockInfo:
    """Return a lock's info as others may see it: in a 423, a list, the database.

    Only its ID must be what the client sent; the holder keeps its own copy of the rest.
    """
    # As the entry says it, so that the one can be compared with the other.
    texts = {name: client_text(getattr(info, name)) for name in ("operation", "who", "version")}
    texts |= {name: client_text(getattr(info, name), LOOKED_AT) for name in ("info", "path")}
    return replace(info, **texts)


def _release(
    transaction: Transaction, caller: Caller, workspace: str, held: HeldLock | None, note: str
) -> None:
    """Release a lock by its holder; releasing what is free is a repeated UNLOCK, and fine."""
    if held is None:
        message = f"{name_of(caller)} unlocked {workspace}: it was not locked"
    else:
        transaction.clear_lock(workspace)
        message = f"{name_of(caller)} unlocked {workspace} after {held.operation or 'a run'}{note}"
    index = transaction.append(
        draft(
            "state.unlocked",
            "success",
            message,
            caller,
            200,
            workspace=workspace,
            **run_of(held, caller),
        )
    )
    if held is not None:
        run_entries.end(transaction, caller, held, "state.unlocked", index)


def _force(transaction: Transaction, caller: Caller, workspace: str, held: HeldLock | None) -> None:
    """Release a lock over its holder's head, and say whose it was."""
    if held is None:
        parts: dict[str, Any] = {}
        message = f"{name_of(caller)} forced the lock of {workspace}: it was not locked"
    else:
        transaction.clear_lock(workspace)
        parts = {"holder": holder_of(held)}
        message = (
            f"{name_of(caller)} forced the lock of {workspace}, held by {held.who or held.actor} "
            f"({held.operation}) since {held.taken}"
        )
    index = transaction.append(
        draft("state.force_unlocked", "success", message, caller, 200, workspace=workspace, **parts)
    )
    if held is not None:
        run_entries.end(transaction, caller, held, "state.force_unlocked", index, is_forced=True)
