"""Tests of proxy.server.connections: silence, numbers, and what is no HTTP."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from aiohttp.http_parser import DeflateBuffer

from proxy.access import Role
from proxy.server.connections import most_connections
from tests.running import Face, a_face, read_answer
from tests.samples import a_state

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def connections(face: Face, number: int) -> AsyncIterator[list[Ends]]:
    """Open connections one after the other."""
    opened = [await asyncio.open_connection("127.0.0.1", face.port) for _ in range(number)]
    yield opened
    for _, writer in opened:
        writer.close()


async def is_closed(reader: asyncio.StreamReader, seconds: float = 0.3) -> bool:
    """Tell whether the server closes within some seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


# ---------------------------------------------------------------- silence


@pytest.mark.parametrize(
    "said", [b"", b"GET /state/a HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"]
)
async def test_a_connection_without_a_whole_head_is_closed(tmp_path: Path, said: bytes) -> None:
    """However much of the head there is."""
    async with (
        a_face(tmp_path, limits={"head_seconds": 0.3}) as face,
        connections(face, 1) as [(reader, writer)],
    ):
        writer.write(said)
        assert await is_closed(reader, 3)


async def test_a_head_that_trickles_does_not_gain_time(tmp_path: Path) -> None:
    """A byte now and then holds no connection."""
    async with (
        a_face(tmp_path, limits={"head_seconds": 0.3}) as face,
        connections(face, 1) as [(reader, writer)],
    ):
        closed = asyncio.create_task(is_closed(reader, 3))
        writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
        while not closed.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert await closed


async def test_a_connection_that_asked_once_is_kept(tmp_path: Path) -> None:
    """Terraform asks again on it; server.keepalive is its limit."""
    async with (
        a_face(tmp_path, limits={"head_seconds": 0.2}) as face,
        connections(face, 1) as [(reader, writer)],
    ):
        for _ in range(2):
            writer.write(HEALTHZ)
            assert 200 == (await read_answer(reader)).status
            await asyncio.sleep(0.4)


async def test_a_slow_body_is_not_a_slow_head(tmp_path: Path) -> None:
    """An upload has limits of its own."""
    body = a_state(1)
    async with a_face(tmp_path, limits={"head_seconds": 0.2}) as face:
        head = b"POST /state/a HTTP/1.1\r\nContent-Length: %d\r\n{auth}\r\n\r\n" % len(body)
        assert 200 == (await face.raw(head, body[:10], 0.5, body[10:])).status


# ---------------------------------------------------------------- numbers


async def test_silent_connections_give_way(tmp_path: Path) -> None:
    """The oldest first; whoever has asked something stays, and whoever is new is served."""
    async with (
        a_face(tmp_path, limits={"most": 4}) as face,
        connections(face, 1) as [(reader, writer)],
    ):
        writer.write(HEALTHZ)
        await read_answer(reader)
        async with connections(face, 10) as silent:
            async with connections(face, 1) as [(new_reader, new_writer)]:
                new_writer.write(HEALTHZ)
                assert 200 == (await read_answer(new_reader)).status
            assert [True] * 8 == [await is_closed(each) for each, _ in silent[:8]]
            assert not await is_closed(silent[-1][0])
        writer.write(HEALTHZ)
        assert 200 == (await read_answer(reader)).status


async def test_idle_connections_give_way_when_none_is_silent(tmp_path: Path) -> None:
    """Nobody holds the server by asking for its health and staying."""
    async with a_face(tmp_path, limits={"most": 3}) as face, connections(face, 3) as idle:
        for reader, writer in idle:
            writer.write(HEALTHZ)
            await read_answer(reader)
        async with connections(face, 1) as [(reader, writer)]:
            writer.write(HEALTHZ)
            assert 200 == (await read_answer(reader)).status
        assert await is_closed(idle[0][0])


async def test_whoever_is_served_is_not_cut_off_for_a_new_one(tmp_path: Path) -> None:
    """With all connections busy the new one is closed."""
    body = a_state(1)
    async with a_face(tmp_path, limits={"most": 2}) as face:
        await face.token(Role.OPERATOR)
        head = b"POST /state/a HTTP/1.1\r\nContent-Length: %d\r\n{auth}\r\n\r\n" % len(body)
        uploads = [asyncio.create_task(face.raw(head, body[:10], 0.5, body[10:])) for _ in range(2)]
        await asyncio.sleep(0.3)
        async with connections(face, 1) as [(reader, _)]:
            assert await is_closed(reader)
        assert [200, 200] == [(await upload).status for upload in uploads]


def test_the_store_keeps_some_files() -> None:
    """However few the process may open."""
    assert [32, 768, 10_000] == [most_connections(files) for files in (64, 1024, 1 << 30)]


# ---------------------------------------------------------------- no HTTP


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01hunter2\r\n\r\n",
        b"GET /state/a HTTP/1.1\r\nhunter2\r\n\r\n",
        b"GET /state/a HTTP/1.1\r\nX: a\x00hunter2\r\n\r\n",
        b"GET /state/hunter2" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /state/a HTTP/1.1\r\nContent-Length: hunter2\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_like_one(face: Face, garbage: bytes) -> None:
    """400 with an ID, and nothing of what was sent or of what we are made of."""
    answer = await face.raw(garbage)
    assert (400, "tfaudit") == (answer.status, answer.headers["server"])
    assert answer.headers["request-id"]
    assert b"hunter2" not in answer.body


# ---------------------------------------------------------------- compressed bodies


@pytest.mark.parametrize(("credentials", "status"), [(b"Host: x\r\n", 401), (b"{auth}\r\n", 415)])
async def test_no_body_is_unpacked(face: Face, credentials: bytes, status: int) -> None:
    """For nobody, not even to throw it away: the event loop would stand still for all."""
    bomb = gzip.compress(bytes(1 << 28), 1)
    head = b"POST /state/a HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n%b\r\n"
    await face.token(Role.OPERATOR)
    with patch.object(DeflateBuffer, "feed_data", side_effect=ValueError("unpacked")) as unpack:
        answer = await face.raw(head % (len(bomb), credentials), bomb)
    assert status == answer.status
    unpack.assert_not_called()


async def test_a_refused_body_is_on_record(face: Face) -> None:
    """As a write that was refused, with its workspace."""
    body = gzip.compress(a_state(1))
    answer = await face.ask("POST", body=body, headers={"Content-Encoding": "gzip"})
    entry = await face.last()
    assert (415, "state.write_refused", "prod/network", 415) == (
        answer.status,
        entry["event"],
        entry["workspace"],
        entry["request"]["status"],
    )
