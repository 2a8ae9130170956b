"""``tfaudit token``: makes, rotates, shows and revokes the tokens that prove who a client is."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxy.access import EVERYWHERE, Role
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
from proxy.contracts import StoredToken
from proxy.directory import Directory
from proxy.timestamps import parse_length

if TYPE_CHECKING:
    from proxy.admin_service import MintedToken, Revoked

app = typer.Typer(no_args_is_help=True, help="Make, rotate, show and revoke tokens.")


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise typer.BadParameter(
            f"there is no role {text!r}: use one of {', '.join(Role)}"
        ) from None


_WORKSPACE_HELP = "Workspaces it holds for; * matches / too. Give it again for more."

NameArgument = Annotated[str, typer.Argument(metavar="NAME|ID")]
ExpiresOption = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="For how long, such as 90d.")
]


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token, for the record.")],
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal",
            metavar="NAME",
            help="Whose it is: it may what that principal may, there and in that role alone.",
        ),
    ] = None,
    role: Annotated[
        Role | None,
        typer.Option(
            "--role",
            parser=_role,
            metavar="ROLE",
            help=f"What it allows: {', '.join(Role)}. With --principal any role by default.",
        ),
    ] = None,
    workspace: Annotated[
        list[str] | None, typer.Option("--workspace", metavar="GLOB", help=_WORKSPACE_HELP)
    ] = None,
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
    if principal is None and (role is None or not workspace):
        missing = "--role" if role is None else "--workspace"
        raise typer.BadParameter(f"{missing} is needed for a token without --principal")
    expires_in = parse_length(expires) if expires else None
    globs = workspace or [EVERYWHERE]

    async def action() -> "MintedToken":
        async with opened(settings(data, config)) as program:
            return await program.admin.create_token(
                caller("token create"),
                name,
                "" if role is None else role.value,
                globs,
                expires_in,
                principal=principal,
            )

    _print_minted(run(action()), principal, as_json=as_json)


@app.command("rotate")
def rotate(
    *,
    name_or_id: NameArgument,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="TIME", help="So long the old one still works, or 0."),
    ] = "24h",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="TIME",
            help="For how long, such as 90d. Default: as long as the old one was meant to.",
        ),
    ] = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token that takes another one's name and rights, and print it, alone, on stdout.

    The old one works beside it for a while, so that pipelines can be changed without haste.
    """
    beside = timedelta(0) if overlap == "0" else parse_length(overlap)
    expires_in = parse_length(expires) if expires else None

    async def action() -> tuple["MintedToken", dict[str, str]]:
        async with opened(settings(data, config)) as program:
            who = caller("token rotate")
            minted = await program.admin.rotate_token(who, name_or_id, beside, expires_in)
            return minted, _names(await program.directory.view(who))

    minted, names = run(action())
    if not as_json:
        still = f"still works for {overlap}" if beside else "works no more"
        notice(f"The token that was {clean(minted.token.name)} {still}.")
    holder = minted.token.principal or ""
    _print_minted(minted, names.get(holder, holder), as_json=as_json)


def _print_minted(minted: "MintedToken", principal: str | None, *, as_json: bool) -> None:
    stored = minted.token
    if as_json:
        print_json({"token": minted.text, **_as_object(stored)})
        return
    until = f"until {time_text(stored.expires)}" if stored.expires else "without an end"
    may = f"{stored.role or 'any role'} on {', '.join(stored.workspaces)}"
    if stored.principal is not None:
        may = f"whatever {principal} may, as {may}"
    notice(f"{stored.name}: {may}, {until}. The token is shown only now.")
    typer.echo(minted.text)


@app.command("list")
def list_tokens(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all tokens, oldest first, revoked and expired ones too; never a token itself."""
    tokens, names = run(_all("token list", data, config))
    if as_json:
        print_json([_as_object(token) for token in tokens])
        return
    now = datetime.now(UTC)
    print_table(
        (
            *("NAME", "PRINCIPAL", "ROLE", "WORKSPACES", "TOKEN", "CREATED", "STATUS"),
            *("LAST USE", "FROM", "ID"),
        ),
        (
            (
                token.name,
                names.get(token.principal or "", token.principal or ""),
                token.role or "any",
                ", ".join(token.workspaces),
                f"…{token.hint}",
                time_text(token.created),
                _status(token, now),
                _last_use(token),
                token.used_from or "",
                token.id,
            )
            for token in tokens
        ),
    )


@app.command("show")
def show(
    name_or_id: NameArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one token: of a name the one that has it, of an ID any; never the token itself."""

    async def action() -> tuple[StoredToken, list[StoredToken], dict[str, str]]:
        async with opened(settings(data, config)) as program:
            who = caller("token show")
            token = await program.admin.show_token(who, name_or_id)
            view = await program.directory.view(who)
            return token, await program.admin.list_tokens(who), _names(view)

    token, tokens, names = run(action())
    now = datetime.now(UTC)
    older = [each for each in tokens if _still_works_beside(each, token, now)]
    if as_json:
        print_json({**_as_object(token), "predecessors": [_as_object(each) for each in older]})
        return
    holder = token.principal or ""
    rows = [
        ("name", token.name),
        ("id", token.id),
        ("principal", names.get(holder, f"{holder} (deleted)" if holder else "none")),
        ("role", token.role or "any that the principal has"),
        ("workspaces", ", ".join(token.workspaces)),
        ("token", f"…{token.hint}"),
        ("created", time_text(token.created)),
        ("status", _status(token, now)),
        ("last use", f"{_last_use(token)} {token.used_from or ''}".rstrip()),
        *(("took the place of", f"…{each.hint}, {_status(each, now)}") for each in older),
    ]
    for name, value in rows:
        typer.echo(f"{name + ':':<19}{clean(value)}")


@app.command("revoke")
def revoke(
    name_or_id: NameArgument,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a token out of force, at once and for good, and those whose place it took.

    By its ID one of these can be revoked alone.
    """

    async def action() -> "Revoked":
        async with opened(settings(data, config)) as program:
            return await program.admin.revoke_token(caller("token revoke"), name_or_id)

    done = run(action())
    token, older = done.value, done.predecessors
    if as_json:
        print_json({**_as_object(token), "predecessors": [_as_object(each) for each in older]})
        return
    typer.echo(f"Revoked {clean(token.name)} (ID {token.id}).")
    for each in older:
        typer.echo(f"Revoked the one whose place it took, …{each.hint} (ID {each.id}).")


async def _all(
    verb: str, data: Path | None, config: Path | None
) -> tuple[list[StoredToken], dict[str, str]]:
    """Return all tokens, and the names of principals by their IDs."""
    async with opened(settings(data, config)) as program:
        who = caller(verb)
        return await program.admin.list_tokens(who), _names(await program.directory.view(who))


def _names(directory: Directory) -> dict[str, str]:
    return {each.id: each.name for each in directory.objects("principal")}


def _still_works_beside(older: StoredToken, token: StoredToken, now: datetime) -> bool:
    return (
        (older.name, older.revoked, token.replaced) == (token.name, None, None)
        and older.replaced is not None
        and older.expires is not None
        and datetime.fromisoformat(older.expires) > now
    )


def _as_object(token: StoredToken) -> dict[str, object]:
    shown = {**asdict(token), "workspaces": list(token.workspaces)}
    del shown["identity"]
    return shown


def _last_use(token: StoredToken) -> str:
    return "never" if token.used is None else time_text(token.used)


def _status(token: StoredToken, now: datetime) -> str:
    if token.revoked is not None:
        return f"revoked {time_text(token.revoked)}"
    state = "in force" if token.replaced is None else "rotated, works"
    if token.expires is None:
        return state
    left = datetime.fromisoformat(token.expires) - now
    if left <= timedelta(0):
        ended = "expired" if token.replaced is None else "rotated, ended"
        return f"{ended} {time_text(token.expires)}"
    return f"{state} until {time_text(token.expires)}"
