"""Amazon EventBridge: each event on a bus, where rules of AWS decide who gets it.

The detail is the entry itself, so that one event pattern means the same there and here; what proves
it stands in ``evidence``. EventBridge keeps no order and may deliver twice: the detail has the
entry's id and index.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import orjson
from msgspec import Meta

from proxy.sinks._aws import Aws, AwsError, AwsOptions, known_code
from proxy.sinks._http import Part, in_order
from proxy.sinks._rendering import evidence
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
from proxy.sinks.options import BUS_PATTERN

SOURCE: Final = "tfaudit"
_MOST: Final = 10
_LARGEST: Final = 256 * 1024
"""Bytes of all entries of a request, which must stay below it."""
_TIME_BYTES: Final = 14
"""What a time counts in AWS's calculation of an entry's size."""
_LONGEST_TYPE: Final = 128

_AGAIN: Final = frozenset({"InternalFailure", "InternalException", "ThrottlingException"})
"""Of one entry: AWS says that the same one may be taken later."""
_REPAIR: Final = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
    }
)
"""Of one entry: nothing is wrong with it, but with what we may; the same will hold for the next."""
_REFUSED: Final = frozenset(
    {"RequestEntityTooLargeException", "SerializationException", "ValidationException"}
)
"""Of a whole request: something that is in it."""


class EventBridgeOptions(AwsOptions, frozen=True):
    """Which bus."""

    bus: Annotated[
        str,
        Meta(
            pattern=BUS_PATTERN,
            max_length=1600,
            description="Name of the event bus, or its ARN when it is another account's.",
        ),
    ]


class _Entry(NamedTuple):
    """What stands for one event in a request.

    Attributes:
        at: the event's place in the batch, from 0.
        size: bytes, by AWS's calculation.
        fields: as PutEvents takes them.
    """

    at: int
    size: int
    fields: Mapping[str, Any]


class EventBridge:
    """Puts events on a bus that was seen to exist.

    A bus that does not exist swallows events, and AWS answers as if they were taken. So the bus is
    looked for before the first events after a start, and again after each batch, before it counts.
    """

    options_type: ClassVar[type[Options]] = EventBridgeOptions

    def __init__(self, options: EventBridgeOptions, context: Context) -> None:
        self.limits = Limits(events=100)
        self._bus = options.bus
        self._aws = Aws("events", options, context, f"the event bus {options.bus}")
        self._was_seen = False

    async def send(self, batch: Batch) -> Receipt:
        """Put the events on the bus, in as many requests as it takes."""
        if not self._was_seen:
            await self._look_for_bus()
        requests = {entries[0].at: entries for entries in _in_requests(_entries(batch, self._bus))}
        parts = [Part(tuple(entry.at for entry in each), ()) for each in requests.values()]
        receipt = await in_order(parts, lambda part: self._put(requests[part.indices[0]]))
        await self._look_for_bus()
        taken = len(batch.events) - len(receipt.rejected)
        said = f"{taken} events taken by {self._aws.who}"
        return Receipt(said, receipt.rejected, receipt.heard)

    async def probe(self) -> str:
        """Look for the bus."""
        await self._look_for_bus()
        return f"{self._aws.who} exists"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._aws.aclose()

    async def _look_for_bus(self) -> None:
        self._was_seen = False
        client = await self._aws.client()
        hints = {
            "ResourceNotFoundException": "there is no such bus in this region and account: make "
            "it, or correct bus and region; what was put on it is sent again",
            "AccessDeniedException": "allow events:DescribeEventBus: a bus that is gone swallows "
            "events, so it must be seen to be there",
        }
        async with self._aws.told("show itself", hints):
            await client.describe_event_bus(Name=self._bus)
        self._was_seen = True

    async def _put(self, request: Sequence[_Entry]) -> Receipt:
        """Send one request.

        Raises:
            NotTakenError: with the events of it that are left.
            RefusedError: AWS refuses the request for what is in it.
        """
        try:
            client = await self._aws.client()
            async with self._aws.told("take events"):
                answer = await client.put_events(Entries=[entry.fields for entry in request])
        except AwsError as error:
            self._was_seen = False
            if error.code in _REFUSED or error.status == 413:
                refused = [entry.at for entry in request]
                raise RefusedError(str(error), refused=refused, heard=error.heard) from None
            raise
        return self._judged(request, answer.get("Entries", []))

    def _judged(self, request: Sequence[_Entry], results: Sequence[Mapping[str, Any]]) -> Receipt:
        """Look at each entry's result: HTTP's 200 says nothing of them."""
        if len(results) != len(request):
            raise NotTakenError(
                f"{self._aws.who} answered for {len(results)} events of {len(request)}"
            )
        left: dict[int, str] = {}
        rejected: dict[int, str] = {}
        needs_repair = False
        heard = ""
        for entry, result in zip(request, results, strict=True):
            code = result.get("ErrorCode")
            if not code:
                continue
            is_left = code in _AGAIN or code in _REPAIR
            heard = heard or self._aws.quoted(f"{code}: {result.get('ErrorMessage', '')}")
            (left if is_left else rejected)[entry.at] = known_code(str(code))
            needs_repair = needs_repair or code in _REPAIR
        if left:
            hint = "; allow events:PutEvents on it" if needs_repair else ""
            raise NotTakenError(
                f"{self._aws.who} did not take {len(left)} of {len(request)} events: "
                f"{next(iter(left.values()))}{hint}",
                left=left,
                rejected=rejected,
                needs_repair=needs_repair,
                heard=heard,
            )
        return Receipt("", rejected, heard)


def _entries(batch: Batch, bus: str) -> Iterator[_Entry]:
    for index, event in enumerate(batch.events):
        # An entry has at most 65,535 bytes, so that with its evidence it never is too large.
        fields = _fields(event, batch, bus)
        yield _Entry(index, _size(fields), fields)


def _fields(event: Event, batch: Batch, bus: str) -> dict[str, Any]:
    entry = event.entry
    detail = {**entry, "evidence": evidence(event, batch.origin, batch.checkpoint)}
    workspace = entry.get("workspace")
    return {
        "EventBusName": bus,
        "Source": SOURCE,
        "DetailType": entry["event"][:_LONGEST_TYPE],
        "Detail": orjson.dumps(detail).decode(),
        "Time": datetime.fromisoformat(entry["time"]),
        "Resources": [workspace] if workspace else [],
    }


def _size(fields: Mapping[str, Any]) -> int:
    """Return what AWS counts: a time as 14 bytes, the others' UTF-8."""
    texts = (fields["Source"], fields["DetailType"], fields["Detail"], *fields["Resources"])
    return _TIME_BYTES + sum(len(text.encode()) for text in texts)


def _in_requests(entries: Iterator[_Entry]) -> Iterator[list[_Entry]]:
    """Part the entries into requests that AWS takes, in order."""
    request: list[_Entry] = []
    size = 0
    for entry in entries:
        if request and (len(request) == _MOST or size + entry.size >= _LARGEST):
            yield request
            request, size = [], 0
        request.append(entry)
        size += entry.size
    if request:
        yield request
