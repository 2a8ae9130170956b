"""PagerDuty: one alert for what is one trouble, ended by what ends it."""

from typing import Any

import pytest

from proxy.sinks import open_sink
from proxy.sinks.contract import NotTakenError, RefusedError, Sink
from tests.fakes import ORIGIN
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event
from tests.receivers.far_side import Reply, a_far_side
from tests.receivers.intake import PAGERDUTY_KEY, Intake


def a_sink(url: str, *, key: str = PAGERDUTY_KEY, **options: Any) -> Sink:
    """Return a sink that sends to the address."""
    given = {"routing_key_secret": "pagerduty", "url": url, **options}
    return open_sink("pagerduty", given, a_context({"pagerduty": key}))


async def test_an_alert_tells_who_what_where(intake: Intake) -> None:
    """With the proof among its details."""
    event = an_event(3, event="run.errored")
    sink = a_sink(intake.url, prefix="[prod]")
    await sink.send(a_batch(event))
    await sink.aclose()
    (alert,) = intake.alerts.values()
    payload = alert["payload"]
    assert f"[prod] run.errored: {event.entry['message']}" == payload["summary"]
    assert ("prod/network", "error", event.entry["time"], "run.errored", ORIGIN) == (
        payload["source"],
        payload["severity"],
        payload["timestamp"],
        payload["class"],
        payload["group"],
    )
    details = payload["custom_details"]
    assert ("alice (user)", "10.0.0.7", CHECKPOINT, 3) == (
        details["Who"],
        details["From"],
        details["checkpoint"],
        details["index"],
    )


async def test_the_next_good_run_ends_the_alert(intake: Intake) -> None:
    """Of its own workspace alone; and alerts nobody."""
    sink = a_sink(intake.url)
    for index, (name, workspace) in enumerate(
        [
            ("errored", "prod"),
            ("errored", "dev"),
            ("needs_attention", "prod"),
            ("completed", "prod"),
        ]
    ):
        await sink.send(a_batch(an_event(index, event=f"run.{name}", workspace=workspace)))
    await sink.aclose()
    assert [f"{ORIGIN}/run/dev"] == list(intake.alerts)
    assert 4 == len(intake.pagerduty)


async def test_without_resolving_each_event_is_an_alert(intake: Intake) -> None:
    """As the option says."""
    sink = a_sink(intake.url, resolve=False)
    await sink.send(a_batch(an_event(event="run.completed")))
    await sink.aclose()
    (alert,) = intake.alerts.values()
    assert "info" == alert["payload"]["severity"]


async def test_an_event_that_comes_twice_is_one_alert(intake: Intake) -> None:
    """Its key is the entry's ID."""
    sink = a_sink(intake.url)
    event = an_event(event="auth.locked_out", outcome="denied", workspace=None)
    for _ in range(2):
        await sink.send(a_batch(event))
    await sink.aclose()
    assert [f"tfaudit/{event.entry['id']}"] == list(intake.alerts)


async def test_the_longest_entry_is_an_alert(intake: Intake) -> None:
    """Within all of PagerDuty's limits, and still of its workspace."""
    long = "x" * 15_000
    event = an_event(
        event="run.errored",
        message=long,
        workspace=long,
        actor={"type": "oidc", "id": "1", "name": long},
        run={"who": long},
    )
    sink = a_sink(intake.url, prefix="p" * 80)
    await sink.send(a_batch(event))
    assert 1 == len(intake.alerts)
    await sink.send(a_batch(an_event(1, event="run.completed", workspace=long)))
    await sink.aclose()
    assert {} == intake.alerts


async def test_a_wrong_key_is_no_fault_of_the_event(intake: Intake) -> None:
    """PagerDuty answers both with 400."""
    sink = a_sink(intake.url, key="another")
    for call in (sink.send(a_batch(an_event())), sink.probe()):
        with pytest.raises(
            NotTakenError, match="check that the secret is the integration key"
        ) as caught:
            await call
        assert caught.value.needs_repair
    await sink.aclose()
    answer = Reply(400, b'{"status":"invalid event","errors":["\'payload.summary\' is missing"]}')
    async with a_far_side(lambda _: answer) as far:
        sink = a_sink(far.url)
        with pytest.raises(RefusedError, match="answered 400 Bad Request"):
            await sink.send(a_batch(an_event()))
        await sink.aclose()


async def test_the_probe_tries_the_key_and_alerts_nobody(intake: Intake) -> None:
    """It ends an alert that there never was."""
    sink = a_sink(intake.url)
    assert "the key is right" in await sink.probe()
    await sink.aclose()
    assert {} == intake.alerts
