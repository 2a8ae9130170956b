"""Tests of ``tfaudit whose-secret``."""

import json
from pathlib import Path

import pytest

from proxy.cli._common import caller, opened, run, settings
from tests.cli.conftest import Tfaudit, events, json_lines, state


def write(data: Path, *bodies: bytes) -> None:
    """Write states to the workspace ``prod``, one after the other."""

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            for body in bodies:

                async def receive(_: int | None, body: bytes = body) -> bytes:
                    return body

                await program.states.write(caller("test"), "prod", receive, None, None)

    run(work())


def test_a_value_is_told_where_it_was_seen(tfaudit: Tfaudit, rolled_back: str) -> None:
    """In the log and in the versions; the line break of ``echo`` is not part of it."""
    for answer in ("hunter1", "hunter1\n", "hunter1\r\n"):
        told = tfaudit("whose-secret", rolled_back, answer=answer).stdout
        assert "Hidden in 3 entries of the log:" in told
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


def test_entries_that_show_the_value_come_first(tfaudit: Tfaudit, data: Path) -> None:
    """In words that nobody can miss."""
    secret, plain = {"password": "Tr0ub4dor-leaked"}, {"input": "Tr0ub4dor-leaked"}
    write(data, state(1, **secret), state(2), state(3, **plain), state(4))
    told = tfaudit("whose-secret", "prod", answer="Tr0ub4dor-leaked").stdout
    assert told.startswith("The value stands IN PLAIN in ")
    assert told.index("in plain") < told.index("Hidden in ")
    assert "Tr0ub4dor-leaked" not in told
    found = json.loads(tfaudit("whose-secret", "prod", "--json", answer="Tr0ub4dor-leaked").stdout)
    first = found["entries"][0]
    assert {"index", "time", "event", "places"} == set(first)
    assert {
        "address": "terraform_data.main",
        "path": "input",
        "how": "plain",
        "side": "after",
    } == first["places"][0]


def test_each_place_is_told_once_with_its_versions(tfaudit: Tfaudit, data: Path) -> None:
    """As ranges; and what carries the value is left out beside the place inside it."""
    url = "https://app:Tr0ub4dor%263@example.com/"
    passwords = {serial: "other" if serial == 4 else "Tr0ub4dor&3" for serial in range(1, 8)}
    write(data, *(state(n, password=passwords[n], url=url, input=str(n)) for n in passwords))
    told = tfaudit("whose-secret", "prod", answer="Tr0ub4dor&3").stdout
    rows = told[told.index("In 7 stored versions:") :].splitlines()[2:]
    assert [["1-3,", "5-7"], ["1-7"]] == [row.split("20", 1)[0].split() for row in rows]
    assert rows[0].rstrip().endswith("the value itself")
    assert rows[1].rstrip().endswith("inside what a text carries")
    assert "percent-encoded" not in told


def test_a_value_that_was_not_seen(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Exit code 1."""
    told = tfaudit("whose-secret", rolled_back, answer="hunter3", code=1)
    assert "The value was not seen in prod." in told.stdout


def test_a_key_that_was_destroyed_leaves_the_versions(tfaudit: Tfaudit, rolled_back: str) -> None:
    """Seen there: 0, though not in which entries. Not seen there: not in the entries either, 1."""
    tfaudit("forget", rolled_back, "--yes")
    seen = tfaudit("whose-secret", rolled_back, answer="hunter1")
    assert "In 2 stored versions:" in seen.stdout
    assert "3 entries hid values with a key that was destroyed" in seen.stderr
    tfaudit("whose-secret", rolled_back, answer="hunter3", code=1)


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
    """Exit code 1, as everywhere; a typo does not read like "not seen"."""
    told = tfaudit("whose-secret", "typo", answer="x", code=1)
    assert "there is no typo" in told.stderr
    assert "" == told.stdout


def test_a_value_is_no_argument(tfaudit: Tfaudit, rolled_back: str) -> None:
    """It would stand in the shell's history and in the list of processes."""
    tfaudit("whose-secret", rolled_back, "hunter1", code=2)
