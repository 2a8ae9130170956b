"""The bodies and answers of the API that follow from what is kept: made of it, so as not to differ.

Of each kind of object there are three shapes: the body that makes one, the body that changes one
(RFC 7396: what is absent stays, what is null goes back to its default), and the object as shown.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, get_type_hints

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct
from msgspec.structs import fields

from proxy.access import Role
from proxy.contracts import StoredToken
from proxy.directory import LIFE, RECORDS, Globs, Name

Id = Annotated[str, Meta(description="UUIDv7; another one if it is deleted and made again.")]
Time = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", description="RFC 3339, UTC.")
]


def _document(of: type, leave_out: Iterable[str] = ()) -> str:
    """Return the docstring, from which the descriptions of the fields are taken."""
    left_out = set(leave_out)
    lines = (of.__doc__ or "").splitlines()
    return "\n".join(line for line in lines if line.strip().partition(":")[0] not in left_out)


def _creation(kind: str) -> type[Struct]:
    """Return the type of the body that makes an object: the record, but for what it can't set."""
    of = RECORDS[kind]
    members = [
        (field.name, field.type) if field.required else (field.name, field.type, field.default)
        for field in fields(of)
        if field.name not in LIFE
    ]
    return defstruct(
        f"{kind.capitalize()}Creation",
        members,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": _document(of, LIFE)},
    )


def _changes(kind: str) -> type[Struct]:
    of = RECORDS[kind]
    members = [
        (field.name, field.type | None | UnsetType, UNSET)
        for field in fields(of)
        if field.name not in {*LIFE, "name"}
    ]
    return defstruct(
        f"{kind.capitalize()}Changes",
        members,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": _document(of, {*LIFE, "name"})},
    )


def _shown(kind: str) -> type[Struct]:
    of = RECORDS[kind]
    members = [("id", Id), *((field.name, field.type) for field in fields(of))]
    return defstruct(
        kind.capitalize(),
        [*members, ("created", Time), ("updated", Time)],
        frozen=True,
        kw_only=True,
        namespace={"__doc__": _document(of)},
    )


def list_of(of: type[Struct]) -> type[Struct]:
    """Return the type of a page of a list."""
    following = Annotated[
        str | None, Meta(description="The `cursor` of the next page; null: this is the last.")
    ]
    return defstruct(
        f"{of.__name__}List",
        [("items", list[of]), ("next", following)],  # type: ignore[valid-type] # made at run time
        frozen=True,
        kw_only=True,
    )


CREATIONS: Final[Mapping[str, type[Struct]]] = {kind: _creation(kind) for kind in RECORDS}
CHANGES: Final[Mapping[str, type[Struct]]] = {kind: _changes(kind) for kind in RECORDS}
SHOWN: Final[Mapping[str, type[Struct]]] = {kind: _shown(kind) for kind in RECORDS}
LISTS: Final[Mapping[str, type[Struct]]] = {kind: list_of(of) for kind, of in SHOWN.items()}


class TokenCreation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a token should be.

    Attributes:
        name: unique among tokens in force.
        role: what it allows; with ``principal`` it may be left out, for whatever the principal may.
        workspaces: globs of the workspaces it holds for.
        expires_in: seconds from now; absent or null never expires.
        principal: name or ID of whose it is: the token then narrows what the principal was granted.
    """

    name: Name
    workspaces: Globs
    role: Role | None = None
    expires_in: Annotated[int, Meta(ge=1, le=3_155_760_000)] | None = None
    principal: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class TokenRotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a token gets a successor.

    Attributes:
        overlap: seconds that the old one still works beside the new one.
        expires_in: seconds from now; absent or null gives the new one as long as the old one was
            given.
    """

    overlap: Annotated[int, Meta(ge=0, le=7_776_000)] = 86_400
    expires_in: Annotated[int, Meta(ge=1, le=3_155_760_000)] | None = None


Token: Final = defstruct(
    "Token",
    [(name, of) for name, of in get_type_hints(StoredToken).items() if name != "identity"],
    frozen=True,
    kw_only=True,
    namespace={"__doc__": _document(StoredToken, {"identity"})},
)
NewToken: Final = defstruct(
    "NewToken",
    [("token", Annotated[str, Meta(description="The token itself. It is shown only now.")])],
    bases=(Token,),
    frozen=True,
    kw_only=True,
    namespace={"__doc__": _document(StoredToken, {"identity"})},
)
TokenList: Final = list_of(Token)


class ExchangeParameters(Struct, frozen=True):
    """What a token that is given for an identity token should be.

    Attributes:
        expires_in: seconds from now, at most what the issuer's ``session_minutes`` allow; left out
            it is that.
    """

    expires_in: Annotated[int, Meta(ge=1, le=86_400)] | None = None


class GivenToken(Struct, frozen=True, kw_only=True):
    """A token that was given for an identity token (RFC 8693 section 2.2.1).

    Attributes:
        access_token: the token itself; it is shown only now.
        issued_token_type: what it is, by the words of RFC 8693.
        token_type: how it is sent; Terraform sends it as its password.
        expires_in: seconds that it lives.
    """

    access_token: str
    expires_in: int
    issued_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
    token_type: str = "Bearer"  # noqa: S105 - a name


Outcome = Literal["success", "denied", "conflict", "error"]
