"""Which far sides a sink believes over TLS, and which certificate it shows them."""

import ssl
from collections.abc import Callable
from typing import Protocol

from proxy.sinks.contract import NotTakenError


class TrustOptions(Protocol):
    """Options that name PEM files on the server; empty ones name none."""

    @property
    def ca(self) -> str:
        """Authorities that are trusted beside those of the system."""

    @property
    def client_certificate(self) -> str:
        """A certificate to show."""

    @property
    def client_key(self) -> str:
        """Its key, if that is in a file of its own."""


def trusting(
    options: TrustOptions, who: str, why: Callable[[OSError | ValueError], str]
) -> ssl.SSLContext:
    """Return how far sides are verified; reads files.

    Args:
        options: name the files.
        who: is asked, for people.
        why: says of an error in words why a file can't be used.

    Raises:
        NotTakenError: one of them can't be.
    """
    context = ssl.create_default_context()
    name = "ca"
    try:
        if options.ca:
            context.load_verify_locations(options.ca)
        if options.client_certificate:
            name = "client_certificate"
            context.load_cert_chain(
                options.client_certificate,
                options.client_key or None,
                password=lambda: "",  # one that needs a password must not ask a terminal
            )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        failure = f"{who} can't be asked: the file of the option {name}: {why(error)}"
    else:
        return context
    raise NotTakenError(failure, needs_repair=True)  # not chained: an error may quote the file
