"""The names by which a client certificate proves a principal, and how they are written.

A name is the certificate's subject as RFC 4514 writes it, most specific part first
(``CN=ci,O=Acme``), or one of its subject alternative names (RFC 5280 section 4.2.1.6) as
``DNS:…``, ``URI:…`` or ``EMAIL:…``. Names are compared to the letter, in the one form that
``canonical_name`` returns; nothing is ever matched in part or by a wildcard.
"""

import re
import warnings
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from proxy.errors import InvalidInputError

MAX_NAME: Final = 500
"""Characters of a name that can be given to a principal."""

HOW: Final = (
    "write the whole subject as RFC 4514 does, most specific part first (CN=ci,OU=Build,O=Acme), "
    "or DNS:ci.example.com, URI:spiffe://example.com/ci or EMAIL:ci@example.com; "
    "`openssl x509 -in FILE -noout -ext subjectAltName -subject -nameopt RFC2253,-esc_msb` "
    "shows them"
)

FORMS: Final = ("rfc9440", "pem", "subject")
"""How a proxy passes a certificate in a header: RFC 9440, PEM in percent-encoding, its subject."""

# What RFC 4514 section 3 has no short name for is named as OpenSSL does, and so nginx.
_NAMES: Final = {
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.SURNAME: "SN",
    NameOID.GIVEN_NAME: "GN",
    NameOID.TITLE: "title",
    NameOID.INITIALS: "initials",
    NameOID.GENERATION_QUALIFIER: "generationQualifier",
    NameOID.DN_QUALIFIER: "dnQualifier",
    NameOID.PSEUDONYM: "pseudonym",
    NameOID.BUSINESS_CATEGORY: "businessCategory",
    NameOID.POSTAL_CODE: "postalCode",
    NameOID.ORGANIZATION_IDENTIFIER: "organizationIdentifier",
}
_OIDS: Final[dict[str, ObjectIdentifier]] = {
    **{name: oid for oid, name in _NAMES.items()},
    "street": NameOID.STREET_ADDRESS,
}

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises of bytes that are no certificate, or a strange one."""

_CLIENTS: Final = ExtendedKeyUsageOID.CLIENT_AUTH
_DNS: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", re.ASCII)
_EMAIL: Final = re.compile(r"[!-~]+@[a-z0-9.-]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# A value in hexadecimal (RFC 4514 section 2.4) could be of any type: it is not guessed at.
_HEXADECIMAL: Final = re.compile(r"(?:^|[,+])[A-Za-z0-9.-]+=#")

_SEQUENCE: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):", re.ASCII)
_ONE_PEM: Final = re.compile(
    rb"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What is known of a client's certificate, or of its subject alone.

    Attributes:
        names: its subject and alternative names, in the one form.
        sha256: of its DER form, hex; empty when only the subject is known.
        not_before: its first moment; None when only the subject is known.
        not_after: its last moment; None when only the subject is known.
        issuer: DER of its issuer's name.
        serial: unique among the issuer's.
    """

    names: tuple[str, ...]
    sha256: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    issuer: bytes = b""
    serial: int = 0


def canonical_name(text: str) -> str:
    """Return the name when it is written in the one form in which names are compared.

    Raises:
        InvalidInputError: it is not; says how it is written.
    """
    if _CONTROL.search(text) or len(text) > MAX_NAME:
        raise InvalidInputError(f"a certificate's name is one line of {MAX_NAME} characters: {HOW}")
    kind, colon, value = text.partition(":")
    if colon and kind.upper() in _ALTERNATIVES and "=" not in kind:
        wanted = f"{kind.upper()}:{_lowered(kind.upper(), value)}"
        if text != wanted:
            raise InvalidInputError(f"the certificate's name {text} is written {wanted}")
        if not _ALTERNATIVES[kind].fullmatch(value):
            star = "wildcards are not matched; " if "*" in value else ""
            raise InvalidInputError(f"{text} is no name of a certificate: {star}{HOW}")
        return text
    try:
        wanted = subject_of(text)
    except InvalidInputError:
        # What `openssl x509 -subject` prints without more has blanks, and the other order.
        raise InvalidInputError(f"{text} is no name of a certificate: {HOW}") from None
    if text != wanted:
        raise InvalidInputError(f"the certificate's name {text} is written {wanted}")
    return text


def subject_of(text: str) -> str:
    """Return a subject in the one form, from RFC 4514 text of OpenSSL, nginx or anybody.

    Raises:
        InvalidInputError: it can't be read, or is empty.
    """
    unreadable = InvalidInputError("the certificate's subject can't be read")
    if not text or _HEXADECIMAL.search(text):
        raise unreadable
    try:
        text.encode()
        with _quiet():
            return _written(x509.Name.from_rfc4514_string(text, _OIDS))
    except ValueError:
        raise unreadable from None


def read_certificate(der: bytes) -> ClientCertificate:
    """Return what is known of a certificate.

    Raises:
        InvalidInputError: it can't be read, or is not one for clients.
    """
    try:
        with _quiet():
            return _known(x509.load_der_x509_certificate(der))
    except _UNREADABLE:
        raise InvalidInputError("the client's certificate can't be read") from None


def from_header(value: str, form: str) -> ClientCertificate:
    """Return the certificate that a trusted proxy passes in a header.

    Args:
        value: of the only header of its name.
        form: one of FORMS: ``rfc9440`` is a byte sequence (RFC 9440 section 2.1), ``pem`` PEM in
            percent-encoding (nginx's ``$ssl_client_escaped_cert``), ``subject`` the subject alone
            (nginx's ``$ssl_client_s_dn``).

    Raises:
        InvalidInputError: it is not in this form.
    """
    if form == "subject":
        return ClientCertificate((subject_of(value),))
    try:
        der = _sequence(value) if form == "rfc9440" else _pem(value)
    except ValueError:
        raise InvalidInputError("the client's certificate can't be read") from None
    return read_certificate(der)


def _sequence(value: str) -> bytes:
    found = _SEQUENCE.fullmatch(value)
    if found is None:
        raise ValueError
    return b64decode(found[1], validate=True)


def _pem(value: str) -> bytes:
    text = unquote_to_bytes(value)
    if not _ONE_PEM.fullmatch(text):
        raise ValueError
    return b64decode(b"".join(text.strip().splitlines()[1:-1]), validate=True)


def _known(found: x509.Certificate) -> ClientCertificate:
    names = [_written(found.subject)] if found.subject.rdns else []
    for value in (each.value for each in found.extensions):
        if isinstance(value, x509.ExtendedKeyUsage) and _CLIENTS not in value:
            raise InvalidInputError("the client's certificate is not issued for clients")
        if isinstance(value, x509.SubjectAlternativeName):
            names += map(_alternative, value)
    return ClientCertificate(
        names=tuple(dict.fromkeys(filter(None, names))),
        sha256=found.fingerprint(hashes.SHA256()).hex(),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        issuer=found.issuer.public_bytes(),
        serial=found.serial_number,
    )


_ALTERNATIVES: Final = {"DNS": _DNS, "URI": _URI, "EMAIL": _EMAIL}
_KINDS: Final[dict[type[x509.GeneralName], str]] = {
    x509.DNSName: "DNS",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "EMAIL",
}


def _alternative(name: x509.GeneralName) -> str:
    """Return an alternative name in the one form; empty for kinds that prove nobody."""
    kind = _KINDS.get(type(name))
    return "" if kind is None else f"{kind}:{_lowered(kind, name.value)}"


def _lowered(kind: str, value: str) -> str:
    """Return the value with what has no case in lower case (RFC 5280 section 7.2, 7.5)."""
    if kind == "DNS":
        return value.lower()
    if kind == "EMAIL":
        mailbox, at, host = value.rpartition("@")
        return f"{mailbox}{at}{host.lower()}"
    return value


def _written(name: x509.Name) -> str:
    # Parts that stand together are a set: DER has an order for them, text has not.
    return ",".join(
        "+".join(sorted(each.rfc4514_string(_NAMES) for each in part))
        for part in reversed(name.rdns)
    )


class _quiet(warnings.catch_warnings):  # noqa: N801 - reads as a statement
    """Hold back what the library warns of: a common name that is too long is still a name."""

    def __init__(self) -> None:
        super().__init__(record=False, action="ignore")
