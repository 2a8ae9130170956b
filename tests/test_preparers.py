"""Tests of proxy.preparers and the worker process: proxy.worker."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.contracts import StateVersion
from proxy.errors import UnavailableError
from proxy.preparation import KEPT, LARGE, Failed, Keys, Order, Prepared
from proxy.preparers import LocalPreparer, WorkerPool, spare_cores
from proxy.refusals import DamagedUploadError
from proxy.tfstate.document import NotJsonError
from proxy.tfstate.policy import STANDARD
from proxy.worker import Messages, Setup, decode_answer, encode

KEYS = Keys(b"m" * 32, b"r" * 32)
SALT = b"s" * 32


def state(serial: int, filler: int = 0) -> bytes:
    """Return a state of one output, whose value is the serial, and so many more bytes."""
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": serial,
            "lineage": "l",
            "outputs": {"o": {"value": f"{serial}{'x' * filler}", "type": "string"}},
            "resources": [],
        }
    ).encode()


def large(serial: int) -> bytes:
    """Return a state that is large, of blanks: it takes no time to look at them."""
    return state(serial) + b" " * LARGE


def version_of(version_id: str, prepared: Prepared) -> StateVersion:
    """Return the version that a prepared upload becomes."""
    return StateVersion(
        version_id,
        "w",
        1,
        prepared.lineage,
        prepared.serial,
        prepared.sha256,
        prepared.size,
        prepared.terraform_version,
        prepared.kind,
        "2026-11-22T00:00:00.000000Z",
    )


def without_seal(prepared: Prepared) -> tuple[object, ...]:
    """Return all but what is random."""
    return (
        prepared.kind,
        prepared.lineage,
        prepared.serial,
        prepared.sha256,
        prepared.size,
        prepared.changes,
        prepared.document,
        prepared.summary,
    )


def children() -> list[int]:
    """Return the process IDs of this process's workers."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "proxy.worker"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so, and not for ever."""
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never was so")


@pytest.mark.parametrize("body", [state(3), state(3, 100_000), state(3, 2_000_000), large(3)])
async def test_a_worker_gives_what_is_given_here(body: bytes) -> None:
    """Whether on the spot, on a thread, in a worker or in that for large bodies: the same."""
    order = Order("w", SALT, "id-1", body)
    async with WorkerPool(KEYS, 1) as pool:
        there = await pool.prepare(order)
    here = await LocalPreparer(KEYS).prepare(order)

    assert without_seal(here) == without_seal(there)


async def test_many_orders_at_once_get_each_its_own_answer() -> None:
    """Answers are told apart by number, not by order."""
    async with WorkerPool(KEYS, 2) as pool:
        found = await asyncio.gather(
            *(pool.prepare(Order("w", SALT, f"id-{n}", state(n))) for n in range(300))
        )

    assert list(range(300)) == [prepared.serial for prepared in found]


async def test_orders_that_workers_have_are_counted() -> None:
    """The store waits for their jobs."""
    async with WorkerPool(KEYS, 2) as pool:
        assert 0 == pool.load()
        orders = [
            asyncio.create_task(pool.prepare(Order("w", SALT, f"id-{n}", state(n))))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        assert 20 == pool.load()
        await asyncio.gather(*orders)
        assert 0 == pool.load()


async def test_a_failure_in_a_worker_is_raised_here() -> None:
    """By its own name, and the worker goes on."""
    async with WorkerPool(KEYS, 1) as pool:
        with pytest.raises(NotJsonError):
            await pool.prepare(Order("w", SALT, "i", b"{"))
        with pytest.raises(DamagedUploadError):
            await pool.prepare(Order("w", SALT, "i", state(1), content_md5="AAAA"))
        assert 2 == (await pool.prepare(Order("w", SALT, "i", state(2)))).serial


async def test_a_worker_that_is_killed_costs_no_upload() -> None:
    """What it had is prepared here, and another takes its place."""
    async with WorkerPool(KEYS, 1) as pool:
        await pool.prepare(Order("w", SALT, "i", state(1)))
        (worker,) = children()
        orders = [
            asyncio.create_task(pool.prepare(Order("w", SALT, f"i{n}", state(n))))
            for n in range(50)
        ]
        await asyncio.sleep(0)
        os.kill(worker, signal.SIGKILL)

        assert list(range(50)) == [prepared.serial for prepared in await asyncio.gather(*orders)]
        await until(lambda: children() not in ([], [worker]))
        assert [worker] != children() != []


@pytest.mark.parametrize("between", [0, KEPT - 1, KEPT, KEPT + 9])
@pytest.mark.parametrize("together", [True, False])
async def test_a_body_that_a_worker_has_forgotten_is_sent_again(
    between: int, together: bool
) -> None:
    """However many versions were prepared since, and whether they are answered yet."""
    others = [Order("w", SALT, f"id-{n}", state(n)) for n in range(between)]
    async with WorkerPool(KEYS, 1) as pool:
        base = version_of("first", await pool.prepare(Order("w", SALT, "first", state(1))))
        order = Order("w", SALT, "last", state(2), base=base, base_body=state(1))
        if together:
            *_, prepared = await asyncio.gather(*map(pool.prepare, [*others, order]))
        else:
            await asyncio.gather(*map(pool.prepare, others))
            prepared = await pool.prepare(order)

    assert {"added": 0, "changed": 1, "removed": 0} == json.loads(prepared.changes)["outputs"]


async def test_workers_end_with_the_pool() -> None:
    """None is left behind."""
    async with WorkerPool(KEYS, 2):
        assert 2 == len(children())

    assert [] == children()


async def test_a_large_upload_is_compared_with_the_version_before_it_as_it_is_kept() -> None:
    """Which is handed over sealed; also a small one that takes a large one's place."""
    async with WorkerPool(KEYS, 1) as pool:
        first = await pool.prepare(Order("w", SALT, "first", large(1)))
        base = version_of("first", first)
        order = Order("w", SALT, "next", state(2), base=base, base_sealed=first.sealed)
        prepared = await pool.prepare(order)

    assert {"added": 0, "changed": 1, "removed": 0} == json.loads(prepared.changes)["outputs"]


async def test_a_large_upload_keeps_no_small_one_waiting() -> None:
    """It has a worker of its own, which is there only once one came."""
    async with WorkerPool(KEYS, 1) as pool:
        before = children()
        await pool.prepare(Order("w", SALT, "first", large(1)))
        (worker,) = set(children()) - set(before)
        os.kill(worker, signal.SIGSTOP)
        upload = asyncio.create_task(pool.prepare(Order("w", SALT, "l", large(2))))
        assert 3 == (await pool.prepare(Order("w", SALT, "s", state(3)))).serial
        assert not upload.done()
        os.kill(worker, signal.SIGCONT)
        assert 2 == (await upload).serial

    assert [] == children()


async def test_a_failure_of_a_large_upload_is_raised_here() -> None:
    """By its own name, and the worker goes on."""
    async with WorkerPool(KEYS, 0) as pool:
        with pytest.raises(NotJsonError):
            await pool.prepare(Order("w", SALT, "i", b"{" + b" " * LARGE))
        (worker,) = children()
        assert 2 == (await pool.prepare(Order("w", SALT, "i", large(2)))).serial
        assert [worker] == children()


async def test_a_large_upload_whose_worker_is_killed_is_not_tried_here() -> None:
    """What was too much for the worker would be too much for the server; the next gets another."""
    async with WorkerPool(KEYS, 0) as pool:
        await pool.prepare(Order("w", SALT, "first", large(1)))
        (worker,) = children()
        os.kill(worker, signal.SIGSTOP)
        upload = asyncio.create_task(pool.prepare(Order("w", SALT, "l", large(2))))
        await asyncio.sleep(0.01)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(UnavailableError, match="the machine more memory"):
            await upload
        assert 3 == (await pool.prepare(Order("w", SALT, "next", large(3)))).serial


async def test_a_large_upload_that_nobody_waits_for_ends_its_worker() -> None:
    """As when the server stops; whoever comes next gets another one."""
    async with WorkerPool(KEYS, 0) as pool:
        await pool.prepare(Order("w", SALT, "first", large(1)))
        (worker,) = children()
        os.kill(worker, signal.SIGSTOP)
        upload = asyncio.create_task(pool.prepare(Order("w", SALT, "l", large(2))))
        await asyncio.sleep(0.01)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert 3 == (await pool.prepare(Order("w", SALT, "next", large(3)))).serial
        assert [worker] != children()


async def test_without_a_process_a_large_upload_is_refused_for_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says why, and what to do."""
    monkeypatch.setattr("proxy.preparers._COMMAND", ("/nowhere/python",))
    async with WorkerPool(KEYS, 0) as pool:
        with pytest.raises(UnavailableError, match="No such file"):
            await pool.prepare(Order("w", SALT, "l", large(1)))


@pytest.mark.parametrize("body", [state(1), large(1)])
async def test_no_worker_takes_modules_from_where_the_server_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Whoever can write there would be given the keys."""
    for name in ("msgspec", "zstandard", "proxy"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    async with WorkerPool(KEYS, 1) as pool:
        assert 1 == len(children())
        assert 1 == (await pool.prepare(Order("w", SALT, "i", body))).serial
        assert [] != children()

    assert not (tmp_path / "taken").exists()


async def test_an_idle_worker_for_large_uploads_gives_its_memory_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another is started when it is needed."""
    monkeypatch.setattr("proxy.preparers._IDLE", 0.0)
    async with WorkerPool(KEYS, 0) as pool:
        await pool.prepare(Order("w", SALT, "first", large(1)))
        await until(lambda: not children())
        assert 2 == (await pool.prepare(Order("w", SALT, "next", large(2)))).serial


def test_a_worker_ends_with_its_input_and_not_by_ctrl_c() -> None:
    """The server decides when; when it is killed, the pipe closes."""
    with subprocess.Popen(
        [sys.executable, "-m", "proxy.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(encode(Setup(KEYS.master, KEYS.redaction, STANDARD)))
        worker.stdin.write(encode(Order("w", SALT, "i", state(1), number=9)))
        worker.stdin.flush()
        assert worker.stdout.read(8)
        worker.send_signal(signal.SIGINT)
        worker.send_signal(signal.SIGTERM)
        worker.stdin.write(encode(Order("w", SALT, "i", state(2), number=10)))
        worker.stdin.close()
        assert 0 == worker.wait(10)


async def test_keys_do_not_stand_in_the_command_line_or_environment() -> None:
    """Anybody on the machine can read the one, and the same user the other."""
    async with WorkerPool(KEYS, 1):
        (worker,) = children()
        seen = b"".join((Path(f"/proc/{worker}") / n).read_bytes() for n in ("cmdline", "environ"))

    assert KEYS.master[:8] not in seen
    assert KEYS.redaction[:8] not in seen


def test_messages_are_cut_wherever_the_stream_is() -> None:
    """Byte by byte or all at once."""
    stream = encode(Failed("a", "b")) + encode(Failed("c", "d"))
    whole, slow = Messages(), Messages()

    assert list(whole.feed(stream)) == [
        message for byte in stream for message in slow.feed(bytes([byte]))
    ]


@pytest.mark.parametrize("size", [7, 8, 9, 1 << 18, (1 << 21) + 50])
def test_a_large_message_is_whole_wherever_the_stream_is_cut(size: int) -> None:
    """It stands in a buffer of its own, and what comes before and after it is not lost."""
    large = Failed("c", "x" * (1 << 21))
    sent = [Failed("a", "b"), large, large, Failed("d", "e")]
    stream = b"".join(map(encode, sent))
    messages = Messages()
    parts = [stream[:30], stream[30:70]] + [
        stream[start : start + size * 1000] for start in range(70, len(stream), size * 1000)
    ]

    assert sent == [decode_answer(each) for part in parts for each in messages.feed(part)]


def test_there_are_workers_only_where_a_core_is_spare() -> None:
    """One core is the event loop's."""
    assert 0 <= spare_cores() < len(os.sched_getaffinity(0)) + 1
