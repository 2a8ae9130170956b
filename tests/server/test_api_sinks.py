"""Tests of proxy.server.api_sinks, over a real store."""

import json
from typing import Any

import pytest

from proxy.contracts import DeadLetter, Delivery
from proxy.directory import SinkRecord
from tests import sample_sink
from tests.running import SYSTEM, Face
from tests.sample_sink import SampleSink
from tests.samples import a_draft
from tests.server.test_api_objects import SINK, call


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


async def asked(face: Face, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Return the status of an answer, and what it says."""
    answer = await call(face, method, path, body)
    return answer.status, json.loads(answer.body)


async def made(face: Face, **fields: Any) -> str:
    """Make a sink; return its ID."""
    status, found = await asked(face, "POST", "sinks", {**SINK, **fields})
    assert 201 == status, found
    sink: str = found["id"]
    return sink


async def test_a_test_sends_its_own_entry_and_tells_the_answer(face: Face) -> None:
    """Also of a sink that is paused; the answer names the entry."""
    await made(face, enabled=False)
    answer = await call(face, "POST", "sinks/siem/test")
    told = json.loads(answer.body)
    assert {"is_taken": True, "said": "https://siem.example is there; 1 kept"} == told
    [batch] = SampleSink.made[-1].batches
    assert [("sink.tested", answer.index)] == [
        (event.entry["event"], event.record.index) for event in batch.events
    ]
    assert SampleSink.made[-1].is_closed


async def test_what_the_far_side_refuses_is_told_too(face: Face) -> None:
    """The test was made all the same."""
    await made(face, options={**SINK["options"], "is_down": True})
    assert (200, {"is_taken": False, "said": "https://siem.example is down"}) == (
        await asked(face, "POST", "sinks/siem/test")
    )


async def test_a_sink_tells_how_it_is_doing(face: Face) -> None:
    """How far it is, and what waits for it."""
    sink = await made(face)

    def keep(tx: Any) -> None:
        tx.keep_delivery(Delivery(sink, 1, delivered=1, retries=2, error="it was down"))

    await face.program.store.write(keep)
    status, told = await asked(face, "GET", "sinks/siem/status")
    size = await face.program.store.size()
    assert (200, "ok", 1, 1, 2, size - 1) == (
        status,
        *(told[name] for name in ("state", "cursor", "delivered", "retries", "lag")),
    )
    assert ([], 0) == (told["replays"], told["dead_letters"])


async def test_entries_are_sent_once_more(face: Face) -> None:
    """As a replay that can be looked at until it is done."""
    sink = await made(face)
    status, refused = await asked(face, "POST", "sinks/siem/replays", {"first": 0})
    assert (409, True) == (status, "gets what comes from there on anyway" in refused["detail"])
    await face.program.store.write(lambda tx: tx.keep_delivery(Delivery(sink, 2)))
    status, replay = await asked(face, "POST", "sinks/siem/replays", {"first": 0})
    assert (202, 0, 2, False) == (
        status,
        *(replay[name] for name in ("first", "until", "only_dead_letters")),
    )
    assert "sink.replayed" == (await face.last())["event"]
    assert (200, {"items": [replay], "next": None}) == (
        await asked(face, "GET", "sinks/siem/replays")
    )
    for body, field in (
        ({"frist": 0}, "frist"),
        ({"first": -1}, "first"),
        ({"first": "0"}, "first"),
    ):
        status, told = await asked(face, "POST", "sinks/siem/replays", body)
        assert (400, field) == (status, told["field"])
    status, _ = await asked(face, "POST", "sinks/siem/replays", {})
    assert 400 == status


async def test_what_is_set_aside_is_listed_page_by_page(face: Face) -> None:
    """In the order of the log."""
    sink = await made(face)
    time = "2026-11-22T10:00:00.000000Z"
    letters = [DeadLetter(sink, index, f"413 for {index}", time) for index in (1, 3, 5)]

    def set_aside(tx: Any) -> None:
        tx.add_dead_letters(letters)
        tx.append(a_draft())

    await face.program.store.write(set_aside)
    status, page = await asked(face, "GET", "sinks/siem/dead-letters?limit=2")
    assert (200, [1, 3], 5) == (status, [each["index"] for each in page["items"]], page["next"])
    status, page = await asked(face, "GET", "sinks/siem/dead-letters?limit=2&first=5")
    assert {"items": [{"index": 5, "reason": "413 for 5", "time": time}], "next": None} == page
    assert 3 == (await asked(face, "GET", "sinks/siem/status"))[1]["dead_letters"]


async def test_types_are_listed_with_their_options(face: Face) -> None:
    """By name, so that one can be made of what is read there."""
    _, told = await asked(face, "GET", "sink-types?limit=1000")
    names = [each["type"] for each in told["items"]]
    assert sorted(names) == names
    assert {"webhook", sample_sink.TYPE} <= set(names)
    sample = told["items"][names.index(sample_sink.TYPE)]
    assert {
        "name": "size",
        "kind": "number",
        "is_required": False,
        "default": 100,
        "meaning": "How many at once.",
    } in sample["options"]
    _, first = await asked(face, "GET", "sink-types?limit=1")
    assert (names[0], True) == (first["items"][0]["type"], first["next"] is not None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "status"),
        ("POST", "test"),
        ("GET", "dead-letters"),
        ("GET", "replays"),
        ("POST", "replays"),
    ],
)
async def test_a_sink_that_there_is_not_is_told(face: Face, method: str, path: str) -> None:
    """With what to do to find the one that was meant."""
    body = {"first": 0} if (method, path) == ("POST", "replays") else None
    status, told = await asked(face, method, f"sinks/none/{path}", body)
    assert (404, "there is no sink none: list them to see all") == (status, told["detail"])


async def test_a_sink_of_the_configuration_is_changed_there_alone(face: Face) -> None:
    """And the answer says where."""
    directory = face.program.directory
    await directory.configure_sinks(SYSTEM, {"siem": SinkRecord(**SINK, managed="configuration")})
    for method, body in (("PATCH", {"enabled": False}), ("DELETE", None)):
        status, told = await asked(face, method, "sinks/siem", body)
        assert (409, True) == (status, "change [sinks.siem] there" in told["detail"])
    assert 200 == (await asked(face, "POST", "sinks/siem/test"))[0]
