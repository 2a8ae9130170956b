"""Tests of proxy.server.middleware: who asks, from where, and how a failure is answered."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from proxy.access import Role
from proxy.auth.logins import Logins
from proxy.errors import UnavailableError
from proxy.server.appkeys import FAILURES, STATES
from proxy.server.middleware import Traffic
from tests.running import STATE, SYSTEM, Face, a_face, read_answer
from tests.samples import a_lock_info, a_state

PROXIES = (ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16"))


# ---------------------------------------------------------------- every answer


async def test_every_answer_has_a_request_id_of_its_own(face: Face) -> None:
    """Successes, refusals and what needs no credentials; the entry has the same."""
    answers = [
        await face.ask("POST", body=a_state(1)),
        await face.ask("POST", body=b"no"),
        await face.ask("GET", role=None),
        await face.ask("GET", "/nothing"),
        await face.ask("GET", "/healthz", role=None),
    ]
    ids = [answer.headers["request-id"] for answer in answers]
    assert 5 == len(set(ids))
    assert ids[3] == (await face.last())["request"]["id"]


async def test_an_answer_does_not_tell_what_it_is_made_of(face: Face) -> None:
    """No versions of Python and libraries for whoever asks."""
    answer = await face.ask("GET", "/healthz", role=None)
    assert "tfaudit" == answer.headers["server"]


async def test_every_refusal_of_somebody_known_names_its_entry(face: Face) -> None:
    """Also of an address or a method that is not there."""
    for method, path in (("GET", "/nothing"), ("PATCH", STATE), ("GET", "/state/a%2Fb")):
        answer = await face.ask(method, path)
        assert await face.program.store.size() - 1 == answer.index
        assert answer.status == (await face.last())["request"]["status"]


async def test_no_answer_is_a_redirect(face: Face) -> None:
    """Clients turn a redirected upload into a GET and lose the state in silence."""
    for path in ("/state/a/", "/state", "/state/a//", "/api/v1/tokens/", "/healthz/"):
        for method in ("GET", "POST", "LOCK"):
            assert not 300 <= (await face.ask(method, path)).status < 400


# ---------------------------------------------------------------- who is asking


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic dXNlcjp3cm9uZw==",
        "Bearer tfa_wrong",
        "Bearer ",
        "Digest x",
        "Basic dXNlcjp3cm9uZw==, Bearer x",
    ],
)
async def test_whoever_is_not_known_is_refused_and_recorded(
    face: Face, authorization: str | None
) -> None:
    """401 with a challenge, the same for every reason; nothing secret in the entry."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await face.ask("GET", role=None, headers=headers)
    entry = await face.last()
    assert 401 == answer.status
    assert answer.headers["www-authenticate"].startswith('Basic realm="tfaudit"')
    assert await face.program.store.size() - 1 == answer.index
    assert ("auth.failed", "denied", "anonymous", "127.0.0.1", 401) == (
        entry["event"],
        entry["outcome"],
        entry["actor"]["type"],
        entry["source"]["ip"],
        entry["request"]["status"],
    )
    assert "dXNlcjp3cm9uZw" not in str(entry)
    assert "tfa_wrong" not in str(entry)


async def test_two_credentials_are_none(face: Face) -> None:
    """A proxy in front and we might each believe another one."""
    token = (await face.token(Role.OPERATOR)).encode()
    answer = await face.raw(
        b"GET /state/a HTTP/1.1\r\nAuthorization: Bearer %b\r\n{auth}\r\n\r\n" % token
    )
    assert 401 == answer.status


async def test_a_revoked_token_is_refused_at_once(face: Face) -> None:
    """From the next request on; the record names whose token it was."""
    token = await face.token(Role.OPERATOR)
    assert 404 == (await face.ask("GET")).status
    await face.program.admin.revoke_token(SYSTEM, "operator")
    for method, body in (("GET", None), ("POST", a_state(1)), ("LOCK", a_lock_info())):
        assert 401 == (await face.ask(method, body=body, token=token)).status
        entry = await face.last()
        assert ("auth.failed", "operator", token[-6:]) == (
            entry["event"],
            entry["actor"]["name"],
            entry["actor"]["token_hint"],
        )
    assert [] == await face.program.store.workspaces()


async def test_an_expired_token_is_refused_with_its_name(face: Face) -> None:
    """The entry tells whose it was: token.expired."""
    minted = await face.program.admin.create_token(
        SYSTEM, "old", "writer", ("*",), timedelta(milliseconds=1)
    )
    await asyncio.sleep(0.01)
    answer = await face.ask("GET", token=minted.text)
    entry = await face.last()
    assert (401, "token.expired", "old") == (answer.status, entry["event"], entry["actor"]["name"])


async def test_a_token_counts_for_its_workspaces_only(face: Face) -> None:
    """By glob, for every verb."""
    token = await face.token(Role.WRITER, ("dev/*",))
    assert 404 == (await face.ask("GET", "/state/dev/a", token=token)).status
    assert 403 == (await face.ask("GET", token=token)).status
    assert 403 == (await face.ask("POST", body=a_state(1), token=token)).status
    assert 423 == (await face.ask("LOCK", body=a_lock_info(), token=token)).status
    assert 403 == (await face.ask("UNLOCK", body=a_lock_info(), token=token)).status


async def test_a_failed_login_that_can_not_be_recorded_is_not_answered_as_one(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503: no refusal without its entry."""

    async def fail(_: object) -> None:
        raise UnavailableError("the store is gone")

    monkeypatch.setattr(face.program.store, "write", fail)
    answer = await face.ask("GET", role=None)
    assert (503, None) == (answer.status, answer.index)


# ---------------------------------------------------------------- before the body


@pytest.mark.parametrize("credentials", [b"", b"Authorization: Bearer tfa_wrong\r\n"])
async def test_the_body_of_whoever_is_not_known_is_not_waited_for(
    face: Face, credentials: bytes
) -> None:
    """401 with only the head of the request sent."""
    answer = await face.raw(
        b"POST /state/a HTTP/1.1\r\nHost: x\r\n%bContent-Length: 1000000\r\n\r\n" % credentials
    )
    assert 401 == answer.status


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.READER, 403), (Role.AUDITOR, 403)])
async def test_nobody_is_asked_for_a_body_who_may_not_send_it(
    face: Face, role: Role | None, status: int
) -> None:
    """``Expect: 100-continue`` is answered with the refusal, not with Continue."""
    token = "wrong" if role is None else await face.token(role)
    answer = await face.raw(
        b"POST /state/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n" % token.encode()
    )
    assert status == answer.status


async def test_whoever_may_send_a_body_is_told_to_go_on(face: Face) -> None:
    """100, then the body, then 200."""
    token = (await face.token(Role.OPERATOR)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", face.port)
    body = a_state(1)
    writer.write(
        b"POST /state/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
        b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (token, len(body))
    )
    async with asyncio.timeout(5):
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        assert 200 == (await read_answer(reader)).status
    writer.close()
    assert body == (await face.ask("GET", "/state/a")).body


async def test_a_body_too_large_is_refused_instead_of_asked_for(tmp_path: Path) -> None:
    """``Expect: 100-continue`` with a length over the limit."""
    async with a_face(tmp_path, body_limit=100) as face:
        answer = await face.raw(
            b"POST /state/a HTTP/1.1\r\nContent-Length: 101\r\n"
            b"Expect: 100-continue\r\n{auth}\r\n\r\n"
        )
        assert 413 == answer.status


# ---------------------------------------------------------------- from where


@pytest.mark.parametrize(
    ("forwarded", "ip", "believed"),
    [
        ([], "127.0.0.1", None),
        (["203.0.113.9"], "203.0.113.9", ["203.0.113.9"]),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9", ["203.0.113.9"]),
        (["6.6.6.6", "203.0.113.9"], "203.0.113.9", ["203.0.113.9"]),
        (["203.0.113.9, 10.1.2.3"], "203.0.113.9", ["203.0.113.9", "10.1.2.3"]),
        (["6.6.6.6, 10.1.9.9, 203.0.113.9, 10.1.2.3"], "203.0.113.9", ["203.0.113.9", "10.1.2.3"]),
        (["10.1.2.3"], "10.1.2.3", ["10.1.2.3"]),
        (["2001:db8::1"], "2001:db8::1", ["2001:db8::1"]),
        (["203.0.113.9:4711"], "203.0.113.9", ["203.0.113.9"]),
        (["[2001:db8::1]:4711"], "2001:db8::1", ["2001:db8::1"]),
        (["[2001:db8::1]"], "2001:db8::1", ["2001:db8::1"]),
        (["203.0.113.9, 10.1.2.3:80"], "203.0.113.9", ["203.0.113.9", "10.1.2.3"]),
        (["unknown"], "127.0.0.1", None),
        ([""], "127.0.0.1", None),
        (["6.6.6.6, "], "127.0.0.1", None),
        (["6.6.6.6, unknown"], "127.0.0.1", None),
        (["6.6.6.6, 1.2.3.4:"], "127.0.0.1", None),
        (["6.6.6.6, _x, 10.1.2.3"], "10.1.2.3", ["10.1.2.3"]),
    ],
)
async def test_a_trusted_proxy_tells_whose_request_it_is(
    tmp_path: Path, forwarded: list[str], ip: str, believed: list[str] | None
) -> None:
    """Read from the right, up to the first stranger, or up to what is no address."""
    async with a_face(tmp_path, trusted_proxies=PROXIES) as face:
        headers = b"".join(b"X-Forwarded-For: %b\r\n" % each.encode() for each in forwarded)
        await face.raw(b"GET /state/a HTTP/1.1\r\n%b{auth}\r\n\r\n" % headers)
        source = (await face.last())["source"]
        assert (ip, believed) == (source["ip"], source.get("forwarded_for"))


@pytest.mark.parametrize(
    ("hop", "believed"),
    [(b"10.1.2.3", ["10.1.2.3"] * 16), (b"fe80::1%" + b"x" * 5_000, None), (b"::1%\xff", None)],
)
async def test_no_number_of_proxies_keeps_a_failed_login_off_the_record(
    tmp_path: Path, hop: bytes, believed: list[str] | None
) -> None:
    """An entry has no room for tens of thousands of addresses, nor for what is none."""
    async with a_face(tmp_path, trusted_proxies=(*PROXIES, ip_network("fe80::/10"))) as face:
        header = b"X-Forwarded-For: %b\r\n" % b",".join([hop] * (14_000 // (len(hop) + 1)))
        answer = await face.raw(b"GET /state/a HTTP/1.1\r\nHost: x\r\n%b\r\n" % (header * 40))
        entry = await face.last()
        assert (401, "auth.failed") == (answer.status, entry["event"])
        assert believed == entry["source"].get("forwarded_for")


async def test_a_stranger_is_not_believed(face: Face) -> None:
    """Without trusted proxies the header means nothing."""
    await face.ask("GET", headers={"X-Forwarded-For": "6.6.6.6"})
    source = (await face.last())["source"]
    assert ("127.0.0.1", None) == (source["ip"], source.get("forwarded_for"))


async def test_a_peer_that_is_no_trusted_proxy_is_not_believed(tmp_path: Path) -> None:
    """The header counts only from those that are listed."""
    async with a_face(tmp_path, trusted_proxies=PROXIES[1:]) as face:
        await face.ask("GET", headers={"X-Forwarded-For": "6.6.6.6"})
        assert "127.0.0.1" == (await face.last())["source"]["ip"]


async def test_what_a_client_says_of_itself_is_cut_and_made_fit(face: Face) -> None:
    """Bytes that are no text, and too many of them, don't hinder the entry."""
    answer = await face.raw(
        b"GET /state/a HTTP/1.1\r\nUser-Agent: \xff\xfe%b\r\n{auth}\r\n\r\n" % (b"x " * 2500)
    )
    agent = (await face.last())["source"]["user_agent"]
    assert 404 == answer.status
    assert 256 == len(agent)


async def test_a_path_is_recorded_without_its_query(face: Face) -> None:
    """A query may hold what is nobody's business."""
    await face.ask("GET", f"{STATE}?secret=hunter2")
    assert "hunter2" not in str(await face.log())


# ---------------------------------------------------------------- failures


async def test_a_bug_is_an_internal_error_that_tells_nothing(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 with Retry-After; what was wrong stands in our own log."""

    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(face.client.app[STATES]) if face.client.app else object, "read", fail)
    answer = await face.ask("GET")
    assert (500, "10", True) == (
        answer.status,
        answer.headers["retry-after"],
        b"secret detail" not in answer.body,
    )


async def test_a_bug_met_by_somebody_known_is_on_record(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came of the request, it is not without an entry."""

    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(face.program.states), "read", fail)
    answer = await face.ask("GET")
    entry = await face.last()
    assert (500, "access.denied", "error", "operator", 500) == (
        answer.status,
        entry["event"],
        entry["outcome"],
        entry["actor"]["name"],
        entry["request"]["status"],
    )
    assert await face.program.store.size() - 1 == answer.index
    assert "secret detail" not in str(entry)


async def test_a_bug_that_strangers_meet_fills_no_log(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the audit log, where a flood is counted, nor our own with tracebacks."""
    assert face.client.app is not None
    failures = face.client.app[FAILURES]
    failures._immediate = 2

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Logins, "login", fail)
    body, headers = b'{"name":"alice","password":"x"}', {"Content-Type": "application/json"}
    with capture_logs() as lines:
        answers = [
            await face.ask("POST", "/api/v1/login", body, role=None, headers=headers)
            for _ in range(15)
        ]
    await failures.aclose()
    assert [500] * 15 == [answer.status for answer in answers]
    shown = [line for line in lines if line["event"] == "internal error"]
    assert [True] * 10 + [False] * 5 == ["exc_info" in line for line in shown]
    entries = [entry for entry in await face.log() if entry["event"] == "access.denied"]
    assert [("error", 500, None), ("error", 500, None), ("denied", 403, 13)] == [
        (entry["outcome"], entry["request"]["status"], entry.get("count")) for entry in entries
    ]


async def test_a_bug_that_can_not_be_recorded_is_answered_all_the_same(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 without an entry: the store may be what is broken."""

    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    await face.token(Role.OPERATOR)
    monkeypatch.setattr(face.program.store, "write", fail)
    answer = await face.ask("GET")
    assert (500, None) == (answer.status, answer.index)


@pytest.mark.parametrize(
    ("method", "event"),
    [
        (b"POST", "state.write_refused"),
        (b"LOCK", "state.lock_refused"),
        (b"UNLOCK", "state.unlock_refused"),
    ],
)
async def test_a_damaged_body_is_a_refusal_on_record(
    tmp_path: Path, method: bytes, event: str
) -> None:
    """Chunks that are none, after the head: no internal error, and with its workspace."""
    async with a_face(tmp_path, upload_idle_timeout=0.2) as face:
        answer = await face.raw(
            b"%b /state/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{auth}\r\n\r\n" % method,
            0.1,
            b'5\r\n{"ver\r\nhunter2\r\n',
        )
        entry = await face.last()
        assert (408, event, "a") == (answer.status, entry["event"], entry["workspace"])
        assert "hunter2" not in str(entry)


async def test_a_target_with_credentials_is_served_and_recorded_without_them(face: Face) -> None:
    """The absolute form of RFC 9112 section 3.2.2, as clients of a proxy send it."""
    answer = await face.raw(b"GET http://user:hunter2@host/state/a HTTP/1.1\r\n{auth}\r\n\r\n")
    entry = await face.last()
    assert (404, "a", "/state/a") == (answer.status, entry["workspace"], entry["request"]["path"])
    assert "hunter2" not in str(await face.log())


async def test_a_token_that_expires_on_the_way_does_nothing(face: Face) -> None:
    """It stood in line for a lock, and gets none."""
    minted = await face.program.admin.create_token(
        SYSTEM, "short", "writer", ("*",), timedelta(seconds=1)
    )
    await face.ask("LOCK", body=a_lock_info("lock-1"))
    waiting = asyncio.create_task(
        face.ask("LOCK", f"{STATE}?wait=20", a_lock_info("lock-2"), token=minted.text)
    )
    await asyncio.sleep(1.1)
    await face.ask("UNLOCK", body=a_lock_info("lock-1"))
    answer = await waiting
    entry = await face.last()
    assert 401 == answer.status
    assert [] == await face.program.store.locks()
    assert ("short", "expired" in entry["message"]) == (entry["actor"]["name"], True)


async def test_a_store_that_fails_is_503_with_retry_after(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never 404, and no body that could be taken for a state."""
    await face.ask("POST", body=a_state(1))

    async def fail(_: object) -> None:
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(face.program.store, "write", fail)
    for method, body in (("GET", None), ("POST", a_state(2)), ("LOCK", a_lock_info())):
        answer = await face.ask(method, body=body)
        assert (503, "10") == (answer.status, answer.headers["retry-after"])


async def test_the_log_says_why_a_request_failed(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks after the server need not ask the client."""

    async def fail(_: object) -> None:
        raise UnavailableError("the disk is full")

    token = await face.token(Role.OPERATOR)
    monkeypatch.setattr(face.program.store, "write", fail)
    with capture_logs() as lines:
        await face.ask("GET", token=token)
    assert [("failed", 503, "the disk is full")] == [
        (line["event"], line["status"], line["reason"]) for line in lines
    ]


async def test_an_api_failure_is_told_as_problem_details(face: Face) -> None:
    """For programs (RFC 9457), with the entry that records it."""
    answer = await face.ask("GET", "/api/v1/log")
    problem = json.loads(answer.body)
    assert (403, "application/problem+json") == (answer.status, answer.headers["content-type"])
    assert {
        "type": "urn:tfaudit:problem:forbidden",
        "title": "Forbidden",
        "status": 403,
        "detail": problem["detail"],
        "audit_index": answer.index,
    } == problem
    assert "may not log:read" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v2", (404, "no-such-address")),
        ("PUT", "/api/v1/grants", (405, "no-such-method")),
        ("POST", "/api/v1/grants", (415, "unsupported-type")),
        ("GET", "/api/v1/grants/none", (404, "not-found")),
        ("GET", "/api/v1/grants?limit=0", (400, "invalid-input")),
        ("GET", "/api/v1/grants?cursor=%00", (400, "invalid-input")),
        ("GET", "/api/v1/grants?cursor=eA", (400, "invalid-input")),
    ],
)
async def test_each_sort_of_problem_has_a_type_of_its_own(
    face: Face, method: str, path: str, expected: tuple[int, str]
) -> None:
    """What the router can't place included: no state is at such an address, so 404 is no lie."""
    answer = await face.ask(method, path, b"{}" if method == "POST" else None, role=Role.ADMIN)
    problem = json.loads(answer.body)
    assert expected == (answer.status, problem["type"].rpartition(":")[2])
    assert answer.index == problem.get("audit_index")


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        (b"application/json", 400),
        (b" Application/JSON ; charset=utf-8", 400),
        (b"application/jsonx", 415),
        (b"application/json;" + b" " * 300 + b"x", 415),
        (b"a/b;" + b'"' * 16_000, 415),
        (b"(" * 1_100, 415),
    ],
)
async def test_a_content_type_holds_nobody_up(
    face: Face, monkeypatch: pytest.MonkeyPatch, declared: bytes, status: int
) -> None:
    """A stranger's too, however it is made up: none gets to aiohttp's parser, which is for mail."""

    def fail(*_: object) -> None:
        raise RuntimeError("the parser for mail was asked")

    monkeypatch.setattr(web.BaseRequest, "_parse_content_type", fail)
    answer = await face.raw(
        b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\n"
        b"Content-Length: 2\r\n\r\n{}" % declared
    )
    assert status == answer.status


# ---------------------------------------------------------------- stopping


async def test_a_server_that_stops_takes_nothing_new(face: Face) -> None:
    """503 with Retry-After for everybody; alive all the same."""
    await face.token(Role.OPERATOR)
    face.traffic.is_stopping = True
    assert [(503, "10")] * 4 == [
        (answer.status, answer.headers["retry-after"])
        for answer in [
            await face.ask("GET"),
            await face.ask("POST", body=a_state(1)),
            await face.ask("GET", role=None),
            await face.ask("GET", "/readyz", role=None),
        ]
    ]
    assert 200 == (await face.ask("GET", "/healthz", role=None)).status


async def test_draining_waits_for_what_runs() -> None:
    """And is over at once when nothing does."""
    traffic = Traffic()
    async with asyncio.timeout(1):
        await traffic.drain()
    traffic = Traffic()
    traffic.running = 2
    draining = asyncio.create_task(traffic.drain())
    await asyncio.sleep(0)
    traffic.leave()
    await asyncio.sleep(0.01)
    assert not draining.done()
    traffic.leave()
    async with asyncio.timeout(1):
        await draining


async def test_requests_are_counted_while_they_run_and_not_after(face: Face) -> None:
    """Whatever becomes of them."""
    for ask in (
        face.ask("GET"),
        face.ask("GET", role=None),
        face.ask("POST", body=b"no"),
        face.ask("GET", "/nothing"),
    ):
        await ask
    assert 0 == face.traffic.running


@pytest.mark.parametrize(
    "path_of", [lambda name: f"/state/{name}", lambda name: f"/api/v1/tokens/{name}"]
)
async def test_no_metric_has_a_path_or_a_name(face: Face, path_of: Callable[[str], Any]) -> None:
    """Labels are of closed sets, also for methods and addresses that nobody offers."""
    for method in ("GET", "DELETE", "BREW"):
        await face.ask(method, path_of("very-secret-name"))
    metrics = (await face.ask("GET", "/metrics", role=None)).body
    assert b"tfaudit_requests_total" in metrics
    assert b"secret" not in metrics
    assert b"BREW" not in metrics
