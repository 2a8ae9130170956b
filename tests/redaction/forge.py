"""Makes secrets that look like real ones, each of them unique and long enough to be sought."""

import base64
import random
import string
from collections.abc import Callable
from itertools import chain
from typing import Final

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
"""What Terraform's `random_password` uses beside letters and digits."""

_LETTERS: Final = string.ascii_letters
_MIXED: Final = string.ascii_letters + string.digits
_BASE64: Final = _MIXED + "+/"
_WORDS: Final = """
    Amsel Birke Canyon Delfin Eisvogel Falke Granit Hafen Igel Jasmin Kiesel Linde Marder Nelke
    Orkan Pappel Quelle Rabe Sommer Tanne Ufer Viper Winter Zeder Bravo Charlie Dragon Hunter
    Letmein Monkey Phoenix Shadow Summer Tiger Welcome
"""


class Forge:
    """Makes secrets by shape, the same for the same seed.

    Args:
        rng: where chance comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._made: set[str] = set()

    def make(self, shape: str) -> str:
        """A secret of a shape in SHAPES that was not made before."""
        while True:
            secret = SHAPES[shape](self)
            if secret not in self._made:
                self._made.add(secret)
                return secret

    def _text(self, alphabet: str, least: int, most: int | None = None) -> str:
        length = self._rng.randint(least, most or least)
        return "".join(self._rng.choices(alphabet, k=length))

    def password(self) -> str:
        """As `random_password` makes it: special characters, the first a letter."""
        parts = [
            *self._rng.choices(_MIXED, k=self._rng.randint(11, 18)),
            *self._rng.choices(_SPECIAL, k=4),
            self._text(string.digits, 1),
        ]
        self._rng.shuffle(parts)
        return self._rng.choice(_LETTERS) + "".join(parts)

    def words(self) -> str:
        """A short one that a person made up: no detector of randomness sees it."""
        first, second = self._rng.choice(_WORDS.split()), self._text(string.digits, 4)
        return f"{first}{self._rng.choice('-_.')}{self._text(string.ascii_lowercase, 3)}{second}"

    def plain(self) -> str:
        """Letters and digits: fits into a URL, YAML and a shell script as it is."""
        return self._rng.choice(_LETTERS) + self._text(_MIXED, 19, 35) + self._text("0123456789", 1)

    def long(self) -> str:
        """40 letters and digits: certainly random, also where nothing else tells."""
        return self._text(_MIXED, 40)

    def odd(self) -> str:
        """One with everything that any format has to escape."""
        parts = (self._text(_MIXED, 3) for _ in range(7))
        return "".join(
            chain.from_iterable(zip(parts, ('"', "\\", "ß<", ">", "&'", " ", ""), strict=True))
        )

    def hexadecimal(self) -> str:
        """32, 40 or 64 hexadecimal digits."""
        return self._text("0123456789abcdef", self._rng.choice((32, 40, 64)))

    def uuid(self) -> str:
        """A UUID, as Azure and Heroku make keys of."""
        digits = self._text("0123456789abcdef", 32)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def base64_key(self) -> str:
        """64 bytes in base64, as an Azure storage key."""
        return base64.b64encode(self._rng.randbytes(64)).decode()

    def short_key(self) -> str:
        """32 bytes in base64."""
        return base64.b64encode(self._rng.randbytes(32)).decode()

    def pem(self) -> str:
        """A private key in PEM, of one of the usual labels."""
        label = self._rng.choice(
            ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
        )
        return self._pem(label, "MII", self._rng.randint(6, 12))

    def openssh(self) -> str:
        """A private key as ssh-keygen writes it."""
        return self._pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEA", 6)

    def _pem(self, label: str, beginning: str, count: int) -> str:
        lines = [self._text(_BASE64, 64) for _ in range(count)] + [self._text(_BASE64, 42) + "=="]
        lines[0] = (beginning + lines[0])[:64]
        return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))

    def jwt(self) -> str:
        """A signed JSON Web Token."""
        header = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').decode().rstrip("=")
        claims = f'{{"sub":"{self._text(_MIXED, 12)}","iss":"https://id.example.com"}}'
        body = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
        return f"{header}.{body}.{self._text(_MIXED + '-_', 86)}"

    def aws_secret(self) -> str:
        """40 characters, as the secret half of an AWS access key."""
        return self._text(_BASE64, 40)

    def integer(self) -> str:
        """A number of 11 to 15 digits, but not of 12: that is an AWS account."""
        return self._text("123456789", 1) + self._text(
            string.digits, self._rng.choice((10, 12, 14))
        )

    def fraction(self) -> str:
        """A number with a point, in the one way that all programs write it."""
        return f"{self._text('123456789', 8)}.{self._text('123456789', 5)}"

    def github(self) -> str:
        """A personal access token of GitHub."""
        return f"ghp_{self._text(_MIXED, 36)}"

    def gitlab(self) -> str:
        """A personal access token of GitLab."""
        return f"glpat-{self._text(_MIXED, 20)}"

    def slack(self) -> str:
        """A bot's token of Slack."""
        digits = string.digits
        return f"xoxb-{self._text(digits, 12)}-{self._text(digits, 13)}-{self._text(_MIXED, 24)}"

    def slack_webhook(self) -> str:
        """The last part of the address of an incoming webhook of Slack."""
        return self._text(_MIXED, 24)

    def stripe(self) -> str:
        """A secret key of Stripe."""
        return f"sk_live_{self._text(_MIXED, 24)}"

    def sendgrid(self) -> str:
        """An API key of SendGrid."""
        return f"SG.{self._text(_MIXED, 22)}.{self._text(_MIXED, 43)}"

    def google_api(self) -> str:
        """An API key of Google."""
        return f"AIza{self._text(_MIXED, 35)}"

    def google_access(self) -> str:
        """An OAuth access token of Google."""
        return f"ya29.{self._text(_MIXED + '-_', 120)}"

    def npm(self) -> str:
        """A token of npm."""
        return f"npm_{self._text(_MIXED, 36)}"

    def vault(self) -> str:
        """A service token of Vault."""
        return f"hvs.{self._text(_MIXED, 90)}"

    def grafana(self) -> str:
        """A service account's token of Grafana."""
        return f"glsa_{self._text(_MIXED, 32)}_{self._text('0123456789abcdef', 8)}"

    def terraform_cloud(self) -> str:
        """A token of HCP Terraform."""
        return f"{self._text(_MIXED, 14)}.atlasv1.{self._text(_MIXED, 67)}"

    def digitalocean(self) -> str:
        """A token of DigitalOcean."""
        return f"dop_v1_{self._text('0123456789abcdef', 64)}"

    def telegram(self) -> str:
        """A bot's token of Telegram, without the bot's number."""
        return f"AA{self._text(_MIXED + '-_', 32)}z"

    def dsn_key(self) -> str:
        """What Sentry has in front of the host."""
        return self._text("0123456789abcdef", 32)

    def age(self) -> str:
        """A secret key of age, without its beginning."""
        return self._text("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)

    def bcrypt(self) -> str:
        """A password's bcrypt hash, which can be guessed at."""
        return f"$2b$12${self._text(_MIXED + './', 53)}"


SHAPES: Final[dict[str, Callable[[Forge], str]]] = {
    name: method
    for name, method in vars(Forge).items()
    if callable(method) and not name.startswith("_") and name != "make"
}
"""How each shape is made."""

TOKENS: Final = (
    "github",
    "gitlab",
    "slack",
    "stripe",
    "sendgrid",
    "google_api",
    "npm",
    "vault",
    "grafana",
    "terraform_cloud",
    "digitalocean",
    "jwt",
    "pem",
    "openssh",
    "bcrypt",
)
"""Shapes that give themselves away wherever they stand."""
