"""The keys of issuers, kept for a while, and asked for seldom whoever wishes for what."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.auth.discovery import Discovered, DiscoveryError
from proxy.auth.key_sets import KeySet
from proxy.errors import UnavailableError
from proxy.logs import Logger

FRESH_SECONDS: Final = 600.0
"""For so long keys are used without a question: no longer does a key live that was withdrawn."""
KEPT_SECONDS: Final = 7200.0
"""For so long keys are used when the issuer can't be asked for newer ones."""
PAUSE_SECONDS: Final = 30.0
"""At least so long after an answer nobody is asked again, however many unknown keys are named."""
RETRY_SECONDS: Final = 5.0
"""The same after a failure without keys; with keys that still serve, it is PAUSE_SECONDS."""

_log = Logger("tfaudit.auth")


class Asks(Protocol):
    """Asks an issuer for its keys."""

    async def ask(self, issuer_url: str) -> Discovered:
        """Return what it publishes.

        Raises:
            DiscoveryError: it could not be had.
        """


@dataclass(slots=True)
class _Known:
    """What is known of one issuer; times are those of the clock.

    Attributes:
        keys: the newest; None before the first.
        since: when they were asked for.
        next: before this nobody is asked.
        failure: what went wrong last; empty after an answer.
        asking: the question under way.
    """

    keys: KeySet | None = None
    since: float = 0.0
    next: float = float("-inf")
    failure: str = ""
    asking: asyncio.Task[None] | None = None


class IssuerKeys:
    """Knows the keys of issuers by their address.

    Args:
        source: asks them.
        clock: seconds, never going back.
    """

    def __init__(self, source: Asks, clock: Callable[[], float]) -> None:
        self._source = source
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def fresh(self, issuer_url: str) -> KeySet | None:
        """Return the keys when they are so new that nobody need be asked."""
        known = self._known.get(issuer_url)
        if known is None or self._clock() - known.since >= FRESH_SECONDS:
            return None
        return known.keys

    async def get(self, issuer_url: str) -> KeySet:
        """Return the keys, new ones when those at hand are old.

        Raises:
            UnavailableError: there are none that may be used.
        """
        keys = self.fresh(issuer_url)
        return keys if keys is not None else await self._asked(issuer_url)

    async def newer(self, issuer_url: str, than: KeySet) -> KeySet:
        """Return other keys than those that were of no use, if the issuer has others by now.

        Raises:
            UnavailableError: those at hand may not be used any longer.
        """
        keys = self.fresh(issuer_url)
        return keys if keys is not None and keys is not than else await self._asked(issuer_url)

    def failure(self, issuer_url: str) -> str:
        """Return what went wrong when the issuer was asked last; empty when it answered."""
        known = self._known.get(issuer_url)
        return "" if known is None else known.failure

    async def aclose(self) -> None:
        """End the questions that are under way."""
        asking = [known.asking for known in self._known.values() if known.asking is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _asked(self, issuer_url: str) -> KeySet:
        known = self._known.setdefault(issuer_url, _Known())
        if known.asking is None and self._clock() >= known.next:
            known.asking = asyncio.create_task(self._ask(issuer_url, known), name="issuer's keys")
        if known.asking is not None:
            # All wait for the one question; who goes away does not end it for the others.
            await asyncio.shield(known.asking)
        if known.keys is not None and self._clock() - known.since < KEPT_SECONDS:
            return known.keys
        raise UnavailableError(
            f"the keys of the issuer {issuer_url} can't be had, so nobody can be told by it: "
            f"{known.failure or 'it was not asked'}; try again"
        )

    async def _ask(self, issuer_url: str, known: _Known) -> None:
        pause = PAUSE_SECONDS
        try:
            keys = (await self._source.ask(issuer_url)).keys
        except DiscoveryError as error:
            known.failure = str(error)
            if known.keys is None or self._clock() - known.since >= KEPT_SECONDS:
                pause = RETRY_SECONDS
            _log.warning("an issuer's keys could not be had", issuer=issuer_url, error=str(error))
        else:
            # The same keys stay the same object: what was verified with them still is.
            known.keys = known.keys if known.keys == keys else keys
            known.since, known.failure = self._clock(), ""
        finally:
            known.next = self._clock() + pause
            known.asking = None
