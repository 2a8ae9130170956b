"""What contracts.Sink promises, as tests that every type of sink passes.

A type takes part by a row in tests/sinks/rows.py: an HttpRow when it speaks HTTP, for which the
far side is made to misbehave in every way there is; else a Row that brings its own receiver.
"""

import logging
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import pytest

from proxy.errors import TfauditError
from proxy.sinks import open_sink
from proxy.sinks.contract import (
    Batch,
    NotTakenError,
    Receipt,
    RefusedError,
    Sink,
    SinkGoneError,
)
from tests.certificates import Authority
from tests.forwarded import a_batch, a_context, batch_of, ids_of
from tests.receivers.far_side import Answers, FarSide, Fault, Reply, Seen, a_far_side, server_tls

Outcome: TypeAlias = str
"""``taken``, ``again``, ``repair``, ``refused`` or ``gone``."""


class Rig(Protocol):
    """A sink and what it sends to."""

    sink: Sink
    secrets: Mapping[str, str]

    async def arrived(self) -> list[str]:
        """Return the IDs of the entries that arrived, as often as they did, in order."""
        ...


@dataclass(frozen=True)
class Row:
    """A type that speaks no HTTP.

    Attributes:
        rig: opens a sink of the type and a receiver in an empty directory.
    """

    rig: Callable[[Path], AbstractAsyncContextManager[Rig]]


@dataclass(frozen=True)
class HttpRow:
    """A type that speaks HTTP.

    Attributes:
        options: those that make it send to this address.
        ids: of the entries in one request that a healthy far side took; none for another.
        secrets: by name, given the address.
        healthy: makes what a healthy far side answers; anew for each test, so it may remember.
        outcomes: of statuses with another meaning than usual.
        needs_content: whether a success without its content is none.
    """

    options: Callable[[str], dict[str, Any]]
    ids: Callable[[Seen], list[str]]
    secrets: Callable[[str], dict[str, str]] = lambda _: {}
    healthy: Callable[[], Answers] = lambda: lambda _: Reply()
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    needs_content: bool = False


@dataclass
class HttpRig:
    """A sink that sends to a FarSide."""

    of: str
    row: HttpRow
    far: FarSide
    sink: Sink
    secrets: Mapping[str, str]

    async def arrived(self) -> list[str]:
        """Return the IDs in all requests, also in those that were not answered well."""
        return [each for seen in self.far.seen for each in self.row.ids(seen)]


def opened(of: str, row: HttpRow, url: str, **options: Any) -> tuple[Sink, dict[str, str]]:
    """Return a sink that sends to an address, and its secrets."""
    secrets = row.secrets(url)
    return open_sink(of, {**row.options(url), **options}, a_context(secrets)), secrets


@asynccontextmanager
async def an_http_rig(
    of: str, row: HttpRow, answer: Answers | None = None, **options: Any
) -> AsyncIterator[HttpRig]:
    """Run a far side and open a sink that sends to it."""
    async with a_far_side(answer or row.healthy()) as far:
        sink, secrets = opened(of, row, far.url, **options)
        try:
            yield HttpRig(of, row, far, sink, secrets)
        finally:
            await sink.aclose()


def expected(status: int, row: HttpRow) -> Outcome:
    """Return what a status means to any sink; written down apart from the code."""
    if status in row.outcomes:
        return row.outcomes[status]
    if 200 <= status <= 299:
        return "taken"
    if status in (400, 413, 422):
        return "refused"
    if status in (408, 425, 429) or status >= 500 or status < 200:
        return "again"
    return "repair"


async def outcome(sink: Sink, batch: Batch, secrets: Mapping[str, str]) -> Outcome:
    """Send, and return what became of it; whatever it says holds no secret.

    Raises:
        AssertionError: it does.
    """
    try:
        receipt = await sink.send(batch)
    except TfauditError as error:
        require_clean("".join(traceback.format_exception(error)), secrets)
        match error:
            case NotTakenError(left=left, needs_repair=needs_repair):
                assert left is None or left <= set(range(len(batch.events)))
                return "repair" if needs_repair else "again"
            case RefusedError(refused=refused, left=left):
                assert refused
                assert not refused & left
                return "refused"
            case SinkGoneError():
                return "gone"
        raise
    assert isinstance(receipt, Receipt)
    require_clean(receipt.said, secrets)
    assert not receipt.rejected
    return "taken"


def require_clean(text: str, secrets: Mapping[str, str]) -> None:
    """Pass when the text has nothing of a secret that tells it.

    Raises:
        AssertionError: it has.
    """
    for name, secret in secrets.items():
        for part in {secret, *(x for x in secret.split("/") if len(x) > 15)}:
            assert part not in text, f"the secret {name} is in {text}"


async def deliver(sink: Sink, batch: Batch, tries: int = 200) -> None:
    """Send a batch as the forwarder does, until all of it was taken.

    Raises:
        AssertionError: it never was.
    """
    events = batch.events
    for _ in range(tries):
        now = events[: sink.limits.events]
        try:
            await sink.send(a_batch(*now))
        except NotTakenError as error:
            left = range(len(now)) if error.left is None else sorted(error.left)
            events = (*(now[index] for index in left), *events[len(now) :])
        else:
            events = events[len(now) :]
        if not events:
            return
    pytest.fail(f"{len(events)} events were never taken")


class SinkContract:
    """For every type: what is sent arrives, in order, once for each time that it is sent."""

    async def test_what_is_sent_arrives_in_order(self, rig: Rig) -> None:
        """Over several batches, and their parts."""
        batches = [batch_of(min(rig.sink.limits.events, 7), first) for first in (0, 10, 20)]
        for batch in batches:
            assert "taken" == await outcome(rig.sink, batch, rig.secrets)
        assert [each for batch in batches for each in ids_of(batch)] == await rig.arrived()

    async def test_a_batch_sent_twice_is_known_by_its_ids(self, rig: Rig) -> None:
        """Delivery is at least once: the far side can tell what it has already."""
        batch = batch_of(min(rig.sink.limits.events, 3))
        await rig.sink.send(batch)
        first = await rig.arrived()
        await rig.sink.send(batch)
        assert set(ids_of(batch)) == set(first) == set(await rig.arrived())

    async def test_the_probe_sends_no_event(self, rig: Rig) -> None:
        """And says what it found, without a secret."""
        said = await rig.sink.probe()
        assert said
        require_clean(said, rig.secrets)
        assert [] == await rig.arrived()

    async def test_closing_twice_is_nothing(self, rig: Rig) -> None:
        """Neither is closing what was never used."""
        await rig.sink.aclose()
        await rig.sink.aclose()

    async def test_what_is_closed_loses_nothing(self, rig: Rig) -> None:
        """It says that it takes no more, or opens again: no success without delivery."""
        await rig.sink.send(batch_of(1))
        await rig.sink.aclose()
        late = batch_of(1, 5)
        taken = "taken" == await outcome(rig.sink, late, rig.secrets)
        assert taken is (ids_of(late)[0] in await rig.arrived())

    async def test_nothing_that_is_printed_shows_a_secret(
        self, rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Neither the sink, nor a line of anybody's log in full detail."""
        caplog.set_level(logging.DEBUG)
        await rig.sink.send(batch_of(1))
        await rig.sink.probe()
        printed = "".join(capfd.readouterr())
        require_clean(f"{rig.sink!r} {caplog.text} {printed}", rig.secrets)


QUOTED: Final = frozenset({300, 400, 401, 403, 404, 410, 413, 429, 451, 500, 503})
"""Of these the whole answer is made up of what may not be quoted."""


def echo(status: int, headers: Mapping[str, str] | None = None) -> Answers:
    """Return an answer that repeats all that was asked: the worst to quote."""

    def answer(seen: Seen) -> Reply:
        lines = "\n".join(f"{name}: {value}" for name, value in seen.headers.items())
        body = f"no: {seen.method} {seen.target}\n{lines}\n".encode() + seen.body
        return Reply(status, body, headers or {})

    return answer


def bare(status: int) -> Answers:
    """Return an answer without content."""
    return lambda _: Reply(status)


class HttpSinkContract:
    """For every type that speaks HTTP: whatever its far side does."""

    async def test_every_status_is_understood(self, of: str, row: HttpRow) -> None:
        """From 100 to 599; of some the answer repeats the request and its credentials."""
        async with an_http_rig(of, row) as rig:
            batch = batch_of(1)
            for status in range(100, 600):
                if 200 <= status <= 299:
                    continue  # has the content of a success: the next test
                rig.far.answer = echo(status) if status in QUOTED else bare(status)
                said = await outcome(rig.sink, batch, rig.secrets)
                assert expected(status, row) == said, status

    async def test_a_success_is_one(self, of: str, row: HttpRow) -> None:
        """Of any number, when it has the content that the far side's successes have."""
        healthy = row.healthy()

        def answer(seen: Seen) -> Reply | Fault:
            match healthy(seen):
                case Reply(_, body, headers):
                    return Reply(status, body, headers)
                case fault:
                    return fault

        async with an_http_rig(of, row, answer) as rig:
            for status in range(200, 300):
                # The one success that has no content, ever (RFC 9110 section 15.3.5).
                wanted = "repair" if row.needs_content and status == 204 else "taken"
                batch = batch_of(1, status)
                assert wanted == await outcome(rig.sink, batch, rig.secrets), status

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_no_redirection_is_followed(self, of: str, row: HttpRow, status: int) -> None:
        """The events and the credentials go nowhere else."""
        async with a_far_side() as other, an_http_rig(of, row) as rig:
            rig.far.answer = echo(status, {"location": f"{other.url}/elsewhere"})
            assert "repair" == await outcome(rig.sink, batch_of(1), rig.secrets)
            assert [] == other.seen

    @pytest.mark.parametrize("fault", [Fault.CLOSE, Fault.RESET, Fault.CUT])
    async def test_an_answer_that_breaks_off_is_none(
        self, of: str, row: HttpRow, fault: Fault
    ) -> None:
        """Also a success: the events are sent again."""
        async with an_http_rig(of, row, lambda _: fault) as rig:
            assert "again" == await outcome(rig.sink, batch_of(1), rig.secrets)
            rig.far.answer = row.healthy()
            assert "taken" == await outcome(rig.sink, batch_of(1), rig.secrets)

    async def test_an_answer_that_never_comes_is_none(self, of: str, row: HttpRow) -> None:
        """Within the option ``timeout``."""
        async with an_http_rig(of, row, lambda _: Fault.SILENCE, timeout=0.05) as rig:
            assert "again" == await outcome(rig.sink, batch_of(1), rig.secrets)

    async def test_nobody_listens(self, of: str, row: HttpRow) -> None:
        """The connection is refused: again later; the probe says so, too."""
        async with a_far_side() as far:
            url = far.url
        sink, secrets = opened(of, row, url)
        assert "again" == await outcome(sink, batch_of(1), secrets)
        with pytest.raises(NotTakenError, match="refuses the connection") as caught:
            await sink.probe()
        require_clean(str(caught.value), secrets)
        await sink.aclose()

    async def test_a_certificate_of_an_unknown_authority(
        self, of: str, row: HttpRow, authority: Authority, tmp_path: Path
    ) -> None:
        """Not one byte is sent to it; with its authority in the option ``ca`` it is trusted."""
        async with a_far_side(row.healthy(), server_tls(authority, tmp_path)) as far:
            sink, secrets = opened(of, row, far.url)
            assert "repair" == await outcome(sink, batch_of(1), secrets)
            assert [] == far.seen
            await sink.aclose()
            (tmp_path / "ca.pem").write_text(authority.pem)
            sink, secrets = opened(of, row, far.url, ca=str(tmp_path / "ca.pem"))
            assert "taken" == await outcome(sink, batch_of(1), secrets)
            await sink.aclose()

    @pytest.mark.parametrize("status", [429, 503])
    async def test_what_the_far_side_asks_for_is_told(
        self, of: str, row: HttpRow, status: int
    ) -> None:
        """Seconds of Retry-After."""
        async with an_http_rig(of, row, echo(status, {"retry-after": "17"})) as rig:
            with pytest.raises(NotTakenError) as caught:
                await rig.sink.send(batch_of(1))
            assert 17 == caught.value.retry_after

    @pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 503])
    async def test_the_far_sides_own_words_are_in_no_message(
        self, of: str, row: HttpRow, status: int
    ) -> None:
        """They may be anything, a secret in whatever form: they stand beside it, for one reader."""
        words = Reply(status, b"a zebra crossed", {"x-zebra": "zebra"})
        async with an_http_rig(of, row, lambda _: words) as rig:
            for called in (lambda: rig.sink.send(batch_of(1)), rig.sink.probe):
                try:
                    said = repr(await called())
                except (NotTakenError, RefusedError, SinkGoneError) as error:
                    said = "".join(traceback.format_exception(error))
                assert "zebra" not in said

    @pytest.mark.parametrize("healthy", [0, 1, 2, 3])
    @pytest.mark.parametrize("after", [Reply(503), Fault.RESET])
    async def test_a_failure_in_the_middle_loses_nothing(
        self, of: str, row: HttpRow, healthy: int, after: Reply | Fault
    ) -> None:
        """Whichever request fails: what is left is told, and arrives in order."""
        count = 0
        well = row.healthy()

        def answer(seen: Seen) -> Reply | Fault:
            nonlocal count
            count += 1
            return after if count == healthy + 1 else well(seen)

        async with an_http_rig(of, row, answer) as rig:
            batch = batch_of(5)
            await deliver(rig.sink, batch)
            arrived = await rig.arrived()
            assert ids_of(batch) == sorted(set(arrived), key=arrived.index)

    async def test_requests_say_who_asks_and_take_nothing_packed(
        self, of: str, row: HttpRow
    ) -> None:
        """The product and its version; a small answer can't become a huge one."""
        async with an_http_rig(of, row) as rig:
            await rig.sink.send(batch_of(1))
            for seen in rig.far.seen:
                assert seen.headers["user-agent"].startswith("tfaudit/")
                assert "identity" == seen.headers["accept-encoding"]
                assert "cookie" not in seen.headers

    async def test_a_huge_answer_is_not_read(self, of: str, row: HttpRow) -> None:
        """And what is quoted of it is short."""
        huge = Reply(500, b"x " * 500_000)
        async with an_http_rig(of, row, lambda _: huge) as rig:
            with pytest.raises((NotTakenError, RefusedError)) as caught:
                await rig.sink.send(batch_of(1))
            assert len(str(caught.value)) < 500
