"""The refusals of the state protocol, each with its own name so that each gets its own status."""

from proxy import access
from proxy.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    LockedError,
    UnauthenticatedError,
    UnavailableError,
)


class AccessChangedError(UnavailableError):
    """The rights of whoever asks were changed while the request was under way: ask again."""


class BodyTooLargeError(InvalidInputError):
    """The body is longer than the server takes."""


class EncodedBodyError(InvalidInputError):
    """The body is compressed: nothing is unpacked here, so that no small one becomes a huge one."""


class UnsupportedTypeError(InvalidInputError):
    """The body is not declared as what is taken here."""


class ForgedReadError(InvalidInputError):
    """A GET that carries an upload's headers: a redirect on the way made a read of a write."""


class SlowUploadError(InvalidInputError):
    """The body did not arrive whole in time."""


class LockedByAnotherError(LockedError):
    """The workspace is locked, and the upload carries another lock's ID."""


class HeldBySomebodyElseError(LockedByAnotherError):
    """The upload carries the lock's ID, which each 423 shows, but somebody else took the lock."""


class LockIdMissingError(LockedError):
    """The workspace is locked, and the upload carries no lock ID."""


class LockRequiredError(LockIdMissingError):
    """The workspace takes no upload without a lock, and none is held."""


class ProtectedError(ForbiddenError):
    """The workspace is written by identities of an issuer alone, and this is none."""


class WorkspaceDeletedError(ConflictError):
    """The workspace is deleted: nothing of it is given out, and nothing taken in."""


class DestroyedError(WorkspaceDeletedError):
    """The version's bytes were destroyed by a purge."""


class PrunedError(DestroyedError):
    """The version's bytes were destroyed by retention."""


class NoOutputsError(ConflictError):
    """The outputs alone can't be taken out of a state of this kind."""


class LockGoneError(ConflictError):
    """The lock that the upload names is no longer held, and the state moved on."""


class LostUpdateError(ConflictError):
    """Another upload with the same serial and other content came first."""


class SerialRegressionError(ConflictError):
    """The upload is older than the stored state."""


class LineageChangedError(ConflictError):
    """The upload belongs to another state."""


class DamagedUploadError(UnavailableError):
    """The body is not what its Content-MD5 says: the client should send it again."""


class StrippedUnlockError(InvalidInputError):
    """Something between client and server took the body of an UNLOCK away."""


class LockRefusedError(LockedError):
    """The lock is not given.

    Attributes:
        info: LockInfo JSON that tells the client why: the holder's, or an explanation.
    """

    def __init__(self, message: str, info: bytes) -> None:
        super().__init__(message)
        self.info = info


class UnlockRefusedError(ConflictError):
    """The lock is somebody else's.

    Attributes:
        info: the holder's LockInfo JSON.
    """

    def __init__(self, message: str, info: bytes) -> None:
        super().__init__(message)
        self.info = info


class TooManyTriesError(UnavailableError):
    """So many logins failed that no password is looked at for some time.

    Attributes:
        retry_after: seconds until the next try is looked at.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ForeignRequestError(UnauthenticatedError):
    """A session's cookie came with a request that no page of ours made: no effect may follow.

    Attributes:
        principal: whose cookie it is, for the record; None is not known.
    """

    def __init__(self, message: str, principal: access.Principal | None = None) -> None:
        super().__init__(message)
        self.principal = principal
