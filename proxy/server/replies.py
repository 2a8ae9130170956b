"""Writes the answers of the API: one object, or a page of a list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from proxy.fields import FieldError
from proxy.server.operations import JSON

T = TypeVar("T")

MAX_LIMIT: Final = 1000
_MAX_CURSOR: Final = 1024
_MARK: Final = b"after:"
"""What stands in front of a key in a cursor: a text that is none of ours is told as such."""


class PageParameters(Struct, frozen=True):
    """Which part of a list.

    Attributes:
        limit: at most so many items.
        cursor: where the page before ended: its ``next``.
    """

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 100
    cursor: Annotated[str, Meta(min_length=1, max_length=_MAX_CURSOR)] | None = None


def headers_of(content_type: str, index: int | None) -> dict[str, str]:
    """Return the headers of an answer that is for one reader: no cache on the way may keep it."""
    headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
    if index is not None:
        headers["Audit-Index"] = str(index)
    return headers


def json_reply(
    content: object, index: int | None = None, *, status: int = 200, location: str = ""
) -> web.Response:
    """Return an answer in JSON.

    Args:
        content: whatever msgspec can write.
        index: of the entry that records it, if one does.
        status: of the answer.
        location: of what was made.
    """
    headers = headers_of(JSON, index)
    if location:
        headers["Location"] = location
    return web.Response(body=msgspec.json.encode(content) + b"\n", status=status, headers=headers)


def page_of(
    items: Sequence[T], key: Callable[[T], str], parameters: PageParameters
) -> tuple[Sequence[T], str | None]:
    """Return one page, and the cursor of the next; None when this is the last.

    A cursor holds the key of the last item that was shown, not its place: what is made or taken
    away meanwhile neither repeats an item nor leaves one out.

    Args:
        items: all, in the order of their keys.
        key: unique.
        parameters: which page.

    Raises:
        InvalidInputError: the cursor is none.
    """
    if parameters.cursor is not None:
        after = _key_of(parameters.cursor)
        items = [item for item in items if key(item) > after]
    page = items[: parameters.limit]
    more = len(items) > len(page)
    return page, _cursor(key(page[-1])) if more else None


def list_reply(items: Sequence[Any], following: str | None) -> web.Response:
    """Return a page as ``{"items": […], "next": …}``."""
    return json_reply({"items": items, "next": following})


def _cursor(key: str) -> str:
    return urlsafe_b64encode(_MARK + key.encode()).decode().rstrip("=")


def _key_of(cursor: str) -> str:
    try:
        content = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if content.startswith(_MARK):
            return content.removeprefix(_MARK).decode()
    except ValueError:
        pass
    raise FieldError(
        "the parameter cursor is none that this server gave: send `next` of the page before as it "
        "is, or leave the parameter out to begin anew",
        "cursor",
    )
