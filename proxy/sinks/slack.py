"""Slack's incoming webhooks: a message for each event, one a second.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import orjson
from msgspec import Meta

from proxy.sinks._http import Answer, Http, HttpOptions, Verdict, Verdicts, secret_address
from proxy.sinks._words import NOTABLE, cut, facts, in_sight, severity, title
from proxy.sinks.contract import Batch, Context, Event, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import SecretName

MAX_HEADER: Final = 150
MAX_SECTION: Final = 3_000
MAX_FIELD: Final = 2_000
MAX_FIELDS: Final = 10
_SIGNS: Final = {"info": "", "warning": "\N{WARNING SIGN} ", "error": "\N{NO ENTRY} "}
# What Slack says of the webhook and not of the message, whatever the status is.
_OF_THE_WEBHOOK: Final = frozenset(
    {
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
        "user_not_found",
    }
)
_FOR_NOTHING: Final = frozenset(
    {"no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"}
)


class SlackOptions(HttpOptions, frozen=True, kw_only=True):
    """Which channel, by the webhook that was made for it."""

    url_secret: Annotated[
        SecretName, Meta(description="Name of the secret that is the webhook's address.")
    ]
    prefix: Annotated[
        str, Meta(max_length=80, description="Text that each message begins with: `[prod]`.")
    ] = ""


class Slack:
    """Posts a message to a Slack channel for each event."""

    options_type: ClassVar[type[Options]] = SlackOptions
    default_filter: ClassVar[Mapping[str, Any]] = NOTABLE

    def __init__(self, options: SlackOptions, context: Context) -> None:
        self.limits = Limits(events=1, pause=1.0, is_record=False)
        self._prefix = f"{options.prefix} " if options.prefix else ""
        self._url = secret_address(context, options.url_secret)
        self._http = Http(options, context, "Slack", [self._url])

    async def send(self, batch: Batch) -> Receipt:
        """Post the message; see contract.Sink."""
        for index, event in enumerate(batch.events):
            answer = await self._post(self._message(event, batch.origin))
            reason = _reason(answer)
            self._http.require_taken(answer, (index,), _overrides(answer), _HINT, reason)
            if answer.body.strip() != b"ok":
                raise NotTakenError(
                    f"Slack answered {answer.said}, but not ok: check the address in the secret",
                    needs_repair=True,
                )
        return Receipt("ok")

    async def probe(self) -> str:
        """Post nothing at all: Slack says so only where the webhook is one; see contract.Sink."""
        answer = await self._post({})
        if _said(answer) in _FOR_NOTHING:
            return "Slack knows the webhook"
        return self._http.require_well(answer, _overrides(answer), _HINT, _reason(answer))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, message: Mapping[str, Any]) -> Answer:
        headers = {"Content-Type": "application/json"}
        return await self._http.ask("POST", self._url, headers, orjson.dumps(message))

    def _message(self, event: Event, origin: str) -> dict[str, Any]:
        entry = event.entry
        sign = _SIGNS[severity(entry)] + self._prefix
        where = f" \N{MIDDLE DOT} {entry['workspace']}" if entry.get("workspace") else ""
        told = [pair for pair in facts(event, origin) if pair[0] not in ("Event", "Entry")]
        fields = [
            {"type": "mrkdwn", "text": cut(f"*{name}*\n{escaped(value)}", MAX_FIELD)}
            for name, value in told[:MAX_FIELDS]
        ]
        record = event.record
        proof = f"entry {record.index} of {origin}, ID {entry['id']}, leaf {record.leaf_hash.hex()}"
        return {
            "text": cut(escaped(sign + title(entry, MAX_SECTION)), MAX_SECTION),
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": [
                {"type": "header", "text": _plain(sign + entry["event"] + where, MAX_HEADER)},
                {"type": "section", "text": _plain(in_sight(entry["message"]), MAX_SECTION)},
                {"type": "section", "fields": fields},
                {"type": "context", "elements": [_plain(proof, MAX_FIELD)]},
            ],
        }


_HINT: Final = "make a new incoming webhook in Slack and put its address into the secret"


def escaped(text: str) -> str:
    """Return a text in which nothing is a link, a mention or a command to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": cut(text, most), "emoji": False}


def _said(answer: Answer) -> str:
    return answer.body.decode("utf-8", "replace").strip()


def _reason(answer: Answer) -> str:
    """Return Slack's word for what is wrong, if it is one of its words."""
    said = _said(answer)
    return said if said in _OF_THE_WEBHOOK or said in _FOR_NOTHING else ""


def _overrides(answer: Answer) -> Verdicts:
    return {answer.status: Verdict.REPAIR} if _said(answer) in _OF_THE_WEBHOOK else {}
