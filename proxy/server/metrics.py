"""What Prometheus can ask: counts and times, never a path, a workspace or a name as a label."""

from collections.abc import Iterator
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
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

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


class Metrics:
    """The counters of one program, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = _Requests()
        self.registry.register(self._requests)
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

    def render(self, locks_held: float) -> bytes:
        """Return the text exposition format.

        Args:
            locks_held: asked of the store for this scrape; NaN when it could not tell.
        """
        self._locks.set(locks_held)
        return generate_latest(self.registry)
