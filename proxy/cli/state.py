"""``tfaudit state``: lists, shows, compares, takes out, brings in, rolls back, prunes states."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.access import EVERYWHERE, parse_workspace
from proxy.cli._block import backend_block, base_address
from proxy.cli._common import (
    REFUSED,
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
from proxy.cli._life import gone_text, is_destroyed, life_text, version_text
from proxy.cli._output import (
    clean,
    count_text,
    print_bytes,
    print_json,
    print_table,
    size_text,
    time_text,
)
from proxy.contracts import StateVersion, WorkspaceSummary
from proxy.directory import WorkspaceRecord
from proxy.errors import InvalidInputError, NotFoundError, TfauditError
from proxy.retention import MOST, Retention, parse_period, ranges, ranges_text

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.program import Program
    from proxy.retention_service import Pruned
    from proxy.state_service import Reading, Written
    from proxy.tfstate.fitting import RedactedChanges

SUFFIX: Final = ".tfstate"
_S3_WORKSPACES: Final = "env:"
_LOCAL_WORKSPACES: Final = "terraform.tfstate.d"
_LOCAL_STATE: Final = "terraform"

app = typer.Typer(no_args_is_help=True, help="Look at states, bring them in, roll them back.")

Workspace = Annotated[str, typer.Argument(metavar="WORKSPACE")]
VersionOption = Annotated[
    str | None,
    typer.Option("--version", metavar="VERSION", help="A number or an ID. Default: the newest."),
]


@app.command("list")
def list_states(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all workspaces with their newest version and their lock."""

    async def action() -> list[WorkspaceSummary]:
        async with opened(settings(data, config), may_only_read=True) as program:
            return await program.store.workspaces()

    found = run(action())
    if as_json:
        print_json([_summary_object(workspace) for workspace in found])
        return
    print_table(
        ("WORKSPACE", ">SERIAL", ">VERSIONS", ">SIZE", "TERRAFORM", "WRITTEN", "LOCKED BY", ""),
        (
            (
                workspace.name,
                str(head.serial) if head else "",
                str(workspace.versions),
                size_text(head.size) if head else "",
                head.terraform_version if head else "",
                time_text(head.created) if head else "",
                (workspace.lock.who or workspace.lock.actor) if workspace.lock else "",
                life_text(workspace.record) or gone_text(workspace),
            )
            for workspace in found
            for head in (workspace.head,)
        ),
    )


@app.command("versions")
def versions(
    workspace: Workspace,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a workspace's versions, newest first."""
    parse_workspace(workspace)

    async def action() -> tuple[list[StateVersion], WorkspaceRecord]:
        async with opened(settings(data, config), may_only_read=True) as program:
            return await _versions(program, workspace)

    found, record = run(action())
    if not found:
        raise NotFoundError(f"{workspace} has no state: `tfaudit state list` shows all workspaces")
    if as_json:
        print_json([each._asdict() | {"destroyed": is_destroyed(each, record)} for each in found])
        return
    print_table(
        (">VERSION", ">SERIAL", "WRITTEN", ">SIZE", "TERRAFORM", "LINEAGE", "SHA-256", "ID", ""),
        (
            (
                str(version.number),
                str(version.serial),
                time_text(version.created),
                size_text(version.size),
                version.terraform_version or version.kind,
                version.lineage,
                version.sha256[:12],
                version.id,
                version_text(version, record),
            )
            for version in found
        ),
    )


@app.command("show")
def show(
    workspace: Workspace,
    version: VersionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is in a state, with its secrets redacted."""
    from proxy.cli._plan import state_lines  # noqa: PLC0415 - quick start

    parse_workspace(workspace)

    async def action() -> Mapping[str, object]:
        async with opened(settings(data, config)) as program:
            return await program.states.show(caller("state show"), workspace, version)

    shown = run(action())
    if as_json:
        print_json(shown)
        return
    for line in state_lines(shown):
        typer.echo(line)


@app.command("diff")
def diff(
    *,
    workspace: Workspace,
    old: Annotated[
        str | None,
        typer.Argument(metavar="A", help="A version's number or ID. Default: the one before B."),
    ] = None,
    new: Annotated[
        str | None, typer.Argument(metavar="B", help="A version. Default: the newest.")
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two versions, as a plan does, with secrets redacted."""
    from proxy.cli._plan import plan_lines, plan_of  # noqa: PLC0415 - quick start

    parse_workspace(workspace)

    async def action() -> "tuple[RedactedChanges, StateVersion | None, StateVersion]":
        async with opened(settings(data, config)) as program:
            return await program.states.compare(caller("state diff"), workspace, old, new)

    redacted, before, after = run(action())
    changes = plan_of(redacted)
    if as_json:
        source = None if before is None else before._asdict()
        print_json({"from": source, "to": after._asdict(), "changes": changes})
        return
    start = "nothing" if before is None else f"version {before.number} (serial {before.serial})"
    typer.echo(f"{clean(workspace)}: {start} -> version {after.number} (serial {after.serial})")
    for line in plan_lines(changes):
        typer.echo(line)


@app.command("pull")
def pull(
    workspace: Workspace,
    version: VersionOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a state to stdout, secrets included, byte for byte as it came in."""
    parse_workspace(workspace)

    async def action() -> "Reading":
        async with opened(settings(data, config)) as program:
            who = caller("state pull")
            if version is None:
                return await program.states.read(who, workspace)
            return await program.states.read_version(who, workspace, version)

    body = run(action()).body
    if body is None:
        raise NotFoundError(f"{workspace} has no state: `tfaudit state list` shows all workspaces")
    print_bytes(body)


@app.command("import")
def import_states(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A state file, or a folder that is searched for *.tfstate files."
        ),
    ],
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace",
            metavar="NAME",
            help="Where it goes. For a folder: a prefix of all its workspaces.",
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take over existing states with their lineage, serial and every byte.

    A file of a folder goes to the workspace of its path without the suffix:
    [bold]prod/network.tfstate[/] to prod/network. A copy of an S3 bucket fits as it is: its
    [bold]env:/<workspace>/<key>[/] goes to <workspace>/<key>. So does a project's folder: its
    [bold]terraform.tfstate.d/<workspace>/terraform.tfstate[/] goes to <workspace>. A workspace
    that has a state already is left alone.
    """
    found = _plan_import(path, workspace)
    base = base_address(settings(data, config))

    async def action() -> "list[tuple[Path, str, Written | TfauditError]]":
        async with opened(settings(data, config)) as program:
            return [
                (file, name, await _import(program, file, name)) for name, file in found.items()
            ]

    results = run(action())
    failed = sum(isinstance(result, TfauditError) for _, _, result in results)
    if as_json:
        print_json([_import_object(*result) for result in results])
    for file, name, result in results:
        if isinstance(result, TfauditError):
            notice(f"tfaudit: {file} was not imported to {name}: {result}")
        elif not as_json:
            what = "was there already" if result.repeated else "imported"
            typer.echo(
                f"{clean(str(file))} -> {clean(name)}: {what}, serial {result.version.serial}, "
                f"lineage {clean(result.version.lineage)}"
            )
    done = [name for _, name, result in results if not isinstance(result, TfauditError)]
    if done and not as_json:
        typer.echo(_how_to_switch(base, done), err=True)
    if failed:
        raise typer.Exit(REFUSED)


@app.command("rollback")
def rollback(
    *,
    workspace: Workspace,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="The number or ID of an older version.")
    ],
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store an older version again as the newest, with the next serial.

    Nothing is deleted: the present state stays as a version. Real infrastructure does not change
    by it; the next plan shows the difference.
    """
    parse_workspace(workspace)
    if not yes:
        older, is_gone = run(_stored_version(settings(data, config), workspace, version))
        if not is_gone:  # else it is refused below, and that is on record
            confirm(
                f"Make version {older.number} (serial {older.serial}, written "
                f"{time_text(older.created)}) the newest state of {workspace} again?"
            )

    async def action() -> "Written":
        async with opened(settings(data, config)) as program:
            return await program.states.roll_back(caller("state rollback"), workspace, version)

    written = run(action())
    if as_json:
        print_json(written.version._asdict())
    else:
        typer.echo(
            f"Rolled {clean(workspace)} back to version {clean(version)}: it is now version "
            f"{written.version.number} with serial {written.version.serial}."
        )


@app.command("prune")
def prune(
    *,
    workspace: Annotated[
        str, typer.Option("--workspace", metavar="GLOB", help="Only these workspaces.")
    ] = EVERYWHERE,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=1, max=MOST, help="Keep the newest N versions."),
    ] = None,
    keep_for: Annotated[
        str | None,
        typer.Option(
            "--keep-for", metavar="LENGTH", help="Keep what was written since, such as 90d."
        ),
    ] = None,
    last_of_run: Annotated[
        bool, typer.Option("--last-of-run", help="Keep the last version of each run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be destroyed.")
    ] = False,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the versions of states that no rule keeps. For good.

    Rules that are given here stand in the place of those of the configuration; without any, these
    are used. What a workspace's own rules keep stays in either case, and so do the newest version
    and the one that a run under way began with. What the log says of the others stays, too.
    """
    rules = _rules(keep, keep_for, last_of_run=last_of_run)
    chosen = settings(data, config)

    async def look() -> "list[Pruned]":
        async with opened(chosen) as program:
            return await program.retention.plan(caller("state prune"), workspace, rules)

    async def action() -> "list[Pruned]":
        async with opened(chosen) as program:
            return await program.retention.prune(caller("state prune"), workspace, rules)

    planned = run(look()) if dry_run or not yes else None
    if planned and not dry_run:
        number = count_text(sum(len(each.numbers) for each in planned), "version")
        places = count_text(len(planned), "workspace")
        confirm(f"Destroy {number} of {places}? Nothing brings them back.")
    done = planned if dry_run and planned is not None else run(action())
    if as_json:
        print_json([_pruned_object(each) for each in done])
    elif done:
        _print_pruned(done)
    else:
        typer.echo("Nothing to prune: every version that is left is kept.")
    if done and not dry_run:
        notice(
            "What can't be destroyed from here: backups, snapshots and other copies of the "
            "database that were made before. A running server lets go of what it has in memory "
            "within a minute, and of what it learned for redaction when it stops."
        )


def _rules(keep: int | None, keep_for: str | None, *, last_of_run: bool) -> Retention | None:
    """Return the rules that were given; None when none was."""
    try:
        seconds = None if keep_for is None else parse_period(keep_for)
    except InvalidInputError as error:
        raise InvalidInputError(f"--keep-for can't be used: {error}") from error
    rules = Retention(keep, seconds, last_of_run)
    return rules if rules.is_on else None


def _print_pruned(done: "list[Pruned]") -> None:
    print_table(
        ("WORKSPACE", ">VERSIONS", ">SIZE", "KEPT", "ENTRY", "PRUNED"),
        (
            (
                each.workspace,
                str(len(each.numbers)),
                size_text(each.size),
                str(each.rules),
                ranges_text(ranges(each.indices)),
                ranges_text(ranges(each.numbers)),
            )
            for each in done
        ),
    )


def _pruned_object(each: "Pruned") -> dict[str, object]:
    return {
        "workspace": each.workspace,
        "versions": ranges(each.numbers),
        "number": len(each.numbers),
        "size": each.size,
        "kept": each.rules.as_entry(),
        "indices": list(each.indices),
    }


async def _versions(
    program: "Program", workspace: str
) -> tuple[list[StateVersion], WorkspaceRecord]:
    """Return all versions, newest first, and the workspace's settings."""
    found = await program.store.versions(workspace)
    return found, program.store.directory().workspace(workspace)


async def _stored_version(
    config: "Config", workspace: str, reference: str
) -> tuple[StateVersion, bool]:
    """Return the version of a number or ID, and whether it was destroyed or pruned.

    Raises:
        NotFoundError: there is none.
    """
    async with opened(config) as program:
        found, record = await _versions(program, workspace)
    for version in found:
        if reference in {version.id, str(version.number)}:
            return version, is_destroyed(version, record)
    raise NotFoundError(
        f"{workspace} has no version {reference}: `tfaudit state versions {workspace}` shows all"
    )


def _summary_object(workspace: WorkspaceSummary) -> dict[str, object]:
    lock = workspace.lock
    return {
        "workspace": workspace.name,
        "created": workspace.created,
        "versions": workspace.versions,
        "head": workspace.head._asdict() if workspace.head else None,
        "deleted": workspace.record.deleted,
        "purged": workspace.record.purged,
        "destroyed_versions": workspace.record.destroyed_versions,
        "pruned_versions": workspace.pruned,
        "lock": {"id": lock.id, "operation": lock.operation, "who": lock.who, "taken": lock.taken}
        if lock
        else None,
    }


# ---------------------------------------------------------------- import


def _plan_import(path: Path, workspace: str | None) -> dict[str, Path]:
    """Return workspace -> file for all that is to be imported.

    Raises:
        NotFoundError: there is no such file or folder, or nothing in it.
        InvalidInputError: a name is no workspace's, or two files have the same; names them all.
    """
    if path.is_file():
        if workspace is None:
            raise InvalidInputError("say with --workspace where the state goes")
        return {parse_workspace(workspace): path}
    if not path.is_dir():
        raise NotFoundError(f"there is no file or folder {path}")
    found: dict[str, Path] = {}
    mistakes: list[str] = []
    for file in sorted(path.rglob(f"*{SUFFIX}")):
        inside = file.relative_to(path)
        if not file.is_file() or any(part.startswith(".") for part in inside.parts):
            continue
        name = workspace_of(inside, workspace)
        try:
            parse_workspace(name)
        except InvalidInputError as error:
            mistakes.append(f"{file}: {error}")
            continue
        if name in found:
            mistakes.append(f"{file} and {found[name]} both go to {name}")
        found[name] = file
    if mistakes:
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise InvalidInputError(f"nothing was imported:\n{listed}")
    if not found:
        raise NotFoundError(f"there is no *{SUFFIX} file in {path}")
    return found


def workspace_of(inside: Path, prefix: str | None) -> str:
    """Return the workspace of a state file in a folder.

    Args:
        inside: the file's path from the folder on; ``env:/ws/key`` is how Terraform's s3 backend
            names the states of workspaces (``internal/backend/remote-state/s3``), and
            ``terraform.tfstate.d/ws/terraform.tfstate`` the local one (``backend/local``).
        prefix: put before it.
    """
    parts = inside.with_name(inside.name.removesuffix(SUFFIX)).parts
    if parts[0] == _S3_WORKSPACES:
        parts = parts[1:]
    elif parts[0] == _LOCAL_WORKSPACES and parts[-1] == _LOCAL_STATE and len(parts) > 2:
        parts = parts[1:-1]
    return "/".join(parts if prefix is None else (prefix, *parts))


async def _import(program: "Program", file: Path, name: str) -> "Written | TfauditError":
    """Import one file; what is wrong with it must not keep the others out."""
    try:
        body = await asyncio.to_thread(file.read_bytes)
    except OSError as error:
        return InvalidInputError(f"{file} can't be read: {error.strerror}")
    try:
        return await program.states.import_state(caller("state import"), name, body)
    except TfauditError as error:
        return error


def _import_object(file: Path, name: str, result: "Written | TfauditError") -> dict[str, object]:
    if isinstance(result, TfauditError):
        return {"file": str(file), "workspace": name, "error": str(result)}
    return {
        "file": str(file),
        "workspace": name,
        "repeated": result.repeated,
        "version": result.version._asdict(),
    }


def _how_to_switch(base: str, workspaces: list[str]) -> str:
    if len(workspaces) == 1:
        name, extent = workspaces[0], ""
    else:
        name = "WORKSPACE"
        extent = f"\nWORKSPACE is one of: {', '.join(workspaces)}"
    return f"""
Now replace the backend block of the configuration that this state belongs to:

{backend_block(base, name)}
{extent}
Then tell Terraform to use it without copying anything, and expect a plan without changes:

  terraform init -reconfigure
  terraform plan
"""
