"""Tests of kill -9 under load: what was acknowledged is there, and state and log agree.

The long run is `TFAUDIT_SOAK=50 pytest -m slow tests/faults/test_kill.py` (some minutes).
"""

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from tests.e2e.server import Server
from tests.faults.face import verify_whole
from tests.faults.load import Acknowledged, Crowd, check_contenders
from tests.samples import a_state

_SOAK = int(os.environ.get("TFAUDIT_SOAK", "0"))
_KILLS = 5

_STORING = {"state.written", "state.rolled_back"}


def read_log(data: Path) -> list[dict[str, object]]:
    """Return all entries as the database has them."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        rows = database.execute("SELECT idx, entry FROM entry ORDER BY idx").fetchall()
    assert list(range(len(rows))) == [index for index, _ in rows], "indices are not contiguous"
    return [orjson.loads(entry) for _, entry in rows]


def read_locks(data: Path) -> dict[str, str]:
    """Return the ID of the lock of each locked workspace."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        return dict(database.execute("SELECT workspace, id FROM lock").fetchall())


def check_promises(log: list[dict[str, object]], promises: list[Acknowledged]) -> None:
    """Each acknowledged request has its entry at the index that its reply named."""
    for promise in promises:
        assert promise.index < len(log), f"an acknowledged entry is lost: {promise}"
        entry = log[promise.index]
        state = entry.get("state")
        digest = state["sha256"] if isinstance(state, dict) else ""
        found = Acknowledged(promise.index, str(entry["event"]), str(entry["workspace"]), digest)
        assert promise == found


def check_versions(data: Path, log: list[dict[str, object]]) -> int:
    """Every version has its one entry and every entry its version; return their number."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        rows = database.execute("SELECT id, workspace, sha256 FROM state_version").fetchall()
        heads = dict(database.execute("SELECT name, head FROM workspace").fetchall())
        numbers = database.execute(
            "SELECT max(number) - count(*) FROM state_version GROUP BY workspace"
        ).fetchall()
    recorded: list[tuple[str, str, str]] = []
    for entry in log:
        state = entry.get("state")
        if entry["event"] in _STORING and isinstance(state, dict):
            recorded.append((state["version"], str(entry["workspace"]), state["sha256"]))
    assert sorted(rows) == sorted(recorded)
    assert {0} >= {gap for (gap,) in numbers}, "versions are not numbered without gaps"
    assert heads == {workspace: version for version, workspace, _ in recorded}
    return len(rows)


def check_starts(log: list[dict[str, object]]) -> int:
    """Return the number of unclean stops; each stands before the start that found it."""
    unclean = 0
    is_running = False
    for place, entry in enumerate(log):
        if entry["event"] == "audit.started":
            before = [log[at]["event"] for at in range(max(place - 3, 0), place)]
            assert is_running == ("audit.unclean_shutdown" in before)
            is_running = True
        elif entry["event"] == "audit.stopped":
            is_running = False
        unclean += entry["event"] == "audit.unclean_shutdown"
    return unclean


class Victim:
    """A server that is killed again and again under the same crowd of clients.

    Args:
        folder: for its data.
        seed: of all that is left to chance.
        longest: seconds after which the server is killed at the latest.
    """

    def __init__(self, folder: Path, seed: int, longest: float) -> None:
        self._longest = longest
        self.random = random.Random(seed)
        # Each start prunes what there is from before.
        self.server = Server(folder / "data", env={"TFAUDIT_RETENTION_VERSIONS": "2"})
        self.serial = 0
        self.crowd = Crowd(seed)
        self.server.start()
        self.token = self.server.token("writer")
        self.kills = 0
        self.kills_while_starting = 0

    def kill_under_load(self) -> None:
        """Let the crowd work for a moment, then kill the server at a random one."""
        self.crowd.start(self.server.port, self.token)
        time.sleep(self.random.uniform(0.02, self._longest))
        self.server.kill()
        self.crowd.join()
        self.kills += 1

    def kill_while_starting(self) -> None:
        """Kill a server that may be anywhere between its first instruction and its first answer."""

        def kill() -> None:
            process = self.server._process
            if process is not None:
                process.kill()

        timer = threading.Timer(self.random.uniform(0.2, 1.2), kill)
        timer.start()
        try:
            self.server.start()
        except AssertionError:
            assert "Traceback" not in self.server.stderr
        timer.join()
        self.server.kill()
        self.kills += 1
        self.kills_while_starting += 1

    def check_files(self) -> int:
        """Check what lies on the disk after a kill; return the number of versions."""
        data = self.server.data
        assert [] == self.crowd.load.surprises
        log = read_log(data)
        check_promises(log, self.crowd.load.acknowledged)
        versions = check_versions(data, log)
        check_starts(log)
        verify_whole(data)
        return versions

    def come_back(self) -> None:
        """Start again, and let every client find what it was promised."""
        self.server.start()
        locks = read_locks(self.server.data)
        for writer in self.crowd.writers:
            reply = self.server.request("GET", f"/state/{writer.workspace}", token=self.token)
            assert reply.status in {200, 404}
            head = reply.body if reply.status == 200 else None
            writer.check(head, locks.get(writer.workspace))
        check_contenders(self.crowd.contenders, locks.get("shared"))
        for _ in range(2):
            self.serial += 1
            body = a_state(self.serial, f"value-{self.serial}")
            assert 200 == self.server.request("POST", "/state/old", body, token=self.token).status


def kill_and_check(folder: Path, kills: int, longest: float) -> str:
    """Kill a server so many times and check after each; return the figures in one line."""
    victim = Victim(folder, int.from_bytes(os.urandom(4)), longest)
    versions = 0
    try:
        while victim.kills < kills:
            victim.kill_under_load()
            if victim.random.random() < 0.2 and victim.kills < kills:
                victim.kill_while_starting()
            versions = victim.check_files()
            victim.come_back()
        verified = victim.server.verify()
        assert 0 == verified.returncode, verified.stderr
        assert 0 == victim.server.stop()
    finally:
        victim.server.kill()
    log = read_log(victim.server.data)
    unclean = check_starts(log)
    assert victim.kills - victim.kills_while_starting <= unclean <= victim.kills
    assert "state.versions_pruned" in {entry["event"] for entry in log}
    counts = Counter(promise.event for promise in victim.crowd.load.acknowledged)
    answered = ", ".join(f"{count} {event}" for event, count in sorted(counts.items()))
    return (
        f"{victim.kills} kills ({victim.kills_while_starting} of them while starting), "
        f"{unclean} unclean stops on record, {len(log)} entries, {versions} versions; "
        f"acknowledged: {answered}"
    )


def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """Five kills at random moments, each followed by a check of everything."""
    kill_and_check(tmp_path, _KILLS, longest=0.4)


def test_a_log_that_grows_is_verified_meanwhile(tmp_path: Path) -> None:
    """What is written between two looks of the verifier is not taken for tampering."""
    with Server(tmp_path / "data") as server:
        crowd = Crowd(1)
        crowd.start(server.port, server.token("writer"))
        try:
            sizes = [verify_whole(server.data).entries for _ in range(4)]
        finally:
            crowd.join()
    assert sorted(set(sizes)) == sizes
    assert [] == crowd.load.surprises


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not _SOAK, reason="the long run is asked for with TFAUDIT_SOAK=50")
def test_a_server_killed_many_times_loses_nothing_it_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The long run: as many kills as TFAUDIT_SOAK says; prints what was promised and kept."""
    figures = kill_and_check(tmp_path, _SOAK, longest=1.0)
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - the result of the long run
