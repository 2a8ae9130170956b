"""Bundles to be changed, and the two programs that must find each change."""

import io
import json
import sys
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._bundle import verify
from proxy.cli._bundle.checking import check_bundle
from proxy.cli._common import run, settings
from proxy.cli._verification import keys_by_id, parse_keys
from proxy.contracts import Transaction
from proxy.errors import VerificationError
from proxy.program import open_program
from tests.cli.tile_logs import tfaudit
from tests.samples import a_draft

Content = dict[str, bytes]
Job = Callable[[Transaction], object]

DOCUMENT = b'{"items":["' + b"a change like any other, " * 100 + b'"]}'
FIRST = 230
LAST = 289
AT_DOCUMENT = 240


@dataclass(frozen=True, slots=True)
class Sample:
    """A log with bundles of it.

    Attributes:
        data: the data directory.
        keys: file with the public keys.
        kept: a checkpoint of its first 20 entries.
        whole: content of the bundle of entries FIRST to LAST.
        chosen: content of a bundle of all that bob did.
    """

    data: Path
    keys: Path
    kept: Path
    whole: Content
    chosen: Content


def commit(data: Path, *jobs: Job) -> None:
    """Commit jobs one after the other."""

    async def work() -> None:
        async with open_program(settings(data, None), create=True) as program:
            for job in jobs:
                await program.store.write(job)

    run(work())


def appends(numbers: Iterable[int]) -> Job:
    """Return a job that appends entries: every seventh by bob, one with a change document."""

    def job(tx: Transaction) -> None:
        for number in numbers:
            draft = a_draft(f"number {number}")
            entry, document = dict(draft.entry), None
            if number % 7 == 0:
                entry["actor"] = {"type": "user", "id": "id-of-bob", "name": "bob"}
            if number == AT_DOCUMENT:
                document = DOCUMENT
                entry["changes"] = {"omitted": 1, "sha256": sha256(document).hexdigest()}
            tx.append(draft._replace(entry=entry, document=document))

    return job


def checkpoint(data: Path) -> str:
    """Return the newest checkpoint."""
    found: list[str] = []

    async def work() -> None:
        async with open_program(settings(data, None), create=False) as program:
            found.append(await program.store.checkpoint())

    run(work())
    return found[0]


def a_sample(directory: Path) -> Sample:
    """Make the log and its bundles."""
    data, keys, kept = (directory / name for name in ("data", "keys.json", "kept"))
    commit(data, appends(range(20)))
    kept.write_text(checkpoint(data))
    commit(data, appends(range(20, 25)), appends(range(25, 300)))
    keys.write_text(tfaudit("key", "show", "--json", "--data", data).stdout)
    whole, chosen = directory / "whole.zip", directory / "chosen.zip"
    since = ("--since-checkpoint", kept)
    export(data, whole, "--from", FIRST, "--to", LAST, *since)
    export(data, chosen, "--actor", "bob")
    return Sample(data, keys, kept, content(whole), content(chosen))


def export(data: Path, to: Path, *args: object, code: int = 0) -> str:
    """Export a bundle and return what is told."""
    return tfaudit(
        "export", "--format", "bundle", "-o", to, "--data", data, *args, code=code
    ).output


def content(path: Path) -> Content:
    """Return a bundle's files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(files: Content, path: Path) -> Path:
    """Write an archive of files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return path


def lines(files: Content, name: str = "entries.jsonl") -> list[bytes]:
    """Return the lines of a file."""
    return files[name].splitlines(keepends=True)


def with_lines(files: Content, name: str, new: Iterable[bytes]) -> Content:
    """Return the files with other lines in one of them."""
    return {**files, name: b"".join(new)}


def with_json(files: Content, name: str, change: Callable[[Any], object]) -> Content:
    """Return the files with one changed that holds JSON."""
    value = json.loads(files[name])
    change(value)
    return {**files, name: json.dumps(value).encode()}


def encoded(raw: bytes) -> str:
    """Return base64."""
    return b64encode(raw).decode()


class Verifiers:
    """Asks both programs about a bundle, with keys from outside it."""

    def __init__(
        self,
        keys: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
    ) -> None:
        self._keys = keys
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._tmp_path = tmp_path

    def theirs(self, path: Path, *options: object, key: object = None) -> tuple[int, str]:
        """Return exit code and text of ``verify.py``."""
        command = ["verify.py", str(path), "--key", str(key or self._keys), *map(str, options)]
        self._monkeypatch.setattr(sys, "argv", command)
        code = verify.main()
        return code, self._capsys.readouterr().out

    def ask(
        self, path: Path, key: object = None, since: Path | None = None
    ) -> list[tuple[int, str]]:
        """Return exit code and text of ``verify.py``, and of what ``tfaudit verify`` asks."""
        trusted = str(key or self._keys)
        theirs = self.theirs(path, *(["--since", since] if since else []), key=key)
        return [theirs, self._tfaudit(path, trusted, [since.read_text()] if since else [])]

    def _tfaudit(self, path: Path, key: str, since: list[str]) -> tuple[int, str]:
        """Ask what ``tfaudit verify`` asks, without the time that a command line takes to start."""
        entry, checkpoints = parse_keys([key])
        told: list[str] = []
        try:
            proved = check_bundle(
                path, keys_by_id(entry), checkpoints, since, lambda: told.append("")
            )
        except VerificationError as error:
            place = "" if error.index is None else f" First bad index: {error.index}."
            return 1, f"{error}{place}"
        assert len(told) == proved.entries
        return (0 if proved.is_kept_proved else 2), repr(proved)

    def accept(
        self, files: Content | Path, key: object = None, since: Path | None = None
    ) -> list[str]:
        """See that both say yes, and return what they say."""
        answers = self.ask(self._path(files), key, since)
        assert [0, 0] == [code for code, _ in answers], answers
        return [text for _, text in answers]

    def refuse(self, files: Content | Path, *texts: str, key: object = None) -> None:
        """See that both say no, each naming all of these."""
        answers = self.ask(self._path(files), key=key)
        assert [1, 1] == [code for code, _ in answers], answers
        for _, told in answers:
            assert "Traceback" not in told
            assert "made by hand" not in told or not texts
            for text in texts:
                assert text in told

    def _path(self, files: Content | Path) -> Path:
        return files if isinstance(files, Path) else pack(files, self._tmp_path / "changed.zip")


def bytes_of_zip(build: Callable[[zipfile.ZipFile], None]) -> bytes:
    """Return an archive that a function fills."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        build(archive)
    return buffer.getvalue()
