"""A real server with anchors: put while it runs and when it stops, and found when it is older."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.tlog.checkpoint import parse
from tests.e2e.server import Server


def until(condition: Callable[[], bool]) -> None:
    """Wait for the server."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sizes(place: Path) -> list[int]:
    """Return the sizes of the anchors in a directory, rising."""
    texts = [each.read_text().partition("\n\n")[0] for each in sorted(place.glob("*.checkpoint"))]
    return [parse(f"{text}\n").size for text in texts]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make a directory for anchors."""
    path = tmp_path / "anchors"
    path.mkdir()
    return path


@pytest.fixture
def server(tmp_path: Path, place: Path) -> Server:
    """Describe a server that anchors each second."""
    table = {"type": "directory", "path": str(place), "interval": 1}
    anchors = json.dumps({"share": table})
    return Server(tmp_path / "data", env={"TFAUDIT_ANCHORS": anchors})


def test_a_server_anchors_while_it_runs_and_when_it_ends(server: Server, place: Path) -> None:
    """Which anchors there are is on record; how far each is can be asked; a kill loses nothing."""
    with server:
        until(lambda: b"share has the newest" in server.request("GET", "/readyz").body)
        first = sizes(place)[-1]
        server.request("GET", "/state/a")
        until(lambda: sizes(place)[-1] > first)
        scrape = server.request("GET", "/metrics").body.decode()
        assert 'tfaudit_anchor_compared{anchor="share"} 1.0' in scrape
        server.kill()
        server.start()
        started = [each for each in server.log() if each.event == "audit.started"][-1]
        assert "directory" == started.entry["config"]["anchors.share.type"]
        assert 0 == server.stop()
        # The command line's own reading of the log is younger.
        ended = [each.index for each in server.log() if each.event == "audit.stopped"][-1]
        assert ended + 1 == sizes(place)[-1]


def test_a_server_that_turns_out_to_be_older_signs_nothing_on(
    server: Server, place: Path, tmp_path: Path
) -> None:
    """The anchor was away at the start: it serves until it can be asked, and then no more.

    No start follows, with or without the anchor, nor a command, until the loss is on record.
    """
    with server:
        pass
    shutil.copytree(server.data, tmp_path / "backup")
    with server:
        server.request("GET", "/state/a")
    known = sizes(place)[-1]
    shutil.rmtree(server.data)
    shutil.copytree(tmp_path / "backup", server.data)
    with pytest.raises(AssertionError, match=rf"ended with 2[\s\S]*knows with {known} entries"):
        server.start()
    away = place.rename(place.with_name("away"))
    server.start()
    assert b"share could not be compared with the log" in server.request("GET", "/readyz").body
    assert 401 == server.request("GET", "/state/a").status
    away.rename(place)
    until(lambda: not server.is_ready())
    assert "THE LOG IS NOT SIGNED ON" in server.stderr
    assert 503 == server.request("GET", "/state/a").status
    told = server.cli("token", "list", check=False)
    assert (2, True) == (told.returncode, "a witness or an anchor showed" in told.stderr)
    assert 2 == server.stop()
    place.rename(away)
    with pytest.raises(AssertionError, match="which a witness or an anchor showed"):
        server.start()
    away.rename(place)
    server.cli("log", "recover", "--accept-loss", "--yes")
    with server:
        assert 401 == server.request("GET", "/state/a").status
    assert [] == list(server.data.glob("checkpoint.fork"))
