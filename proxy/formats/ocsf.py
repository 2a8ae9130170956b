"""OCSF 1.8.0, the Open Cybersecurity Schema Framework (schema.ocsf.io/1.8.0).

States and locks are File Hosting Activity, logins Authentication, whatever is administered Entity
Management, the server, its sinks and the runs Application Lifecycle, and calls about the log
itself API Activity. What has no attribute stands under ``unmapped`` by its name in the entry.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from proxy.formats.addresses import is_address
from proxy.formats.native import evidence
from proxy.timestamps import micros_of
from proxy.tlog.entry import Record

VERSION: Final = "1.8.0"


class _Class(NamedTuple):
    """An event class.

    Attributes:
        category: uid and caption.
        activities: the captions of those that are used, by ID.
    """

    uid: int
    caption: str
    category: tuple[int, str]
    activities: Mapping[int, str]


_APPLICATION: Final = (6, "Application Activity")
_IDENTITY: Final = (3, "Identity & Access Management")

_BASE: Final = _Class(0, "Base Event", (0, "Uncategorized"), {})
_FILE: Final = _Class(
    6006,
    "File Hosting Activity",
    _APPLICATION,
    {2: "Download", 3: "Update", 4: "Delete", 8: "Restore", 10: "Lock", 11: "Unlock"},
)
_LOGIN: Final = _Class(3002, "Authentication", _IDENTITY, {1: "Logon", 2: "Logoff"})
_ENTITY: Final = _Class(
    3004,
    "Entity Management",
    _IDENTITY,
    {1: "Create", 3: "Update", 4: "Delete", 8: "Enable", 9: "Disable", 11: "Deactivate"},
)
_LIFE: Final = _Class(6002, "Application Lifecycle", _APPLICATION, {3: "Start", 4: "Stop"})
_API: Final = _Class(6003, "API Activity", _APPLICATION, {2: "Read"})

_SEVERITIES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High"}

CLASSES: Final[Mapping[str, tuple[_Class, int | str, int]]] = {
    "state.read": (_FILE, 2, 1),
    "state.outputs_read": (_FILE, 2, 1),
    "state.version_read": (_FILE, 2, 1),
    "state.written": (_FILE, 3, 1),
    "state.write_refused": (_FILE, 3, 2),
    "state.rolled_back": (_FILE, 8, 2),
    "state.versions_pruned": (_FILE, 4, 3),
    "state.locked": (_FILE, 10, 1),
    "state.lock_refused": (_FILE, 10, 1),
    "state.unlocked": (_FILE, 11, 1),
    "state.unlock_refused": (_FILE, 11, 1),
    "state.force_unlocked": (_FILE, 11, 3),
    "run.created": (_LIFE, 3, 1),
    "run.needs_attention": (_LIFE, "Needs Attention", 3),
    "run.completed": (_LIFE, 4, 1),
    "run.errored": (_LIFE, 4, 3),
    "workspace.created": (_ENTITY, 1, 1),
    "workspace.updated": (_ENTITY, 3, 2),
    "workspace.deleted": (_ENTITY, 4, 3),
    "workspace.restored": (_ENTITY, "Restore", 2),
    "workspace.purged": (_ENTITY, 4, 3),
    "auth.login": (_LOGIN, 1, 1),
    "auth.logout": (_LOGIN, 2, 1),
    "auth.locked_out": (_LOGIN, "Lock Out", 4),
    "auth.failed": (_LOGIN, 1, 2),
    "access.denied": (_API, "Deny", 3),
    "token.created": (_ENTITY, 1, 2),
    "token.rotated": (_ENTITY, 3, 1),
    "token.revoked": (_ENTITY, 11, 2),
    "token.expired": (_LOGIN, 1, 2),
    "principal.created": (_ENTITY, 1, 2),
    "principal.updated": (_ENTITY, 3, 2),
    "principal.deleted": (_ENTITY, 4, 2),
    "grant.created": (_ENTITY, 1, 2),
    "grant.updated": (_ENTITY, 3, 2),
    "grant.deleted": (_ENTITY, 4, 2),
    "issuer.created": (_ENTITY, 1, 2),
    "issuer.updated": (_ENTITY, 3, 2),
    "issuer.deleted": (_ENTITY, 4, 2),
    "sink.created": (_ENTITY, 1, 2),
    "sink.updated": (_ENTITY, 3, 2),
    "sink.enabled": (_ENTITY, 8, 2),
    "sink.disabled": (_ENTITY, 9, 3),
    "sink.deleted": (_ENTITY, 4, 3),
    "sink.tested": (_API, "Test", 1),
    "key.rotated": (_ENTITY, 3, 2),
    "config.changed": (_ENTITY, 3, 2),
    "audit.started": (_LIFE, 3, 1),
    "audit.stopped": (_LIFE, 4, 2),
    "audit.unclean_shutdown": (_LIFE, 4, 4),
    "audit.read": (_API, 2, 1),
    "audit.exported": (_API, 2, 2),
    "audit.verified": (_API, "Verify", 1),
    "audit.recovered": (_LIFE, "Recover", 4),
    "audit.pruned": (_LIFE, "Prune", 3),
    "sink.failed": (_LIFE, "Fail", 4),
    "sink.recovered": (_LIFE, "Recover", 1),
    "sink.dead_lettered": (_LIFE, "Set Aside", 4),
    "sink.replayed": (_LIFE, "Replay", 1),
}
"""By event: its class, the activity (or the name of one that OCSF doesn't know), and the severity
that it has at least."""

_BY_OUTCOME: Final = {"success": 1, "conflict": 1, "denied": 2, "error": 2}
"""The severity that an outcome has at least."""

_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
"""What OCSF takes as a method; LOCK and UNLOCK are not among them."""

_USERS: Final = {"user": (1, "User"), "system": (3, "System"), "anonymous": (0, "Unknown")}

_MAPPED: Final = frozenset(
    ("id", "time", "event", "outcome", "message", "v", "actor", "source", "request", "workspace")
)
"""Parts of an entry that are mapped, or taken apart; all others stand under ``unmapped``."""


def ocsf(entry: Mapping[str, Any], record: Record, origin: str) -> dict[str, Any]:
    """Return the entry as an event of the class that its kind has.

    Args:
        entry: the committed entry, as decoded JSON; it is not changed.
        record: the signed bytes and what stands around them.
        origin: the log's name.
    """
    name: str = entry["event"]
    unmapped: dict[str, Any] = {
        "index": record.index,
        **evidence(record),
        **{part: value for part, value in entry.items() if part not in _MAPPED},
    }
    metadata = {
        "version": VERSION,
        "product": {"name": "tfaudit", "vendor_name": "tfaudit"},
        "uid": entry["id"],
        "event_code": name,
        "sequence": record.index,
        "original_time": entry["time"],
        "log_name": origin,
        "log_version": str(entry["v"]),
    }
    event = {
        **_fixed(name, entry["outcome"]),
        "time": micros_of(entry["time"]) // 1000,
        "message": entry["message"],
        "metadata": metadata,
        "unmapped": unmapped,
    }
    actor, user = _actor(entry["actor"], unmapped)
    status = entry["request"].get("status")
    if status is not None:
        event["status_code"] = str(status)
    of = event["class_uid"]
    if of == _LIFE.uid:
        metadata["profiles"] = ["host"]  # which gives this class its actor
        event["actor"] = actor
        unmapped["source"] = entry["source"]
        unmapped["request"] = entry["request"]
    elif of == _BASE.uid:
        unmapped |= {part: entry[part] for part in ("actor", "source", "request")}
    else:
        event["actor"] = actor
        _add_request(event, entry, unmapped)
    add = _OBJECTS.get(of)
    if add is not None:
        add(event, entry, user)
    if "workspace" in entry and of != _FILE.uid:
        unmapped["workspace"] = entry["workspace"]
    return event


@lru_cache(maxsize=1024)
def _fixed(name: str, outcome: str) -> dict[str, Any]:
    """Return what every event of a kind and outcome has; it is not changed."""
    of, activity, least = CLASSES.get(name, (_BASE, name, 1))
    number = 99 if isinstance(activity, str) else activity
    caption = activity if isinstance(activity, str) else of.activities[activity]
    severity = max(least, _BY_OUTCOME.get(outcome, 1))
    is_done = outcome == "success"
    return {
        "class_uid": of.uid,
        "class_name": of.caption,
        "category_uid": of.category[0],
        "category_name": of.category[1],
        "activity_id": number,
        "activity_name": caption,
        "type_uid": of.uid * 100 + number,
        "type_name": f"{of.caption}: {caption}",
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "status_id": 1 if is_done else 2,
        "status": "Success" if is_done else "Failure",
        "status_detail": outcome,
    }


def _actor(
    actor: Mapping[str, Any], unmapped: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the actor, and the user in it; what they can't hold goes to ``unmapped``."""
    kind = actor["type"]
    number, caption = _USERS.get(kind, (99, kind))
    user = {"name": actor["name"] or kind, "type_id": number, "type": caption}
    if actor["id"]:
        user["uid"] = actor["id"]
    found: dict[str, Any] = {"user": user}
    rest: dict[str, Any] = {}
    for key, value in actor.items():
        if key == "session":
            found["session"] = {"uid": value}
        elif key == "issuer":
            found["idp"] = {"name": value}
        elif key not in {"id", "name"}:
            rest[key] = value
    unmapped["actor"] = rest
    return found, user


def _add_request(event: dict[str, Any], entry: Mapping[str, Any], unmapped: dict[str, Any]) -> None:
    source, request = entry["source"], entry["request"]
    ip = source["ip"]
    if is_address(ip):
        event["src_endpoint"] = {"ip": ip}
    else:
        event["src_endpoint"] = {"name": ip or request["via"]}
    http: dict[str, Any] = {"uid": request["id"]}
    rest = {"via": request["via"]}
    for key, value in request.items():
        if key == "method" and value in _METHODS:
            http["http_method"] = value
        elif key == "path" and value:
            http["url"] = {"path": value}
        elif key == "status":
            event["http_response"] = {"code": value}
        elif key not in {"id", "via"} and value:
            rest[key] = value
    unmapped["request"] = rest
    if "user_agent" in source:
        http["user_agent"] = source["user_agent"]
    if forwarded := source.get("forwarded_for"):
        if all(map(is_address, forwarded)):
            http["x_forwarded_for"] = forwarded
        else:
            unmapped["source"] = {"forwarded_for": forwarded}
    event["http_request"] = http


def _add_file(event: dict[str, Any], entry: Mapping[str, Any], _: dict[str, Any]) -> None:
    """Add the state as a file of the workspace's name."""
    file: dict[str, Any] = {
        "name": entry.get("workspace") or entry["request"]["path"] or "unknown",
        "type_id": 99,
        "type": "Terraform state",
    }
    state = entry.get("state", {})
    if "serial" in state:
        file["version"] = str(state["serial"])
    if "size" in state:
        file["size"] = state["size"]
    if "version" in state:
        file["uid"] = state["version"]
    if "sha256" in state:
        file["hashes"] = [{"algorithm_id": 3, "algorithm": "SHA-256", "value": state["sha256"]}]
    event["file"] = file


def _add_login(event: dict[str, Any], entry: Mapping[str, Any], user: dict[str, Any]) -> None:
    """Add who logs in, or whose password was tried."""
    account = entry.get("account")
    event["user"] = {"name": account, "type_id": 1, "type": "User"} if account else user
    event["service"] = {"name": "tfaudit"}
    event["is_remote"] = entry["request"]["via"] != "cli"
    session = entry.get("session")
    if session is not None:
        event["session"] = {
            "uid": session["id"],
            "expiration_time": micros_of(session["expires"]) // 1000,
        }


def _add_entity(event: dict[str, Any], entry: Mapping[str, Any], _: dict[str, Any]) -> None:
    """Add what was administered."""
    kind = entry["event"].partition(".")[0]
    part = entry.get("object") or entry.get(kind)
    entity: dict[str, Any] = {
        "name": kind,
        "type": kind,
        "type_id": 2 if kind == "principal" else 99,
    }
    if isinstance(part, Mapping):
        if name := part.get("name"):
            entity["name"] = name
        if uid := part.get("id"):
            entity["uid"] = uid
    elif isinstance(part, str) and part:  # a workspace
        entity["name"] = part
    if kind == "principal":
        entity["type"] = "User"
    event["entity"] = entity


def _add_application(event: dict[str, Any], entry: Mapping[str, Any], _: dict[str, Any]) -> None:
    """Add what starts and stops: the server, a sink, or a run of Terraform."""
    kind = entry["event"].partition(".")[0]
    part = entry.get(kind, {})
    if kind == "run":
        application = {"name": "Terraform"}
        if version := part.get("terraform_version"):
            application["version"] = version
        if uid := part.get("id"):
            application["uid"] = uid
    elif kind == "sink":
        application = {"name": f"tfaudit sink {part.get('name', '')}".rstrip()}
        if uid := part.get("id"):
            application["uid"] = uid
    else:
        application = {"name": "tfaudit", "vendor_name": "tfaudit"}
    event["app"] = application


def _add_api(event: dict[str, Any], entry: Mapping[str, Any], _: dict[str, Any]) -> None:
    request = entry["request"]
    event["api"] = {
        "operation": f"{request['method']} {request['path']}".strip() or entry["event"],
        "service": {"name": "tfaudit"},
    }


_OBJECTS: Final[
    Mapping[int, Callable[[dict[str, Any], Mapping[str, Any], dict[str, Any]], None]]
] = {
    _FILE.uid: _add_file,
    _LOGIN.uid: _add_login,
    _ENTITY.uid: _add_entity,
    _LIFE.uid: _add_application,
    _API.uid: _add_api,
}
"""What adds the object that a class is about."""
