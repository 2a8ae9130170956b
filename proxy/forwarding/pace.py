"""How long a forwarder waits, and how often it makes news of a sink."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """All times in seconds.

    Attributes:
        linger: a batch that is not full waits so long for more.
        first_wait: the longest wait after a first failure; doubled with each further one.
        longest_wait: the longest wait as long as the circuit is closed.
        open_after: failures in a row that open the circuit.
        open_wait: the longest wait when it is open.
        repair_wait: the longest wait when somebody has to mend something first.
        retry_after_limit: what the far side asks for is honoured so far.
        deadline: for one call of the sink.
        save: how far a sink is is kept at least so often while it moves.
        store_wait: before the store is asked again when it failed.
        news: between two ``sink.failed`` of one sink, at least.
        distrust_after: events refused in a row, none taken in between, after which it is not they
            that are wrong but the sink.
        look_ahead: events that are looked at, at most, for one that it takes.
    """

    linger: float = 0.25
    first_wait: float = 1.0
    longest_wait: float = 60.0
    open_after: int = 5
    open_wait: float = 300.0
    repair_wait: float = 900.0
    retry_after_limit: float = 3600.0
    deadline: float = 120.0
    save: float = 1.0
    store_wait: float = 1.0
    news: float = 600.0
    distrust_after: int = 10
    look_ahead: int = 1000

    def wait(  # noqa: PLR0913 - what decides it
        self,
        failures: int,
        chance: float,
        *,
        is_open: bool,
        needs_repair: bool = False,
        retry_after: float | None = None,
        is_local: bool = False,
    ) -> float:
        """Return the seconds until the next try.

        As long as the circuit is closed that is exponential back-off with full jitter: anything
        from nothing to the longest wait, so that many sinks of one far side don't come at once.

        Args:
            failures: in a row, from 1 on.
            chance: random, from 0 to 1.
            is_open: whether the circuit is open.
            needs_repair: whether somebody has to mend something first.
            retry_after: what the far side asks for; None when it does not.
            is_local: whether a try asks nobody but this machine.
        """
        if is_local:
            wait = self.longest_wait
        elif needs_repair:
            wait = self.repair_wait * (1 + chance) / 2
        elif is_open:
            wait = self.open_wait * (1 + chance) / 2
        else:
            doublings = min(failures - 1, 30)
            wait = min(self.longest_wait, self.first_wait * 2**doublings) * chance
        if retry_after is not None:
            wait = max(wait, min(retry_after, self.retry_after_limit))
        return wait
