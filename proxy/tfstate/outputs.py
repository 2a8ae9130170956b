"""A state with its root outputs and nothing else: what `terraform_remote_state` reads of another.

Values and types are raw slices of the stored bytes: big numbers, the order of keys and the way of
writing stay as they are. Which outputs hold a secret that nothing marks is for `redact` to say.

Format: Terraform `internal/states/statefile/version4.go` (`outputStateV4`) and `version3.go`.
"""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from proxy.tfstate.document import NOTHING, Document, Slice

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROOT: Final = ["root"]
_PARTS: Final = ("value", "type", "sensitive")
_HARMLESS: Final = frozenset({b"false", b"null"})


class UnsplittableError(ValueError):
    """The outputs of this state can't be told apart from the rest of it."""


class Output(NamedTuple):
    """An output of the root module.

    Attributes:
        value: as it stands in the state.
        type: as it stands in the state; `null` when it has none.
        sensitive: marked so; whatever is not plainly false counts.
    """

    value: Slice
    type: Slice
    sensitive: bool


def root_outputs(document: Document) -> dict[str, Output]:
    """Return the outputs of the root module by name, in the state's order.

    Raises:
        UnsplittableError: the state is encrypted, older than version 3, or its outputs are not
            what Terraform writes.
    """
    if document.kind == "v4":
        return _outputs(document.outputs)
    if document.kind != "v3":
        raise UnsplittableError(document.kind)
    found: dict[str, Output] = {}
    for module in document.resources:
        parts = _members(module)
        if _path(parts.get("path", NOTHING)) == _ROOT:
            found |= _outputs(parts.get("outputs", NOTHING))
    return found


def only_outputs(document: Document, outputs: Mapping[str, Output]) -> bytes:
    """Return a state of the same version, serial and lineage that holds these outputs alone.

    Args:
        document: of version 3 or 4.
        outputs: by name, some of `root_outputs`.
    """
    head = (
        b'{\n  "version": %b,\n  "terraform_version": %b,\n  "serial": %d,\n  "lineage": %b,\n'
        % (
            document.kind[1:].encode(),
            msgspec.json.encode(document.terraform_version),
            document.serial,
            msgspec.json.encode(document.lineage),
        )
    )
    members = b",".join(
        b"\n    %b: %b" % (msgspec.json.encode(name), _written(output))
        for name, output in outputs.items()
    )
    block = b"{%b}" % (members and members + b"\n  ")
    if document.kind == "v4":
        rest = b'  "outputs": %b,\n  "resources": [],\n  "check_results": null\n}\n' % block
    else:
        rest = (
            b'  "modules": [{"path": ["root"], "outputs": %b, "resources": {}, '
            b'"depends_on": []}]\n}\n' % block
        )
    return head + rest


def _written(output: Output) -> bytes:
    """Return an output as Terraform writes it, with nothing that it doesn't know."""
    parts = [b'"value": %b' % bytes(output.value), b'"type": %b' % bytes(output.type)]
    if output.sensitive:
        parts.append(b'"sensitive": true')
    return b"{%b}" % b", ".join(parts)


def _outputs(slice_: Slice) -> dict[str, Output]:
    if bytes(slice_) == b"null":
        return {}
    members = _members(slice_)
    _require_unique(slice_)
    return {name: _output(inner) for name, inner in members.items()}


def _require_unique(slice_: Slice) -> None:
    """Pass when no object in there has two members of one name: readers differ on which counts.

    Raises:
        UnsplittableError: one has. Terraform writes none.
    """
    try:
        json.loads(
            bytes(slice_),
            object_pairs_hook=_unique,
            parse_int=str,
            parse_float=str,
            parse_constant=str,
        )
    except (ValueError, RecursionError) as error:
        raise UnsplittableError("an object has two members of one name") from error


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("two members of one name")


def _output(slice_: Slice) -> Output:
    parts = _members(slice_)
    for name in parts:
        if name not in _PARTS and name.casefold() in _PARTS:  # Go would take it for that
            raise UnsplittableError("readers would disagree about a member of an output")
    value, type_, sensitive = (parts.get(name, NOTHING) for name in _PARTS)
    return Output(value, type_, bytes(sensitive) not in _HARMLESS)


def _members(slice_: Slice) -> dict[str, Slice]:
    try:
        return _OBJECT.decode(slice_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnsplittableError("an object of it can't be read") from error


def _path(slice_: Slice) -> object:
    try:
        return msgspec.json.decode(slice_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
