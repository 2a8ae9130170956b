"""The bytes of one audit entry: their one canonical form and what of them is hashed and signed.

An entry is a JSON object of strings, booleans, null, integers of at most 53 bits, arrays and
objects with ASCII keys. Inside that subset orjson's compact output with sorted keys *is* the
canonical form of RFC 8785 (JCS); a property test holds the two equal.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from proxy.errors import InvalidInputError

MAX_ENTRY_BYTES: Final = 65_535
"""The longest entry: C2SP tlog-tiles gives an entry's length 16 bits in an entry bundle."""

SIGNING_PREFIX: Final = b"tfaudit-entry-v1\n"
"""Domain separation: a signature over an entry can't be passed off as one over anything else."""

_MAX_INTEGER: Final = 2**53 - 1
# Types that orjson would turn into strings in a form of its own choosing are refused instead.
_CANONICAL: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
# What `check` would refuse in canonical bytes of ASCII alone: a float or a long integer, which
# stand after the quotation mark of a key, or in a list. A text may look so, too: then it is walked.
_MEMBER: Final = re.compile(rb'":-?[0-9]+(?:[.eE]|(?<=[0-9]{16}))')
_ELEMENT: Final = re.compile(rb"[\[,]-?[0-9]+(?:[.eE]|(?<=[0-9]{16}))")


@dataclass(slots=True)  # not frozen, which would make it thrice as slow to make
class Record:
    """One entry as the log keeps it: the signed bytes and what stands around them."""

    index: int
    """Position in the log, from 0."""
    entry: bytes
    """The canonical form, as `canonical` gives it."""
    leaf_hash: bytes
    """32 bytes: RFC 6962 leaf hash of `entry`."""
    signature: bytes
    """64 bytes: Ed25519 (RFC 8032) over `signing_input(entry)`."""
    key_id: str
    """Which key signed, as `key_id` gives it."""


def canonical(entry: Mapping[str, object]) -> bytes:
    """Give the one byte form of an entry (RFC 8785).

    This runs for every request, so it doesn't walk the entry: floats and keys beyond ASCII, which
    orjson lets pass, are kept out by whoever builds entries, and `check` proves it in tests.

    Args:
        entry: a plain `dict`, whose values are of the allowed subset.

    Returns:
        UTF-8 JSON without whitespace, keys sorted, at most 65,535 bytes.

    Raises:
        InvalidInputError: a value that is no JSON, an integer beyond 53 bits, or too many bytes.
    """
    try:
        encoded = orjson.dumps(entry, option=_CANONICAL)
    except orjson.JSONEncodeError as error:
        raise InvalidInputError(
            f"The audit entry has no canonical form: {error}. Correct the code that built it."
        ) from error
    if len(encoded) > MAX_ENTRY_BYTES:
        raise InvalidInputError(
            f"The audit entry has {len(encoded):,} bytes, of {MAX_ENTRY_BYTES:,} allowed. "
            "Cut its longest part and say in the entry what was left out."
        )
    return encoded


def check(entry: object) -> None:
    """Walk a whole entry and refuse whatever stands outside the allowed subset.

    Raises:
        InvalidInputError: names the nearest key and the type, never the value.
    """
    if not isinstance(entry, dict):
        raise InvalidInputError(f"An audit entry is a JSON object, not {_type_name(entry)}.")
    waiting: list[tuple[str, object]] = [("", entry)]
    while waiting:
        name, value = waiting.pop()
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, int):
            if abs(value) > _MAX_INTEGER:
                raise InvalidInputError(
                    f"An audit entry holds an integer beyond 53 bits under {name!r}."
                )
        elif isinstance(value, dict):
            if not all(isinstance(key, str) and key.isascii() for key in value):
                raise InvalidInputError(
                    f"An audit entry holds a key that is not ASCII text under {name!r}."
                )
            waiting.extend(value.items())
        elif isinstance(value, (list, tuple)):
            waiting.extend((name, item) for item in value)
        else:
            raise InvalidInputError(
                f"An audit entry holds {_type_name(value)} under {name!r}, which is not allowed."
            )


def parse(entry: bytes) -> dict[str, object]:
    """Read an entry from untrusted bytes; only the exact output of `canonical` passes.

    Raises:
        InvalidInputError: not JSON, not canonical (a repeated key, whitespace, another order or
            spelling), outside the allowed subset, or longer than 65,535 bytes.
    """
    if len(entry) > MAX_ENTRY_BYTES:
        raise InvalidInputError(
            f"An entry has {len(entry):,} bytes, of {MAX_ENTRY_BYTES:,} allowed."
        )
    try:
        # orjson reads far deeper nesting than it writes, hence both directions in one place.
        parsed = orjson.loads(entry)
        again = orjson.dumps(parsed, option=_CANONICAL)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        # The parser's own text may quote the entry, which could hold anything: it is left out.
        raise InvalidInputError("An entry's bytes are not JSON of the allowed kind.") from error
    if again != entry:
        raise InvalidInputError("An entry's bytes are not in canonical form (RFC 8785).")
    if (
        not isinstance(parsed, dict)
        or not entry.isascii()
        or _MEMBER.search(entry)
        or (b"[" in entry and _ELEMENT.search(entry))
    ):
        check(parsed)
    members: dict[str, object] = parsed
    return members


def signing_input(entry: bytes) -> bytes:
    """Give the bytes that an entry's signature covers: the prefix, then the canonical form."""
    return SIGNING_PREFIX + entry


def key_id(public_key_raw: bytes) -> str:
    """Name an entry key: hex of the first 8 bytes of SHA-256 over its 32 raw bytes (RFC 8032)."""
    return hashlib.sha256(public_key_raw).hexdigest()[:16]


def _type_name(value: object) -> str:
    return f"a {type(value).__name__}"
