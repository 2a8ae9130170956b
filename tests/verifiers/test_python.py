"""Two libraries of others take what we hand out, and refuse it changed: sigstore and pymerkle.

sigstore verifies receipts of its own log; what it does so with are private modules, which is why
its version is pinned.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pymerkle import InmemoryTree
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore._internal.trust import Keyring, RekorKeyring
from sigstore.errors import VerificationError
from sigstore_models.common import v1

from proxy.tlog.note import NoteVerifier
from proxy.tlog.receipt import Receipt, parse
from proxy.tlog.tiles import Bundle, bundles_of, unpack_entries
from tests.cli.tile_logs import Log, a_log, tfaudit

INDICES: Final = (0, 1, 255, 256, 600, 801)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Return a log and its tiles; no test may change them."""
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def verifier(log: Log) -> NoteVerifier:
    """Return the log's public checkpoint key."""
    return NoteVerifier.parse(json.loads(log.keys.read_text())["checkpoint"]["vkey"])


@pytest.fixture(scope="module")
def receipts(log: Log) -> list[Receipt]:
    """Return receipts of some entries."""
    args = [("receipt", index, "--data", log.data) for index in INDICES]
    return [parse(tfaudit(*each).stdout_bytes) for each in args]


def is_taken(receipt: Receipt, verifier: NoteVerifier) -> bool:
    """Ask sigstore: is the entry in the tree, and is the tree the signed one?"""
    raw = verifier.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    details = v1.PublicKeyDetails.PKIX_ED25519
    key = v1.PublicKey(raw_bytes=b64encode(raw), key_details=details)
    signed = SignedCheckpoint.from_text(receipt.checkpoint).checkpoint
    proof = SimpleNamespace(
        log_index=receipt.index,
        tree_size=signed.log_size,
        root_hash=bytes.fromhex(signed.log_hash),
        hashes=list(receipt.proof),
        checkpoint=SimpleNamespace(envelope=receipt.checkpoint),
    )
    inner = SimpleNamespace(
        inclusion_proof=proof,
        canonicalized_body=receipt.entry,
        log_id=SimpleNamespace(key_id=verifier.key_id),
    )
    entry = cast("Any", SimpleNamespace(_inner=inner))
    try:
        verify_merkle_inclusion(entry)
        verify_checkpoint(RekorKeyring(Keyring([key])), entry)
    except VerificationError:
        return False
    return True


def test_sigstore_takes_our_receipts(receipts: list[Receipt], verifier: NoteVerifier) -> None:
    """Proof, checkpoint and signature."""
    assert [True] * len(INDICES) == [is_taken(receipt, verifier) for receipt in receipts]


def test_sigstore_refuses_changed_receipts(receipts: list[Receipt], verifier: NoteVerifier) -> None:
    """Another entry, index, hash, size, root, or a signature by nobody known."""
    for receipt in receipts:
        assert receipt.entry is not None
        hashes = (bytes(32), *receipt.proof[1:])
        origin, size, root, *_ = receipt.checkpoint.split("\n")
        for wrong in (
            replace(receipt, entry=receipt.entry.replace(b"a", b"b", 1)),
            replace(receipt, index=receipt.index ^ 1),
            replace(receipt, proof=hashes),
            replace(receipt, proof=receipt.proof[1:]),
            replace(receipt, checkpoint=receipt.checkpoint.replace(size, f"{int(size) + 64}")),
            replace(receipt, checkpoint=receipt.checkpoint.replace(root, "A" * 43 + "=")),
            replace(receipt, checkpoint=receipt.checkpoint.replace(origin, "another.log", 1)),
        ):
            assert wrong != receipt
            assert not is_taken(wrong, verifier)


def test_pymerkle_grows_our_tree_from_our_bundles(log: Log) -> None:
    """Of the entries alone it comes to the roots that both checkpoints promise."""
    tree = InmemoryTree(algorithm="sha256")
    for bundle in bundles_of(802):
        for entry in unpack_entries(bundle, (log.new / bundle.path).read_bytes()):
            tree.append_entry(entry)
    for directory, size in ((log.old, 601), (log.new, 802)):
        assert promised(directory) == tree.get_root(size)
    first = unpack_entries(Bundle(0), (log.new / "tile/entries/000").read_bytes())
    changed = InmemoryTree(algorithm="sha256")
    for entry in (first[1], first[0], *first[2:]):
        changed.append_entry(entry)
    assert changed.get_root(256) != tree.get_root(256)


def promised(directory: Path) -> bytes:
    """Return the root that a checkpoint promises."""
    return b64decode((directory / "checkpoint").read_text().split("\n")[2])
