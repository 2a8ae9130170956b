"""``tfaudit token``: makes, lists and revokes the tokens with which clients prove who they are."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.access import Role
from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._output import clean, print_json, print_table, time_text
from proxy.cli._values import parse_length
from proxy.contracts import StoredToken

if TYPE_CHECKING:
    from proxy.admin_service import MintedToken

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens.")


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise typer.BadParameter(
            f"there is no role {text!r}: use one of {', '.join(Role)}"
        ) from None


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token, for the record.")],
    role: Annotated[
        Role,
        typer.Option(
            "--role", parser=_role, metavar="ROLE", help=f"What it allows: {', '.join(Role)}."
        ),
    ],
    workspace: Annotated[
        list[str],
        typer.Option(
            "--workspace",
            metavar="GLOB",
            help="Workspaces it holds for; * matches / too. Give it again for more.",
        ),
    ],
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="For how long, such as 90d. Default: ever."),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it, alone, on stdout. It is shown only now.

    Terraform sends it as its password: [bold]export TF_HTTP_PASSWORD=$(tfaudit token create …)[/]
    """
    expires_in = parse_length(expires) if expires else None

    async def action() -> "MintedToken":
        async with opened(settings(data, config)) as program:
            return await program.admin.create_token(
                caller("token create"), name, role, workspace, expires_in
            )

    minted = run(action())
    stored, token = minted.token, minted.text
    if as_json:
        print_json({"token": token, **_as_object(stored)})
        return
    until = f"until {time_text(stored.expires)}" if stored.expires else "without an end"
    notice(
        f"{stored.name}: {stored.role} of {', '.join(stored.workspaces)}, {until}. "
        "The token is shown only now."
    )
    typer.echo(token)


@app.command("list")
def list_tokens(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all tokens, oldest first, revoked and expired ones too; never a token itself."""

    async def action() -> list[StoredToken]:
        async with opened(settings(data, config)) as program:
            return await program.admin.list_tokens(caller("token list"))

    tokens = run(action())
    if as_json:
        print_json([_as_object(token) for token in tokens])
        return
    now = datetime.now(UTC)
    print_table(
        ("NAME", "ROLE", "WORKSPACES", "TOKEN", "CREATED", "STATUS", "ID"),
        (
            (
                token.name,
                token.role,
                ", ".join(token.workspaces),
                f"…{token.hint}",
                time_text(token.created),
                _status(token, now),
                token.id,
            )
            for token in tokens
        ),
    )


@app.command("revoke")
def revoke(
    name_or_id: Annotated[str, typer.Argument(metavar="NAME|ID")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a token out of force, at once and for good."""

    async def action() -> StoredToken:
        async with opened(settings(data, config)) as program:
            return (await program.admin.revoke_token(caller("token revoke"), name_or_id)).value

    token = run(action())
    if as_json:
        print_json(_as_object(token))
    else:
        typer.echo(f"Revoked {clean(token.name)} (ID {token.id}).")


def _as_object(token: StoredToken) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "workspaces": list(token.workspaces),
        "hint": token.hint,
        "created": token.created,
        "expires": token.expires,
        "revoked": token.revoked,
    }


def _status(token: StoredToken, now: datetime) -> str:
    if token.revoked is not None:
        return f"revoked {time_text(token.revoked)}"
    if token.expires is None:
        return "in force"
    left = datetime.fromisoformat(token.expires) - now
    if left <= timedelta(0):
        return f"expired {time_text(token.expires)}"
    return f"in force until {time_text(token.expires)}"
