"""Tests of a disk that is full, read-only or fails, and of files that vanish or rot."""

import os
import random
import resource
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from proxy.access import Role
from proxy.cli._common import settings
from proxy.errors import ConfigError, UnavailableError
from proxy.program import open_program
from tests.e2e.server import Reply, Server
from tests.faults.conftest import MakeServer, SmallDisk
from tests.faults.face import Face, a_face, verify_whole
from tests.samples import a_caller, a_lock_info, a_state

KEPT = a_state(1)
OPERATIONS: list[tuple[str, bytes | None]] = [
    ("GET", None),
    ("POST", a_state(2)),
    ("LOCK", a_lock_info()),
    ("UNLOCK", None),
]


def a_large_state(serial: int, size: int = 100_000) -> bytes:
    """Return a state that compression makes no smaller."""
    return a_state(serial, random.Random(serial).randbytes(size // 2).hex())


def put(server: Server, workspace: str, body: bytes, token: str) -> Reply:
    """Upload a state."""
    return server.request("POST", f"/state/{workspace}", body, token=token)


def get(server: Server, workspace: str, token: str) -> Reply:
    """Read a state."""
    return server.request("GET", f"/state/{workspace}", token=token)


def assert_in_doubt(reply: Reply) -> None:
    """The client is told to ask again, and nothing else."""
    assert 503 == reply.status
    assert "10" == reply.headers["Retry-After"]


def assert_all_in_doubt(server: Server, token: str) -> None:
    """Nothing is done and nothing is denied: reads, writes and locks are 503."""
    for method, body in OPERATIONS:
        assert_in_doubt(server.request(method, "/state/kept", body, token=token))
    assert_in_doubt(server.request("GET", "/state/none", token=token))


def assert_whole(server: Server) -> None:
    """The log and every state verify, and nothing was a surprise to the server."""
    verify_whole(server.data)
    assert "Traceback" not in server.stderr


def assert_kept(server: Server, token: str) -> None:
    """The state that was acknowledged is there, byte for byte."""
    reply = get(server, "kept", token)
    assert (200, KEPT) == (reply.status, reply.body)


def assert_ready(server: Server, *, expected: bool) -> None:
    """The probe says so; within the second for which it gives one answer to all who ask."""
    deadline = time.monotonic() + 3
    while server.is_ready() != expected:
        assert time.monotonic() < deadline, "the probe does not see how it is"
        time.sleep(0.1)


# ---------------------------------------------------------------- a full disk


def test_a_full_disk_costs_nothing_that_was_acknowledged(
    small_disk: SmallDisk, make_server: MakeServer
) -> None:
    """Uploads until it is full, reads while it is, and goes on without a restart with space.

    Its stderr is a file on the same disk: what can't be said there ends nothing.
    """
    server = make_server(small_disk.path / "data").start()
    token = server.admin_token
    stored: dict[str, bytes] = {}
    for serial in range(1, 100):
        body = a_large_state(serial)
        reply = put(server, f"full/{serial}", body, token)
        if reply.status != 200:
            assert_in_doubt(reply)
            break
        stored[f"full/{serial}"] = body
    assert 3 < len(stored) < 90
    for workspace, body in stored.items():
        reply = get(server, workspace, token)
        if reply.status == 200:
            assert body == reply.body
        else:
            assert_in_doubt(reply)  # there was no room left even for the entry of a read

    filler = small_disk.fill()
    assert_all_in_doubt(server, token)
    assert_ready(server, expected=False)
    assert 200 == server.request("GET", "/healthz").status

    filler.unlink()
    small_disk.remount("size=32m")
    for workspace, body in stored.items():
        assert body == get(server, workspace, token).body
    assert 200 == put(server, "full/again", a_large_state(1000), token).status
    assert_ready(server, expected=True)
    assert_whole(server)
    assert 0 == server.stop()


def test_a_start_on_a_full_disk_says_so(small_disk: SmallDisk, make_server: MakeServer) -> None:
    """The record of the start has no room: no service, and one clear line."""
    server = make_server(small_disk.path / "data").start()
    assert 0 == server.stop()
    small_disk.fill()
    done = server.cli("serve", check=False)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "full" in done.stderr or "No space" in done.stderr


# ---------------------------------------------------------------- a disk that can't be written


def test_a_read_only_directory_stops_the_start_and_can_be_verified(
    small_disk: SmallDisk, make_server: MakeServer
) -> None:
    """No service, one clear line; whoever only looks is served."""
    server = make_server(small_disk.path / "data").start()
    token = server.admin_token
    assert 200 == put(server, "kept", KEPT, token).status
    assert 0 == server.stop()
    small_disk.remount("ro")
    done = server.cli("serve", check=False)
    assert 2 == done.returncode
    assert "Traceback" not in done.stderr
    assert "can't be" in done.stderr
    verified = server.verify()
    assert 0 == verified.returncode, verified.stderr
    assert "not on record" in verified.stderr
    small_disk.remount("rw")
    with server:
        assert_kept(server, token)


@contextmanager
def unwritable(server: Server) -> Iterator[None]:
    """Let every write of the running server fail: no file may be longer than it is empty."""
    pid = server.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was stopped meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_stops_to_take_writes_is_in_doubt(
    tmp_path: Path, make_server: MakeServer
) -> None:
    """Under the running server; when it takes them again, all goes on without a restart."""
    server = make_server(tmp_path / "data").start()
    token = server.admin_token
    assert 200 == put(server, "kept", KEPT, token).status
    with unwritable(server):
        assert_all_in_doubt(server, token)
        assert_ready(server, expected=False)
    assert_kept(server, token)
    assert_whole(server)
    with unwritable(server):
        assert 0 != server.stop()
    with server:
        assert "audit.unclean_shutdown" in [record.event for record in server.log()]


# ---------------------------------------------------------------- files that vanish


async def assert_face_in_doubt(face: Face) -> None:
    """Nothing is done and nothing is denied: reads, writes and locks are 503."""
    for method, body in OPERATIONS:
        answer = await face.ask(method, "/state/kept", body)
        assert (503, "10") == (answer.status, answer.headers["Retry-After"])
    assert 503 == (await face.ask("GET", "/state/none")).status


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_a_file_that_vanishes_is_in_doubt_until_it_is_back(
    tmp_path: Path, suffix: str
) -> None:
    """Commits to an unlinked file would be gone after a crash."""
    async with a_face(tmp_path / "data") as face:
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status
        path = tmp_path / "data" / f"tfaudit.db{suffix}"
        path.rename(tmp_path / "moved")
        await assert_face_in_doubt(face)
        (tmp_path / "moved").rename(path)
        assert KEPT == (await face.ask("GET", "/state/kept")).body
        await face.verify()


async def test_a_deleted_write_ahead_log_costs_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    """An orderly stop still brings what it held into the database."""
    async with a_face(tmp_path / "data") as face:
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status
        (tmp_path / "data" / "tfaudit.db-wal").unlink()
        await assert_face_in_doubt(face)
    async with a_face(tmp_path / "data") as face:
        assert KEPT == (await face.ask("GET", "/state/kept")).body
        await face.verify()


async def test_a_replaced_database_is_in_doubt(tmp_path: Path) -> None:
    """Somebody restores a file under the running server."""
    async with a_face(tmp_path / "data") as face:
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status
        await face.store.backup(tmp_path / "copy")
        (tmp_path / "copy").replace(tmp_path / "data" / "tfaudit.db")
        await assert_face_in_doubt(face)


# ---------------------------------------------------------------- keys


async def test_another_master_key_is_in_doubt(tmp_path: Path) -> None:
    """Nothing is served with it: what it can't open is neither absent nor replaced."""
    data = tmp_path / "data"
    async with a_face(data) as face:
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status
    key = data / "keys" / "master.key"
    right = key.read_text()
    key.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    with pytest.raises(ConfigError, match="does not open the stored states"):
        async with a_face(data):
            pass
    key.write_text(right)
    async with a_face(data) as face:
        assert KEPT == (await face.ask("GET", "/state/kept")).body
        await face.verify()


# ---------------------------------------------------------------- rot


async def a_stored_state(data: Path) -> None:
    """Make a data directory with some states, as one file."""
    async with a_face(data) as face:
        for number in range(30):
            assert 200 == (await face.ask("POST", f"/state/other/{number}", KEPT)).status
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status


async def read(data: Path) -> bytes | str | None:
    """Return the state of ``kept``, None when there is said to be none, or how it failed."""
    try:
        async with open_program(settings(data, None), create=False) as program:
            return (await program.states.read(a_caller(Role.ADMIN), "kept")).body
    except (ConfigError, UnavailableError) as error:
        return type(error).__name__


def pages_of(database: Path) -> tuple[int, dict[str, int]]:
    """Return the page size and the root page of each table and index."""
    with closing(sqlite3.connect(database)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        roots = connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall()
    return size, {name: page for name, page in roots if page}


@pytest.mark.parametrize("garbage", [b"\0", b"\xff", b"\x0d"], ids=["zeros", "ones", "leaf"])
async def test_a_page_that_is_lost_is_never_no_state(tmp_path: Path, garbage: bytes) -> None:
    """Any table's or index's root: the read fails or is right, and never says "no state"."""
    await a_stored_state(tmp_path / "data")
    size, roots = pages_of(tmp_path / "data" / "tfaudit.db")
    answers = {}
    for name, page in roots.items():
        copy = tmp_path / name
        shutil.copytree(tmp_path / "data", copy)
        with (copy / "tfaudit.db").open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(garbage * size)
        answers[name] = await read(copy)
    assert {KEPT, "ConfigError", "UnavailableError"} >= set(answers.values()), answers
    assert "UnavailableError" == answers["state_body"]


async def test_a_byte_that_rots_is_never_no_state(tmp_path: Path) -> None:
    """One changed byte anywhere: the read fails or is right, byte for byte."""
    await a_stored_state(tmp_path / "data")
    path = tmp_path / "data" / "tfaudit.db"
    whole = path.read_bytes()
    chance = random.Random(20261122)
    # Where the names of workspaces stand is where a lookup would miss; and anywhere at all.
    names = [at for at in range(len(whole) - 4) if whole[at : at + 4] == b"kept"]
    places = [place + offset for place in names for offset in (0, 3)]
    places += [chance.randrange(100, len(whole)) for _ in range(40)]
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(bytes([whole[place] ^ 1 << chance.randrange(8)]))
            file.flush()
            answer = await read(tmp_path / "data")
            assert answer in {KEPT, "ConfigError", "UnavailableError"}, f"byte {place}: {answer!r}"
            os.truncate(path, 0)
            file.seek(0)
            file.write(whole)
            file.flush()


async def test_a_workspace_that_is_lost_is_never_no_state(tmp_path: Path) -> None:
    """Its versions are there, and tell that there was one; nor is another state begun."""
    async with a_face(tmp_path / "data") as face:
        assert 200 == (await face.ask("POST", "/state/kept", KEPT)).status
    with closing(sqlite3.connect(tmp_path / "data" / "tfaudit.db")) as database, database:
        database.execute("DELETE FROM workspace")
    async with a_face(tmp_path / "data") as face:
        assert 503 == (await face.ask("GET", "/state/kept")).status
        assert 503 == (await face.ask("POST", "/state/kept", a_state(1, "new"))).status
        assert 404 == (await face.ask("GET", "/state/none")).status
