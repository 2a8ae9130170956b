"""What each type of sink is, and what its options are, for people who are about to make one."""

import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, inspect

from proxy.docstrings import read_docstring
from proxy.sinks import sink_class


class SinkOption(Struct, frozen=True, kw_only=True):
    """One option of a type.

    Attributes:
        name: of the option.
        kind: what its value is, in words: ``text``, ``list of texts``, ``native or ecs``.
        is_required: whether it must be given.
        default: what holds when it is not given.
        meaning: for people.
    """

    name: str
    kind: str
    is_required: bool
    default: Annotated[Any, Meta(description="Any JSON value.")]
    meaning: str


class SinkType(Struct, frozen=True, kw_only=True):
    """A type of sink.

    Attributes:
        type: its name.
        summary: what it is.
        options: in the order in which they are declared.
    """

    type: str
    summary: str
    options: tuple[SinkOption, ...]


def describe(of: str) -> SinkType:
    """Return what a type is.

    Raises:
        FieldError: there is no such type, or a package's sink can't be loaded.
    """
    made = sink_class(of)
    # A file a sink: what the file is for is what the sink does.
    about = getattr(sys.modules.get(made.__module__), "__doc__", None) or made.__doc__ or ""
    summary, _ = read_docstring(about)
    return SinkType(
        type=of,
        summary=" ".join(summary.partition("\n\n")[0].split()),
        options=tuple(options_of(made.options_type)),
    )


def kinds_of(options_type: type[Struct]) -> Mapping[str, inspect.Type]:
    """Return the type of each option by its name, as msgspec tells it."""
    info = inspect.type_info(options_type)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{options_type} is no Struct")
    return {field.encode_name: field.type for field in info.fields}


def parts_of(of: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return what a value may be, but for nothing at all."""
    match of:
        case inspect.Metadata(type=inner):
            return parts_of(inner)
        case inspect.UnionType(types=types):
            return tuple(part for each in types for part in parts_of(each))
        case inspect.NoneType():
            return ()
        case _:
            return (of,)


def options_of(options_type: type[Struct]) -> Iterator[SinkOption]:
    """Yield what can be set, in the order in which it is declared."""
    _, told = read_docstring(options_type.__doc__ or "")
    kinds = kinds_of(options_type)
    for field in msgspec.structs.fields(options_type):
        name = field.encode_name
        default = field.default
        if default is msgspec.NODEFAULT:
            made = field.default_factory
            default = None if made is msgspec.NODEFAULT else made()
        yield SinkOption(
            name=name,
            kind=_words(kinds[name]),
            is_required=field.required,
            default=msgspec.to_builtins(default),
            meaning=_meaning(kinds[name]) or told.get(name, ""),
        )


def _meaning(of: inspect.Type) -> str:
    """Return the description that is declared with a type, the outermost."""
    match of:
        case inspect.Metadata(extra_json_schema={"description": str(text)}):
            return text
        case inspect.Metadata(type=inner):
            return _meaning(inner)
        case inspect.UnionType(types=types):
            return next(filter(None, map(_meaning, types)), "")
        case _:
            return ""


def _words(of: inspect.Type, *, many: bool = False) -> str:
    words = [_word(each, many=many) for each in parts_of(of)]
    return " or ".join(dict.fromkeys(words))


def _word(of: inspect.Type, *, many: bool) -> str:
    match of:
        case inspect.StrType():
            word = "texts" if many else "text"
        case inspect.BoolType():
            word = "true or false"
        case inspect.IntType() | inspect.FloatType():
            word = "numbers" if many else "number"
        case inspect.LiteralType(values=values):
            word = " or ".join(map(str, values))
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            word = f"list of {_words(item, many=True)}"
        case inspect.DictType(value_type=value):
            word = f"object of {_words(value, many=True)}"
        case _:
            word = "JSON"
    return word
