"""A state document, split into raw slices: what a server must know of it, and not one byte more.

Nothing here decodes a resource. The body is scanned once to find where its members lie; serial,
lineage and the like are read, everything else stays a slice that points into the body. So a slice
costs no copy, and two versions can be compared slice by slice.

A body as every client writes it today is read in one pass (`_read_usual`). Whatever differs from
it in the least, even in a space, is read member by member, with the same result.

Format: Terraform `internal/states/statefile/{read,version1,version2,version3,version4}.go`;
OpenTofu's encrypted payload: `internal/encryption/base.go`.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from proxy.errors import InvalidInputError

MAX_SERIAL: Final = 2**53 - 1
"""The largest serial we take: beyond it, an entry could not carry the number (AUDIT section 1)."""

Kind: TypeAlias = Literal["v1", "v2", "v3", "v4", "encrypted"]

Slice: TypeAlias = msgspec.Raw
"""One JSON value as its own bytes, without a copy: `bytes(slice)` copies it out."""

NOTHING: Final[Slice] = msgspec.Raw(b"null")
"""The slice that stands for a member the document does not have."""


class NotJsonError(InvalidInputError):
    """The bytes are not JSON at all (HTTP: 400)."""


class NotAStateError(InvalidInputError):
    """JSON, but not a Terraform or OpenTofu state (HTTP: 422)."""


class Document(msgspec.Struct, frozen=True):
    """A state whose parts are slices of its body.

    Attributes:
        body: the bytes the slices point into, exactly as they came.
        kind: the format: `v1` to `v4`, or `encrypted` (OpenTofu: everything but serial and
            lineage is opaque).
        serial: 0 to 2^53 - 1.
        lineage: any text, usually a UUID; "" when the state has none (v1, "legacy").
        terraform_version: who wrote it; "" when the state does not say.
        resources: one slice a resource (v4), or a module with its resources (v2, v3).
        outputs: the object of the root outputs (v4); `null` elsewhere, since v2 and v3 keep
            outputs inside their modules.
        check_results: the array of check results (v4, Terraform 1.3 and later), or `null`.
        other: every further top-level member by name, such as v3's `backend`.
    """

    body: bytes | bytearray
    kind: Kind
    serial: int
    lineage: str
    terraform_version: str = ""
    resources: tuple[Slice, ...] = ()
    outputs: Slice = NOTHING
    check_results: Slice = NOTHING
    other: Mapping[str, Slice] = {}

    def __repr__(self) -> str:
        """The header alone: the rest may hold secrets, and a repr ends up in logs."""
        return f"Document(kind={self.kind!r}, serial={self.serial}, lineage={self.lineage!r})"


class _Usual(msgspec.Struct, forbid_unknown_fields=True):
    """The members of a state as Terraform 0.12 and later and OpenTofu write them."""

    version: int
    terraform_version: str
    serial: int
    lineage: str
    outputs: msgspec.Raw
    resources: list[msgspec.Raw]
    check_results: msgspec.Raw = NOTHING


_USUAL: Final = msgspec.json.Decoder(_Usual)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY_OR_NULL: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
_STRING: Final = msgspec.json.Decoder(str)
_STRING_OR_NULL: Final = msgspec.json.Decoder(str | None)

_OPENING: Final = re.compile(rb"\[[ \t\r\n]*")
_MEMBER: Final = re.compile(
    rb'[ \t\r\n]*[{,][ \t\r\n]*"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\r\n]*:[ \t\r\n]*'
)
_END: Final = re.compile(rb"[ \t\r\n]*[{]?[ \t\r\n]*[}]")
_SEPARATOR: Final = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_UNSIGNED: Final = re.compile(rb"[0-9]{1,16}")
_BRACE: Final = ord("{")
_TOGETHER: Final = 64
"""How many slices are compared with the body at once."""


def _usual(pattern: bytes) -> re.Pattern[bytes]:
    """A pattern in which a space stands for any white space."""
    return re.compile(pattern.replace(b" ", rb"[ \t\r\n]*+"))


_USUAL_HEAD: Final = _usual(
    rb' { "version" : 4 , "terraform_version" : "[^"\\]*+" , "serial" : [0-9]{1,16} ,'
    rb' "lineage" : "[^"\\]*+" , "outputs" : '
)
_USUAL_RESOURCES: Final = _usual(rb' , "resources" : \[ ')
_USUAL_SEPARATOR: Final = _usual(rb" , ")
_USUAL_CHECKS: Final = _usual(rb' \] (, "check_results" : )?')
_USUAL_END: Final = _usual(rb" } \Z")

_KINDS: Final[Mapping[bytes, Kind]] = {b"1": "v1", b"2": "v2", b"3": "v3", b"4": "v4"}
_KNOWN: Final = {
    name.encode(): name
    for name in (
        "version",
        "terraform_version",
        "serial",
        "lineage",
        "outputs",
        "resources",
        "check_results",
        "modules",
        "remote",
        "backend",
        "encryption_version",
        "encrypted_data",
        "meta",
    )
}

_Member: TypeAlias = tuple[int, Slice]
"""Where a top-level member's value starts in the body, and the value."""

_ENCRYPTED_HEADER: Final = frozenset({"serial", "lineage"})
_HEADER: Final = frozenset({"version", "terraform_version", "serial", "lineage"})
_NOT_OTHER: Final[Mapping[Kind, frozenset[str]]] = {
    "v1": _HEADER,
    "v2": _HEADER | {"modules"},
    "v3": _HEADER | {"modules"},
    "v4": _HEADER | {"resources", "outputs", "check_results"},
    "encrypted": _ENCRYPTED_HEADER,
}


def parse(body: bytes | bytearray | memoryview) -> Document:
    """Read a state's header and find its slices; no resource is decoded.

    Args:
        body: the whole upload. A `memoryview` is copied; `bytes` and `bytearray` are not (do not
            change a `bytearray` while its document lives).

    Raises:
        NotJsonError: empty, cut short, or otherwise not JSON; nested too deep to be scanned.
        NotAStateError: JSON that is no state; says what it looks like instead.
    """
    body = bytes(body) if isinstance(body, memoryview) else body
    return _read_usual(body) or _read(body, _scan(body))


def pieces(body: bytes | bytearray | memoryview) -> list[bytes]:
    """Cut a state at the borders of its resource slices; the pieces joined are the body again.

    Returns:
        What precedes the first slice, the slice, what lies between, the next slice, and so on up
        to what follows the last: an odd number of pieces, each second one a slice of
        `parse(body).resources`. A state without slices is one piece.

    Raises:
        NotJsonError, NotAStateError: as `parse` does.
    """
    body = bytes(body) if isinstance(body, memoryview) else body
    members = _scan(body)
    document = _read(body, members)
    array = members.get("resources" if document.kind == "v4" else "modules")
    found: list[bytes] = []
    cut = 0
    position = array[0] if array else 0
    for slice_ in document.resources:
        start = _end_of(_SEPARATOR if found else _OPENING, body, position)
        position = start + _length(slice_)
        found += (bytes(body[cut:start]), bytes(body[start:position]))
        cut = position
    return [*found, bytes(body[cut:])]


def with_serial(body: bytes | bytearray | memoryview, serial: int) -> bytes:
    """The same bytes with another serial: only the digits of the top-level `serial` differ.

    Raises:
        InvalidInputError: the state is encrypted (its serial is authenticated inside, so an
            edited one could never be read again), it has no serial, or `serial` is out of range.
        NotJsonError, NotAStateError: as `parse` does.
    """
    if not 0 <= serial <= MAX_SERIAL:
        message = f"the serial {serial} is out of range; give one from 0 to {MAX_SERIAL}"
        raise InvalidInputError(message)
    body = bytes(body) if isinstance(body, memoryview) else body
    members = _scan(body)
    if _read(body, members).kind == "encrypted":
        message = (
            "this state is encrypted by OpenTofu, which checks the serial against an encrypted "
            "copy: it can't be given another one here; pull this version to a file and run "
            "'tofu state push -force' with it"
        )
        raise InvalidInputError(message)
    member = members.get("serial")
    if member is None or bytes(member[1]) == b"null":
        message = "this state has no serial to replace; write it again with Terraform or OpenTofu"
        raise InvalidInputError(message)
    start, literal = member
    return b"".join((body[:start], b"%d" % serial, body[start + _length(literal) :]))


def _read_usual(body: bytes | bytearray) -> Document | None:
    """A state of version 4 with the usual members in the usual order; None for any other body."""
    head = _USUAL_HEAD.match(body)
    if head is None:
        return None
    try:
        found = _USUAL.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found.serial > MAX_SERIAL or not _fills(found, body, head.end()):
        return None
    return Document(
        body,
        "v4",
        found.serial,
        found.lineage,
        found.terraform_version,
        tuple(found.resources),
        found.outputs,
        found.check_results,
    )


def _fills(found: _Usual, body: bytes | bytearray, position: int) -> bool:
    """Whether outputs, resources and check results stand from there on, and nothing else does.

    The decoder alone would let a name stand twice, and take the last.
    """
    outputs = memoryview(found.outputs)
    if outputs[0] != _BRACE or not body.startswith(outputs, position):
        return False
    array = _USUAL_RESOURCES.match(body, position + len(outputs))
    end = -1 if array is None else _end_of_usual(found.resources, body, array.end())
    checks = None if end < 0 else _USUAL_CHECKS.match(body, end)
    if checks is None:
        return False
    end = checks.end()
    if checks[1] is not None:
        results = memoryview(found.check_results)
        if not body.startswith(results, end):
            return False
        end += len(results)
    return _USUAL_END.match(body, end) is not None


def _end_of_usual(slices: list[Slice], body: bytes | bytearray, position: int) -> int:
    """Where the slices end, if objects they are and stand there, all parted alike; else -1."""
    separator = b""
    for slice_ in slices:
        if memoryview(slice_)[0] != _BRACE:
            return -1
    if len(slices) > 1:
        match = _USUAL_SEPARATOR.match(body, position + _length(slices[0]))
        if match is None:
            return -1
        separator = bytes(match[0])
    for start in range(0, len(slices), _TOGETHER):
        joined = separator.join(slices[start : start + _TOGETHER])
        if start:
            joined = separator + joined
        if not body.startswith(joined, position):
            return -1
        position += len(joined)
    return position


def _scan(body: bytes | bytearray) -> dict[str, _Member]:
    """Find the top-level members of any body.

    The scan itself gives each value's slice but not its place. The walk that finds the places
    steps over values, so it costs nothing for their size. Comparing makes it exact: a value that
    is not the scanned one is a second of the same name.

    Raises:
        NotJsonError: not JSON.
        NotAStateError: not an object, or a name that two readers could take in two ways: one
            that stands twice, or is a state's own member in another case, which Go would accept.
    """
    slices = _decode_members(body)
    members: dict[str, _Member] = {}
    position = 0
    while match := _MEMBER.match(body, position):
        name = _KNOWN.get(match[1]) or _unknown_name(match[1])
        slice_ = slices[name]
        view = memoryview(slice_)
        start = match.end()
        if name in members or not body.startswith(view, start):
            raise _named_twice(name)
        members[name] = (start, slice_)
        position = start + len(view)
    if not _END.match(body, position):  # a number that begins with another: 12 scanned as 1
        raise _named_twice(name)
    return members


def _unknown_name(literal: bytes) -> str:
    """The name of a member that is none of a state's own, from what stands between its quotes."""
    name: str = _STRING.decode(b'"%b"' % literal)
    folded = name.casefold().encode()
    if folded in _KNOWN and name.encode() not in _KNOWN:
        raise NotAStateError(
            f'the state\'s member "{_KNOWN[folded]}" is not spelled so in this one; readers would '
            "disagree about it; send the file as Terraform wrote it"
        )
    return name


def _named_twice(name: str) -> NotAStateError:
    """The error for a repeated name, which is shown only if it is no content of the user's."""
    shown = f'the member "{name}"' if name.encode() in _KNOWN else "a member"
    return NotAStateError(
        f"{shown} stands twice in the state; readers would disagree about it; "
        "send the file as Terraform wrote it"
    )


def _decode_members(body: bytes | bytearray) -> dict[str, Slice]:
    """The top-level members of a JSON object, each as a slice."""
    try:
        return _OBJECT.decode(body)
    except msgspec.ValidationError as error:
        message = (
            'the body is JSON, but a state is an object with a "version"; '
            "send what 'terraform state pull' prints"
        )
        raise NotAStateError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is not JSON ({error}): perhaps it was cut short; send the state again"
        if not body or body.isspace():
            message = "the body is empty where a state was expected; send the state again"
        raise NotJsonError(message) from error
    except RecursionError as error:
        message = "the body is nested too deep to be a state; send what Terraform wrote"
        raise NotJsonError(message) from error


def _read(body: bytes | bytearray, members: Mapping[str, _Member]) -> Document:
    """Read the header of a scanned body."""
    if "encryption_version" in members:
        return _read_encrypted(body, members)
    kind = _kind(members)
    v4 = kind == "v4"
    return Document(
        body,
        kind,
        _serial(members),
        _text(members, "lineage"),
        _text(members, "terraform_version"),
        () if kind == "v1" else _elements(members, "resources" if v4 else "modules"),
        _outputs(members) if v4 else NOTHING,
        _slice(members, "check_results") if v4 else NOTHING,
        _other(members, kind),
    )


def _other(members: Mapping[str, _Member], kind: Kind) -> dict[str, Slice]:
    """The members that have no place of their own in a document of this kind."""
    placed = _NOT_OTHER[kind]
    return {name: member[1] for name, member in members.items() if name not in placed}


def _read_encrypted(body: bytes | bytearray, members: Mapping[str, _Member]) -> Document:
    """Read what OpenTofu leaves in clear: the serial and the lineage."""
    if "version" in members:
        message = (
            'the state has both a "version" and an "encryption_version": Terraform would read '
            "it as plain and OpenTofu as encrypted; send the file as it was written"
        )
        raise NotAStateError(message)
    if not _text(members, "encryption_version") or not _text(members, "encrypted_data"):
        message = (
            'the state has an "encryption_version" but nothing encrypted; '
            "send the file as OpenTofu wrote it"
        )
        raise NotAStateError(message)
    return Document(
        body=body,
        kind="encrypted",
        serial=_serial(members),
        lineage=_text(members, "lineage"),
        other=_other(members, "encrypted"),
    )


def _kind(members: Mapping[str, _Member]) -> Kind:
    """The format, from the top-level `version`; each thing that is no state is told apart."""
    literal = bytes(_slice(members, "version"))
    kind = _KINDS.get(literal)
    if kind is not None:
        return kind
    if "version" in members and _UNSIGNED.fullmatch(literal) and int(literal) > len(_KINDS):
        message = (
            f"the state has version {int(literal)}; the versions 1 to 4 are known; "
            "upgrade this server if Terraform wrote it"
        )
    elif "version" in members:
        message = 'the state\'s "version" is not a number from 1 to 4; send what Terraform wrote'
    elif "ID" in members and "Operation" in members:
        message = (
            "this is a lock info, sent to the address of the state; set lock_address and "
            "unlock_address to the address with /lock behind it"
        )
    elif "planned_values" in members or "format_version" in members:
        message = (
            "this is the output of 'terraform show -json', not a state; "
            "send what 'terraform state pull' prints"
        )
    else:
        message = (
            'the JSON object is no state: it has no "version"; '
            "send what 'terraform state pull' prints"
        )
    raise NotAStateError(message)


def _serial(members: Mapping[str, _Member]) -> int:
    """The serial; absent and `null` are 0, as in Go."""
    literal = bytes(_slice(members, "serial"))
    if literal == b"null":
        return 0
    if not _UNSIGNED.fullmatch(literal) or int(literal) > MAX_SERIAL:
        message = (
            f'the state\'s "serial" is not a whole number from 0 to {MAX_SERIAL}; '
            "send what Terraform wrote"
        )
        raise NotAStateError(message)
    return int(literal)


def _text(members: Mapping[str, _Member], name: str) -> str:
    """A member that must be a string; absent and `null` are "", as in Go."""
    try:
        return _STRING_OR_NULL.decode(_slice(members, name)) or ""
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f'the state\'s "{name}" is not a string; send what Terraform wrote'
        raise NotAStateError(message) from error


def _elements(members: Mapping[str, _Member], name: str) -> tuple[Slice, ...]:
    """A member that must be an array of objects, as slices; absent and `null` are empty."""
    try:
        slices = tuple(_ARRAY_OR_NULL.decode(_slice(members, name)) or ())
    except msgspec.DecodeError as error:
        message = f'the state\'s "{name}" is not an array; send what Terraform wrote'
        raise NotAStateError(message) from error
    if any(memoryview(slice_)[0] != _BRACE for slice_ in slices):
        message = f'an element of the state\'s "{name}" is no object; send what Terraform wrote'
        raise NotAStateError(message)
    return slices


def _outputs(members: Mapping[str, _Member]) -> Slice:
    """The `outputs` member, which must be an object or `null`."""
    slice_ = _slice(members, "outputs")
    if memoryview(slice_)[0] != _BRACE and bytes(slice_) != b"null":
        message = 'the state\'s "outputs" is not an object; send what Terraform wrote'
        raise NotAStateError(message)
    return slice_


def _slice(members: Mapping[str, _Member], name: str) -> Slice:
    """A member's value, `null` when it is absent."""
    member = members.get(name)
    return NOTHING if member is None else member[1]


def _length(slice_: Slice) -> int:
    """The slice's length in bytes."""
    return memoryview(slice_).nbytes


def _end_of(pattern: re.Pattern[bytes], body: bytes | bytearray, position: int) -> int:
    """Where punctuation ends that the scan has already proved to be there."""
    match = pattern.match(body, position)
    return match.end() if match else position
