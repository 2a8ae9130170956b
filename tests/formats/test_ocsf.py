"""Tests of proxy.formats.ocsf against the official schema of OCSF 1.8.0."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from proxy.events import EVENTS
from proxy.formats.ocsf import CLASSES, VERSION, ocsf
from tests.examples import ORIGIN, entry_of, example
from tests.formats.samples import EVERY, an_example, formatted, odd


@cache
def official() -> OcsfJsonSchemaEmbedded:
    """Return the schema of the version that events say they are of."""
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))


@cache
def validator(uid: int, profiles: tuple[str, ...]) -> jsonschema.Draft202012Validator:
    """Return what holds events of a class against it; unknown attributes are refused."""
    name = official().lookup_class_name_from_uid(uid)
    return jsonschema.Draft202012Validator(official().get_class_schema(name, list(profiles)))


def problems(event: dict[str, Any]) -> Iterator[str]:
    """Yield what the schema finds wrong."""
    profiles = tuple(event["metadata"].get("profiles", ()))
    for error in validator(event["class_uid"], profiles).iter_errors(event):
        yield f"{error.json_path}: {error.message}"


def test_every_event_has_a_class() -> None:
    """A new event of the catalogue needs a line in the table."""
    assert set(EVENTS) == set(CLASSES)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_with_every_outcome_is_valid(event: str) -> None:
    """Against the official schema of its class, with the profiles that it names."""
    for each, outcome in EVERY:
        if each == event:
            assert [] == list(problems(an_example("ocsf", event, outcome))), outcome


def test_odd_entries_are_valid_too() -> None:
    """Without an address, a method, a path, a workspace; with a zone; counted; with umlauts."""
    for stored in odd():
        assert [] == list(problems(formatted("ocsf", stored))), entry_of(stored)["event"]


def test_the_validator_finds_mistakes() -> None:
    """What is not in the class, of another type or missing is told: else nothing above counts."""
    event = an_example("ocsf", "state.read")
    assert [] == list(problems(event))
    assert [] != list(problems({**event, "workspace": "prod"}))
    assert [] != list(problems({**event, "time": "2026-11-22T10:00:00Z"}))
    assert [] != list(problems({name: event[name] for name in event if name != "file"}))
    assert [] != list(problems({**event, "http_request": {"http_method": "LOCK"}}))


def test_captions_and_numbers_are_those_of_the_schema() -> None:
    """What class, category, activity, type, severity and status say in words and as numbers."""
    classes = {each["uid"]: each for each in official().schema.schema["classes"].values()}
    for name, outcome in EVERY:
        event = an_example("ocsf", name, outcome)
        of = classes[event["class_uid"]]
        assert (of["caption"], of["category_name"]) == (
            event["class_name"],
            event["category_name"],
        )
        assert (of["category_uid"], event["class_uid"] * 100 + event["activity_id"]) == (
            event["category_uid"],
            event["type_uid"],
        )
        for attribute in ("activity", "severity", "status"):
            known = of["attributes"][f"{attribute}_id"]["enum"][str(event[f"{attribute}_id"])]
            told = event["activity_name" if attribute == "activity" else attribute]
            assert told == known["caption"] or 99 == event[f"{attribute}_id"], (name, attribute)


@pytest.mark.parametrize(
    ("event", "type_uid"),
    [
        ("state.read", 600602),
        ("state.written", 600603),
        ("state.rolled_back", 600608),
        ("state.locked", 600610),
        ("state.unlocked", 600611),
        ("auth.login", 300201),
        ("auth.logout", 300202),
        ("grant.created", 300401),
        ("workspace.deleted", 300404),
        ("sink.disabled", 300409),
        ("audit.started", 600203),
        ("audit.read", 600302),
    ],
)
def test_the_type_of_an_event(event: str, type_uid: int) -> None:
    """The number that a rule of a SIEM is written for."""
    assert type_uid == an_example("ocsf", event)["type_uid"]


def test_who_what_when_from_where_stand_where_a_siem_looks() -> None:
    """The six questions of an auditor, in the attributes of the standard."""
    event = an_example("ocsf", "state.written")
    entry = entry_of(example("state.written"))
    assert 1_795_341_600_000 <= event["time"] < 1_795_341_600_000 + 86_400_000
    assert entry["time"] == event["metadata"]["original_time"]
    assert ORIGIN == event["metadata"]["log_name"]
    assert "example/network" == event["actor"]["user"]["name"]
    assert "github" == event["actor"]["idp"]["name"]
    assert {"ip": "198.51.100.7"} == event["src_endpoint"]
    assert ["198.51.100.7"] == event["http_request"]["x_forwarded_for"]
    assert ("prod/network", "42") == (event["file"]["name"], event["file"]["version"])
    assert ("Success", "200") == (event["status"], event["status_code"])
    assert entry["changes"] == event["unmapped"]["changes"]
    assert entry["actor"]["claims"] == event["unmapped"]["actor"]["claims"]


def test_a_method_that_ocsf_lacks_is_kept_beside() -> None:
    """Its methods are a closed list, without Terraform's LOCK and UNLOCK."""
    event = an_example("ocsf", "state.locked")
    assert "http_method" not in event["http_request"]
    assert "LOCK" == event["unmapped"]["request"]["method"]


def test_a_failed_login_is_about_the_account_that_was_tried() -> None:
    """Not about nobody, who tried it."""
    event = an_example("ocsf", "auth.failed")
    assert ("alice", "anonymous") == (event["user"]["name"], event["actor"]["user"]["name"])
    assert ("Failure", 3002, 1) == (event["status"], event["class_uid"], event["activity_id"])


def test_an_event_of_another_release_still_leaves() -> None:
    """A log may hold what this release no longer makes: it is a Base Event, and valid."""
    stored = example("state.read")
    entry = {**entry_of(stored), "event": "state.teleported"}
    event = ocsf(entry, stored.record, ORIGIN)
    assert [] == list(problems(event))
    assert (0, "state.teleported") == (event["class_uid"], event["activity_name"])
    assert entry["actor"] == event["unmapped"]["actor"]
