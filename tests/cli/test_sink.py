"""Tests of `tfaudit sink`."""

import json
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli._common import opened, run, settings
from proxy.contracts import DeadLetter, Delivery, Transaction
from proxy.directory import SinkRecord
from proxy.errors import SinkRejectedError, SinkUnavailableError
from proxy.program import Program
from proxy.sinks._aws import AwsError
from proxy.sinks.calls import StuckError
from proxy.sinks.contract import NotTakenError, RefusedError, SinkGoneError
from proxy.sinks.file import _BusyError
from tests import sample_sink
from tests.cli.conftest import Tfaudit, events
from tests.running import SYSTEM
from tests.sample_sink import SampleSink
from tests.samples import a_draft

CREATE = ("sink", "create", "siem", "--type", sample_sink.TYPE)
URL = ("--option", "url=https://siem.example")


@pytest.fixture(autouse=True)
def _type(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_sink.install(monkeypatch)


def told(tfaudit: Tfaudit, *args: object, code: int = 0) -> Any:
    """Return what a verb prints for programs."""
    return json.loads(tfaudit(*args, "--json", code=code).stdout)


def kept(data: Path, sink: str, *letters: DeadLetter, **delivery: Any) -> None:
    """Keep how far a sink is, as the server does."""

    def keep(tx: Transaction) -> None:
        tx.keep_delivery(Delivery(sink, **delivery))
        tx.add_dead_letters(letters)
        tx.append(a_draft())

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await program.store.write(keep)

    run(work())


def test_a_sink_is_made_and_probed(tfaudit: Tfaudit) -> None:
    """Each option is read as its type wants it; the far side's answer is told."""
    result = tfaudit(
        *CREATE,
        *URL,
        "--option=size=7",
        "--option=tags=a",
        "--option=tags=b",
        "--filter",
        '{"event": ["state.written"]}',
        "--from=beginning",
        "--description=of the team",
    )
    assert result.stdout.startswith("Created the sink siem (ID ")
    assert result.stdout.endswith("Probed: https://siem.example is there\n")
    found = told(tfaudit, "sink", "show", "siem")
    assert {
        "name": "siem",
        "type": "sample",
        "options": {"url": "https://siem.example", "size": 7, "tags": ["a", "b"]},
        "filter": {"event": ["state.written"]},
        "enabled": True,
        "start": 0,
        "managed": "administration",
        "description": "of the team",
    }.items() <= found.items()
    assert ("new", 0) == (found["status"]["state"], found["status"]["cursor"])
    assert ["sink.created"] == events(tfaudit)[:-1]


def test_a_sink_that_could_not_send_is_not_made(tfaudit: Tfaudit) -> None:
    """Unless that is wanted: its far side comes later, or only the server reaches it."""
    down = (*URL, "--option=is_down=true")
    refused = tfaudit(*CREATE, *down, code=2).stderr
    assert "it was not made: https://siem.example is down" in refused
    assert "--no-probe" in refused
    assert [] == told(tfaudit, "sink", "list")
    made = tfaudit(*CREATE, *down, "--no-probe").stdout
    assert "Probed" not in made
    assert 1 == len(told(tfaudit, "sink", "list"))


FAILURES = [
    SinkUnavailableError("it said no"),
    SinkRejectedError("it said no"),
    NotTakenError("it said no", retry_after=3.0, needs_repair=True),
    RefusedError("it said no", refused=[0]),
    SinkGoneError("it said no"),
    StuckError("it said no"),
    _BusyError("it said no"),
    AwsError("it said no", "ResourceNotFoundException", 400, needs_repair=True),
]


def test_every_failure_is_among_those_of_a_probe() -> None:
    """A class that is added to the contract is tried below too."""
    declared: list[type[Exception]] = [SinkUnavailableError, SinkRejectedError, SinkGoneError]
    for each in declared:  # grows while it is walked
        declared += each.__subclasses__()
    ours = {
        each
        for each in declared
        if each.__module__.startswith("proxy.sinks") or each.__module__ == "proxy.errors"
    }
    assert ours == set(map(type, FAILURES))


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_probe_that_fails_is_told_in_words(
    tfaudit: Tfaudit, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """However its error is made; nothing was done, and what to do is said."""

    async def fail(_: SampleSink) -> str:
        raise failure

    monkeypatch.setattr(SampleSink, "probe", fail)
    refused = tfaudit(*CREATE, *URL, code=2).stderr
    assert "it was not made: " in refused
    assert "--no-probe" in refused
    assert [] == told(tfaudit, "sink", "list")


def test_a_secret_that_there_is_not_is_told(tfaudit: Tfaudit, data: Path) -> None:
    """With the places where it can be; then it is found there."""
    secret = (*URL, "--option=secret=api_key")
    refused = tfaudit(*CREATE, *secret, code=2).stderr
    assert f"put it into the file {data}/secrets/api_key" in refused
    (data / "secrets").mkdir()
    (data / "secrets" / "api_key").write_text("hidden\n")
    tfaudit(*CREATE, *secret)
    assert "hidden" == getattr(SampleSink.made[-1].secret, "reveal")()  # noqa: B009 - may be None


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--option", "szie=1"), "did you mean size?"),
        (("--option", "size=many"), "size: must be a whole number, such as 10, and is a text"),
        (("--option", "size"), "an option is KEY=VALUE"),
        (("--filter", "{"), "the filter is not JSON"),
        (("--filter", '{"event": "x"}'), "filter.event"),
        (("--from", "end"), "--from is an index of the log"),
    ],
)
def test_what_can_not_be_is_told(tfaudit: Tfaudit, args: tuple[str, ...], message: str) -> None:
    """With what would be right."""
    assert message in tfaudit(*CREATE, *URL, *args, code=2).stderr


def test_a_type_that_there_is_not_is_told(tfaudit: Tfaudit) -> None:
    """With those there are."""
    told_so = tfaudit("sink", "create", "s", "--type", "smaple", code=2).stderr
    assert "choose one of" in told_so
    assert "sample" in told_so


def test_a_sink_is_changed_option_by_option(tfaudit: Tfaudit) -> None:
    """What is not named stays; a filter is replaced as a whole."""
    tfaudit(
        *CREATE,
        *URL,
        "--option=size=7",
        "--filter",
        '{"event": ["state.read"], "actor": {"name": ["b"]}}',
    )
    changed = tfaudit("sink", "update", "siem", "--option=tags=x", "--option=size=").stdout
    assert "Updated the sink siem: options.tags nothing -> x, options.size 7 -> nothing." in changed
    assert "Probed: https://siem.example is there" in changed
    tfaudit("sink", "update", "siem", "--filter", '{"event": ["state.written"]}')
    found = told(tfaudit, "sink", "show", "siem")
    assert ({"url": "https://siem.example", "tags": ["x"]}, {"event": ["state.written"]}) == (
        found["options"],
        found["filter"],
    )
    assert "nothing was changed" in tfaudit("sink", "update", "siem", "--option=tags=x").stdout
    tfaudit("sink", "update", "siem", "--filter", "")
    assert {} == told(tfaudit, "sink", "show", "siem")["filter"]
    assert "say what" in tfaudit("sink", "update", "siem", code=2).stderr
    refused = tfaudit("sink", "update", "siem", "--option=is_down=true", code=2).stderr
    assert "so nothing was changed: https://siem.example is down" in refused


def test_a_sink_is_paused_and_goes_on(tfaudit: Tfaudit) -> None:
    """From where it stopped; what is so already is no entry."""
    tfaudit(*CREATE, *URL, "--paused")
    assert "paused already" in tfaudit("sink", "pause", "siem").stdout
    assert (
        "The sink siem goes on at entry 1: 1 entry waits."
        in tfaudit("sink", "resume", "siem").stdout
    )
    assert "not paused" in tfaudit("sink", "resume", "siem").stdout
    assert "The sink siem is paused at entry 1: 2 entries wait." in (
        tfaudit("sink", "pause", "siem").stdout
    )
    assert ["sink.created", "sink.enabled", "sink.disabled"] == events(tfaudit)[:-1]
    assert "paused" == told(tfaudit, "sink", "show", "siem")["status"]["state"]


def test_a_test_says_what_the_far_side_answered(tfaudit: Tfaudit) -> None:
    """And the exit code says whether it took the event."""
    tfaudit(*CREATE, *URL)
    assert "Taken (entry 1): https://siem.example is there; 1 kept\n" == (
        tfaudit("sink", "test", "siem").stdout
    )
    tfaudit("sink", "update", "siem", "--option=is_down=true", "--no-probe")
    answer = told(tfaudit, "sink", "test", "siem", code=1)
    assert {"index": 3, "is_taken": False, "said": "https://siem.example is down"} == answer
    assert "https://siem.example is down" in tfaudit("sink", "probe", "siem", code=2).stderr


def test_a_list_tells_how_all_are_doing(tfaudit: Tfaudit, data: Path) -> None:
    """Lag, age, what was delivered, tried again, refused, and why."""
    sink = told(tfaudit, *CREATE, *URL)["id"]
    letter = DeadLetter(sink, 0, "413 too large", "2026-11-22T10:00:00.000000Z")
    kept(
        data,
        sink,
        letter,
        cursor=1,
        delivered=41,
        retries=3,
        failing_since="2026-11-22T10:00:00.000000Z",
        error="503 Service Unavailable",
    )
    assert "it fails, and is tried again" in tfaudit("sink", "resume", "siem").stderr.lower()
    head, row = tfaudit("sink", "list").stdout.splitlines()
    assert ["NAME", "TYPE", "STATE", "LAG", "AGE", "DELIVERED", "RETRIES"] == head.split()[:7]
    cells = row.split()
    assert ["siem", "sample", "retrying", "1", "41", "3", "1"] == [*cells[:4], *cells[5:8]]
    assert row.endswith("503 Service Unavailable")
    (listed,) = told(tfaudit, "sink", "list")
    assert ("retrying", 1, 41) == tuple(
        listed["status"][name] for name in ("state", "dead_letters", "delivered")
    )
    shown = tfaudit("sink", "show", "siem").stdout
    assert "503 Service Unavailable" in shown
    assert '{"url":"https://siem.example"}' in shown


@pytest.mark.parametrize("verb", ["probe", "test"])
def test_who_looks_says_from_where(tfaudit: Tfaudit, verb: str) -> None:
    """The server has another network and another environment."""
    tfaudit(*CREATE, *URL)
    assert "not from the server" in tfaudit("sink", verb, "siem").stderr
    assert "siem.example" in tfaudit("sink", verb, "siem").stdout


def test_a_list_says_whether_a_server_runs(tfaudit: Tfaudit, data: Path) -> None:
    """Without one nothing is forwarded, whatever the state was."""
    assert "No server" not in tfaudit("sink", "list").stderr
    tfaudit(*CREATE, *URL)
    assert "No server runs" in tfaudit("sink", "list").stderr
    with (data / "server.lock").open("wb") as server:
        flock(server, LOCK_EX)
        assert "No server" not in tfaudit("sink", "list").stderr
        assert [True] == [each["is_served"] for each in told(tfaudit, "sink", "list")]
    assert [False] == [each["is_served"] for each in told(tfaudit, "sink", "list")]


def test_a_long_error_takes_one_line_of_a_list(tfaudit: Tfaudit, data: Path) -> None:
    """All of it is in the sink itself."""
    sink = told(tfaudit, *CREATE, *URL)["id"]
    error = "500: " + "<p>\n  no </p> " * 30 + "end"
    kept(data, sink, cursor=1, error=error)
    _, row = tfaudit("sink", "list").stdout.splitlines()
    assert ("500: " + "<p> no </p> " * 30)[:79] + "…" == row[row.index("500: ") :]
    assert error == told(tfaudit, "sink", "show", "siem")["status"]["error"]


def test_what_was_set_aside_is_listed_and_sent_once_more(tfaudit: Tfaudit, data: Path) -> None:
    """Or any range of the log that the sink was given."""
    sink = told(tfaudit, *CREATE, *URL)["id"]
    letters = [
        DeadLetter(sink, index, f"413 for {index}", "2026-11-22T10:00:00.000000Z")
        for index in range(2)
    ]
    kept(data, sink, *letters, cursor=2)
    listed = tfaudit("sink", "dead-letters", "siem", "--limit=1")
    assert "413 for 0" in listed.stdout
    assert "There are more: go on with --from 1." in listed.stderr
    assert [1] == [
        each["index"] for each in told(tfaudit, "sink", "dead-letters", "siem", "--from=1")
    ]
    asked = tfaudit("sink", "replay", "siem", "--dead-letters").stdout
    assert asked.startswith("What was set aside from 0 to 1 will be sent once more")
    replay = told(tfaudit, "sink", "replay", "siem", "--from=beginning", "--until=1")
    assert (0, 1, False) == tuple(replay[key] for key in ("first", "until", "only_dead_letters"))
    assert 2 == len(told(tfaudit, "sink", "show", "siem")["status"]["replays"])
    assert "say from which index" in tfaudit("sink", "replay", "siem", code=2).stderr
    assert "anyway" in tfaudit("sink", "replay", "siem", "--from=9", code=1).stderr


def test_a_sink_of_the_configuration_is_changed_there_alone(tfaudit: Tfaudit, data: Path) -> None:
    """The command says where."""

    async def configure(program: Program) -> None:
        record = SinkRecord(
            name="siem",
            type=sample_sink.TYPE,
            options={"url": "https://siem.example"},
            managed="configuration",
        )
        await program.directory.configure_sinks(SYSTEM, {"siem": record})

    async def work() -> None:
        async with opened(settings(data, None)) as program:
            await configure(program)

    run(work())
    for verb in (("pause", "siem"), ("delete", "siem", "--yes")):
        assert "change [sinks.siem] there" in tfaudit("sink", *verb, code=1).stderr
    assert "Taken" in tfaudit("sink", "test", "siem").stdout


def test_types_are_listed_and_explained() -> None:
    """Nothing of a data directory is needed for it."""
    runner = CliRunner()
    assert "webhook" in runner.invoke(app, ["sink", "types"]).stdout
    listed = json.loads(runner.invoke(app, ["sink", "types", "--json"]).stdout)
    assert {"type", "summary"} == set(listed[0])
    explained = runner.invoke(app, ["sink", "types", "sample"]).stdout
    assert "(required)" in explained
    assert "How many at once." in explained
    one = json.loads(runner.invoke(app, ["sink", "types", "sample", "--json"]).stdout)
    assert "url" == one["options"][0]["name"]
    assert 2 == runner.invoke(app, ["sink", "types", "smaple"]).exit_code


def test_a_deleted_sink_is_no_more(tfaudit: Tfaudit) -> None:
    """The log and what is kept agree all the same."""
    tfaudit(*CREATE, *URL)
    assert "give --yes" in tfaudit("sink", "delete", "siem", code=2).stderr
    assert 1 == len(told(tfaudit, "sink", "list"))
    tfaudit("sink", "delete", "siem", "--yes")
    assert [] == told(tfaudit, "sink", "list")
    tfaudit(*CREATE, *URL)
    tfaudit("verify")
    assert "sink.deleted" in events(tfaudit)
