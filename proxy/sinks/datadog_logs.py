"""Datadog Logs: every event as a log, within the limits of its intake.

``POST /api/v2/logs`` takes at most 1,000 logs and 5 MB, cuts a log above 1 MB off and answers 2xx
all the same, and doesn't believe a time older than 18 hours. None of that is left to it.
https://docs.datadoghq.com/api/latest/logs/#send-logs
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

import orjson
from msgspec import Meta

from proxy.sinks._datadog import MAX_AGE, Datadog, DatadogOptions, tags_of
from proxy.sinks._http import Part, in_order, in_parts, made
from proxy.sinks._rendering import rendered
from proxy.sinks._words import cut, is_older, severity
from proxy.sinks.contract import Batch, Context, Event, Limits, Options, Receipt
from proxy.sinks.options import Format

MAX_LOGS: Final = 1_000
MAX_BODY: Final = 5_000_000
MAX_LOG: Final = 1_000_000
_MAX_MESSAGE: Final = 10_000
"""Characters of a message that is left of a log which had to be cut."""


class DatadogLogsOptions(DatadogOptions, frozen=True, kw_only=True):
    """How events become logs."""

    service: Annotated[
        str, Meta(min_length=1, max_length=100, description="Service of every log.")
    ] = "audit-log"
    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            description="Source of every log (`ddsource`): which pipeline Datadog runs on it.",
        ),
    ] = "tfaudit"
    format: Annotated[
        Format, Meta(description="How the whole event is written, under `tfaudit` of each log.")
    ] = "native"


class DatadogLogs:
    """Sends every event to Datadog Logs, in parts that it takes whole."""

    options_type: ClassVar[type[Options]] = DatadogLogsOptions

    def __init__(self, options: DatadogLogsOptions, context: Context) -> None:
        self.limits = Limits(events=MAX_LOGS)
        self._options = options
        self._now = context.now
        self._datadog = Datadog(options, context, "http-intake.logs", "/api/v2/logs")

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch; see contract.Sink."""
        far = self._datadog
        # With the last log of each request goes the newest checkpoint.
        evidence = _evidence(batch)

        async def post(part: Part) -> Receipt:
            body = b"[" + b",".join(part.pieces)[:-1] + evidence + b"]"
            answer = await far.http.ask("POST", far.url, far.headers, body, is_packed=True)
            return far.http.require_taken(answer, part.indices)

        return await in_order(await made(batch, self._parts), post)

    async def probe(self) -> str:
        """Ask whether the key is valid; see contract.Sink."""
        return await self._datadog.probe()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._datadog.http.aclose()

    def _parts(self, batch: Batch) -> list[Part]:
        now = self._now()
        pieces = (
            (index, self._log(event, batch.origin, now)) for index, event in enumerate(batch.events)
        )
        return in_parts(pieces, most=MAX_LOGS, size=MAX_BODY - len(_evidence(batch)))

    def _log(self, event: Event, origin: str, now: datetime) -> bytes:
        options = self._options
        log = described(event.entry) | {
            "ddsource": options.source,
            "service": options.service,
            "ddtags": ",".join(tags_of(event.entry, options.tags)),
            "tfaudit": rendered(options.format, event, origin),
        }
        if options.hostname:
            log["hostname"] = options.hostname
        if is_older(event.entry, now, MAX_AGE):
            log |= {"timestamp": int(now.timestamp() * 1000), "late": True}
        encoded = orjson.dumps(log)
        return encoded if len(encoded) <= MAX_LOG else _cut(log, event, len(encoded))


def _evidence(batch: Batch) -> bytes:
    return b',"checkpoint":' + orjson.dumps(batch.checkpoint) + b"}"


def described(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of an entry Datadog's pages show and filter by.

    ``actor``, ``request``, ``outcome`` and ``target`` are named as in the audit logs that Scalr
    streams, ``evt``, ``usr`` and ``network`` as Datadog's standard attributes.
    """
    actor, request, source = entry["actor"], entry["request"], entry["source"]
    happened = datetime.fromisoformat(entry["time"])
    return {
        "message": entry["message"],
        "status": severity(entry),
        "timestamp": int(happened.timestamp() * 1000),
        "event_time": entry["time"],
        "actor": {"type": actor["type"], "id": actor["id"], "display-name": actor["name"]},
        "request": {
            "id": request["id"],
            "action": entry["event"],
            "ip-address": source["ip"],
            "source": request["via"],
            "user-agent": source.get("user_agent", ""),
        },
        "outcome": {"result": entry["outcome"].upper(), "status-code": request.get("status")},
        "target": {"display-name": entry.get("workspace"), "context": entry.get("run")},
        "evt": {"name": entry["event"], "outcome": entry["outcome"]},
        "usr": {"id": actor["id"], "name": actor["name"]},
        "network": {"client": {"ip": source["ip"]}},
    }


def _cut(log: dict[str, Any], event: Event, size: int) -> bytes:
    """Return a log that says of itself that it was too long, and where the whole entry is."""
    record = event.record
    return orjson.dumps(
        log
        | {
            "message": cut(log["message"], _MAX_MESSAGE),
            "target": {"display-name": cut(event.entry.get("workspace") or "", _MAX_MESSAGE)},
            "ddtags": log["ddtags"] + ",cut:true",
            "tfaudit": {
                "cut": f"{size} bytes are more than Datadog takes: the log has entry "
                f"{record.index} as a whole",
                "index": record.index,
                "leaf_hash": record.leaf_hash.hex(),
                "sha256": hashlib.sha256(record.entry).hexdigest(),
                "signature": {
                    "key_id": record.key_id,
                    "value": b64encode(record.signature).decode(),
                },
            },
        }
    )
