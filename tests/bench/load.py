"""Runs wrk for some seconds and reads what it counted."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")
_MARK = "result "


@dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk.

    Attributes:
        requests: all that were answered.
        rate: answers per second.
        p50: median latency in milliseconds.
        p99: 99th percentile of the latency in milliseconds.
    """

    requests: int
    rate: float
    p50: float
    p99: float


def run_wrk(url: str, clients: int, seconds: float, arguments: Sequence[str]) -> Load:
    """Keep so many connections busy from one thread.

    Args:
        url: of the server; the script chooses the path.
        clients: connections, each with one request at a time.
        seconds: wrk itself knows whole seconds only; less than one counts as one.
        arguments: for the script.

    Raises:
        RuntimeError: wrk failed, or an answer was not 2xx or never came.
    """
    command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    done = subprocess.run(
        [*command, "-s", str(SCRIPT), url, "--", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode != 0 or not results:
        raise RuntimeError(f"wrk failed ({done.returncode}): {done.stdout}{done.stderr}")
    result = json.loads(results[-1].removeprefix(_MARK))
    if result["refused"] or result["broken"] or not result["requests"]:
        raise RuntimeError(
            f"{arguments[0]} at {url} with {clients} clients: of {result['requests']} requests "
            f"{result['refused']} were refused and {result['broken']} broke"
        )
    rate = result["requests"] / (result["microseconds"] / 1e6)
    return Load(result["requests"], rate, result["p50"] / 1000, result["p99"] / 1000)
