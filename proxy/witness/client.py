"""HTTP to the witnesses: a request, its status and so much of the answer as may be read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from proxy.answers import read_up_to
from proxy.errors import UnavailableError
from proxy.tlog.witnessing import MAX_ANSWER_BYTES
from proxy.witnesses import Answer

_SECONDS: Final = 10.0


class WitnessClient:
    """Posts to witnesses over connections that are kept.

    Args:
        session: of aiohttp.
    """

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def post(self, address: str, body: bytes) -> Answer:
        """Return the answer; a redirection is one, and is not followed.

        Raises:
            UnavailableError: there was none in time, or too long a one.
        """
        return await self._ask("POST", address, body)

    async def get(self, address: str) -> Answer:
        """Return what is there, as ``post``."""
        return await self._ask("GET", address, None)

    async def _ask(self, method: str, address: str, body: bytes | None) -> Answer:
        asked = self._session.request(method, address, data=body, allow_redirects=False)
        try:
            async with asked as answer:
                content, is_whole = await read_up_to(answer.content, MAX_ANSWER_BYTES)
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            what = str(error) or type(error).__name__
            raise UnavailableError(f"it can't be reached at {address}: {what}") from error
        if not is_whole:
            raise UnavailableError(f"its answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        return Answer(answer.status, content)


@asynccontextmanager
async def open_client() -> AsyncIterator[WitnessClient]:
    """Open connections, and close them at the end."""
    timeout = ClientTimeout(total=_SECONDS)
    async with ClientSession(timeout=timeout, cookie_jar=DummyCookieJar()) as session:
        yield WitnessClient(session)
