"""Tests of proxy.server.api_login over the real store: what a browser can do, and what not."""

import orjson
import pytest

from tests.people import Browser, a_person, quicken
from tests.running import Face

SESSIONS = "/api/v1/sessions"


@pytest.fixture
def browser(face: Face) -> Browser:
    """Return a browser that nobody logged in with."""
    quicken(face)
    return Browser(face)


async def test_a_login_begins_a_session_and_is_on_record(face: Face, browser: Browser) -> None:
    """Who, from where, and the session; the answer tells its entry."""
    alice = await a_person(face)
    answer = await browser.login()
    assert 200 == answer.status
    content = orjson.loads(answer.body)
    entry = await face.last()
    assert ("auth.login", "success", answer.index) == (entry["event"], entry["outcome"], 2)
    assert {
        "type": "user",
        "id": alice,
        "name": "alice",
        "session": content["session"]["id"],
    } == entry["actor"]
    assert content["session"]["id"] == entry["session"]["id"]
    assert 200 == await browser.sees()
