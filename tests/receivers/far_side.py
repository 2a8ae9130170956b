"""A server that answers what a test tells it to, or breaks off: HTTP/1.1 by hand, so also wrongly.

It is what the contract of sinks is tested against: a proper server refuses to send most of it.
"""

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from tests.certificates import Authority


class Fault(Enum):
    """How a request ends without a whole answer."""

    SILENCE = auto()
    """Nothing ever comes."""
    CLOSE = auto()
    """The connection ends in order, without an answer."""
    RESET = auto()
    """The connection is torn down."""
    CUT = auto()
    """A success whose content ends early."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came.

    Attributes:
        method: of it.
        target: path with the query, as sent.
        headers: by name in small letters.
        body: unpacked.
        packed: as it came over the line.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    packed: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answers: TypeAlias = Callable[[Seen], Reply | Fault]

_PIECE: Final = b'{"ok":'


class FarSide:
    """A server on a port of its own.

    Attributes:
        seen: every request, in order.
        answer: says what becomes of each; a test may replace it at any time.
        url: where it listens.
    """

    def __init__(self, answer: Answers) -> None:
        self.seen: list[Seen] = []
        self.answer = answer
        self.url = ""
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self._writers.add(writer)
        try:
            while (request := await _read(reader, writer)) is not None:
                self.seen.append(request)
                if not await self._answered(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answered(self, request: Seen, writer: asyncio.StreamWriter) -> bool:
        """Do as told; False when the connection is at its end."""
        match self.answer(request):
            case Reply(status, body, headers):
                writer.write(_reply(status, body, headers))
                await writer.drain()
                # What is not final (1xx) is followed by nothing.
                return status >= 200
            case Fault.SILENCE:
                await asyncio.Event().wait()
            case Fault.CUT:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + _PIECE)
                await writer.drain()
            case Fault.RESET:
                linger = struct.pack("ii", 1, 0)
                found = writer.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            case Fault.CLOSE:
                pass
        return False

    def end(self) -> None:
        """End what is still open."""
        for writer in list(self._writers):
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    packed = await reader.readexactly(int(headers.get("content-length", "0")))
    body = gzip.decompress(packed) if headers.get("content-encoding") == "gzip" else packed
    return Seen(method, target, headers, body, packed)


def _reply(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if status < 200 or status in (204, 304):
        return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode()
    length = f"content-length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} Whatever\r\n{lines}{length}\r\n".encode() + body


def server_tls(authority: Authority, directory: Path) -> ssl.SSLContext:
    """Return what a server on this machine shows that an authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server().files(directory, "server"))
    return context


@asynccontextmanager
async def a_far_side(
    answer: Answers | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FarSide]:
    """Run one on a free port of this machine; by default each request is a success."""
    far = FarSide(answer or (lambda _: Reply()))
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, ssl=tls, limit=2**24)
    far.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield far
    finally:
        server.close()
        far.end()
        await asyncio.sleep(0)
