"""What it costs to ask who somebody is: reads with a token beside reads of nobody in particular."""

import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from tests.bench import states, unguarded
from tests.bench.load import run_wrk
from tests.bench.servers import PATH, credentials, upload
from tests.e2e.server import Server

CLIENTS: Final = (16, 128)
MAX_COST: Final = 0.10

UNGUARDED: Final = "nobody is asked"
TOKEN: Final = "token"
PRINCIPAL: Final = "token of a principal with a grant"


@dataclass(frozen=True, slots=True)
class Authentication:
    """Reads per second by way of proof and clients, and what each way costs.

    Attributes:
        rates: the median of all runs.
        costs: the share of the throughput that is lost beside a server that asks nobody, the
            median over pairs of runs that followed each other.
    """

    rates: dict[tuple[str, int], float]
    costs: dict[tuple[str, int], float]


def measure(
    directory: Path, *, rounds: int, seconds: float, clients: Sequence[int] = CLIENTS
) -> Authentication:
    """Run all ways in turn, so that a machine that drifts hits them alike.

    Args:
        directory: does not exist; on the disk to be measured.
        rounds: how often.
        seconds: of each run of wrk.
        clients: connections at a time.
    """
    directory.mkdir()
    program = [sys.executable, str(Path(unguarded.__file__))]
    guarded = Server(directory / "guarded")
    open_ = Server(directory / "unguarded", program=program)
    runs: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        for server in (guarded, open_):
            stack.enter_context(server)
        token = guarded.token("admin")
        guarded.cli("principal", "create", "bench")
        guarded.cli(
            "grant", "create", "bench", "--principal", "bench", "--role", "writer",
            "--workspace", "bench/*",
        )  # fmt: skip
        owned = guarded.cli("token", "create", "owned", "--principal", "bench").stdout.strip()
        ways = [(UNGUARDED, open_, ""), (TOKEN, guarded, token), (PRINCIPAL, guarded, owned)]
        for server, secret in ((guarded, token), (open_, "")):
            connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
            upload(connection, PATH, secret, states.small(1))
            connection.close()
        for number in range(rounds + 1):  # the first warms up
            for count in clients:
                for way, server, secret in ways:
                    authorization = credentials(secret).get("Authorization", "")
                    load = run_wrk(server.url, count, seconds, ["read", authorization, PATH])
                    if number:
                        runs.setdefault((way, count), []).append(load.rate)
    return Authentication(
        {key: statistics.median(rates) for key, rates in runs.items()},
        {
            (way, count): statistics.median(
                1 - rate / bare for rate, bare in zip(rates, runs[UNGUARDED, count], strict=True)
            )
            for (way, count), rates in runs.items()
            if way != UNGUARDED
        },
    )


def table(figures: Authentication) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| reads, who asks | clients | requests/s | cost |", "|---|---:|---:|---:|"]
    for (way, count), rate in figures.rates.items():
        cost = figures.costs.get((way, count))
        lines.append(f"| {way} | {count} | {rate:,.0f} | {'' if cost is None else f'{cost:.1%}'} |")
    return "\n".join(lines)
