"""Go's ``sumdb/note`` and ``sumdb/tlog`` take what we hand out, and refuse each changed copy.

``main.go`` beside this is all there is of ours in it: it reads files and asks those packages.
"""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.cli.tile_logs import Log, a_log, tfaudit

PACKAGES: Final = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts its source."""
MODULE: Final = PACKAGES / "src/golang.org/x/mod/sumdb/tlog"

CHANGES: Final = (
    ("tile/0/000", 100),
    ("tile/0/003.p/34", -1),
    ("tile/1/000.p/3", 7),
    ("tile/entries/001", 77),
    ("tile/entries/003.p/34", -3),
    ("checkpoint", -9),
)
"""Files, and a place in each where a bit is flipped."""

Go = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    """Return the verifier, built once however many processes run the tests."""
    if shutil.which("go") is None or not MODULE.is_dir():
        reason = "needs Debian's golang-go and golang-golang-x-mod-dev: make test-parts"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    program = shared / "verifier"
    with (shared / "verifier.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build(program)

    def verify(check: str, *args: object) -> subprocess.CompletedProcess[str]:
        command = [str(program), check, *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return verify


def build(program: Path) -> None:
    """Compile the verifier; nothing is fetched."""
    settings = {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOPATH": str(PACKAGES)}
    source = Path(__file__).with_name("main.go")
    done = subprocess.run(
        ["go", "build", "-o", program, source],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert 0 == done.returncode, done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return a log and its tiles at two sizes; no test may change them."""
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def vkey(whole: Log) -> str:
    """Return the log's public checkpoint key, as Go takes it."""
    key: str = json.loads(whole.keys.read_text())["checkpoint"]["vkey"]
    return key


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_go_opens_our_checkpoints(go: Go, whole: Log, vkey: str, tmp_path: Path) -> None:
    """And none in which a byte of the text or of the signature is another."""
    taken = go("note", vkey, whole.new / "checkpoint")
    assert (0, True) == (taken.returncode, "checkpoint of 802 entries" in taken.stdout)
    text = (whole.new / "checkpoint").read_text()
    copy = tmp_path / "checkpoint"
    for wrong in (
        text.replace("\n802\n", "\n803\n"),
        text.replace("\n802\n", "\n802 \n"),
        text[:-5] + ("A" if text[-5] != "A" else "B") + text[-4:],
        text.partition("\n\n")[0],
    ):
        copy.write_text(wrong)
        assert 1 == go("note", vkey, copy).returncode


def test_go_proves_every_entry_out_of_our_tiles(go: Go, whole: Log, vkey: str) -> None:
    """Each record proof that it makes of them holds, and the log grew from the older one."""
    taken = go("tiles", vkey, whole.new, whole.old / "checkpoint")
    assert 0 == taken.returncode, taken.stderr
    assert taken.stdout.startswith("802 entries")


def test_go_proves_what_is_left_of_a_pruned_log(
    go: Go, whole: Log, vkey: str, tmp_path: Path
) -> None:
    """And says what is not; a gap is none that retention makes."""
    tiles = tmp_path / "tiles"
    shutil.copytree(whole.new, tiles)
    (tiles / "tile/entries/000").unlink()
    taken = go("tiles", vkey, tiles, whole.old / "checkpoint")
    assert 0 == taken.returncode, taken.stderr
    assert "NOT CHECKED: the entries before 256, whose files are not there" in taken.stdout
    (tiles / "tile/entries/002").unlink()
    assert 1 == go("tiles", vkey, tiles).returncode


def test_go_refuses_a_changed_file(go: Go, whole: Log, vkey: str, tmp_path: Path) -> None:
    """A bit of a hash, of an entry, of the checkpoint."""
    for number, (path, at) in enumerate(CHANGES):
        tiles = tmp_path / f"{number}"
        shutil.copytree(whole.new, tiles)
        flip(tiles / path, at)
        assert 1 == go("tiles", vkey, tiles).returncode, path


def test_go_refuses_a_log_that_did_not_grow_from_the_older_one(
    go: Go, whole: Log, vkey: str
) -> None:
    """What was put back to its past is none of what was kept."""
    assert 1 == go("tiles", vkey, whole.old, whole.new / "checkpoint").returncode


def test_go_takes_our_receipts(go: Go, whole: Log, vkey: str, tmp_path: Path) -> None:
    """Of the first, a middle and the last entry; and none that was changed."""
    for index in (0, 300, 801):
        file = tmp_path / f"{index}.tlog-proof"
        tfaudit("receipt", index, "-o", file, "--data", whole.data)
        taken = go("receipt", vkey, file)
        assert (0, True) == (taken.returncode, f"entry {index} of" in taken.stdout)
        lines = file.read_text().split("\n")
        for number, other in ((1, 10), (3, 5), (2, len(lines[2]) - 1)):
            wrong = list(lines)
            character = "1" if wrong[number][other] != "1" else "2"
            wrong[number] = wrong[number][:other] + character + wrong[number][other + 1 :]
            file.write_text("\n".join(wrong))
            assert 1 == go("receipt", vkey, file).returncode, (index, number)
