"""What a save leaves behind that somebody must look after: tainted objects, failed checks, nothing.

It is found in what differs between two versions, and in the list of check results: no resource is
decoded that is the same in both. What comes out is redacted by whoever renders the addresses.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from proxy.tfstate.diff import Address, Changes, checks, members
from proxy.tfstate.document import NOTHING, Document, Slice

_SHOWN: Final = 20
"""Addresses of each kind; the rest are counted."""
_SHOWN_BYTES: Final = 1_500
"""Of the addresses of each kind, so that an entry has room for them beside its changes."""
_FAILED: Final = frozenset({"fail", "error"})


class Named(msgspec.Struct, array_like=True, frozen=True):
    """Some addresses, redacted, and how many more there are."""

    shown: tuple[str, ...] = ()
    omitted: int = 0


class Aftermath(msgspec.Struct, array_like=True, frozen=True):
    """What a save leaves behind.

    Attributes:
        resources: how many it added, changed and removed; None when it can't be told.
        tainted: objects that differ from the version before, and are tainted.
        untainted: objects that were tainted, and are not any more, or are gone.
        failed_checks: checks and conditions that fail, whether or not they differ.
        is_emptied: whether the version before had resources, and this one has none.
    """

    resources: tuple[int, int, int] | None
    tainted: Named = Named()
    untainted: Named = Named()
    failed_checks: Named = Named()
    is_emptied: bool = False


def aftermath(  # noqa: PLR0913, PLR0917 - two versions, what differs, and how it is shown
    old: Document | None,
    new: Document,
    changes: Changes,
    counted: tuple[int, int, int],
    address: Callable[[Address], str],
    address_text: Callable[[str], str],
) -> Aftermath:
    """Tell what a save leaves behind.

    Args:
        old: the version before; None when there was none.
        new: the version now.
        changes: what differs between them.
        counted: how many objects were added, changed and removed.
        address: shows an address without its secrets.
        address_text: the same of one that is given as a text.
    """
    if any(changes.encrypted):
        return Aftermath(None)
    tainted: list[Address] = []
    untainted: list[Address] = []
    for change in changes.resources:
        if change.after is not None and change.after.tainted:
            tainted.append(change.address)
        elif change.before is not None and change.before.tainted:
            untainted.append(change.address)
    return Aftermath(
        counted,
        _named(map(address, tainted), len(tainted)),
        _named(map(address, untainted), len(untainted)),
        _failed(new.check_results, address_text),
        bool(changes.resources) and _has_objects(old) and not _has_objects(new),
    )


def _failed(results: Slice, address_text: Callable[[str], str]) -> Named:
    """Return which checks fail; results that all pass are not decoded."""
    text = b"" if results is NOTHING else bytes(results)
    if not any(b'"%b"' % status.encode() in text for status in _FAILED):
        return Named()
    failed = [name for name, result in checks(results) if result["status"] in _FAILED]
    return _named(map(address_text, failed), len(failed))


def _named(addresses: Iterable[str], number: int) -> Named:
    """Return the first of some addresses, as many as an entry has room for."""
    shown: list[str] = []
    left = _SHOWN_BYTES
    for address in addresses:
        left -= len(address.encode("utf-8", "replace")) + 3
        if left < 0 or len(shown) == _SHOWN:
            break
        shown.append(address)
    return Named(tuple(shown), number - len(shown))


def _has_objects(document: Document | None) -> bool:
    """Tell whether a state has any object; one of version 1, which is opaque, has."""
    if document is None:
        return False
    if document.kind == "v4":
        return bool(document.resources)
    return document.kind == "v1" or any(
        members(members(module).get("resources", NOTHING)) for module in document.resources
    )
