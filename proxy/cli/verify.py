"""``tfaudit verify``: proves that nothing in the log was changed, removed, moved or cut off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli._common import (
    REFUSED,
    UNKNOWN,
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    is_backup,
    notice,
    opened,
    require_directory,
    run,
    settings,
)
from proxy.cli._output import clean, count_text, print_json
from proxy.cli.export import CHECKPOINT_SUFFIX
from proxy.errors import ConfigError, InvalidInputError, TfauditError, VerificationError

if TYPE_CHECKING:
    from proxy.cli._verification import Advance, Findings, TrustedKeys
    from proxy.config import Config


def verify(
    *,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE.jsonl",
            help="A log exported as jsonl. Default: the log of the data directory.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="FILE|VKEY",
            help="Trusted public keys: a file from 'tfaudit key show --json', an entry key in PEM, "
            "or a checkpoint's verifier key. Default: those of the data directory's key files.",
        ),
    ] = None,
    entry_key: Annotated[
        list[str] | None,
        typer.Option("--entry-key", metavar="BASE64", help="A trusted public key of entries."),
    ] = None,
    checkpoint_key: Annotated[
        list[str] | None,
        typer.Option(
            "--checkpoint-key", metavar="VKEY", help="A trusted verifier key of checkpoints."
        ),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A signed checkpoint that was kept elsewhere: finds a tail that was cut off.",
        ),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record/--no-record", help="Record the verification in the log itself."),
    ] = True,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the whole log: each hash and signature, the tree, each checkpoint, each stored state.

    Exit codes: 0 all of it holds; 1 it does not, and the first bad index is named; 2 could not
    tell. Works while a server runs, and on a copy.
    """
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start

    loaded = settings(data, config)
    if file is None:
        require_directory(loaded)
    keys = _trusted_keys(loaded, key or (), entry_key or (), checkpoint_key or ())
    trusted = [_read_checkpoint(path) for path in checkpoint or ()]
    # Whoever has public keys alone can't sign an entry, and a backup must stay what it was.
    is_recorded = record and file is None and keys.master is not None
    is_recorded = is_recorded and not is_backup(loaded.data.directory)
    what = str(file) if file else str(loaded.data.database)
    try:
        if file is None:
            findings = _verify_database(loaded, keys, trusted)
        else:
            beside = file.with_name(file.name + CHECKPOINT_SUFFIX)
            if beside.is_file():
                trusted.append(_read_checkpoint(beside))
            with _progress(None) as advance:
                findings = check.verify_export(file, keys, trusted, advance)
    except VerificationError as error:
        if is_recorded and trusted:
            # The log may be past what was promised: to append would sign a second history.
            notice("tfaudit: the verification is not on record: the log must not grow from here")
        elif is_recorded:
            _record(loaded, None, error)
        if as_json:
            print_json(
                {
                    "result": "bad",
                    "what": what,
                    "first_bad_index": error.index,
                    "message": str(error),
                }
            )
        place = "" if error.index is None else f" First bad index: {error.index}."
        notice(f"tfaudit: verification of {what} FAILED.{place} {error}")
        raise typer.Exit(REFUSED) from error
    if is_recorded:
        _record(loaded, findings, None)
    _report(what, findings, as_json=as_json)
    if not findings.is_proved:
        raise typer.Exit(UNKNOWN)


def _trusted_keys(
    config: "Config", given: Sequence[str], entry: Sequence[str], checkpoint: Sequence[str]
) -> "TrustedKeys":
    """Return the keys from outside; those of the data directory for a kind that was not given."""
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.keys import open_keys  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    entry_keys, checkpoint_keys = check.parse_keys(given)
    entry_keys += [check.parse_entry_key(text) for text in entry]
    checkpoint_keys += [NoteVerifier.parse(text) for text in checkpoint]
    try:
        own = check.TrustedKeys.of_ring(open_keys(config, create=False))
    except ConfigError as error:
        if entry_keys and checkpoint_keys:
            return check.TrustedKeys(check.keys_by_id(entry_keys), tuple(checkpoint_keys))
        raise ConfigError(
            f"no keys to verify with: {error}\nname public keys with --key, or with --entry-key "
            "and --checkpoint-key"
        ) from error
    return check.TrustedKeys(
        check.keys_by_id(entry_keys) or own.entry,
        tuple(checkpoint_keys) or own.checkpoint,
        own.master,
    )


def _read_checkpoint(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not a signed checkpoint") from error


def _verify_database(config: "Config", keys: "TrustedKeys", trusted: list[str]) -> "Findings":
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    async def action() -> "Findings":
        # Before the database is opened: a server may write both while we look.
        last = config.data.last_checkpoint
        kept = [_read_checkpoint(last)] if last.is_file() else []
        async with SQLiteReader(config.data.database) as store:
            states = sum(workspace.versions for workspace in await store.workspaces())
            with _progress(await store.size() + states) as advance:
                return await check.verify_store(store, keys, [*kept, *trusted], advance)

    return run(action())


@contextmanager
def _progress(total: int | None) -> "Iterator[Advance]":
    """Show a progress bar on stderr while a person watches.

    Args:
        total: how many things there are to check; None when that is not known.
    """
    from rich.console import Console  # noqa: PLC0415 - quick start
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def _record(
    config: "Config",
    findings: "Findings | None",
    error: VerificationError | None,
) -> None:
    """Commit the result to the log; a log that is damaged may be past taking it."""
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start

    who = caller("verify")
    if error is not None:
        outcome, message = "error", f"verification failed: {error}"
        result: dict[str, object] = {"result": "bad", "first_bad_index": error.index}
    elif findings is not None:
        outcome = "success"
        message = (
            f"{who.principal.name} verified the log: "
            f"{count_text(findings.entries, 'entry', 'entries')}, "
            f"{count_text(findings.states, 'stored state')}"
        )
        result = {
            "result": "verified",
            "entries": findings.entries,
            "checkpoints": findings.checkpoints,
            "states": findings.states,
            "root": findings.root,
        }
    entry = draft("audit.verified", outcome, message, who, verification=result)

    async def action() -> None:
        async with opened(config) as program:
            await program.store.write(lambda transaction: transaction.append(entry))

    try:
        run(action())
    except TfauditError as failure:
        notice(f"tfaudit: the verification is not on record: {failure}")


def _report(what: str, findings: "Findings", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "result": "verified" if findings.is_proved else "unknown",
                "what": what,
                "first_bad_index": None,
                "entries": findings.entries,
                "checkpoints": findings.checkpoints,
                "states": findings.states,
                "root": findings.root,
                "unchecked": findings.unchecked,
            }
        )
    else:
        verdict = "Verified" if findings.is_proved else "Could not tell"
        typer.echo(
            f"{verdict}: {clean(what)}: {count_text(findings.entries, 'entry', 'entries')}, "
            f"{count_text(findings.checkpoints, 'checkpoint')}, "
            f"{count_text(findings.states, 'stored state')}."
        )
        if findings.root:
            typer.echo(f"Tree size {findings.entries}, root hash {findings.root}")
    for each in findings.unchecked:
        notice(f"Not checked: {each}")
