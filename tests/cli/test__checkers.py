"""Tests of the checks in other processes: the same answers in the same order as in this one."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.cli import _checkers
from proxy.cli._checkers import Checkers, processes_for
from proxy.cli._verification import verify_store
from proxy.errors import VerificationError
from proxy.storage.reader import SQLiteReader
from tests.cli.test__kept_tiles import KEYS, change
from tests.contracts.store_contract import appends
from tests.samples import an_open_store


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """Return a log of several commits, of more than one chunk."""
    async with an_open_store(tmp_path) as store:
        for start in range(0, 600, 150):
            await store.write(appends(*map(str, range(start, start + 150))))
    return tmp_path / "tfaudit.db"


async def failure(database: Path, processes: int) -> tuple[str, int | None]:
    """Verify what must not hold; return what is said."""
    async with SQLiteReader(database) as reader:
        with pytest.raises(VerificationError) as caught:
            await verify_store(reader, KEYS, (), lambda: None, processes)
    return str(caught.value), caught.value.index


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("UPDATE entry SET signature = zeroblob(64) WHERE idx IN (303, 577)", 303),
        ("UPDATE entry SET entry = CAST(entry AS TEXT) WHERE idx = 271", 271),
        ("UPDATE checkpoint SET note = replace(note, '— ', '— x') WHERE size = 300", 150),
    ],
)
async def test_the_first_thing_that_does_not_hold_is_told_whoever_checks(
    database: Path, sql: str, index: int
) -> None:
    """In the same words, of the same entry."""
    change(database, sql)
    alone = await failure(database, 1)
    assert index == alone[1]
    assert alone == await failure(database, 2)


async def test_a_true_log_holds_in_processes(database: Path) -> None:
    """All entries and all checkpoints."""
    async with SQLiteReader(database) as reader:
        findings = await verify_store(reader, KEYS, (), lambda: None, 2)
    assert (600, 4) == (findings.entries, findings.checkpoints)


async def test_no_process_takes_modules_from_where_something_is_verified(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as from the directory that a stranger's bundle was unpacked into."""
    for name in ("multiprocessing", "pickle", "cryptography"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    async with SQLiteReader(database) as reader:
        found = await verify_store(reader, KEYS, (), lambda: None, 2)
    assert 600 == found.entries
    assert not (tmp_path / "taken").exists()
    assert "PYTHONSAFEPATH" not in os.environ


async def test_what_is_asked_is_answered_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of chunks, also none and half a one."""
    monkeypatch.setattr(_checkers, "_CHUNK", 3)

    async def notes(count: int) -> AsyncIterator[tuple[int, str]]:
        for number in range(count):
            yield number, "no checkpoint"

    with Checkers(KEYS.plain(), 2) as checkers:
        for count in (0, 1, 3, 25):
            answers = [each async for each in checkers.notes(notes(count))]
            assert [((number, "no checkpoint"), None) for number in range(count)] == answers


def test_small_logs_start_no_process() -> None:
    """It would take longer to start than to check."""
    assert 1 == processes_for(100)
    assert 1 <= processes_for(10**6)
