"""Every captured request of eight real clients again: each must get the answer it succeeds with.

The traces: tests/data/wire/README.md. What must be answered, and why: wire_answers.py.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.wire import (
    LOCK,
    READ,
    UNLOCK,
    WRITE,
    Connection,
    InProcess,
    Reply,
    Request,
    Scenario,
    basic,
    digest,
    scenarios,
    start_server,
)
from tests.e2e.wire_answers import (
    ANONYMOUS,
    AS_RECORDED,
    GOOD,
    LANDED,
    LIMITED,
    NOT_SENT,
    RULES,
    SOMEBODY,
    UNLOCKED_FORCE,
    Happening,
    Turn,
    is_forced_unlocked,
    lock_info,
    plan,
    variants,
)

GO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
MOST_ENTRIES_OF_A_REQUEST = 2  # a first version also creates its workspace
PLAYED = [(scenario, variant) for scenario in scenarios() for variant in variants(scenario)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Serve all scenarios, each with states of its own; then the whole log must verify."""
    data = tmp_path_factory.mktemp("wire") / "data"
    with start_server(data) as running:
        yield running
    verified = subprocess.run(
        [sys.executable, "-m", "proxy", "verify", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == verified.returncode, verified.stdout + verified.stderr


@pytest.fixture(scope="module")
def permissive_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """Serve with the setting that accepts forced uploads without a lock."""
    data = tmp_path_factory.mktemp("wire-permissive") / "data"
    with start_server(data, accept_unlocked_force=True) as running:
        yield running


def somebody_s(method: str, *, body: bytes, headers: dict[str, str] | None = None) -> Request:
    """Write a request of somebody else, framed as the clients do."""
    return Request(
        method=method,
        target="",
        headers={
            "Content-Length": str(len(body)),
            "Content-Md5": digest(body),
            "Content-Type": "application/json",
            **(headers or {}),
        },
        framing="length",
        body=body,
        status=None,
    )


class Play:
    """One scenario, played against a server.

    Attributes:
        heard: each turn that was sent, with its answer, in order.
    """

    def __init__(self, server: InProcess, scenario: Scenario, variant: str) -> None:
        """Play nothing yet.

        Args:
            server: that must answer.
            scenario: to play, in workspaces of its own.
            variant: see wire_answers.variants.
        """
        self.server = server
        self.scenario = scenario
        self.prefix = f"{scenario.client}/{scenario.name}/{variant}"
        self.turns = plan(scenario, variant)
        self.heard: list[tuple[Turn, Reply]] = []
        self.authorization = {
            ANONYMOUS: None,
            GOOD: basic(server.token),
            LIMITED: basic(server.limited_token),
        }

    def workspace(self, place: str) -> str:
        """Give the name that the state, which the recording calls `place`, has on the server."""
        return f"{self.prefix}/{place}"

    def address(self, place: str) -> str:
        """Give the path of that state."""
        return f"/state/{self.workspace(place)}"

    def target(self, turn: Turn) -> str:
        """Move a recorded target into the scenario's own workspaces; its query stays."""
        target = turn.request.target
        if target.startswith("/state/"):
            target = self.address(target.removeprefix("/state/"))
        return f"{target}?wait=10" if turn.meanwhile else target

    def run(self) -> None:
        """Play all turns, a connection for each command as the clients have."""
        with (
            Connection(self.server.host, self.server.port) as client,
            Connection(self.server.host, self.server.port) as somebody,
        ):
            for turn in self.turns:
                for happening in turn.before:
                    self.happen(somebody, happening)
                if turn.answer == NOT_SENT:
                    continue
                if turn.opens:
                    client.close()
                authorization = turn.request.headers.get("Authorization")
                if turn.credentials is not None:
                    authorization = self.authorization[turn.credentials]
                client.send(turn.request, self.target(turn), authorization)
                for happening in turn.meanwhile:
                    self.happen(somebody, happening)
                self.heard.append((turn, client.receive()))

    def happen(self, somebody: Connection, happening: Happening) -> None:
        """Do what somebody else does in between; it must succeed."""
        address = self.address(happening.place)
        request = {
            "seed": somebody_s("POST", body=happening.body),
            "lock": somebody_s("LOCK", body=lock_info(SOMEBODY)),
            "unlock": somebody_s("UNLOCK", body=lock_info(SOMEBODY)),
            "force": somebody_s("UNLOCK", body=b""),
        }[happening.deed]
        reply = somebody.ask(request, address, self.authorization[GOOD])
        assert (200, b"") == (reply.status, reply.body), f"somebody's {happening.deed} failed"

    def left_behind(self) -> dict[str, Turn]:
        """Give each state's last turn, by its recorded name, where the address names a state."""
        return {turn.request.place: turn for turn in self.turns if turn.is_addressed_to_a_state}

    def entries(self) -> list[dict[str, Any]]:
        """Read from the log what was added while the scenario played, requests alone."""
        first = next((reply for _, reply in self.heard if "Audit-Index" in reply.headers), None)
        if first is None:
            return []
        before = int(first.headers["Audit-Index"]) - MOST_ENTRIES_OF_A_REQUEST
        return [entry for entry in self.server.entries_after(before) if "request" in entry]

    def stored(self, place: str) -> bytes | None:
        """Read what the server has now; None is no state."""
        with Connection(self.server.host, self.server.port) as reader:
            request = Request("GET", "", {}, "none", None, None)
            reply = reader.ask(request, self.address(place), self.authorization[GOOD])
        assert reply.status in (200, 404)
        return reply.body if reply.status == 200 else None

    def holder(self, place: str) -> str | None:
        """Tell whose lock is held now."""
        return self.server.locks().get(self.workspace(place))


def describe(turn: Turn) -> str:
    """Say for a failure which request it was and why it should have been answered otherwise."""
    return f"{turn.request.method} {turn.request.target} must get {turn.answer}: {turn.rule.why}"


def check_answer(turn: Turn, reply: Reply) -> None:
    """Hold one answer to what the client that sent the request succeeds with."""
    request = turn.request
    assert turn.answer == reply.status, describe(turn)
    assert reply.headers.get("Request-Id"), "every answer has a Request-Id"
    if turn.event is not None:
        assert reply.headers.get("Audit-Index", "").isdigit(), "an answer on record says where"
    if reply.status == 200 and request.kind == READ:
        assert turn.state == reply.body, "a read returns the stored bytes"
    elif reply.status == 200:
        assert reply.body == b"", "a body would make the client drop its connection"
    elif reply.status == 401:
        assert reply.headers["Www-Authenticate"].startswith('Basic realm="tfaudit"')
    elif (request.kind == LOCK and reply.status == 423) or (
        request.kind == UNLOCK and reply.status == 409
    ):
        check_lock_info(reply, turn.holder)


def check_lock_info(reply: Reply, holder: str | None) -> None:
    """Hold a conflict's body to what Go decodes: else a client shows nothing and stops polling."""
    assert "application/json" == reply.headers.get("Content-Type", "").partition(";")[0]
    info = json.loads(reply.body)
    assert set(SOMEBODY) == set(info)
    assert all(isinstance(value, str) for value in info.values())
    assert holder == info["ID"]
    assert GO_TIME.fullmatch(info["Created"]), "Created needs an offset"


@pytest.mark.parametrize(
    ("scenario", "variant"),
    PLAYED,
    ids=[
        f"{s.client}-{s.name}{'' if variant == LANDED else '-' + variant}" for s, variant in PLAYED
    ],
)
def test_scenario(server: InProcess, scenario: Scenario, variant: str) -> None:
    """The client gets what it succeeds with; state, lock and log are then as its requests say."""
    replay(Play(server, scenario, variant))


FORCED = [scenario for scenario in scenarios() if is_forced_unlocked(scenario)]


@pytest.mark.parametrize("scenario", FORCED, ids=[f"{s.client}-{s.name}" for s in FORCED])
def test_unlocked_force(permissive_server: InProcess, scenario: Scenario) -> None:
    """Where the setting allows it, a client that never locks can force a state as it is used to."""
    replay(Play(permissive_server, scenario, UNLOCKED_FORCE))


def replay(play: Play) -> None:
    """Play, then hold every answer, what is stored, the lock and the log to the plan."""
    play.run()
    for turn, reply in play.heard:
        check_answer(turn, reply)

    for place, turn in play.left_behind().items():
        assert turn.state == play.stored(place), f"{place}: the last accepted upload is stored"
        assert turn.holder == play.holder(place), f"{place}: the lock"

    entries: dict[str, list[dict[str, Any]]] = {}
    added = play.entries()
    check_runs(added)
    for entry in added:
        if entry["event"] != "workspace.created" and "inferred_from" not in entry:
            entries.setdefault(entry["request"]["id"], []).append(entry)
    versions: dict[tuple[str, bytes], set[str]] = {}
    for turn, reply in play.heard:
        if turn.event is not None:
            (entry,) = entries[reply.headers["Request-Id"]]
            check_entry(turn, entry, play.workspace(turn.request.place))
            if turn.state is not None and "version" in entry.get("state", ()):
                seen = versions.setdefault((turn.request.place, turn.state), set())
                seen.add(entry["state"]["version"])
    assert all(len(seen) == 1 for seen in versions.values()), "the same bytes again: no new version"


def check_runs(entries: list[dict[str, Any]]) -> None:
    """See that a run begins with each lock, ends once with it, and names what it follows from."""
    under_way: dict[str, str] = {}
    for place, entry in enumerate(entries):
        event, outcome = entry["event"], entry["outcome"]
        if event == "run.created":
            assert entry["workspace"] not in under_way
            under_way[entry["workspace"]] = entry["run"]["id"]
        elif event in {"run.completed", "run.errored"}:
            # Others' runs may have begun before the client's first request.
            ended = entry["run"]["id"]
            assert ended == under_way.pop(entry["workspace"], ended)
            assert entry["inferred_from"][-1]["event"] in {"state.unlocked", "state.force_unlocked"}
        elif event == "state.locked" and outcome == "success":
            assert entry["workspace"] in under_way or "run.created" == entries[place + 1]["event"]


def check_entry(turn: Turn, entry: dict[str, Any], workspace: str) -> None:
    """Hold the one entry of a request to what was asked, where, by which run, and answered."""
    request = turn.request
    assert turn.event == (entry["event"], entry["outcome"]), describe(turn)
    assert request.method == entry["request"]["method"]
    assert turn.answer == entry["request"]["status"]
    if turn.answer == 401:
        assert "anonymous" == entry["actor"]["type"]
        return
    assert "token" == entry["actor"]["type"]
    assert workspace == entry["workspace"]
    if turn.answer == 200 and request.kind in (READ, WRITE) and turn.state is not None:
        assert hashlib.sha256(turn.state).hexdigest() == entry["state"]["sha256"]
    if request.kind == LOCK or (request.kind == WRITE and turn.holder is not None):
        run = request.lock_id if request.kind == LOCK else turn.holder
        assert run == entry["run"]["id"]


def cut_upload(scenario: Scenario) -> Turn:
    """Give the upload that was on its way when the client was killed."""
    return next(turn for turn in plan(scenario) if turn.request.kind == WRITE)


KILLED = [scenario for scenario in scenarios() if scenario.name == "sigkill_during_upload"]


@pytest.mark.parametrize("scenario", KILLED, ids=[scenario.client for scenario in KILLED])
def test_upload_cut_by_a_kill_leaves_nothing(server: InProcess, scenario: Scenario) -> None:
    """Half an upload whose client is gone changes neither the state nor the lock."""
    play = Play(server, scenario, "cut")
    upload = cut_upload(scenario)
    place, body = upload.request.place, upload.request.body or b""
    play.turns = play.turns[: play.turns.index(upload)]
    play.run()
    before = play.turns[-1]
    with Connection(server.host, server.port) as client:
        half = replace(upload.request, body=body[: len(body) // 2])
        client.send(half, play.target(upload), basic(server.token))

    assert before.state == play.stored(place)
    assert before.holder == play.holder(place)


def test_every_recorded_request_is_accounted_for(capsys: pytest.CaptureFixture[str]) -> None:
    """No request is left out silently: those that are not replayed are counted with the reason."""
    turns = [turn for scenario in scenarios() for turn in plan(scenario)]
    left_out = Counter(turn.rule.why for turn in turns if turn.answer == NOT_SENT)
    again = sum(
        turn.answer != NOT_SENT
        for scenario, variant in PLAYED
        if variant != LANDED
        for turn in plan(scenario, variant)
    )
    replayed = len(turns) - left_out.total()
    with capsys.disabled():
        print(f"\n{replayed} recorded requests replayed, {again} of them a second time")  # noqa: T201
        for why, count in left_out.items():
            print(f"{count} not replayed: {why}")  # noqa: T201

    assert 1115 == len(scenarios())
    assert 8 == len({scenario.client for scenario in scenarios()})
    assert 4213 == len(turns)
    assert 4021 == replayed
    assert [192] == list(left_out.values())


def test_every_rule_is_needed() -> None:
    """Each difference from the recording is met by a request: none outlives its reason."""
    used = Counter(turn.rule for scenario, variant in PLAYED for turn in plan(scenario, variant))
    assert {*RULES, AS_RECORDED} == set(used)


def test_bodies_fit_their_headers() -> None:
    """Every body has the length and the MD5 that its client announced, as on the wire."""
    for scenario in scenarios():
        for request in scenario.requests:
            if request.body is not None:
                assert str(len(request.body)) == request.headers["Content-Length"]
                assert digest(request.body) == request.headers["Content-Md5"]
