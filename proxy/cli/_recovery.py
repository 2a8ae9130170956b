"""``tfaudit log recover``: the way out when the newest database is lost for good, on record."""

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    caller,
    notice,
    opened,
    require_directory,
    run,
    settings,
)
from proxy.cli._output import count_text
from proxy.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.last_checkpoint import Lost
    from proxy.program import Program


def recover(
    *,
    known_size: Annotated[
        int | None,
        typer.Option(
            "--known-size",
            metavar="N",
            min=1,
            help="How many entries a witness knows, or whoever else tells.",
        ),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept-loss", help="The entries after the backup are lost for good."),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the log go on from a restored backup, on record: entries after it are lost for good.

    The server refuses to start on a database that is older than a checkpoint that it can see. Put
    the newest database back if there is any. Else this commits an entry that tells what is lost,
    keeps the checkpoint that tells of it as checkpoint.lost-N, and lets the server start again.
    Whoever holds a checkpoint of the lost part will find the log forked from there on, as it is:
    tell your auditors and witnesses.
    """
    from proxy.server_lock import only_server  # noqa: PLC0415 - quick start

    loaded = settings(data, config)
    require_directory(loaded)
    with only_server(loaded):
        done = run(record_loss(loaded, known_size, accept=accept))
    typer.echo(done)


async def record_loss(
    config: "Config", known_size: int | None = None, *, accept: bool = False
) -> str:
    """Put on record what is lost; return what was done.

    Args:
        config: names the data directory, which no server uses, and the anchors.
        known_size: how many entries somebody says that the log had.
        accept: whether it is lost for good.

    Raises:
        NotFoundError: nothing is lost.
        InvalidInputError: nobody said that it is lost for good.
    """
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.durable import replace_text  # noqa: PLC0415 - this too
    from proxy.last_checkpoint import lost_file  # noqa: PLC0415 - this too

    async with opened(config, is_recovery=True) as program:
        size = await program.store.size()
        found = await known_of_lost(program)
        lost = max(found, key=lambda each: each.size, default=None)
        known = max(known_size or 0, 0 if lost is None else lost.size)
        if lost is None and known <= size:
            raise NotFoundError(
                f"nothing is lost: the log has {size} entries and all that are known"
            )
        if not accept:
            raise InvalidInputError(
                f"the log has {size} entries, where it once had {known}: put the newest database "
                "back. If there is none, say so with --accept-loss"
            )
        by = ", ".join(each.by for each in found) or "a witness"
        note = f"{known} entries were known by {by}\n" if lost is None else lost.note
        # Before the entry: the evidence is never the thing that a power cut takes.
        for size_then, text in {(known, note), *((each.size, each.note) for each in found)}:
            replace_text(lost_file(config.data.directory, size_then, text), text)
        kept = lost_file(config.data.directory, known, note)
        who = caller("log recover")
        what = "those from some entry on were replaced by others"
        if known > size:
            what = f"{count_text(known - size, 'entry', 'entries')} lost"
        message = (
            f"{who.principal.name} let the log go on with {size} entries, where it once had "
            f"{known}: {what}"
        )
        recovery = {
            "size": size,
            "known_size": known,
            "lost": max(0, known - size),
            "known_by": by,
            "checkpoint_sha256": sha256(note.encode()).hexdigest(),
        }
        entry = draft("audit.recovered", "success", message, who, recovery=recovery)
        done = await program.store.write(lambda transaction: transaction.append(entry))
        await program.last_checkpoint.note(program.store)
        for each in found:
            program.last_checkpoint.settle(each)
    return (
        f"Entry {done.index} records it: {what}. The checkpoint that tells of it is kept in "
        f"{kept}: give it to your auditors."
    )


async def known_of_lost(program: "Program") -> "list[Lost]":
    """Return what is known of the log here and in anchors, and is not in it.

    Raises:
        ConfigError: something else stands in a place of those.
    """
    beside = await program.last_checkpoint.lost(program.store)
    found = [] if beside is None else [beside]
    found += await program.anchors.lost()
    for name, error in program.anchors.uncompared.items():
        notice(
            f"The anchor {name} could not be asked, so what it knows is not counted: {error}. "
            "Mend that first, or the server may refuse to start once more."
        )
    return found
