"""Tests of proxy.server.bodies."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp import ClientPayloadError, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import TransferEncodingError
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request, RequestPayloadError

from proxy.config import ServerConfig
from proxy.refusals import BodyTooLargeError, EncodedBodyError, SlowUploadError
from proxy.server.bodies import read_body

CONFIG = ServerConfig(upload_idle_timeout=0.1, upload_timeout=0.3)


def a_stream(*chunks: bytes, is_whole: bool = True) -> StreamReader:
    """Return a body of which so much has arrived."""
    protocol = Mock(BaseProtocol, _reading_paused=False)
    stream = StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
    for chunk in chunks:
        stream.feed_data(chunk)
    if is_whole:
        stream.feed_eof()
    return stream


def a_request(stream: StreamReader, **headers: str) -> Request:
    """Return a request with this body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    writer: Any = Mock(write=AsyncMock())
    return make_mocked_request("POST", "/state/a", named, payload=stream, writer=writer)


async def test_a_body_that_arrived_with_the_head_is_taken_at_once() -> None:
    """As most states do."""
    request = a_request(a_stream(b"ab", b"cd"), Content_Length="4")
    assert b"abcd" == await read_body(request, CONFIG, 4)


async def test_a_body_in_pieces_is_put_together() -> None:
    """Framed by length, and chunked."""
    for headers in ({"Content_Length": "6"}, {"Transfer_Encoding": "chunked"}):
        stream = a_stream(b"ab", is_whole=False)
        reading = asyncio.create_task(read_body(a_request(stream, **headers), CONFIG, 6))
        for piece in (b"cd", b"ef"):
            await asyncio.sleep(0.01)
            stream.feed_data(piece)
        stream.feed_eof()
        assert b"abcdef" == await reading


async def test_no_body_is_an_empty_body() -> None:
    """A length of 0, or chunks without any."""
    for headers in ({"Content_Length": "0"}, {"Transfer_Encoding": "chunked"}):
        assert b"" == await read_body(a_request(a_stream(), **headers), CONFIG, 10)


async def test_a_length_over_the_limit_is_refused_without_reading() -> None:
    """Nothing of it was taken from the stream."""
    stream = a_stream(b"ab", is_whole=False)
    with pytest.raises(BodyTooLargeError, match="11 bytes or more, and 10 are taken"):
        await read_body(a_request(stream, Content_Length="11"), CONFIG, 10)
    assert b"ab" == stream.read_nowait()


@pytest.mark.parametrize("is_whole", [True, False])
async def test_chunks_over_the_limit_are_refused(is_whole: bool) -> None:
    """As soon as that is known."""
    stream = a_stream(b"x" * 6, b"x" * 6, is_whole=is_whole)
    with pytest.raises(BodyTooLargeError):
        await read_body(a_request(stream, Transfer_Encoding="chunked"), CONFIG, 10)


async def test_silence_ends_an_upload() -> None:
    """After the idle time, and the refusal says how far it came."""
    stream = a_stream(b"abc", is_whole=False)
    with pytest.raises(SlowUploadError, match="stopped after 3 bytes"):
        await read_body(a_request(stream, Content_Length="10"), CONFIG, 10)


async def test_an_upload_may_take_only_so_long_in_all() -> None:
    """A byte now and then keeps nobody busy for ever."""
    stream = a_stream(is_whole=False)
    reading = asyncio.create_task(read_body(a_request(stream, Content_Length="1000"), CONFIG, 1000))
    async with asyncio.timeout(2):
        while not reading.done():
            stream.feed_data(b"x")
            await asyncio.sleep(0.02)
    with pytest.raises(SlowUploadError):
        await reading


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        ClientPayloadError("gone"),
        TransferEncodingError("no chunk"),
        RequestPayloadError("400, message: no chunk"),
    ],
)
@pytest.mark.parametrize("is_before", [True, False], ids=["before", "while waiting"])
async def test_a_connection_that_breaks_is_a_refusal(error: Exception, is_before: bool) -> None:
    """Whichever way aiohttp tells of it; never a short body."""
    stream = a_stream(b"abc", is_whole=False)
    if is_before:
        stream.set_exception(error)
    reading = asyncio.create_task(read_body(a_request(stream, Content_Length="10"), CONFIG, 10))
    await asyncio.sleep(0.01)
    if not is_before:
        stream.set_exception(error)
    with pytest.raises(SlowUploadError, match="broke"):
        await reading


async def test_a_body_is_never_filled_up_to_its_length() -> None:
    """Compressed on the way, a body can be shorter than its Content-Length."""
    stream = a_stream(b"abc", is_whole=False)
    reading = asyncio.create_task(read_body(a_request(stream, Content_Length="10"), CONFIG, 10))
    await asyncio.sleep(0.01)
    stream.feed_eof()
    assert b"abc" == await reading


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate, gzip", "identity, br", "zstd"])
async def test_a_compressed_body_is_refused_without_reading(coding: str) -> None:
    """A megabyte may hold a gigabyte."""
    stream = a_stream(b"ab", is_whole=False)
    with pytest.raises(EncodedBodyError):
        await read_body(a_request(stream, Content_Length="10", Content_Encoding=coding), CONFIG, 10)
    assert b"ab" == stream.read_nowait()


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
async def test_identity_is_no_compression(coding: str) -> None:
    """Said by a client that says everything."""
    request = a_request(a_stream(b"ab"), Content_Length="2", Content_Encoding=coding)
    assert b"ab" == await read_body(request, CONFIG, 10)


async def test_a_client_that_hangs_up_when_asked_for_its_body_is_a_refusal() -> None:
    """The Continue can't be written."""
    request = a_request(a_stream(is_whole=False), Content_Length="2", Expect="100-continue")
    write: Any = request.writer.write
    write.side_effect = ConnectionResetError("gone")
    with pytest.raises(SlowUploadError):
        await read_body(request, CONFIG, 10)


async def test_a_body_is_asked_for_only_when_it_is_wanted() -> None:
    """``Expect: 100-continue`` is answered here, after all checks."""
    stream = a_stream(b"ab")
    request = a_request(stream, Content_Length="2", Expect="100-Continue")
    await read_body(request, CONFIG, 10)
    write: Any = request.writer.write
    write.assert_awaited_once_with(b"HTTP/1.1 100 Continue\r\n\r\n")


async def test_a_body_too_large_is_not_asked_for() -> None:
    """No Continue before the refusal."""
    request = a_request(a_stream(), Content_Length="11", Expect="100-continue")
    with pytest.raises(BodyTooLargeError):
        await read_body(request, CONFIG, 10)
    write: Any = request.writer.write
    write.assert_not_awaited()
