"""Tests of proxy.access."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access import (
    ANONYMOUS,
    MAX_TEXT,
    MAX_WORKSPACE,
    Permission,
    Principal,
    Role,
    matches_any,
    parse_workspace,
    printable,
    require,
    rights_of,
)
from proxy.errors import ForbiddenError, InvalidInputError


def principal(role: Role | None, *globs: str) -> Principal:
    """Return somebody with this role on these workspaces."""
    return Principal("token", "0193", "alice", rights_of(role, *globs), "a1b2c3")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.ADMIN, set(Permission)),
        (
            Role.OPERATOR,
            {
                "state:read",
                "state:write",
                "state:roll-back",
                "lock:take",
                "lock:take-to-plan",
                "lock:force",
                "workspace:delete",
            },
        ),
        (Role.WRITER, {"state:read", "state:write", "lock:take", "lock:take-to-plan"}),
        (Role.PLANNER, {"state:read", "lock:take-to-plan"}),
        (Role.READER, {"state:read"}),
        (Role.OUTPUTS_READER, {"state:read-outputs"}),
        (Role.AUDITOR, {"log:read"}),
        (None, set()),
    ],
)
def test_a_role_allows_its_permissions_and_no_other(role: Role | None, allowed: set[str]) -> None:
    """The whole table of roles and permissions."""
    assert allowed == {each for each in Permission if principal(role).allows(each, "prod/a")}


def test_nobody_may_do_anything_without_a_proof_of_identity() -> None:
    """The anonymous principal is allowed nothing, with and without a workspace."""
    assert not any(ANONYMOUS.allows(each) or ANONYMOUS.allows(each, "a") for each in Permission)


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("*", "prod/network", True),
        ("prod/*", "prod/network", True),
        ("prod/*", "prod/eu/network", True),
        ("prod/*", "prod", False),
        ("prod/*", "production/network", False),
        ("prod", "prod/network", False),
        ("prod/net", "prod/network", False),
        ("PROD/*", "prod/network", False),
        ("*/network", "prod/network", True),
        ("prod/n?twork", "prod/network", True),
    ],
)
def test_a_glob_matches_the_whole_name(glob: str, name: str, expected: bool) -> None:
    """``*`` also matches a slash; case counts; a prefix alone is no match."""
    assert expected is matches_any((glob,), name)


def test_a_workspace_outside_the_globs_is_refused_by_name() -> None:
    """The refusal says who, what, where and what to do."""
    with pytest.raises(ForbiddenError, match=r"alice \(writer\) may not state:read on dev/a: ask"):
        require(principal(Role.WRITER, "prod/*"), Permission.STATE_READ, "dev/a")


def test_whoever_may_passes_the_gate() -> None:
    """The gate says nothing when it is open."""
    require(principal(Role.WRITER, "prod/*"), Permission.STATE_WRITE, "prod/a")


def test_a_global_question_is_answered_by_the_role_alone() -> None:
    """Permissions without a workspace don't look at the globs."""
    assert principal(Role.AUDITOR, "prod/*").allows(Permission.LOG_READ)


def test_the_actor_of_an_entry_has_the_tokens_hint_and_no_more() -> None:
    """What an entry says of who authenticated."""
    assert {
        "type": "token",
        "id": "0193",
        "name": "alice",
        "token_hint": "a1b2c3",
    } == principal(Role.READER).actor()


@pytest.mark.parametrize(
    "name", ["a", "prod", "prod/network", "A-b_c.d/9", "lock/a", "a/unlock/b", "...", "a" * 255]
)
def test_a_workspace_is_segments_joined_by_slashes(name: str) -> None:
    """Good names come back as they are."""
    assert name == parse_workspace(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.",
        "a b",
        "a%2Fb",
        "a\n",
        "a\x00",
        "ä",
        "٣",
        "a/lock",
        "unlock",
        "a:b",
        "a" * (MAX_WORKSPACE + 1),
    ],
)
def test_any_other_name_is_refused(name: str) -> None:
    """Also names that a path could mean something else by, and the reserved endings."""
    with pytest.raises(InvalidInputError, match="workspace"):
        parse_workspace(name)


@given(st.text(max_size=40))
def test_a_name_that_passes_is_safe_in_a_path(name: str) -> None:
    """Nothing that passes can leave the folder it is put in, or hold a control character."""
    try:
        parse_workspace(name)
    except InvalidInputError:
        return
    assert not {"", ".", ".."} & set(name.split("/"))
    assert name.isascii()
    assert name.isprintable()


@given(st.binary(max_size=600))
def test_any_header_bytes_become_text_that_json_can_carry(value: bytes) -> None:
    """Surrogate escapes of a decoded header don't survive; the text is cut."""
    text = printable(value.decode("utf-8", "surrogateescape"))
    assert len(text) <= MAX_TEXT
    assert text == text.encode("utf-8").decode("utf-8")
