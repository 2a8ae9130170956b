"""What is kept of sinks must be, by what the entries of the log say was set aside and asked for.

How far a sink is has no entry while a server runs: then all that can be told of it is that it is
not beyond the log. Each stop and each start says it, and in between nothing moves it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.cli._comparing import is_moment, printed
from proxy.contracts import DeadLetter, Delivery, SinkReplay
from proxy.errors import VerificationError
from proxy.sink_entries import ABOUT_SINKS


class _Letter(NamedTuple):
    """What the newest entry of a dead letter says of it."""

    entry: int
    reason: str
    time: str


class _Replay(NamedTuple):
    """What the newest entry of a replay says of it."""

    entry: int
    sink: str
    first: int
    until: int
    only_dead_letters: bool
    requested: str


@dataclass(slots=True)
class SinksReplay:
    """What follows from the entries so far."""

    _names: dict[str, str] = field(default_factory=dict)
    _letters: dict[str, dict[int, _Letter]] = field(default_factory=dict)
    _replays: dict[str, _Replay] = field(default_factory=dict)
    # Of what is set aside of these there is no entry: it would beget the next.
    _about_sinks: set[int] = field(default_factory=set)
    # Where sinks stood when the server stopped, by their ID; None while one runs, and after a stop
    # that did not say it, as in older releases.
    _stopped: tuple[int, dict[str, int]] | None = None

    def note_any(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the next entry, whatever its outcome."""
        if entry.get("event") in ABOUT_SINKS:
            self._about_sinks.add(index)

    def note(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the next entry of a success.

        Raises:
            LookupError, TypeError, ValueError, AttributeError: it does not say what it must.
        """
        if "object" in entry and entry["object"]["kind"] == "sink":
            self._note_sink(entry["object"])
        event = entry.get("event")
        if event == "sink.dead_lettered":
            letters = self._letters.setdefault(entry["sink"]["id"], {})
            for said in entry["sink"]["dead_letters"]:
                letters[said["index"]] = _Letter(index, said["reason"], entry["time"])
        elif event == "sink.replayed":
            self._note_replay(index, entry)
        elif event == "audit.stopped":
            self._stopped = (index, _places_of(entry)) if "sinks" in entry else None
        elif event == "audit.started":
            if "sinks" in entry and self._stopped is not None:
                self._compare_places(_places_of(entry), index)
            self._stopped = None

    def _note_sink(self, said: Mapping[str, Any]) -> None:
        sink = said["id"]
        if said["after"] is not None:
            self._names[sink] = said["name"]
            return
        del self._names[sink]
        if self._stopped is not None:
            self._stopped[1].pop(sink, None)
        self._letters.pop(sink, None)
        self._replays = {key: each for key, each in self._replays.items() if each.sink != sink}

    def _note_replay(self, index: int, entry: Mapping[str, Any]) -> None:
        said = entry["sink"]
        replay = said["replay"]
        taken = said.get("taken")
        if taken is None:
            requested = entry["time"]
        else:
            requested = self._replays.pop(replay["id"]).requested
            letters = self._letters.get(said["id"], {})
            for first, last in taken:
                for each in range(first, last + 1):
                    letters.pop(each, None)
            if said["is_done"]:
                return
        self._replays[replay["id"]] = _Replay(
            index,
            said["id"],
            replay["from"],
            replay["until"],
            replay["only_dead_letters"],
            requested,
        )

    # ------------------------------------------------------------ comparing with the tables

    def check_deliveries(self, rows: Iterable[Delivery], size: int) -> None:
        """See that no sink is where it can't be.

        Args:
            rows: how far each is.
            size: number of entries of the log.

        Raises:
            VerificationError: one is beyond the log, and would not be given what comes next; one
                is not where it was when the server stopped; or there is no such sink.
        """
        kept = list(rows)
        for row in kept:
            name = self._name_of(row.sink)
            if type(row.cursor) is not int or not 0 <= row.cursor <= size:
                raise VerificationError(
                    f"The sink {name} is at entry {printed(row.cursor)} of a log of {size}, so "
                    "that it would not be given what comes next: its place was altered."
                )
        if self._stopped is not None:
            self._compare_places({row.sink: row.cursor for row in kept})

    def _compare_places(self, places: Mapping[str, object], index: int | None = None) -> None:
        """See that every sink is where it was when the server stopped.

        Args:
            places: where each is now, by its ID.
            index: of the entry that says so; None of the table.

        Raises:
            VerificationError: one was moved while no server ran.
        """
        if self._stopped is None:
            return
        stop, before = self._stopped
        for sink in sorted(before.keys() | places.keys()):
            was, now = before.get(sink), places.get(sink)
            if was != now:
                raise VerificationError(
                    f"The sink {self._name_of(sink)} was at {_place(was)} when the server stopped, "
                    f"as entry {stop} recorded, and at {_place(now)} "
                    + ("now" if index is None else f"at the next start, entry {index}")
                    + ": its place was altered while no server ran, so that it misses entries or "
                    "gets some again.",
                    stop if index is None else index,
                )

    def _name_of(self, sink: object) -> str:
        name = self._names.get(str(sink))
        if name is None:
            raise VerificationError(
                f"Something is kept of a sink {printed(sink)} that the log does not know: it was "
                "put there behind its back."
            )
        return name

    def check_dead_letters(self, rows: Iterable[DeadLetter]) -> None:
        """Compare what is set aside with what was, and was not taken after all.

        Raises:
            VerificationError: naming the sink and the entry that says something else.
        """
        left = {
            (sink, index): letter
            for sink, letters in self._letters.items()
            for index, letter in letters.items()
        }
        for row in rows:
            name = self._name_of(row.sink)
            letter = left.pop((row.sink, row.index), None)
            if letter is None and row.index in self._about_sinks:
                continue
            if letter is None:
                raise VerificationError(
                    f"That the sink {name} refused entry {printed(row.index)} has no entry in the "
                    "log: it was put there behind its back."
                )
            if row.reason != letter.reason or not is_moment(row.time, letter.time):
                raise VerificationError(
                    f"Why the sink {name} refused entry {row.index} is not what entry "
                    f"{letter.entry} recorded.",
                    letter.entry,
                )
        for (sink, index), letter in left.items():
            raise VerificationError(
                f"Entry {index}, which the sink {self._names.get(sink, sink)} refused as entry "
                f"{letter.entry} recorded, is no longer set aside, and no entry says that it was "
                "taken.",
                letter.entry,
            )

    def check_replays(self, rows: Iterable[SinkReplay]) -> None:
        """Compare what is to be sent once more with what was asked for and is not done.

        Raises:
            VerificationError: naming the sink and the entry that says something else.
        """
        left = dict(self._replays)
        for row in rows:
            name = self._name_of(row.sink)
            asked = left.pop(row.id, None)
            if asked is None:
                raise VerificationError(
                    f"The replay {printed(row.id)} to the sink {name} has no entry in the log: it "
                    "was put there behind its back."
                )
            kept = row.sink, row.first, row.until, bool(row.only_dead_letters)
            is_within = type(row.cursor) is int and asked.first <= row.cursor <= asked.until
            if kept != asked[1:5] or not is_within or not is_moment(row.requested, asked.requested):
                raise VerificationError(
                    f"The replay to the sink {name} is not what entry {asked.entry} recorded.",
                    asked.entry,
                )
        for asked in left.values():
            raise VerificationError(
                f"The replay to the sink {self._names.get(asked.sink, asked.sink)} that entry "
                f"{asked.entry} recorded is gone, and no entry says that it is done.",
                asked.entry,
            )


def _places_of(entry: Mapping[str, Any]) -> dict[str, int]:
    """Return where each sink is, by its ID, as a stop or a start says it."""
    return {said["id"]: said["cursor"] for said in entry["sinks"]}


def _place(cursor: object) -> str:
    return "no place" if cursor is None else f"entry {cursor}"
