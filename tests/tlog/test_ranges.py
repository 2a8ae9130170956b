"""Tests of proofs of neighbours."""

import pytest

from proxy.errors import VerificationError
from proxy.tlog.merkle import leaf_hash, tree_hash
from proxy.tlog.ranges import subtrees, verify_range

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def hashes(start: int, end: int) -> list[bytes]:
    """Return the hashes of a range's subtrees."""
    return [
        tree_hash(LEAVES[node.number << node.level : (node.number + 1) << node.level])
        for node in subtrees(start, end)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 64, 70])
def test_every_range_of_a_tree_is_proved(size: int) -> None:
    """Also one without entries: that the tree only grew from there."""
    root = tree_hash(LEAVES[:size])
    for start in range(size + 1):
        for end in range(start, size + 1):
            around = (hashes(0, start), hashes(end, size))
            verify_range(start, LEAVES[start:end], around, size, root)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 20), (32, 33), (0, 33)])
def test_nothing_else_is(start: int, end: int) -> None:
    """Another entry, order, place, number, hash, root, or size of another shape."""
    root = tree_hash(LEAVES[:33])
    leaves, left, right = LEAVES[start:end], hashes(0, start), hashes(end, 33)
    around = (left, right)
    verify_range(start, leaves, around, 33, root)
    other = leaf_hash(b"other")
    false: list[tuple[int, list[bytes], tuple[list[bytes], list[bytes]], int, bytes]] = [
        (start + 1, leaves, around, 33, root),
        (start, [*leaves[:-1], other], around, 33, root),
        (start, leaves[:-1], around, 33, root),
        (start, [*leaves, other], around, 33, root),
        (start, [leaf[:-1] for leaf in leaves], around, 33, root),
        (start, leaves, ([*left, other], right), 33, root),
        (start, leaves, (left, [*right, other]), 33, root),
        (start, leaves, around, 35, root),
        (start, leaves, around, 5 if end > 5 else 3, root),
        (start, leaves, around, 33, other),
    ]
    if len(leaves) > 1:
        false.append((start, leaves[::-1], around, 33, root))
    false += [
        (start, leaves, ([*left[:at], other, *left[at + 1 :]], right), 33, root)
        for at in range(len(left))
    ]
    false += [
        (start, leaves, (left, [*right[:at], other, *right[at + 1 :]]), 33, root)
        for at in range(len(right))
    ]
    for each in false:
        with pytest.raises(VerificationError):
            verify_range(*each)
