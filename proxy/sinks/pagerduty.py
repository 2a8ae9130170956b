"""PagerDuty's Events API v2: an alert for each event, and its end where another event tells it.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import orjson
from msgspec import Meta

from proxy.sinks._http import Answer, Http, HttpOptions, Verdict, Verdicts, header_secret, object_of
from proxy.sinks._words import ALARMING, cut, evidence, facts, severity, title
from proxy.sinks.contract import Batch, Context, Event, Limits, Options, Receipt
from proxy.sinks.options import SecretName, Url

MAX_SUMMARY: Final = 1_024
MAX_KEY: Final = 255
MAX_SOURCE: Final = 255
MAX_DETAIL: Final = 10_000
"""Characters of one fact; the whole event may have 512 KB."""


class PagerDutyOptions(HttpOptions, frozen=True, kw_only=True):
    """Which service is alerted."""

    routing_key_secret: Annotated[
        SecretName,
        Meta(description="Name of the secret that is the integration key of the service."),
    ]
    resolve: Annotated[
        bool,
        Meta(
            description="A `run.completed` ends the alert of its workspace's runs, and alerts "
            "nobody; else each event is an alert."
        ),
    ] = True
    prefix: Annotated[
        str, Meta(max_length=80, description="Text that each summary begins with: `[prod]`.")
    ] = ""
    url: Annotated[
        Url,
        Meta(description="Address of the Events API; `https://events.eu.pagerduty.com` in the EU."),
    ] = "https://events.pagerduty.com"


class PagerDuty:
    """Alerts by PagerDuty, and resolves the alert when the next run goes well."""

    options_type: ClassVar[type[Options]] = PagerDutyOptions
    default_filter: ClassVar[Mapping[str, Any]] = ALARMING

    def __init__(self, options: PagerDutyOptions, context: Context) -> None:
        self.limits = Limits(events=1, is_record=False)
        self._options = options
        base = options.url.rstrip("/")
        self._url = f"{base}/v2/enqueue"
        self._key = header_secret(context, options.routing_key_secret)
        self._http = Http(options, context, f"PagerDuty at {base}", [self._key])

    async def send(self, batch: Batch) -> Receipt:
        """Trigger or resolve; see contract.Sink."""
        receipt = Receipt("nothing to send")
        for index, event in enumerate(batch.events):
            answer = await self._post(self._event(event, batch))
            receipt = self._http.require_taken(answer, (index,), _overrides(answer), _HINT)
        return receipt

    async def probe(self) -> str:
        """Resolve an alert that there never was, for which the key must be right.

        See contract.Sink.
        """
        answer = await self._post({"event_action": "resolve", "dedup_key": "tfaudit probe"})
        return f"{self._http.require_well(answer, _overrides(answer), _HINT)}: the key is right"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, event: Mapping[str, Any]) -> Answer:
        body = orjson.dumps({"routing_key": self._key, **event})
        headers = {"Content-Type": "application/json"}
        return await self._http.ask("POST", self._url, headers, body)

    def _event(self, event: Event, batch: Batch) -> dict[str, Any]:
        entry = event.entry
        key = dedup_key(entry, batch.origin)
        details = {
            **{name: cut(value, MAX_DETAIL) for name, value in facts(event, batch.origin)},
            **evidence(event, batch.checkpoint),
        }
        action = "trigger"
        if self._options.resolve and entry["event"] == "run.completed":
            action = "resolve"
        summary = f"{self._options.prefix} " if self._options.prefix else ""
        return {
            "event_action": action,
            "dedup_key": key,
            "client": "tfaudit",
            "payload": {
                "summary": cut(summary + title(entry, MAX_SUMMARY), MAX_SUMMARY),
                "source": cut(str(entry.get("workspace") or batch.origin), MAX_SOURCE),
                "severity": severity(entry),
                "timestamp": entry["time"],
                "component": cut(str(entry.get("workspace") or "tfaudit"), MAX_SOURCE),
                "group": cut(batch.origin, MAX_SOURCE),
                "class": entry["event"],
                "custom_details": details,
            },
        }


_HINT: Final = "check that the secret is the integration key of an Events API v2 integration"


def dedup_key(entry: Mapping[str, Any], origin: str) -> str:
    """Return what makes events one alert: the runs of one workspace are, any other stands alone."""
    if entry["event"].startswith("run.") and (workspace := entry.get("workspace")):
        key = f"{origin}/run/{workspace}"
        if len(key) <= MAX_KEY:
            return key
        return f"tfaudit/run/{hashlib.sha256(key.encode()).hexdigest()}"
    return f"tfaudit/{entry['id']}"


def _overrides(answer: Answer) -> Verdicts:
    """Return that a 400 for the key is no fault of the event."""
    errors = str(object_of(answer).get("errors")).lower().replace("_", " ")
    return {400: Verdict.REPAIR} if answer.status == 400 and "routing key" in errors else {}
