"""Tests of what may reach a terminal."""

import json

import pytest

from proxy.cli._output import (
    clean,
    count_text,
    print_bytes,
    print_json,
    print_table,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Zoë 日本", "Zoë 日本"),
        ("\x1b[2J", "\\u001b[2J"),
        ("a\nb\tc\r", "a\\u000ab\\u0009c\\u000d"),
        ("\x9b31m", "\\u009b31m"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\x7f", "\\u007f"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, shown: str) -> None:
    """Escape sequences, invisible and direction-turning characters lose their power."""
    assert shown == clean(text)


def test_cleaned_json_means_the_same() -> None:
    """The notation is JSON's own, so a cleaned line parses to what it was."""
    value = {"text": "a\x9b\u202e\U000e0041\x7f", "name": "Zoë"}
    assert value == json.loads(clean(json.dumps(value, ensure_ascii=False)))


def test_json_is_cleaned_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that shows our JSON to a person passes no escape sequence on."""
    print_json({"who": "a\x9b2J", "list": [1]})
    printed = capsys.readouterr().out
    assert "\x9b" not in printed
    assert {"who": "a\x9b2J", "list": [1]} == json.loads(printed)


def test_a_table_in_a_pipe_has_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is wrapped or cut for the width of a terminal that is not there."""
    print_table(("NAME", ">SIZE"), [("x" * 300, "1"), ("[red]y[/]\x1b", "22")])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [["NAME", "SIZE"], ["x" * 300, "1"], ["[red]y[/]\\u001b", "22"]] == lines


def test_bytes_are_written_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """No encoding, no line end is touched."""
    print_bytes(b"\x00\xff\r\n{}")
    assert b"\x00\xff\r\n{}" == capfdbinary.readouterr().out


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (18_231, "18.2 kB"),
        (52_000_000, "52.0 MB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_are_short(size: int, text: str) -> None:
    """In steps of a thousand."""
    assert text == size_text(size)


def test_a_count_has_its_noun() -> None:
    """In the singular and the plural."""
    assert ("1 state", "0 states", "2 entries") == (
        count_text(1, "state"),
        count_text(0, "state"),
        count_text(2, "entry", "entries"),
    )


def test_times_are_shown_to_the_second() -> None:
    """What is no time of ours stays as it is."""
    assert "2026-11-22 10:00:00Z" == time_text("2026-11-22T10:00:00.123456Z")
    assert "whenever" == time_text("whenever")
