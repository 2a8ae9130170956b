"""How the change document beside an entry is kept: as one Zstandard frame (RFC 8878).

That of a large state's first upload has tens of megabytes, and all who wait for a commit wait
until those are on the disk. Earlier releases kept documents as they are.
"""

from typing import Final

import zstandard

_LEVEL: Final = 3
_MOST: Final = 1 << 30
"""Bytes of a document that is packed; a frame that claims more was not made here."""


def pack(document: bytes) -> bytes:
    """Return a document as it is kept."""
    if len(document) > _MOST:
        return document
    return zstandard.ZstdCompressor(level=_LEVEL).compress(document)


def unpack(kept: bytes) -> bytes:
    """Return the document that ``pack`` was given.

    What can't be unpacked is returned as it stands: an earlier release kept it so, or else it was
    altered, and is not what its entry's digest says.
    """
    if not kept.startswith(zstandard.FRAME_HEADER):
        return kept
    try:
        if not 0 <= zstandard.frame_content_size(kept) <= _MOST:
            return kept
        return zstandard.ZstdDecompressor().decompress(kept)
    except zstandard.ZstdError:
        return kept
