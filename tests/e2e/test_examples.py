"""Each of terraform-examples/ works as it stands: only the server's address differs here."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeTerraform
from tests.e2e.server import Server
from tests.e2e.terraform import VERSIONS, Terraform

EXAMPLES = Path(__file__).parents[2] / "terraform-examples"
DOCUMENTED = "http://127.0.0.1:8920"


def copy_of(
    example: str, server: Server, make_terraform: MakeTerraform, version: str, token: str
) -> Terraform:
    """Copy an example as a person would, for the server that is under test, and initialise it."""
    terraform = make_terraform(
        version,
        name=example,
        env={"TF_HTTP_PASSWORD": token},
    )
    text = (EXAMPLES / example / "main.tf").read_text("utf-8")
    assert DOCUMENTED in text
    terraform.write(text.replace(DOCUMENTED, server.url))
    terraform.run("init")
    return terraform


def test_every_example_is_tested_and_explained() -> None:
    """Each folder has a README and a configuration, and no folder is unknown to these tests."""
    folders = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())

    assert [
        "event-driven",  # see test_event_driven
        "github-actions-oidc",  # see test_identity_tokens
        "gitlab-ci-oidc",  # there too
        "gitlab-dialect",
        "quickstart",
        "remote-state-consumer",
    ] == folders
    for folder in folders:
        assert (EXAMPLES / folder / "README.md").is_file()


def test_the_examples_are_formatted(make_terraform: MakeTerraform, tmp_path: Path) -> None:
    """`terraform fmt` has nothing to change."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")

    unformatted = make_terraform().run(
        "fmt", "-check", "-recursive", str(tmp_path / "examples"), check=False
    )

    assert "" == unformatted.stdout
    assert 0 == unformatted.returncode


def test_quickstart(server: Server, make_terraform: MakeTerraform, terraform_version: str) -> None:
    """The pasted block gives a working apply, and the change is on record."""
    token = server.token("writer", "quickstart")
    terraform = copy_of("quickstart", server, make_terraform, terraform_version, token)

    terraform.apply()
    terraform.apply("-var", "greeting=goodbye")

    assert "goodbye" == terraform.run("output", "-raw", "greeting").stdout
    writes = [record for record in server.log() if record.event == "state.written"]
    assert [1, 2] == [record.entry["state"]["serial"] for record in writes]
    assert 0 == server.verify().returncode


def test_remote_state_consumer(server: Server, make_terraform: MakeTerraform) -> None:
    """One token for two workspaces: the consumer's read of the other state is on record.

    How each release reads another state is looked at in test_remote_state.
    """
    token = server.token("writer", "*")
    copy_of("quickstart", server, make_terraform, VERSIONS[0], token).apply()
    before = len(server.log())
    terraform = copy_of("remote-state-consumer", server, make_terraform, VERSIONS[0], token)

    terraform.apply()

    assert "quickstart says hello" == terraform.run("output", "-raw", "answer").stdout
    reads = [
        record
        for record in server.log()[before:]
        if record.event == "state.read" and record.entry["workspace"] == "quickstart"
    ]
    assert reads
    assert 0 == server.verify().returncode


@pytest.mark.parametrize("all_post", [False, True], ids=["gitlab", "all-post"])
def test_gitlab_dialect(server: Server, make_terraform: MakeTerraform, all_post: bool) -> None:
    """POST and DELETE on the lock's address lock and unlock, and so does POST alone.

    That each release can speak either is looked at in test_lifecycle.
    """
    token = server.token("writer", "gitlab-dialect")
    terraform = copy_of("gitlab-dialect", server, make_terraform, VERSIONS[0], token)
    if all_post:
        terraform.run(
            "init",
            "-reconfigure",
            "-backend-config",
            f"unlock_address={server.state_url('gitlab-dialect')}/unlock",
            "-backend-config",
            "unlock_method=POST",
        )

    terraform.apply()

    events = [event for event in server.events("gitlab-dialect") if event != "state.read"]
    expected = ["state.locked", "workspace.created", "state.written", "state.unlocked"]
    assert expected == events
    assert 0 == server.verify().returncode
