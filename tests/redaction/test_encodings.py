"""The search finds a secret however it was written: or the canary test would prove nothing."""

import base64
import gzip
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from tests.redaction.encodings import Searcher, go_json, gzip64

ODD = "q7\"R\\t<v>&w'x: ß9/ü+="
PLAIN = "Zt4kQ81mBv0s"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join("kH7dPz0Qw" * 7 for _ in range(3)) + "\n"
SEARCHER = Searcher({"odd": ODD, "plain": PLAIN})


def found(data: str | bytes) -> set[str]:
    """Whose secrets are found in the data."""
    return {hit.name for hit in SEARCHER.find(data)}


@pytest.mark.parametrize("secret", [ODD, PLAIN])
@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        go_json,
        lambda text: json.dumps({"a": go_json({"b": text})}),
        lambda text: go_json({"a": json.dumps({"b": json.dumps([text])})}),
        lambda text: quote(text, safe=""),
        lambda text: quote(text, safe="/"),
        lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
        quote_plus,
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
        repr,
        lambda text: gzip64(f"password: {text}\n"),
        lambda text: base64.b64encode(base64.b64encode(f"x{text}y".encode())).decode(),
        lambda text: base64.b64encode(go_json({"a": text}).encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"??>{text}".encode()).decode(),
    ],
)
def test_finds_a_secret_in_every_form(write: object, secret: str) -> None:
    """Nothing that a program does to a text on the way hides it."""
    assert callable(write)
    assert {"odd" if secret == ODD else "plain"} == found(f"before {write(secret)} behind")


@pytest.mark.parametrize("before", range(7))
@pytest.mark.parametrize("behind", range(4))
def test_finds_base64_in_any_alignment(before: int, behind: int) -> None:
    """Three bytes become four characters, so a secret begins in one of three ways."""
    data = b"\xfe" * before + PLAIN.encode() + b"\xfd" * behind
    assert {"plain"} == found(base64.b64encode(data))


@pytest.mark.parametrize(
    "written",
    [
        KEY.replace("\n", "\r\n"),
        KEY.replace("\n", "\\n"),
        KEY.replace("\n", "\n      "),
        KEY.replace("\n", ""),
        "\n".join(KEY.splitlines()[2:3]),
        json.dumps(json.dumps(KEY)),
        base64.b64encode(b"xy" + KEY.encode()).decode(),
    ],
)
def test_finds_each_line_of_a_key(written: str) -> None:
    """Whatever became of the line ends, and also if most of it is missing."""
    assert {"key"} == {hit.name for hit in Searcher({"key": KEY}).find(written)}


def test_finds_what_gzip_that_was_cut_off_holds() -> None:
    """A record may show only the beginning of a long text."""
    packed = base64.b64encode(gzip.compress(f"{PLAIN}\n".encode() + bytes(range(256)) * 9))
    assert {"plain"} == found(packed[:120])


def test_finds_half_of_a_long_secret() -> None:
    """A half can be enough to guess the rest."""
    secret = "0123456789abcdefghijklmnopqrstuv"
    assert ["a half"] == [hit.form for hit in Searcher({"x": secret}).find(f"<{secret[:16]}>")]


def test_finds_nothing_in_other_texts() -> None:
    """What only resembles a secret is none."""
    assert set() == found(f"{PLAIN[:-1]} {PLAIN.lower()} {ODD[2:]} {base64.b64encode(b'other')!r}")
