"""Tests of receipts: their text, their limits, and that no bit of one can be changed."""

from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.entry import MAX_ENTRY_BYTES
from proxy.tlog.merkle import leaf_hash, tree_hash
from proxy.tlog.note import NoteSigner
from proxy.tlog.proof import inclusion_nodes, inclusion_proof
from proxy.tlog.receipt import MAX_RECEIPT_BYTES, Receipt, parse, verify_receipt

SIGNER = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"a" * 32))
STRANGER = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"b" * 32))
ENTRIES = [f'{{"number":{number}}}'.encode() for number in range(21)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
HASH = b64encode(bytes(32)).decode()


def a_receipt(index: int = 5, size: int = 21, signer: NoteSigner = SIGNER) -> Receipt:
    """Return the receipt of one of the entries in a tree of the first so many."""
    hashes = [
        tree_hash(LEAVES[node.number << node.level : (node.number + 1) << node.level])
        for node in inclusion_nodes(index, size)
    ]
    checkpoint = sign(Checkpoint("log.example", size, tree_hash(LEAVES[:size])), signer)
    proof = tuple(inclusion_proof(index, size, hashes))
    return Receipt(index, proof, checkpoint, ENTRIES[index])


def test_the_text_is_that_of_the_specification() -> None:
    """Header, extra data, index, one hash a line, a blank line, the checkpoint as it is."""
    receipt = a_receipt(index=2, size=3)
    hashes = b64encode(receipt.proof[0]).decode()
    assert (
        "c2sp.org/tlog-proof@v1\n"
        f"extra {b64encode(ENTRIES[2]).decode()}\n"
        f"index 2\n{hashes}\n\n{receipt.checkpoint}"
    ) == receipt.text()
    assert f"index 2\n{hashes}\n" in replace(receipt, entry=None).text()
    assert "extra" not in replace(receipt, entry=None).text()


def test_every_receipt_reads_back_and_holds() -> None:
    """Each entry of each tree, with the entry in it or beside it, also that of a lone entry."""
    for size in range(1, 22):
        for index in range(size):
            receipt = a_receipt(index, size)
            assert receipt == parse(receipt.text())
            assert size == verify_receipt(parse(receipt.text().encode()), [SIGNER.verifier]).size
            bare = replace(receipt, entry=None)
            assert bare == parse(bare.text())
            verify_receipt(bare, [SIGNER.verifier], ENTRIES[index])


def test_no_changed_byte_is_taken() -> None:
    """Whatever byte of a receipt is changed, it proves nothing any more, or it is none."""
    whole = a_receipt().text().encode()
    for at in range(len(whole)):
        for bit in (1, 4, 32):
            wrong = bytearray(whole)
            wrong[at] ^= bit
            with pytest.raises((VerificationError, InvalidInputError)):
                verify_receipt(parse(bytes(wrong)), [SIGNER.verifier])


def test_size_and_index_are_held_by_signature_and_proof() -> None:
    """Another index, or the checkpoint of another size, makes it fail for every entry."""
    for index in range(21):
        receipt = a_receipt(index)
        for other in range(21):
            if other != index:
                with pytest.raises(VerificationError):
                    verify_receipt(replace(receipt, index=other), [SIGNER.verifier])
        text = receipt.checkpoint.replace("\n21\n", "\n20\n")
        with pytest.raises(VerificationError, match="signature"):
            verify_receipt(replace(receipt, checkpoint=text), [SIGNER.verifier])
        smaller = a_receipt(0, 20).checkpoint
        with pytest.raises(VerificationError):
            verify_receipt(replace(receipt, checkpoint=smaller), [SIGNER.verifier])


def test_only_the_log_s_own_key_proves() -> None:
    """A checkpoint of the same name by another key is not the log's."""
    with pytest.raises(VerificationError, match="no key that is trusted"):
        verify_receipt(a_receipt(signer=STRANGER), [SIGNER.verifier])


def test_the_entry_given_must_be_the_one_proved() -> None:
    """Neither another entry beside the receipt nor none at all is let pass."""
    receipt = a_receipt()
    verify_receipt(receipt, [SIGNER.verifier], ENTRIES[5])
    with pytest.raises(VerificationError, match="another entry"):
        verify_receipt(receipt, [SIGNER.verifier], ENTRIES[6])
    bare = replace(receipt, entry=None)
    with pytest.raises(VerificationError, match="does not show entry 5"):
        verify_receipt(bare, [SIGNER.verifier], ENTRIES[6])
    with pytest.raises(InvalidInputError, match="does not carry its entry"):
        verify_receipt(bare, [SIGNER.verifier])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "first line"),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\nx", "first line"),
        ("c2sp.org/tlog-proof@v1\nindex 0\n", "not a whole|Not a whole"),
        ("c2sp.org/tlog-proof@v1\n\nx", "no line with the entry's index"),
        ("c2sp.org/tlog-proof@v1\nindex 01\n\nx", "index"),
        ("c2sp.org/tlog-proof@v1\nindex -1\n\nx", "index"),
        ("c2sp.org/tlog-proof@v1\nindex \u0661\n\nx", "index"),
        (f"c2sp.org/tlog-proof@v1\nindex {'9' * 20}\n\nx", "index"),
        ("c2sp.org/tlog-proof@v1\nindex 0\nextra eA==\n\nx", "not one of 32|base64"),
        ("c2sp.org/tlog-proof@v1\nextra e\nindex 0\n\nx", "base64"),
        ("c2sp.org/tlog-proof@v1\nextra eB==\nindex 0\n\nx", "base64"),
        ("c2sp.org/tlog-proof@v1\nindex 0\neA==\n\nx", "not one of 32 bytes"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH} \n\nx", "base64"),
        (f"c2sp.org/tlog-proof@v1\r\nindex 0\n{HASH}\n\nx", "first line"),
        (f"c2sp.org/tlog-proof@v1\nindex 0\n{(HASH + chr(10)) * 65}\nx", "more than 64"),
    ],
)
def test_what_is_no_receipt_is_told(text: str, what: str) -> None:
    """Each mistake has its own sentence; nothing is read kindly."""
    with pytest.raises(InvalidInputError, match=what):
        parse(text)


def test_a_receipt_has_limits() -> None:
    """Nobody makes us read a file without end, or an entry longer than there can be."""
    with pytest.raises(InvalidInputError, match="longer than"):
        parse("x" * (MAX_RECEIPT_BYTES + 1))
    extra = b64encode(bytes(MAX_ENTRY_BYTES + 1)).decode()
    with pytest.raises(InvalidInputError, match="65,536 bytes"):
        parse(f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 0\n\nx")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        parse(b"\xff")
    longest = replace(a_receipt(), entry=bytes(MAX_ENTRY_BYTES))
    assert longest == parse(longest.text())


@given(st.binary(max_size=300))
def test_whatever_is_parsed_reads_back(rest: bytes) -> None:
    """Strange bytes are refused as such, and never raise anything else."""
    whole = b"c2sp.org/tlog-proof@v1\n" + rest
    try:
        receipt = parse(whole)
    except InvalidInputError:
        return
    assert whole == receipt.text().encode()
