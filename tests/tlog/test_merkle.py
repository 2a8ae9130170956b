"""Tests of the Merkle tree against RFC 6962, its reference vectors and another library."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from proxy.errors import InvalidInputError
from proxy.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash, tree_hash

# The leaves and roots that the reference implementation of RFC 6962 tests itself with
# (google/certificate-transparency, merkletree/merkle_tree_test.cc).
REFERENCE_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 300
LEAVES = [leaf_hash(f"entry {index}".encode()) for index in range(LARGEST)]


def test_leaf_hash_has_its_own_prefix() -> None:
    """A leaf is SHA-256 over 0x00 and the entry."""
    assert sha256(b"\x00entry").digest() == leaf_hash(b"entry")


def test_node_hash_has_its_own_prefix() -> None:
    """A node is SHA-256 over 0x01, the left and the right hash."""
    assert sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest() == node_hash(b"l" * 32, b"r" * 32)


@pytest.mark.parametrize("size", range(9))
def test_tree_hash_gives_the_reference_roots(size: int) -> None:
    """The recursive definition agrees with the reference implementation."""
    leaves = [leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:size]]

    assert REFERENCE_ROOTS[size] == tree_hash(leaves).hex()


@pytest.mark.parametrize("size", range(9))
def test_frontier_gives_the_reference_roots(size: int) -> None:
    """The frontier agrees with the reference implementation."""
    leaves = [leaf_hash(leaf) for leaf in REFERENCE_LEAVES[:size]]

    assert REFERENCE_ROOTS[size] == Frontier(leaves).root().hex()


def test_root_is_that_of_the_definition_at_every_size() -> None:
    """Growing one leaf at a time, the root is the recursive one from 0 to 300 leaves."""
    tree = Frontier()
    roots = [tree.root()]
    for leaf in LEAVES:
        tree.append(leaf)
        roots.append(tree.root())

    assert [tree_hash(LEAVES[:size]) for size in range(LARGEST + 1)] == roots


def test_root_is_that_of_another_library() -> None:
    """The roots agree with pymerkle's at every size from 1 to 300."""
    other = InmemoryTree(algorithm="sha256")
    tree = Frontier()
    for index in range(LARGEST):
        other.append_entry(f"entry {index}".encode())
        tree.append(LEAVES[index])

        assert other.get_root() == tree.root()


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    """RFC 6962: MTH({}) = SHA-256()."""
    assert (0, EMPTY_ROOT, b"") == (Frontier().size, Frontier().root(), Frontier().to_bytes())


@given(st.integers(0, LARGEST), st.integers(0, LARGEST))
def test_a_stored_frontier_grows_as_if_never_stored(first: int, second: int) -> None:
    """`to_bytes` and `from_bytes` at any point change no later root."""
    stored, final = sorted((first, second))
    tree = Frontier(LEAVES[:stored])
    again = Frontier.from_bytes(tree.size, tree.to_bytes())
    for leaf in LEAVES[stored:final]:
        again.append(leaf)

    assert (final, Frontier(LEAVES[:final]).root()) == (again.size, again.root())


@given(st.integers(0, LARGEST))
def test_to_bytes_round_trips(size: int) -> None:
    """What is read back is written the same, one hash for each 1 bit of the size."""
    stored = Frontier(LEAVES[:size]).to_bytes()

    assert 32 * size.bit_count() == len(stored)
    assert stored == Frontier.from_bytes(size, stored).to_bytes()


@pytest.mark.parametrize(("size", "length"), [(1, 0), (0, 32), (3, 32), (4, 64), (1, 31), (-1, 32)])
def test_from_bytes_refuses_hashes_that_do_not_fit_the_size(size: int, length: int) -> None:
    """A head of another size is noticed before it forks the log."""
    with pytest.raises(InvalidInputError, match="does not fit its size"):
        Frontier.from_bytes(size, bytes(length))


def test_a_copy_leaves_the_original_alone() -> None:
    """An append to the copy can be thrown away with it."""
    tree = Frontier(LEAVES[:7])
    before = tree.root()
    twin = tree.copy()
    twin.append(LEAVES[7])

    assert (7, before) == (tree.size, tree.root())
    assert (8, tree_hash(LEAVES[:8])) == (twin.size, twin.root())


@given(st.lists(st.integers(0, 70), max_size=6))
def test_many_leaves_at_once_are_the_same_as_one_by_one(counts: list[int]) -> None:
    """However they are parted, from whatever size on."""
    tree, other = Frontier(), Frontier()
    for count in counts:
        leaves = LEAVES[tree.size % 200 : tree.size % 200 + count]
        tree.extend(leaves)
        for leaf in leaves:
            other.append(leaf)

        assert (other.size, other.to_bytes()) == (tree.size, tree.to_bytes())
