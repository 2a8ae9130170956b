"""What forwarding costs requests, how fast it is, and how much memory a million that wait take.

A sink that never answers is compared with no sink: both servers run, and pairs of runs follow each
other. The million entries are copies of one that was signed, with a tree and a checkpoint that
hold: signing each would take longer than all the rest.
"""

import asyncio
import base64
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from proxy.audit_log import AuditLog, LogHead
from proxy.config import Config, DataConfig
from proxy.keys import open_keys
from proxy.program import clock
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.merkle import Frontier
from tests.bench import intake, states
from tests.bench.load import Load, run_wrk
from tests.bench.servers import PATH, WORKSPACES, credentials, upload
from tests.e2e.server import Server, free_port

WAITING: Final = 1_000_000
SHARE: Final = 0.95
RATE: Final = 3000
GROWTH: Final = 48e6
"""Bytes by which a server may be larger with a million entries waiting, or after forwarding many:
what one sink reads ahead, and the parts of the program that only forwarding loads."""

CLIENTS: Final = 16
_BATCH: Final = 500
_KEY: Final = base64.b64encode(bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What was measured.

    Attributes:
        shares: of the throughput without a sink that is left with one that never answers, by kind.
        rates: requests per second by kind, without a sink and with it.
        size_idle: bytes of a server's memory with a sink that never answers and nothing to send.
        size_waiting: the same with a million entries waiting.
        waiting: how many did.
        forwarded: events per second to a healthy intake, beside reads.
        reads: per second meanwhile.
        bare: events per second of a bare loop that posts the same bodies.
        growth: bytes by which the server grew while it forwarded.
    """

    shares: dict[str, float]
    rates: dict[str, tuple[float, float]]
    size_idle: int
    size_waiting: int
    waiting: int
    forwarded: float
    reads: float
    bare: float
    growth: int


class Intake:
    """A receiver in a process of its own."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.port = free_port()
        self._arguments = ["silent"] if is_silent else []
        self._process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"http://127.0.0.1:{self.port}/hook"

    def get(self, path: str) -> bytes:
        """Ask it something."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def count(self, what: str = "events") -> int:
        """Return how many came."""
        return int(json.loads(self.get("/count"))[what])

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it did not within 30 seconds.
        """
        command = [sys.executable, str(Path(intake.__file__)), str(self.port), *self._arguments]
        self._process = subprocess.Popen(command)
        for _ in range(600):
            try:
                self.count()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise RuntimeError("the intake did not start")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(30)


def _server(directory: Path, url: str | None) -> Server:
    """Describe a server, perhaps with a webhook that gets the whole log."""
    if url is None:
        return Server(directory)
    options = {"url": url, "signing_secrets": ["hook"], "batch": _BATCH, "format": "native"}
    sink = {"hook": {"type": "webhook", "options": options, "start": 0}}
    secret = f"whsec_{_KEY}"
    return Server(directory, env={"TFAUDIT_SINKS": json.dumps(sink), "TFAUDIT_SECRET_HOOK": secret})


def memory(pid: int) -> int:
    """Return the bytes that a process holds and shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return sum(int(found[name].split()[0]) for name in ("Private_Clean", "Private_Dirty")) * 1024


def fill(directory: Path, count: int) -> None:
    """Put copies of the log's last entry behind it, until it has so many, under a checkpoint."""
    config = Config(data=DataConfig(directory=directory))
    keys = open_keys(config, create=False)
    audit = AuditLog(keys.entry, keys.checkpoint, keys.origin, clock=clock, random=os.urandom)
    with closing(sqlite3.connect(config.data.database)) as database, database:
        head = LogHead(*database.execute("SELECT size, frontier, micros FROM log_head").fetchone())
        columns = "time, event, outcome, workspace, actor, actor_id, source_ip, key_id, leaf_hash"
        database.execute(
            f"INSERT INTO entry (idx, {columns}, signature, entry) "  # noqa: S608 - our own names
            "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            f"SELECT n.i, {columns}, signature, entry FROM n, entry WHERE entry.idx = ?",
            (head.size, count, head.size - 1),
        )
        leaf = database.execute(
            "SELECT leaf_hash FROM entry WHERE idx = ?", (head.size - 1,)
        ).fetchone()[0]
        frontier = Frontier.from_bytes(head.size, head.frontier)
        for _ in range(count - head.size):
            frontier.append(leaf)
        note = sign(Checkpoint(keys.origin, frontier.size, frontier.root()), audit.note_signer)
        database.execute("INSERT INTO checkpoint (size, note) VALUES (?, ?)", (count, note))
        database.execute("UPDATE log_head SET size = ?, frontier = ?", (count, frontier.to_bytes()))


def measure(directory: Path, *, rounds: int, seconds: float, waiting: int = WAITING) -> Forwarding:
    """Measure all of it.

    Args:
        directory: does not exist; on the disk to be measured.
        rounds: pairs of runs, with the sink and without it.
        seconds: of each run.
        waiting: how many entries wait for the sink.
    """
    directory.mkdir()
    template = directory / "template.json"
    template.write_text(states.template())
    with Intake(is_silent=True) as silent:
        pairs, size_idle = _compare(directory, silent, template, rounds, seconds)
        fill(directory / "hung", waiting)
        server = _server(directory / "hung", silent.url)
        with server:
            size_waiting = _settled(server, silent, seconds)
            counted = len_of_log(directory / "hung")
    with Intake() as healthy:
        forwarded, reads, growth = _forward(directory / "hung", healthy, seconds)
        bare = asyncio.run(_post(healthy, healthy.get("/sample"), seconds))
    return Forwarding(
        {kind: statistics.median(on / off for off, on in runs) for kind, runs in pairs.items()},
        {
            kind: (
                statistics.median(off for off, _ in runs),
                statistics.median(on for _, on in runs),
            )
            for kind, runs in pairs.items()
        },
        size_idle,
        size_waiting,
        counted,
        forwarded,
        reads,
        bare,
        growth,
    )


def len_of_log(directory: Path) -> int:
    """Return the number of entries."""
    with closing(sqlite3.connect(directory / "tfaudit.db")) as database:
        return int(database.execute("SELECT size FROM log_head").fetchone()[0])


def _compare(
    directory: Path, silent: Intake, template: Path, rounds: int, seconds: float
) -> tuple[dict[str, list[tuple[float, float]]], int]:
    """Return the rates without and with the sink, by kind, and the size of the one with it."""
    pairs: dict[str, list[tuple[float, float]]] = {"read": [], "write": []}
    servers = [_server(directory / "none", None), _server(directory / "hung", silent.url)]
    with ExitStack() as stack:
        tokens = []
        for server in servers:
            stack.enter_context(server)
            tokens.append(server.token("admin"))
            _store(server, tokens[-1])
        serial = 0
        for number in range(rounds + 1):  # the first warms up
            for kind, found in pairs.items():
                loads = []
                order = (0, 1) if number % 2 else (1, 0)
                serial += 1
                for at in order:
                    arguments = _arguments(kind, tokens[at], template, serial)
                    loads.append((at, run_wrk(servers[at].url, CLIENTS, seconds, arguments)))
                if number:
                    off, on = (load.rate for _, load in sorted(loads, key=lambda pair: pair[0]))
                    found.append((off, on))
        return pairs, memory(servers[1].pid)


def _arguments(kind: str, token: str, template: Path, serial: int) -> list[str]:
    authorization = credentials(token)["Authorization"]
    if kind == "read":
        return [kind, authorization, PATH]
    return [kind, authorization, str(template), str(WORKSPACES), str(serial * 1_000_000)]


def _store(server: Server, token: str) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    upload(connection, PATH, token, states.small(1))
    connection.close()


def _settled(server: Server, silent: Intake, seconds: float) -> int:
    """Let it serve while all wait; return the size of its memory at the end."""
    before = silent.count("requests")
    deadline = time.monotonic() + 60
    while silent.count("requests") == before and time.monotonic() < deadline:
        time.sleep(0.1)
    token = server.token("reader", name="settled")
    run_wrk(server.url, CLIENTS, seconds * 2, _arguments("read", token, Path(), 0))
    return memory(server.pid)


def _forward(directory: Path, healthy: Intake, seconds: float) -> tuple[float, float, int]:
    """Forward what waits while the server serves reads; return both rates, and its growth."""
    with _server(directory, healthy.url) as server:
        token = server.token("reader", name="forward")
        while not healthy.count():
            time.sleep(0.05)
        loads: list[Load] = []

        def read() -> None:
            arguments = _arguments("read", token, Path(), 0)
            loads.append(run_wrk(server.url, CLIENTS, seconds * 3, arguments))

        time.sleep(1)
        size = memory(server.pid)
        client = threading.Thread(target=read)
        client.start()
        began, before = time.perf_counter(), healthy.count()
        time.sleep(seconds * 3 - 0.5)
        rate = (healthy.count() - before) / (time.perf_counter() - began)
        client.join()
        return rate, loads[0].rate, memory(server.pid) - size


async def _post(healthy: Intake, body: bytes, seconds: float) -> float:
    """Post the same body again and again from one connection; return events per second."""
    began, before = time.perf_counter(), healthy.count()
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() - began < seconds:
            async with session.post(healthy.url, data=body) as answer:
                answer.raise_for_status()
    elapsed = time.perf_counter() - began
    return (healthy.count() - before) / elapsed


def table(figures: Forwarding) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| forwarding | measured |", "|---|---:|"]
    for kind, (off, on) in figures.rates.items():
        what = f"{kind}s/s without a sink, with one that never answers"
        lines.append(f"| {what} | {off:,.0f}, {on:,.0f} |")
    lines += [
        f"| memory, nothing waits for that sink | {figures.size_idle / 1e6:,.0f} MB |",
        f"| memory, {figures.waiting:,} wait for it | {figures.size_waiting / 1e6:,.0f} MB |",
        f"| events/s to a healthy intake | {figures.forwarded:,.0f} |",
        f"| reads/s meanwhile | {figures.reads:,.0f} |",
        f"| memory grew meanwhile by | {figures.growth / 1e6:,.0f} MB |",
        f"| events/s of a bare loop with the same bodies | {figures.bare:,.0f} |",
    ]
    return "\n".join(lines)
