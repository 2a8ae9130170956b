"""Makes the parts of docs/ that repeat the code: ``python -m tests.documents`` writes them anew."""

import inspect
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec

from proxy import config
from proxy.access import MEANINGS, PERMISSIONS, Role
from proxy.anchors.settings import TYPES, settings_type
from proxy.directory import NOT_GIVEN, RECORDS, SinkRecord
from proxy.docstrings import read_docstring
from proxy.events import EVENTS, OUTCOMES
from proxy.formats import FORMATS
from proxy.formats.ecs import VERSION as ECS_VERSION
from proxy.formats.ocsf import VERSION as OCSF_VERSION
from proxy.patterns import MAX_CHARACTERS, MAX_COMBINATIONS, MAX_DEPTH, parse
from proxy.runs import REASONS
from proxy.sinks.describing import options_of
from proxy.tfstate.detectors import KINDS
from proxy.tlog.entry import MAX_ENTRY_BYTES
from tests import sink_documents
from tests.examples import ORIGIN, entry_of, example
from tests.redaction.compare import COMPARED
from tests.redaction.drawn import DRAWN
from tests.secret_names import page

DOCS: Final = Path(__file__).parent.parent / "docs"

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_NATURAL: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_TIME: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
}
_LEFT: Final = {
    "tainted": "redacted addresses of objects that were changed and are tainted now",
    "untainted": "of objects that were tainted before a save, and are not any more",
    "failed_checks": "of checks and conditions that fail by the newest save",
}
_ADDRESSES: Final[dict[str, Any]] = {
    key: value
    for name, description in _LEFT.items()
    for key, value in {
        name: {"description": description, "type": "array", "items": _TEXT},
        f"{name}_omitted": {"description": "how many more there are", **_NATURAL},
    }.items()
}


_OF_SINKS: Final = """\
## Secrets of sinks

The secret `datadog_api_key` is, in this order: the value of `TFAUDIT_SECRET_DATADOG_API_KEY`;
what the file holds that `TFAUDIT_SECRET_DATADOG_API_KEY_FILE` names; what the file
`datadog_api_key` in the directory of secrets holds. A file holds the secret and nothing else,
and the end of its line is left out; nobody but the server's user need read it (0600). Files are
read each time a sink is opened, so that a secret is replaced without a restart; a variable
keeps its value until the server starts anew. A name has small letters, digits and `_`; one that
ends with `_file` is only looked for in the directory. The command line reads its own
environment: what stands in the server's alone is not known to it.

## [sinks.NAME]

A table for each sink that the configuration holds; `[sinks.NAME.options]` has the options of
its type, which `tfaudit sink types TYPE` lists. `TFAUDIT_SINKS` in the environment holds such
tables as one JSON object: `{"siem": {"type": "file", "options": {…}}}`. The start of the server
makes the sinks be so, each change an entry of the log. Neither the API nor the command line
changes them; one that is taken out of the file is deleted, and one that gets another type is
another sink, with another place in the log. One that was paused because its far side wants no
more (410) is enabled again. A name that an administrator gave to a sink already is refused.
"""


_OF_ANCHORS: Final = """\
## [anchors.NAME]

A table for each place that the newest checkpoint is put to: see [anchors.md](anchors.md).
`TFAUDIT_ANCHORS` in the environment holds such tables as one JSON object. A name has small
letters, digits and `-`. Paths are relative to this file's folder.

| setting | kind | default | means |
|---|---|---|---|
| `type` | directory or file or git or s3 | **required** | What kind of place it is. |
"""


def events() -> str:
    """Return docs/events.md: the catalogue, a table for each group, and an example of each."""
    lines = [
        "# Events",
        "",
        "Every entry of the log is of one of these kinds; there is no other. Its outcome is one of "
        + ", ".join(f"`{outcome}`" for outcome in OUTCOMES)
        + ". An example of each stands below;",
        "[formats.md](formats.md) shows how they look in other formats,",
        "[entry.schema.json](entry.schema.json) says what may be in them.",
    ]
    group = None
    for name, event in EVENTS.items():
        if event.group != group:
            group = event.group
            lines += ["", f"## {group.capitalize()}", "", "| event | means |", "|---|---|"]
        lines.append(f"| [`{name}`](#{_anchor(name)}) | {event.meaning} |")
    lines += [
        "",
        "## Why a run errored or needs attention",
        "",
        "In `run.reasons` of `run.errored` and `run.needs_attention`; of each run each once.",
        "",
        "| reason | means |",
        "|---|---|",
        *(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items()),
    ]
    lines += [
        "",
        "## Examples",
        "",
        "As `tfaudit log --json` has them under `entry`; signature and index stand beside it. Keys",
        "are sorted, as in the signed bytes.",
    ]
    for name in EVENTS:
        lines += ["", f"### {name}", "", "```json", shown_entry(name), "```"]
    return "\n".join(lines) + "\n"


def _anchor(heading: str) -> str:
    """Return what a heading is linked by."""
    return heading.replace(".", "")


def shown_entry(event: str) -> str:
    """Return the example of an event as documents show it."""
    return _shown(entry_of(example(event)))


def _shown(members: dict[str, Any]) -> str:
    """Return an object as JSON with a line for each member; what is long is not unfolded."""
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in members.items())
    return "{\n" + ",\n".join(lines) + "\n}"


SHOWN: Final = "state.written"
"""The event that is shown in every format."""

PLACES: Final[dict[str, tuple[str, str, str]]] = {
    # in our own format: in CloudEvents, OCSF and ECS
    "entry.id": ("id", "metadata.uid", "event.id"),
    "entry.time": ("time", "metadata.original_time", "@timestamp"),
    "entry.event": ("data.event", "metadata.event_code", "event.action"),
    "entry.outcome": ("data.outcome", "status_detail", "tfaudit.outcome"),
    "entry.message": ("data.message", "message", "message"),
    "entry.actor.id": ("data.actor.id", "actor.user.uid", "user.id"),
    "entry.actor.name": ("data.actor.name", "actor.user.name", "user.name"),
    "entry.actor.issuer": ("data.actor.issuer", "actor.idp.name", "tfaudit.actor.issuer"),
    "entry.actor.claims": ("data.actor.claims", "unmapped.actor.claims", "tfaudit.actor.claims"),
    "entry.source.ip": ("data.source.ip", "src_endpoint.ip", "source.ip"),
    "entry.source.forwarded_for": (
        "data.source.forwarded_for",
        "http_request.x_forwarded_for",
        "tfaudit.source.forwarded_for",
    ),
    "entry.source.user_agent": (
        "data.source.user_agent",
        "http_request.user_agent",
        "user_agent.original",
    ),
    "entry.request.id": ("data.request.id", "http_request.uid", "http.request.id"),
    "entry.request.via": ("data.request.via", "unmapped.request.via", "tfaudit.request.via"),
    "entry.request.method": (
        "data.request.method",
        "http_request.http_method",
        "http.request.method",
    ),
    "entry.request.path": ("data.request.path", "http_request.url.path", "url.path"),
    "entry.request.status": ("data.request.status", "status_code", "http.response.status_code"),
    "entry.workspace": ("subject", "file.name", "tfaudit.workspace"),
    "entry.state.sha256": ("data.state.sha256", "file.hashes.0.value", "file.hash.sha256"),
    "entry.state.size": ("data.state.size", "file.size", "file.size"),
    "entry.run": ("data.run", "unmapped.run", "tfaudit.run"),
    "entry.changes": ("data.changes", "unmapped.changes", "tfaudit.changes"),
    "index": ("index", "metadata.sequence", "event.sequence"),
    "leaf_hash": ("leafhash", "unmapped.leaf_hash", "event.hash"),
    "signature.value": ("signature", "unmapped.signature.value", "tfaudit.signature.value"),
    "signature.key_id": ("keyid", "unmapped.signature.key_id", "tfaudit.signature.key_id"),
}
"""Where the parts of the event that is shown stand."""

_FORMATS: Final = {
    "native": "Our own: the entry as it was signed, its position, and the evidence. The canonical "
    "form (RFC 8785) of `entry` gives the signed bytes back.",
    "cloudevents": "CloudEvents 1.0. `source` and `id` are the same for each try to deliver an "
    "entry. `index` is a text, because an integer of CloudEvents has 32 bits; `sequence` is the "
    "same number in a form that sorts.",
    "ocsf": f"OCSF {OCSF_VERSION}. States and locks are File Hosting Activity, logins "
    "Authentication, what is administered Entity Management, the server, its sinks and runs "
    "Application Lifecycle (with the profile `host`, for its actor), calls about the log API "
    "Activity. What has no attribute stands under `unmapped`.",
    "ecs": f"ECS {ECS_VERSION}. What has no field stands under `tfaudit`, whose shape varies with "
    "what changed: map it as `flattened`. `event.id` as the document's ID makes a second delivery "
    "harmless.",
}


def formats() -> str:
    """Return docs/formats.md: one event in every format, and what becomes of each event."""
    lines = [
        "# Formats",
        "",
        "A sink writes events in the format that its option `format` names. Nothing of an entry is",
        "lost in any of them, and each carries the evidence: with `index`, leaf hash and signature",
        "an event is proved against any checkpoint.",
    ]
    stored = example(SHOWN)
    for name, make in FORMATS.items():
        made = make(entry_of(stored), stored.record, ORIGIN)
        told = textwrap.wrap(_FORMATS[name], 99)
        lines += ["", f"## {name}", "", *told, "", "```json", _shown(made), "```"]
    lines += ["", "## Where things stand", "", "Of the event above.", ""]
    lines += ["| native | cloudevents | ocsf | ecs |", "|---|---|---|---|"]
    for ours, places in PLACES.items():
        lines.append(f"| `{ours}` | " + " | ".join(f"`{place}`" for place in places) + " |")
    lines += [
        "",
        "## What each event becomes",
        "",
        "The severity is that of a success; what was denied or failed has at least Low.",
        "",
        "| event | OCSF class | activity | `type_uid` | severity | ECS `category` | ECS `type` |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in EVENTS:
        successful = example(name, "success")
        entry = entry_of(successful)
        one = FORMATS["ocsf"](entry, successful.record, ORIGIN)
        other = FORMATS["ecs"](entry, successful.record, ORIGIN)["event"]
        cells = (
            f"`{name}`",
            one["class_name"],
            one["activity_name"],
            str(one["type_uid"]),
            one["severity"],
            ", ".join(other["category"]),
            ", ".join(other["type"]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


FILTERS: Final[dict[str, dict[str, Any]]] = {
    # what is asked for: the pattern
    "one of these texts": {"event": ["state.force_unlocked", "auth.locked_out"]},
    "nothing, where something could be": {"object": {"before": [None]}},
    "`prefix`": {"event": [{"prefix": "auth."}]},
    "`suffix`": {"event": [{"suffix": ".deleted"}]},
    "`wildcard`": {"event": [{"wildcard": "state.*_refused"}]},
    "`equals-ignore-case`, of the whole or in a `prefix` or `suffix`": {
        "event": [{"prefix": {"equals-ignore-case": "Run."}}]
    },
    "`anything-but` a text, a number, some of them, a `prefix`, `suffix`, `wildcard` …": {
        "event": [{"prefix": "state."}],
        "outcome": [{"anything-but": "success"}],
    },
    "`exists`": {"holder": {"id": [{"exists": True}]}},
    "`numeric`": {"request": {"status": [{"numeric": [">=", 400, "<", 409]}]}},
    "`cidr`": {"source": {"ip": [{"cidr": "198.51.100.0/24"}]}, "event": [{"suffix": "locked"}]},
    "`$or`": {"$or": [{"lockout": {"failures": [5]}}, {"event": ["key.rotated"]}]},
    "an object in a list: both by the same one": {
        "changes": {"items": {"action": ["update"], "address": [{"prefix": "aws_db_instance."}]}}
    },
    "a name with a dot in it": {"changes": {"server.port": {"after": ["443"]}}},
    "what a pipeline's issuer says of it": {
        "actor": {"claims": {"repository": ["example/network"]}},
        "outcome": ["conflict"],
    },
}
"""One filter for each thing that can be asked for."""


def passed(pattern: dict[str, Any]) -> list[str]:
    """Return the events whose examples a filter lets through."""
    meant = parse(pattern, known={"event": EVENTS, "outcome": OUTCOMES})
    return [event for event in EVENTS if meant.is_match(entry_of(example(event)))]


def filters() -> str:
    """Return docs/filters.md: what a filter can ask for, each with what it lets through."""
    lines = [
        "# Filters",
        "",
        "A sink's filter is an event pattern of Amazon EventBridge over the entry, as",
        "[events.md](events.md) shows entries. Fields are `and`, the values of a field are `or`;",
        "of a field that is a list, one element is enough. The same pattern under",
        '`{"detail": …}` is a rule on a bus that gets our events, and means the same there.',
        "",
        "| asks for | filter | of the examples of all events lets through |",
        "|---|---|---|",
    ]
    for told, pattern in FILTERS.items():
        through = ", ".join(f"`{event}`" for event in passed(pattern))
        lines.append(f"| {told} | `{json.dumps(pattern)}` | {through} |")
    lines += [
        "",
        "A mistake is told with its place: `filter.workspace[0].prefix must be a text`. So is what",
        "no entry can meet, which would let nothing through, unseen: a field or a word of a list",
        "that there is not (by [entry.schema.json](entry.schema.json)), a text for a number, a `*`",
        "outside of `wildcard`. `detail` stays out: a filter is asked of the entry itself.",
        "Refused is what EventBridge refuses, and besides what it would read in a way that few",
        "mean: a field that is asked for twice in one combination (there the last wins), and a",
        "network with bits beyond its mask.",
        "",
        "| limit | here | EventBridge |",
        "|---|---|---|",
        f"| characters of the pattern | {MAX_CHARACTERS:,} | 2,048, on request 4,096 |",
        f"| combinations of all `$or` | {MAX_COMBINATIONS:,} | 1,000 |",
        f"| objects inside each other | {MAX_DEPTH} | |",
        "| `numeric` | ±5,000,000,000, 6 digits after the point | the same |",
        "| wildcards | as many as fit: matching takes linear time | by their complexity |",
        "",
        "Upper and lower case are those of each letter by itself: `ß` and `SS` are the same when",
        "`ß` is in the pattern. IP addresses are compared as addresses, however they are spelled.",
    ]
    return "\n".join(lines) + "\n"


def roles() -> str:
    """Return docs/roles.md: which role may what."""
    lines = [
        "# Roles",
        "",
        "A role is a set of permissions. A grant gives it to a principal, or to the identities of",
        "an issuer whose claims meet a rule, on the workspaces that its globs match; a grant with",
        "`deny` takes its permissions away, and wins. Nothing is allowed by default. A token",
        "without a principal holds a role by itself; that of one narrows what it was granted.",
        "",
        "| permission | allows to | " + " | ".join(f"`{role}`" for role in Role) + " |",
        "|---|---|" + "---|" * len(Role),
    ]
    for permission, meaning in MEANINGS.items():
        marks = ("yes" if permission in PERMISSIONS[role] else "" for role in Role)
        lines.append(f"| `{permission}` | {meaning} | " + " | ".join(marks) + " |")
    lines += [
        "",
        "Who may do what is changed by whoever has `administer` on all workspaces (`*`): whoever",
        "could give rights on some could give themselves the rest. The `auditor` reads the log of",
        "the workspaces that are granted, and entries without a workspace only with `*`. Nobody",
        "may change the log: there is no such permission.",
        "",
        "An `outputs-reader` gets a state with its root outputs and `resources: []`; sensitive",
        "outputs are left out unless the grant has `sensitive_outputs`. A `planner` may lock for",
        "`OperationTypePlan` and `OperationTypeRefresh` alone.",
        "",
        "`tfaudit whoami --workspace NAME` and `GET /api/v1/whoami?workspace=NAME` tell of each",
        "permission whether one has it there, and which grant gives or denies it.",
    ]
    return "\n".join(lines) + "\n"


def schema() -> str:
    """Return docs/entry.schema.json: the signed object of an entry (JSON Schema 2020-12)."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tfaudit entry",
        "description": f"One entry of the log; at most {MAX_ENTRY_BYTES} bytes as RFC 8785 JSON.",
        "type": "object",
        "required": [
            "v",
            "id",
            "time",
            "event",
            "outcome",
            "message",
            "actor",
            "source",
            "request",
        ],
        "properties": {
            "v": {"const": 1},
            "id": {"type": "string", "format": "uuid", "description": "UUIDv7, fixed at commit"},
            "time": _TIME,
            "event": {"enum": list(EVENTS)},
            "outcome": {"enum": list(OUTCOMES)},
            "message": {"type": "string", "maxLength": 1024},
            "actor": {
                "description": "who authenticated",
                "type": "object",
                "required": ["type", "id", "name"],
                "properties": {
                    "type": {
                        "enum": ["token", "user", "oidc", "certificate", "system", "anonymous"]
                    },
                    "id": _TEXT,
                    "name": _TEXT,
                    "token_hint": {"type": "string", "maxLength": 6},
                    "principal": {"description": "whose token it is", "type": "string"},
                    "issuer": {"description": "which issuer vouches for it", "type": "string"},
                    "claims": {
                        "description": "what the issuer says, or which certificate it was",
                        "type": "object",
                    },
                    "session": {"description": "ID of a person's session", "type": "string"},
                    "token": {
                        "description": "ID of the token that an identity token was exchanged for",
                        "type": "string",
                    },
                },
                "additionalProperties": False,
            },
            "source": {
                "type": "object",
                "required": ["ip"],
                "properties": {
                    "ip": _TEXT,
                    "forwarded_for": {"type": "array", "items": _TEXT},
                    "user_agent": _TEXT,
                },
                "additionalProperties": False,
            },
            "request": {
                "type": "object",
                "required": ["id", "via", "method", "path"],
                "properties": {
                    "id": _TEXT,
                    "via": {"enum": ["terraform", "api", "ui", "cli"]},
                    "method": _TEXT,
                    "path": _TEXT,
                    "status": {"type": "integer", "minimum": 100, "maximum": 599},
                },
                "additionalProperties": False,
            },
            "workspace": _TEXT,
            "run": {
                "description": "what Terraform says of itself in its lock; of a run's event, and "
                "of a save, also what became of it",
                "type": "object",
                "properties": {
                    "id": _TEXT,
                    "operation": _TEXT,
                    "who": _TEXT,
                    "terraform_version": _TEXT,
                    "who_differs_from_actor": {"const": True},
                    "unsaved": {
                        "description": "the upload that was refused carries the lock's ID",
                        "const": True,
                    },
                    "started": {"description": "when it took the lock", **_TIME},
                    "ended": {"description": "when its lock came free", **_TIME},
                    "seconds": {"description": "that it held its lock so far", **_NATURAL},
                    "writes": {"description": "states that it stored", **_NATURAL},
                    "first_serial": {"description": "of the first of them", **_NATURAL},
                    "last_serial": {"description": "of the last of them", **_NATURAL},
                    "resources": {
                        "description": "summed over its writes, each compared with the one before",
                        "type": "object",
                        "required": ["added", "changed", "removed"],
                        "properties": {
                            "added": _NATURAL,
                            "changed": _NATURAL,
                            "removed": _NATURAL,
                        },
                        "additionalProperties": False,
                    },
                    "unknown_writes": {
                        "description": "writes of encrypted states: nothing is known of resources",
                        **_NATURAL,
                    },
                    "reasons": {
                        "description": "why it errored or needs attention",
                        "type": "array",
                        "items": {"enum": list(REASONS)},
                    },
                    "lock_alert_minutes": {
                        "description": "for so long a run may hold the lock there",
                        **_NATURAL,
                    },
                    **_ADDRESSES,
                },
                "additionalProperties": False,
            },
            "inferred_from": {
                "description": "the entries from which a run's event follows, of each kind the "
                "newest; of several also the first, and how many there are",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["event", "index"],
                    "properties": {
                        "event": {"enum": list(EVENTS)},
                        "index": _NATURAL,
                        "first": _NATURAL,
                        "times": _NATURAL,
                    },
                    "additionalProperties": False,
                },
            },
            "holder": {
                "description": "whose lock stood in the way, or was taken away",
                "type": "object",
                "required": ["id", "operation", "who", "actor", "since"],
            },
            "object": {
                "description": "a principal, grant, issuer, sink or workspace's settings, changed",
                "type": "object",
                "required": ["kind", "name", "id", "before", "after"],
                "properties": {
                    "kind": {"enum": list(RECORDS)},
                    "name": _TEXT,
                    "id": _TEXT,
                    "before": {"type": ["object", "null"]},
                    "after": {"type": ["object", "null"]},
                },
                "additionalProperties": False,
            },
            "sink": {
                "description": "which sink it is about, and what happened to it",
                "type": "object",
                "required": ["id", "name"],
                "properties": {
                    "id": _TEXT,
                    "name": _TEXT,
                    "error": {"description": "why it takes nothing, or took nothing", **_TEXT},
                    "since": {"description": "the first try that was not taken", **_TIME},
                    "failures": {"description": "tries in a row that were not taken", **_NATURAL},
                    "cursor": {"description": "index of the first entry that waits", **_NATURAL},
                    "unreported": {
                        "description": "how often it failed since the last entry about it",
                        **_NATURAL,
                    },
                    "dead_letters": {
                        "description": "entries that were set aside, each with the reason",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["index", "reason"],
                            "properties": {"index": _NATURAL, "reason": _TEXT},
                            "additionalProperties": False,
                        },
                    },
                    "replay": {
                        "description": "what is to be sent once more, and not done with",
                        "type": "object",
                        "required": ["id", "from", "until", "only_dead_letters"],
                        "properties": {
                            "id": _TEXT,
                            "from": _NATURAL,
                            "until": {"description": "one more than the last", **_NATURAL},
                            "only_dead_letters": {"type": "boolean"},
                        },
                        "additionalProperties": False,
                    },
                    "is_done": {"description": "whether the replay is over", "type": "boolean"},
                    "taken": {
                        "description": "dead letters that are none any more: first and last index",
                        "type": "array",
                        "items": {"type": "array", "items": _NATURAL},
                    },
                },
                "additionalProperties": False,
            },
            "sinks": {
                "description": "how far each sink is when a server starts or stops",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "name", "cursor"],
                    "properties": {
                        "id": _TEXT,
                        "name": _TEXT,
                        "cursor": {
                            "description": "index of the first entry that waits for it",
                            **_NATURAL,
                        },
                    },
                    "additionalProperties": False,
                },
            },
            "outputs": {
                "description": "of a read of outputs alone: which were sent",
                "type": "object",
                "required": ["sent", "unnamed", "left_out"],
                "properties": {
                    "sent": {"type": "array", "items": _TEXT},
                    "unnamed": {"description": "how many more were sent", **_NATURAL},
                    "left_out": {
                        "description": "how many the state marks, how many hold a secret anyway",
                        "type": "object",
                        "required": ["sensitive", "secret"],
                        "properties": {"sensitive": _NATURAL, "secret": _NATURAL},
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
            "replaced": {
                "description": "the token that another took the place of",
                "type": "object",
                "required": ["id", "hint", "expires"],
                "properties": {"id": _TEXT, "hint": _TEXT, "expires": _TEXT},
                "additionalProperties": False,
            },
            "predecessors": {
                "description": "tokens revoked with the one that had taken their place",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "hint"],
                    "properties": {"id": _TEXT, "hint": _TEXT},
                    "additionalProperties": False,
                },
            },
            "token": {
                "description": "what is kept of a token; sha256 of its text, once it was made",
                "type": "object",
                "properties": {
                    "id": _TEXT,
                    "name": _TEXT,
                    "role": _TEXT,
                    "workspaces": {"type": "array", "items": _TEXT},
                    "hint": {"type": "string", "maxLength": 6},
                    "expires": {"type": ["string", "null"]},
                    "principal": {
                        "description": "ID of whose it is",
                        "type": ["string", "null"],
                    },
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "issuer": {
                        "description": "ID of the issuer for whose identity token it was given",
                        "type": "string",
                    },
                    "identity_sha256": {
                        "description": "of what that issuer said, as it is kept",
                        "type": "string",
                        "pattern": "^[0-9a-f]{64}$",
                    },
                },
                "additionalProperties": False,
            },
            "account": {
                "description": "of a failed login: whose password was tried, if there is such",
                "type": "string",
            },
            "lockout": {
                "description": "what tries to log in are refused from now on, and for how long",
                "type": "object",
                "required": ["what", "failures", "seconds"],
                "properties": {
                    "what": {"enum": ["device", "account from this address", "address", "account"]},
                    "failures": _NATURAL,
                    "seconds": _NATURAL,
                },
                "additionalProperties": False,
            },
            "session": {
                "description": "a person's session that began; sha256 of its cookie",
                "type": "object",
                "required": ["id", "expires", "sha256"],
                "properties": {
                    "id": _TEXT,
                    "expires": _TIME,
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                },
                "additionalProperties": False,
            },
            "ended_sessions": {
                "description": "IDs of the sessions that ended with it",
                "type": "array",
                "items": _TEXT,
            },
            "password": {
                "description": "a person's password as set; sha256 of its salted hash",
                "type": "object",
                "required": ["principal", "sha256"],
                "properties": {
                    "principal": _TEXT,
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                },
                "additionalProperties": False,
            },
            "state": {
                "type": "object",
                "properties": {
                    "lineage": _TEXT,
                    "serial": _NATURAL,
                    "previous_serial": _NATURAL,
                    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "size": _NATURAL,
                    "version": _TEXT,
                    "terraform_version": _TEXT,
                },
                "additionalProperties": False,
            },
            "pruned": {
                "description": "the versions that were destroyed, and what asked for it",
                "type": "object",
                "required": ["versions", "number", "size", "asked_by", "kept"],
                "properties": {
                    "versions": {
                        "description": "ranges of their numbers, each its first and its last",
                        "type": "array",
                        "items": {"type": "array", "items": _NATURAL},
                    },
                    "number": {"description": "how many they are", **_NATURAL},
                    "size": {"description": "of their states, bytes", **_NATURAL},
                    "asked_by": {
                        "description": "whose rules: the server's configuration, the workspace's "
                        "own, or those of a command",
                        "enum": ["configuration", "workspace", "command"],
                    },
                    "kept": {
                        "description": "the rules: the newest so many versions, what was written "
                        "in the last so many seconds, the last of each run",
                        "type": "object",
                        "required": ["last_of_run"],
                        "properties": {
                            "versions": _NATURAL,
                            "seconds": _NATURAL,
                            "last_of_run": {"type": "boolean"},
                        },
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
            "changes": {
                "description": "of a state: what changed, redacted; of settings: before and after",
                **_OBJECT,
            },
            "config": {"description": "the settings that a server starts with", **_OBJECT},
            "keys": {"description": "the keys that it signs with", **_OBJECT},
            "key": {"description": "both keys of a rotation, and what each signed", **_OBJECT},
            "master": {
                "description": "another master key: what it is known by, and what it wraps",
                "type": "object",
                "required": ["old", "new", "versions"],
                "properties": {
                    "old": {"description": "ID of the retired key", **_TEXT},
                    "new": {"description": "ID of the one in force", **_TEXT},
                    "versions": {"description": "stored versions wrapped anew", **_NATURAL},
                },
                "additionalProperties": False,
            },
            "permission": {"description": "that the caller has not", "type": "string"},
            "count": {"description": "calls or tries that it stands for", **_NATURAL},
            "first_time": {"description": "of the first of them", **_TIME},
            "last_time": {"description": "of the last of them", **_TIME},
            "query": {"description": "what was read of the log", **_OBJECT},
            "export": {"description": "what was exported, and how", **_OBJECT},
            "restore": {"description": "from which backup, and up to where", **_OBJECT},
            "recovery": {"description": "of a log that had lost its end: how much", **_OBJECT},
            "pruning": {"description": "which entries are dropped, why, and where", **_OBJECT},
            "verification": {"description": "what was verified, and what came of it", **_OBJECT},
        },
    }
    return json.dumps(document, indent=2) + "\n"


def entry_shape() -> str:
    """Return proxy/patterns/entry_shape.json: what can stand in an entry, by the schema."""
    return json.dumps(_shape_of(json.loads(schema())), separators=(",", ":")) + "\n"


_KINDS: Final = {
    "string": ":text",
    "integer": ":number",
    "boolean": ":truth",
    "null": ":null",
}


def _shape_of(part: dict[str, Any]) -> Any:
    """Return what a part of the schema lets stand there; see proxy/patterns/askable.py."""
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds:
        return _shape_of(part["items"])
    if "object" in kinds:
        members = part.get("properties")
        return members and {name: _shape_of(each) for name, each in members.items()}
    if "enum" in part:
        return part["enum"]
    if "const" in part:
        return [":truth" if part["const"] is True else ":number"]
    return [_KINDS[each] for each in kinds]


def configuration() -> str:
    """Return docs/configuration.md: every key, its default, its variable and its comment."""
    lines = [
        "# Configuration",
        "",
        "`tfaudit.toml` (or the file that `--config` or `TFAUDIT_CONFIG` names), each key also in",
        "the environment, which wins. An unknown key is refused by name, and all mistakes are told",
        "at once. Secrets never stand in the file: they come from the environment, or from a file",
        "that `…_FILE` in the environment, or `…_file` in tfaudit.toml, names.",
    ]
    section = None
    for (name, key), option in config.OPTIONS.items():
        if name != section:
            section = name
            lines += ["", f"## [{name}]", "", "| key | default | environment | means |"]
            lines.append("|---|---|---|---|")
        default = getattr(getattr(config.Config(), name), key)
        shown = "" if default in (None, "", ()) else f"`{default}`"
        variable = f"`{option.variable}`"
        if option.is_secret:
            variable += f" or `{option.variable}_FILE`"
        lines.append(f"| `{key}` | {shown} | {variable} | {_comment(name, key)} |")
    return "\n".join([*lines, *_sinks(), *_anchors(), ""])


def _sinks() -> Iterator[str]:
    """Yield the part of docs/configuration.md about what has names of its own."""
    yield ""
    yield from _OF_SINKS.splitlines()
    yield ""
    yield "| key | default | means |"
    yield "|---|---|---|"
    schema = msgspec.json.schema_components([SinkRecord])[1]["SinkRecord"]["properties"]
    _, meanings = read_docstring(SinkRecord.__doc__ or "")
    for name, each in schema.items():
        if name in {*NOT_GIVEN, "name"}:
            continue
        default = each.get("default")
        shown = "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
        yield f"| `{name}` | {shown} | {meanings[name]} |"


def _anchors() -> Iterator[str]:
    """Yield the part of docs/configuration.md about anchors: each type's settings."""
    yield ""
    yield from _OF_ANCHORS.splitlines()
    for of in sorted(TYPES):
        yield from (
            "",
            f"### {of}",
            "",
            "| setting | kind | default | means |",
            "|---|---|---|---|",
        )
        options = sorted(options_of(settings_type(of)), key=lambda each: not each.is_required)
        yield from map(sink_documents.row, options)


def detectors() -> str:
    """Return docs/redaction-detectors.md: the kinds, and how they compare with libraries."""
    lines = [
        "# What is known as a secret by its shape",
        "",
        "Whatever its attribute is called, and inside longer texts too. Passwords have no shape:",
        "marks, the providers' schemas and names find those.",
        "",
        "| kind | finds |",
        "|---|---|",
        *(f"| `{kind}` | {means} |" for kind, means in KINDS.items()),
        "",
        "Random text stays readable under a name that explains it (`source_code_hash`, `etag`,",
        "`version_id`, `…_id`, `certificate`), and wherever it is hexadecimal, a UUID, of one case",
        "or base64 of readable text (which is looked into). AWS access key IDs are never hidden.",
        "Not found by shape: keys that are only hexadecimal digits or a UUID (Datadog, Linode,",
        "Scaleway), keys of one case (old Azure DevOps tokens), random text below 20 characters.",
        "",
        "## Compared with libraries",
        "",
        f"`python -m tests.redaction.compare` plants 30 secrets of each of {len(DRAWN)} sorts",
        "under the name `value` and reads the values of `readable.py`. Both corpora are ours,",
        "so that our own figures flatter us.",
        "",
        "| detector | secrets noticed | secrets found whole | readable values hit | µs a text |",
        "|---|---|---|---|---|",
    ]
    for name, figures in json.loads(COMPARED.read_text("utf-8")).items():
        lines.append(
            f"| {name} | {figures['noticed']} % | {figures['whole']} % | {figures['false']} % "
            f"| {figures['microseconds']} |"
        )
    return "\n".join(lines) + "\n"


def _comment(section: str, key: str) -> str:
    """Return the comment above the field, which is its documentation."""
    above: list[str] = []
    source = inspect.getsource(type(getattr(config.Config(), section)))
    for line in map(str.strip, source.splitlines()):
        if line.startswith("# "):
            above.append(line[2:])
        elif line.startswith(f"{key}:"):
            return " ".join(above)
        else:
            above = []
    raise AssertionError(f"{section}.{key} has no comment")


def check_entries(entries: Iterable[dict[str, Any]], each: int = 20) -> None:
    """Hold real entries against the published schema, so many of each event.

    Raises:
        jsonschema.ValidationError: names the first that does not fit.
    """
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    seen: Counter[str] = Counter()
    for entry in entries:
        seen[entry["event"]] += 1
        if seen[entry["event"]] <= each:
            validator.validate(entry)


FILES: Final = {
    "events.md": events,
    "filters.md": filters,
    "formats.md": formats,
    "roles.md": roles,
    "entry.schema.json": schema,
    "../proxy/cli/_bundle/entry.schema.json": schema,  # goes with each bundle
    "configuration.md": configuration,
    "redaction-names.md": page,
    "redaction-detectors.md": detectors,
    **sink_documents.FILES,
}
"""Name of each file in docs/ and what makes it."""

SHAPE: Final = DOCS.parent / "proxy" / "patterns" / "entry_shape.json"
"""The part of the package that is made so."""

if __name__ == "__main__":
    DOCS.mkdir(exist_ok=True)
    for file, make in FILES.items():
        (DOCS / file).write_text(make(), "utf-8")
    SHAPE.write_text(entry_shape(), "utf-8")
