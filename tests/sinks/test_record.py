"""Tests of proxy.sinks.record."""

from typing import Any

import msgspec
import pytest

from proxy.directory import SinkRecord
from proxy.errors import ConflictError, InvalidInputError
from proxy.fields import FieldError
from proxy.sinks.record import MAX_BYTES, mistakes_of, require_manager, require_usable
from tests import sample_sink

GITHUB_TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"
GOOD: dict[str, Any] = {"url": "https://siem.example"}


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


def a_record(**fields: Any) -> SinkRecord:
    """Return a sink of the sample type."""
    given: dict[str, Any] = {"name": "siem", "type": sample_sink.TYPE, "options": GOOD, **fields}
    return SinkRecord(**given)


def nested(depth: int) -> object:
    """Return so many lists in each other."""
    return [] if depth == 1 else [nested(depth - 1)]


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({}, "options.url", "the field url is missing"),
        ({**GOOD, "site": "x"}, "options.site", "there is no field 'site'"),
        ({**GOOD, "szie": 1}, "options.szie", "did you mean size?"),
        ({**GOOD, "size": "1"}, "options.size", "a whole number"),
        ({**GOOD, "size": 0}, "options.size", ">= 1"),
        ({**GOOD, "tags": ["a", 1]}, "options.tags[1]", "must be a text"),
        ({**GOOD, "secret": "KEY"}, "options.secret", "the name of a secret"),
        ({**GOOD, "secret": "../keys/master"}, "options.secret", "the name of a secret"),
        ({"url": "https://u:p@siem.example"}, "options.url", "looks like a credential"),
        ({"url": "https://siem.example?q"}, "options.url", "no user, password"),
        ({"url": "http://siem.example"}, "options.url", "must begin with https://"),
        ({**GOOD, "secret": GITHUB_TOKEN}, "options.secret", "looks like a credential"),
        ({**GOOD, "tags": ["x", GITHUB_TOKEN]}, "options.tags[1]", "looks like a credential"),
        ({**GOOD, "size": 1.5}, "options.size", "a whole number"),
        ({**GOOD, "size": 2**53}, "options.size", "too large"),
        ({**GOOD, "gr\u00f6\u00dfe": 1}, "options", "beyond ASCII"),
        ({**GOOD, "tags": nested(17)}, "options.tags" + "[0]" * 15, "nested deeper"),
    ],
)
def test_an_option_that_can_not_be_is_named(
    options: dict[str, Any], field: str, message: str
) -> None:
    """With its place, and what it must be."""
    with pytest.raises(FieldError, match=message.replace("?", r"\?")) as caught:
        require_usable(a_record(options=options))
    assert field == caught.value.field


def test_a_type_that_there_is_not_is_told_with_those_there_are() -> None:
    """As the field that is wrong."""
    with pytest.raises(FieldError, match=f"choose one of .*{sample_sink.TYPE}") as caught:
        require_usable(a_record(type="smaple"))
    assert "type" == caught.value.field


def test_all_mistakes_of_the_options_are_told() -> None:
    """Each by itself; what was taken out for being wrong is not missing besides."""
    options = {"url": "nowhere", "size": 0, "colour": "red"}
    found = [
        each.field
        for each in mistakes_of(a_record(options=options))
        if isinstance(each, FieldError)
    ]
    assert ["options.colour", "options.size", "options.url"] == sorted(found)


def test_what_an_entry_could_not_hold_twice_is_refused() -> None:
    """The entry of a change has the record before and after."""
    with pytest.raises(InvalidInputError, match=f"of {MAX_BYTES} allowed"):
        require_usable(a_record(options={**GOOD, "tags": ["x" * MAX_BYTES]}))


def test_a_filter_that_means_no_event_is_a_mistake() -> None:
    """A misspelt event would silence the sink for good."""
    with pytest.raises(FieldError, match=r"did you mean state\.written\?") as caught:
        require_usable(a_record(filter={"event": ["state.writen"]}))
    assert "filter.event[0]" == caught.value.field


def test_no_credential_stands_in_a_filter() -> None:
    """It is in every list of sinks, and in the log."""
    with pytest.raises(FieldError, match="looks like a credential") as caught:
        require_usable(a_record(filter={"workspace": ["a", GITHUB_TOKEN]}))
    assert "filter.workspace[1]" == caught.value.field


def test_a_sink_whose_package_is_gone_can_be_paused() -> None:
    """But neither changed nor enabled."""
    before = a_record(type="gone")
    paused = msgspec.structs.replace(before, enabled=False)
    require_usable(paused, before)
    for after in (
        before,
        msgspec.structs.replace(paused, options={**GOOD, "size": 1}),
    ):
        with pytest.raises(FieldError, match="there is no type 'gone'"):
            require_usable(after, paused)


@pytest.mark.parametrize(
    ("action", "fields", "manager", "message"),
    [
        ("update", {"enabled": False}, "administration", r"change \[sinks.siem\] there"),
        ("delete", {}, "administration", r"change \[sinks.siem\] there"),
        ("create", {}, "administration", r"change \[sinks.siem\] there"),
    ],
)
def test_what_the_configuration_holds_is_changed_there_alone(
    action: str, fields: dict[str, Any], manager: Any, message: str
) -> None:
    """Else the next start of the server would take it back."""
    present = a_record(managed="configuration")
    with pytest.raises(ConflictError, match=message):
        require_manager(action, fields, present, manager)
    require_manager(action, fields, present, "configuration")


def test_the_configuration_takes_no_sink_from_an_administrator() -> None:
    """One of the two must have another name."""
    with pytest.raises(ConflictError, match="tfaudit sink delete siem"):
        require_manager("update", {"managed": "configuration"}, a_record(), "configuration")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "webhook"}, "type"),
        ({"start": 7}, "start"),
        ({"managed": "configuration"}, "managed"),
    ],
)
def test_what_makes_a_sink_the_one_it_is_stays(fields: dict[str, Any], field: str) -> None:
    """Its place in the log belongs to it."""
    present = a_record()
    with pytest.raises(FieldError) as caught:
        require_manager("update", fields, present, "administration")
    assert field == caught.value.field
    same = {name: getattr(present, name) for name in fields}
    require_manager("update", same, present, "administration")
