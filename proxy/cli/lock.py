"""``tfaudit lock``: shows who holds a state's lock, and releases it when the holder is gone."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from proxy.access import parse_workspace
from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    YesOption,
    caller,
    confirm,
    opened,
    run,
    settings,
)
from proxy.cli._output import clean, print_json, print_table, time_text
from proxy.contracts import HeldLock
from proxy.directory import Directory, WorkspaceRecord
from proxy.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from proxy.program import Program

app = typer.Typer(no_args_is_help=True, help="Show and release locks.")


@app.command("list")
def list_locks(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List the locks that are held, oldest first.

    A lock that is held for longer than its workspace's lock_alert_minutes is marked.
    """

    async def action() -> tuple[list[HeldLock], Directory]:
        async with opened(settings(data, config), may_only_read=True) as program:
            return await program.store.locks(), program.store.directory()

    locks, directory = run(action())
    now = datetime.now(UTC)
    overdue = {
        lock.workspace: _is_overdue(lock, directory.workspace(lock.workspace), now)
        for lock in locks
    }
    if as_json:
        print_json([_as_object(lock) | {"overdue": overdue[lock.workspace]} for lock in locks])
        return
    print_table(
        ("WORKSPACE", "TAKEN", "OPERATION", "WHO SAYS TO HOLD IT", "TOKEN", "LOCK ID", ""),
        (
            (
                lock.workspace,
                time_text(lock.taken),
                lock.operation,
                lock.who,
                lock.actor,
                lock.id,
                "held too long" if overdue[lock.workspace] else "",
            )
            for lock in locks
        ),
    )


@app.command("release")
def release(
    *,
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE")],
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a lock without its holder's ID. Only when the run that took it is gone.

    The record shows who released it. A run that still goes on can save its work only as long as
    nobody else takes the lock and its state continues the stored one; else it is refused.
    """
    parse_workspace(workspace)

    async def find() -> HeldLock:
        async with opened(settings(data, config)) as program:
            return await _held(program, workspace)

    async def let_go(shown: HeldLock) -> None:
        async with opened(settings(data, config)) as program:
            if (await _held(program, workspace)).id != shown.id:
                raise ConflictError(
                    f"another run took the lock of {workspace} meanwhile: look at it again"
                )
            await program.locks.release(caller("lock release"), workspace)

    lock = run(find())
    if not yes:
        confirm(
            f"Release the lock of {workspace}, taken {time_text(lock.taken)} by "
            f"{clean(lock.who or lock.actor)} for {clean(lock.operation)}?"
        )
    run(let_go(lock))
    if as_json:
        print_json({"released": _as_object(lock)})
    else:
        typer.echo(
            f"Released the lock of {workspace}, taken {time_text(lock.taken)} by "
            f"{clean(lock.who or lock.actor)} for {clean(lock.operation)} (ID {clean(lock.id)})."
        )


def _is_overdue(lock: HeldLock, record: WorkspaceRecord, now: datetime) -> bool:
    if record.lock_alert_minutes is None:
        return False
    limit = timedelta(minutes=record.lock_alert_minutes)
    return now - datetime.fromisoformat(lock.taken) > limit


async def _held(program: "Program", workspace: str) -> HeldLock:
    for lock in await program.store.locks():
        if lock.workspace == workspace:
            return lock
    raise NotFoundError(f"{workspace} is not locked: there is nothing to release")


def _as_object(lock: HeldLock) -> dict[str, object]:
    return {
        "workspace": lock.workspace,
        "id": lock.id,
        "operation": lock.operation,
        "who": lock.who,
        "version": lock.version,
        "actor": lock.actor,
        "taken": lock.taken,
        "info": orjson.loads(lock.info),
    }
