"""Tests of proxy.access."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access import (
    ANONYMOUS,
    EVERYWHERE,
    MAX_TEXT,
    MAX_WORKSPACE,
    Grant,
    Permission,
    Principal,
    Rights,
    Role,
    View,
    is_act,
    matches_any,
    parse_workspace,
    printable,
    proof_of,
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


GIVEN = Grant(Role.WRITER, ("prod/*",), "given")


def test_a_denial_wins_over_what_is_given() -> None:
    """In whatever order; elsewhere what is given holds."""
    denied = Grant(Role.WRITER, ("prod/db*",), "denied", deny=True)
    for grants in ([GIVEN, denied], [denied, GIVEN]):
        rights = Rights(grants)
        assert not rights.decide(Permission.STATE_WRITE, "prod/db").allowed
        assert rights.decide(Permission.STATE_WRITE, "prod/web").allowed
    assert "denied" in Rights([GIVEN, denied]).decide(Permission.LOCK, "prod/db").reason


def test_a_denial_takes_the_permissions_of_its_role_alone() -> None:
    """An operator who is denied to write may still force a lock."""
    rights = Rights([Grant(Role.OPERATOR), Grant(Role.WRITER, deny=True)])
    assert {"lock:force", "state:roll-back", "workspace:delete"} == {
        each for each in Permission if rights.decide(each, "prod/a").allowed
    }


def test_a_scope_narrows_and_gives_nothing() -> None:
    """Both the grants and the token's own role and workspaces must allow it."""
    rights = Rights([GIVEN], Grant(Role.READER, ("*/web",)))
    assert rights.decide(Permission.STATE_READ, "prod/web").allowed
    for permission, workspace in (
        (Permission.STATE_WRITE, "prod/web"),
        (Permission.STATE_READ, "prod/db"),
        (Permission.STATE_READ, "dev/web"),
    ):
        assert not rights.decide(permission, workspace).allowed


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        ([Grant(Role.ADMIN)], True),
        ([Grant(Role.ADMIN, ("prod/*",))], False),
        ([Grant(Role.ADMIN, ("?",))], False),
        ([Grant(Role.ADMIN, ("**",))], False),
        ([Grant(Role.ADMIN), Grant(Role.ADMIN, ("prod/*",), deny=True)], False),
        ([Grant(Role.ADMIN), Grant(Role.WRITER, ("prod/*",), deny=True)], True),
        ([], False),
    ],
)
def test_everywhere_is_given_for_all_workspaces_and_denied_for_any(
    grants: list[Grant], expected: bool
) -> None:
    """Whoever is denied something somewhere does not decide about everything."""
    assert expected is Rights(grants).decide(Permission.ADMINISTER, EVERYWHERE).allowed


def test_what_is_asked_without_a_workspace_is_allowed_somewhere() -> None:
    """A denial in some workspaces leaves the others."""
    rights = Rights([Grant(Role.AUDITOR), Grant(Role.AUDITOR, ("prod/*",), deny=True)])
    assert rights.decide(Permission.LOG_READ).allowed
    everywhere = Rights([Grant(Role.AUDITOR), Grant(Role.AUDITOR, deny=True)])
    assert not everywhere.decide(Permission.LOG_READ).allowed


def test_a_token_for_outputs_of_whoever_may_read_the_state_gets_outputs() -> None:
    """What is narrowed is what they may; a denial of either holds."""
    scope = Grant(Role.OUTPUTS_READER, ("prod/*",))
    narrowed = Rights([Grant(Role.WRITER)], scope)
    decision = narrowed.decide(Permission.OUTPUTS_READ, "prod/a")
    assert (True, False) == (decision.allowed, decision.grant and decision.grant.sensitive_outputs)
    assert not narrowed.decide(Permission.STATE_READ, "prod/a").allowed
    assert not narrowed.decide(Permission.OUTPUTS_READ, "dev/a").allowed
    for role in (Role.READER, Role.OUTPUTS_READER):
        denied = Rights([Grant(Role.WRITER), Grant(role, deny=True)], scope)
        assert not denied.decide(Permission.OUTPUTS_READ, "prod/a").allowed
    assert not Rights([Grant(Role.WRITER)]).decide(Permission.OUTPUTS_READ, "prod/a").allowed
    assert not Rights([], scope).decide(Permission.OUTPUTS_READ, "prod/a").allowed


def test_sensitive_outputs_are_decided_by_the_grant_that_gives_them() -> None:
    """Of several that allow it, the one that gives more."""
    plain = Grant(Role.OUTPUTS_READER, ("*",), "plain")
    sensitive = Grant(Role.OUTPUTS_READER, ("prod/*",), "sensitive", sensitive_outputs=True)
    rights = Rights([plain, sensitive])
    assert [sensitive, plain] == [
        rights.decide(Permission.OUTPUTS_READ, name).grant for name in ("prod/a", "dev/a")
    ]


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [("prod/web", True), ("prod/db", False), ("dev/web", False), (None, False)],
)
def test_a_view_shows_what_is_given_and_not_denied(workspace: str | None, expected: bool) -> None:
    """What belongs to no workspace is shown only to whoever sees all."""
    denied = Grant(Role.AUDITOR, ("prod/db",), deny=True)
    rights = Rights([Grant(Role.AUDITOR, ("prod/*",)), Grant(Role.WRITER), denied])
    assert expected is rights.view(Permission.LOG_READ).shows(workspace)


def test_a_view_is_narrowed_by_the_scope() -> None:
    """A token for some workspaces shows those alone; one for another role shows nothing."""
    auditor = [Grant(Role.AUDITOR)]
    assert View(("*",)).shows(None)
    assert Rights(auditor, Grant(Role.AUDITOR, ("a",))).view(Permission.LOG_READ).shows("a")
    assert not Rights(auditor, Grant(Role.AUDITOR, ("a",))).view(Permission.LOG_READ).shows("b")
    assert not Rights(auditor, Grant(Role.READER)).view(Permission.LOG_READ).shows("a")


def test_a_refusal_tells_the_grant_that_denies() -> None:
    """Whoever has grants is told which one, and whom to ask."""
    rights = Rights([GIVEN, Grant(Role.WRITER, ("prod/*",), "freeze", deny=True)])
    alice = Principal("user", "1", "alice", rights, holder="1")
    with pytest.raises(ForbiddenError, match=r"grant freeze \(writer on prod/\*\) denies it; ask"):
        require(alice, Permission.STATE_WRITE, "prod/a")


def test_the_actor_of_an_identity_tells_who_vouches_for_it() -> None:
    """Issuer and recorded claims, but none that is only for finding grants."""
    actor = Principal(
        "oidc",
        "github:s",
        "acme/infra",
        issuer="github",
        claims={"run_id": "1"},
        all_claims={"run_id": "1", "jti": "x"},
    ).actor()
    assert {
        "type": "oidc",
        "id": "github:s",
        "name": "acme/infra",
        "issuer": "github",
        "claims": {"run_id": "1"},
    } == actor


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


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"outcome": "success"}, True),
        ({"outcome": "denied"}, False),
        ({"outcome": "success", "count": 2}, False),
    ],
)
def test_what_counts_or_was_refused_is_no_act(entry: dict[str, Any], *, expected: bool) -> None:
    """Only what is recorded as it is done uses a token or a session."""
    assert expected == is_act(entry)


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        ({"type": "token", "id": "t"}, ("t", None)),
        ({"type": "ci", "id": "i", "token": "t"}, ("t", None)),
        ({"type": "user", "id": "u", "session": "s"}, (None, "s")),
        ({"type": "user", "id": "u"}, (None, None)),
    ],
)
def test_an_actor_proves_itself_by_a_token_or_a_session(
    actor: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    """Or by neither: a password alone, a certificate."""
    assert expected == proof_of(actor)
