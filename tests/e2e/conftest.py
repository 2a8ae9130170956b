"""Fixtures for real Terraform clients and real servers; all is ended and removed afterwards."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import missing
from tests.e2e.ledger import VALUE, Ledger
from tests.e2e.server import HTTP_BACKEND, Server
from tests.e2e.terraform import VERSIONS, Terraform, command

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as end to end."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


class MakeTerraform(Protocol):
    """What the fixture `make_terraform` promises."""

    def __call__(
        self, version: str = ..., *, env: Mapping[str, str] | None = ..., name: str = ...
    ) -> Terraform:
        """Return a client of this release in a working folder of this name."""


class MakeProject(Protocol):
    """What the fixture `project` promises."""

    def __call__(
        self,
        version: str = ...,
        config: str = ...,
        *,
        env: Mapping[str, str] | None = ...,
        name: str = ...,
        applied: bool = ...,
    ) -> Terraform:
        """Return an initialised client on the ledger's main workspace, in a folder of this name.

        Args:
            version: its release.
            config: its configuration, without the backend block.
            env: TF_HTTP_* variables; by default those of the main workspace.
            name: of the folder.
            applied: apply the configuration first. The ledger then begins after that.
        """


class MakeServer(Protocol):
    """What the fixture `make_server` promises."""

    def __call__(
        self,
        *,
        env: Mapping[str, str] | None = ...,
        options: Sequence[str] = ...,
        data: Path | None = ...,
        start: bool = ...,
    ) -> Server:
        """Return a server on this data folder, started unless told otherwise."""


@cache
def _problem(version: str, scratch: Path) -> str | None:
    """Return why this release can't be used on this machine, None when it can."""
    if command(version) is None:
        return f"Terraform {version} is not on this machine: run make test-tools"
    told = Terraform(version, scratch).run("version", "-json").stdout
    found = json.loads(told)["terraform_version"]
    return None if found == version else f"this is Terraform {found}, the test needs {version}"


@pytest.fixture(params=VERSIONS)
def terraform_version(request: pytest.FixtureRequest) -> str:
    """Run the test once with each release."""
    return str(request.param)


@pytest.fixture
def make_terraform(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeTerraform]:
    """Return a function that makes Terraform clients; what they left running is killed."""
    made: list[Terraform] = []

    def make(
        version: str = VERSIONS[0], *, env: Mapping[str, str] | None = None, name: str = "work"
    ) -> Terraform:
        if problem := _problem(version, tmp_path_factory.getbasetemp() / f"probe-{version}"):
            missing(problem)
        made.append(Terraform(version, tmp_path / name, env))
        return made[-1]

    yield make
    for terraform in made:
        terraform.close()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Return a function that starts servers; those that still run at the end are killed."""
    made: list[Server] = []

    def make(
        *,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        data: Path | None = None,
        start: bool = True,
    ) -> Server:
        folder = data or tmp_path / f"data-{len(made)}"
        made.append(Server(folder, env=env, options=options))
        return made[-1].start() if start else made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for all tests that leave it running; its log is verified at the end.

    That is as good as after each test: every checkpoint that was signed on the way is compared
    with the entries before it, and the index of a bad entry tells the test.
    """
    server = Server(tmp_path_factory.mktemp("shared") / "data")
    try:
        yield server.start()
        verified = server.verify()
        assert 0 == verified.returncode, verified.stdout + verified.stderr
    finally:
        server.kill()


@pytest.fixture
def ledger(request: pytest.FixtureRequest, shared_server: Server) -> Ledger:
    """Workspaces of the test's own on the shared server, and what its log says of them."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name).strip("-")
    return Ledger(shared_server, name)


@pytest.fixture
def project(ledger: Ledger, make_terraform: MakeTerraform) -> MakeProject:
    """Return a function that makes clients which are ready to plan; none of it is in the steps."""

    def make(
        version: str = VERSIONS[0],
        config: str = VALUE,
        *,
        env: Mapping[str, str] | None = None,
        name: str = "work",
        applied: bool = False,
    ) -> Terraform:
        terraform = make_terraform(version, env=env or ledger.backend(), name=name)
        terraform.write(HTTP_BACKEND + config)
        terraform.run("init")
        if applied:
            terraform.apply()
        ledger.skip()
        return terraform

    return make


@pytest.fixture
def server(make_server: Callable[[], Server]) -> Server:
    """A running server with an empty data folder."""
    return make_server()
