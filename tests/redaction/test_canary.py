"""2,000 secrets go through a real server; none comes out, in whatever form and on whatever way."""

import pytest

from tests.redaction.canaries import Planted, plant
from tests.redaction.leaving import Artifact, everything, leaked, leaks


@pytest.fixture(scope="module")
def planted() -> Planted:
    """The canaries."""
    return plant()


@pytest.fixture(scope="module")
def artifacts(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """Everything that left a server which was sent all of them."""
    return everything(tmp_path_factory.mktemp("canary"), planted)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_no_canary_leaves(planted: Planted, artifacts: list[Artifact]) -> None:
    """Not in the log, the database, an export, a command's output, an answer or our own log."""
    found = leaks(planted, artifacts)
    assert {} == leaked(found), "\n".join(map(str, found[:50]))


def test_all_ways_out_were_watched(planted: Planted, artifacts: list[Artifact]) -> None:
    """What holds no secret did come out there: the search looked at the right things."""
    seen = {artifact.name for artifact in artifacts if b"postgres" in artifact.data}
    ways = {
        "/api/v1/log",
        "database file",
        "database, entry.document",
        "tfaudit export, stdout",
        "tfaudit log --json --since 1d, stdout",
        *(f"tfaudit state {verb} prod/data, stdout" for verb in ("diff", "show")),
    }
    assert set() == ways - seen
    assert len(planted.stacks) > 8


def test_the_search_would_find_them(planted: Planted) -> None:
    """One state in the clear is enough for it to cry out."""
    state = Artifact("x", planted.stacks[0].state(0))
    assert 100 < sum(leaked(leaks(planted, [state])).values())


def test_bugs_were_provoked(artifacts: list[Artifact]) -> None:
    """A traceback, an internal error and a warning are among what was searched."""
    log = b"".join(each.data for each in artifacts if each.name == "the server's own log")
    assert b"state_version" in log
    assert {"answer 500", "answer 503"} & {artifact.name for artifact in artifacts}
