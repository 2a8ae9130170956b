"""Types of options that sinks share: addresses, names of secrets, formats."""

from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta

from proxy.config import SECRET_PATTERN
from proxy.directory import is_loopback
from proxy.fields import FieldError

URL_PATTERN: Final = r"^https?://[!-~]+$(?!\n)"

SecretName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=SECRET_PATTERN,
        max_length=100,
        description="Name of a secret: `datadog_api_key` is the value of "
        "`TFAUDIT_SECRET_DATADOG_API_KEY`, or of the file that "
        "`TFAUDIT_SECRET_DATADOG_API_KEY_FILE` names, or of the file `datadog_api_key` in the "
        "directory of secrets.",
    ),
]
TAG_PATTERN: Final = r"^[^\s,]+$(?!\n)"

KEY_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_]*$(?!\n)"

HOST_PATTERN: Final = r"^[A-Za-z0-9.:_-]+$(?!\n)"
PRINTABLE_PATTERN: Final = r"^[!-~]*$(?!\n)"
REGION_PATTERN: Final = r"^[a-z0-9-]+$(?!\n)"
ROLE_PATTERN: Final = r"^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$(?!\n)"
BUS_PATTERN: Final = (
    r"^(arn:[a-z0-9-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[/.A-Za-z0-9_-]+$(?!\n)"
)
BUCKET_PATTERN: Final = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$(?!\n)"
PREFIX_PATTERN: Final = r"^[A-Za-z0-9!_.*'()=-]+(/[A-Za-z0-9!_.*'()=-]+)*$(?!\n)"
ACCOUNT_PATTERN: Final = r"^[0-9]{12}$(?!\n)"
HEADER_PATTERN: Final = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)"

Key: TypeAlias = Annotated[str, Meta(pattern=KEY_PATTERN, max_length=100)]
Tag: TypeAlias = Annotated[str, Meta(pattern=TAG_PATTERN, max_length=200)]
Url: TypeAlias = Annotated[str, Meta(pattern=URL_PATTERN, max_length=2000)]
Format: TypeAlias = Annotated[
    Literal["native", "cloudevents", "ocsf", "ecs"],
    Meta(description="How each event is written."),
]
AllowHttp: TypeAlias = Annotated[
    bool, Meta(description="Whether events may go to another machine without TLS, readable.")
]

WORDS: Final = {
    SECRET_PATTERN: "the name of a secret: small letters, digits and '_', beginning with a letter",
    URL_PATTERN: "an address that begins with https://",
    KEY_PATTERN: "letters, digits and '_', beginning with a letter",
    HOST_PATTERN: "the name or address of a machine",
    PRINTABLE_PATTERN: "ASCII text without spaces",
    REGION_PATTERN: "a region such as eu-central-1",
    ROLE_PATTERN: "the ARN of a role, arn:aws:iam::123456789012:role/NAME",
    BUS_PATTERN: "the name of an event bus, or its ARN",
    BUCKET_PATTERN: "the name of a bucket: 3 to 63 small letters, digits, '.' and '-'",
    PREFIX_PATTERN: "path/of/names without a slash at its beginning and its end",
    ACCOUNT_PATTERN: "an account's 12 digits",
    HEADER_PATTERN: "the name of an HTTP header",
    TAG_PATTERN: "text without spaces and commas, as env:prod",
}
"""What the regular expressions of the options say, for people."""


def require_safe_url(url: str, field: str, *, allow_http: bool = False) -> None:
    """Pass when events can be sent there and nothing in the address is a secret.

    An address stands in the log, and in every list of sinks.

    Args:
        url: the option's value.
        field: the option's name.
        allow_http: also without TLS to another machine.

    Raises:
        FieldError: says what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if not host:
        raise FieldError(f"{field} is no address such as https://siem.example.com/intake", field)
    if parts.username is not None or parts.query or parts.fragment:
        raise FieldError(
            f"{field} may have no user, password, query or fragment: it stands in the log, and a "
            f"secret may be in them; keep such an address as a secret, and name that in "
            f"{field}_secret",
            field,
        )
    if parts.scheme != "https" and not allow_http and not is_loopback(host):
        raise FieldError(
            f"{field} must begin with https://: whoever is on the way could read and change the "
            "events otherwise",
            field,
        )
