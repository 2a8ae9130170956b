"""``tfaudit log recover``: the way out when the newest database is lost for good, on record."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    YesOption,
    caller,
    confirm,
    notice,
    opened,
    require_directory,
    run,
    settings,
)
from proxy.cli._output import count_text
from proxy.errors import ConflictError, InvalidInputError, NotFoundError, VerificationError

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.last_checkpoint import Lost
    from proxy.program import Program


@dataclass(frozen=True, slots=True)
class Known:
    """What others know of the log, and is not in it.

    Attributes:
        lost: checkpoints that prove it.
        words: how many entries witnesses know, by their word alone; by who said it.
        silent: why it could not be told what they know; by who was asked.
        asked: how many anchors and witnesses there are.
    """

    lost: "list[Lost]"
    words: dict[str, int]
    silent: dict[str, str]
    asked: int

    @property
    def size(self) -> int:
        """Return the most entries of which anybody knows; 0 when nothing is lost."""
        return max([*(each.size for each in self.lost), *self.words.values()], default=0)

    @property
    def by(self) -> str:
        """Return who tells of it."""
        return ", ".join([*(each.by for each in self.lost), *self.words])


def recover(
    *,
    known_size: Annotated[
        int | None,
        typer.Option(
            "--known-size",
            metavar="N",
            min=1,
            help="How many entries somebody knows who can't be asked from here.",
        ),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept-loss", help="The entries after the backup are lost for good."),
    ] = False,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the log go on from a restored backup, on record: entries after it are lost for good.

    The server refuses to start on a database that is older than a checkpoint that it can see. Put
    the newest database back if there is any. Else this asks the configured anchors and witnesses,
    commits an entry that tells what is lost, keeps the checkpoints that tell of it as
    checkpoint.lost-N, and lets the server start again. Without --accept-loss it only tells. Whoever
    holds a checkpoint of the lost part will find the log forked from there on, as it is: tell your
    auditors and witnesses.
    """
    from proxy.server_lock import only_server  # noqa: PLC0415 - quick start

    loaded = settings(data, config)
    require_directory(loaded)
    with only_server(loaded):
        agree = _agreed if yes else confirm
        typer.echo(run(record_loss(loaded, known_size, accept=accept, agree=agree)))


def _agreed(_: str) -> None:
    """Agree without a question."""


async def record_loss(
    config: "Config",
    known_size: int | None = None,
    *,
    accept: bool = False,
    agree: Callable[[str], None] = _agreed,
) -> str:
    """Put on record what is lost; return what was done.

    Args:
        config: names the data directory, which no server uses, the anchors and the witnesses.
        known_size: how many entries somebody says that the log had.
        accept: whether it is lost for good.
        agree: asked before anything is done; raises if not.

    Raises:
        NotFoundError: nothing is lost.
        ConflictError: something is, and nobody said that it is lost for good.
        InvalidInputError: nobody knows the size that is said.
    """
    async with opened(config, is_recovery=True) as program:
        size = await program.store.size()
        found = await known_of_lost(program)
        known = max(known_size or 0, found.size)
        if not found.size and known <= size:
            raise NotFoundError(
                f"nothing is lost: the log has {size} entries and all that are known"
            )
        if known > found.size:
            _tell_unconfirmed(found, known, size)
        if not accept:
            raise ConflictError(_refusal(found, known, size))
        what = "those from some entry on were replaced by others"
        if known > size:
            what = f"{count_text(known - size, 'entry', 'entries')} lost"
        agree(
            f"Let the log go on with {size} entries, where it once had {known} ({what})? "
            "Nothing takes that back."
        )
        return await _record(program, found, known, what)


def _tell_unconfirmed(found: Known, known: int, size: int) -> None:
    """Say what it means to believe a size that nobody confirmed.

    Raises:
        InvalidInputError: all who could know answered, and none of them does.
    """
    if found.asked and not found.silent:
        raise InvalidInputError(
            f"--known-size {known}: no anchor and no witness of the configuration knows so many "
            f"entries, though all answered; the most that is known are {max(size, found.size)}. "
            "Leave it away"
        )
    notice(
        f"NOBODY WHO COULD BE ASKED KNOWS {known} ENTRIES: only --known-size says so. Once it is "
        f"on record nothing of up to {known} entries that an anchor or a witness knows will ever "
        "stop this log, so a number that is too high hides a later loss."
    )


def _refusal(found: Known, known: int, size: int) -> str:
    by = found.by if known == found.size else "--known-size"
    if known > size:
        return (
            f"as {by} tells, the log has {size} entries, where it once had {known}: put the newest "
            "database back. If there is none, say so with --accept-loss"
        )
    return (
        f"the log has {size} entries, and is not the one that {by} knows with {known}: those from "
        "some entry on were replaced by others. Put the database back that has them. If there is "
        "none, say so with --accept-loss"
    )


async def _record(program: "Program", found: Known, known: int, what: str) -> str:
    """Keep what proves the loss, then commit it; return what was done."""
    from proxy.audit_log import draft  # noqa: PLC0415 - quick start of the command line
    from proxy.durable import replace_text  # noqa: PLC0415 - this too
    from proxy.last_checkpoint import lost_file  # noqa: PLC0415 - this too

    directory, size = program.config.data.directory, await program.store.size()
    # Before the entry: the evidence is never the thing that a power cut takes.
    for each in {each.note: each for each in found.lost}.values():
        replace_text(lost_file(directory, each.size, each.note), each.note)
    who = caller("log recover")
    message = (
        f"{who.principal.name} let the log go on with {size} entries, where it once had "
        f"{known}: {what}"
    )
    said = ["--known-size"] if known > found.size else []
    recovery = {
        "size": size,
        "known_size": known,
        "lost": max(0, known - size),
        "known_by": ", ".join([each for each in (found.by,) if each] + said),
    }
    kept = "No checkpoint tells of it, so none is kept."
    lost = max(found.lost, key=lambda each: each.size, default=None)
    if lost is not None:
        recovery["checkpoint_sha256"] = sha256(lost.note.encode()).hexdigest()
        kept = (
            "The checkpoint that tells of it is kept in "
            f"{lost_file(directory, lost.size, lost.note)}: give it to your auditors."
        )
    entry = draft("audit.recovered", "success", message, who, recovery=recovery)
    done = await program.store.write(lambda transaction: transaction.append(entry))
    await program.last_checkpoint.note(program.store)
    for each in found.lost:
        program.last_checkpoint.settle(each)
    return f"Entry {done.index} records it: {what}. {kept}"


async def known_of_lost(program: "Program") -> Known:
    """Return what is known of the log here, in anchors and by witnesses, and is not in it.

    Of whom it could not be told is told.

    Raises:
        ConfigError: something else stands in a place of those.
    """
    from proxy.last_checkpoint import recovered_size  # noqa: PLC0415 - quick start

    recovered = await recovered_size(program.store)
    beside = await program.last_checkpoint.lost(program.store)
    cosigned = await _lost_cosigned(program, recovered)
    lost = [each for each in (beside, cosigned) if each is not None]
    lost += await program.anchors.lost()
    silent = {f"the anchor {name}": error for name, error in program.anchors.uncompared.items()}
    words: dict[str, int] = {}
    least = max(recovered, await program.store.size())
    asked = program.config.witness.listed
    if asked:
        from proxy.app import open_witnesses  # noqa: PLC0415 - quick start

        async with open_witnesses(program, _unheard, _unheard) as witnesses:
            told = await witnesses.tell()
        for each in told:
            name = f"the witness {each.witness}"
            if each.size is None:
                silent[name] = each.error
            elif each.note:
                found = await _contradicting(program, name, each.note)
                lost += [] if found is None else [found]
            elif each.size > least:
                words[name] = each.size
    for name, error in silent.items():
        notice(
            f"{name[0].upper()}{name[1:]} could not be asked, so what it knows is not counted: "
            f"{error}. Mend that first, or the server may refuse to start once more."
        )
    return Known(lost, words, silent, len(program.anchors) + len(asked))


def _unheard(_: str, __: object) -> None:
    """Hear nothing: whoever asks only to tell stops nothing."""


async def _lost_cosigned(program: "Program", recovered: int) -> "Lost | None":
    """Return the cosigned checkpoint beside the database, if it is of no log that is known here."""
    path = program.config.data.cosigned_checkpoint
    with suppress(OSError, UnicodeDecodeError, VerificationError, InvalidInputError):
        found = await _contradicting(program, path.name, path.read_text("utf-8"))
        if found is not None and found.size > recovered:
            return found
    return None


async def _contradicting(program: "Program", by: str, note: str) -> "Lost | None":
    """Return a checkpoint that a key of this log signed, if the log does not contain it.

    Raises:
        InvalidInputError: not a checkpoint.
        VerificationError: no key of this log signed it.
    """
    from proxy.last_checkpoint import Lost  # noqa: PLC0415 - quick start

    seen = await program.last_checkpoint.verified(program.store, note)
    if await program.proofs.root(seen.size) == seen.root:
        return None
    return None if program.last_checkpoint.is_on_record(note) else Lost(by, seen.size, note)
