"""``tfaudit principal``: the people and programs that are known by name."""

import sys
from typing import Annotated, Final

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    opened,
    run,
    settings,
)
from proxy.cli._objects import Place, emptied, given
from proxy.cli._output import print_json
from proxy.directory import Object, shown
from proxy.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Make known who there is: people and programs.")

_KIND = "principal"
_MAX_LINE: Final = 4096
_Name = Annotated[str, typer.Argument(metavar="NAME|ID")]
_Kind = Annotated[
    str | None,
    typer.Option(
        "--kind", metavar="person|service", help="A person may have a password. Default: service."
    ),
]
_Description = Annotated[str | None, typer.Option("--description", help="For people.")]
_Certificates = Annotated[
    list[str] | None,
    typer.Option(
        "--certificate",
        metavar="NAME",
        help="A client certificate's subject (CN=…,O=…) or alternative name (DNS:…, URI:…, "
        "EMAIL:…) that proves this identity. Give it again for more; '' takes all away.",
    ),
]
_Disabled = Annotated[
    bool | None,
    typer.Option("--disabled/--enabled", help="Whether nothing is allowed, for the time being."),
]


@app.command("list")
def list_principals(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all principals, by name."""
    Place(data, config, as_json=as_json).show_all(
        _KIND, ("name", "kind", "disabled", "certificates", "description")
    )


@app.command("show")
def show(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one principal."""
    Place(data, config, as_json=as_json).show_one(_KIND, name)


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Grants and tokens refer to it.")],
    kind: _Kind = None,
    description: _Description = None,
    certificates: _Certificates = None,
    disabled: _Disabled = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a person or a program known. Nothing is allowed before something is granted."""
    fields = {
        "kind": kind,
        "description": description,
        "certificates": emptied(certificates),
        "disabled": disabled,
    }
    Place(data, config, as_json=as_json).create(_KIND, name, fields)


@app.command("update")
def update(
    *,
    name: _Name,
    kind: _Kind = None,
    description: _Description = None,
    certificates: _Certificates = None,
    disabled: _Disabled = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; the rest stays. In force from the next request on."""
    fields = {
        "kind": kind,
        "description": description,
        "certificates": emptied(certificates),
        "disabled": disabled,
    }
    Place(data, config, as_json=as_json).update(_KIND, name, given(fields))


@app.command("set-password")
def set_password(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Give a person a password, read from the terminal or as one line from stdin.

    All sessions of the person end.
    """
    password = _password()

    async def action() -> Object:
        async with opened(settings(data, config)) as program:
            who = caller("principal set-password")
            return (await program.people.set_password(who, name, password)).value

    person = run(action())
    if as_json:
        print_json(shown(person))
    else:
        typer.echo(f"Set the password of {person.name}, who is logged out everywhere.")


def _password() -> str:
    """Return what is typed, twice and unseen, or the first line of stdin.

    Raises:
        InvalidInputError: it is not given, or no text.
    """
    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    # Anybody on the machine can see a command's arguments, so it is never one of them.
    try:
        line = sys.stdin.buffer.readline(_MAX_LINE).decode()
    except UnicodeDecodeError:
        raise InvalidInputError("the password on stdin is not UTF-8") from None
    if not line.strip("\r\n"):
        raise InvalidInputError("there is no password on stdin: write it there as one line")
    return line.removesuffix("\n").removesuffix("\r")


@app.command("delete")
def delete(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Delete a principal to whom nothing is granted any more. Its tokens end with it."""
    Place(data, config, as_json=as_json).delete(_KIND, name)
