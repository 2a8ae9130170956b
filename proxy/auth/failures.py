"""The record of failed logins: each one at first, counted ones in a flood, never an unbounded log.

Failures are counted in windows. A window opens with a failure and lasts a fixed time; in it the
first failures of a source get an entry each before they are answered, the rest are counted and
committed as one entry a source when the window ends. Sources beyond a fixed number are counted
together. So an attacker decides neither how much memory nor how much disk the record takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, NamedTuple

from proxy.access import ANONYMOUS, Caller, Principal
from proxy.audit_log import draft
from proxy.contracts import Draft, Store
from proxy.folding import Counted, Windows
from proxy.timestamps import micros_at, rfc3339

MAX_SOURCES: Final = 64
"""Sources that are told apart in one window."""

_ALL_SOURCES: Final = 10
"""The entries at once of all sources together: so many times those of one."""

_COUNTED: Final = {
    "token.expired": "uses of an expired token",
    "auth.locked_out": "lock-outs",
    "access.denied": "requests of whom nothing is granted to",
}
"""What is counted, for a sentence; else failed logins."""


class _Source(NamedTuple):
    """What is counted together; an empty address stands for all that were too many."""

    event: str
    principal: Principal
    ip: str
    account: str = ""


@dataclass(slots=True)
class _Count:
    """The failures of one source in one window.

    Attributes:
        at_once: how many got an entry of their own.
        counted: how many did not.
        first: time of the first counted one.
        last: time of the last counted one.
    """

    at_once: int
    counted: int
    first: datetime
    last: datetime

    def add(self, other: "_Count") -> None:
        self.first = min(self.first, other.first) if self.counted else other.first
        self.last = max(self.last, other.last)
        self.counted += other.counted


class FailureLog:
    """Commits failed logins, folded in a flood.

    Args:
        store: keeps the entries.
        window: seconds after which the counted failures are committed.
        immediate: so many failures of one source in a window get an entry each; of all sources
            together ten times as many.
        now: the present, UTC.
    """

    def __init__(
        self, store: Store, *, window: float, immediate: int, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._immediate = immediate
        self._now = now
        self._counts: dict[_Source, _Count] = {}
        self._at_once_left = immediate * _ALL_SOURCES
        self._windows = Windows(
            store, window, "failed logins", lambda: bool(self._counts), self._take
        )

    async def record(  # noqa: PLR0913 - what an entry tells of a failure
        self,
        caller: Caller,
        message: str,
        event: str = "auth.failed",
        *,
        status: int = 401,
        outcome: str = "denied",
        account: str = "",
        lockout: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Commit the failure, or count it.

        Args:
            caller: who tried; an anonymous principal unless the credentials named somebody.
            message: what was wrong, without any part of the credentials.
            event: ``auth.failed``, ``auth.locked_out``, ``token.expired`` or, of somebody whom
                nothing is granted to, ``access.denied``.
            status: of the answer.
            outcome: ``denied``, or ``error`` of a request that could not be understood or served.
            account: name of the person whose password was tried; empty when there is none.
            lockout: what is locked out from now on, when something is.

        Returns:
            The entry's index, or None when the failure was only counted.

        Raises:
            UnavailableError: the entry could not be committed; the failure may not be answered
                as one.
        """
        now = self._now()
        # Not by the account: whether an entry is made at once, which the answer and its time tell,
        # would say whether there is such an account.
        source = _Source(event, caller.principal, network_of(caller.ip))
        count = self._count_of(source, now)
        self._windows.begin()
        is_calm = count.at_once < self._immediate and self._at_once_left > 0
        if is_calm or self._windows.is_closing:
            count.at_once += 1
            self._at_once_left -= 1
            parts = _account_part(account)
            if lockout is not None:
                parts["lockout"] = dict(lockout)
            entry = draft(event, outcome, message, caller, status, **parts)
            return (await self._store.write(lambda tx: tx.append(entry))).index
        self._count_of(source._replace(account=account), now).add(_Count(0, 1, now, now))
        return None

    async def aclose(self) -> None:
        """Commit what was counted, without waiting for the window's end."""
        await self._windows.aclose()

    def _count_of(self, source: _Source, now: datetime) -> _Count:
        count = self._counts.get(source)
        if count is not None:
            return count
        if len(self._counts) >= MAX_SOURCES:
            source = _Source(source.event, ANONYMOUS, "")
        return self._counts.setdefault(source, _Count(0, 0, now, now))

    def _take(self) -> Counted:
        counts = {source: count for source, count in self._counts.items() if count.counted}
        self._counts = {}
        self._at_once_left = self._immediate * _ALL_SOURCES

        def put_back() -> None:
            for source, count in counts.items():
                self._count_of(source, count.first).add(count)

        return Counted(
            [_folded(*each) for each in counts.items()],
            sum(count.counted for count in counts.values()),
            put_back,
        )


def _folded(source: _Source, count: _Count) -> Draft:
    what = _COUNTED.get(source.event, "failed logins")
    where = f"from {source.ip}" if source.ip else "from many other addresses"
    if source.account:
        where += f" to {source.account}"
    return draft(
        source.event,
        "denied",
        f"{count.counted} more {what} {where} were counted",
        Caller(source.principal, source.ip, request_id="", via="api", method="", path=""),
        403 if source.event == "access.denied" else 401,
        count=count.counted,
        first_time=rfc3339(micros_at(count.first)),
        last_time=rfc3339(micros_at(count.last)),
        **_account_part(source.account),
    )


def _account_part(account: str) -> dict[str, Any]:
    return {"account": account} if account else {}


def network_of(ip: str) -> str:
    """Return what one attacker holds at least: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address.packed[:8] + bytes(8), 64)))
    return ip
