"""Tests of the hand-over between signing keys: each rule of it, and what breaks each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, parse, sign
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteSigner
from proxy.tlog.rotation import KeyHistory, Purpose, Rotation, key_ids_of

ORIGIN = "log.example"
E0, E1, E2, C0, C1, THIEF, X, Y, Z = (
    Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 10)
)


def public(key: Ed25519PrivateKey) -> bytes:
    """Return the public half, raw."""
    return key.public_key().public_bytes_raw()


def rotation(
    index: int,
    purpose: Purpose,
    old: Ed25519PrivateKey,
    new: Ed25519PrivateKey,
    *,
    by: Mapping[str, Ed25519PrivateKey] | None = None,
    **changes: Any,
) -> Rotation:
    """Return a rotation signed by both, or by whom else is named."""
    made = replace(Rotation(index, purpose, ORIGIN, public(old), public(new)), **changes)
    signers = by if by is not None else {"old": old, "new": new}
    return replace(
        made, signatures={name: key.sign(made.statement()) for name, key in signers.items()}
    )


FIRST = rotation(3, "entry", E0, E1)
SECOND = rotation(7, "entry", E1, E2)
SEALED = rotation(5, "checkpoint", C0, C1)
CHAIN = [FIRST, SEALED, SECOND]


def history(
    rotations: list[Rotation],
    entry: Ed25519PrivateKey = E0,
    checkpoint: Ed25519PrivateKey = C0,
) -> KeyHistory:
    """Return the history as it follows from one trusted key of each purpose."""
    return KeyHistory([public(entry)], [NoteSigner(ORIGIN, checkpoint).verifier], rotations)


def said(made: Rotation) -> dict[str, object]:
    """Return the entry that says it."""
    return {"event": "key.rotated", "key": made.part()}


ENTRIES = {each.index: said(each) for each in CHAIN}


# ---------------------------------------------------------------- what holds


@pytest.mark.parametrize("entry", [E0, E1, E2])
@pytest.mark.parametrize("checkpoint", [C0, C1])
def test_any_trusted_key_leads_to_all_others(
    entry: Ed25519PrivateKey, checkpoint: Ed25519PrivateKey
) -> None:
    """Forwards and back, for both purposes."""
    found = history(CHAIN, entry, checkpoint)
    assert (public(E0), public(E1), public(E2)) == found.keys("entry")
    assert (public(C0), public(C1)) == found.keys("checkpoint")
    assert CHAIN == list(found.rotations)
    assert {key_id(public(key)) for key in (E0, E1, E2)} == found.entry_keys().keys()


def test_a_key_that_is_not_of_the_chain_leads_nowhere() -> None:
    """Rotations of strangers give no trust."""
    found = history(CHAIN, THIEF, C0)
    assert (public(THIEF),) == found.keys("entry")


def test_the_keys_in_force_change_with_the_entry_of_the_rotation() -> None:
    """The entry itself is the first that the successor signs."""
    found = history(CHAIN)
    signed_by = [found.in_force("entry", index) for index in range(9)]
    assert [public(E0)] * 3 + [public(E1)] * 4 + [public(E2)] * 2 == signed_by


def test_a_rotation_is_read_back_as_it_was_said() -> None:
    """From the entry's members; an entry that is none gives none."""
    assert FIRST == Rotation.parse(3, said(FIRST))
    assert Rotation.parse(3, {"event": "key.rotated", "workspace": "prod"}) is None
    assert Rotation.parse(3, {"event": "state.read", "key": "x"}) is None


def test_the_statement_is_neither_a_checkpoint_nor_an_entry() -> None:
    """No signature over it can be passed off as one over those."""
    statement = SEALED.statement()
    assert statement.startswith(b"tfaudit-key-rotation-v1\n")
    with pytest.raises(InvalidInputError):
        parse(statement.decode())


def test_the_right_signers_pass_everywhere() -> None:
    """Each entry by the key of its place."""
    found = history(CHAIN)
    for index, key in enumerate([E0] * 3 + [E1] * 4 + [E2] * 2):
        found.check_entry(index, key_id(public(key)), ENTRIES.get(index, {"event": "state.read"}))


# ---------------------------------------------------------------- what does not


@pytest.mark.parametrize(
    ("index", "key", "why"),
    [
        (3, E0, "Entry 3 was signed by a key that entry 3 retired"),
        (4, E0, "Entry 4 was signed by a key that entry 3 retired"),
        (8, E1, "Entry 8 was signed by a key that entry 7 retired"),
        (2, E1, "Entry 2 was signed by a key that was not in force yet"),
        (6, E2, "Entry 6 was signed by a key that was not in force yet"),
    ],
)
def test_an_entry_by_another_key_than_the_one_in_force_is_named(
    index: int, key: Ed25519PrivateKey, why: str
) -> None:
    """Though the signature holds, and the key was the log's at another time."""
    with pytest.raises(VerificationError, match=why) as caught:
        history(CHAIN).check_entry(index, key_id(public(key)), ENTRIES.get(index, {}))
    assert index == caught.value.index


FORGED: dict[str, tuple[Rotation, str]] = {
    "by the thief's own key in place of the old": (
        rotation(3, "entry", E0, THIEF, by={"old": THIEF, "new": THIEF}),
        "the key that it retires did not sign it",
    ),
    "without the old key's signature": (
        rotation(3, "entry", E0, E1, by={"new": E1}),
        "the key that it retires did not sign it",
    ),
    "to a key that nobody proved to have": (
        rotation(3, "entry", E0, E1, by={"old": E0, "new": THIEF}),
        "the key that it brings in did not sign it",
    ),
    "moved from another place": (replace(FIRST, index=4), "did not sign it"),
    "turned into another purpose's": (
        replace(SEALED, index=3, purpose="entry"),
        "did not sign it",
    ),
    "between keys of a stranger": (
        rotation(3, "entry", THIEF, E2),
        "is not of a key that is trusted, and leads to none",
    ),
    "lost, with nobody to vouch": (
        rotation(3, "entry", E0, THIEF, by={"vouched": THIEF, "new": THIEF}, is_lost=True),
        "the log's other key did not vouch",
    ),
    "lost, vouched for by the entry key itself": (
        rotation(3, "entry", E0, E1, by={"vouched": E0, "new": E1}, is_lost=True),
        "the log's other key did not vouch",
    ),
    "handed over, and called lost afterwards": (
        replace(FIRST, is_lost=True),
        "the log's other key did not vouch",
    ),
    "lost, and called handed over afterwards": (
        replace(
            rotation(3, "entry", E0, E1, by={"vouched": C0, "new": E1}, is_lost=True), is_lost=False
        ),
        "did not sign it",
    ),
    "with a signature too many": (
        replace(FIRST, signatures={**FIRST.signatures, "vouched": bytes(64)}),
        "has signatures that it should not have",
    ),
    "from another log": (
        rotation(3, "entry", E0, E1, origin="other.example"),
        "is that of another log",
    ),
}


@pytest.mark.parametrize(("forged", "why"), FORGED.values(), ids=FORGED)
def test_a_rotation_that_does_not_hold_is_named_at_its_entry(forged: Rotation, why: str) -> None:
    """It brings in no key, and the way through the log ends there."""
    found = history([forged])
    assert () == found.rotations
    assert public(THIEF) not in found.keys("entry")
    with pytest.raises(VerificationError, match=why) as caught:
        found.check_entry(forged.index, key_id(public(E0)), said(forged))
    assert forged.index == caught.value.index


def test_a_rotation_that_was_not_found_ahead_is_named() -> None:
    """Hidden from the search for rotations, it is met on the way."""
    with pytest.raises(VerificationError, match="Entry 3 is no rotation that follows"):
        history([]).check_members(3, said(FIRST))


def test_what_follows_a_forged_rotation_is_no_history() -> None:
    """Nothing that comes after it is followed."""
    assert [FIRST] == list(history([FIRST, rotation(5, "entry", E0, THIEF), SECOND]).rotations)


@pytest.mark.parametrize(
    "changes",
    [
        {"old": "AAAA"},
        {"new": 5},
        {"purpose": "master"},
        {"algorithm": "RSA"},
        {"lost": "no"},
        {"signatures": []},
        {"more": 1},
        {"new": FIRST.part()["old"]},
    ],
)
def test_a_part_that_is_no_rotation_is_refused(changes: dict[str, Any]) -> None:
    """Every member has one form."""
    entry = {"event": "key.rotated", "key": {**FIRST.part(), **changes}}
    with pytest.raises(VerificationError, match="Entry 3 should say which key follows which"):
        Rotation.parse(3, entry)


# ---------------------------------------------------------------- lost keys


def test_a_lost_key_is_followed_on_the_other_keys_word_and_told() -> None:
    """From the lost key on, and from its successor back."""
    lost = rotation(3, "entry", E0, E1, by={"vouched": C0, "new": E1}, is_lost=True)
    for trusted in (E0, E1):
        found = history([lost], trusted)
        assert (public(E0), public(E1)) == found.keys("entry")
        assert (lost,) == found.lost
    assert () == history(CHAIN).lost


def lost(
    index: int,
    purpose: Purpose,
    old: Ed25519PrivateKey,
    new: Ed25519PrivateKey,
    voucher: Ed25519PrivateKey,
) -> Rotation:
    """Return the rotation of a lost key."""
    return rotation(index, purpose, old, new, by={"vouched": voucher, "new": new}, is_lost=True)


MADE_UP = {
    "vouched by the last of a chain": [
        rotation(1, "entry", X, Y),
        lost(2, "checkpoint", C0, THIEF, Y),
    ],
    "vouched by the first of a chain that comes after": [
        lost(1, "checkpoint", C0, THIEF, X),
        rotation(2, "entry", X, Y),
    ],
    "handed on from there": [
        lost(1, "checkpoint", C0, X, Y),
        rotation(2, "checkpoint", X, THIEF),
        rotation(3, "entry", Y, E1),
    ],
    "a cycle that vouches": [
        rotation(1, "entry", X, Y),
        rotation(2, "entry", Y, X),
        lost(3, "checkpoint", C0, THIEF, X),
    ],
    "two that vouch for each other": [
        lost(1, "entry", X, Y, Z),
        lost(2, "checkpoint", Z, THIEF, Y),
        rotation(3, "checkpoint", THIEF, Z),
    ],
    "both purposes, each lost": [
        lost(1, "checkpoint", C0, THIEF, X),
        lost(2, "entry", X, Y, THIEF),
    ],
    "backwards from the true key": [
        rotation(1, "entry", X, Y),
        lost(2, "checkpoint", THIEF, X, Y),
        lost(3, "checkpoint", X, C0, Y),
    ],
}


@pytest.mark.parametrize("entry", [(), (E0,), (E0, E2)], ids=["no key", "one key", "two keys"])
@pytest.mark.parametrize("chain", MADE_UP.values(), ids=MADE_UP)
def test_no_key_that_was_made_up_vouches(
    chain: list[Rotation], entry: tuple[Ed25519PrivateKey, ...]
) -> None:
    """Whatever the order, and whether an entry key is given or not."""
    found = KeyHistory(map(public, entry), [NoteSigner(ORIGIN, C0).verifier], chain)
    assert (public(C0),) == found.keys("checkpoint")
    assert {public(key) for key in entry} == set(found.keys("entry"))
    assert () == found.lost
    first = next(each for each in chain if each not in found.rotations)
    with pytest.raises(
        VerificationError, match=r"not trusted here|leads to none|not in force|vouch"
    ):
        found.check_members(first.index, said(first))


def test_no_checkpoint_key_that_was_made_up_vouches() -> None:
    """The same with the purposes the other way around."""
    chain = [rotation(1, "checkpoint", X, Y), lost(2, "entry", E0, THIEF, Y)]
    for given in ((), (NoteSigner(ORIGIN, C0).verifier,)):
        assert (public(E0),) == KeyHistory([public(E0)], given, chain).keys("entry")


def test_a_voucher_needs_trust_of_its_own() -> None:
    """A checkpoint key alone does not do for a lost one; the error says what to give."""
    chain = [FIRST, lost(5, "checkpoint", C0, C1, E1), SECOND]
    alone = KeyHistory((), [NoteSigner(ORIGIN, C0).verifier], chain)
    assert [FIRST] == list(alone.rotations)
    with pytest.raises(VerificationError, match=r"entry key .* not trusted here.*export-public"):
        alone.check_members(5, said(chain[1]))
    # Given before it, or after it: by rotations that count, E1 is reached from each.
    for entry in (E0, E1, E2):
        found = history(chain, entry)
        assert (public(C0), public(C1)) == found.keys("checkpoint")
        assert (chain[1],) == found.lost
    assert (public(C0),) == history(chain, THIEF).keys("checkpoint")


def test_a_voucher_may_be_reached_through_a_lost_key() -> None:
    """Each vouched by a key that was reached before it."""
    chain = [lost(3, "entry", E0, E1, C0), lost(5, "checkpoint", C0, C1, E1)]
    found = history(chain)
    assert (public(C0), public(C1)) == found.keys("checkpoint")
    assert (public(E0), public(E1)) == found.keys("entry")


def test_what_is_cut_off_holds_nothing_up() -> None:
    """The only link to the trusted key stands after what falls: all falls."""
    chain = [
        lost(1, "checkpoint", C0, C1, E0),
        lost(2, "checkpoint", C1, THIEF, E0),
        rotation(3, "entry", E0, E1),
        rotation(4, "entry", X, Y),
        rotation(5, "entry", E1, E2),
    ]
    found = history(chain, E2)
    assert () == found.rotations
    assert (public(C0),) == found.keys("checkpoint")


# ---------------------------------------------------------------- order


@pytest.mark.parametrize(
    ("chain", "why"),
    [
        ([SECOND, FIRST], "entry 3 is named after that in entry 7"),
        ([FIRST, SECOND, SEALED], "entry 5 is named after that in entry 7"),
        ([FIRST, FIRST], "entry 3 is named after that in entry 3"),
        ([FIRST, rotation(3, "checkpoint", C0, C1)], "entry 3 is named after that in entry 3"),
    ],
)
def test_rotations_in_another_order_than_the_logs_are_refused(
    chain: list[Rotation], why: str
) -> None:
    """Both are named; nothing is followed."""
    with pytest.raises(VerificationError, match=why) as caught:
        history(chain)
    assert chain[-1].index == caught.value.index


# ---------------------------------------------------------------- checkpoints


def note(size: int, *keys: Ed25519PrivateKey) -> str:
    """Return a checkpoint signed by keys, in this order."""
    first, *rest = (
        sign(Checkpoint(ORIGIN, size, bytes(32)), NoteSigner(ORIGIN, key)) for key in keys
    )
    return first + "".join(each.rpartition("\n\n")[2] for each in rest)


@pytest.mark.parametrize(
    ("size", "keys"), [(5, [C0]), (6, [C0, C1]), (7, [C1]), (100, [C1]), (1, [C0])]
)
def test_a_checkpoint_is_signed_by_the_key_of_its_size(
    size: int, keys: list[Ed25519PrivateKey]
) -> None:
    """That of the hand-over by both, the retired key first; a witness's line does not matter."""
    made = note(size, *keys)
    cosigned = made + note(size, THIEF).rpartition("\n\n")[2].replace(ORIGIN, "witness.example")
    for each in (made, cosigned, cosigned.encode()):
        history(CHAIN).check_note(each, size)
    assert [NoteSigner(ORIGIN, key).verifier.key_id for key in keys] == key_ids_of(made, ORIGIN)


@pytest.mark.parametrize(
    ("size", "keys"),
    [(7, [C0]), (5, [C1]), (6, [C1]), (6, [C0]), (6, [C1, C0]), (7, [C0, C1]), (100, [C0])],
)
def test_a_checkpoint_by_another_key_is_refused(size: int, keys: list[Ed25519PrivateKey]) -> None:
    """A retired key signs nothing after its end, and a successor nothing before its beginning."""
    with pytest.raises(VerificationError, match=f"checkpoint of {size} entries is not signed by"):
        history(CHAIN).check_note(note(size, *keys), size)
