"""Tests of `tfaudit witness`."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.tlog.checkpoint import sign
from proxy.tlog.cosignature import CosignatureVerifier, add_cosignatures, cosignatures
from proxy.tlog.witnessing import AddCheckpoint, Claim, check_claim
from proxy.witness.ledger import Ledger
from tests.witness.logs import FORKED, LEAVES, LOG, at, request

NAME = "witness.example/1"


def witness(*args: object, code: int = 0) -> Result:
    """Run the command."""
    result = CliRunner().invoke(app, ["witness", *map(str, args)])
    assert code == result.exit_code, result.output
    return result


@contextmanager
def served(
    data: Path, *args: str, log: str = LOG.vkey, port: str = "0"
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a witness in a process of its own; it is asked to stop at the end."""
    command = [sys.executable, "-m", "proxy", "witness", "serve", "--data", str(data)]
    said = data.with_name(f"{data.name}.stderr")
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--port", port, "--log", log, *args], stderr=errors, env=dict(os.environ)
        )
    try:
        deadline = time.monotonic() + 30
        while (found := re.search(r"http://\S+", said.read_text())) is None:
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield found[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(address: str, of: AddCheckpoint) -> tuple[int, str]:
    """Return status and body of the witness's answer."""
    try:
        with urlopen(Request(f"{address}/add-checkpoint", of.body()), timeout=30) as answer:  # noqa: S310 - our own address
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_first_call_makes_a_key_that_stays(tmp_path: Path) -> None:
    """Private to its owner, and of the type that only witnesses have."""
    data = tmp_path / "w"
    first = witness("key", "--data", data, "--name", NAME).stdout.strip()

    assert NAME == CosignatureVerifier.parse(first).name
    assert first == witness("key", "--data", data).stdout.strip()
    assert 0o600 == (data / "keys" / "witness.pem").stat().st_mode & 0o777


def test_a_directory_without_a_witness_asks_for_a_name(tmp_path: Path) -> None:
    """Nothing is made by a mistyped directory."""
    told = witness("key", "--data", tmp_path / "w", code=2).stderr
    assert "give --name once" in told
    assert not (tmp_path / "w").exists()


def test_a_witness_keeps_its_name(tmp_path: Path) -> None:
    """Logs know it by that."""
    witness("key", "--data", tmp_path, "--name", NAME)
    told = witness("key", "--data", tmp_path, "--name", "other.example", code=2).stderr
    assert "leave --name out" in told


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_what_can_not_be_a_name_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is made."""
    witness("key", "--data", tmp_path / "w", "--name", name, code=2)
    assert not (tmp_path / "w" / "keys" / "witness.pem").exists()


def test_a_witness_that_lost_its_key_is_not_begun_anew(tmp_path: Path) -> None:
    """It would be another witness, with the memory of the old one."""
    witness("key", "--data", tmp_path, "--name", NAME)
    (tmp_path / "witness.db").touch()
    (tmp_path / "keys" / "witness-name").unlink()
    told = witness("key", "--data", tmp_path, "--name", NAME, code=2).stderr
    assert "restore it from a backup" in told


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """As those of a log."""
    witness("key", "--data", tmp_path, "--name", NAME)
    (tmp_path / "keys" / "witness.pem").chmod(0o644)
    assert "chmod 600" in witness("key", "--data", tmp_path, code=2).stderr


def test_a_log_that_is_no_key_is_named(tmp_path: Path) -> None:
    """With what is wrong."""
    told = witness("serve", "--data", tmp_path, "--name", NAME, "--log", "nonsense", code=2).stderr
    assert "--log 'nonsense'" in told


@pytest.mark.parametrize("is_forked", [True, False])
def test_a_log_that_is_forgotten_begins_anew(tmp_path: Path, is_forked: bool) -> None:
    """While the witness runs; what was known is printed, and kept."""
    leaves = FORKED if is_forked else LEAVES
    with served(tmp_path, "--name", NAME) as (address, _):
        seen = request(0, 7)
        assert 200 == ask(address, seen)[0]
        assert (409, "7\n") == ask(address, request(0, 6, leaves))
        told = witness("forget", LOG.name, "--data", tmp_path, "--yes")
        assert seen.note == told.stdout
        assert 200 == ask(address, request(0, 6, leaves))[0]
        assert 200 == ask(address, request(6, 9, leaves))[0]
    with closing(sqlite3.connect(tmp_path / "witness.db")) as database:
        (row,) = database.execute("SELECT origin, size, note FROM forgotten")
    assert (LOG.name, "7", seen.note) == row


def test_nothing_is_forgotten_without_the_word(tmp_path: Path) -> None:
    """Nor of a log that is not known, nor where no witness is."""
    witness("key", "--data", tmp_path, "--name", NAME)
    assert "holds no witness" in witness("forget", "x", "--data", tmp_path, code=2).stderr
    assert not (tmp_path / "witness.db").exists()
    with closing(Ledger(tmp_path / "witness.db")) as ledger:
        claim = check_claim(request(0, 7).body(), {LOG.name: [LOG.verifier]})
        assert isinstance(claim, Claim)
        ledger.advance(claim, 1_800_000_000)
        told = witness("forget", "other", "--data", tmp_path, "--yes", code=1).stderr
        assert f"cosigned no log 'other', but {LOG.name}" in told
        assert "--yes" in witness("forget", LOG.name, "--data", tmp_path, code=2).stderr
        assert at(7) == ledger.latest(LOG.name)


def test_a_witness_cosigns_remembers_and_refuses_a_fork(tmp_path: Path) -> None:
    """Also after it was killed; it stops when it is asked to."""
    with served(tmp_path, "--name", NAME) as (address, process):
        status, line = ask(address, request(0, 7))
        assert 200 == status
        process.kill()
        process.wait(30)
    vkey = witness("key", "--data", tmp_path).stdout.strip()
    note = add_cosignatures(sign(at(7), LOG), [line])
    assert 1 == len(cosignatures(note, [CosignatureVerifier.parse(vkey)]))
    with served(tmp_path) as (address, process):
        assert (409, "7\n") == ask(address, request(0, 9))
        assert 422 == ask(address, request(7, 9, FORKED))[0]
        assert 200 == ask(address, request(7, 9))[0]
    assert 0 == process.returncode
