"""HTTPS: the server's certificate, whose client certificates are believed, which are revoked."""

import re
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from proxy.certificates import ClientCertificate
from proxy.config import ServerConfig
from proxy.errors import ConfigError
from proxy.logs import Logger

_ONE_LIST: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

_log = Logger("tfaudit.server")


def open_tls(server: ServerConfig) -> ssl.SSLContext | None:
    """Return how connections are protected; None leaves them plain.

    OpenSSL checks a client's certificate as RFC 5280 section 6 says, and that it is not issued for
    servers alone (section 4.2.1.12).

    Raises:
        ConfigError: a file can't be used.
    """
    if server.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key that wants a password can't be asked for one here: the empty one makes it fail.
        context.load_cert_chain(server.certificate, server.private_key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"server.certificate {server.certificate} with server.private_key "
            f"{server.private_key} can't be used: {error}"
        ) from error
    if server.client_ca is not None:
        _load(context, "client_ca", server.client_ca)
        required = server.require_client_certificate
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        # One issuing CA may be believed without all that its root issues.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if server.client_crl is not None:
        _load(context, "client_crl", server.client_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _load(context: ssl.SSLContext, key: str, path: Path) -> None:
    before = context.cert_store_stats()
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"server.{key} {path} can't be used: {error}") from error
    kind, what = ("x509_ca", "CA certificate") if key == "client_ca" else ("crl", "revocation list")
    if context.cert_store_stats()[kind] == before[kind]:
        raise ConfigError(f"server.{key} {path} can't be used: there is no {what} in it")


class Revocations:
    """Which client certificates were revoked, by the file of lists as it is now.

    OpenSSL looks at the lists when a connection begins. But a connection may live for long, and
    another may resume its session, so that each request is looked at, too.

    Args:
        path: of the lists, PEM; None revokes nothing.
        context: is given new lists, too.

    Raises:
        ConfigError: the file can't be used.
    """

    def __init__(self, path: Path | None, context: ssl.SSLContext | None) -> None:
        self._path = path
        self._context = context
        self._lists: dict[bytes, list[x509.CertificateRevocationList]] = {}
        self._version: tuple[int, ...] = ()
        if path is not None:
            try:
                self._read(path)
            except (OSError, ValueError, x509.InvalidVersion) as error:
                raise ConfigError(f"server.client_crl {path} can't be used: {error}") from error

    def is_revoked(self, certificate: ClientCertificate) -> bool:
        """Tell whether one of its issuer's lists names it."""
        return any(
            each.get_revoked_certificate_by_serial_number(certificate.serial) is not None
            for each in self._lists.get(certificate.issuer, ())
        )

    def refresh(self) -> None:
        """Read the file again if it changed; what can't be read leaves the lists as they are."""
        if self._path is None or self._context is None:
            return
        try:
            if self._version == _version(self._path):
                return
            self._context.load_verify_locations(self._path)
            self._read(self._path)
        except (OSError, ValueError, x509.InvalidVersion) as error:  # ssl.SSLError is an OSError
            _log.warning("server.client_crl can't be read, the lists stay", error=str(error))
        else:
            _log.info("read the revocation lists", path=str(self._path))

    def _read(self, path: Path) -> None:
        version = _version(path)
        lists: dict[bytes, list[x509.CertificateRevocationList]] = {}
        for text in _ONE_LIST.findall(path.read_bytes()):
            found = x509.load_pem_x509_crl(text)
            lists.setdefault(found.issuer.public_bytes(), []).append(found)
        if not lists:
            raise ValueError("there is no revocation list in it")
        self._lists = lists
        self._version = version


def _version(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
