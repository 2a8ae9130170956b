"""All anchors of a log: compared before it signs anything, and kept while it grows.

Everything happens off the way of requests: an anchor that is down, slow or wrong costs itself. But
one that shows a checkpoint which the log does not contain stops the log from growing: an older
database was put in the place of the newest, or two servers sign with one key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from traceback import format_tb
from typing import Final, NamedTuple, TypeAlias

from proxy.anchors.anchor import Anchor, ForeignError
from proxy.contracts import Store
from proxy.errors import ConfigError, TfauditError, UnavailableError
from proxy.last_checkpoint import WAY_OUT, Lost, Verify
from proxy.logs import Logger
from proxy.sink_status import age_of

PATIENCE: Final = 10.0
"""Seconds that a start waits for all anchors, before anything is signed, and a stop at the end."""
DEADLINE: Final = 120.0
"""Seconds that an anchor has for one round while the server runs."""
_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 300.0

_Call: TypeAlias = Callable[[Anchor, Store, Verify], Awaitable[Lost | None]]

_log = Logger("tfaudit.anchors")


class AnchorStatus(NamedTuple):
    """How an anchor is doing.

    Attributes:
        name: of the anchor.
        kind: of place.
        where: it is.
        size: how many entries its newest checkpoint covers; None when there is none, or that is
            not known.
        lag: how many entries of the log it does not cover.
        age: seconds since the oldest of those was committed; infinite until it was compared.
        is_compared: whether the log was compared with it since the start.
        error: why the last round failed; empty if it did not.
        gone: how many entries the checkpoint covered that was put there once, and stood there no
            more when the log was first compared with it; None when all was there.
    """

    name: str
    kind: str
    where: str
    size: int | None
    lag: int
    age: float
    is_compared: bool
    error: str
    gone: int | None = None


class Anchors:
    """All anchors of a log.

    Args:
        anchors: that the configuration names.
        store: has the log.
        verify: checks a checkpoint of it.
    """

    def __init__(self, anchors: Sequence[Anchor], store: Store, verify: Verify) -> None:
        self._anchors = anchors
        self._store = store
        self._verify = verify

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._anchors)

    @property
    def names(self) -> list[str]:
        """What the anchors are called."""
        return [each.name for each in self._anchors]

    @property
    def uncompared(self) -> dict[str, str]:
        """Why the log could not be compared with anchors that were asked, by their names."""
        return {
            each.name: each.error for each in self._anchors if each.error and not each.is_compared
        }

    @property
    def failures(self) -> dict[str, str]:
        """Why the last round of anchors failed, by their names."""
        return {each.name: each.error for each in self._anchors if each.error}

    async def check(self) -> None:
        """Pass when the log contains what each anchor shows, as far as each can be asked.

        Raises:
            ConfigError: it does not, or something else stands in the place of an anchor.
        """
        foreign: list[str] = []
        for lost in await self._all(Anchor.compare, foreign):
            raise ConfigError(why(lost))
        for each in self._anchors:
            if each.gone is not None:
                _log.warning(
                    "AN ANCHOR HAS NO MORE WHAT WAS PUT THERE: find out who took it away",
                    anchor=each.name,
                    place=each.where,
                    entries=each.gone,
                )
        if foreign:
            raise ConfigError(foreign[0])
        for name, error in self.uncompared.items():
            _log.warning(
                "COULD NOT TELL WHETHER THE LOG IS THE ONE THAT AN ANCHOR KNOWS: its server starts",
                anchor=name,
                error=error,
            )

    async def lost(self) -> list[Lost]:
        """Return what anchors know and the log has no more; of those that can't be asked nothing.

        Raises:
            ConfigError: something else stands in the place of an anchor.
        """
        foreign: list[str] = []
        found = await self._all(Anchor.compare, foreign)
        if foreign:
            raise ConfigError(foreign[0])
        return found

    async def compare(self) -> list[Lost]:
        """Compare the log with all; return what they know and it has no more.

        ``failures`` tells of which it can't be told.
        """
        return await self._all(Anchor.compare, [])

    async def keep(self, names: Collection[str] = ()) -> list[Lost]:
        """Put the newest checkpoint into all of them, or those of these names, each if it can.

        ``failures`` tells of which it can't.
        """
        return await self._all(Anchor.keep, [], names)

    async def run(
        self,
        on_lost: Callable[[Lost], None],
        sleep: Callable[[float], Awaitable[None]],
        *,
        is_copy: bool = False,
    ) -> None:
        """Anchor the log as it grows, until it is cancelled.

        Args:
            on_lost: told what an anchor knows and the log has no more; it is not written any more.
            sleep: waits so many seconds.
            is_copy: only compare: the anchors are those of the log that this is a copy of.
        """
        call = Anchor.compare if is_copy else Anchor.keep
        await asyncio.gather(*(self._follow(each, call, on_lost, sleep) for each in self._anchors))

    async def statuses(self, now: datetime) -> list[AnchorStatus]:
        """Return how each is doing.

        Args:
            now: the present, with a time zone.

        Raises:
            UnavailableError: the log can't be read.
        """
        if not self._anchors:
            return []
        size, pruned = await self._store.size(), await self._store.pruned()
        found = []
        for each in self._anchors:
            covered = each.size or 0
            lag = max(0, size - covered)
            # Of what is pruned nobody knows the age: it is older than the first that is not.
            age = await age_of(self._store, max(covered, pruned), now) if lag else 0.0
            found.append(
                AnchorStatus(
                    each.name,
                    each.kind,
                    each.where,
                    each.size,
                    lag,
                    age if each.is_compared else float("inf"),
                    each.is_compared,
                    each.error,
                    each.gone,
                )
            )
        return found

    async def aclose(self) -> None:
        """Let go of all places."""
        for each in self._anchors:
            await each.aclose()

    async def _all(
        self,
        call: _Call,
        foreign: list[str],
        names: Collection[str] = (),
    ) -> list[Lost]:
        """Call all at once; why one failed is kept with it, and told of what is not ours."""

        async def one(anchor: Anchor) -> Lost | None:
            try:
                return await self._told(anchor, call, PATIENCE)
            except ForeignError as error:
                foreign.append(f"the anchor {anchor.name}: {error}")
            except (TfauditError, OSError):
                pass
            return None

        chosen = [each for each in self._anchors if not names or each.name in names]
        found = await asyncio.gather(*map(one, chosen))
        return [each for each in found if each is not None]

    async def _told(
        self,
        anchor: Anchor,
        call: _Call,
        seconds: float,
    ) -> Lost | None:
        """Return what a call returns; keep with the anchor why it failed.

        Raises:
            TfauditError, OSError: as the call, or it took too long.
        """
        try:
            try:
                async with asyncio.timeout(seconds):
                    lost = await call(anchor, self._store, self._verify)
            except TimeoutError as error:
                raise UnavailableError(
                    f"{anchor.where} did not answer within {seconds:g} s"
                ) from error
        except (TfauditError, OSError) as error:
            anchor.error = str(error)
            raise
        except Exception as error:  # noqa: BLE001 - a library may raise anything
            # What it says may hold a secret: where it was raised is what a fix needs.
            kind, place = type(error).__name__, "".join(format_tb(error.__traceback__))
            _log.error("an anchor has a fault", anchor=anchor.name, kind=kind, place=place)
            anchor.error = f"a fault of the program ({kind}): see the server's log"
            raise UnavailableError(anchor.error) from None
        anchor.error = "" if lost is None else why(lost)
        return lost

    async def _follow(
        self,
        anchor: Anchor,
        call: _Call,
        on_lost: Callable[[Lost], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        failures, told = 0, ""
        while True:
            try:
                lost = await self._told(anchor, call, DEADLINE)
            except (TfauditError, OSError) as error:
                failures += 1
                # Told once, not in every round.
                if told != str(error):
                    told = str(error)
                    _log.warning("an anchor takes no checkpoint", anchor=anchor.name, error=told)
                longest = max(_LONGEST_PAUSE, anchor.interval)
                await sleep(min(_FIRST_PAUSE * 2 ** min(failures - 1, 20), longest))
                continue
            if lost is not None:
                on_lost(lost)
                return
            if failures:
                _log.info("the anchor takes checkpoints again", anchor=anchor.name)
            failures, told = 0, ""
            await sleep(anchor.interval)


def why(lost: Lost) -> str:
    """Return what a checkpoint that the log does not contain means, and what to do."""
    return (
        f"the log in the database is not the one that {lost.by} knows with {lost.size} entries: "
        f"{WAY_OUT}"
    )
