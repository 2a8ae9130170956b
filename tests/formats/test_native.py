"""Tests of proxy.formats.native."""

import json

from proxy.records import json_line
from proxy.tlog.entry import canonical
from tests.examples import EXAMPLES, example
from tests.formats.samples import formatted


def test_it_is_what_the_log_prints() -> None:
    """A sink's line and a line of ``tfaudit log --json`` say the same."""
    for event in EXAMPLES:
        stored = example(event)
        assert json.loads(json_line(stored)) == formatted("native", stored)


def test_the_signed_bytes_come_back_from_it() -> None:
    """Whoever keeps the event can check signature and leaf hash without asking for more."""
    for event in EXAMPLES:
        stored = example(event)
        assert stored.record.entry == canonical(formatted("native", stored)["entry"])
