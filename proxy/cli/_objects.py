"""What the verbs of principals, grants and issuers share: one call, and how its answer is shown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from proxy.cli._common import caller, opened, run, settings
from proxy.cli._output import clean, print_json, print_table, time_text
from proxy.directory import Object, shown
from proxy.errors import InvalidInputError

if TYPE_CHECKING:
    from proxy.contracts import Committed
    from proxy.directory_service import Changed, DirectoryService


class Place:
    """Where a verb works and how it answers: the options that all have.

    Args:
        data: the option ``--data``.
        config: the option ``--config``.
        as_json: the option ``--json``.
    """

    def __init__(self, data: Path | None, config: Path | None, *, as_json: bool) -> None:
        self._data = data
        self._config = config
        self._as_json = as_json

    def show_all(self, kind: str, columns: Sequence[str]) -> None:
        """Print a table of all objects of a kind, with these of their fields as columns."""
        found = run(self._list(kind))
        if self._as_json:
            print_json([shown(each) for each in found])
            return
        print_table(
            (*(column.upper().replace("_", " ") for column in columns), "UPDATED"),
            (
                (*(cell(shown(each)[column]) for column in columns), time_text(each.updated))
                for each in found
            ),
        )

    def show_one(self, kind: str, name: str) -> None:
        """Print one object, a line a field."""
        self._print(run(self._show(kind, name)))

    def create(self, kind: str, name: str, fields: Mapping[str, Any]) -> None:
        """Make one object of the fields that were given."""
        made = run(self._create(kind, {"name": name, **given(fields)}))
        if self._as_json:
            print_json(shown(made))
        else:
            typer.echo(f"Created the {kind} {made.name} (ID {made.id}).")

    def update(self, kind: str, name: str, changes: Mapping[str, Any]) -> None:
        """Change the fields that were given.

        Raises:
            InvalidInputError: none were.
        """
        if not changes:
            raise InvalidInputError(f"say what of the {kind} to change: see --help")
        committed = run(self._update(kind, name, changes))
        done, changed = committed.value, committed.value.after
        if changed is None:
            raise TypeError(done)
        if self._as_json:
            print_json(shown(changed))
        elif committed.index is None:
            typer.echo(f"The {kind} {changed.name} is so already: nothing was changed.")
        else:
            typer.echo(f"Updated the {kind} {changed.name}: {clean(done.in_words())}.")

    def delete(self, kind: str, name: str) -> None:
        """Take one object away."""
        gone = run(self._delete(kind, name))
        if self._as_json:
            print_json(shown(gone))
        else:
            typer.echo(f"Deleted the {kind} {gone.name} (ID {gone.id}).")

    def _print(self, found: Object) -> None:
        if self._as_json:
            print_json(shown(found))
            return
        members = shown(found)
        width = max(map(len, members))
        for name, value in members.items():
            text = time_text(value) if name in {"created", "updated"} else cell(value)
            typer.echo(f"{name:<{width}}  {clean(text)}".rstrip())

    # Each is one unit of work on the open data directory.

    async def _list(self, kind: str) -> list[Object]:
        async with opened(settings(self._data, self._config)) as program:
            return await program.directory.list(caller(f"{kind} list"), kind)

    async def _show(self, kind: str, name: str) -> Object:
        async with opened(settings(self._data, self._config)) as program:
            return await program.directory.show(caller(f"{kind} show"), kind, name)

    async def _create(self, kind: str, fields: Mapping[str, Any]) -> Object:
        async with opened(settings(self._data, self._config)) as program:
            service: DirectoryService = program.directory
            return (await service.create(caller(f"{kind} create"), kind, fields)).value

    async def _update(
        self, kind: str, name: str, changes: Mapping[str, Any]
    ) -> "Committed[Changed]":
        async with opened(settings(self._data, self._config)) as program:
            who = caller(f"{kind} update")
            return await program.directory.update_told(who, kind, name, changes)

    async def _delete(self, kind: str, name: str) -> Object:
        async with opened(settings(self._data, self._config)) as program:
            return (await program.directory.delete(caller(f"{kind} delete"), kind, name)).value


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in fields.items() if value is not None}


def emptied(values: Sequence[str] | None) -> list[str] | None:
    """Return a list option's value; one empty text empties the list, as nothing else could."""
    if values is None or not values:
        return None
    return [] if list(values) == [""] else list(values)


def cell(value: object) -> str:
    """Return a field's value for people."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(cell, value))
        case dict():
            return orjson.dumps(value).decode() if value else ""
        case _:
            return str(value)
