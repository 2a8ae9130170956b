"""PEM bundles: a private key among certificates.

RFC 7468. A key alone is left to the detectors; here, what stands beside it stays readable.
"""

import re
from typing import Final

from proxy.tfstate.carriers.place import MAX_PLACES, Carrier, Place, rest

_BLOCK: Final = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{1,40}+)-----[^-]*+(?:-(?!----)[^-]*+)*+(?:-----END \1-----)?"
)
_PRIVATE: Final = re.compile(r"PRIVATE KEY")


def look(text: str) -> Carrier | None:
    """The blocks of a bundle, the private keys among them known to be secret."""
    if "PRIVATE KEY-----" not in text or not text.lstrip().startswith("-----BEGIN "):
        return None
    places: list[Place] = []
    for match in _BLOCK.finditer(text):
        if len(places) > MAX_PLACES:
            places.append(rest(text, match.start()))
            break
        why = "private-key" if _PRIVATE.search(match[1]) else ""
        path = (match[1].lower(), len(places))
        places.append(Place(*match.span(), path, match[0], why=why))
    return Carrier("pem", tuple(places)) if len(places) > 1 else None
