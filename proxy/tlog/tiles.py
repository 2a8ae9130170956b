"""Tiles: the tree and its entries as static files that never change (C2SP tlog-tiles).

A tile holds up to 256 neighbouring hashes of the tree, those of every eighth level; an entry bundle
holds the entries whose leaf hashes a tile of level 0 holds. Nothing here reads: what is needed is
named, fetched by the caller and given back.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from proxy.errors import InvalidInputError
from proxy.tlog.entry import MAX_ENTRY_BYTES
from proxy.tlog.merkle import HASH_SIZE, node_hash
from proxy.tlog.proof import Node

WIDTH: Final = 256
"""Hashes of a full tile, entries of a full bundle."""
FULL_BYTES: Final = WIDTH * HASH_SIZE
"""Bytes of a full tile."""

_HEIGHT: Final = 8
"""Levels of the tree from one level of tiles to the next: a full tile has 2**8 hashes."""
_MAX_LEVEL: Final = 63
_LENGTH_BYTES: Final = 2
_ENTRIES: Final = "entries"

_PATH: Final = re.compile(
    r"tile/(?P<level>0|[1-9][0-9]?|entries)"
    r"/(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


class Tile(NamedTuple):
    """One tile of the tree.

    Attributes:
        level: 0 holds leaf hashes; each hash of a level above is that of a full tile below.
        number: its place in the level, from 0.
        width: how many hashes it holds, from 1; 256 is a full tile, which never changes.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it is served, without a slash in front."""
        return f"tile/{self.level}/{_position(self.number, self.width)}"

    @property
    def first(self) -> int:
        """The place of its first hash among those of its level."""
        return self.number * WIDTH


class Bundle(NamedTuple):
    """The entries of one tile of level 0.

    Attributes:
        number: its place, from 0.
        width: how many entries it holds, from 1 to 256.
    """

    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it is served, without a slash in front."""
        return f"tile/{_ENTRIES}/{_position(self.number, self.width)}"

    @property
    def first(self) -> int:
        """The index of its first entry."""
        return self.number * WIDTH


def parse_path(path: str) -> Tile | Bundle:
    """Read the path of a tile or of an entry bundle, which has only one spelling.

    Args:
        path: without a slash in front.

    Raises:
        InvalidInputError: it is none.
    """
    found = _PATH.fullmatch(path)
    if found is not None:
        number = int(found["number"].replace("/", "").replace("x", ""))
        width = int(found["width"] or WIDTH)
        is_entries = found["level"] == _ENTRIES
        if width <= WIDTH and (is_entries or int(found["level"]) <= _MAX_LEVEL):
            parsed = (
                Bundle(number, width) if is_entries else Tile(int(found["level"]), number, width)
            )
            if parsed.path == path:
                return parsed
    raise InvalidInputError(
        f"{path[:100]!r} is the path of no tile: it should read tile/<level>/<number> or "
        "tile/entries/<number>, the number as x001/x234/067, and of a partial one end in .p/<width>"
    )


def _position(number: int, width: int) -> str:
    """Return a number in groups of three digits, all but the last after an x, and a width."""
    last = f"{number % 1000:03}"
    while number >= 1000:
        number //= 1000
        last = f"x{number % 1000:03}/{last}"
    return last if width == WIDTH else f"{last}.p/{width}"


# ---------------------------------------------------------------- which there are


def hashes_at(level: int, size: int) -> int:
    """Return how many hashes the tiles of a level hold in all, in a tree of so many entries."""
    return size >> (_HEIGHT * level)


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Yield the tiles of a tree, level by level from 0, each level from its first tile on.

    Args:
        size: of the tree.
        since: leave out the full tiles that a tree of this size had already.
    """
    for level in range(_MAX_LEVEL + 1):
        count = hashes_at(level, size)
        if not count:
            return
        full = count // WIDTH
        for number in range(hashes_at(level, since) // WIDTH, full):
            yield Tile(level, number)
        if count % WIDTH:
            yield Tile(level, full, count % WIDTH)


def bundles_of(size: int, since: int = 0) -> Iterator[Bundle]:
    """Yield the entry bundles of a log, from its first entry on; ``since`` as in ``tiles_of``."""
    full = size // WIDTH
    for number in range(since // WIDTH, full):
        yield Bundle(number)
    if size % WIDTH:
        yield Bundle(full, size % WIDTH)


def is_in(tile: Tile | Bundle, size: int) -> bool:
    """Tell whether a tree of so many entries has all that the tile holds."""
    level = tile.level if isinstance(tile, Tile) else 0
    return 0 < tile.width <= WIDTH and tile.first + tile.width <= hashes_at(level, size)


# ---------------------------------------------------------------- hashes


def tile_of(node: Node, size: int) -> Tile:
    """Return the tile of a tree of so many entries that a hash is in, or follows from.

    Raises:
        InvalidInputError: the tree has no such complete subtree.
    """
    level = node.level // _HEIGHT
    start, end = _places(node)
    tile = Tile(level, start // WIDTH)
    tile = tile._replace(width=min(WIDTH, hashes_at(level, size) - tile.first))
    if node.number < 0 or end > tile.first + tile.width:
        raise InvalidInputError(
            f"A tree of {size} entries has no complete subtree {node.number} of level {node.level}."
        )
    return tile


def hash_of(node: Node, tiles: Mapping[Tile, bytes], size: int) -> bytes:
    """Return the hash of a complete subtree.

    Args:
        node: which.
        tiles: at least the one that ``tile_of`` names, each as its hashes one after the other.
        size: of the tree that the tiles are of.

    Raises:
        KeyError: its tile is not there.
        InvalidInputError: its tile has not the length that its width tells.
    """
    tile = tile_of(node, size)
    content = tiles[tile]
    require_whole(tile, content)
    start, end = _places(node)
    return fold(content[(start - tile.first) * HASH_SIZE : (end - tile.first) * HASH_SIZE])


def fold(hashes: bytes) -> bytes:
    """Return the root of a complete subtree.

    Args:
        hashes: of its subtrees of one level, one after the other; a power of two of them.
    """
    level = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]
    while len(level) > 1:
        halves = iter(level)
        level = [node_hash(left, right) for left, right in zip(halves, halves, strict=True)]
    return level[0]


def require_whole(tile: Tile, content: bytes) -> None:
    """Pass when the content has the length of such a tile.

    Raises:
        InvalidInputError: it was cut, or is something else.
    """
    if len(content) != tile.width * HASH_SIZE:
        raise InvalidInputError(
            f"The tile {tile.path} has {len(content):,} bytes instead of "
            f"{tile.width * HASH_SIZE:,}: it was cut, or is something else."
        )


def _places(node: Node) -> tuple[int, int]:
    """Return which hashes of its tiles' level a subtree spans: the first, and one past the last."""
    height = node.level % _HEIGHT
    return node.number << height, (node.number + 1) << height


# ---------------------------------------------------------------- entries


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each entry after its length, 16 bits big-endian.

    Raises:
        InvalidInputError: an entry is too long for that.
    """
    packed = bytearray()
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise InvalidInputError(
                f"An entry has {len(entry):,} bytes, of {MAX_ENTRY_BYTES:,} that a bundle can tell."
            )
        packed += len(entry).to_bytes(_LENGTH_BYTES, "big")
        packed += entry
    return bytes(packed)


def unpack_entries(bundle: Bundle, content: bytes) -> list[bytes]:
    """Read an entry bundle from untrusted bytes.

    Raises:
        InvalidInputError: it holds more or fewer entries than its width tells, or ends in one.
    """
    entries = []
    at = 0
    while at < len(content):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "big")
        entries.append(content[start:at])
    if at != len(content) or len(entries) != bundle.width:
        raise InvalidInputError(
            f"The entry bundle {bundle.path} does not hold {bundle.width} whole entries: it was "
            "cut, or is something else."
        )
    return entries
