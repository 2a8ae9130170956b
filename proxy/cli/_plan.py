"""Draws redacted changes and states the way people know plans: + green, ~ yellow, - red.

Nothing here renders a value of a state itself: what comes in passed `tfstate.redact` already.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
import typer

from proxy.cli._output import clean

if TYPE_CHECKING:
    from proxy.tfstate.fitting import RedactedChanges

_ADDED: Final = ("+", "green")
_CHANGED: Final = ("~", "yellow")
_REMOVED: Final = ("-", "red")
_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "create": _ADDED,
    "delete": _REMOVED,
    "depose": _REMOVED,
}
_REMARKS: Final[Mapping[str, str]] = {
    "taint": "is tainted: the next apply replaces it",
    "untaint": "is no longer tainted",
    "depose": "is deposed: its replacement is not finished",
    "no-op": "has the same attributes",
    "check": "has another result",
}


def plan_of(redacted: "RedactedChanges") -> dict[str, Any]:
    """Return the whole ``changes`` object, also when it had to be cut to fit into an entry."""
    if redacted.document is None:
        return redacted.entry
    whole: dict[str, Any] = orjson.loads(redacted.document)
    return whole


def plan_lines(changes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a drawn plan, coloured, without line ends.

    Args:
        changes: the ``changes`` object of an entry, or the whole one.
    """
    if "encrypted" in changes:
        yield "  The state is encrypted by OpenTofu: what changed in it can't be told."
        return
    for item in changes["items"]:
        yield from _item_lines(item)
    if "terraform_version" in changes:
        yield _change_line("terraform_version", changes["terraform_version"], "  ")
    if "other" in changes:
        yield f"  ~ also: {', '.join(clean(str(name)) for name in changes['other'])}"
    if changes["omitted"]:
        yield f"  … and {changes['omitted']} more"
    if not changes["items"] and not {"terraform_version", "other"} & changes.keys():
        yield "No changes."
        return
    yield f"Resources: {_counts(changes['resources'])}. Outputs: {_counts(changes['outputs'])}."


def state_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a drawn state, without line ends.

    Args:
        shown: what ``Redactor.document`` returns.
    """
    version = shown["terraform_version"] or "unknown"
    yield (
        f"Serial {shown['serial']}, lineage {clean(str(shown['lineage']))}, "
        f"Terraform {clean(str(version))}"
    )
    if "resources" not in shown:
        yield "The state is encrypted by OpenTofu: what is in it can't be shown."
        return
    for resource in shown["resources"]:
        remark = "  (is tainted)" if resource.get("tainted") else ""
        yield ""
        yield typer.style(clean(resource["address"]), bold=True) + remark
        for path, value in resource["attributes"].items():
            yield f"    {clean(path)} = {_shown(value)}"
    if shown["outputs"]:
        yield ""
        yield typer.style("Outputs", bold=True)
        for name, value in shown["outputs"].items():
            yield f"    {clean(name)} = {_shown(value)}"


def _item_lines(item: Mapping[str, Any]) -> Iterator[str]:
    action = item["action"]
    sign, colour = _SIGNS.get(action, _CHANGED)
    remark = _REMARKS.get(action, "")
    if not remark and item.get("tainted"):
        remark = "is tainted"
    head = typer.style(f"  {sign} {clean(item['address'])}", fg=colour, bold=True)
    yield f"{head}  ({remark})" if remark else head
    for path, sides in item["attributes"].items():
        yield _change_line(path, sides, "      ")
    for name, sides in item.get("settings", {}).items():
        yield _change_line(f"({name})", sides, "      ")
    if item.get("omitted"):
        yield f"      … and {item['omitted']} more attributes"


def _change_line(path: str, sides: Mapping[str, Any], indent: str) -> str:
    """Return a line for one attribute: a side that is absent makes it an addition or removal."""
    if sides == {"changed": True}:
        (sign, colour), shown = _CHANGED, "(changed)"
    elif "before" not in sides:
        (sign, colour), shown = _ADDED, _shown(sides.get("after"))
    elif "after" not in sides:
        (sign, colour), shown = _REMOVED, _shown(sides["before"])
    else:
        sign, colour = _CHANGED
        shown = f"{_shown(sides['before'])} -> {_shown(sides['after'])}"
    return indent + typer.style(f"{sign} {clean(path)} = {shown}", fg=colour)


def _shown(value: object) -> str:
    """Return a value on one line; a secret as the commitment that stands for it."""
    if isinstance(value, dict):
        if value.keys() == {"redacted"}:
            return f"(sensitive {clean(value['redacted'])})"
        if value == {"hidden": True}:
            return "(not shown)"
        if value.keys() == {"number"}:
            return clean(value["number"])
        if value.keys() == {"text", "bytes", "digest"}:
            return f"{_shown(value['text'])}… ({value['bytes']} bytes, {clean(value['digest'])})"
    return clean(orjson.dumps(value).decode())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())
