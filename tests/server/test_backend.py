"""Tests of proxy.server.backend: what each client sends, and what it must be answered."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from proxy.access import Role
from proxy.tfstate import lock as lock_infos
from tests.running import STATE, SYSTEM, Face, a_face
from tests.samples import (
    OTHER_LINEAGE,
    a_lock_info,
    a_state,
    an_encrypted_state,
    md5_of,
)

MINE = a_lock_info("lock-1")
THEIRS = a_lock_info("lock-2", who="bob@runner")
PUSH = a_lock_info("lock-1", "state-push")


async def empty_chunks() -> AsyncIterator[bytes]:
    """Send a chunked body without a chunk, as Go does for an empty body of an unusual method."""
    for _ in ():
        yield b""


def as_upload(body: bytes) -> dict[str, str]:
    """Return the headers that Terraform sends with a body."""
    return {"Content-Type": "application/json", "Content-MD5": md5_of(body)}


# ---------------------------------------------------------------- GET


async def test_no_state_is_404_and_stays_so_under_a_lock(face: Face) -> None:
    """The one 404 there is; empty, on record, and not changed by a lock."""
    first = await face.ask("GET", role=Role.READER)
    await face.ask("LOCK", body=MINE)
    second = await face.ask("GET", role=Role.READER)
    assert (404, b"", 404) == (first.status, first.body, second.status)
    assert first.index is not None


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_state_goes_out_as_it_came_in(face: Face, method: str) -> None:
    """Byte for byte, as JSON, with the indices of both entries; the write's answer is empty."""
    body = b' {"version":4,\r\n"serial": 1,"lineage":"\\u0061","n":1e400}\n'
    written = await face.ask(method, body=body, headers=as_upload(body))
    read = await face.ask("GET", role=Role.READER)
    assert (200, b"") == (written.status, written.body)
    assert (200, body, "application/json") == (
        read.status,
        read.body,
        read.headers["content-type"],
    )
    assert written.index is not None
    assert written.index + 2 == read.index  # a reader's token was made in between
    assert ("state.read", "/state/prod/network") == (
        (await face.last())["event"],
        (await face.last())["request"]["path"],
    )


async def test_a_read_is_not_blocked_by_a_lock(face: Face) -> None:
    """Plans of others go on while a run holds the lock."""
    await face.ask("POST", body=a_state(1))
    await face.ask("LOCK", body=MINE)
    assert 200 == (await face.ask("GET")).status


@pytest.mark.parametrize("size", [10, 5_000, 200_000])
async def test_a_state_is_compressed_for_whom_it_may(face: Face, size: int) -> None:
    """Go asks for gzip and undoes it; a body of one packet is sent as it is."""
    body = json.dumps({"version": 4, "serial": 1, "lineage": "a", "x": "y" * size}).encode()
    await face.ask("POST", body=body)
    answer = await face.raw(
        b"GET /state/prod/network HTTP/1.1\r\nAccept-Encoding: gzip\r\n{auth}\r\n\r\n"
    )
    if size > 1400:
        assert "gzip" == answer.headers["content-encoding"]
        assert body == gzip.decompress(answer.body)
    else:
        assert "content-encoding" not in answer.headers
        assert body == answer.body


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "gzip; q=0.0, identity", "br"])
async def test_a_state_is_not_compressed_for_whom_it_may_not(face: Face, accepted: str) -> None:
    """RFC 9110 section 12.5.3: a weight of 0 says no."""
    body = a_state(1, "y" * 5000)
    await face.ask("POST", body=body)
    answer = await face.raw(
        b"GET /state/prod/network HTTP/1.1\r\nAccept-Encoding: %b\r\n{auth}\r\n\r\n"
        % accepted.encode()
    )
    assert ("content-encoding" in answer.headers, body) == (False, answer.body)


@pytest.mark.parametrize("header", ["Content-MD5", "Content-Type"])
async def test_a_get_with_an_uploads_headers_is_refused(face: Face, header: str) -> None:
    """A redirect made it of a POST; 200 would tell Terraform that its state is saved."""
    await face.ask("POST", body=a_state(1))
    answer = await face.raw(
        b"GET /state/prod/network?ID=1 HTTP/1.1\r\n%b: x\r\n{auth}\r\n\r\n" % header.encode()
    )
    entry = await face.last()
    assert 400 == answer.status
    assert ("state.write_refused", 400) == (entry["event"], entry["request"]["status"])


@pytest.mark.parametrize("ending", ["lock", "unlock"])
async def test_a_get_of_a_lock_address_is_refused(face: Face, ending: str) -> None:
    """Never 200: a LOCK that a redirect made a GET of must not look like a lock."""
    assert 400 == (await face.ask("GET", f"{STATE}/{ending}")).status


# ---------------------------------------------------------------- POST and PUT


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_same_bytes_again_are_a_success(face: Face, method: str) -> None:
    """And no second version."""
    for _ in range(2):
        assert 200 == (await face.ask(method, body=a_state(1))).status
    assert 1 == len(await face.program.store.versions("prod/network"))


async def test_a_chunked_upload_is_taken(face: Face) -> None:
    """Without a Content-Length, in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(a_state(1)), 100):
            yield a_state(1)[start : start + 100]

    assert 200 == (await face.ask("POST", body=pieces())).status
    assert a_state(1) == (await face.ask("GET")).body


async def test_an_upload_may_be_large(face: Face) -> None:
    """Many reads of the socket, a thread, and back."""
    body = a_state(1, "y" * 3_000_000)
    assert 200 == (await face.ask("POST", body=body, headers=as_upload(body))).status
    assert body == (await face.ask("GET")).body


async def test_an_encrypted_state_is_taken(face: Face) -> None:
    """OpenTofu's, as it is."""
    assert 200 == (await face.ask("POST", body=an_encrypted_state())).status
    assert an_encrypted_state() == (await face.ask("GET")).body


async def test_a_damaged_upload_is_sent_again(face: Face) -> None:
    """5xx with Retry-After: the client repeats it."""
    answer = await face.ask("POST", body=a_state(1), headers={"Content-MD5": md5_of(b"other")})
    assert (503, "10") == (answer.status, answer.headers["retry-after"])
    assert 404 == (await face.ask("GET")).status


_REFUSALS = [
    # stored serial, lock, query, body, status
    (None, None, "", b"", 400),
    (None, None, "", b"not json", 400),
    (None, None, "", a_state(1)[:-30], 400),
    (5, None, "", a_state(5, "other"), 409),
    (5, None, "?ID=gone", a_state(9), 410),
    (5, MINE, "?ID=lock-1", a_state(4), 412),
    (5, None, "", a_state(4), 412),
    (5, MINE, "?ID=lock-1", a_state(6, lineage=OTHER_LINEAGE), 421),
    (5, None, "", a_state(6, lineage=OTHER_LINEAGE), 421),
    (None, None, "", b'{"no": "state"}', 422),
    (None, None, "", a_lock_info(), 422),
    (5, MINE, "?ID=lock-2", a_state(6), 423),
    (5, MINE, "", a_state(6), 428),
    (5, MINE, "?ID=", a_state(6), 428),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(("serial", "lock", "query", "body", "status"), _REFUSALS)
async def test_each_refusal_of_a_write_has_its_status_and_its_entry(  # noqa: PLR0917 - a row
    face: Face,
    method: str,
    serial: int | None,
    lock: bytes | None,
    query: str,
    body: bytes,
    status: int,
) -> None:
    """The answer names the entry, the entry has the answer's status, and nothing is stored."""
    if serial is not None:
        await face.ask("POST", body=a_state(serial))
    if lock is not None:
        await face.ask("LOCK", body=lock)
    answer = await face.ask(method, STATE + query, body)
    entry = await face.last()
    assert status == answer.status
    assert (await face.program.store.size()) - 1 == answer.index
    assert ("state.write_refused", status, "prod/network") == (
        entry["event"],
        entry["request"]["status"],
        entry["workspace"],
    )
    stored = await face.program.store.versions("prod/network")
    assert ([] if serial is None else [serial]) == [version.serial for version in stored]


async def test_whoever_may_not_write_is_refused(face: Face) -> None:
    """403, as access.denied."""
    answer = await face.ask("POST", body=a_state(1), role=Role.READER)
    entry = await face.last()
    assert 403 == answer.status
    assert ("access.denied", 403, "reader") == (
        entry["event"],
        entry["request"]["status"],
        entry["actor"]["name"],
    )


async def test_a_push_under_its_lock_may_force(face: Face) -> None:
    """``state push -force`` and migrations: any serial and lineage."""
    await face.ask("POST", body=a_state(5))
    await face.ask("LOCK", body=PUSH)
    forced = await face.ask("POST", f"{STATE}?ID=lock-1", a_state(1, lineage=OTHER_LINEAGE))
    assert 200 == forced.status
    assert "lineage forced" in (await face.last())["message"]


async def test_a_run_may_save_its_work_after_a_force_unlock(face: Face) -> None:
    """It continues the stored state and nobody holds the lock."""
    await face.ask("POST", body=a_state(5))
    await face.ask("LOCK", body=MINE)
    await face.ask("UNLOCK", body=b"")
    assert 200 == (await face.ask("POST", f"{STATE}?ID=lock-1", a_state(6))).status
    assert "no longer held" in (await face.last())["message"]


# ---------------------------------------------------------------- the body's limits


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """Its Content-Length says so."""
    async with a_face(tmp_path, body_limit=1000) as face:
        answer = await face.raw(b"POST /state/a HTTP/1.1\r\nContent-Length: 1001\r\n{auth}\r\n\r\n")
        assert 413 == answer.status
        assert ("state.write_refused", 413) == (
            (await face.last())["event"],
            (await face.last())["request"]["status"],
        )


async def test_a_chunked_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    """As soon as it is known, whether it comes at once or in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100
            await asyncio.sleep(0.01)

    async with a_face(tmp_path, body_limit=1000) as face:
        assert 413 == (await face.ask("POST", body=pieces())).status
        at_once = b"POST /state/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{auth}\r\n\r\n"
        answer = await face.raw(at_once + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")
        assert 413 == answer.status


@pytest.mark.parametrize("limit", [1000, 5000], ids=["below the server's", "above"])
async def test_a_workspace_may_have_a_lower_limit(tmp_path: Path, limit: int) -> None:
    """Told before the body is sent, and of a chunked one as soon as it is known."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    async with a_face(tmp_path, body_limit=2000) as face:
        fields = {"name": "prod/network", "body_limit": limit}
        await face.program.directory.create(SYSTEM, "workspace", fields)
        head = b"POST /state/prod/network HTTP/1.1\r\n{auth}\r\n"
        answer = await face.raw(head + b"Content-Length: 2001\r\n\r\n")
        setting = b"the workspace's body_limit" if limit == 1000 else b"server.body_limit"
        assert (413, True) == (answer.status, setting in answer.body)
        assert 413 == (await face.ask("POST", body=pieces())).status
        assert 200 == (await face.ask("POST", "/state/other", a_state(1, "x" * 1000))).status


async def test_a_body_of_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    """The limit is the largest that is allowed."""
    body = a_state(1)
    async with a_face(tmp_path, body_limit=len(body)) as face:
        assert 200 == (await face.ask("POST", body=body)).status
        assert 413 == (await face.ask("POST", body=a_state(2) + b" ")).status


@pytest.mark.parametrize("path", [STATE, f"{STATE}/lock"])
async def test_an_upload_that_stops_times_out_and_leaves_nothing(tmp_path: Path, path: str) -> None:
    """408, an entry, no version, no lock."""
    method = b"POST"
    async with a_face(tmp_path, upload_idle_timeout=0.2) as face:
        answer = await face.raw(
            b"%b %b HTTP/1.1\r\nContent-Length: 100\r\n{auth}\r\n\r\n{" % (method, path.encode())
        )
        entry = await face.last()
        assert (408, 408) == (answer.status, entry["request"]["status"])
        assert ([], []) == (
            await face.program.store.workspaces(),
            await face.program.store.locks(),
        )


async def test_an_upload_that_trickles_times_out(tmp_path: Path) -> None:
    """Never idle for long, but too slow in all."""
    async with a_face(tmp_path, upload_idle_timeout=5, upload_timeout=0.3) as face:
        trickle = [part for _ in range(10) for part in (b" ", 0.05)]
        answer = await face.raw(
            b"POST /state/a HTTP/1.1\r\nContent-Length: 100\r\n{auth}\r\n\r\n", *trickle
        )
        assert 408 == answer.status


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
async def test_an_upload_that_breaks_off_leaves_nothing_but_an_entry(
    face: Face, framing: bytes
) -> None:
    """The client is gone half-way: no version, and the attempt is on record."""
    token = await face.token(Role.OPERATOR)
    _, writer = await asyncio.open_connection("127.0.0.1", face.port)
    head = b"POST /state/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n%b\r\n\r\n"
    body = b"" if b"Length" in framing else b"40\r\n"
    writer.write(head % (token.encode(), framing) + body + a_state(1)[:50])
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while not await face.log():  # noqa: ASYNC110 - the log has no event to wait for
            await asyncio.sleep(0.02)
    entry = await face.last()
    assert ("state.write_refused", 408) == (entry["event"], entry["request"]["status"])
    assert [] == await face.program.store.workspaces()


@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["at once", "later"])
async def test_a_chunk_that_is_no_chunk_leaves_nothing(tmp_path: Path, pause: float) -> None:
    """A malformed framing is the client's fault: a refusal, no internal error."""
    async with a_face(tmp_path, upload_idle_timeout=0.3) as face:
        answer = await face.raw(
            b"POST /state/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{auth}\r\n\r\n",
            pause,
            b"zz\r\n{}",
        )
        assert answer.status in {400, 408}
        assert [] == await face.program.store.workspaces()


# ---------------------------------------------------------------- the dialects of locking

_LOCKS = [
    ("LOCK", STATE),
    ("LOCK", f"{STATE}/lock"),
    ("POST", f"{STATE}/lock"),
    ("PUT", f"{STATE}/lock"),
]
_UNLOCKS = [
    ("UNLOCK", STATE),
    ("DELETE", STATE),
    ("UNLOCK", f"{STATE}/lock"),
    ("DELETE", f"{STATE}/lock"),
    ("UNLOCK", f"{STATE}/unlock"),
    ("POST", f"{STATE}/unlock"),
    ("PUT", f"{STATE}/unlock"),
    ("DELETE", f"{STATE}/unlock"),
]


@pytest.mark.parametrize(("method", "path"), _LOCKS)
async def test_a_lock_is_taken_confirmed_and_refused(face: Face, method: str, path: str) -> None:
    """200 and empty; the same again; 423 with the holder's LockInfo for another."""
    taken = await face.ask(method, path, MINE, headers=as_upload(MINE))
    again = await face.ask(method, path, MINE, headers=as_upload(MINE))
    other = await face.ask(method, path, THEIRS, headers=as_upload(THEIRS))
    assert [(200, b""), (200, b""), (423, MINE)] == [
        (answer.status, answer.body) for answer in (taken, again, other)
    ]
    assert "application/json" == other.headers["content-type"].partition(";")[0]
    assert None not in {taken.index, again.index, other.index}


@pytest.mark.parametrize(("method", "path"), _UNLOCKS)
async def test_a_lock_is_released_by_its_id(face: Face, method: str, path: str) -> None:
    """409 with the holder's LockInfo for another ID; 200 and empty; 200 when it is free."""
    await face.ask("LOCK", body=MINE)
    wrong = await face.ask(method, path, THEIRS, headers=as_upload(THEIRS))
    right = await face.ask(method, path, MINE, headers=as_upload(MINE))
    again = await face.ask(method, path, MINE, headers=as_upload(MINE))
    assert [(409, MINE), (200, b""), (200, b"")] == [
        (answer.status, answer.body) for answer in (wrong, right, again)
    ]
    assert [] == await face.program.store.locks()


@pytest.mark.parametrize(("method", "path"), _UNLOCKS)
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "no body"])
async def test_an_empty_unlock_is_a_force_unlock(
    face: Face, method: str, path: str, is_chunked: bool
) -> None:
    """Terraform's force-unlock in every framing that Go chooses for an empty body."""
    await face.ask("LOCK", body=MINE)
    body = empty_chunks() if is_chunked else None
    headers = as_upload(b"")
    assert 200 == (await face.ask(method, path, body, headers=headers)).status
    assert "state.force_unlocked" == (await face.last())["event"]
    assert [] == await face.program.store.locks()


@pytest.mark.parametrize(("method", "path"), _UNLOCKS)
async def test_a_stripped_unlock_is_no_force_unlock(face: Face, method: str, path: str) -> None:
    """Something on the way removed the body; its Content-MD5 tells."""
    await face.ask("LOCK", body=MINE)
    refused = await face.ask(method, path, None, headers=as_upload(THEIRS))
    assert (400, 1) == (refused.status, len(await face.program.store.locks()))
    released = await face.ask(method, path, None, headers=as_upload(MINE))
    assert (200, 0) == (released.status, len(await face.program.store.locks()))


async def test_opentofus_force_unlock_has_an_id_only(face: Face) -> None:
    """OpenTofu 1.10 and later."""
    body = (
        b'{"ID":"lock-1","Operation":"","Info":"","Who":"","Version":"",'
        b'"Created":"0001-01-01T00:00:00Z","Path":""}'
    )
    await face.ask("LOCK", body=MINE)
    assert 200 == (await face.ask("UNLOCK", body=body, headers=as_upload(body))).status
    assert "state.force_unlocked" == (await face.last())["event"]


async def test_a_plain_delete_of_a_state_is_refused(face: Face) -> None:
    """No client deletes a state; the attempt is on record, and state and lock stay."""
    await face.ask("POST", body=a_state(1))
    await face.ask("LOCK", body=MINE)
    answer = await face.ask("DELETE", role=Role.ADMIN)
    assert (405, 405) == (answer.status, (await face.last())["request"]["status"])
    assert (200, 1) == ((await face.ask("GET")).status, len(await face.program.store.locks()))


@pytest.mark.parametrize("role", [Role.READER, Role.AUDITOR])
async def test_a_lock_that_is_not_allowed_explains_itself(face: Face, role: Role) -> None:
    """423 with a LockInfo whose ID and Info are the explanation: the only text a user sees."""
    answer = await face.ask("LOCK", body=MINE, role=role)
    told = lock_infos.parse(answer.body)
    assert 423 == answer.status
    assert f"{role.value} ({role.value}) may not lock:take" in told.id
    assert told.id == told.info
    assert set(json.loads(MINE)) == set(json.loads(answer.body))


async def test_outputs_alone_go_out_as_a_state(face: Face) -> None:
    """To whoever may read those and no more; compressed and typed as any state."""
    await face.ask("POST", body=a_state(7))
    answer = await face.ask("GET", role=Role.OUTPUTS_READER)
    found = json.loads(answer.body)
    assert (200, "application/json", 7, []) == (
        answer.status,
        answer.headers["content-type"],
        found["serial"],
        found["resources"],
    )
    assert "state.outputs_read" == (await face.last())["event"]
    assert 403 == (await face.ask("POST", body=a_state(8), role=Role.OUTPUTS_READER)).status
    await face.ask("POST", "/state/sealed", an_encrypted_state())
    refused = await face.ask("GET", "/state/sealed", role=Role.OUTPUTS_READER)
    assert (406, True) == (refused.status, b"is encrypted" in refused.body)
    assert 404 == (await face.ask("GET", "/state/none", role=Role.OUTPUTS_READER)).status


async def test_a_deleted_workspace_is_never_404(face: Face) -> None:
    """424 for reads and writes, 423 with a LockInfo for locks; an unlock finds nothing held."""
    await face.ask("POST", body=a_state(1))
    await face.program.workspaces.delete(SYSTEM, "prod/network")
    for method, body, status in (
        ("GET", None, 424),
        ("POST", a_state(2), 424),
        ("PUT", a_state(1), 424),
        ("LOCK", MINE, 423),
        ("UNLOCK", MINE, 200),
    ):
        answer = await face.ask(method, body=body)
        assert (status, (await face.last())["request"]["status"]) == (answer.status, status)
    refused = await face.ask("LOCK", body=MINE)
    assert "was deleted at" in lock_infos.parse(refused.body).info


async def test_the_holder_is_told_with_an_offset(face: Face) -> None:
    """Go reads the body strictly; without the offset -lock-timeout would not work."""
    naked = b'{"ID":"lock-1","Operation":"OperationTypeApply","Who":"a@b"}'
    await face.ask("LOCK", body=naked)
    told = json.loads((await face.ask("LOCK", body=THEIRS)).body)
    assert ("lock-1", "0001-01-01T00:00:00Z") == (told["ID"], told["Created"])


@pytest.mark.parametrize("size", [16_385, 100_000])
async def test_a_lock_info_has_a_limit(face: Face, size: int) -> None:
    """413, on record with the workspace."""
    body = a_lock_info("x" * size)
    for method, event in (("LOCK", "state.lock_refused"), ("UNLOCK", "state.unlock_refused")):
        answer = await face.ask(method, body=body)
        entry = await face.last()
        assert (413, 413, event, "prod/network") == (
            answer.status,
            entry["request"]["status"],
            entry["event"],
            entry["workspace"],
        )


# ---------------------------------------------------------------- waiting for a lock


async def test_a_lock_can_be_waited_for(face: Face) -> None:
    """``lock_address = "…?wait=60"`` holds the LOCK open until the lock is free."""
    await face.ask("LOCK", body=THEIRS)
    waiting = asyncio.create_task(face.ask("LOCK", f"{STATE}?wait=60", MINE))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await face.ask("UNLOCK", body=THEIRS)
    async with asyncio.timeout(0.5):
        assert 200 == (await waiting).status


async def test_a_wait_ends_with_the_holder(face: Face) -> None:
    """423 when the time is over."""
    await face.ask("LOCK", body=THEIRS)
    answer = await face.ask("LOCK", f"{STATE}?wait=1", MINE)
    assert (423, THEIRS) == (answer.status, answer.body)


async def test_a_wait_is_no_longer_than_configured(tmp_path: Path) -> None:
    """Whatever the client asks for."""
    async with a_face(tmp_path, lock_wait_limit=0.2) as face:
        await face.ask("LOCK", body=THEIRS)
        async with asyncio.timeout(3):
            assert 423 == (await face.ask("LOCK", f"{STATE}?wait=3600", MINE)).status


@pytest.mark.parametrize("wait", ["", "-1", "1.5", "1e9", "٣", "soon", "9999999"])
async def test_a_wait_that_is_no_number_is_refused(face: Face, wait: str) -> None:
    """400, and nothing is locked."""
    answer = await face.ask("LOCK", URL(STATE).with_query(wait=wait), MINE)  # type: ignore[arg-type]
    assert (400, []) == (answer.status, await face.program.store.locks())


async def test_a_client_that_hung_up_gets_no_lock(face: Face) -> None:
    """It waited, went away, and then the lock came free."""
    await face.ask("LOCK", body=THEIRS)
    token = await face.token(Role.OPERATOR)
    _, writer = await asyncio.open_connection("127.0.0.1", face.port)
    writer.write(
        b"LOCK /state/prod/network?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (token.encode(), len(MINE), MINE)
    )
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)
    await face.ask("UNLOCK", body=THEIRS)
    async with asyncio.timeout(5):
        while face.traffic.running:  # noqa: ASYNC110 - wait for the handler to end
            await asyncio.sleep(0.02)
    assert [] == await face.program.store.locks()
    assert "state.lock_refused" == (await face.last())["event"]


# ---------------------------------------------------------------- names and paths


@pytest.mark.parametrize("method", ["GET", "POST", "LOCK", "UNLOCK", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/state/a%2Fb",
        "/state/%61",
        "/state/a%00",
        "/state/a//b",
        "/state//a",
        "/state/../a",
        "/state/a/../b",
        "/state/a/./b",
        "/state/a/",
        "/state/",
        "/state",
        "/state/lock",
        "/state/a%20b",
        "/state/a;b",
        "/state/a:b",
        "/state/" + "a" * 256,
        "/",
        "/nothing/here",
        "/State/a",
        "/state/a/%6Cock",
    ],
)
async def test_an_address_that_names_no_workspace_is_never_404(
    face: Face, method: str, path: str
) -> None:
    """400: to Terraform a 404 says that there is no state; and it is on record."""
    answer = await face.raw(
        b"%b %b HTTP/1.1\r\nContent-Length: 0\r\n{auth}\r\n\r\n" % (method.encode(), path.encode())
    )
    entry = await face.last()
    assert answer.status in {400, 405}
    assert answer.status == entry["request"]["status"]
    assert [] == await face.program.store.workspaces()


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "lock", "PROPFIND", "get"])
async def test_a_method_that_no_client_uses_is_refused(face: Face, method: str) -> None:
    """405; methods are told apart by case."""
    answer = await face.raw(b"%b /state/a HTTP/1.1\r\n{auth}\r\n\r\n" % method.encode())
    assert answer.status in {400, 405}


async def test_a_head_is_no_read(face: Face) -> None:
    """It would tell of a state without a record of a read."""
    await face.ask("POST", body=a_state(1))
    assert 405 == (await face.ask("HEAD")).status


async def test_workspaces_are_told_apart_exactly(face: Face) -> None:
    """By case, by depth, and by every character."""
    names = ["a", "A", "a/b", "a.b", "a/b/lock.d", "lock/a"]
    for serial, name in enumerate(names):
        assert 200 == (await face.ask("POST", f"/state/{name}", a_state(serial, name))).status
    for serial, name in enumerate(names):
        assert a_state(serial, name) == (await face.ask("GET", f"/state/{name}")).body


async def test_a_query_of_the_address_is_let_pass(face: Face) -> None:
    """An address may have one of its own; ID is found among it."""
    await face.ask("LOCK", body=MINE)
    written = await face.ask("POST", f"{STATE}?team=a%20b&ID=lock-1&x=1", a_state(1))
    assert 200 == written.status
    assert STATE == (await face.last())["request"]["path"]


async def test_answers_keep_the_connection(face: Face) -> None:
    """Writes, locks and unlocks answer without a body, so that the client goes on with it."""
    token = (await face.token(Role.OPERATOR)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", face.port)
    for method, body in ((b"LOCK", MINE), (b"POST", a_state(1)), (b"UNLOCK", MINE), (b"GET", b"")):
        query = b"?ID=lock-1" if method == b"POST" else b""
        writer.write(
            b"%b /state/a%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (method, query, token, len(body), body)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 200")
        assert "connection: close" not in head.lower()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        assert (method == b"GET") is (length > 0)
        await reader.readexactly(length)
    writer.close()


async def test_a_token_in_place_of_a_workspace_is_in_no_record(face: Face) -> None:
    """Whoever mistakes one for the other reads that, and finds it nowhere for ever."""
    token = await face.token(Role.READER)
    answer = await face.ask("GET", f"/state/prod/{token}", role=Role.OPERATOR)
    assert (400, True) == (answer.status, b"looks like a token" in answer.body)
    assert token not in str(await face.log())
