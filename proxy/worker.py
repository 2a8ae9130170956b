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

_LENGTH: Final = 8
_READ: Final = 1 << 18
_TOGETHER: Final = 16
"""So many answers, to orders that came together, are told at once: each time wakes the server,
which commits together what it is told together. No more, so that it has work meanwhile."""
_LARGE: Final = 1 << 16
"""Bytes of an order that takes so long that what is done by then is told."""
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
    return len(packed).to_bytes(_LENGTH, "big") + packed


def decode_answer(message: bytes | memoryview) -> Prepared | Failed:
    """Return a worker's answer."""
    answer: Prepared | Failed = _ANSWER.decode(message)
    return answer


class Messages:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = _LENGTH

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Take what arrived and yield each message that is complete, without a copy."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        data = b"".join(self._pieces)  # one piece is not copied
        view = memoryview(data)
        start, left = 0, len(data)
        wanted = _LENGTH
        while left >= _LENGTH:
            wanted = _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
            if left < wanted:
                break
            yield view[start + _LENGTH : start + wanted]
            start, left = start + wanted, left - wanted
            wanted = _LENGTH
        self._pieces, self._size, self._wanted = [data[start:]], left, wanted


def main() -> None:
    """Carry out orders until the input ends."""
    # The server decides when its workers end, also when Ctrl-C reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, target = sys.stdin.fileno(), sys.stdout.fileno()
    messages = Messages()
    preparation: Preparation | None = None
    with suppress(BrokenPipeError):  # the server was killed: nobody waits for an answer
        while data := os.read(source, _READ):
            answers: list[bytes] = []
            for message in messages.feed(data):
                if preparation is None:
                    setup = msgspec.msgpack.decode(message, type=Setup)
                    preparation = Preparation(Keys(setup.master, setup.redaction), setup.policy)
                    settle()
                    continue
                if answers and (len(answers) == _TOGETHER or len(message) > _LARGE):
                    _write(target, b"".join(answers))
                    answers = []
                answers.append(encode(_carry_out(preparation, message)))
            if answers:
                _write(target, b"".join(answers))


def _carry_out(preparation: Preparation, message: memoryview) -> Prepared | Failed:
    order = _ORDER.decode(message)
    try:
        return preparation.carry_out(order)
    except Exception as error:  # noqa: BLE001 - told to the server; the worker lives on
        return failure_of(error, order.number)


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    main()
