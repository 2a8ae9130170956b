"""Opens files that anybody may have put there: never a pipe or a device, on which reading waits."""

import os
import stat
from io import BufferedReader
from pathlib import Path

from proxy.errors import InvalidInputError


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read it, when it is one.

    Raises:
        InvalidInputError: it is something else: a pipe, a socket, a device or a directory.
        OSError: it can't be read.
    """
    # Without O_NONBLOCK the opening of a pipe itself would wait for whoever writes to it.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise InvalidInputError(f"{path} is no regular file: name a file with its content")
    return os.fdopen(number, "rb")
