"""``tfaudit forget``: destroys the key that could tell what a workspace's record hides."""

from typing import TYPE_CHECKING, Annotated

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
from proxy.cli._output import print_json, time_text

if TYPE_CHECKING:
    from proxy.secret_service import Forgotten


def forget(
    *,
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE")],
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the key of a workspace's commitments. Nothing brings it back.

    No entry made so far can then be compared with a value any more, by nobody, not even with the
    redaction key. States, entries and proofs stay as they are. The next write gets a new key.
    """
    parse_workspace(workspace)
    loaded = settings(data, config)
    if not yes:
        confirm(
            f"Destroy the key that tells whether a value is among what the record of {workspace} "
            "hides? `tfaudit whose-secret` can then not tell it of any entry made so far."
        )

    async def action() -> "Forgotten":
        async with opened(loaded) as program:
            return await program.secrets.forget(caller("forget"), workspace)

    done = run(action())
    if as_json:
        print_json({"workspace": workspace, "since": done.since, "index": done.index})
    elif done.since is None:
        typer.echo(f"{workspace} had no such key any more; no trace of one is left.")
    else:
        typer.echo(
            f"Destroyed the key of {workspace}, which was in use since {time_text(done.since)}; "
            f"that is entry {done.index}."
        )
    notice(
        "What can't be destroyed from here: backups, snapshots and other copies of the database "
        "that were made before. A running server forgets the key with the workspace's next write "
        "or its stop."
    )
