"""Tests of proxy.passwords."""

import pytest

from proxy.errors import InvalidInputError
from proxy.passwords import LONGEST, SHORTEST, check_password, normalised


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery nail",
        "aaaaaaaaaaab",
        "пароль-длинный",
        "密码密码很长的密码没有人猜",
        "🐎🔋🪝✅🐎🪝🔋✅✅🐎🔋🪝x",
        "alice in wonderland",
        "x" + "horse" * 51,
    ],
)
def test_any_long_enough_text_is_one(password: str) -> None:
    """Of any characters: no rule asks for some of each kind."""
    assert check_password(password, "alice")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short"),
        ("x" * (SHORTEST - 1), "too short"),
        ("\ufb01" * (LONGEST + 1), "at most 256"),
        ("aaaaaaaaaaaa", "everybody"),
        ("abcabcabcabcab", "everybody"),
        ("123456789012", "everybody"),
        ("210987654321", "everybody"),
        ("QWERTYUIOPasdf", "everybody"),
        ("PasswordPassword", "everybody"),
        ("\uff30asswor\uff441234", "everybody"),
        (" " * 12, "everybody"),
        ("alicealicealice", "the name"),
        ("Alice1234567!", "the name"),
        ("hunter2hunter\n2", "control"),
        ("hunter2hunter\x00", "control"),
        ("hunter2hunter\ud800", "Unicode"),
    ],
)
def test_what_is_guessed_first_is_none(password: str, why: str) -> None:
    """The message says why, and nothing of it."""
    with pytest.raises(InvalidInputError, match=why) as refused:
        check_password(password, "alice")
    assert "hunter" not in str(refused.value)


def test_however_it_was_composed_it_is_the_same() -> None:
    """Two keyboards, one password (Unicode NFKC)."""
    assert normalised("caf\u00e9 \ufb01lm") == normalised("cafe\u0301 film")


def test_characters_are_counted_as_people_count_them() -> None:
    """One that is composed of two counts as one."""
    with pytest.raises(InvalidInputError, match="too short"):
        check_password("e\u0301b" * 5, "alice")
