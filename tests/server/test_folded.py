"""Tests that what is counted and committed later verifies, whoever did it and by whatever proof."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy import program
from proxy.access import Role
from proxy.auth.failures import FailureLog
from proxy.cli._verification import TrustedKeys, verify_store
from proxy.reading_log import ReadingLog
from proxy.server import appkeys
from proxy.storage.reader import SQLiteReader
from tests.people import Browser, Clock, a_grant, a_person, quicken, set_by_hand
from tests.running import Face, a_face
from tests.samples import log_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that dates entries."""
    found = Clock(datetime.now(UTC).replace(second=5, microsecond=0))
    monkeypatch.setattr(program, "clock", found.micros)
    return found


@pytest.fixture
async def face(tmp_path: Path, clock: Clock) -> AsyncIterator[Face]:
    """Run the application by the clock."""
    async with a_face(tmp_path) as running:
        quicken(running)
        set_by_hand(running, clock)
        yield running


async def verify(face: Face) -> None:
    """Check the whole store as the command does."""
    keys = TrustedKeys.of_ring(face.program.keys)
    async with SQLiteReader(face.program.config.data.database) as reader:
        await verify_store(reader, keys, (), lambda: None)


async def end(log: ReadingLog | FailureLog, how: str) -> None:
    """Let what was counted be committed: the window passes, or the server stops."""
    if how == "stop":
        await log.aclose()
        return
    assert not log._windows.begin()  # one is under way
    await log._windows.wait()


async def folded(face: Face) -> list[dict[str, Any]]:
    """Return the entries that count."""
    return [entry for entry in await log_of(face.program.store) if "count" in entry]


def hurry(log: ReadingLog | FailureLog, how: str) -> None:
    """Let the window be short where it is to pass."""
    if how == "window":
        log._windows.seconds = 0.2


@pytest.mark.parametrize("how", ["window", "stop"])
async def test_counted_readings_with_a_token_are_no_use_of_it(
    face: Face, clock: Clock, how: str
) -> None:
    """The first reading of the window is, and the entry that counts the others verifies."""
    readings = face.program.readings
    hurry(readings, how)
    await face.token(Role.AUDITOR)
    clock.go_on(minutes=2)
    read_at = clock.text()
    for width in (1, 1):
        assert 200 == (await face.ask("GET", f"/tile/0/000.p/{width}", role=Role.AUDITOR)).status
    await verify(face)

    clock.go_on(seconds=75)
    await end(readings, how)

    assert [1] == [entry["count"] for entry in await folded(face)]
    (token,) = await face.program.store.tokens()
    assert read_at == token.used
    await verify(face)
    clock.go_on(minutes=1)
    assert 200 == (await face.ask("GET", "/checkpoint", role=Role.AUDITOR)).status
    await face.ask("GET", "/tile/0/000.p/1", role=Role.AUDITOR)
    await verify(face)


@pytest.mark.parametrize("how", ["window", "stop"])
async def test_counted_readings_in_a_session_are_no_use_of_it(
    face: Face, clock: Clock, how: str
) -> None:
    """They come after the session, which may be over by then."""
    readings = face.program.readings
    hurry(readings, how)
    await a_person(face)
    await a_grant(face, "auditor", ["*"])
    browser = Browser(face)
    assert 200 == (await browser.login()).status
    clock.go_on(minutes=2)
    for _ in range(2):
        assert 200 == (await browser.ask("GET", "/tile/0/000.p/1")).status
    await verify(face)

    clock.go_on(seconds=75)
    await end(readings, how)

    assert [1] == [entry["count"] for entry in await folded(face)]
    await verify(face)


@pytest.mark.parametrize("how", ["window", "stop"])
async def test_counted_refusals_verify(face: Face, clock: Clock, how: str) -> None:
    """Of strangers, of passwords, and of a person to whom nothing is granted."""
    failures = face.client.app[appkeys.FAILURES]
    failures._immediate = 1
    hurry(failures, how)
    await a_person(face)
    browser = Browser(face)
    assert 200 == (await browser.login()).status
    clock.go_on(minutes=2)
    for _ in range(3):
        assert 401 == (await face.ask("GET", "/state/a", token="tfa_none")).status
        assert 401 == (await Browser(face).login(password="wrong")).status
        assert 403 == (await browser.ask("GET", "/state/a")).status

    clock.go_on(seconds=75)
    await end(failures, how)

    assert await folded(face)
    await verify(face)
