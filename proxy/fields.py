"""Reads somebody's JSON as a declared type; a mistake is told in words, with the field it is in."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from proxy.errors import InvalidInputError

T = TypeVar("T")

_PLACE: Final = re.compile(r" - at `(?:key in )?\$\.?(?P<field>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>.*)`", re.DOTALL)
_PATTERN: Final = re.compile(r"`str` matching regex (?P<pattern>'.*'|\".*\")", re.DOTALL)
_KIND: Final = re.compile(r"^Expected (?P<wanted>[a-z |]+), got (?P<found>[a-z]+)$")
_KINDS: Final = {
    "str": ("a text", 'such as "text"'),
    "int": ("a whole number", "such as 10"),
    "float": ("a number", "such as 1.5"),
    "bool": ("true or false", ""),
    "array": ("a list", 'such as ["one", "two"]'),
    "object": ("an object", 'such as {"name": "value"}'),
    "null": ("null", ""),
}
"""What msgspec calls kinds of values: what people call them, and an example."""
_MAX_SHOWN: Final = 100


class FieldError(InvalidInputError):
    """A field can't be used.

    Attributes:
        field: where it is, as a path: ``role``, ``workspaces[0]``; empty for the whole.
    """

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def read_fields(value: object, to: type[T], what: str, words: Mapping[str, str] | None = None) -> T:
    """Return the value as the type.

    Args:
        value: JSON as Python has it.
        to: a Struct.
        what: what it should be, for the message: ``grant``.
        words: what regular expressions of the type say, for people.

    Raises:
        FieldError: names the field and what is wrong with it.
        InvalidInputError: from the type's own checks.
    """
    try:
        return msgspec.convert(value, to)
    except msgspec.ValidationError as error:
        raise told(error, to, what, words) from error


def mistakes_in(
    read: Callable[[dict[str, Any]], object], fields: Mapping[str, Any]
) -> Iterator[InvalidInputError]:
    """Yield all that is wrong with fields, where reading them stops at the first.

    Each that can't be used is told and left out, and the rest is read again.

    Args:
        read: reads them; raises InvalidInputError, a FieldError when one is to blame.
        fields: by name.
    """
    left = dict(fields)
    while True:
        try:
            read(left)
        except FieldError as error:
            name = error.field.partition(".")[0].partition("[")[0]
            if name in left:
                yield error
                del left[name]
                continue
            # Whatever was left out is not missing, and without it nothing more can be told.
            if len(left) == len(fields):
                yield error
        except InvalidInputError as error:
            yield error
        return


def decode_fields(
    content: bytes | bytearray, to: type[T], what: str, words: Mapping[str, str] | None = None
) -> T:
    """Return a JSON text as the type; see ``read_fields``.

    Raises:
        FieldError: names the field and what is wrong with it.
        InvalidInputError: it is no JSON.
    """
    try:
        return msgspec.json.decode(content, type=to)
    except msgspec.ValidationError as error:
        raise told(error, to, what, words) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"the {what} is not JSON: {error}") from error


def told(
    error: msgspec.ValidationError,
    to: type,
    what: str,
    words: Mapping[str, str] | None = None,
) -> FieldError:
    """Return what msgspec found wrong, in words and with the field's path."""
    text = str(error)
    place = _PLACE.search(text)
    field = place["field"] if place is not None else ""
    text = text[: place.start()] if place is not None else text
    unknown, missing = _UNKNOWN.match(text), _MISSING.match(text)
    if unknown is not None:
        name = unknown["name"][:_MAX_SHOWN]
        field = f"{field}.{name}" if field else name
        return FieldError(f"{what}: there is no field {name!r}: {_known(name, to)}", field)
    if missing is not None:
        name = missing["name"]
        field = f"{field}.{name}" if field else name
        return FieldError(f"{what}: the field {name} is missing", field)
    text = _PATTERN.sub(lambda found: _said(found["pattern"], words or {}), text).replace("`", "")
    if text.startswith("Invalid enum value") and (choices := _choices(to, field)):
        text += f": choose one of {', '.join(choices)}"
    text = _in_words(text)
    return FieldError(f"{what}: {field}: {text}" if field else f"{what}: {text}", field)


def _in_words(text: str) -> str:
    """Return which kind of value is wanted, and which was given, as people say it."""
    kinds = _KIND.match(text)
    if kinds is None:
        return text
    wanted = [_KINDS.get(each, (each, "")) for each in kinds["wanted"].split(" | ")]
    words = " or ".join(name for name, _ in wanted)
    example = next((each for _, each in wanted if each), "")
    found = _KINDS.get(kinds["found"], (kinds["found"], ""))[0]
    return f"must be {words}{f', {example}' if example else ''}, and is {found}"


def _known(name: str, to: type) -> str:
    known = fields_of(to)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def fields_of(to: type) -> list[str]:
    """Return the names of a Struct's fields as JSON has them; none for another type."""
    if not issubclass(to, msgspec.Struct):
        return []
    return [field.encode_name for field in msgspec.structs.fields(to)]


def _said(literal: str, words: Mapping[str, str]) -> str:
    for pattern, meaning in words.items():
        if literal == repr(pattern):
            return meaning
    return f"text that matches {literal}"


def _choices(to: type, field: str) -> list[str]:
    """Return what a field of its own, or each element of a list, may be."""
    name = field.partition("[")[0]
    for each in _info(to):
        if each.encode_name == name:
            return _values(each.type)
    return []


def _info(to: type) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(to)
    return info.fields if isinstance(info, inspect.StructType) else ()


def _values(of: inspect.Type) -> list[str]:
    match of:
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
        case inspect.EnumType(cls=cls):
            return [str(member.value) for member in cls]
        case inspect.VarTupleType(item_type=item) | inspect.Metadata(type=item):
            return _values(item)
        case inspect.UnionType(types=types):
            return [value for each in types for value in _values(each)]
        case _:
            return []
