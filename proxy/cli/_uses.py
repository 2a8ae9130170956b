"""What the log says of a token's last use, which the store keeps a copy of."""

from dataclasses import dataclass, field
from typing import Final

from proxy.cli._comparing import BATCH_MICROS
from proxy.errors import InvalidInputError
from proxy.timestamps import micros_of, rfc3339

_MINUTE: Final = len("2026-11-22T10:00")


@dataclass(slots=True)
class Uses:
    """The uses of one token in the newest minute that has some, and perhaps the one before.

    Of each address only the first and the last in a minute are remembered: a busy token has
    thousands.
    """

    _times: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    def note(self, time: str, ip: str) -> None:
        """Follow the entry of the next use.

        Args:
            time: of the entry.
            ip: from where.
        """
        key = time[:_MINUTE], ip
        if key not in self._times:
            kept = rfc3339(micros_of(time) - BATCH_MICROS)[:_MINUTE]
            self._times = {each: of for each, of in self._times.items() if each[0] >= kept}
        first, _ = self._times.get(key, (time, time))
        self._times[key] = first, time

    def is_last(self, used: object, ip: object) -> bool:
        """Tell whether the store's copy is what it must be.

        The first use in each minute is kept, at the time of its transaction. That is up to a
        second before the entry's, so its minute may be the one before.

        Args:
            used: RFC 3339, or None of a token that was never used.
            ip: from where.
        """
        if not self._times:
            return used is None and ip is None
        newest = max(last for _, last in self._times.values())
        earliest = rfc3339(micros_of(newest) - BATCH_MICROS)[:_MINUTE]
        try:
            micros = micros_of(used)  # type: ignore[arg-type] # of an altered database anything
        except (InvalidInputError, TypeError):
            return False
        return str(used)[:_MINUTE] >= earliest and any(
            ip == address and micros_of(first) - BATCH_MICROS < micros <= micros_of(last)
            for (_, address), (first, last) in self._times.items()
        )
