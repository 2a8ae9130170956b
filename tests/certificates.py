"""CAs and certificates made for a test, and the files that programs want of them."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH
SERVERS = ExtendedKeyUsageOID.SERVER_AUTH
DAY = timedelta(days=1)


def dn(text: str) -> x509.Name:
    """Return the name that RFC 4514 text says; ``emailAddress`` is known."""
    return x509.Name.from_rfc4514_string(text, {"emailAddress": NameOID.EMAIL_ADDRESS})


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    def files(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write the certificate and the key."""
        paths = directory / f"{name}.pem", directory / f"{name}-key.pem"
        paths[0].write_text(self.pem)
        paths[1].write_text(self.key_pem)
        return paths


class Authority:
    """A CA."""

    def __init__(self, name: str = "CN=Test CA") -> None:
        self.pair = _signed(dn(name), None, [x509.BasicConstraints(ca=True, path_length=None)])

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.pair.pem

    def issue(
        self,
        subject: str | x509.Name = "CN=ci,O=Acme",
        names: Sequence[x509.GeneralName] = (),
        usage: Sequence[ObjectIdentifier] | None = (CLIENTS,),
        not_before: timedelta = -DAY,
        not_after: timedelta = DAY,
    ) -> Pair:
        """Issue a certificate, by default one for clients, valid now."""
        more: list[x509.ExtensionType] = []
        if names:
            more.append(x509.SubjectAlternativeName(names))
        if usage is not None:
            more.append(x509.ExtendedKeyUsage(usage))
        return _signed(
            dn(subject) if isinstance(subject, str) else subject,
            self.pair,
            more,
            not_before,
            not_after,
        )

    def server(self) -> Pair:
        """Issue a certificate for a server on this machine."""
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        return self.issue("CN=localhost", names, (SERVERS,))

    def revoked(self, *pairs: Pair, age: timedelta = DAY) -> str:
        """Return a revocation list with these certificates, PEM; made so long ago."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.pair.certificate.subject, last_update=now - age, next_update=now + DAY
        )
        for pair in pairs:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(
                    serial_number=pair.certificate.serial_number, revocation_date=now - DAY
                ).build()
            )
        return builder.sign(self.pair.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _signed(
    subject: x509.Name,
    issuer: Pair | None,
    extensions: Sequence[x509.ExtensionType],
    not_before: timedelta = -DAY,
    not_after: timedelta = DAY,
) -> Pair:
    key = generate_private_key(SECP256R1())
    signer = Pair(None, key) if issuer is None else issuer  # type: ignore[arg-type] # its own
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + not_before)
        .not_valid_after(now + not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()),
            critical=False,
        )
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=isinstance(each, x509.BasicConstraints))
    return Pair(builder.sign(signer.key, hashes.SHA256()), key)


@cache
def authority() -> Authority:
    """Return the CA that most tests believe."""
    return Authority()


def client_context(
    ca: Authority, directory: Path, pair: Pair | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return how a client connects: whose servers it believes, and what it presents."""
    context = ssl.create_default_context(cadata=ca.pem)
    if pair is not None:
        context.load_cert_chain(*pair.files(directory, f"client-{pair.certificate.serial_number}"))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
