"""Tests of what proxy.directory_service does with sinks."""

from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.directory import SinkRecord
from proxy.directory_service import Change, DirectoryService
from proxy.errors import ConflictError, InvalidInputError
from proxy.fields import FieldError
from tests import sample_sink
from tests.documents import check_entries
from tests.fakes import FakeStore, a_caller

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ADMIN = a_caller()
OPTIONS: dict[str, Any] = {"url": "https://siem.example", "tags": ["a"]}
FIELDS: dict[str, Any] = {"name": "siem", "type": sample_sink.TYPE, "options": OPTIONS}


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


@pytest.fixture
def store() -> FakeStore:
    """Return an empty store."""
    return FakeStore()


@pytest.fixture
def directory(store: FakeStore) -> DirectoryService:
    """Return the service over it, with IDs that can be foreseen."""
    calls = iter(range(1, 1000))
    return DirectoryService(store, lambda: NOW, lambda size: bytes([next(calls)]) * size)


def configured(**fields: Any) -> SinkRecord:
    """Return a sink as the configuration has it."""
    given: dict[str, Any] = {**FIELDS, "managed": "configuration", **fields}
    return SinkRecord(**given)


def told(store: FakeStore) -> list[tuple[str, str]]:
    """Return event and message of each entry, without who it was."""
    check_entries(store.log)
    name = f"{ADMIN.principal.name} "
    return [(entry["event"], entry["message"].removeprefix(name)) for entry in store.log]


async def test_each_change_of_a_sink_is_one_entry(
    store: FakeStore, directory: DirectoryService
) -> None:
    """Pausing and going on have events of their own, also when more changes with them."""
    await directory.create(ADMIN, "sink", {**FIELDS, "filter": {"event": ["state.read"]}})
    for changes in (
        {"options": {"tags": ["a", "b"], "size": 7}},
        {"enabled": False},
        {"enabled": True, "filter": None, "description": "of the team"},
        {"enabled": True},
    ):
        await directory.update(ADMIN, "sink", "siem", changes)
    await directory.delete(ADMIN, "sink", "siem")
    assert [
        ("sink.created", "created the sink siem: sample, for what its filter names"),
        (
            "sink.updated",
            "updated the sink siem: options.size nothing -> 7, options.tags a -> a b",
        ),
        ("sink.disabled", "disabled the sink siem: enabled yes -> no"),
        (
            "sink.enabled",
            (
                "enabled the sink siem: enabled no -> yes, description nothing -> of the team, "
                "filter.event state.read -> nothing"
            ),
        ),
        ("sink.deleted", "deleted the sink siem"),
    ] == told(store)
    before, after = store.log[3]["object"]["before"], store.log[3]["object"]["after"]
    assert ({"event": ["state.read"]}, {}) == (before["filter"], after["filter"])
    assert {**OPTIONS, "tags": ["a", "b"], "size": 7} == after["options"]


async def test_what_a_notification_gets_by_default_is_not_every_entry(
    store: FakeStore, directory: DirectoryService
) -> None:
    """And the entry says so."""
    fields = {"name": "chat", "type": "slack", "options": {"url_secret": "slack"}}
    await directory.create(ADMIN, "sink", fields)
    assert [
        ("sink.created", "created the sink chat: slack, for what its type gets by default")
    ] == told(store)


async def test_an_option_is_put_back_by_null(directory: DirectoryService) -> None:
    """As in a JSON merge patch (RFC 7396); what must be there can't be taken away."""
    await directory.create(ADMIN, "sink", FIELDS)
    changed = await directory.update(ADMIN, "sink", "siem", {"options": {"tags": None}})
    record = changed.value.record
    assert isinstance(record, SinkRecord)
    assert {"url": "https://siem.example"} == record.options
    with pytest.raises(FieldError, match="the field url is missing"):
        await directory.update(ADMIN, "sink", "siem", {"options": {"url": None}})


async def test_a_refused_sink_is_on_record(store: FakeStore, directory: DirectoryService) -> None:
    """With the field that is wrong, and without what stood there."""
    with pytest.raises(FieldError):
        await directory.create(ADMIN, "sink", {**FIELDS, "options": {**OPTIONS, "size": "9"}})
    (entry,) = store.log
    assert ("sink.created", "error") == (entry["event"], entry["outcome"])
    assert "options: size" in entry["message"]


async def test_nobody_makes_a_sink_of_the_configuration(directory: DirectoryService) -> None:
    """But the configuration."""
    with pytest.raises(FieldError, match="nobody sets it"):
        await directory.create(ADMIN, "sink", {**FIELDS, "managed": "configuration"})


async def test_the_configuration_is_put_in_force(
    store: FakeStore, directory: DirectoryService
) -> None:
    """What differs is an entry; what is so already is none; what an administrator made stays."""
    await directory.create(ADMIN, "sink", {**FIELDS, "name": "other"})
    await directory.configure_sinks(ADMIN, {"siem": configured(), "old": configured(name="old")})
    assert ["sink.created"] * 3 == [event for event, _ in told(store)]
    again = await directory.configure_sinks(
        ADMIN, {"siem": configured(), "old": configured(name="old")}
    )
    assert ([], None, 3) == (again.value, again.index, len(store.log))
    await directory.configure_sinks(
        ADMIN, {"siem": configured(options={"url": "https://b.example"}, enabled=False)}
    )
    assert [
        ("sink.deleted", "deleted the sink old"),
        (
            "sink.disabled",
            (
                "disabled the sink siem: options.url https://siem.example -> https://b.example, "
                "enabled yes -> no, options.tags a -> nothing"
            ),
        ),
    ] == told(store)[3:]
    assert ["other", "siem"] == [each.name for each in await directory.list(ADMIN, "sink")]


async def test_a_sink_of_another_type_is_another_sink(
    directory: DirectoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no place in the log from the one that had its name."""
    await directory.configure_sinks(ADMIN, {"siem": configured()})
    (before,) = await directory.list(ADMIN, "sink")
    monkeypatch.setattr(sample_sink, "TYPE", "sample2")
    sample_sink.install(monkeypatch)
    await directory.configure_sinks(ADMIN, {"siem": configured(type="sample2")})
    (after,) = await directory.list(ADMIN, "sink")
    assert before.id != after.id


async def test_a_name_that_an_administrator_gave_is_not_taken(
    store: FakeStore, directory: DirectoryService
) -> None:
    """The start of the server says so; nothing else of the configuration is done."""
    await directory.create(ADMIN, "sink", FIELDS)
    with pytest.raises(ConflictError, match="tfaudit sink delete siem"):
        await directory.configure_sinks(
            ADMIN, {"another": configured(name="another"), "siem": configured()}
        )
    assert ["siem"] == [each.name for each in await directory.list(ADMIN, "sink")]
    assert "conflict" == store.log[-1]["outcome"]


async def test_where_a_sink_of_the_configuration_began_stays(directory: DirectoryService) -> None:
    """Its file says something that could only be done by a replay."""
    await directory.configure_sinks(ADMIN, {"siem": configured(start=3)})
    with pytest.raises(InvalidInputError, match=r"start = 3.*sink replay siem"):
        await directory.configure_sinks(ADMIN, {"siem": configured(start=0)})


@pytest.mark.parametrize("change", ["update", "delete"])
async def test_what_the_configuration_has_is_changed_nowhere_else(
    directory: DirectoryService, change: str
) -> None:
    """By its ID neither."""
    await directory.configure_sinks(ADMIN, {"siem": configured()})
    (found,) = await directory.list(ADMIN, "sink")
    for name in ("siem", found.id):
        with pytest.raises(ConflictError, match="stands in the configuration file"):
            await directory.change(
                ADMIN,
                [Change(change, "sink", name, {"enabled": False})],  # type: ignore[arg-type]
            )
    with pytest.raises(ConflictError, match="stands in the configuration file"):
        await directory.create(ADMIN, "sink", FIELDS)
