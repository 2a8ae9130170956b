"""Tests of proxy.formats.ecs against the field reference of ECS 8.17."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

import pytest

from proxy.events import EVENTS
from proxy.formats.ecs import CATEGORIES, ecs
from tests.examples import ORIGIN, entry_of, example
from tests.formats.samples import EVERY, an_example, formatted, odd

FIELDS: Final = {
    # of elastic.co/docs/reference/ecs/ecs-field-reference: the fields that are used, their types
    "@timestamp": "date",
    "message": "match_only_text",
    "ecs.version": "keyword",
    "event.action": "keyword",
    "event.category": "keyword[]",
    "event.dataset": "keyword",
    "event.hash": "keyword",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.outcome": "keyword",
    "event.provider": "keyword",
    "event.sequence": "long",
    "event.type": "keyword[]",
    "file.hash.sha256": "keyword",
    "file.name": "keyword",
    "file.path": "keyword",
    "file.size": "long",
    "file.type": "keyword",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.response.status_code": "long",
    "related.ip": "ip[]",
    "related.user": "keyword[]",
    "service.name": "keyword",
    "service.type": "keyword",
    "source.address": "keyword",
    "source.ip": "ip",
    "url.path": "wildcard",
    "user.id": "keyword",
    "user.name": "keyword",
    "user_agent.original": "keyword",
}
EXPECTED: Final = {
    # of "ECS categorization field: event.category": the expected event types of each
    "api": {
        *("access", "admin", "allowed", "change", "creation", "deletion", "denied", "end"),
        *("info", "start", "user"),
    },
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "process": {"access", "change", "end", "info", "start"},
    "session": {"start", "end", "info"},
}


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return a document's fields by their dotted names; ``tfaudit`` is ours."""
    if not isinstance(value, dict) or path == "tfaudit":
        return {path: value}
    found: dict[str, Any] = {}
    for name, each in value.items():
        found |= flat(each, f"{path}.{name}" if path else name)
    return found


def is_of(value: Any, of: str) -> bool:
    """Tell whether Elasticsearch takes the value for a field of the type."""
    if of.endswith("[]"):
        return isinstance(value, list) and all(is_of(each, of[:-2]) for each in value)
    if of == "long":
        return type(value) is int and -(2**63) <= value < 2**63
    if not isinstance(value, str):
        return False
    if of == "date":
        return datetime.fromisoformat(value).tzinfo is not None
    if of == "ip":
        return str(ip_address(value)) != "" and "%" not in value
    return value != ""


def check(document: dict[str, Any]) -> None:
    """Hold a document against the tables above."""
    for name, value in flat(document).items():
        if name != "tfaudit":
            assert is_of(value, FIELDS[name]), (name, value)
    event = document["event"]
    assert "event" == event["kind"]
    assert event["outcome"] in {"success", "failure"}
    assert set(event["category"]) <= set(EXPECTED)
    expected = {of for category in event["category"] for of in EXPECTED[category]}
    assert set(event["type"]) <= expected, event


def test_every_event_has_a_category() -> None:
    """A new event of the catalogue needs a line in the table."""
    assert set(EVENTS) == set(CATEGORIES)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_with_every_outcome_has_only_fields_of_the_reference(event: str) -> None:
    """Each of the type that the reference gives; category and type are expected together."""
    for each, outcome in EVERY:
        if each == event:
            check(an_example("ecs", event, outcome))


def test_odd_entries_fit_too() -> None:
    """An address that is none stands in ``source.address``, which takes any text."""
    for stored in odd():
        check(formatted("ecs", stored))


def test_the_reference_finds_mistakes() -> None:
    """A field of another type or an unknown one is told: else nothing above counts."""
    document = an_example("ecs", "state.read")
    for wrong in (
        {"source": {"ip": "localhost"}},
        {"user": {"name": ""}},
        {"event": {**document["event"], "type": ["deletion", "teleport"]}},
        {"http": {"response": {"status_code": "200"}}},
    ):
        with pytest.raises((AssertionError, ValueError)):
            check({**document, **wrong})
    with pytest.raises(KeyError):
        check({**document, "workspace": "prod"})


def test_who_what_when_from_where_stand_where_kibana_looks() -> None:
    """The six questions of an auditor, in the fields of the standard."""
    document = an_example("ecs", "state.written")
    entry = entry_of(example("state.written"))
    assert entry["time"] == document["@timestamp"]
    assert ("state.written", "success") == (
        document["event"]["action"],
        document["event"]["outcome"],
    )
    assert {"id": entry["actor"]["id"], "name": "example/network"} == document["user"]
    assert "198.51.100.7" == document["source"]["ip"]
    assert ("prod/network", "network") == (document["file"]["path"], document["file"]["name"])
    assert 200 == document["http"]["response"]["status_code"]
    assert (ORIGIN, "prod/network") == (
        document["tfaudit"]["origin"],
        document["tfaudit"]["workspace"],
    )
    assert entry["changes"] == document["tfaudit"]["changes"]
    assert document["tfaudit"]["leaf_hash"] == document["event"]["hash"]


def test_what_is_denied_is_found_among_the_denials() -> None:
    """``event.type: denied`` belongs to the category ``api``."""
    event = an_example("ecs", "access.denied")["event"]
    assert (["api"], ["access", "denied"], "failure") == (
        event["category"],
        event["type"],
        event["outcome"],
    )


def test_an_event_of_another_release_still_leaves() -> None:
    """A log may hold what this release no longer makes."""
    stored = example("state.read")
    document = ecs({**entry_of(stored), "event": "state.teleported"}, stored.record, ORIGIN)
    check(document)
    assert "state.teleported" == document["event"]["action"]
