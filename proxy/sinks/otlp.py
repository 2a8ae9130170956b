"""OpenTelemetry logs over HTTP (OTLP 1.x): ``POST /v1/logs``, as protobuf or JSON.

The whole event is the record's body, so that nothing of it is lost; what people filter by stands in
attributes as well. https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import asyncio
from collections.abc import Mapping, MutableSequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta, field

from proxy.sinks._http import (
    Answer,
    Http,
    HttpOptions,
    Part,
    Verdict,
    address_of,
    header_secret,
    in_order,
    in_parts,
    is_there,
    made,
)
from proxy.sinks._rendering import rendered
from proxy.sinks._words import evidence, severity
from proxy.sinks.contract import Batch, Context, Event, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import HEADER_PATTERN, AllowHttp, Format, SecretName, Url
from proxy.timestamps import micros_of

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
        ExportLogsPartialSuccess,
        ExportLogsServiceRequest,
    )
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_LARGEST: Final = 4_000_000
"""Bytes of a request: what the collector's receivers take unless told otherwise."""
_AROUND: Final = 2_000
"""Bytes for what stands around the records: the resource and the checkpoint."""
_STATUSES: Final = {
    status: Verdict.AGAIN if status in {429, 502, 503, 504} else Verdict.REFUSED
    for status in (408, 425, 429, *range(500, 600))
}
"""The standard allows only four statuses to be tried again ("Retryable Response Codes")."""
_SEVERITIES: Final = {"info": (9, "INFO"), "warning": (13, "WARN"), "error": (17, "ERROR")}
"""SeverityNumber of the logs data model."""

_Header: TypeAlias = Annotated[str, Meta(pattern=HEADER_PATTERN, max_length=100)]
_Count: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]


class OtlpOptions(HttpOptions, frozen=True, kw_only=True):
    """Which receiver, and in which encoding."""

    url: (
        Annotated[Url, Meta(description="Address of the receiver, with its path: `…/v1/logs`.")]
        | None
    ) = None
    url_secret: SecretName | None = None
    header: Annotated[
        _Header, Meta(description="Name of the header that `header_secret` is sent in.")
    ] = "Authorization"
    header_secret: SecretName | None = None
    encoding: Annotated[
        Literal["protobuf", "json"], Meta(description="How requests are written.")
    ] = "protobuf"
    format: Annotated[Format, Meta(description="What the body of each record is.")] = "native"
    service: Annotated[
        str, Meta(min_length=1, max_length=100, description="`service.name` of the resource.")
    ] = "tfaudit"
    resource: Annotated[
        dict[str, str],
        Meta(
            max_length=50,
            description="Further attributes of the resource: `deployment.environment.name`.",
        ),
    ] = field(default_factory=dict)
    batch: Annotated[
        _Count,
        Meta(
            description="Records in one request. A receiver that rejects some of a request does "
            "not say which: all of it are set aside. With 1 none is that was taken."
        ),
    ] = 200
    allow_http: AllowHttp = False


class Otlp:
    """Sends every event as a log record."""

    options_type: ClassVar[type[Options]] = OtlpOptions

    def __init__(self, options: OtlpOptions, context: Context) -> None:
        self.limits = Limits(events=max(options.batch, min(500, options.batch * 5)))
        self._options = options
        self._now = context.now
        self._release = version("tfaudit")
        self._url, hidden = address_of(options, context, allow_http=options.allow_http)
        is_json = options.encoding == "json"
        self._headers = {
            "Content-Type": "application/json" if is_json else "application/x-protobuf"
        }
        if options.header_secret is not None:
            value = header_secret(context, options.header_secret)
            self._headers[options.header] = value
            hidden.append(value)
        self._http = Http(options, context, f"the OTLP receiver at {_shown(options)}", hidden)

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch; see contract.Sink."""

        async def post(part: Part) -> Receipt:
            body = await asyncio.to_thread(self._request, part, batch)
            answer = await self._http.ask("POST", self._url, self._headers, body, is_packed=True)
            receipt = self._http.require_taken(answer, part.indices, _STATUSES)
            return await self._judged(part, answer, receipt, body)

        return await in_order(await made(batch, self._parts), post)

    async def probe(self) -> str:
        """Ask whether anybody is there; there is no question without records to a receiver."""
        return is_there(self._http, await self._http.ask("GET", self._url, self._headers))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # ------------------------------------------------------------ requests

    def _parts(self, batch: Batch) -> list[Part]:
        observed = int(self._now().timestamp() * 1e6) * 1000
        pieces = (
            (index, self._record(event, batch, observed))
            for index, event in enumerate(batch.events)
        )
        # A record in JSON is longer than one in protobuf, though never four times.
        size = _LARGEST if self._options.encoding == "protobuf" else _LARGEST // 4
        return in_parts(pieces, most=self._options.batch, size=size - _AROUND)

    def _record(self, event: Event, batch: Batch, observed: int) -> bytes:
        from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord  # noqa: PLC0415 - quick start

        entry = event.entry
        number, text = _SEVERITIES[severity(entry)]
        record = LogRecord(
            time_unix_nano=micros_of(entry["time"]) * 1000,
            observed_time_unix_nano=observed,
            severity_number=number,  # type: ignore[arg-type] # an enumeration of integers
            severity_text=text,
            event_name=f"tfaudit.{entry['event']}",
        )
        _fill(record.body, rendered(self._options.format, event, batch.origin))
        _add(record.attributes, _attributes(event))
        return record.SerializeToString()

    def _request(self, part: Part, batch: Batch) -> bytes:
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415

        request = logs_service_pb2.ExportLogsServiceRequest()
        resource = request.resource_logs.add()
        options = self._options
        about = {
            **options.resource,
            "service.name": options.service,
            "service.version": self._release,
            "service.instance.id": batch.origin,
        }
        _add(resource.resource.attributes, about)
        scope = resource.scope_logs.add()
        scope.scope.name = "tfaudit"
        scope.scope.version = self._release
        for piece in part.pieces:
            scope.log_records.add().ParseFromString(piece)
        # With the last record of each request goes the newest checkpoint.
        last = scope.log_records[-1]
        _add(last.attributes, {"tfaudit.checkpoint": batch.checkpoint})
        return self._encoded(request)

    def _encoded(self, request: "ExportLogsServiceRequest") -> bytes:
        if self._options.encoding == "protobuf":
            return request.SerializeToString()
        from google.protobuf.json_format import MessageToJson  # noqa: PLC0415

        # 64-bit integers as strings, enumerations as integers, names in lowerCamelCase: so the
        # standard wants them ("JSON Protobuf Encoding"); there are no IDs, which would be in hex.
        return MessageToJson(request, indent=None, use_integers_for_enums=True).encode()

    # ------------------------------------------------------------ answers

    async def _judged(self, part: Part, answer: Answer, receipt: Receipt, sent: bytes) -> Receipt:
        """Look into a success: a part of the records may be rejected, and is not sent again.

        The standard has a number and a text for them, and not which they are. To leave them out of
        account would lose them; so all of the request are set aside when some were rejected, and
        whoever gives them again makes copies of those that were taken, with the same IDs.
        """
        partial = self._partial(answer)
        if partial is None:
            raise NotTakenError(
                f"{self._http.who} answered {answer.said}, but not as OTLP; check its address",
                needs_repair=True,
            )
        count, total = partial.rejected_log_records, len(part.indices)
        if count <= 0:
            return receipt
        said = "rejected by the receiver"
        if count < total:
            said = f"the receiver rejected {count} of {total}, not saying which"
        return Receipt(
            f"{answer.said}, {min(count, total)} of {total} rejected",
            dict.fromkeys(part.indices, said),
            await self._http.quoted(partial.error_message.encode(), sent),
        )

    def _partial(self, answer: Answer) -> "ExportLogsPartialSuccess | None":
        """Return what the answer says of rejected records; None when it is no answer of OTLP."""
        from google.protobuf.json_format import Parse, ParseError  # noqa: PLC0415
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2  # noqa: PLC0415

        response = logs_service_pb2.ExportLogsServiceResponse()
        try:
            if self._options.encoding == "protobuf":
                response.ParseFromString(answer.body)
            elif answer.body.strip():
                Parse(answer.body, response, ignore_unknown_fields=True)
        except (DecodeError, ParseError, UnicodeDecodeError):
            return None
        return response.partial_success


def _shown(options: OtlpOptions) -> str:
    return options.url if options.url is not None else f"the address in {options.url_secret}"


def _attributes(event: Event) -> Mapping[str, Any]:
    """Return what people filter by, with the names of OpenTelemetry's conventions."""
    entry = event.entry
    proof = evidence(event, "")
    del proof["checkpoint"]
    found = {
        "tfaudit.event": entry["event"],
        "tfaudit.outcome": entry["outcome"],
        "tfaudit.message": entry["message"],
        "tfaudit.workspace": entry.get("workspace"),
        "user.id": entry["actor"].get("id"),
        "user.name": entry["actor"].get("name"),
        "client.address": entry["source"].get("ip"),
        "user_agent.original": entry["source"].get("user_agent"),
        "http.request.method": entry["request"].get("method"),
        "http.response.status_code": entry["request"].get("status"),
        "url.path": entry["request"].get("path"),
        **{f"tfaudit.{name}": value for name, value in proof.items()},
    }
    return {name: value for name, value in found.items() if value not in {None, ""}}


def _add(to: "MutableSequence[KeyValue]", values: Mapping[str, Any]) -> None:
    """Add attributes; filled in place, for a message within another is copied with all in it."""
    pairs: Any = to
    for name, value in values.items():
        pair = pairs.add()
        pair.key = name
        _fill(pair.value, value)


def _fill(to: "AnyValue", value: Any) -> None:  # noqa: ANN401 - JSON of any shape
    field = _SCALARS.get(type(value))
    if field is not None:
        setattr(to, field, value)
    elif isinstance(value, Mapping):
        to.kvlist_value.SetInParent()
        _add(to.kvlist_value.values, value)
    elif isinstance(value, (list, tuple)):
        to.array_value.SetInParent()
        for each in value:
            _fill(to.array_value.values.add(), each)


_SCALARS: Final[Mapping[type, str]] = {
    bool: "bool_value",
    float: "double_value",
    int: "int_value",
    str: "string_value",
}
"""What is of no other kind is null, which an empty value is."""
