"""``tfaudit retain``: archives and prunes the entries that are older than the log's retention."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    YesOption,
    confirm,
    notice,
    opened,
    require_directory,
    run,
    settings,
)
from proxy.cli._output import clean, count_text, print_json
from proxy.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from proxy.cli._archive import Archive
    from proxy.cli._pruning import Done, Plan
    from proxy.config import Config

_AGE: Final = re.compile(r"(?:[0-9]{1,9}[hdw])+", re.ASCII)
"""Elsewhere ``m`` are minutes, which somebody who means months must not prune by."""
_SHORTEST: Final = timedelta(days=1)
_SCRATCH: Final = ".retain"
"""In the data directory: held by whoever prunes, with what is on its way to S3."""


def retain(
    *,
    keep: Annotated[
        str,
        typer.Option(
            metavar="LENGTH",
            help="Prune what is older, such as 400d: hours (h), days (d) and weeks (w), a day at "
            "least. Whole 256 entries go, and never the newest.",
        ),
    ],
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|s3://BUCKET/PREFIX",
            help="Where the entries go first, as a bundle that proves itself and is read back.",
            show_default=False,
        ),
    ] = None,
    s3_region: Annotated[
        str | None,
        typer.Option(metavar="REGION", help="Of the bucket. Default: AWS_REGION."),
    ] = None,
    s3_endpoint: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of a VPC endpoint, or another that speaks S3's API."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be pruned.")
    ] = False,
    compact: Annotated[
        bool,
        typer.Option(
            "--compact",
            help="Then make the database file smaller. It is written anew, so no server may run.",
        ),
    ] = False,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Archive and prune old entries: what they said goes, their hashes stay in the tree.

    The log is verified first, and an entry of it records what was pruned and where it is.
    [bold]tfaudit verify[/] goes on to prove all that is left. A server may run meanwhile.
    """
    from proxy.cli import _pruning as pruning  # noqa: PLC0415 - quick start
    from proxy.cli._archive import archive_of  # noqa: PLC0415

    _require_age(keep)
    loaded = settings(data, config)
    require_directory(loaded)
    if archive is None and not dry_run:
        raise InvalidInputError(
            "nothing is pruned that is not archived: name a directory or s3://BUCKET/PREFIX with "
            "--archive"
        )

    async def look() -> "Plan | None":
        async with opened(loaded) as program:
            if not dry_run and await pruning.drop(program.store):
                notice("A pruning that was cut short is finished.")
            plan = await pruning.plan_for(program.store, keep)
            if plan is not None and (dry_run or not yes):
                await pruning.require_unneeded(program.store, plan.until)
            return plan

    async def action(plan: "Plan", place: "Archive") -> "Done":
        async with opened(loaded) as program:
            return await pruning.prune(program, plan, place)

    with _alone(loaded) as scratch:
        plan, done = run(look()), None
        if plan is not None and archive is not None and not dry_run:
            place = archive_of(archive, s3_region, s3_endpoint, scratch)
            if not yes:
                confirm(f"Archive and prune {_which(plan)}? Nothing brings them back into the log.")
            done = run(action(plan, place))
        _report(plan, done, keep, as_json=as_json)
        if compact and not dry_run:
            _compact(loaded)


def _report(plan: "Plan | None", done: "Done | None", keep: str, *, as_json: bool) -> None:
    if as_json:
        shown: dict[str, object] = {"pruned": done is not None}
        if plan is not None:
            shown |= {"from": plan.first, "until": plan.until, "before": plan.before}
        if done is not None:
            where = done.archived
            shown |= {"index": done.index, "archive": where.place, "sha256": where.sha256}
        print_json(shown)
        return
    if plan is None:
        typer.echo(f"Nothing to prune: no whole 256 entries are older than {keep}.")
        return
    if done is None:
        typer.echo(f"Would be pruned: {_which(plan)}. Nothing was done.")
        return
    typer.echo(f"Pruned: {_which(plan)}. Entry {done.index} records it.")
    typer.echo(
        f"They are archived in {clean(done.archived.place)} ({done.archived.size:,} bytes, "
        f"SHA-256 {done.archived.sha256})."
    )
    notice(
        "The room in the database is used by what comes next; --compact gives it back to the disk."
    )


def _which(plan: "Plan") -> str:
    entries = count_text(plan.until - plan.first, "entry", "entries")
    return f"{entries}, from {plan.first} to {plan.until - 1}, from before {plan.before}"


def _require_age(keep: str) -> None:
    """Pass when it is an age that entries may go at.

    Raises:
        InvalidInputError: another length, or one of less than a day.
    """
    from proxy.timestamps import parse_length  # noqa: PLC0415 - quick start

    if not _AGE.fullmatch(keep) or parse_length(keep) < _SHORTEST:
        raise InvalidInputError(
            f"--keep can't be {keep!r}: write hours (h), days (d) or weeks (w), a day at least, "
            "such as 400d; months and years differ in length, and m would be minutes elsewhere"
        )


@contextmanager
def _alone(config: "Config") -> Iterator[Path]:
    """Let one command prune at a time, and give it an empty directory.

    Raises:
        ConflictError: another one does.
    """
    path = config.data.directory / _SCRATCH
    path.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(
                "another `tfaudit retain` is at work on this data directory: wait for its end"
            ) from error
        for each in path.iterdir():
            rmtree(each) if each.is_dir() else each.unlink()
        yield path
    finally:
        os.close(handle)


def _compact(config: "Config") -> None:
    from proxy.server_lock import only_server  # noqa: PLC0415 - quick start
    from proxy.storage.sqlite import compact  # noqa: PLC0415

    before = config.data.database.stat().st_size
    with only_server(config):
        compact(config.data.database)
    after = config.data.database.stat().st_size
    notice(f"The database file has {after:,} bytes, where it had {before:,}.")
