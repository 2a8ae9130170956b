"""Tests of `tfaudit state`."""

import hashlib
import json
from pathlib import Path

import pytest

from proxy.cli.state import workspace_of
from tests.cli.conftest import LINEAGE, Tfaudit, events, json_lines, state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder as somebody copied it from an S3 bucket."""
    files = {
        "network.tfstate": state(3),
        "env:/prod/network.tfstate": state(7),
        "prod/dns/zone.tfstate": state(2),
        ".terraform/terraform.tfstate": b"{}",
        "notes.txt": b"",
    }
    for name, body in files.items():
        path = tmp_path / "states" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "states"


def put(tfaudit: Tfaudit, tmp_path: Path, body: bytes, workspace: str = "prod") -> None:
    """Import a state."""
    (tmp_path / "some.tfstate").write_bytes(body)
    tfaudit("state", "import", tmp_path / "some.tfstate", "--workspace", workspace)


def test_an_import_keeps_every_byte(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """What `pull` writes is the file, with its odd spaces, lineage and serial."""
    body = state(41)
    put(tfaudit, tmp_path, body)
    assert body == tfaudit("state", "pull", "prod").stdout_bytes


def test_an_import_tells_how_to_go_on(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """The block to paste and the command that copies nothing."""
    (tmp_path / "x.tfstate").write_bytes(state())
    result = tfaudit("state", "import", tmp_path / "x.tfstate", "--workspace", "prod/network")
    assert "terraform init -reconfigure" in result.stderr
    assert '"http://127.0.0.1:8920/state/prod/network"' in result.stderr


def test_an_import_is_on_record(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """As the birth of the workspace and a write, with the digest of the bytes."""
    put(tfaudit, tmp_path, state())
    assert ["workspace.created", "state.written"] == events(tfaudit)[:2]
    written = json_lines(tfaudit("log", "--json", "--event", "state.written").stdout)[0]["entry"]
    assert hashlib.sha256(state()).hexdigest() == written["state"]["sha256"]
    assert "cli" == written["request"]["via"]


def test_a_folder_is_imported_by_its_paths(tfaudit: Tfaudit, folder: Path) -> None:
    """Hidden folders are Terraform's own and stay out; `env:` is the bucket's, not a name."""
    found = json.loads(tfaudit("state", "import", folder, "--json").stdout)
    assert {"network": 3, "prod/network": 7, "prod/dns/zone": 2} == {
        each["workspace"]: each["version"]["serial"] for each in found
    }
    listed = json.loads(tfaudit("state", "list", "--json").stdout)
    assert ["network", "prod/dns/zone", "prod/network"] == [each["workspace"] for each in listed]


@pytest.mark.parametrize(
    ("inside", "prefix", "workspace"),
    [
        ("a.tfstate", None, "a"),
        ("a/b.tfstate", None, "a/b"),
        ("a/b.tfstate", "team", "team/a/b"),
        ("env:/ws/key.tfstate", None, "ws/key"),
        ("a/env:/b.tfstate", None, "a/env:/b"),
        ("terraform.tfstate.d/prod/terraform.tfstate", "net", "net/prod"),
        ("terraform.tfstate", None, "terraform"),
    ],
)
def test_a_path_is_a_workspace(inside: str, prefix: str | None, workspace: str) -> None:
    """Without the suffix, and without what only the s3 or the local backend means by it."""
    assert workspace == workspace_of(Path(inside), prefix)


def test_nothing_is_imported_when_a_name_is_wrong(tfaudit: Tfaudit, folder: Path) -> None:
    """All wrong names are told at once, before the first state is stored."""
    (folder / "bad name.tfstate").write_bytes(state())
    (folder / "worse!.tfstate").write_bytes(state())
    error = tfaudit("state", "import", folder, code=2).stderr
    assert "bad name.tfstate" in error
    assert "worse!.tfstate" in error
    assert [] == json.loads(tfaudit("state", "list", "--json").stdout)


def test_two_files_never_become_one_workspace(tfaudit: Tfaudit, folder: Path) -> None:
    """`env:/prod/dns/zone` and `prod/dns/zone` would: told, not decided."""
    (folder / "env:" / "prod" / "dns").mkdir()
    (folder / "env:" / "prod" / "dns" / "zone.tfstate").write_bytes(state())
    assert "both go to prod/dns/zone" in tfaudit("state", "import", folder, code=2).stderr


def test_one_bad_file_does_not_keep_the_others_out(tfaudit: Tfaudit, folder: Path) -> None:
    """It is named, and the exit code says that not all was done."""
    (folder / "broken.tfstate").write_bytes(b"<html>")
    result = tfaudit("state", "import", folder, code=1)
    assert "broken.tfstate was not imported to broken" in result.stderr
    assert 3 == len(json.loads(tfaudit("state", "list", "--json").stdout))


def test_an_import_twice_is_one(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """The same bytes make no second version."""
    put(tfaudit, tmp_path, state())
    put(tfaudit, tmp_path, state())
    assert 1 == len(json.loads(tfaudit("state", "versions", "prod", "--json").stdout))


def test_an_import_replaces_no_state(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """Another state in the workspace is left alone."""
    put(tfaudit, tmp_path, state(1))
    (tmp_path / "other.tfstate").write_bytes(state(2))
    tfaudit("state", "import", tmp_path / "other.tfstate", "--workspace", "prod", code=1)
    assert state(1) == tfaudit("state", "pull", "prod").stdout_bytes


@pytest.mark.parametrize("arguments", [("x.tfstate",), ("nowhere", "--workspace", "prod")])
def test_an_import_needs_a_file_and_a_place(
    tfaudit: Tfaudit, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A file without a workspace is wrong usage, a file that is not there is a no."""
    (tmp_path / "x.tfstate").write_bytes(state())
    tfaudit("state", "import", *arguments, code=2 if arguments[0] == "x.tfstate" else 1)


def test_states_are_listed(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """Name, serial, number of versions, Terraform's version."""
    put(tfaudit, tmp_path, state(41))
    line = tfaudit("state", "list").stdout.splitlines()[1].split()
    assert ["prod", "41", "1", "1.11.4"] == [line[0], line[1], line[2], line[5]]


def test_versions_are_listed_newest_first(tfaudit: Tfaudit, rolled_back: str) -> None:
    """With number, serial, digest, lineage."""
    found = json.loads(tfaudit("state", "versions", rolled_back, "--json").stdout)
    assert [(3, 7), (2, 6), (1, 5)] == [(each["number"], each["serial"]) for each in found]
    assert {LINEAGE} == {each["lineage"] for each in found}


@pytest.mark.parametrize("verb", ["versions", "pull", "show", "diff"])
def test_a_workspace_without_a_state_is_a_no(tfaudit: Tfaudit, verb: str) -> None:
    """Nothing on stdout that a script could take for a state."""
    assert not tfaudit("state", verb, "nowhere", code=1).stdout


def test_pulling_is_on_record(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """It hands out secrets, so it is a read like any other."""
    put(tfaudit, tmp_path, state())
    tfaudit("state", "pull", "prod")
    tfaudit("state", "pull", "prod", "--version", "1")
    assert ["state.read", "state.version_read"] == events(tfaudit)[2:4]


def test_an_older_version_is_pulled_by_number_or_id(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Byte for byte."""
    first = json.loads(tfaudit("state", "versions", rolled_back, "--json").stdout)[-1]
    for reference in ("1", first["id"]):
        pulled = tfaudit("state", "pull", rolled_back, "--version", reference).stdout_bytes
        assert first["sha256"] == hashlib.sha256(pulled).hexdigest()
    tfaudit("state", "pull", rolled_back, "--version", "99", code=1)


def test_a_rollback_is_the_older_bytes_with_the_next_serial(
    tfaudit: Tfaudit, rolled_back: str
) -> None:
    """Only the digits of the serial differ."""
    first = tfaudit("state", "pull", rolled_back, "--version", "1").stdout_bytes
    assert first.replace(b'"serial" : 5', b'"serial" : 7') == (
        tfaudit("state", "pull", rolled_back).stdout_bytes
    )
    assert "state.rolled_back" in events(tfaudit)


@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", 0, 4), ("n\n", 1, 3), ("", 2, 3)])
def test_a_rollback_asks_first(
    tfaudit: Tfaudit, rolled_back: str, answer: str, code: int, count: int
) -> None:
    """Only a clear yes counts; without anybody to answer it is not done, and `--yes` is named."""
    told = tfaudit("state", "rollback", rolled_back, "2", answer=answer, code=code).stderr
    assert ("--yes" in told) is (code == 2)
    assert count == len(json.loads(tfaudit("state", "versions", rolled_back, "--json").stdout))


def test_a_version_that_is_not_there_is_told_before_the_question(
    tfaudit: Tfaudit, rolled_back: str
) -> None:
    """Nobody agrees to something and learns then that it is impossible."""
    told = tfaudit("state", "rollback", rolled_back, "99", answer="y\n", code=1).stderr
    assert "has no version 99" in told
    assert "?" not in told


def test_a_diff_is_drawn_as_a_plan(tfaudit: Tfaudit, rolled_back: str) -> None:
    """What was changed, with both values, and the versions compared."""
    text = tfaudit("state", "diff", rolled_back, "1", "2").stdout
    assert f"{rolled_back}: version 1 (serial 5) -> version 2 (serial 6)" in text
    assert "~ terraform_data.main" in text
    assert '~ input = "one" -> "two"' in text


def test_a_diff_shows_no_secret(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Neither for people nor as JSON; that it changed is told."""
    for options in ((), ("--json",)):
        text = tfaudit("state", "diff", rolled_back, "1", "2", *options).stdout
        assert "hunter" not in text
        assert "password" in text


def test_a_diff_is_of_the_newest_by_default(tfaudit: Tfaudit, rolled_back: str) -> None:
    """The last step."""
    shown = json.loads(tfaudit("state", "diff", rolled_back, "--json").stdout)
    assert (2, 3) == (shown["from"]["number"], shown["to"]["number"])


def test_show_hides_secrets(tfaudit: Tfaudit, rolled_back: str) -> None:
    """The rest of the state is there, for people and as JSON."""
    text = tfaudit("state", "show", rolled_back).stdout
    shown = tfaudit("state", "show", rolled_back, "--json").stdout
    assert "hunter" not in text + shown
    assert '    input = "one"' in text.splitlines()
    (resource,) = json.loads(shown)["resources"]
    assert ("terraform_data.main", "one") == (resource["address"], resource["attributes"]["input"])
