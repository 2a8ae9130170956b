"""Tests of proxy.directory."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access import Grant, Permission, Principal, Rights, Role
from proxy.directory import (
    Directory,
    Object,
    WorkspaceRecord,
    changed_record,
    difference,
    document_of,
    merged,
    patch_of,
    read_record,
)
from proxy.errors import InvalidInputError
from proxy.retention import KEEP_ALL, Retention

WHEN = "2026-11-22T10:00:00.000000Z"
RULE = 'repository == "acme/infra"'
GITHUB = {"name": "github", "url": "https://token.example.com", "audience": ["tfaudit"]}


def an_object(kind: str, number: int = 1, **fields: Any) -> Object:
    """Return an object of the directory."""
    record = read_record(kind, fields)
    identity = f"00000000-0000-7000-8000-{number:012}"
    return Object(kind, record.name, identity, WHEN, WHEN, document_of(record))


ALICE = an_object("principal", name="alice", certificates=["CN=alice", "DNS:alice.example.com"])
GRANT = an_object("grant", 2, name="g", principal="alice", role="writer", workspaces=["prod/*"])
ISSUER = an_object("issuer", 3, **GITHUB)
VOUCHED = an_object(
    "grant", 4, name="ci", issuer="github", when=RULE, role="writer", workspaces=["prod/*"]
)
DIRECTORY = Directory(7, [ALICE, GRANT, ISSUER, VOUCHED])


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("principal", {"name": ""}, "letters, digits"),
        ("principal", {"name": "a b"}, "letters, digits"),
        ("principal", {"name": "a\n"}, "letters, digits"),
        ("principal", {"name": "a" * 101}, "name"),
        ("principal", {"name": "tfa_x"}, "like a token"),
        ("principal", {"name": "0193a0b2-0000-7000-8000-000000000000"}, "like an ID"),
        ("principal", {"name": "a", "kind": "robot"}, "kind"),
        ("principal", {"name": "a", "password": "x"}, "there is no field 'password'"),
        ("principal", {"name": "a", "disabled": "no"}, "disabled"),
        ("grant", {"name": "g", "role": "writer", "workspaces": ["*"]}, "for a principal or"),
        (
            "grant",
            {"name": "g", "role": "writer", "workspaces": ["*"], "principal": "a", "issuer": "b"},
            "for a principal or",
        ),
        (
            "grant",
            {"name": "g", "role": "writer", "workspaces": ["*"], "issuer": "b"},
            "needs the rule",
        ),
        (
            "grant",
            {"name": "g", "role": "owner", "workspaces": ["*"], "principal": "a"},
            "choose one of admin",
        ),
        (
            "grant",
            {"name": "g", "role": "writer", "workspaces": [], "principal": "a"},
            "workspaces",
        ),
        (
            "grant",
            {"name": "g", "role": "writer", "workspaces": ["a b"], "principal": "a"},
            "a workspace's name",
        ),
        (
            "grant",
            {"name": "g", "role": "writer", "workspaces": ["*"], "principal": "a", "when": "x"},
            "when belongs",
        ),
        (
            "grant",
            {
                "name": "g",
                "role": "reader",
                "workspaces": ["*"],
                "principal": "a",
                "sensitive_outputs": True,
            },
            "outputs-reader",
        ),
        ("issuer", {**GITHUB, "url": "ftp://x"}, "an address such as"),
        ("issuer", {**GITHUB, "url": "http://token.example.com"}, "begins with https://"),
        ("issuer", {**GITHUB, "url": "http://127.0.0.1.example.com"}, "begins with https://"),
        ("issuer", {**GITHUB, "url": "http://notlocalhost"}, "begins with https://"),
        ("issuer", {**GITHUB, "url": "https://a:b@token.example.com"}, "address alone"),
        ("issuer", {**GITHUB, "url": "https://token.example.com?"}, "address alone"),
        ("issuer", {**GITHUB, "url": "https://token.example.com#x"}, "address alone"),
        ("issuer", {**GITHUB, "url": "https://:443"}, "address alone"),
        ("issuer", {**GITHUB, "url": "https://a:port"}, "address alone"),
        ("issuer", {**GITHUB, "url": "https://[::1"}, "address alone"),
        ("issuer", {**GITHUB, "session_minutes": 1441}, "session_minutes"),
        ("issuer", {**GITHUB, "session_minutes": -1}, "session_minutes"),
        ("issuer", {**GITHUB, "algorithms": ["none"]}, "algorithms"),
        ("issuer", {**GITHUB, "algorithms": ["HS256"]}, "algorithms"),
        ("issuer", {**GITHUB, "audience": []}, "audience"),
        ("workspace", {"name": "prod/lock"}, "lock"),
        ("workspace", {"name": "../x"}, "segment"),
        ("workspace", {"name": "prod", "lock_alert_minutes": 0}, "lock_alert_minutes"),
        ("workspace", {"name": "prod", "force_unlock": "anybody"}, "force_unlock"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(
    kind: str, fields: dict[str, Any], message: str
) -> None:
    """With the field, and what it must be."""
    with pytest.raises(InvalidInputError, match=message):
        read_record(kind, fields)


def test_a_workspace_may_have_rules_of_retention_of_its_own() -> None:
    """They are read as people write them; what is none is refused by the field's name."""
    record = WorkspaceRecord(name="prod")
    assert record.retention is None
    record = WorkspaceRecord(name="prod", keep_versions="all")
    assert KEEP_ALL == record.retention
    record = WorkspaceRecord(name="prod", keep_versions="20, last-of-run")
    assert Retention(20, last_of_run=True) == record.retention
    with pytest.raises(InvalidInputError, match="keep_versions can't be used: 'some' does not say"):
        read_record("workspace", {"name": "prod", "keep_versions": "some"})


def test_a_record_keeps_what_is_not_changed() -> None:
    """A change names some fields; the rest stays."""
    before = read_record("principal", {"name": "alice", "description": "who she is"})
    after = changed_record(before, {"disabled": True})
    assert (
        read_record("principal", {"name": "alice", "description": "who she is", "disabled": True})
        == after
    )


def test_a_name_stays() -> None:
    """Grants and tokens refer to it."""
    with pytest.raises(InvalidInputError, match="can't be changed"):
        changed_record(read_record("principal", {"name": "alice"}), {"name": "bob"})


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_is_merged_as_its_standard_says(
    target: object, patch: object, expected: object
) -> None:
    """The test cases of RFC 7396, appendix A."""
    assert expected == merged(target, patch)


OBJECTS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.booleans() | st.integers(0, 2) | st.lists(st.booleans() | st.integers(0, 1), max_size=2),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


@given(before=OBJECTS, after=OBJECTS)
def test_a_patch_makes_one_object_of_another(before: dict[str, Any], after: dict[str, Any]) -> None:
    """And there is none when they are the same; 1 is not true."""
    patch = patch_of(before, after)
    assert msgspec.json.encode(after, order="sorted") == msgspec.json.encode(
        merged(before, patch), order="sorted"
    )
    assert {} == patch_of(after, after)


def test_what_changed_of_an_object_is_told_member_by_member() -> None:
    """By its path; what is of no text, as JSON."""
    fields = {"name": "s", "type": "webhook", "options": {"size": 1, "tags": ["a"]}}
    before = read_record("sink", {**fields, "filter": {"event": ["x", {"prefix": "y"}]}})
    after = changed_record(
        before, {"options": {"size": None, "retry": True}, "filter": {"event": ["x"]}}
    )
    assert (
        'options.retry nothing -> yes, filter.event x {"prefix":"y"} -> x, '
        "options.size 1 -> nothing" == difference(before, after)
    )


def test_sinks_are_told_by_name() -> None:
    """Each with its record."""
    made = [an_object("sink", 9 - at, name=f"s{at}", type="webhook") for at in (2, 1)]
    found = Directory(1, [*made, ALICE]).sinks()
    assert [("s1", made[1].id), ("s2", made[0].id)] == [(rec.name, obj.id) for obj, rec in found]


def test_an_object_is_found_by_name_and_by_id() -> None:
    """Of its kind alone."""
    assert [ALICE, ALICE, None, None] == [
        DIRECTORY.get("principal", "alice"),
        DIRECTORY.get("principal", ALICE.id),
        DIRECTORY.get("grant", ALICE.id),
        DIRECTORY.get("principal", "bob"),
    ]


def test_a_principal_may_what_it_was_granted() -> None:
    """And nothing else; a token narrows it."""
    grant = Grant(Role.WRITER, ("prod/*",), "g")
    assert Rights([grant]) == DIRECTORY.rights_of(ALICE.id)
    scope = Grant(Role.READER, ("*",))
    narrowed = DIRECTORY.rights_of(ALICE.id, scope)
    assert narrowed.decide(Permission.STATE_READ, "prod/a").allowed
    assert not narrowed.decide(Permission.STATE_WRITE, "prod/a").allowed
    assert Rights() == DIRECTORY.rights_of("unknown")


def test_a_disabled_principal_may_nothing() -> None:
    """Its grants wait until it is enabled again."""
    disabled = an_object("principal", name="alice", disabled=True)
    directory = Directory(8, [disabled, GRANT])
    assert Rights() == directory.rights_of(ALICE.id)
    assert directory.enabled(ALICE.id) is None


def test_an_identity_may_what_its_claims_are_granted() -> None:
    """A grant whose rule they meet counts, another does not."""
    expected = Rights([Grant(Role.WRITER, ("prod/*",), "ci")])
    assert expected == DIRECTORY.rights_for("github", {"repository": "acme/infra"})
    assert Rights() == DIRECTORY.rights_for("github", {"repository": "evil/infra"})
    assert Rights() == DIRECTORY.rights_for("gitlab", {"repository": "acme/infra"})


def test_a_denial_holds_for_claims_that_are_not_there() -> None:
    """In doubt a rule gives nothing and denies."""
    fields = {"issuer": "github", "role": "writer", "workspaces": ["prod/*"]}
    denial = an_object("grant", 5, name="no", when='environment == "test"', deny=True, **fields)
    directory = Directory(8, [ISSUER, VOUCHED, denial])
    assert (
        not directory.rights_for("github", {"repository": "acme/infra"})
        .decide(Permission.STATE_WRITE, "prod/a")
        .allowed
    )
    assert (
        directory.rights_for("github", {"repository": "acme/infra", "environment": "x"})
        .decide(Permission.STATE_WRITE, "prod/a")
        .allowed
    )


def test_certificates_and_addresses_lead_to_their_objects() -> None:
    """Each to the letter."""
    assert [ALICE, ALICE, None] == [
        DIRECTORY.certified(name) for name in ("CN=alice", "DNS:alice.example.com", "CN=Alice")
    ]
    assert [ISSUER, None] == [
        DIRECTORY.issuer_by_url(url)
        for url in ("https://token.example.com", "https://token.example.com/")
    ]


def test_a_workspace_without_a_record_has_the_defaults() -> None:
    """Nothing is special about it."""
    assert read_record("workspace", {"name": "prod/a"}) == DIRECTORY.workspace("prod/a")


def a_principal(kind: str = "user", **fields: Any) -> Principal:
    """Return alice as the directory of generation 7 knew her."""
    defaults = {"rights": DIRECTORY.rights_of(ALICE.id), "holder": ALICE.id, "generation": 7}
    return Principal(kind, ALICE.id, "alice", **{**defaults, **fields})


def test_what_did_not_change_is_still_so() -> None:
    """In the same generation, and in a later one in which only others changed."""
    bob = an_object("principal", 9, name="bob")
    assert DIRECTORY.is_still_so(a_principal())
    assert Directory(8, [ALICE, GRANT, bob]).is_still_so(a_principal())
    assert Directory(8, []).is_still_so(Principal("system", "cli", "root"))


@pytest.mark.parametrize(
    "objects",
    [
        [ALICE],
        [GRANT],
        [an_object("principal", name="alice", disabled=True), GRANT],
        [an_object("principal", 99, name="alice"), GRANT],
        [
            ALICE,
            an_object("grant", 2, name="g", principal="alice", role="reader", workspaces=["*"]),
        ],
    ],
    ids=["no grant", "no principal", "disabled", "another of the name", "another grant"],
)
def test_rights_that_changed_are_found(objects: list[Object]) -> None:
    """Whatever the principal was found to may, it is no longer that."""
    assert not Directory(8, objects).is_still_so(a_principal())


def test_an_identity_is_held_against_its_grants_and_its_issuer() -> None:
    """It may no longer what its claims are not granted, nor when nobody vouches."""
    claims = {"repository": "acme/infra", "iss": GITHUB["url"], "aud": "tfaudit"}
    identity = Principal(
        "oidc",
        "github:x",
        "acme/infra",
        DIRECTORY.rights_for("github", claims),
        issuer="github",
        all_claims=claims,
        generation=7,
    )
    assert Directory(8, [ISSUER, VOUCHED]).is_still_so(identity)
    assert not Directory(8, [ISSUER]).is_still_so(identity)
    assert not Directory(8, [VOUCHED]).is_still_so(identity)
    for changed in ({"audience": ["other"]}, {"url": "https://other.example.com"}):
        issuer = an_object("issuer", 3, **GITHUB | changed)
        assert not Directory(8, [issuer, VOUCHED]).is_still_so(identity)
