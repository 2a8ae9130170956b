"""What sinks over HTTP share: answers in words, waits, proxies, certificates, parts in order."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sinks import _http
from proxy.sinks._http import (
    MAX_ANSWER,
    Answer,
    Http,
    HttpOptions,
    Part,
    in_order,
    in_parts,
)
from proxy.sinks.contract import NotTakenError, Receipt, RefusedError
from tests.certificates import Authority
from tests.forwarded import NOW, a_context
from tests.receivers.far_side import FarSide, Reply, a_far_side, server_tls

SECRET = "5c4e0f1b-the-secret-of-it"


@asynccontextmanager
async def an_http(
    reply: Reply | None = None, **options: Any
) -> AsyncIterator[tuple[FarSide, Http]]:
    """Run a far side with one answer, and connections to it."""
    async with (
        a_far_side(lambda _: reply or Reply()) as far,
        aclosing(Http(HttpOptions(**options), a_context(), "the far side", [SECRET])) as http,
    ):
        yield far, http


async def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how long a far side asks to be left alone."""
    async with an_http(Reply(503, b"", headers)) as (far, http):
        return (await http.ask("GET", far.url, {})).retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 120 "}, 120),
        ({"retry-after": "999999999"}, 86_400),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 01 Jan 2020 00:00:00 +99999999999999999999"}, None),
        ({"retry-after": "Sun, 31 Dec 9999 23:59:59 -2359"}, 86_400),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30"}, 30),
        ({"x-ratelimit-reset": "7"}, 7),
        ({"retry-after": "3", "x-ratelimit-reset": "7"}, 3),
    ],
)
async def test_for_how_long_a_far_side_wants_to_be_left_alone(
    headers: dict[str, str], seconds: float | None
) -> None:
    """In seconds or as a date (RFC 9110 section 10.2.3); at most a day."""
    assert seconds == await retry_after(headers)


async def test_an_answer_is_read_to_its_limit() -> None:
    """And the connection of a longer one is not used again."""
    async with an_http(Reply(200, b"x" * (MAX_ANSWER + 1))) as (far, http):
        assert MAX_ANSWER == len((await http.ask("GET", far.url, {})).body)
        assert MAX_ANSWER == len((await http.ask("GET", far.url, {})).body)


async def test_a_large_body_is_packed_as_a_small_one_is() -> None:
    """Both are gzip that the far side can read."""
    async with an_http() as (far, http):
        for body in (b"small", b"large" * 100_000):
            await http.ask("POST", far.url, {}, body, is_packed=True)
            assert body == far.seen[-1].body
            assert len(far.seen[-1].packed) < len(body) + 30


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its login, and but for what NO_PROXY names."""
    monkeypatch.setenv("no_proxy", "")
    async with an_http() as (far, http):
        monkeypatch.setenv("http_proxy", far.url.replace("http://", "http://me:word@"))
        await http.ask("GET", "http://siem.example/intake", {})
        assert "http://siem.example/intake" == far.seen[0].target
        assert "Basic bWU6d29yZA==" == far.seen[0].headers["proxy-authorization"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await http.ask("GET", far.url + "/direct", {})
        assert "/direct" == far.seen[1].target


async def test_no_netrc_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A login of the server's user is none of the far side's."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with an_http() as (far, http):
        await http.ask("GET", far.url, {})
        await http.ask("GET", far.url, {"Authorization": "Splunk x"})
        assert [None, "Splunk x"] == [seen.headers.get("authorization") for seen in far.seen]


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    """To a far side that wants one; without it there is no connection."""
    authority = Authority()
    context = server_tls(authority, tmp_path)
    (tmp_path / "ca.pem").write_text(authority.pem)
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.issue().files(tmp_path, "client")
    ca = str(tmp_path / "ca.pem")
    async with a_far_side(tls=context) as far:
        options = HttpOptions(ca=ca, client_certificate=str(certificate), client_key=str(key))
        async with aclosing(Http(options, a_context(), "it")) as http:
            assert 200 == (await http.ask("GET", far.url, {})).status
        async with aclosing(Http(HttpOptions(ca=ca), a_context(), "it")) as http:
            with pytest.raises(NotTakenError):
                await http.ask("GET", far.url, {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ca": "/nowhere/ca.pem"}, "the option ca: no such file"),
        ({"ca": __file__}, "the option ca: it has not what it should have"),
        ({"client_certificate": "/nowhere"}, "the option client_certificate: no such file"),
    ],
)
async def test_a_file_that_can_not_be_used_is_named(options: dict[str, Any], said: str) -> None:
    """By its option."""
    async with an_http(**options) as (far, http):
        with pytest.raises(NotTakenError, match=said) as caught:
            await http.ask("GET", far.url, {})
        assert caught.value.needs_repair


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://nowhere.invalid/", "no resolver knows its name"),
        ("http://127.0.0.1:1/", "refuses the connection"),
    ],
)
async def test_why_nobody_answers(url: str, said: str) -> None:
    """In our words, and without what the library says."""
    async with an_http() as (_, http):
        with pytest.raises(NotTakenError, match=said) as caught:
            await http.ask("GET", url, {"Authorization": SECRET})
        assert caught.value.__cause__ is caught.value.__context__ is None


async def test_plain_http_where_tls_is_wanted() -> None:
    """The kind of failure is told."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, an_http() as (_, http):
        with pytest.raises(NotTakenError, match="has no TLS for us: "):
            await http.ask("GET", f"https://127.0.0.1:{port}/", {})


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 60), max_size=40),
    st.integers(1, 10),
    st.integers(20, 100),
)
def test_parts_hold_all_in_order_within_the_limits(sizes: list[int], most: int, size: int) -> None:
    """But for a piece that is too large by itself, which stands alone."""
    parts = in_parts(((i, b"x" * n) for i, n in enumerate(sizes)), most=most, size=size)
    assert list(range(len(sizes))) == [index for part in parts for index in part.indices]
    for part in parts:
        assert len(part.pieces) <= most
        assert len(b"[" + b",".join(part.pieces) + b"]") <= size or 1 == len(part.pieces)


PARTS = [Part((0, 1), (b"", b"")), Part((2,), (b"",)), Part((3, 4), (b"", b""))]


async def test_what_is_left_when_a_part_is_not_taken() -> None:
    """It and all after it; what was rejected before it is told, too."""

    async def send(part: Part) -> Receipt:
        if 2 in part.indices:
            raise NotTakenError("no", retry_after=3)
        return Receipt("yes", {1: "bad"})

    with pytest.raises(NotTakenError) as caught:
        await in_order(PARTS, send)
    assert frozenset({2, 3, 4}) == caught.value.left
    assert {1: "bad"} == caught.value.rejected
    assert 3 == caught.value.retry_after


async def test_what_is_left_when_a_part_is_refused() -> None:
    """What comes after it was not tried."""

    async def send(part: Part) -> Receipt:
        if 2 in part.indices:
            raise RefusedError("no", refused=part.indices)
        return Receipt("yes")

    with pytest.raises(RefusedError) as caught:
        await in_order(PARTS, send)
    assert frozenset({2}) == caught.value.refused
    assert frozenset({3, 4}) == caught.value.left


async def test_a_part_is_refused_after_others_were_rejected() -> None:
    """Nothing of either is lost: the rejected are certain, the refused come again."""

    async def send(part: Part) -> Receipt:
        if 2 in part.indices:
            raise RefusedError("no", refused=part.indices)
        return Receipt("yes", {0: "bad"})

    with pytest.raises(NotTakenError) as caught:
        await in_order(PARTS, send)
    assert {0: "bad"} == caught.value.rejected
    assert frozenset({2, 3, 4}) == caught.value.left


async def test_a_slow_far_side_gets_the_rest_with_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it took counts before the call's own deadline is over."""
    monkeypatch.setattr(_http, "BUDGET", -1.0)
    sent: list[Part] = []

    async def send(part: Part) -> Receipt:
        sent.append(part)
        return Receipt("yes")

    with pytest.raises(NotTakenError, match="took 1 of 3 requests") as caught:
        await in_order(PARTS, send)
    assert frozenset({2, 3, 4}) == caught.value.left
    assert PARTS[:1] == sent


def test_an_answer_does_not_show_its_content() -> None:
    """It may hold anything."""
    assert SECRET not in repr(Answer(200, "200 OK", SECRET.encode(), "", None))
