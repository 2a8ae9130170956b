"""Tests of proxy.server.client_certificates: who a trusted proxy says was asked by."""

from base64 import b64encode
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from multidict import CIMultiDict

from proxy.access import Role
from tests.certificates import DAY, SERVERS, Pair, authority
from tests.running import SYSTEM, Answer, Face, a_face
from tests.server.secure import a_secure_face

HEADER = "Client-Cert"
CI = "CN=ci,O=Acme"
TRUSTED: dict[str, Any] = {
    "trusted_proxies": (ip_network("127.0.0.0/8"),),
    "client_certificate_header": HEADER,
}


def sequence(pair: Pair) -> str:
    """Return a certificate as RFC 9440 writes it."""
    return f":{b64encode(pair.der).decode()}:"


async def known(face: Face, name: str = "pipeline", *names: str) -> None:
    """Make a principal with these certificates, who may read everything."""
    directory = face.program.directory
    fields = {"name": name, "certificates": names or (CI,)}
    await directory.create(SYSTEM, "principal", fields)
    grant = {"name": name, "principal": name, "role": "reader", "workspaces": ["*"]}
    await directory.create(SYSTEM, "grant", grant)


async def asked_with(face: Face, *values: str, **options: Any) -> Answer:
    """Ask with a header for each value, and no token."""
    headers = CIMultiDict((HEADER, value) for value in values)
    async with face.client.get("/state/prod/network", headers=headers, **options) as response:
        return Answer(response.status, {}, await response.read())


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("rfc9440", sequence(authority().issue(CI))),
        ("pem", quote(authority().issue(CI).pem)),
        ("subject", CI),
        ("subject", r"CN=\63i,O=Acme"),
    ],
)
async def test_a_trusted_proxy_passes_a_certificate(tmp_path: Path, form: str, value: str) -> None:
    """In the form that was configured; the entry tells of it as of one of our own connection."""
    async with a_face(tmp_path, **TRUSTED, client_certificate_form=form) as face:
        await known(face)
        assert 404 == (await asked_with(face, value)).status
        actor = (await face.last())["actor"]
    assert ("certificate", "pipeline", CI) == (
        actor["type"],
        actor["name"],
        actor["claims"]["certificate"],
    )
    assert (form == "subject") is ("sha256" not in actor["claims"])


async def test_a_peer_that_is_not_trusted_proves_nothing_by_a_header(tmp_path: Path) -> None:
    """It is as if there were none, whatever it holds; nothing of it is on record."""
    settings = {**TRUSTED, "trusted_proxies": (ip_network("10.0.0.0/8"),)}
    async with a_face(tmp_path, **settings, client_certificate_form="subject") as face:
        await known(face)
        answer = await asked_with(face, CI)
        entry = await face.last()
    assert (401, True) == (answer.status, b"no credentials" in answer.body)
    assert "anonymous" == entry["actor"]["type"]
    assert CI not in str(entry)


async def test_an_address_that_a_client_forwards_is_not_the_peers(tmp_path: Path) -> None:
    """X-Forwarded-For says for whom a proxy asks, never who it is."""
    settings = {**TRUSTED, "trusted_proxies": (ip_network("10.0.0.0/8"),)}
    async with a_face(tmp_path, **settings, client_certificate_form="subject") as face:
        await known(face)
        headers = {HEADER: CI, "X-Forwarded-For": "10.0.0.1"}
        answer = await face.ask("GET", role=None, headers=headers)
    assert 401 == answer.status


async def test_without_the_setting_no_header_is_believed(tmp_path: Path) -> None:
    """Of a trusted proxy neither."""
    async with a_face(tmp_path, trusted_proxies=TRUSTED["trusted_proxies"]) as face:
        await known(face)
        assert 401 == (await asked_with(face, sequence(authority().issue(CI)))).status


@pytest.mark.parametrize(
    ("form", "values", "reason"),
    [
        ("rfc9440", (sequence(authority().issue(CI)),) * 2, "there are 2 headers"),
        ("subject", (CI, "CN=root"), "there are 2 headers"),
        ("subject", (CI, ""), "there are 2 headers"),
        ("subject", ("CN=root, CN=ci,O=Acme",), "can't be read"),
        ("subject", ("ci",), "can't be read"),
        ("rfc9440", ("x",), "can't be read"),
        ("pem", ("x",), "can't be read"),
        ("rfc9440", (sequence(authority().issue(CI, usage=(SERVERS,))),), "not issued for clients"),
        (
            "rfc9440",
            (sequence(authority().issue(CI, not_before=-2 * DAY, not_after=-DAY)),),
            "is not valid now",
        ),
        ("subject", ("CN=ci",), "no principal is known"),
        ("subject", ("CN=ci,O=Acme,C=DE",), "no principal is known"),
        ("subject", ("CN=CI,O=Acme",), "no principal is known"),
    ],
)
async def test_what_is_not_clear_is_refused_on_record(
    tmp_path: Path, form: str, values: tuple[str, ...], reason: str
) -> None:
    """Never a guess."""
    async with a_face(tmp_path, **TRUSTED, client_certificate_form=form) as face:
        await known(face)
        answer = await asked_with(face, *values)
        entry = await face.last()
    assert (401, "auth.failed", "anonymous") == (
        answer.status,
        entry["event"],
        entry["actor"]["type"],
    )
    assert reason in entry["message"]


async def test_a_token_decides_over_the_header(tmp_path: Path) -> None:
    """As over a certificate of the connection's own."""
    async with a_face(tmp_path, **TRUSTED, client_certificate_form="subject") as face:
        await known(face)
        await face.ask("GET", role=Role.READER, headers={HEADER: CI})
        assert "token" == (await face.last())["actor"]["type"]
        assert 401 == (await face.ask("GET", token="x", headers={HEADER: CI})).status


@pytest.mark.parametrize("values", [(), ("",), ("  ",)])
async def test_a_proxy_whose_client_has_no_certificate_passes_none(
    tmp_path: Path, values: tuple[str, ...]
) -> None:
    """No header, or an empty one: a token goes on working."""
    async with a_face(tmp_path, **TRUSTED) as face:
        answer = await asked_with(face, *values)
        assert (401, True) == (answer.status, b"no credentials" in answer.body)


async def test_a_proxys_own_certificate_is_not_its_clients(tmp_path: Path) -> None:
    """Whoever comes through it without one would otherwise be the proxy."""
    async with a_secure_face(tmp_path, **TRUSTED, client_certificate_form="subject") as face:
        await face.names("proxy", "CN=proxy")
        await face.names("pipeline", CI)
        proxy = authority().issue("CN=proxy")
        assert b"no credentials" in (await face.ask(proxy)).body
        assert 404 == (await face.ask(proxy, headers={HEADER: CI})).status
        assert "pipeline" == (await face.last())["actor"]["name"]


async def test_a_proxys_own_certificate_is_nobodys_where_no_header_passes_one(
    tmp_path: Path,
) -> None:
    """All its clients would have the proxy's rights."""
    async with a_secure_face(tmp_path, trusted_proxies=TRUSTED["trusted_proxies"]) as face:
        await face.names("proxy", "CN=proxy")
        answer = await face.ask(authority().issue("CN=proxy"))
        assert (401, True) == (answer.status, b"no credentials" in answer.body)


async def test_a_page_of_another_site_changes_nothing_by_a_certificate(tmp_path: Path) -> None:
    """A browser presents it whoever made the request."""
    async with a_face(tmp_path, **TRUSTED, client_certificate_form="subject") as face:
        await known(face)
        headers = {HEADER: CI, "Sec-Fetch-Site": "cross-site"}
        answer = await face.ask("POST", body=b"{}", role=None, headers=headers)
    assert answer.status in {401, 403}


async def test_whoever_has_a_certificate_may_ask_who_they_are(tmp_path: Path) -> None:
    """With the name by which they are known."""
    async with a_face(tmp_path, **TRUSTED, client_certificate_form="subject") as face:
        await known(face)
        answer = await face.ask("GET", "/api/v1/whoami", role=None, headers={HEADER: CI})
    assert (200, True, True) == (
        answer.status,
        b"pipeline" in answer.body,
        b"certificate" in answer.body,
    )
