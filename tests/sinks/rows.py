"""One row for each type of sink: what the contract of sinks has to know of it."""

from collections.abc import Mapping
from typing import Final

from tests.contracts.sink_contract import HttpRow, Row
from tests.sinks.aws_rows import EVENTBRIDGE_ROW, S3_ROW
from tests.sinks.file_row import FILE_ROW
from tests.sinks.http_rows import HTTP_ROWS
from tests.sinks.otlp_row import OTLP_ROW
from tests.sinks.syslog_row import SYSLOG_ROW

ROWS: Final[Mapping[str, HttpRow | Row]] = {
    **HTTP_ROWS,
    "eventbridge": EVENTBRIDGE_ROW,
    "file": FILE_ROW,
    "otlp": OTLP_ROW,
    "s3": S3_ROW,
    "syslog": SYSLOG_ROW,
}
