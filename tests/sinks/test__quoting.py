"""What is shown of a far side's own words: no form of a secret, nothing that was sent."""

import base64
import time
from collections.abc import Callable

import pytest

from proxy.sinks._quoting import UNSHOWN, quoted

SECRET = "Bearer Sup3rS3cretTokQZXWVKJM90517"
ADDRESS = "https://x.example/services/T1/5c4e0f1b-the"


@pytest.mark.parametrize(
    ("said", "sent", "shown"),
    [
        (b"", b"", ""),
        (b"<html><h1>Bad</h1>\n request</html>", b"", "Bad request"),
        (b"no bearer token for services of x.example", b"", None),
        (b'bad "prod/network/of/somebody"', b'{"w":"prod/network/of/somebody"}', "bad [redacted]"),
        (b"missing field message", b'{"message":"m"}', None),
        (b"\x1b[31mred\x00", b"", "[31mred"),
    ],
)
def test_what_is_quoted_is_clean(said: bytes, sent: bytes, shown: str | None) -> None:
    """And is shown as it is where nothing stands against it."""
    found = quoted(said, [SECRET, ADDRESS], sent)
    assert (said.decode() if shown is None else shown) == found


FORMS: list[Callable[[str], str]] = [
    str,
    str.upper,
    lambda x: x[::-1],
    lambda x: x[7:15],
    " ".join,
    lambda x: "-".join(x[at : at + 5] for at in range(0, len(x), 5)),
    "<b>".join,
    lambda x: base64.b64encode(x.encode()).decode(),
    lambda x: base64.urlsafe_b64encode(b"?" + x.encode()).decode(),
    lambda x: base64.b64encode(base64.b64encode(x.encode())).decode(),
    lambda x: "-".join(base64.b64encode(x.encode()).decode()),
    lambda x: x.encode().hex(),
    lambda x: ":".join(f"{each:02X}" for each in x.encode()),
    lambda x: "".join(f"\\u{ord(each):04x}" for each in x),
    lambda x: "".join(f"\\x{ord(each):02x}" for each in x),
    lambda x: "".join(f"&#{ord(each)};" for each in x),
    lambda x: "".join(f"&#x{ord(each):x};" for each in x),
    lambda x: "".join(f"%{ord(each):02x}" for each in x),
]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_quoted_that_repeats_a_secret(form: Callable[[str], str]) -> None:
    """In whatever form; an answer without it is shown."""
    assert UNSHOWN == quoted(f"bad auth {form(SECRET)} it was".encode(), [SECRET])
    other = form("of nobody, this is")
    assert UNSHOWN != quoted(f"bad auth {other} it was".encode(), [SECRET])


def test_a_short_secret_is_one() -> None:
    """As a whole."""
    assert UNSHOWN == quoted(b"no user ab12", ["ab12"])
    assert "no user ab1" == quoted(b"no user ab1", ["ab12"])


def test_what_is_quoted_is_short() -> None:
    """Whatever came."""
    assert 200 == len(quoted(b"word " * 10_000, []))


def test_cleaning_takes_no_time_worth_naming() -> None:
    """Also of an answer that repeats five megabytes."""
    sent = b"%010d" * 500_000 % tuple(range(500_000))
    begun = time.process_time()
    assert quoted(sent, [SECRET * 5], sent).startswith("[redacted]")
    assert time.process_time() - begun < 2
