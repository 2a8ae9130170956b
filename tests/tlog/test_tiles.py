"""Tests of tiles: their paths, which there are, what is in them; partial ones at every width."""

from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.tlog.entry import MAX_ENTRY_BYTES
from proxy.tlog.merkle import Frontier, leaf_hash, node_hash, tree_hash
from proxy.tlog.proof import (
    Node,
    consistency_nodes,
    consistency_proof,
    inclusion_nodes,
    inclusion_proof,
    root_hash,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)
from proxy.tlog.tiles import (
    FULL_BYTES,
    Bundle,
    Tile,
    bundles_of,
    fold,
    hash_of,
    hashes_at,
    is_in,
    pack_entries,
    parse_path,
    require_whole,
    tile_of,
    tiles_of,
    unpack_entries,
)

SIZE = 70_000
"""The tree that the specification counts the tiles of."""

numbers = st.integers(0, 999) | st.integers(0, 10**21 - 1)
widths = st.integers(1, 256)


@cache
def rows() -> list[list[bytes]]:
    """Return the hashes of all complete subtrees of the tree, by level."""
    row = [leaf_hash(index.to_bytes(3, "big")) for index in range(SIZE)]
    found = [row]
    while len(row) > 1:
        halves = iter(row)
        row = [node_hash(left, right) for left, right in zip(halves, halves, strict=False)]
        found.append(row)
    return found


@cache
def roots() -> list[bytes]:
    """Return the root of the tree at each of its sizes."""
    tree = Frontier()
    found = [tree.root()]
    for leaf in rows()[0]:
        tree.append(leaf)
        found.append(tree.root())
    return found


def content(tile: Tile) -> bytes:
    """Return a tile of the tree, by the definition."""
    return b"".join(rows()[8 * tile.level][tile.first : tile.first + tile.width])


def fetched(nodes: list[Node], size: int) -> list[bytes]:
    """Return the hashes of subtrees, taken from the tiles of a tree of so many entries."""
    tiles = {tile: content(tile) for tile in {tile_of(node, size) for node in nodes}}
    assert all(is_in(tile, size) for tile in tiles)
    return [hash_of(node, tiles, size) for node in nodes]


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/x001/x234/067", Tile(0, 1_234_067)),
        ("tile/1/x001/000.p/17", Tile(1, 1000, 17)),
        ("tile/63/999", Tile(63, 999)),
        ("tile/entries/273.p/112", Bundle(273, 112)),
        ("tile/entries/x001/x234/067", Bundle(1_234_067)),
    ],
)
def test_paths_are_those_of_the_specification(path: str, parsed: Tile | Bundle) -> None:
    """Numbers stand in groups of three digits, and a partial tile names its width."""
    assert parsed == parse_path(path)
    assert path == parsed.path


@given(st.integers(0, 63), numbers, widths)
def test_every_path_reads_back(level: int, number: int, width: int) -> None:
    """Whatever tile or bundle there is, its path is that of no other."""
    for each in (Tile(level, number, width), Bundle(number, width)):
        assert each == parse_path(each.path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x000/001",
        "tile/0/x01/001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/entries/../0/000",
        "tile/0/" + "x999/" * 7 + "999",
    ],
)
def test_no_other_path_is_read(path: str) -> None:
    """A tile has one path, so that a cache holds it once."""
    with pytest.raises(InvalidInputError, match="path of no tile"):
        parse_path(path)


# ---------------------------------------------------------------- which there are


def test_a_tree_of_70_000_entries_has_the_tiles_that_the_specification_counts() -> None:
    """273 full and one of 112 on level 0, one full and one of 17 on level 1, one of 1 above."""
    counted = Counter((tile.level, tile.width) for tile in tiles_of(SIZE))
    assert {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1} == counted
    assert {256: 273, 112: 1} == Counter(bundle.width for bundle in bundles_of(SIZE))


def test_a_full_tile_begins_the_level_above() -> None:
    """A tree of 256 entries has one full tile and one of one hash above; an empty tree has none."""
    assert [Tile(0, 0), Tile(1, 0, 1)] == list(tiles_of(256))
    assert [Bundle(0)] == list(bundles_of(256))
    assert [] == [*tiles_of(0), *bundles_of(0)]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 300, 65_535, 65_536, 65_537, SIZE])
def test_what_a_larger_tree_adds_is_all_that_it_has_and_the_smaller_had_not(size: int) -> None:
    """Between two sizes the full tiles of the first are left out and nothing else."""
    for since in (0, 1, size // 2, size - 1, size):
        full = {tile for tile in tiles_of(since) if tile.width == 256}
        assert [tile for tile in tiles_of(size) if tile not in full] == list(tiles_of(size, since))
        kept = {bundle for bundle in bundles_of(since) if bundle.width == 256}
        assert [b for b in bundles_of(size) if b not in kept] == list(bundles_of(size, since))


def test_a_tile_is_in_a_tree_that_has_all_of_it() -> None:
    """Neither a wider one than the tree has, nor one further on, nor an empty one."""
    for tile in tiles_of(SIZE):
        assert is_in(tile, SIZE)
        assert is_in(tile, (tile.first + tile.width) * 256**tile.level)
        assert not is_in(tile, (tile.first + tile.width) * 256**tile.level - 1)
        assert not is_in(tile._replace(width=0), SIZE)
    assert is_in(Bundle(273, 112), SIZE)
    assert not is_in(Bundle(273, 113), SIZE)
    assert not is_in(Tile(0, 0, 257), SIZE)
    assert not is_in(Tile(63, 0, 1), SIZE)


# ---------------------------------------------------------------- hashes


def every_width() -> Iterator[int]:
    """Yield sizes at which the last tile of level 0, and of level 1, has each width once."""
    yield from range(1, 257)
    yield from (256 * width + (37 * width) % 256 for width in range(1, 257))
    yield from (65_536, 65_537, SIZE)


def test_every_root_follows_from_the_tiles_at_every_width() -> None:
    """Partial tiles of each width on levels 0 and 1 give the root of their tree."""
    for size in every_width():
        assert roots()[size] == root_hash(size, fetched(root_nodes(size), size)), size


def test_proofs_are_made_of_tiles_at_every_width() -> None:
    """With the tiles of a tree alone its entries are proved, and that it grew."""
    for size in every_width():
        index, old = (size * 7) // 11, (size * 5) // 9
        hashes = fetched(inclusion_nodes(index, size), size)
        proof = inclusion_proof(index, size, hashes)
        verify_inclusion(rows()[0][index], index, size, proof, roots()[size])
        grown = consistency_proof(old, size, fetched(consistency_nodes(old, size), size))
        verify_consistency(old, roots()[old], size, roots()[size], grown)


def test_a_proof_needs_few_tiles() -> None:
    """At most two tiles of each level: what is fetched for a proof stays small."""
    for index in range(0, SIZE, 997):
        levels = Counter(tile_of(node, SIZE).level for node in inclusion_nodes(index, SIZE))
        needed = Counter(
            tile.level for tile in {tile_of(n, SIZE) for n in inclusion_nodes(index, SIZE)}
        )
        assert set(levels) <= {0, 1, 2}
        assert max(needed.values()) <= 2


def test_each_hash_of_a_tile_is_the_root_of_a_full_tile_below() -> None:
    """A tile is the subtree of its hashes: folded it is one hash of the level above."""
    assert tree_hash(rows()[0][:256]) == fold(content(Tile(0, 0)))
    assert content(Tile(1, 0))[32:64] == fold(content(Tile(0, 1)))
    assert content(Tile(2, 0, 1)) == fold(content(Tile(1, 0)))
    assert FULL_BYTES == len(content(Tile(0, 0)))


def test_a_subtree_that_a_tree_has_not_is_in_no_tile() -> None:
    """Of an incomplete subtree there is no hash that would stay."""
    for node, size in ((Node(0, 5), 5), (Node(3, 1), 15), (Node(8, 1), 511), (Node(0, -1), 5)):
        with pytest.raises(InvalidInputError, match="no complete subtree"):
            tile_of(node, size)


def test_a_tile_that_was_cut_gives_no_hash() -> None:
    """A tile must be as long as its width tells before anything is taken out of it."""
    tile = Tile(0, 0, 5)
    require_whole(tile, content(tile))
    for wrong in (content(tile)[:-1], content(tile) + b"x", b""):
        with pytest.raises(InvalidInputError, match="instead of 160"):
            hash_of(Node(0, 3), {tile: wrong}, 5)


def test_levels_have_a_256th_of_the_hashes_below() -> None:
    """The hashes of each level are the full tiles of the one below."""
    assert [70_000, 273, 1, 0] == [hashes_at(level, SIZE) for level in range(4)]


# ---------------------------------------------------------------- entries


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    """Entries come out of a bundle as they went in."""
    assert entries == unpack_entries(Bundle(0, len(entries)), pack_entries(entries))


def test_a_bundle_tells_lengths_with_the_high_byte_first() -> None:
    """16 bits, big-endian (C2SP tlog-tiles, *Log entries*)."""
    assert b"\x00\x02ab\x01\x00" + b"c" * 256 == pack_entries([b"ab", b"c" * 256])


def test_the_longest_entry_fits_and_no_longer_one() -> None:
    """65,535 bytes are what 16 bits can tell."""
    longest = b"x" * MAX_ENTRY_BYTES
    assert [longest] == unpack_entries(Bundle(0, 1), pack_entries([longest]))
    with pytest.raises(InvalidInputError, match="65,536 bytes"):
        pack_entries([longest + b"x"])


@pytest.mark.parametrize("width", [1, 2, 255, 256])
def test_a_bundle_of_another_width_is_refused(width: int) -> None:
    """Cut, padded, or with an entry more or less, it is not what the path names."""
    packed = pack_entries([b"entry"] * width)
    for wrong in (packed[:-1], packed + b"\x00", packed + packed[:7], packed[7:]):
        with pytest.raises(InvalidInputError, match=f"not hold {width} whole"):
            unpack_entries(Bundle(0, width), wrong)
