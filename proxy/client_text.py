"""What a client says of itself, made fit for an entry: printable, cut, and without credentials.

A user agent, the `Who` of a lock or its ID are the client's own words, and people have put tokens
into all of them. Nothing is known of such a text but its shape and what it names itself.
"""

from functools import lru_cache
from typing import Final

from proxy.access import MAX_TEXT, printable
from proxy.tfstate.detectors import find
from proxy.tfstate.inside import look, splice
from proxy.tfstate.judge import Judge

LOOKED_AT: Final = 16_384
"""Characters of a text that are looked at, and the most that can be kept."""

HIDDEN: Final = "[redacted]"
"""What stands for a credential; no commitment, since it belongs to no workspace."""


@lru_cache(maxsize=4_096)
def client_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return a client's text without what looks like a credential.

    Args:
        text: as it came.
        limit: characters that are kept; the rest is cut off after the credentials are.
    """
    text = printable(text, LOOKED_AT)
    carrier = look(text)
    if carrier is not None:
        places = [place for place in carrier.places if Judge.why_place(place)]
        text = splice(text, [(place, HIDDEN) for place in places])
    for start, end, _ in reversed(find(text)):
        text = f"{text[:start]}{HIDDEN}{text[end:]}"
    return text[:limit]
