"""The keys that an issuer publishes, and which of them may sign what (RFC 7517, RFC 7518)."""

from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MAX_KEYS: Final = 64
"""Keys of one issuer that are looked at."""
_RSA_BITS: Final = range(2048, 8192 + 1)
"""At least what RFC 7518 section 3.3 asks for; at most what costs little to check."""

_KINDS: Final = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Type and curve of the keys that an algorithm takes. Only asymmetric ones: whoever could make us
take a public key for a shared secret could sign with what everybody knows (RFC 8725 section 2.1).
"""

_PUBLIC_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


class IssuerKey(NamedTuple):
    """One key that verifies signatures.

    Attributes:
        id: its ``kid``; None when it has none.
        kind: its type and curve.
        algorithm: the only one that it is for; None is any of its kind.
        public: the key.
    """

    id: str | None
    kind: tuple[str, str | None]
    algorithm: str | None
    public: PublicKey

    def fits(self, algorithm: str) -> bool:
        """Tell whether this key may have signed by the algorithm."""
        return self.kind == _KINDS.get(algorithm) and self.algorithm in {None, algorithm}


class KeySet:
    """All usable keys that an issuer published at some moment; two of the same keys are equal.

    Args:
        keys: in the order of the document.
        fingerprint: of what they were made of.
    """

    def __init__(self, keys: tuple[IssuerKey, ...], fingerprint: bytes) -> None:
        self.keys = keys
        self._fingerprint = fingerprint

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeySet):
            return NotImplemented
        return self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    @classmethod
    def parse(cls, document: bytes) -> "KeySet":
        """Read a JWK Set; keys that are not for signatures, or of no use here, are left out.

        Raises:
            ValueError: it is no JWK Set.
        """
        read = orjson.loads(document)
        if not isinstance(read, dict) or not isinstance(read.get("keys"), list):
            raise ValueError("it is no set of keys (RFC 7517 section 5)")  # noqa: TRY004
        members = [each for each in read["keys"][:MAX_KEYS] if isinstance(each, dict)]
        keys = [key for each in members if (key := _key_of(each)) is not None]
        return cls(tuple(keys), sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest())

    def find(self, algorithm: str, key_id: str | None) -> IssuerKey | None:
        """Return the one key that may have signed; None when there is none, or no telling which.

        Args:
            algorithm: as the token's header says.
            key_id: the header's ``kid``. A token without one can be told only from an issuer with
                a single key of the kind (OpenID Connect Core 1.0 section 10.1).
        """
        fitting = [
            key for key in self.keys if key.fits(algorithm) and (key_id is None or key.id == key_id)
        ]
        return fitting[0] if len(fitting) == 1 else None


def _key_of(jwk: dict[str, Any]) -> IssuerKey | None:
    """Return a key for signatures (RFC 7517 section 4); None for any other."""
    kty, key_id, algorithm = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    operations = jwk.get("key_ops", ["verify"])
    if (
        not isinstance(kty, str)
        or kty not in _PUBLIC_MEMBERS
        or jwk.get("use", "sig") != "sig"
        or not (isinstance(operations, list) and "verify" in operations)
        or not (key_id is None or isinstance(key_id, str))
        or not (algorithm is None or isinstance(algorithm, str))
    ):
        return None
    # A key that was published with its private part is read without it.
    public = {"kty": kty} | {name: jwk.get(name) for name in _PUBLIC_MEMBERS[kty]}
    if not all(isinstance(value, str) for value in public.values()):
        return None
    # Loaded for the first key: a server without an issuer starts quicker.
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm  # noqa: PLC0415
    from jwt.exceptions import PyJWTError  # noqa: PLC0415

    kind = kty, public.get("crv")
    key: object
    try:
        if kty == "RSA":
            key = RSAAlgorithm.from_jwk(public)
        elif kty == "EC":
            key = ECAlgorithm.from_jwk(public)
        else:
            key = OKPAlgorithm.from_jwk(public)
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey):
        return IssuerKey(key_id, kind, algorithm, key) if key.key_size in _RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey):
        return IssuerKey(key_id, kind, algorithm, key)
    return None
