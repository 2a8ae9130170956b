"""Every type of sink keeps the contract; one without a row fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.sinks import sink_types
from tests.certificates import Authority
from tests.contracts.sink_contract import (
    HttpRow,
    HttpSinkContract,
    Rig,
    SinkContract,
    an_http_rig,
)
from tests.sinks.rows import ROWS


def test_every_type_has_a_row() -> None:
    """So that nothing is said of a sink that was not tried."""
    assert sorted(sink_types()) == sorted(ROWS)


@pytest.fixture(params=list(ROWS))
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Open a sink of each type."""
    row = ROWS[request.param]
    if isinstance(row, HttpRow):
        async with an_http_rig(request.param, row) as opened:
            yield opened
    else:
        async with row.rig(tmp_path) as rigged:
            yield rigged


@pytest.fixture(params=[of for of, row in ROWS.items() if isinstance(row, HttpRow)])
def of(request: pytest.FixtureRequest) -> str:
    """Name each type that speaks HTTP."""
    return str(request.param)


@pytest.fixture
def row(of: str) -> HttpRow:
    """Return its row."""
    found = ROWS[of]
    assert isinstance(found, HttpRow)
    return found


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Return a CA that nobody knows."""
    return Authority()


class TestEverySink(SinkContract):
    """What all promise."""


class TestEverySinkOverHttp(HttpSinkContract):
    """What those promise that speak HTTP."""
