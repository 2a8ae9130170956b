"""What the entries of tokens say of them."""

from dataclasses import asdict
from hashlib import sha256

from proxy.contracts import StoredToken

_NOT_SAID = ("created", "revoked", "replaced", "used", "used_from", "issuer", "identity")


def token_part(token: StoredToken, digest: bytes | None = None) -> dict[str, object]:
    """Return the ``token`` object of an entry; with the digest, of one that is made.

    With 220 random bits behind it the digest tells nothing, and it ties the token to the log:
    nobody can put their own in its place unseen. The same holds for what an issuer said, which
    may hold more of a person than belongs into a log.
    """
    part = asdict(token)
    part["workspaces"] = list(token.workspaces)
    for name in _NOT_SAID:
        del part[name]
    if token.identity is not None:
        part["issuer"] = token.issuer
        part["identity_sha256"] = sha256(token.identity.encode()).hexdigest()
    return part if digest is None else {**part, "sha256": digest.hex()}
