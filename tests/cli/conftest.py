"""A data directory and the command line run on it, for the tests of the verbs."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from proxy.access import ANONYMOUS
from proxy.auth.failures import FailureLog
from proxy.cli import app
from proxy.cli._common import caller, opened, run, settings
from proxy.program import open_program
from tests.people import PASSWORD, QUICK, logins_of

LINEAGE = "5e3b2b0f-3c54-4d0e-8c1a-6a1d4c2f7b10"

Tfaudit = Callable[..., Result]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty directory, without colours, and without settings of whoever runs this."""
    for name in os.environ:
        if name.startswith("TFAUDIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory as the first start leaves it, without a token."""
    directory = tmp_path / "data"

    async def first_start() -> None:
        async with open_program(settings(directory, None), create=True):
            pass

    run(first_start())
    return directory


@pytest.fixture
def tfaudit(data: Path) -> Tfaudit:
    """Return the command line on that directory: verb and arguments in, its result out."""
    runner = CliRunner()

    def invoke(*args: object, answer: str | bytes | None = None, code: int = 0) -> Result:
        result = runner.invoke(app, [*map(str, args), "--data", str(data)], input=answer)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code == result.exit_code, result.output
        return result

    return invoke


@pytest.fixture
def rolled_back(data: Path) -> str:
    """Return a workspace with three versions: written, changed, and the first one again."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            who = caller("test")
            await program.states.import_state(who, "prod", state(5, password="hunter1"))
            await program.states.write(who, "prod", changed, None, None)
            await program.states.roll_back(who, "prod", "1")

    async def changed(_: int | None) -> bytes:
        return state(6, input="two", password="hunter2")

    run(work())
    return "prod"


NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def people(data: Path) -> None:
    """Make alice with a password, by entries 0 and 1, who logs in by 2 and 3, and out of one by 4.

    Then bob with a password, deleted.
    """

    async def make() -> None:
        async with opened(settings(data, None), create=True) as program:
            program.people.hasher._argon2 = QUICK
            who = caller("test")
            anonymous = who._replace(principal=ANONYMOUS, ip="10.0.0.7")
            failures = FailureLog(program.store, window=60, immediate=10, now=lambda: NOW)
            for name in ("alice", "bob"):
                fields = {"name": name, "kind": "person"}
                await program.directory.create(who, "principal", fields)
                await program.people.set_password(who, name, PASSWORD)
                if name == "alice":
                    logins = logins_of(program, failures)
                    done = [await logins.login(anonymous, name, PASSWORD) for _ in range(2)]
                    await program.people.logout(anonymous._replace(principal=done[0].principal))
            await program.directory.delete(who, "principal", "bob")
            await failures.aclose()

    run(make())


def state(serial: int = 1, lineage: str = LINEAGE, **attributes: object) -> bytes:
    """Return a Terraform state with one resource, laid out as no dumper would do it."""
    resource = {
        "mode": "managed",
        "type": "terraform_data",
        "name": "main",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [
            {
                "schema_version": 0,
                "attributes": {"id": "fixed", "input": "one", **attributes},
                "sensitive_attributes": [],
            }
        ],
    }
    return (
        b'{"version": 4,\t"terraform_version":"1.11.4",\n "serial" : %d,"lineage":"%b",\n'
        b'"outputs":{}, "resources":[%b],"check_results":null}\n'
        % (serial, lineage.encode(), json.dumps(resource).encode())
    )


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def events(tfaudit: Tfaudit) -> list[str]:
    """Return the names of all events so far, oldest first."""
    lines = json_lines(tfaudit("log", "--json", "--since", "100w").stdout)
    return [line["entry"]["event"] for line in lines]


@pytest.fixture
def written(data: Path) -> str:
    """Return a workspace with a state."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.states.import_state(caller("test"), "prod", state(1))

    run(work())
    return "prod"
