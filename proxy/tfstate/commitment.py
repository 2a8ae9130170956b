"""What stands for a secret: a keyed hash that shows that two values are the same, and no more.

A commitment is the first 8 bytes of an HMAC-SHA256 (RFC 2104) over the value's type and canonical
form, as ``hmac-sha256:<base64>``. Each workspace has a key of its own, made of the redaction key
and a random salt: within a workspace equal secrets can be recognised, across workspaces they
can't, and when the salt is destroyed, nobody can test a guess against what was recorded, not even
with the redaction key.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import msgspec

from proxy.tfstate.diff import Number, Value

SALT_BYTES: Final = 32
"""Of the random salt of a workspace."""

PREFIX: Final = "hmac-sha256:"
"""How a commitment begins."""

_PURPOSE: Final = b"tfaudit-redaction-v2\n"
_BYTES: Final = 8
_GO_ESCAPES: Final = re.compile("[<>&]")


def workspace_key(redaction_key: bytes, workspace: str, salt: bytes) -> bytes:
    """Return the key (32 bytes) of a workspace's commitments.

    Not cached: a destroyed salt must not live on in the memory of a process.

    Args:
        redaction_key: 32 bytes.
        workspace: its name, which has no line break.
        salt: the workspace's, 32 bytes.
    """
    return hmac.digest(redaction_key, b"%b%b\n%b" % (_PURPOSE, workspace.encode(), salt), "sha256")


def commitment(key: bytes, value: Value) -> str:
    """Return what stands for a value of any JSON type.

    Args:
        key: the workspace's key.
        value: as ``diff.decode`` gives it.
    """
    if isinstance(value, str) and not isinstance(value, Number):
        return text_commitment(key, value)
    try:
        return _hash(key, b"json\n" + msgspec.json.encode(_portable(value), order="sorted"))
    except RecursionError:
        return _hash(key, b"nested too deep")


def text_commitment(key: bytes, text: str) -> str:
    """Return what stands for a text: the same as ``commitment`` gives."""
    return _hash(key, b"string\n" + text.encode("utf-8", "surrogatepass"))


def commitments(key: bytes, text: str) -> frozenset[str]:
    """Return every commitment that a value, typed by a person, may have.

    As a text, as the number or other JSON that it reads as, and as it stands in other texts:
    without the space around it, escaped, in base64.

    Args:
        key: the workspace's key.
        text: the value, for example ``hunter2``, ``1234`` or ``{"user": "a"}``.
    """
    found = {text_commitment(key, form) for form in _forms(text)}
    found |= {commitment(key, value) for value in json_values(text)}
    return frozenset(found)


def json_values(text: str) -> Iterator[Value]:
    """Yield what a text, typed by a person, may be as JSON that is no text."""
    try:
        value = json.loads(text, parse_float=Number)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, str) or isinstance(value, Number):
        yield value


def _hash(key: bytes, message: bytes) -> str:
    digest = hmac.digest(key, message, "sha256")[:_BYTES]
    return f"{PREFIX}{base64.b64encode(digest).decode('ascii')}"


def _portable(value: Value) -> Any:  # noqa: ANN401 - JSON
    """Return a value with its non-integers as objects, for hashing."""
    if isinstance(value, dict):
        return {name: _portable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    return {"number": str(value)} if isinstance(value, Number) else value


def _forms(text: str) -> Iterator[str]:
    """Yield the text as it may have been met in others."""
    for form in {text, text.strip()}:
        yield form
        if not form:
            continue
        encoded = base64.b64encode(form.encode("utf-8", "surrogatepass")).decode()
        yield encoded
        yield encoded.rstrip("=")
        escaped = json.dumps(form, ensure_ascii=False)[1:-1]
        yield escaped
        yield _GO_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped)
        yield quote(form, safe="", errors="replace")
