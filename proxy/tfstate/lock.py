"""Lock info: the JSON with which Terraform takes, releases and explains a lock.

Format: Terraform `internal/states/statemgr/locker.go` (`LockInfo`). Go decodes it by its field
names and is strict about types, so both directions are strict here.
"""

import base64
import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import msgspec

from proxy.errors import InvalidInputError

MAX_BODY_BYTES: Final = 16_384
"""A lock info is about 180 bytes; this bounds what a lock can put into an entry."""

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""Go's zero time, which OpenTofu 1.10 and later send in a force-unlock."""

EMPTY_MD5: Final = "1B2M2Y8AsgTpgAmY7PhCfg=="
"""`Content-MD5` of nothing: the mark of a true force-unlock (`http/client.go: Unlock`)."""

RUN_OPERATIONS: Final = frozenset(
    {
        "OperationTypePlan",
        "OperationTypeApply",
        "OperationTypeRefresh",
        "OperationTypeInvalid",  # import and console
        "taint",
        "untaint",
        "state-mv",
        "state-rm",
        "state-replace-provider",
    }
)
"""Operations that continue the stored state: a lower serial or another lineage under one of their
locks can only be a fault (PROTOCOL 3.5)."""

PLAN_OPERATIONS: Final = frozenset({"OperationTypePlan", "OperationTypeRefresh"})
"""Operations that look at infrastructure and change none: what a planner locks for."""

FORCE_OPERATIONS: Final = frozenset(
    {
        "state-push",
        "migration source state",
        "migration destination state",
        "backend from plan",
    }
)
"""Operations that may legally bring any serial and lineage: `-force` is invisible on the wire."""


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Who holds a lock, and why.

    Attributes:
        id: the lock ID, an opaque text, never empty.
        operation: one of the two sets above, or another: the set is open.
        info: extra text for the user; Terraform leaves it empty.
        who: `user@host`, as the client says of itself.
        version: the client's Terraform or OpenTofu version; "" when unknown.
        created: RFC 3339 with offset, to the nanosecond; `ZERO_TIME` when the client gave none.
        path: empty for this backend.
    """

    id: str
    operation: str = ""
    info: str = ""
    who: str = ""
    version: str = ""
    created: str = ZERO_TIME
    path: str = ""

    def to_json(self) -> bytes:
        """The bytes Go's `json.Marshal` gives: all seven keys, in Go's order, Go's escapes.

        So the info of a client's LOCK comes out as the very bytes the client sent.
        """
        named = {_GO_NAMES[name]: value for name, value in asdict(self).items()}
        return _GO_ESCAPES.sub(_go_escape, msgspec.json.encode(named))


_GO_NAMES: Final = {
    "id": "ID",
    "operation": "Operation",
    "info": "Info",
    "who": "Who",
    "version": "Version",
    "created": "Created",
    "path": "Path",
}
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING_OR_NULL: Final = msgspec.json.Decoder(str | None)
_GO_ESCAPES: Final = re.compile("[<>&]|\u2028|\u2029".encode())
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def parse(body: bytes | bytearray | memoryview) -> LockInfo:
    """Read the body of a LOCK or UNLOCK, as strict about types as Go is.

    Unknown members are ignored; absent and `null` ones are empty, as in Go. Only the ID must be
    there: OpenTofu's force-unlock sends nothing else.

    Raises:
        InvalidInputError: not a JSON object, a member of the wrong type (named), no ID, a time
            that Go could not read, or more than `MAX_BODY_BYTES`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidInputError(
            f"the lock info has {len(body)} bytes; send one of at most {MAX_BODY_BYTES}"
        )
    try:
        members = _FIELDS.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(
            "the body is no lock info (a JSON object with an ID); send what Terraform sends"
        ) from error
    texts = {name: _text(members, go_name) for name, go_name in _GO_NAMES.items()}
    info = LockInfo(**texts | {"created": _created(members)})
    if not info.id:
        raise InvalidInputError("the lock info has no ID; send the one the lock was taken with")
    return info


def content_md5(body: bytes) -> str:
    """The `Content-MD5` of a body, in base64, as the clients compute it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")


def is_empty_md5(value: str) -> bool:
    """Whether a `Content-MD5` header says that the body was empty when it was sent."""
    return value.strip() == EMPTY_MD5


def _text(members: dict[str, msgspec.Raw], go_name: str) -> str:
    """One member, which must be a string; absent and `null` are ""."""
    if go_name not in members:
        return ""
    try:
        return _STRING_OR_NULL.decode(members[go_name]) or ""
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"the lock info's {go_name} is not a string; send what Terraform sends"
        ) from error


def _created(members: dict[str, msgspec.Raw]) -> str:
    """The time, which Go reads strictly: a client that gets a bad one back can't show the lock."""
    created = members.get("Created")
    if created is None or bytes(created) == b"null":
        return ZERO_TIME
    text = _text(members, "Created")
    match = _RFC_3339.fullmatch(text)
    try:
        datetime.fromisoformat(match[1] if match else "")
    except ValueError as error:
        raise InvalidInputError(
            "the lock info's Created is not a time as in 2026-01-31T10:00:00Z (RFC 3339, with "
            "offset); send what Terraform sends"
        ) from error
    return text


def _go_escape(match: re.Match[bytes]) -> bytes:
    r"""Escape a character as `\u003c`, as Go does for HTML's sake."""
    return b"\\u%04x" % ord(match[0].decode())
