"""A client's own words hold no credential when they get into an entry."""

import time

import pytest

from proxy.client_text import client_text


@pytest.mark.parametrize(
    "text", ["Go-http-client/1.1", "Terraform/1.11.4", "bob@laptop", "OperationTypeApply", ""]
)
def test_ordinary_words_stay(text: str) -> None:
    """They are what the record is for."""
    assert text == client_text(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "curl/8.5 (+https://x:hunter2-hunter2@example.com)",
            "curl/8.5 (+https://x:[redacted]@example.com)",
        ),
        ("ci@ghp_" + "a1B2" * 9, "ci@[redacted]"),
        ("bob password=tiger", "bob password='[redacted]'"),
    ],
)
def test_a_credential_is_cut_out(text: str, shown: str) -> None:
    """By its shape, as nothing else is known of the text."""
    assert shown == client_text(text)


def test_it_is_cut_to_its_limit_after_the_credentials_are() -> None:
    """A limit that cuts a token in two must not show its first half."""
    token = "ghp_" + "a1B2" * 9
    words = "words " * 41
    assert f"{words}[redacted]" == client_text(words + token)
    assert f"{words} [redacted]"[:250] == client_text(f"{words} {token}", 250)
    assert "?" == client_text("\udc80")


@pytest.mark.parametrize(
    ("begins", "goes_on", "shown"),
    [
        ("curl/8 ", "a1B2" * 5_000, "curl/8 [redacted]"),
        ("curl/8 (+https://x:", "pw1!" * 5_000 + "@example.com", "curl/8 [redacted]"),
        ("curl/8 password='tiger", " tiger" * 3_000 + "'", "curl/8 password=[redacted]"),
        ('curl/8 {"password": "tiger', " tiger" * 3_000 + '"}', "curl/8 [redacted]"),
        ("curl/8 ci@ghp_" + "a1B2" * 9, " x" * 8_000, "curl/8 ci@[redacted]" + " x" * 118),
    ],
)
def test_what_goes_over_the_end_of_what_is_looked_at_is_not_shown(
    begins: str, goes_on: str, shown: str
) -> None:
    """Half a credential need not look like one."""
    assert shown == client_text(begins + goes_on)


@pytest.mark.parametrize(
    "text", ["password=a ", "a=b;", '{"a":', "[", "https://x:y@h/?a=b&", "x", "x ", '"', "eyJ."]
)
def test_a_long_text_holds_nobody_up(text: str) -> None:
    """Anybody can send 16 KiB of anything: what is looked at of it does not grow with it."""
    began = time.process_time()
    client_text((text * 768)[:768])
    client_text((text * 16_384)[:16_384])
    assert time.process_time() - began < 0.02
