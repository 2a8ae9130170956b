"""No address with a secret in it is ever on record: every type refuses it when it is read."""

from collections.abc import Iterator

import pytest
from msgspec import inspect

from proxy.directory import SinkRecord
from proxy.fields import FieldError
from proxy.sinks import read_options, sink_class, sink_types
from proxy.sinks.describing import kinds_of, parts_of
from proxy.sinks.options import URL_PATTERN
from proxy.sinks.record import require_usable
from tests.contracts.sink_contract import HttpRow
from tests.sinks.rows import ROWS

_AWS = {"region": "eu-central-1"}
_OTHERS = {"eventbridge": {**_AWS, "bus": "audit"}, "s3": {**_AWS, "bucket": "audit"}}


def _addresses() -> Iterator[tuple[str, str]]:
    """Yield each type with the name of each option that is an address."""
    for of in sink_types():
        for name, kind in kinds_of(sink_class(of).options_type).items():
            if any(
                isinstance(part, inspect.StrType) and part.pattern == URL_PATTERN
                for part in parts_of(kind)
            ):
                yield of, name


def test_the_types_with_addresses_are_found() -> None:
    """Else the test below would try none."""
    assert {"webhook", "jira", "s3", "splunk-hec", "datadog-events"} <= {
        of for of, _ in _addresses()
    }


@pytest.mark.parametrize(("of", "name"), [*_addresses()])
@pytest.mark.parametrize(
    "address",
    [
        "https://siem.example/?k=s3cr3tW0rd",
        "https://siem.example/#s3cr3tW0rd",
        "https://s3cr3tW0rd@siem.example/",
        "https://me:s3cr3tW0rd@siem.example/",
        "http://siem.example/",
    ],
)
def test_an_address_with_a_secret_is_refused_before_it_is_kept(
    of: str, name: str, address: str
) -> None:
    """By the option's name, and without saying the secret again."""
    row = ROWS[of]
    options = row.options("https://siem.example") if isinstance(row, HttpRow) else _OTHERS[of]
    if name == "url":
        options = {key: value for key, value in options.items() if key != "url_secret"}
    read_options(of, {**options, name: "https://siem.example"})
    record = SinkRecord(name="siem", type=of, options={**options, name: address})
    with pytest.raises(FieldError) as caught:
        require_usable(record)
    assert f"options.{name}" == caught.value.field
    assert "s3cr3tW0rd" not in str(caught.value)
