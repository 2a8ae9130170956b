"""Tests of ``tfaudit scan``."""

import json
from pathlib import Path

import pytest

from proxy.cli._common import caller, opened, run, settings
from proxy.server_record import record_start
from proxy.tfstate.policy import Policy
from tests.cli.conftest import Tfaudit, events, state
from tests.samples import an_encrypted_state

SECRET = "correct-horse-battery"


def a_file(name: str, body: bytes) -> Path:
    """Write a state into the working directory."""
    path = Path(name)
    path.write_bytes(body)
    return path


def test_a_file_is_scanned_without_a_data_directory(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """Where and how it is known, never the value."""
    path = a_file("dirty.tfstate", state(password=SECRET))
    told = tfaudit("scan", path, "--data", tmp_path / "none", code=1)
    assert "terraform_data.main" in told.stdout
    assert "password" in told.stdout
    assert ["Found 1 secret in 1 state:", "  1  its name says so"] == told.stderr.splitlines()
    assert SECRET not in told.output


def test_a_clean_file(tfaudit: Tfaudit) -> None:
    """Exit code 0, and nothing on stdout that a script would have to skip."""
    told = tfaudit("scan", a_file("clean.tfstate", state()))
    assert "" == told.stdout
    assert "Found 0 secrets in 1 state." in told.stderr


def test_the_standard_input_is_a_file_too(tfaudit: Tfaudit) -> None:
    """As in ``terraform state pull | tfaudit scan -``."""
    tfaudit("scan", "-", answer=state(password=SECRET), code=1)
    tfaudit("scan", "-", answer=state(), code=0)


def test_a_workspace_is_scanned_on_record(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Its newest state; scanning is reading."""
    before = events(tfaudit).count("state.version_read")
    told = tfaudit("scan", rolled_back, code=1)
    assert "password" in told.stdout
    assert "hunter" not in told.output
    assert before + 1 == events(tfaudit).count("state.version_read")


def test_all_workspaces_are_scanned(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Each by name; one that can't be told does not keep the others out."""
    for name, body in (("clean", state()), ("sealed", an_encrypted_state())):
        tfaudit("state", "import", a_file(f"{name}.tfstate", body), "--workspace", name)
    told = tfaudit("scan", "--all", "--json", code=1)
    scanned = {each["workspace"]: each for each in json.loads(told.stdout)["scanned"]}
    assert {"clean", "sealed", rolled_back} == set(scanned)
    assert [] == scanned["clean"]["findings"]
    (finding,) = scanned[rolled_back]["findings"]
    assert ("terraform_data.main", "password") == (finding["address"], finding["path"])
    assert finding["class"]
    assert "encrypted by OpenTofu" in scanned["sealed"]["untold"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (an_encrypted_state(), "encrypted by OpenTofu"),
        (b"{", "could not be scanned"),
        (b"{}", "could not be scanned"),
        (b"\xff\xfe", "could not be scanned"),
    ],
)
def test_what_can_not_be_told(tfaudit: Tfaudit, body: bytes, reason: str) -> None:
    """Exit code 2, as JSON too."""
    path = a_file("odd.tfstate", body)
    told = tfaudit("scan", path, code=2).stderr
    assert reason in told
    assert "Found" not in told
    (scanned,) = json.loads(tfaudit("scan", path, "--json", code=2).stdout)["scanned"]
    assert ("odd.tfstate", []) == (scanned["file"], scanned["findings"])
    assert scanned["untold"]


@pytest.mark.parametrize(
    "arguments", [("nothing-there",), ("./nothing.tfstate",), (), ("a", "--all")]
)
def test_what_is_not_there_or_not_asked(tfaudit: Tfaudit, arguments: tuple[str, ...]) -> None:
    """Nobody may take it for an answer: exit code 2."""
    tfaudit("scan", *arguments, code=2)


def test_a_workspace_that_is_not_there(tfaudit: Tfaudit) -> None:
    """And where to see which are."""
    told = tfaudit("scan", "typo", code=2).stderr
    assert "there is no file typo, and typo has no state: `tfaudit state list`" in told
    assert "Found" not in told


def test_reasons_are_counted_whatever_carries_the_secret(tfaudit: Tfaudit) -> None:
    """One line each, the most common first."""
    path = a_file(
        "dirty.tfstate",
        state(password=SECRET, a=json.dumps({"token": "another-one"}), b="https://u:third-one@h/"),
    )
    assert [
        "Found 3 secrets in 1 state:",
        "  2  its name says so",
        "  1  a password in a URL",
    ] == tfaudit("scan", path, code=1).stderr.splitlines()


def test_patterns_that_match_nothing_are_told(
    tfaudit: Tfaudit, rolled_back: str, data: Path
) -> None:
    """Of the policy in force, and only when all states were looked at."""
    policy = Policy(hidden=("terraform_data.main.input", "*.input"), readable=("output.nothing",))

    async def a_start() -> None:
        async with opened(settings(data, None)) as program:
            await record_start(program.store, caller("serve"), config={}, keys={}, policy=policy)

    run(a_start())
    told = tfaudit("scan", "--all", code=1).stderr
    assert "The pattern terraform_data.main.input of `hidden` matched nothing" in told
    assert "The pattern output.nothing of `readable` matched nothing" in told
    assert "The pattern *.input" not in told
    assert "matched nothing" not in tfaudit("scan", rolled_back, code=1).stderr


def test_the_policy_counts(tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a company hides is a secret, too."""
    path = a_file("clean.tfstate", state())
    tfaudit("scan", path, code=0)
    monkeypatch.setenv("TFAUDIT_REDACTION_HIDDEN", "terraform_data.input")
    assert "input" in tfaudit("scan", path, code=1).stdout
