"""Tests of proxy.preparers and the worker process: proxy.worker."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.contracts import StateVersion
from proxy.preparation import KEPT, Failed, Keys, Order, Prepared
from proxy.preparers import LocalPreparer, WorkerPool, spare_cores
from proxy.refusals import DamagedUploadError
from proxy.tfstate.document import NotJsonError
from proxy.tfstate.policy import STANDARD
from proxy.worker import Messages, Setup, encode

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


@pytest.mark.parametrize("filler", [0, 100_000, 2_000_000])
async def test_a_worker_gives_what_is_given_here(filler: int) -> None:
    """Whether on the spot, on a thread, or in a worker: the same."""
    order = Order("w", SALT, "id-1", state(3, filler))
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
        for _ in range(200):
            if children() not in ([], [worker]):
                break
            await asyncio.sleep(0.05)
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


def test_there_are_workers_only_where_a_core_is_spare() -> None:
    """One core is the event loop's."""
    assert 0 <= spare_cores() < len(os.sched_getaffinity(0)) + 1
