"""``tfaudit verify``: proves that nothing in the log was changed, removed, moved or cut off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

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
from proxy.errors import (
    ConfigError,
    InvalidInputError,
    MissingError,
    TfauditError,
    VerificationError,
)

if TYPE_CHECKING:
    from proxy.cli._anchors import Anchor, Anchors
    from proxy.cli._archives import Archives
    from proxy.cli._known import Known
    from proxy.cli._verification import Advance, Findings, TrustedKeys
    from proxy.cli._witnessed import Quorum
    from proxy.config import Config


def verify(
    *,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PATH|URL",
            help="A bundle, a log exported as jsonl, a receipt, a directory of tiles, the address "
            "of a server that serves them, or a data directory. Default: the configured data "
            "directory.",
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
    since: Annotated[
        Path | None,
        typer.Option(
            "--since",
            metavar="FILE",
            help="A signed checkpoint that was kept elsewhere: proves that the log only grew from "
            "it. Of tiles only what came after it is read.",
        ),
    ] = None,
    tree_only: Annotated[
        bool,
        typer.Option(
            "--tree-only",
            help="Of a data directory: check only that the entries make the root that the newest "
            "checkpoint signs. Many times as fast; finds that something was changed, not what.",
        ),
    ] = False,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            metavar="FILE|DIR",
            help="Checkpoints that were kept elsewhere: a file, a directory or git repository of "
            "such, or what a sink wrote. Finds a restored backup, a cut tail and a forked log.",
        ),
    ] = None,
    archive: Annotated[
        list[Path] | None,
        typer.Option(
            "--archive",
            metavar="FILE|DIR",
            help="Of a pruned log: archives that `tfaudit retain` wrote, or a directory of them. "
            "Proves that they are of this log, and without a gap all that was pruned.",
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            "--witness",
            metavar="FILE|VKEY",
            help="The key of a witness, or a file with one a line: it must have cosigned the "
            "checkpoint that proves what is verified. Again for each further one.",
        ),
    ] = None,
    quorum: Annotated[
        int | None,
        typer.Option(
            "--quorum", metavar="N", min=1, help="So many of the witnesses suffice. Default: all."
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

    Exit codes: 0 all of it holds; 1 it does not (invalid), or something that it promises is not
    there (missing), and the first bad index is named; 2 could not tell. Works while a server runs,
    and on a copy.
    """
    kind = _kind(what)
    if kind is _Kind.DATA and what is not None:
        data = Path(what)
    loaded = settings(data, config)
    if tree_only and kind is not _Kind.DATA:
        raise InvalidInputError("--tree-only is for a data directory: leave it away")
    if kind is _Kind.DATA:
        require_directory(loaded)
    keys = _trusted_keys(
        loaded, kind, str(what), (key or (), entry_key or (), checkpoint_key or ())
    )
    asked = _Asked(
        kind,
        str(loaded.data.database) if kind is _Kind.DATA else str(what),
        loaded,
        keys,
        [_read_checkpoint(path) for path in checkpoint or ()],
        None if since is None else _read_checkpoint(since),
        against or [],
        _quorum(witness or (), quorum),
        tree_only=tree_only,
        archives=archive or [],
    )
    if asked.archives and not asked.is_compared:
        raise InvalidInputError(
            "--archive is for a log: name its data directory, its tiles or its server. An archive "
            "is verified by itself as a bundle"
        )
    # Whoever has public keys alone can't sign an entry, and a backup must stay what it was.
    is_recorded = record and kind is _Kind.DATA and bool(keys.masters)
    is_recorded = is_recorded and not is_backup(loaded.data.directory) and not tree_only
    from proxy.cli._witnessed import NotCosignedError  # noqa: PLC0415 - quick start

    try:
        findings = _checked(asked)
    except VerificationError as error:
        if is_recorded:
            is_promised = bool(asked.trusted or against or asked.is_contradicted)
            is_promised = is_promised and not isinstance(error, NotCosignedError)
            _record_failure(loaded, error, is_promised=is_promised)
        _report_failure(asked.name, error, as_json=as_json)
        raise typer.Exit(REFUSED) from error
    if is_recorded:
        _record(loaded, findings, None)
    _report(asked.name, findings, as_json=as_json)
    if not findings.is_proved:
        raise typer.Exit(UNKNOWN)


class _Kind(StrEnum):
    """What can be verified."""

    DATA = "data directory"
    EXPORT = "export"
    RECEIPT = "receipt"
    TILES = "tiles"
    BUNDLE = "bundle"
    URL = "address"

    @property
    def needs_entry_keys(self) -> bool:
        """Whether nothing is proved without the keys that sign entries."""
        return self in {_Kind.DATA, _Kind.EXPORT}

    @property
    def wanted_keys(self) -> str:
        """Which keys are wanted, for people."""
        both = "the keys of its checkpoints and of its entries"
        return both if self.needs_entry_keys else "the key of its checkpoints"


def _kind(what: str | None) -> _Kind:
    """Tell what was named, by what it is."""
    if what is None:
        return _Kind.DATA
    if what.startswith(("http://", "https://")):
        return _Kind.URL
    path = Path(what)
    if path.is_dir():
        if (path / "tile").is_dir():
            return _Kind.TILES
        return _Kind.BUNDLE if (path / "manifest.json").is_file() else _Kind.DATA
    from proxy.tlog.receipt import HEADER  # noqa: PLC0415 - quick start

    with path.open("rb") as file:
        head = file.read(len(HEADER))
    if head.startswith(b"PK"):
        return _Kind.BUNDLE
    kind = _Kind.RECEIPT if head == HEADER.encode() else _Kind.EXPORT
    if kind is _Kind.EXPORT and not _is_export(path):
        raise InvalidInputError(
            f"{path} is nothing that can be verified: name a bundle, a log exported as jsonl, a "
            "receipt, tiles or a data directory. A checkpoint goes to --checkpoint, keys to --key"
        )
    return kind


_LONGEST: Final = 1 << 26
"""Bytes of a line that are looked at: a document may stand in it."""
_LINES: Final = 100
"""Lines of a file in which one of an export is looked for: some may be damaged."""


def _is_export(path: Path) -> bool:
    """Tell whether a file holds lines of an export, or is empty as one of an empty log."""
    import orjson  # noqa: PLC0415 - quick start

    is_empty = True
    with path.open("rb") as file:
        for _ in range(_LINES):
            line = file.readline(_LONGEST)
            is_empty = is_empty and not line
            with suppress(orjson.JSONDecodeError, TypeError):
                found = orjson.loads(line)
                if "entry" in found and "leaf_hash" in found:
                    return True
    return is_empty


@dataclass(slots=True)
class _Asked:
    """What is to be verified, with what.

    Attributes:
        kind: what it is.
        name: of the file, directory or address; of a data directory, that of its database.
        config: names the data directory.
        keys: the public keys that are trusted.
        trusted: signed checkpoints from elsewhere, and those that are found on the way.
        since: one of which it is proved that the log only grew from it.
        against: where anchors are.
        wanted: which witnesses must have cosigned; None when none must.
        tree_only: of a data directory, the tree alone.
        archives: of what was pruned.
        is_contradicted: the log is not what is known of it elsewhere, and must not grow.
        followed: all keys that follow from the trusted ones; None until somebody asks.
    """

    kind: _Kind
    name: str
    config: "Config"
    keys: "TrustedKeys"
    trusted: list[str]
    since: str | None
    against: list[Path]
    wanted: "Quorum | None"
    tree_only: bool
    archives: list[Path]
    is_contradicted: bool = False
    followed: "TrustedKeys | None" = None

    @property
    def is_tree(self) -> bool:
        """Whether it is a log's static files."""
        return self.kind in {_Kind.TILES, _Kind.URL}

    @property
    def is_compared(self) -> bool:
        """Whether anchors are compared one by one; else they are checkpoints like others."""
        return self.kind is _Kind.DATA or self.is_tree


def _checked(asked: _Asked) -> "Findings":
    """Check what was named, with all that was kept elsewhere.

    Raises:
        VerificationError: the first thing that does not hold.
    """
    if asked.since is not None and (not asked.is_tree or asked.wanted is not None):
        asked.trusted.append(asked.since)
    # Before the log is read, which goes on growing.
    known = _known(asked)
    anchors = _anchors(asked) if asked.against else None
    if anchors is not None and not asked.is_compared:
        asked.trusted.extend(each.note for each in anchors.found)
    if asked.tree_only:  # which checks no hash that they could be compared with later
        asked.trusted.extend(each.note for each in known.found)
        asked.trusted.extend(each.note for each in (anchors.found if anchors else ()))
    if asked.wanted is not None:
        asked.trusted.extend(_cosigned(asked, asked.wanted))
    archives = _archives(asked) if asked.archives else None
    findings = _findings(asked)
    if archives is not None:
        archives.tell(findings)
    findings.notes = findings.notes or tuple(asked.trusted)
    findings.unchecked += known.unchecked
    if known.found and not asked.tree_only:
        _compare_known(asked, known)
        findings.checkpoints += len(known.found)
    if anchors is not None:
        _compare_anchors(asked, anchors, findings)
    if asked.wanted is not None:
        _require_cosigned(asked.wanted, findings)
    return findings


def _archives(asked: _Asked) -> "Archives":
    """Check the archives that were given; the log has to have been what each of them says."""
    from proxy.cli._archives import read_archives  # noqa: PLC0415 - quick start

    keys = _followed(asked) if asked.kind is _Kind.DATA else asked.keys
    with _progress(None) as advance:
        found = read_archives(asked.archives, keys, advance)
    asked.trusted.extend(found.notes)
    return found


def _findings(asked: _Asked) -> "Findings":
    """Check what was named, as what it is."""
    if asked.kind is _Kind.DATA:
        return _verify_database(asked)
    if asked.is_tree:
        return _verify_tiles(asked)
    check = {
        _Kind.RECEIPT: _verify_receipt,
        _Kind.EXPORT: _verify_export,
        _Kind.BUNDLE: _verify_bundle,
    }[asked.kind]
    return check(Path(asked.name), asked.keys, asked.trusted)


def _known(asked: _Asked) -> "Known":
    """Read what is known of a data directory's log outside its database."""
    from proxy.cli._known import Known, is_any_known, read_known  # noqa: PLC0415 - quick start
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    if asked.kind is not _Kind.DATA or not is_any_known(asked.config):
        return Known()
    verifiers = _followed(asked).checkpoint

    async def action() -> "Known":
        async with SQLiteReader(asked.config.data.database) as store:
            is_copy = is_backup(asked.config.data.directory)
            return await read_known(asked.config, store, verifiers, is_backup=is_copy)

    return run(action())


def _followed(asked: _Asked) -> "TrustedKeys":
    """Return all keys that follow from the trusted ones by the log's rotations; read once.

    In tiles the rotations stand among the entries, all of which are read for them.
    """
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.cli._tile_check import followed_in_tiles  # noqa: PLC0415
    from proxy.cli._tile_tree import source_of  # noqa: PLC0415
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    async def action() -> "TrustedKeys":
        if asked.is_tree:
            async with source_of(asked.name) as source:
                return await followed_in_tiles(source, asked.keys)
        async with SQLiteReader(asked.config.data.database) as store:
            return await check.followed_in_store(store, asked.keys)

    if asked.followed is None:
        is_export = asked.kind is _Kind.EXPORT
        asked.followed = (
            check.followed_in_export(Path(asked.name), asked.keys) if is_export else run(action())
        )
    return asked.followed


def _compare_known(asked: _Asked, known: "Known") -> None:
    """Compare a log that holds in itself with what is known of it outside its database.

    Raises:
        VerificationError, MissingError: it is not the one that is known.
    """
    try:
        run(_compare_leaves(asked, known.found))
    except VerificationError:
        asked.is_contradicted = True
        raise


async def _compare_leaves(asked: _Asked, found: Sequence["Anchor"]) -> None:
    """Compare the log in a data directory with what was kept elsewhere, hash by hash.

    Raises:
        VerificationError, MissingError: it is another, or shorter.
    """
    from proxy.cli import _anchors as check  # noqa: PLC0415 - quick start
    from proxy.cli._pruned import leaf_hashes  # noqa: PLC0415
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    async with SQLiteReader(asked.config.data.database) as store:
        await check.compare(found, leaf_hashes(store, await store.size()))


def _anchors(asked: _Asked) -> "Anchors":
    """Read the anchors, also those that a former key of the log signed."""
    from proxy.cli._anchors import read_anchors  # noqa: PLC0415 - quick start

    has_rotations = asked.kind in {_Kind.DATA, _Kind.EXPORT}
    keys = _followed(asked) if has_rotations else asked.keys
    found = read_anchors(asked.against, keys.checkpoint)
    if asked.is_tree and found.wrong:  # only now is it worth to read all entries
        found = read_anchors(asked.against, _followed(asked).checkpoint)
    return found


def _quorum(witnesses: Sequence[str], wanted: int | None) -> "Quorum | None":
    """Return whose word is wanted; None when nobody's is.

    Raises:
        InvalidInputError: what was given makes no quorum.
    """
    if not witnesses:
        if wanted is not None:
            raise InvalidInputError("--quorum says how many of which: name them with --witness")
        return None
    from proxy.cli._witnessed import parse_quorum  # noqa: PLC0415 - quick start

    return parse_quorum(witnesses, wanted)


def _cosigned(asked: _Asked, wanted: "Quorum") -> list[str]:
    """Return the checkpoints of a log that claim to be cosigned by the witnesses that are named.

    Receipts and bundles bring theirs with them.

    Raises:
        MissingError: the log has no checkpoint at all.
        UnavailableError: it could not be told.
    """
    if asked.kind is _Kind.DATA:
        file = asked.config.data.cosigned_checkpoint
        found = [_read_checkpoint(file)] if file.is_file() else []
    elif asked.is_tree:
        from proxy.cli._tile_tree import read_cosigned, source_of  # noqa: PLC0415 - quick start

        async def action() -> list[str]:
            async with source_of(asked.name) as source:
                return await read_cosigned(source)

        found = run(action())
    else:
        found = []
    return [each for each in found if wanted.is_named_in(each)]


def _require_cosigned(wanted: "Quorum", findings: "Findings") -> None:
    """Pass when enough witnesses cosigned what proves the findings; tell what they did not see.

    A whole log grows on after its newest cosigned checkpoint: that is told and no failure. Of a
    bundle each entry should be covered, else it could not be told.

    Raises:
        MissingError: a quorum cosigned none of the checkpoints.
        VerificationError: a cosignature is wrong.
    """
    said = wanted.newest(findings.notes)
    findings.cosigned = said
    end = findings.entries if findings.proved_range is None else findings.proved_range[1] + 1
    if said.size >= end or findings.proved_index is not None:
        return
    findings.is_proved = findings.is_proved and findings.proved_range is None
    findings.unchecked.append(
        f"that the witnesses know the entries from {said.size} on: the newest checkpoint that "
        f"enough of them cosigned is of {said.size} entries"
    )


def _compare_anchors(asked: _Asked, anchors: "Anchors", findings: "Findings") -> None:
    """Compare a log that holds in itself with what was kept elsewhere.

    Args:
        asked: what was verified.
        anchors: read before the log was.
        findings: what was proved of it; told what could not be.

    Raises:
        VerificationError: the log was forked.
        MissingError: the log is shorter than an anchor.
    """
    from proxy.cli import _anchors as check  # noqa: PLC0415 - quick start
    from proxy.cli._tile_check import Roots  # noqa: PLC0415
    from proxy.cli._tile_tree import source_of  # noqa: PLC0415
    from proxy.tlog.merkle import EMPTY_ROOT  # noqa: PLC0415

    found = anchors.found

    async def compare_roots() -> None:
        async with source_of(asked.name) as source:
            root = bytes.fromhex(findings.root) or EMPTY_ROOT
            roots = Roots(source, findings.entries, root)
            await check.compare_roots(found, roots.at, findings.entries)

    if asked.is_compared and found and not asked.tree_only:
        run(compare_roots() if asked.is_tree else _compare_leaves(asked, found))
    findings.checkpoints += len(found)
    findings.unchecked += [f"an anchor that does not hold, {each}" for each in anchors.wrong]
    if found and not anchors.wrong:
        return
    findings.is_proved = False
    if not found:
        others = ", ".join(sorted(anchors.others))
        findings.unchecked.append(
            "whether the log is what it was: no checkpoint of it stands where --against says"
            + (f", only of {others}" if others else "")
        )


def _record_failure(config: "Config", error: VerificationError, *, is_promised: bool) -> None:
    """Record a failure, unless the log may be past what was promised elsewhere."""
    if is_promised:
        # To append would sign a second history.
        notice("tfaudit: the verification is not on record: the log must not grow from here")
    else:
        _record(config, None, error)


def _report_failure(what: str, error: VerificationError, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "result": _result(error),
                "what": what,
                "first_bad_index": error.index,
                "message": str(error),
            }
        )
    place = "" if error.index is None else f" First bad index: {error.index}."
    notice(f"tfaudit: verification of {what} FAILED ({_result(error)}).{place} {error}")


def _result(error: VerificationError) -> str:
    return "missing" if isinstance(error, MissingError) else "invalid"


def _verify_export(path: Path, keys: "TrustedKeys", trusted: list[str]) -> "Findings":
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.cli._unknown_keys import could_not_tell, is_claimed  # noqa: PLC0415

    beside = path.with_name(path.name + CHECKPOINT_SUFFIX)
    if beside.is_file():
        note = _read_checkpoint(beside)
        followed = check.followed_in_export(path, keys).checkpoint
        if not is_claimed(note, followed):
            raise could_not_tell(f"the export with {beside}", note, followed)
        trusted.append(note)
    with _progress(None) as advance:
        return check.verify_export(path, keys, trusted, advance)


def _verify_bundle(path: Path, keys: "TrustedKeys", trusted: list[str]) -> "Findings":
    from zipfile import is_zipfile  # noqa: PLC0415 - quick start

    from proxy.cli._bundle.checking import (  # noqa: PLC0415
        check_bundle,
        require_claimed,
    )
    from proxy.cli._verification import Findings  # noqa: PLC0415

    if path.is_file() and not is_zipfile(path):
        raise InvalidInputError(
            f"{path} is no whole archive: it was cut, perhaps on its way here. Get it anew, and "
            "compare its SHA-256 with the one on record (`audit.exported`)"
        )
    try:
        with _progress(None) as advance:
            proved = check_bundle(path, keys.entry, keys.checkpoint, trusted, advance)
    except VerificationError:
        with suppress(VerificationError):  # of which the first is told
            require_claimed(path, keys.entry, keys.checkpoint)
        raise
    return Findings(
        entries=proved.size,
        checkpoints=1 + len(proved.grown_from),
        root=proved.root,
        unchecked=proved.unchecked,
        is_proved=proved.is_kept_proved,
        proved_range=(proved.first, proved.last, proved.entries),
        notes=proved.notes,
    )


def _verify_receipt(path: Path, keys: "TrustedKeys", trusted: list[str]) -> "Findings":
    from proxy.cli._tile_check import verify_one  # noqa: PLC0415 - quick start
    from proxy.cli._verification import Findings  # noqa: PLC0415
    from proxy.tlog.receipt import MAX_RECEIPT_BYTES, parse  # noqa: PLC0415

    with path.open("rb") as file:
        receipt = parse(file.read(MAX_RECEIPT_BYTES + 1))
    checkpoint = verify_one(receipt, keys, trusted)
    return Findings(
        notes=(receipt.checkpoint, *trusted),
        entries=checkpoint.size,
        checkpoints=1,
        root=checkpoint.root.hex(),
        proved_index=receipt.index,
        proved_entry=receipt.entry,
    )


def _verify_tiles(asked: _Asked) -> "Findings":
    from proxy.cli._tile_check import (  # noqa: PLC0415 - quick start
        require_claimed,
        require_log,
        verify_tree,
    )
    from proxy.cli._tile_tree import source_of  # noqa: PLC0415

    async def action() -> "Findings":
        async with source_of(asked.name) as source:
            if asked.kind is _Kind.URL:
                await require_log(source, asked.name)
            try:
                with _progress(None) as advance:
                    return await verify_tree(
                        source, asked.keys, asked.trusted, asked.since, advance
                    )
            except VerificationError:
                with suppress(VerificationError):  # of which the first is told
                    await require_claimed(source, asked.keys)
                raise

    return run(action())


def _trusted_keys(
    config: "Config", kind: "_Kind", what: str, options: tuple[Sequence[str], ...]
) -> "TrustedKeys":
    """Return the keys from outside, else those of the data directory.

    Of a data directory they are also what was not given; anything else is checked with exactly the
    keys that were.

    Args:
        config: names the data directory.
        kind: of what is verified.
        what: is verified.
        options: what --key, --entry-key and --checkpoint-key say.
    """
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.keys import open_keys  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    given, entry, checkpoint = options
    entry_keys, checkpoint_keys = check.parse_keys(given)
    entry_keys += [check.parse_entry_key(text) for text in entry]
    checkpoint_keys += [NoteVerifier.parse(text) for text in checkpoint]
    public = check.TrustedKeys(check.keys_by_id(entry_keys), tuple(checkpoint_keys))
    is_enough = bool(checkpoint_keys and (entry_keys or not kind.needs_entry_keys))
    if kind is not _Kind.DATA and (entry_keys or checkpoint_keys):
        # Whose keys are given is asked about another log, perhaps, than the one that is here.
        if not is_enough:
            raise InvalidInputError(
                f"to verify {what}, give {kind.wanted_keys}: `tfaudit key export-public --json` "
                "prints all keys of a log in one file for --key"
            )
        return public
    try:
        own = check.TrustedKeys.of_ring(open_keys(config, create=False))
    except ConfigError as error:
        if is_enough:
            return public
        advice = (
            "give the log's public keys with --key FILE, as `tfaudit key export-public --json` "
            "prints them where the log is"
        )
        if kind is not _Kind.DATA:
            raise ConfigError(
                f"no keys to verify {what} with, and none in {config.data.directory}: {advice}"
            ) from error
        raise ConfigError(f"no keys to verify with: {advice}\n{error}") from error
    if kind is not _Kind.DATA:
        notice(f"Keys: your own, those of {config.data.directory}, as --key names no others.")
    return check.TrustedKeys(
        check.keys_by_id(entry_keys) or own.entry,
        tuple(checkpoint_keys) or own.checkpoint,
        own.masters,
    )


def _read_checkpoint(path: Path) -> str:
    from proxy.tlog.note import split_note  # noqa: PLC0415 - quick start

    try:
        note = path.read_bytes().decode()
        split_note(note)
    except (UnicodeDecodeError, InvalidInputError) as error:
        raise InvalidInputError(f"{path} is not a signed checkpoint: {error}") from error
    return note


def _verify_database(asked: _Asked) -> "Findings":
    from proxy.cli import _verification as check  # noqa: PLC0415 - quick start
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415

    data, keys = asked.config.data, asked.keys

    async def action() -> "Findings":
        # Before the database is opened: a server may write both while we look.
        last = data.last_checkpoint
        kept = [_read_checkpoint(last)] if last.is_file() else []
        kept += asked.trusted
        async with SQLiteReader(data.database) as store:
            if asked.tree_only:
                with _progress(None) as advance:
                    return await check.verify_root(store, keys, kept, advance)
            states = sum(workspace.versions for workspace in await store.workspaces())
            with _progress(await store.size() + states) as advance:
                return await check.verify_store(store, keys, kept, advance)

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
        result: dict[str, object] = {"result": _result(error), "first_bad_index": error.index}
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
            **_pruned(findings),
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
                **_proved(findings),
                **_pruned(findings),
                **({} if findings.cosigned is None else {"cosigned": findings.cosigned.as_json()}),
            }
        )
    elif findings.proved_index is not None:
        typer.echo(
            f"Verified: {clean(what)}: entry {findings.proved_index} is in the log of "
            f"{count_text(findings.entries, 'entry', 'entries')}."
        )
        typer.echo(f"Tree size {findings.entries}, root hash {findings.root}")
        typer.echo(clean((findings.proved_entry or b"").decode()))
    elif findings.proved_range is not None:
        first, last, count = findings.proved_range
        verdict = "Verified" if findings.is_proved else "Could not tell"
        typer.echo(
            f"{verdict}: {clean(what)}: {count_text(count, 'entry', 'entries')}, from {first} to "
            f"{last}, of a log of {findings.entries}"
            + ("; none between them is missing." if count == last + 1 - first else ".")
        )
        typer.echo(f"Tree size {findings.entries}, root hash {findings.root}")
    else:
        verdict = "Verified" if findings.is_proved else "Could not tell"
        typer.echo(
            f"{verdict}: {clean(what)}: {count_text(findings.entries, 'entry', 'entries')}, "
            f"{count_text(findings.checkpoints, 'checkpoint')}, "
            f"{count_text(findings.states, 'stored state')}."
        )
        if findings.root:
            typer.echo(f"Tree size {findings.entries}, root hash {findings.root}")
        if findings.pruned_until:
            typer.echo(
                f"Pruned under policy until index {findings.pruned_until} (entry "
                f"{findings.pruned_by}): older entries are in the archives, the newest of them in "
                f"{clean(findings.archive)}; of them the tree has the hashes."
            )
        if findings.archived_until:
            typer.echo(
                f"Archived: the entries before {findings.archived_until}, none missing, proved to "
                "be of this very log."
            )
    if findings.cosigned is not None and not as_json:
        said = findings.cosigned
        typer.echo(
            f"Cosigned: the first {count_text(said.size, 'entry', 'entries')}, by "
            f"{len(said.names)} of {said.asked} witnesses ({clean(', '.join(said.names))}), "
            f"{said.time}"
        )
    for each in findings.unchecked:
        notice(f"Not checked: {each}")


def _pruned(findings: "Findings") -> dict[str, object]:
    """Return which entries are not there because they were pruned, for programs."""
    if not findings.pruned_until:
        return {}
    return {
        "pruned_until": findings.pruned_until,
        "pruned_by": findings.pruned_by,
        "archive": findings.archive,
        **({"archived_until": findings.archived_until} if findings.archived_until else {}),
    }


def _proved(findings: "Findings") -> dict[str, object]:
    """Return what a receipt or a bundle proved, for programs."""
    if findings.proved_range is not None:
        first, last, count = findings.proved_range
        return {"from": first, "to": last, "proved_entries": count}
    if findings.proved_index is None:
        return {}
    import orjson  # noqa: PLC0415 - quick start

    entry = None if findings.proved_entry is None else orjson.loads(findings.proved_entry)
    return {"index": findings.proved_index, "entry": entry}
