"""Gives a token of ours for an identity token, in the manner of RFC 8693.

An identity token of a CI system lives for minutes, an apply may take an hour, and Terraform sends
to its end the password that it began with. So a run exchanges what its issuer says for a token of
ours. That is the same identity for longer: at each request it may what the grants give to the
claims, and it ends with the issuer, by revocation, and when its time is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import orjson

from proxy import tokens
from proxy.access import EVERYWHERE, Caller
from proxy.audit_log import draft
from proxy.contracts import Committed, Store, StoredToken, Transaction
from proxy.directory import Directory, IssuerRecord
from proxy.errors import ForbiddenError, InvalidInputError, TfauditError
from proxy.state_entries import refused
from proxy.timestamps import micros_of, rfc3339, uuid7
from proxy.token_entries import token_part

KEPT: Final = timedelta(days=7)
"""For so long a token that was given in exchange is listed after its end: each run makes one."""

_MAX_NAME: Final = 80
_TAIL: Final = 12
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token that was given in exchange.

    Attributes:
        text: the token itself, which is kept nowhere.
        seconds: how long it lives.
        index: of the entry that records it.
    """

    text: str = field(repr=False)
    seconds: int
    index: int | None


class TokenExchange:
    """Exchanges identity tokens.

    Args:
        store: keeps tokens and log.
        clock: microseconds since 1970.
        random: gives so many random bytes, fit for secrets.
    """

    def __init__(
        self, store: Store, clock: Callable[[], int], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    async def exchange(self, caller: Caller, seconds: int | None = None) -> GivenToken:
        """Give a token for the caller's identity token.

        Args:
            caller: whom an issuer vouches for.
            seconds: how long it should live; never longer than the issuer's record allows.

        Raises:
            InvalidInputError: the caller did not send an identity token.
            ForbiddenError: nothing was granted to the identity, or its issuer gives no tokens.
        """
        principal = caller.principal
        if principal.kind != "oidc" or principal.token:
            raise InvalidInputError(
                "only the identity token of an issuer is exchanged here: send it as the Bearer "
                "token, or as the Basic password"
            )
        text = tokens.mint(self._random)
        token_id = uuid7(self._clock(), self._random(8))
        identity = {"issuer": principal.issuer, "claims": dict(principal.all_claims)}
        document = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS).decode()

        def job(tx: Transaction) -> int | ForbiddenError:
            found = tx.directory().get("issuer", principal.issuer)
            record = None if found is None else Directory.issuer_record(found)
            if found is None or record is None or (why := _refusal(caller, record)):
                error = ForbiddenError(why if record else f"{principal.issuer} is not known")
                tx.append(refused("access.denied", "denied", error, caller, None))
                return error
            lives = min(record.session_minutes * 60, seconds or record.session_minutes * 60)
            token = StoredToken(
                id=token_id,
                name=f"{record.name[:_MAX_NAME]}-{token_id[-_TAIL:]}",
                role="",
                workspaces=(EVERYWHERE,),
                hint=text[-tokens.HINT :],
                created=tx.time,
                expires=rfc3339(micros_of(tx.time) + lives * _SECOND),
                revoked=None,
                issuer=found.id,
                identity=document,
            )
            ended = micros_of(tx.time) - int(KEPT.total_seconds()) * _SECOND
            tx.forget_exchanged(rfc3339(ended))
            digest = tokens.digest(text)
            tx.add_token(token, digest)
            message = (
                f"{principal.name} exchanged an identity token of {record.name} for the token "
                f"{token.name}, until {token.expires}"
            )
            part = token_part(token, digest)
            tx.append(draft("token.created", "success", message, caller, 200, token=part))
            return lives

        done = await self._store.write(job)
        if isinstance(done.value, TfauditError):
            done.value.audit_index = done.index
            raise done.value
        return GivenToken(text, done.value, done.index)

    async def end(self, caller: Caller) -> Committed[None]:
        """Take the caller's own token out of force: its run is over.

        Raises:
            InvalidInputError: the caller did not send a token that was given in exchange.
        """
        principal = caller.principal
        if not principal.token:
            raise InvalidInputError(
                "only a token that was given in exchange for an identity token ends here"
            )

        def job(tx: Transaction) -> None:
            token = tx.token(principal.token)
            if token is None:
                raise AssertionError("the token behind a request that was let in is not there")
            tx.revoke_token(token.id)
            message = f"{principal.name} ended the token {token.name}"
            part = token_part(token)
            tx.append(draft("token.revoked", "success", message, caller, 200, token=part))

        return await self._store.write(job)


def _refusal(caller: Caller, record: IssuerRecord) -> str:
    """Return why an identity of the issuer gets no token; empty when it gets one."""
    principal = caller.principal
    if principal.rights.is_nothing:
        return (
            f"{principal.name} may not exchange its identity token: nothing is granted to it; ask "
            "an administrator for a grant whose rule its claims meet"
        )
    if not record.session_minutes:
        return (
            f"{principal.name} may not exchange its identity token: the issuer {record.name} gives "
            "no tokens; ask an administrator to set its session_minutes"
        )
    return ""
