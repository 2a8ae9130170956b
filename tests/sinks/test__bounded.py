"""What a far side sends for one request has an end: it is hung up on, and nobody else waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest

from proxy.sinks._bounded import MAX_HEADS
from proxy.sinks._http import MAX_ANSWER, Http, HttpOptions
from proxy.sinks.contract import NotTakenError
from tests.forwarded import a_context

INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def sending(first: bytes, again: bytes = b"") -> AsyncIterator[tuple[str, list[int]]]:
    """Run a far side that sends one thing and another without end; tell how much it came to."""
    sent: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(first)
                while again:
                    writer.write(again)
                    await writer.drain()
                    sent.append(len(again))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", sent
    finally:
        server.close()


@asynccontextmanager
async def an_http() -> AsyncIterator[Http]:
    """Open connections of a sink."""
    async with aclosing(Http(HttpOptions(timeout=20), a_context(), "the far side")) as http:
        yield http


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", INTERIM * 5_000),
        (INTERIM, INTERIM * 500),
        (b"HTTP/1.1 200 OK\r\n", b"x-a: " + b"a" * 7_000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"a" * 65_536),
    ],
)
async def test_heads_without_an_end_are_hung_up_on(first: bytes, again: bytes) -> None:
    """At once, long before the timeout, and with little of it heard."""
    async with sending(first, again) as (url, sent), an_http() as http:
        async with asyncio.timeout(10):
            with pytest.raises(NotTakenError) as caught:
                await http.ask("GET", url, {})
        assert "did not answer within" not in str(caught.value)
        assert sum(sent) < 8_000_000  # what the machine's own buffers hold


async def test_interim_answers_hold_up_nobody() -> None:
    """Of a hundred thousand that arrive at once, a few are looked at; others run meanwhile."""
    parsed: list[int] = []

    async def look() -> None:
        while True:
            parsed.append(0)
            await asyncio.sleep(0)

    async with sending(INTERIM * 100_000) as (url, _), an_http() as http:
        looking = asyncio.create_task(look())
        before = asyncio.get_running_loop().time()
        with pytest.raises(NotTakenError, match="answered without an end, and was hung up on"):
            await http.ask("GET", url, {})
        looking.cancel()
        assert parsed
        assert asyncio.get_running_loop().time() - before < 2


async def test_some_interim_answers_are_heard_out() -> None:
    """As a proxy on the way may send them (RFC 9110 section 15.2)."""
    async with sending(INTERIM * (MAX_HEADS - 2) + OK) as (url, _), an_http() as http:
        for _ in range(3):  # it is counted anew for each request
            assert b"ok" == (await http.ask("GET", url, {})).body


@pytest.mark.parametrize("size", [1, 4_095, 4_096, 4_097, MAX_ANSWER])
async def test_an_answer_within_the_bounds_is_whole(size: int) -> None:
    """Whatever the slices are in which it is parsed."""
    body = bytes(range(256)) * (size // 256 + 1)
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode()
    async with sending(head + body[:size]) as (url, _), an_http() as http:
        for _ in range(2):
            assert body[:size] == (await http.ask("GET", url, {})).body


@pytest.mark.parametrize("again", [b"1\r\nx\r\n" * 1_000, b"10000\r\n" + b"x" * 65_536 + b"\r\n"])
async def test_content_without_an_end_is_cut_off(again: bytes) -> None:
    """Also where its frames are larger than itself."""
    async with sending(CHUNKED, again) as (url, sent), an_http() as http:
        assert b"x" * MAX_ANSWER == (await http.ask("GET", url, {})).body
        assert sum(sent) < 8_000_000


async def test_frames_around_nothing_are_hung_up_on() -> None:
    """What is said in them is nothing: `trailers`, and extensions of a chunk."""
    again: Sequence[bytes] = (b"1;x=", b"y" * 4_000, b"\r\nx\r\n")
    async with sending(CHUNKED, b"".join(again)) as (url, _), an_http() as http:
        async with asyncio.timeout(10):
            with pytest.raises(NotTakenError) as caught:
                await http.ask("GET", url, {})
        assert "did not answer within" not in str(caught.value)
