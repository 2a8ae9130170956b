"""A large state: what it costs in memory, and what another client's small reads feel of it."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.bench import reader, states
from tests.bench.servers import PATH, Ours, ask, credentials, upload_once

MAX_GROWTH = 6
MAX_P99_MS = 50.0

_LARGE = "/state/bench/large"
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Large:
    """What was measured.

    Attributes:
        body: bytes of the state.
        growth: peak of the memory of the server and its workers over what they had before, in
            bodies; of all steps.
        steps: the same for each step alone, over what it had before the first.
        seconds: how long each step took.
        reads: how many small reads there were meanwhile.
        p50: their median in milliseconds.
        p99: their 99th percentile in milliseconds.
        longest: the longest in milliseconds.
    """

    body: int
    growth: float
    steps: dict[str, float]
    seconds: dict[str, float]
    reads: int
    p50: float
    p99: float
    longest: float


def measure(directory: Path, *, resources: int = 5000) -> Large:
    """Upload a state, upload it again with one changed resource, and read it back.

    Args:
        directory: for the server's data; not there yet.
        resources: of about 10 KB each.

    Raises:
        RuntimeError: an answer is not 200, what comes back is not what was sent, or the record
            doesn't name the one change.
    """
    first = states.large(1, "before", resources=resources)
    second = states.large(2, "after", resources=resources)
    grown: dict[str, float] = {}
    seconds: dict[str, float] = {}
    with Ours(directory) as ours:
        port = ours.server.port
        upload_once(port, PATH, ours.token, states.small(1))
        ask(port, "GET", PATH, ours.token)
        before = sum(_memory(pid, "VmRSS") for pid in _processes(ours.pid))

        def step(name: str, work: Callable[[], bytes]) -> bytes:
            # Resets the peak to what is in use now (proc(5), /proc/pid/clear_refs).
            for pid in _processes(ours.pid):
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            started = time.perf_counter()
            got = work()
            seconds[name] = time.perf_counter() - started
            # Each may have had its peak at another time: together they had no more than this.
            peak = sum(_memory(pid, "VmHWM") for pid in _processes(ours.pid))
            grown[name] = (peak - before) / len(second)
            return got

        with _small_reads(port, ours.token) as took:
            step("first upload", lambda: upload_once(port, _LARGE, ours.token, first))
            step("changed upload", lambda: upload_once(port, _LARGE, ours.token, second))
            got = step("read", lambda: ask(port, "GET", _LARGE, ours.token))
        changed = ours.newest_entry("state.written")["changes"]["resources"]["changed"]
    if got != second:
        raise RuntimeError("the large state did not come back byte for byte")
    if changed != 1:
        raise RuntimeError(f"one resource was changed, and the record names {changed}")
    percentiles = statistics.quantiles(took, n=100, method="inclusive")
    return Large(
        body=len(second),
        growth=max(grown.values()),
        steps=grown,
        seconds=seconds,
        reads=len(took),
        p50=percentiles[49] * 1000,
        p99=percentiles[98] * 1000,
        longest=max(took) * 1000,
    )


@contextmanager
def _small_reads(port: int, token: str) -> Iterator[list[float]]:
    """Read the small state without a pause; the seconds of each are there at the end."""
    authorization = credentials(token)["Authorization"]
    command = [sys.executable, reader.__file__, str(port), PATH, authorization]
    took: list[float] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the first was answered
        yield took
        output, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError("the small reads failed")
    took += orjson.loads(output)


def _processes(pid: int) -> list[int]:
    """Return the numbers of a process and of those that it started."""
    started = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(each) for path in started for each in path.read_text().split())]


def _memory(pid: int, field: str) -> int:
    """Return a field of ``/proc/pid/status`` in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * _KIB
    raise RuntimeError(f"/proc/{pid}/status has no {field}")
