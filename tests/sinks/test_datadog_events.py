"""Datadog Events: what a person and a monitor see of an event, in both versions."""

from datetime import timedelta
from typing import Any

import pytest

from proxy.patterns import parse
from proxy.sinks import open_sink, sink_class
from proxy.sinks.contract import NotTakenError, Sink
from tests.fakes import ORIGIN
from tests.forwarded import CHECKPOINT, NOW, a_batch, a_context, an_event, batch_of
from tests.receivers.intake import DATADOG_KEY, Intake


def a_sink(intake: Intake, **options: Any) -> Sink:
    """Return a sink that sends to the intake."""
    given = {"api_key_secret": "datadog_api_key", "url": intake.url, **options}
    secrets = {"datadog_api_key": DATADOG_KEY}
    return open_sink("datadog-events", given, a_context(secrets, now=intake.now))


async def test_a_change_says_who_changed_what(intake: Intake) -> None:
    """As a change in Datadog's sense, with the proof among its metadata."""
    event = an_event(
        4,
        event="run.completed",
        run={"id": "lock-1", "who": "bob@laptop"},
        changes={"resources": {"added": 1, "changed": 2, "removed": 0}},
    )
    change = an_event(5, event="workspace.created")
    sink = a_sink(intake, tags=["team:platform"], hostname="proxy-1")
    await sink.send(a_batch(event, change))
    await sink.aclose()
    run, made = intake.events
    assert ("alert", "change") == (run["category"], made["category"])
    assert "run.completed: alice wrote prod/network, serial 4 -> 5: 1 added" == run["title"]
    for line in (
        "Who: alice (user)",
        "Run by: bob@laptop",
        "Workspace: prod/network",
        "Changes: 1 added, 2 changed, 0 removed",
        "From: 10.0.0.7",
        "Outcome: success",
        f"Entry: 4 of {ORIGIN}, ID {event.entry['id']}",
    ):
        assert line in run["message"].splitlines()
    assert "team:platform" in run["tags"]
    assert ("proxy-1", event.entry["time"]) == (run["host"], run["timestamp"])
    specific = made["attributes"]
    assert {"type": "configuration", "name": "prod/network"} == specific["changed_resource"]
    assert {"type": "user", "name": "alice"} == specific["author"]
    told = specific["change_metadata"]
    assert (CHECKPOINT, 5, change.record.leaf_hash.hex()) == (
        told["checkpoint"],
        told["index"],
        told["leaf_hash"],
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"event": "run.errored"}, "error"),
        ({"event": "run.needs_attention"}, "warn"),
        ({"event": "run.completed"}, "ok"),
        ({"event": "access.denied", "outcome": "denied"}, "warn"),
        ({"event": "auth.locked_out", "outcome": "denied"}, "error"),
    ],
)
async def test_what_is_bad_is_an_alert(intake: Intake, fields: dict[str, Any], status: str) -> None:
    """And a run that went well ends the alert of its workspace."""
    sink = a_sink(intake)
    await sink.send(a_batch(an_event(**fields)))
    await sink.aclose()
    (event,) = intake.events
    assert ("alert", status) == (event["category"], event["attributes"]["status"])
    if fields["event"].startswith("run."):
        assert "tfaudit run prod/network" == event["aggregation_key"]


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_what_is_too_long_is_cut(intake: Intake, api: str) -> None:
    """Title, message, tags and keys of the longest entries keep all of Datadog's limits."""
    long = "x" * 3000
    event = an_event(
        event="run.errored",
        message=long,
        workspace=long,
        actor={"type": "oidc", "id": long, "name": long},
        run={"who": long},
        source={"ip": "10.0.0.7", "forwarded_for": [long]},
    )
    change = an_event(1, event="workspace.created", workspace=long, message="a\nb " + long)
    sink = a_sink(intake, api=api, tags=[f"tag:{n}" for n in range(50)])
    await sink.send(a_batch(event, change))
    await sink.aclose()
    assert 2 == len(intake.events)
    assert intake.events[0]["title"].endswith("…")
    assert "\n" not in intake.events[1]["title"]


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize(("hours", "field"), [(17, True), (18.1, False), (100, False)])
async def test_an_old_event_is_taken(intake: Intake, api: str, hours: float, field: bool) -> None:
    """Without a time that Datadog would refuse; the message tells when it was."""
    intake.now = NOW + timedelta(hours=hours)
    sink = a_sink(intake, api=api)
    event = an_event(event="run.errored")
    await sink.send(a_batch(event))
    await sink.aclose()
    (seen,) = intake.events
    assert field is ("timestamp" in seen or "date_happened" in seen)
    assert event.entry["time"] in seen["message" if api == "v2" else "text"]


async def test_version_1_knows_the_same(intake: Intake) -> None:
    """For organisations without the new one."""
    sink = a_sink(intake, api="v1", hostname="proxy-1")
    event = an_event(event="run.errored")
    await sink.send(a_batch(event))
    assert "valid" in await sink.probe()
    await sink.aclose()
    (seen,) = intake.events
    assert ("error", "proxy-1", "tfaudit run prod/network") == (
        seen["alert_type"],
        seen["host"],
        seen["aggregation_key"],
    )
    assert event.record.leaf_hash.hex() in seen["text"]
    assert ORIGIN in seen["text"]


async def test_events_after_one_that_failed_are_left(intake: Intake) -> None:
    """Those before it are not sent again."""
    sink = a_sink(intake)
    await sink.send(batch_of(2))
    intake.busy = 1
    with pytest.raises(NotTakenError) as caught:
        await sink.send(batch_of(3, 2))
    await sink.aclose()
    assert frozenset({0, 1, 2}) == caught.value.left
    assert 7 == caught.value.retry_after


@pytest.mark.parametrize(
    ("event", "is_sent"),
    [
        ("run.completed", True),
        ("workspace.deleted", True),
        ("access.denied", True),
        ("grant.created", True),
        ("state.force_unlocked", True),
        ("state.read", False),
        ("state.written", False),
        ("state.locked", False),
        ("audit.read", False),
    ],
)
def test_by_default_it_gets_what_is_notable(event: str, is_sent: bool) -> None:
    """Runs, workspaces, security; not each read."""
    of: Any = sink_class("datadog-events")
    pattern = parse(of.default_filter)
    assert is_sent is pattern.is_match(an_event(event=event).entry)
