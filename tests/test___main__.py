"""Tests of the program as it is started."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

import proxy.__main__ as program
from proxy import cli
from proxy.program import open_program
from tests.running import a_config

STARTED = """
import gc, sys, proxy.__main__
try:
    proxy.__main__.main()
finally:
    print(sorted(m for m in sys.modules if m in {heavy} or m in {verbs}), file=sys.stderr)
    print(gc.get_threshold()[0], file=sys.stderr)
"""


def started(*words: str) -> list[str]:
    """Run the command line; return what it imported of the heavy modules and of two verbs'."""
    heavy = {"aiohttp", "cryptography", "cryptography.x509", "rich", "sqlite3", "sqlite_utils"}
    heavy |= {"structlog"}
    code = STARTED.format(heavy=heavy, verbs={"proxy.cli.serve", "proxy.cli.token"})
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_a_verb_is_imported_when_it_is_asked_for() -> None:
    """Alone, and without what is heavy until it needs that."""
    assert "[]" == started("--version")[0]
    assert "['proxy.cli.token', 'rich']" == started("token", "create", "--help")[0]


async def test_a_verb_that_opens_the_data_imports_little(tmp_path: Path) -> None:
    """Nothing to write log lines with, to migrate a database or to read certificates."""
    config = a_config(tmp_path)
    async with open_program(config, create=True):
        pass
    asked = await asyncio.to_thread(
        started, "token", "list", "--json", "--data", str(config.data.directory)
    )
    assert "['cryptography', 'proxy.cli.token', 'sqlite3']" == asked[0]


def test_what_is_imported_is_not_looked_at_again_and_again() -> None:
    """Python's collector of cycles runs far less often than it would by itself."""
    assert 10_000 < int(started("--version")[1])


def test_help_names_every_verb() -> None:
    """And the start is quick even so."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--help"], capture_output=True, text=True, check=True
    )
    assert 5 > time.monotonic() - started
    verbs = ("serve", "token", "log", "verify", "export", "state", "lock", "key", "backup")
    assert all(f" {verb} " in done.stdout for verb in verbs)


def test_wrong_usage_exits_with_2() -> None:
    """As everywhere."""
    command = [sys.executable, "-m", "proxy", "nonsense"]
    assert 2 == subprocess.run(command, capture_output=True, check=False).returncode


def test_a_bug_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not with Python's 1, which would say that verification failed; its traceback is shown."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as stopped:
        program.main()
    assert 2 == stopped.value.code
    assert "ZeroDivisionError" in capsys.readouterr().err
