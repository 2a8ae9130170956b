"""One test for each trap that systems doing the same job fell into, each over HTTP on a real store.

The traps are those of the facts page on audit logs; each test bears its trap's name.
"""

import ast
import asyncio
import io
import json
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

import proxy
from proxy.access import Role
from proxy.config import Config, DataConfig, LogConfig
from proxy.errors import ConfigError
from proxy.logs import configure_logging
from proxy.program import open_program
from tests.running import STATE, SYSTEM, Face, a_config, a_face
from tests.samples import a_lock_info, a_state

MINE = a_lock_info("lock-1")
THEIRS = a_lock_info("lock-2", who="bob@runner")


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over an empty store."""
    async with a_face(tmp_path) as running:
        yield running


@pytest.fixture
def own_log() -> Iterator[io.StringIO]:
    """Catch the program's own log, in full detail."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging(LogConfig(level="debug", format="json"), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_any_password_accepted_a_typo_then_showing_an_empty_state(face: Face) -> None:
    """Every character of the token counts, and a wrong one never gives a 404."""
    token = await face.token(Role.OPERATOR)
    other = "y" if token[10] == "x" else "x"
    typos = [token[:-1], token + "x", token.lower(), token[:10] + other + token[11:], "password"]
    assert [401] * 6 == [(await face.ask("GET", token=typo)).status for typo in (*typos, " ")]


async def test_store_errors_answered_404(tmp_path: Path) -> None:
    """A body that is gone, a database that is gone: 503, never "there is no state"."""
    async with a_face(tmp_path) as face:
        await face.ask("POST", body=a_state(1))
    path = tmp_path / "data" / "tfaudit.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM state_body")
    async with open_program(a_config(tmp_path), create=False) as program:
        await program.admin.revoke_token(SYSTEM, "operator")
    async with a_face(tmp_path) as face:
        await face.token(Role.OPERATOR)
        answer = await face.ask("GET")
        assert (503, "10") == (answer.status, answer.headers["retry-after"])
        path.rename(path.with_suffix(".moved"))
        assert 503 == (await face.ask("GET")).status
        assert 503 == (await face.ask("GET", "/state/other")).status
        path.with_suffix(".moved").rename(path)


async def test_request_bodies_and_so_states_in_the_application_log(
    tmp_path: Path, own_log: io.StringIO
) -> None:
    """Nor tokens, nor queries: whatever goes wrong, and however loud the log is."""
    secret = "hunter2-in-the-state"
    state = a_state(1, secret)
    chunked = b"POST /state/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{auth}\r\n\r\n"
    async with a_face(tmp_path, upload_idle_timeout=0.2) as face:
        token = await face.token(Role.OPERATOR)
        await face.ask("POST", body=state)
        await face.ask("GET")
        await face.ask("POST", body=state[:-9])
        await face.ask("POST", f"{STATE}?ID={secret}", state)
        await face.ask("LOCK", body=secret.encode())
        await face.ask("GET", f"{STATE}?password={secret}")
        await face.ask("POST", body=state, headers={"Content-MD5": "AAAA"})
        await face.ask("GET", token=f"tfa_{secret}")
        # What the HTTP parser itself refuses: it would quote the line it stumbled over.
        await face.raw(chunked + json.dumps({"a": secret}).encode() + b"\r\n")
        await face.raw(
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\x01\r\n\r\n" % (token.encode())
        )
        await face.raw(b"%b\r\n\r\n" % secret.encode())
    assert "Error handling request" in own_log.getvalue()
    assert secret not in own_log.getvalue()
    assert token not in own_log.getvalue()


async def test_the_lock_taken_by_select_then_insert(face: Face) -> None:
    """Forty LOCKs at once: one 200, and the others see that one's holder."""
    await face.token(Role.OPERATOR)
    infos = [a_lock_info(f"lock-{number}") for number in range(40)]
    answers = await asyncio.gather(*(face.ask("LOCK", body=info) for info in infos))
    statuses = [answer.status for answer in answers]
    assert (1, 39) == (statuses.count(200), statuses.count(423))
    assert {infos[statuses.index(200)]} == {
        answer.body for answer in answers if answer.status == 423
    }


async def test_a_retried_lock_refused_by_its_own_lock(face: Face) -> None:
    """Its answer got lost on the way: the same LOCK is confirmed, as often as it comes."""
    assert [200] * 3 == [(await face.ask("LOCK", body=MINE)).status for _ in range(3)]
    assert 1 == len(await face.program.store.locks())


async def test_a_post_without_id_accepted_while_locked(face: Face) -> None:
    """``-lock=false`` during somebody's run: 428, and the state stays."""
    await face.ask("POST", body=a_state(1))
    await face.ask("LOCK", body=MINE)
    for method in ("POST", "PUT"):
        assert 428 == (await face.ask(method, body=a_state(2))).status
    assert a_state(1) == (await face.ask("GET")).body


async def test_an_unlock_that_checks_no_id(face: Face) -> None:
    """Another's ID releases nothing, in no dialect."""
    await face.ask("LOCK", body=MINE)
    for method, path in (
        ("UNLOCK", STATE),
        ("DELETE", STATE),
        ("DELETE", f"{STATE}/lock"),
        ("POST", f"{STATE}/unlock"),
    ):
        assert 409 == (await face.ask(method, path, THEIRS)).status
    assert ["lock-1"] == [lock.id for lock in await face.program.store.locks()]


async def test_unlock_or_write_by_a_stale_run_after_a_force_unlock(face: Face) -> None:
    """Its lock was forced and another run works: it can neither write nor release."""
    await face.ask("POST", body=a_state(1))
    await face.ask("LOCK", body=MINE)
    await face.ask("UNLOCK", body=b"")
    await face.ask("LOCK", body=THEIRS)
    assert 423 == (await face.ask("POST", f"{STATE}?ID=lock-1", a_state(2, "stale"))).status
    assert 409 == (await face.ask("UNLOCK", body=MINE)).status
    assert 200 == (await face.ask("POST", f"{STATE}?ID=lock-2", a_state(2, "fresh"))).status
    assert 200 == (await face.ask("UNLOCK", body=THEIRS)).status
    # And when the other is done, what the stale run saw is no longer what is stored.
    assert 410 == (await face.ask("POST", f"{STATE}?ID=lock-1", a_state(2, "stale"))).status
    assert a_state(2, "fresh") == (await face.ask("GET")).body


async def test_big_integers_or_key_order_changed_by_re_encoding(face: Face) -> None:
    """Numbers beyond 53 and 64 bits, their spelling, the order of keys, escapes, white space."""
    state = (
        b'{"serial":1,"version":4,"lineage":"z","b":9007199254740993,"a":18446744073709551616,\n'
        b'\t"c":[1.0,1e2,-0,0.10,1E400],"d":"\\u00e4\\/","resources" : [ ] } \r\n'
    )
    await face.ask("POST", body=state)
    assert state == (await face.ask("GET")).body


@pytest.mark.parametrize("authorization", ["", "Authorization: Basic eDp5\r\n"])
async def test_a_body_read_before_authentication(face: Face, authorization: str) -> None:
    """401 while not a byte of the body has been sent, and no 100 Continue."""
    for expect in ("", "Expect: 100-continue\r\n"):
        head = (
            f"POST {STATE} HTTP/1.1\r\nHost: x\r\n{authorization}{expect}Content-Length: 99\r\n\r\n"
        )
        assert 401 == (await face.raw(head.encode())).status


async def test_start_up_that_falls_back_to_memory_when_the_store_cant_be_reached(
    tmp_path: Path,
) -> None:
    """A path that can't be, a file that is no database: no program, with the file's name."""
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(ConfigError, match="data"):
        async with open_program(a_config(tmp_path), create=True):
            pass
    config = Config(data=DataConfig(tmp_path / "other"))
    async with open_program(config, create=True):
        pass
    config.data.database.write_bytes(b"no database" * 500)
    for path in config.data.directory.glob("tfaudit.db-*"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"tfaudit\.db"):
        async with open_program(config, create=True):
            pass


async def test_created_without_offset_in_the_conflict_body(face: Face) -> None:
    """A time without offset is not taken; whatever is told of a holder, Go can read."""
    naked = MINE.replace(b"2026-11-22T10:00:00.123456789Z", b"2026-11-22T10:00:00")
    assert 400 == (await face.ask("LOCK", body=naked)).status
    for info in (MINE, b'{"ID":"lock-1"}'):
        await face.ask("LOCK", body=info)
        told = json.loads((await face.ask("LOCK", body=THEIRS)).body)
        assert {"ID", "Operation", "Info", "Who", "Version", "Created", "Path"} == set(told)
        assert re.search(r"(Z|[+-]\d\d:\d\d)$", told["Created"])
        assert datetime.fromisoformat(told["Created"]).tzinfo is not None
        await face.ask("UNLOCK", body=b"")


async def test_rollback_that_reuses_an_old_serial_and_wedges_every_later_apply(face: Face) -> None:
    """It gets the next serial, and the next apply goes on from there."""
    for serial in (1, 2, 3):
        await face.ask("POST", body=a_state(serial, f"value-{serial}"))
    await face.program.states.roll_back(SYSTEM, "prod/network", "1")
    assert a_state(4, "value-1") == (await face.ask("GET")).body
    await face.ask("LOCK", body=MINE)
    assert 200 == (await face.ask("POST", f"{STATE}?ID=lock-1", a_state(5, "value-5"))).status


def test_secrets_compared_with_equals() -> None:
    """Nowhere: tokens are looked up by digest, other secrets compared in constant time."""
    secrets = {"token", "password", "secret", "credentials", "authorization", "_text"}
    found = []
    for path in Path(proxy.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                names = {
                    getattr(operand, "id", getattr(operand, "attr", ""))
                    for operand in (node.left, *node.comparators)
                }
                if names & secrets:
                    found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert [] == found


async def test_the_path_as_a_metric_label(face: Face) -> None:
    """However many paths are asked for, the series stay the same."""

    async def series() -> set[bytes]:
        body = (await face.ask("GET", "/metrics", role=None)).body
        return {line.rpartition(b" ")[0] for line in body.splitlines() if line[:1] != b"#"}

    await face.ask("GET", "/state/first")
    await face.ask("GET", "/nothing/first")
    await series()
    before = await series()
    for number in range(20):
        await face.ask("GET", f"/state/path-{number}")
        await face.ask("GET", f"/nothing/path-{number}")
    assert before == await series()
