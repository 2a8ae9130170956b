"""Datadog Logs: the intake's limits, its clock, and what a log looks like."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from proxy.fields import FieldError
from proxy.sinks import open_sink, read_options
from proxy.sinks.contract import Event, NotTakenError, RefusedError, Sink
from tests.forwarded import (
    CHECKPOINT,
    NOW,
    a_batch,
    a_context,
    an_entry,
    an_event,
    batch_of,
    ids_of,
)
from tests.receivers.intake import DATADOG_KEY, Intake


def a_sink(intake: Intake, *, key: str = DATADOG_KEY, **options: Any) -> Sink:
    """Return a sink that sends to the intake."""
    given = {"api_key_secret": "datadog_api_key", "url": intake.url, **options}
    return open_sink("datadog-logs", given, a_context({"datadog_api_key": key}, now=intake.now))


async def test_a_log_has_what_datadog_shows(intake: Intake) -> None:
    """Reserved and standard attributes, Scalr's names, and the entry as it is with its proof."""
    event = an_event(3, outcome="denied")
    sink = a_sink(intake, tags=["env:prod"], hostname="proxy-1")
    assert "202 Accepted" == (await sink.send(a_batch(event))).said
    await sink.aclose()
    (log,) = intake.logs
    assert event.entry["message"] == log["message"]
    assert ("tfaudit", "audit-log", "proxy-1", "warning") == (
        log["ddsource"],
        log["service"],
        log["hostname"],
        log["status"],
    )
    assert "env:prod,event:state.written,outcome:denied,workspace:prod/network" == log["ddtags"]
    assert {"type": "user", "id": "id-of-alice", "display-name": "alice"} == log["actor"]
    assert {
        "id": "request-3",
        "action": "state.written",
        "ip-address": "10.0.0.7",
        "source": "terraform",
        "user-agent": "Terraform/1.11.4",
    } == log["request"]
    assert {"result": "DENIED", "status-code": 200} == log["outcome"]
    assert "prod/network" == log["target"]["display-name"]
    assert event.entry == log["tfaudit"]["entry"]
    assert (3, event.record.leaf_hash.hex()) == (
        log["tfaudit"]["index"],
        log["tfaudit"]["leaf_hash"],
    )
    assert event.record.signature == base64.b64decode(log["tfaudit"]["signature"]["value"])


async def test_the_checkpoint_is_with_the_last_log_of_each_request(intake: Intake) -> None:
    """So that whoever has the logs has evidence against the operator."""
    sink = a_sink(intake)
    await sink.send(batch_of(3))
    await sink.aclose()
    assert [None, None, CHECKPOINT] == [log.get("checkpoint") for log in intake.logs]


async def test_a_batch_is_parted_below_five_megabytes(intake: Intake) -> None:
    """In order, without one that is lost: the whole of 1,000 entries of the largest size."""
    batch = a_batch(*(an_event(index, message="x" * 60_000) for index in range(200)))
    sink = a_sink(intake)
    await sink.send(batch)
    await sink.aclose()
    assert ids_of(batch) == [log["tfaudit"]["entry"]["id"] for log in intake.logs]
    assert intake.requests["/api/v2/logs"] > 2
    assert [] == intake.lost


async def test_a_thousand_logs_are_one_request(intake: Intake) -> None:
    """And that is the most that the sink asks for."""
    sink = a_sink(intake)
    assert 1000 == sink.limits.events
    await sink.send(batch_of(1000))
    await sink.aclose()
    assert (1000, 1) == (len(intake.logs), intake.requests["/api/v2/logs"])


async def test_a_log_above_a_megabyte_is_cut_by_us(intake: Intake) -> None:
    """It says so, and where the entry is as a whole; Datadog would cut it in silence."""
    small = an_event(7)
    huge = Event(small.record, an_entry(7, message="m" * 1_200_000))
    sink = a_sink(intake)
    await sink.send(a_batch(huge, an_event(8)))
    await sink.aclose()
    assert [] == intake.lost
    log = intake.logs[0]
    assert "the log has entry 7 as a whole" in log["tfaudit"]["cut"]
    assert log["ddtags"].endswith(",cut:true")
    assert hashlib.sha256(small.record.entry).hexdigest() == log["tfaudit"]["sha256"]
    assert small.record.leaf_hash.hex() == log["tfaudit"]["leaf_hash"]
    assert log["message"].endswith("m…")


@pytest.mark.parametrize(
    ("hours", "is_late"), [(0, False), (17, False), (17.9, True), (18.1, True), (90, True)]
)
async def test_an_old_event_gets_the_present_time(
    intake: Intake, hours: float, is_late: bool
) -> None:
    """Datadog believes no time older than 18 hours; ours stays in an attribute."""
    intake.now = NOW + timedelta(hours=hours)
    sink = a_sink(intake)
    event = an_event()
    await sink.send(a_batch(event))
    await sink.aclose()
    assert [] == intake.lost
    (log,) = intake.logs
    assert event.entry["time"] == log["event_time"] == log["tfaudit"]["entry"]["time"]
    assert is_late is log.get("late", False)
    wanted = intake.now if is_late else NOW
    assert int(wanted.timestamp() * 1000) == log["timestamp"]


async def test_a_receiver_that_was_down_for_days_loses_nothing(intake: Intake) -> None:
    """Every event arrives, in order, each with its own time beside the date that is shown."""
    batch = batch_of(50)
    intake.broken = 2
    sink = a_sink(intake)
    for _ in range(2):
        with pytest.raises(NotTakenError):
            await sink.send(batch)
    await sink.aclose()
    intake.now = NOW + timedelta(days=4)
    sink = a_sink(intake)
    await sink.send(batch)
    await sink.aclose()
    assert [event.entry["time"] for event in batch.events] == [
        log["event_time"] for log in intake.logs
    ]
    assert [] == intake.lost


async def test_too_many_requests_say_for_how_long(intake: Intake) -> None:
    """X-RateLimit-Reset is Datadog's own."""
    intake.busy = 1
    sink = a_sink(intake)
    with pytest.raises(NotTakenError, match=r"429 Too Many Requests$") as caught:
        await sink.send(batch_of(1))
    await sink.aclose()
    assert (7, False) == (caught.value.retry_after, caught.value.needs_repair)
    assert "slow down" in caught.value.heard


async def test_a_key_that_is_wrong_sets_nothing_aside(intake: Intake) -> None:
    """Neither on sending nor on the probe; a key that is right passes the probe."""
    sink = a_sink(intake, key="f" * 32)
    for call in (sink.send(batch_of(1)), sink.probe()):
        with pytest.raises(NotTakenError, match="403 Forbidden") as caught:
            await call
        assert caught.value.needs_repair
    await sink.aclose()
    sink = a_sink(intake)
    assert "key is valid" in await sink.probe()
    await sink.aclose()


async def test_what_is_too_large_all_the_same_is_refused(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """413: the forwarder halves it until the one that is too large stands alone."""
    monkeypatch.setattr("proxy.sinks.datadog_logs.MAX_BODY", 20_000_000)
    sink = a_sink(intake)
    batch = a_batch(*(an_event(index, message="x" * 60_000) for index in range(60)))
    with pytest.raises(RefusedError, match="413") as caught:
        await sink.send(batch)
    await sink.aclose()
    assert set(range(60)) == caught.value.refused


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"site": "datadoghq.org"}, "site", "choose one of ap1.datadoghq.com"),
        ({"tags": ["a b"]}, "tags[0]", "without spaces and commas"),
        ({"api_key_secret": "ABC"}, "api_key_secret", "name of a secret"),
        ({"api_key": "x"}, "api_key", "did you mean api_key_secret"),
        ({"timeout": 0}, "timeout", "> 0"),
    ],
)
def test_options_that_are_wrong_are_told(options: dict[str, Any], field: str, said: str) -> None:
    """The field and the fix."""
    with pytest.raises(FieldError, match=said) as caught:
        read_options("datadog-logs", {"api_key_secret": "datadog", **options})
    assert f"options.{field}" == caught.value.field


def test_each_site_has_its_own_intake() -> None:
    """No key goes to a site that it isn't of."""
    options = {"api_key_secret": "key", "site": "datadoghq.eu"}
    sink = open_sink("datadog-logs", options, a_context({"key": DATADOG_KEY}))
    assert "https://http-intake.logs.datadoghq.eu/api/v2/logs" == sink._datadog.url  # type: ignore[attr-defined]
    assert "https://api.datadoghq.eu/api/v1/validate" == sink._datadog._validate  # type: ignore[attr-defined]
