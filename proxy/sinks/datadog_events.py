"""Datadog Events: one event a request, for people and monitors; by default what is notable.

Version 2 (``POST /api/v2/events`` of the event management intake) knows changes and alerts,
version 1 is what older organisations use.
https://docs.datadoghq.com/api/latest/events/
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

import orjson
from msgspec import Meta

from proxy.sinks._datadog import MAX_AGE, Datadog, DatadogOptions, tags_of
from proxy.sinks._http import MAX_REQUESTS, Part, in_order
from proxy.sinks._words import NOTABLE, cut, evidence, facts, is_older, lines, severity, title
from proxy.sinks.contract import Batch, Context, Event, Limits, Options, Receipt

MAX_TITLE: Final = {"v2": 500, "v1": 100}
MAX_MESSAGE: Final = 4_000
MAX_TAGS: Final = 100
MAX_KEY: Final = 100
MAX_NAME: Final = 128
_STATUS: Final = {"info": "ok", "warning": "warn", "error": "error"}
_AUTHORS: Final = {"user": "user", "system": "system", "token": "api", "oidc": "automation"}


class DatadogEventsOptions(DatadogOptions, frozen=True, kw_only=True):
    """How events are shown."""

    api: Annotated[
        Literal["v2", "v1"],
        Meta(description="Version of Datadog's interface for events; v1 knows no categories."),
    ] = "v2"


class DatadogEvents:
    """Posts events to Datadog's event stream, as changes and alerts."""

    options_type: ClassVar[type[Options]] = DatadogEventsOptions
    default_filter: ClassVar[Mapping[str, Any]] = NOTABLE

    def __init__(self, options: DatadogEventsOptions, context: Context) -> None:
        self.limits = Limits(events=MAX_REQUESTS, is_record=False)
        self._options = options
        self._now = context.now
        intake = "event-management-intake" if options.api == "v2" else "api"
        self._datadog = Datadog(options, context, intake, f"/api/{options.api}/events")

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the events one by one; see contract.Sink."""
        far = self._datadog

        async def post(part: Part) -> Receipt:
            answer = await far.http.ask("POST", far.url, far.headers, part.pieces[0])
            return far.http.require_taken(answer, part.indices)

        make = self._second if self._options.api == "v2" else self._first
        parts = [
            Part((index,), (orjson.dumps(make(event, batch)),))
            for index, event in enumerate(batch.events)
        ]
        return await in_order(parts, post)

    async def probe(self) -> str:
        """Ask whether the key is valid; see contract.Sink."""
        return await self._datadog.probe()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._datadog.http.aclose()

    def _second(self, event: Event, batch: Batch) -> dict[str, Any]:
        entry = event.entry
        told: dict[str, Any] = {
            "event": entry["event"],
            "outcome": entry["outcome"],
            "workspace": entry.get("workspace"),
            "ip": entry["source"]["ip"],
            "time": entry["time"],
            **evidence(event, batch.checkpoint),
        }
        kind = "alert" if _is_alert(entry) else "change"
        if kind == "alert":
            specific = {"status": _STATUS[severity(entry)], "custom": told}
        else:
            actor = entry["actor"]
            specific = {
                "changed_resource": {
                    "type": "configuration",
                    "name": cut(str(entry.get("workspace") or batch.origin), MAX_NAME),
                },
                "author": {
                    "type": _AUTHORS.get(actor["type"], "api"),
                    "name": cut(actor["name"] or actor["type"], MAX_NAME),
                },
                "change_metadata": told,
            }
        attributes: dict[str, Any] = {
            "title": title(entry, MAX_TITLE["v2"]),
            "message": cut(lines(facts(event, batch.origin)), MAX_MESSAGE),
            "category": kind,
            "integration_id": "custom-events",
            "tags": tags_of(entry, self._options.tags)[:MAX_TAGS],
            "aggregation_key": _key(entry),
            "attributes": specific,
        }
        if self._options.hostname:
            attributes["host"] = self._options.hostname
        if not is_older(entry, self._now(), MAX_AGE):  # else it is the time of receipt
            attributes["timestamp"] = entry["time"]
        return {"data": {"type": "event", "attributes": attributes}}

    def _first(self, event: Event, batch: Batch) -> dict[str, Any]:
        entry = event.entry
        proof = lines(
            (name, str(value)) for name, value in evidence(event, batch.checkpoint).items()
        )
        made: dict[str, Any] = {
            "title": title(entry, MAX_TITLE["v1"]),
            "text": cut(f"{lines(facts(event, batch.origin))}\n\n{proof}", MAX_MESSAGE),
            "alert_type": severity(entry),
            "tags": tags_of(entry, self._options.tags)[:MAX_TAGS],
            "aggregation_key": _key(entry),
            "source_type_name": "tfaudit",
        }
        if self._options.hostname:
            made["host"] = self._options.hostname
        if not is_older(entry, self._now(), MAX_AGE):
            made["date_happened"] = int(datetime.fromisoformat(entry["time"]).timestamp())
        return made


def _is_alert(entry: Mapping[str, Any]) -> bool:
    """Tell whether it asks for somebody, or tells that it needs nobody any more."""
    return severity(entry) != "info" or entry["event"] == "run.completed"


def _key(entry: Mapping[str, Any]) -> str:
    """Return what belongs together: the runs of a workspace, so that a good one ends an alert."""
    if entry["event"].startswith("run.") and (workspace := entry.get("workspace")):
        key = f"tfaudit run {workspace}"
        if len(key) <= MAX_KEY:
            return key
        return f"tfaudit run {hashlib.sha256(workspace.encode()).hexdigest()}"
    return f"tfaudit {entry['id']}"
