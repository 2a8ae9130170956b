"""Files that are there as a whole or not at all, also after a power cut."""

import os
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a file in the place of another in one step; on the disk when this returns.

    Args:
        path: of the file.
        text: that it then holds.
        mode: who may read and write it.

    Raises:
        OSError: it can't be written; the old one is still there.
    """
    # A name of its own: another process may replace the file at the same moment.
    handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except OSError:
        Path(fresh).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
