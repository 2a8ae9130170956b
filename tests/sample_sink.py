"""A sink that keeps what it is given, installed as another package would install one."""

from importlib.metadata import EntryPoint
from typing import Annotated, ClassVar, Final

import pytest
from msgspec import Meta

import proxy.sinks
from proxy.sinks.contract import Batch, Context, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import SecretName, Url, require_safe_url

TYPE: Final = "sample"


class SampleOptions(Options, frozen=True):
    """Where a sample goes.

    Attributes:
        url: the address.
        secret: name of the secret that proves who sends; empty sends without one.
        size: how many at once.
        tags: labels.
        is_down: whether it takes nothing.
    """

    url: Url
    secret: SecretName | None = None
    size: Annotated[int, Meta(ge=1, le=1000)] = 100
    tags: tuple[str, ...] = ()
    is_down: bool = False

    def __post_init__(self) -> None:
        """Check the address; raises FieldError."""
        require_safe_url(self.url, "url")


class SampleSink:
    """Keeps batches; its class keeps all sinks that were made, for tests to look at."""

    options_type: ClassVar[type[Options]] = SampleOptions
    made: ClassVar[list["SampleSink"]] = []

    def __init__(self, options: SampleOptions, context: Context) -> None:
        self.limits = Limits(events=options.size)
        self.options = options
        self.secret = None if options.secret is None else context.secret(options.secret)
        self.batches: list[Batch] = []
        self.is_closed = False
        self.made.append(self)

    async def send(self, batch: Batch) -> Receipt:
        """Keep the batch."""
        self._require_up()
        self.batches.append(batch)
        return Receipt(f"{len(batch.events)} kept")

    async def probe(self) -> str:
        """Say whether it is up."""
        self._require_up()
        return f"{self.options.url} is there"

    async def aclose(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    def _require_up(self) -> None:
        if self.options.is_down:
            raise NotTakenError(f"{self.options.url} is down")


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be the type for as long as the test runs."""
    entry_point = EntryPoint(TYPE, f"{__name__}:{SampleSink.__name__}", proxy.sinks.GROUP)
    known = proxy.sinks._installed()
    monkeypatch.setattr(proxy.sinks, "_installed", lambda: {**known, TYPE: entry_point})
    monkeypatch.setattr(SampleSink, "made", [])
