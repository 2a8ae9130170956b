"""Logs that a witness can be asked about, true and forked, signed with the true key."""

from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.cosignature import Cosigner
from proxy.tlog.merkle import leaf_hash, tree_hash
from proxy.tlog.note import NoteSigner
from proxy.tlog.proof import consistency_nodes, consistency_proof
from proxy.tlog.witnessing import AddCheckpoint

LOG: Final = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
WITNESS: Final = Cosigner("witness.example/1", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
LEAVES: Final = [leaf_hash(b"%d" % number) for number in range(40)]
FORKED: Final = [*LEAVES[:5], *(leaf_hash(b"other %d" % number) for number in range(35))]


def at(size: int, leaves: Sequence[bytes] = LEAVES) -> Checkpoint:
    """Return what the log is at a size."""
    return Checkpoint("log.example", size, tree_hash(leaves[:size]))


def request(
    old: int, new: int, leaves: Sequence[bytes] = LEAVES, signer: NoteSigner = LOG
) -> AddCheckpoint:
    """Return what a log asks that grew from one size to another, with the true proof of it."""
    steps: tuple[bytes, ...] = ()
    if old <= new:
        nodes = consistency_nodes(old, new)
        hashes = [tree_hash(leaves[n.number << n.level : (n.number + 1) << n.level]) for n in nodes]
        steps = tuple(consistency_proof(old, new, hashes))
    return AddCheckpoint(old, steps, sign(at(new, leaves), signer))
