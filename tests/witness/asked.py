"""Witnesses that a log asks, each with its own key and memory, without a network between them."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.errors import UnavailableError
from proxy.tlog.cosignature import Cosigner
from proxy.tlog.note import NoteVerifier
from proxy.tlog.witnessing import (
    AddCheckpoint,
    ListedWitness,
    Refused,
    check_claim,
    latest_path,
    parse_request,
)
from proxy.witness.ledger import Ledger
from proxy.witnesses import Answer

NOW = 1_800_000_000


class Asked:
    """So many witnesses of one log.

    Attributes:
        now: seconds since 1970 on the clocks of all.
        down: numbers of those that give no answer.
        requests: what each was asked, by its number.
        instead: answers that the witness of the number gives in place of its own.
        shown: what it shows in place of its own last checkpoint.
    """

    def __init__(self, directory: Path, log: NoteVerifier, number: int) -> None:
        self.now = NOW
        self.down: set[int] = set()
        self.requests: dict[int, list[AddCheckpoint]] = {n: [] for n in range(number)}
        self.instead: dict[int, Answer] = {}
        self.shown: dict[int, Answer] = {}
        self._log = log
        self._files = ExitStack()
        self.cosigners = [
            Cosigner(f"witness.example/{n}", Ed25519PrivateKey.from_private_bytes(b"%32d" % n))
            for n in range(number)
        ]
        self.ledgers = [
            self._files.enter_context(closing(Ledger(directory / f"witness-{n}.db")))
            for n in range(number)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def listed(self) -> Sequence[ListedWitness]:
        """What a log is told of them; the address is the number."""
        return [ListedWitness(str(n), each.verifier) for n, each in enumerate(self.cosigners)]

    async def get(self, address: str) -> Answer:
        """Show the last checkpoint of the log, as the witness does."""
        number, _, path = address.partition("latest-checkpoint")
        assert f"latest-checkpoint{path}" == latest_path(self._log.name)
        if int(number) in self.shown:
            return self.shown[int(number)]
        note = self.ledgers[int(number)].note(self._log.name)
        return Answer(404, b"none\n") if note is None else Answer(200, note.encode())

    async def post(self, address: str, body: bytes) -> Answer:
        """Answer as the witness does."""
        number = int(address)
        if number in self.down:
            raise UnavailableError("it can't be reached")
        self.requests[number].append(parse_request(body))
        if number in self.instead:
            return self.instead[number]
        claim = check_claim(body, {self._log.name: [self._log]})
        found = claim
        if not isinstance(claim, Refused):
            advanced = self.ledgers[number].advance(claim, self.now)
            if not isinstance(advanced, Refused):
                line = self.cosigners[number].cosign(advanced.text, self.now)
                return Answer(200, line.encode())
            found = advanced
        assert isinstance(found, Refused)
        body = b"%d\n" % found.size if found.size is not None else b"no\n"
        return Answer(found.status, body)
