"""Tests of the reading of anchors, wherever they stand, and of what they find."""

import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from proxy.cli._anchors import MAX_BYTES, compare, read_anchors
from proxy.errors import InvalidInputError, MissingError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.cosignature import add_cosignatures
from proxy.tlog.note import NoteSigner
from tests.fakes import CHECKPOINT_KEY
from tests.witness.logs import FORKED, LEAVES, LOG, WITNESS, at

NOTE = sign(at(7), LOG)
OTHER = NoteSigner("other.example", CHECKPOINT_KEY)


def sizes(*paths: Path) -> list[int]:
    """Return the sizes of the anchors that are found."""
    return [each.checkpoint.size for each in read_anchors(paths, [LOG.verifier]).found]


async def hashes(leaves: Sequence[bytes]) -> AsyncIterator[bytes]:
    """Yield the leaf hashes of a log."""
    for leaf in leaves:
        yield leaf


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NOTE, id="alone"),
        pytest.param(add_cosignatures(NOTE, [WITNESS.cosign(at(7).text(), 5)]), id="cosigned"),
        pytest.param(f"Of Monday:\n{NOTE}\nKeep it.\n", id="in a text"),
        pytest.param(NOTE.replace("\n", "\r\n"), id="from Windows"),
        pytest.param(json.dumps({"checkpoint": NOTE}), id="JSON"),
        pytest.param(json.dumps({"checkpoint": NOTE}, ensure_ascii=False), id="JSON, UTF-8"),
        pytest.param(json.dumps({"checkpoint": NOTE}).replace("/", "\\/"), id="JSON of PHP"),
        pytest.param(json.dumps({"log": json.dumps({"checkpoint": NOTE})}), id="JSON in JSON"),
        pytest.param("x" * 300_000 + f'"{NOTE}"', id="after a long line"),
    ],
)
def test_an_anchor_is_found_in_any_text(tmp_path: Path, text: str) -> None:
    """As it was signed, so that its signature holds."""
    path = tmp_path / "anchor"
    path.write_bytes(text.encode())
    assert [7] == sizes(path)


def test_anchors_are_found_across_the_pieces_of_a_long_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one piece ends and the next begins."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"c": sign(at(n), LOG)}) + "\n" for n in range(1, 30)))
    monkeypatch.setattr("proxy.cli._anchors._LONGEST", 1000)
    for piece in (97, 211, 1001):
        monkeypatch.setattr("proxy.cli._anchors._PIECE", piece)
        assert list(range(1, 30)) == sizes(path)


def test_directories_are_read_whole_and_what_is_hidden_is_not(tmp_path: Path) -> None:
    """As in a clone of a git repository; the smallest comes first, the same one once."""
    for name, size in (("b", 9), ("deep/er/a", 3), ("again", 3), (".git/x", 12)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(sign(at(size), LOG))
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert [3, 9] == sizes(tmp_path)


def test_what_would_be_read_for_ever_is_not(tmp_path: Path) -> None:
    """A pipe is passed over in a directory, and named when it was named, as a device is."""
    (tmp_path / "anchor").write_text(NOTE)
    os.mkfifo(tmp_path / "pipe")
    assert [7] == sizes(tmp_path)
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InvalidInputError, match=f"{path} is no regular file"):
            sizes(path)


def test_a_file_without_an_end_in_sight_is_named(tmp_path: Path) -> None:
    """As one that is nothing but a hole."""
    (tmp_path / "anchor").write_text(NOTE)
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidInputError, match="hole has 17,179,869,185 bytes"):
        sizes(tmp_path)


def test_other_logs_and_what_does_not_hold_are_told(tmp_path: Path) -> None:
    """Neither is an anchor of this log."""
    (tmp_path / "a").write_text(sign(Checkpoint("other.example", 1, bytes(32)), OTHER))
    (tmp_path / "b").write_text(NOTE.replace("\n7\n", "\n8\n"))
    found = read_anchors([tmp_path], [LOG.verifier])
    assert not found.found
    assert frozenset({"other.example"}) == found.others
    assert 1 == len(found.wrong)
    assert str(tmp_path / "b") in found.wrong[0]


async def test_a_log_that_grew_from_its_anchors_holds(tmp_path: Path) -> None:
    """The largest proves so much of it."""
    for size in (0, 3, 12):
        (tmp_path / str(size)).write_text(sign(at(size), LOG))
    anchors = read_anchors([tmp_path], [LOG.verifier]).found
    assert 12 == await compare(anchors, hashes(LEAVES[:12]))
    assert 12 == await compare(anchors, hashes(LEAVES))


async def test_a_shorter_log_is_named(tmp_path: Path) -> None:
    """By how many entries it had, and where that stands."""
    for size in (3, 9, 12):
        (tmp_path / str(size)).write_text(sign(at(size), LOG))
    anchors = read_anchors([tmp_path], [LOG.verifier]).found
    with pytest.raises(MissingError, match=r"has 8 entries, but it had 12 when \S+/12 was") as told:
        await compare(anchors, hashes(LEAVES[:8]))
    assert 8 == told.value.index


@pytest.mark.parametrize("length", [9, 10, 40])
async def test_a_forked_log_is_named(tmp_path: Path, length: int) -> None:
    """By the two anchors between which it parts from what it was, whatever its length."""
    for size in (3, 9):
        (tmp_path / str(size)).write_text(sign(at(size), LOG))
    anchors = read_anchors([tmp_path], [LOG.verifier]).found
    with pytest.raises(VerificationError, match=r"forked.* between entry 3 and entry 8") as told:
        await compare(anchors, hashes(FORKED[:length]))
    assert 3 == told.value.index
    assert not isinstance(told.value, MissingError)


async def test_two_anchors_of_one_size_can_not_both_hold(tmp_path: Path) -> None:
    """Two checkpoints that contradict each other are the fork."""
    (tmp_path / "a").write_text(sign(at(9), LOG))
    (tmp_path / "b").write_text(sign(at(9, FORKED), LOG))
    anchors = read_anchors([tmp_path], [LOG.verifier]).found
    for leaves in (LEAVES, FORKED):
        with pytest.raises(VerificationError, match="forked"):
            await compare(anchors, hashes(leaves))
