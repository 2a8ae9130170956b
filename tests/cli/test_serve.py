"""Tests of `tfaudit serve` as a process: its first start, its next starts, its end."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.tokens import is_well_formed

Served = Callable[[], str]


@pytest.fixture
def port() -> int:
    """Return a TCP port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def serving(data: Path, port: int) -> Iterator[Served]:
    """Serve until the block ends; give a way to stop and read all of stderr."""
    command = [sys.executable, "-m", "proxy", "serve", "--data", str(data), "--port", str(port)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _wait_until_ready(process, port)

            def stop() -> str:
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=30)
                assert (0, "") == (process.returncode, out)
                return err

            yield stop
        finally:
            process.kill()


def _wait_until_ready(process: "subprocess.Popen[str]", port: int) -> None:
    for _ in range(300):
        assert process.poll() is None, process.communicate()[1]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    pytest.fail("the server did not get ready")


def test_the_first_start_gives_a_token_and_a_block(tmp_path: Path, port: int) -> None:
    """Both work at once; the token is printed by no later start."""
    with serving(tmp_path / "data", port) as stop:
        first = stop()
    token = re.search(r"TF_HTTP_PASSWORD=(tfa_\w+)", first)
    assert token is not None
    assert is_well_formed(token[1])
    assert token[1] not in first.partition("terraform {")[2]
    address = f'"http://127.0.0.1:{port}/state/quickstart"'
    for name in ("address", "lock_address", "unlock_address"):
        assert re.search(rf"^ +{name} += {re.escape(address)}$", first, re.MULTILINE)
    with serving(tmp_path / "data", port) as stop:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/tokens",
            headers={"Authorization": f"Bearer {token[1]}"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            assert 200 == answer.status
        second = stop()
    assert "tfa_" not in second
    assert "backend" not in second


def test_commands_work_beside_the_server(tmp_path: Path, port: int) -> None:
    """A token made, a log verified, a backup taken, while it serves; nothing forks."""
    data = ("--data", str(tmp_path / "data"))
    with serving(tmp_path / "data", port):
        runner = CliRunner()
        for arguments in (
            ("token", "create", "ci", "--role", "reader", "--workspace", "*"),
            ("verify",),
            ("backup", "create", str(tmp_path / "backup")),
            ("verify",),
        ):
            result = runner.invoke(app, [*arguments, *data])
            assert 0 == result.exit_code, result.output


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    """No traceback, exit code 2; nothing was made, and no token printed that would be lost."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "proxy", "serve", "--data", str(tmp_path / "data")]
        done = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
        )
    assert 2 == done.returncode
    assert "Traceback" not in done.stderr
    (told,) = done.stderr.splitlines()
    assert str(port) in told
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_is_told_before_anything_is_made(tmp_path: Path) -> None:
    """No directory, no keys."""
    (tmp_path / "tfaudit.toml").write_text("[server]\nprt = 1\n")
    result = CliRunner().invoke(
        app, ["serve", "--config", str(tmp_path / "tfaudit.toml"), "--data", str(tmp_path / "data")]
    )
    assert 2 == result.exit_code
    assert "did you mean port?" in result.stderr
    assert not (tmp_path / "data").exists()
