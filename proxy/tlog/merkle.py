"""The Merkle tree of RFC 6962 section 2.1 over SHA-256, kept as its right edge only."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, Self

from proxy.errors import InvalidInputError

HASH_SIZE: Final = 32
"""Bytes of a SHA-256 hash."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves: MTH({}) = SHA-256()."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry: SHA-256(0x00 || entry), 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 || left || right), 32 bytes each and as the result."""
    return sha256(b"\x01" + left + right).digest()


def tree_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """Give the root as RFC 6962 section 2.1 defines it, by recursion over all leaves.

    This is the definition that `Frontier` is measured against. It needs every leaf at once and
    n - 1 hashes, so the running log never uses it.

    Args:
        leaf_hashes: `leaf_hash` of each entry, in order.
    """
    size = len(leaf_hashes)
    if size == 0:
        return EMPTY_ROOT
    if size == 1:
        return leaf_hashes[0]
    split = 1 << ((size - 1).bit_length() - 1)  # the largest power of two below the size
    return node_hash(tree_hash(leaf_hashes[:split]), tree_hash(leaf_hashes[split:]))


class Frontier:
    """A growing tree, reduced to the roots of its complete subtrees (a *compact range*).

    A tree of n leaves consists of one complete subtree for each 1 bit of n, the largest first.
    Their roots, at most 64 hashes, are all that is needed to append leaves and to know the root.
    """

    __slots__ = ("_roots", "_size")

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        """Start with these leaf hashes, by default with none."""
        self._size = 0
        self._roots: list[bytes] = []
        for leaf in leaf_hashes:
            self.append(leaf)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf at the end; amortised one hash.

        Args:
            leaf: `leaf_hash` of the entry, 32 bytes.
        """
        roots = self._roots
        size = self._size
        self._size = size + 1
        # Each trailing 1 bit of the old size is a complete subtree that the new one completes a
        # pair with. node_hash stands inline: this is the one loop that runs for every entry.
        while size & 1:
            leaf = sha256(b"\x01" + roots.pop() + leaf).digest()
            size >>= 1
        roots.append(leaf)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add many leaves at the end, as ``append`` would, in a third of its time.

        Args:
            leaves: `leaf_hash` of each entry, in order.
        """
        start, count = 0, len(leaves)
        while start < count:
            # The largest complete subtree that begins here and whose leaves are there.
            room = self._size & -self._size or 1 << 62
            width = min(room, 1 << ((count - start).bit_length() - 1))
            row = leaves[start : start + width]
            start += width
            while len(row) > 1:
                halves = iter(row)
                row = [
                    sha256(b"\x01" + left + right).digest()
                    for left, right in zip(halves, halves, strict=True)
                ]
            subtree = row[0]
            size = self._size
            self._size = size + width
            while size & width:
                subtree = sha256(b"\x01" + self._roots.pop() + subtree).digest()
                width <<= 1
            self._roots.append(subtree)

    def root(self) -> bytes:
        """Give the root hash, 32 bytes; as many hashes as the size has 1 bits, less one."""
        roots = self._roots
        if not roots:
            return EMPTY_ROOT
        result = roots[-1]
        for left in roots[-2::-1]:
            result = sha256(b"\x01" + left + result).digest()
        return result

    def copy(self) -> Self:
        """Give an independent tree of the same leaves, to try an append that may be undone."""
        twin = type(self)()
        twin._size = self._size  # noqa: SLF001 - the same class
        twin._roots = self._roots.copy()  # noqa: SLF001 - the same class
        return twin

    def to_bytes(self) -> bytes:
        """Give the subtree roots, 32 bytes each, the largest subtree first; keep `size` beside."""
        return b"".join(self._roots)

    @classmethod
    def from_bytes(cls, size: int, roots: bytes) -> Self:
        """Take up again where `to_bytes` left off.

        Args:
            size: the number of leaves then.
            roots: what `to_bytes` gave then.

        Raises:
            InvalidInputError: that many leaves don't have that many complete subtrees.
        """
        if size < 0 or len(roots) != size.bit_count() * HASH_SIZE:
            raise InvalidInputError(
                f"The stored tree head does not fit its size: {len(roots)} bytes of hashes for "
                f"{size} entries. Rebuild it from the entries, or restore a backup."
            )
        tree = cls()
        tree._size = size
        tree._roots = [roots[at : at + HASH_SIZE] for at in range(0, len(roots), HASH_SIZE)]
        return tree
