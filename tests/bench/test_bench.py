"""The benchmark itself works; how fast anything is, is not looked at here."""

import shutil
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import large, states
from tests.bench.load import Load
from tests.conftest import missing

_KINDS = (("read", "bare"), ("read", "ideal"), ("read", "ours"), ("write", "ours"))


@pytest.mark.timeout(120)
def test_measures_every_candidate(tmp_path: Path) -> None:
    """One short round gives figures for all three, each request answered with 200."""
    if shutil.which("wrk") is None:
        missing("wrk is not installed: apt-get install wrk")
    figures = bench.measure(tmp_path, rounds=1, seconds=0.5, clients=bench.CLIENTS[:2])
    assert {(*kind, clients) for kind in _KINDS for clients in (1, 16)} == set(figures)


@pytest.mark.timeout(120)
def test_measures_a_large_state(tmp_path: Path) -> None:
    """A state of 200 resources comes back whole, and small reads went on meanwhile."""
    figures = large.measure(tmp_path / "large", resources=200)
    assert figures.reads > 0


def test_small_state_is_5_kb() -> None:
    """The state that every figure of the table is about has the promised size."""
    assert 4_900 <= len(states.small(1)) <= 5_300


def test_large_state_is_50_mb() -> None:
    """Each resource of the large state has about 10 KB."""
    assert 9_500 <= len(states.large(1, "a", resources=100)) / 100 <= 10_500


def test_missed_target_is_told() -> None:
    """A share below the promise does not hold."""
    fast, slow = Load(1000, 1000, 1, 2), Load(100, 100, 1, 2)
    figures = {
        (kind, name, clients): slow if name == "ours" else fast
        for kind, name in _KINDS
        for clients in bench.CLIENTS
    }
    assert [False, False, False, False, True] == [t.holds for t in bench.targets(figures)]


def test_memory_is_no_disk() -> None:
    """A database in memory would make every fsync free: the benchmark refuses to lie."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    place = next((mount[1] for mount in mounts if mount[2] == "tmpfs"), None)
    if place is None:
        missing("no tmpfs is mounted")
    with pytest.raises(SystemExit, match="is tmpfs"):
        bench.disk(place)
