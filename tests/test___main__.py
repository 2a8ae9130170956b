"""Tests of the program as it is started."""

import subprocess
import sys
import time

import pytest

import proxy.__main__ as program


def test_help_comes_at_once() -> None:
    """Nothing heavy is imported for it."""
    heavy = "[m for m in ('aiohttp', 'cryptography', 'sqlite3', 'rich') if m in sys.modules]"
    code = f"import sys, proxy.__main__; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


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

    monkeypatch.setattr(program, "app", broken)
    with pytest.raises(SystemExit) as stopped:
        program.main()
    assert 2 == stopped.value.code
    assert "ZeroDivisionError" in capsys.readouterr().err
