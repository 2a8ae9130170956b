"""Tests of proxy.secret_service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.access import Role
from proxy.contracts import Store
from proxy.errors import ForbiddenError, InvalidInputError, NotFoundError, UnavailableError
from proxy.preparation import Keys
from proxy.secret_service import SecretService
from proxy.state_service import StateService
from proxy.tfstate.policy import Mode, Policy
from tests.fakes import FakeStore, Fault
from tests.samples import (
    WORKSPACE,
    a_caller,
    a_state,
    an_encrypted_state,
    an_open_store,
    last_of,
)
from tests.test_state_service import KEYS, a_secret_state, a_service, write

ADMIN = a_caller(Role.ADMIN)
SECRET = "correct-horse-battery"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with an_open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def states(store: Store) -> StateService:
    """Return the states of the store."""
    return a_service(store)


@pytest.fixture
def secrets(store: Store) -> SecretService:
    """Return the service over the same store."""
    return SecretService(store, KEYS)


# ---------------------------------------------------------------- where a value was seen


async def test_a_value_is_told_where_it_was_seen(
    store: Store, states: StateService, secrets: SecretService
) -> None:
    """In each entry that hides it, and in each version that holds it."""
    await write(states, a_secret_state(1, SECRET))
    await write(states, a_secret_state(2, "another-password"))
    await write(states, a_secret_state(3, "a-third-password"))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert [(1, "after"), (2, "before")] == [
        (entry.index, entry.sightings[0].side) for entry in found.entries
    ]
    assert ("terraform_data.main", "password", "value") == found.entries[0].sightings[0][:3]
    assert [1] == [seen.version.number for seen in found.versions]
    assert [] == found.untold
    assert found.index == await store.size() - 1


async def test_a_value_nobody_saw_is_seen_nowhere(
    states: StateService, secrets: SecretService
) -> None:
    """And that is certain."""
    await write(states, a_secret_state(1, SECRET))
    found = await secrets.find(ADMIN, WORKSPACE, "never-there-at-all")
    assert ([], [], []) == (found.entries, found.versions, found.untold)


async def test_the_question_is_on_record_without_the_value(
    store: Store, states: StateService, secrets: SecretService
) -> None:
    """Neither it nor what stands for it."""
    await write(states, a_secret_state(1, SECRET))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    entry = await last_of(store)
    assert ("audit.read", "success", WORKSPACE) == (
        entry["event"],
        entry["outcome"],
        entry["workspace"],
    )
    assert SECRET not in str(entry)
    assert "hmac-sha256" not in str(entry)
    assert found.index == await store.size() - 1


async def test_a_cut_entry_is_looked_through_whole(
    states: StateService, secrets: SecretService
) -> None:
    """By the document that is kept beside it."""
    members = ", ".join(f'"k{n:05}": "{"x" * 100}"' for n in range(3000))
    body = a_state(1).replace(b'"id": "1"', f'{members}, "zz_password": "{SECRET}"'.encode())
    await write(states, body)
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert ["zz_password"] == [place.path for place in found.entries[0].sightings]


async def test_a_value_that_nothing_hid_is_found_in_the_versions(
    states: StateService, secrets: SecretService
) -> None:
    """Which is what somebody wants to know of a leak most of all; and the entry shows it."""
    await write(states, a_secret_state(1, "another-password"))
    await write(states, a_state(2, f"user_data {SECRET} end"))
    await write(states, a_secret_state(3, SECRET))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert [(2, True), (3, False)] == [(entry.index, entry.shows_it) for entry in found.entries]
    assert SECRET not in str(found.entries)
    assert [("input.value", "text")] == [
        (place.path, place.how) for place in found.versions[0].sightings
    ]


async def test_an_encrypted_state_can_not_be_told(
    states: StateService, secrets: SecretService
) -> None:
    """And that is said."""
    await write(states, an_encrypted_state(1))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert ["version 1 is encrypted by OpenTofu"] == found.untold


async def test_a_version_that_can_not_be_read_is_told(store: Store, states: StateService) -> None:
    """The others are looked through all the same."""
    await write(states, a_secret_state(1, SECRET))
    other = SecretService(store, Keys(bytes(32), KEYS.redaction))
    found = await other.find(ADMIN, WORKSPACE, SECRET)
    assert 1 == len(found.entries)
    assert "version 1 can't be read" in found.untold[0]


async def test_entries_without_values_can_not_be_told(store: Store, secrets: SecretService) -> None:
    """The mode leaves nothing to compare with."""
    await write(a_service(store, policy=Policy("names-only")), a_secret_state(1, SECRET))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert ([], [1]) == (found.entries, [seen.version.number for seen in found.versions])
    assert ["1 entry in the mode names-only left values out"] == found.untold


@pytest.mark.parametrize("mode", ["standard", "strict"])
async def test_a_sensitive_output_leaves_the_rest_of_its_entry_to_be_told(
    store: Store, secrets: SecretService, mode: Mode
) -> None:
    """Of its type no mode tells more than that it changed; its value has a commitment."""
    outputs = b'"outputs": {"key": {"value": "%b", "type": "string", "sensitive": true}}'
    body = a_secret_state(1, SECRET).replace(b'"outputs": {}', outputs % b"sesame-open-the-door")
    assert b"sesame" in body
    await write(a_service(store, policy=Policy(mode)), body)
    types = (await last_of(store))["changes"]["items"][-1]["attributes"]["type"]
    assert {"changed": True} == types
    for value, place in (
        (SECRET, ("terraform_data.main", "password", "value", "after")),
        ("sesame-open-the-door", ("output.key", "value", "value", "after")),
    ):
        found = await secrets.find(ADMIN, WORKSPACE, value)
        assert [(1, [place])] == [(entry.index, entry.sightings) for entry in found.entries]
        assert [] == found.untold


async def test_a_type_that_an_object_left_out_is_told_as_such(
    store: Store, secrets: SecretService
) -> None:
    """Only an output's is no value."""
    names_only = a_service(store, policy=Policy("names-only"))
    await write(names_only, a_state(1).replace(b'"id": "1"', b'"type": "first"'))
    await write(names_only, a_state(2).replace(b'"id": "1"', b'"type": "second"'))
    changed = (await last_of(store))["changes"]["items"][0]["attributes"]
    assert {"type": {"changed": True}} == changed
    found = await secrets.find(ADMIN, WORKSPACE, "second")
    assert ["1 entry in the mode names-only left values out"] == found.untold


async def test_entries_without_values_need_none_where_the_versions_were_searched(
    store: Store, secrets: SecretService
) -> None:
    """Neither of those before and after holds the value, so the entry can't be about it."""
    names_only = a_service(store, policy=Policy("names-only"))
    await write(names_only, a_secret_state(1, SECRET))
    await write(names_only, a_secret_state(2, "another-password"))
    await write(names_only, a_secret_state(3, "a-third-password"))
    await secrets.forget(ADMIN, WORKSPACE)
    found = await secrets.find(ADMIN, WORKSPACE, "never-there-at-all")
    assert ([], [], []) == (found.entries, found.versions, found.untold)
    found = await secrets.find(ADMIN, WORKSPACE, "another-password")
    assert ["2 entries in the mode names-only left values out"] == found.untold


async def test_entries_about_versions_that_can_not_be_read_need_their_commitments(
    store: Store, states: StateService, secrets: SecretService
) -> None:
    """Nothing else tells."""
    await write(states, a_secret_state(1, SECRET))
    await secrets.forget(ADMIN, WORKSPACE)
    other = SecretService(store, Keys(bytes(32), KEYS.redaction))
    found = await other.find(ADMIN, WORKSPACE, "never-there-at-all")
    assert "1 entry hid values with a key that was destroyed" in found.untold[0]


async def test_a_part_of_a_longer_secret_may_be_hidden_with_it(
    states: StateService, secrets: SecretService
) -> None:
    """It has no commitment of its own, and that is said."""
    await write(states, a_secret_state(1, SECRET))
    found = await secrets.find(ADMIN, WORKSPACE, "horse")
    assert ([], [1]) == (found.entries, [seen.version.number for seen in found.versions])
    assert "as a part of a longer secret" in found.untold[0]


async def test_a_short_value_is_not_told_for_certain(
    states: StateService, secrets: SecretService
) -> None:
    """It may stand inside any text."""
    await write(states, a_state(1))
    found = await secrets.find(ADMIN, WORKSPACE, "abc")
    assert "less than 4 characters" in found.untold[0]


@pytest.mark.parametrize("value", ["", " \n"])
async def test_no_value_is_nothing_to_look_for(secrets: SecretService, value: str) -> None:
    """A mistake, and no question."""
    with pytest.raises(InvalidInputError, match="there is no value to look for"):
        await secrets.find(ADMIN, WORKSPACE, value)


# ---------------------------------------------------------------- forgetting


async def test_what_is_forgotten_can_not_be_tested(
    store: Store, states: StateService, secrets: SecretService
) -> None:
    """Entries from before are told as such; those after the next write can be tested again."""
    await write(states, a_secret_state(1, SECRET))
    forgotten = await secrets.forget(ADMIN, WORKSPACE)
    entry = await last_of(store)
    assert ("key.rotated", "success", WORKSPACE) == (
        entry["event"],
        entry["outcome"],
        entry["workspace"],
    )
    assert forgotten.since is not None
    assert forgotten.since in entry["message"]

    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert ([], [1]) == (found.entries, [seen.version.number for seen in found.versions])
    assert "1 entry hid values with a key that was destroyed" in found.untold[0]

    await write(states, a_secret_state(2, "another-password"))
    found = await secrets.find(ADMIN, WORKSPACE, SECRET)
    assert [(4, "before")] == [(e.index, e.sightings[0].side) for e in found.entries]
    assert "1 entry, before 20" in found.untold[0]


async def test_nothing_of_the_key_is_left_beside_a_running_server(tmp_path: Path) -> None:
    """In no file; and what the server remembers of it, it does not use again."""
    async with an_open_store(tmp_path) as store:
        server = a_service(store)
        await write(server, a_secret_state(1, SECRET))
        salt = (await store.write(lambda tx: tx.salt(WORKSPACE))).value
        assert salt is not None
        async with an_open_store(tmp_path) as beside:
            await SecretService(beside, KEYS).forget(ADMIN, WORKSPACE)
        assert not any(salt.value in path.read_bytes() for path in tmp_path.iterdir())
        await write(server, a_secret_state(2, "another-password"))
        new = (await store.write(lambda tx: tx.salt(WORKSPACE))).value
        assert new is not None
        assert new.value != salt.value
        assert not any(salt.value in path.read_bytes() for path in tmp_path.iterdir())


async def test_forgetting_twice_is_on_record_twice(
    store: Store, states: StateService, secrets: SecretService
) -> None:
    """The second says that there was nothing to destroy."""
    await write(states, a_state(1))
    await secrets.forget(ADMIN, WORKSPACE)
    again = await secrets.forget(ADMIN, WORKSPACE)
    assert again.since is None
    assert "there was none any more" in (await last_of(store))["message"]


async def test_a_trace_that_may_be_left_is_told_with_what_to_do(
    store: Store, states: StateService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is destroyed all the same; the same command again removes the trace."""
    await write(states, a_state(1))

    async def busy() -> None:
        raise UnavailableError("somebody is reading")

    monkeypatch.setattr(store, "scrub", busy)
    secrets = SecretService(store, KEYS)
    with pytest.raises(UnavailableError, match="is destroyed, and that is on record; but a copy"):
        await secrets.forget(ADMIN, WORKSPACE)
    assert (await store.write(lambda tx: tx.salt(WORKSPACE))).value is None
    monkeypatch.undo()
    assert (await secrets.forget(ADMIN, WORKSPACE)).since is None


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("verb", ["forget", "find"])
async def test_only_an_administrator_of_everything_may(
    store: Store, states: StateService, secrets: SecretService, verb: str
) -> None:
    """Others get an entry and nothing else."""
    await write(states, a_state(1))
    for caller in (a_caller(Role.AUDITOR), a_caller(Role.ADMIN, workspaces=("prod/*",))):
        with pytest.raises(ForbiddenError):
            await (
                secrets.forget(caller, WORKSPACE)
                if verb == "forget"
                else secrets.find(caller, WORKSPACE, SECRET)
            )
        assert "access.denied" == (await last_of(store))["event"]


@pytest.mark.parametrize("verb", ["forget", "find"])
async def test_a_workspace_that_is_not_there_is_told_and_recorded(
    store: Store, secrets: SecretService, verb: str
) -> None:
    """A typo must not look like "not seen"."""
    with pytest.raises(NotFoundError):
        await (
            secrets.forget(ADMIN, "typo") if verb == "forget" else secrets.find(ADMIN, "typo", "x")
        )
    assert "error" == (await last_of(store))["outcome"]


@pytest.mark.parametrize("verb", ["forget", "find"])
async def test_what_can_not_be_recorded_is_not_done(verb: str) -> None:
    """Neither told nor destroyed."""
    store = FakeStore()
    await write(a_service(store), a_secret_state(1, SECRET))
    secrets = SecretService(store, KEYS)
    salt = (await store.write(lambda tx: tx.salt(WORKSPACE))).value
    store.fault = Fault.NOT_PERSISTED
    with pytest.raises(UnavailableError):
        await (
            secrets.forget(ADMIN, WORKSPACE)
            if verb == "forget"
            else secrets.find(ADMIN, WORKSPACE, SECRET)
        )
    store.fault = None
    assert salt == (await store.write(lambda tx: tx.salt(WORKSPACE))).value
