"""Inclusion and consistency proofs over the Merkle tree (section 2.1 of RFC 6962 and RFC 9162).

Nothing here reads a tree. Of each proof one function names the hashes that it needs, the caller
fetches them in one go, and a second function makes the proof of them:

    nodes = inclusion_nodes(index, size)
    proof = inclusion_proof(index, size, fetch(nodes))
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.merkle import EMPTY_ROOT, HASH_SIZE, node_hash

MAX_PROOF: Final = 64
"""Hashes of the longest proof that is looked at: no tree of 64-bit sizes needs more."""


class Node(NamedTuple):
    """A complete subtree, which never changes once its last leaf is there.

    Attributes:
        level: 0 is a leaf; the subtree has ``2**level`` of them.
        number: its place among the subtrees of its level, from 0.
    """

    level: int
    number: int


_Range = tuple[int, int]
"""Leaves from the first up to but not including the second: one subtree of the whole tree."""


def _split(start: int, end: int) -> int:
    """Return where RFC 6962 parts a subtree: the largest power of two below its size from start."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _complete(of: _Range) -> list[Node]:
    """Return the complete subtrees that one subtree of a tree consists of, the largest first."""
    start, end = of
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def _nodes_of(ranges: Iterable[_Range]) -> list[Node]:
    return [node for each in ranges for node in _complete(each)]


def _folded(ranges: Sequence[_Range], hashes: Sequence[bytes]) -> list[bytes]:
    """Return the hash of each range, of the hashes of its complete subtrees."""
    counts = [(end - start).bit_count() for start, end in ranges]
    if len(hashes) != sum(counts) or not {HASH_SIZE}.issuperset(map(len, hashes)):
        raise InvalidInputError(
            f"A proof needs {sum(counts)} hashes of {HASH_SIZE} bytes, not the {len(hashes)} that "
            "were fetched for it."
        )
    found, at = [], 0
    for count in counts:
        folded = hashes[at + count - 1]
        for left in reversed(hashes[at : at + count - 1]):
            folded = node_hash(left, folded)
        found.append(folded)
        at += count
    return found


# ---------------------------------------------------------------- roots


def root_nodes(size: int) -> list[Node]:
    """Name the hashes of which ``root_hash`` makes the root of a tree of so many entries.

    Raises:
        InvalidInputError: the size is below 0.
    """
    _require_size(size)
    return _complete((0, size))


def root_hash(size: int, hashes: Sequence[bytes]) -> bytes:
    """Return the root of a tree, 32 bytes.

    Args:
        size: the number of entries.
        hashes: those that ``root_nodes`` named, in that order.

    Raises:
        InvalidInputError: the hashes are not as many as were named.
    """
    _require_size(size)
    return _folded([(0, size)], hashes)[0] if size else EMPTY_ROOT


# ---------------------------------------------------------------- inclusion


def inclusion_nodes(index: int, size: int) -> list[Node]:
    """Name the hashes that prove an entry to be in a tree.

    Args:
        index: of the entry, from 0.
        size: of the tree.

    Raises:
        InvalidInputError: a tree of this size has no such entry.
    """
    return _nodes_of(_inclusion_ranges(index, size))


def inclusion_proof(index: int, size: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Return the proof that an entry is in a tree: PATH(index, D[size]) of RFC 6962 section 2.1.1.

    Args:
        index: of the entry, from 0.
        size: of the tree.
        hashes: those that ``inclusion_nodes`` named, in that order.

    Returns:
        32 bytes each, the leaf's sibling first.

    Raises:
        InvalidInputError: a tree of this size has no such entry, or the hashes are not as many as
            were named.
    """
    return _folded(_inclusion_ranges(index, size), hashes)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Pass when the proof shows the entry to be in the tree (RFC 9162 section 2.1.3.2).

    The size must be one that is proved otherwise, by the signature of a checkpoint: a proof alone
    does not tell trees apart in which the entry's way to the root has the same turns.

    Args:
        leaf: ``leaf_hash`` of the entry, 32 bytes.
        index: where the entry should be, from 0.
        size: of the tree.
        proof: as ``inclusion_proof`` gives it; may come from anybody.
        root: of the tree.

    Raises:
        VerificationError: it does not; the index is the entry's.
    """
    if not 0 <= index < size:
        raise VerificationError(f"A tree of {size} entries holds no entry {index}.", index)
    found = leaf
    sides = _sides(index, size - 1)
    for sibling, is_left in zip(_checked(proof, index), sides, strict=False):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    if len(proof) != len(sides) or found != root:
        raise VerificationError(
            f"The proof does not show entry {index} to be in the tree of {size} entries: the "
            "entry, its place, the proof or the tree is another.",
            index,
        )


def _inclusion_ranges(index: int, size: int) -> list[_Range]:
    """Return what stands beside the way from a leaf to the root, the leaf's sibling first."""
    if not 0 <= index < size:
        raise InvalidInputError(
            f"A tree of {size} entries holds no entry {index}: name one from 0 to below the size."
        )
    beside = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start = middle
    return beside[::-1]


# ---------------------------------------------------------------- consistency


def consistency_nodes(old_size: int, new_size: int) -> list[Node]:
    """Name the hashes that prove a tree to be the beginning of a larger one.

    Raises:
        InvalidInputError: the first size is below 0 or above the second.
    """
    return _nodes_of(_consistency_ranges(old_size, new_size))


def consistency_proof(old_size: int, new_size: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Return the proof that a tree only grew: PROOF(old, D[new]) of RFC 6962 section 2.1.2.

    Args:
        old_size: of the tree then; from the empty tree, as from the same, the proof is empty.
        new_size: of the tree now.
        hashes: those that ``consistency_nodes`` named, in that order.

    Returns:
        32 bytes each.

    Raises:
        InvalidInputError: the first size is below 0 or above the second, or the hashes are not as
            many as were named.
    """
    return _folded(_consistency_ranges(old_size, new_size), hashes)


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Pass when the proof shows the new tree to begin with the old one (RFC 9162 section 2.1.4.2).

    Sizes and roots must be proved otherwise, by the signatures of two checkpoints.

    Raises:
        VerificationError: it does not.
    """
    if not 0 <= old_size <= new_size:
        raise VerificationError(f"A tree of {new_size} entries can't have grown from {old_size}.")
    hashes = _checked(proof)
    if old_size in {0, new_size}:
        old, new = (EMPTY_ROOT if old_size == 0 else new_root), new_root
        is_whole = not hashes
    else:
        if old_size.bit_count() == 1:
            hashes = [old_root, *hashes]  # a complete subtree of both: its root stands for itself
        place, last = old_size - 1, new_size - 1
        while place & 1:
            place >>= 1
            last >>= 1
        sides = _sides(place, last)
        is_whole = len(hashes) == 1 + len(sides)
        old = new = hashes[0] if hashes else b""
        for each, is_left in zip(hashes[1:], sides, strict=False):
            if is_left:
                old = node_hash(each, old)
            new = node_hash(each, new) if is_left else node_hash(new, each)
    if not is_whole or old != old_root or new != new_root:
        raise VerificationError(
            f"The proof does not show that the tree of {new_size} entries begins with the one of "
            f"{old_size}: the log was rewritten, or the proof or a root is another."
        )


def _consistency_ranges(old_size: int, new_size: int) -> list[_Range]:
    if not 0 <= old_size <= new_size:
        raise InvalidInputError(
            f"A tree of {new_size} entries can't have grown from {old_size}: name a size from 0 up "
            "to that of the newer tree first."
        )
    if old_size in {0, new_size}:
        return []
    beside = []
    start, end = 0, new_size
    while end != old_size:
        middle = _split(start, end)
        if old_size <= middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((start, middle))
            start = middle
    if start:  # else what is left is the old tree itself, whose root the verifier has
        beside.append((start, end))
    return beside[::-1]


def _sides(place: int, last: int) -> list[bool]:
    """Return for each hash of a proof whether it is the left one of its pair, the lowest first.

    Args:
        place: of a node in its level, on whose way to the root the hashes stand.
        last: place of the last node of that level.
    """
    sides = []
    while last:
        is_left = bool(place & 1) or place == last
        sides.append(is_left)
        # A last node without a partner goes up as it is until it finds one.
        while is_left and place and not place & 1:
            place >>= 1
            last >>= 1
        place >>= 1
        last >>= 1
    return sides


def _checked(proof: Sequence[bytes], index: int | None = None) -> list[bytes]:
    if len(proof) > MAX_PROOF or not {HASH_SIZE}.issuperset(map(len, proof)):
        raise VerificationError(
            f"A proof holds at most {MAX_PROOF} hashes of {HASH_SIZE} bytes; this is none.", index
        )
    return list(proof)


def _require_size(size: int) -> None:
    if size < 0:
        raise InvalidInputError(f"No tree has {size} entries: name a size from 0.")
