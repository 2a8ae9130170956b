"""Reads a request's body: bounded in size and in time, and only once it is known who sends it."""

import asyncio

from aiohttp import ClientError, StreamReader, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from proxy.config import ServerConfig
from proxy.refusals import BodyTooLargeError, EncodedBodyError, SlowUploadError


async def defer_continue(_: web.Request) -> None:
    """Not answer ``Expect: 100-continue`` yet: the body is wanted only after authentication."""


async def send_continue(request: web.Request) -> None:
    """Answer ``Expect: 100-continue`` (RFC 9110 section 10.1.1), if the client asked."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


async def read_body(
    request: web.Request, config: ServerConfig, limit: int, setting: str = "server.body_limit"
) -> bytes | bytearray:
    """Return the whole body; a large one arrives in one buffer and is not copied again.

    Args:
        request: whose body, framed by length or chunked.
        config: seconds of silence and in all that are allowed.
        limit: bytes.
        setting: what the limit is from, for people.

    Raises:
        EncodedBodyError: compressed.
        BodyTooLargeError: longer than the limit; as soon as that is known.
        SlowUploadError: not whole in time, or the connection broke.
    """
    _refuse_encoded(request)
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(length, limit, setting)
    if not request.body_exists or length == 0:
        return b""
    content = request.content
    try:
        await send_continue(request)
        if content.is_eof() and content.total_bytes <= limit:
            return content.read_nowait(-1)
        async with asyncio.timeout(config.upload_timeout):
            return await _receive(content, length, limit, config.upload_idle_timeout, setting)
    except TimeoutError as error:
        raise SlowUploadError(
            f"the upload stopped after {content.total_bytes} bytes and did not go on in time: send "
            "it again; if the link is slow, raise server.upload_timeout"
        ) from error
    except (ConnectionError, ClientError, HttpProcessingError, web.RequestPayloadError) as error:
        # What is raised may quote the bytes that it stumbled over.
        raise SlowUploadError(
            f"the body broke off or was damaged after {content.total_bytes} bytes of "
            f"{length or 'an unknown number'}: nothing was stored; send it again"
        ) from error


def _refuse_encoded(request: web.Request) -> None:
    if hdrs.CONTENT_ENCODING not in request.headers:
        return
    codings = request.headers.getall(hdrs.CONTENT_ENCODING, ())
    if any(coding.strip().lower() not in {"", "identity"} for coding in codings):
        raise EncodedBodyError(
            "the body is under a Content-Encoding, and this server unpacks none: send it as it is"
        )


async def _receive(
    content: StreamReader, length: int | None, limit: int, idle_timeout: float, setting: str
) -> bytearray:
    """Read up to the end; aiohttp raises when a body ends before its length."""
    buffer = bytearray(length or 0)
    filled = 0
    while chunk := await asyncio.wait_for(content.readany(), idle_timeout):
        end = filled + len(chunk)
        if end > limit:
            raise _too_large(end, limit, setting)
        buffer[filled:end] = chunk
        filled = end
    # The zeros that were set aside for a length are never taken for what was sent.
    del buffer[filled:]
    return buffer


def _too_large(size: int, limit: int, setting: str) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"the body has {size} bytes or more, and {limit} are taken: split the state, or raise "
        f"{setting}"
    )
