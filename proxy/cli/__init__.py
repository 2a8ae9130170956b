"""The command line ``tfaudit``: one file a verb, put together here.

Modules on this floor import what is heavy (the server, cryptography, the store) inside the verb
that needs it, so that ``tfaudit --help`` answers at once.
"""

from typing import Annotated

import typer

from proxy.cli import (
    _recovery,
    apply,
    backup,
    export,
    forget,
    grant,
    issuer,
    key,
    lock,
    log,
    principal,
    receipt,
    scan,
    serve,
    sink,
    state,
    token,
    verify,
    whoami,
    whose_secret,
    witness,
    workspace,
)
from proxy.cli._common import ReportingGroup

app = typer.Typer(
    name="tfaudit",
    cls=ReportingGroup,
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


app.command("serve")(serve.serve)
app.command("whoami")(whoami.whoami)
app.command("apply")(apply.apply)
app.add_typer(principal.app, name="principal")
app.add_typer(grant.app, name="grant")
app.add_typer(issuer.app, name="issuer")
app.add_typer(token.app, name="token")
app.add_typer(sink.app, name="sink")
log.app.command("recover")(_recovery.recover)
app.add_typer(log.app, name="log")
app.command("verify")(verify.verify)
app.command("export")(export.export)
app.command("receipt")(receipt.receipt)
app.command("scan")(scan.scan)
app.command("whose-secret")(whose_secret.whose_secret)
app.command("forget")(forget.forget)
app.add_typer(state.app, name="state")
app.add_typer(lock.app, name="lock")
app.add_typer(workspace.app, name="workspace")
app.add_typer(key.app, name="key")
app.add_typer(backup.app, name="backup")
app.add_typer(witness.app, name="witness")
