"""From the claims of an identity token to the Principal that the record tells of."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import orjson

from proxy.access import NO_RIGHTS, Principal, Rights
from proxy.client_text import client_text
from proxy.contracts import StoredToken
from proxy.directory import Directory

RECORDED: Final = (
    # GitHub Actions
    "repository",
    "ref",
    "ref_type",
    "sha",
    "workflow",
    "job_workflow_ref",
    "job",
    "run_id",
    "run_attempt",
    "actor",
    "event_name",
    "environment",
    # GitLab CI
    "project_path",
    "pipeline_id",
    "pipeline_source",
    "job_id",
    "user_login",
)
"""Claims that say who ran what: these are put on record wherever they stand."""

_NAMES: Final = ("repository", "project_path")
_MAX_ITEMS: Final = 20
_MAX_TEXT: Final = 256
_MAX_NUMBER: Final = 2**53
_MAX_ALL: Final = 6_000
"""Bytes of all claims in an entry, which must have room for much else."""


def identity_of(  # noqa: PLR0913 - what an identity is made of
    issuer: str,
    claims: Mapping[str, Any],
    more: tuple[str, ...] = (),
    directory: Directory | None = None,
    *,
    expires: str = "",
    token: StoredToken | None = None,
) -> Principal:
    """Return whom the issuer vouches for.

    Args:
        issuer: name of who signed the claims.
        claims: all of them; ``sub`` is a text.
        more: claims that are recorded beside RECORDED.
        directory: whose grants give rights; without one there are none.
        expires: RFC 3339 UTC; after that nothing is done on its behalf.
        token: that the identity token was exchanged for.
    """
    subject: str = claims["sub"]
    shown = client_text(subject)
    if shown != subject:
        # Cut, or a credential taken out: two subjects must not look like one.
        shown += "~" + sha256(subject.encode()).hexdigest()[:16]
    rights: Rights = NO_RIGHTS
    if directory is not None:
        rights = directory.rights_for(issuer, claims)
    return Principal(
        "oidc",
        f"{issuer}:{shown}",
        _name_of(claims) or shown,
        rights,
        "" if token is None else token.hint,
        issuer=issuer,
        claims=recorded(claims, more),
        all_claims=claims,
        generation=None if directory is None else directory.generation,
        token="" if token is None else token.id,
        expires=expires,
    )


def recorded(claims: Mapping[str, Any], more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the claims that are put on record, as an entry can hold them.

    Args:
        claims: all of them.
        more: names of those that are recorded too.
    """
    found: dict[str, Any] = {}
    left = _MAX_ALL
    for name in dict.fromkeys((*RECORDED, *more)):
        if name in claims and (value := _fit(claims[name])) is not None:
            size = len(orjson.dumps({name: value}))
            if size <= left:
                left -= size
                found[name] = value
    return found


def _fit(value: object) -> str | list[str] | None:
    if isinstance(value, list):
        return [text for each in value[:_MAX_ITEMS] if (text := _text(each)) is not None]
    return _text(value)


def _text(value: object) -> str | None:
    """Return a claim as text: issuers write the same number as one or as a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return client_text(value, _MAX_TEXT)
    if isinstance(value, int) and abs(value) < _MAX_NUMBER:
        return str(value)
    return None


def _name_of(claims: Mapping[str, Any]) -> str:
    named = (claims.get(name) for name in _NAMES)
    return next((client_text(each) for each in named if isinstance(each, str) and each), "")
