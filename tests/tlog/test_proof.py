"""Tests of inclusion and consistency proofs: every one of small trees, vectors, another library."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import pytest
from pymerkle import InmemoryTree
from pymerkle import InvalidProof as NotProved
from pymerkle import verify_consistency as other_verify_consistency
from pymerkle import verify_inclusion as other_verify_inclusion

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.merkle import EMPTY_ROOT, leaf_hash, node_hash, tree_hash
from proxy.tlog.proof import (
    MAX_PROOF,
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
from tests.tlog.test_merkle import REFERENCE_LEAVES, REFERENCE_ROOTS

LARGEST = 300
ENTRIES = [f"entry {index}".encode() for index in range(LARGEST + 1)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SMALL = 12
"""Trees up to this size are tried with every bit of every hash flipped."""
MIDDLE = 70

# Paths and proofs that the reference implementation of RFC 6962 tests itself with
# (google/certificate-transparency, merkletree/merkle_tree_test.cc): index from 0, size, hashes.
_A, _B, _C, _D, _E, _F, _G, _H = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)
REFERENCE_PATHS = [
    (0, 1, []),
    (0, 8, [_A, _B, _C]),
    (5, 8, [_D, _E, _F]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, [_G, _B, _D]),
]
REFERENCE_PROOFS = [(1, 1, []), (1, 8, [_A, _B, _C]), (6, 8, [_H, _E, _F]), (2, 5, [_B, _D])]


@cache
def node(level: int, number: int) -> bytes:
    """Return the hash of a complete subtree; all trees of this file share them."""
    if level == 0:
        return LEAVES[number]
    return node_hash(node(level - 1, 2 * number), node(level - 1, 2 * number + 1))


def fetch(nodes: Iterable[Node]) -> list[bytes]:
    """Return the hashes as a store would, none of which holds a leaf that a tree has not."""
    return [node(*each) for each in nodes]


@cache
def root(size: int) -> bytes:
    """Return the root of the first so many entries, by the definition of RFC 6962."""
    return tree_hash(LEAVES[:size])


@cache
def path(index: int, size: int) -> tuple[bytes, ...]:
    """Return our proof of inclusion."""
    return tuple(inclusion_proof(index, size, fetch(inclusion_nodes(index, size))))


@cache
def growth(old: int, new: int) -> tuple[bytes, ...]:
    """Return our proof of consistency."""
    return tuple(consistency_proof(old, new, fetch(consistency_nodes(old, new))))


def flipped(proof: Sequence[bytes], position: int, bit: int) -> list[bytes]:
    """Return the proof with one bit of one hash flipped."""
    wrong = bytearray(proof[position])
    wrong[bit // 8] ^= 1 << bit % 8
    return [*proof[:position], bytes(wrong), *proof[position + 1 :]]


def is_refused(verify: Callable[..., None], *arguments: Any) -> bool:
    """Tell whether the verification says no; quicker than pytest.raises, a hundred thousand times.

    Returns:
        False when it passed, which a test must not let stand.
    """
    try:
        verify(*arguments)
    except VerificationError:
        return True
    return False


def by_definition(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return PATH(m, D[n]) as RFC 6962 section 2.1.1 defines it."""
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return [*by_definition(index, left), tree_hash(right)]
    return [*by_definition(index - split, right), tree_hash(left)]


def growth_by_definition(old: int, leaves: Sequence[bytes], *, is_known: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b) as RFC 6962 section 2.1.2 defines it."""
    if old == len(leaves):
        return [] if is_known else [tree_hash(leaves)]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = leaves[:split], leaves[split:]
    if old <= split:
        return [*growth_by_definition(old, left, is_known=is_known), tree_hash(right)]
    return [*growth_by_definition(old - split, right, is_known=False), tree_hash(left)]


def sizes_and_indices(largest: int = LARGEST) -> Iterator[tuple[int, int]]:
    """Yield every size of a tree, and in each every index."""
    return ((size, index) for size in range(1, largest + 1) for index in range(size))


# ---------------------------------------------------------------- every tree of up to 300 entries


def test_every_inclusion_proof_holds() -> None:
    """In every tree of up to 300 entries each entry is proved to be in it, against its root."""
    for size, index in sizes_and_indices():
        verify_inclusion(LEAVES[index], index, size, path(index, size), root(size))


def test_every_consistency_proof_holds() -> None:
    """Every tree of up to 300 entries is proved to have grown from every smaller one."""
    for size, old in sizes_and_indices():
        verify_consistency(old, root(old), size, root(size), growth(old, size))
        verify_consistency(size, root(size), size, root(size), ())


def test_no_flipped_bit_of_an_inclusion_proof_is_taken() -> None:
    """Each hash of each proof counts: every bit in small trees, one of a third of the others."""
    for size, index in sizes_and_indices():
        proof = path(index, size)
        verify = partial(verify_inclusion, LEAVES[index], index, size)
        if size <= SMALL:
            places = [(at, bit) for at in range(len(proof)) for bit in range(256)]
        else:
            places = [(index % len(proof), (size + index) % 256)] if index % 3 == size % 3 else []
        for place in places:
            assert is_refused(verify, flipped(proof, *place), root(size)), (size, index, place)


def test_no_flipped_bit_of_a_consistency_proof_is_taken() -> None:
    """Each hash of each proof counts: every bit in small trees, one of a third of the others."""
    for size, old in sizes_and_indices():
        proof = growth(old, size)
        verify = partial(verify_consistency, old, root(old), size, root(size))
        if size <= SMALL:
            places = [(at, bit) for at in range(len(proof)) for bit in range(256)]
        else:
            places = [(old % len(proof), size % 256)] if proof and old % 3 == size % 3 else []
        for place in places:
            assert is_refused(verify, flipped(proof, *place)), (size, old, place)


def test_no_other_entry_index_or_root_is_taken() -> None:
    """A proof is that of one entry, at one place, in one tree."""
    for size, index in sizes_and_indices():
        proof, leaf = path(index, size), LEAVES[index]
        changed = bytearray(ENTRIES[index])
        changed[(size + index) % len(changed)] ^= 1 << index % 8
        wrong = [(leaf_hash(bytes(changed)), index, root(size)), (leaf, index, root(size - 1))]
        wrong += [(leaf, index ^ 1 << bit, root(size)) for bit in range(9)]
        for leaf, other, against in wrong if size <= SMALL else [wrong[(size + index) % 11]]:
            assert is_refused(verify_inclusion, leaf, other, size, proof, against)


def test_another_size_is_taken_only_where_the_way_to_the_root_has_the_same_turns() -> None:
    """What a proof alone can't tell, a checkpoint's signature does; nothing beyond it passes."""
    for size, index in sizes_and_indices(MIDDLE):
        for other in {size - 1, size + 1, size * 2, size // 2, size ^ 4} - {size}:
            is_same = other > index and turns(index, other) == turns(index, size)
            proof = path(index, size)
            refused = is_refused(verify_inclusion, LEAVES[index], index, other, proof, root(size))
            assert refused is not is_same, (size, index, other)


def test_another_new_size_is_taken_only_where_both_trees_grow_by_the_same_turns() -> None:
    """The same of consistency: the sizes are the checkpoints', whose signatures prove them."""
    for size, old in sizes_and_indices(MIDDLE):
        if not old:
            continue
        for other in {size - 1, size + 1, size * 2, size // 2, size ^ 4} - {size}:
            is_same = other > old and turns(old - 1, other) == turns(old - 1, size)
            refused = is_refused(
                verify_consistency, old, root(old), other, root(size), growth(old, size)
            )
            assert refused or is_same, (size, old, other)


@cache
def turns(index: int, size: int) -> list[bool]:
    """Return on which side of the way from the root to a leaf the proof's hashes stand."""
    found = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        found.append(index < middle)
        start, end = (start, middle) if index < middle else (middle, end)
    return found


def test_no_other_root_or_old_size_of_a_growth_is_taken() -> None:
    """A proof of consistency is that of two roots; exchanged or others, they are refused."""
    for size, old in sizes_and_indices():
        if not old:
            continue
        first, second = root(old), root(size)
        wrong = [
            (old, second, size, first),
            (old, root(old - 1), size, second),
            (old, first, size, root(size - 1)),
            (old - 1, first, size, second),
            (old + 1, first, size, second),
            (old ^ 2, first, size, second),
        ]
        for each in wrong if size <= SMALL else [wrong[(size + old) % 6]]:
            assert is_refused(verify_consistency, *each, growth(old, size)), each


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 255, 256, 257, LARGEST])
def test_a_proof_with_hashes_put_in_or_taken_away_is_refused(size: int) -> None:
    """A proof is as long as the tree wants it."""
    for index in range(0, size, 7):
        proof = path(index, size)
        longer: list[list[bytes]] = [
            [*proof, root(size)],
            [root(size), *proof],
            [*proof, b""],
            [LEAVES[index], *proof],
        ]
        shorter = [list(proof[1:]), list(proof[:-1])] if proof else []
        for wrong in (*longer, *shorter):
            assert is_refused(verify_inclusion, LEAVES[index], index, size, wrong, root(size))
    for old in range(1, size, 7):
        proof = growth(old, size)
        for wrong in ([*proof, proof[-1]], [proof[0], *proof], list(proof[1:]), list(proof[:-1])):
            assert is_refused(verify_consistency, old, root(old), size, root(size), wrong)


def test_every_root_is_made_of_the_hashes_that_are_named() -> None:
    """The root of each tree follows from its complete subtrees."""
    sizes = range(LARGEST + 1)
    assert [root(size) for size in sizes] == [
        root_hash(size, fetch(root_nodes(size))) for size in sizes
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100, 128, 255, 256, 257, LARGEST])
def test_proofs_are_those_of_the_definition(size: int) -> None:
    """Hash by hash a proof is what RFC 6962 defines by recursion."""
    leaves = LEAVES[:size]
    step = max(1, size // 25)
    for index in range(0, size, step):
        assert by_definition(index, leaves) == list(path(index, size))
    for old in range(1, size + 1, step):
        assert growth_by_definition(old, leaves, is_known=True) == list(growth(old, size))


# ---------------------------------------------------------------- vectors and another library


@pytest.mark.parametrize(("index", "size", "hashes"), REFERENCE_PATHS)
def test_inclusion_proofs_are_those_of_the_reference(
    index: int, size: int, hashes: list[str]
) -> None:
    """The published paths come out and are taken."""
    leaves = [leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:size]]
    nodes = inclusion_nodes(index, size)
    proof = inclusion_proof(index, size, [tree_hash(_leaves_of(each, leaves)) for each in nodes])
    assert hashes == [each.hex() for each in proof]
    verify_inclusion(leaves[index], index, size, proof, bytes.fromhex(REFERENCE_ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "hashes"), REFERENCE_PROOFS)
def test_consistency_proofs_are_those_of_the_reference(
    old: int, new: int, hashes: list[str]
) -> None:
    """The published proofs come out and are taken."""
    leaves = [leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:new]]
    nodes = consistency_nodes(old, new)
    proof = consistency_proof(old, new, [tree_hash(_leaves_of(each, leaves)) for each in nodes])
    assert hashes == [each.hex() for each in proof]
    roots = [bytes.fromhex(REFERENCE_ROOTS[size]) for size in (old, new)]
    verify_consistency(old, roots[0], new, roots[1], proof)


def _leaves_of(each: Node, leaves: Sequence[bytes]) -> Sequence[bytes]:
    return leaves[each.number << each.level : (each.number + 1) << each.level]


def test_another_library_takes_our_proofs_and_we_take_its() -> None:
    """The trees of pymerkle and ours prove the same, and it refuses ours with a bit flipped."""
    other = InmemoryTree(algorithm="sha256")
    size = 77
    for entry in ENTRIES[:size]:
        other.append_entry(entry)
    for index in range(size):
        theirs = other.prove_inclusion(index + 1, size)
        assert [LEAVES[index], *path(index, size)] == theirs.path
        other_verify_inclusion(LEAVES[index], root(size), theirs)
        theirs.path[1] = flipped(theirs.path, 1, index)[1]
        with pytest.raises(NotProved):
            other_verify_inclusion(LEAVES[index], root(size), theirs)
    for old in range(1, size):
        grown = other.prove_consistency(old, size)
        other_verify_consistency(root(old), root(size), grown)
        # Its proofs are laid out in another way, so that only what they say can be compared.
        roots = other.get_root(old), other.get_root(size)
        verify_consistency(old, roots[0], size, roots[1], growth(old, size))


# ---------------------------------------------------------------- what is asked wrongly


def test_what_a_tree_does_not_hold_is_not_proved() -> None:
    """Neither an index beyond the tree nor a tree that shrank has a proof."""
    for index, size in ((0, 0), (1, 1), (-1, 5), (5, 5)):
        with pytest.raises(InvalidInputError, match="holds no entry"):
            inclusion_nodes(index, size)
        assert is_refused(verify_inclusion, LEAVES[0], index, size, (), LEAVES[0])
    for old, new in ((2, 1), (-1, 3)):
        with pytest.raises(InvalidInputError, match="can't have grown"):
            consistency_nodes(old, new)
        assert is_refused(verify_consistency, old, EMPTY_ROOT, new, EMPTY_ROOT, ())
    with pytest.raises(InvalidInputError, match="from 0"):
        root_nodes(-1)


def test_a_tree_that_has_not_grown_is_the_same() -> None:
    """Of equal sizes the roots must be equal, and from the empty tree everything grows."""
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, ())
    assert is_refused(verify_consistency, 0, root(1), 3, root(3), ())
    assert is_refused(verify_consistency, 3, root(3), 3, root(4), ())
    assert is_refused(verify_consistency, 3, root(3), 3, root(3), (root(3),))
    assert is_refused(verify_consistency, 1, root(1), 2, root(2), ())
    assert is_refused(verify_consistency, 3, root(3), 5, root(5), ())


def test_hashes_that_were_not_named_make_no_proof() -> None:
    """Whoever fetches too few, too many or others than hashes is told, before a proof is wrong."""
    hashes = fetch(inclusion_nodes(3, 7))
    for wrong in (hashes[1:], [*hashes, hashes[0]], [b"short", *hashes[1:]]):
        with pytest.raises(InvalidInputError, match="needs 4 hashes of 32 bytes"):
            inclusion_proof(3, 7, wrong)


def test_an_endless_proof_is_not_worked_through() -> None:
    """A proof longer than that of any tree is refused as none."""
    endless = [LEAVES[0]] * (MAX_PROOF + 1)
    with pytest.raises(VerificationError, match="at most 64 hashes"):
        verify_inclusion(LEAVES[0], 0, 2**70, endless, LEAVES[0])
    with pytest.raises(VerificationError, match="at most 64 hashes"):
        verify_consistency(3, root(3), 2**70, root(4), endless)


def test_a_proof_in_a_huge_tree_needs_few_hashes() -> None:
    """What is fetched grows with the logarithm of the tree's size, not with the tree."""
    sizes = (10**6, 2**40 - 1, 2**63 - 1)
    assert [20, 40, 63] == [len(path_ranges(size // 3, size)) for size in sizes]
    assert all(len(inclusion_nodes(size // 3, size)) <= 2 * size.bit_length() for size in sizes)


def path_ranges(index: int, size: int) -> list[bytes]:
    """Return a proof of made-up hashes."""
    return inclusion_proof(index, size, [bytes(32)] * len(inclusion_nodes(index, size)))
