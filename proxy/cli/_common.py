"""What all verbs share: the options, the opened program, who is calling, and the exit codes."""

import asyncio
import os
import pwd
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast
from uuid import uuid4

import typer
from typer.core import TyperGroup

from proxy.access import Caller, Principal, Role, printable, rights_of
from proxy.cli._output import clean
from proxy.errors import (
    ConfigError,
    ConflictError,
    EntryPrunedError,
    ForbiddenError,
    HaltedError,
    InvalidInputError,
    LockedError,
    MissingError,
    NotFoundError,
    SinkRejectedError,
    SinkUnavailableError,
    TfauditError,
    UnauthenticatedError,
    UnavailableError,
    VerificationError,
)

if TYPE_CHECKING:
    from proxy.config import Config
    from proxy.contracts import Draft
    from proxy.program import Program

T = TypeVar("T")

DONE: Final = 0
REFUSED: Final = 1
"""The answer is no: not found, refused, verification failed."""
UNKNOWN: Final = 2
"""Wrong usage, or it could not be told."""

BACKUP_CHECKPOINT: Final = "backup.checkpoint"
"""In a backup: the signed checkpoint of the copied log; what makes it known as a backup."""

_MAX_LOGIN: Final = 64

EXIT_CODES: Final[Mapping[type[TfauditError], int]] = {
    VerificationError: REFUSED,
    MissingError: REFUSED,
    NotFoundError: REFUSED,
    EntryPrunedError: REFUSED,
    ConflictError: REFUSED,
    LockedError: REFUSED,
    ForbiddenError: REFUSED,
    UnauthenticatedError: REFUSED,
    SinkRejectedError: REFUSED,
    InvalidInputError: UNKNOWN,
    ConfigError: UNKNOWN,
    UnavailableError: UNKNOWN,
    HaltedError: UNKNOWN,
    SinkUnavailableError: UNKNOWN,
    TfauditError: UNKNOWN,
}
"""The only table from error family to exit code; the nearest ancestor decides."""

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The data directory. Default: the configured one, else ./tfaudit-data.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration file (tfaudit.toml)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def exit_code(error: TfauditError) -> int:
    """Return the exit code of an error's family."""
    return next(EXIT_CODES[family] for family in type(error).__mro__ if family in EXIT_CODES)


class ReportingGroup(TyperGroup):
    """The root of the command line: turns failures into one line on stderr and an exit code."""

    def invoke(self, ctx: object) -> object:
        """Run the verb.

        Raises:
            typer.Exit: with the code of the error's family; 2 when the operating system refused.
        """
        try:
            return super().invoke(cast("typer.Context", ctx))
        except TfauditError as error:
            typer.echo("\n".join(map(clean, f"tfaudit: {error}".split("\n"))), err=True)
            raise typer.Exit(exit_code(error)) from error
        except BrokenPipeError:
            raise  # typer ends quietly when the reader of our output has gone
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            notice(f"tfaudit: {place}{error.strerror or error}")
            raise typer.Exit(UNKNOWN) from error


def notice(text: str) -> None:
    """Print one line for people to stderr."""
    typer.echo(clean(text.replace("\n", " ")), err=True)


def settings(
    data: Path | None, config: Path | None, overrides: Mapping[str, str] | None = None
) -> "Config":
    """Return the configuration of the file, the environment and the command line, the last first.

    Args:
        data: the option ``--data``.
        config: the option ``--config``.
        overrides: what other options say, by their names in the environment.

    Raises:
        ConfigError: names every mistake.
    """
    from proxy.config import load_config  # noqa: PLC0415 - quick start of the command line

    return load_config(config, {**os.environ, **(overrides or {})}, data=data)


@asynccontextmanager
async def opened(
    config: "Config",
    *,
    create: bool = False,
    is_recovery: bool = False,
    may_only_read: bool = False,
) -> "AsyncIterator[Program]":
    """Open the program on a data directory; a server may run beside it.

    Args:
        config: names the directory.
        create: make keys and database when there are none.
        is_recovery: the log is known not to be what it was, and is to go on all the same.
        may_only_read: give what is there also when the log must not grow, without an entry, which
            is told. Whoever asks puts nothing on record when the program has a ``refusal``. No
            state leaves so: that some was read is always on record before.

    Raises:
        ConfigError: there is no data directory, or it does not allow a start.
        UnavailableError: the store can't be opened.
    """
    if not create:
        require_directory(config)
    if is_backup(config.data.directory):
        raise ConfigError(
            f"{config.data.directory} is a backup: whatever was recorded there would contradict "
            "the log it was made of; put it to use with `tfaudit backup restore`"
        )
    from proxy.logs import quiet  # noqa: PLC0415
    from proxy.program import open_program  # noqa: PLC0415 - quick start of the command line
    from proxy.tfstate.policy import STANDARD  # noqa: PLC0415

    with quiet():
        async with open_program(
            config, create=create, is_recovery=is_recovery, may_only_read=may_only_read
        ) as program:
            if program.refusal:
                notice(
                    "NOT ON RECORD: this is read without an entry in the log, which must not grow."
                )
                notice(program.refusal)
            if not is_recovery and not create:
                for name, error in program.anchors.uncompared.items():
                    notice(f"The log could not be compared with the anchor {name}: {error}")
            asked = config.redaction.policy()
            if asked not in {program.policy, STANDARD}:
                notice(
                    "The [redaction] settings here are not in force, so those of the last start "
                    "are used: start the server with them."
                )
            yield program


async def put_on_record(program: "Program", entry: "Draft") -> int | None:
    """Commit the entry that tells of a reading; return its index, or None when none may be.

    Raises:
        UnavailableError: it could not be committed: nothing may be read.
    """
    if program.refusal:
        return None  # which was told when it was opened
    return (await program.store.write(lambda transaction: transaction.append(entry))).index


def require_directory(config: "Config") -> None:
    """Pass when there is a data directory: a mistyped name is no reason to speak of keys.

    Raises:
        ConfigError: there is none.
    """
    if not config.data.directory.is_dir():
        raise ConfigError(
            f"there is no data directory {config.data.directory}: name the right one with --data, "
            "or start `tfaudit serve` once, which makes it"
        )


def is_backup(directory: Path) -> bool:
    """Tell whether ``backup create`` made the directory."""
    return (directory / BACKUP_CHECKPOINT).exists()


def run(
    action: Coroutine[Any, Any, T],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run a verb's action to its end.

    Args:
        action: what to run.
        loop_factory: makes the event loop; by default Python's own.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(action)


def confirm(question: str) -> None:
    """Pass when the person at the terminal agrees.

    Raises:
        typer.Abort: the answer is no.
        InvalidInputError: there is nobody to answer.
    """
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise InvalidInputError(
            "nobody answered, so nothing was done: give --yes to go on without the question"
        ) from None
    if not agreed:
        raise typer.Abort


def caller(verb: str) -> Caller:
    """Return who is calling as the record tells it; whoever can open the data may do all.

    The ID holds the user that the process runs as, which the operating system vouches for. The
    name is the person's who logged in and perhaps became that user (``sudo``), and the address
    that of their SSH client: the environment's word, which its owner can change.

    Args:
        verb: the command, for example ``token create``.
    """
    from importlib.metadata import version  # noqa: PLC0415 - quick start of the command line

    user = _process_user()
    return Caller(
        principal=Principal("system", f"cli:{user}", _login_name() or user, rights_of(Role.ADMIN)),
        ip=_ssh_client(),
        request_id=uuid4().hex,
        via="cli",
        method=verb,
        path="",
        user_agent=f"tfaudit/{version('tfaudit')}",
    )


def _process_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        return f"uid {os.getuid()}"


def _login_name() -> str:
    """Return who logged in: as sudo says, else the login's own name; empty when nobody did."""
    name = os.environ.get("SUDO_USER", "")
    if not name:
        with suppress(OSError):  # no terminal: a service, a container, cron
            name = os.getlogin()
    return printable(name, _MAX_LOGIN)


def _ssh_client() -> str:
    """Return the address from which the person logged in by SSH; empty when at the machine."""
    session = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT") or ""
    address = session.partition(" ")[0]
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
