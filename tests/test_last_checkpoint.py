"""Tests of proxy.last_checkpoint."""

from pathlib import Path

import pytest

from proxy.contracts import Store
from proxy.errors import ConfigError
from proxy.last_checkpoint import LastCheckpoint, lost_file
from proxy.tlog.note import NoteSigner
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN
from tests.samples import a_draft, an_open_store

VERIFIER = NoteSigner(ORIGIN, CHECKPOINT_KEY).verifier


async def grow(store: Store, entries: int) -> None:
    """Append so many entries, each with a checkpoint of its own."""
    for _ in range(entries):
        await store.write(lambda tx: tx.append(a_draft()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name the file with the newest checkpoint."""
    return tmp_path / "checkpoint.last"


@pytest.fixture
def keeper(path: Path) -> LastCheckpoint:
    """Watch over that file."""
    return LastCheckpoint(path, VERIFIER)


async def test_a_first_start_has_nothing_to_compare(tmp_path: Path, keeper: LastCheckpoint) -> None:
    """No file, no complaint."""
    async with an_open_store(tmp_path) as store:
        await keeper.check(store)


async def test_an_empty_log_leaves_no_file(
    tmp_path: Path, path: Path, keeper: LastCheckpoint
) -> None:
    """There is no checkpoint to keep yet."""
    async with an_open_store(tmp_path) as store:
        await keeper.note(store)
    assert not path.exists()


async def test_the_newest_checkpoint_is_kept(
    tmp_path: Path, path: Path, keeper: LastCheckpoint
) -> None:
    """Exactly as it was signed, in a file of its own and with no other left beside it."""
    async with an_open_store(tmp_path) as store:
        for _ in range(2):
            await grow(store, 1)
            await keeper.note(store)
            assert await store.checkpoint() == path.read_text("utf-8")
    assert {"checkpoint.last", "tfaudit.db"} == {each.name for each in tmp_path.iterdir()}


async def test_a_log_that_grew_passes(tmp_path: Path, keeper: LastCheckpoint) -> None:
    """The command line wrote while no server kept the checkpoint."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 2)
        await keeper.note(store)
        await grow(store, 3)
        await LastCheckpoint(tmp_path / "checkpoint.last", VERIFIER).check(store)


async def test_an_older_database_is_found(tmp_path: Path, keeper: LastCheckpoint) -> None:
    """A backup was restored: the log would grow again, differently, from a size it had passed."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 2)
        await store.backup(tmp_path / "older.db")
        await grow(store, 1)
        await keeper.note(store)
    (tmp_path / "older.db").replace(tmp_path / "tfaudit.db")
    async with an_open_store(tmp_path) as store:
        with pytest.raises(ConfigError, match="had with 3 entries"):
            await keeper.check(store)


async def test_an_older_database_that_grew_again_is_found(
    tmp_path: Path, keeper: LastCheckpoint
) -> None:
    """As long as the one that was kept, but with another history."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 3)
        await keeper.note(store)
    (tmp_path / "tfaudit.db").unlink()
    async with an_open_store(tmp_path) as store:
        await grow(store, 5)
        with pytest.raises(ConfigError, match="an older or another database"):
            await keeper.check(store)


async def test_a_database_that_is_gone_is_found(tmp_path: Path, keeper: LastCheckpoint) -> None:
    """An empty log where there was one of three entries."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 3)
        await keeper.note(store)
    (tmp_path / "tfaudit.db").unlink()
    async with an_open_store(tmp_path) as store:
        with pytest.raises(ConfigError, match="an older or another database"):
            await keeper.check(store)


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff\xfe"])
async def test_a_file_that_is_no_checkpoint_stops_the_start(
    tmp_path: Path, path: Path, keeper: LastCheckpoint, content: bytes
) -> None:
    """It is not taken as "nothing to compare"."""
    path.write_bytes(content)
    async with an_open_store(tmp_path) as store:
        with pytest.raises(ConfigError, match=r"checkpoint\.last"):
            await keeper.check(store)


async def test_a_checkpoint_of_another_key_stops_the_start(tmp_path: Path, path: Path) -> None:
    """Somebody replaced the keys, or the file."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 1)
        await LastCheckpoint(path, VERIFIER).note(store)
        other = LastCheckpoint(path, NoteSigner(ORIGIN, ENTRY_KEY).verifier)
        with pytest.raises(ConfigError, match="put the right ones back"):
            await other.check(store)


async def test_a_file_that_can_not_be_written_leaves_the_one_before(
    tmp_path: Path, path: Path, keeper: LastCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing half written beside it."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 1)
        await keeper.note(store)
        before = path.read_bytes()
        await grow(store, 1)

        def fail(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            await keeper.note(store)
    assert before == path.read_bytes()
    assert {"checkpoint.last", "tfaudit.db"} == {each.name for each in tmp_path.iterdir()}


# ---------------------------------------------------------------- a fork that a witness showed


async def a_note(directory: Path, entries: int) -> str:
    """Return the checkpoint of another history, signed with the log's key."""
    directory.mkdir()
    async with an_open_store(directory) as store:
        await grow(store, entries)
        return await store.checkpoint()


@pytest.mark.parametrize("size", [2, 3])
async def test_what_proves_a_fork_stops_the_start(
    tmp_path: Path, keeper: LastCheckpoint, size: int
) -> None:
    """Though the log holds in itself and is what it was; nothing that is noted undoes it."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 3)
        keeper.contradict(await a_note(tmp_path / "other", size))
        await keeper.note(store)
        with pytest.raises(ConfigError, match=rf"log was forked: .*fork.* checkpoint of {size} "):
            await keeper.check(store)


async def test_the_database_that_it_is_of_settles_it(
    tmp_path: Path, keeper: LastCheckpoint
) -> None:
    """It was put back: the file says what the log says."""
    async with an_open_store(tmp_path) as store:
        await grow(store, 3)
        keeper.contradict(await store.checkpoint())
        await grow(store, 1)
        await keeper.check(store)


async def test_a_fork_is_on_record_by_its_own_checkpoint_alone(
    tmp_path: Path, keeper: LastCheckpoint
) -> None:
    """Another of the same size is another fork, and gets a file of its own."""
    first, second = [await a_note(tmp_path / name, 3) for name in ("a", "b")]
    paths = []
    for note in (first, second, first):
        path = lost_file(tmp_path, 3, note)
        path.write_text(note)
        paths.append(path.name)
        assert keeper.is_on_record(note)
        assert keeper.is_on_record(second) == (note == second or len(paths) > 1)
    assert ["checkpoint.lost-3", "checkpoint.lost-3.2", "checkpoint.lost-3"] == paths
    assert not keeper.is_on_record(await a_note(tmp_path / "c", 2))
