"""Jira: one issue for one event, whatever gets lost on the way."""

from typing import Any

import pytest

from proxy.fields import FieldError
from proxy.sinks import open_sink
from proxy.sinks.contract import NotTakenError, RefusedError, Sink
from tests.fakes import ORIGIN
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event
from tests.receivers.far_side import Reply, Seen, a_far_side
from tests.receivers.intake import JIRA_PROJECT, JIRA_TOKEN, JIRA_USER, Intake


def a_sink(url: str, *, token: str = JIRA_TOKEN, **options: Any) -> Sink:
    """Return a sink that sends to the address."""
    given = {
        "url": url,
        "user": JIRA_USER,
        "token_secret": "jira",
        "project": JIRA_PROJECT,
        **options,
    }
    return open_sink("jira", given, a_context({"jira": token}))


async def test_an_issue_tells_who_what_where(intake: Intake) -> None:
    """With labels of its own, and the proof in its description."""
    event = an_event(3, event="run.errored")
    sink = a_sink(intake.url, labels=["audit", "terraform"], issue_type="Bug", prefix="[prod]")
    assert "201 Created: OPS-1" == (await sink.send(a_batch(event))).said
    await sink.aclose()
    (issue,) = intake.issues
    assert ["audit", "terraform", f"tfaudit-{event.entry['id']}"] == issue["labels"]
    assert f"[prod] run.errored: {event.entry['message']}" == issue["fields"]["summary"]
    for told in (
        "Who: alice (user)",
        "From: 10.0.0.7",
        f"Entry: 3 of {ORIGIN}",
        event.record.leaf_hash.hex(),
        CHECKPOINT,
    ):
        assert told in issue["text"]


async def test_an_event_that_comes_twice_is_one_issue(intake: Intake) -> None:
    """It is looked for by the entry's ID."""
    sink = a_sink(intake.url)
    batch = a_batch(an_event())
    await sink.send(batch)
    assert "an issue is there already".replace("an issue", "OPS-1") == (await sink.send(batch)).said
    await sink.aclose()
    assert 1 == len(intake.issues)


async def test_an_issue_whose_answer_got_lost_is_one_issue(intake: Intake) -> None:
    """Jira finds new issues after a while only: nobody asks before that."""
    intake.lose_after_create = True
    sink = a_sink(intake.url)
    batch = a_batch(an_event())
    with pytest.raises(NotTakenError) as caught:
        await sink.send(batch)
    assert 60 == caught.value.retry_after
    assert 1 == len(intake.issues)
    await sink.send(batch)
    await sink.aclose()
    assert 1 == len(intake.issues)


async def test_the_longest_entry_is_an_issue(intake: Intake) -> None:
    """Within Jira's limits, its summary on one line."""
    long = "line\nline " * 1_300
    event = an_event(
        message=long,
        actor={"type": "oidc", "id": "1", "name": long},
        run={"who": long},
        source={"ip": "10.0.0.7", "forwarded_for": [long]},
    )
    sink = a_sink(intake.url, prefix="p" * 80)
    await sink.send(a_batch(event))
    await sink.aclose()
    assert 1 == len(intake.issues)


@pytest.mark.parametrize("options", [{"project": "NONE"}, {"issue_type": "Epic"}])
async def test_a_wrong_project_is_no_fault_of_the_event(
    intake: Intake, options: dict[str, Any]
) -> None:
    """Jira answers both with 400."""
    sink = a_sink(intake.url, **options)
    with pytest.raises(NotTakenError, match="check the options project and issue_type") as caught:
        await sink.send(a_batch(an_event()))
    await sink.aclose()
    assert caught.value.needs_repair


async def test_what_jira_refuses_of_the_event_itself() -> None:
    """A summary that it does not want is set aside."""

    def answer(seen: Seen) -> Reply:
        if seen.target.endswith("/search/jql"):
            return Reply(200, b'{"issues":[]}')
        return Reply(400, b'{"errorMessages":[],"errors":{"summary":"The summary is odd."}}')

    async with a_far_side(answer) as far:
        sink = a_sink(far.url)
        with pytest.raises(RefusedError, match=r"400 Bad Request \(for summary\)"):
            await sink.send(a_batch(an_event()))
        await sink.aclose()


async def test_the_probe_tries_login_and_project(intake: Intake) -> None:
    """Each is told apart."""
    sink = a_sink(intake.url)
    assert f"{JIRA_PROJECT} is there for {JIRA_USER}" in await sink.probe()
    await sink.aclose()
    for options, said in (
        ({"token": "wrong"}, "401 Unauthorized"),
        ({"project": "NONE"}, "has no project NONE for bot@example.com: check the option project"),
    ):
        sink = a_sink(intake.url, **options)
        with pytest.raises(NotTakenError, match=said) as caught:
            await sink.probe()
        assert caught.value.needs_repair
        await sink.aclose()
    assert [] == intake.issues


@pytest.mark.parametrize("project", ["A/B", "../x", "1A", "OPS\n"])
def test_a_project_is_a_key(project: str) -> None:
    """It stands in an address."""
    with pytest.raises(FieldError, match="letters, digits and '_'"):
        a_sink("https://acme.atlassian.net", project=project)
