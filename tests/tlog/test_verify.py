"""Tests of the verification of a whole log: each kind of tampering is found and named."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError, VerificationError
from proxy.tlog.checkpoint import Checkpoint, sign
from proxy.tlog.entry import Record, canonical, key_id, signing_input
from proxy.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash
from proxy.tlog.note import NoteSigner
from proxy.tlog.verify import LogVerifier

ORIGIN = "log.example"
SIZE = 12
ENTRY_KEY = Ed25519PrivateKey.from_private_bytes(b"e" * 32)
CHECKPOINT_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
SIGNER = NoteSigner(ORIGIN, CHECKPOINT_KEY)
ENTRY_KEY_ID = key_id(ENTRY_KEY.public_key().public_bytes_raw())

places = pytest.mark.parametrize("place", range(SIZE))


def entry_at(place: int, **changes: object) -> dict[str, object]:
    """Give an entry whose id and time follow those of the places before it."""
    members: dict[str, object] = {
        "v": 1,
        "id": str(uuid.UUID(int=(0x0193 << 112) | (place << 80) | (7 << 76) | (2 << 62) | 99)),
        "time": f"2026-11-22T10:00:{place // 2:02}.123456Z",
        "event": "state.read",
        "message": f"number {place}",
    }
    return members | changes


def record(place: int, members: Mapping[str, object], key: Ed25519PrivateKey) -> Record:
    """Sign an entry and put it in its place."""
    return sealed(place, canonical(members), key)


def sealed(place: int, entry: bytes, key: Ed25519PrivateKey) -> Record:
    """Sign any bytes as an entry."""
    signature = key.sign(signing_input(entry))
    return Record(
        place, entry, leaf_hash(entry), signature, key_id(key.public_key().public_bytes_raw())
    )


def checkpoints_of(
    records: Sequence[Record], every: int = 1, signer: NoteSigner = SIGNER
) -> dict[int, str]:
    """Sign a checkpoint after every so many entries and after the last one."""
    tree = Frontier()
    notes = {}
    for each in records:
        tree.append(each.leaf_hash)
        if tree.size % every == 0 or tree.size == len(records):
            notes[tree.size] = sign(Checkpoint(ORIGIN, tree.size, tree.root()), signer)
    return notes


def numbered(records: Sequence[Record]) -> list[Record]:
    """Give every record the index of its place, as a careful forger would."""
    return [replace(each, index=place) for place, each in enumerate(records)]


@dataclass(frozen=True)
class Failure:
    """Where verification stopped, and its words."""

    index: int | None
    message: str


def verifier(trusted: Sequence[str] = ()) -> LogVerifier:
    """Give a verifier that knows the true keys."""
    return LogVerifier({ENTRY_KEY_ID: ENTRY_KEY.public_key()}, [SIGNER.verifier], trusted)


def verify(
    records: Sequence[Record], checkpoints: Mapping[int, str], trusted: Sequence[str] = ()
) -> Checkpoint:
    """Verify a log as its reader does."""
    log = verifier(trusted)
    for each in records:
        log.add(each)
        if log.size in checkpoints:
            log.at(checkpoints[log.size])
    return log.finish(checkpoints[max(checkpoints)])


def failure(
    records: Sequence[Record], checkpoints: Mapping[int, str], trusted: Sequence[str] = ()
) -> Failure:
    """Verify a log that must not pass."""
    with pytest.raises(VerificationError) as refusal:
        verify(records, checkpoints, trusted)
    return Failure(refusal.value.index, str(refusal.value))


LOG = [record(place, entry_at(place), ENTRY_KEY) for place in range(SIZE)]
EACH = checkpoints_of(LOG)
"""A checkpoint after every entry, as one client alone leaves them."""
LAST = {SIZE: EACH[SIZE]}
"""The newest checkpoint alone, as an export holds it."""
every_checkpoint = pytest.mark.parametrize("checkpoints", [EACH, LAST], ids=["each", "last"])


class TestUntouched:
    """A log nobody touched passes."""

    @every_checkpoint
    def test_a_whole_log_passes(self, checkpoints: Mapping[int, str]) -> None:
        """The result is the size and root that were proved."""
        root = Frontier(each.leaf_hash for each in LOG).root()

        assert Checkpoint(ORIGIN, SIZE, root) == verify(LOG, checkpoints)

    def test_an_empty_log_passes(self) -> None:
        """Nothing, with a checkpoint that promises nothing."""
        empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)

        assert empty == verify([], {0: sign(empty, SIGNER)}, [sign(empty, SIGNER)])

    def test_every_older_checkpoint_is_kept(self) -> None:
        """The log holds what it promised at each size."""
        assert SIZE == verify(LOG, LAST, list(EACH.values())).size

    def test_sizes_are_told_while_it_runs(self) -> None:
        """A progress bar sees what was read, a report what was proved."""
        log = verifier()
        for each in LOG[:5]:
            log.add(each)
        log.at(EACH[5])
        log.add(LOG[5])

        assert (6, 5) == (log.size, log.proved_size)

    def test_entries_of_a_former_key_pass(self) -> None:
        """After a rotation both keys are known."""
        records = [record(0, entry_at(0), OTHER_KEY), LOG[1]]
        keys = {records[0].key_id: OTHER_KEY.public_key(), ENTRY_KEY_ID: ENTRY_KEY.public_key()}
        log = LogVerifier(keys, [SIGNER.verifier])
        for each in records:
            log.add(each)

        assert 2 == log.finish(checkpoints_of(records)[2]).size


class TestEdited:
    """One entry's bytes are not those that were signed."""

    @places
    @every_checkpoint
    def test_edited_with_its_hash(self, place: int, checkpoints: Mapping[int, str]) -> None:
        """The signature tells."""
        entry = LOG[place].entry.replace(b"number", b"nombre")
        edited = replace(LOG[place], entry=entry, leaf_hash=leaf_hash(entry))

        found = failure([*LOG[:place], edited, *LOG[place + 1 :]], checkpoints)

        assert (place, True) == (found.index, "signature is wrong" in found.message)

    @places
    def test_edited_without_its_hash(self, place: int) -> None:
        """The leaf hash tells."""
        edited = replace(LOG[place], entry=LOG[place].entry.replace(b"number", b"nombre"))

        found = failure([*LOG[:place], edited, *LOG[place + 1 :]], EACH)

        assert (place, True) == (found.index, "leaf hash" in found.message)

    @given(
        st.integers(0, SIZE - 1),
        st.sampled_from(["entry", "leaf_hash", "signature", "key_id"]),
        st.integers(0),
    )
    def test_every_flipped_bit_is_found(self, place: int, field: str, bit: int) -> None:
        """No bit of a record is free, and its index is named."""
        values: dict[str, bytes] = {
            "entry": LOG[place].entry,
            "leaf_hash": LOG[place].leaf_hash,
            "signature": LOG[place].signature,
            "key_id": LOG[place].key_id.encode(),
        }
        flipped = bytearray(values[field])
        bit %= 8 * len(flipped)
        flipped[bit // 8] ^= 1 << bit % 8
        values[field] = bytes(flipped)
        broken = Record(
            place,
            values["entry"],
            values["leaf_hash"],
            values["signature"],
            values["key_id"].decode("latin-1"),
        )

        assert place == failure([*LOG[:place], broken, *LOG[place + 1 :]], LAST).index

    @given(st.integers(0, SIZE - 1), st.data())
    def test_every_flipped_bit_of_a_checkpoint_is_found(
        self, place: int, data: st.DataObject
    ) -> None:
        """No bit of a stored checkpoint is free; the index is the first not proved before."""
        flipped = bytearray(EACH[place + 1].encode())
        bit = data.draw(st.integers(0, 8 * len(flipped) - 1))
        flipped[bit // 8] ^= 1 << bit % 8
        log = verifier()
        for each in LOG[: place + 1]:
            log.add(each)
            if log.size <= place:
                log.at(EACH[log.size])

        with pytest.raises(VerificationError, match="does not hold") as refusal:
            log.at(bytes(flipped))

        assert place == refusal.value.index


class TestDropped:
    """One entry is missing."""

    @pytest.mark.parametrize("place", range(SIZE - 1))
    @every_checkpoint
    def test_dropped(self, place: int, checkpoints: Mapping[int, str]) -> None:
        """The gap in the numbers tells."""
        found = failure([*LOG[:place], *LOG[place + 1 :]], checkpoints)

        assert (place, True) == (found.index, f"Entry {place} is missing" in found.message)

    @places
    def test_dropped_and_numbered_anew(self, place: int) -> None:
        """The next checkpoint, or for the last entry the size, tells."""
        assert place == failure(numbered([*LOG[:place], *LOG[place + 1 :]]), EACH).index

    @pytest.mark.parametrize("place", range(SIZE - 1))
    def test_dropped_with_all_checkpoints_but_some(self, place: int) -> None:
        """With fewer checkpoints the place is known to lie after the last that held."""
        records = numbered([*LOG[:place], *LOG[place + 1 :]])

        assert place // 4 * 4 == failure(records, checkpoints_of(LOG, every=4)).index


class TestSwapped:
    """Two entries changed places, or one was moved."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [(first, second) for first in range(SIZE) for second in range(first + 1, SIZE)],
    )
    @every_checkpoint
    def test_swapped(self, first: int, second: int, checkpoints: Mapping[int, str]) -> None:
        """The first of the two is named, with many checkpoints and with one alone."""
        records = LOG.copy()
        records[first], records[second] = records[second], records[first]

        assert first == failure(numbered(records), checkpoints).index

    def test_swapped_after_a_checkpoint_that_holds(self) -> None:
        """The place is counted from the whole log's start, not from that checkpoint."""
        records = [*LOG[:5], LOG[7], LOG[6], LOG[5], *LOG[8:]]

        assert 5 == failure(numbered(records), checkpoints_of(LOG, every=4)).index

    def test_swapped_with_their_numbers(self) -> None:
        """Lines of an export in another order are found by their numbers."""
        records = [*LOG[:3], LOG[4], LOG[3], *LOG[5:]]

        assert 3 == failure(records, LAST).index

    @every_checkpoint
    def test_moved_back(self, checkpoints: Mapping[int, str]) -> None:
        """An entry taken out and put in later: the place that it left is named."""
        records = numbered([*LOG[:3], *LOG[4:8], LOG[3], *LOG[8:]])

        assert 3 == failure(records, checkpoints).index

    @every_checkpoint
    def test_moved_ahead(self, checkpoints: Mapping[int, str]) -> None:
        """An entry taken out and put in earlier: the place that it took is named."""
        records = numbered([*LOG[:3], LOG[7], *LOG[3:7], *LOG[8:]])

        assert 3 == failure(records, checkpoints).index


class TestRepeated:
    """One entry stands twice."""

    @places
    @every_checkpoint
    def test_repeated_at_once(self, place: int, checkpoints: Mapping[int, str]) -> None:
        """The second of the two is named."""
        records = numbered([*LOG[: place + 1], *LOG[place:]])

        assert place + 1 == failure(records, checkpoints).index

    @places
    @every_checkpoint
    def test_repeated_at_the_end(self, place: int, checkpoints: Mapping[int, str]) -> None:
        """A valid entry of old times, put in again, is out of order."""
        records = numbered([*LOG, LOG[place]])

        assert SIZE == failure(records, checkpoints).index

    def test_repeated_with_its_number(self) -> None:
        """A line of an export that stands twice is found by its number."""
        assert 4 == failure([*LOG[:4], *LOG[3:]], LAST).index


class TestReplaced:
    """One entry was overwritten by a copy of another one that is validly signed."""

    @pytest.mark.parametrize(
        ("place", "source"),
        [(place, source) for place in range(SIZE) for source in range(SIZE) if place != source],
    )
    def test_replaced(self, place: int, source: int) -> None:
        """The place that holds the copy is named."""
        records = LOG.copy()
        records[place] = LOG[source]

        assert place == failure(numbered(records), EACH).index

    def test_replaced_by_one_that_was_proved(self) -> None:
        """What a checkpoint proved is in its place, so the copy alone is wrong."""
        records = [*LOG[:6], LOG[1], *LOG[7:]]

        assert 6 == failure(numbered(records), checkpoints_of(LOG, every=4)).index

    @places
    def test_replaced_by_a_forged_one(self, place: int) -> None:
        """An entry signed by another key is named."""
        forged = record(place, entry_at(place, message="nothing"), OTHER_KEY)

        found = failure([*LOG[:place], forged, *LOG[place + 1 :]], EACH)

        assert (place, True) == (found.index, "unknown key" in found.message)


class TestInserted:
    """There is one entry too many."""

    @pytest.mark.parametrize("place", range(SIZE + 1))
    def test_inserted(self, place: int) -> None:
        """An entry signed by another key under the true key's name is named."""
        forged = replace(record(place, entry_at(place), OTHER_KEY), key_id=ENTRY_KEY_ID)

        found = failure(numbered([*LOG[:place], forged, *LOG[place:]]), EACH)

        assert (place, True) == (found.index, "signature is wrong" in found.message)

    def test_an_entry_after_the_newest_checkpoint(self) -> None:
        """Even a validly signed one is not proved, and says so."""
        found = failure(LOG, {SIZE - 1: EACH[SIZE - 1]})

        assert (SIZE - 1, True) == (found.index, "are not proved" in found.message)


class TestCut:
    """The newest entries are gone."""

    @pytest.mark.parametrize("left", range(SIZE))
    def test_cut_below_the_newest_checkpoint(self, left: int) -> None:
        """What is there and what was promised are told."""
        found = failure(LOG[:left], EACH)

        assert left == found.index
        assert f"The log has {left} entries, a signed checkpoint promises 12" in found.message

    def test_cut_in_an_export_with_one_checkpoint(self) -> None:
        """What was cut could as well have stood further ahead, and the message doesn't guess."""
        found = failure(LOG[:10], LAST)

        assert (0, True) == (found.index, "from entry 0 on was cut or dropped" in found.message)

    @pytest.mark.parametrize("left", range(1, SIZE))
    def test_cut_with_the_checkpoints(self, left: int) -> None:
        """An older checkpoint kept elsewhere finds what the log alone can't tell."""
        checkpoints = checkpoints_of(LOG[:left])
        verify(LOG[:left], checkpoints)

        found = failure(LOG[:left], checkpoints, [EACH[1], EACH[SIZE]])

        assert (left, True) == (found.index, "its tail was cut" in found.message)


class TestRewritten:
    """The log was made anew."""

    @every_checkpoint
    def test_with_other_keys(self, checkpoints: Mapping[int, str]) -> None:
        """Without the true keys not even the first entry passes."""
        records = [record(place, entry_at(place), OTHER_KEY) for place in range(SIZE)]
        signer = NoteSigner(ORIGIN, OTHER_KEY)

        found = failure(records, checkpoints_of(records, SIZE // len(checkpoints), signer))

        assert (0, True) == (found.index, "unknown key" in found.message)

    def test_with_another_key_under_the_true_name(self) -> None:
        """Lying about the key's name does not help."""
        records = [
            replace(record(place, entry_at(place), OTHER_KEY), key_id=ENTRY_KEY_ID)
            for place in range(SIZE)
        ]

        found = failure(records, checkpoints_of(records))

        assert (0, True) == (found.index, "signature is wrong" in found.message)

    @pytest.mark.parametrize("place", range(1, SIZE + 1))
    def test_a_forged_checkpoint(self, place: int) -> None:
        """True entries under a checkpoint of another key: all before it were proved."""
        forger = NoteSigner(ORIGIN, OTHER_KEY)
        forged = checkpoints_of(LOG, signer=forger)[place]

        found = failure(LOG, EACH | {place: forged})

        assert (place - 1, True) == (found.index, "no key that is trusted" in found.message)

    def test_the_tail_with_both_keys(self) -> None:
        """Someone who has the keys is found by the checkpoints kept elsewhere before."""
        tail = [
            record(place, entry_at(place, message="nothing"), ENTRY_KEY) for place in range(6, SIZE)
        ]
        records = [*LOG[:6], *tail]
        checkpoints = checkpoints_of(records)
        verify(records, checkpoints)

        found = failure(records, checkpoints, [EACH[5], EACH[9]])

        assert (5, True) == (found.index, "rewritten" in found.message)

    def test_the_last_entry_with_both_keys(self) -> None:
        """A trusted checkpoint of the log's whole size is compared too."""
        records = [*LOG[:-1], record(SIZE - 1, entry_at(SIZE - 1, message="no"), ENTRY_KEY)]

        found = failure(records, checkpoints_of(records), [EACH[SIZE]])

        assert (0, True) == (found.index, "rewritten" in found.message)

    def test_a_drop_is_named_as_narrowly_with_a_trusted_checkpoint(self) -> None:
        """The log's own checkpoint of that size speaks first, for it names the place."""
        records = numbered([*LOG[:7], *LOG[8:]])

        assert 7 == failure(records, EACH, [EACH[8]]).index


class TestCheckpoints:
    """What is said of the checkpoints themselves."""

    def test_a_stored_checkpoint_of_another_size(self) -> None:
        """A checkpoint moved to another size is found."""
        found = failure(LOG, EACH | {5: EACH[6]})

        assert (4, True) == (found.index, "is one of 6 entries" in found.message)

    def test_a_stored_checkpoint_that_is_none(self) -> None:
        """Damage to the log's own checkpoint is a failed verification."""
        assert 4 == failure(LOG, EACH | {5: "hello"}).index

    def test_a_forged_trusted_checkpoint(self) -> None:
        """A checkpoint that another key signed proves nothing against the log."""
        forged = checkpoints_of(LOG, signer=NoteSigner(ORIGIN, OTHER_KEY))[5]

        with pytest.raises(VerificationError, match="no key that is trusted"):
            verifier([forged])

    def test_a_trusted_file_that_is_no_checkpoint(self) -> None:
        """The wrong file given by the reader is the reader's mistake."""
        with pytest.raises(InvalidInputError, match="Not a signed note"):
            verifier(["hello"])

    def test_two_trusted_checkpoints_that_contradict_each_other(self) -> None:
        """Whichever the log follows, the other one is held against it."""
        other = [record(place, entry_at(place, message="other"), ENTRY_KEY) for place in range(5)]

        found = failure(LOG, EACH, [EACH[5], checkpoints_of(other)[5]])

        assert (5, True) == (found.index, "rewritten" in found.message)


class TestShape:
    """Validly signed bytes that this log would never have written."""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"v": 2}, "entry format"),
            ({"v": True}, "entry format"),
            ({"id": None}, "UUIDv7"),
            ({"id": "5f0c5a3e-1111-4222-8333-444444444444"}, "UUIDv7"),
            ({"id": "01930000-0003-7000-8000-00000000006F"}, "UUIDv7"),
            ({"time": 12}, "time in UTC"),
            ({"time": "2026-11-22T10:00:00Z"}, "time in UTC"),
            ({"time": "2026-11-22T10:00:00.123456+00:00"}, "time in UTC"),
            ({"time": "2026-11-22T09:59:59.999999Z"}, "dated before"),
            ({"cost": 1.5}, "float"),
            ({"é": 1}, "ASCII"),
        ],
    )
    def test_an_entry_out_of_shape(self, changes: dict[str, object], words: str) -> None:
        """The first record that breaks the format is named."""
        records = [*LOG[:3], record(3, entry_at(3, **changes), ENTRY_KEY), *LOG[4:]]

        found = failure(records, checkpoints_of(records))

        assert (3, True) == (found.index, words in found.message)

    @pytest.mark.parametrize("entry", [b"", b"[]", b"hello", b'{"v": 1}', LOG[3].entry + b"\n"])
    def test_bytes_that_are_no_entry(self, entry: bytes) -> None:
        """Signed or not, only the canonical form passes."""
        records = [*LOG[:3], sealed(3, entry, ENTRY_KEY)]

        found = failure(records, checkpoints_of(records))

        assert (3, True) == (found.index, "not an audit entry" in found.message)


def after_pruned(until: int, trusted: Sequence[str] = ()) -> LogVerifier:
    """Give a verifier that knows so many entries by their hashes alone."""
    log = verifier(trusted)
    for each in LOG[:until]:
        log.add_pruned(each.leaf_hash)
    before = entry_at(until - 1) if until else {"id": "", "time": ""}
    log.begin(log.root, str(before["id"]), str(before["time"]))
    return log


class TestPruned:
    """Of the first entries only the hashes are left."""

    @places
    def test_the_rest_is_proved(self, place: int) -> None:
        """From any place on, up to the newest checkpoint, and by each that was kept elsewhere."""
        log = after_pruned(place, list(EACH.values()))
        for each in LOG[place:]:
            log.add(each)

        assert SIZE == log.finish(EACH[SIZE]).size

    def test_hashes_of_others_are_found_at_once(self) -> None:
        """By what is known of the entries that they should be of."""
        log = verifier()
        for each in LOG[:5]:
            log.add_pruned(each.leaf_hash)
        with pytest.raises(VerificationError, match="hashes that are kept of the first 5"):
            log.begin(Frontier(each.leaf_hash for each in LOG[:4]).root(), "", "")

    def test_hashes_of_others_are_found_by_a_trusted_checkpoint(self) -> None:
        """Whatever is known of them."""
        log = verifier([EACH[3]])
        for each in (LOG[0], LOG[2], LOG[1]):
            log.add_pruned(each.leaf_hash)
        with pytest.raises(VerificationError, match="The first 3 entries are not those"):
            log.add_pruned(LOG[3].leaf_hash)

    def test_what_is_left_stands_after_what_is_known(self) -> None:
        """An entry from before, put in a later place, is named."""
        log = after_pruned(5)
        moved = replace(LOG[2], index=5)
        with pytest.raises(VerificationError, match="out of order") as refusal:
            log.add(moved)

        assert 5 == refusal.value.index
