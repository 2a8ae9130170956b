"""The file that a server holds as long as it runs: no other runs beside it, and who looks knows.

In it stands, once a server signs nothing on, why: the command line beside it must not either.
"""

import os
import time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from typing import IO, Final

from proxy.config import Config
from proxy.errors import ConfigError

_FILE: Final = "server.lock"
_LOOKS: Final = 2
_LOOK_SECONDS: Final = 0.02


def only_server(config: Config) -> IO[str]:
    """Hold the data directory for one server; the command line may write beside it.

    Raises:
        ConfigError: another server holds it.
    """
    path = config.data.directory / _FILE
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w")
        os.fchmod(file.fileno(), 0o600)
    except OSError as error:
        raise ConfigError(
            f"the data directory {config.data.directory} can't be written: {error.strerror}"
        ) from error
    try:
        _lock(file)
    except OSError as error:
        file.close()
        raise ConfigError(
            f"another server is running on {config.data.directory}: stop it, or name another "
            "directory with --data"
        ) from error
    file.truncate(0)
    return file


def _lock(file: IO[str]) -> None:
    """Take the lock of the only server; whoever only looks at it holds it for a moment.

    Raises:
        OSError: another server holds it.
    """
    for _ in range(_LOOKS):
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError:
            time.sleep(_LOOK_SECONDS)
        else:
            return
    flock(file, LOCK_EX | LOCK_NB)


def is_served(directory: Path) -> bool:
    """Tell whether a server runs on a data directory now: it alone forwards events."""
    try:
        with (directory / _FILE).open("rb") as file:
            flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # there never was one
        return False
    return False


def tell_halted(held: IO[str], reason: str) -> None:
    """Let whoever works beside the server know that it signs nothing on.

    Args:
        held: what ``only_server`` returned.
        reason: why.
    """
    held.truncate(0)
    held.seek(0)
    held.write(reason)
    held.flush()


def halted(directory: Path) -> str:
    """Return why the server that runs on a data directory signs nothing on; empty if it does."""
    return (directory / _FILE).read_text("utf-8") if is_served(directory) else ""
