"""Whatever is sent as an identity token, or published as a key, ends in a refusal of ours."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.auth.identities import identity_of
from proxy.auth.identity_tokens import LEEWAY, MAX_LIFETIME, read, require_timely
from proxy.auth.key_sets import KeySet
from proxy.directory import IssuerRecord
from proxy.errors import UnauthenticatedError
from proxy.tlog.entry import canonical
from tests.oidc.issuer import b64, ec_key, ed_key, jwk, rsa_key

ISSUER = IssuerRecord(name="ci", url="https://token.example.com", audience=("tfaudit",))
NOW = 1_795_341_600.0

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
moments = st.none() | scalars | st.integers(int(NOW) - 100_000, int(NOW) + 100_000)


def claims_with(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return claims of which each may be anything or missing."""
    return st.fixed_dictionaries({}, optional=values)


@settings(max_examples=30)
@given(st.text(alphabet="eyJ.-_AZaz09=+/ \u00fc\n", max_size=60) | st.text(max_size=60))
@example("eyJ" + "." * 100)
@example("..")
def test_any_text_is_read_or_refused(token: str) -> None:
    """Nothing else is raised, and nothing is believed of it."""
    with suppress(UnauthenticatedError):
        read(token)


@settings(max_examples=30)
@given(
    claims_with(alg=json_values, kid=json_values, typ=json_values, crit=json_values) | json_values,
    claims_with(iss=json_values) | json_values,
    st.binary(max_size=10),
)
def test_any_json_is_read_or_refused(header: Any, claims: Any, signature: bytes) -> None:
    """What is read are texts."""
    parts = (b64(orjson.dumps(each)) for each in (header, claims))
    with suppress(UnauthenticatedError):
        claimed = read(f"{'.'.join(parts)}.{b64(signature)}")
        assert {str} == {type(claimed.issuer), type(claimed.algorithm)}
        assert claimed.key_id is None or isinstance(claimed.key_id, str)
        assert claimed.shown_issuer.isprintable()
        assert claimed.shown_algorithm.isprintable()


@settings(max_examples=30)
@given(
    claims_with(
        exp=moments,
        nbf=moments,
        iat=moments,
        aud=json_values | st.sampled_from(["tfaudit", ["tfaudit"], ["x", "tfaudit"]]),
        iss=json_values | st.just(ISSUER.url),
    )
)
@example({"exp": NOW + 1, "aud": "tfaudit", "iss": ISSUER.url})
@example({"exp": NOW + 86_401, "aud": "tfaudit", "iss": ISSUER.url})
@example({"exp": NOW, "aud": "tfaudit", "iss": ISSUER.url})
def test_whatever_holds_holds_now_for_us_and_not_for_long(claims: dict[str, Any]) -> None:
    """Claims of any type: what passes keeps every rule."""
    try:
        expires = require_timely(ISSUER, claims, NOW)
    except UnauthenticatedError:
        return
    assert NOW < expires + 1 <= NOW + MAX_LIFETIME + LEEWAY + 1
    assert ISSUER.url == claims["iss"]
    assert "tfaudit" in claims["aud"]
    for name in ("nbf", "iat"):
        assert claims.get(name, NOW) <= NOW + LEEWAY + 1


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=5), json_values), st.text(min_size=1, max_size=50))
def test_any_claims_fit_into_an_entry(claims: dict[str, Any], subject: str) -> None:
    """Whatever the issuer says under the names that are recorded."""
    said = {"ref": claims, "actor": list(claims), **claims, "sub": subject}
    actor = identity_of("ci", said, ("more", *(k for k in claims if k.isascii()))).actor()

    assert canonical(actor)


@settings(max_examples=30)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "kty": json_values | st.sampled_from(["RSA", "EC", "OKP", "oct"]),
                "kid": json_values,
                "alg": json_values,
                "use": json_values | st.just("sig"),
                "key_ops": json_values,
                "crv": json_values | st.sampled_from(["P-256", "P-384", "Ed25519", "Ed448"]),
                "n": json_values | st.just(jwk(rsa_key())["n"]),
                "e": json_values | st.sampled_from(["AQAB", "AQ", "AA", "Ag"]),
                "x": json_values | st.sampled_from([jwk(ec_key())["x"], jwk(ed_key())["x"]]),
                "y": json_values | st.just(jwk(ec_key())["y"]),
            },
        )
        | json_values,
        max_size=3,
    )
    | json_values
)
def test_any_published_keys_are_read_or_refused(keys: Any) -> None:
    """A document is a set of keys or it is not; a key in it is of use or it is not."""
    with suppress(ValueError):
        for key in KeySet.parse(orjson.dumps({"keys": keys})).keys:
            assert not key.fits("none")
            assert not key.fits("HS256")


@pytest.mark.parametrize(
    "document", [b"", b"null", b"[]", b'{"keys": {}}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_set_of_keys_is_refused(document: bytes) -> None:
    """Garbage of any kind."""
    with pytest.raises(ValueError, match=r"."):
        KeySet.parse(document)
