"""Makes and checks password hashes (Argon2id, RFC 9106), off the event loop and in bounded memory.

One hash takes 64 MiB and some 150 ms of four threads by intent. So only a few are made at once, a
few wait, and whoever comes then is told to come again. Those who proved by a device cookie that
they logged in before have a place of their own, which nobody else can take.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self, TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from proxy.errors import UnavailableError
from proxy.logs import Logger

T = TypeVar("T")

AT_ONCE: Final = 2
"""Hashes for everybody that are made at once; one more is for known devices alone."""
WAITING: Final = 16
"""How many more wait, of each of the two kinds: some seconds of work."""

_log = Logger("tfaudit.people")


class PasswordHasher:
    """Hashes and verifies passwords.

    Args:
        argon2: with the parameters to hash with: by default the library's, which are RFC 9106's
            for environments of little memory.
    """

    def __init__(self, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2()
        self._dummy: str | None = None
        self._threads = ThreadPoolExecutor(AT_ONCE + 1, thread_name_prefix="tfaudit-password")
        self._lanes = {is_known: _Lane(slots) for is_known, slots in ((False, AT_ONCE), (True, 1))}

    async def hash(self, password: str) -> str:
        """Return the hash of a normalised password, with a random salt.

        Raises:
            UnavailableError: too many are at it.
        """
        return await self._run(True, lambda: self._argon2.hash(password))  # noqa: FBT003

    async def verify(self, hashed: str | None, password: str, *, is_known: bool) -> bool:
        """Tell whether a normalised password is the one of the hash.

        Without a hash it takes as long, and the answer is no: nobody can tell by the time whether
        somebody has a password.

        Args:
            hashed: None when there is nobody, or nothing to compare with.
            password: as given.
            is_known: whether it comes from a device on which this person logged in before.

        Raises:
            UnavailableError: too many are at it: nothing was compared.
        """
        return await self._run(is_known, lambda: self._verify(hashed, password))

    def is_outdated(self, hashed: str) -> bool:
        """Tell whether the hash was made with other parameters than a new one would be."""
        return self._argon2.check_needs_rehash(hashed)

    async def __aenter__(self) -> Self:
        """Begin: threads start when they are needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let what runs finish, and start nothing more."""
        await asyncio.to_thread(self._threads.shutdown)

    def _verify(self, hashed: str | None, password: str) -> bool:
        if self._dummy is None:
            # The first of all takes twice as long, whoever it asks for.
            self._dummy = self._argon2.hash("nobody's password")
        try:
            self._argon2.verify(self._dummy if hashed is None else hashed, password)
        except VerificationError:
            return False
        except (InvalidHashError, UnicodeEncodeError):
            _log.error("a password's hash can't be read: run `tfaudit verify`")
            return False
        return hashed is not None

    async def _run(self, is_known: bool, work: Callable[[], T]) -> T:  # noqa: FBT001
        async with self._lanes[is_known].place():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Lane:
    """So many at once, a few more who wait, and no more."""

    def __init__(self, slots: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._left = slots + WAITING

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        if not self._left:
            raise UnavailableError("too many people log in at this moment: try again")
        self._left -= 1
        try:
            async with self._slots:
                yield
        finally:
            self._left += 1
