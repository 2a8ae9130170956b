"""Tests of kill -9 while events are forwarded: none is lost, none counts as delivered too early.

The long run is `TFAUDIT_SOAK=50 pytest -m slow tests/faults/test_forwarding.py` (some minutes).
"""

import base64
import json
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.receiver import Receiver
from tests.e2e.server import Server
from tests.faults.load import Crowd, check_contenders
from tests.faults.test_kill import read_locks, read_log

_SOAK = int(os.environ.get("TFAUDIT_SOAK", "0"))
_KILLS = 2

KEY = bytes(range(32))


class MoodyReceiver(Receiver):
    """Takes batches of events in our own format; sometimes it refuses, sometimes it lies.

    Attributes:
        arrived: indices of entries as they came, also those that it then said it had not taken.
        acknowledged: of these, those for which it said that it has them, before it said so.
        batches: the indices of each request.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(KEY)
        self.arrived: list[int] = []
        self.acknowledged: set[int] = set()
        self.batches: list[list[int]] = []
        self.is_moody = True
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:  # noqa: ARG002 - not looked at
        """Keep what came; say 503 in one of four cases, having it or not."""
        events = json.loads(body)
        indices = [int(event["index"]) for event in events]
        with self._lock:
            self.batches.append(indices)
            mood = self._random.random() if self.is_moody else 1.0
            if mood < 0.1:
                return 503
            self.arrived += indices
            if mood < 0.25:
                return 503
            self.acknowledged.update(indices)
        return 204


def cursor_of(data: Path) -> int:
    """Return the index from which on the store holds the sink to be not served yet."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        row = database.execute("SELECT cursor FROM delivery").fetchone()
    return 0 if row is None else int(row[0])


def check(data: Path, receiver: MoodyReceiver, first: int) -> None:
    """Check what lies on the disk after a kill against what the far side was told and said."""
    with receiver._lock:
        batches = list(receiver.batches)
        acknowledged = set(receiver.acknowledged)
    not_for_it = unsent(data)
    early = set(range(first, cursor_of(data))) - acknowledged - not_for_it
    assert set() == early, "entries count as delivered that the far side never said it has"
    for batch in batches:
        assert sorted(set(batch)) == batch
    seen = first - 1
    for batch in batches:
        # What is new stands behind all that came before, and nothing between is left out.
        fresh = [index for index in batch if index > seen]
        skipped = set(range(seen + 1, max(fresh, default=seen) + 1)) - set(fresh) - not_for_it
        assert set() == skipped, "entries were passed over"
        seen = max([seen, *batch])


def unsent(data: Path) -> set[int]:
    """Return the entries that are not for the sink: that it fails itself."""
    log = read_log(data)
    return {index for index, entry in enumerate(log) if entry["event"] == "sink.failed"}


def kill_and_check(folder: Path, kills: int, longest: float) -> str:
    """Kill a forwarding server so many times and check after each; return the figures."""
    seed = int.from_bytes(os.urandom(4))
    moments = random.Random(seed)
    with MoodyReceiver(seed) as receiver:
        options = {"url": receiver.url, "signing_secrets": ["hook"], "batch": 50}
        sink = {"type": "webhook", "options": {**options, "format": "native"}, "start": 0}
        env = {
            "TFAUDIT_SINKS": json.dumps({"hook": sink}),
            "TFAUDIT_SECRET_HOOK": f"whsec_{base64.b64encode(KEY).decode()}",
        }
        server, crowd = Server(folder / "data", env=env), Crowd(seed)
        try:
            server.start()
            token = server.token("writer")
            for _ in range(kills):
                crowd.start(server.port, token)
                time.sleep(moments.uniform(0.1, longest))
                server.kill()
                crowd.join()
                check(server.data, receiver, 0)
                server.start()
                meet_again(server, crowd, token)
            receiver.is_moody = False
            wait_until_all_came(server.data, receiver)
            assert 0 == server.stop()
            check(server.data, receiver, 0)
            if kills > _KILLS:
                verified = server.verify()
                assert 0 == verified.returncode, verified.stderr
        finally:
            server.kill()
        count = len(read_log(server.data))
        twice = len(receiver.arrived) - len(set(receiver.arrived))
        return (
            f"{kills} kills, {count} entries in {len(receiver.batches)} requests; none lost, "
            f"{twice} came more than once (seed {seed})"
        )


def meet_again(server: Server, crowd: Crowd, token: str) -> None:
    """Let every client find out what came of what it had under way."""
    locks = read_locks(server.data)
    for writer in crowd.writers:
        reply = server.request("GET", f"/state/{writer.workspace}", token=token)
        head = reply.body if reply.status == 200 else None
        writer.check(head, locks.get(writer.workspace))
    check_contenders(crowd.contenders, locks.get("shared"))


def wait_until_all_came(data: Path, receiver: MoodyReceiver) -> None:
    """Wait until the far side has all of the log.

    Raises:
        AssertionError: it does not get it.
    """
    deadline = time.monotonic() + 60
    while True:
        missing = set(range(len(read_log(data)))) - receiver.acknowledged - unsent(data)
        if not missing:
            return
        assert time.monotonic() < deadline, sorted(missing)[:20]
        time.sleep(0.1)


def test_a_killed_server_forwards_all_of_its_log(tmp_path: Path) -> None:
    """Two kills at random moments, with a far side that fails and lies now and then."""
    kill_and_check(tmp_path, _KILLS, longest=0.8)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not _SOAK, reason="the long run is asked for with TFAUDIT_SOAK=50")
def test_a_server_killed_many_times_forwards_all_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The long run: as many kills as TFAUDIT_SOAK says; prints what came how often."""
    figures = kill_and_check(tmp_path, _SOAK, longest=2.0)
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - the result of the long run
