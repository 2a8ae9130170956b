"""Reads what a request of the API says: its body and its query, each as a declared type."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct, inspect

from proxy.directory import WORDS
from proxy.fields import FieldError, decode_fields, fields_of, told
from proxy.refusals import UnsupportedTypeError
from proxy.server.appkeys import CONFIG
from proxy.server.bodies import read_body

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

MAX_BODY: Final = 65_536
"""Bytes of a body: what it describes is small."""
_MAX_TYPE: Final = 256
"""Characters of a Content-Type."""
_MAX_DIGITS: Final = 16
_MAX_SHOWN: Final = 100


async def read_json(request: web.Request, to: type[T], what: str = "body") -> T:
    """Return the body as the type; unknown fields are refused by name.

    Raises:
        UnsupportedTypeError: it is not declared as JSON.
        BodyTooLargeError: longer than MAX_BODY.
        InvalidInputError: names the field, and what is wrong with it.
    """
    return decode_fields(await _content(request), to, what, WORDS)


async def read_members(request: web.Request, to: type[Struct], what: str) -> dict[str, Any]:
    """Return the members that the body names, as they are, once they were found to fit the type.

    Raises:
        InvalidInputError: as ``read_json``.
    """
    content = await _content(request)
    decode_fields(content, to, what, WORDS)
    members: dict[str, Any] = msgspec.json.decode(content)
    return members


async def _content(request: web.Request) -> bytes | bytearray:
    # A page of another site can make a browser send a form or plain text with the person's
    # remembered password; it can't make it send this type.
    if not _is_json(request.headers.get(hdrs.CONTENT_TYPE, "")):
        raise UnsupportedTypeError("send the body as JSON, with Content-Type: application/json")
    return await read_body(request, request.app[CONFIG].server, MAX_BODY)


def _is_json(declared: str) -> bool:
    """Tell whether a Content-Type (RFC 9110 section 8.3) is JSON's, whatever its parameters say.

    aiohttp's own ``content_type`` hands the header to the parser for mail, which anybody can hold
    up for seconds with a long one, or bring down.
    """
    if len(declared) > _MAX_TYPE:
        return False
    return declared.partition(";")[0].strip().lower() == "application/json"


class NoParameters(Struct, frozen=True):
    """The query of an address that takes none."""


def refuse_parameters(request: web.Request) -> None:
    """Pass when there is no query: a parameter that does nothing is a mistake of whoever asks.

    Raises:
        InvalidInputError: names the first.
    """
    read_query(request.query, NoParameters)


def read_query(query: Mapping[str, str], to: type[S]) -> S:
    """Return the parameters of an address as the type.

    Args:
        query: a multidict when some are given twice.
        to: whose fields are texts, whole numbers, booleans, or lists of texts, which alone may be
            given more than once.

    Raises:
        InvalidInputError: a parameter that is unknown, given twice, empty or malformed.
    """
    types = _types(to)
    found: dict[str, Any] = {}
    # A multidict tells a repeated name only in its items.
    for name, text in query.items():
        if name not in types:
            there_are = f"there are {', '.join(types)}" if types else "there are none"
            shown = name[:_MAX_SHOWN]
            raise FieldError(f"the parameter {shown!r} is not known: {there_are}", shown)
        if _is_list(types[name]):
            found[name] = (*found.get(name, ()), _text(name, text))
            continue
        if name in found:
            raise FieldError(f"the parameter {name} is given more than once", name)
        found[name] = _value(name, text, types[name])
    try:
        return msgspec.convert(found, to)
    except msgspec.ValidationError as error:
        failure = told(error, to, "the parameter", WORDS)
        text = str(failure).replace("parameter: the field ", "parameter ", 1)
        raise FieldError(text.replace("parameter: ", "parameter ", 1), failure.field) from error


def _types(to: type[Struct]) -> dict[str, inspect.Type]:
    info = inspect.type_info(to)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{to} is no Struct")
    return {name: field.type for name, field in zip(fields_of(to), info.fields, strict=True)}


def _is_list(of: inspect.Type) -> bool:
    return any(isinstance(each, inspect.VarTupleType) for each in _parts(of))


def _parts(of: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(of, inspect.Metadata):
        return _parts(of.type)
    return of.types if isinstance(of, inspect.UnionType) else (of,)


def _value(name: str, text: str, of: inspect.Type) -> str | int | bool:
    for part in _parts(of):
        if isinstance(part, inspect.IntType):
            if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
                raise FieldError(f"the parameter {name} must be a whole number from 0", name)
            return int(text)
        if isinstance(part, inspect.BoolType):
            if text not in {"true", "false"}:
                raise FieldError(f"the parameter {name} must be true or false", name)
            return text == "true"
    return _text(name, text)


def _text(name: str, text: str) -> str:
    if not text:
        raise FieldError(f"the parameter {name} is empty: leave it out", name)
    return text
