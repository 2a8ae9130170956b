"""Slack: what a channel reads, its limits, and its words for what is wrong."""

from datetime import timedelta
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.patterns import parse
from proxy.sinks import open_sink, sink_class
from proxy.sinks.contract import NotTakenError, RefusedError, Sink
from tests.fakes import ORIGIN
from tests.forwarded import a_batch, a_context, an_event, batch_of
from tests.receivers.far_side import Reply, a_far_side
from tests.receivers.intake import SLACK_PATH, Intake


def a_sink(url: str, **options: Any) -> Sink:
    """Return a sink that sends to the webhook under the address."""
    context = a_context({"slack": url + SLACK_PATH})
    return open_sink("slack", {"url_secret": "slack", **options}, context)


def texts(message: dict[str, Any]) -> list[str]:
    """Return what one reads in a message's blocks."""
    found = []
    for block in message["blocks"]:
        one = [block["text"]] if "text" in block else []
        found += [each["text"] for each in (*one, *block.get("fields", block.get("elements", ())))]
    return found


async def test_a_message_tells_who_what_where(intake: Intake) -> None:
    """And no more than counts of what changed."""
    event = an_event(
        7,
        event="run.errored",
        changes={
            "resources": {"added": 1, "changed": 0, "removed": 2},
            "items": [{"address": "aws_db.main", "attributes": {"size": {"after": "secret-size"}}}],
        },
        run={"who": "bob@laptop"},
    )
    sink = a_sink(intake.url, prefix="[prod]")
    await sink.send(a_batch(event))
    await sink.aclose()
    (message,) = intake.messages
    assert (
        f"⛔ [prod] run.errored: {event.entry['message']}".replace(">", "&gt;") == message["text"]
    )
    assert [
        "⛔ [prod] run.errored · prod/network",
        event.entry["message"],
        "*Outcome*\nsuccess",
        "*Who*\nalice (user)",
        "*Run by*\nbob@laptop",
        "*Workspace*\nprod/network",
        "*Changes*\n1 added, 0 changed, 2 removed",
        "*From*\n10.0.0.7",
        f"*When*\n{event.entry['time']}",
        f"entry 7 of {ORIGIN}, ID {event.entry['id']}, leaf {event.record.leaf_hash.hex()}",
    ] == texts(message)
    assert "secret-size" not in str(message)


async def test_nobody_is_called_by_a_name_that_somebody_chose(intake: Intake) -> None:
    """What clients say of themselves is neither a mention nor a link."""
    event = an_event(
        message="<!channel> look",
        actor={"type": "user", "id": "1", "name": "<!here|x> & <https://evil.example|ok>"},
    )
    sink = a_sink(intake.url)
    await sink.send(a_batch(event))
    await sink.aclose()
    (message,) = intake.messages
    assert "<" not in message["text"]
    for block in message["blocks"]:
        for field in block.get("fields", ()):
            assert "<" not in field["text"]
        if "text" in block:  # shown as it is, whatever is in it
            assert "plain_text" == block["text"]["type"]
    assert message["unfurl_links"] is message["unfurl_media"] is False


async def test_the_longest_entry_is_a_message(intake: Intake) -> None:
    """Each block within Slack's limits, a cut shows."""
    long = "<" * 4000
    event = an_event(
        message=long,
        workspace=long,
        actor={"type": "oidc", "id": long, "name": long},
        run={"who": long},
        source={"ip": "10.0.0.7", "forwarded_for": [long]},
    )
    sink = a_sink(intake.url, prefix="p" * 80)
    await sink.send(a_batch(event))
    await sink.aclose()
    (message,) = intake.messages
    assert texts(message)[1].endswith("…")


async def test_one_a_second(intake: Intake) -> None:
    """The sink asks for the pause; who doesn't keep it is told how long to wait."""
    sink = a_sink(intake.url)
    assert (1, 1.0, False) == (sink.limits.events, sink.limits.pause, sink.limits.is_record)
    await sink.send(batch_of(1))
    with pytest.raises(NotTakenError) as caught:
        await sink.send(batch_of(1, 1))
    assert 1 == caught.value.retry_after
    intake.now += timedelta(seconds=1)
    await sink.send(batch_of(1, 1))
    await sink.aclose()
    assert 2 == len(intake.messages)


@pytest.mark.parametrize(
    ("status", "said", "is_events_fault"),
    [
        (400, "invalid_payload", True),
        (400, "no_text", True),
        (403, "invalid_token", False),
        (403, "action_prohibited", False),
        (404, "no_service", False),
        (404, "channel_not_found", False),
        (410, "channel_is_archived", False),
        (400, "no_team", False),
    ],
)
async def test_slacks_words(status: int, said: str, is_events_fault: bool) -> None:
    """What is wrong with the webhook sets no event aside."""
    async with a_far_side(lambda _: Reply(status, said.encode())) as far:
        sink = a_sink(far.url)
        wanted = RefusedError if is_events_fault else NotTakenError
        with pytest.raises(wanted, match=said) as caught:
            await sink.send(batch_of(1))
        await sink.aclose()
    if isinstance(caught.value, NotTakenError):
        assert caught.value.needs_repair
        assert "incoming webhook" in str(caught.value)


async def test_the_probe_posts_nothing(intake: Intake) -> None:
    """Slack refuses an empty message of a webhook that it knows."""
    sink = a_sink(intake.url)
    assert "Slack knows the webhook" == await sink.probe()
    await sink.aclose()
    async with a_far_side(lambda _: Reply(403, b"invalid_token")) as far:
        sink = a_sink(far.url)
        with pytest.raises(NotTakenError, match="invalid_token"):
            await sink.probe()
        await sink.aclose()
    assert [] == intake.messages


def test_an_address_that_is_none() -> None:
    """The secret is named, and not shown."""
    for address in ("hooks.slack.com/services/x", "http://hooks.slack.com/x", "https://[", ""):
        with pytest.raises(ConfigError, match="the secret slack is no address") as caught:
            open_sink("slack", {"url_secret": "slack"}, a_context({"slack": address}))
        assert "hooks" not in str(caught.value)


@pytest.mark.parametrize("of", ["slack", "pagerduty", "jira", "datadog-events"])
def test_a_default_filter_can_be_read(of: str) -> None:
    """And no read of a state passes it."""
    found: Any = sink_class(of)
    pattern = parse(found.default_filter)
    assert not pattern.is_match(an_event(event="state.read").entry)
    assert pattern.is_match(an_event(event="run.errored").entry)
