"""Events of a real apply reach a receiver, through sinks that are administered while it runs."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeServer, MakeTerraform
from tests.e2e.ledger import Ledger
from tests.e2e.receiver import Receiver
from tests.e2e.server import HTTP_BACKEND, Server

KEY = bytes(range(32))
CONFIG = 'resource "terraform_data" "main" {\n  input = "one"\n}\n'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return a receiver that knows the key."""
    with Receiver(KEY) as running:
        yield running


def keep_secret(server: Server, key: bytes = KEY) -> None:
    """Put the webhook's secret where the server and the command line find it."""
    directory = server.data / "secrets"
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / "hook"
    path.write_text(f"whsec_{base64.b64encode(key).decode()}\n")
    path.chmod(0o600)


def api(server: Server, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask the API as the administrator."""
    content = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    reply = server.request(
        method, f"/api/v1/{path}", content, token=server.admin_token, headers=headers
    )
    return reply.status, json.loads(reply.body)


def until(condition: Callable[[], bool], about: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, about()
        time.sleep(0.05)


def status(server: Server) -> dict[str, Any]:
    """Return how the webhook is doing."""
    code, found = api(server, "GET", "sinks/hook/status")
    assert 200 == code, found
    return dict(found)


def test_events_of_an_apply_arrive(
    server: Server, receiver: Receiver, make_terraform: MakeTerraform
) -> None:
    """From the first sink, made by one command, to its test, its pause, and a replay of all."""
    keep_secret(server)
    options = (f"--option=url={receiver.url}", "--option=signing_secrets=hook")
    wish = ("hook", "--type", "webhook", *options, "--from", "beginning")
    assert "Probed: " in server.cli("sink", "create", *wish).stdout
    terraform = make_terraform(env=Ledger(server, "events").backend())
    terraform.write(HTTP_BACKEND + CONFIG)
    terraform.run("init")
    terraform.run("apply", "-auto-approve")
    receiver.wait_for("state.unlocked")
    log = server.log()
    ids = [record.entry["id"] for record in log]
    came = [identity for identity, _ in receiver.got]
    assert ids[: len(came)] == came  # each, in the order of the log, and once
    assert {"tfaudit.audit.started", "tfaudit.state.locked", "tfaudit.state.written"} <= set(
        receiver.types
    )

    # paused: events wait, a test is sent all the same
    assert "is paused" in server.cli("sink", "pause", "hook").stdout
    time.sleep(1.5)  # the server looks each second at what the command line changed
    before = len(receiver.got)
    server.token("reader", name="made-while-paused")
    assert "Taken" in server.cli("sink", "test", "hook").stdout
    assert ["sink.tested"] == [kind.removeprefix("tfaudit.") for kind in receiver.types[before:]]
    assert "paused" == status(server)["state"]
    assert 2 < status(server)["lag"]

    # it goes on, over HTTP
    assert 200 == api(server, "PATCH", "sinks/hook", {"enabled": True})[0]
    receiver.wait_for("sink.enabled")
    assert "made-while-paused" in json.dumps(receiver.got[before:])
    code, tested = api(server, "POST", "sinks/hook/test")
    assert (200, True) == (code, tested["is_taken"])

    # once more, with the IDs that they had
    until(lambda: status(server)["lag"] == 0, lambda: status(server))
    before = len(receiver.got)
    code, replay = api(server, "POST", "sinks/hook/replays", {"first": 0, "until": 3})
    assert 202 == code, replay
    until(lambda: not status(server)["replays"], lambda: status(server))
    again = [identity for identity, _ in receiver.got[before:] if identity in ids[:3]]
    assert ids[:3] == again
    row = server.cli("sink", "list").stdout.splitlines()[1].split()
    assert ["hook", "webhook", "ok"] == row[:3]
    server.stop()
    assert 0 == server.verify().returncode


def test_a_secret_is_replaced_while_the_server_runs(server: Server, receiver: Receiver) -> None:
    """What was refused for the old one waits, and is sent with the new one; nothing is lost."""
    wrong = bytes(32)
    keep_secret(server, wrong)
    wish = {"url": receiver.url, "signing_secrets": ["hook"]}
    made = {"name": "hook", "type": "webhook", "options": wish, "start": 0}
    assert 201 == api(server, "POST", "sinks", made)[0]
    until(lambda: status(server)["state"] == "failing", lambda: status(server))
    assert "401" in status(server)["error"]
    assert [] == receiver.got
    keep_secret(server)
    # Whoever mended it need not wait for the next try.
    for enabled in (False, True):
        assert 200 == api(server, "PATCH", "sinks/hook", {"enabled": enabled})[0]
    receiver.wait_for("sink.enabled")
    ids = [record.entry["id"] for record in server.log()]
    came = [identity for identity, _ in receiver.got]
    # The news of its own failure alone does not come: its recovery says it again.
    failed = [r.entry["id"] for r in server.log() if r.event == "sink.failed"]
    expected = [each for each in ids if each not in failed]
    assert expected[: len(came)] == came


def test_sinks_of_the_configuration_are_put_in_force(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """At each start, by the system, on record; they are changed nowhere else."""
    path = tmp_path / "events.jsonl"
    table = {"type": "file", "options": {"path": str(path)}, "start": 0}
    config = tmp_path / "sinks.toml"
    config.write_text(
        f'[sinks.archive]\ntype = "file"\nstart = 0\n[sinks.archive.options]\npath = "{path}"\n'
    )
    server = make_server(env={"TFAUDIT_SINKS": json.dumps({"archive": table})})
    until(lambda: path.exists() and "sink.created" in path.read_text(), lambda: server.stderr)
    [created] = [r.entry for r in server.log() if r.event == "sink.created"]
    assert ("system", "configuration") == (
        created["actor"]["type"],
        created["object"]["after"]["managed"],
    )
    status, refused = api(server, "PATCH", "sinks/archive", {"enabled": False})
    assert (409, True) == (status, "change [sinks.archive] there" in refused["detail"])
    # The same from a file changes nothing.
    server.stop()
    del server.env["TFAUDIT_SINKS"]
    server.env["TFAUDIT_CONFIG"] = str(config)
    server.start()
    assert ["sink.created"] == changes(server)
    # What is in it no more is deleted; a name that is taken ends the start.
    server.stop()
    config.write_text("")
    server.start()
    assert ["sink.created", "sink.deleted"] == changes(server)
    assert 201 == api(server, "POST", "sinks", {"name": "archive", **table})[0]
    server.stop()
    server.env["TFAUDIT_SINKS"] = json.dumps({"archive": table})
    with pytest.raises(AssertionError, match=r"tfaudit sink delete archive"):
        server.start()


def changes(server: Server) -> list[str]:
    """Return the events by which sinks became what they are."""
    objects = [(r.event, r.entry["object"]) for r in server.log() if "object" in r.entry]
    return [event for event, about in objects if about["kind"] == "sink"]


def test_a_drill_forwards_nothing(tmp_path: Path, make_server: MakeServer) -> None:
    """On a restored copy, whose sinks would send to the real receivers; without it they do."""
    path = tmp_path / "events.jsonl"
    server = make_server(options=["--no-sinks"])
    wish = ("copy", "--type", "file", f"--option=path={path}", "--from", "beginning")
    server.cli("sink", "create", *wish)
    server.token("reader", name="made-in-a-drill")
    time.sleep(1.5)  # a server that forwards looks each second at what the command line changed
    assert not path.exists() or not path.read_bytes()
    server.stop()
    again = make_server(data=server.data)
    until(lambda: path.exists() and b"token.created" in path.read_bytes(), again.log)
