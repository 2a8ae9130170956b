"""A worker process: ``python -m proxy.worker`` carries out orders from its standard input.

Each message is its length (8 bytes, big-endian) and as many bytes of MessagePack. The first holds
the keys and the redaction policy; then come orders, and each is answered on the standard output.
The end of the input ends the worker, so that none outlives its server, however that ends.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from proxy.collector import settle
from proxy.preparation import Failed, Keys, Order, Preparation, Prepared, failure_of
from proxy.tfstate.policy import Policy

LENGTH: Final = 8
"""Bytes before each message, which tell how many it has."""
_READ: Final = 1 << 18
_TOGETHER: Final = 16
"""So many answers, to orders that came together, are told at once: each time wakes the server,
which commits together what it is told together. No more, so that it has work meanwhile."""
_SLOW: Final = 1 << 16
"""Bytes of an order that takes so long that what is done by then is told."""
_LARGE: Final = 1 << 20
"""Bytes of a message that is put together in a buffer of its own, and copied only once."""
_ENCODER: Final = msgspec.msgpack.Encoder()
_ORDER: Final = msgspec.msgpack.Decoder(Order)
_ANSWER: Final = msgspec.msgpack.Decoder(Prepared | Failed)


class Setup(msgspec.Struct, array_like=True):
    """What a worker works with from its first order to its last; never shown."""

    master: bytes
    redaction: bytes
    policy: Policy

    def __repr__(self) -> str:
        return "Setup(…)"


def encode(message: Setup | Order | Prepared | Failed) -> bytes:
    """Return a message with its length before it."""
    packed = _ENCODER.encode(message)
    return len(packed).to_bytes(LENGTH, "big") + packed


def encode_order(order: Order) -> list[bytes]:
    """Return an order as pieces to be sent; a large body follows in a message of its own, as it is.

    So it is not copied where it came in, while others wait.
    """
    if len(order.body) <= _LARGE:
        return [encode(order)]
    head = msgspec.structs.replace(order, body=b"", is_body_apart=True)
    return [encode(head), len(order.body).to_bytes(LENGTH, "big"), order.body]


def decode_answer(message: bytes | memoryview) -> Prepared | Failed:
    """Return a worker's answer."""
    answer: Prepared | Failed = _ANSWER.decode(message)
    return answer


class Messages:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = LENGTH
        self._large = memoryview(b"")
        self._missing = 0

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Take what arrived and yield each message that is complete.

        One that came in pieces and is large stands in a ``bytearray`` of its own.
        """
        if self._missing:
            data = self._fill(data)
            if self._missing:
                return
            whole, self._large = self._large, memoryview(b"")
            yield whole
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        data = b"".join(self._pieces)  # one piece is not copied
        view = memoryview(data)
        start, left = 0, len(data)
        wanted = LENGTH
        while left >= LENGTH:
            wanted = LENGTH + int.from_bytes(data[start : start + LENGTH], "big")
            if left < wanted:
                break
            yield view[start + LENGTH : start + wanted]
            start, left = start + wanted, left - wanted
            wanted = LENGTH
        self._pieces, self._size, self._wanted = [data[start:]], left, wanted
        if wanted > _LARGE and left >= LENGTH:
            self._begin(data[start + LENGTH :], wanted - LENGTH)

    def _begin(self, data: bytes, size: int) -> None:
        """Set a buffer aside for a large message that begins so."""
        self._large = memoryview(bytearray(size))
        self._missing = size
        self._pieces, self._size, self._wanted = [], 0, LENGTH
        self._fill(data)

    def _fill(self, data: bytes) -> bytes:
        """Put into the buffer what belongs there, and return the rest."""
        taken = data[: self._missing]
        start = len(self._large) - self._missing
        self._large[start : start + len(taken)] = taken
        self._missing -= len(taken)
        return data[len(taken) :]


def main() -> None:
    """Carry out orders until the input ends."""
    # The server decides when its workers end, also when Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, target = sys.stdin.fileno(), sys.stdout.fileno()
    messages = Messages()
    preparation: Preparation | None = None
    held: Order | None = None
    with suppress(BrokenPipeError):  # the server was killed: nobody waits for an answer
        while data := os.read(source, _READ):
            answers: list[bytes] = []
            for message in messages.feed(data):
                if preparation is None:
                    setup = msgspec.msgpack.decode(message, type=Setup)
                    preparation = Preparation(Keys(setup.master, setup.redaction), setup.policy)
                    settle()
                    continue
                if answers and (len(answers) == _TOGETHER or len(message) > _SLOW):
                    write(target, b"".join(answers))
                    answers = []
                order = _ORDER.decode(message) if held is None else _with_body(held, message)
                held = order if order.is_body_apart else None
                if held is None:
                    answers.append(encode(_carry_out(preparation, order)))
            if answers:
                write(target, b"".join(answers))


def _with_body(order: Order, message: memoryview) -> Order:
    """Return an order whose body came apart from it."""
    whole = message.obj
    body = whole if isinstance(whole, bytearray) else bytes(message)
    return msgspec.structs.replace(order, body=body, is_body_apart=False)


def _carry_out(preparation: Preparation, order: Order) -> Prepared | Failed:
    try:
        return preparation.carry_out(order)
    except Exception as error:  # noqa: BLE001 - told to the server; the worker lives on
        return failure_of(error, order.number)


def write(target: int, data: bytes) -> None:
    """Write all of it to a descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    main()
