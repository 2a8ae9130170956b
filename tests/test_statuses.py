"""Tests of proxy.statuses."""

import inspect

import pytest

from proxy import errors, refusals
from proxy.statuses import STATUSES, status_of
from proxy.tfstate.document import NotAStateError, NotJsonError

_REFUSED_UPLOADS = {
    NotJsonError: 400,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    refusals.SlowUploadError: 408,
    refusals.LostUpdateError: 409,
    refusals.LockGoneError: 410,
    refusals.SerialRegressionError: 412,
    refusals.BodyTooLargeError: 413,
    refusals.EncodedBodyError: 415,
    refusals.LineageChangedError: 421,
    NotAStateError: 422,
    refusals.LockedByAnotherError: 423,
    refusals.WorkspaceDeletedError: 424,
    refusals.LockIdMissingError: 428,
}


@pytest.mark.parametrize(("error", "status"), _REFUSED_UPLOADS.items())
def test_each_refusal_of_an_upload_has_its_number(
    error: type[errors.TfauditError], status: int
) -> None:
    """The number is all that Terraform shows: "HTTP error: 412"."""
    assert status == status_of(error("no"))


def test_no_two_refusals_of_an_upload_share_a_number() -> None:
    """So that a number tells the refusal."""
    assert len(_REFUSED_UPLOADS) == len(set(_REFUSED_UPLOADS.values()))


def test_no_refusal_of_an_upload_is_tried_again_in_vain() -> None:
    """Terraform tries 5xx and 429 again; a refusal stays one."""
    assert not {429, *range(500, 600)} & set(_REFUSED_UPLOADS.values())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (refusals.LockRequiredError, 428),
        (refusals.ProtectedError, 403),
        (refusals.DestroyedError, 424),
        (refusals.NoOutputsError, 406),
    ],
)
def test_a_kindred_refusal_has_the_number_of_its_kind(
    error: type[errors.TfauditError], status: int
) -> None:
    """Whoever sees it does the same; and a state that is refused in part is never "no state"."""
    assert status == status_of(error("no"))


def test_a_refused_lock_says_that_it_is_held() -> None:
    """423 is what all clients read the holder's LockInfo from."""
    assert 423 == status_of(refusals.LockRefusedError("held", b"{}"))


def test_a_refused_unlock_is_a_conflict() -> None:
    """409, with the holder's LockInfo."""
    assert 409 == status_of(refusals.UnlockRefusedError("held", b"{}"))


def test_a_damaged_upload_is_sent_again() -> None:
    """5xx, so that the client repeats it."""
    assert 503 == status_of(refusals.DamagedUploadError("damaged"))


def test_whatever_is_no_failure_of_ours_is_an_internal_error() -> None:
    """A bug is a 500."""
    assert 500 == status_of(ValueError("a bug"))


def test_every_refusal_has_a_family_with_a_status() -> None:
    """None of the protocol's refusals falls through to 500."""
    kinds = [kind for _, kind in inspect.getmembers(refusals, inspect.isclass)]
    assert all(any(family in STATUSES for family in kind.__mro__) for kind in kinds)
    assert len(kinds) > 10


def test_only_certain_knowledge_is_not_found() -> None:
    """404 tells Terraform that there is no state, so nothing else may map to it."""
    assert [errors.NotFoundError] == [kind for kind, status in STATUSES.items() if status == 404]
