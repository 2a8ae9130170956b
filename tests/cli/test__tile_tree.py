"""Tests of exported tiles: whole files, brought up to date, never those of another log."""

import shutil
import stat
from pathlib import Path

import pytest

from proxy.cli import _tile_tree
from proxy.cli._tile_tree import DirectorySource, read_file, require_room
from proxy.errors import InvalidInputError, MissingError, UnavailableError
from proxy.tlog.tiles import Bundle, Tile, bundles_of, tiles_of, unpack_entries
from tests.cli.tile_logs import ENTRIES, Log, a_log, grow, tfaudit


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return a log and its tiles; no test may change them."""
    return a_log(tmp_path_factory.mktemp("log"))


def files(directory: Path) -> set[str]:
    """Return the paths of all files."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def test_an_export_has_all_files_and_no_other(log: Log) -> None:
    """Of its size; those that only its owner may read."""
    size = ENTRIES + 1  # and the entry of the export
    expected = {tile.path for tile in tiles_of(size)}
    expected |= {bundle.path for bundle in bundles_of(size)}
    assert expected | {"checkpoint"} == files(log.old)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in log.old.rglob("*")}
    assert {0o600, 0o700} == modes
    assert f"\n{size}\n" in (log.old / "checkpoint").read_text()


def test_an_export_is_brought_up_to_date(log: Log, tmp_path: Path) -> None:
    """Full files stay untouched, partial ones until the full one is there; what is new comes."""
    new = log.copy(tmp_path).new
    before = {path: (new / path).stat().st_mtime_ns for path in files(new)}
    assert "tile/0/003.p/34" in files(new)
    assert "tile/0/002.p/89" not in files(new), "the full one has taken its place"
    grow(tmp_path / "data", 5)
    tfaudit("export", "--format", "tiles", "-o", new, "--data", tmp_path / "data")
    after = {path: (new / path).stat().st_mtime_ns for path in files(new)}
    assert {"checkpoint"} == {path for path in before if before[path] != after.get(path)}
    assert {"tile/0/003.p/40", "tile/entries/003.p/40"} == set(after) - set(before)


def test_an_export_that_broke_off_is_finished(log: Log, tmp_path: Path) -> None:
    """Without a checkpoint nobody took it for whole; what was written is not written again."""
    copy = log.copy(tmp_path)
    (copy.new / "checkpoint").unlink()
    shutil.rmtree(copy.new / "tile" / "entries")
    (copy.new / "tile" / "1" / "000.p" / "3").unlink()
    tfaudit("export", "--format", "tiles", "-o", copy.new, "--data", copy.data)
    tfaudit("verify", copy.new, "--key", copy.keys)


def test_the_checkpoint_comes_last_and_no_half_file_is_left(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the disk is full, whoever reads finds the log as it was before."""
    copy = log.copy(tmp_path)
    grow(copy.data, 300)
    kept = (copy.new / "checkpoint").read_bytes()
    replace = Path.replace
    left = 3

    def fails(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0 and self.name.startswith(".new-"):
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    tfaudit("export", "--format", "tiles", "-o", copy.new, "--data", copy.data, code=2)
    monkeypatch.undo()
    assert kept == (copy.new / "checkpoint").read_bytes()
    assert [] == [name for name in files(copy.new) if ".new-" in name]
    tfaudit("verify", copy.new, "--key", copy.keys)
    tfaudit("export", "--format", "tiles", "-o", copy.new, "--data", copy.data)
    tfaudit("verify", copy.new, "--key", copy.keys)


def test_another_log_is_not_written_over(log: Log, tmp_path: Path) -> None:
    """Nor the same one when it was put back: that directory is the proof."""
    copy = log.copy(tmp_path)
    other = tmp_path / "other"
    grow(other, 10)
    said = tfaudit("export", "--format", "tiles", "-o", copy.new, "--data", other, code=1).stderr
    assert "not a checkpoint of this log's past" in said
    (copy.new / "checkpoint").write_text("nonsense")
    tfaudit("export", "--format", "tiles", "-o", copy.new, "--data", copy.data, code=1)


def test_a_directory_with_something_else_is_left_alone(log: Log, tmp_path: Path) -> None:
    """A mistyped name fills nobody's home with tiles."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match=r"notes\.txt"):
        require_room(tmp_path)
    tfaudit("export", "--format", "tiles", "-o", tmp_path, "--data", log.data, code=2)
    for wrong in (["--actor", "x"], ["--checkpoint-out", "y"], []):
        args = ["-o", tmp_path / "new"] if wrong else []
        tfaudit("export", "--format", "tiles", *args, *wrong, "--data", log.data, code=2)


async def test_a_partial_tile_that_is_gone_is_read_from_the_full_one(log: Log) -> None:
    """It may be deleted once the full one is there."""
    source = DirectorySource(log.new)
    full = await source.read("tile/0/002")
    assert full[: 32 * 89] == await read_file(source, Tile(0, 2, 89))
    packed = await read_file(source, Bundle(2, 89))
    assert 89 == len(unpack_entries(Bundle(2, 89), packed))
    for missing in (Tile(0, 9, 5), Tile(0, 9), Bundle(9, 5)):
        with pytest.raises(MissingError, match="is missing"):
            await read_file(source, missing)


async def test_a_file_without_end_is_not_read(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be a file of a log, or can't be read, is neither missing nor true."""
    monkeypatch.setattr(_tile_tree, "MAX_FILE", 100)
    with pytest.raises(UnavailableError, match="longer than any"):
        await DirectorySource(log.new).read("checkpoint")
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(UnavailableError, match="can't be read"):
        await DirectorySource(tmp_path).read("checkpoint")
