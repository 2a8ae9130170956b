"""Secrets of every kind that detectors know, drawn from a seed: none was ever valid."""

import base64
import json
import random
from collections.abc import Callable, Mapping
from typing import Final

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _LOWER.upper()
_DIGITS: Final = "0123456789"
_ALPHANUMERIC: Final = _LOWER + _UPPER + _DIGITS
_HEX: Final = "0123456789abcdef"
_URL_SAFE: Final = _ALPHANUMERIC + "-_"
_BASE64: Final = _ALPHANUMERIC + "+/"


class Draw:
    """Draws texts from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        """So many characters of an alphabet."""
        return "".join(self._random.choices(alphabet, k=length))

    def one(self, *choices: str) -> str:
        """One of some texts."""
        return self._random.choice(choices)

    def code(self, length: int) -> str:
        """Letters and digits."""
        return self.of(_ALPHANUMERIC, length)

    def hex(self, length: int) -> str:
        """Hexadecimal digits."""
        return self.of(_HEX, length)

    def url_safe(self, length: int) -> str:
        """The alphabet of base64url."""
        return self.of(_URL_SAFE, length)

    def base64(self, octets: int) -> str:
        """So many random octets in base64, padded."""
        return base64.b64encode(self._random.randbytes(octets)).decode()

    def bytes(self, octets: int) -> bytes:
        """So many random octets."""
        return self._random.randbytes(octets)

    def digits(self, length: int) -> str:
        """Decimal digits, no zero first."""
        return self.of("123456789", 1) + self.of(_DIGITS, length - 1)


def _b64url(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _pem(draw: Draw) -> str:
    label = draw.one("RSA ", "", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA ")
    lines = [draw.of(_BASE64, 64) for _ in range(12)] + [draw.of(_BASE64, 30) + "=="]
    return "\n".join(
        [f"-----BEGIN {label}PRIVATE KEY-----", *lines, f"-----END {label}PRIVATE KEY-----"]
    )


def _jwt(draw: Draw) -> str:
    header = json.dumps({"alg": draw.one("RS256", "HS256", "ES256"), "kid": draw.code(8)})
    claims = json.dumps({"sub": draw.digits(10), "exp": int(draw.digits(10))})
    return f"{_b64url(header.encode())}.{_b64url(claims.encode())}.{draw.url_safe(43)}"


def _password(draw: Draw) -> str:
    return draw.of(_ALPHANUMERIC + "!$%^&*()-+=[]~", 18)


DRAWN: Final[Mapping[str, Callable[[Draw], str]]] = {
    "private key, PEM": _pem,
    "private key, one line": lambda d: _pem(d).replace("\n", "\\n"),
    "private key, CRLF": lambda d: _pem(d).replace("\n", "\r\n"),
    "private key, cut": lambda d: _pem(d)[:400],
    "private key, base64": lambda d: base64.b64encode(_pem(d).encode()).decode(),
    "private key, DER": lambda d: base64.b64encode(
        bytes.fromhex("308204bd020100300d06092a864886f70d0101010500048204a7")
        + b"\x30\x82\x04\xa3\x02\x01\x00"
        + d.bytes(1100)
    ).decode(),
    "JWT": _jwt,
    "AWS secret key": lambda d: d.of(_BASE64, 40),
    "AWS session token": lambda d: d.one("IQoJb3JpZ2luX2Vj", "FwoGZXIvYXdzE") + d.of(_BASE64, 340),
    "AWS Bedrock key": lambda d: "ABSK" + d.of(_BASE64, 128) + "=",
    "Azure storage key": lambda d: d.base64(64),
    "Azure connection string": lambda d: d.base64(64),
    "Azure SAS": lambda d: d.of(_ALPHANUMERIC, 41) + "%3D",
    "Azure client secret": lambda d: d.code(3) + d.of(_DIGITS, 1) + "Q~" + d.url_safe(34),
    "Google API key": lambda d: "AIza" + d.url_safe(35),
    "Google OAuth secret": lambda d: "GOCSPX-" + d.url_safe(28),
    "Google access token": lambda d: "ya29." + d.url_safe(150),
    "GitHub token": lambda d: d.one("ghp_", "gho_", "ghu_", "ghs_", "ghr_") + d.code(36),
    "GitHub fine-grained token": lambda d: "github_pat_" + d.code(22) + "_" + d.code(59),
    "GitLab token": lambda d: d.one("glpat-", "gldt-", "glrt-", "glptt-") + d.url_safe(20),
    "Slack token": lambda d: f"{d.one('xoxb', 'xoxp')}-{d.digits(12)}-{d.digits(13)}-{d.code(24)}",
    "Slack webhook": lambda d: f"T{d.of(_UPPER, 8)}/B{d.of(_UPPER + _DIGITS, 10)}/{d.code(24)}",
    "Discord webhook": lambda d: f"{d.digits(18)}/{d.url_safe(68)}",
    "Telegram token": lambda d: f"{d.digits(10)}:AA{d.url_safe(33)}",
    "Stripe key": lambda d: d.one("sk_live_", "rk_live_", "sk_test_") + d.code(24),
    "Stripe webhook secret": lambda d: "whsec_" + d.code(32),
    "Twilio key": lambda d: "SK" + d.hex(32),
    "SendGrid key": lambda d: f"SG.{d.url_safe(22)}.{d.url_safe(43)}",
    "Mailgun key": lambda d: "key-" + d.hex(32),
    "Mailchimp key": lambda d: f"{d.hex(32)}-us{d.digits(2)}",
    "Brevo key": lambda d: f"xkeysib-{d.hex(64)}-{d.code(16)}",
    "npm token": lambda d: "npm_" + d.code(36),
    "PyPI token": lambda d: "pypi-AgEIcHlwaS5vcmc" + d.url_safe(140),
    "Docker Hub token": lambda d: "dckr_pat_" + d.url_safe(27),
    "New Relic key": lambda d: "NRAK-" + d.of(_UPPER + _DIGITS, 27),
    "New Relic license key": lambda d: d.hex(36) + "NRAL",
    "Grafana token": lambda d: f"glsa_{d.code(32)}_{d.hex(8)}",
    "Sentry token": lambda d: "sntryu_" + d.hex(64),
    "Dynatrace token": lambda d: (
        f"dt0c01.{d.of(_UPPER + '234567', 24)}.{d.of(_UPPER + '234567', 64)}"
    ),
    "Vault token": lambda d: "hvs." + d.url_safe(95),
    "Vault token before 1.10": lambda d: "s." + d.code(24),
    "HCP Terraform token": lambda d: f"{d.code(14)}.atlasv1.{d.url_safe(67)}",
    "tfaudit token": lambda d: "tfa_" + d.code(43),
    "Databricks token": lambda d: "dapi" + d.hex(32),
    "DigitalOcean token": lambda d: "dop_v1_" + d.hex(64),
    "Heroku key": lambda d: "HRKU-AA" + d.url_safe(58),
    "Atlassian token": lambda d: "ATATT3" + d.url_safe(180) + "=" + d.of(_HEX.upper(), 8),
    "Okta token": lambda d: "00" + d.url_safe(40),
    "Shopify token": lambda d: d.one("shpat_", "shpss_") + d.hex(32),
    "Square token": lambda d: "sq0atp-" + d.url_safe(22),
    "OpenAI key": lambda d: f"sk-proj-{d.url_safe(74)}T3BlbkFJ{d.url_safe(74)}",
    "Anthropic key": lambda d: f"sk-ant-api03-{d.url_safe(93)}AA",
    "Hugging Face token": lambda d: "hf_" + d.of(_LOWER + _UPPER, 34),
    "Tailscale key": lambda d: f"tskey-auth-{d.code(16)}-{d.code(32)}",
    "Doppler token": lambda d: "dp.pt." + d.code(43),
    "Pulumi token": lambda d: "pul-" + d.hex(40),
    "1Password token": lambda d: "ops_eyJ" + d.of(_BASE64, 800),
    "age key": lambda d: "AGE-SECRET-KEY-1" + d.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "WireGuard key": lambda d: d.base64(32),
    "bcrypt hash": lambda d: "$2b$12$" + d.of(_ALPHANUMERIC + "./", 53),
    "crypt hash": lambda d: f"$6${d.code(16)}${d.of(_ALPHANUMERIC + './', 86)}",
    "password in a URL": _password,
    "bearer header": lambda d: d.hex(40),
    "basic header": lambda d: base64.b64encode(f"deploy:{_password(d)}".encode()).decode(),
    "random, 24 characters": lambda d: d.code(24),
    "random, 32 characters": lambda d: d.code(32),
    "random, 32 octets base64": lambda d: d.base64(32),
}
"""What draws a secret of each kind."""

_AROUND: Final[Mapping[str, str]] = {
    "Azure connection string": "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=%s;"
    "EndpointSuffix=core.windows.net",
    "Azure SAS": "https://logs.blob.core.windows.net/c?sv=2022-11-02&sr=c&sp=r&sig=%s",
    "Slack webhook": "https://hooks.slack.com/services/%s",
    "Discord webhook": "https://discord.com/api/webhooks/%s",
    "password in a URL": "postgresql://app:%s@db.internal:5432/orders?sslmode=require",
    "bearer header": "Authorization: Bearer %s",
    "basic header": "Authorization: Basic %s",
}
"""What stands around a secret that shows its kind only there."""


def secrets(kind: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many secrets of a kind, each with a text that it is the secret in."""
    draw = Draw(sum(kind.encode()) * 1000 + seed)
    drawn = [DRAWN[kind](draw) for _ in range(count)]
    around = _AROUND.get(kind, "%s")
    return [(secret, around.replace("%s", secret)) for secret in drawn]
