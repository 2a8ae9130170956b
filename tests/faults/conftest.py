"""Fixtures: a real server in a folder, and a small file system of its own to break."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.e2e.server import Server


@dataclass(frozen=True)
class SmallDisk:
    """A mounted tmpfs.

    Attributes:
        path: where it is mounted.
    """

    path: Path

    def remount(self, options: str) -> None:
        """Change its options, for example ``ro`` or ``size=8m``."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.path], check=True)

    def fill(self) -> Path:
        """Take every free byte; return the file that does."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue
        return filler


def _may_mount() -> bool:
    """Tell whether this process may mount: also root may not in most containers."""
    probe = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return os.geteuid() == 0 and probe.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a tmpfs of 6 MiB; needs root and the right to mount."""
    if not _may_mount():
        missing("a small disk needs root and the right to mount a tmpfs (CAP_SYS_ADMIN)")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", path], check=True)
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


MakeServer = Callable[[Path], Server]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Describe servers that are killed at the end, if they still run."""
    made: list[Server] = []

    def make(data: Path) -> Server:
        made.append(Server(data))
        return made[-1]

    yield make
    for server in made:
        server.kill()
