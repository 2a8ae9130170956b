"""OTLP: what a receiver decodes, and its answers, some of which are a success in name alone."""

import gzip
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from proxy.errors import InvalidInputError
from proxy.formats import FORMATS
from proxy.sinks import open_sink, read_options
from proxy.sinks._quoting import UNSHOWN
from proxy.sinks.contract import Batch, NotTakenError, Receipt, RefusedError
from tests.fakes import ORIGIN, START
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event, batch_of
from tests.receivers.far_side import Answers, Fault, Reply, Seen, a_far_side

TOKEN = "Bearer a-token-of-the-collector"


def plain(value: AnyValue) -> Any:
    """Return what a value holds, as Python has JSON."""
    match value.WhichOneof("value"):
        case "kvlist_value":
            return pairs(value.kvlist_value.values)
        case "array_value":
            return [plain(each) for each in value.array_value.values]
        case None:
            return None
        case kind:
            return getattr(value, kind)


def pairs(values: Any) -> dict[str, Any]:
    """Return attributes."""
    found: list[KeyValue] = list(values)
    return {each.key: plain(each.value) for each in found}


def decoded(seen: Seen) -> ExportLogsServiceRequest:
    """Read a request as a receiver does, by its content type."""
    if seen.headers["content-type"] == "application/x-protobuf":
        return ExportLogsServiceRequest.FromString(seen.body)
    assert "application/json" == seen.headers["content-type"]
    found: ExportLogsServiceRequest = Parse(seen.body, ExportLogsServiceRequest())
    return found


def records(seen: Seen) -> list[LogRecord]:
    """Return a request's records."""
    [resource] = decoded(seen).resource_logs
    [scope] = resource.scope_logs
    return list(scope.log_records)


def partial(rejected: int, message: str) -> ExportLogsServiceResponse:
    """Return a success that says so many were rejected."""
    said = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    return ExportLogsServiceResponse(partial_success=said)


async def sent(answer: Answers, events: Batch, **options: Any) -> tuple[Receipt, list[Seen]]:
    """Send; return the receipt and what came."""
    async with a_far_side(answer) as far:
        found = {"url": f"{far.url}/v1/logs", "header_secret": "otlp", **options}
        sink = open_sink("otlp", found, a_context({"otlp": TOKEN}))
        try:
            return await sink.send(events), far.seen
        finally:
            await sink.aclose()


def well(_: Seen) -> Reply:
    """Take all: the empty message of protobuf."""
    return Reply()


# ---------------------------------------------------------------- what arrives


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
async def test_a_receiver_decodes_every_event_whole(encoding: str) -> None:
    """The body is the event; attributes have what people filter by; the last the checkpoint."""
    batch = a_batch(
        an_event(0, state={"serial": 2**53 - 1, "size": None, "tags": ["é", True, {"a": -1}]}),
        an_event(1, outcome="error", event="run.errored"),
    )
    body = b"{}" if encoding == "json" else b""
    receipt, [seen] = await sent(
        lambda _: Reply(200, body),
        batch,
        encoding=encoding,
        resource={"deployment.environment.name": "prod"},
    )
    assert Receipt("200 OK") == receipt
    assert ("POST", "/v1/logs") == (seen.method, seen.target)
    assert TOKEN == seen.headers["authorization"]
    assert seen.body == gzip.decompress(seen.packed)
    [resource] = decoded(seen).resource_logs
    about = pairs(resource.resource.attributes)
    assert {
        "service.name": "tfaudit",
        "service.instance.id": ORIGIN,
        "deployment.environment.name": "prod",
    }.items() <= about.items()
    first, last = records(seen)
    for record, event in zip((first, last), batch.events, strict=True):
        assert FORMATS["native"](event.entry, event.record, ORIGIN) == plain(record.body)
        proof = pairs(record.attributes)
        assert event.record.leaf_hash.hex() == proof["tfaudit.leaf_hash"]
        assert event.record.signature == b64decode(proof["tfaudit.signature"])
        assert not record.trace_id
        assert not record.span_id
    assert START * 1000 == first.time_unix_nano
    assert ("INFO", 9, "tfaudit.state.written") == (
        first.severity_text,
        first.severity_number,
        first.event_name,
    )
    assert ("ERROR", 17) == (last.severity_text, last.severity_number)
    assert CHECKPOINT == pairs(last.attributes)["tfaudit.checkpoint"]
    assert {
        "user.name": "alice",
        "client.address": "10.0.0.7",
        "http.response.status_code": 200,
        "tfaudit.index": 0,
        "tfaudit.workspace": "prod/network",
    }.items() <= pairs(first.attributes).items()


async def test_json_is_written_as_the_standard_wants_it() -> None:
    """Not as protobuf's own mapping would: 64-bit integers as texts, enumerations as numbers."""
    _, [seen] = await sent(lambda _: Reply(200, b"{}"), batch_of(1), encoding="json")
    [record] = json.loads(seen.body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert str(START * 1000) == record["timeUnixNano"]
    assert 9 == record["severityNumber"]
    values = {each["key"]: each["value"] for each in record["attributes"]}
    assert {"intValue": "0"} == values["tfaudit.index"]
    assert {"stringValue": "alice"} == values["user.name"]


async def test_requests_are_parted_by_count_and_by_size() -> None:
    """In order; none is larger than a receiver takes."""
    events = [an_event(n, changes={"sha256": "x" * 60_000}) for n in range(150)]
    receipt, seen = await sent(well, a_batch(*events), batch=200)
    assert not receipt.rejected
    assert all(len(each.body) <= 4_000_000 for each in seen)
    order = [pairs(r.attributes)["tfaudit.index"] for each in seen for r in records(each)]
    assert list(range(150)) == order
    _, seen = await sent(well, batch_of(7), batch=3)
    assert [3, 3, 1] == [len(records(each)) for each in seen]
    assert all("tfaudit.checkpoint" in pairs(records(each)[-1].attributes) for each in seen)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (0, {}),
        (3, dict.fromkeys(range(3), "rejected by the receiver")),
        (9, dict.fromkeys(range(3), "rejected by the receiver")),
        (
            1,
            dict.fromkeys(range(3), "the receiver rejected 1 of 3, not saying which"),
        ),
    ],
)
async def test_what_was_rejected_is_set_aside_and_never_sent_again(
    encoding: str, rejected: int, expected: dict[int, str]
) -> None:
    """A partial success doesn't say which records it means."""
    response = partial(rejected, "too old")
    as_json = {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": "too old"}}
    body = orjson.dumps(as_json) if encoding == "json" else response.SerializeToString()
    receipt, seen = await sent(lambda _: Reply(200, body), batch_of(3), encoding=encoding)
    assert expected == receipt.rejected
    assert 1 == len(seen)


async def test_only_the_request_that_was_rejected_in_part_is_set_aside() -> None:
    """With one record in a request, that record alone."""
    count = 0

    def answer(_: Seen) -> Reply:
        nonlocal count
        count += 1
        return Reply(200, partial(1, "").SerializeToString() if count == 2 else b"")

    receipt, _ = await sent(answer, batch_of(4), batch=1)
    assert {1: "rejected by the receiver"} == receipt.rejected


async def test_a_reason_quotes_neither_the_secret_nor_what_was_sent() -> None:
    """A receiver's own text goes into no record, only to whoever tries the sink."""
    said = f"bad record alice wrote prod/network, serial 0 -> 1: 1 added with {TOKEN}"
    receipt, _ = await sent(lambda _: Reply(200, partial(1, said).SerializeToString()), batch_of(1))
    assert "the receiver rejected" in receipt.rejected[0] or "rejected by" in receipt.rejected[0]
    assert "bad record" not in receipt.rejected[0]
    assert UNSHOWN == receipt.heard


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("protobuf", b"<html>log in</html>"), ("json", b"<html>"), ("json", b'{"partialSuccess":1}')],
)
async def test_a_success_that_is_none_of_otlp_is_not_believed(encoding: str, body: bytes) -> None:
    """As from a proxy that asks people to log in."""
    with pytest.raises(NotTakenError, match="not as OTLP; check its address") as caught:
        await sent(lambda _: Reply(200, body), batch_of(1), encoding=encoding)
    assert caught.value.needs_repair


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 400, 413])
async def test_only_four_statuses_are_tried_again(status: int) -> None:
    """The standard forbids it for any other."""
    is_again = status in {429, 502, 503, 504}
    expected: Callable[..., Any] = NotTakenError if is_again else RefusedError
    with pytest.raises((NotTakenError, RefusedError)) as caught:
        await sent(lambda _: Reply(status, b"", {"retry-after": "9"}), batch_of(2))
    assert isinstance(caught.value, expected)  # type: ignore[arg-type] # a class
    if isinstance(caught.value, NotTakenError):
        assert 9 == caught.value.retry_after
        assert not caught.value.needs_repair


async def test_a_connection_that_breaks_is_tried_again() -> None:
    """There was no answer that could forbid it."""
    with pytest.raises(NotTakenError) as caught:
        await sent(lambda _: Fault.RESET, batch_of(2))
    assert frozenset({0, 1}) == caught.value.left


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "http://collector.example.com/v1/logs"}, "must begin with https://"),
        ({}, "the address is missing"),
        ({"url": "https://a/", "url_secret": "b"}, "there are two addresses"),
    ],
)
def test_an_address_is_needed(options: dict[str, Any], said: str) -> None:
    """One, by TLS."""
    with pytest.raises(InvalidInputError, match=said):
        open_sink("otlp", options, a_context({"b": "https://b/"}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoding": "grpc"}, "choose one of json, protobuf"),
        ({"header": "a b"}, "the name of an HTTP header"),
        ({"batch": 0}, "batch"),
        ({"resource": {"a": 1}}, "resource"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    """With the field and what goes."""
    with pytest.raises(InvalidInputError, match=said):
        read_options("otlp", {"url": "https://a/v1/logs", **options})
