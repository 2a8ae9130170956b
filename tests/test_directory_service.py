"""Tests of proxy.directory_service."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from proxy.access import Role
from proxy.audit_log import draft
from proxy.contracts import Transaction
from proxy.directory import document_of
from proxy.directory_service import Change, DirectoryService
from proxy.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from tests.documents import check_entries
from tests.fakes import FakeStore, a_caller
from tests.samples import a_version

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ADMIN = a_caller()
GRANT = {"name": "g", "principal": "alice", "role": "writer", "workspaces": ["prod/*"]}


@pytest.fixture
def store() -> FakeStore:
    """Return an empty store."""
    return FakeStore()


@pytest.fixture
def directory(store: FakeStore) -> DirectoryService:
    """Return the service over it, with IDs that can be foreseen."""
    calls = iter(range(1, 1000))
    return DirectoryService(store, lambda: NOW, lambda size: bytes([next(calls)]) * size)


def events(store: FakeStore) -> list[tuple[str, str]]:
    """Return event and outcome of each entry."""
    return [(entry["event"], entry["outcome"]) for entry in store.log]


async def test_an_object_is_made_and_recorded(
    store: FakeStore, directory: DirectoryService
) -> None:
    """With all its fields, those that were not named too; before there was nothing."""
    made = await directory.create(ADMIN, "principal", {"name": "alice", "kind": "person"})
    (entry,) = store.log
    assert ("principal.created", "success", made.index) == (entry["event"], entry["outcome"], 0)
    assert {
        "kind": "principal",
        "name": "alice",
        "id": made.value.id,
        "before": None,
        "after": {
            "name": "alice",
            "kind": "person",
            "description": "",
            "certificates": [],
            "disabled": False,
        },
    } == entry["object"]
    assert [made.value] == await directory.list(ADMIN, "principal")
    check_entries(store.log)


async def test_an_update_tells_what_was_and_what_is(
    store: FakeStore, directory: DirectoryService
) -> None:
    """The same object, with the same ID, by name or by ID."""
    made = (await directory.create(ADMIN, "principal", {"name": "alice"})).value
    await directory.update(ADMIN, "principal", "alice", {"disabled": True})
    changed = await directory.update(ADMIN, "principal", made.id, {"description": "x"})
    assert (made.id, made.created) == (changed.value.id, changed.value.created)
    entry = store.log[-1]
    assert ["description"] == [
        name
        for name, value in entry["object"]["after"].items()
        if value != entry["object"]["before"][name]
    ]
    assert entry["message"].endswith("updated the principal alice: description nothing -> x")
    assert store.log[-2]["message"].endswith(": disabled no -> yes")


async def test_an_update_of_a_grant_tells_which_way(
    store: FakeStore, directory: DirectoryService
) -> None:
    """More than before or less; a long value is cut, so that all others are told, too."""
    await directory.create(ADMIN, "principal", {"name": "alice"})
    await directory.create(ADMIN, "grant", GRANT)
    await directory.update(ADMIN, "grant", "g", {"role": "admin", "workspaces": ["*"]})
    assert store.log[-1]["message"].endswith(": role writer -> admin, workspaces prod/* -> *")
    many = [f"a-long-name-of-a-workspace-{number}" for number in range(100)]
    await directory.update(ADMIN, "grant", "g", {"workspaces": many, "deny": True})
    message = store.log[-1]["message"]
    assert message.endswith("…, deny no -> yes")
    assert f"workspaces * -> {many[0]} {many[1]}" in message


async def test_first_settings_of_a_workspace_are_told_against_the_defaults(
    store: FakeStore, directory: DirectoryService
) -> None:
    """It was kept by them before, though there was no object."""
    await store.write(lambda tx: tx.add_version(a_version(workspace="prod"), b""))
    await directory.update(ADMIN, "workspace", "prod", {"protected": True, "body_limit": 5})
    assert store.log[-1]["message"].endswith(
        "updated the workspace prod: body_limit nothing -> 5, protected no -> yes"
    )


async def test_what_changes_nothing_is_no_entry(
    store: FakeStore, directory: DirectoryService
) -> None:
    """Setting what is so already."""
    await directory.create(ADMIN, "principal", {"name": "alice"})
    done = await directory.update(ADMIN, "principal", "alice", {"disabled": False})
    assert (None, "alice") == (done.index, done.value.name)
    assert 1 == len(store.log)


async def test_a_deletion_tells_what_was(store: FakeStore, directory: DirectoryService) -> None:
    """The name is free afterwards; whoever gets it is somebody else."""
    first = (await directory.create(ADMIN, "principal", {"name": "alice"})).value
    assert first == (await directory.delete(ADMIN, "principal", "alice")).value
    assert store.log[-1]["object"]["after"] is None
    assert first.id != (await directory.create(ADMIN, "principal", {"name": "alice"})).value.id


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (Change("create", "principal", "alice", {}), ConflictError, "there is a principal alice"),
        (Change("update", "principal", "bob", {}), NotFoundError, "there is no principal bob"),
        (Change("delete", "principal", "bob"), NotFoundError, "there is no principal bob"),
        (
            Change("delete", "principal", "alice"),
            ConflictError,
            "alice still has the grant g: delete it first",
        ),
        (
            Change("create", "grant", "h", {**GRANT, "principal": "bob"}),
            ConflictError,
            "there is no principal bob: make it first",
        ),
        (Change("create", "principal", "a b", {}), InvalidInputError, "letters, digits"),
        (Change("update", "principal", "alice", {"x": 1}), InvalidInputError, "no field 'x'"),
        (
            Change("create", "principal", "bob", {"certificates": ["CN=alice"]}),
            ConflictError,
            "would prove both alice and bob",
        ),
        (
            Change("create", "issuer", "j", {"url": "https://i.example", "audience": ["a"]}),
            ConflictError,
            "the issuer i has the url",
        ),
        (
            Change("create", "issuer", "i", {"url": "https://j.example", "audience": ["a"]}),
            ConflictError,
            "there is an issuer i already",
        ),
        (
            Change("create", "grant", "h", {**GRANT, "workspaces": ["prod/*", "prod/"]}),
            InvalidInputError,
            "neither begins nor ends with '/'",
        ),
        (
            Change("create", "grant", "h", {**GRANT, "workspaces": ["/*"]}),
            InvalidInputError,
            "neither begins nor ends with '/'",
        ),
        (
            Change("create", "grant", "h", {**GRANT, "workspaces": ["a//b"]}),
            InvalidInputError,
            "neither begins nor ends with '/'",
        ),
        (
            Change("create", "issuer", "k", {"url": "https://u:p@x.example", "audience": ["a"]}),
            InvalidInputError,
            "no user, password",
        ),
    ],
)
async def test_a_change_that_can_not_be_is_refused_and_recorded(
    store: FakeStore,
    directory: DirectoryService,
    change: Change,
    error: type[Exception],
    message: str,
) -> None:
    """With the reason; nothing is changed."""
    await directory.create(ADMIN, "principal", {"name": "alice", "certificates": ["CN=alice"]})
    await directory.create(ADMIN, "grant", GRANT)
    await directory.create(
        ADMIN, "issuer", {"name": "i", "url": "https://i.example", "audience": ["a"]}
    )
    before = store.directory()
    with pytest.raises(error, match=message) as caught:
        await directory.change(ADMIN, [change])
    assert before.generation == store.directory().generation
    assert 3 == caught.value.audit_index  # type: ignore[attr-defined]
    assert "success" != events(store)[3][1]
    assert "u:p@" not in str(store.log)
    check_entries(store.log)


async def test_many_changes_are_made_together_in_any_order(
    store: FakeStore, directory: DirectoryService
) -> None:
    """A grant before its principal, and a principal that goes with its grant: an entry each."""
    await directory.change(
        ADMIN, [Change("create", "grant", "g", GRANT), Change("create", "principal", "alice")]
    )
    await directory.change(
        ADMIN, [Change("delete", "principal", "alice"), Change("delete", "grant", "g")]
    )
    assert ["grant.created", "principal.created", "principal.deleted", "grant.deleted"] == [
        event for event, _ in events(store)
    ]


async def test_who_has_grants_is_not_deleted_and_all_of_them_are_named(
    directory: DirectoryService,
) -> None:
    """By name and in order, ten of them, and how many more; of an issuer as of a principal."""
    await directory.create(ADMIN, "principal", {"name": "alice"})
    await directory.create(
        ADMIN, "issuer", {"name": "ci", "url": "https://i.example", "audience": ["a"]}
    )
    by_issuer = {"role": "reader", "workspaces": ["*"], "issuer": "ci", "when": 'ref == "main"'}
    await directory.create(ADMIN, "grant", {"name": "i", **by_issuer})
    for name in "lkjhgfedcba":
        await directory.create(ADMIN, "grant", {**GRANT, "name": name})
    with pytest.raises(ConflictError) as caught:
        await directory.delete(ADMIN, "principal", "alice")
    expected = (
        "alice still has the grants a, b, c, d, e, f, g, h, j, k and 1 more: delete them first"
    )
    assert expected == str(caught.value)
    with pytest.raises(ConflictError, match="ci still has the grant i: delete it first"):
        await directory.change(
            ADMIN,
            [Change("delete", "issuer", "ci"), Change("update", "grant", "a", {"role": "admin"})],
        )


async def test_of_many_changes_none_is_made_when_one_fails(
    store: FakeStore, directory: DirectoryService
) -> None:
    """One entry says which and why."""
    with pytest.raises(ConflictError):
        await directory.change(
            ADMIN,
            [Change("create", "principal", "alice"), Change("create", "principal", "alice")],
        )
    assert [("principal.created", "conflict")] == events(store)
    assert [] == store.directory().objects("principal")


async def test_two_who_make_the_same_do_not_both(
    store: FakeStore, directory: DirectoryService
) -> None:
    """The second is told that it is there."""
    answers = await asyncio.gather(
        *(directory.create(ADMIN, "principal", {"name": "alice"}) for _ in range(2)),
        return_exceptions=True,
    )
    assert 1 == sum(isinstance(answer, ConflictError) for answer in answers)
    assert 1 == len(store.directory().objects("principal"))


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.ADMIN])
async def test_nobody_but_an_administrator_changes_anything(
    store: FakeStore, directory: DirectoryService, role: Role
) -> None:
    """Nor sees it; each refusal is on record."""
    caller = a_caller(role)
    with pytest.raises(ForbiddenError):
        await directory.create(caller, "principal", {"name": "alice"})
    with pytest.raises(ForbiddenError):
        await directory.list(caller, "principal")
    assert [("access.denied", "denied")] * 2 == events(store)


async def test_an_administrator_of_some_workspaces_changes_nothing(
    directory: DirectoryService,
) -> None:
    """They could give themselves the rest."""
    with pytest.raises(ForbiddenError):
        await directory.create(a_caller(workspaces=("prod/*",)), "principal", {"name": "alice"})


async def test_a_credential_in_a_description_is_kept_nowhere(
    store: FakeStore, directory: DirectoryService
) -> None:
    """Neither in the entry nor in the object."""
    secret = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"
    await directory.create(ADMIN, "principal", {"name": "alice", "description": f"token {secret}"})
    assert secret not in str(store.log)
    assert secret.encode() not in store.directory().objects("principal")[0].document


async def test_who_loses_a_right_in_mid_request_does_nothing_with_it(
    store: FakeStore, directory: DirectoryService
) -> None:
    """The transaction finds that the principal may no longer what it was let in for."""
    await directory.create(ADMIN, "principal", {"name": "alice"})
    await directory.create(ADMIN, "grant", GRANT)
    known = store.directory()
    alice: Any = known.get("principal", "alice")
    principal = ADMIN.principal.__class__(
        "user",
        alice.id,
        "alice",
        known.rights_of(alice.id),
        holder=alice.id,
        generation=known.generation,
    )
    caller = ADMIN._replace(principal=principal)

    def job(tx: Transaction) -> None:
        tx.append(draft("state.read", "success", "read", caller, 200))

    await store.write(job)
    await directory.update(ADMIN, "grant", "g", {"deny": True})
    with pytest.raises(Exception, match="was changed"):
        await store.write(job)


async def test_changes_worked_out_from_an_older_directory_are_refused(
    store: FakeStore, directory: DirectoryService
) -> None:
    """What was shown to somebody before they agreed is what is done, or nothing is."""
    seen = (await directory.view(ADMIN)).generation
    await directory.create(ADMIN, "principal", {"name": "alice"})
    with pytest.raises(ConflictError, match="somebody else changed"):
        await directory.change(ADMIN, [Change("create", "principal", "bob")], generation=seen)
    assert ("principal.created", "conflict") == events(store)[-1]
    now = (await directory.view(ADMIN)).generation
    await directory.change(ADMIN, [Change("create", "principal", "bob")], generation=now)


# ---------------------------------------------------------------- workspaces


DELETED = "2026-11-22T10:00:00.000000Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"deleted": DELETED},
        {"restorable_until": DELETED},
        {"purged": True},
        {"destroyed_versions": 1},
        {"purged": []},
    ],
)
@pytest.mark.parametrize("action", ["create", "update", "update by ID"])
async def test_what_follows_from_a_deletion_is_not_set(
    store: FakeStore, directory: DirectoryService, fields: dict[str, Any], action: str
) -> None:
    """By no way; it would be a deletion without its rules."""
    if action == "create":
        with pytest.raises(InvalidInputError, match="nobody sets it"):
            await directory.create(ADMIN, "workspace", {"name": "prod", **fields})
        return
    made = await directory.create(ADMIN, "workspace", {"name": "prod"})
    name = made.value.id if "ID" in action else "prod"
    with pytest.raises(InvalidInputError, match="nobody sets it"):
        await directory.update(ADMIN, "workspace", name, fields)
    assert ("workspace.updated", "error") == events(store)[-1]


async def test_what_is_so_may_be_said(directory: DirectoryService) -> None:
    """A file that repeats an object as it is shown changes nothing."""
    fields = {"name": "prod", "deleted": None, "purged": False, "destroyed_versions": 0}
    made = await directory.create(ADMIN, "workspace", fields)
    same = await directory.update(ADMIN, "workspace", "prod", fields)
    assert (made.value, None) == (same.value, same.index)


async def test_a_workspace_is_not_taken_out_of_the_directory(
    store: FakeStore, directory: DirectoryService
) -> None:
    """A deletion has a service of its own."""
    made = await directory.create(ADMIN, "workspace", {"name": "prod"})
    for name in ("prod", made.value.id, "nothing"):
        with pytest.raises(ConflictError, match="tfaudit workspace delete"):
            await directory.delete(ADMIN, "workspace", name)
    assert ("workspace.deleted", "conflict") == events(store)[-1]
    assert [made.value] == await directory.list(ADMIN, "workspace")


async def test_settings_of_a_deleted_workspace_stay(
    store: FakeStore, directory: DirectoryService
) -> None:
    """Until it is restored; what changes nothing is no conflict."""
    made = (await directory.create(ADMIN, "workspace", {"name": "prod"})).value
    deleted = msgspec.structs.replace(made.record, deleted=DELETED, restorable_until=DELETED)
    await store.write(lambda tx: tx.put_object(made._replace(document=document_of(deleted))))
    with pytest.raises(ConflictError, match="restore it first"):
        await directory.update(ADMIN, "workspace", "prod", {"protected": True})
    same = await directory.update(ADMIN, "workspace", "prod", {"protected": False})
    assert same.index is None


async def test_settings_of_what_a_first_write_made(
    store: FakeStore, directory: DirectoryService
) -> None:
    """Of update and create alike the first change is an update, also to the defaults."""
    await store.write(lambda tx: tx.add_version(a_version(workspace="prod"), b""))
    await directory.update(ADMIN, "workspace", "prod", {"protected": False})
    assert [("workspace.updated", "success")] == events(store)
    await store.write(lambda tx: tx.add_version(a_version(workspace="dev"), b""))
    await directory.create(ADMIN, "workspace", {"name": "dev"})
    assert ("workspace.updated", "success") == events(store)[-1]
    with pytest.raises(ConflictError):
        await directory.create(ADMIN, "workspace", {"name": "dev"})
