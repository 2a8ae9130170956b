"""Events that are under way together, and what became of each."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from proxy.contracts import SinkReplay
from proxy.sink_entries import is_about_sinks
from proxy.sinks.contract import Event


class Window:
    """The events from the cursor on that are done with together.

    Args:
        events: in the order of the log; perhaps none, when nothing up to ``end`` is for the sink.
        end: one more than the index of the last entry that was looked at.
        replay: whose they are; None are new.
        known: indices of those that were set aside before: nobody wonders if they are again.
    """

    def __init__(
        self,
        events: Sequence[Event],
        end: int,
        replay: SinkReplay | None = None,
        known: Collection[int] = (),
    ) -> None:
        self.events = tuple(events)
        self.end = end
        self.replay = replay
        self.taken: set[int] = set()
        self.refused: dict[int, str] = {}
        self.suspects: dict[int, str] = {}
        self._is_proven = False
        self._known = frozenset(known)

    @property
    def pending(self) -> list[Event]:
        """Of which nothing is known yet."""
        done = self.taken | self.refused.keys() | self.suspects.keys()
        return [each for each in self.events if each.record.index not in done]

    @property
    def answered(self) -> int:
        """Of how many something is known."""
        return len(self.taken) + len(self.refused) + len(self.suspects)

    @property
    def reached(self) -> int:
        """The index below which the far side has taken everything."""
        for each in self.events:
            if each.record.index not in self.taken:
                return each.record.index
        return self.end

    @property
    def is_only_about_sinks(self) -> bool:
        """Whether it has nothing but entries about sinks, of which there is something."""
        return bool(self.events) and all(is_about_sinks(each.entry) for each in self.events)

    def take(self, indices: Iterable[int]) -> bool:
        """Note that the far side has these; tell whether there were any.

        So it does take events, and those that it refused meanwhile are to blame themselves.
        """
        before = len(self.taken)
        self.taken.update(indices)
        if len(self.taken) == before:
            return False
        self.convict()
        return True

    def refuse(self, refused: Mapping[int, str]) -> int:
        """Note that the far side refuses these; return how many of them are suspects now."""
        known = refused.keys() if self._is_proven else refused.keys() & self._known
        self.refused.update({index: refused[index] for index in known})
        fresh = {index: reason for index, reason in refused.items() if index not in known}
        self.suspects.update(fresh)
        return len(fresh)

    def convict(self) -> None:
        """Decide that the suspects are wrong, not the sink: they are to be set aside."""
        self.refused.update(self.suspects)
        self.suspects.clear()

    def try_again(self) -> None:
        """Have the suspects given again to a sink that takes something after all.

        Perhaps it was mended meanwhile. Whatever it refuses now is to blame itself.
        """
        self.suspects.clear()
        self._is_proven = True

    def split(self) -> tuple["Window", list[Event]]:
        """Return what stands before the first suspect, and from it on what is to be given again."""
        first = min(self.suspects)
        before = [each for each in self.events if each.record.index < first]
        after = [each for each in self.events if each.record.index >= first]
        head = Window(before, first, self.replay)
        head.taken = {each.record.index for each in before} & self.taken
        head.refused = {i: reason for i, reason in self.refused.items() if i < first}
        return head, [each for each in after if each.record.index not in self.taken]
