"""The bodies and answers of the API that follow from what is kept: made of it, so as not to differ.

Of each kind of object there are three shapes: the body that makes one, the body that changes one
(RFC 7396: what is absent stays, what is null goes back to its default), and the object as shown.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, get_type_hints

from msgspec import NODEFAULT, UNSET, Meta, Struct, UnsetType, defstruct, field
from msgspec.structs import FieldInfo, fields

from proxy.access import Role
from proxy.contracts import SinkReplay, StoredToken
from proxy.directory import NOT_GIVEN, RECORDS, Globs, Name
from proxy.sink_status import SinkStatus as Status
from proxy.sinks.describing import SinkType

Id = Annotated[str, Meta(description="UUIDv7; another one if it is deleted and made again.")]
Time = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", description="RFC 3339, UTC.")
]


Index = Annotated[int, Meta(ge=0, le=2**53 - 1)]

_ATTRIBUTE_INDENT: Final = 8
"""Of a docstring's line that begins with an attribute's name."""


def _document(of: type, leave_out: Iterable[str] = ()) -> str:
    """Return the docstring, from which the descriptions of the fields are taken."""
    left_out = set(leave_out)
    lines = []
    is_left_out = False
    for line in (of.__doc__ or "").splitlines():
        indent = len(line) - len(line.lstrip())
        if indent <= _ATTRIBUTE_INDENT:  # deeper, it goes on with what the line before says
            is_left_out = line.strip().partition(":")[0] in left_out
        if not is_left_out:
            lines.append(line)
    return "\n".join(lines)


def _creation(kind: str) -> type[Struct]:
    """Return the type of the body that makes an object: the record, but for what it can't set."""
    of = RECORDS[kind]
    members = [
        (each.name, each.type) if each.required else (each.name, each.type, _default(each))
        for each in fields(of)
        if each.name not in NOT_GIVEN
    ]
    return defstruct(
        f"{kind.capitalize()}Creation",
        members,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": _document(of, NOT_GIVEN)},
    )


def _default(of: FieldInfo) -> Any:  # noqa: ANN401 - each field has its own
    """Return what stands for a field that is not given; an object is a new one each time."""
    if of.default is NODEFAULT:
        return field(default_factory=of.default_factory)
    return of.default


def _changes(kind: str) -> type[Struct]:
    of = RECORDS[kind]
    members = [
        (each.name, each.type | None | UnsetType, UNSET)
        for each in fields(of)
        if each.name not in {*NOT_GIVEN, "name"}
    ]
    return defstruct(
        f"{kind.capitalize()}Changes",
        members,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": _document(of, {*NOT_GIVEN, "name"})},
    )


def _shown(kind: str) -> type[Struct]:
    of = RECORDS[kind]
    members = [("id", Id), *((each.name, each.type) for each in fields(of))]
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


SinkTypeList: Final = list_of(SinkType)


class Tested(Struct, frozen=True, kw_only=True):
    """What came of a test of a sink.

    Attributes:
        is_taken: whether the far side took the event.
        said: what it said, for people.
    """

    is_taken: bool
    said: str


class ReplayCreation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries a sink is to be given once more.

    Attributes:
        first: index of the first entry; only of dead letters it may be left out.
        until: one more than the index of the last; absent or null is as far as the sink is.
        only_dead_letters: of those between, only what was set aside.
    """

    first: Index | None = None
    until: Index | None = None
    only_dead_letters: bool = False


Replay: Final = defstruct(
    "Replay",
    [(name, of) for name, of in get_type_hints(SinkReplay).items() if name != "sink"],
    frozen=True,
    kw_only=True,
    namespace={"__doc__": _document(SinkReplay, {"sink"})},
)
ReplayList: Final = list_of(Replay)

SinkStatus: Final = defstruct(
    "SinkStatus",
    [
        (name, list[Replay] if name == "replays" else of)  # type: ignore[valid-type] # at run time
        for name, of in get_type_hints(Status).items()
    ],
    frozen=True,
    kw_only=True,
    namespace={"__doc__": _document(Status)},
)


class DeadLetterParameters(Struct, frozen=True):
    """Which part of what is set aside.

    Attributes:
        first: only entries from this index on; ``next`` of the page before.
        limit: at most so many items.
    """

    first: Index = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class DeadLetter(Struct, frozen=True, kw_only=True):
    """An entry that a sink refused.

    Attributes:
        index: of the entry.
        reason: what the far side said, for people.
        time: RFC 3339 UTC.
    """

    index: int
    reason: str
    time: Time


class DeadLetterList(Struct, frozen=True, kw_only=True):
    """A page of what is set aside.

    Attributes:
        items: in the order of the log.
        next: the ``first`` of the next page; null: this is the last.
    """

    items: list[DeadLetter]
    next: int | None


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
