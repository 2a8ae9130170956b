"""A client's own words hold no credential when they get into an entry."""

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
