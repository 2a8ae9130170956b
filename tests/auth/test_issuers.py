"""Tests of proxy.auth.issuers, with a real provider in a process of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.access import Permission, Principal
from proxy.auth.discovery import Discovery
from proxy.auth.issuer_keys import FRESH_SECONDS, KEPT_SECONDS, PAUSE_SECONDS, IssuerKeys
from proxy.auth.issuers import Issuers
from proxy.auth.presented import KnownButRefusedError
from proxy.directory import Object, document_of, read_record
from proxy.errors import UnauthenticatedError, UnavailableError
from tests.fakes import FakeStore
from tests.oidc.issuer import (
    AUDIENCE,
    TestIssuer,
    a_provider,
    b64,
    by_shared_secret,
    ec_key,
    ed_key,
    jwk,
    rsa_key,
    unsigned,
)

WHEN = "2026-11-22T10:00:00.000000Z"
MAIN = 'repository == "acme/infra" and ref == "refs/heads/main"'


@dataclass
class World:
    """Issuers over a store in memory, with clocks that a test may move.

    Attributes:
        issuers: who are asked.
        store: keeps the directory.
        seconds: of the clock that never goes back.
        ahead: of the clock on the wall, before the real one.
    """

    issuers: Issuers = field(init=False)
    store: FakeStore = field(default_factory=FakeStore)
    seconds: float = 1000.0
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the present."""
        return datetime.now(UTC) + self.ahead

    async def put(self, kind: str, **fields: Any) -> None:
        """Make an object of the directory, or change it."""
        record = read_record(kind, fields)
        made = Object(kind, record.name, f"{kind}-{record.name}", WHEN, WHEN, document_of(record))
        await self.store.write(lambda tx: tx.put_object(made))

    async def trust(self, issuer: TestIssuer, **fields: Any) -> None:
        """Name the issuer as one who is believed."""
        given = {"name": "ci", "url": issuer.url, "audience": [AUDIENCE], **fields}
        await self.put("issuer", **given)

    async def grant(self, when: str = MAIN, role: str = "writer", name: str = "g") -> None:
        """Grant something to identities of the issuer."""
        await self.put("grant", name=name, issuer="ci", when=when, role=role, workspaces=["prod/*"])

    async def ask(self, token: str) -> Principal:
        """Return whose token it is."""
        return await self.issuers.identify(token)

    async def name(self, token: str) -> str:
        """Return the name of whose token it is."""
        return (await self.ask(token)).name

    async def refusal(self, token: str) -> str:
        """Return why a token is refused; no part of it is in there."""
        with pytest.raises(UnauthenticatedError) as caught:
            await self.ask(token)
        text = str(caught.value)
        assert not any(part in text for part in token.split(".") if len(part) > 8)
        return text


@asynccontextmanager
async def a_world(issuer: TestIssuer | None, *, seconds: float = 5.0) -> AsyncIterator[World]:
    """Make the parts; the issuer is believed, and its main branch may write on prod/*."""
    world = World()
    async with Discovery(seconds=seconds) as discovery:
        keys = IssuerKeys(discovery, lambda: world.seconds)
        world.issuers = Issuers(world.store, keys, world.now)
        if issuer is not None:
            await world.trust(issuer)
            await world.grant()
        yield world
        await keys.aclose()


@pytest.fixture
async def world(issuer: TestIssuer) -> AsyncIterator[World]:
    """Issuers who believe the test's own."""
    async with a_world(issuer) as made:
        yield made


# ---------------------------------------------------------------- who it is


async def test_an_identity_is_known_by_its_claims(world: World, issuer: TestIssuer) -> None:
    """Issuer and subject are its ID, the repository its name; the run's claims are for the record.

    Claims that say nothing of the run (jti, aud …) stay out of it.
    """
    principal = await world.ask(issuer.token(jti="x"))

    assert ("oidc", "ci:repo:acme/infra:ref:refs/heads/main", "acme/infra", "ci") == (
        principal.kind,
        principal.id,
        principal.name,
        principal.issuer,
    )
    assert {
        "repository": "acme/infra",
        "ref": "refs/heads/main",
        "ref_type": "branch",
        "sha": "2a0d2a9bfe1c9c4e2f0f7f4a3b6e1c1d5c2b3a4e",
        "workflow": "apply",
        "run_id": "1658821493",
        "run_attempt": "1",
        "actor": "octocat",
        "event_name": "push",
    } == principal.claims
    assert principal.allows(Permission.STATE_WRITE, "prod/network")
    assert not principal.allows(Permission.STATE_WRITE, "dev/network")


async def test_a_rule_decides_what_an_identity_may(world: World, issuer: TestIssuer) -> None:
    """A branch that the rule does not name is known, and may nothing."""
    principal = await world.ask(issuer.token(ref="refs/heads/evil"))

    assert "acme/infra" == principal.name
    assert not principal.allows(Permission.STATE_READ, "prod/network")


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa_key()),
        ("RS512", rsa_key()),
        ("PS256", rsa_key()),
        ("ES256", ec_key()),
        ("ES384", ec_key(ec.SECP384R1)),
        ("ES512", ec_key(ec.SECP521R1)),
        ("EdDSA", ed_key()),
    ],
)
async def test_each_algorithm_verifies(
    world: World, issuer: TestIssuer, algorithm: str, key: Any
) -> None:
    """What an issuer's record may list is understood."""
    issuer.publish(jwk(key))
    await world.trust(issuer, algorithms=[algorithm])

    assert "acme/infra" == (await world.ask(issuer.token(key=key, algorithm=algorithm))).name


async def test_one_audience_of_several_is_enough(world: World, issuer: TestIssuer) -> None:
    """`aud` may be a list (RFC 7519 section 4.1.3), and the record may hold several."""
    await world.trust(issuer, audience=["a", AUDIENCE])

    assert "acme/infra" == await world.name(issuer.token(aud=["x", AUDIENCE]))


# ---------------------------------------------------------------- who it is not


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": 1_700_000_000}, "of the issuer ci expired at 2023-11-14T22:13:20Z"),
        ({"exp": None}, "does not say when it expires"),
        ({"exp": "tomorrow"}, "does not say when it expires"),
        ({"exp": True}, "does not say when it expires"),
        ({"exp": 10**30}, "does not say when it expires"),
        ({"nbf": time.time() + 600}, "compare the clocks"),
        ({"iat": time.time() + 600, "exp": time.time() + 900}, "compare the clocks"),
        ({"nbf": "now"}, "does not say when it begins"),
        ({"exp": time.time() + 90_000}, "for more than 24 hours"),
        ({"exp": time.time() + 90_000, "iat": None, "nbf": None}, "for more than 24 hours"),
        ({"aud": "https://other.example.com"}, f"wanted is {AUDIENCE}"),
        ({"aud": None}, "for the audience (none)"),
        ({"aud": [AUDIENCE + "x", 7]}, f"audience {AUDIENCE}x; wanted is {AUDIENCE}"),
        ({"aud": {AUDIENCE: 1}}, "for the audience (none)"),
    ],
)
async def test_what_does_not_hold_is_refused_by_name(
    world: World, issuer: TestIssuer, changed: dict[str, Any], reason: str
) -> None:
    """The issuer did say it: the record tells of whom, and the reason what was wrong."""
    with pytest.raises(KnownButRefusedError, match="issuer ci") as caught:
        await world.ask(issuer.token(**changed))

    assert reason in str(caught.value)
    assert "auth.failed" == caught.value.event
    assert "acme/infra" == caught.value.principal.claims["repository"]
    assert not caught.value.principal.rights.grants


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 1025])
async def test_nobody_is_no_identity(world: World, issuer: TestIssuer, subject: Any) -> None:
    """Without a subject there is nobody to be known."""
    assert "names no subject" in await world.refusal(issuer.token(sub=subject))


async def test_a_small_difference_of_clocks_is_forgiven(world: World, issuer: TestIssuer) -> None:
    """An issuer whose clock is half a minute ahead is believed; the end is the end."""
    assert "acme/infra" == await world.name(issuer.token(now=time.time() + 30))
    world.ahead = timedelta(seconds=301)
    assert "expired at" in await world.refusal(issuer.token())


async def test_the_end_of_a_token_that_was_verified_is_kept(
    world: World, issuer: TestIssuer
) -> None:
    """What is remembered does not outlive the token."""
    token = issuer.token()
    await world.ask(token)
    world.ahead = timedelta(seconds=290)
    assert "acme/infra" == await world.name(token)
    world.ahead = timedelta(seconds=301)
    assert "expired at" in await world.refusal(token)


async def test_no_signature_is_none(world: World, issuer: TestIssuer) -> None:
    """`alg: none` is on no list, and in no list can it be."""
    for algorithm in ("none", "None", "NONE", "nOnE"):
        token = unsigned(issuer.claims(), alg=algorithm)
        assert f"signed by {algorithm}; of the issuer ci" in await world.refusal(token)
    assert {} == issuer.asked()


async def test_the_public_key_is_no_shared_secret(world: World, issuer: TestIssuer) -> None:
    """HS256 with what everybody knows as the secret (RFC 8725 section 2.1)."""
    token = by_shared_secret(issuer.claims(), rsa_key())

    assert "signed by HS256; of the issuer ci accepted are RS256, ES256" in (
        await world.refusal(token)
    )


async def test_an_algorithm_that_is_not_on_the_list_is_refused(
    world: World, issuer: TestIssuer
) -> None:
    """Also a good one, before anybody is asked."""
    assert "accepted are RS256, ES256" in await world.refusal(issuer.token(algorithm="PS512"))
    assert {} == issuer.asked()


async def test_a_strangers_signature_is_refused(world: World, issuer: TestIssuer) -> None:
    """Another key under the right ID; and claims put under a good signature."""
    forged = issuer.token(key=rsa_key("mallory"))
    head, _, signature = issuer.token().split(".")
    swapped = f"{head}.{b64(issuer.claims(ref='refs/heads/other'))}.{signature}"

    for signature_like in ("", "A", "AA", "A" * 342, "A" * 343, "A" * 5000):
        text = await world.refusal(f"{head}.{b64(issuer.claims())}.{signature_like}")
        assert "signature is not the issuer's" in text
    assert "signature is not the issuer's" in await world.refusal(forged)
    assert "signature is not the issuer's" in await world.refusal(swapped)


async def test_an_issuer_that_nobody_named_is_not_asked(world: World, issuer: TestIssuer) -> None:
    """Whoever sends a token does not decide where this server connects to."""
    other = TestIssuer(issuer.provider, issuer.name + "-other")
    other.publish()

    assert f"issuer {other.url} of the identity token is not known" in (
        await world.refusal(other.token())
    )
    assert "(no address)" in await world.refusal(issuer.token(iss="ci\r\nX: y"))
    assert {} == other.asked()


async def test_a_slash_is_told(world: World, issuer: TestIssuer) -> None:
    """`iss` is compared to the letter; what differs by a slash alone is said."""
    assert "differs by a slash" in await world.refusal(issuer.token(iss=issuer.url + "/"))


async def test_an_issuer_can_not_speak_for_another(world: World, issuer: TestIssuer) -> None:
    """Keys of one issuer prove nothing of another's identities."""
    other = TestIssuer(issuer.provider, issuer.name + "-other", rsa_key("other"))
    other.publish()
    await world.put("issuer", name="other", url=other.url, audience=[AUDIENCE])

    token = other.token(iss=issuer.url)

    assert "signature is not the issuer's" in await world.refusal(token)


@pytest.mark.parametrize(
    "token",
    [
        "eyJ",
        "eyJ.eyJ.eyJ",
        "eyJ..",
        f"{b64({'alg': 'RS256'})}.{b64(b'[]')}.",
        f"{b64({'alg': 'RS256'})}.{b64(b'not json')}.AAAA",
        f"{b64({'alg': 'RS256'})}.{b64({'iss': 7})}.AAAA",
        f"{b64({'alg': 7})}.{b64({'iss': 'https://x'})}.AAAA",
        f"{b64({'alg': 'RS256', 'kid': 7})}.{b64({'iss': 'https://x'})}.AAAA",
        f"{b64(b'[' * 4000)}.{b64({})}.AAAA",
        f"{b64({'alg': 'RS256'})}.{b64(b'[' * 4000)}.AAAA",
        f"{b64({'alg': 'RS256'})}.{b64({'iss': 'x'})}.AAAA.BBBB",
        f"{b64({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}..AAAA",
        "eyJ\u00fc.eyJ.AAAA",
        "eyJ" + "A" * 12_000,
    ],
)
async def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    """Cut off, of other types, deep, huge: 401, and nobody is asked."""
    assert "token" in await world.refusal(token)


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 1}, {"typ": "at+jwt"}, {"typ": "logout+jwt"}]
)
async def test_other_tokens_of_the_issuer_are_refused(
    world: World, issuer: TestIssuer, header: dict[str, Any]
) -> None:
    """What says that it is something else is not taken for an identity token."""
    assert "token" in await world.refusal(issuer.token(header=header))


async def test_a_key_in_the_header_is_not_believed(world: World, issuer: TestIssuer) -> None:
    """Whatever the token offers as its key, the issuer's own are used."""
    mallory = rsa_key("mallory")
    header = {"jwk": jwk(mallory, "m"), "jku": f"{issuer.url}/jwks", "x5c": ["AAAA"]}

    assert "does not publish" in await world.refusal(
        issuer.token(key=mallory, kid="m", header=header)
    )


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "published",
    [
        [],
        [jwk(rsa_key(), use="enc")],
        [jwk(rsa_key(), key_ops=["encrypt"])],
        [jwk(rsa_key(), alg="RS512")],
        [jwk(rsa_key(), kid=None)],
        [jwk(rsa_key("weak", 1024))],
        [jwk(rsa_key(), kty="oct", k="AAAA")],
        [jwk(rsa_key()), jwk(rsa_key("two"))],
        [jwk(rsa_key()) | {"n": 7}],
        ["one", None, {"kty": "RSA", "kid": "one"}],
    ],
)
async def test_a_key_that_is_not_for_this_is_not_used(
    world: World, issuer: TestIssuer, published: list[Any]
) -> None:
    """Other uses, other algorithms, no ID, too short, one ID twice: none of them verifies."""
    issuer.publish(*published) if published else issuer.tell(keys=[])
    key = rsa_key("weak", 1024) if published and "weak" in str(published) else None

    assert "does not publish" in await world.refusal(issuer.token(key=key))


async def test_among_several_keys_the_id_tells(world: World, issuer: TestIssuer) -> None:
    """Keys of other types and other keys of the same type stand beside it."""
    issuer.publish(
        jwk(rsa_key("two"), "two"),
        jwk(ec_key(), "three"),
        jwk(ec_key(), "one"),
        {"kty": "new"},
        jwk(rsa_key()),
    )

    assert "acme/infra" == await world.name(issuer.token())
    assert "acme/infra" == await world.name(issuer.token(key=rsa_key("two"), kid="two"))
    assert "acme/infra" == await world.name(
        issuer.token(key=ec_key(), kid="three", algorithm="ES256")
    )
    assert "signature" in await world.refusal(issuer.token(key=rsa_key("two")))


async def test_without_an_id_the_only_key_is_the_one(world: World, issuer: TestIssuer) -> None:
    """OpenID Connect Core 1.0 section 10.1: with several keys, a token must name its own."""
    issuer.publish(jwk(rsa_key(), None))
    assert "acme/infra" == await world.name(issuer.token(kid=None))

    world.seconds += FRESH_SECONDS
    issuer.publish(jwk(rsa_key(), None), jwk(rsa_key("two"), None))
    assert "does not publish" in await world.refusal(issuer.token(kid=None))


async def test_rotated_keys_are_fetched(world: World, issuer: TestIssuer) -> None:
    """An unknown key makes the issuer be asked again, and its tokens go on at once."""
    await world.ask(issuer.token())
    world.seconds += PAUSE_SECONDS
    issuer.publish(jwk(rsa_key("two"), "two"))

    assert "acme/infra" == await world.name(issuer.token(key=rsa_key("two"), kid="two"))
    assert {"document": 2, "keys": 2} == issuer.asked()
    assert "does not publish" in await world.refusal(issuer.token())


async def test_rotated_keys_without_ids_are_fetched(world: World, issuer: TestIssuer) -> None:
    """Then a signature that the key at hand did not make is the sign."""
    issuer.publish(jwk(rsa_key(), None))
    await world.ask(issuer.token(kid=None))
    world.seconds += PAUSE_SECONDS
    issuer.publish(jwk(rsa_key("two"), None))

    assert "acme/infra" == await world.name(issuer.token(key=rsa_key("two"), kid=None))


async def test_a_withdrawn_key_ends_with_the_keys_at_hand(world: World, issuer: TestIssuer) -> None:
    """Also what was verified with it already is not believed for longer."""
    token = issuer.token()
    await world.ask(token)
    issuer.publish(jwk(rsa_key("two"), "two"))
    world.seconds += FRESH_SECONDS - 1
    assert "acme/infra" == await world.name(token)

    world.seconds += 1
    assert "does not publish" in await world.refusal(token)


async def test_the_same_keys_keep_what_was_verified(world: World, issuer: TestIssuer) -> None:
    """A renewal that brings nothing new makes nobody be verified again."""
    token = issuer.token()
    first = await world.ask(token)
    world.seconds += FRESH_SECONDS
    await world.ask(issuer.token(run_id="2"))

    assert first is await world.ask(token)


async def test_a_storm_of_unknown_keys_asks_once(world: World, issuer: TestIssuer) -> None:
    """Made-up key IDs, one after another and at once: the issuer is asked again at most once."""
    await world.ask(issuer.token())
    world.seconds += PAUSE_SECONDS
    tokens = [issuer.token(kid=f"made-up-{number}") for number in range(50)]

    refused = await asyncio.gather(*map(world.ask, tokens), return_exceptions=True)
    for token in tokens[:10]:
        await world.refusal(token)

    assert all(isinstance(each, UnauthenticatedError) for each in refused)
    assert {"document": 2, "keys": 2} == issuer.asked()


async def test_many_at_once_ask_once(world: World, issuer: TestIssuer) -> None:
    """At the start all wait for one answer; who goes away does not end it for the others."""
    issuer.tell(fail_keys={"delay": 0.2})
    asking = [asyncio.create_task(world.ask(issuer.token(run_id=str(n)))) for n in range(10)]
    await asyncio.sleep(0.05)
    asking[0].cancel()

    found = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(found[0], asyncio.CancelledError)
    assert all(isinstance(each, Principal) for each in found[1:])
    assert {"document": 1, "keys": 1} == issuer.asked()


# ---------------------------------------------------------------- an issuer that fails


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ({"fail_document": {"status": 500}}, "answered with status 500"),
        ({"fail_keys": {"status": 404}}, "answered with status 404"),
        ({"fail_document": {"drop": True}}, "can't be asked: ServerDisconnectedError"),
        ({"fail_document": {"body": "<html>"}}, "not the document of an OpenID provider"),
        ({"fail_document": {"body": "[]"}}, "not the document of an OpenID provider"),
        ({"fail_keys": {"body": "<html>"}}, "is no set of keys"),
        ({"fail_keys": {"body": '{"keys": 7}'}}, "is no set of keys"),
        ({"fail_document": {"padding": 300_000}}, "more than 262144 bytes"),
        ({"fail_keys": {"padding": 300_000}}, "more than 262144 bytes"),
        ({"fail_keys": {"headers": {"Content-Encoding": "gzip"}}}, "compressed"),
        (
            {"fail_document": {"status": 302, "headers": {"Location": "/elsewhere"}}},
            "answered with status 302",
        ),
        ({"issuer": "https://other.example.com"}, "issuer https://other.example.com"),
        ({"document": {"jwks_uri": "http://keys.example.com/jwks"}}, "no jwks_uri"),
        ({"document": {"jwks_uri": "ftp://127.0.0.1/jwks"}}, "no jwks_uri"),
        ({"document": {"jwks_uri": "https://"}}, "no jwks_uri"),
        ({"document": {"jwks_uri": "http://[/jwks"}}, "no jwks_uri"),
        ({"document": {"jwks_uri": None}}, "no jwks_uri"),
    ],
)
async def test_an_issuer_that_fails_gives_no_access(
    world: World, issuer: TestIssuer, failing: dict[str, Any], reason: str
) -> None:
    """Who it is can't be told: 503, with the reason, and asked again only after a while."""
    issuer.tell(**failing)

    for _ in range(3):
        with pytest.raises(UnavailableError) as caught:
            await world.ask(issuer.token())
        assert reason in str(caught.value)

    # The client tries a second time when a connection ends without a word.
    times = 2 if "drop" in str(failing) else 1
    assert times == issuer.asked()["document"]
    issuer.tell(fail_document={}, fail_keys={}, document={}, issuer=issuer.url)
    world.seconds += PAUSE_SECONDS
    assert "acme/infra" == await world.name(issuer.token())


async def test_a_slow_issuer_is_not_waited_for(issuer: TestIssuer) -> None:
    """A time-out holds for both questions together."""
    issuer.tell(fail_document={"delay": 0.2}, fail_keys={"delay": 5})
    async with a_world(issuer, seconds=0.4) as world:
        begin = time.monotonic()
        with pytest.raises(UnavailableError, match=r"did not answer within 0\.4 seconds"):
            await world.ask(issuer.token())
        assert 2 > time.monotonic() - begin


async def test_a_provider_that_is_down_at_the_start_and_comes_up() -> None:
    """Refused as long as it is down, known once it is up."""
    async with a_world(None) as world:
        with a_provider() as address:
            issuer = TestIssuer(address, "late")
        await world.trust(issuer)
        with pytest.raises(UnavailableError, match="can't be asked"):
            await world.ask(issuer.token())
        with a_provider() as address:
            issuer.provider = address
            issuer.publish()
            await world.trust(issuer)
            assert "acme/infra" == await world.name(issuer.token())


async def test_keys_at_hand_serve_while_the_provider_is_down(
    world: World, issuer: TestIssuer
) -> None:
    """For a bounded time, and asked for again only now and then."""
    await world.ask(issuer.token())
    issuer.tell(fail_document={"status": 503})
    world.seconds += FRESH_SECONDS

    for number in range(5):
        assert "acme/infra" == await world.name(issuer.token(run_id=str(number)))
    assert "can't be asked for newer ones" in await world.refusal(issuer.token(kid="new"))
    assert 2 == issuer.asked()["document"]

    world.seconds += KEPT_SECONDS - FRESH_SECONDS
    with pytest.raises(UnavailableError, match="can't be had"):
        await world.ask(issuer.token())


# ---------------------------------------------------------------- what changes meanwhile


async def test_a_changed_grant_counts_at_once(world: World, issuer: TestIssuer) -> None:
    """What was verified before the change is not remembered with its rights."""
    token = issuer.token()
    assert (await world.ask(token)).allows(Permission.STATE_WRITE, "prod/a")

    await world.grant(role="reader")

    assert not (await world.ask(token)).allows(Permission.STATE_WRITE, "prod/a")
    assert (await world.ask(token)).allows(Permission.STATE_READ, "prod/a")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"audience": ["other"]}, "wanted is other"),
        ({"algorithms": ["ES256"]}, "accepted are ES256"),
        ({"url": "https://moved.example.com"}, "not known here"),
    ],
)
async def test_a_changed_issuer_counts_at_once(
    world: World, issuer: TestIssuer, changed: dict[str, Any], reason: str
) -> None:
    """What was verified by the old record is not believed by the new one."""
    token = issuer.token()
    await world.ask(token)

    await world.trust(issuer, **changed)

    assert reason in await world.refusal(token)


async def test_an_issuer_removed_while_it_is_asked(world: World, issuer: TestIssuer) -> None:
    """The keys arrive, and nobody believes them any more."""
    issuer.tell(fail_keys={"delay": 0.2})
    asking = asyncio.create_task(world.ask(issuer.token()))
    await asyncio.sleep(0.05)
    await world.store.write(lambda tx: tx.drop_object("issuer", "ci"))

    with pytest.raises(UnauthenticatedError, match="not known here"):
        await asking


async def test_what_is_remembered_has_an_end(world: World, issuer: TestIssuer) -> None:
    """Any number of tokens takes the memory of a bounded number."""
    token = issuer.token()
    first = await world.ask(token)
    kept = dict(world.issuers._verified)
    [verified] = kept.values()
    world.issuers._verified.update({bytes([n % 256, n // 256]): verified for n in range(1100)})
    await world.ask(issuer.token(run_id="2"))

    assert 1 == len(world.issuers._verified)
    assert first == await world.ask(token)
