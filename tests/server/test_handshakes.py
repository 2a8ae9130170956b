"""Tests of proxy.server.handshakes: those that are slow, and those that are many, block nobody."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.certificates import authority
from tests.server.secure import SecureFace, a_secure_face, asked
from tests.server.test_connections import is_closed

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def silent(face: SecureFace, number: int, said: bytes = b"") -> AsyncIterator[list[Ends]]:
    """Open connections that never finish their handshake."""
    opened = [await asyncio.open_connection("127.0.0.1", face.port) for _ in range(number)]
    for _, writer in opened:
        writer.write(said)
    await asyncio.sleep(0.05)
    yield opened
    for _, writer in opened:
        writer.close()


async def is_served(face: SecureFace) -> bool:
    """Tell whether a new client is answered."""
    return (await face.ask(authority().issue(), path="/healthz")).status == 200


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_slow_handshake_is_given_up(tmp_path: Path, said: bytes) -> None:
    """However much of it there was; meanwhile others are served."""
    async with (
        a_secure_face(tmp_path, handshakes={"seconds": 0.5}) as face,
        silent(face, 2, said) as opened,
    ):
        assert await is_served(face)
        assert [True] * 2 == [await is_closed(reader, 3) for reader, _ in opened]


async def test_the_oldest_handshakes_make_room(tmp_path: Path) -> None:
    """Nobody holds the server by opening more than there may be."""
    async with (
        a_secure_face(tmp_path, handshakes={"most": 4}) as face,
        silent(face, 10) as opened,
    ):
        assert await is_served(face)
        assert [True] * 6 == [await is_closed(reader) for reader, _ in opened[:6]]
        assert not await is_closed(opened[-1][0])
        assert await is_served(face)


async def test_what_is_no_tls_is_closed(tmp_path: Path) -> None:
    """Plain HTTP, too, without an answer and without an error of ours."""
    hello = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with a_secure_face(tmp_path) as face:
        async with silent(face, 1, hello) as [(reader, _)]:
            assert await is_closed(reader, 3)
        async with silent(face, 1):
            pass
        assert await is_served(face)


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    tmp_path: Path,
) -> None:
    """Nothing is lost in the moment of handing over."""
    async with a_secure_face(tmp_path) as face:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = face.context(None, version)
            for _ in range(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", face.port, ssl=context)
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                writer.close()


async def test_many_at_once_are_all_served(tmp_path: Path) -> None:
    """Each with its own answer."""
    async with a_secure_face(tmp_path) as face, face.session() as session:
        answers = await asyncio.gather(
            *(face.ask(path="/healthz") for _ in range(20)), asked(session, path="/healthz")
        )
    assert [200] * 21 == [answer.status for answer in answers]


async def test_a_stop_waits_for_no_handshake(tmp_path: Path) -> None:
    """Nor leaves it behind."""
    async with asyncio.timeout(10), AsyncExitStack() as stack:
        async with a_secure_face(tmp_path) as face:
            opened = await stack.enter_async_context(silent(face, 3))
        assert [True] * 3 == [await is_closed(reader, 3) for reader, _ in opened]
