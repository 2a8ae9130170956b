"""Failures of the API as problem details (RFC 9457), for programs that ask what went wrong.

Terraform's own protocol has its own words for a failure; what is here holds under ``/api/`` alone.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, Meta, Struct, UnsetType

from proxy.fields import FieldError
from proxy.server.targets import path_of
from proxy.statuses import STATUSES

MEDIA: Final = "application/problem+json"
_URN: Final = "urn:tfaudit:problem:"
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Problem(Struct, frozen=True):
    """Why a request failed (RFC 9457).

    Attributes:
        type: stable: programs tell problems apart by it.
        title: the status in words.
        status: the answer's status.
        detail: for people: what happened, on what, what to do now.
        audit_index: of the entry that records the failure; absent when none does.
        field: which field of the body was refused, as a path such as ``workspaces[0]``.
    """

    type: Annotated[str, Meta(pattern="^urn:tfaudit:problem:[a-z-]+$")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    audit_index: int | UnsetType = UNSET
    field: str | UnsetType = UNSET


def _kind(family: type) -> str:
    """Return ``not-found`` for NotFoundError: the name that the family has in the program."""
    return _WORD.sub("-", family.__name__.removesuffix("Error")).lower()


KINDS: Final[Mapping[str, int]] = {
    **{_kind(family): status for family, status in STATUSES.items()},
    "no-such-address": 404,
    "no-such-method": 405,
    "malformed-request": 400,
    "internal": 500,
}
"""The last part of each ``type`` that there is, and its status."""


def is_api(request: web.Request) -> bool:
    """Tell whether the request's failures are told as problem details."""
    return path_of(request).startswith("/api/")


def kind_of(error: BaseException) -> str:
    """Return the last part of the ``type`` of an error: of its nearest family."""
    for family in type(error).__mro__:
        if family in STATUSES:
            return _kind(family)
    return "internal"


def problem(
    kind: str, status: int, detail: str, error: BaseException | None = None
) -> web.Response:
    """Return the answer that tells of a failure.

    Args:
        kind: a key of KINDS.
        status: of the answer.
        detail: for people.
        error: whose field and entry are told, if it has them.
    """
    index = getattr(error, "audit_index", None)
    told = Problem(
        type=_URN + kind,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        audit_index=UNSET if index is None else index,
        field=(isinstance(error, FieldError) and error.field) or UNSET,
    )
    response = web.Response(
        status=status, body=msgspec.json.encode(told) + b"\n", content_type=MEDIA
    )
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


def with_index(response: web.Response, index: int | None) -> web.Response:
    """Return the answer, which now also names the entry that records it."""
    if index is None:
        return response
    response.headers["Audit-Index"] = str(index)
    if response.content_type == MEDIA and isinstance(response.body, bytes):
        told = msgspec.json.decode(response.body, type=Problem)
        told = msgspec.structs.replace(told, audit_index=index)
        response.body = msgspec.json.encode(told) + b"\n"
    return response
