"""An issuer at the provider of tests.oidc.provider: its keys, its tokens, its failures."""

import base64
import hmac
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "https://tfaudit.example.com"

GITHUB = {
    "sub": "repo:acme/infra:ref:refs/heads/main",
    "repository": "acme/infra",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "sha": "2a0d2a9bfe1c9c4e2f0f7f4a3b6e1c1d5c2b3a4e",
    "workflow": "apply",
    "run_id": "1658821493",
    "run_attempt": "1",
    "actor": "octocat",
    "event_name": "push",
}
"""What GitHub Actions says of a run, for the most part."""

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of this name, made at the first call."""
    assert name
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """Return a key on this curve, made at the first call."""
    return ec.generate_private_key(curve())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """Return an Ed25519 key, made at the first call."""
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Private, kid: str | None = "one", **more: Any) -> dict[str, Any]:
    """Return the public key as a JWK."""
    public = key.public_key()
    made: dict[str, Any]
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    made.pop("key_ops", None)
    return made | ({} if kid is None else {"kid": kid}) | more


def b64(content: bytes | dict[str, Any]) -> str:
    """Return bytes, or an object as JSON, in base64url without padding."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    """Return a token with ``alg: none`` and no signature."""
    return f"{b64({'alg': 'none', 'typ': 'JWT', **header})}.{b64(claims)}."


def by_shared_secret(claims: dict[str, Any], key: rsa.RSAPrivateKey, kid: str = "one") -> str:
    """Return a token with an HMAC under the public key, which everybody knows."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{b64({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(pem, signed.encode(), 'sha256'))}"


@dataclass
class TestIssuer:
    """One issuer.

    Attributes:
        provider: the address of the provider.
        name: below which path it is.
        key: signs unless another is named.
    """

    __test__ = False

    provider: str
    name: str
    key: Private = field(default_factory=rsa_key)

    @property
    def url(self) -> str:
        """The issuer's address."""
        return f"{self.provider}/{self.name}"

    def tell(self, **told: Any) -> None:
        """Tell the provider what this issuer publishes, or how it fails."""
        body = json.dumps(told).encode()
        request = urllib.request.Request(self.url, data=body, method="PUT")  # noqa: S310 - ours
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - ours

    def publish(self, *keys: dict[str, Any]) -> None:
        """Publish these keys, by default its own under the ID ``one``."""
        self.tell(keys=list(keys) or [jwk(self.key)])

    def asked(self) -> dict[str, int]:
        """Return how often the document and the keys were asked for."""
        with urllib.request.urlopen(self.url, timeout=5) as answer:  # noqa: S310 - ours
            found: dict[str, int] = json.loads(answer.read())
        return found

    def claims(self, *, now: float | None = None, **changed: Any) -> dict[str, Any]:
        """Return the claims of a run that began now; None takes one away."""
        begin = int(time.time() if now is None else now)
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "iat": begin,
            "nbf": begin - 5,
            "exp": begin + 300,
            **GITHUB,
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: Private | None = None,
        algorithm: str = "RS256",
        kid: str | None = "one",
        header: dict[str, Any] | None = None,
        now: float | None = None,
        **changed: Any,
    ) -> str:
        """Return a signed identity token."""
        # Not jwt.encode, which makes no token that is wrong.
        return jwt.PyJWS().encode(
            json.dumps(self.claims(now=now, **changed)).encode(),
            key or self.key,
            algorithm,
            {**({} if kid is None else {"kid": kid}), **(header or {})},
        )


@contextmanager
def a_provider() -> Iterator[str]:
    """Run a provider; yields its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.oidc.provider"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
