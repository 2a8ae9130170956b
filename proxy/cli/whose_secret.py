"""``tfaudit whose-secret``: tells where a leaked value was seen, in the log and in the states."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.access import parse_workspace
from proxy.cli._common import (
    REFUSED,
    UNKNOWN,
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._output import clean, count_text, print_json, print_table, time_text
from proxy.errors import InvalidInputError

if TYPE_CHECKING:
    from proxy.contracts import StateVersion
    from proxy.secret_service import SeenEntry, SeenVersion, Whereabouts
    from proxy.tfstate.sightings import Sighting

_MAX_VALUE: Final = 1 << 20
_NESTED: Final = frozenset({"text", "inside", "escaped", "base64", "hex", "percent-encoded"})
_HOW: Final = {
    "plain": "in plain",
    "value": "the value itself",
    "key": "in a key or name",
    "text": "inside a text",
    "inside": "inside what a text carries",
    "escaped": "escaped, inside a text",
    "base64": "in base64",
    "hex": "in hex",
    "percent-encoded": "percent-encoded",
}
"""What each way is called; of several at one place, the first is told."""


def whose_secret(
    *,
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a value was seen. Give it on standard input, never as an argument.

    One line break at its end is dropped. Looked through are what the log shows, what it hides, and
    all stored versions. The question, without the value, is an entry of the log itself.

    Exit codes: 0 seen, 1 not seen or no such workspace, 2 could not tell (why is said).
    """
    parse_workspace(workspace)
    loaded = settings(data, config)
    value = _read_value()

    async def action() -> "Whereabouts":
        async with opened(loaded) as program:
            return await program.secrets.find(caller("whose-secret"), workspace, value)

    found = run(action())
    if as_json:
        print_json(_as_object(workspace, found))
    else:
        _print(workspace, found)
    for reason in found.untold:
        notice(f"Could not tell all: {reason}.")
    if not (found.entries or found.versions):
        raise typer.Exit(UNKNOWN if found.untold else REFUSED)


def _read_value() -> str:
    """Return the value from standard input; a person types it unseen.

    Raises:
        InvalidInputError: it is no text, too long, or nothing.
    """
    if sys.stdin.isatty():
        return str(typer.prompt("The value (not shown)", hide_input=True, err=True))
    data = sys.stdin.buffer.read(_MAX_VALUE + 1)
    if len(data) > _MAX_VALUE:
        raise InvalidInputError(f"the value may have at most {_MAX_VALUE} bytes")
    try:
        value = data.decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: the decoder's error carries the value.
        raise InvalidInputError("the value on the standard input is no UTF-8 text") from None
    return value.removesuffix("\n").removesuffix("\r")


def _print(workspace: str, found: "Whereabouts") -> None:
    shown = [entry for entry in found.entries if entry.shows_it]
    hidden = [entry for entry in found.entries if not entry.shows_it]
    if shown:
        typer.echo(
            f"The value stands IN PLAIN in {count_text(len(shown), 'entry', 'entries')} of the "
            "log. Whoever reads the log, or what it is forwarded to, reads the value, and entries "
            "can't be changed: replace the value."
        )
        _print_entries(shown)
    if hidden:
        typer.echo(f"Hidden in {count_text(len(hidden), 'entry', 'entries')} of the log:")
        _print_entries(hidden)
    if found.versions:
        typer.echo(f"In {count_text(len(found.versions), 'stored version')}:")
        print_table(
            ("VERSIONS", "WRITTEN", "ADDRESS", "PATH", "HOW"), _version_rows(found.versions)
        )
    if not (found.entries or found.versions):
        typer.echo(f"The value was not seen in {clean(workspace)}.")


def _print_entries(entries: "list[SeenEntry]") -> None:
    print_table(
        (">ENTRY", "TIME", "EVENT", "ADDRESS", "PATH", "SIDE", "HOW"),
        (
            (
                str(entry.index),
                time_text(entry.time),
                entry.event,
                address,
                path,
                ", ".join(filter(None, sides)),
                _HOW[how],
            )
            for entry in entries
            for (address, path), (how, sides) in _places(entry.sightings).items()
        ),
    )


def _version_rows(versions: "list[SeenVersion]") -> Iterator[tuple[str, ...]]:
    """Yield each place once, with all versions that hold the value there."""
    rows: dict[tuple[str, str, str], list[StateVersion]] = {}
    for seen in versions:
        for (address, path), (how, _) in _places(seen.sightings).items():
            rows.setdefault((address, path, how), []).append(seen.version)
    for (address, path, how), of in rows.items():
        first, last = time_text(of[0].created), time_text(of[-1].created)
        written = first if len(of) == 1 else f"{first} - {last}"
        yield _ranges([version.number for version in of]), written, address, path, _HOW[how]


def _ranges(numbers: list[int]) -> str:
    """Return ascending numbers as people write them: ``1, 3-5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _places(
    sightings: "list[Sighting]",
) -> dict[tuple[str, str], tuple[str, dict[str, None]]]:
    """Return each place (address, path) with the plainest way and the sides.

    A text that carries others is left out where one of these was told.
    """
    ranks = list(_HOW)
    places: dict[tuple[str, str], tuple[str, dict[str, None]]] = {}
    carriers = {
        (place.address, place.path[:end])
        for place in sightings
        for end, character in enumerate(place.path)
        if character in ".["
    }
    for place in sightings:
        key = place.address, place.path
        if place.how in _NESTED and key in carriers:
            continue
        how, sides = places.get(key, (place.how, {}))
        places[key] = min(how, place.how, key=ranks.index), {**sides, place.side: None}
    return places


def _as_object(workspace: str, found: "Whereabouts") -> dict[str, object]:
    return {
        "workspace": workspace,
        "entries": [
            {
                "index": entry.index,
                "time": entry.time,
                "event": entry.event,
                "places": [_place(place) for place in entry.sightings],
            }
            for entry in found.entries
        ],
        "versions": [
            {
                "number": seen.version.number,
                "id": seen.version.id,
                "serial": seen.version.serial,
                "created": seen.version.created,
                "places": [_place(place) for place in seen.sightings],
            }
            for seen in found.versions
        ],
        "untold": found.untold,
    }


def _place(place: "Sighting") -> dict[str, str]:
    named = {"address": place.address, "path": place.path, "how": place.how}
    return named | ({"side": place.side} if place.side else {})
