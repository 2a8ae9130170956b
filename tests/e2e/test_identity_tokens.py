"""Real Terraform with the identity token of a CI system as its password, and the CI examples."""

import json
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.directory import read_record
from proxy.rules import is_met
from tests.conftest import missing
from tests.e2e.conftest import MakeTerraform
from tests.e2e.server import HTTP_BACKEND, Server
from tests.e2e.test_examples import EXAMPLES
from tests.oidc.fixtures import issuer, provider
from tests.oidc.issuer import TestIssuer

__all__ = ["issuer", "provider"]

DOCUMENTED = "https://tfaudit.example.com"
GITHUB = EXAMPLES / "github-actions-oidc"
GITLAB = EXAMPLES / "gitlab-ci-oidc"
VALUE = 'resource "terraform_data" "a" {\n  input = "one"\n}\n'

OF_GITLAB: dict[str, Any] = {
    "sub": "project_path:acme/infra:ref_type:branch:ref:main",
    "project_path": "acme/infra",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "pipeline_id": "574",
    "pipeline_source": "push",
    "job_id": "302",
    "user_login": "sample-user",
    "repository": None,
    "run_id": None,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all these tests, each of which says anew who may do what."""
    made = Server(tmp_path_factory.mktemp("identities") / "data")
    try:
        yield made.start()
        verified = made.verify()
        assert 0 == verified.returncode, verified.stdout + verified.stderr
    finally:
        made.kill()


@dataclass
class Ci:
    """A server that believes the issuer of an example, and a copy of the example.

    Attributes:
        server: of all tests.
        issuer: who vouches in place of the CI system.
        folder: where the copy is.
        begin: how long the log was.
    """

    server: Server
    issuer: TestIssuer
    folder: Path
    begin: int

    def claims(self, workspace: str) -> list[dict[str, Any]]:
        """Return the actors' claims of what was done there, oldest first."""
        found = [record.entry for record in self.server.log()[self.begin :]]
        return [each["actor"]["claims"] for each in found if each.get("workspace") == workspace]


def a_ci(example: Path, server: Server, issuer: TestIssuer, folder: Path) -> Ci:
    """Copy an example for this server and issuer, and bring its access.toml into force."""
    shutil.copytree(example, folder)
    for path in folder.iterdir():
        text = path.read_text("utf-8").replace(DOCUMENTED, server.url)
        if path.name == "access.toml":
            [documented] = {each["url"] for each in tomllib.loads(text)["issuer"]}
            text = text.replace(documented, issuer.url)
        path.write_text(text)
    server.cli("apply", str(folder / "access.toml"), "--yes")
    return Ci(server, issuer, folder, len(server.log()))


def access_of(example: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of an example's access.toml."""
    return tomllib.loads((example / "access.toml").read_text("utf-8"))


# ---------------------------------------------------------------- what the examples say


@pytest.mark.parametrize("example", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_the_access_files_are_what_they_should_be(example: Path) -> None:
    """Each table is a record that the server takes."""
    for kind, tables in access_of(example).items():
        for fields in tables:
            assert fields["name"] == read_record(kind, fields).name


@pytest.mark.parametrize(
    ("example", "claims", "grants"),
    [
        (GITHUB, {"event_name": "push"}, ["infra-apply"]),
        (GITHUB, {"event_name": "pull_request", "ref": "refs/pull/1/merge"}, ["infra-plan"]),
        (GITHUB, {"event_name": "pull_request_target"}, []),
        (GITHUB, {"event_name": "push", "ref": "refs/heads/other"}, []),
        (GITHUB, {"event_name": "push", "repository": "evil/infra"}, []),
        (GITLAB, {}, ["infra-apply"]),
        (GITLAB, {"pipeline_source": "merge_request_event", "ref": "new"}, ["infra-plan"]),
        (GITLAB, {"ref_protected": "false"}, []),
        (GITLAB, {"ref_type": "tag"}, []),
        (GITLAB, {"project_path": "mallory/infra"}, []),
    ],
)
def test_the_rules_of_the_examples_hold_what_they_say(
    example: Path, claims: dict[str, Any], grants: list[str]
) -> None:
    """The main branch applies, a change that is proposed plans, all others may nothing."""
    own = {"repository": "acme/infra", "ref": "refs/heads/main"} if example is GITHUB else OF_GITLAB
    met = [g["name"] for g in access_of(example)["grant"] if is_met(g["when"], own | claims)]

    assert grants == met


def test_the_pipelines_store_no_secret() -> None:
    """They are YAML, ask for an identity token, and refer to no secret or variable of the CI."""
    workflow = (GITHUB / "terraform.yml").read_text("utf-8")
    pipeline = (GITLAB / ".gitlab-ci.yml").read_text("utf-8")

    assert "write" == yaml.safe_load(workflow)["permissions"]["id-token"]
    assert "secrets." not in workflow
    tokens = yaml.safe_load(pipeline)[".terraform"]["id_tokens"]
    assert {"TF_HTTP_PASSWORD": {"aud": DOCUMENTED}} == tokens


# ---------------------------------------------------------------- what they do


def test_terraform_writes_where_the_claims_allow_it(
    server: Server, issuer: TestIssuer, make_terraform: MakeTerraform, tmp_path: Path
) -> None:
    """The job's identity token is the password: one workspace takes it, another says why not."""
    ci = a_ci(GITLAB, server, issuer, tmp_path / "ci")
    token = issuer.token(aud=server.url, **OF_GITLAB)
    terraform = make_terraform(env={"TF_HTTP_PASSWORD": token}, name="ci")
    terraform.run("init")
    terraform.run("validate")
    terraform.apply()

    for claims in ci.claims("prod/database"):
        assert {"project_path": "acme/infra", "pipeline_id": "574", "job_id": "302"}.items() <= (
            claims.items()
        )
        assert ("sample-user", "true") == (claims["user_login"], claims["ref_protected"])
    assert ["state.locked", "workspace.created", "state.written", "state.unlocked"] == [
        event for event in server.events("prod/database") if event != "state.read"
    ]

    other = make_terraform(env=server.backend("dev/database", token), name="other")
    other.write(HTTP_BACKEND + VALUE)
    refused = other.run("init", check=False)

    assert 1 == refused.returncode
    assert "HTTP remote state endpoint invalid auth" in refused.output
    denied = [
        record.entry for record in server.log()[ci.begin :] if record.event == "access.denied"
    ]
    assert denied
    assert {"acme/infra"} == {each["actor"]["claims"]["project_path"] for each in denied}
    assert token.rsplit(".", 1)[1] not in server.stderr


@pytest.fixture
def step(tmp_path: Path) -> Any:
    """Return a function that runs a step of the workflow as a runner of GitHub does."""
    for tool in ("curl", "jq"):
        if shutil.which(tool) is None:
            missing(f"this test wants {tool}: run make test, which installs it")
    variables = tmp_path / "github.env"
    variables.touch()

    def run(ci: Ci, name: str, check: bool = True, **env: str) -> str:
        workflow = yaml.safe_load((ci.folder / "terraform.yml").read_text("utf-8"))
        [found] = [s for s in workflow["jobs"]["terraform"]["steps"] if s.get("name") == name]
        given = dict(line.split("=", 1) for line in variables.read_text("utf-8").splitlines())
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
            cwd=ci.folder,
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_ENV": str(variables),
                "ACTIONS_ID_TOKEN_REQUEST_URL": f"{ci.issuer.url}/run?api-version=2.0",
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the run",
                **workflow["env"],
                **given,
                **env,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) == check, done.stdout + done.stderr
        return done.stdout

    run.variables = variables  # type: ignore[attr-defined]
    return run


def test_a_run_of_github_outlives_its_identity_token(
    server: Server, issuer: TestIssuer, make_terraform: MakeTerraform, tmp_path: Path, step: Any
) -> None:
    """The workflow's own steps: exchange, apply when the identity token is over, and the end."""
    ci = a_ci(GITHUB, server, issuer, tmp_path / "ci")
    identity = issuer.token(aud=server.url, exp=int(time.time()) + 4)
    issuer.tell(run=identity)

    shown = step(ci, "Prove to tfaudit which run this is")
    token = step.variables.read_text("utf-8").strip().removeprefix("TF_HTTP_PASSWORD=")
    assert [f"::add-mask::{identity}", f"::add-mask::{token}"] == shown.splitlines()
    assert 1 == issuer.asked()[f"api-version=2.0&audience={server.url}"]

    terraform = make_terraform(env={"TF_HTTP_PASSWORD": token}, name="ci")
    terraform.run("init")
    while server.request("GET", "/api/v1/whoami", token=identity).status == 200:
        time.sleep(0.2)
    terraform.apply()
    step(ci, "End what was given for the identity")

    events = [(r.event, r.entry["actor"].get("claims", {}).get("run_id")) for r in server.log()]
    for event in ("token.created", "state.locked", "state.written", "state.unlocked"):
        assert (event, "1658821493") in events
    assert ("token.revoked", "1658821493") in events
    assert 401 == server.request("GET", "/state/prod/network", token=token).status
    assert token not in server.stderr + json.dumps([r.entry for r in server.log()])


def test_a_run_that_may_not_is_told_why(
    server: Server, issuer: TestIssuer, tmp_path: Path, step: Any
) -> None:
    """The step ends with what the server said, and gives Terraform nothing."""
    ci = a_ci(GITHUB, server, issuer, tmp_path / "ci")
    issuer.tell(run=issuer.token(aud=server.url, repository="evil/infra"))

    shown = step(ci, "Prove to tfaudit which run this is", check=False)

    assert "nothing is granted to it" in shown
    assert "" == step.variables.read_text("utf-8")
