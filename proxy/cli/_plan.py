"""Draws redacted changes the way people know a plan: + green, ~ yellow, - red.

Nothing here renders a value of a state itself: what comes in passed `tfstate.redact` already.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import typer

from proxy.cli._output import clean

if TYPE_CHECKING:
    from proxy.tfstate.redact import RedactedChanges

_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "create": ("+", "green"),
    "add": ("+", "green"),
    "update": ("~", "yellow"),
    "change": ("~", "yellow"),
    "taint": ("~", "yellow"),
    "untaint": ("~", "yellow"),
    "replace": ("~", "yellow"),
    "delete": ("-", "red"),
    "remove": ("-", "red"),
}
_NO_VALUE: Final = object()


def plan_lines(changes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a drawn plan, coloured, without line ends.

    Args:
        changes: the ``changes`` object of an entry, or the whole redacted change document.
    """
    for item in changes.get("items", ()):
        yield from _item_lines(item)
    for name, value in changes.items():
        if name not in {"resources", "outputs", "items", "omitted", "sha256"}:
            yield f"  {clean(name)}: {_shown(value)}"
    omitted = changes.get("omitted", 0)
    if omitted:
        yield f"  … and {omitted} more"


def _item_lines(item: Mapping[str, Any]) -> Iterator[str]:
    action = str(item.get("action", "update"))
    sign, colour = _SIGNS.get(action, ("~", "yellow"))
    yield typer.style(f"  {sign} {_name(item)}", fg=colour, bold=True) + _remark(action)
    for path, change in _attributes(item).items():
        before = change.get("before", _NO_VALUE)
        after = change.get("after", _NO_VALUE)
        if before is _NO_VALUE or action in {"create", "add"}:
            text, colour = f"+ {clean(path)} = {_shown(after)}", "green"
        elif after is _NO_VALUE or action in {"delete", "remove"}:
            text, colour = f"- {clean(path)} = {_shown(before)}", "red"
        else:
            text, colour = f"~ {clean(path)} = {_shown(before)} -> {_shown(after)}", "yellow"
        yield typer.style(f"      {text}", fg=colour)
    yield ""


def plan_of(redacted: "RedactedChanges") -> dict[str, Any]:
    """Return the whole change document, also when it was cut to fit into an entry."""
    if redacted.document is None:
        return redacted.entry
    whole: dict[str, Any] = orjson.loads(redacted.document)
    return whole


def _name(item: Mapping[str, Any]) -> str:
    return clean(str(item.get("address", "?")))


def _remark(action: str) -> str:
    return f"  ({clean(action)})" if action not in {"create", "update", "delete"} else ""


def _attributes(item: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    attributes = item.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _shown(value: object) -> str:
    """Return a value as JSON on one line; a redacted one as the commitment that stands for it."""
    if isinstance(value, dict) and set(value) == {"redacted"}:
        return f"(redacted {clean(str(value['redacted']))})"
    return clean(orjson.dumps(value).decode())
