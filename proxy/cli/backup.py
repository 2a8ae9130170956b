"""``tfaudit backup``: a consistent copy while a server runs, and its way back."""

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.cli._common import (
    BACKUP_CHECKPOINT,
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    notice,
    opened,
    put_on_record,
    run,
    settings,
)
from proxy.cli._output import clean, count_text, print_json
from proxy.errors import ConfigError, ConflictError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from proxy.cli._verification import Findings
    from proxy.config import Config
    from proxy.contracts import Transaction
    from proxy.program import Program

DATABASE: Final = "tfaudit.db"
KEYS: Final = "keys"

app = typer.Typer(
    no_args_is_help=True, help="Make a consistent copy of everything, and restore it."
)


@app.command("create")
def create(
    *,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET_DIR", help="A directory that is new or empty.")
    ],
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys",
            help="Copy the keys too. Without them the states can't be opened; with them whoever "
            "has the backup can read every state and sign entries.",
        ),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the database as it is at one moment, while a server goes on serving.

    The backup is an entry of the log itself, and the copy holds that entry. Of a log that must not
    grow it is made without an entry, for evidence, with the checkpoints beside the database.
    """
    loaded = settings(data, config)
    _require_empty(target)
    made = not target.exists()
    target.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def action() -> int:
        async with opened(loaded, may_only_read=True) as program:
            if program.refusal and with_keys:
                raise ConfigError(
                    "nothing was copied: who has keys and states can read them all, which must be "
                    "on record, and the log must not grow. Leave --with-keys away"
                )
            return await _create(program, loaded, target, with_keys=with_keys)

    try:
        size = run(action())
    except BaseException:
        _clear(target, itself=made)
        raise
    if as_json:
        print_json({"backup": str(target), "entries": size, "keys": with_keys})
        return
    typer.echo(
        f"Backed up {count_text(size, 'entry', 'entries')} and all states to {clean(str(target))}."
    )
    if not with_keys:
        notice(
            f"The keys are not in it: keep a copy of {loaded.data.keys} in another place, or the "
            "states can't be opened again."
        )


@app.command("restore")
def restore(
    *,
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE_DIR", help="What 'backup create' made.")
    ],
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="DIR", help="The keys, when they are not in the backup."),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Restore it though an anchor or a witness knows entries after it, which are lost "
            "for good.",
        ),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into an empty data directory, and verify all of it before saying so.

    What happened after the backup was made is not in it, and the log goes on from there: keep the
    checkpoints you had, they show where. From here on the copy goes on as the log itself, with its
    keys: what it records beside the log is a second history. For a drill verify with --no-record
    and serve with --no-sinks, or verify the backup where it lies, which changes nothing:
    [bold]tfaudit verify --data SOURCE_DIR --against CHECKPOINTS[/]
    """
    loaded = settings(data, config)
    directory = loaded.data.directory
    if not (source / DATABASE).is_file():
        raise NotFoundError(f"{source} is not a backup: there is no {DATABASE} in it")
    _require_empty(directory)
    made = not directory.exists()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        findings = _restore(source, keys, loaded)
        _settle_loss(loaded, findings, accept=accept)
        _record_restore(loaded, source, findings)
    except BaseException:
        _clear(directory, itself=made)
        raise
    if as_json:
        print_json(
            {
                "restored": str(directory),
                "entries": findings.entries,
                "states": findings.states,
                "root": findings.root,
            }
        )
        return
    typer.echo(
        f"Restored {clean(str(directory))} and verified it: "
        f"{count_text(findings.entries, 'entry', 'entries')}, "
        f"{count_text(findings.states, 'stored state')}."
    )
    notice(
        "Entries made after the backup are not in it. A checkpoint kept from then shows the gap: "
        "tfaudit verify --checkpoint FILE"
    )
    notice(
        "From here on this copy goes on as the log itself, with its keys. If the log goes on "
        "elsewhere this is a drill, and must not become a second history: verify with `tfaudit "
        "verify --no-record`, serve with `tfaudit serve --no-sinks`, and remove it afterwards."
    )


async def _create(program: "Program", config: "Config", target: Path, *, with_keys: bool) -> int:
    """Record the backup, then copy; return the number of entries in the copy."""
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.keys import not_rotating  # noqa: PLC0415
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    who = caller("backup create")
    extent = "with keys" if with_keys else "without keys"
    entry = draft(
        "audit.exported",
        "success",
        f"{who.principal.name} made a backup of log and states, {extent}",
        who,
        export={"format": "backup", "keys": with_keys},
    )
    await put_on_record(program, entry)
    with not_rotating(config) if with_keys else nullcontext():
        await program.store.backup(target / DATABASE)
        if with_keys and config.data.keys.is_dir():
            _copy_keys(config.data.keys, target / KEYS)
    if program.refusal:
        # What tells why, and what was known before.
        for each in sorted(config.data.directory.glob("checkpoint.*")):
            _copy_private(each, target / each.name)
    async with SQLiteReader(target / DATABASE) as copy:
        (target / BACKUP_CHECKPOINT).write_text(await copy.checkpoint(), "utf-8")
        return await copy.size()


def _restore(source: Path, keys: Path | None, config: "Config") -> "Findings":
    """Copy and verify.

    Raises:
        ConfigError: keys are missing.
        VerificationError: the backup does not hold.
    """
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.config import KeysConfig  # noqa: PLC0415
    from proxy.keys import open_keys  # noqa: PLC0415
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    _copy_private(source / DATABASE, config.data.database)
    key_source = keys or source / KEYS
    if key_source.is_dir():
        _copy_keys(key_source, config.data.keys)
    elif keys is not None:
        raise NotFoundError(f"there is no directory {keys} to take the keys from")
    try:
        ring = open_keys(config, create=False)
    except ConfigError:
        if config.data.keys.is_dir() or config.keys != KeysConfig():
            raise  # keys were given: what is wrong with them must be told
        raise ConfigError(
            f"the keys are not in {source}: name the directory that holds them with --keys DIR"
        ) from None
    checkpoint = source / BACKUP_CHECKPOINT
    trusted = [checkpoint.read_text("utf-8")] if checkpoint.is_file() else []

    async def action() -> "Findings":
        async with SQLiteReader(config.data.database) as store:
            return await check.verify_store(
                store, check.TrustedKeys.of_ring(ring), trusted, lambda: None
            )

    return run(action())


def _settle_loss(config: "Config", findings: "Findings", *, accept: bool) -> None:
    """Pass when nobody knows more of the log than the backup has, or that is put on record.

    Raises:
        ConflictError: an anchor or a witness does.
    """
    from proxy.cli._recovery import known_of_lost, record_loss  # noqa: PLC0415 - quick start

    async def action() -> None:
        async with opened(config, is_recovery=True) as program:
            known = await known_of_lost(program)
        if not known.size:
            return
        if not accept:
            raise ConflictError(
                f"{known.by} knows the log with {known.size} entries, and the backup has "
                f"{findings.entries}, or others: nothing was restored. Restore the newest backup. "
                "If what came after this one is lost for good, say so with --accept-loss, which "
                "puts that on record"
            )
        notice(await record_loss(config, accept=True))

    run(action())


def _record_restore(config: "Config", source: Path, findings: "Findings") -> None:
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.auth.people import log_everybody_out  # noqa: PLC0415

    who = caller("backup restore")
    entry = draft(
        "config.changed",
        "success",
        f"{who.principal.name} restored log and states from the backup {source}, which ends with "
        f"entry {findings.entries - 1}",
        who,
        restore={"entries": findings.entries, "states": findings.states, "root": findings.root},
    )

    def job(transaction: "Transaction") -> None:
        # Somebody may have logged out, or had to, after the backup was made.
        log_everybody_out(transaction, who, "a backup was restored")
        transaction.append(entry)

    async def action() -> None:
        async with opened(config) as program:
            await program.store.write(job)

    run(action())


def _require_empty(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidInputError(f"{directory} is not empty: name a new or an empty directory")


def _clear(directory: Path, *, itself: bool) -> None:
    """Remove what was begun in a directory that was new or empty."""
    for each in directory.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    if itself:
        directory.rmdir()


def _copy_keys(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for each in sorted(source.iterdir()):
        if each.is_file() and not each.name.startswith("."):
            _copy_private(each, target / each.name)


def _copy_private(source: Path, target: Path) -> None:
    """Copy a file so that nobody else can ever read the copy."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as copy, source.open("rb") as original:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
