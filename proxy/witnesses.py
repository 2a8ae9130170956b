"""Asks the witnesses to cosign the newest checkpoint, off the way of every request.

Not each commit is shown to them: what is newest when they are asked stands for all before it.
A witness that is down, slow or says no costs a cosignature and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, Protocol

from proxy.contracts import Store
from proxy.cosigned import CosignedCheckpoint
from proxy.errors import (
    InvalidInputError,
    NotFoundError,
    TfauditError,
    UnavailableError,
    VerificationError,
)
from proxy.key_history import verify_own
from proxy.logs import Logger
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.cosignature import Cosignature, add_cosignatures, cosignatures
from proxy.tlog.note import NoteVerifier
from proxy.tlog.witnessing import AddCheckpoint, ListedWitness, parse_size

REFRESH_SECONDS: Final = 60
"""After which a log that did not grow is cosigned anew: the age tells whether witnesses answer."""

_TRIES: Final = 3
"""Requests to one witness in a round: it may first tell how far it knows the log."""
_AHEAD_SECONDS: Final = 300
"""By which a witness's clock may be ahead of ours."""

_log = Logger("tfaudit.witnesses")


class Answer(NamedTuple):
    """What a witness said.

    Attributes:
        status: of HTTP.
        body: at most so much of it as may be read.
    """

    status: int
    body: bytes


class Word(NamedTuple):
    """What a witness knows of the log.

    Attributes:
        witness: its name.
        size: how many entries it knows; None when that could not be told.
        note: the checkpoint that it showed, which a key of this log signed; empty when it showed
            none, and the size is its word alone.
        error: why it could not be told.
    """

    witness: str
    size: int | None
    note: str = ""
    error: str = ""


class Prove(Protocol):
    """Gives the proof that the log only grew from a size to another."""

    def __call__(self, old_size: int, new_size: int) -> Awaitable[Sequence[bytes]]:
        """Return hashes of 32 bytes each."""


class Witnesses:
    """Those that a server asks.

    Args:
        listed: where they are, and their keys.
        cosigned: keeps what enough of them cosigned.
        store: has the log.
        log: the log's own checkpoint key.
        entry_key: its own entry key, 32 bytes; see ``verify_own``.
        prove: proves that it only grew.
        root: gives its root at a size; None when it has not so many entries.
        post: sends a body to an address; UnavailableError when there is no answer.
        get: asks an address for what is there; the same.
        clock: seconds since 1970.
        on_ahead: told the name of a witness that knows more of the log than there is of it here,
            and how many entries it knows. That is its word alone.
        on_fork: told the name of a witness that showed a checkpoint which a key of this log signed,
            and which is not of the log as it is here; and that checkpoint, a signed note.
    """

    def __init__(  # noqa: PLR0913 - the world around it
        self,
        listed: Sequence[ListedWitness],
        cosigned: CosignedCheckpoint,
        store: Store,
        log: NoteVerifier,
        *,
        entry_key: bytes | None = None,
        prove: Prove,
        root: Callable[[int], Awaitable[bytes | None]],
        post: Callable[[str, bytes], Awaitable[Answer]],
        get: Callable[[str], Awaitable[Answer]],
        clock: Callable[[], int],
        on_ahead: Callable[[str, int], None],
        on_fork: Callable[[str, str], None],
    ) -> None:
        self._listed = listed
        self._cosigned = cosigned
        self._store = store
        self._log = log
        self._entry_key = entry_key
        self._prove = prove
        self._root = root
        self._post = post
        self._get = get
        self._clock = clock
        self._on_ahead = on_ahead
        self._on_fork = on_fork
        self._known: dict[str, int] = {}
        self._failures: dict[str, str] = {}

    async def run(
        self, interval: float, sleep: Callable[[float], Coroutine[Any, Any, None]]
    ) -> None:
        """Ask again and again, until it is cancelled.

        Args:
            interval: seconds between two rounds.
            sleep: waits so many seconds.
        """
        while True:
            try:
                await self.ask()
            except (TfauditError, OSError) as error:
                _log.warning("no cosigned checkpoint could be kept", error=str(error))
            await sleep(interval)

    async def ask(self) -> None:
        """Ask all at once about the newest checkpoint, if that is of any use.

        Raises:
            UnavailableError: the log can't be read.
            VerificationError: its checkpoint does not hold.
            OSError: what was cosigned could not be kept.
        """
        note = await self._store.checkpoint()
        if not note:
            return
        checkpoint = verify_checkpoint(note, self._log)
        newest = self._cosigned.newest
        if (
            newest is not None
            and newest.checkpoint == checkpoint
            and self._clock() - newest.seconds < REFRESH_SECONDS
        ):
            return
        answers = await asyncio.gather(
            *(self._ask(each, note, checkpoint) for each in self._listed)
        )
        lines = [each.line for each in answers if each is not None]
        if len(lines) < self._cosigned.quorum:
            return
        await self._cosigned.keep(add_cosignatures(note, lines))

    async def tell(self) -> list[Word]:
        """Ask all at once how far they know the log, and let none of them stop anything.

        One that shows no checkpoint is asked to cosign the newest, as at each start of a server:
        if it knows more it says so, and cosigns nothing.

        Raises:
            UnavailableError: the log can't be read.
        """
        note = await self._store.checkpoint()
        return await asyncio.gather(*(self._tell(each, note) for each in self._listed))

    async def _tell(self, witness: ListedWitness, note: str) -> Word:
        name = witness.verifier.name
        shown = await self._shown(witness)
        if shown is not None:
            return Word(name, shown[1].size, shown[0])
        if not note:
            return Word(name, None, error="the log here has no entry yet to ask it about")
        try:
            size = verify_checkpoint(note, self._log).size
            answer = await self._post(witness.address, AddCheckpoint(0, (), note).body())
            if answer.status == 409:
                return Word(name, parse_size(answer.body))
        except (UnavailableError, InvalidInputError, VerificationError) as error:
            return Word(name, None, error=str(error))
        if answer.status == 200:
            return Word(name, size)
        return Word(
            name, None, error=f"it answered {answer.status}{_MEANING.get(answer.status, '')}"
        )

    async def _ask(
        self, witness: ListedWitness, note: str, checkpoint: Checkpoint
    ) -> Cosignature | None:
        """Return what one witness said of it; None after telling why it said nothing."""
        name = witness.verifier.name
        try:
            found = await self._cosignature(witness, note, checkpoint)
        except (UnavailableError, InvalidInputError, VerificationError, NotFoundError) as error:
            # Told once, not in every round.
            if self._failures.get(name) != str(error):
                self._failures[name] = str(error)
                _log.warning("a witness gave no cosignature", witness=name, error=str(error))
            return None
        if self._failures.pop(name, None) is not None:
            _log.info("the witness cosigns again", witness=name)
        return found

    async def _cosignature(
        self, witness: ListedWitness, note: str, checkpoint: Checkpoint
    ) -> Cosignature:
        name, size = witness.verifier.name, checkpoint.size
        known = self._known.get(name, 0)
        for _ in range(_TRIES):
            if known > size:
                break
            proof = tuple(await self._prove(known, size))
            body = AddCheckpoint(known, proof, note).body()
            answer = await self._post(witness.address, body)
            if answer.status == 200:
                self._known[name] = size
                return self._checked(witness, note, answer.body)
            if answer.status == 422:
                await self._require_no_fork(witness)
            if answer.status != 409:
                self._known.pop(name, None)
                raise UnavailableError(
                    f"it answered {answer.status} for the checkpoint of {size} entries"
                    + _MEANING.get(answer.status, "")
                )
            told = parse_size(answer.body)
            if told == known == size:
                await self._require_no_fork(witness)
                raise VerificationError(
                    f"it says that it knows another history of {size} entries, and shows nothing "
                    "that proves it: ask those who run it for their checkpoint of this log, and "
                    "compare it: tfaudit verify --against FILE"
                )
            self._known[name] = known = told
        if known > size:
            self._known.pop(name, None)  # asked anew next time: the log may be put back
            self._on_ahead(name, known)
            raise VerificationError(
                f"it knows {known} entries of this log, which has {size}: an older database was "
                "put in the place of the newest"
            )
        raise UnavailableError("it told another size each time it was asked")

    async def _require_no_fork(self, witness: ListedWitness) -> None:
        """Ask a witness that refused a checkpoint as one of a fork for what proves that.

        Its word alone proves nothing, and whoever else holds none of this log's keys can't make
        what does. So only a checkpoint that one of them signed counts, and only against a root
        that is made of the log here.

        Raises:
            VerificationError: it showed one; whoever has to know was told.
            UnavailableError: the log can't be read.
        """
        found = await self._shown(witness)
        if found is None:
            return
        note, shown = found
        if await self._root(shown.size) in {None, shown.root}:
            return
        self._on_fork(witness.verifier.name, note)
        raise VerificationError(
            f"it showed a checkpoint of {shown.size} entries that is signed with this log's key "
            "and has another root: the log was forked"
        )

    async def _shown(self, witness: ListedWitness) -> tuple[str, Checkpoint] | None:
        """Return the checkpoint of this log that a witness shows; None when it shows none.

        Raises:
            UnavailableError: the log can't be read.
        """
        try:
            answer = await self._get(witness.latest(self._log.name))
            note = answer.body.decode() if answer.status == 200 else ""
            return note, await verify_own(self._store, note, self._log, self._entry_key)
        except (UnavailableError, UnicodeDecodeError, InvalidInputError, VerificationError):
            return None

    def _checked(self, witness: ListedWitness, note: str, body: bytes) -> Cosignature:
        try:
            lines = [f"{line}\n" for line in body.decode().removesuffix("\n").split("\n")]
        except UnicodeDecodeError as error:
            raise InvalidInputError("its cosignature is no text") from error
        found = cosignatures(add_cosignatures(note, lines), [witness.verifier])
        if not found:
            raise VerificationError(
                "its cosignature is not of the key that is configured: compare with `tfaudit "
                "witness key` there"
            )
        if found[0].seconds > self._clock() + _AHEAD_SECONDS:
            raise VerificationError("its cosignature is dated in the future: compare the clocks")
        return found[0]


_MEANING: Final = {
    403: ": it does not know this log's key; give those who run it that of `tfaudit key show`, or "
    "after a rotation `tfaudit key export-public --json`",
    404: ": it does not watch this log; give it the key of `tfaudit key show`",
    422: ": it says that it knows a history that this one does not follow from, and shows nothing "
    "that proves it. Ask those who run it for their checkpoint of this log, and compare it: "
    "tfaudit verify --against FILE",
}
