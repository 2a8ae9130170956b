"""The row of syslog, and the plain end of TCP that it sends to."""

import fcntl
import json
import select
import socket
import ssl
import termios
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from proxy.sinks import open_sink
from proxy.sinks.contract import Sink
from tests.contracts.sink_contract import Row
from tests.forwarded import a_context


class Peer:
    """One end of TCP that keeps what it receives.

    Attributes:
        received: every byte of each connection.
        connections: that were taken.
    """

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.port = int(listening.getsockname()[1])
        self.received: list[bytearray] = []
        self.connections: list[socket.socket] = []
        self._listening = listening
        self._tls = tls
        self._reading = threading.Lock()
        self._readers: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError, ValueError):  # when it is closed
            while True:
                select.select([self._listening], [], [])
                kept = bytearray()
                with self._reading:
                    taken, _ = self._listening.accept()
                    self.received.append(kept)
                    self.connections.append(taken)
                reader = threading.Thread(target=self._read, args=(taken, kept), daemon=True)
                reader.start()
                self._readers.append(reader)

    def _read(self, taken: socket.socket, kept: bytearray) -> None:
        with suppress(OSError, ValueError):
            if self._tls is not None:
                taken = self._tls.wrap_socket(taken, server_side=True)
                self.connections[-1] = taken
            is_open = True
            while is_open:
                if self._tls is None:
                    select.select([taken], [], [])
                with self._reading:
                    chunk = taken.recv(65_536)
                    kept += chunk
                is_open = bool(chunk)

    def wait(self, connections: int) -> None:
        """Wait until so many connections were taken and read to their end."""
        deadline = time.monotonic() + 10
        while len(self._readers) < connections and time.monotonic() < deadline:
            time.sleep(0.001)
        for reader in self._readers:
            reader.join(10)

    def settle(self) -> None:
        """Wait until all was read that the system has taken for us; plain connections alone."""
        while True:
            with self._reading:
                is_waiting = bool(select.select([self._listening], [], [], 0)[0]) or any(
                    any(fcntl.ioctl(each.fileno(), termios.FIONREAD, bytes(4)))
                    for each in self.connections
                )
            if not is_waiting:
                return
            time.sleep(0.001)

    def messages(self, connection: int = 0) -> list[bytes]:
        """Return the messages of a connection, parted by their octet counts."""
        rest = bytes(self.received[connection])
        found = []
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)])
            assert len(found[-1]) == int(length)
            rest = rest[int(length) :]
        return found


@contextmanager
def a_peer(tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Listen on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = Peer(listening, tls)
        yield peer
        for each in peer.connections:
            each.close()


@dataclass
class _SyslogRig:
    sink: Sink
    peer: Peer
    secrets: Mapping[str, str] = field(default_factory=dict)

    async def arrived(self) -> list[str]:
        self.peer.settle()
        count = len(self.peer.received)
        found = [each for number in range(count) for each in self.peer.messages(number)]
        return [json.loads(each[each.index(b"] {") + 2 :])["entry"]["id"] for each in found]


@asynccontextmanager
async def _a_syslog(_: Path) -> AsyncIterator[_SyslogRig]:
    with a_peer() as peer:
        options = {"host": "127.0.0.1", "port": peer.port, "transport": "tcp"}
        sink = open_sink("syslog", options, a_context())
        yield _SyslogRig(sink, peer)
        await sink.aclose()


SYSLOG_ROW = Row(_a_syslog)
