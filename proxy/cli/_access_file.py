"""``access.toml``: reads who may do what from a file, and tells all its mistakes at once."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from proxy.client_text import client_text
from proxy.directory import (
    LIFE,
    NOT_GIVEN,
    RECORDS,
    Directory,
    GrantRecord,
    Record,
    SinkRecord,
    a_kind,
    read_record,
)
from proxy.errors import InvalidInputError
from proxy.fields import FieldError, fields_of
from proxy.sinks.record import mistakes_of

MAX_BYTES: Final = 4 << 20
_HEADER: Final = re.compile(r"^\s*\[\[\s*[\"']?(?P<kind>\w+)[\"']?\s*\]\]")
_MAX_SHOWN: Final = 100


@dataclass(slots=True)
class AccessFile:
    """What a file says there should be.

    Attributes:
        records: by kind and name.
        kinds: of which it says what there should be, and be it nothing: ``issuer = []``.
    """

    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)


class _Mistakes:
    """All that is wrong with a file, each with its place."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._lines: dict[str, list[int]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            found = _HEADER.match(line)
            if found is not None:
                self._lines.setdefault(found["kind"], []).append(number)
        self._found: list[str] = []

    def add(self, message: str, kind: str = "", number: int = 0) -> None:
        """Keep one, of the whole file, or of the kind's table with this number (from 1)."""
        lines = self._lines.get(kind, [])
        line = f":{lines[number - 1]}" if 0 < number <= len(lines) else ""
        table = f" [[{kind}]] number {number}:" if number and not line else ""
        self._found.append(f"{self._path}{line}:{table} {message}")

    def raise_if_any(self) -> None:
        """Pass when there are none.

        Raises:
            InvalidInputError: with all of them, a line each.
        """
        if self._found:
            raise InvalidInputError("\n".join(self._found))


def read_access_file(path: str, content: bytes) -> AccessFile:
    """Return what the file says.

    Args:
        path: as people know it, for the messages.
        content: TOML with the tables ``[[principal]]``, ``[[grant]]``, ``[[issuer]]``,
            ``[[workspace]]`` and ``[[sink]]``, whose keys are the fields of the records.

    Raises:
        InvalidInputError: names every mistake with its line and field.
    """
    if len(content) > MAX_BYTES:
        raise InvalidInputError(f"{path} is longer than {MAX_BYTES} bytes: is it the right file?")
    try:
        text = content.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not UTF-8: {error.reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{path} is not TOML: {error}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{path} is nested too deep") from error
    mistakes = _Mistakes(path, text)
    found = _read_tables(document, mistakes)
    mistakes.raise_if_any()
    return found


def _read_tables(document: Mapping[str, Any], mistakes: _Mistakes) -> AccessFile:
    found = AccessFile(kinds={kind for kind in document if kind in RECORDS})
    for kind, number, table in _tables(document, mistakes):
        try:
            record = _read(kind, table)
        except FieldError as error:
            mistakes.add(str(error), kind, number)
            continue
        except InvalidInputError as error:
            name = table.get("name")
            where = f"{kind} {name[:_MAX_SHOWN]}: " if isinstance(name, str) else ""
            mistakes.add(f"{where}{error}", kind, number)
            continue
        for mistake in mistakes_of(record) if isinstance(record, SinkRecord) else ():
            mistakes.add(f"sink {record.name}: {mistake}", kind, number)
        if (kind, record.name) in found.records:
            mistakes.add(f"there is {a_kind(kind)} {record.name} above already", kind, number)
        found.records[kind, record.name] = record
    return found


def _tables(
    document: Mapping[str, Any], mistakes: _Mistakes
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield kind, number from 1, and content of each table."""
    for kind, tables in document.items():
        if kind not in RECORDS:
            near = get_close_matches(kind, RECORDS, n=1)
            hint = f"did you mean [[{near[0]}]]?" if near else f"there are {', '.join(RECORDS)}"
            mistakes.add(f"there is no kind {kind[:_MAX_SHOWN]!r}: {hint}")
        elif not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            mistakes.add(f"write {kind} as [[{kind}]], a table for each")
        else:
            for number, table in enumerate(tables, 1):
                yield kind, number, table


def _read(kind: str, table: dict[str, Any]) -> Record:
    set_by_nobody = sorted(NOT_GIVEN & set(table) & set(fields_of(RECORDS[kind])))
    if set_by_nobody:
        name = set_by_nobody[0]
        why = "follows from a deletion" if name in LIFE else "says who made it"
        raise FieldError(f"{kind}: {name} {why}, and can't be set", name)
    record = read_record(kind, table)
    for name, value in fields_of_record(record).items():
        if isinstance(value, str) and name in {"description", "environment"}:
            _require_plain(kind, name, value)
    return record


def _require_plain(kind: str, name: str, value: str) -> None:
    # What is kept would be without it, and so never as the file says.
    if client_text(value, len(value)) != value:
        raise FieldError(f"{kind}: {name} holds what looks like a credential: take it out", name)


def require_known(path: str, file: AccessFile, directory: Directory) -> None:
    """Pass when each grant of the file is for somebody who is in the file or known already.

    Raises:
        InvalidInputError: names every grant that is not.
    """
    unknown = []
    for (kind, name), record in file.records.items():
        if kind != "grant" or not isinstance(record, GrantRecord):
            continue
        whom = ("principal", record.principal or "")
        if record.issuer is not None:
            whom = ("issuer", record.issuer)
        if whom not in file.records and directory.get(*whom) is None:
            unknown.append(
                f"{path}: the grant {name} is for the {whom[0]} {whom[1]}, which there is not: "
                "add it, or correct the name"
            )
    if unknown:
        raise InvalidInputError("\n".join(unknown))


def fields_of_record(record: Record) -> dict[str, Any]:
    """Return a record's fields as plain values."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    return fields
