"""``tfaudit serve``: runs the backend; its first start makes keys and a token, and says so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.access import Role
from proxy.cli._block import backend_block, base_address
from proxy.cli._common import ConfigOption, DataOption, caller, opened, run, settings

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from proxy.config import Config

_FIRST_TOKEN = "admin"  # noqa: S105 - a name


def serve(
    *,
    data: DataOption = None,
    config: ConfigOption = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="The port to listen on.")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="PEM chain; serves HTTPS."),
    ] = None,
    private_key: Annotated[
        Path | None,
        typer.Option("--private-key", metavar="FILE", help="PEM key of the certificate."),
    ] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(
            "--client-ca",
            metavar="FILE",
            help="PEM of the CAs whose client certificates are believed.",
        ),
    ] = None,
    no_sinks: Annotated[
        bool,
        typer.Option("--no-sinks", help="Forward nothing: for a drill on a restored copy."),
    ] = False,
) -> None:
    """Serve states until stopped by SIGTERM or Ctrl-C.

    The first start creates the data directory with its keys, and prints an administrator's token
    (once) and a backend block to paste.
    """
    given = {
        "TFAUDIT_SERVER_HOST": host,
        "TFAUDIT_SERVER_PORT": port,
        "TFAUDIT_SERVER_CERTIFICATE": certificate,
        "TFAUDIT_SERVER_PRIVATE_KEY": private_key,
        "TFAUDIT_SERVER_CLIENT_CA": client_ca,
    }
    overrides = {name: str(value) for name, value in given.items() if value is not None}
    if no_sinks:
        overrides["TFAUDIT_SERVER_FORWARD"] = "false"
    run(_serve(settings(data, config, overrides)), loop_factory=_fast_loop)


def _fast_loop() -> "AbstractEventLoop":
    """Return a loop that takes a tenth less of a request's time than Python's own."""
    import uvloop  # noqa: PLC0415 - quick start of the command line

    return uvloop.new_event_loop()


async def _serve(config: "Config") -> None:
    from proxy import app  # noqa: PLC0415 - quick start of the command line

    app.require_sinks(config)
    await app.require_address(config)
    token = await _first_token(config)
    if token is not None:
        typer.echo(_welcome(config, token), err=True)
    await app.serve(config)


async def _first_token(config: "Config") -> str | None:
    """Return an administrator's token when no token was ever made, so that somebody can start."""
    # Nothing is signed here, so nothing is compared with what is elsewhere: the server does that.
    async with opened(config, create=True, is_recovery=True) as program:
        if await program.store.tokens():
            return None
    async with opened(config, create=True) as program:
        minted = await program.admin.create_token(
            caller("serve"), _FIRST_TOKEN, Role.ADMIN, ("*",), None
        )
        return minted.text


def _welcome(config: "Config", token: str) -> str:
    block = backend_block(base_address(config), "quickstart")
    return f"""
A new tfaudit. Keys and states are in {config.data.directory}: back it up.

An administrator's token, shown only now:

  {token}

Try it: export the token, paste this block into a Terraform configuration, then terraform init.

  export TF_HTTP_PASSWORD={token}

{_indented(block)}

For people and pipelines make tokens that may less:
  tfaudit token create ci --role writer --workspace 'prod/*' --expires 90d
"""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))
