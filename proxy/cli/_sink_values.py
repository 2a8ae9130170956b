"""Reads what is said of a sink on the command line: options as ``KEY=VALUE``, filters, indices."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from proxy.errors import InvalidInputError
from proxy.sinks.describing import kinds_of, parts_of

BEGINNING: Final = "beginning"
"""Says index 0 in words."""

_MAX_FILTER: Final = 65_536
_MAX_DIGITS: Final = 16
_LISTS: Final = (inspect.VarTupleType, inspect.ListType)


def read_options(options_type: type[Struct], texts: Sequence[str]) -> dict[str, Any]:
    """Return options as JSON has them: each value is read as its option's type.

    A value that can't be read so stays a text, and one that is not known too: the check of the
    options says what is wrong with it. A list takes its elements by repetition, or as JSON.

    Args:
        options_type: of the sink's type.
        texts: each ``KEY=VALUE``; without a value it takes the option away.

    Raises:
        InvalidInputError: one is no such pair, or given twice.
    """
    kinds = kinds_of(options_type)
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise InvalidInputError(f"an option is KEY=VALUE, not {text!r}: see `sink types TYPE`")
        parts = parts_of(kinds[key]) if key in kinds else ()
        listed = next((part for part in parts if isinstance(part, _LISTS)), None)
        if listed is not None and value and not value.startswith("["):
            element = _value(parts_of(listed.item_type), value)
            present = found.setdefault(key, [])
            if not isinstance(present, list):
                raise InvalidInputError(f"the option {key} is given in two ways: keep one")
            present.append(element)
        elif key in found:
            raise InvalidInputError(f"the option {key} is given twice: keep one")
        else:
            found[key] = _value(parts, value) if value else None
    return found


def _value(parts: Sequence[inspect.Type], text: str) -> object:
    """Return a text as one of these types; as it is when it is none."""
    for part in parts:
        match part:
            case inspect.BoolType() if text in {"true", "false"}:
                return text == "true"
            case inspect.IntType() | inspect.FloatType() if _is_whole(text):
                return int(text)
            case inspect.DictType() | inspect.VarTupleType() | inspect.ListType():
                return _json(text, "the value of an option")
            case _:
                pass
    return text


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS


def read_filter(text: str) -> dict[str, Any]:
    """Return an event pattern that is given as JSON, or as ``@FILE``; an empty text is none.

    Raises:
        InvalidInputError: it is no JSON object.
        OSError: the file can't be read.
    """
    if not text.strip():
        return {}
    what = "the filter"
    if text.startswith("@"):
        path = Path(text[1:])
        with path.open("rb") as file:
            content = file.read(_MAX_FILTER + 1)
        if len(content) > _MAX_FILTER:
            raise InvalidInputError(f"{path} is too long to be a filter")
        what, text = f"the filter in {path}", content.decode("utf-8", errors="replace")
    found = _json(text, what)
    if not isinstance(found, dict):
        raise InvalidInputError(
            f'{what} must be a JSON object, such as {{"event": ["state.written"]}}'
        )
    return found


def _json(text: str, what: str) -> object:
    try:
        found: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError(f"{what} is not JSON: {error}") from error
    return found


def read_index(text: str, option: str) -> int:
    """Return an index of the log: a number from 0, or ``beginning``.

    Raises:
        InvalidInputError: it is neither.
    """
    if text == BEGINNING:
        return 0
    if text.startswith("-") or not _is_whole(text):
        raise InvalidInputError(
            f"{option} is an index of the log (from 0), or {BEGINNING}, not {text!r}"
        )
    return int(text)


def age_text(seconds: float) -> str:
    """Return a length of time as people read it: ``12s``, ``5m``, ``3h``, ``2d``."""
    whole = int(seconds)
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def without_nothing(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that have a value: of a sink that is made there is none to take away."""
    return {name: value for name, value in options.items() if value is not None}
