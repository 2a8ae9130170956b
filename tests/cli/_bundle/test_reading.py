"""Tests that archives which were made to do harm are refused by both programs."""

import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli._bundle.bundles import Sample, Verifiers, bytes_of_zip, pack


def _link(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("keys.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def _twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("manifest.json", b"{}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, of a second file of the name
        archive.writestr("manifest.json", b"{}")


def _named(name: str) -> Callable[[zipfile.ZipFile], None]:
    return lambda archive: archive.writestr(name, b"{}")


HOSTILE: dict[str, Callable[[zipfile.ZipFile], None]] = {
    "a way up": _named("../manifest.json"),
    "a way up inside": _named("documents/../../manifest.json"),
    "an absolute path": _named("/etc/passwd"),
    "another system's path": _named("documents\\..\\1.json"),
    "a file of another name": _named("setup.py"),
    "a document without a number": _named("documents/one.json"),
    "a directory": _named("documents/"),
    "a link": _link,
    "two of one name": _twice,
    "a bomb": lambda archive: archive.writestr("entries.jsonl", bytes(20_000_000)),
}


@pytest.mark.parametrize("build", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(
    both: Verifiers, tmp_path: Path, build: Callable[[zipfile.ZipFile], None]
) -> None:
    """Before anything in them is looked at."""
    (tmp_path / "hostile.zip").write_bytes(bytes_of_zip(build))
    both.refuse(tmp_path / "hostile.zip")
    assert ["hostile.zip"] == [each.name for each in tmp_path.iterdir()]


def test_a_true_bundle_with_a_guest_is_refused(sample: Sample, both: Verifiers) -> None:
    """Whatever else lies in it: somebody may take it for a part of the bundle."""
    both.refuse({**sample.whole, "invoice.pdf": b"pay"}, "invoice.pdf")


def test_a_link_in_a_directory_is_refused(sample: Sample, both: Verifiers, tmp_path: Path) -> None:
    """It would be another file for whoever looks next."""
    for name, each in sample.whole.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each)
    entries = tmp_path / "unpacked" / "entries.jsonl"
    entries.rename(tmp_path / "elsewhere")
    entries.symlink_to(tmp_path / "elsewhere")
    both.refuse(tmp_path / "unpacked", "entries.jsonl")


@pytest.mark.parametrize("at", [10, 4000, -40])
def test_a_damaged_archive_is_refused(
    sample: Sample, both: Verifiers, tmp_path: Path, at: int
) -> None:
    """One that was cut, or in which bytes are others."""
    whole = pack(sample.whole, tmp_path / "whole.zip").read_bytes()
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(whole[:at])
    both.refuse(damaged)


def test_a_long_line_is_not_read_whole(sample: Sample, both: Verifiers) -> None:
    """Without an end it would fill the memory."""
    line = b'{"index":230,"entry":{"a":"' + bytes(range(32, 127)) * 9000
    both.refuse({**sample.whole, "entries.jsonl": line})
