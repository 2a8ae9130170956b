"""The far sides of sinks as their vendors document them: what breaks a limit fails, or is lost.

One server with the paths of Datadog, Splunk's HTTP Event Collector, Slack's incoming webhooks,
PagerDuty's Events API and Jira Cloud. Where the real one loses data and says nothing, this one
does so as well, and keeps what it did in ``lost``.
"""

import base64
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.forwarded import NOW

DATADOG_KEY: Final = "0123456789abcdef0123456789abcdef"
SPLUNK_TOKEN: Final = "11111111-2222-3333-4444-555555555555"
SLACK_PATH: Final = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
PAGERDUTY_KEY: Final = "e93facc04764012d7bfb002500d5d1a6"
JIRA_USER: Final = "bot@example.com"
JIRA_TOKEN: Final = "ATATT-not-a-token-of-anybody-0123456789"
JIRA_PROJECT: Final = "OPS"

_AGE: Final = timedelta(hours=18)
_MEGABYTE: Final = 1_000_000


@dataclass
class Intake:
    """What arrived, and what a test sets.

    Attributes:
        url: where it listens.
        now: the far side's clock.
        logs: Datadog's, as it would index them.
        lost: what a far side dropped or cut without saying so.
        events: Datadog's, of both versions.
        hec: objects that Splunk took, in order.
        indexed: those that it acknowledged or would, in order.
        acks_after: how often an acknowledgement is asked for in vain; None for ever.
        wants_acks: whether the token has acknowledgement switched on.
        messages: Slack's.
        alerts: PagerDuty's open alerts by key.
        pagerduty: all events that PagerDuty took.
        issues: Jira's, by label the entry's.
        busy: answers of 429 that come before the next real one.
        broken: answers of 503 likewise.
        broken_from: how many requests to one path are answered before it is 503 for good.
        lose_after_create: whether the answer to the next issue that is made never comes.
    """

    url: str = ""
    now: datetime = NOW
    logs: list[dict[str, Any]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    hec: list[dict[str, Any]] = field(default_factory=list)
    indexed: list[dict[str, Any]] = field(default_factory=list)
    acks_after: int | None = 0
    wants_acks: bool = False
    is_healthy: bool = True
    messages: list[dict[str, Any]] = field(default_factory=list)
    last_message: datetime | None = None
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    pagerduty: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    busy: int = 0
    broken: int = 0
    broken_from: int | None = None
    lose_after_create: bool = False
    requests: Counter[str] = field(default_factory=Counter)
    pending: dict[str, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)

    def application(self) -> web.Application:
        """Return the server's routes."""
        app = web.Application(client_max_size=2**30, middlewares=[self._troubles])
        app.add_routes(
            [
                web.post("/api/v2/logs", self.datadog_logs),
                web.post("/api/v2/events", self.datadog_event),
                web.post("/api/v1/events", self.datadog_first_event),
                web.get("/api/v1/validate", self.datadog_validate),
                web.post("/services/collector/event", self.splunk_event),
                web.post("/services/collector/ack", self.splunk_ack),
                web.get("/services/collector/health", self.splunk_health),
                web.post(SLACK_PATH, self.slack),
                web.post("/v2/enqueue", self.pagerduty_event),
                web.post("/rest/api/3/search/jql", self.jira_search),
                web.post("/rest/api/3/issue", self.jira_create),
                web.get("/rest/api/3/myself", self.jira_myself),
                web.get("/rest/api/3/project/{key}", self.jira_project),
            ]
        )
        return app

    @web.middleware
    async def _troubles(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self.requests[request.path] += 1
        if self.busy:
            self.busy -= 1
            return web.json_response({"errors": ["slow down"]}, status=429, headers=_WAIT)
        if self.broken_from is not None and self.requests[request.path] >= self.broken_from:
            return web.Response(status=503)
        if self.broken:
            self.broken -= 1
            return web.Response(status=503)
        answer = await handler(request)
        if self.lose_after_create and answer.status == 201:
            self.lose_after_create = False
            assert request.transport is not None
            request.transport.abort()
        return answer

    # ------------------------------------------------------------ Datadog

    async def datadog_logs(self, request: web.Request) -> web.Response:
        """Take logs: at most 1,000 and 5 MB; cut what is longer than 1 MB; forget old times."""
        if (refused := _datadog_key(request)) is not None:
            return refused
        body = await _body(request)
        if len(body) > 5 * _MEGABYTE:
            return _errors(413, "Payload too large")
        try:
            logs = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _errors(400, "Invalid JSON")
        if not isinstance(logs, list) or len(logs) > 1000:
            return _errors(400, "Too many logs")
        for log in logs:
            size = len(orjson.dumps(log))
            if size > _MEGABYTE:
                self.lost.append(f"a log of {size} bytes was cut")
                continue
            if self.now - datetime.fromtimestamp(log["timestamp"] / 1000, UTC) > _AGE:
                self.lost.append("the time of a log is too old")
            self.logs.append(log)
        return web.json_response({}, status=202)

    async def datadog_event(self, request: web.Request) -> web.Response:
        """Take one event of version 2."""
        if (refused := _datadog_key(request)) is not None:
            return refused
        data = (await request.json())["data"]
        attributes = data["attributes"]
        wrong = _too_long(attributes, {"title": 500, "message": 4000, "aggregation_key": 100})
        if "timestamp" in attributes and self.now - _time(attributes["timestamp"]) > _AGE:
            wrong.append("timestamp is older than 18 hours")
        if not 1 <= len(attributes["tags"]) <= 100 or max(map(len, attributes["tags"])) > 200:
            wrong.append("tags")
        if data["type"] != "event" or attributes["integration_id"] != "custom-events":
            wrong.append("type or integration_id")
        wrong += _wrong_specifics(attributes["category"], attributes["attributes"])
        if wrong:
            return _errors(400, *wrong)
        self.events.append(attributes)
        return web.json_response({"data": {"type": "event"}}, status=202)

    async def datadog_first_event(self, request: web.Request) -> web.Response:
        """Take one event of version 1."""
        if (refused := _datadog_key(request)) is not None:
            return refused
        event = await request.json()
        wrong = _too_long(event, {"title": 100, "text": 4000, "aggregation_key": 100})
        if event["alert_type"] not in ("error", "warning", "info", "success"):
            wrong.append("alert_type")
        happened = event.get("date_happened")
        if happened and self.now - datetime.fromtimestamp(happened, UTC) > _AGE:
            wrong.append("date_happened is older than 18 hours")
        if wrong:
            return _errors(400, *wrong)
        self.events.append(event)
        return web.json_response({"status": "ok"}, status=202)

    async def datadog_validate(self, request: web.Request) -> web.Response:
        """Say whether a key is valid."""
        return _datadog_key(request) or web.json_response({"valid": True})

    # ------------------------------------------------------------ Splunk

    async def splunk_event(self, request: web.Request) -> web.Response:
        """Take concatenated objects; what they are worth is known once they are acknowledged."""
        if (refused := self._splunk_login(request)) is not None:
            return refused
        channel = request.headers.get("X-Splunk-Request-Channel", "")
        if self.wants_acks and not channel:
            return _hec(400, 10, "Data channel is missing")
        body = (await _body(request)).decode()
        if len(body) > _MEGABYTE:
            return web.Response(status=413)
        found = _hec_events(body)
        if isinstance(found, web.Response):
            return found
        self.hec += found
        if not self.wants_acks:
            self.indexed += found
            return _hec(200, 0, "Success")
        acks = self.pending.setdefault(channel, {})
        number = sum(map(len, self.pending.values()))
        acks[number] = found
        return _hec(200, 0, "Success", ackId=number)

    async def splunk_ack(self, request: web.Request) -> web.Response:
        """Say what is indexed."""
        if (refused := self._splunk_login(request)) is not None:
            return refused
        if not self.wants_acks:
            return _hec(400, 14, "ACK is disabled")
        channel = request.headers.get("X-Splunk-Request-Channel", "")
        if channel not in self.pending:
            return _hec(400, 11, "Invalid data channel")
        said = {}
        for number in (await request.json())["acks"]:
            self.asked[number] += 1
            waiting = self.pending[channel].get(number)
            is_done = (
                waiting is not None
                and self.acks_after is not None
                and self.asked[number] > self.acks_after
            )
            if is_done and waiting is not None:
                self.indexed += waiting
                self.pending[channel][number] = []
            said[str(number)] = is_done
        return web.json_response({"acks": said})

    async def splunk_health(self, _: web.Request) -> web.Response:
        """Say whether the queues have room."""
        if self.is_healthy:
            return _hec(200, 17, "HEC is healthy")
        return _hec(503, 18, "HEC is unhealthy, queues are full")

    def _splunk_login(self, request: web.Request) -> web.Response | None:
        login = request.headers.get("Authorization", "")
        if not login:
            return _hec(401, 2, "Token is required")
        if login != f"Splunk {SPLUNK_TOKEN}":
            return _hec(403, 4, "Invalid token")
        return None

    # ------------------------------------------------------------ Slack

    async def slack(self, request: web.Request) -> web.Response:
        """Take a message; not more than one a second."""
        try:
            message = await request.json()
        except json.JSONDecodeError:
            return web.Response(text="invalid_payload", status=400)
        if not message.get("text"):
            return web.Response(text="no_text", status=400)
        if len(message.get("blocks", ())) > 50 or any(map(_is_bad_block, message["blocks"])):
            return web.Response(text="invalid_blocks", status=400)
        if self.last_message is not None and self.now - self.last_message < timedelta(seconds=1):
            return web.Response(text="rate_limited", status=429, headers={"Retry-After": "1"})
        self.last_message = self.now
        self.messages.append(message)
        return web.Response(text="ok")

    # ------------------------------------------------------------ PagerDuty

    async def pagerduty_event(self, request: web.Request) -> web.Response:
        """Open or close an alert."""
        body = await _body(request)
        event = orjson.loads(body)
        wrong = _too_long(event, {"dedup_key": 255})
        if len(body) > 512_000:
            wrong.append("Event exceeds maximum size of 512KB")
        if event.get("routing_key") != PAGERDUTY_KEY:
            wrong.append("Invalid routing key")
        payload = event.get("payload", {})
        match event.get("event_action"):
            case "trigger":
                wrong += _too_long(payload, {"summary": 1024, "source": 255})
                if payload.get("severity") not in ("critical", "error", "warning", "info"):
                    wrong.append("'payload.severity' is invalid")
            case "resolve" if "dedup_key" in event:
                pass
            case _:
                wrong.append("'event_action' is invalid")
        if wrong:
            said = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response({**said, "errors": wrong}, status=400)
        key = event["dedup_key"]
        if event["event_action"] == "trigger":
            self.alerts.setdefault(key, event)
        else:
            self.alerts.pop(key, None)
        self.pagerduty.append(event)
        return web.json_response({"status": "success", "dedup_key": key}, status=202)

    # ------------------------------------------------------------ Jira

    async def jira_search(self, request: web.Request) -> web.Response:
        """Find issues by label."""
        if (refused := _jira_login(request)) is not None:
            return refused
        query = (await request.json())["jql"]
        found = [
            {"key": issue["key"]}
            for issue in self.issues
            if any(query == f'labels = "{label}"' for label in issue["labels"])
        ]
        return web.json_response({"issues": found, "isLast": True})

    async def jira_create(self, request: web.Request) -> web.Response:
        """Make an issue."""
        if (refused := _jira_login(request)) is not None:
            return refused
        fields = (await request.json())["fields"]
        errors = {}
        if fields["project"].get("key") != JIRA_PROJECT:
            errors["project"] = "valid project is required"
        if fields["issuetype"].get("name") not in ("Task", "Bug"):
            errors["issuetype"] = "Specify a valid issue type"
        summary = fields["summary"]
        if not 1 <= len(summary) <= 255 or "\n" in summary:
            errors["summary"] = "Summary must be less than 255 characters."
        if any(" " in label or len(label) > 255 for label in fields["labels"]):
            errors["labels"] = "The label can't contain spaces."
        text = _text_of(fields["description"])
        if fields["description"]["type"] != "doc" or fields["description"]["version"] != 1:
            errors["description"] = "Operation value must be an Atlassian Document"
        if len(text) > 32_767:
            errors["description"] = "The entered text is too long."
        if errors:
            return web.json_response({"errorMessages": [], "errors": errors}, status=400)
        key = f"{JIRA_PROJECT}-{len(self.issues) + 1}"
        self.issues.append({"key": key, "labels": fields["labels"], "fields": fields, "text": text})
        return web.json_response({"id": "1", "key": key}, status=201)

    async def jira_myself(self, request: web.Request) -> web.Response:
        """Say who asks."""
        return _jira_login(request) or web.json_response({"displayName": "Bot"})

    async def jira_project(self, request: web.Request) -> web.Response:
        """Say that a project is there."""
        if (refused := _jira_login(request)) is not None:
            return refused
        if request.match_info["key"] != JIRA_PROJECT:
            return web.json_response({"errorMessages": ["No project could be found"]}, status=404)
        return web.json_response({"key": JIRA_PROJECT})


_WAIT: Final = {"X-RateLimit-Reset": "7"}


async def _body(request: web.Request) -> bytes:
    body = await request.read()
    # aiohttp unpacks by itself; what it leaves is what it doesn't know.
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _errors(status: int, *texts: str) -> web.Response:
    return web.json_response({"errors": list(texts)}, status=status)


def _datadog_key(request: web.Request) -> web.Response | None:
    key = request.headers.get("DD-API-KEY")
    if key is None:
        return _errors(401, "Unauthorized")
    return None if key == DATADOG_KEY else _errors(403, "Forbidden")


def _jira_login(request: web.Request) -> web.Response | None:
    wanted = base64.b64encode(f"{JIRA_USER}:{JIRA_TOKEN}".encode()).decode()
    if request.headers.get("Authorization") == f"Basic {wanted}":
        return None
    return web.Response(status=401, text="Client must be authenticated to access this resource.")


def _wrong_specifics(category: str, specific: dict[str, Any]) -> list[str]:
    """Return what is wrong with the attributes that a category has."""
    wrong = []
    told: dict[str, Any] = {}
    match category:
        case "change":
            resource, author = specific["changed_resource"], specific["author"]
            wrong += _too_long(resource, {"name": 128}) + _too_long(author, {"name": 128})
            if resource["type"] not in ("configuration", "feature_flag"):
                wrong.append("changed_resource.type")
            if author["type"] not in ("user", "system", "api", "automation"):
                wrong.append("author.type")
            told = specific["change_metadata"]
        case "alert":
            if specific["status"] not in ("ok", "warn", "error"):
                wrong.append("status")
            told = specific["custom"]
        case _:
            wrong.append("category")
    return wrong if len(told) <= 100 else [*wrong, "more than 100 properties"]


def _hec_events(body: str) -> list[dict[str, Any]] | web.Response:
    """Return the objects in a request to Splunk, or why it takes none of them."""
    if not body:
        return _hec(400, 5, "No data")
    found: list[dict[str, Any]] = []
    while body:
        try:
            event, end = json.JSONDecoder().raw_decode(body)
        except ValueError:
            return _hec(400, 6, "Invalid data format", **{"invalid-event-number": len(found)})
        body = body[end:].lstrip()
        found.append(event)
    if not all(event.get("event") for event in found):
        return _hec(400, 12, "Event field is required")
    if any(isinstance(x, dict) for event in found for x in event.get("fields", {}).values()):
        return _hec(400, 15, "Error in handling indexed fields")
    if any(event.get("index", "main") not in ("main", "audit") for event in found):
        return _hec(400, 7, "Incorrect index", **{"invalid-event-number": 0})
    return found


def _hec(status: int, code: int, text: str, **more: Any) -> web.Response:
    return web.json_response({"text": text, "code": code, **more}, status=status)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _too_long(values: dict[str, Any], most: dict[str, int]) -> list[str]:
    return [name for name, size in most.items() if not 1 <= len(values.get(name, "")) <= size]


def _is_bad_block(block: dict[str, Any]) -> bool:
    match block["type"]:
        case "header":
            return block["text"]["type"] != "plain_text" or not _fits(block["text"], 150)
        case "section":
            fields = block.get("fields", [])
            whole = [block["text"]] if "text" in block else []
            return (
                len(fields) > 10
                or not all(_fits(each, 2000) for each in fields)
                or not all(_fits(each, 3000) for each in whole)
                or not (fields or whole)
            )
        case "context":
            return not 1 <= len(block["elements"]) <= 10
        case _:
            return True


def _fits(text: dict[str, Any], most: int) -> bool:
    return 1 <= len(text["text"]) <= most


def _text_of(node: dict[str, Any]) -> str:
    return str(node.get("text", "")) + "".join(map(_text_of, node.get("content", ())))


@asynccontextmanager
async def an_intake() -> AsyncIterator[Intake]:
    """Run one on a free port of this machine."""
    intake = Intake()
    async with TestServer(intake.application()) as server:
        intake.url = str(server.make_url("")).rstrip("/")
        yield intake
