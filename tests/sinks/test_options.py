"""What options of all sinks may say: addresses that stand in the log, names of secrets."""

import msgspec
import pytest

from proxy.fields import FieldError, read_fields
from proxy.sinks.options import WORDS, Key, SecretName, Tag, Url, require_safe_url


class Sample(msgspec.Struct, kw_only=True):
    """One option of each kind."""

    url: Url = "https://siem.example"
    secret: SecretName = "a"
    tag: Tag = "a:b"
    key: Key = "A"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://", "url is no address such as https://siem.example.com"),
        ("https://siem.example:port/", "is no address"),
        ("https://[::1", "is no address"),
        ("https://me@siem.example", "may have no user, password, query or fragment"),
        ("https://:word@siem.example", "may have no user"),
        ("https://siem.example/?token=word", "name that in url_secret"),
        ("https://siem.example/#word", "may have no user"),
        ("http://siem.example/", "must begin with https://: whoever is on the way"),
        ("http://127.0.0.1.example/", "must begin with https://"),
    ],
)
def test_an_address_that_is_not_safe(url: str, said: str) -> None:
    """The field is named, and what to do; a secret in it is not shown."""
    with pytest.raises(FieldError, match=said.replace("?", r"\?")) as caught:
        require_safe_url(url, "url")
    assert "url" == caught.value.field
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://siem.example/intake",
        "https://siem.example:8088",
        "https://[2001:db8::1]/",
        "http://127.0.0.1:8088/",
        "http://localhost/",
        "http://[::1]:1/",
    ],
)
def test_an_address_that_is_safe(url: str) -> None:
    """TLS, or this machine."""
    require_safe_url(url, "url")


def test_without_tls_when_somebody_says_so() -> None:
    """But with no secret in it all the same."""
    require_safe_url("http://siem.example", "url", allow_http=True)
    with pytest.raises(FieldError):
        require_safe_url("http://me:word@siem.example", "url", allow_http=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("url", "ftp://siem.example", "an address that begins with https://"),
        ("url", "https://siem.example/a b", "an address that begins"),
        ("url", "https://siem.example\n", "an address that begins"),
        ("url", "https://" + "a" * 2000, "length <= 2000"),
        ("secret", "DATADOG", "the name of a secret: small letters"),
        ("secret", "a\n", "the name of a secret"),
        ("secret", "../key", "the name of a secret"),
        ("tag", "a,b", "text without spaces and commas"),
        ("tag", "", "text without spaces"),
        ("key", "A/B", "letters, digits and '_'"),
    ],
)
def test_an_option_of_a_kind_is_told_in_words(field: str, value: str, said: str) -> None:
    """No regular expression is shown to anybody."""
    with pytest.raises(FieldError, match=said) as caught:
        read_fields({field: value}, Sample, "sample options", WORDS)
    assert field == caught.value.field
    assert "^" not in str(caught.value)
