"""Tests of what a witness answers: the specification's example, its statuses, and forks."""

from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.merkle import EMPTY_ROOT, leaf_hash, tree_hash
from proxy.tlog.note import NoteSigner, NoteVerifier
from proxy.tlog.proof import consistency_nodes, consistency_proof
from proxy.tlog.witnessing import (
    MAX_REQUEST_BYTES,
    Accepted,
    AddCheckpoint,
    Claim,
    Refused,
    check_claim,
    decide,
    is_retired,
    parse_request,
    parse_size,
)

# The example of c2sp.org/tlog-witness; its keys are not told.
EXAMPLE = (
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7"
    "u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\N{EM DASH} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2W"
    "ks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
)


LOG = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
STRANGER = NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(b"s" * 32))
LOGS: dict[str, Sequence[NoteVerifier]] = {"log.example": [LOG.verifier]}
LEAVES = [leaf_hash(b"%d" % number) for number in range(20)]
FORKED = [*LEAVES[:5], *(leaf_hash(b"other %d" % number) for number in range(15))]


def at(size: int, leaves: Sequence[bytes] = LEAVES) -> Checkpoint:
    """Return what the log is at a size."""
    return Checkpoint("log.example", size, tree_hash(leaves[:size]))


def proof(old: int, new: int, leaves: Sequence[bytes] = LEAVES) -> tuple[bytes, ...]:
    """Return the true proof."""
    nodes = consistency_nodes(old, new)
    hashes = [tree_hash(leaves[n.number << n.level : (n.number + 1) << n.level]) for n in nodes]
    return tuple(consistency_proof(old, new, hashes))


def request(
    old: int, new: int, leaves: Sequence[bytes] = LEAVES, signer: NoteSigner = LOG
) -> AddCheckpoint:
    """Return what a log asks that grew from one size to another."""
    steps = proof(old, new, leaves) if old <= new else ()
    return AddCheckpoint(old, steps, sign(at(new, leaves), signer))


def answer(of: AddCheckpoint | bytes, latest: Checkpoint | None) -> Accepted | Refused:
    """Return what the witness says."""
    claim = check_claim(of if isinstance(of, bytes) else of.body(), LOGS)
    return decide(claim, latest) if isinstance(claim, Claim) else claim


def test_the_specifications_example_is_read_and_written() -> None:
    """Byte for byte."""
    parsed = parse_request(EXAMPLE.encode())

    assert (20852014, 4) == (parsed.old_size, len(parsed.proof))
    assert EXAMPLE.encode() == parsed.body()


@given(st.integers(0, 20), st.integers(0, 20))
def test_a_log_that_grew_is_accepted(one: int, other: int) -> None:
    """From any size to any that is not smaller; from nothing, too."""
    old, new = sorted((one, other))

    for latest in {at(old), at(old) if old else None}:
        assert Accepted(at(new), at(new).text()) == answer(request(old, new), latest)


def test_a_former_key_counts_until_the_next_one_signed() -> None:
    """Whatever it signs then; both keys sign the checkpoint of the hand-over."""
    first, second = (
        NoteSigner("log.example", Ed25519PrivateKey.from_private_bytes(each * 32))
        for each in (b"1", b"2")
    )
    keys = [first.verifier, second.verifier]
    old, new = sign(at(5), first), sign(at(5), second)
    handed_over = old + new.rpartition("\n\n")[2]
    for note, latest, expected in (
        (old, old, False),
        (new, old, False),
        (handed_over, old, False),
        (new, handed_over, False),
        (old, new, True),
        (old, handed_over, True),
        (handed_over, new, False),
    ):
        assert expected == is_retired(note, latest, keys)


def test_lines_that_say_more_are_cosigned_with_the_rest() -> None:
    """A checkpoint of another product may have them."""
    text = at(7).text() + "more\n"

    assert Accepted(at(7), text) == answer(AddCheckpoint(0, (), LOG.sign(text)), None)


def test_an_unknown_log_is_not_found() -> None:
    """404."""
    other = NoteSigner("other.example", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
    note = sign(Checkpoint("other.example", 7, bytes(32)), other)

    found = answer(AddCheckpoint(0, (), note), None)

    assert isinstance(found, Refused)
    assert 404 == found.status


def test_an_unknown_key_is_forbidden() -> None:
    """403, and also a known key's signature that does not hold."""
    forged = sign(at(7), LOG).replace("\n7\n", "\n8\n")

    for of in (request(0, 7, signer=STRANGER), AddCheckpoint(0, (), forged)):
        found = answer(of, None)
        assert isinstance(found, Refused)
        assert 403 == found.status


def test_signatures_of_unknown_keys_are_ignored() -> None:
    """A checkpoint may carry more than the log's."""
    note = sign(at(7), STRANGER) + sign(at(7), LOG).rpartition("\n\n")[2]

    assert isinstance(answer(AddCheckpoint(0, (), note), None), Accepted)


@pytest.mark.parametrize("old", [0, 3, 6, 8, 12])
def test_another_old_size_is_a_conflict_that_tells_the_size(old: int) -> None:
    """409 with what the witness cosigned last."""
    found = answer(request(old, 12), at(7))

    assert isinstance(found, Refused)
    assert (409, 7, False) == (found.status, found.size, found.is_fork)


def test_an_old_size_above_the_new_one_is_a_bad_request() -> None:
    """400, whatever the witness knows."""
    found = answer(request(8, 7), at(8))

    assert isinstance(found, Refused)
    assert 400 == found.status


def test_a_proof_that_does_not_hold_is_refused() -> None:
    """422: a hash changed, one too few, one too many, or one from nothing."""
    true = request(5, 12)
    wrong = (bytes([true.proof[0][0] ^ 1]) + true.proof[0][1:], *true.proof[1:])
    of_nothing = AddCheckpoint(0, (bytes(32),), true.note)

    for steps in (wrong, true.proof[:-1], (*true.proof, bytes(32)), ()):
        found = answer(AddCheckpoint(5, steps, true.note), at(5))
        assert isinstance(found, Refused)
        assert 422 == found.status
    found = answer(of_nothing, None)
    assert isinstance(found, Refused)
    assert 422 == found.status


def test_a_fork_of_the_same_size_is_named() -> None:
    """409, and the log's own key is the proof of it."""
    found = answer(request(12, 12, FORKED), at(12))

    assert isinstance(found, Refused)
    assert (409, 12, True) == (found.status, found.size, found.is_fork)


@pytest.mark.parametrize("size", range(6, 12))
def test_a_fork_can_not_grow(size: int) -> None:
    """Signed with the true key, with the true proof of the forked tree: 422."""
    found = answer(request(size, 12, FORKED), at(size))

    assert isinstance(found, Refused)
    assert 422 == found.status


def test_an_empty_log_has_but_one_root() -> None:
    """Else a witness would begin with what no log grows from."""
    note = sign(Checkpoint("log.example", 0, bytes(32)), LOG)

    assert isinstance(answer(AddCheckpoint(0, (), note), None), Refused)
    assert EMPTY_ROOT == at(0).root


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(request(0, 7).body().replace(b"old 0", b"old 00"), id="leading zero"),
        pytest.param(request(0, 7).body().replace(b"old 0", b"old -1"), id="minus"),
        pytest.param(request(0, 7).body().replace(b"old 0", b"new 0"), id="other word"),
        pytest.param(b"old 0\n", id="no checkpoint"),
        pytest.param(b"old 0\n\n", id="empty checkpoint"),
        pytest.param(b"old 0\nQUFB\n\n" + sign(at(7), LOG).encode(), id="short hash"),
        pytest.param(b"old 0\n*\n\n" + sign(at(7), LOG).encode(), id="no hash"),
        pytest.param(AddCheckpoint(1, (bytes(32),) * 64, sign(at(7), LOG)).body(), id="64 hashes"),
        pytest.param(AddCheckpoint(0, (), LOG.sign("log.example\n7\n")).body(), id="no root"),
        pytest.param(
            AddCheckpoint(0, (), LOG.sign(at(7).text() + "\nx\n")).body(), id="empty line"
        ),
        pytest.param(request(0, 7).body() + b"x" * MAX_REQUEST_BYTES, id="too long"),
    ],
)
def test_what_is_no_request_is_a_bad_one(body: bytes) -> None:
    """400, whoever sent it."""
    found = answer(body, None)

    assert isinstance(found, Refused)
    assert 400 == found.status


@given(st.binary())
def test_any_bytes_have_an_answer(body: bytes) -> None:
    """Nothing but an answer comes out."""
    assert isinstance(answer(b"old 0\n\n" + body, None), Refused)


def test_a_size_is_read() -> None:
    """As an answer 409 has it."""
    assert 7 == parse_size(b"7\n")


@pytest.mark.parametrize("body", [b"", b"7", b"07\n", b"-1\n", b"7\n7\n", b"9" * 99 + b"\n"])
def test_what_is_no_size_is_refused(body: bytes) -> None:
    """It has one spelling."""
    with pytest.raises(InvalidInputError):
        parse_size(body)
