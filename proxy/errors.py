"""The families of failure, named in words: HTTP statuses and exit codes are mapped elsewhere.

Every message is written for the person who reads it: what happened, on what, what to do now.
An error that carries a value of its own is declared beside that value and inherits a family.
"""


class TfauditError(Exception):
    """The root of every failure this product raises on purpose.

    Attributes:
        audit_index: index of the entry that records the failure, once one is committed.
    """

    audit_index: int | None = None


class InvalidInputError(TfauditError):
    """The request can't be understood; nothing was changed."""


class NotFoundError(TfauditError):
    """The thing named does not exist, and that is certain."""


class EntryPrunedError(NotFoundError):
    """It was there, and was archived and taken away under the retention policy."""


class ConflictError(TfauditError):
    """The request is well formed but contradicts what is stored."""


class LockedError(TfauditError):
    """The workspace's lock forbids it."""


class UnauthenticatedError(TfauditError):
    """Nobody is known to be asking: credentials are missing, wrong, expired or revoked."""


class ForbiddenError(TfauditError):
    """The one who asks is known and may not."""


class UnavailableError(TfauditError):
    """It could not be done or could not be told; nothing was changed; ask again."""


class HaltedError(UnavailableError):
    """The log must not grow from where it is, since it is not what others know it as."""


class VerificationError(TfauditError):
    """The evidence does not hold.

    Attributes:
        index: the first entry (index from 0) that is known to be bad, if one can be named.
    """

    def __init__(self, message: str, index: int | None = None) -> None:
        """Keep the message for people and the index for programs."""
        super().__init__(message)
        self.index = index


class MissingError(VerificationError):
    """What the evidence promises is not there."""


class SinkUnavailableError(TfauditError):
    """The far side did not take the entries: call again with the same ones."""


class SinkRejectedError(TfauditError):
    """The far side will never take these entries: set them aside."""


class ConfigError(TfauditError):
    """The configuration or the environment does not allow a start."""
