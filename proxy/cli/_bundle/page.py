"""A bundle for people: what is in it, as one page without a script, and how to check it.

Texts of entries come from clients, also from some who proved nothing: each is escaped here, and the
page forbids a browser to run or to load anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from proxy.cli._output import clean
from proxy.events import EVENTS

MAX_LISTED: Final = 500
"""Entries in one list, and names in one count: more are only counted."""

_OTHERS: Final = "(others)"
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #ddd;overflow-wrap:anywhere}"
    "td.n{text-align:right;white-space:nowrap}code,pre{background:#f4f4f4;padding:.1rem .3rem}"
    ".note{border-left:4px solid #c60;padding-left:1rem}"
)
_COLUMNS: Final = ("index", "time", "event", "outcome", "actor", "from", "on", "message")


@dataclass(slots=True)
class Summary:
    """What the entries of a bundle tell, counted as they go by; of bounded size.

    Attributes:
        entries: how many there are.
        first_time: of the first entry; empty when there is none.
        last_time: of the last.
        events: how many of each kind.
        outcomes: how many of each outcome.
        actors: how many by each actor.
        workspaces: how many on each workspace.
        lists: heading and entries, each as a row; the first of them.
        listed: heading and how many there are in all.
    """

    entries: int = 0
    first_time: str = ""
    last_time: str = ""
    events: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)
    workspaces: Counter[str] = field(default_factory=Counter)
    lists: dict[str, list[list[str]]] = field(default_factory=dict)
    listed: Counter[str] = field(default_factory=Counter)

    def add(self, index: int, entry: Mapping[str, Any]) -> None:
        """Count one entry."""
        self.entries += 1
        event, outcome, time = entry["event"], entry["outcome"], entry["time"]
        self.first_time = self.first_time or time
        self.last_time = time
        self.events[event] += 1
        self.outcomes[outcome] += 1
        actor = entry["actor"]
        _count(self.actors, f"{actor['name']} ({actor['type']})")
        if workspace := entry.get("workspace"):
            _count(self.workspaces, workspace)
        for heading in _headings(event, outcome):
            self.listed[heading] += 1
            rows = self.lists.setdefault(heading, [])
            if len(rows) < MAX_LISTED:
                rows.append(_row(index, entry))


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < MAX_LISTED else _OTHERS] += 1


def _headings(event: str, outcome: str) -> Iterable[str]:
    """Return the lists that an entry stands in."""
    if event in {"auth.failed", "auth.locked_out"}:
        yield "Failed logins"
    elif outcome in {"denied", "conflict"}:
        yield "Refusals"
    if EVENTS[event].group in {"administration", "objects"}:
        yield "Administrative changes"


def _row(index: int, entry: Mapping[str, Any]) -> list[str]:
    return [
        str(index),
        entry["time"],
        entry["event"],
        entry["outcome"],
        entry["actor"]["name"],
        entry["source"]["ip"],
        entry.get("workspace", ""),
        entry["message"],
    ]


def page(summary: Summary, about: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        summary: of the entries.
        about: the bundle's manifest.
    """
    title = f"Audit log of {about['origin']}, entries {about['from']} to {about['to']}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        (
            f'<p class="note">{_text(about["says"])} This page is for reading. It is no evidence: '
            "only <code>entries.jsonl</code> and <code>documents/</code> are, once they were "
            "verified.</p>"
        ),
        "<h2>Verify it</h2>",
        (
            "<p>Get the log's public keys from its owner, not from this bundle. Then, with Python "
            "and its package <code>cryptography</code>, or with tfaudit itself:</p>"
        ),
        (
            "<pre>python3 -I verify.py BUNDLE.zip --key KEYS.json\n"
            "tfaudit verify BUNDLE.zip --key KEYS.json</pre>"
        ),
        "<h2>What is in it</h2>",
        _table(
            ("", ""),
            [
                ["entries", str(summary.entries)],
                ["first", summary.first_time],
                ["last", summary.last_time],
                ["chosen by", _filters(about["filters"])],
                ["size of the log then", str(about["size"])],
                *([f"outcome {name}", str(n)] for name, n in sorted(summary.outcomes.items())),
            ],
        ),
        "<h2>Who</h2>",
        _table(("actor", "entries"), _counted(summary.actors)),
        "<h2>On what</h2>",
        _table(("workspace", "entries"), _counted(summary.workspaces)),
        "<h2>Events</h2>",
        _table(
            ("event", "means", "entries"),
            [[name, EVENTS[name].meaning, str(n)] for name, n in sorted(summary.events.items())],
        ),
    ]
    for heading in ("Failed logins", "Refusals", "Administrative changes"):
        parts += [f"<h2>{heading}</h2>", *_listed(summary, heading)]
    return "\n".join([*parts, "</body></html>\n"])


def _listed(summary: Summary, heading: str) -> list[str]:
    rows = summary.lists.get(heading, [])
    more = summary.listed[heading] - len(rows)
    if not rows:
        return ["<p>None.</p>"]
    told = [f"<p>And {more} more, in <code>entries.csv</code>.</p>"] if more else []
    return [_table(_COLUMNS, rows), *told]


def _filters(filters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in filters.items()) or "nothing: all of them"


def _counted(counter: Counter[str]) -> list[list[str]]:
    return [[name, str(count)] for name, count in counter.most_common()]


def _table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    head = "".join(f"<th>{_text(each)}</th>" for each in columns)
    lines = ["<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([f"<table><thead><tr>{head}</tr></thead><tbody>", *lines, "</tbody></table>"])


def _text(text: str) -> str:
    """Return a text as HTML that shows all of it, also what would be invisible."""
    return escape(clean(str(text)))
