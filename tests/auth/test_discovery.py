"""Tests of proxy.auth.discovery over TLS; how it fails otherwise is in test_issuers."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from proxy.auth.discovery import Discovery, DiscoveryError
from proxy.errors import ConfigError
from tests.oidc.issuer import ec_key, jwk


@dataclass
class Private:
    """An issuer inside a company.

    Attributes:
        url: https.
        ca: PEM file of the authority behind its certificate.
    """

    url: str
    ca: Path


@pytest.fixture
async def private(tmp_path: Path) -> AsyncIterator[Private]:
    """An issuer whose certificate no public authority signed."""
    key, name = ec_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitlab")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    ca, secret = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca, secret)

    async def document(request: web.Request) -> web.Response:
        url = f"https://127.0.0.1:{request.url.port}"
        return web.json_response({"issuer": url, "jwks_uri": f"{url}/jwks"})

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response({"keys": [jwk(key)]})

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", document)
    app.router.add_get("/jwks", jwks)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(ssl=context)
    yield Private(f"https://127.0.0.1:{server.port}", ca)
    await server.close()


async def test_a_private_authority_is_believed_when_it_is_named(private: Private) -> None:
    """`auth.issuer_ca`; without it the connection is refused, and nothing is asked."""
    async with Discovery(private.ca) as discovery:
        found = await discovery.ask(private.url)
    assert (f"{private.url}/jwks", "one") == (found.jwks_uri, found.keys.keys[0].id)

    async with Discovery() as discovery:
        with pytest.raises(DiscoveryError, match="certificate verify failed"):
            await discovery.ask(private.url)


async def test_a_certificate_for_another_name_is_not(private: Private) -> None:
    """The authority is right, the host is not."""
    async with Discovery(private.ca) as discovery:
        with pytest.raises(DiscoveryError, match="certificate verify failed"):
            await discovery.ask(private.url.replace("127.0.0.1", "localhost"))


def test_a_file_that_is_none_ends_the_start(tmp_path: Path) -> None:
    """Missing, or without a certificate: the setting and what to do are named."""
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=r"auth\.issuer_ca .* must be a PEM file"):
            Discovery(tmp_path / name)


async def test_nobody_is_asked_before_the_start() -> None:
    """Nor after the end: 503, as whenever an issuer can't be asked."""
    async with Discovery() as ended:
        pass
    for discovery in (Discovery(), ended):
        with pytest.raises(DiscoveryError, match="starting or stopping"):
            await discovery.ask("http://127.0.0.1:1")
