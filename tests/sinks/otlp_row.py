"""The row of OTLP: a receiver that decodes the protobuf."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.contracts.sink_contract import HttpRow
from tests.receivers.far_side import Seen


def _ids(seen: Seen) -> list[str]:
    if seen.method != "POST":
        return []
    return [
        each.value.string_value
        for resource in ExportLogsServiceRequest.FromString(seen.body).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
        for each in record.attributes
        if each.key == "tfaudit.entry_id"
    ]


OTLP_ROW = HttpRow(
    options=lambda url: {
        "url": f"{url}/v1/logs",
        "header": "api-key",
        "header_secret": "otlp",
        "batch": 2,
    },
    ids=_ids,
    secrets=lambda _: {"otlp": "a-key-that-the-backend-gave-us-0123456789"},
    outcomes={
        status: "refused"
        for status in (408, 425, *range(500, 600))
        if status not in {502, 503, 504}
    },
)
