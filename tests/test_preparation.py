"""Tests of proxy.preparation."""

import hashlib
import json

import pytest

from proxy.contracts import StateVersion
from proxy.errors import UnavailableError
from proxy.preparation import (
    Failed,
    Keys,
    Order,
    Preparation,
    Prepared,
    error_of,
    failure_of,
    open_sealed,
)
from proxy.refusals import DamagedUploadError
from proxy.tfstate.aftermath import Aftermath
from proxy.tfstate.document import NotAStateError, NotJsonError
from proxy.worker import decode_answer, encode
from tests.test_preparers import KEYS, SALT, state, version_of


def test_an_upload_is_described_and_sealed() -> None:
    """Header, digest and size are the body's, and only its own version opens what is sealed."""
    body = state(7)
    prepared = Preparation(KEYS).carry_out(Order("w", SALT, "id-1", body))

    assert ("v4", "l", 7, "1.11.4") == (
        prepared.kind,
        prepared.lineage,
        prepared.serial,
        prepared.terraform_version,
    )
    assert (hashlib.sha256(body).hexdigest(), len(body)) == (prepared.sha256, prepared.size)
    assert body == open_sealed(version_of("id-1", prepared), prepared.sealed, KEYS.master)


def test_only_of_a_runs_upload_is_told_what_it_leaves_behind() -> None:
    """Nobody asks of the others, so nobody pays for it; also when the base is remembered."""
    order = Order("w", SALT, "id-1", state(1))
    assert Preparation(KEYS).carry_out(order).aftermath is None
    order.is_of_run = True
    assert order.without_base().is_of_run
    found = Preparation(KEYS).carry_out(order)
    assert found.aftermath == Aftermath((0, 0, 0))
    assert found == decode_answer(encode(found)[8:])


@pytest.mark.parametrize("form", ["remembered", "at hand", "sealed"])
def test_the_version_before_is_compared_however_it_comes(form: str) -> None:
    """From memory, as a body, or sealed: the change is the same."""
    preparation = Preparation(KEYS)
    first = preparation.carry_out(Order("w", SALT, "id-1", state(1)))
    base = version_of("id-1", first)
    order = Order("w", SALT, "id-2", state(2), base=base)
    if form == "at hand":
        preparation, order.base_body = Preparation(KEYS), state(1)
    if form == "sealed":
        preparation, order.base_sealed = Preparation(KEYS), first.sealed

    changes = json.loads(preparation.carry_out(order).changes)

    assert {"added": 0, "changed": 1, "removed": 0} == changes["outputs"]


@pytest.mark.parametrize("sealed", [None, b"", b"x" * 200])
def test_nothing_is_sealed_when_the_version_before_cannot_be_opened(sealed: bytes | None) -> None:
    """The master key may be another's: what is sealed with it could be lost."""
    base = version_of("id-1", Preparation(KEYS).carry_out(Order("w", SALT, "id-1", state(1))))
    order = Order("w", SALT, "id-2", state(2), base=base, base_sealed=sealed)
    with pytest.raises(UnavailableError):
        Preparation(KEYS).carry_out(order)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (Order("w", SALT, "i", b"{"), NotJsonError),
        (Order("w", SALT, "i", b"{}"), NotAStateError),
        (Order("w", SALT, "i", state(1), content_md5="AAAA"), DamagedUploadError),
    ],
)
def test_a_failure_is_told_by_name(order: Order, error: type[Exception]) -> None:
    """What a worker tells becomes the same error with the same text."""
    with pytest.raises(error) as raised:
        Preparation(KEYS).carry_out(order)

    told = error_of(failure_of(raised.value, 5))

    assert (error, str(raised.value)) == (type(told), str(told))


def test_a_bug_tells_no_data() -> None:
    """The text of an unforeseen error may hold a value of the state."""
    failed = failure_of(ValueError("hunter2"), 5)

    assert Failed("", "the upload could not be prepared: ValueError", 5) == failed
    assert isinstance(error_of(failed), UnavailableError)


def test_keys_are_not_shown() -> None:
    """Neither alone nor in something that holds them."""
    assert "m" * 8 not in repr((Keys(b"m" * 32, b"r" * 32),))


def test_another_version_opens_nothing() -> None:
    """A body is bound to its version."""
    prepared = Preparation(KEYS).carry_out(Order("w", SALT, "id-1", state(1)))
    other: StateVersion = version_of("id-2", prepared)
    with pytest.raises(UnavailableError):
        open_sealed(other, prepared.sealed, KEYS.master)
    assert isinstance(prepared, Prepared)
