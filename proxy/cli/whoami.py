"""``tfaudit whoami``: who one is, here or to a server, and what one may, and why."""

from typing import Annotated

import typer

from proxy.cli._common import ConfigOption, DataOption, JsonOption, caller, opened, run, settings
from proxy.cli._output import clean, print_json, print_table
from proxy.whoami import Granted, WhoAmI, who_am_i


def whoami(
    *,
    workspace: Annotated[
        str | None,
        typer.Option("--workspace", metavar="NAME", help="Also tell what is allowed there."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Ask this server, or that of this state's address, with TFAUDIT_TOKEN, or "
            "TF_HTTP_USERNAME and TF_HTTP_PASSWORD, of the environment.",
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who you are, what you were granted, and what is allowed on a workspace, and why.

    Without --url it is about this command line on the data directory.
    """
    if url is not None:
        from proxy.cli._remote import ask_who_am_i  # noqa: PLC0415 - quick start

        told = run(ask_who_am_i(url, workspace))
    else:
        told = run(_here(workspace, data, config))
    if as_json:
        import msgspec  # noqa: PLC0415 - quick start

        print_json(msgspec.to_builtins(told))
        return
    _print(told)


async def _here(workspace: str | None, data: DataOption, config: ConfigOption) -> WhoAmI:
    async with opened(settings(data, config)):
        return who_am_i(caller("whoami").principal, workspace)


def _print(told: WhoAmI) -> None:
    behind = f", of {told.principal}" if told.principal and told.principal != told.name else ""
    hint = f" …{told.token_hint}" if told.token_hint else ""
    typer.echo(clean(f"{told.name}{behind}, by {told.proved_by}{hint} (ID {told.id})"))
    for name, value in (told.claims or {}).items():
        typer.echo(clean(f"  {name}: {value}"))
    if not told.grants:
        typer.echo("Nothing was granted.")
    for grant in told.grants:
        typer.echo(clean(f"  {_said(grant)}"))
    if told.scope is not None:
        typer.echo(clean(f"The token is for {_said(told.scope)} alone."))
    if told.workspace is None:
        return
    typer.echo(f"\nOn {clean(told.workspace)}:")
    print_table(
        ("", "PERMISSION", "WHY", "ALLOWS TO"),
        (
            ("yes" if each.allowed else "no", each.permission, each.reason, each.meaning)
            for each in told.permissions
        ),
    )


def _said(grant: Granted) -> str:
    what = f"{'not ' if grant.deny else ''}{grant.role} on {', '.join(grant.workspaces)}"
    what += ", sensitive outputs too" if grant.sensitive_outputs else ""
    return f"{what} (grant {grant.name})" if grant.name else what
