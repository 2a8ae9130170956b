"""What a person is told of an event: who, what, where, from where, with which outcome.

Of a change its counts are told and no value: messages go to places where many read.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from proxy.sinks.contract import Event

Severity: TypeAlias = Literal["info", "warning", "error"]

_BAD: Final[Mapping[str, Severity]] = {
    "run.errored": "error",
    "run.needs_attention": "warning",
    "auth.locked_out": "error",
    "audit.unclean_shutdown": "error",
    "sink.failed": "error",
    "sink.dead_lettered": "error",
    "state.force_unlocked": "warning",
}
_OUTCOMES: Final[Mapping[str, Severity]] = {
    "success": "info",
    "denied": "warning",
    "conflict": "warning",
    "error": "error",
}

RUNS: Final = [{"prefix": "run."}]
NOTABLE: Final[dict[str, Any]] = {
    "event": [
        *RUNS,
        {"prefix": "workspace."},
        {"prefix": "principal."},
        {"prefix": "grant."},
        {"prefix": "issuer."},
        {"prefix": "token."},
        {"prefix": "sink."},
        "state.force_unlocked",
        "state.rolled_back",
        "state.versions_pruned",
        "auth.failed",
        "auth.locked_out",
        "access.denied",
        "key.rotated",
        "config.changed",
        "audit.stopped",
        "audit.unclean_shutdown",
    ]
}
"""Runs, workspaces and what a security team wants to hear of, as an event pattern."""
ALARMING: Final[dict[str, Any]] = {
    "event": [*(event for event in _BAD if event != "state.force_unlocked"), "run.completed"]
}
"""What somebody should look at now, and what tells that they need not any more."""


def severity(entry: Mapping[str, Any]) -> Severity:
    """Return how bad it is."""
    if entry["outcome"] == "error":
        return "error"
    return _BAD.get(entry["event"]) or _OUTCOMES[entry["outcome"]]


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters; a cut shows."""
    return text if len(text) <= most else text[: most - 1] + "…"


def in_sight(text: str) -> str:
    """Return a text in one line of what can be seen.

    Signs that turn the direction of what follows, or have no width, make one name look like
    another: each shows as a replacement character.
    """
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def title(entry: Mapping[str, Any], most: int) -> str:
    """Return one line: the event, where, and its message."""
    line = f"{entry['event']}: {entry['message']}"
    return cut(in_sight(line), most)


def facts(event: Event, origin: str) -> list[tuple[str, str]]:
    """Return what there is to tell, each with its name, in order of interest."""
    entry = event.entry
    actor = entry["actor"]
    run = entry.get("run") or {}
    source = entry["source"]
    found = [
        ("Event", entry["event"]),
        ("Outcome", entry["outcome"]),
        ("Who", f"{actor['name']} ({actor['type']})" if actor["name"] else actor["type"]),
        ("Run by", run.get("who")),
        ("Workspace", entry.get("workspace")),
        ("Changes", changes(entry)),
        ("From", ", ".join([source["ip"], *source.get("forwarded_for", ())])),
        ("When", entry["time"]),
        ("Entry", f"{event.record.index} of {origin}, ID {entry['id']}"),
    ]
    return [(name, in_sight(str(value))) for name, value in found if value]


def changes(entry: Mapping[str, Any]) -> str:
    """Return how many resources changed; empty when the entry doesn't say."""
    counts = (entry.get("changes") or {}).get("resources") or {}
    return ", ".join(
        f"{counts[kind]} {kind}"
        for kind in ("added", "changed", "removed")
        if isinstance(counts.get(kind), int)
    )


def evidence(event: Event, checkpoint: str) -> dict[str, str | int]:
    """Return what proves the entry, flat: position, leaf hash, signature, newest checkpoint."""
    record = event.record
    return {
        "entry_id": event.entry["id"],
        "index": record.index,
        "leaf_hash": record.leaf_hash.hex(),
        "key_id": record.key_id,
        "signature": b64encode(record.signature).decode(),
        "checkpoint": checkpoint,
    }


def lines(pairs: Iterable[tuple[str, str]]) -> str:
    """Return facts as lines of plain text."""
    return "\n".join(f"{name}: {value}" for name, value in pairs)


def is_older(entry: Mapping[str, Any], now: datetime, age: timedelta) -> bool:
    """Tell whether an event happened longer ago than that."""
    return now - datetime.fromisoformat(entry["time"]) > age
