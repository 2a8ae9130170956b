"""Tests of proxy.answers."""

import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from proxy.answers import read_up_to


async def an_answer(*chunks: bytes) -> StreamReader:
    """Return an answer of which these pieces came."""
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    for chunk in chunks:
        content.feed_data(chunk)
    return content


@pytest.mark.parametrize(
    ("chunks", "found", "is_whole"),
    [
        ((), b"", True),
        ((b"abc",), b"abc", True),
        ((b"ab", b"cd"), b"abcd", True),
        ((b"ab", b"cde"), b"abcd", False),
        ((b"abcde", b"f"), b"abcd", False),
    ],
)
async def test_no_more_is_returned(
    chunks: tuple[bytes, ...], found: bytes, *, is_whole: bool
) -> None:
    """Of a longer answer so much as was wanted, and the word that there is more."""
    content = await an_answer(*chunks)
    content.feed_eof()
    assert (found, is_whole) == await read_up_to(content, 4)


async def test_the_rest_is_not_read() -> None:
    """Whoever sends without an end is left alone."""
    content = await an_answer(b"abcde")
    await read_up_to(content, 4)
    content.feed_data(b"more")
    assert b"more" == content.read_nowait()
