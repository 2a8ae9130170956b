"""Tests of what a witness remembers: at every moment that it could be killed at."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from proxy.errors import ConfigError, UnavailableError
from proxy.tlog.note import NoteVerifier
from proxy.tlog.witnessing import Accepted, AddCheckpoint, Claim, Refused, check_claim
from proxy.witness.ledger import Ledger
from tests.witness.logs import FORKED, LOG, at, request

LOGS = {"log.example": [NoteVerifier.parse(LOG.vkey)]}
NOW = 1_800_000_000


def claim(of: AddCheckpoint) -> Claim:
    """Return what the request claims."""
    found = check_claim(of.body(), LOGS)
    assert isinstance(found, Claim)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name the file."""
    return tmp_path / "witness.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Open it."""
    with closing(Ledger(path)) as opened:
        yield opened


def test_what_was_accepted_is_remembered_by_the_next_start(path: Path, ledger: Ledger) -> None:
    """Another process sees it at once."""
    assert isinstance(ledger.advance(claim(request(0, 7)), NOW), Accepted)
    with closing(Ledger(path)) as again:
        assert at(7) == again.latest("log.example")
        assert again.latest("other.example") is None


def test_what_was_refused_is_not_remembered(ledger: Ledger) -> None:
    """Neither a fork nor a log that was set back."""
    ledger.advance(claim(request(0, 7)), NOW)

    for of in (request(7, 9, FORKED), request(7, 7, FORKED), request(0, 6), request(0, 9)):
        assert isinstance(ledger.advance(claim(of), NOW), Refused)
        assert at(7) == ledger.latest("log.example")


def test_sizes_of_64_bits_are_kept(ledger: Ledger) -> None:
    """More than SQLite's own integers hold."""
    largest = claim(request(0, 7))
    huge = Claim(
        largest.request,
        type(largest.checkpoint)("log.example", 2**64 - 1, bytes(32)),
        largest.text,
    )
    assert isinstance(ledger.advance(huge, NOW), Accepted)
    assert huge.checkpoint == ledger.latest("log.example")


def test_no_cosignature_goes_back_in_time(ledger: Ledger) -> None:
    """It would say that at that time no larger tree was known, which is untrue."""
    ledger.advance(claim(request(0, 7)), NOW)

    with pytest.raises(UnavailableError, match="stands 5 seconds before its last"):
        ledger.advance(claim(request(7, 9)), NOW - 5)

    assert at(7) == ledger.latest("log.example")
    assert isinstance(ledger.advance(claim(request(7, 9)), NOW), Accepted)


def test_of_two_at_once_one_is_accepted(path: Path) -> None:
    """Both claim to follow the same checkpoint, as two logs of one key would after a fork."""
    with closing(Ledger(path)) as first:
        first.advance(claim(request(0, 5)), NOW)
    for _ in range(10):
        with closing(Ledger(path)) as one, closing(Ledger(path)) as other:
            latest = one.latest("log.example")
            size = 0 if latest is None else latest.size
            asked = [claim(request(size, size + 1)), claim(request(size, size + 2))]
            with ThreadPoolExecutor(2) as threads:
                answers = list(
                    threads.map(
                        lambda a: a[0].advance(a[1], NOW), zip((one, other), asked, strict=True)
                    )
                )
            accepted = [each for each in answers if isinstance(each, Accepted)]
            assert 1 == len(accepted)
            assert accepted[0].checkpoint == one.latest("log.example")


def test_what_can_not_be_committed_is_not_accepted(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the file: nothing is remembered, and it works again afterwards."""
    monkeypatch.setattr("proxy.witness.ledger._BUSY_SECONDS", 0.05)
    ledger.advance(claim(request(0, 7)), NOW)
    with closing(Ledger(path)) as hurried, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="nothing was cosigned"):
            hurried.advance(claim(request(7, 9)), NOW)
        other.rollback()
        assert at(7) == hurried.latest("log.example")
        assert isinstance(hurried.advance(claim(request(7, 9)), NOW), Accepted)


def test_what_is_no_ledger_is_refused(path: Path) -> None:
    """Never begun anew: the witness would forget what it vouched for."""
    path.write_bytes(b"x" * 4096)

    with pytest.raises(ConfigError, match="can't be used"):
        Ledger(path)
    assert b"x" * 4096 == path.read_bytes()


_CHILD = """
import os, signal, sqlite3, sys
from pathlib import Path
from proxy.witness.ledger import Ledger
from tests.witness.logs import WITNESS, request
from tests.witness.test_ledger import NOW, claim

step, path = sys.argv[1], Path(sys.argv[2])

class Killed(sqlite3.Connection):
    def execute(self, sql, *args):
        if step == "before " + sql.split()[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(sql, *args)
        if step == "after " + sql.split()[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

ledger = Ledger(path)
ledger._database.close()
ledger._database = sqlite3.connect(path, isolation_level=None, factory=Killed)
answer = ledger.advance(claim(request(7, 9)), NOW)
line = WITNESS.cosign(answer.text, NOW)
if step == "before the answer":
    os.kill(os.getpid(), signal.SIGKILL)
print(line)
"""


@pytest.mark.parametrize(
    ("step", "size"),
    [
        ("before BEGIN", 7),
        ("after BEGIN", 7),
        ("before INSERT", 7),
        ("after INSERT", 7),
        ("before COMMIT", 7),
        ("after COMMIT", 9),
        ("before the answer", 9),
    ],
)
def test_killed_at_any_step_it_signed_nothing_that_it_forgot(
    path: Path, step: str, size: int
) -> None:
    """No cosignature left, and the log gets on: from where it was, or from the size it is told."""
    with closing(Ledger(path)) as ledger:
        ledger.advance(claim(request(0, 7)), NOW)

    done = subprocess.run(
        [sys.executable, "-c", _CHILD, step, str(path)],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )

    assert (-signal.SIGKILL, "") == (done.returncode, done.stdout), done.stderr
    with closing(Ledger(path)) as again:
        assert at(size) == again.latest("log.example")
        told = again.advance(claim(request(7, 9)), NOW)
        if size == 9:
            assert isinstance(told, Refused)
            assert 9 == told.size
            assert isinstance(again.advance(claim(request(9, 9, FORKED)), NOW), Refused)
            told = again.advance(claim(request(9, 9)), NOW)
        assert isinstance(told, Accepted)
