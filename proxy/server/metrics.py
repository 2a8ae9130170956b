"""What Prometheus can ask: counts and times, never a path or a workspace as a label.

The only names that are labels are those of sinks and anchors: few, and the administrator's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from proxy.anchors.keeping import AnchorStatus
from proxy.sink_status import STATES, SinkStatus

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "LOCK", "UNLOCK", "OPTIONS"})
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_JOBS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _Requests(Collector):
    """Counts requests on the event loop, which alone does so: no lock, and no look for a child."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str, int], int] = {}
        self._received = 0
        self._sent = 0

    def add(self, key: tuple[str, str, int], received: int, sent: int) -> None:
        """Count one by route, method and status, and the bytes of its bodies."""
        self._answered[key] = self._answered.get(key, 0) + 1
        self._received += received
        self._sent += sent

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts for a scrape."""
        answered = CounterMetricFamily(
            "tfaudit_requests", "Requests answered.", labels=("route", "method", "status")
        )
        for (route, method, status), number in self._answered.items():
            answered.add_metric((route, method, str(status)), number)
        yield answered
        yield CounterMetricFamily(
            "tfaudit_request_bytes", "Bytes of request bodies.", value=self._received
        )
        yield CounterMetricFamily(
            "tfaudit_response_bytes", "Bytes of response bodies.", value=self._sent
        )


_SINK_GAUGES: Final[Mapping[str, tuple[str, Callable[[SinkStatus], float]]]] = {
    "tfaudit_sink_lag_entries": (
        "Entries of the log that the sink was not given yet.",
        lambda sink: sink.lag,
    ),
    "tfaudit_sink_lag_seconds": (
        "Age of the oldest of those.",
        lambda sink: sink.age,
    ),
    "tfaudit_sink_dead_letters": (
        "Entries that are set aside for the sink.",
        lambda sink: sink.dead_letters,
    ),
}

_SINK_COUNTERS: Final[Mapping[str, tuple[str, Callable[[SinkStatus], float]]]] = {
    "tfaudit_sink_delivered": (
        "Entries that the far side took.",
        lambda sink: sink.delivered,
    ),
    "tfaudit_sink_retries": (
        "Batches that the sink was given again.",
        lambda sink: sink.retries,
    ),
}


class _Sinks(Collector):
    """Says how the sinks are doing, as asked of the store for this scrape."""

    def __init__(self) -> None:
        self.statuses: Sequence[SinkStatus] = ()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the numbers of each sink for a scrape."""
        state = GaugeMetricFamily(
            "tfaudit_sink_state", "1 for the state that the sink is in.", labels=("sink", "state")
        )
        for sink in self.statuses:
            for each in STATES:
                state.add_metric((sink.name, each), float(each == sink.state))
        yield state
        for name, (help_text, read) in _SINK_GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text, labels=("sink",))
            for sink in self.statuses:
                gauge.add_metric((sink.name,), read(sink))
            yield gauge
        for name, (help_text, read) in _SINK_COUNTERS.items():
            counter = CounterMetricFamily(name, help_text, labels=("sink",))
            for sink in self.statuses:
                counter.add_metric((sink.name,), read(sink))
            yield counter


_ANCHOR_GAUGES: Final[Mapping[str, tuple[str, Callable[[AnchorStatus], float]]]] = {
    "tfaudit_anchor_lag_entries": (
        "Entries of the log that the newest checkpoint in the anchor does not cover.",
        lambda anchor: anchor.lag,
    ),
    "tfaudit_anchor_lag_seconds": (
        "Age of the oldest of those; +Inf until the log was compared with the anchor.",
        lambda anchor: anchor.age,
    ),
    "tfaudit_anchor_compared": (
        "1 when the log was compared with the anchor since the start.",
        lambda anchor: anchor.is_compared,
    ),
}


class _Anchors(Collector):
    """Says how far the anchors are; nothing without any."""

    def __init__(self) -> None:
        self.statuses: Sequence[AnchorStatus] = ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the numbers of each anchor for a scrape."""
        if not self.statuses:
            return
        for name, (help_text, read) in _ANCHOR_GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text, labels=("anchor",))
            for anchor in self.statuses:
                gauge.add_metric((anchor.name,), read(anchor))
            yield gauge


class _Cosigned(Collector):
    """Says how old the newest cosigned checkpoint is; nothing without witnesses."""

    def __init__(self) -> None:
        self.age: float | None = None
        self.size: int | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield both numbers for a scrape."""
        if self.age is None or self.size is None:
            return
        yield GaugeMetricFamily(
            "tfaudit_cosigned_checkpoint_age_seconds",
            "Seconds since a quorum of witnesses cosigned a checkpoint; +Inf if never.",
            value=self.age,
        )
        yield GaugeMetricFamily(
            "tfaudit_cosigned_checkpoint_entries",
            "Entries of the log that the newest cosigned checkpoint covers.",
            value=self.size,
        )


class Metrics:
    """The counters of one program, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = _Requests()
        self.registry.register(self._requests)
        self._sinks = _Sinks()
        self.registry.register(self._sinks)
        self._cosigned = _Cosigned()
        self.registry.register(self._cosigned)
        self._anchors = _Anchors()
        self.registry.register(self._anchors)
        self._commit = Histogram(
            "tfaudit_commit_seconds",
            "Seconds a batch's transaction took, fsync included.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "tfaudit_batch_jobs",
            "Jobs committed together.",
            buckets=_JOBS,
            registry=self.registry,
        )
        self._entries = Counter(
            "tfaudit_entries", "Audit entries committed.", registry=self.registry
        )
        self._locks = Gauge("tfaudit_locks_held", "Locks held now.", registry=self.registry)

    def on_request(
        self, route: str, method: str, status: int, *, received: int = 0, sent: int = 0
    ) -> None:
        """Count one answered request.

        Args:
            route: the route's name, of a closed set; never the path.
            method: as the client says; whatever is not ours counts as ``other``.
            status: of the answer.
            received: bytes of the request's body.
            sent: bytes of the answer's body.
        """
        self._requests.add(
            (route, method if method in _METHODS else "other", status), received, sent
        )

    def on_commit(self, jobs: int, entries: int, seconds: float) -> None:
        """Count one committed batch; called on the writer's thread."""
        self._commit.observe(seconds)
        self._batch.observe(jobs)
        self._entries.inc(entries)

    def render(
        self,
        locks_held: float,
        sinks: Sequence[SinkStatus] = (),
        anchors: Sequence[AnchorStatus] = (),
        *,
        cosigned_age: float | None = None,
        cosigned_size: int | None = None,
    ) -> bytes:
        """Return the text exposition format.

        Args:
            locks_held: asked of the store for this scrape; NaN when it could not tell.
            sinks: asked of it the same way; none when it could not tell.
            anchors: the same.
            cosigned_age: seconds since the newest cosigned checkpoint was; infinite when there is
                none; None without witnesses.
            cosigned_size: entries that it covers.
        """
        self._cosigned.age, self._cosigned.size = cosigned_age, cosigned_size
        self._locks.set(locks_held)
        self._sinks.statuses = sinks
        self._anchors.statuses = anchors
        return generate_latest(self.registry)
