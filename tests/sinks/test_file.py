"""The file sink: what is on the disk when it says so, and what it does when the disk says no."""

import asyncio
import dataclasses
import errno
import fcntl
import gzip
import os
import resource
import stat
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.audit_log import EMPTY_HEAD, AuditLog, draft
from proxy.cli._verification import TrustedKeys, keys_by_id, verify_export
from proxy.errors import InvalidInputError
from proxy.sinks import open_sink, read_options
from proxy.sinks._lines import backwards, mark
from proxy.sinks._rendering import index_of_line
from proxy.sinks.contract import Batch, Context, Event, NotTakenError, Sink
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN, START, a_caller
from tests.forwarded import CHECKPOINT, NOW, a_context, an_event, batch_of


def a_file(path: Path, context: Context | None = None, **options: Any) -> Sink:
    """Return a sink that was not opened yet."""
    return open_sink("file", {"path": str(path), **options}, context or a_context())


async def send_once(
    path: Path, batch: Batch, context: Context | None = None, **options: Any
) -> None:
    """Send by a sink that is closed then, as over a restart."""
    sink = a_file(path, context, **options)
    await sink.send(batch)
    await sink.aclose()


def content_of(path: Path) -> bytes:
    """Return what a file has, unpacked."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def indices(path: Path) -> list[int]:
    """Return which events a file has."""
    return [orjson.loads(line)["index"] for line in content_of(path).splitlines()]


def rotated(path: Path) -> list[Path]:
    """Return the rotated files, oldest first."""
    return sorted(
        each
        for each in path.parent.iterdir()
        if each.name.startswith(path.name + ".2") and not each.name.endswith(".unfinished")
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "audit.jsonl"


# ---------------------------------------------------------------- what stands in the file


async def test_a_file_with_the_whole_log_is_verified_with_the_checkpoint_beside_it(
    path: Path,
) -> None:
    """What an auditor runs over a log of the product works over the sink's file as well."""
    log = AuditLog(ENTRY_KEY, CHECKPOINT_KEY, ORIGIN, clock=lambda: START, random=os.urandom)
    appended = log.begin(EMPTY_HEAD)
    records = appended.append(
        [draft("audit.read", "success", f"é {number}", a_caller()) for number in range(7)]
    )
    _, note = appended.close()
    events = tuple(Event(record, orjson.loads(record.entry)) for record in records)
    sink = a_file(path)
    await sink.send(Batch(events[:4], "older", ORIGIN))
    await sink.send(Batch(events[4:], note, ORIGIN))
    await sink.aclose()
    keys = TrustedKeys(keys_by_id([ENTRY_KEY.public_key()]), (log.note_signer.verifier,))
    checkpoint = path.with_name("audit.jsonl.checkpoint").read_text()
    findings = verify_export(path, keys, [checkpoint], lambda: None)
    assert 7 == findings.entries
    assert findings.is_proved


async def test_only_its_owner_can_read_it_unless_told_otherwise(path: Path) -> None:
    """Whatever the process's umask is, and also of the checkpoint and of a file that was there."""
    path.write_bytes(b"")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        await send_once(path, batch_of(1))
        other = path.with_name("group.jsonl")
        await send_once(other, batch_of(1), mode="0640")
    finally:
        os.umask(before)
    found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert {
        "audit.jsonl": 0o600,
        "audit.jsonl.checkpoint": 0o600,
        "group.jsonl": 0o640,
        "group.jsonl.checkpoint": 0o640,
    } == found


async def test_a_probe_makes_no_file_and_what_root_makes_is_its_directorys_owners(
    path: Path,
) -> None:
    """A command of root's that tries the server's sink leaves nothing that locks the server out."""
    if os.geteuid() == 0:
        os.chown(path.parent, 54321, 54322)
    owner = path.parent.stat()
    sink = a_file(path, rotate_bytes=1, compress=True)
    assert "will be made with the first event" == await sink.probe()
    assert [] == list(path.parent.iterdir())
    await sink.send(batch_of(1))
    await sink.send(batch_of(1, first=1))
    await sink.aclose()
    found = [each.stat() for each in path.parent.iterdir()]
    assert 3 == len(found)
    assert {(owner.st_uid, owner.st_gid)} == {(each.st_uid, each.st_gid) for each in found}


async def test_the_receipt_comes_after_the_disk_has_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced after the last byte of the batch was written."""
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    sink = a_file(path)
    monkeypatch.setattr(os, "fsync", fsync)
    await sink.send(batch_of(3))
    assert path.stat().st_size in synced


# ---------------------------------------------------------------- crashes


@pytest.mark.parametrize("rest", [b'{"index":2,"ent', b"{", b"\0" * 5000, b"{" + b"x" * 70_000])
async def test_a_half_written_last_line_is_cut_off(path: Path, rest: bytes) -> None:
    """What a crash left behind never becomes part of the next line."""
    await send_once(path, batch_of(2))
    with path.open("ab") as file:
        file.write(rest)
    await send_once(path, batch_of(2, first=2))
    assert [0, 1, 2, 3] == indices(path)


@pytest.mark.parametrize("cut", [0, 1, 10, 1000, 10_000])
async def test_a_batch_that_comes_again_after_a_crash_stands_there_once(
    path: Path, cut: int
) -> None:
    """Whatever part of it was on the disk before the cursor moved."""
    await send_once(path, batch_of(2))
    await send_once(path, batch_of(20, first=2))
    os.truncate(path, path.stat().st_size - cut)
    await send_once(path, batch_of(20, first=2))
    assert list(range(22)) == indices(path)


@pytest.mark.parametrize(
    ("form", "compress", "first"),
    [
        ("native", False, 0),
        ("native", True, 3),
        ("native", False, 59),
        ("cloudevents", False, 17),
        ("ocsf", True, 30),
        ("ecs", False, 55),
    ],
)
async def test_all_of_the_last_second_may_come_again(
    path: Path, form: str, compress: bool, first: int
) -> None:
    """Batches are parted in another way then, and stand in files that were rotated meanwhile."""
    options: dict[str, Any] = {"format": form, "rotate_bytes": 20_000, "compress": compress}
    sink = a_file(path, **options)
    for number in range(0, 60, 4):
        await sink.send(batch_of(4, first=number))
    await sink.aclose()
    again = a_file(path, **options)
    for number in range(first, 75, 7):
        await again.send(batch_of(7, first=number))
    await again.aclose()
    files = [*rotated(path), path]
    assert len(files) > 2
    lines = [line for each in files for line in content_of(each).splitlines(keepends=True)]
    end = 75 + (first - 75) % 7
    assert list(range(end)) == [index_of_line(line) for line in lines]


async def test_a_batch_that_was_given_up_and_written_all_the_same_stands_there_once(
    path: Path,
) -> None:
    """Its deadline passed while the disk was slow: the same sink gets it again."""
    sink = a_file(path)
    await sink.send(batch_of(3))
    await sink.send(batch_of(5, first=1))
    assert list(range(6)) == indices(path)


async def test_a_replay_is_written_again_and_hides_nothing(path: Path) -> None:
    """Also right after a start; what comes again behind it is found before it."""
    await send_once(path, batch_of(3))
    replay = batch_of(2, first=1)._replace(is_replay=True)
    await send_once(path, replay)
    sink = a_file(path)
    await sink.send(replay)
    await sink.send(batch_of(2, first=2))
    assert [0, 1, 2, 1, 2, 1, 2, 3] == indices(path)
    await sink.aclose()
    sorting = ["sort", "-u", "-t:", "-k2,2n", str(path)]
    found = subprocess.run(sorting, check=True, capture_output=True).stdout  # noqa: ASYNC221
    assert [0, 1, 2, 3] == [index_of_line(line) for line in found.splitlines()]


async def test_a_test_that_stands_early_comes_in_its_place_too(path: Path) -> None:
    """The server writes what waited before it, also after a crash in between."""
    await send_once(path, batch_of(2))
    await send_once(path, batch_of(1, first=5))
    await send_once(path, batch_of(2, first=2))
    sink = a_file(path)
    await sink.send(batch_of(5, first=2))
    await sink.send(batch_of(1, first=7))
    assert [0, 1, 5, 2, 3, 4, 5, 6, 7] == indices(path)


@pytest.mark.parametrize("size", [10, 65_530, 65_536, 65_537, 200_000])
def test_lines_of_any_length_are_read_from_the_end(tmp_path: Path, size: int) -> None:
    """Wherever they begin and end in the pieces that are read."""
    lines = [b'{"index":%d,"x":"%s"}\n' % (number, b"x\r" * (size // 2)) for number in range(4)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(lines))
    with path.open("rb") as file:
        found = list(backwards(file.fileno(), path.stat().st_size))
    assert [mark(line) for line in reversed(lines)] == found


async def test_a_rotated_file_that_is_damaged_is_no_reason_to_lose_anything(path: Path) -> None:
    """What can't be read counts as absent: it is written, perhaps once more."""
    await send_once(path, batch_of(2))
    path.rename(path.with_name("audit.jsonl.20251122T100000.000000Z.gz"))
    await send_once(path, batch_of(3))
    assert [0, 1, 2] == indices(path)


async def test_a_probe_changes_nothing(path: Path) -> None:
    """It may ask for options that nobody has decided on yet, of a file that is in use."""
    rest = b'{"index":2,"ent'
    await send_once(path, batch_of(2), rotate_bytes=1)
    await send_once(path, batch_of(2, first=2), rotate_bytes=1)
    with path.open("ab") as file:
        file.write(rest)
        fcntl.flock(file, fcntl.LOCK_EX)
        names = sorted(path.parent.iterdir())
        said = await a_file(path, compress=True, keep=1, mode="0640").probe()
    assert f"can be written, has {path.stat().st_size - len(rest):,} bytes" == said
    assert names == sorted(path.parent.iterdir())
    assert path.read_bytes().endswith(rest)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


async def test_a_writer_waits_for_the_other_ones_batch(path: Path) -> None:
    """A test of a sink that is in use finds the file locked for a moment."""
    await send_once(path, batch_of(1))
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            fcntl.flock(other, fcntl.LOCK_UN)
            await asyncio.sleep(0)

        context = dataclasses.replace(a_context(), sleep=sleep)
        await send_once(path, batch_of(1, first=1), context)
    assert [0.05] == waits
    assert [0, 1] == indices(path)


async def test_a_file_that_is_rotated_while_it_is_opened_is_not_written_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking another writer gave it another name."""
    await send_once(path, batch_of(1))
    moved = path.with_name("audit.jsonl.20251122T100000.000000Z")
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if not moved.exists():
            path.rename(moved)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    await send_once(path, batch_of(1, first=1))
    assert [0] == indices(moved)
    assert [1] == indices(path)


@pytest.mark.parametrize("content", [b"root:x:0:0", b"SQLite format 3\0half", b"key\nvalue"])
async def test_a_file_of_another_kind_is_left_alone(path: Path, content: bytes) -> None:
    """A wrong path must not cost anybody a file."""
    path.write_bytes(content)
    with pytest.raises(NotTakenError, match="it is no file of events") as caught:
        await send_once(path, batch_of(1))
    assert caught.value.needs_repair
    assert content == path.read_bytes()


# ---------------------------------------------------------------- the system says no


async def test_a_disk_that_is_full_takes_nothing_and_leaves_no_half_line(path: Path) -> None:
    """The kernel's own limit of a file's size: a part is written, then nothing more."""
    sink = a_file(path)
    await sink.send(batch_of(1))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, hard))
    try:
        with pytest.raises(NotTakenError, match="make room on the disk") as caught:
            await sink.send(batch_of(5, first=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.left is None
    assert not caught.value.needs_repair
    assert before == path.read_bytes()
    await sink.send(batch_of(5, first=1))
    assert [0, 1, 2, 3, 4, 5] == indices(path)


@pytest.mark.parametrize(
    ("function", "number", "said"),
    [
        ("fsync", errno.EIO, "input/output error"),
        ("write", errno.ENOSPC, "no space left on device: make room"),
        ("open", errno.EROFS, "read-only file system: mount it for writing"),
        ("open", errno.EACCES, "permission denied: let the server's user write"),
    ],
)
async def test_a_refusal_of_the_system_is_told_and_the_same_batch_is_taken_later(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    number: int,
    said: str,
) -> None:
    """Also when it was fsync that failed: what memory holds then is not believed."""

    def fail(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    sink = a_file(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(NotTakenError, match=said) as caught:
            await sink.send(batch_of(3))
    assert (function == "open") == caught.value.needs_repair
    assert str(path) in str(caught.value)
    await sink.send(batch_of(3))
    assert [0, 1, 2] == indices(path)


async def test_a_missing_directory_a_link_and_a_fifo_are_refused(path: Path) -> None:
    """The probe tells it, with what to do."""
    with pytest.raises(NotTakenError, match="make its directory"):
        await a_file(path.parent / "none" / "audit.jsonl").probe()
    path.symlink_to(path.with_name("elsewhere.jsonl"))
    with pytest.raises(NotTakenError, match="it is a symbolic link"):
        await a_file(path).probe()
    fifo = path.with_name("fifo.jsonl")
    os.mkfifo(fifo)
    with pytest.raises(NotTakenError, match="no ordinary file"):
        await a_file(fifo).probe()


async def test_two_writers_never_mix_their_lines(path: Path) -> None:
    """Each waits for the other's batch; so a command can test a sink that a server feeds."""
    first, second = a_file(path), a_file(path)
    await first.send(batch_of(2))
    assert "can be written" in await second.probe()
    await second.send(batch_of(1, first=2))
    await first.send(batch_of(2, first=3))
    assert [0, 1, 2, 3, 4] == indices(path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for each in (first, second):
            with pytest.raises(NotTakenError, match="somebody else writes to it just now"):
                await each.send(batch_of(1, first=5))
    await second.send(batch_of(1, first=5))
    assert [0, 1, 2, 3, 4, 5] == indices(path)
    await first.aclose()
    await first.aclose()
    await second.aclose()


# ---------------------------------------------------------------- rotation


async def test_it_is_rotated_before_it_grows_too_large(path: Path) -> None:
    """No event is lost or parted over it, and no file but of a single batch is larger."""
    size = len(orjson.dumps(an_event(0).entry)) * 5
    sink = a_file(path, rotate_bytes=size)
    for number in range(12):
        await sink.send(batch_of(1, first=number))
    files = [*rotated(path), path]
    assert len(files) > 3
    assert list(range(12)) == [index for each in files for index in indices(each)]
    assert all(each.stat().st_size <= size for each in files)


@pytest.mark.parametrize(("every", "hours"), [("hour", 1), ("day", 24)])
async def test_it_is_rotated_when_its_time_is_over_also_after_a_restart(
    path: Path, every: str, hours: int
) -> None:
    """The time of its last change tells when it was written."""
    await send_once(path, batch_of(1), rotate_every=every)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    later = a_context(now=NOW + timedelta(hours=hours))
    await send_once(path, batch_of(1, first=1), a_context(), rotate_every=every)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    sink = a_file(path, later, rotate_every=every)
    await sink.send(batch_of(1, first=2))
    await sink.send(batch_of(1, first=3))
    assert [[0, 1]] == [indices(each) for each in rotated(path)]
    assert [2, 3] == indices(path)


async def test_rotated_files_are_packed_and_the_oldest_deleted(path: Path) -> None:
    """Their names sort by age though the clock stands still; other files are left alone."""
    path.with_name("audit.jsonl.2.old").write_text("mine")
    sink = a_file(path, rotate_bytes=1, compress=True, keep=3)
    for number in range(6):
        await sink.send(batch_of(1, first=number))
    packed = [each for each in rotated(path) if each.suffix == ".gz"]
    assert [[2], [3], [4]] == [indices(each) for each in packed]
    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in packed}
    assert "mine" == path.with_name("audit.jsonl.2.old").read_text()


async def test_a_crash_while_packing_leaves_nothing_unpacked(path: Path) -> None:
    """The next start does what was left undone."""
    left = path.with_name("audit.jsonl.20251122T100000.000000Z")
    left.write_bytes(b'{"index":0}\n')
    left.with_name(left.name + ".gz.unfinished").write_bytes(b"half")
    await send_once(path, batch_of(1, first=1), compress=True)
    assert [[0]] == [indices(each) for each in rotated(path)]
    assert not list(path.parent.glob("*.unfinished"))


async def test_logrotate_from_outside_is_noticed(path: Path) -> None:
    """By another name (create) as well as by cutting it (copytruncate)."""
    sink = a_file(path)
    await sink.send(batch_of(1))
    path.rename(path.with_name("moved"))
    await sink.send(batch_of(1, first=1))
    os.truncate(path, 0)
    await sink.send(batch_of(1, first=2))
    path.unlink()
    await sink.send(batch_of(1, first=3))
    assert [0] == indices(path.with_name("moved"))
    assert [3] == indices(path)
    assert CHECKPOINT == path.with_name("audit.jsonl.checkpoint").read_text()


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "audit.jsonl"}, "path must be absolute"),
        ({"path": "/var/../etc/audit.jsonl"}, "path must be absolute"),
        ({"path": "/var/log/a\n.jsonl"}, "path has a character that is not printed"),
        ({"path": "/etc/passwd"}, "path must end with .jsonl"),
        ({"path": "/var/.jsonl"}, "path must end with .jsonl"),
        ({"path": "/a.jsonl", "mode": "0777"}, "choose one of 0600, 0640"),
        ({"path": "/a.jsonl", "keep": -1}, "keep"),
        ({}, "path is missing"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    """And none of them touches the disk."""
    with pytest.raises(InvalidInputError, match=said):
        read_options("file", options)
