"""Tests of proxy.sinks._words."""

import pytest

from proxy.sinks._words import in_sight, title


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bob@laptop", "bob@laptop"),
        ("bob\n\t@ laptop", "bob @ laptop"),
        ("bob\u202egnp.exe", "bob�gnp.exe"),
        ("ad\u200bmin", "ad�min"),
        ("\u2066x\u2069", "�x�"),
        ("é 日本 €", "é 日本 €"),
    ],
)
def test_what_can_not_be_seen_shows(text: str, seen: str) -> None:
    """A name that turns or joins unseen can't pass for another."""
    assert seen == in_sight(text)


def test_a_title_is_in_sight() -> None:
    """It holds what clients say of themselves."""
    entry = {"event": "state.locked", "message": "ad\u200bmin locked prod"}
    assert "state.locked: ad�min locked prod" == title(entry, 100)
