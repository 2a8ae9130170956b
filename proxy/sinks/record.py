"""What a sink's record must keep beyond its form: of its type, and of the log that records it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from proxy.client_text import require_plain
from proxy.directory import SinkRecord, document_of, is_same
from proxy.errors import ConflictError, InvalidInputError
from proxy.events import EVENTS, OUTCOMES
from proxy.fields import FieldError, mistakes_in
from proxy.patterns import parse
from proxy.patterns.askable import mistakes_in as mistakes_in_pattern
from proxy.sinks import read_options

Manager: TypeAlias = Literal["administration", "configuration"]
"""Who changes a sink: an administrator, or the configuration that a server starts with."""

MAX_BYTES: Final = 16_384
"""Of a whole record as JSON: the entry of a change holds it twice."""

_KNOWN: Final = {"event": EVENTS, "outcome": OUTCOMES}
_MAX_DEPTH: Final = 16
_MAX_INTEGER: Final = 2**53 - 1
_MAX_SHOWN: Final = 60


def require_usable(record: SinkRecord, before: SinkRecord | None = None) -> None:
    """Pass when a sink can be made of the record, and the record can stand in the log.

    Args:
        record: to be kept.
        before: what it takes the place of. What is not changed may stay as it is, as long as the
            sink is not enabled: a sink whose package is gone can be paused all the same.

    Raises:
        InvalidInputError: says what is wrong; a FieldError when one field is to blame.
    """
    for mistake in mistakes_of(record, before):
        raise mistake


def mistakes_of(
    record: SinkRecord, before: SinkRecord | None = None
) -> Iterator[InvalidInputError]:
    """Yield all that is wrong with a record; see ``require_usable``."""
    size = len(document_of(record))
    if size > MAX_BYTES:
        yield InvalidInputError(
            f"the sink {record.name} is {size} bytes of JSON, of {MAX_BYTES} allowed: make its "
            "filter or its options shorter"
        )
        return
    anew = before is None or (record.enabled and not before.enabled)
    if anew or before is None or not is_same(record.options, before.options):
        found = list(_unfit(record.options, "options"))
        yield from found or _option_mistakes(record.type, record.options)
    if anew or before is None or not is_same(record.filter, before.filter):
        found = list(_unfit(record.filter, "filter"))
        yield from found or _filter_mistakes(record.filter)


def _unfit(value: object, field: str, depth: int = 1) -> Iterator[InvalidInputError]:
    """Yield what an entry of the log can't hold, or must not."""
    match value:
        case str():
            try:
                require_plain(value, f"the field {field}")
            except InvalidInputError as error:
                yield FieldError(str(error), field)
        case float():
            yield FieldError(f"{field} must be a whole number: the log holds no others", field)
        case int() if abs(value) > _MAX_INTEGER:
            yield FieldError(f"{field} is too large: the log holds numbers below 2^53", field)
        case dict() | list() if depth > _MAX_DEPTH:
            yield FieldError(f"{field} is nested deeper than {_MAX_DEPTH} levels", field)
        case dict():
            yield from _unfit_members(value, field, depth)
        case list():
            for number, each in enumerate(value):
                yield from _unfit(each, f"{field}[{number}]", depth + 1)
        case None | int():
            pass
        case _:
            yield FieldError(f"{field} is a {type(value).__name__}, which JSON has not", field)


def _unfit_members(
    members: Mapping[str, Any], field: str, depth: int
) -> Iterator[InvalidInputError]:
    for name, each in members.items():
        shown = name[:_MAX_SHOWN]
        if not (name.isascii() and name.isprintable()):
            yield FieldError(f"the name {shown!r} in {field} has signs beyond ASCII", field)
        elif named := list(_unfit(name, field)):
            yield from named
        else:
            yield from _unfit(each, f"{field}.{shown}", depth + 1)


def _filter_mistakes(pattern: Mapping[str, Any]) -> Iterator[InvalidInputError]:
    try:
        if not pattern:
            return
        parse(pattern)
        asked_in_vain = list(mistakes_in_pattern(pattern))
        yield from asked_in_vain
        if not asked_in_vain:
            parse(pattern, known=_KNOWN)  # of operators too
    except InvalidInputError as error:
        yield error


def _option_mistakes(of: str, options: Mapping[str, Any]) -> Iterator[InvalidInputError]:
    """Yield what is wrong with the options of a type: each that can't be used, each not there."""

    def read(fields: dict[str, Any]) -> object:
        try:
            return read_options(of, fields)
        except FieldError as error:
            raise FieldError(str(error), error.field.removeprefix("options.")) from error

    for mistake in mistakes_in(read, options):
        if isinstance(mistake, FieldError) and mistake.field != "type":
            yield FieldError(str(mistake), f"options.{mistake.field}")
        else:
            yield mistake


def require_manager(
    action: str, fields: Mapping[str, Any], present: SinkRecord | None, manager: Manager
) -> None:
    """Pass when a sink is changed where it is managed, and stays the sink that it is.

    Args:
        action: ``create``, ``update`` or ``delete``.
        fields: that are to be set.
        present: the sink as it is; None when there is none.
        manager: who changes it.

    Raises:
        ConflictError: it is managed elsewhere.
        FieldError: it would become another one.
    """
    if present is not None and present.managed != manager:
        raise ConflictError(_elsewhere(present))
    default = "administration" if present is None else present.managed
    if fields.get("managed", default) != manager:
        raise FieldError("managed says who made a sink, and nobody sets it", "managed")
    if present is None or action != "update":
        return
    name = present.name
    if fields.get("type", present.type) != present.type:
        raise FieldError(
            f"the type of a sink can't be changed: make a new one, and delete {name}", "type"
        )
    if fields.get("start", present.start) != present.start:
        raise FieldError(
            f"where {name} began in the log ({_began(present)}) can't be changed: to send it older "
            f"entries, run `tfaudit sink replay {name}`",
            "start",
        )


def _elsewhere(present: SinkRecord) -> str:
    name = present.name
    if present.managed == "configuration":
        return (
            f"the sink {name} stands in the configuration file: change [sinks.{name}] there, and "
            "start the server anew"
        )
    return (
        f"[sinks.{name}] of the configuration has the name of a sink that an administrator made: "
        f"rename it, or run `tfaudit sink delete {name}` first"
    )


def _began(present: SinkRecord) -> str:
    return "when it was made" if present.start is None else f"start = {present.start}"
