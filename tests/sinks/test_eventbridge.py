"""EventBridge: what rules deliver in moto, and each way in which AWS answers without a success."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from proxy.errors import InvalidInputError
from proxy.sinks import open_sink, read_options
from proxy.sinks.contract import Batch, NotTakenError, RefusedError, Sink
from proxy.tlog.entry import canonical, signing_input
from tests.contracts.sink_contract import require_clean
from tests.fakes import ENTRY_KEY, ORIGIN
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event, batch_of
from tests.receivers.aws import KEYS, REGION, SECRET, Aws
from tests.receivers.far_side import Fault, Reply, Seen, a_far_side

ARN = f"arn:aws:events:{REGION}:123456789012:event-bus/audit"


def a_sink(options: dict[str, Any]) -> Sink:
    """Return a sink whose secret is known."""
    return open_sink("eventbridge", options, a_context({"aws_key": SECRET}))


def answering(put: Callable[[int, Seen], Reply | Fault]) -> Callable[[Seen], Reply | Fault]:
    """Return a far side with a bus, and what it says to each PutEvents, numbered from 0."""
    count = -1

    def answer(seen: Seen) -> Reply | Fault:
        nonlocal count
        if seen.headers["x-amz-target"] == "AWSEvents.DescribeEventBus":
            return Reply(200, orjson.dumps({"Arn": ARN, "Name": "audit"}))
        count += 1
        return put(count, seen)

    return answer


def results(*codes: str | None) -> Reply:
    """Return HTTP's 200 with a result for each entry."""
    entries = [
        {"EventId": "1"} if code is None else {"ErrorCode": code, "ErrorMessage": "because"}
        for code in codes
    ]
    failed = sum(code is not None for code in codes)
    return Reply(200, orjson.dumps({"FailedEntryCount": failed, "Entries": entries}))


def well(_: int, seen: Seen) -> Reply:
    """Take all."""
    return results(*[None] * len(seen.json["Entries"]))


def error(status: int, code: str) -> Reply:
    """Return what AWS says in place of a success."""
    body = orjson.dumps({"__type": code, "message": "no"})
    return Reply(status, body, {"x-amzn-errortype": code})


async def sent(
    put: Callable[[int, Seen], Reply | Fault], batch: Batch, **options: Any
) -> NotTakenError | RefusedError:
    """Send, and return what it raises."""
    async with a_far_side(answering(put)) as far:
        found = {"region": REGION, "endpoint_url": far.url, "bus": "audit", **KEYS, **options}
        sink = a_sink(found)
        with pytest.raises((NotTakenError, RefusedError)) as caught:
            await sink.send(batch)
        await sink.aclose()
    require_clean(str(caught.value), {"aws_key": SECRET})
    assert caught.value.__cause__ is None
    return caught.value  # type: ignore[return-value] # one of both


# ---------------------------------------------------------------- moto


async def test_rules_deliver_every_event_to_a_queue_and_a_log_group(aws: Aws) -> None:
    """The detail is the entry, which its evidence proves; over more than one request."""
    arn = aws.a_bus("delivered")
    sink = a_sink(aws.options(bus=arn))
    batch = a_batch(*(an_event(n, message=f"日本 {n}") for n in range(23)))
    receipt = await sink.send(batch)
    await sink.aclose()
    assert f"23 events taken by the event bus {arn}" == receipt.said
    found = aws.queued("delivered")
    assert list(range(23)) == [each["detail"]["evidence"]["index"] for each in found]
    # A stream each, in no order
    assert found == sorted(
        aws.logged("delivered"), key=lambda x: int(x["detail"]["evidence"]["index"])
    )
    first = found[0]
    assert ("tfaudit", "state.written") == (first["source"], first["detail-type"])
    assert ["prod/network"] == first["resources"]
    evidence = first["detail"].pop("evidence")
    assert batch.events[0].entry == first["detail"]
    assert (CHECKPOINT, ORIGIN) == (evidence["checkpoint"], evidence["log"])
    signed = canonical(first["detail"])
    assert hashlib.sha256(b"\0" + signed).hexdigest() == evidence["leaf_hash"]
    signature = b64decode(evidence["signature"]["value"])
    ENTRY_KEY.public_key().verify(signature, signing_input(signed))


async def test_a_bus_that_does_not_exist_is_noticed(aws: Aws) -> None:
    """AWS would take the events, say so, and throw them away."""
    sink = a_sink(aws.options(bus="never-made"))
    for ask in (sink.probe, lambda: sink.send(batch_of(1))):
        with pytest.raises(NotTakenError, match="there is no such bus in this region") as caught:
            await ask()
        assert caught.value.needs_repair
    aws.a_bus("never-made")
    assert "the event bus never-made exists" == await sink.probe()
    await sink.send(batch_of(1))
    aws.client("events").remove_targets(
        Rule="all", EventBusName="never-made", Ids=["queue", "group"]
    )
    aws.client("events").delete_rule(Name="all", EventBusName="never-made")
    aws.client("events").delete_event_bus(Name="never-made")
    with pytest.raises(NotTakenError):
        await sink.send(batch_of(1, first=1))
    await sink.aclose()


async def test_a_role_is_taken_on(aws: Aws) -> None:
    """By its ARN, with an external ID."""
    aws.a_bus("by-role")
    role = "arn:aws:iam::123456789012:role/forwarder"
    sink = a_sink(aws.options(bus="by-role", role_arn=role, external_id="tfaudit-1"))
    await sink.send(batch_of(2))
    await sink.aclose()
    assert 2 == len(aws.logged("by-role"))


async def test_without_credentials_it_says_where_they_are_looked_for(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent unsigned."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    sink = a_sink({"region": REGION, "endpoint_url": aws.url, "bus": "any"})
    with pytest.raises(NotTakenError, match="give the server a role") as caught:
        await sink.probe()
    assert caught.value.needs_repair
    await sink.aclose()


# ---------------------------------------------------------------- limits


async def test_no_request_has_more_than_ten_entries_or_256_kb() -> None:
    """By AWS's own way to count, with entries as large as they can be."""
    large = [an_event(n, changes={"sha256": "é" * 32_000}) for n in range(9)]
    small = [an_event(n) for n in range(9, 34)]
    async with a_far_side(answering(well)) as far:
        sink = a_sink({"region": REGION, "endpoint_url": far.url, "bus": "audit", **KEYS})
        await sink.send(a_batch(*large, *small))
        await sink.aclose()
    requests = [seen.json["Entries"] for seen in far.seen if "Entries" in seen.json]
    assert [4, 4, 10, 10, 6] == [len(each) for each in requests]
    for entries in requests:
        size = sum(
            14
            + len("tfaudit")
            + len(each["DetailType"])
            + len(each["Detail"].encode())
            + sum(len(x) for x in each["Resources"])
            for each in entries
        )
        assert size < 262_144
    order = [json.loads(x["Detail"])["evidence"]["index"] for each in requests for x in each]
    assert list(range(34)) == order


# ---------------------------------------------------------------- failures


async def test_of_a_part_that_failed_only_what_may_be_taken_is_sent_again() -> None:
    """HTTP said 200; each entry has a result of its own."""

    def put(number: int, seen: Seen) -> Reply:
        if number == 0:
            return results(None, "ThrottlingException", "MalformedDetail", *[None] * 7)
        return well(number, seen)

    failure = await sent(put, batch_of(12))
    assert isinstance(failure, NotTakenError)
    assert frozenset({1, 10, 11}) == failure.left
    assert {2: "MalformedDetail"} == failure.rejected
    assert not failure.needs_repair
    assert "did not take 1 of 10 events: ThrottlingException" in str(failure)


async def test_what_will_never_be_taken_is_set_aside_and_the_rest_is_delivered() -> None:
    """In each request of the batch."""

    def put(_: int, seen: Seen) -> Reply:
        return results("InvalidArgument", *[None] * (len(seen.json["Entries"]) - 1))

    async with a_far_side(answering(put)) as far:
        sink = a_sink({"region": REGION, "endpoint_url": far.url, "bus": "audit", **KEYS})
        receipt = await sink.send(batch_of(12))
        await sink.aclose()
    assert {0, 10} == set(receipt.rejected)
    assert receipt.said.startswith("10 events taken")


async def test_what_we_may_not_is_not_the_events_fault() -> None:
    """They stay, and somebody has to allow it."""
    failure = await sent(lambda *_: results("NotAuthorizedForSourceException", None), batch_of(2))
    assert isinstance(failure, NotTakenError)
    assert frozenset({0}) == failure.left
    assert failure.needs_repair
    assert "allow events:PutEvents" in str(failure)


@pytest.mark.parametrize(
    ("reply", "needs_repair", "said"),
    [
        (error(400, "ThrottlingException"), False, "ThrottlingException"),
        (error(500, "InternalException"), False, "InternalException"),
        (Reply(503, b"<html>"), False, "did not take events"),
        (error(400, "ExpiredTokenException"), True, "the credentials ran out"),
        (error(403, "ExpiredTokenException"), True, "the credentials ran out"),
        (error(400, "UnrecognizedClientException"), True, "check the credentials"),
        (error(403, "InvalidSignatureException"), True, "this machine's clock"),
        (error(400, "AccessDeniedException"), True, "allow it in the policy"),
        (Reply(403, b""), True, "did not take events"),
        (Reply(301, b"", {"location": "http://127.0.0.1:1/"}), True, "did not take events"),
        (results(None), False, "answered for 1 events of 2"),
        (Reply(200, b"{}"), False, "answered for 0 events of 2"),
        (Reply(200, b"no JSON"), False, "answered for 0 events of 2"),
        (Fault.RESET, False, "event bus audit"),
        (Fault.CLOSE, False, "closed the connection"),
        (Fault.CUT, False, "event bus audit"),
        (Fault.SILENCE, False, "did not answer within 0.2 seconds"),
    ],
)
async def test_every_failure_of_a_request_leaves_all_of_it(
    reply: Reply | Fault, needs_repair: bool, said: str
) -> None:
    """And tells whether waiting helps."""
    failure = await sent(lambda *_: reply, batch_of(2), timeout=0.2)
    assert isinstance(failure, NotTakenError)
    assert frozenset({0, 1}) == failure.left
    assert needs_repair == failure.needs_repair
    assert said in str(failure)


@pytest.mark.parametrize(
    "reply", [error(400, "ValidationException"), error(413, "RequestEntityTooLargeException")]
)
async def test_a_request_that_is_refused_for_what_is_in_it(reply: Reply) -> None:
    """The forwarder finds out which event it was, by halves; later ones were not tried."""
    failure = await sent(lambda n, seen: reply if n == 1 else well(n, seen), batch_of(25))
    assert isinstance(failure, RefusedError)
    assert set(range(10, 20)) == failure.refused
    assert set(range(20, 25)) == failure.left


async def test_nobody_listens() -> None:
    """Again later."""
    async with a_far_side() as far:
        url = far.url
    sink = a_sink({"region": REGION, "endpoint_url": url, "bus": "audit", **KEYS})
    with pytest.raises(NotTakenError, match="refuses the connection") as caught:
        await sink.send(batch_of(1))
    assert not caught.value.needs_repair
    await sink.aclose()


async def test_new_credentials_are_looked_for_after_the_old_ran_out() -> None:
    """The client that was made with the old ones is not used again."""
    replies = [error(400, "ExpiredTokenException"), results(None)]
    keys: list[str] = []

    def put(number: int, seen: Seen) -> Reply:
        keys.append(seen.headers["authorization"].split("Credential=")[1][:4])
        return replies[number]

    secrets = {"aws_key": SECRET}
    async with a_far_side(answering(put)) as far:
        options = {"region": REGION, "endpoint_url": far.url, "bus": "audit", **KEYS}
        sink = open_sink("eventbridge", options, a_context(secrets))
        with pytest.raises(NotTakenError):
            await sink.send(batch_of(1))
        secrets["aws_key"] = "another"
        await sink.send(batch_of(1))
        await sink.aclose()
        await sink.aclose()
    assert ["AKIA", "AKIA"] == keys


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bus": "a b"}, "bus"),
        ({"bus": "a", "endpoint_url": "http://aws.example.com"}, "must begin with https://"),
        ({"bus": "a", "access_key_id": "AKIA"}, "go together"),
        ({"bus": "a", "external_id": "12"}, "external_id is for a role_arn"),
        ({"bus": "a", "role_arn": "forwarder"}, "role_arn"),
        ({"bus": "a", "region": "EU"}, "region"),
        ({}, "bus is missing"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    """With the field and what goes."""
    with pytest.raises(InvalidInputError, match=said):
        read_options("eventbridge", {"region": REGION, **options})
