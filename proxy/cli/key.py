"""``tfaudit key``: shows the public keys with which anybody can check the log."""

import typer

from proxy.cli._common import ConfigOption, DataOption, JsonOption, require_directory, settings
from proxy.cli._output import clean, print_json

app = typer.Typer(no_args_is_help=True, help="Show the log's public keys.")


@app.callback()
def _group() -> None:
    """Keep ``show`` a verb of its own: alone it would become the group."""


@app.command("show")
def show(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the public keys of entries and checkpoints. Give them to your auditor now.

    Whoever holds them, from outside this machine, can prove with [bold]tfaudit verify[/] that
    nothing in the log was changed.
    """
    from proxy.keys import open_keys  # noqa: PLC0415 - quick start of the command line

    loaded = settings(data, config)
    require_directory(loaded)
    ring = open_keys(loaded, create=False)
    if as_json:
        print_json(
            {
                "entry": {"key_id": ring.entry_key_id, "public_key": ring.entry_public},
                "checkpoint": {"vkey": ring.vkey, "origin": ring.origin},
            }
        )
        return
    typer.echo(f"origin          {clean(ring.origin)}")
    typer.echo(f"entry key       {ring.entry_public}  (Ed25519, key ID {ring.entry_key_id})")
    typer.echo(f"checkpoint key  {clean(ring.vkey)}")
