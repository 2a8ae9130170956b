"""Jira Cloud: an issue for each event, and one alone, however often the event is sent.

The issue has a label with the entry's ID, which is looked for before an issue is made.
https://developer.atlassian.com/cloud/jira/platform/rest/v3/
"""

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import orjson
from msgspec import Meta

from proxy.sinks._http import Answer, Http, HttpOptions, Verdict, Verdicts, header_secret, object_of
from proxy.sinks._words import ALARMING, cut, evidence, facts, in_sight, title
from proxy.sinks.contract import Batch, Context, Event, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import Key, SecretName, Tag, Url

MAX_SUMMARY: Final = 255
MAX_TEXT: Final = 2_000
"""Characters of one fact: a description may have 32,767."""
INDEX_SECONDS: Final = 60.0
"""After so long what was made is found: until then nobody knows whether an issue was made whose
answer got lost."""
_OF_THE_EVENT: Final = frozenset({"summary", "description", "labels"})
_FIELDS: Final = _OF_THE_EVENT | {
    "assignee",
    "components",
    "duedate",
    "environment",
    "fixVersions",
    "issuetype",
    "parent",
    "priority",
    "project",
    "reporter",
    "versions",
}
# A search says nothing of the event.
_OF_THE_SEARCH: Final[Verdicts] = dict.fromkeys((400, 413, 422), Verdict.REPAIR)


class JiraOptions(HttpOptions, frozen=True, kw_only=True):
    """Where issues are made, and what they are."""

    url: Annotated[Url, Meta(description="Address of the site: `https://acme.atlassian.net`.")]
    user: Annotated[
        str, Meta(min_length=3, max_length=254, description="Mail address of whose token it is.")
    ]
    token_secret: Annotated[
        SecretName, Meta(description="Name of the secret that is an API token of the user.")
    ]
    project: Annotated[Key, Meta(description="Key of the project: `OPS`.")]
    issue_type: Annotated[
        str, Meta(min_length=1, max_length=100, description="Type of the issues.")
    ] = "Task"
    labels: Annotated[
        tuple[Tag, ...], Meta(max_length=20, description="Labels of every issue.")
    ] = ()
    prefix: Annotated[
        str, Meta(max_length=80, description="Text that each summary begins with: `[prod]`.")
    ] = ""


class Jira:
    """Makes an issue in Jira Cloud for each event, once."""

    options_type: ClassVar[type[Options]] = JiraOptions
    default_filter: ClassVar[Mapping[str, Any]] = {
        "event": [event for event in ALARMING["event"] if event != "run.completed"]
    }

    def __init__(self, options: JiraOptions, context: Context) -> None:
        self.limits = Limits(events=1, is_record=False)
        self._options = options
        token = header_secret(context, options.token_secret)
        login = base64.b64encode(f"{options.user}:{token}".encode()).decode()
        base = options.url.rstrip("/")
        self._api = f"{base}/rest/api/3"
        self._http = Http(options, context, f"Jira at {base}", [token, login])
        self._headers = {
            "Authorization": f"Basic {login}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    async def send(self, batch: Batch) -> Receipt:
        """Make the issue unless there is one; see contract.Sink."""
        receipt = Receipt("nothing to send")
        for index, event in enumerate(batch.events):
            label = f"tfaudit-{event.entry['id']}"
            if (key := await self._found(label)) is not None:
                receipt = Receipt(f"{key} is there already")
            else:
                receipt = await self._make(index, self._issue(event, batch, label))
        return receipt

    async def probe(self) -> str:
        """Ask who we are, and for the project; see contract.Sink."""
        answer = await self._http.ask("GET", f"{self._api}/myself", self._headers)
        self._http.require_well(answer)
        project = self._options.project
        answer = await self._http.ask("GET", f"{self._api}/project/{project}", self._headers)
        if answer.status == 404:
            raise NotTakenError(
                f"{self._http.who} has no project {project} for {self._options.user}: check the "
                "option project, and that the user may browse it",
                needs_repair=True,
            )
        return f"{self._http.require_well(answer)}: {project} is there for {self._options.user}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _found(self, label: str) -> str | None:
        """Return the key of the issue with a label."""
        body = {"jql": f'labels = "{label}"', "maxResults": 1, "fields": ["key"]}
        url = f"{self._api}/search/jql"
        answer = await self._http.ask("POST", url, self._headers, orjson.dumps(body))
        self._http.require_taken(answer, (), _OF_THE_SEARCH)
        issues = object_of(answer).get("issues")
        if not isinstance(issues, list):
            raise NotTakenError(
                f"{self._http.who} answered {answer.said}, but not as Jira does: check its address",
                needs_repair=True,
            )
        for issue in issues:
            return _key(issue)
        return None

    async def _make(self, index: int, issue: Mapping[str, Any]) -> Receipt:
        url = f"{self._api}/issue"
        try:
            answer = await self._http.ask("POST", url, self._headers, orjson.dumps(issue))
        except NotTakenError as error:
            # It may be there: it is looked for when the search can have it.
            error.retry_after = INDEX_SECONDS
            raise
        receipt = self._http.require_taken(
            answer, (index,), _overrides(answer), _HINT, _fields(answer)
        )
        return Receipt(f"{receipt.said}: {_key(object_of(answer))}")

    def _issue(self, event: Event, batch: Batch, label: str) -> dict[str, Any]:
        options = self._options
        prefix = f"{options.prefix} " if options.prefix else ""
        told = [
            *facts(event, batch.origin),
            *((name, str(value)) for name, value in evidence(event, batch.checkpoint).items()),
        ]
        return {
            "fields": {
                "project": {"key": options.project},
                "issuetype": {"name": options.issue_type},
                "summary": cut(prefix + title(event.entry, MAX_SUMMARY), MAX_SUMMARY),
                "labels": [*options.labels, label],
                "description": document(in_sight(event.entry["message"]), told),
            }
        }


_HINT: Final = "check the options project and issue_type, and which fields the project demands"


def _key(issue: object) -> str:
    """Return the key of an issue if it is one: whatever else it says is not kept."""
    key = issue.get("key") if isinstance(issue, dict) else None
    is_key = isinstance(key, str) and re.fullmatch("[A-Z][A-Z0-9_]{0,19}-[0-9]{1,10}", key)
    return str(key) if is_key else "an issue"


def _fields(answer: Answer) -> str:
    """Return which fields Jira finds fault with, of those that there are everywhere."""
    errors = object_of(answer).get("errors")
    found = sorted(_FIELDS & set(errors)) if isinstance(errors, dict) else []
    return f"for {', '.join(found)}" if found else ""


def document(message: str, told: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a text in the Atlassian Document Format: a paragraph, then a list of facts."""

    def paragraph(*texts: dict[str, Any]) -> dict[str, Any]:
        return {"type": "paragraph", "content": list(texts)}

    items = [
        paragraph(
            {"type": "text", "text": f"{name}: ", "marks": [{"type": "strong"}]},
            {"type": "text", "text": cut(value, MAX_TEXT)},
        )
        for name, value in told
        if value
    ]
    return {
        "type": "doc",
        "version": 1,
        "content": [
            paragraph({"type": "text", "text": cut(message, MAX_TEXT)}),
            {
                "type": "bulletList",
                "content": [{"type": "listItem", "content": [item]} for item in items],
            },
        ],
    }


def _overrides(answer: Answer) -> Verdicts:
    """Return that a 400 for the project is no fault of the event."""
    errors = object_of(answer).get("errors")
    if (
        answer.status == 400
        and isinstance(errors, dict)
        and set(errors) <= _OF_THE_EVENT
        and errors
    ):
        return {}
    return {400: Verdict.REPAIR}
