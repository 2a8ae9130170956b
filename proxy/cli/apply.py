"""``tfaudit apply``: brings principals, grants, sinks and the rest to what a file says."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

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
from proxy.cli._output import count_text, print_json
from proxy.errors import ConflictError

if TYPE_CHECKING:
    from proxy.cli._access_file import AccessFile
    from proxy.cli._access_plan import Plan


class _Planned(NamedTuple):
    """A plan, and what it was made for.

    Attributes:
        plan: what is to be done.
        generation: of the directory that it was worked out from.
        locks_out: afterwards nobody but this command line could administer, and now somebody can.
    """

    plan: "Plan"
    generation: int
    locks_out: bool


def apply(
    *,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=r"TOML: tables \[\[principal]], \[\[grant]], \[\[issuer]] and \[\[workspace]].",
            exists=True,
            dir_okay=False,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="With --dry-run: exit with 1 when there is a difference."),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Also delete principals, grants and issuers that the file does not name, of the "
            "kinds that it names. Never a workspace.",
        ),
    ] = False,
    allow_lockout: Annotated[
        bool,
        typer.Option(
            "--allow-lockout",
            help="Go on even if nobody but this command line could administer afterwards.",
        ),
    ] = False,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring principals, grants, issuers, sinks and workspaces to what a file says: all or none.

    What a table of the file does not say has its default. Secrets never stand in the file. All
    changes are made in one transaction, each an entry of the log; the same file again changes
    nothing.
    """
    from proxy.cli._access_file import read_access_file  # noqa: PLC0415 - quick start
    from proxy.cli._access_plan import lines_of, summary_of  # noqa: PLC0415

    file = read_access_file(str(path), path.read_bytes())
    planned = run(_planned(str(path), file, data, config, prune=prune))
    steps = planned.plan.steps
    if not as_json:
        for line in lines_of(steps):
            typer.echo(line)
    _tell_kept(planned.plan, prune=prune)
    if planned.locks_out and not allow_lockout:
        refusal = "nobody but this command line could administer afterwards"
        if not dry_run:
            raise ConflictError(
                f"nothing was done: {refusal}; keep an administrator, or give --allow-lockout"
            )
        notice(f"This would be refused: {refusal}.")
    is_done = False
    if steps and not dry_run:
        if not yes:
            confirm(f"{summary_of(steps)}. Do it?")
        run(_do(planned, data, config))
        is_done = True
    if as_json:
        print_json({"changes": [step.as_object() for step in steps], "done": is_done})
    elif not steps:
        typer.echo("Nothing differs: nothing to do.")
    else:
        head = "Done" if is_done else "Nothing was done"
        typer.echo(f"{head}: {summary_of(steps, is_done=is_done)}.")
    if dry_run and exit_code and steps:
        raise typer.Exit(REFUSED)


async def _planned(
    path: str, file: "AccessFile", data: Path | None, config: Path | None, *, prune: bool
) -> _Planned:
    from proxy.cli._access_file import require_known  # noqa: PLC0415 - quick start
    from proxy.cli._access_plan import (  # noqa: PLC0415
        after_steps,
        can_be_administered,
        plan_of,
    )

    async with opened(settings(data, config)) as program:
        who = caller("apply")
        directory = await program.directory.view(who)
        tokens = await program.admin.list_tokens(who)
        written = [each.name for each in await program.workspaces.list(who) if not each.id]
    require_known(path, file, directory)
    plan = plan_of(file, directory, written, prune=prune)
    now = datetime.now(UTC)
    after = after_steps(directory, plan.steps)
    locks_out = can_be_administered(directory, tokens, now) and not can_be_administered(
        after, tokens, now
    )
    return _Planned(plan, directory.generation, locks_out)


async def _do(planned: _Planned, data: Path | None, config: Path | None) -> None:
    async with opened(settings(data, config)) as program:
        await program.directory.change(
            caller("apply"),
            [step.change for step in planned.plan.steps],
            generation=planned.generation,
        )


def _tell_kept(plan: "Plan", *, prune: bool) -> None:
    kept = plan.kept
    if not kept:
        return
    names = ", ".join(f"{each.kind} {each.name}" for each in kept[:5])
    more = ", …" if len(kept) > 5 else ""
    advice = "the file names none of their kind" if prune else "--prune deletes them"
    notice(f"{count_text(len(kept), 'object')} not in the file: {names}{more}: kept; {advice}.")
