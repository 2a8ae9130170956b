"""States that were made to cost time: the work grows with the size, not with its square.

No time is measured here: with a square in it, none of these ends before a test's time-out.
"""

import json

from proxy.tfstate.diff import diff
from proxy.tfstate.document import parse
from proxy.tfstate.redact import Redactor


def state(*resources: dict[str, object]) -> bytes:
    """Return a state of these resources."""
    return json.dumps({"version": 4, "serial": 1, "lineage": "l", "resources": resources}).encode()


def resource(**instance: object) -> dict[str, object]:
    """Return a resource of one instance."""
    return {
        "mode": "managed",
        "type": "t",
        "name": "n",
        "provider": "p",
        "instances": [{"schema_version": 0, "attributes": {}, **instance}],
    }


def test_a_run_of_token_beginnings() -> None:
    """A megabyte of "eyJ" is searched for tokens once."""
    body = state(resource(attributes={"a": "eyJ" * 300_000}))

    assert 1 == Redactor().change(None, parse(body), b"k" * 32)[0].entry["resources"]["added"]


def test_many_resources_of_one_address() -> None:
    """Each gets its own number without counting through all others."""
    changes = diff(None, parse(state(*[resource()] * 30_000)))

    assert 30_000 == len({change.address for change in changes.resources})


def test_an_integer_of_many_digits() -> None:
    """It is recorded, though no reader of ours can say its value."""
    body = state(resource(attributes={"a": 0})).replace(b'"a": 0', b'"a": ' + b"9" * 5000)

    assert "9" * 100 not in repr(Redactor().change(None, parse(body), b"k" * 32)[0].entry)
