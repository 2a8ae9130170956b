"""Tests of proxy.server.api_login over the real store: what a browser can do, and what not."""

import asyncio
import logging
import re
from collections import Counter
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.access import ANONYMOUS, Role
from proxy.server import appkeys
from tests.documents import check_entries
from tests.people import (
    OTHER,
    PASSWORD,
    WRONG,
    Browser,
    Clock,
    a_grant,
    a_person,
    quicken,
    set_by_hand,
)
from tests.running import STATE, SYSTEM, Answer, Face, a_face
from tests.samples import a_lock_info, a_state

SESSIONS = "/api/v1/sessions"
CHANGES = [
    ("POST", "/api/v1/logout"),
    ("POST", STATE),
    ("PUT", STATE),
    ("LOCK", STATE),
    ("UNLOCK", STATE),
    ("DELETE", STATE),
    ("POST", "/api/v1/tokens"),
    ("PATCH", "/api/v1/principals/alice"),
    ("DELETE", "/api/v1/principals/alice"),
]
REFUSED = "the name or the password is wrong"


@pytest.fixture
def browser(face: Face) -> Browser:
    """Return a browser that nobody logged in with."""
    quicken(face)
    return Browser(face)


@pytest.fixture
def clock(face: Face) -> Clock:
    """Return what sessions and lock-outs of the running server go by."""
    clock = Clock(datetime.now(UTC))
    set_by_hand(face, clock)
    return clock


def content(answer: Answer) -> Any:
    """Return the JSON of an answer."""
    return orjson.loads(answer.body)


async def failures(face: Face) -> list[dict[str, Any]]:
    """Return the entries of logins that failed."""
    return [entry for entry in await face.log() if entry["event"] == "auth.failed"]


# ---------------------------------------------------------------- in and out


async def test_a_login_begins_a_session_and_is_on_record(face: Face, browser: Browser) -> None:
    """Who, from where, and the session; the answer tells its entry."""
    alice = await a_person(face)
    answer = await browser.login()
    assert 200 == answer.status
    session = content(answer)["session"]
    entry = await face.last()
    assert ("auth.login", "success", answer.index) == (entry["event"], entry["outcome"], 2)
    expected = {"type": "user", "id": alice, "name": "alice", "session": session["id"]}
    assert expected == entry["actor"]
    assert session["id"] == entry["session"]["id"]
    assert "127.0.0.1" == entry["source"]["ip"] == session["seen_from"]
    assert 200 == await browser.sees()


async def test_a_logout_ends_the_session(face: Face, browser: Browser) -> None:
    """The cookie is taken away, and is worth nothing to whoever kept it."""
    await a_person(face)
    await browser.login()
    thief = Browser(face, dict(browser.cookies), browser.csrf)
    answer = await browser.ask("POST", "/api/v1/logout")
    assert (204, b"") == (answer.status, answer.body)
    entry = await face.last()
    assert ("auth.logout", "alice logged out") == (entry["event"], entry["message"])
    assert [entry["actor"]["session"]] == entry["ended_sessions"]
    assert "tfaudit" not in browser.cookies
    assert 401 == await thief.sees()
    entry = await face.last()
    assert ("auth.failed", "alice") == (entry["event"], entry["actor"]["name"])


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("alice", WRONG, "a wrong password for alice"),
        ("nobody", PASSWORD, "an unknown name"),
        (PASSWORD, "alice", "an unknown name"),
        ("off", PASSWORD, "off is disabled"),
        ("none", PASSWORD, "none has no password"),
        ("robot", PASSWORD, "robot is a service"),
        ("alice", f"{PASSWORD} ", "a wrong password for alice"),
        ("ALICE", PASSWORD, "an unknown name"),
    ],
)
async def test_whoever_can_not_log_in_learns_nothing(
    face: Face, browser: Browser, name: str, password: str, why: str
) -> None:
    """The answer is the same; the record says why, but no name that is not somebody's."""
    directory = face.program.directory
    for each in ("alice", "off"):
        await a_person(face, each)
    await directory.update(SYSTEM, "principal", "off", {"disabled": True})
    await a_person(face, "none", None)
    await directory.create(SYSTEM, "principal", {"name": "robot"})
    answer = await browser.login(name, password)
    assert 401 == answer.status
    assert REFUSED == content(answer)["detail"]
    entry = await face.last()
    assert ("auth.failed", "denied", f"login failed: {why}") == (
        entry["event"],
        entry["outcome"],
        entry["message"],
    )
    assert "anonymous" == entry["actor"]["type"]
    assert why.split()[0 if "wrong" not in why else -1] in {entry.get("account"), "an"}
    assert answer.index is not None
    assert not browser.cookies


async def test_the_password_is_one_however_it_was_composed(face: Face, browser: Browser) -> None:
    """A keyboard makes "é" of one character or of two (Unicode NFKC)."""
    await a_person(face, password="caf\u00e9 au lait \ufb01lm")
    assert 200 == (await browser.login(password="cafe\u0301 au lait film")).status


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"name": "alice"}',
        b'{"name": 1, "password": 2}',
        b'{"name": "alice", "password": "hunter2-hunter2", "hunter3": 1}',
        b'{"name": "", "password": "hunter2-hunter2"}',
        b'{"name": "\\ud800", "password": "hunter2-hunter2"}',
        b'{"name": "alice", "password": "' + b"hunter2-" * 40 + b'"}',
        b'{"name": "' + b"hunter2-" * 40 + b'", "password": "x"}',
        b'{"name": "alice", "password": "' + b"x" * 70_000 + b'"}',
    ],
)
async def test_what_is_no_login_is_refused_and_on_record(
    face: Face, browser: Browser, body: bytes
) -> None:
    """Nothing that was sent comes into the record, nor into the answer's words."""
    await a_person(face)
    headers = {"Content-Type": "application/json"}
    answer = await browser.ask("POST", "/api/v1/login", body, headers)
    assert answer.status in {400, 413}
    entry = await face.last()
    assert ("auth.failed", "what was sent is no login") == (entry["event"], entry["message"])
    assert answer.status == entry["request"]["status"]
    assert b"hunter2" not in answer.body


async def test_sessions_are_listed_and_ended(face: Face, browser: Browser) -> None:
    """One's own; the one that asks is marked, and the list gives its token."""
    await a_person(face)
    other = Browser(face)
    await other.login()
    await browser.login()
    listed = content(await browser.ask("GET", SESSIONS))
    assert [False, True] == [session["current"] for session in listed["items"]]
    assert browser.csrf == listed["csrf_token"]
    assert 204 == (await browser.ask("DELETE", f"{SESSIONS}/{listed['items'][0]['id']}")).status
    assert [401, 200] == [await other.sees(), await browser.sees()]
    assert "alice ended a session of alice" == (await face.log())[-2]["message"]
    gone = await browser.ask("DELETE", f"{SESSIONS}/{listed['items'][0]['id']}")
    assert (404, "auth.logout", "error") == (
        gone.status,
        (await face.last())["event"],
        (await face.last())["outcome"],
    )


async def test_sessions_of_others_are_an_administrators(face: Face, browser: Browser) -> None:
    """To list and to end; whoever else tries is on record."""
    await a_person(face)
    await a_person(face, "bob")
    bob = Browser(face)
    await bob.login("bob")
    await browser.login()
    admin = await face.ask("GET", f"{SESSIONS}?principal=bob", role=Role.ADMIN)
    [session] = content(admin)["items"]
    assert content(admin)["csrf_token"] is None
    for method, path in [
        ("GET", f"{SESSIONS}?principal=bob"),
        ("DELETE", f"{SESSIONS}/{session['id']}"),
    ]:
        assert 403 == (await browser.ask(method, path)).status
        assert "access.denied" == (await face.last())["event"]
    assert 404 == (await face.ask("GET", f"{SESSIONS}?principal=eve", role=Role.ADMIN)).status
    assert 400 == (await face.ask("GET", SESSIONS, role=Role.ADMIN)).status
    assert 400 == (await face.ask("POST", "/api/v1/logout", role=Role.ADMIN)).status
    path = f"{SESSIONS}/{session['id']}"
    assert 204 == (await face.ask("DELETE", path, role=Role.ADMIN)).status
    assert [401, 200] == [await bob.sees(), await browser.sees()]


async def test_a_person_may_what_was_granted(face: Face, browser: Browser) -> None:
    """By the session as by any token; states, too."""
    await a_person(face)
    await a_grant(face, "writer", ["prod/*"])
    await browser.login()
    lock = await browser.ask("LOCK", STATE, a_lock_info())
    assert 200 == lock.status
    assert 200 == (await browser.ask("POST", f"{STATE}?ID=lock-1", a_state())).status
    read = await browser.ask("GET", STATE)
    assert (a_state(), "no-store") == (read.body, read.headers["cache-control"])
    assert ("state.read", "user") == (
        (await face.last())["event"],
        (await face.last())["actor"]["type"],
    )
    assert 403 == (await browser.ask("GET", "/state/dev/network")).status


# ---------------------------------------------------------------- cookies and foreign pages


async def test_over_plain_http_the_cookie_is_as_safe_as_it_can_be(
    face: Face, browser: Browser
) -> None:
    """No script sees it, no other site's page makes a browser send it."""
    await a_person(face)
    await browser.login()
    [session] = [each for each in browser.set_cookies if each.startswith("tfaudit=")]
    assert re.fullmatch(r"tfaudit=[\w-]{43}; HttpOnly; Path=/; SameSite=Strict", session, re.ASCII)
    [device] = [each for each in browser.set_cookies if each.startswith("tfaudit-device=")]
    assert "; HttpOnly; Max-Age=31536000; Path=/; SameSite=Strict" in device


async def test_over_https_the_cookie_is_the_hosts_alone(tmp_path: Path) -> None:
    """As the trusted proxy says; then a cookie of the plain name is not believed."""
    async with a_face(tmp_path, trusted_proxies=(ip_network("127.0.0.1/32"),)) as face:
        quicken(face)
        await a_person(face)
        browser = Browser(face, headers={"X-Forwarded-Proto": "https"})
        await browser.login()
        for each in browser.set_cookies:
            assert each.startswith("__Host-tfaudit")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(each.split("; "))
            assert "Domain" not in each
        assert 200 == await browser.sees()
        browser.cookies["tfaudit"] = browser.cookies.pop("__Host-tfaudit")
        assert 401 == await browser.sees()
        browser.headers = {}
        assert 200 == await browser.sees()


async def test_behind_a_proxy_that_is_not_trusted_the_browser_tells(
    face: Face, browser: Browser
) -> None:
    """That its page came by HTTPS: the cookie is the host's alone, and is found again."""
    await a_person(face)
    browser.headers = {"Origin": "https://tfaudit.example", "Host": "tfaudit.example"}
    await browser.login()
    assert {"__Host-tfaudit", "__Host-tfaudit-device"} == set(browser.cookies)
    assert 200 == (await browser.ask("GET", SESSIONS, headers={"Host": "tfaudit.example"})).status
    assert 204 == (await browser.ask("POST", "/api/v1/logout")).status
    assert {"__Host-tfaudit-device"} == set(browser.cookies)


async def test_whoever_is_no_proxy_does_not_say_https(face: Face, browser: Browser) -> None:
    """A client's own header makes no cookie that its browser would not send again."""
    await a_person(face)
    browser.headers = {"X-Forwarded-Proto": "https"}
    await browser.login()
    assert "tfaudit" in browser.cookies


@pytest.mark.parametrize("csrf", [None, "", "wrong", "x" * 5000, "ä" * 43])
async def test_nothing_is_changed_by_the_cookie_alone(
    face: Face, browser: Browser, csrf: str | None
) -> None:
    """Whatever may change something needs the page's token; who was tricked is on record."""
    await a_person(face)
    await a_grant(face, "admin", ["*"])
    await browser.login()
    browser.csrf = csrf
    before = await face.program.store.size()
    for method, path in CHANGES:
        assert 403 == (await browser.ask(method, path, a_state())).status
        entry = await face.last()
        assert ("auth.failed", "alice", 403) == (
            entry["event"],
            entry["actor"]["name"],
            entry["request"]["status"],
        )
    assert before + len(CHANGES) == await face.program.store.size()
    assert 200 == await browser.sees()


async def test_the_token_of_another_session_is_wrong(face: Face, browser: Browser) -> None:
    """An attacker has one, too: of a session of their own."""
    await a_person(face)
    await a_person(face, "eve")
    eve = Browser(face)
    await eve.login("eve")
    await browser.login()
    browser.csrf = eve.csrf
    assert 403 == (await browser.ask("POST", "/api/v1/logout")).status


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_another_site_changes_nothing(
    face: Face, browser: Browser, headers: dict[str, str]
) -> None:
    """Whatever it sends beside the cookie, or beside a token that the browser remembers."""
    await a_person(face)
    await browser.login()
    assert 403 == (await browser.ask("POST", "/api/v1/logout", headers=headers)).status
    assert 200 == await browser.sees()
    remembered = await face.ask("POST", f"{STATE}", a_state(), headers=headers)
    assert 403 == remembered.status
    assert b"another site" in remembered.body


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_another_site_logs_nobody_in(
    face: Face, browser: Browser, headers: dict[str, str]
) -> None:
    """Else a person would work as somebody else, who then reads what they did."""
    await a_person(face)
    body = {"name": "alice", "password": PASSWORD}
    assert 403 == (await browser.ask("POST", "/api/v1/login", body, headers)).status
    assert not browser.cookies
    assert "a page of another site may not log anybody in" == (await face.last())["message"]
    form = {"Content-Type": "text/plain"}
    content = orjson.dumps(body)
    assert 415 == (await browser.ask("POST", "/api/v1/login", content, form)).status


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Sec-Fetch-Site": "same-origin"}),
        (200, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
        (200, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}),
        (403, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}),
        (403, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}),
        (
            403,
            {
                "Sec-Fetch-Site": "same-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "iframe",
            },
        ),
    ],
)
async def test_what_a_page_may_read(
    face: Face, browser: Browser, status: int, headers: dict[str, str]
) -> None:
    """Our own pages all, others nothing; a link on another page is a visit."""
    await a_person(face)
    await browser.login()
    assert status == (await browser.ask("GET", SESSIONS, headers=headers)).status


async def test_a_page_is_not_asked_by_the_browsers_own_dialogue(
    face: Face, browser: Browser
) -> None:
    """A challenge it is nevertheless (RFC 9110 section 15.5.2)."""
    page = await browser.ask("GET", SESSIONS, headers={"Sec-Fetch-Site": "same-origin"})
    assert (401, 'Bearer realm="tfaudit"') == (page.status, page.headers["www-authenticate"])
    other = await face.ask("GET", SESSIONS, role=None)
    assert other.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "x" * 5000, "é" * 43, "a;b"])
async def test_a_cookie_of_nobody_is_nobody(browser: Browser, cookie: str) -> None:
    """Never a crash, and never a look at somebody's session."""
    browser.cookies["tfaudit"] = cookie
    assert 401 == await browser.sees()


# ---------------------------------------------------------------- how sessions end


async def test_a_session_ends_when_nobody_uses_it(
    face: Face, browser: Browser, clock: Clock
) -> None:
    """After half an hour without a request; each request begins it anew."""
    await a_person(face)
    await browser.login()
    for _ in range(3):
        clock.go_on(minutes=29)
        assert 200 == await browser.sees()
    clock.go_on(minutes=30)
    assert 401 == await browser.sees()
    assert "the session was not used for too long: log in again" == (await face.last())["message"]
    clock.go_on(minutes=-20)
    assert 200 == (await browser.login()).status


async def test_a_session_ends_however_much_it_is_used(
    face: Face, browser: Browser, clock: Clock
) -> None:
    """After twelve hours."""
    await a_person(face)
    await browser.login()
    for _ in range(12 * 3 - 1):
        clock.go_on(minutes=20)
        assert 200 == await browser.sees()
    clock.go_on(minutes=21)
    assert 401 == await browser.sees()
    assert "the session lasted as long as one may: log in again" == (await face.last())["message"]


async def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    """With its time-outs: what was seen is kept, to the minute, with the entries."""
    async with a_face(tmp_path) as face:
        quicken(face)
        await a_person(face)
        await a_grant(face, "reader", ["*"])
        browser = Browser(face)
        await browser.login()
    async with a_face(tmp_path) as face:
        browser.face = face
        clock = Clock(datetime.now(UTC))
        set_by_hand(face, clock)
        assert 200 == await browser.sees()
        clock.go_on(minutes=29)
        assert 200 == await browser.sees()
    async with a_face(tmp_path) as face:
        browser.face = face
        clock.go_on(minutes=2)
        set_by_hand(face, clock)
        # It was used since without an entry, which nobody knows any more.
        assert 401 == await browser.sees()


@pytest.mark.parametrize("change", ["disable", "delete", "service"])
async def test_sessions_end_with_the_person(face: Face, browser: Browser, change: str) -> None:
    """For good: they don't come back when the person does."""
    await a_person(face)
    await browser.login()
    directory = face.program.directory
    if change == "delete":
        await directory.delete(SYSTEM, "principal", "alice")
    else:
        fields = {"disabled": True} if change == "disable" else {"kind": "service"}
        await directory.update(SYSTEM, "principal", "alice", fields)
    assert 1 == len((await face.last())["ended_sessions"])
    assert 401 == await browser.sees()
    if change == "delete":
        await a_person(face)
    else:
        back = {"disabled": False, "kind": "person"}
        await directory.update(SYSTEM, "principal", "alice", back)
    assert 401 == await browser.sees()
    # Whoever was no person for a while has no password any more.
    expected = 401 if change == "service" else 200
    assert expected == (await browser.login()).status


async def test_another_password_ends_all_other_sessions(face: Face, browser: Browser) -> None:
    """The person's own goes on; the old password is worth nothing."""
    await a_person(face)
    other = Browser(face)
    await other.login()
    await browser.login()
    body = {"old": PASSWORD, "new": OTHER}
    assert 204 == (await browser.ask("POST", "/api/v1/password", body)).status
    entry = await face.last()
    assert ("principal.updated", "alice changed their password") == (
        entry["event"],
        entry["message"],
    )
    assert 1 == len(entry["ended_sessions"])
    assert [401, 200] == [await other.sees(), await browser.sees()]
    assert 401 == (await other.login()).status
    assert 200 == (await other.login(password=OTHER)).status


async def test_the_old_password_is_wanted_for_a_new_one(face: Face, browser: Browser) -> None:
    """Whoever has the cookie alone can't take the account over, nor guess at it for long."""
    await a_person(face)
    await browser.login()
    statuses = [
        (await browser.ask("POST", "/api/v1/password", {"old": WRONG, "new": OTHER})).status
        for _ in range(6)
    ]
    assert [403] * 5 + [429] == statuses
    events = [entry["event"] for entry in (await face.log())[-7:]]
    assert ["auth.failed"] * 5 + ["auth.locked_out", "auth.failed"] == events
    assert "alice" == (await face.last())["actor"]["name"]
    assert 200 == (await Browser(face).login()).status


@pytest.mark.parametrize("new", ["short", "alicealice12", "passwordpassword", "x" * 257])
async def test_a_bad_new_password_is_refused(face: Face, browser: Browser, new: str) -> None:
    """The old one stays."""
    await a_person(face)
    await browser.login()
    answer = await browser.ask("POST", "/api/v1/password", {"old": PASSWORD, "new": new})
    assert 400 == answer.status
    assert new.encode() not in answer.body
    assert 200 == (await Browser(face).login()).status


async def test_a_token_changes_no_password(face: Face, browser: Browser) -> None:
    """Nor does an administrator's, but for the way that is an administrator's."""
    await a_person(face)
    body = orjson.dumps({"old": PASSWORD, "new": OTHER})
    headers = {"Content-Type": "application/json"}
    answer = await face.ask("POST", "/api/v1/password", body, role=Role.ADMIN, headers=headers)
    assert 400 == answer.status
    await browser.login()
    path = "/api/v1/principals/alice/password"
    body = orjson.dumps({"password": OTHER})
    for role, status in [(Role.OPERATOR, 403), (Role.ADMIN, 204)]:
        answer = await face.ask("PUT", path, body, role=role, headers=headers)
        assert status == answer.status
    assert 401 == await browser.sees()
    assert 200 == (await browser.login(password=OTHER)).status
    for name, status in [("eve", 404), ("admin", 404)]:
        path = f"/api/v1/principals/{name}/password"
        assert (
            status == (await face.ask("PUT", path, body, role=Role.ADMIN, headers=headers)).status
        )


async def test_a_login_ends_the_session_that_the_browser_had(face: Face, browser: Browser) -> None:
    """No session is left that nobody can log out any more; nor can one be slipped in before."""
    await a_person(face)
    await browser.login()
    before = Browser(face, dict(browser.cookies))
    await browser.login()
    assert browser.cookies["tfaudit"] != before.cookies["tfaudit"]
    assert [401, 200] == [await before.sees(), await browser.sees()]


@pytest.mark.usefixtures("browser")
async def test_the_oldest_of_too_many_sessions_ends(face: Face) -> None:
    """Twenty of one person are enough."""
    await a_person(face)
    browsers = [Browser(face) for _ in range(21)]
    for each in browsers:
        await each.login()
    assert [401, *[200] * 20] == [await each.sees() for each in browsers]


async def test_a_session_that_ends_in_mid_request_does_nothing(
    face: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in force when the request came, and not when it would have been done."""
    await a_person(face)
    await a_grant(face, "writer", ["*"])
    await browser.login()
    states, people = face.client.app[appkeys.STATES], face.program.people
    write = states.write

    async def slowly(*arguments: Any) -> Any:
        [session] = await people.sessions(SYSTEM, "alice")
        await people.end_session(SYSTEM, session.id)
        return await write(*arguments)

    monkeypatch.setattr(type(states), "write", lambda _, *arguments: slowly(*arguments))
    assert 401 == (await browser.ask("POST", STATE, a_state())).status
    events = [entry["event"] for entry in await face.log()]
    assert "state.written" not in events
    assert ["auth.logout", "auth.failed"] == events[-2:]


async def test_a_password_that_changes_in_mid_login_begins_nothing(
    face: Face, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one was compared and right, and is wrong when the session would begin."""
    await a_person(face)
    hasher = face.program.people.hasher
    verify = hasher.verify

    async def slowly(*arguments: Any, **options: Any) -> bool:
        result = await verify(*arguments, **options)
        await face.program.people.set_password(SYSTEM, "alice", OTHER)
        return result

    monkeypatch.setattr(hasher, "verify", slowly)
    assert 503 == (await browser.login()).status
    assert not browser.cookies


async def test_two_logins_at_once_are_two_sessions(face: Face, browser: Browser) -> None:
    """Each browser its own."""
    await a_person(face)
    other = Browser(face)
    assert [200, 200] == [
        each.status for each in await asyncio.gather(browser.login(), other.login())
    ]
    assert [200, 200] == [await browser.sees(), await other.sees()]
    assert browser.cookies["tfaudit"] != other.cookies["tfaudit"]


async def test_an_old_hash_is_made_anew_at_the_login(face: Face, browser: Browser) -> None:
    """With the parameters of today, on record; then no more."""
    await a_person(face)
    face.program.people.hasher._argon2 = type(face.program.people.hasher._argon2)(
        time_cost=2, memory_cost=8, parallelism=1
    )
    await browser.login()
    assert "password" in await face.last()
    await browser.login()
    assert "password" not in await face.last()


# ---------------------------------------------------------------- guessing


async def test_guessing_is_refused_for_a_while(face: Face, browser: Browser, clock: Clock) -> None:
    """After five; the right one, too; each further wrong one doubles the time, up to a limit."""
    await a_person(face)
    assert [401] * 5 == [(await browser.login(password=WRONG)).status for _ in range(5)]
    entry = await face.last()
    assert ("auth.locked_out", "denied", "alice") == (
        entry["event"],
        entry["outcome"],
        entry["account"],
    )
    assert {"what": "account from this address", "failures": 5, "seconds": 30} == entry["lockout"]
    waits = []
    for _ in range(7):
        refused = await browser.login()
        assert (429, "auth.failed") == (refused.status, (await face.last())["event"])
        waits.append(int(refused.headers["retry-after"]))
        clock.go_on(seconds=waits[-1])
        assert 401 == (await browser.login(password=WRONG)).status
    assert [30, 60, 120, 240, 480, 900, 900] == waits
    clock.go_on(seconds=900)
    assert 200 == (await browser.login()).status
    browser.cookies.clear()
    # The count began anew.
    assert [401] * 5 == [(await browser.login(password=WRONG)).status for _ in range(5)]


async def test_a_try_while_locked_out_prolongs_nothing(
    face: Face, browser: Browser, clock: Clock
) -> None:
    """Whoever goes on trying is not kept out for longer than whoever waits."""
    await a_person(face)
    for _ in range(5):
        await browser.login(password=WRONG)
    for _ in range(29):
        assert 429 == (await browser.login(password=WRONG)).status
        clock.go_on(seconds=1)
    clock.go_on(seconds=1)
    assert 200 == (await browser.login()).status


async def test_nobody_is_locked_out_of_their_own_browser(
    face: Face, browser: Browser, clock: Clock
) -> None:
    """While somebody guesses at the same account, from the same address."""
    await a_person(face)
    await browser.login()
    await browser.ask("POST", "/api/v1/logout")
    attacker = Browser(face)
    for _ in range(8):
        assert 200 == (await browser.login()).status
        tries = await asyncio.gather(*(attacker.login(password=WRONG) for _ in range(5)))
        assert {each.status for each in tries} <= {401, 429}
        clock.go_on(seconds=60)
    while 429 != (await attacker.login(password=WRONG)).status:
        pass
    assert 200 == (await browser.login()).status


@pytest.mark.usefixtures("clock")
async def test_a_stolen_device_cookie_guesses_no_better(face: Face, browser: Browser) -> None:
    """It is counted by itself, and for another account it is none."""
    await a_person(face)
    await a_person(face, "bob")
    await browser.login()
    thief = Browser(face, {"tfaudit-device": browser.cookies["tfaudit-device"]})
    assert [401] * 5 + [429] == [(await thief.login(password=WRONG)).status for _ in range(6)]
    assert "device" == (await face.log())[-2]["lockout"]["what"]
    assert [401] * 5 + [429] == [(await thief.login("bob", WRONG)).status for _ in range(6)]
    assert "account from this address" == (await face.log())[-2]["lockout"]["what"]


@pytest.mark.usefixtures("clock")
async def test_an_unknown_name_is_locked_out_like_a_known_one(face: Face, browser: Browser) -> None:
    """Else the lock-out would tell who there is."""
    assert [401] * 5 + [429] == [(await browser.login("eve", WRONG)).status for _ in range(6)]
    assert "account" not in (await face.log())[-2]


@pytest.mark.usefixtures("clock")
async def test_many_at_once_are_all_counted(face: Face, browser: Browser) -> None:
    """Whoever sends a hundred in one moment gets no more looked at than in a hundred moments."""
    await a_person(face)
    answers = await asyncio.gather(*(browser.login(password=WRONG) for _ in range(100)))
    assert {401: 5, 429: 95} == Counter(answer.status for answer in answers)


@pytest.mark.usefixtures("clock")
async def test_one_address_that_tries_many_names_is_locked_out(
    face: Face, browser: Browser
) -> None:
    """One password for everybody is guessing, too; a success of one's own resets nothing."""
    await a_person(face)
    statuses = [(await browser.login(f"user-{i}", WRONG)).status for i in range(19)]
    assert [401] * 19 == statuses
    assert 200 == (await browser.login()).status
    browser.cookies.clear()
    assert 401 == (await browser.login("user-19", WRONG)).status
    assert 429 == (await browser.login("user-20", WRONG)).status
    assert "address" == (await face.log())[-2]["lockout"]["what"]


async def test_a_flood_fills_neither_log_nor_memory(tmp_path: Path) -> None:
    """Ten thousand tries: a few entries at once, the rest counted."""
    async with a_face(tmp_path) as face:
        quicken(face)
        await a_person(face)
        app = face.client.app
        logins, recorder = app[appkeys.LOGINS], app[appkeys.FAILURES]
        recorder._immediate, recorder._at_once_left = 10, 100
        before = await face.program.store.size()
        caller = SYSTEM._replace(principal=ANONYMOUS, via="api")

        async def attack(number: int) -> None:
            address = f"10.0.0.{number % 70}"
            name = "alice" if number % 2 else f"name-{number}"
            with pytest.raises(Exception, match=r"wrong|too many"):
                await logins.login(caller._replace(ip=address), name, WRONG)

        for start in range(0, 10_000, 10):
            await asyncio.gather(*map(attack, range(start, start + 10)))
        assert await face.program.store.size() - before <= 101
        await recorder.aclose()
        entries = (await face.log())[before:]
        assert len(entries) <= 101 + 130
        told = sum(entry.get("count", 1) for entry in entries if entry["event"] == "auth.failed")
        assert 10_000 == told
        assert logins._attempts.counted <= 30_000
        check_entries(entries)


async def test_a_flood_does_not_tell_who_there_is(face: Face, browser: Browser) -> None:
    """Not by which of its failures get an entry, and its index in the answer, at once."""
    await a_person(face)
    face.client.app[appkeys.FAILURES]._immediate = 3
    indices = [(await browser.login(f"name-{i}", WRONG)).index for i in range(4)]
    assert [True, True, True, False] == [index is not None for index in indices]
    assert (await browser.login(password=WRONG)).index is None


# ---------------------------------------------------------------- records


async def test_no_secret_is_in_any_entry_or_log_line(
    face: Face,
    browser: Browser,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither password, cookie, token of the page, device cookie nor hash; all entries fit."""
    caplog.set_level(logging.DEBUG)
    await a_person(face)
    await browser.login(PASSWORD, "alice")
    await browser.login(password=WRONG)
    await browser.login()
    secrets = [PASSWORD, OTHER, WRONG, browser.csrf or "-", *browser.cookies.values()]
    await browser.ask("POST", "/api/v1/password", {"old": WRONG, "new": OTHER})
    await browser.ask("POST", "/api/v1/password", {"old": PASSWORD, "new": OTHER})
    await browser.ask("POST", "/api/v1/logout")
    for _ in range(6):
        await browser.login(password=WRONG)
    entries = await face.log()
    check_entries(entries)
    written = orjson.dumps(entries).decode() + caplog.text + "".join(capfd.readouterr())
    assert "argon2" not in written
    assert [] == [secret for secret in secrets if secret in written]
