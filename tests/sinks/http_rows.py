"""Rows of the types that this program sends over HTTP itself."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Final

import orjson

from tests.contracts.sink_contract import HttpRow
from tests.receivers.far_side import Answers, Reply, Seen

SIGNING: Final = "whsec_" + base64.b64encode(b"the webhook's signing key: 32 by").decode()
OLD_SIGNING: Final = "whsec_" + base64.b64encode(b"the older of two signing secrets").decode()


def _of_webhook(seen: Seen) -> list[str]:
    return [seen.json["id"]] if seen.method == "POST" else []


def _of_datadog_logs(seen: Seen) -> list[str]:
    return [log["tfaudit"]["entry"]["id"] for log in seen.json] if seen.method == "POST" else []


def _of_datadog_events(seen: Seen) -> list[str]:
    if seen.method != "POST":
        return []
    specific = seen.json["data"]["attributes"]["attributes"]
    return [(specific.get("custom") or specific["change_metadata"])["entry_id"]]


def _of_splunk(seen: Seen) -> list[str]:
    if not seen.target.endswith("/event") or not seen.body:
        return []
    return [json.loads(line)["fields"]["tfaudit_entry_id"] for line in seen.body.splitlines()]


def _splunk() -> Answers:
    def answer(seen: Seen) -> Reply:
        match seen.target.rpartition("/")[2]:
            case "health":
                return Reply(200, b'{"text":"HEC is healthy","code":17}')
            case "event" if not seen.body:
                return Reply(400, b'{"text":"No data","code":5}')
            case "ack":
                return Reply(200, b'{"acks":{"0":true}}')
        return Reply(200, b'{"text":"Success","code":0,"ackId":0}')

    return answer


def _of_slack(seen: Seen) -> list[str]:
    found = re.search(r"ID ([0-9a-f-]{36})", seen.body.decode())
    return [] if found is None else [found[1]]


def _of_pagerduty(seen: Seen) -> list[str]:
    details = seen.json.get("payload", {}).get("custom_details")
    return [] if details is None else [details["entry_id"]]


def _of_jira(seen: Seen) -> list[str]:
    if not seen.target.endswith("/issue"):
        return []
    return [each.removeprefix("tfaudit-") for each in seen.json["fields"]["labels"]]


def _jira() -> Answers:
    made: set[str] = set()

    def answer(seen: Seen) -> Reply:
        if seen.target.endswith("/search/jql"):
            found = [{"key": "OPS-1"}] if seen.json["jql"][10:-1] in made else []
            return Reply(200, orjson.dumps({"issues": found}))
        if seen.target.endswith("/issue"):
            made.update(seen.json["fields"]["labels"])
        return Reply(201, b'{"key":"OPS-1"}')

    return answer


HTTP_ROWS: Final[Mapping[str, HttpRow]] = {
    "jira": HttpRow(
        options=lambda url: {
            "url": url,
            "user": "bot@example.com",
            "token_secret": "jira",
            "project": "OPS",
        },
        ids=_of_jira,
        secrets=lambda _: {
            "jira": "ATATT-not-a-token-of-anybody-0123456789",
            "login": "Ym90QGV4YW1wbGUuY29tOkFUQVRULW5vdC1hLXRva2VuLW9mLWFueWJvZHktMDEyMzQ1Njc4OQ==",
        },
        healthy=_jira,
        outcomes=dict.fromkeys((400, 413, 422), "repair"),
        needs_content=True,
    ),
    "pagerduty": HttpRow(
        options=lambda url: {"url": url, "routing_key_secret": "pagerduty"},
        ids=_of_pagerduty,
        secrets=lambda _: {"pagerduty": "e93facc04764012d7bfb002500d5d1a6"},
    ),
    "slack": HttpRow(
        options=lambda _: {"url_secret": "slack"},
        ids=_of_slack,
        secrets=lambda url: {
            "slack": f"{url}/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
        },
        healthy=lambda: (
            lambda seen: Reply(200, b"ok") if len(seen.body) > 2 else Reply(400, b"no_text")
        ),
        needs_content=True,
    ),
    "splunk-hec": HttpRow(
        options=lambda url: {"url": url, "token_secret": "hec", "acknowledge": True},
        ids=_of_splunk,
        secrets=lambda _: {"hec": "11111111-2222-3333-4444-555555555555"},
        healthy=_splunk,
        needs_content=True,
    ),
    "webhook": HttpRow(
        options=lambda _: {
            "url_secret": "address",
            "signing_secrets": ["signing", "old_signing"],
            "authorization_secret": "login",
        },
        ids=_of_webhook,
        secrets=lambda url: {
            "address": f"{url}/hooks/a-part-of-the-address-that-nobody-may-see",
            "signing": SIGNING,
            "old_signing": OLD_SIGNING,
            "login": "Bearer log-in-to-the-receiver",
        },
        outcomes={410: "gone"},
    ),
    "datadog-logs": HttpRow(
        options=lambda url: {"api_key_secret": "datadog", "url": url},
        ids=_of_datadog_logs,
        secrets=lambda _: {"datadog": "0123456789abcdef0123456789abcdef"},
    ),
    "datadog-events": HttpRow(
        options=lambda url: {"api_key_secret": "datadog", "url": url},
        ids=_of_datadog_events,
        secrets=lambda _: {"datadog": "0123456789abcdef0123456789abcdef"},
    ),
}
