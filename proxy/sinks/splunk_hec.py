"""Splunk's HTTP Event Collector: events count when they are indexed, if it acknowledges.

A success of ``POST /services/collector/event`` says that Splunk has the events in memory. Whether
they are indexed only an acknowledgement tells, where the token has it: then the events count as
delivered when it came.
https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, NoReturn
from uuid import UUID

import orjson
from msgspec import Meta

from proxy.sinks._http import (
    Answer,
    Http,
    HttpOptions,
    Part,
    Verdict,
    header_secret,
    in_order,
    in_parts,
    made,
    object_of,
    verdict,
)
from proxy.sinks._rendering import rendered
from proxy.sinks._words import evidence
from proxy.sinks.contract import (
    Batch,
    Context,
    Event,
    Limits,
    NotTakenError,
    Options,
    Receipt,
    RefusedError,
)
from proxy.sinks.options import Format, SecretName, Url
from proxy.timestamps import micros_of

MAX_BODY: Final = 1_000_000
"""Bytes of a request: Splunk Cloud takes 1 MB, Splunk Enterprise far more."""
POLL_SECONDS: Final = 1.0
_NO_DATA: Final = 5
_HEALTHY: Final = 17
# What Splunk's own code means, whatever the status is.
_CODES: Final[Mapping[int, Verdict]] = {
    0: Verdict.TAKEN,
    6: Verdict.REFUSED,  # invalid data format
    12: Verdict.REFUSED,  # event field is required
    13: Verdict.REFUSED,  # event field can't be blank
    15: Verdict.REFUSED,  # error in handling indexed fields
    **dict.fromkeys((1, 2, 3, 4, 5, 7, 10, 11, 14, 16, 21), Verdict.REPAIR),
    **dict.fromkeys((8, 9, 18, 19, 20, 23, 26, 27), Verdict.AGAIN),
}
_WORDS: Final[Mapping[int, str]] = {
    1: "Token disabled",
    2: "Token is required",
    3: "Invalid authorization",
    4: "Invalid token",
    5: "No data",
    6: "Invalid data format",
    7: "Incorrect index",
    9: "Server is busy",
    10: "Data channel is missing",
    11: "Invalid data channel",
    12: "Event field is required",
    13: "Event field cannot be blank",
    14: "ACK is disabled",
    15: "Error in handling indexed fields",
}
_HINTS: Final[Mapping[int, str]] = {
    1: "enable the token in Splunk",
    4: "check that the secret is a token of this Splunk",
    7: "let the token write to that index, or correct the option index",
    10: "the token wants acknowledgements: set the option acknowledge to true",
    14: "switch indexer acknowledgement on for the token, or set acknowledge to false",
}


class SplunkHecOptions(HttpOptions, frozen=True, kw_only=True):
    """Which collector, and what the events are called in Splunk."""

    url: Annotated[
        Url, Meta(description="Address of the collector without a path: `https://splunk:8088`.")
    ]
    token_secret: Annotated[
        SecretName, Meta(description="Name of the secret that is the collector's token.")
    ]
    acknowledge: Annotated[
        bool,
        Meta(
            description="Wait until Splunk has indexed the events; the token must have indexer "
            "acknowledgement switched on."
        ),
    ] = False
    acknowledge_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=50,
            description="Seconds after which events without acknowledgement are sent again.",
        ),
    ] = 45
    index: Annotated[
        str, Meta(max_length=255, description="Index to write to; else the token's default.")
    ] = ""
    source: Annotated[str, Meta(max_length=255, description="Source of the events.")] = "tfaudit"
    sourcetype: Annotated[str, Meta(max_length=255, description="Source type of the events.")] = (
        "tfaudit:audit"
    )
    host: Annotated[
        str, Meta(max_length=255, description="Host that events are said to be from.")
    ] = ""
    format: Annotated[Format, Meta(description="How each event is written.")] = "native"


class SplunkHec:
    """Sends events to Splunk's HTTP Event Collector, and can wait until they are indexed."""

    options_type: ClassVar[type[Options]] = SplunkHecOptions

    def __init__(self, options: SplunkHecOptions, context: Context) -> None:
        token = header_secret(context, options.token_secret)
        base = options.url.rstrip("/")
        self.limits = Limits(events=500)
        self._options = options
        self._sleep = context.sleep
        self._collector = f"{base}/services/collector"
        self._http = Http(options, context, f"Splunk at {base}", [token])
        self._headers = {"Authorization": f"Splunk {token}", "Content-Type": "application/json"}
        if options.acknowledge:
            channel = UUID(bytes=context.random(16), version=4)
            self._headers["X-Splunk-Request-Channel"] = str(channel)

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch, and wait for what acknowledges it; see contract.Sink."""
        waiting: dict[int, Part] = {}
        mixed_up: set[int] = set()

        async def post(part: Part) -> Receipt:
            url = f"{self._collector}/event"
            body = b"\n".join(part.pieces)
            answer = await self._http.ask("POST", url, self._headers, body, is_packed=True)
            said = self._require_taken(answer, part.indices)
            if self._options.acknowledge:
                number = _ack_id(self._http.who, answer)
                if number in waiting:  # whose it is when it comes, nobody could tell
                    mixed_up.update(waiting[number].indices, part.indices)
                waiting[number] = part
            return said

        try:
            receipt = await in_order(await made(batch, self._parts), post)
        except (NotTakenError, RefusedError) as error:
            late, _ = await self._not_indexed(waiting)
            error.left = late.union(mixed_up, error.left or ())
            raise
        late, failure = await self._not_indexed(waiting)
        if failure is not None:
            failure.left = late | mixed_up
            raise failure
        if mixed_up:
            raise NotTakenError(
                f"{self._http.who} promised one acknowledgement for two requests: several indexers "
                "seem to stand behind that address; let the balancer keep to one (sticky "
                "sessions), or set acknowledge to false",
                left=late | mixed_up,
                needs_repair=True,
            )
        if late:
            raise NotTakenError(
                f"{self._http.who} took the events, and has not acknowledged {len(late)} of them "
                f"within {self._options.acknowledge_seconds} seconds: is it indexing?",
                left=late,
            )
        return Receipt(f"{receipt.said}, indexed") if self._options.acknowledge else receipt

    async def probe(self) -> str:
        """Ask for the collector's health, and with an empty request for the token's.

        See contract.Sink.
        """
        answer = await self._http.ask("GET", f"{self._collector}/health", self._headers)
        if _code(answer) != _HEALTHY:
            self._require_well(answer)
        url = f"{self._collector}/event"
        answer = await self._http.ask("POST", url, self._headers)
        if _code(answer) != _NO_DATA:  # what a token that is right gets for nothing
            self._require_well(answer)
        return f"{self._http.who} is healthy and knows the token"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _parts(self, batch: Batch) -> list[Part]:
        pieces = (
            (index, self._event(event, batch, is_last=index == len(batch.events) - 1))
            for index, event in enumerate(batch.events)
        )
        return in_parts(pieces, most=self.limits.events, size=MAX_BODY)

    def _event(self, event: Event, batch: Batch, *, is_last: bool) -> bytes:
        options = self._options
        seconds, micros = divmod(micros_of(event.entry["time"]), 1_000_000)
        proof = evidence(event, batch.checkpoint)
        if not is_last:
            del proof["checkpoint"]
        made_up: dict[str, Any] = {
            "time": f"{seconds}.{micros:06d}",
            "source": options.source,
            "sourcetype": options.sourcetype,
            "event": rendered(options.format, event, batch.origin),
            "fields": {f"tfaudit_{name}": value for name, value in proof.items()},
        }
        if options.host:
            made_up["host"] = options.host
        if options.index:
            made_up["index"] = options.index
        return orjson.dumps(made_up)

    def _require_taken(self, answer: Answer, indices: tuple[int, ...]) -> Receipt:
        code = _code(answer)
        if code is None and 200 <= answer.status <= 299:
            raise NotTakenError(
                f"{self._http.who} answered {answer.said}, but not as Splunk does: check the "
                "address",
                needs_repair=True,
            )
        if code is None:
            return self._http.require_taken(answer, indices)
        overrides = {answer.status: _CODES[code]} if code in _CODES else {}
        reason = f"Splunk's code {code}: {_WORDS.get(code, 'see its manual')}"
        reason = reason if code in _CODES else ""
        return self._http.require_taken(answer, indices, overrides, _HINTS.get(code, ""), reason)

    def _require_well(self, answer: Answer) -> NoReturn:
        """Raise what an answer means that is not the one that was asked for.

        Raises:
            NotTakenError: it always is no success.
        """
        try:
            self._require_taken(answer, ())
        except RefusedError as error:
            failure, heard = str(error), error.heard
        else:
            failure, heard = f"{self._http.who} answered {answer.said}, but not as Splunk does", ""
        raise NotTakenError(failure, needs_repair=True, heard=heard)

    async def _not_indexed(
        self, waiting: Mapping[int, Part]
    ) -> tuple[frozenset[int], NotTakenError | None]:
        """Ask for acknowledgements until all came, or for as long as the options say.

        Args:
            waiting: what was taken, by the number that its acknowledgement has.

        Returns:
            indices of the events without one, and why it could not be asked for.
        """
        failure = None
        seconds = self._options.acknowledge_seconds
        until = asyncio.get_running_loop().time() + seconds
        for turn in range(seconds):
            if not waiting or asyncio.get_running_loop().time() > until:
                break
            if turn:
                await self._sleep(POLL_SECONDS)
            try:
                acks = await self._acks(list(waiting))
            except NotTakenError as error:
                failure = error
                break
            waiting = {number: part for number, part in waiting.items() if number not in acks}
        return frozenset(x for part in waiting.values() for x in part.indices), failure

    async def _acks(self, numbers: list[int]) -> set[int]:
        """Return which of the acknowledgements came.

        Raises:
            NotTakenError: it can't be asked for them.
        """
        url, body = f"{self._collector}/ack", orjson.dumps({"acks": numbers})
        answer = await self._http.ask("POST", url, self._headers, body)
        acks = object_of(answer).get("acks")
        if verdict(answer.status) is not Verdict.TAKEN or not isinstance(acks, dict):
            self._require_well(answer)
        return {number for number in numbers if acks.get(str(number)) is True}


def _code(answer: Answer) -> int | None:
    code = object_of(answer).get("code")
    return code if type(code) is int else None


def _ack_id(who: str, answer: Answer) -> int:
    found = object_of(answer).get("ackId")
    if type(found) is int:
        return found
    raise NotTakenError(
        f"{who} took the events and promised no acknowledgement: {_HINTS[14]}", needs_repair=True
    )
