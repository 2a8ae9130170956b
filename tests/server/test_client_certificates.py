"""Tests of proxy.server.client_certificates: who a certificate proves, on a connection of TLS."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError, ServerDisconnectedError
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from proxy import app
from tests.certificates import DAY, SERVERS, Authority, Pair, authority
from tests.running import SYSTEM
from tests.samples import a_state
from tests.server.secure import SecureFace, a_secure_face, asked

CI = "CN=ci,O=Acme"
# With TLS 1.3 the client learns of a refusal only when it reads.
REFUSED = (ClientConnectionError, ServerDisconnectedError, ssl.SSLError)


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[SecureFace]:
    """Run the application with a principal that has a certificate's subject."""
    async with a_secure_face(tmp_path) as face:
        await face.names("pipeline", CI)
        yield face


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_is_enough(secure: SecureFace, version: ssl.TLSVersion) -> None:
    """Without a token; the entry says which certificate it was, and the principal's grants hold."""
    pair = authority().issue(CI)
    async with secure.session(pair, version) as session:
        written = await asked(session, "POST", data=a_state(1))
        read = await asked(session)
    assert (200, 200, a_state(1)) == (written.status, read.status, read.body)
    entry = await secure.last()
    known = secure.program.store.directory().get("principal", "pipeline")
    assert known is not None
    sha256 = pair.certificate.fingerprint(SHA256()).hex()
    assert {
        "type": "certificate",
        "id": known.id,
        "name": "pipeline",
        "claims": {"certificate": CI, "sha256": sha256},
    } == entry["actor"]


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        ("DNS:ci.example.com", x509.DNSName("CI.example.com")),
        ("URI:spiffe://example.com/ci", x509.UniformResourceIdentifier("spiffe://example.com/ci")),
        ("EMAIL:ci@example.com", x509.RFC822Name("ci@EXAMPLE.com")),
    ],
)
async def test_an_alternative_name_proves_a_principal(
    secure: SecureFace, name: str, alternative: x509.GeneralName
) -> None:
    """Whatever the subject is."""
    await secure.names("other", name)
    assert 404 == (await secure.ask(authority().issue("CN=x", [alternative]))).status
    entry = await secure.last()
    assert ("other", name) == (entry["actor"]["name"], entry["actor"]["claims"]["certificate"])


async def test_a_certificate_of_nobody_is_refused_with_its_names(secure: SecureFace) -> None:
    """On record, so that an administrator can give them to somebody; nobody's part of it counts."""
    answer = await secure.ask(authority().issue("CN=ci", [x509.DNSName("ci.acme")]))
    entry = await secure.last()
    assert (401, "auth.failed", "anonymous") == (
        answer.status,
        entry["event"],
        entry["actor"]["type"],
    )
    assert "no principal is known by its names (CN=ci or DNS:ci.acme)" in entry["message"]
    assert entry["message"] in answer.body.decode()


async def test_a_certificate_of_two_is_nobodys(secure: SecureFace) -> None:
    """It is not guessed whose it is."""
    await secure.names("other", "DNS:ci.acme")
    answer = await secure.ask(authority().issue(CI, [x509.DNSName("ci.acme")]))
    assert (401, True) == (answer.status, b"several principals are known" in answer.body)


async def test_a_disabled_principal_is_refused_by_name(secure: SecureFace) -> None:
    """And on record as that principal."""
    await secure.program.directory.update(SYSTEM, "principal", "pipeline", {"disabled": True})
    answer = await secure.ask(authority().issue(CI))
    entry = await secure.last()
    assert (401, "auth.failed", "certificate", "pipeline") == (
        answer.status,
        entry["event"],
        entry["actor"]["type"],
        entry["actor"]["name"],
    )


async def test_a_name_that_was_taken_away_counts_no_more(secure: SecureFace) -> None:
    """On a connection that lives on, from the next request."""
    async with secure.session(authority().issue(CI)) as session:
        assert 404 == (await asked(session)).status
        await secure.program.directory.update(SYSTEM, "principal", "pipeline", {"certificates": []})
        assert 401 == (await asked(session)).status


async def test_a_token_decides_over_a_certificate(secure: SecureFace) -> None:
    """Good or bad: whoever sends one means it."""
    minted = await secure.program.admin.create_token(SYSTEM, "t", "reader", ["*"], None)
    pair = authority().issue(CI)
    answer = await secure.ask(pair, headers={"Authorization": f"Bearer {minted.text}"})
    assert (404, "token") == (answer.status, (await secure.last())["actor"]["type"])
    answer = await secure.ask(pair, headers={"Authorization": "Bearer x"})
    assert (401, "anonymous") == (answer.status, (await secure.last())["actor"]["type"])


async def test_without_a_certificate_a_token_goes_on_working(secure: SecureFace) -> None:
    """And without both there are no credentials."""
    minted = await secure.program.admin.create_token(SYSTEM, "t", "reader", ["*"], None)
    answer = await secure.ask(headers={"Authorization": f"Bearer {minted.text}"})
    assert 404 == answer.status
    assert b"no credentials" in (await secure.ask()).body


async def test_a_required_certificate_is_wanted_with_a_token_too(tmp_path: Path) -> None:
    """A connection without one is refused before anything is asked."""
    async with a_secure_face(tmp_path, require_client_certificate=True) as face:
        await face.names("pipeline", CI)
        with pytest.raises(REFUSED):
            await face.ask(path="/healthz")
        assert 200 == (await face.ask(authority().issue(CI), path="/healthz")).status


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "pair",
    [
        Authority().issue(CI),
        authority().issue(CI, usage=(SERVERS,)),
        authority().issue(CI, not_before=-2 * DAY, not_after=-DAY),
        authority().issue(CI, not_before=DAY, not_after=2 * DAY),
        Authority("CN=Test CA").issue(CI),
    ],
    ids=["another CA", "for servers", "expired", "not yet valid", "a CA of the same name"],
)
async def test_what_is_not_verified_ends_the_handshake(
    secure: SecureFace, pair: Pair, version: ssl.TLSVersion
) -> None:
    """No request is read; the next client is served."""
    size = await secure.program.store.size()
    with pytest.raises(REFUSED):
        async with secure.session(pair, version) as session:
            await asked(session)
    assert size == await secure.program.store.size()
    assert 404 == (await secure.ask(authority().issue(CI))).status


async def test_a_certificate_that_ends_meanwhile_counts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a connection that goes on; TLS looks only when it begins."""
    days = [0, 2]
    monkeypatch.setattr(app, "now", lambda: datetime.now(UTC) + days[0] * DAY)
    async with a_secure_face(tmp_path) as face:
        await face.names("pipeline", CI)
        async with face.session(authority().issue(CI)) as session:
            assert 404 == (await asked(session)).status
            days.reverse()
            assert 401 == (await asked(session)).status
        assert "is not valid now" in (await face.last())["message"]


async def test_one_issuing_ca_may_be_believed_without_its_root(tmp_path: Path) -> None:
    """What the root issued by itself is not."""
    root, issuing = Authority("CN=Root"), Authority("CN=Issuing")
    (tmp_path / "issuing.pem").write_text(issuing.pem)
    async with a_secure_face(tmp_path, client_ca=tmp_path / "issuing.pem") as face:
        await face.names("pipeline", CI)
        assert 404 == (await face.ask(issuing.issue(CI))).status
        with pytest.raises(REFUSED):
            await face.ask(root.issue(CI))


# ---------------------------------------------------------------- revocation


async def test_a_revoked_certificate_ends_the_handshake(tmp_path: Path) -> None:
    """One that is not on the list is served."""
    good, bad = (authority().issue(CI) for _ in range(2))
    (tmp_path / "crl.pem").write_text(authority().revoked(bad))
    async with a_secure_face(tmp_path, client_crl=tmp_path / "crl.pem") as face:
        await face.names("pipeline", CI)
        assert 404 == (await face.ask(good)).status
        with pytest.raises(REFUSED):
            await face.ask(bad)


async def test_a_new_list_holds_for_connections_that_are_open(tmp_path: Path) -> None:
    """And for those to come, without a restart."""
    pair = authority().issue(CI)
    lists = tmp_path / "crl.pem"
    lists.write_text(authority().revoked(age=2 * DAY))
    async with a_secure_face(tmp_path, client_crl=lists) as face:
        await face.names("pipeline", CI)
        async with face.session(pair) as session:
            assert 404 == (await asked(session)).status
            lists.write_text(authority().revoked(pair))
            face.revocations.refresh()
            answer = await asked(session)
        assert (401, True) == (answer.status, b"revoked by its CA" in answer.body)
        with pytest.raises(REFUSED):
            await face.ask(pair)


@pytest.mark.parametrize("text", ["", "no list"])
async def test_a_list_that_can_not_be_read_leaves_the_old_one(tmp_path: Path, text: str) -> None:
    """What was revoked stays so."""
    pair = authority().issue(CI)
    lists = tmp_path / "crl.pem"
    lists.write_text(authority().revoked(pair))
    async with a_secure_face(tmp_path, client_crl=lists) as face:
        lists.write_text(text)
        face.revocations.refresh()
        lists.unlink()
        face.revocations.refresh()
        with pytest.raises(REFUSED):
            await face.ask(pair)
