"""The command line ``tfaudit``: one file a verb, put together here.

A verb's module is imported when the verb is asked for, and what is heavy (the server, cryptography,
the store) inside the verb that needs it, so that every command starts at once.
"""

from collections import UserDict
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.main import get_group

from proxy.cli._common import ReportingGroup

_VERBS: Final = (
    "serve",
    "whoami",
    "apply",
    "principal",
    "grant",
    "issuer",
    "token",
    "sink",
    "log",
    "verify",
    "export",
    "receipt",
    "retain",
    "scan",
    "whose-secret",
    "forget",
    "state",
    "lock",
    "workspace",
    "key",
    "backup",
    "witness",
    "anchor",
)
"""In the order of ``--help``. ``whose-secret`` is the function ``whose_secret`` of the module of
that name; what is more than one command is a group, the module's ``app``."""


class _Verbs(UserDict[str, Any]):
    """Each verb's command by its name, built when it is first asked for."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_VERBS))

    def __getitem__(self, verb: str) -> Any:  # noqa: ANN401 - typer's command, which has no public type
        if self.data[verb] is None:
            self.data[verb] = _command(verb)
        return self.data[verb]


def _command(verb: str) -> Any:  # noqa: ANN401 - this too
    name = verb.replace("-", "_")
    module = import_module(f"proxy.cli.{name}")
    holder = typer.Typer(rich_markup_mode="rich")
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=verb)
    else:
        holder.command(verb)(getattr(module, name))
    return get_group(holder).commands[verb]


class _Root(ReportingGroup):
    """All verbs."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own
        super().__init__(**settings)
        self.commands = _Verbs()


app = typer.Typer(
    name="tfaudit",
    cls=_Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it would print the values of local variables
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - quick start

        typer.echo(f"tfaudit {version('tfaudit')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Keep Terraform and OpenTofu states with a signed, tamper-evident record of every request.

    Exit codes: 0 done, 1 the answer is no (not found, refused, verification failed), 2 usage or
    could not tell.
    """
