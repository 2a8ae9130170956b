"""Whose a token is that was given in exchange for an identity token."""

from datetime import timedelta

import orjson

from proxy.access import Principal
from proxy.auth.identities import identity_of
from proxy.auth.presented import KnownButRefusedError
from proxy.contracts import StoredToken
from proxy.directory import Directory
from proxy.errors import UnavailableError
from proxy.timestamps import micros_of, rfc3339


def exchanged_identity(stored: StoredToken, directory: Directory) -> Principal:
    """Return whom the issuer vouched for, with what is granted to it now.

    Args:
        stored: with an ``issuer`` and an ``identity``.
        directory: the present one.

    Raises:
        KnownButRefusedError: the issuer is gone, or would not vouch for it to this server any more.
        UnavailableError: what is stored is not what was stored.
    """
    try:
        said = orjson.loads(stored.identity or "")
        claims, name = said["claims"], said["issuer"]
        found = directory.get("issuer", stored.issuer or "")
        record = None if found is None else directory.issuer_record(found)
        if record is None or not record.session_minutes or not record.is_meant(claims):
            message = (
                f"the issuer {name}, which the token {stored.name} was got by, is not believed any "
                "more, or gives no tokens any more: ask an administrator"
            )
            known = identity_of(name, claims, token=stored)
            raise KnownButRefusedError(message, known)
        # What the record allows now counts, also for what was given when it allowed more.
        longest = timedelta(minutes=record.session_minutes) // timedelta(microseconds=1)
        expires = min(rfc3339(micros_of(stored.created) + longest), stored.expires or "")
        return identity_of(
            record.name, claims, record.claims, directory, expires=expires, token=stored
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        raise UnavailableError(
            f"the token {stored.name} in the database is not what was stored: it was altered; run "
            "`tfaudit verify`"
        ) from error
