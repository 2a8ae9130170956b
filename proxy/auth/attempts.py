"""How often somebody may guess a password, before each further try has to wait, and how long.

A failure counts for the account together with the address it came from, for the address, and for
the account whoever tries it. Beyond a number of failures each one locks the next try out, for a
time that doubles up to a limit. A try while locked out is refused unseen: it neither counts nor
prolongs anything.

Somebody who logged in before has a device cookie (OWASP, "Slow Down Online Guessing Attacks with
Device Cookies"), and from there they are counted by that alone. So whoever guesses at an account,
even from the same address, can't lock out the person it belongs to. From very many addresses they
can hold up that person on a new device, for as long as one lock-out lasts at a time.

All counts are in memory. A restart forgets them, and gives an attacker the few tries before the
first lock-out once more; it opens no way to restart a server by guessing.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.refusals import TooManyTriesError

MAX_COUNTED: Final = 10_000
"""Addresses, accounts that there are not, and devices that are counted; the one that was quiet for
the longest makes room. Accounts that there are have their own, as many as they are."""

_PER_ADDRESS: Final = 4
"""So many times what one account may fail from one address, all accounts may from there."""
_PER_ACCOUNT: Final = 10
"""So many times what one account may fail from one address, it may from everywhere."""
_FORGET: Final = 3600.0
_MOST_DOUBLED: Final = 40


class Lockout(NamedTuple):
    """That from now on tries are refused.

    Attributes:
        what: what is locked: ``device``, ``account from this address``, ``address``, ``account``.
        failures: how many there were.
        seconds: how long.
    """

    what: str
    failures: int
    seconds: float


class _Count(NamedTuple):
    failures: int
    last: float


class _Counts:
    """The failures of one kind of thing."""

    def __init__(self, after: int, first: float, longest: float, size: int | None) -> None:
        self.after = after
        self._first = first
        self._longest = longest
        self._size = size
        self._counts: dict[str, _Count] = {}  # in the order of their last failure

    def __len__(self) -> int:
        return len(self._counts)

    def seconds(self, failures: int) -> float:
        """Return how long so many failures lock out."""
        beyond = failures - self.after
        if beyond < 0:
            return 0.0
        return min(self._longest, self._first * 2.0 ** min(beyond, _MOST_DOUBLED))

    def locked_for(self, key: str, now: float) -> float:
        """Return for how many seconds more tries are refused; 0 when they are not."""
        count = self._counts.get(key)
        if count is None:
            return 0.0
        return max(0.0, count.last + self.seconds(count.failures) - now)

    def add(self, key: str, now: float) -> "_Added":
        """Count a failure."""
        count = self._counts.pop(key, None)
        if count is None or now - count.last > _FORGET + self._longest:
            count = _Count(0, now)
        if self._size is not None and len(self._counts) >= self._size:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = _Count(count.failures + 1, now)
        return _Added(self, key, count.failures + 1, now, count.last)

    def take_back(self, added: "_Added") -> None:
        """Undo one failure: it locks nothing, and prolongs nothing that earlier ones locked."""
        count = self._counts.get(added.key)
        if count is None:
            return
        last = added.before if count.last == added.at else count.last
        self._counts[added.key] = _Count(count.failures - 1, last)
        if count.failures <= 1:
            del self._counts[added.key]

    def reset(self, key: str) -> None:
        """Forget the failures."""
        self._counts.pop(key, None)


class _Added(NamedTuple):
    """A failure that was counted.

    Attributes:
        counts: where.
        key: of what.
        failures: how many there are with it.
        at: when.
        before: when the last one was before it.
    """

    counts: _Counts
    key: str
    failures: int
    at: float
    before: float


class Attempts:
    """Counts failures and says who has to wait.

    Args:
        clock: seconds that only go forward.
        after: failures of one account from one address before the first lock-out.
        first: seconds that the first lock-out lasts; each further one twice as long.
        longest: seconds that one lasts at most.
    """

    def __init__(
        self, clock: Callable[[], float], *, after: int, first: float, longest: float
    ) -> None:
        self._clock = clock
        self._devices = _Counts(after, first, longest, MAX_COUNTED)
        self._pairs = _Counts(after, first, longest, MAX_COUNTED)
        self._addresses = _Counts(after * _PER_ADDRESS, first, longest, MAX_COUNTED)
        self._accounts = _Counts(after * _PER_ACCOUNT, first, longest, None)
        self._unknown = _Counts(after * _PER_ACCOUNT, first, longest, MAX_COUNTED)

    @property
    def counted(self) -> int:
        """Return how many things are counted at present."""
        tables = (self._devices, self._pairs, self._addresses, self._accounts, self._unknown)
        return sum(map(len, tables))

    def begin(self, account: str, network: str, device: str | None, *, exists: bool) -> "Attempt":
        """Count a try as failed until it is known not to be: many at once are counted, too.

        Args:
            account: whose password is tried; anything that stands for what was typed when there
                is no such account.
            network: from where.
            device: on which this person logged in before; None knows none.
            exists: whether there is such an account.

        Raises:
            TooManyTriesError: locked out.
        """
        if device is not None:
            kinds = [("device", self._devices, f"{account} {device}")]
        else:
            accounts = self._accounts if exists else self._unknown
            kinds = [
                ("account from this address", self._pairs, f"{account} {network}"),
                ("address", self._addresses, network),
                ("account", accounts, account),
            ]
        now = self._clock()
        wait = max(counts.locked_for(key, now) for _, counts, key in kinds)
        if wait > 0:
            raise TooManyTriesError(
                "too many logins failed: no password is looked at for a while; try again in "
                f"{math.ceil(wait)} seconds",
                math.ceil(wait),
            )
        return Attempt([(what, counts.add(key, now)) for what, counts, key in kinds])


class Attempt:
    """One try under way; exactly one of its methods is called."""

    def __init__(self, counted: list[tuple[str, _Added]]) -> None:
        self._counted = counted

    def fail(self) -> Lockout | None:
        """Let it stand as failed; return what is locked out by it, if anything is."""
        lockouts = [
            Lockout(what, added.failures, seconds)
            for what, added in self._counted
            if (seconds := added.counts.seconds(added.failures))
        ]
        return max(lockouts, key=lambda lockout: lockout.seconds, default=None)

    def succeed(self) -> None:
        """Forget what failed here before; elsewhere it still counts."""
        # The first is what this person tried from here. Were the address forgotten, too, whoever
        # has an account of their own could go on guessing at others.
        (_, here), *others = self._counted
        here.counts.reset(here.key)
        for _, added in others:
            added.counts.take_back(added)

    def withdraw(self) -> None:
        """Let it not count: nothing was compared."""
        for _, added in self._counted:
            added.counts.take_back(added)
