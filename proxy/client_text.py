"""What a client says of itself, made fit for an entry: printable, cut, and without credentials.

A user agent, the `Who` of a lock or its ID are the client's own words, and people have put tokens
into all of them. Nothing is known of such a text but its shape and what it names itself.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from proxy.access import MAX_TEXT, printable
from proxy.errors import InvalidInputError
from proxy.tfstate.detectors import find
from proxy.tfstate.inside import look, splice
from proxy.tfstate.judge import Judge

LOOKED_AT: Final = 16_384
"""Characters of a text that are looked at, and the most that can be kept."""

_LOOKED_AT_LEAST: Final = 768

HIDDEN: Final = "[redacted]"
"""What stands for a credential; no commitment, since it belongs to no workspace."""

_OPENS: Final = re.compile("[\"'`<{\\[]")
"""What may hold spaces up to its other end."""


def client_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return a client's text without what looks like a credential.

    Anybody can send one, and looking takes time: so of a long text only the beginning is looked at.

    Args:
        text: as it came.
        limit: characters that are kept; the rest is cut off after the credentials are.
    """
    most = min(LOOKED_AT, max(_LOOKED_AT_LEAST, limit * 3 // 2))
    if len(text) <= most:
        return _without_credentials(printable(text, most), limit)
    begun = printable(text, _end_before_cut(text, most))
    return (_without_credentials(begun, LOOKED_AT) + HIDDEN)[:limit]


def _end_before_cut(text: str, cut: int) -> int:
    """Return where what ends before the cut does; what goes over it may be a credential's half."""
    end = cut
    if not (text[cut - 1].isspace() or text[cut].isspace()):
        end -= len(text[:cut].rsplit(None, 1)[-1])
    opened = _OPENS.search(text, 0, end)
    return end if opened is None else opened.start()


@lru_cache(maxsize=4_096)
def _without_credentials(text: str, limit: int) -> str:
    carrier = look(text)
    if carrier is not None:
        places = [place for place in carrier.places if Judge.why_place(place)]
        text = splice(text, [(place, HIDDEN) for place in places])
    for start, end, _ in reversed(find(text)):
        text = f"{text[:start]}{HIDDEN}{text[end:]}"
    return text[:limit]


def client_path(path: str, limit: int = MAX_TEXT) -> str:
    """Return a path of an address without what looks like a credential, escaped or not.

    Args:
        path: as it stands in the address; what needs no cleaning stays escaped.
        limit: characters that are kept.
    """
    plain = path
    while "%" in plain and (decoded := unquote(plain)) != plain:
        plain = decoded
    if plain != path and client_text(plain, LOOKED_AT) != printable(plain, LOOKED_AT):
        return client_text(plain, limit)
    return client_text(path, limit)


def require_plain(text: str, what: str) -> None:
    """Pass when a text that is kept and recorded as it is holds no credential.

    Args:
        text: somebody's.
        what: it is, for the message.

    Raises:
        InvalidInputError: it does.
    """
    if client_text(text, LOOKED_AT) != text:
        raise InvalidInputError(
            f"{what} holds what looks like a credential, and would be on record for ever: take it "
            "out, and revoke it if it is one"
        )
