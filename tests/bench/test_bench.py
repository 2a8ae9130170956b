"""The benchmark itself works; how fast anything is, is not looked at here."""

import shutil
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import authentication, forwarding, large, proof, redaction, states
from tests.bench.load import Load
from tests.conftest import missing
from tests.e2e.server import Server
from tests.redaction.readable import Case

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


def test_measures_verification_and_proofs(tmp_path: Path) -> None:
    """A small log verifies in each way, and gives receipts that hold."""
    figures = proof.measure(tmp_path / "proof", entries=100, large=700)
    assert (100, 700) == (figures.entries, figures.large)
    assert 3 == len(bench.proof_targets(figures))


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


def test_dear_tokens_are_told() -> None:
    """A tenth of the throughput is too much to pay for knowing who asks."""
    way, clients = authentication.TOKEN, authentication.CLIENTS
    rates = {(each, count): 100.0 for each in (authentication.UNGUARDED, way) for count in clients}
    figures = authentication.Authentication(
        rates, dict(zip([(way, c) for c in clients], (0.09, 0.1), strict=True))
    )
    assert [True, False] == [each.holds for each in bench.authentication_targets(figures)]
    assert "| token | 16 | 100 | 9.0% |" in authentication.table(figures)


@pytest.mark.timeout(120)
def test_measures_what_a_token_costs(tmp_path: Path) -> None:
    """Each way of asking has its figure, and every request was answered with 200."""
    if shutil.which("wrk") is None:
        missing("wrk is not installed: apt-get install wrk")
    figures = authentication.measure(tmp_path / "a", rounds=1, seconds=0.5, clients=(4,))
    assert {way for way, _ in figures.rates} == {
        authentication.UNGUARDED,
        authentication.TOKEN,
        authentication.PRINCIPAL,
    }


def test_memory_is_no_disk() -> None:
    """A database in memory would make every fsync free: the benchmark refuses to lie."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    place = next((mount[1] for mount in mounts if mount[2] == "tmpfs"), None)
    if place is None:
        missing("no tmpfs is mounted")
    with pytest.raises(SystemExit, match="is tmpfs"):
        bench.disk(place)


def test_redaction_state_is_10_mb() -> None:
    """The state that redaction is measured with has the promised size, and secrets in it."""
    body, secrets = redaction.large(0, resources=500)
    assert 0.95e6 <= len(body) <= 1.2e6
    assert secrets == 100


def test_missed_redaction_is_told() -> None:
    """One leak is too many, and so is a slow change."""
    figures = redaction.Redaction(
        canaries=2_000,
        leaked={"output": 1},
        readable={"UUIDs": (100, 1)},
        body=10_000_000,
        secrets=1_000,
        hashing=5,
        warm=11,
        rotated=12,
        cold=1_000,
        first=2,
    )
    held = [target.holds for target in bench.redaction_targets(figures)]
    assert [False, True, False, True] == held
    assert "**1 of 2,000**" in redaction.table(figures)
    assert "leaked, output: 1\nhidden, UUIDs: 1 of 100 (1%)" == redaction.details(figures)


def test_harmless_values_that_are_hidden_are_counted() -> None:
    """A value at a deep path is looked at where it stands."""
    cases = [
        Case("x_y", "a[1].b.c", "eu-west-1"),
        Case("x_y", "a[0].password", "tulip-4711"),
        Case("x_y", "size", 5),
    ]
    assert 1 == redaction.hidden(cases)


def test_harmless_values_stand_beside_secrets() -> None:
    """One that is the same as a secret elsewhere is hidden, and the secret itself isn't counted."""
    beside = {
        "mode": "managed",
        "type": "x_z",
        "name": "n",
        "provider": "p",
        "instances": [{"attributes": {"password": "tulip-4711"}}],
    }
    cases = [Case("x_y", "a", "see tulip-4711"), Case("x_y", "a", "eu-west-1")]
    assert 0 == redaction.hidden(cases)
    assert 1 == redaction.hidden(cases, [beside])


def test_missed_forwarding_is_told() -> None:
    """A sink that costs requests, memory that grows, and an intake that is fed too slowly."""
    figures = forwarding.Forwarding(
        shares={"read": 0.97, "write": 0.94},
        rates={"read": (1000.0, 970.0), "write": (100.0, 94.0)},
        size_idle=100_000_000,
        size_waiting=200_000_000,
        waiting=1_000_000,
        forwarded=2_999.0,
        reads=500.0,
        bare=9_000.0,
        growth=1_000_000,
    )
    held = [target.holds for target in bench.forwarding_targets(figures)]
    assert [True, False, False, True, False] == held
    assert "| events/s to a healthy intake | 2,999 |" in forwarding.table(figures)


def test_a_log_is_filled_with_entries_that_hold(tmp_path: Path) -> None:
    """A server opens it: its checkpoint is over all of them."""
    with Server(tmp_path / "data"):
        pass
    forwarding.fill(tmp_path / "data", 2_000)
    with Server(tmp_path / "data"):
        assert forwarding.len_of_log(tmp_path / "data") >= 2_000
