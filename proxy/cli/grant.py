"""``tfaudit grant``: who may do what where."""

from typing import Annotated, Any

import typer

from proxy.access import Role
from proxy.cli._common import ConfigOption, DataOption, JsonOption
from proxy.cli._objects import Place, given

app = typer.Typer(no_args_is_help=True, help="Grant roles on workspaces, or deny them.")

_KIND = "grant"
_ROLES = ", ".join(Role)
_Name = Annotated[str, typer.Argument(metavar="NAME|ID")]
_Principal = Annotated[
    str | None, typer.Option("--principal", metavar="NAME", help="To whom; else --issuer.")
]
_Issuer = Annotated[
    str | None,
    typer.Option("--issuer", metavar="NAME", help="To identities of this issuer, with --when."),
]
_When = Annotated[
    str | None,
    typer.Option(
        "--when",
        metavar="RULE",
        help="What the identity's claims must meet: "
        """'repository == "acme/infra" and ref == "refs/heads/main"'.""",
    ),
]
_Deny = Annotated[
    bool | None,
    typer.Option("--deny/--allow", help="Take the role's permissions away; a denial wins."),
]
_Sensitive = Annotated[
    bool | None,
    typer.Option(
        "--sensitive-outputs/--no-sensitive-outputs",
        help="An outputs-reader also gets the outputs that are marked as sensitive.",
    ),
]


@app.command("list")
def list_grants(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all grants, by name."""
    Place(data, config, as_json=as_json).show_all(
        _KIND, ("name", "role", "workspaces", "deny", "principal", "issuer", "when")
    )


@app.command("show")
def show(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one grant."""
    Place(data, config, as_json=as_json).show_one(_KIND, name)


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="For the record.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help=f"One of {_ROLES}.")],
    workspaces: Annotated[
        list[str],
        typer.Option(
            "--workspace", metavar="GLOB", help="Where; * matches / too. Give it again for more."
        ),
    ],
    principal: _Principal = None,
    issuer: _Issuer = None,
    when: _When = None,
    deny: _Deny = None,
    sensitive_outputs: _Sensitive = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a role on workspaces to a principal, or to identities of an issuer; or deny it."""
    fields = {
        "role": role,
        "workspaces": workspaces,
        "principal": principal,
        "issuer": issuer,
        "when": when,
        "deny": deny,
        "sensitive_outputs": sensitive_outputs,
    }
    Place(data, config, as_json=as_json).create(_KIND, name, fields)


@app.command("update")
def update(
    *,
    name: _Name,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help=f"One of {_ROLES}.")
    ] = None,
    workspaces: Annotated[
        list[str] | None,
        typer.Option("--workspace", metavar="GLOB", help="Instead of those there are."),
    ] = None,
    principal: _Principal = None,
    issuer: _Issuer = None,
    when: _When = None,
    deny: _Deny = None,
    sensitive_outputs: _Sensitive = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; the rest stays. In force from the next request on."""
    changes: dict[str, Any] = given(
        {
            "role": role,
            "workspaces": workspaces or None,
            "principal": principal,
            "issuer": issuer,
            "when": when,
            "deny": deny,
            "sensitive_outputs": sensitive_outputs,
        }
    )
    # A grant is for one or the other: who names one means it instead of the other.
    if principal is not None and issuer is None:
        changes |= {"issuer": None, "when": when}
    elif issuer is not None and principal is None:
        changes["principal"] = None
    Place(data, config, as_json=as_json).update(_KIND, name, changes)


@app.command("delete")
def delete(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take a grant away, from the next request on."""
    Place(data, config, as_json=as_json).delete(_KIND, name)
