"""``tfaudit issuer``: the CI systems and other providers whose identity tokens are believed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli._common import (
    REFUSED,
    ConfigOption,
    DataOption,
    JsonOption,
    caller,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._objects import Place, emptied, given
from proxy.cli._output import clean, print_json, print_table

if TYPE_CHECKING:
    from proxy.config import Config

app = typer.Typer(no_args_is_help=True, help="Believe the identity tokens of CI systems.")

_KIND = "issuer"
_Name = Annotated[str, typer.Argument(metavar="NAME|ID")]
_Algorithms = Annotated[
    list[str] | None,
    typer.Option(
        "--algorithm", metavar="ALG", help="That may sign. Default: RS256 and ES256. Repeatable."
    ),
]
_Claims = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        metavar="NAME",
        help="A claim to put on record beside those that tell of a run. Give it again for more; "
        "'' takes all away.",
    ),
]
_Session = Annotated[
    int | None,
    typer.Option(
        "--session-minutes",
        metavar="N",
        help="Let an identity token be exchanged for one of ours that lives so long; 0: not.",
    ),
]
_Description = Annotated[str | None, typer.Option("--description", help="For people.")]


@app.command("list")
def list_issuers(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all issuers, by name."""
    Place(data, config, as_json=as_json).show_all(_KIND, ("name", "url", "audience", "description"))


@app.command("show")
def show(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show one issuer."""
    Place(data, config, as_json=as_json).show_one(_KIND, name)


@app.command("create")
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Grants refer to it.")],
    url: Annotated[
        str,
        typer.Option(
            "--url",
            metavar="URL",
            help="The iss claim: https://token.actions.githubusercontent.com",
        ),
    ],
    audience: Annotated[
        list[str],
        typer.Option("--audience", metavar="AUD", help="The aud claim that means this server."),
    ],
    algorithms: _Algorithms = None,
    claims: _Claims = None,
    session_minutes: _Session = None,
    description: _Description = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Believe an issuer. Its identities may do nothing before a grant says so."""
    fields = {
        "url": url,
        "audience": audience,
        "algorithms": emptied(algorithms),
        "claims": emptied(claims),
        "session_minutes": session_minutes,
        "description": description,
    }
    Place(data, config, as_json=as_json).create(_KIND, name, fields)


@app.command("update")
def update(
    *,
    name: _Name,
    url: Annotated[str | None, typer.Option("--url", metavar="URL")] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option("--audience", metavar="AUD", help="Instead of those there are."),
    ] = None,
    algorithms: _Algorithms = None,
    claims: _Claims = None,
    session_minutes: _Session = None,
    description: _Description = None,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is given; the rest stays. In force from the next request on."""
    fields = {
        "url": url,
        "audience": audience or None,
        "algorithms": emptied(algorithms),
        "claims": emptied(claims),
        "session_minutes": session_minutes,
        "description": description,
    }
    Place(data, config, as_json=as_json).update(_KIND, name, given(fields))


@app.command("delete")
def delete(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Stop believing an issuer for whose identities there is no grant any more."""
    Place(data, config, as_json=as_json).delete(_KIND, name)


@app.command("test")
def try_keys(
    name: _Name, data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Ask an issuer for its keys, as the server does, and say what was found.

    Exit code 0: it can be believed. 1: it has no key for the algorithms it is known for. 2: it
    could not be asked.
    """
    found = run(_ask(settings(data, config), name))
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found['url']} publishes its keys at {clean(found['jwks_uri'])}")
        print_table(
            ("KEY", "TYPE", "ALGORITHMS"),
            (
                (clean(key["id"] or "(none)"), key["type"], ", ".join(key["algorithms"]) or "none")
                for key in found["keys"]
            ),
        )
    if not any(key["algorithms"] for key in found["keys"]):
        notice("None of its keys is for an algorithm that the issuer is known for.")
        raise typer.Exit(REFUSED)


async def _ask(config: "Config", name: str) -> dict[str, Any]:
    """Return what an issuer publishes."""
    from proxy.auth.discovery import Discovery  # noqa: PLC0415 - nobody else waits for its import
    from proxy.directory import Directory  # noqa: PLC0415 - this neither

    async with opened(config) as program, Discovery(config.auth.issuer_ca) as discovery:
        record = Directory.issuer_record(
            await program.directory.show(caller("issuer test"), _KIND, name)
        )
        published = await discovery.ask(record.url)
    keys = [
        {
            "id": key.id,
            "type": " ".join(filter(None, key.kind)),
            "algorithms": [each for each in record.algorithms if key.fits(each)],
        }
        for key in published.keys.keys
    ]
    return {"name": record.name, "url": record.url, "jwks_uri": published.jwks_uri, "keys": keys}
