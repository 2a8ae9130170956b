"""Tests of `tfaudit verify` on tiles: in a directory, at an address, since a checkpoint."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxy.access import Role
from proxy.cli._common import run, settings
from proxy.cli._tile_check import Roots, verify_tree
from proxy.cli._tile_tree import DirectorySource, http_source
from proxy.cli._verification import TrustedKeys
from proxy.errors import InvalidInputError, UnavailableError, VerificationError
from proxy.keys import open_keys
from proxy.program import open_program
from proxy.tlog.checkpoint import Checkpoint, parse, sign
from proxy.tlog.merkle import tree_hash
from proxy.tlog.note import NoteSigner
from tests.cli.tile_logs import Log, a_log, tfaudit, verified
from tests.contracts.store_contract import appends
from tests.running import a_face


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return a log and its tiles; no test may change them."""
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture
def log(whole: Log, tmp_path: Path) -> Log:
    """Return a copy that may be changed."""
    return whole.copy(tmp_path / "copy")


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a directory and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory as any web server does; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# ---------------------------------------------------------------- the true log


def test_tiles_hold_with_the_public_checkpoint_key_alone(whole: Log, tmp_path: Path) -> None:
    """Far from the data directory; each entry, the tree and every tile was checked."""
    nowhere = tmp_path / "nowhere"
    told = verified(whole.new, "--key", whole.keys, "--data", nowhere)
    assert ("verified", 802) == (told["result"], told["entries"])
    assert "the signatures of single entries" in str(told["unchecked"])


def test_any_web_server_can_serve_them(whole: Log, tmp_path: Path) -> None:
    """The address of the directory, with or without the checkpoint's name."""
    with served(whole.new) as url:
        for address in (url, f"{url}/", f"{url}/checkpoint"):
            told = verified(address, "--key", whole.keys, "--data", tmp_path / "nowhere")
            assert ("verified", 802) == (told["result"], told["entries"])


async def test_a_server_of_ours_serves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To an auditor's token, which comes from the environment."""
    async with a_face(tmp_path) as face:
        await face.program.store.write(appends(*map(str, range(300))))
        keys = TrustedKeys.of_ring(face.program.keys)
        url = f"http://127.0.0.1:{face.port}"
        monkeypatch.setenv("TFAUDIT_TOKEN", await face.token(Role.AUDITOR))
        async with http_source(url) as source:
            findings = await verify_tree(source, keys, (), None, lambda: None)
        assert 301 == findings.entries


def test_since_proves_that_the_log_only_grew(whole: Log) -> None:
    """From what was kept; only what came after it is read, also where a tile is shared."""
    kept = whole.old / "checkpoint"
    told = verified(whole.new, "--key", whole.keys, "--since", kept)
    assert ("verified", 802, 2) == (told["result"], told["entries"], told["checkpoints"])
    assert "the first 601 entries" in str(told["unchecked"])
    verified(whole.new, "--key", whole.keys, "--since", whole.new / "checkpoint")
    verified(whole.new, "--key", whole.keys, "--checkpoint", kept)
    verified(whole.data, "--since", kept, "--no-record")


def test_since_reads_little(log: Log) -> None:
    """Whole bundles before it may even be gone."""
    (log.new / "tile" / "entries" / "000").unlink()
    (log.new / "tile" / "entries" / "001").unlink()
    verified(log.new, "--key", log.keys, "--since", log.old / "checkpoint")
    assert "missing" == verified(log.new, "--key", log.keys, code=1)["result"]


# ---------------------------------------------------------------- tampered with


def flip(path: Path, at: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("path", "at", "index"),
    [
        ("tile/entries/000", 40, 0),
        ("tile/entries/003.p/34", -3, 801),
        ("tile/entries/001", 1, None),
        ("tile/0/000", 33, 1),
        ("tile/0/003.p/34", -1, 801),
        ("tile/1/000.p/3", 40, 0),
        ("checkpoint", 5, 0),
        ("checkpoint", -5, 0),
    ],
)
def test_a_changed_byte_is_found(log: Log, path: str, at: int, index: int | None) -> None:
    """In whatever file it is; where one can be told, the entry is named."""
    flip(log.new / path, at)
    told = verified(log.new, "--key", log.keys, code=1)
    assert "invalid" == told["result"]
    if index is not None:
        assert index == told["first_bad_index"]


@pytest.mark.parametrize("cut", [1, 32])
@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/002", "tile/1/000.p/3"])
def test_a_file_that_was_cut_is_invalid(log: Log, path: str, cut: int) -> None:
    """Neither hashes nor entries may be left out of one."""
    content = (log.new / path).read_bytes()
    (log.new / path).write_bytes(content[:-cut])
    assert "invalid" == verified(log.new, "--key", log.keys, code=1)["result"]


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/002", "tile/entries/000", "tile/1/000.p/3"])
def test_a_file_that_is_gone_is_missing(log: Log, path: str) -> None:
    """The checkpoint promises it: that is a no, and another one than invalid; also over HTTP.

    There, without a checkpoint, it is no log at all: the address may be mistyped.
    """
    (log.new / path).unlink()
    assert "missing" == verified(log.new, "--key", log.keys, code=1)["result"]
    with served(log.new) as url:
        if path == "checkpoint":
            told = tfaudit("verify", url, "--key", log.keys, code=2)
            assert f"there is no log at {url}" in told.stderr
            return
        assert "missing" == verified(url, "--key", log.keys, code=1)["result"]


def swap_entries(log: Log) -> None:
    """Exchange two entries and their hashes."""
    packed = (log.new / "tile/entries/000").read_bytes()
    first = 2 + int.from_bytes(packed[:2], "big")
    second = first + 2 + int.from_bytes(packed[first : first + 2], "big")
    swapped = packed[first:second] + packed[:first] + packed[second:]
    (log.new / "tile/entries/000").write_bytes(swapped)
    hashes = (log.new / "tile/0/000").read_bytes()
    (log.new / "tile/0/000").write_bytes(hashes[32:64] + hashes[:32] + hashes[64:])


def of_another_key(log: Log) -> None:
    """Put another log's checkpoint of the same size there: signed, and not by the trusted key."""
    text = (log.new / "checkpoint").read_text()
    (log.new / "checkpoint").write_text(text.replace("— ", "— other"))


def cut_back(log: Log) -> None:
    """Put the tiles back to where they were."""
    (log.new / "checkpoint").write_bytes((log.old / "checkpoint").read_bytes())


@pytest.mark.parametrize("tamper", [swap_entries, of_another_key])
def test_a_log_that_was_rewritten_is_invalid(log: Log, tamper: Callable[[Log], None]) -> None:
    """Whatever fits together but for the signature."""
    tamper(log)
    assert "invalid" == verified(log.new, "--key", log.keys, code=1)["result"]


def test_a_log_that_was_put_back_is_found_by_what_was_kept(log: Log) -> None:
    """By itself it holds: only a checkpoint from elsewhere tells."""
    kept = log.data.parent / "kept"
    kept.write_bytes((log.new / "checkpoint").read_bytes())
    cut_back(log)
    verified(log.new, "--key", log.keys)
    for option in ("--since", "--checkpoint"):
        assert "missing" == verified(log.new, "--key", log.keys, option, kept, code=1)["result"]


def test_a_fork_by_the_true_key_is_found_by_what_was_kept(log: Log, tmp_path: Path) -> None:
    """Two histories of one origin and key: each holds by itself, one is not the other's past."""
    forked = tmp_path / "forked"
    shutil.copytree(log.data / "keys", forked / "keys")

    async def rewrite() -> None:
        async with open_program(settings(forked, None), create=True) as program:
            await program.store.write(appends(*(f"other {n}" for n in range(900))))

    run(rewrite())
    tiles = tmp_path / "tiles"
    tfaudit("export", "--format", "tiles", "-o", tiles, "--data", forked)
    verified(tiles, "--key", log.keys)
    for option in ("--since", "--checkpoint"):
        kept = log.new / "checkpoint"
        assert "invalid" == verified(tiles, "--key", log.keys, option, kept, code=1)["result"]


# ---------------------------------------------------------------- against what was kept


def note_at(log: Log, size: int) -> str:
    """Return the checkpoint of a size, as a server that ended a commit there would sign it."""
    leaves = b"".join(
        (log.new / path).read_bytes() for path in ("tile/0/000", "tile/0/001", "tile/0/002")
    )
    hashes = [leaves[at : at + 32] for at in range(0, size * 32, 32)]
    ring = open_keys(settings(log.data, None), create=False)
    signer = NoteSigner(ring.origin, ring.checkpoint)
    return sign(Checkpoint(ring.origin, size, tree_hash(hashes)), signer)


def test_each_anchor_is_compared(log: Log, tmp_path: Path) -> None:
    """Of whatever size; also over HTTP."""
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    for size in (1, 255, 256, 257, 600):
        (anchors / str(size)).write_text(note_at(log, size))
    shutil.copy(log.new / "checkpoint", anchors)
    with served(log.new) as url:
        for what in (log.new, url):
            told = verified(what, "--key", log.keys, "--against", anchors)
            assert ("verified", 7) == (told["result"], told["checkpoints"])


async def test_hash_tiles_are_enough_for_a_root(log: Log) -> None:
    """And few of them; one that was changed is no part of what was proved."""
    newest = parse((log.new / "checkpoint").read_text().split("\n\n")[0] + "\n")
    expected = {size: note_at(log, size).split("\n\n")[0] + "\n" for size in (1, 300, 600)}
    shutil.rmtree(log.new / "tile" / "entries")
    roots = Roots(DirectorySource(log.new), newest.size, newest.root)
    for size, text in expected.items():
        assert parse(text).root == await roots.at(size)
    assert newest.root == await roots.at(newest.size)
    flip(log.new / "tile/0/000", 33)
    with pytest.raises(VerificationError):
        await Roots(DirectorySource(log.new), newest.size, newest.root).at(3)


def test_a_fork_is_named_between_two_anchors(log: Log, tmp_path: Path) -> None:
    """Signed with the true key, and whole in itself."""
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    (anchors / "a").write_text(note_at(log, 256))
    text = note_at(log, 300)
    ring = open_keys(settings(log.data, None), create=False)
    other = sign(Checkpoint(ring.origin, 300, b"x" * 32), NoteSigner(ring.origin, ring.checkpoint))
    assert text != other
    (anchors / "b").write_text(other)
    with served(log.new) as url:
        for what in (log.new, url):
            told = verified(what, "--key", log.keys, "--against", anchors, code=1)
            assert ("invalid", 256) == (told["result"], told["first_bad_index"])
            assert "They part between entry 256 and entry 299" in str(told["message"])


def test_tiles_that_end_before_an_anchor_are_missing(log: Log, tmp_path: Path) -> None:
    """An older export was put in the place of the newest."""
    shutil.copy(log.new / "checkpoint", tmp_path / "anchor")
    cut_back(log)
    told = verified(log.new, "--key", log.keys, "--against", tmp_path / "anchor", code=1)
    assert ("missing", 601) == (told["result"], told["first_bad_index"])
    assert "but it had 802" in str(told["message"])


def test_an_anchor_that_a_former_key_signed_is_followed(log: Log, tmp_path: Path) -> None:
    """By the rotations that stand among the entries; with the newest key alone."""
    shutil.copy(log.new / "checkpoint", tmp_path / "anchor")
    tfaudit("key", "rotate", "checkpoint", "--yes", "--data", log.data)
    tfaudit("export", "--format", "tiles", "-o", log.new, "--data", log.data)
    newest = tmp_path / "newest.json"
    newest.write_text(tfaudit("key", "show", "--json", "--data", log.data).stdout)
    told = verified(log.new, "--key", newest, "--against", tmp_path / "anchor")
    assert "verified" == told["result"]


def test_no_anchor_of_this_log_is_no_answer(log: Log, tmp_path: Path) -> None:
    """And one that does not hold is told of."""
    (tmp_path / "empty").touch()
    told = verified(log.new, "--key", log.keys, "--against", tmp_path / "empty", code=2)
    assert "unknown" == told["result"]
    text = note_at(log, 300)
    (tmp_path / "wrong").write_text(text.replace("\n300\n", "\n301\n"))
    told = verified(log.new, "--key", log.keys, "--against", tmp_path / "wrong", code=2)
    assert "an anchor that does not hold" in str(told["unchecked"])


# ---------------------------------------------------------------- what could not be told


def test_a_server_that_does_not_answer_is_no_answer(log: Log) -> None:
    """Neither invalid nor missing: exit code 2."""
    with served(log.new) as url:
        pass
    said = tfaudit("verify", url, "--key", log.keys, code=2).stderr
    assert "could not be read" in said


async def test_a_log_that_is_not_for_everybody_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is told what to set; nothing is said of the log."""
    monkeypatch.delenv("TFAUDIT_TOKEN", raising=False)
    async with a_face(tmp_path) as face:
        await face.program.store.write(appends("one"))
        keys = TrustedKeys.of_ring(face.program.keys)
        async with http_source(f"http://127.0.0.1:{face.port}") as source:
            with pytest.raises(UnavailableError, match="set TFAUDIT_TOKEN"):
                await verify_tree(source, keys, (), None, lambda: None)


@pytest.mark.parametrize(
    "url", ["http://", "https://user:word@host", "https://host?x=1", "https://host/#x"]
)
async def test_what_is_no_address_is_refused(url: str) -> None:
    """With credentials in it, too: they belong to the environment."""
    with pytest.raises(InvalidInputError, match="not the address of a log"):
        async with http_source(url):
            pass


async def test_credentials_never_go_out_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless they stay on this machine."""
    monkeypatch.setenv("TFAUDIT_TOKEN", "secret")
    with pytest.raises(InvalidInputError, match="in clear"):
        async with http_source("http://log.example"):
            pass


def test_without_the_key_nothing_is_told(log: Log, tmp_path: Path) -> None:
    """A log that brings its own key proves nothing."""
    tfaudit("verify", log.new, "--data", tmp_path / "nowhere", code=2)
