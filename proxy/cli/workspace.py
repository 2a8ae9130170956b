"""``tfaudit workspace``: makes, shows, changes, deletes, restores and purges workspaces."""

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec
import typer

from proxy.access import parse_workspace
from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    YesOption,
    caller,
    confirm,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._life import gone_text, life_text
from proxy.cli._output import clean, print_json, print_table, size_text, time_text
from proxy.contracts import Committed, WorkspaceSummary
from proxy.directory import Object, WorkspaceRecord, shown
from proxy.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from proxy.program import Program

app = typer.Typer(no_args_is_help=True, help="Make, set up, delete and restore workspaces.")

_NONE: Final = "none"

Name: TypeAlias = Annotated[str, typer.Argument(metavar="WORKSPACE")]
Description: TypeAlias = Annotated[
    str | None, typer.Option("--description", metavar="TEXT", help="For people.")
]
Environment: TypeAlias = Annotated[
    str | None,
    typer.Option("--environment", metavar="LABEL", help="A label such as production."),
]
ForceUnlock: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--force-unlock",
        metavar="WHO",
        help="Who may release a lock that somebody else holds: writer, operator or admin.",
    ),
]
LockAlert: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--lock-alert",
        metavar="MINUTES",
        help="A lock held for longer is marked in `lock list`. none: never.",
    ),
]
BodyLimit: TypeAlias = Annotated[
    str | None,
    typer.Option("--body-limit", metavar="BYTES", help="Of a state. none: the server's own limit."),
]
RequireLock: TypeAlias = Annotated[
    bool | None,
    typer.Option("--require-lock/--no-require-lock", help="Refuse uploads without a lock."),
]
Protected: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--protected/--no-protected",
        help="Let only identities of an issuer (CI systems) write, and lock to write.",
    ),
]
KeepVersions: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--keep-versions",
        metavar="RULES",
        help="Which versions of its state are kept, in place of the configuration's rules: a "
        "number of the newest, a length of time, last-of-run, such as '20, 90d'; or all. none: the "
        "configuration's.",
    ),
]


@app.command("list")
def list_workspaces(
    environment: Annotated[
        str | None,
        typer.Option("--environment", metavar="LABEL", help="Only those with this label."),
    ] = None,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Only those that are deleted or purged.")
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all workspaces: those that were made ahead, and those that a first write made."""

    async def action() -> list[WorkspaceSummary]:
        async with opened(settings(data, config)) as program:
            return await program.store.workspaces()

    found = [
        each
        for each in run(action())
        if environment in {None, each.record.environment}
        and (each.record.deleted is not None or not deleted)
    ]
    if as_json:
        print_json([_summary(each) for each in found])
        return
    print_table(
        ("WORKSPACE", "ENVIRONMENT", "SETTINGS", ">SERIAL", "LOCKED BY", "", "DESCRIPTION"),
        (
            (
                each.name,
                each.record.environment,
                ", ".join(_in_words(each.record)),
                str(each.head.serial) if each.head else "",
                (each.lock.who or each.lock.actor) if each.lock else "",
                life_text(each.record),
                each.record.description,
            )
            for each in found
        ),
    )


@app.command("show")
def show(
    *,
    workspace: Name,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a workspace's settings, its newest version and its lock."""
    parse_workspace(workspace)

    async def action() -> list[WorkspaceSummary]:
        async with opened(settings(data, config)) as program:
            return await program.store.workspaces()

    found = next((each for each in run(action()) if each.name == workspace), None)
    if found is None:
        raise NotFoundError(
            f"there is no workspace {workspace}: `tfaudit workspace list` shows all"
        )
    if as_json:
        print_json(_summary(found))
        return
    lines = [(name, text) for name, text in _lines(found) if text]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        typer.echo(f"{name:<{width}}  {clean(text)}")


@app.command("create")
def create(
    *,
    workspace: Name,
    description: Description = None,
    environment: Environment = None,
    force_unlock: ForceUnlock = None,
    lock_alert: LockAlert = None,
    body_limit: BodyLimit = None,
    require_lock: RequireLock = None,
    protected: Protected = None,
    keep_versions: KeepVersions = None,
    reuse: Annotated[
        bool,
        typer.Option("--reuse", help="Free the name of a workspace whose states were destroyed."),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace ahead of its first write, with its settings."""
    parse_workspace(workspace)
    fields = _fields(
        {
            "description": description,
            "environment": environment,
            "force_unlock": force_unlock,
            "require_lock": require_lock,
            "protected": protected,
            "keep_versions": "" if keep_versions == _NONE else keep_versions,
        },
        {"lock_alert_minutes": lock_alert, "body_limit": body_limit},
    )

    async def action(program: "Program") -> Committed[Object]:
        who = caller("workspace create")
        if reuse:
            return await program.workspaces.reuse(who, workspace, fields)
        return await program.directory.create(who, "workspace", {**fields, "name": workspace})

    _do(action, "Made", data, config, as_json)


@app.command("update")
def update(
    *,
    workspace: Name,
    description: Description = None,
    environment: Environment = None,
    force_unlock: ForceUnlock = None,
    lock_alert: LockAlert = None,
    body_limit: BodyLimit = None,
    require_lock: RequireLock = None,
    protected: Protected = None,
    keep_versions: KeepVersions = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a workspace's settings; what is not named stays as it is."""
    parse_workspace(workspace)
    fields = _fields(
        {
            "description": description,
            "environment": environment,
            "force_unlock": force_unlock,
            "require_lock": require_lock,
            "protected": protected,
            "keep_versions": "" if keep_versions == _NONE else keep_versions,
        },
        {"lock_alert_minutes": lock_alert, "body_limit": body_limit},
    )
    if not fields:
        raise InvalidInputError("say what is to be changed, for example --protected")

    words: list[str] = []

    async def action(program: "Program") -> Committed[Object]:
        who = caller("workspace update")
        made = await program.directory.update_told(who, "workspace", workspace, fields)
        words.append(made.value.in_words())
        if made.value.after is None:
            raise TypeError(made)
        return Committed(made.value.after, made.index)

    _do(action, "Changed", data, config, as_json, words=words)


@app.command("delete")
def delete(
    *,
    workspace: Name,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a workspace with all its states. For some time it can be restored.

    From then on every read, lock and write of it is refused. When the time is over, which
    `data.deletion_grace` says in days, the server destroys its states for good.
    """
    parse_workspace(workspace)
    if not yes:
        confirm(f"Delete {workspace} with all its states?")

    async def action(program: "Program") -> Committed[Object]:
        return await program.workspaces.delete(caller("workspace delete"), workspace)

    _do(action, "Deleted", data, config, as_json)


@app.command("restore")
def restore(
    *,
    workspace: Name,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a deleted workspace back as it was."""
    parse_workspace(workspace)

    async def action(program: "Program") -> Committed[Object]:
        return await program.workspaces.restore(caller("workspace restore"), workspace)

    _do(action, "Restored", data, config, as_json)


@app.command("purge")
def purge(
    *,
    workspace: Name,
    now: Annotated[
        bool, typer.Option("--now", help="Even though it could still be restored.")
    ] = False,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the states of a deleted workspace, and the key of its commitments. For good.

    What the log says of it stays, and its name stays taken.
    """
    parse_workspace(workspace)
    if not yes:
        confirm(f"Destroy all states of {workspace}? Nothing brings them back.")

    async def action(program: "Program") -> Committed[Object]:
        return await program.workspaces.purge(caller("workspace purge"), workspace, at_once=now)

    _do(action, "Purged", data, config, as_json)
    notice(
        "What can't be destroyed from here: backups, snapshots and other copies of the database "
        "that were made before. A running server lets go of what it has in memory within a minute, "
        "and of what it learned for redaction when it stops."
    )


def _do(
    action: "Callable[[Program], Awaitable[Committed[Object]]]",
    done: str,
    data: "Path | None",
    config: "Path | None",
    as_json: bool,
    *,
    words: "Sequence[str]" = (),
) -> None:
    """Run an action on the opened program, and print the workspace as it then is.

    Or with what the action said in ``words``.
    """

    async def work() -> Committed[Object]:
        async with opened(settings(data, config)) as program:
            return await action(program)

    committed = run(work())
    found = committed.value
    record = found.record
    if not isinstance(record, WorkspaceRecord):
        raise TypeError(record)
    if as_json:
        print_json(shown(found) | {"index": committed.index})
        return
    if committed.index is None:
        typer.echo(f"{clean(found.name)} was so already: nothing changed.")
        return
    told = clean(", ".join(words)) or life_text(record) or ", ".join(_in_words(record))
    typer.echo(f"{done} {clean(found.name)}" + (f": {told}." if told else "."))


def _fields(named: "Mapping[str, Any]", limits: "Mapping[str, str | None]") -> dict[str, Any]:
    """Return the settings that were given, by their names in a record.

    Args:
        named: as they are; None was not given.
        limits: numbers as texts, or ``none``, which puts a setting back.
    """
    fields: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for name, text in limits.items():
        if text is not None:
            fields[name] = None if text == _NONE else _number(name, text)
    return fields


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise InvalidInputError(f"{name} must be a whole number or none, not {text!r}")
    return int(text)


def _in_words(record: WorkspaceRecord) -> list[str]:
    """Return the settings that are not the default, a few words each."""
    words = []
    if record.protected:
        words.append("protected")
    if record.require_lock:
        words.append("lock required")
    if record.force_unlock != "operator":
        words.append(f"force-unlock by {record.force_unlock}")
    if record.body_limit is not None:
        words.append(f"at most {record.body_limit} bytes")
    if record.lock_alert_minutes is not None:
        words.append(f"lock alert after {record.lock_alert_minutes} min")
    if record.keep_versions:
        words.append(f"keeps versions: {record.keep_versions}")
    return words


def _lines(found: WorkspaceSummary) -> "Iterator[tuple[str, str]]":
    """Yield what a workspace is, in the words of the tables: a name and a text each."""
    record, head, lock = found.record, found.head, found.lock
    yield "workspace", found.name
    yield "description", record.description
    yield "environment", record.environment
    yield "settings", ", ".join(_in_words(record)) or "the defaults"
    yield "made", time_text(found.created)
    yield "life", life_text(record) or "in use"
    gone = gone_text(found)
    yield "versions", str(found.versions) + (f" ({gone})" if gone else "")
    if head is not None:
        written = f"written {time_text(head.created)}, {size_text(head.size)}"
        yield "newest version", f"{head.number}, serial {head.serial}, {written}"
    if lock is not None:
        yield "locked by", f"{lock.who or lock.actor} since {time_text(lock.taken)}"


def _summary(found: WorkspaceSummary) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(found.record)
    lock = found.lock
    return {
        **members,
        "created": found.created,
        "versions": found.versions,
        "pruned_versions": found.pruned,
        "head": found.head._asdict() if found.head else None,
        "lock": {"id": lock.id, "operation": lock.operation, "who": lock.who, "taken": lock.taken}
        if lock
        else None,
    }
