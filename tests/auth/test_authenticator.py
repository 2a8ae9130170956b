"""Tests of proxy.auth.authenticator."""

import secrets
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proxy import tokens
from proxy.access import NO_RIGHTS, Role, rights_of
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented, RevokedTokenError, TokenExpiredError
from proxy.contracts import StoredToken
from proxy.errors import UnauthenticatedError, UnavailableError
from tests.fakes import FakeStore

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TOKEN = tokens.mint(lambda size: bytes(range(size)))
STORED = StoredToken(
    id="0193",
    name="ci",
    role="writer",
    workspaces=("prod/*",),
    hint=TOKEN[-6:],
    created="2026-01-01T00:00:00.000000Z",
    expires=None,
    revoked=None,
)


async def authenticator(stored: StoredToken = STORED, now: datetime = NOW) -> Authenticator:
    """Return an authenticator whose store knows TOKEN."""
    store = FakeStore()
    await store.write(lambda tx: tx.add_token(stored, tokens.digest(TOKEN)))
    return Authenticator(store, lambda: now)


def basic(pair: str | bytes) -> str:
    """Return the header for a pair of user name and password."""
    return "Basic " + b64encode(pair.encode() if isinstance(pair, str) else pair).decode()


@pytest.mark.parametrize(
    "header",
    [
        basic(f"alice:{TOKEN}"),
        basic(f":{TOKEN}"),
        basic(b"J\xfcrgen:" + TOKEN.encode()),
        basic(f"alice:{TOKEN}").replace("Basic", "basic"),
        basic(f"alice:{TOKEN}").replace("Basic ", "BASIC   ") + " ",
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
    ],
)
async def test_a_token_is_known_in_every_form_it_may_have(header: str) -> None:
    """Basic with any user name and Bearer, in any case, give the token's principal."""
    principal = await (await authenticator()).identify(Presented(header))
    assert ("token", "0193", "ci", rights_of(Role.WRITER, "prod/*"), TOKEN[-6:]) == (
        principal.kind,
        principal.id,
        principal.name,
        principal.rights,
        principal.token_hint,
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "no credentials"),
        ("", "can't be read"),
        ("Basic", "can't be read"),
        ("Basic ", "can't be read"),
        (f"Basic\t{TOKEN}", "can't be read"),
        (f"Bearer {TOKEN}, Basic eDp5", "can't be read"),
        (f"Bearer {TOKEN}\r\nX: y", "can't be read"),
        (f"Bearer {TOKEN}\n", "can't be read"),
        (f"Bearer {'a' * 17_000}", "can't be read"),
        ("Bearer \u00fc", "can't be read"),
        ("Basic a-b_", "not base64"),
        ("Basic YTpi YTpi", "can't be read"),
        ("Basic YT=pi", "can't be read"),
        ("Basic YWxpY2U", "not base64"),
        (basic("alice"), "no colon"),
        (basic("alice:"), "password is empty"),
        (basic(f"{TOKEN}:"), "place of the user name"),
        (basic(f"{TOKEN}:x"), "no valid token"),
        (basic(b"alice:\xff\xfe"), "no valid token"),
        (basic(f"alice:{TOKEN}:"), "no valid token"),
        (basic(f"alice:{TOKEN[:-1]}"), "no valid token"),
        (basic(f"alice:{TOKEN.lower()}"), "no valid token"),
        ("Bearer x", "no valid token"),
        ("Digest abc", "not known here"),
        (f"Token {TOKEN}", "not known here"),
    ],
)
async def test_whatever_else_is_refused(header: str | None, reason: str) -> None:
    """Missing, malformed, doubled and smuggled credentials are refused with what to do."""
    with pytest.raises(UnauthenticatedError, match=reason) as caught:
        (await (await authenticator()).identify(Presented(header)))
    assert TOKEN not in str(caught.value)


async def test_any_password_is_not_enough() -> None:
    """A well-formed token that was never made is refused, also when no token exists at all."""
    header = basic(f"alice:{tokens.mint(secrets.token_bytes)}")
    with pytest.raises(UnauthenticatedError, match="unknown or revoked"):
        (await (await authenticator()).identify(Presented(header)))
    with pytest.raises(UnauthenticatedError, match="unknown or revoked"):
        (await Authenticator(FakeStore(), lambda: NOW).identify(Presented(header)))


async def test_a_revoked_token_is_refused_in_the_words_of_an_unknown_one() -> None:
    """A client can't tell a revoked token from one that never was; the record can."""
    revoked = replace(STORED, revoked="2026-11-01T00:00:00.000000Z")
    with pytest.raises(RevokedTokenError) as caught:
        (await (await authenticator(revoked)).identify(Presented(f"Bearer {TOKEN}")))
    with pytest.raises(UnauthenticatedError) as unknown:
        (await Authenticator(FakeStore(), lambda: NOW).identify(Presented(f"Bearer {TOKEN}")))
    assert str(unknown.value) == str(caught.value)
    assert ("ci", TOKEN[-6:]) == (caught.value.principal.name, caught.value.principal.token_hint)


async def test_revocation_holds_from_the_next_request_on() -> None:
    """Nothing remembers that the token was right a moment ago."""
    store = FakeStore()
    await store.write(lambda tx: tx.add_token(STORED, tokens.digest(TOKEN)))
    known = Authenticator(store, lambda: NOW)
    (await known.identify(Presented(f"Bearer {TOKEN}")))
    await store.write(lambda tx: tx.revoke_token(STORED.id))
    with pytest.raises(UnauthenticatedError):
        (await known.identify(Presented(f"Bearer {TOKEN}")))


@pytest.mark.parametrize(("seconds_left", "is_expired"), [(1, False), (0, True), (-1, True)])
async def test_a_token_expires_at_its_moment(seconds_left: int, is_expired: bool) -> None:
    """The moment of expiry itself is no longer in force; the error tells whose token it was."""
    expires = (NOW + timedelta(seconds=seconds_left)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    known = await authenticator(replace(STORED, expires=expires))
    if not is_expired:
        assert "ci" == (await known.identify(Presented(f"Bearer {TOKEN}"))).name
        return
    with pytest.raises(TokenExpiredError, match="the token ci expired") as caught:
        (await known.identify(Presented(f"Bearer {TOKEN}")))
    assert "0193" == caught.value.principal.id


async def test_a_role_of_a_later_release_allows_nothing() -> None:
    """A role that is not known gives a principal that may do nothing, not an error."""
    principal = await (await authenticator(replace(STORED, role="owner"))).identify(
        Presented(f"Bearer {TOKEN}")
    )
    assert NO_RIGHTS == principal.rights


async def test_a_store_that_cannot_tell_is_not_a_no() -> None:
    """When the tokens can't be read the failure is the store's, not the client's."""
    store = FakeStore()
    store.is_readable = False
    with pytest.raises(UnavailableError):
        (await Authenticator(store, lambda: NOW).identify(Presented(f"Bearer {TOKEN}")))
