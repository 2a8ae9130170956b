"""Tests of `tfaudit log`."""

import base64
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from proxy.tlog.entry import key_id, signing_input
from proxy.tlog.merkle import leaf_hash
from tests.cli.conftest import Tfaudit, json_lines, state


@pytest.fixture
def busy(tfaudit: Tfaudit) -> Tfaudit:
    """Return the command line on a log with three tokens made and one refused."""
    for name in ("one", "two", "three"):
        tfaudit("token", "create", name, "--role", "reader", "--workspace", "*")
    tfaudit("token", "create", "one", "--role", "reader", "--workspace", "*", code=1)
    return tfaudit


def indices(output: str) -> list[int]:
    """Return the indices of JSON lines."""
    return [line["index"] for line in json_lines(output)]


def test_newest_come_first(busy: Tfaudit) -> None:
    """The reading itself is the newest of all."""
    assert [4, 3, 2, 1, 0] == indices(busy("log", "--json").stdout)


def test_oldest_come_first_with_since(busy: Tfaudit) -> None:
    """As one reads a story from a moment on."""
    assert [0, 1, 2, 3, 4] == indices(busy("log", "--json", "--since", "1h").stdout)


def test_it_is_told_when_newer_entries_match_than_are_shown(busy: Tfaudit) -> None:
    """With --since the oldest come first, and a limit cuts off the newest."""
    said = "These are the oldest that match, and there are more"
    options = ("log", "--since", "1h", "--event", "token.*", "--limit")
    assert said in busy(*options, "3").stderr
    assert said not in busy(*options, "4").stderr


def test_a_line_can_be_checked_by_anybody(busy: Tfaudit) -> None:
    """Hash and signature follow from the entry's RFC 8785 form and the public key."""
    shown = json.loads(busy("key", "show", "--json").stdout)
    public_key = base64.b64decode(shown["entry"]["public_key"])
    for line in json_lines(busy("log", "--json").stdout):
        assert {"index", "entry", "leaf_hash", "signature"} == set(line)
        entry = rfc8785.dumps(line["entry"])
        assert leaf_hash(entry).hex() == line["leaf_hash"]
        assert key_id(public_key) == line["signature"]["key_id"]
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            base64.b64decode(line["signature"]["value"]), signing_input(entry)
        )


def test_reading_is_on_record_before_anything_is_shown(busy: Tfaudit) -> None:
    """Who read, and what was asked for."""
    newest = json_lines(busy("log", "--json", "--event", "audit.*", "--limit", "1").stdout)[0]
    assert "audit.read" == newest["entry"]["event"]
    assert {"event": "audit.*", "limit": 1, "newest_first": True}.items() <= (
        newest["entry"]["query"].items()
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("--event", "token.*"), [3, 2, 1, 0]),
        (("--outcome", "conflict"), [3]),
        (("--limit", "2"), [4, 3]),
        (("--until", "1h"), []),
        (("--since", "2999-01-01"), []),
        (("--actor", "nobody"), []),
        (("--source-ip", "10.0.0.1"), []),
        (("--workspace", "prod/*"), []),
    ],
)
def test_filters_narrow(busy: Tfaudit, filters: tuple[str, ...], expected: list[int]) -> None:
    """Each by itself."""
    assert expected == indices(busy("log", "--json", *filters).stdout)


@pytest.mark.parametrize(
    "filters",
    [("--since", "yesterday"), ("--outcome", "bad"), ("--event", "stat.*"), ("--limit", "0")],
)
def test_a_filter_that_means_nothing_is_wrong_usage(
    busy: Tfaudit, filters: tuple[str, ...]
) -> None:
    """It is not answered with an empty list."""
    assert not busy("log", *filters, code=2).stdout


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        (("--source-ip", "10.0.0.7"), 0),
        (("--source-ip", "2001:db8::7"), 0),
        (("--source-ip", "2001:db8::/64"), 0),
        (("--source-ip", "10.0.0"), 2),
        (("--source-ip", "10.0.0.0/8"), 2),
        (("--source-ip", "localhost"), 2),
    ],
)
def test_a_source_is_an_address(busy: Tfaudit, filters: tuple[str, ...], code: int) -> None:
    """Or the network under which a flood from IPv6 was counted; nothing else can be recorded."""
    busy("log", *filters, code=code)


def test_no_match_is_said(busy: Tfaudit) -> None:
    """On stderr, so that an empty answer is not taken for a broken command."""
    result = busy("log", "--json", "--actor", "nobody")
    assert ("", "No entry matches.\n") == (result.stdout, result.stderr)
    assert not busy("log", "--limit", "1").stderr


def test_a_folder_of_workspaces_is_pointed_at(tfaudit: Tfaudit, tmp_path: Path) -> None:
    """`prod` matches only a workspace of exactly that name."""
    (tmp_path / "a.tfstate").write_bytes(state())
    tfaudit("state", "import", tmp_path / "a.tfstate", "--workspace", "prod/network")
    assert "--workspace 'prod/*'" in tfaudit("log", "--workspace", "prod").stderr
    assert "--workspace 'dev/*'" not in tfaudit("log", "--workspace", "dev").stderr


def test_people_get_a_line_an_entry(busy: Tfaudit) -> None:
    """With the message at its end."""
    lines = busy("log", "--event", "token.created", "--outcome", "success").stdout.splitlines()
    assert 3 == len(lines)
    assert "created the token three" in lines[0]


def test_follow_prints_what_is_committed_later(data: Path, tfaudit: Tfaudit) -> None:
    """Oldest first, until it is interrupted, which is no failure; its reading is one entry."""
    tfaudit("token", "create", "before", "--role", "reader", "--workspace", "*")
    command = [sys.executable, "-m", "proxy", "log", "--follow", "--json", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = [json.loads(process.stdout.readline()) for _ in range(2)]
        tfaudit("token", "create", "after", "--role", "reader", "--workspace", "*")
        third = json.loads(process.stdout.readline())
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert 0 == process.wait(10)
    assert [(0, "token.created"), (1, "audit.read"), (2, "token.created")] == [
        (line["index"], line["entry"]["event"]) for line in [*first, third]
    ]
    assert not rest


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), list(range(5, 15))),
        (("--limit", "2"), [13, 14]),
        (("--since", "1h"), list(range(15))),
        (("--since", "1h", "--limit", "3"), [12, 13, 14]),
    ],
)
def test_follow_begins_with_the_newest(
    data: Path, busy: Tfaudit, options: tuple[str, ...], expected: list[int]
) -> None:
    """Ten of them, or as many as asked for, or all since a moment; its reading is the newest."""
    for _ in range(10):
        busy("log", "--limit", "1")
    command = [sys.executable, "-m", "proxy", "log", "--follow", "--json", *options]
    with subprocess.Popen(
        [*command, "--data", str(data)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        shown = [json.loads(process.stdout.readline())["index"] for _ in expected]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert expected == shown
    assert not rest


def test_a_closed_pipe_ends_it_quietly(data: Path, busy: Tfaudit) -> None:
    """`tfaudit log | head -1` shows no traceback."""
    for _ in range(30):
        busy("log", "--limit", "1")
    command = f"{sys.executable} -m proxy log --json --data {data} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert 1 == len(done.stdout.splitlines())
    assert not done.stderr
