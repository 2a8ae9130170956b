"""Tests of exit codes and of how failures are told."""

import inspect
import os
import pwd
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from proxy import errors
from proxy.access import Permission
from proxy.cli import app
from proxy.cli._common import EXIT_CODES, ReportingGroup, caller, exit_code
from proxy.errors import (
    ConfigError,
    NotFoundError,
    TfauditError,
    UnavailableError,
    VerificationError,
)
from tests.cli.conftest import Tfaudit

FAMILIES = [
    family
    for _, family in inspect.getmembers(errors, inspect.isclass)
    if issubclass(family, TfauditError)
]


def failing(error: Exception) -> typer.Typer:
    """Return a command line whose only verb fails."""
    app = typer.Typer(cls=ReportingGroup)

    @app.callback()
    def root() -> None:
        pass

    @app.command()
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_an_exit_code(family: type[TfauditError]) -> None:
    """None is left to chance: 1 or 2."""
    assert EXIT_CODES[family] in {1, 2}


def test_a_subclass_has_the_code_of_its_family() -> None:
    """An error declared elsewhere needs no row of its own."""

    class VersionNotFoundError(NotFoundError):
        pass

    assert 1 == exit_code(VersionNotFoundError("gone"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VerificationError("bad", 7), 1),
        (NotFoundError("no such thing"), 1),
        (UnavailableError("busy"), 2),
        (ConfigError("wrong"), 2),
        (PermissionError(13, "Permission denied", "/data/tfaudit.db"), 2),
    ],
)
def test_a_failure_is_one_line_on_stderr(error: Exception, code: int) -> None:
    """No traceback, nothing on stdout, the family's code."""
    result = CliRunner().invoke(failing(error), ["fail"])
    assert (code, "") == (result.exit_code, result.stdout)
    assert 1 == len(result.stderr.splitlines())
    assert result.stderr.startswith("tfaudit: ")


def test_all_mistakes_of_a_configuration_are_shown() -> None:
    """Their list keeps its lines."""
    result = CliRunner().invoke(failing(ConfigError("two:\n  - one\n  - other")), ["fail"])
    assert ["tfaudit: two:", "  - one", "  - other"] == result.stderr.splitlines()


def test_a_message_obeys_no_client() -> None:
    """What an error quotes from a client can't drive the terminal."""
    result = CliRunner().invoke(failing(NotFoundError("no \x1b[2J")), ["fail"])
    assert "tfaudit: no \\u001b[2J\n" == result.stderr


@pytest.mark.parametrize("verb", [("log",), ("key", "show"), ("verify",), ("state", "list")])
def test_a_directory_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, verb: tuple[str, ...]
) -> None:
    """Not as a list of missing keys, and nothing is made."""
    result = CliRunner().invoke(app, [*verb, "--data", str(tmp_path / "typo")])
    assert (2, "") == (result.exit_code, result.stdout)
    assert 1 == len(result.stderr.splitlines())
    assert not (tmp_path / "typo").exists()


def test_a_bug_is_not_taken_for_an_answer() -> None:
    """Whatever is not ours passes through, to where it exits with 2."""
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(failing(ZeroDivisionError()), ["fail"], catch_exceptions=False)


@pytest.fixture
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work as a service does: no terminal, no sudo, no SSH."""
    for name in ("SUDO_USER", "SSH_CONNECTION", "SSH_CLIENT"):
        monkeypatch.delenv(name, raising=False)

    def no_terminal() -> str:
        raise OSError(6, "No such device or address")

    monkeypatch.setattr(os, "getlogin", no_terminal)


@pytest.mark.usefixtures("nobody_logged_in")
def test_the_caller_is_the_user_of_the_system() -> None:
    """The record names who sat at the machine, by what command, and that he may do all."""
    who = caller("token create")
    user = pwd.getpwuid(os.getuid()).pw_name
    assert (user, f"cli:{user}", "", "cli", "token create") == (
        who.principal.name,
        who.principal.id,
        who.ip,
        who.via,
        who.method,
    )
    assert "admin" == who.principal.rights.roles()
    assert who.principal.allows(Permission.ADMINISTER)
    assert caller("log").request_id != who.request_id


@pytest.mark.usefixtures("nobody_logged_in")
def test_the_caller_is_the_person_behind_sudo_and_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who logged in and from where; as which user the process runs stays in the ID."""
    monkeypatch.setattr(os, "getlogin", lambda: "alice")
    assert "alice" == caller("log").principal.name
    monkeypatch.setenv("SUDO_USER", "bob")
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.7 50022 10.0.0.1 22")
    who = caller("log")
    assert ("bob", "10.0.0.7") == (who.principal.name, who.ip)
    assert f"cli:{pwd.getpwuid(os.getuid()).pw_name}" == who.principal.id


@pytest.mark.usefixtures("nobody_logged_in")
@pytest.mark.parametrize("said", ["", "UNKNOWN 1 2 3", "\x1b[2J 22"])
def test_an_address_that_is_none_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """The environment may say anything."""
    monkeypatch.setenv("SSH_CLIENT", said)
    assert "" == caller("log").ip


def test_settings_that_are_not_in_force_are_told(
    tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command goes on by those that are."""
    assert "[redaction]" not in tfaudit("state", "list").stderr
    monkeypatch.setenv("TFAUDIT_REDACTION_MODE", "strict")
    told = tfaudit("state", "list").stderr
    assert "The [redaction] settings here are not in force" in told
