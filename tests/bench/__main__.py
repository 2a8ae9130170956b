"""Measures bare, ideal and ours side by side and prints the table of the README."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import authentication, forwarding, large, proof, redaction, states
from tests.bench.load import Load, run_wrk
from tests.bench.servers import PATH, WORKSPACES, Candidate, Ours, candidates, credentials

CLIENTS = (1, 16, 128)
READ_SHARE = 0.60
WRITE_SHARE = 0.35
READ_MEDIAN_MS = 3.0

_PARTS = ("small", "authentication", "large", "redaction", "forwarding", "proof")
_WARM_UP_SECONDS = 1.0
_WARM_UP_REQUESTS = WORKSPACES
_WARM_UP_CLIENTS = 16
_SERIALS = 1_000_000
"""Each run of uploads starts at a multiple of it, far above where the one before it ended."""

_Figures = dict[tuple[str, str, int], Load]


@dataclass(frozen=True, slots=True)
class Target:
    """Something promised, what was measured, and whether it holds."""

    promise: str
    measured: str
    holds: bool


def measure(
    directory: Path, *, rounds: int, seconds: float, clients: Sequence[int] = CLIENTS
) -> _Figures:
    """Run all three in turn, round after round, so that a machine that drifts hits them alike.

    Args:
        directory: an empty one on the disk to be measured.
        rounds: how often.
        seconds: of each run of wrk; a round has four for each number of clients.
        clients: connections at a time.

    Returns:
        The medians over the rounds by ("read" or "write", name, clients).
    """
    template = directory / "template.json"
    template.write_text(states.template())
    found: dict[tuple[str, str, int], list[Load]] = {}
    runs = 0

    def run(candidate: Candidate, kind: str, count: int, time: float) -> Load:
        nonlocal runs
        runs += 1
        authorization = credentials(candidate.token).get("Authorization", "")
        if kind == "read":
            arguments = [kind, authorization, PATH]
        else:
            serial = runs * _SERIALS
            arguments = [kind, authorization, str(template), str(WORKSPACES), str(serial)]
        return run_wrk(candidate.url, count, time, arguments)

    def run_all(candidate: Candidate, kind: str) -> None:
        warm = 0
        while warm < _WARM_UP_REQUESTS:  # every workspace's state has been in use once
            warm += run(candidate, kind, _WARM_UP_CLIENTS, _WARM_UP_SECONDS).requests
        for count in clients:
            load = run(candidate, kind, count, seconds)
            found.setdefault((kind, candidate.name, count), []).append(load)
            _say(f"{candidate.name}, {kind}, {count} clients: {load.rate:,.0f}/s")

    programs = candidates(directory, Ours(directory / "ours"))
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}")
        for file in directory.glob("ideal.db*"):
            file.unlink()
        for candidate in programs:
            with candidate:
                run_all(candidate, "read")
                if isinstance(candidate, Ours):
                    run_all(candidate, "write")
    return {key: _median(loads) for key, loads in found.items()}


def _median(loads: Sequence[Load]) -> Load:
    return Load(
        requests=sum(load.requests for load in loads),
        rate=statistics.median(load.rate for load in loads),
        p50=statistics.median(load.p50 for load in loads),
        p99=statistics.median(load.p99 for load in loads),
    )


def table(figures: _Figures) -> str:
    """Return the figures as a Markdown table, each of ours beside the ideal's."""
    lines = [
        "| 5 KB state | clients | requests/s | p50 ms | p99 ms | of ideal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for (kind, name, clients), load in figures.items():
        what = name if name != "ours" else f"**ours, {kind}s**"
        share = f"{_share(figures, kind, clients):.0%}" if name == "ours" else ""
        lines.append(
            f"| {what} | {clients} | {load.rate:,.0f} | {load.p50:.2f} | {load.p99:.2f} | {share} |"
        )
    return "\n".join(lines)


def _share(figures: _Figures, kind: str, clients: int) -> float:
    return figures[kind, "ours", clients].rate / figures["read", "ideal", clients].rate


def targets(figures: _Figures) -> list[Target]:
    """Hold the figures against what is promised for them."""
    found = []
    for kind, least in (("read", READ_SHARE), ("write", WRITE_SHARE)):
        for clients in CLIENTS[1:]:
            share = _share(figures, kind, clients)
            promise = f"{kind}s, {clients} clients: {least:.0%} of ideal or more"
            found.append(Target(promise, f"{share:.0%}", share >= least))
    p50 = figures["read", "ours", 1].p50
    promise = f"one client's read: median under {READ_MEDIAN_MS:.0f} ms"
    found.append(Target(promise, f"{p50:.2f} ms", p50 < READ_MEDIAN_MS))
    return found


def large_targets(figures: large.Large) -> list[Target]:
    """Hold the figures of a large state against what is promised for them."""
    size = figures.body / 1e6
    return [
        Target(
            f"{size:.0f} MB state: memory grows by less than {large.MAX_GROWTH} times the body",
            f"{figures.growth:.1f} times",
            figures.growth < large.MAX_GROWTH,
        ),
        Target(
            f"meanwhile small reads: 99th percentile under {large.MAX_P99_MS:.0f} ms",
            f"{figures.p99:.1f} ms (median {figures.p50:.1f}, longest {figures.longest:.1f})",
            figures.p99 < large.MAX_P99_MS,
        ),
    ]


def authentication_targets(figures: authentication.Authentication) -> list[Target]:
    """Hold the cost of tokens against what is promised for it."""
    return [
        Target(
            f"reads, {clients} clients: a token costs under {authentication.MAX_COST:.0%}",
            f"{cost:.1%}",
            cost < authentication.MAX_COST,
        )
        for (way, clients), cost in figures.costs.items()
        if way == authentication.TOKEN
    ]


def redaction_targets(figures: redaction.Redaction) -> list[Target]:
    """Hold the figures of redaction against what is promised for them."""
    leaked = sum(figures.leaked.values())
    size = figures.body / 1e6
    return [
        Target(
            f"leaked canaries: 0 of {figures.canaries:,}",
            f"{leaked} of {figures.canaries:,}",
            not leaked,
        ),
        Target(
            f"harmless values hidden: under {redaction.MAX_HIDDEN:.0%}",
            f"{figures.hidden:.1%} of {figures.values}",
            figures.hidden < redaction.MAX_HIDDEN,
        ),
        Target(
            f"change of one resource in {size:.0f} MB: under {redaction.MAX_CHANGE_MS:.0f} ms",
            f"{figures.warm:.1f} ms",
            figures.warm < redaction.MAX_CHANGE_MS,
        ),
        Target(
            f"first write of {size:.0f} MB: under {redaction.MAX_FIRST_SECONDS:.0f} s",
            f"{figures.first:.1f} s",
            figures.first < redaction.MAX_FIRST_SECONDS,
        ),
    ]


def proof_targets(figures: proof.Proof) -> list[Target]:
    """Hold the figures of verification and of proofs against what is promised for them."""
    return [
        Target(
            f"verify, one core, every signature: {proof.MIN_RATE:,} entries/s or more",
            f"{figures.one:,.0f}/s ({figures.one_cpu:,.0f}/s of its processor's time; with "
            f"{figures.cores} cores {figures.all:,.0f}/s)",
            figures.one >= proof.MIN_RATE,
        ),
        Target(
            f"verify --tree-only: {proof.MIN_TREE_RATE:,} entries/s or more",
            f"{figures.tree:,.0f}/s ({figures.tree_cpu:,.0f}/s of its processor's time)",
            figures.tree >= proof.MIN_TREE_RATE,
        ),
        Target(
            f"a receipt out of {figures.large:,} entries: under {proof.MAX_PROOF_MS:.0f} ms",
            f"{figures.proof:.2f} ms (longest {figures.longest:.2f})",
            figures.proof < proof.MAX_PROOF_MS,
        ),
    ]


def machine(directory: Path) -> str:
    """Return in one line what was measured on: processors, Python, and what one fsync takes."""
    took = []
    with (directory / "fsync").open("wb") as file:
        for _ in range(100):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    median = statistics.median(took) * 1000
    return (
        f"{os.cpu_count()} x {model}, Python {platform.python_version()}, "
        f"fdatasync {median:.2f} ms, load {os.getloadavg()[0]:.2f} at the start"
    )


def forwarding_targets(figures: forwarding.Forwarding) -> list[Target]:
    """Hold the figures of forwarding against what is promised for them."""
    found = [
        Target(
            f"{kind}s beside a sink that never answers: {forwarding.SHARE:.0%} or more",
            f"{share:.1%}",
            share >= forwarding.SHARE,
        )
        for kind, share in figures.shares.items()
    ]
    more = figures.size_waiting - figures.size_idle
    least = f"{forwarding.RATE:,} events/s or more to a healthy intake"
    most = f"{forwarding.GROWTH / 1e6:.0f} MB or less"
    waiting = f"{figures.waiting:,} entries that wait"
    return [
        *found,
        Target(f"memory for {waiting}: {most}", f"{more / 1e6:.0f} MB", more <= forwarding.GROWTH),
        Target(
            f"memory to forward them: {most}",
            f"{figures.growth / 1e6:.0f} MB",
            figures.growth <= forwarding.GROWTH,
        ),
        Target(least, f"{figures.forwarded:,.0f}", figures.forwarded >= forwarding.RATE),
    ]


def disk(chosen: str | None) -> Path:
    """Return where the databases go: a directory on a disk, since memory makes fsync free.

    Args:
        chosen: by whoever runs this; None for ``/var/tmp``.

    Raises:
        SystemExit: it lies in memory.
    """
    directory = Path(chosen or "/var/tmp").resolve()  # noqa: S108 - a fresh directory below it
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = {Path(mount[1]): mount[2] for mount in mounts}
    kind = next(kinds[path] for path in (directory, *directory.parents) if path in kinds)
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"{directory} is {kind}: name a directory on a disk in TFAUDIT_BENCH_DIR")
    return directory


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, and return 1 when a target is missed that was to be checked."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of all three (default: 3)")
    parser.add_argument("--seconds", type=float, default=4, help="of each run (default: 4)")
    parser.add_argument("--only", choices=_PARTS, help="one part")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    place = disk(os.environ.get("TFAUDIT_BENCH_DIR"))
    with tempfile.TemporaryDirectory(dir=place, prefix="tfaudit-bench-") as name:
        directory = Path(name)
        report: dict[str, object] = {"machine": machine(directory)}
        print(report["machine"], end="\n\n")
        held: list[Target] = []
        if options.only in {None, "small"}:
            figures = measure(directory, rounds=options.rounds, seconds=options.seconds)
            print(table(figures), end="\n\n")
            held += targets(figures)
            report["small"] = [
                {"kind": kind, "name": candidate, "clients": clients, **asdict(load)}
                for (kind, candidate, clients), load in figures.items()
            ]
        if options.only in {None, "authentication"}:
            asked = authentication.measure(
                directory / "authentication", rounds=options.rounds * 2, seconds=options.seconds
            )
            print(authentication.table(asked), end="\n\n")
            held += authentication_targets(asked)
            report["authentication"] = [
                {
                    "way": way,
                    "clients": clients,
                    "rate": rate,
                    "cost": asked.costs.get((way, clients)),
                }
                for (way, clients), rate in asked.rates.items()
            ]
        if options.only in {None, "large"}:
            big = large.measure(directory / "large")
            held += large_targets(big)
            report["large"] = asdict(big)
        if options.only in {None, "redaction"}:
            kept = redaction.measure(directory / "redaction")
            print(redaction.table(kept), redaction.details(kept), sep="\n", end="\n\n")
            held += redaction_targets(kept)
            report["redaction"] = asdict(kept)
        if options.only in {None, "forwarding"}:
            sent = forwarding.measure(
                directory / "forwarding", rounds=options.rounds, seconds=options.seconds
            )
            print(forwarding.table(sent), end="\n\n")
            held += forwarding_targets(sent)
            report["forwarding"] = asdict(sent)
        if options.only in {None, "proof"}:
            proved = proof.measure(directory / "proof")
            held += proof_targets(proved)
            report["proof"] = asdict(proved)
    report["targets"] = [asdict(target) for target in held]
    print("| target | measured | holds |\n|---|---|---|")
    for target in held:
        print(f"| {target.promise} | {target.measured} | {'yes' if target.holds else '**no**'} |")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(options.check and not all(target.holds for target in held))


if __name__ == "__main__":
    sys.exit(main())
