"""Tests of proxy.token_exchange and proxy.auth.exchanged: runs that outlive their tokens."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.access import Caller, Permission, Principal
from proxy.audit_log import draft
from proxy.auth.authenticator import Authenticator
from proxy.auth.exchanged import exchanged_identity
from proxy.auth.identities import identity_of
from proxy.auth.presented import (
    KnownButRefusedError,
    Presented,
    RevokedTokenError,
    TokenExpiredError,
)
from proxy.directory import Object, document_of, read_record
from proxy.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthenticatedError,
    UnavailableError,
)
from proxy.refusals import AccessChangedError
from proxy.storage.sqlite import SQLiteStore
from proxy.timestamps import micros_of
from proxy.token_exchange import GivenToken, TokenExchange
from tests.oidc.issuer import AUDIENCE, GITHUB
from tests.samples import an_audit_log, last_of, log_of

URL = "https://token.example.com"
CLAIMS: dict[str, Any] = {"iss": URL, "aud": AUDIENCE, "exp": 1, "email": "a@example.com", **GITHUB}
ISSUER: dict[str, Any] = {"name": "ci", "url": URL, "audience": [AUDIENCE], "session_minutes": 60}
GRANT: dict[str, Any] = {
    "name": "g",
    "issuer": "ci",
    "when": 'repository == "acme/infra"',
    "role": "writer",
    "workspaces": ["prod/*"],
}


@dataclass
class World:
    """A store, an exchange and whoever knows what it gave.

    Attributes:
        store: a real one.
        exchange: gives tokens.
        micros: the present.
    """

    store: SQLiteStore
    exchange: TokenExchange
    authenticator: Authenticator
    micros: list[int]

    async def put(self, kind: str, number: int = 1, **fields: Any) -> None:
        """Make an object of the directory, or change it."""
        record = read_record(kind, fields)
        when = "2026-11-22T10:00:00.000000Z"
        identity = f"00000000-0000-7000-8000-{number:012}"
        made = Object(kind, record.name, identity, when, when, document_of(record))
        await self.change(lambda tx: tx.put_object(made))

    async def change(self, job: Any) -> None:
        """Change something, with some entry."""

        def with_entry(tx: Any) -> None:
            job(tx)
            system = Caller(Principal("system", "cli", "root"), "", "", "cli", "test", "")
            tx.append(draft("config.changed", "success", "test", system))

        await self.store.write(with_entry)
        # What the store knows of directory and tokens is a second old at most.
        self.store._directory = None
        self.store._tokens.clear()

    def caller(self, **claims: Any) -> Caller:
        """Return a run that sends its identity token."""
        identity = identity_of("ci", {**CLAIMS, **claims}, (), self.store.directory())
        return Caller(identity, "10.0.0.7", "r-1", "api", "POST", "/api/v1/token")

    async def give(self, seconds: int | None = None) -> GivenToken:
        """Exchange a run's identity token."""
        return await self.exchange.exchange(self.caller(), seconds)

    async def ask(self, given: GivenToken) -> Principal:
        """Return who sends the token that was given."""
        return await self.authenticator.identify(Presented(f"Bearer {given.text}"))

    async def act(self, principal: Principal) -> None:
        """Do something as a principal."""
        caller = Caller(principal, "10.0.0.7", "r-2", "terraform", "GET", "/state/prod/a")
        entry = draft("state.read", "success", "read", caller, 200, workspace="prod/a")
        await self.store.write(lambda tx: tx.append(entry))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An issuer that gives tokens, and a grant to one repository."""
    micros = [micros_of("2026-11-22T10:00:00.000000Z")]
    random = iter(range(1, 10_000))
    audit = an_audit_log(lambda: micros[0])
    async with SQLiteStore(tmp_path / "tfaudit.db", audit, create=True) as store:
        made = World(
            store,
            TokenExchange(
                store, lambda: micros[0], lambda n: next(random).to_bytes(2, "big") * (n // 2)
            ),
            Authenticator(store, lambda: datetime.fromtimestamp(micros[0] / 1_000_000, UTC)),
            micros,
        )
        await made.put("issuer", 1, **ISSUER)
        await made.put("grant", 2, **GRANT)
        yield made


async def test_a_token_is_the_identity_for_longer(world: World) -> None:
    """Same name, ID, claims and rights; beside it the token, by its ID and its last characters."""
    given = await world.give()
    before = world.caller().principal

    principal = await world.ask(given)

    assert 3600 == given.seconds
    assert ("oidc", before.id, before.name, before.claims, before.rights) == (
        principal.kind,
        principal.id,
        principal.name,
        principal.claims,
        principal.rights,
    )
    assert given.text[-6:] == principal.token_hint
    await world.act(principal)
    actor = (await last_of(world.store))["actor"]
    assert (principal.token, "acme/infra", "ci") == (actor["token"], actor["name"], actor["issuer"])
    [token] = await world.store.tokens()
    assert (principal.token, "10.0.0.7") == (token.id, token.used_from)


async def test_the_exchange_is_on_record_without_the_token(world: World) -> None:
    """One entry says who got which token and until when; neither the token nor more of a person."""
    given = await world.give(600)

    entry = await last_of(world.store)

    assert ("token.created", "success", given.index) == (
        entry["event"],
        entry["outcome"],
        len(await log_of(world.store)) - 1,
    )
    assert "1658821493" == entry["actor"]["claims"]["run_id"]
    assert given.text[-6:] == entry["token"]["hint"]
    assert "2026-11-22T10:10:00" == entry["token"]["expires"][:19]
    text = orjson.dumps(entry).decode()
    assert given.text not in text
    assert "a@example.com" not in text
    assert given.text not in repr(given)


async def test_no_token_lives_longer_than_the_record_allows(world: World) -> None:
    """Neither by asking for more, nor after the record was changed to less."""
    assert 3600 == (await world.give(86_400)).seconds
    given = await world.give()
    await world.put("issuer", 1, **ISSUER | {"session_minutes": 10})
    world.micros[0] += 9 * 60_000_000
    assert await world.ask(given) is not None

    world.micros[0] += 61_000_000
    with pytest.raises(TokenExpiredError, match="expired at 2026-11-22T10:10:00"):
        await world.ask(given)


async def test_its_end_is_kept_while_a_request_is_under_way(world: World) -> None:
    """Whoever was let in before the end does nothing after it."""
    given = await world.give(60)
    principal = await world.ask(given)
    world.micros[0] += 61_000_000

    with pytest.raises(UnauthenticatedError, match="while the request was under way"):
        await world.act(principal)


async def test_an_identity_token_ends_while_a_request_is_under_way(world: World) -> None:
    """So it is for the identity token itself."""
    identity = replace(world.caller().principal, expires="2026-11-22T10:00:30.000000Z")
    await world.act(identity)
    world.micros[0] += 31_000_000

    with pytest.raises(UnauthenticatedError, match="while the request was under way"):
        await world.act(identity)
    with pytest.raises(UnauthenticatedError, match="while the request was under way"):
        await world.store.write(lambda tx: tx.require_in_force(identity))


async def test_grants_are_asked_at_each_request(world: World) -> None:
    """What is taken from the identity is taken from the token, also while a request runs."""
    given = await world.give()
    principal = await world.ask(given)
    assert principal.allows(Permission.STATE_WRITE, "prod/a")

    await world.put("grant", 2, **GRANT | {"role": "reader"})

    assert not (await world.ask(given)).allows(Permission.STATE_WRITE, "prod/a")
    with pytest.raises(AccessChangedError):
        await world.act(principal)


@pytest.mark.parametrize(
    "changed",
    [{"audience": ["other"]}, {"url": "https://moved.example.com"}, {"session_minutes": 0}, None],
)
async def test_it_is_gone_with_its_issuer(world: World, changed: dict[str, Any] | None) -> None:
    """Deleted, moved, for somebody else, or giving none any more; the record tells whose it was."""
    given = await world.give()
    await world.ask(given)
    if changed is None:
        await world.change(lambda tx: tx.drop_object("issuer", "ci"))
    else:
        await world.put("issuer", 1, **ISSUER | changed)

    with pytest.raises(KnownButRefusedError, match="is not believed any more") as caught:
        await world.ask(given)

    assert "1658821493" == caught.value.principal.claims["run_id"]
    assert not caught.value.principal.rights.grants


async def test_an_issuer_that_was_made_anew_does_not_bring_it_back(world: World) -> None:
    """The same name and address are not the same issuer."""
    given = await world.give()
    await world.put("issuer", 9, **ISSUER)

    with pytest.raises(KnownButRefusedError, match="is not believed any more"):
        await world.ask(given)


async def test_a_run_ends_its_token(world: World) -> None:
    """At the end of the job, on record; and an administrator's revocation does the same."""
    given = await world.give()
    caller = replace_principal(world.caller(), await world.ask(given))

    await world.exchange.end(caller)

    assert "token.revoked" == (await last_of(world.store))["event"]
    await world.change(lambda _: None)
    with pytest.raises(RevokedTokenError):
        await world.ask(given)
    with pytest.raises(UnauthenticatedError):
        await world.act(caller.principal)
    with pytest.raises(UnauthenticatedError):
        await world.store.write(lambda tx: tx.require_in_force(caller.principal))


def replace_principal(caller: Caller, principal: Principal) -> Caller:
    """Return the caller as another principal."""
    return caller._replace(principal=principal)


async def test_only_an_identity_token_is_exchanged(world: World) -> None:
    """What was given can't be given again: the end would move on for ever."""
    given = replace_principal(world.caller(), await world.ask(await world.give()))
    token = replace_principal(given, Principal("token", "1", "ci"))
    for caller in (given, token):
        with pytest.raises(InvalidInputError, match="only the identity token"):
            await world.exchange.exchange(caller)
    for caller in (world.caller(), token):
        with pytest.raises(InvalidInputError, match="given in exchange"):
            await world.exchange.end(caller)


async def test_who_may_nothing_gets_nothing(world: World) -> None:
    """Whoever a public issuer vouches for could otherwise fill the store with tokens."""
    with pytest.raises(ForbiddenError, match="nothing is granted") as caught:
        await world.exchange.exchange(world.caller(repository="evil/infra"))

    entry = await last_of(world.store)
    assert ("access.denied", "denied", 403) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    assert "evil/infra" == entry["actor"]["claims"]["repository"]
    assert caught.value.audit_index == len(await log_of(world.store)) - 1
    assert [] == await world.store.tokens()


async def test_an_issuer_gives_none_by_default(world: World) -> None:
    """An administrator must have said for how long."""
    await world.put("issuer", 1, **ISSUER | {"session_minutes": 0})

    with pytest.raises(ForbiddenError, match="session_minutes"):
        await world.give()


async def test_an_issuer_removed_meanwhile_gives_none(world: World) -> None:
    """The directory of the transaction decides."""
    caller = world.caller()
    await world.change(lambda tx: tx.drop_object("issuer", "ci"))

    with pytest.raises(ForbiddenError, match="not known"):
        await world.exchange.exchange(caller)


async def test_ended_ones_are_not_kept_for_ever(world: World) -> None:
    """A run an hour for years leaves the tokens of a week; other tokens stay."""
    await world.give()
    world.micros[0] += int(timedelta(days=6) / timedelta(microseconds=1))
    await world.give()
    assert 2 == len(await world.store.tokens())
    world.micros[0] += int(timedelta(days=2) / timedelta(microseconds=1))

    await world.give()

    assert 2 == len(await world.store.tokens())


async def test_what_is_stored_of_the_identity_must_be_readable(world: World) -> None:
    """Whoever it is can't be told from an altered database: 503, not access."""
    await world.give()
    [token] = await world.store.tokens()
    for altered in ("", "{}", '{"issuer": "ci", "claims": 7}', "null"):
        with pytest.raises(UnavailableError, match="altered"):
            exchanged_identity(replace(token, identity=altered), world.store.directory())
