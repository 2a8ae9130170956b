"""Webhooks: signed as Standard Webhooks says, with CloudEvents as their content."""

import base64
import hmac
import re
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.errors import ConfigError
from proxy.fields import FieldError
from proxy.formats import FORMATS
from proxy.sinks import open_sink
from proxy.sinks.contract import NotTakenError, Sink, SinkGoneError
from tests.fakes import ORIGIN
from tests.forwarded import CHECKPOINT, NOW, a_batch, a_context, an_event, batch_of, ids_of
from tests.receivers.far_side import FarSide, Reply, Seen, a_far_side
from tests.sinks.http_rows import OLD_SIGNING, SIGNING

SECRETS = {"signing": SIGNING, "old": OLD_SIGNING, "login": "Bearer word"}


def a_sink(far: FarSide, **options: Any) -> Sink:
    """Return a sink that sends to the far side."""
    given = {"url": f"{far.url}/hook", "signing_secrets": ["signing"], **options}
    return open_sink("webhook", given, a_context(SECRETS))


def is_signed(seen: Seen, secret: str) -> bool:
    """Tell whether one of a request's signatures holds, as a receiver does it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    head = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}."
    wanted = base64.b64encode(hmac.digest(key, head.encode() + seen.body, "sha256")).decode()
    return f"v1,{wanted}" in seen.headers["webhook-signature"].split(" ")


def test_the_standards_own_vector_holds() -> None:
    """The example of the reference libraries: what we compute is what they verify."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    sink: Any = open_sink(
        "webhook",
        {"url": "https://siem.example", "signing_secrets": ["s"]},
        a_context({"s": secret}, now=NOW.fromtimestamp(1614265330, NOW.tzinfo)),
    )
    headers = sink._signed("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == headers["webhook-signature"]


async def test_an_event_is_a_signed_cloud_event() -> None:
    """One request each, with the newest checkpoint in a header."""
    async with a_far_side() as far:
        sink = a_sink(far, authorization_secret="login")
        batch = batch_of(2)
        await sink.send(batch)
        await sink.aclose()
    first, second = far.seen
    event = batch.events[1]
    assert FORMATS["cloudevents"](event.entry, event.record, ORIGIN) == second.json
    assert "application/cloudevents+json; charset=utf-8" == second.headers["content-type"]
    assert ids_of(batch) == [first.headers["webhook-id"], second.headers["webhook-id"]]
    assert str(int(NOW.timestamp())) == second.headers["webhook-timestamp"]
    assert CHECKPOINT == base64.b64decode(second.headers["tfaudit-checkpoint"]).decode()
    assert "Bearer word" == second.headers["authorization"]
    assert is_signed(first, SIGNING)
    assert is_signed(second, SIGNING)
    assert not is_signed(second, OLD_SIGNING)


async def test_the_guides_recipe_tells_what_is_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands in docs/sinks/webhook.md: ours is, what was changed or is old is not."""
    guide = Path(__file__).parents[2] / "docs" / "sinks" / "webhook.md"
    (recipe,) = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe, names)  # noqa: S102 - the guide is ours
    is_genuine = names["is_genuine"]
    async with a_far_side() as far:
        sink = a_sink(far, signing_secrets=["signing", "old"])
        await sink.send(batch_of(1))
        await sink.aclose()
    (seen,) = far.seen
    monkeypatch.setattr(time, "time", lambda: NOW.timestamp() + 60)
    assert is_genuine(seen.headers, seen.body, SIGNING)
    assert is_genuine(seen.headers, seen.body, OLD_SIGNING)
    assert not is_genuine(seen.headers, seen.body + b" ", SIGNING)
    assert not is_genuine(seen.headers, seen.body, "whsec_" + base64.b64encode(b"x" * 32).decode())
    monkeypatch.setattr(time, "time", lambda: NOW.timestamp() + 301)
    assert not is_genuine(seen.headers, seen.body, SIGNING)


async def test_while_a_secret_is_replaced_both_sign() -> None:
    """A receiver that knows the new one or the old one takes the request."""
    async with a_far_side() as far:
        sink = a_sink(far, signing_secrets=["signing", "old"])
        await sink.send(batch_of(1))
        await sink.aclose()
    (seen,) = far.seen
    assert is_signed(seen, SIGNING)
    assert is_signed(seen, OLD_SIGNING)
    assert 2 == len(seen.headers["webhook-signature"].split(" "))


@pytest.mark.parametrize("size", [1, 3])
async def test_each_try_has_the_same_id(size: int) -> None:
    """So that the receiver knows what it has; the content is the same, too."""
    async with a_far_side(lambda _: Reply(503)) as far:
        sink = a_sink(far, batch=size)
        for _ in range(2):
            with pytest.raises(NotTakenError):
                await sink.send(batch_of(size))
        await sink.aclose()
    first, second = far.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_several_events_are_a_list_of_cloud_events() -> None:
    """In batched content mode, parted by the option and by a megabyte."""
    async with a_far_side() as far:
        sink = a_sink(far, batch=3)
        batch = batch_of(7)
        await sink.send(batch)
        large = a_batch(*(an_event(index, message="x" * 60_000) for index in range(20)))
        await sink.aclose()
        sink = a_sink(far, batch=100)
        await sink.send(large)
        await sink.aclose()
    assert [3, 3, 1] == [len(seen.json) for seen in far.seen[:3]]
    assert ids_of(batch) == [event["id"] for seen in far.seen[:3] for event in seen.json]
    kinds = {seen.headers["content-type"] for seen in far.seen}
    assert {"application/cloudevents-batch+json; charset=utf-8"} == kinds
    assert all(is_signed(seen, SIGNING) for seen in far.seen)
    assert all(len(seen.body) <= 1_000_000 for seen in far.seen)
    assert ids_of(large) == [event["id"] for seen in far.seen[3:] for event in seen.json]


@pytest.mark.parametrize("form", ["native", "ocsf", "ecs"])
async def test_other_formats(form: str) -> None:
    """As plain JSON."""
    async with a_far_side() as far:
        sink = a_sink(far, format=form)
        event = an_event(4)
        await sink.send(a_batch(event))
        await sink.aclose()
    (seen,) = far.seen
    wanted = orjson.loads(orjson.dumps(FORMATS[form](event.entry, event.record, ORIGIN)))
    assert wanted == seen.json
    assert "application/json; charset=utf-8" == seen.headers["content-type"]


async def test_a_receiver_that_is_gone_wants_no_more() -> None:
    """410 disables the sink."""
    async with a_far_side(lambda _: Reply(410)) as far:
        sink = a_sink(far)
        with pytest.raises(SinkGoneError, match="410 Gone: it wants no more events"):
            await sink.send(batch_of(1))
        await sink.aclose()


@pytest.mark.parametrize(
    ("status", "is_well"),
    [(200, True), (204, True), (404, True), (405, True), (403, True), (307, False), (503, False)],
)
async def test_the_probe_asks_without_an_event(status: int, is_well: bool) -> None:
    """Few receivers know OPTIONS: an answer is enough, but for a failure and a redirection."""
    async with a_far_side(lambda _: Reply(status)) as far:
        sink = a_sink(far)
        if is_well:
            assert "is there" in await sink.probe()
        else:
            with pytest.raises(NotTakenError):
                await sink.probe()
        await sink.aclose()
    assert ["OPTIONS"] == [seen.method for seen in far.seen]


@pytest.mark.parametrize("bad", ["whsec_c2hvcnQ=", "", "no base64!", "whsec_" + "A" * 31])
def test_a_secret_that_signs_nothing_is_refused(bad: str) -> None:
    """It is named, and not shown; how to make one is told."""
    options = {"url": "https://siem.example", "signing_secrets": ["s"]}
    with pytest.raises(
        ConfigError, match="the secret s signs no webhook: it must be whsec_"
    ) as caught:
        open_sink("webhook", options, a_context({"s": bad}))
    assert not bad or bad not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the address is missing: give url, or url_secret"),
        ({"url": "https://a.example", "url_secret": "signing"}, "there are two addresses"),
        ({"url": "http://a.example"}, "url must begin with https://"),
        ({"url": "https://me:word@a.example"}, "no user, password, query or fragment"),
        ({"url": "https://a.example/?key=word"}, "keep such an address as a secret"),
        ({"url": "https://a.example", "signing_secrets": []}, "length >= 1"),
        ({"url": "https://a.example", "signing_secrets": ["whsec_AAAA"]}, "the name of a secret"),
        ({"url": "https://a.example", "batch": 0}, ">= 1"),
        ({"url": "https://a.example", "format": "xml"}, "choose one of"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, Any], said: str) -> None:
    """Each says what to do."""
    with pytest.raises(FieldError, match=said.replace("?", r"\?")):
        open_sink("webhook", {"signing_secrets": ["signing"], **options}, a_context(SECRETS))


def test_without_tls_only_when_somebody_says_so() -> None:
    """Whoever is on the way could read the events."""
    options = {"url": "http://a.example", "signing_secrets": ["signing"], "allow_http": True}
    open_sink("webhook", options, a_context(SECRETS))
