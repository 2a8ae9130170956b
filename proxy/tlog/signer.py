"""What whoever signs promises; apart from those who do, so that it costs no import of theirs."""

from typing import Protocol


class Signer(Protocol):
    """Signs with one Ed25519 key (RFC 8032), wherever its private half is kept.

    The writer's thread calls it inside a transaction, one call at a time. It may be slow, and then
    every request waits; it returns or raises in bounded time.
    """

    @property
    def public_key(self) -> bytes:
        """The public half, 32 raw bytes; known without asking whoever signs."""
        ...

    @property
    def place(self) -> str:
        """Where the private half is kept, for people."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, 64 bytes: that of ``public_key``, and no other.

        Raises:
            UnavailableError: there is none; whoever called does nothing then.
        """
        ...

    def close(self) -> None:
        """Let go of what signing takes; safe to call twice."""
        ...
