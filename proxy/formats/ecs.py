"""ECS, the Elastic Common Schema (elastic.co/docs/reference/ecs), as nested objects.

What ECS has no field for stands under ``tfaudit`` by its name in the entry. Its shape varies with
what changed: map ``tfaudit`` as ``flattened``, so that no event is refused over a field's type.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from proxy.formats.addresses import is_address
from proxy.formats.native import evidence
from proxy.tlog.entry import Record

VERSION: Final = "8.17.0"

CATEGORIES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "state.read": (("file",), ("access",)),
    "state.outputs_read": (("file",), ("access",)),
    "state.version_read": (("file",), ("access",)),
    "state.written": (("file",), ("change",)),
    "state.write_refused": (("file",), ("change",)),
    "state.rolled_back": (("file",), ("change",)),
    "state.versions_pruned": (("file",), ("deletion",)),
    "state.locked": (("file",), ("info",)),
    "state.lock_refused": (("file",), ("info",)),
    "state.unlocked": (("file",), ("info",)),
    "state.unlock_refused": (("file",), ("info",)),
    "state.force_unlocked": (("file",), ("change",)),
    "run.created": (("process",), ("start",)),
    "run.needs_attention": (("process",), ("info",)),
    "run.completed": (("process",), ("end",)),
    "run.errored": (("process",), ("end",)),
    "workspace.created": (("configuration",), ("creation",)),
    "workspace.updated": (("configuration",), ("change",)),
    "workspace.deleted": (("configuration",), ("deletion",)),
    "workspace.restored": (("configuration",), ("creation",)),
    "workspace.purged": (("configuration", "file"), ("deletion",)),
    "auth.login": (("authentication", "session"), ("start",)),
    "auth.logout": (("authentication", "session"), ("end",)),
    "auth.locked_out": (("authentication",), ("info",)),
    "auth.failed": (("authentication",), ("start",)),
    "access.denied": (("api",), ("access",)),
    "token.created": (("iam",), ("admin", "creation")),
    "token.rotated": (("iam",), ("admin", "change")),
    "token.revoked": (("iam",), ("admin", "deletion")),
    "token.expired": (("authentication",), ("start",)),
    "principal.created": (("iam",), ("user", "creation")),
    "principal.updated": (("iam",), ("user", "change")),
    "principal.deleted": (("iam",), ("user", "deletion")),
    "grant.created": (("iam",), ("admin", "creation")),
    "grant.updated": (("iam",), ("admin", "change")),
    "grant.deleted": (("iam",), ("admin", "deletion")),
    "issuer.created": (("iam",), ("admin", "creation")),
    "issuer.updated": (("iam",), ("admin", "change")),
    "issuer.deleted": (("iam",), ("admin", "deletion")),
    "sink.created": (("configuration",), ("creation",)),
    "sink.updated": (("configuration",), ("change",)),
    "sink.enabled": (("configuration",), ("change",)),
    "sink.disabled": (("configuration",), ("change",)),
    "sink.deleted": (("configuration",), ("deletion",)),
    "sink.tested": (("configuration",), ("info",)),
    "key.rotated": (("configuration",), ("change",)),
    "config.changed": (("configuration",), ("change",)),
    "audit.started": (("process",), ("start",)),
    "audit.stopped": (("process",), ("end",)),
    "audit.unclean_shutdown": (("process",), ("end",)),
    "audit.read": (("api",), ("access",)),
    "audit.exported": (("api",), ("access",)),
    "audit.verified": (("api",), ("info",)),
    "audit.recovered": (("configuration",), ("change",)),
    "audit.pruned": (("configuration",), ("deletion",)),
    "sink.failed": (("process",), ("info",)),
    "sink.recovered": (("process",), ("info",)),
    "sink.dead_lettered": (("process",), ("info",)),
    "sink.replayed": (("process",), ("info",)),
}
"""By event: ``event.category`` and ``event.type``."""

_OTHER: Final = (("api",), ("info",))
_MAPPED: Final = frozenset(
    ("id", "time", "event", "message", "actor", "source", "request", "workspace")
)
"""Parts of an entry that are mapped, or taken apart; all others stand under ``tfaudit``."""


def ecs(entry: Mapping[str, Any], record: Record, origin: str) -> dict[str, Any]:
    """Return the entry as a document of Elasticsearch.

    ``event.id`` is the entry's ID: used as the document's ID, it makes a second delivery harmless.

    Args:
        entry: the committed entry, as decoded JSON; it is not changed.
        record: the signed bytes and what stands around them.
        origin: the log's name.
    """
    name: str = entry["event"]
    rest: dict[str, Any] = {
        "origin": origin,
        "index": record.index,
        **evidence(record),
        **{part: value for part, value in entry.items() if part not in _MAPPED},
    }
    document: dict[str, Any] = {
        "@timestamp": entry["time"],
        "ecs": {"version": VERSION},
        "message": entry["message"],
        "event": {
            **_fixed(name, entry["outcome"]),
            "id": entry["id"],
            "sequence": record.index,
            "hash": rest["leaf_hash"],
        },
        "service": {"name": "tfaudit", "type": "tfaudit"},
        "tfaudit": rest,
    }
    _add_actor(document, entry["actor"], rest)
    _add_source(document, entry["source"], rest)
    _add_request(document, entry["request"], rest)
    workspace = entry.get("workspace")
    if workspace is not None:
        rest["workspace"] = workspace
        if name.startswith("state."):
            document["file"] = _file(workspace, entry.get("state", {}))
    return document


@lru_cache(maxsize=1024)
def _fixed(name: str, outcome: str) -> dict[str, Any]:
    """Return what every event of a kind and outcome has; it is not changed."""
    categories, types = CATEGORIES.get(name, _OTHER)
    if outcome == "denied":
        categories = (*dict.fromkeys((*categories, "api")),)
        types = (*types, "denied")
    return {
        "kind": "event",
        "category": list(categories),
        "type": list(types),
        "action": name,
        "outcome": "success" if outcome == "success" else "failure",
        "module": "tfaudit",
        "dataset": "tfaudit.audit",
        "provider": "tfaudit",
    }


def _add_actor(document: dict[str, Any], actor: Mapping[str, Any], rest: dict[str, Any]) -> None:
    user = {key: actor[key] for key in ("id", "name") if actor[key]}
    if user:
        document["user"] = user
    if actor["name"]:
        document["related"] = {"user": [actor["name"]]}
    rest["actor"] = {key: value for key, value in actor.items() if key not in {"id", "name"}}


def _add_source(document: dict[str, Any], source: Mapping[str, Any], rest: dict[str, Any]) -> None:
    ip = source["ip"]
    if is_address(ip):
        document["source"] = {"ip": ip, "address": ip}
        document.setdefault("related", {})["ip"] = [ip]
    elif ip:
        document["source"] = {"address": ip}
    if "user_agent" in source:
        document["user_agent"] = {"original": source["user_agent"]}
    if "forwarded_for" in source:
        rest["source"] = {"forwarded_for": source["forwarded_for"]}


def _add_request(
    document: dict[str, Any], request: Mapping[str, Any], rest: dict[str, Any]
) -> None:
    asked = {key: request[key] for key in ("id", "method") if request[key]}
    http: dict[str, Any] = {"request": asked} if asked else {}
    if "status" in request:
        http["response"] = {"status_code": request["status"]}
    if http:
        document["http"] = http
    if request["path"]:
        document["url"] = {"path": request["path"]}
    rest["request"] = {"via": request["via"]}


def _file(workspace: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state as a file whose path is the workspace."""
    file: dict[str, Any] = {"path": workspace, "name": workspace.rpartition("/")[2], "type": "file"}
    if "size" in state:
        file["size"] = state["size"]
    if "sha256" in state:
        file["hash"] = {"sha256": state["sha256"]}
    return file
