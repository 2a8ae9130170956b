"""The one table from a failure's family to its HTTP status (RFC 9110; 423 is RFC 4918's).

Terraform shows a user nothing of a refused upload but its number ("HTTP error: 409"), so every
refusal of an upload has a number of its own. None of them is one that clients try again (5xx,
429), except where trying again is right.
"""

from collections.abc import Mapping
from typing import Final

from proxy import errors, refusals
from proxy.tfstate.document import NotAStateError

STATUSES: Final[Mapping[type[errors.TfauditError], int]] = {
    errors.InvalidInputError: 400,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    refusals.ForeignRequestError: 403,
    errors.NotFoundError: 404,
    refusals.NoOutputsError: 406,
    refusals.SlowUploadError: 408,
    errors.ConflictError: 409,
    refusals.LockGoneError: 410,
    errors.EntryPrunedError: 410,
    refusals.SerialRegressionError: 412,
    refusals.BodyTooLargeError: 413,
    refusals.EncodedBodyError: 415,
    refusals.UnsupportedTypeError: 415,
    refusals.LineageChangedError: 421,
    NotAStateError: 422,
    errors.LockedError: 423,
    refusals.WorkspaceDeletedError: 424,
    refusals.LockIdMissingError: 428,
    refusals.TooManyTriesError: 429,
    errors.UnavailableError: 503,
}


def status_of(error: BaseException) -> int:
    """Return the status of the error's nearest family; 500 for whatever is a bug of ours."""
    for family in type(error).__mro__:
        if family in STATUSES:
            return STATUSES[family]
    return 500
