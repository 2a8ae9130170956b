"""The client certificate behind a request: of its own connection, or as a trusted proxy says."""

import ssl
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from aiohttp import web

from proxy.certificates import ClientCertificate, from_header, read_certificate
from proxy.errors import InvalidInputError, UnauthenticatedError
from proxy.server.connections import Connection
from proxy.server.peers import is_among
from proxy.server.tls import Revocations


class ClientCertificates:
    """Finds the certificate that proves who is asking, when nothing else does.

    Args:
        header: in which trusted proxies pass a certificate; empty believes none.
        form: what it holds, one of certificates.FORMS.
        trusted_proxies: networks of such proxies.
        revocations: which are not good any more.
        now: the present, with a time zone.
    """

    def __init__(
        self,
        header: str,
        form: str,
        trusted_proxies: tuple[IPv4Network | IPv6Network, ...],
        revocations: Revocations,
        now: Callable[[], datetime],
    ) -> None:
        self._header = header
        self._form = form
        self._trusted = trusted_proxies
        self._revocations = revocations
        self._now = now

    def of(self, request: web.Request) -> ClientCertificate | None:
        """Return the certificate; None when there is none.

        Raises:
            UnauthenticatedError: there is one that is not good, or it can't be told which.
        """
        try:
            found = self._find(request)
        except InvalidInputError as error:
            raise UnauthenticatedError(str(error)) from error
        if found is None:
            return None
        if found.not_before is not None and found.not_after is not None:
            if not found.not_before <= self._now() <= found.not_after:
                raise UnauthenticatedError(
                    "the client's certificate is not valid now, but from "
                    f"{found.not_before.isoformat()} until {found.not_after.isoformat()}"
                )
            if self._revocations.is_revoked(found):
                raise UnauthenticatedError("the client's certificate was revoked by its CA")
        return found

    def _find(self, request: web.Request) -> ClientCertificate | None:
        # Between such a proxy and us there may be a certificate, too: the proxy's own, which says
        # nothing of whoever asks it.
        if is_among(request.remote or "", self._trusted):
            if not self._header:
                return None
            given = [each.strip() for each in request.headers.getall(self._header, ())]
            if len(given) > 1:
                raise InvalidInputError(
                    f"there are {len(given)} headers {self._header}, and no telling which is right"
                )
            return from_header(given[0], self._form) if given and given[0] else None
        connection = request.protocol
        if not isinstance(connection, Connection):
            return None
        if connection.certificate is None:
            connection.certificate = _presented_on(request)
        return connection.certificate or None


def _presented_on(request: web.Request) -> ClientCertificate | Literal[False]:
    """Return the certificate of a connection's handshake; False when there was none."""
    tls = request.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return False
    # What was not verified has ended the handshake, but for a context that verifies nothing.
    if tls.context.verify_mode is ssl.CERT_NONE:
        return False
    der = tls.getpeercert(binary_form=True)
    return False if der is None else read_certificate(der)
