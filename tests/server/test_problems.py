"""Tests of proxy.server.problems."""

import json

import pytest
from aiohttp import web

from proxy.errors import ConflictError, InvalidInputError, NotFoundError, TfauditError
from proxy.fields import FieldError
from proxy.refusals import AccessChangedError, BodyTooLargeError
from proxy.server.problems import KINDS, kind_of, problem, with_index
from proxy.statuses import STATUSES, status_of


def told(response: web.Response) -> dict[str, object]:
    """Return the problem."""
    assert isinstance(response.body, bytes)
    found: dict[str, object] = json.loads(response.body)
    return found


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFoundError("x"), "not-found"),
        (ConflictError("x"), "conflict"),
        (FieldError("x", "name"), "invalid-input"),
        (BodyTooLargeError("x"), "body-too-large"),
        (AccessChangedError("x"), "unavailable"),
        (RuntimeError("x"), "internal"),
    ],
)
def test_each_family_has_a_type_of_its_own(error: Exception, expected: str) -> None:
    """By the name that it has in the program; what is none of ours is told as nothing else."""
    assert expected == kind_of(error)
    assert expected in KINDS


def test_every_failure_that_has_a_status_has_a_type() -> None:
    """No two with different statuses share one."""
    for family in STATUSES:
        assert KINDS[kind_of(family.__new__(family))] == status_of(family.__new__(family))


def test_the_entry_and_the_field_are_told_when_there_are_any() -> None:
    """And are absent when not."""
    error = FieldError("grant: role: no", "role")
    error.audit_index = 7
    assert {
        "type": "urn:tfaudit:problem:invalid-input",
        "title": "Bad Request",
        "status": 400,
        "detail": "grant: role: no",
        "audit_index": 7,
        "field": "role",
    } == told(problem("invalid-input", 400, str(error), error))
    plain = told(problem("invalid-input", 400, "x", InvalidInputError("x")))
    assert {"type", "title", "status", "detail"} == set(plain)


def test_the_entry_can_be_told_later() -> None:
    """In the header and in the body alike; without one nothing changes."""
    response = with_index(problem("conflict", 409, "x", TfauditError("x")), 3)
    assert ("3", 3) == (response.headers["Audit-Index"], told(response)["audit_index"])
    assert "Audit-Index" not in with_index(problem("conflict", 409, "x"), None).headers
    assert b"x" == with_index(web.Response(body=b"x"), 3).body
