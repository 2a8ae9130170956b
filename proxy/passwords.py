"""What a person may choose as a password: the rules of NIST SP 800-63B-4 section 3.1.1.2.

Long enough, and none that everybody tries first. No rule asks for digits or signs, and none for
a new one every few months: both make people choose worse ones.
"""

import unicodedata
from typing import Final

from proxy.errors import InvalidInputError

SHORTEST: Final = 12
LONGEST: Final = 256
"""Characters (Unicode code points) before normalisation; NIST asks for at least 64."""

_COMMON: Final = frozenset(
    {
        "123123123123",
        "123456789012",
        "1234567890123",
        "1q2w3e4r5t6y",
        "administrator",
        "adminadminadmin",
        "changemechangeme",
        "changemeplease",
        "correcthorsebatterystaple",
        "iloveyouforever",
        "letmeinletmein",
        "motdepassemotdepasse",
        "password1234",
        "passwordpassword",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjkl",
        "qwerty123456",
        "q1w2e3r4t5y6",
        "terraform123",
        "terraformterraform",
        "tfaudittfaudit",
        "thequickbrownfox",
        "trustno1trustno1",
        "welcome12345",
        "zaq12wsxcde3",
        "1qaz2wsx3edc",
        "1qazxsw23edc",
        "abcdefghijkl",
        "abcdefghijklmnopqrstuvwxyz",
        "asdfghjkl123",
        "abcd12345678",
        "abc123456789",
        "p@ssw0rd1234",
        "passw0rd1234",
        "password12345",
        "password123456",
        "password@123",
    }
)
"""The commonest of those that are long enough."""

_ROWS: Final = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
)
_MOST_REPEATED: Final = 4
"""Characters of a piece whose repetition is no password."""


def normalised(password: str) -> str:
    """Return the text of which the hash is made, however a keyboard composed it (Unicode NFKC).

    Raises:
        InvalidInputError: it is longer than any password here, or no text at all.
    """
    if len(password) > LONGEST:
        raise InvalidInputError(f"a password has at most {LONGEST} characters")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in password):
        raise InvalidInputError("the password is not valid Unicode text")
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str) -> str:
    """Return the normalised form of a password that may be chosen.

    Args:
        password: as it was typed.
        name: of whose password it shall be.

    Raises:
        InvalidInputError: what is wrong with it, without any part of it.
    """
    text = normalised(password)
    if len(text) < SHORTEST:
        raise InvalidInputError(
            f"the password is too short: choose at least {SHORTEST} characters, for example some "
            "words that belong together for nobody else"
        )
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise InvalidInputError("the password holds a line's end or another control character")
    plain = text.casefold().strip()
    if plain in _COMMON or _is_repeated(plain) or any(plain in row for row in _both_ways()):
        raise InvalidInputError("everybody tries this password first: choose another one")
    if not plain.replace(name.casefold(), "").strip("0123456789!?.,-_ "):
        raise InvalidInputError("the password is the name: choose another one")
    return text


def _is_repeated(text: str) -> bool:
    """Tell whether the text is a short piece again and again."""
    return any(
        text == (text[:size] * len(text))[: len(text)] for size in range(1, _MOST_REPEATED + 1)
    )


def _both_ways() -> tuple[str, ...]:
    return (*_ROWS, *(row[::-1] for row in _ROWS))
