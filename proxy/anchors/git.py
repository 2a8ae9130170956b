"""Anchors in a git repository: a commit for each, which others pull, or which is pushed to them.

The git program does it, in a working tree. It never runs a hook, never asks for a password, and
commits nothing but its own files, whatever else is staged there.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy.anchors.files import add_file, in_thread, labels_in, text_in
from proxy.anchors.place import MAX_BYTES, Label, label_in
from proxy.errors import InvalidInputError, UnavailableError
from proxy.sinks._thread import OneThread

SECONDS: Final = 30.0
"""Until a git program that has not ended is killed."""
_SHOWN: Final = 200
_OURS: Final = ":(glob)*.checkpoint"
_SAFE: Final = (
    # Of whatever origin, a hook would run with the rights of the server.
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "commit.gpgSign=false"),
    *("-c", "core.quotePath=false"),
)
_ENVIRONMENT: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_KEPT: Final = frozenset({"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO"})


class GitPlace:
    """A directory in the working tree of a repository.

    Args:
        name: of the anchor.
        path: of the directory, which must be there.
        remote: where each commit is pushed to, as git names it; None pushes nothing.
        author: of the commits, ``Name <address>``.
    """

    def __init__(self, name: str, path: Path, remote: str | None, author: str) -> None:
        self.where = str(path) if remote is None else f"{path}, pushed to {remote}"
        # What was put before may not be committed or pushed.
        self.is_settled = False
        self._path = path
        self._remote = remote
        person, _, address = author.removesuffix(">").partition(" <")
        self._identity = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", person), ("EMAIL", address))
        }
        self._thread = OneThread(name)
        self._fetched = ""
        self._is_tree = False

    async def seen(self, size: int) -> list[Label]:  # noqa: ARG002 - one look shows them all
        """Return all in the working tree, and in the remote's branch; see ``Place``."""
        found = set(await in_thread(self._thread, lambda: labels_in(self._path)))
        await self._require_tree()
        if self._remote is not None:
            found |= await self._fetch(self._remote)
        return sorted(found, reverse=True)

    async def read(self, label: Label) -> str:
        """Return one of either; see ``Place``."""
        note = await in_thread(self._thread, lambda: text_in(self._path / label.name))
        if note is not None:
            return note
        content = await self._git("cat-file", "blob", f"{self._fetched}:./{label.name}")
        if len(content) > MAX_BYTES:
            raise InvalidInputError(f"{label.name} in {self._remote} holds no checkpoint")
        return content.decode("utf-8", "replace")

    async def put(self, label: Label, note: str) -> None:
        """Write the file, commit it with all that was left uncommitted, push; see ``Place``."""
        self.is_settled = False
        await in_thread(self._thread, lambda: add_file(self._path, label, note))
        others = await self._git("ls-files", "--others", "-z", "--", _OURS)
        added = await self._git(
            *("diff", "--cached", "--relative", "--name-only", "--diff-filter=A", "-z", "--", _OURS)
        )
        names = sorted({each.decode() for each in (others + added).split(b"\0") if each})
        if names:
            paths = [f":(literal){each}" for each in names]
            await self._git("add", "--force", "--", *paths)
            message = f"Checkpoint of {label.size} entries of {note.partition(chr(10))[0]}"
            await self._git(
                *("commit", "--quiet", "--no-verify", "--only", "--message", message, "--", *paths)
            )
        if self._remote is not None:
            branch = await self._branch()
            await self._far("push", "--quiet", "--no-verify", self._remote, f"HEAD:{branch}")
        self.is_settled = True

    async def aclose(self) -> None:
        """Let the thread end."""
        await self._thread.aclose(lambda: None)

    async def _require_tree(self) -> None:
        """Pass when something can be committed there.

        Raises:
            InvalidInputError: it is a bare repository, or the inside of one.
            UnavailableError: it is none, or git can't be run.
        """
        if not self._is_tree:
            said = await self._git("rev-parse", "--is-inside-work-tree")
            if said.strip() != b"true":
                raise InvalidInputError(
                    f"{self._path} is no working tree but a bare repository, in which nothing can "
                    'be committed: clone it, name the clone, and set remote = "origin"'
                )
            self._is_tree = True

    async def _fetch(self, remote: str) -> set[Label]:
        """Return what the remote's branch has in this directory."""
        branch = await self._branch()
        if not await self._far("ls-remote", "--", remote, branch):
            return set()  # it is pushed there for the first time
        await self._far("fetch", "--quiet", "--no-tags", "--", remote, branch)
        self._fetched = (await self._git("rev-parse", "FETCH_HEAD")).decode().strip()
        names = await self._git("ls-tree", "--name-only", "-z", self._fetched, "--", "./")
        labels = (label_in(each.decode("utf-8", "replace")) for each in names.split(b"\0"))
        return {each for each in labels if each is not None}

    async def _branch(self) -> str:
        """Return the full name of the branch that the working tree is on."""
        try:
            return (await self._git("symbolic-ref", "--quiet", "HEAD")).decode().strip()
        except UnavailableError as error:
            raise UnavailableError(
                f"{self._path} is on no branch that could be pushed: check one out"
            ) from error

    async def _far(self, *arguments: str) -> bytes:
        """Run git for something that another machine has a part in, whose words may hold secrets.

        Raises:
            UnavailableError: it did not do it.
        """
        status, output, _ = await self._run(arguments)
        if status:
            raise UnavailableError(
                f"git {arguments[0]} of {self._remote} ended with {status}: run it in {self._path} "
                "as the server's user to see why"
            )
        return output

    async def _git(self, *arguments: str) -> bytes:
        """Run git for something in the repository alone; return what it prints.

        Raises:
            UnavailableError: it did not do it.
        """
        status, output, error = await self._run(arguments)
        if status:
            lines = error.decode("utf-8", "replace").strip().splitlines() or ["it says nothing"]
            said = "".join(filter(str.isprintable, lines[0]))[:_SHOWN]
            raise UnavailableError(
                f"git {arguments[0]} in {self._path} ended with {status}: {said}"
            )
        return output

    async def _run(self, arguments: Sequence[str]) -> tuple[int, bytes, bytes]:
        try:
            process = await asyncio.create_subprocess_exec(
                *("git", *_SAFE, *arguments),
                cwd=self._path,
                env=_environment() | self._identity,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Of its own: ssh finds no terminal to ask at, and Ctrl-C ends the server alone.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            missing = "there is no program git: install it"
            if not self._path.is_dir():
                missing = f"there is no directory {self._path}: make it, or mount what should be"
            raise UnavailableError(missing) from error
        except OSError as error:
            raise UnavailableError(f"git can't be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(SECONDS):
                output, said = await process.communicate()
        except TimeoutError as error:
            raise UnavailableError(
                f"git {arguments[0]} in {self._path} did not end within {SECONDS:g} s"
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode or 0, output, said


def _environment() -> dict[str, str]:
    """Return what git may know of ours: no secret, and no other repository than the one named."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "TFAUDIT_")) or name in _KEPT
    } | _ENVIRONMENT
