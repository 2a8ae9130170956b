"""Tests of proxy.formats.addresses."""

import pytest

from proxy.formats.addresses import is_address


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("10.0.0.7", True),
        ("2001:db8::1", True),
        ("::ffff:10.0.0.7", True),
        ("fe80::1%eth0", False),
        ("10.0.0.7:8080", False),
        ("010.0.0.7", False),
        ("localhost", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_an_address_is_told_from_any_other_text(text: str, is_one: bool) -> None:
    """A field of the type ``ip`` refuses a whole document over a text that is none."""
    assert is_one is is_address(text)
