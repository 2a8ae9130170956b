"""Tests of ``tfaudit whose-secret``."""

import json

import pytest

from tests.cli.conftest import Tfaudit, events, json_lines


def test_a_value_is_told_where_it_was_seen(tfaudit: Tfaudit, rolled_back: str) -> None:
    """In the log and in the versions; the line break of ``echo`` is not part of it."""
    for answer in ("hunter1", "hunter1\n", "hunter1\r\n"):
        told = tfaudit("whose-secret", rolled_back, answer=answer).stdout
        assert "In 3 entries of the log:" in told
        assert "In 2 stored versions:" in told
        assert "terraform_data.main" in told
        assert "hunter1" not in told
        assert "hmac-sha256" not in told


def test_a_value_as_json(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Each place by itself."""
    told = json.loads(tfaudit("whose-secret", rolled_back, "--json", answer="hunter2").stdout)
    assert ["after", "before"] == [entry["places"][0]["side"] for entry in told["entries"]]
    assert [2] == [version["number"] for version in told["versions"]]
    assert [{"address": "terraform_data.main", "path": "password", "how": "value"}] == (
        told["versions"][0]["places"]
    )
    assert {"address", "path", "how", "side"} == set(told["entries"][0]["places"][0])


def test_a_value_that_was_not_seen(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Exit code 1."""
    told = tfaudit("whose-secret", rolled_back, answer="hunter3", code=1)
    assert "The value was not seen in prod." in told.stdout


def test_a_key_that_was_destroyed_leaves_the_versions(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Seen there: 0. Not seen there: could not tell, 2."""
    tfaudit("forget", rolled_back, "--yes")
    seen = tfaudit("whose-secret", rolled_back, answer="hunter1")
    assert "In 2 stored versions:" in seen.stdout
    assert "3 entries hid values with a key that was destroyed" in seen.stderr
    tfaudit("whose-secret", rolled_back, answer="hunter3", code=2)


def test_the_question_is_an_entry_without_the_value(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Nothing of it in the whole log."""
    tfaudit("whose-secret", rolled_back, answer="hunter1")
    assert "audit.read" in events(tfaudit)
    log = tfaudit("log", "--json", "--since", "1w").stdout
    asked = [line for line in json_lines(log) if "asked where" in line["entry"]["message"]]
    assert 1 == len(asked)
    assert "hunter1" not in log


@pytest.mark.parametrize("answer", ["", "\n", "x" * ((1 << 20) + 1), b"hunter1\xff"])
def test_what_is_no_value(tfaudit: Tfaudit, rolled_back: str, answer: str | bytes) -> None:
    """Exit code 2, and nothing of it is repeated."""
    assert "hunter1" not in tfaudit("whose-secret", rolled_back, answer=answer, code=2).output


def test_a_workspace_that_is_not_there(tfaudit: Tfaudit) -> None:
    """A typo must not look like "not seen": exit code 2."""
    assert "there is no typo" in tfaudit("whose-secret", "typo", answer="x", code=2).stderr


def test_a_value_is_no_argument(tfaudit: Tfaudit, rolled_back: str) -> None:
    """It would stand in the shell's history and in the list of processes."""
    tfaudit("whose-secret", rolled_back, "hunter1", code=2)
