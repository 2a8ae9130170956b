"""``tfaudit export --format bundle``: a part of the log as one file that proves itself."""

import os
import re
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from proxy.cli._common import caller, notice, opened, put_on_record, run
from proxy.cli._filters import Filters, tell_nothing, tell_pruned
from proxy.cli._output import count_text, print_json
from proxy.cli._values import parse_moment
from proxy.contracts import LogQuery, Store
from proxy.errors import InvalidInputError, NotFoundError, UnavailableError, VerificationError
from proxy.pruned_entries import refuse_pruned
from proxy.timestamps import micros_at, rfc3339

if TYPE_CHECKING:
    from proxy.cli._bundle.writing import Wanted
    from proxy.config import Config
    from proxy.program import Program
    from proxy.tlog.note import NoteVerifier

_INDEX: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for.

    Attributes:
        filters: which entries of the range.
        first: index or time of its first; None is the log's first.
        last: index or time of its last; None is the log's last.
        since: files of checkpoints that somebody kept.
        output: where the bundle goes.
        checkpoint_out: what only another format has.
    """

    filters: Filters
    first: str | None
    last: str | None
    since: list[Path] | None
    output: Path | None
    checkpoint_out: Path | None

    @property
    def is_bundle(self) -> bool:
        """Whether something was asked for that only a bundle has."""
        return bool(self.first or self.last or self.since)


@dataclass(frozen=True, slots=True)
class _Written:
    first: int
    last: int
    entries: int
    sha256: str
    cosigned: int | None


def export_bundle(asked: Asked, config: "Config", *, force: bool, as_json: bool) -> None:
    """Write a bundle and tell what is in it.

    Raises:
        InvalidInputError: it was asked for what there is not.
        UnavailableError: the log can't be proved as it is stored.
    """
    filters, output = asked.filters, asked.output
    if output is None or asked.checkpoint_out is not None:
        raise InvalidInputError(
            "a bundle is one file with the checkpoint in it: name it with --output, and leave "
            "--checkpoint-out away"
        )
    if filters.since or filters.until or filters.limit:
        raise InvalidInputError(
            "a bundle is a range without gaps, in which nothing can be left out unseen: give "
            "--from and --to instead of --since, --until and --limit"
        )
    if output.exists() and not force:
        raise InvalidInputError(
            f"{output} exists and may be evidence: name a new file, or give --force"
        )
    if asked.since is not None and len(asked.since) > 1:
        raise InvalidInputError("--since-checkpoint can be given once: name the oldest of them")

    async def action() -> _Written:
        async with opened(config, may_only_read=True) as program:
            written = await _write(program, asked, output, force=force)
            if not written.entries:
                await tell_nothing(program.store, filters)
            return written

    written = run(action())
    if as_json:
        print_json(
            {
                "exported": str(output),
                "from": written.first,
                "to": written.last,
                "entries": written.entries,
                "complete": filters.is_whole,
                "sha256": written.sha256,
            }
        )
        return
    notice(
        f"Exported {count_text(written.entries, 'entry', 'entries')}, from {written.first} to "
        f"{written.last}, to {output}. SHA-256 {written.sha256}"
    )
    if not filters.is_whole:
        notice(
            "Each entry in it is proved. That none is missing which the filter would have let "
            "through can't be: for that, leave the filters away."
        )
    if written.cosigned is not None and written.cosigned <= written.last:
        notice(_not_cosigned(written.cosigned, written.first))
    notice(
        "Give the public keys on another way than the bundle: tfaudit key export-public --json > "
        "KEYS.json"
    )


def _not_cosigned(cosigned: int, first: int) -> str:
    """Say what witnesses did not cosign of entries that begin with one, and what to do."""
    if not cosigned:
        return (
            "The witnesses have cosigned nothing yet: to whoever asks for their word it can't be "
            "told of any entry. The server's log and /readyz tell why; export again once they have."
        )
    told = (
        f"The witnesses cosigned the first {count_text(cosigned, 'entry', 'entries')} so far: to "
        "whoever asks for their word it can't be told of the later ones. "
    )
    if cosigned <= first:
        return f"{told}Export again in a while."
    return f"{told}Give --to {cosigned - 1}, or export again in a while."


async def write_bundle_file(
    program: "Program", output: Path, first: int, last: int, *, verb: str
) -> None:
    """Write a new file with all entries of a range, as ``tfaudit export`` does, on record.

    Args:
        program: has the log.
        output: the file.
        first: index of the first entry.
        last: of the last.
        verb: of the command line that wants it.

    Raises:
        InvalidInputError: there is such a file by now.
        UnavailableError: the log can't be read or proved.
        OSError: the file can't be written.
    """
    asked = Asked(Filters(), str(first), str(last), None, output, None)
    await _write(program, asked, output, force=False, verb=verb)


async def _write(
    program: "Program", asked: Asked, output: Path, *, force: bool, verb: str = "export"
) -> _Written:
    """Record the export, write and check the bundle, record what it is."""
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.cli._bundle.checking import check_bundle  # noqa: PLC0415
    from proxy.cli._bundle.writing import digest_of, write_bundle  # noqa: PLC0415
    from proxy.cli._verification import TrustedKeys  # noqa: PLC0415

    store, who = program.store, caller(verb)
    now = datetime.now(UTC)
    asked.filters.query(now, newest_first=False)  # names a mistake before anything is recorded
    first, last = await _range(store, asked, now)
    what: dict[str, Any] = {"format": "bundle", "filters": asked.filters.as_entry(), "from": first}
    if asked.last is not None:
        what["to"] = last
    part = f"from entry {first}" + ("" if asked.last is None else f" to {last}")
    chosen = "".join(f", {name} {value}" for name, value in asked.filters.as_entry().items())
    name = who.principal.name
    message = f"{name} exported the log as a bundle: {part}{chosen}"
    entry = draft("audit.exported", "success", message, who, export=what)
    recorded = await put_on_record(program, entry)
    if asked.last is None and recorded is not None:
        last = recorded
    wanted = await _wanted(program, asked, first, last, now)
    keys = TrustedKeys.of_ring(program.keys)
    try:
        with _put(output, force=force) as (file, path):
            count = await write_bundle(store, file, wanted, path.parent)
            file.flush()
            os.fsync(file.fileno())
            check_bundle(path, keys.entry, keys.checkpoint, [], lambda: None)
            digest = digest_of(path)
    except VerificationError as error:
        raise UnavailableError(
            f"no bundle was made: the log as it is stored can't be proved, run `tfaudit verify` "
            f"({error})"
        ) from error
    done = draft(
        "audit.exported",
        "success",
        f"{name} has the bundle of entries {first} to {last}: SHA-256 {digest}",
        who,
        export={**what, "to": last, "entries": count, "sha256": digest},
    )
    await put_on_record(program, done)
    cosigned = wanted.older.get("cosigned")
    size = 0 if cosigned is None else cosigned[1].size
    return _Written(first, last, count, digest, size if program.cosigned.is_wanted else None)


async def _range(store: Store, asked: Asked, now: datetime) -> tuple[int, int]:
    """Return the first and the last index that were asked for.

    Raises:
        InvalidInputError: a time or an index is none, or they are the wrong way round.
        NotFoundError: the log has no such entries.
        EntryPrunedError: they were archived and pruned.
    """
    size, pruned = await store.size(), await store.pruned()
    first = pruned if asked.first is None else await _index(store, asked.first, now, size)
    await refuse_pruned(store, first)
    if asked.first is None:
        await tell_pruned(store, LogQuery())
    last = size - 1
    if asked.last is not None:
        is_index = _INDEX.fullmatch(asked.last) is not None
        last = int(asked.last) if is_index else await _last(store, asked.last, now, size)
    if max(first, last) >= size:
        raise NotFoundError(
            f"the log has {size} entries, so the last is {size - 1}: give --from and --to within "
            "them"
        )
    if first > last:
        raise NotFoundError(
            f"there is no entry between: the first from then on is {first}, the last until then "
            f"{last}. Give an earlier --from or a later --to"
        )
    return first, last


async def _index(store: Store, text: str, now: datetime, size: int) -> int:
    """Return the index that a person named, or of the first entry from a time on."""
    if _INDEX.fullmatch(text):
        return int(text)
    query = LogQuery(since=parse_moment(text, now), after=await _before(store), limit=1)
    found = [stored.record.index async for stored in store.entries(query)]
    if found and found[0] == await store.pruned():
        await tell_pruned(store, LogQuery())
    return found[0] if found else size


async def _before(store: Store) -> int | None:
    """Return after which index all entries are there; None when all are."""
    pruned = await store.pruned()
    return pruned - 1 if pruned else None


async def _last(store: Store, text: str, now: datetime, size: int) -> int:
    """Return the index of the last entry until a time; of a date, until its end."""
    moment = parse_moment(text, now)
    if _DATE.fullmatch(text):
        end = datetime.fromisoformat(moment) + timedelta(days=1)
        moment = rfc3339(micros_at(end))
    query = LogQuery(since=moment, after=await _before(store), limit=1)
    found = [stored.record.index async for stored in store.entries(query)]
    return (found[0] if found else size) - 1


async def _wanted(
    program: "Program", asked: Asked, first: int, last: int, now: datetime
) -> "Wanted":
    """Gather all that does not depend on the entries: query, checkpoints, keys."""
    from dataclasses import replace  # noqa: PLC0415

    from proxy.cli._bundle.writing import Wanted  # noqa: PLC0415 - quick start
    from proxy.tlog.checkpoint import verify_checkpoint  # noqa: PLC0415

    store = program.store
    keys, verifiers = await _keys(program)
    query = asked.filters.query(now, newest_first=False)
    newest = await store.checkpoint()
    checkpoint = verify_checkpoint(newest, *verifiers)
    older = {}
    if note := await _checkpoint_before(store, first):
        older["before"] = (note, verify_checkpoint(note, *verifiers))
    for path in asked.since or ():
        kept = verify_checkpoint(path.read_bytes(), *verifiers)
        root = await program.proofs.root(kept.size)
        if root != kept.root:
            raise InvalidInputError(
                f"{path} is a checkpoint of {kept.size} entries that this log did not have: it was "
                "put back to an older state, or history was rewritten; run `tfaudit verify "
                f"--checkpoint {path}`"
            )
        older["since"] = (path.read_text("utf-8"), kept)
    cosigned = program.cosigned.newest
    if cosigned is not None and cosigned.checkpoint.size <= checkpoint.size:
        older["cosigned"] = (cosigned.note, cosigned.checkpoint)
    return Wanted(
        first,
        last,
        replace(query, after=first - 1 if first else None),
        asked.filters.as_entry(),
        newest,
        checkpoint,
        older,
        keys,
    )


async def _checkpoint_before(store: Store, first: int) -> str:
    """Return the newest checkpoint that covers nothing of a range; empty when there is none."""
    # A commit has some hundred entries at most, and each has its checkpoint, unless it is pruned.
    for size in range(first, max(await store.pruned() - 1, 0), -1):
        if note := await store.checkpoint(size):
            return note
    return ""


async def _keys(program: "Program") -> tuple[dict[str, Any], tuple["NoteVerifier", ...]]:
    """Return the public keys with their history: for the bundle, and as what checkpoints need."""
    from proxy.cli._verification import TrustedKeys  # noqa: PLC0415 - quick start
    from proxy.key_history import history_of  # noqa: PLC0415
    from proxy.tlog.entry import key_id  # noqa: PLC0415

    own = TrustedKeys.of_ring(program.keys)
    trusted = [key.public_bytes_raw() for key in own.entry.values()]
    history = await history_of(program.store, trusted, own.checkpoint)
    entry = [
        {"key_id": key_id(raw), "public_key": b64encode(raw).decode()}
        for raw in history.keys("entry")
    ]
    checkpoint = [{"vkey": each.vkey, "origin": each.name} for each in history.verifiers()]
    keys = {
        "entry": {"key_id": program.keys.entry_key_id, "public_key": program.keys.entry_public},
        "checkpoint": {"vkey": program.keys.vkey, "origin": program.keys.origin},
        "keys": [
            *({"purpose": "entry", **each} for each in entry),
            *({"purpose": "checkpoint", **each} for each in checkpoint),
        ],
        "rotations": [{"index": each.index, **each.part()} for each in history.rotations],
    }
    return keys, history.verifiers()


@contextmanager
def _put(path: Path, *, force: bool) -> Iterator[tuple[BinaryIO, Path]]:
    """Give a new file that others can't read, and its path; it gets its name when all is well.

    Raises:
        InvalidInputError: meanwhile there is a file of that name.
    """
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, fresh
        if force:
            fresh.replace(path)
        else:
            os.link(fresh, path)  # which, unlike a rename, never replaces
    except FileExistsError as error:
        raise InvalidInputError(f"{path} exists by now: name a new file") from error
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
