"""Strings that were made to cost time or memory: the work grows with the size, not its square.

No time is measured here: with a square in it, none of these ends before a test's time-out.
"""

import base64
import gzip

import pytest

from proxy.tfstate.carriers.place import MAX_DEPTH, MAX_PLACES
from proxy.tfstate.inside import look, splice

SIZE = 60_000
"""Characters: a square of them takes longer than the time-out."""

UNITS = [
    *"={}[]()<>\"'`@:;,.-_/\\|&?#$%*!~+^\n\r\t \x00aA1é\ud800",
    *("eyJ", "\n- ", "- ", "a: ", "a=", "a:\n ", "? ", "a: b\n", "a=b\n", "a=b ", "a=b;", "a=b,"),
    *('a="', "a='", '{"a":', '[{"a":"b"},', '"a":"b",', '"', '\\"', 'a="\\"', "a={;", 'a="x";'),
    *("a://", "a://b:c@", "https://u:p@h ", "?a=b&", "@h/", "a:b@", "://", "u:p@tcp(", "user:a@"),
    *("<a>", "<a b='c'>", "</a>", "<!--", "<![CDATA[", "<a ", "&lt;", "<a><b>"),
    *(
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----",
        "[a]\n",
        "# a: b\n",
    ),
    *("--password ", "--password x ", "-p ", "mysql -p", "curl -u ", "echo a | ", "echo ", "set "),
    *("htpasswd -b ", "openssl passwd -1 ", "net user a ", "-U a%", "vault kv put ", "sqlplus a/"),
    *("put-parameter ", "put-parameter SecureString --value ", "create secret generic "),
    *("chpasswd <<a\n", "b:chpasswd <<a\n", "rabbitmqctl -a ", "aws configure set ", "kv put "),
    *("mysqladmin ", "nmcli password ", "docker ;", "docker '", "'a' ", '"a": ', "'a': '"),
    *(
        "password '",
        "identified by '",
        "Authorization: ",
        "x-",
        "x-a-token",
        "export ",
        "--",
        "set -",
    ),
    *(
        "aHVudGVyMjEyMzQ1Njc4OTAx",
        "H4sI",
        "AAAA",
        "QUFB\n",
        "machine a ",
        "password ",
        "a:1:b:c:d\n",
    ),
    *(
        "&a ",
        "*a ",
        "&a [*a, ",
        "!!x ",
        "a: |\n ",
        "a: >-\n",
        "'a': ",
        "{{",
        "${",
        "%{",
        "{{ a }}",
        "a: {{ b }}\n",
    ),
    *(
        "%TAG ! a\n",
        "--==B\n",
        "a.b.c.",
        "a-",
        "a/",
        ":a",
        "$a",
        "a_",
        "[redacted a]",
        "\\\n",
        "a \\\n",
    ),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", UNITS)
def test_a_run_of_anything(unit: str) -> None:
    """It ends, at the beginning of a text and behind lines of each kind."""
    for head in ("", "a: b\n", "#!/bin/sh\n", "a=b "):
        text = head + unit * (SIZE // len(unit))
        carrier = look(text)

        assert carrier is None or len(carrier.places) <= SIZE
        assert text == splice(text, [])


@pytest.mark.parametrize("unit", ["=", "{", "eyJ", "\n- "])
def test_ten_megabytes(unit: str) -> None:
    """The largest strings that a state could hold."""
    text = unit * (10_000_000 // len(unit))
    carrier = look(text)

    assert carrier is None or len(carrier.places) <= 2 * MAX_PLACES


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "a: " + "{b: " * 50_000 + "}" * 50_000,
        "\n".join(" " * depth + "a:" for depth in range(1_000)),
        "- " * 50_000 + "a: b\n",
        "<a>" * 50_000 + "b" + "</a>" * 50_000,
    ],
)
def test_deep_nesting(text: str) -> None:
    """Neither the stack nor the paths grow with the depth."""
    carrier = look(text)

    assert carrier is None or all(len(place.path) <= MAX_DEPTH + 1 for place in carrier.places)


def test_billion_laughs() -> None:
    """An alias is no copy."""
    lines = ["l0: &l0 [lol, lol]"]
    lines += [f"l{n}: &l{n} [" + f"*l{n - 1}, " * 10 + "]" for n in range(1, 30)]
    carrier = look("\n".join(lines) + "\n")

    assert carrier is not None
    assert 32 == len(carrier.places)


def test_more_places_than_are_counted() -> None:
    """What follows is hidden as a whole, so that nothing of it leaks unseen."""
    text = '{"a":"' + '","a":"'.join(["x"] * MAX_PLACES) + '","password":"hunter2"}'
    carrier = look(text)

    assert carrier is not None
    last = carrier.places[-1]
    assert ("too-many", len(text)) == (last.why, last.end)
    assert "hunter2" in text[last.start : last.end]


@pytest.mark.parametrize("line", ["a: b\n", "a=b\n", "<a>b</a>\n", "- b\n"])
def test_more_lines_than_are_counted(line: str) -> None:
    """The same in every format of lines."""
    carrier = look("x: y\n" * (line == "- b\n") + line * (MAX_PLACES + 10))

    assert carrier is not None
    assert "too-many" == carrier.places[-1].why or "- b\n" == line


def test_a_gzip_that_grows() -> None:
    """It is unpacked up to a limit only."""
    bomb = base64.b64encode(gzip.compress(b"a" * 100_000_000)).decode()

    assert look(bomb) is None


def test_one_line_of_a_mebibyte() -> None:
    """The pair at its end is found."""
    text = "x" * 1_048_576 + " password=hunter2"
    carrier = look(text)

    assert carrier is not None
    assert "hunter2" == carrier.places[-1].value


@pytest.mark.parametrize(
    "text", ["a: \ud800\nb: c\n", '{"a": "\ud800"}', "a=\ud800\x00\n", "\x00: b\nc: d\n"]
)
def test_what_no_encoding_can_carry(text: str) -> None:
    """Half a surrogate pair, or a NUL."""
    carrier = look(text)

    assert carrier is not None
    for place in carrier.places:
        splice(text, [(place, "\ud800\x00")])
