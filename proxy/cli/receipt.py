"""``tfaudit receipt``: one file that proves an entry to be in the log, to anybody."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli._common import ConfigOption, DataOption, caller, notice, opened, run, settings
from proxy.cli._output import print_bytes
from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import InvalidInputError, NotFoundError
from proxy.pruned_entries import refuse_pruned

if TYPE_CHECKING:
    from proxy.program import Program


def receipt(
    index: Annotated[
        int,
        typer.Argument(min=0, metavar="INDEX", help="The entry's index: Audit-Index in a reply."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A new file, NAME.tlog-proof by custom. Default: stdout.",
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Give the receipt of an entry (C2SP tlog-proof): entry, proof and signed checkpoint in one.

    Whoever has the log's public keys can check it: [bold]tfaudit verify FILE --key KEYS.json[/]
    """

    async def action() -> bytes:
        async with opened(settings(data, config), may_only_read=True) as program:
            if program.refusal:
                return (await program.proofs.receipt(await _entry(program, index))).text().encode()
            while await program.store.keep_tiles():
                pass  # a log that no server has served since an upgrade
            proved = await program.proofs.prove_entry(caller("receipt"), index)
            return proved.receipt.text().encode()

    content = run(action())
    if output is None:
        print_bytes(content)
        return
    write_new(output, content)
    notice(f"The receipt of entry {index} is {output}.")


async def _entry(program: "Program", index: int) -> StoredRecord:
    """Return an entry, without one that tells of it.

    Raises:
        NotFoundError: there is none.
        EntryPrunedError: it was archived and pruned.
    """
    await refuse_pruned(program.store, index)
    query = LogQuery(after=index - 1 if index else None, limit=1)
    async for stored in program.store.entries(query):
        if stored.record.index == index:
            return stored
    raise NotFoundError(f"there is no entry {index}: look for one in the log")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that others can't read and that was not there before.

    Raises:
        InvalidInputError: it is there.
        OSError: it can't be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise InvalidInputError(
            f"{path} is there already, and stays as it is: name another file with -o"
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
