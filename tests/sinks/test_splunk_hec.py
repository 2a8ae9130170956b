"""Splunk's HTTP Event Collector: what it calls a success, and what is one."""

from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.fields import FieldError
from proxy.sinks import open_sink
from proxy.sinks.contract import NotTakenError, RefusedError, Sink
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event, batch_of, ids_of
from tests.receivers.far_side import Reply, Seen, a_far_side
from tests.receivers.intake import SPLUNK_TOKEN, Intake


def a_sink(intake: Intake, *, token: str = SPLUNK_TOKEN, **options: Any) -> Sink:
    """Return a sink that sends to the intake."""
    given = {"token_secret": "splunk_token", "url": intake.url, **options}
    return open_sink("splunk-hec", given, a_context({"splunk_token": token}))


def indexed(intake: Intake) -> list[str]:
    """Return the IDs of what Splunk has for good."""
    return [event["fields"]["tfaudit_entry_id"] for event in intake.indexed]


async def test_an_event_has_its_time_its_place_and_its_proof(intake: Intake) -> None:
    """With the newest checkpoint on the last one of a batch."""
    batch = batch_of(2)
    sink = a_sink(intake, index="audit", host="proxy-1", source="tf", sourcetype="audit")
    assert "200 OK" == (await sink.send(batch)).said
    await sink.aclose()
    first, last = intake.indexed
    assert ("audit", "proxy-1", "tf", "audit") == (
        first["index"],
        first["host"],
        first["source"],
        first["sourcetype"],
    )
    assert "1795341600.001000" == last["time"]
    assert batch.events[1].entry == last["event"]["entry"]
    assert 1 == last["event"]["index"] == last["fields"]["tfaudit_index"]
    assert batch.events[1].record.leaf_hash.hex() == last["fields"]["tfaudit_leaf_hash"]
    assert CHECKPOINT == last["fields"]["tfaudit_checkpoint"]
    assert "tfaudit_checkpoint" not in first["fields"]


async def test_a_large_batch_is_parted(intake: Intake) -> None:
    """Into requests of at most 1 MB, in order."""
    batch = a_batch(*(an_event(index, message="x" * 50_000) for index in range(45)))
    sink = a_sink(intake)
    await sink.send(batch)
    await sink.aclose()
    assert ids_of(batch) == indexed(intake)
    assert 3 == intake.requests["/services/collector/event"]


@pytest.mark.parametrize("acks_after", [0, 3, 44])
async def test_events_count_when_they_are_indexed(intake: Intake, acks_after: int) -> None:
    """The acknowledgement is asked for again and again."""
    intake.wants_acks, intake.acks_after = True, acks_after
    batch = batch_of(5)
    sink = a_sink(intake, acknowledge=True)
    assert "200 OK, indexed" == (await sink.send(batch)).said
    await sink.aclose()
    assert ids_of(batch) == indexed(intake)
    assert acks_after + 1 == intake.requests["/services/collector/ack"]


async def test_what_is_never_indexed_is_never_taken(intake: Intake) -> None:
    """Splunk took it with a success, and lost it: after the wait it is sent again."""
    intake.wants_acks, intake.acks_after = True, None
    batch = batch_of(5)
    sink = a_sink(intake, acknowledge=True, acknowledge_seconds=5)
    with pytest.raises(NotTakenError, match="not acknowledged 5 of them within 5 sec") as caught:
        await sink.send(batch)
    assert frozenset(range(5)) == caught.value.left
    assert [] == indexed(intake)
    intake.acks_after = 0
    await sink.send(batch)
    await sink.aclose()
    assert ids_of(batch) == indexed(intake)


async def test_a_failure_of_a_later_part_waits_for_the_earlier_ones(intake: Intake) -> None:
    """They count when they are acknowledged; the rest is left."""
    intake.wants_acks = True
    batch = a_batch(*(an_event(index, message="x" * 50_000) for index in range(40)))
    sink = a_sink(intake, acknowledge=True)
    await sink.send(batch_of(1, 100))
    intake.indexed.clear()
    intake.broken_from = 2 + intake.requests["/services/collector/event"]
    with pytest.raises(NotTakenError, match="503") as caught:
        await sink.send(batch)
    await sink.aclose()
    done = len(intake.indexed)
    assert 0 < done < 40
    assert ids_of(batch)[:done] == indexed(intake)
    assert frozenset(range(done, 40)) == caught.value.left


async def test_a_channel_is_the_sinks_own(intake: Intake) -> None:
    """Acknowledgements are numbered in it."""
    intake.wants_acks = True
    for _ in range(2):
        sink = a_sink(intake, acknowledge=True)
        await sink.send(batch_of(1))
        await sink.send(batch_of(1, 1))
        await sink.aclose()
    assert 2 == len(intake.pending)


async def test_a_token_that_wants_acknowledgements(intake: Intake) -> None:
    """The option is named that gives them."""
    intake.wants_acks = True
    sink = a_sink(intake)
    with pytest.raises(NotTakenError, match="set the option acknowledge to true") as caught:
        await sink.send(batch_of(1))
    await sink.aclose()
    assert caught.value.needs_repair


async def test_a_token_that_gives_no_acknowledgements(intake: Intake) -> None:
    """Nothing is believed that was not promised."""
    sink = a_sink(intake, acknowledge=True)
    with pytest.raises(NotTakenError, match="switch indexer acknowledgement on") as caught:
        await sink.send(batch_of(1))
    await sink.aclose()
    assert caught.value.needs_repair


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"index": "secret"}, "Incorrect index.*correct the option index"),
        ({"token": "x" * 9}, "403"),
    ],
)
async def test_what_an_administrator_must_mend(
    intake: Intake, options: dict[str, Any], said: str
) -> None:
    """An index that the token may not write to is 400, as a broken event is, and is none."""
    sink = a_sink(intake, **options)
    with pytest.raises(NotTakenError, match=said) as caught:
        await sink.send(batch_of(1))
    await sink.aclose()
    assert caught.value.needs_repair


async def test_an_event_that_splunk_can_not_read_is_refused(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the event's fault: the forwarder sets it aside."""
    monkeypatch.setattr("proxy.sinks.splunk_hec.rendered", lambda *_: {})
    sink = a_sink(intake)
    with pytest.raises(RefusedError, match="Event field is required") as caught:
        await sink.send(batch_of(2))
    await sink.aclose()
    assert frozenset({0, 1}) == caught.value.refused


async def test_the_probe_tries_health_and_token(intake: Intake) -> None:
    """Without an event."""
    sink = a_sink(intake)
    assert "is healthy and knows the token" in await sink.probe()
    intake.is_healthy = False
    with pytest.raises(NotTakenError, match="503 Service Unavailable"):
        await sink.probe()
    await sink.aclose()
    intake.is_healthy = True
    sink = a_sink(intake, token="another-token")
    with pytest.raises(NotTakenError, match=r"Invalid token.*check that the secret is a token"):
        await sink.probe()
    await sink.aclose()
    assert [] == intake.hec


async def test_a_page_of_something_else_is_no_success(intake: Intake) -> None:
    """A proxy's own 200 would lose every event."""
    sink = a_sink(intake, url=f"{intake.url}/elsewhere")
    with pytest.raises(NotTakenError, match=r"404 Not Found.*check its address"):
        await sink.send(batch_of(1))
    await sink.aclose()


def test_where_the_token_goes_is_no_open_road() -> None:
    """Over the network by TLS alone; and there is a token."""
    options = {"token_secret": "hec", "url": "http://splunk.example.com:8088"}
    with pytest.raises(FieldError, match="must begin with https://"):
        open_sink("splunk-hec", options, a_context({"hec": SPLUNK_TOKEN}))
    options["url"] = "https://splunk.example.com:8088"
    with pytest.raises(ConfigError, match="there is no secret hec"):
        open_sink("splunk-hec", options, a_context())
    with pytest.raises(ConfigError, match="the secret hec is empty, or has characters"):
        open_sink("splunk-hec", options, a_context({"hec": "a\nb"}))


async def test_one_number_for_two_requests_acknowledges_neither() -> None:
    """Two indexers behind one address count alike, and only one of them is asked."""
    batch = a_batch(*(an_event(index, message="x" * 50_000) for index in range(45)))
    numbers = iter([0, 1, 0])

    def answer(seen: Seen) -> Reply:
        if seen.target.endswith("/ack"):
            return Reply(200, b'{"acks":{"0":true,"1":true}}')
        return Reply(200, b'{"text":"Success","code":0,"ackId":%d}' % next(numbers))

    async with a_far_side(answer) as far:
        options = {"token_secret": "splunk_token", "url": far.url, "acknowledge": True}
        sink = open_sink("splunk-hec", options, a_context({"splunk_token": SPLUNK_TOKEN}))
        with pytest.raises(NotTakenError, match="sticky sessions") as caught:
            await sink.send(batch)
        await sink.aclose()
        events = [len(x.body.splitlines()) for x in far.seen if x.target.endswith("/event")]
    taken = set(range(events[0], events[0] + events[1]))
    assert frozenset(range(45)) - taken == caught.value.left
    assert caught.value.needs_repair
