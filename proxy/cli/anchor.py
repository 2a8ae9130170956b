"""``tfaudit anchor``: the places that the newest checkpoint is put to, beyond the log's own."""

from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli._common import (
    UNKNOWN,
    ConfigOption,
    DataOption,
    JsonOption,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._output import print_json, print_table
from proxy.errors import ConfigError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from proxy.anchors.keeping import AnchorStatus
    from proxy.config import Config

app = typer.Typer(
    no_args_is_help=True,
    help="See to the anchors of the configuration: files, git repositories and buckets that the "
    "newest checkpoint is put to.",
)


@app.command("list")
def list_anchors(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Compare the log with all anchors, and list how far each is; nothing is written.

    Exits with 1 when one knows something that is not in the log any more, with 2 when one can't be
    asked, or has no more what was put there.
    """
    found, is_lost = run(_compared(settings(data, config)))
    if as_json:
        print_json([each._asdict() for each in found])
    else:
        if not found:
            notice("There are no anchors: name some in the configuration, as [anchors.NAME].")
        print_table(("NAME", "TYPE", "WHERE", ">ENTRIES", ">BEHIND", "ERROR"), map(_row, found))
    for each in found:
        if each.gone is not None:
            notice(
                f"The anchor {each.name} has no more the checkpoint of {each.gone} entries that "
                f"was put there: find out who emptied {each.where}, or what is mounted there."
            )
    if is_lost or any(each.error or each.gone is not None for each in found):
        raise typer.Exit(1 if is_lost else UNKNOWN)


@app.command("now")
def now(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Which anchors. Default: all.", show_default=False
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Put the newest checkpoint into the anchors now: before a change, or where no server runs."""
    for each in run(_anchored(settings(data, config), names or [])):
        typer.echo(f"{each.name}: {each.size} entries in {each.where}")


async def _compared(config: "Config") -> "tuple[list[AnchorStatus], bool]":
    from proxy.program import now as present  # noqa: PLC0415 - quick start of the command line

    async with opened(config, is_recovery=True) as program:
        lost = await program.anchors.compare()
        return await program.anchors.statuses(present()), bool(lost)


async def _anchored(config: "Config", names: list[str]) -> "list[AnchorStatus]":
    """Put the newest checkpoint there; return how each of them is.

    Raises:
        NotFoundError: there is no such anchor.
        ConfigError: one knows something that is not in the log any more.
        UnavailableError: one did not take it.
    """
    from proxy.anchors.keeping import why  # noqa: PLC0415 - quick start of the command line
    from proxy.program import now as present  # noqa: PLC0415

    async with opened(config) as program:
        anchors = program.anchors
        known = ", ".join(anchors.names) or "none: name some in the configuration"
        for name in names:
            if name not in anchors.names:
                raise NotFoundError(f"there is no anchor {name}; there are {known}")
        if not anchors:
            raise NotFoundError(f"there are no anchors: {known}")
        for lost in await anchors.keep(names):
            raise ConfigError(why(lost))
        failures = {
            name: error for name, error in anchors.failures.items() if not names or name in names
        }
        for name, error in failures.items():
            notice(f"The anchor {name} does not have the newest checkpoint: {error}")
        if failures:
            raise UnavailableError(f"not anchored in {', '.join(failures)}; in all others it is")
        statuses = await anchors.statuses(present())
        return [each for each in statuses if not names or each.name in names]


def _row(each: "AnchorStatus") -> tuple[str, ...]:
    return (
        each.name,
        each.kind,
        each.where,
        "-" if each.size is None else str(each.size),
        str(each.lag),
        each.error,
    )
