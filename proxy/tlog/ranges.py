"""Proofs of neighbours: a run of entries with the complete subtrees before and after it.

Where a run is at hand whole, this proves all of it at once, and that nothing in it is missing. What
stands before it and after it are the fewest complete subtrees of the tree of RFC 6962 section 2.1;
a run without entries proves that a tree only grew from there.
"""

from collections.abc import Sequence

from proxy.errors import VerificationError
from proxy.tlog.merkle import EMPTY_ROOT, HASH_SIZE, node_hash
from proxy.tlog.proof import Node


def subtrees(start: int, end: int) -> list[Node]:
    """Return the fewest complete subtrees that hold the entries of a range, from its first on.

    Args:
        start: index of the first entry.
        end: index after the last.
    """
    nodes = []
    while start < end:
        # A complete subtree of so many entries begins at a multiple of that number.
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return nodes


def verify_range(
    start: int,
    leaves: Sequence[bytes],
    around: tuple[Sequence[bytes], Sequence[bytes]],
    size: int,
    root: bytes,
) -> None:
    """Pass when the entries are those of the tree, from an index on.

    The size must be one that is proved otherwise, by the signature of a checkpoint: a proof alone
    does not tell trees apart that have the same shape.

    Args:
        start: index of the first, from 0.
        leaves: hashes of the entries.
        around: hashes of the subtrees before them, as ``subtrees(0, start)`` names them, and of
            those after them, as ``subtrees(start + len(leaves), size)`` does.
        size: of the tree.
        root: of the tree.

    Raises:
        VerificationError: they are not; the index is that of the first.
    """
    known: dict[Node, bytes] = {}
    end = start + len(leaves)
    is_form = 0 <= start <= end <= size
    for nodes, hashes in zip((subtrees(0, start), subtrees(end, size)), around, strict=True):
        is_form = is_form and len(nodes) == len(hashes)
        is_form = is_form and {HASH_SIZE}.issuperset(map(len, hashes))
        known.update(zip(nodes, hashes, strict=False))
    known.update((Node(0, start + at), leaf) for at, leaf in enumerate(leaves))
    if not is_form or _root(0, size, known) != root:
        raise VerificationError(
            f"Entry {start}, or one of the {max(len(leaves) - 1, 0)} after it, is not the one in "
            f"the tree of {size} entries, or the proof is another.",
            start,
        )


def _root(start: int, end: int, known: dict[Node, bytes]) -> bytes:
    """Return the hash of a subtree, as RFC 6962 section 2.1 defines it, of those that are known."""
    width = end - start
    if not width:
        return EMPTY_ROOT
    level = width.bit_length() - 1
    if width == 1 << level and (found := known.get(Node(level, start >> level))) is not None:
        return found
    middle = start + (1 << ((width - 1).bit_length() - 1))
    return node_hash(_root(start, middle, known), _root(middle, end, known))
