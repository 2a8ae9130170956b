"""``tfaudit whose-secret``: tells where a leaked value was seen, in the log and in the states."""

import sys
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
from proxy.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from proxy.secret_service import Whereabouts
    from proxy.tfstate.sightings import Sighting

_MAX_VALUE: Final = 1 << 20
_HOW: Final = {
    "value": "the value itself",
    "text": "inside a text",
    "inside": "inside what a text carries",
    "key": "in a key or name",
    "escaped": "escaped, inside a text",
    "base64": "in base64",
    "hex": "in hex",
    "percent-encoded": "percent-encoded",
}


def whose_secret(
    *,
    workspace: Annotated[str, typer.Argument(metavar="WORKSPACE")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a value was seen. Give it on standard input, never as an argument.

    One line break at its end is dropped. Looked through are what the log hides and all stored
    versions. The question, without the value, is an entry of the log itself.

    Exit codes: 0 seen, 1 not seen, 2 could not tell (why is said).
    """
    parse_workspace(workspace)
    loaded = settings(data, config)
    value = _read_value()

    async def action() -> "Whereabouts":
        async with opened(loaded) as program:
            try:
                return await program.secrets.find(caller("whose-secret"), workspace, value)
            except NotFoundError as error:
                # Not as such: its exit code would say that the value was not seen.
                raise InvalidInputError(str(error)) from error

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
    if found.entries:
        typer.echo(f"In {count_text(len(found.entries), 'entry', 'entries')} of the log:")
        print_table(
            (">ENTRY", "TIME", "EVENT", "ADDRESS", "PATH", "SIDE", "HOW"),
            (
                (
                    str(entry.index),
                    time_text(entry.time),
                    entry.event,
                    place.address,
                    place.path,
                    place.side,
                    _HOW[place.how],
                )
                for entry in found.entries
                for place in entry.sightings
            ),
        )
    if found.versions:
        typer.echo(f"In {count_text(len(found.versions), 'stored version')}:")
        print_table(
            (">VERSION", ">SERIAL", "WRITTEN", "ADDRESS", "PATH", "HOW"),
            (
                (
                    str(seen.version.number),
                    str(seen.version.serial),
                    time_text(seen.version.created),
                    place.address,
                    place.path,
                    _HOW[place.how],
                )
                for seen in found.versions
                for place in seen.sightings
            ),
        )
    if not (found.entries or found.versions):
        typer.echo(f"The value was not seen in {clean(workspace)}.")


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
