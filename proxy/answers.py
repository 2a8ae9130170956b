"""Reads what another server answers: never more of it than whoever asked can use."""

from aiohttp import StreamReader


async def read_up_to(content: StreamReader, most: int) -> tuple[bytes, bool]:
    """Return what there is of an answer.

    Args:
        content: of a response of aiohttp.
        most: so many bytes are returned, at most.

    Returns:
        the bytes, and whether they are all of it; of a longer one the rest is not read.

    Raises:
        aiohttp.ClientError, OSError, TimeoutError: it broke off.
    """
    found = bytearray()
    async for chunk in content.iter_any():
        found += chunk
        if len(found) > most:
            return bytes(found[:most]), False
    return bytes(found), True
