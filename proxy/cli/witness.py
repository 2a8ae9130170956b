"""``tfaudit witness``: vouches for logs of others, for a second team or account."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.cli._common import YesOption, confirm, notice, run
from proxy.errors import ConfigError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.tlog.cosignature import Cosigner
    from proxy.tlog.note import NoteVerifier
    from proxy.witness.ledger import Ledger

app = typer.Typer(
    no_args_is_help=True,
    help="Be a witness: vouch for the logs of others that they only grew. Run it where those who "
    "run the log have no access.",
)

_LEDGER: Final = "witness.db"

_DirectoryOption = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", help="The directory of the witness's key and memory."),
]
_NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The witness's name, such as witness.example.com/1. Only the first start needs it.",
        show_default=False,
    ),
]


@app.command("key")
def key(data: _DirectoryOption = Path("tfaudit-witness"), name: _NameOption = None) -> None:
    """Print the witness's public key, for the logs that ask it; make it on the first start."""
    typer.echo(_cosigner(data, name).verifier.vkey)


@app.command("serve")
def serve(
    *,
    log: Annotated[
        list[str],
        typer.Option(
            "--log",
            metavar="FILE|VKEY",
            help="The checkpoint key of a log to watch, as [bold]tfaudit key show[/] prints it, or "
            "a file from [bold]tfaudit key export-public --json[/], which has all keys of a log. "
            "Again for each further log, and for a newer key after the former one.",
        ),
    ],
    data: _DirectoryOption = Path("tfaudit-witness"),
    name: _NameOption = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="The port to listen on.")
    ] = 8930,
) -> None:
    """Answer POST /add-checkpoint until stopped by SIGTERM or Ctrl-C (C2SP tlog-witness).

    A checkpoint is cosigned only if it follows from the last one that this witness cosigned of the
    log. So a log that was forked, cut or set back to a backup gets no cosignature any more.
    """
    cosigner = _cosigner(data, name)
    logs = _logs(log)
    from proxy.config import LogConfig  # noqa: PLC0415 - quick start of the command line
    from proxy.logs import configure_logging  # noqa: PLC0415
    from proxy.witness.ledger import Ledger  # noqa: PLC0415

    configure_logging(LogConfig())
    ledger = Ledger(data / _LEDGER)
    try:
        run(_serve(cosigner, logs, ledger, host, port))
    finally:
        ledger.close()


@app.command("forget")
def forget(
    *,
    origin: Annotated[
        str,
        typer.Argument(
            metavar="ORIGIN", help="The log's name, the first line of each of its checkpoints."
        ),
    ],
    yes: YesOption = False,
    data: _DirectoryOption = Path("tfaudit-witness"),
) -> None:
    """Forget what this witness knows of a log, so that it may begin anew.

    For a log whose newest entries were lost for good, and whose loss is on record there (tfaudit
    log recover): until then its witnesses are right to refuse it. Whatever the log shows next is
    cosigned. The checkpoint that is forgotten is printed, and kept beside: it proves what the log
    once was. A witness may run meanwhile.
    """
    import time  # noqa: PLC0415 - quick start of the command line

    from proxy.witness.ledger import Ledger  # noqa: PLC0415

    if not (data / _LEDGER).is_file():
        raise InvalidInputError(
            f"{data} holds no witness that cosigned anything: name it with --data"
        )
    ledger = Ledger(data / _LEDGER)
    try:
        note = ledger.note(origin)
        if note is None:
            known = ", ".join(ledger.origins()) or "nothing"
            raise NotFoundError(f"this witness cosigned no log {origin!r}, but {known}")
        if not yes:
            size = note.split("\n")[1]
            confirm(
                f"Forget the checkpoint of {size} entries of {origin}? This witness then cosigns "
                "whatever the log shows next, also a fork of what it was."
            )
        if not ledger.forget(origin, int(time.time())):
            raise NotFoundError(f"{origin} was forgotten by another command meanwhile")
    finally:
        ledger.close()
    typer.echo(note, nl=False)
    notice(f"Forgotten. Keep the checkpoint above: it proves what {origin} once was.")


def _cosigner(data: Path, name: str | None) -> "Cosigner":
    from proxy.keys import open_witness_key  # noqa: PLC0415 - quick start of the command line

    return open_witness_key(data, name, is_known=(data / _LEDGER).exists())


def _logs(given: list[str]) -> "Mapping[str, Sequence[NoteVerifier]]":
    """Return the checkpoint keys of each log, in the order in which it had them."""
    from proxy.cli._verification import parse_keys  # noqa: PLC0415 - quick start

    logs: dict[str, dict[str, NoteVerifier]] = {}
    for each in given:
        try:
            _, verifiers = parse_keys([each])
        except InvalidInputError as error:
            raise InvalidInputError(f"--log {each[:100]!r}: {error}") from error
        # A file begins with the key in force, and has it again at its place among all.
        for verifier in verifiers:
            log = logs.setdefault(verifier.name, {})
            log.pop(verifier.vkey, None)
            log[verifier.vkey] = verifier
    return {origin: list(log.values()) for origin, log in logs.items()}


async def _serve(
    cosigner: "Cosigner",
    logs: "Mapping[str, Sequence[NoteVerifier]]",
    ledger: "Ledger",
    host: str,
    port: int,
) -> None:
    import asyncio  # noqa: PLC0415 - quick start of the command line
    import signal  # noqa: PLC0415
    import time  # noqa: PLC0415

    from aiohttp import web  # noqa: PLC0415

    from proxy.witness.server import WitnessServer  # noqa: PLC0415

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = WitnessServer(cosigner, logs, ledger, lambda: int(time.time()))
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"{host}:{port} can't be listened on: {error.strerror}; name another with --host "
                "and --port"
            ) from error
        address = runner.addresses[0]
        notice(f"Witness {cosigner.verifier.vkey} on http://{address[0]}:{address[1]}")
        for origin in logs:
            notice(f"Watching {origin}")
        await stop.wait()
    finally:
        await runner.cleanup()
