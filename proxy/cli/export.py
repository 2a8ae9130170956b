"""``tfaudit export``: hands the log, or a part of it, to somebody else as a file."""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from proxy.cli._bundle_export import Asked, export_bundle
from proxy.cli._common import (
    ConfigOption,
    DataOption,
    caller,
    notice,
    opened,
    put_on_record,
    run,
    settings,
)
from proxy.cli._filters import (
    ActorFilter,
    ClaimFilter,
    EventFilter,
    Filters,
    LimitFilter,
    OutcomeFilter,
    SinceFilter,
    SourceFilter,
    UntilFilter,
    WorkspaceFilter,
    tell_nothing,
    tell_pruned,
)
from proxy.cli._output import count_text, print_json
from proxy.cli._records import CSV_COLUMNS, csv_row
from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import InvalidInputError, VerificationError
from proxy.records import json_line

if TYPE_CHECKING:
    from proxy.program import Program

CHECKPOINT_SUFFIX = ".checkpoint"


class Format(StrEnum):
    """How entries are written."""

    JSONL = "jsonl"
    CSV = "csv"
    TILES = "tiles"
    BUNDLE = "bundle"


def export(
    *,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="jsonl can be verified, csv not; tiles are a directory that any web server serves "
            "and that anybody can verify (C2SP tlog-tiles); a bundle is one file for an auditor, "
            "which proves itself with a public key alone.",
        ),
    ] = Format.JSONL,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="A new file; default: stdout. Of tiles a directory, which is brought up to date "
            "when they were exported there before.",
        ),
    ] = None,
    checkpoint_out: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint-out",
            metavar="FILE",
            help="Where the signed checkpoint of a whole jsonl export goes. "
            "Default: FILE.checkpoint beside the output.",
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME|INDEX",
            help="Of a bundle: its first entry. Default: the log's first.",
        ),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME|INDEX",
            help="Of a bundle: its last entry; of a date, the last of that day (UTC). Default: the "
            "log's last.",
        ),
    ] = None,
    since_checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--since-checkpoint",
            metavar="FILE",
            help="Of a bundle: prove that the log only grew from this checkpoint, which the "
            "auditor kept.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Of a bundle: replace the file, if there is one.")
    ] = False,
    workspace: WorkspaceFilter = None,
    event: EventFilter = None,
    actor: ActorFilter = None,
    source_ip: SourceFilter = None,
    outcome: OutcomeFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    claim: ClaimFilter = None,
    limit: LimitFilter = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --output: tell in JSON what was written.")
    ] = False,
) -> None:
    """Export the audit log, oldest entries first; the export is an entry of the log itself.

    A whole jsonl export and its checkpoint can be proved anywhere, with the public keys alone:
    [bold]tfaudit verify FILE.jsonl --key KEYS.json[/]

    So can a bundle of any range of it, by an auditor who has nothing of tfaudit:
    [bold]tfaudit export --format bundle --from 2026-10-01 --to 2026-12-31 -o Q4.zip[/]
    """
    filters = Filters(
        workspace, event, actor, source_ip, outcome, since, until, limit, tuple(claim or ())
    )
    asked = Asked(filters, first, last, since_checkpoint, output, checkpoint_out)
    if form is Format.BUNDLE:
        export_bundle(asked, settings(data, config), force=force, as_json=as_json)
        return
    if asked.is_bundle or force:
        raise InvalidInputError(
            "--from, --to, --since-checkpoint and --force are for --format bundle: choose it, or "
            "choose entries with --since and --until"
        )
    if form is Format.TILES:
        _export_tiles(filters, output, checkpoint_out, data, config, as_json=as_json)
        return
    is_checkpoint_asked = checkpoint_out is not None
    checkpoint_out = _checkpoint_place(filters, form, output, checkpoint_out)
    for path in (output, checkpoint_out):
        if path is not None and path.exists():
            raise InvalidInputError(f"{path} exists: an export never overwrites, name a new file")

    async def action() -> tuple[int, Path | None]:
        async with opened(settings(data, config), may_only_read=True) as program:
            place = await _provable_place(program, checkpoint_out, is_asked=is_checkpoint_asked)
            return await _export(program, filters, form, output, place), place

    count, checkpoint_out = run(action())
    if not filters.is_whole:
        notice(
            "A filtered export can't prove that nothing is missing in it: for that, export the "
            "whole log as jsonl."
        )
    if as_json and output is not None:
        print_json(
            {
                "exported": str(output),
                "entries": count,
                "checkpoint": str(checkpoint_out) if checkpoint_out else None,
            }
        )
        return
    place = f" to {output}" if output else ""
    notice(f"Exported {count_text(count, 'entry', 'entries')}{place}.")
    if checkpoint_out:
        notice(f"The signed checkpoint that covers them all is {checkpoint_out}.")


async def _provable_place(program: "Program", place: Path | None, *, is_asked: bool) -> Path | None:
    """Return where an export's checkpoint goes; nowhere when entries were pruned, which is said.

    Raises:
        InvalidInputError: it was asked for all the same.
    """
    if place is None or not await program.store.pruned():
        return place
    if is_asked:
        raise InvalidInputError(
            "a checkpoint proves a whole log, and entries of this one were pruned: leave "
            "--checkpoint-out away, or export what is left with --format bundle"
        )
    notice(
        "Entries were pruned, so this export proves nothing by itself: for what is left of the "
        "log, proved, use --format bundle."
    )
    return None


def _checkpoint_place(
    filters: Filters, form: Format, output: Path | None, asked: Path | None
) -> Path | None:
    """Return where the checkpoint of an export goes, if one does.

    Raises:
        InvalidInputError: one was asked for that would prove nothing.
    """
    is_provable = form is Format.JSONL and filters.is_whole
    if asked is not None and not is_provable:
        raise InvalidInputError(
            "a checkpoint proves a whole log: leave --checkpoint-out away, or export jsonl "
            "without filters"
        )
    if asked is None and output is not None and is_provable:
        return output.with_name(output.name + CHECKPOINT_SUFFIX)
    return asked


def _export_tiles(
    filters: Filters,
    output: Path | None,
    checkpoint_out: Path | None,
    data: Path | None,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Write the log's tiles into a directory, or bring them up to date there."""
    from proxy.cli._tile_tree import require_room  # noqa: PLC0415 - quick start

    if output is None or checkpoint_out is not None or not filters.is_whole:
        raise InvalidInputError(
            "tiles are the whole log in a directory: name it with --output, and leave filters and "
            "--checkpoint-out away"
        )
    require_room(output)

    async def action() -> tuple[int, int]:
        async with opened(settings(data, config), may_only_read=True) as program:
            return await _write_tiles(program, output)

    size, files = run(action())
    if as_json:
        print_json({"exported": str(output), "entries": size, "new_files": files})
        return
    notice(
        f"Exported {count_text(size, 'entry', 'entries')} to {output}: "
        f"{count_text(files, 'new file')}. Let others read it as it is, or verify it: "
        f"tfaudit verify {output}"
    )


async def _write_tiles(program: "Program", directory: Path) -> tuple[int, int]:
    """Record the export, then write all files up to that record.

    Returns:
        The number of entries, and of new files.
    """
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.cli._tile_tree import CHECKPOINT, require_same_log, write_tree  # noqa: PLC0415
    from proxy.key_history import verify_own  # noqa: PLC0415
    from proxy.tlog.checkpoint import verify_checkpoint  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    store, verifier = program.store, NoteVerifier.parse(program.keys.vkey)
    entry_key = program.keys.entry.public_key
    if (directory / CHECKPOINT).exists():
        is_ours = False
        with suppress(VerificationError, InvalidInputError, UnicodeDecodeError):
            kept = (directory / CHECKPOINT).read_text("utf-8")
            former = await verify_own(store, kept, verifier, entry_key)
            is_ours = former.root == await program.proofs.root(former.size)
        require_same_log(directory, is_ours=is_ours)
    who = caller("export")
    entry = draft(
        "audit.exported",
        "success",
        f"{who.principal.name} exported the log as tiles: the whole log",
        who,
        export={"format": "tiles", "filters": {}},
    )
    await put_on_record(program, entry)
    while not program.refusal and await store.keep_tiles():
        pass
    await tell_pruned(store, LogQuery())
    note = await store.checkpoint()
    size = verify_checkpoint(note, verifier).size
    newest = program.cosigned.newest
    cosigned = newest.note if newest is not None and newest.checkpoint.size <= size else ""
    return size, await write_tree(store, directory, note, size, cosigned)


async def _export(
    program: "Program",
    filters: Filters,
    form: Format,
    output: Path | None,
    checkpoint_out: Path | None,
) -> int:
    """Record the export, then write what was asked for, up to and with that record.

    Returns:
        The number of entries written.
    """
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.tlog.checkpoint import verify_checkpoint  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    query = filters.query(datetime.now(UTC), newest_first=False)
    asked = filters.as_entry()
    part = ", ".join(f"{name} {value}" for name, value in asked.items()) or "the whole log"
    who = caller("export")
    entry = draft(
        "audit.exported",
        "success",
        f"{who.principal.name} exported the log as {form.value}: {part}",
        who,
        export={"format": form.value, "filters": asked},
    )
    await put_on_record(program, entry)
    note = await program.store.checkpoint()
    size = verify_checkpoint(note, NoteVerifier.parse(program.keys.vkey)).size
    count = 0
    with _writing(output) as stream:
        write = _jsonl_to(stream) if form is Format.JSONL else _csv_to(stream)
        async for stored in program.store.entries(query):
            if stored.record.index >= size:
                break  # committed after the checkpoint that goes with this export
            write(stored)
            count += 1
    if not count:
        await tell_nothing(program.store, filters)
    await tell_pruned(program.store, query)
    if checkpoint_out is not None:
        with _writing(checkpoint_out) as stream:
            stream.write(note.encode())
    return count


@contextmanager
def _writing(path: Path | None) -> Iterator[BinaryIO]:
    """Give stdout, or a new file that others can't read and that is removed on failure."""
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _jsonl_to(stream: BinaryIO) -> Callable[[StoredRecord], None]:
    def write(stored: StoredRecord) -> None:
        stream.write(json_line(stored, with_document=True) + b"\n")

    return write


def _csv_to(stream: BinaryIO) -> Callable[[StoredRecord], None]:
    line = StringIO()
    writer = csv.writer(line)

    def put(cells: Sequence[str]) -> None:
        writer.writerow(cells)
        stream.write(line.getvalue().encode())
        line.seek(0)
        line.truncate()

    put(CSV_COLUMNS)
    return lambda stored: put(csv_row(stored))
