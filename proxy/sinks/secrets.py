"""The secrets of sinks by their names: from the environment, from files, and from nowhere else.

A sink's options name a secret. Whoever may make sinks can so use any secret that was meant for
one, and have it sent to a far side of their choice; but no other file, and no key of ours: a name
has no dot and no slash. Files may be symbolic links, as container platforms mount them; whoever
may write into the directory of secrets can read what the server can anyway.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final

from proxy.config import SECRET_PATTERN, SECRET_PREFIX, Config, Secret
from proxy.errors import ConfigError

MAX_BYTES: Final = 65_536
"""Of a file that holds a secret."""


class NamedSecrets:
    """Gives the secret of a name; files are read at each call, so that a secret can be replaced.

    Args:
        config: says where they are.
    """

    def __init__(self, config: Config) -> None:
        self._values = config.named_secrets.values
        self._files = config.named_secrets.files
        self._directory = config.secrets_directory

    def __call__(self, name: str) -> Secret:
        """Return the secret.

        Raises:
            ConfigError: there is none, or it can't be read; says where it was looked for.
        """
        if not re.match(SECRET_PATTERN, name):
            raise ConfigError(
                f"{name!r} is no name of a secret: small letters, digits and '_', beginning with a "
                "letter"
            )
        if name in self._values:
            return self._values[name]
        path = self._files.get(name, self._directory / name)
        try:
            return _read(path, f"the secret {name}")
        except FileNotFoundError:
            variable = f"{SECRET_PREFIX}{name.upper()}"
            raise ConfigError(
                f"there is no secret {name}: put it into the file {path}, or set {variable}, or "
                f"{variable}_FILE to the path of a file that holds it"
            ) from None


def _read(path: Path, what: str) -> Secret:
    """Return what a file holds, without the end of its last line.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it can't be read, or it is no secret.
    """
    try:
        # A pipe or a device would keep whoever opens it waiting.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ConfigError(f"{what}: {path} is no file")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{what}: {path} can't be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{what}: {path} is longer than {MAX_BYTES} bytes: is it the right file?")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Not chained: the decoder's error carries the bytes.
        raise ConfigError(f"{what}: {path} is not a text file") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigError(f"{what}: {path} is empty")
    return Secret(text)
