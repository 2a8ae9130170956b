"""Tests of `tfaudit verify --witness`: who must have cosigned what proves the log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.access import Role
from proxy.cli._tile_tree import http_source, read_cosigned
from proxy.cli._witnessed import Witnessed, parse_quorum
from proxy.cosigned import Cosigned
from proxy.errors import InvalidInputError
from proxy.tlog.checkpoint import verify_checkpoint
from proxy.tlog.cosignature import Cosigner, add_cosignatures
from proxy.tlog.note import NoteVerifier, split_note
from tests.cli._bundle.bundles import Verifiers, appends, checkpoint, commit, content, pack
from tests.cli.test__tile_check import served
from tests.cli.tile_logs import tfaudit, verified
from tests.running import a_face

COSIGNERS = tuple(
    Cosigner(f"witness.example/{n}", Ed25519PrivateKey.from_private_bytes(b"%32d" % n))
    for n in range(3)
)
VKEYS = tuple(each.verifier.vkey for each in COSIGNERS)
THEN = 1_800_000_000
SEEN = 7
"""Entries when two of the three witnesses cosigned."""


def cosigned(note: str, who: Sequence[int] = (0, 1)) -> str:
    """Return a checkpoint that these witnesses cosigned, each a second after the one before."""
    text, _ = split_note(note)
    return add_cosignatures(note, [COSIGNERS[n].cosign(text, THEN + n) for n in who])


def named(*numbers: int) -> list[str]:
    """Return the options that name witnesses."""
    return [part for n in numbers for part in ("--witness", VKEYS[n])]


@dataclass(frozen=True, slots=True)
class Seen:
    """A log that two of three witnesses saw when it had SEEN entries.

    Attributes:
        data: the data directory.
        config: its configuration, in which all three are named.
        keys: the public keys.
    """

    data: Path
    config: Path
    keys: Path

    @property
    def file(self) -> Path:
        """The cosigned checkpoint."""
        return self.data / "checkpoint.cosigned"

    def run(self, *args: object, code: int = 0) -> str:
        """Run a command of whoever has the log."""
        return tfaudit(*args, "--config", self.config, code=code).output

    def check(self, what: object, *options: object, code: int = 0) -> dict[str, object]:
        """Verify as somebody does who has the public keys alone."""
        nowhere = self.data.with_name("nowhere")
        return verified(what, "--key", self.keys, "--data", nowhere, *options, code=code)


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    """Return the log, which grew on since."""
    made = Seen(tmp_path / "data", tmp_path / "tfaudit.toml", tmp_path / "keys.json")
    listed = [f"http://127.0.0.1:{n + 1} {vkey}" for n, vkey in enumerate(VKEYS)]
    made.config.write_text(
        f'[data]\ndirectory = "{made.data}"\n[witness]\nask = {json.dumps(listed)}\nquorum = 2\n'
    )
    commit(made.data, appends(range(SEEN)))
    made.file.write_text(cosigned(checkpoint(made.data)))
    commit(made.data, appends(range(3)))
    made.keys.write_text(tfaudit("key", "show", "--json", "--data", made.data).stdout)
    return made


def said(shown: dict[str, object]) -> tuple[object, ...]:
    """Return what is told of the witnesses."""
    told = shown["cosigned"]
    assert isinstance(told, dict)
    return told["entries"], told["time"], told["witnesses"], told["asked"]


BOTH_SAID = (SEEN, "2027-01-15T08:00:00.000000Z", ["witness.example/0", "witness.example/1"])


# ---------------------------------------------------------------- whole logs


def test_of_a_data_directory_it_is_told_how_far_witnesses_know_it(seen: Seen) -> None:
    """And what came after that; with whose word it is, and of when."""
    shown = seen.check(seen.data, *named(0, 1, 2), "--quorum", 2)
    assert ("verified", (*BOTH_SAID, 3)) == (shown["result"], said(shown))
    assert f"the witnesses know the entries from {SEEN} on" in str(shown["unchecked"])
    told = tfaudit("verify", seen.data, "--key", seen.keys, *named(0, 1)).output
    assert f"Cosigned: the first {SEEN} entries, by 2 of 2 witnesses (witness.example/0" in told
    assert "cosigned" not in seen.check(seen.data)
    shown = seen.check(seen.data, "--tree-only", *named(1))
    assert SEEN == said(shown)[0]


@pytest.mark.parametrize("who", [(2,), (0, 1, 2)])
def test_too_few_are_missing(seen: Seen, who: tuple[int, ...]) -> None:
    """One that did not answer, or all where only two did."""
    shown = seen.check(seen.data, *named(*who), code=1)
    assert "missing" == shown["result"]
    assert f"cosigned by {len(who)} of the {len(who)} witnesses" in str(shown["message"])


def test_without_a_cosigned_checkpoint_it_is_missing(seen: Seen) -> None:
    """Unless somebody kept one."""
    kept = seen.file.rename(seen.data.with_name("kept"))
    assert "missing" == seen.check(seen.data, *named(0, 1), code=1)["result"]
    assert SEEN == said(seen.check(seen.data, *named(0, 1), "--checkpoint", kept))[0]
    assert SEEN == said(seen.check(seen.data, *named(0, 1), "--since", kept))[0]


def test_a_forged_cosignature_is_invalid(seen: Seen) -> None:
    """Though another witness suffices: somebody lied."""
    text, lines = split_note(seen.file.read_text())
    (last,) = [each for each in lines if each.name == COSIGNERS[1].verifier.name]
    forged = last._replace(signature=last.signature[:-1] + bytes([last.signature[-1] ^ 1]))
    seen.file.write_text(seen.file.read_text().replace(last.text(), forged.text()))
    shown = seen.check(seen.data, *named(0, 1), "--quorum", 1, code=1)
    assert "invalid" == shown["result"]
    assert "'witness.example/1' is wrong" in str(shown["message"])
    assert text
    assert "verified" == seen.check(seen.data, *named(0))["result"]


def test_a_cosigned_checkpoint_of_another_log_is_invalid(seen: Seen, tmp_path: Path) -> None:
    """Signed by the witnesses, and not by this log's key."""
    commit(tmp_path / "other", appends(range(SEEN)))
    seen.file.write_text(cosigned(checkpoint(tmp_path / "other")))
    assert "invalid" == seen.check(seen.data, *named(0, 1), code=1)["result"]


def test_a_log_shorter_than_witnesses_know_it_is_missing(seen: Seen) -> None:
    """They cosigned more than there is: its tail was cut."""
    tiles = seen.data.with_name("tiles")
    seen.run("export", "--format", "tiles", "-o", tiles)
    commit(seen.data, appends(range(5)))
    seen.file.write_text(cosigned(checkpoint(seen.data)))
    (tiles / "checkpoint.cosigned").write_text(seen.file.read_text())
    shown = seen.check(tiles, *named(0, 1), code=1)
    assert "missing" == shown["result"]
    assert "was cut or dropped" in str(shown["message"])


def test_tiles_bring_the_cosigned_checkpoint_with_them(seen: Seen) -> None:
    """As a file beside the other, which any web server hands out."""
    tiles = seen.data.with_name("tiles")
    for _ in range(2):  # an export is brought up to date in place
        seen.run("export", "--format", "tiles", "-o", tiles)
    assert seen.file.read_bytes() == (tiles / "checkpoint.cosigned").read_bytes()
    assert SEEN == said(seen.check(tiles, *named(0, 1)))[0]
    with served(tiles) as url:
        assert SEEN == said(seen.check(url, *named(0, 1)))[0]
    (tiles / "checkpoint.cosigned").unlink()
    assert "missing" == seen.check(tiles, *named(0, 1), code=1)["result"]
    # A log may serve its checkpoint with cosignatures in the first place (C2SP tlog-checkpoint).
    whole = (tiles / "checkpoint").read_text()
    (tiles / "checkpoint").write_text(cosigned(whole))
    shown = seen.check(tiles, *named(0, 1))
    assert shown["entries"] == said(shown)[0]


async def test_a_server_of_ours_shows_what_was_cosigned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside its newest checkpoint; when nothing was, there is but that."""
    async with a_face(tmp_path) as face:
        monkeypatch.setenv("TFAUDIT_TOKEN", await face.token(Role.AUDITOR))
        store = face.program.store
        newest = await store.checkpoint()
        async with http_source(f"http://127.0.0.1:{face.port}") as source:
            assert [newest] == await read_cosigned(source)
            note = cosigned(newest)
            at = verify_checkpoint(note, NoteVerifier.parse(face.program.keys.vkey))
            face.program.cosigned.newest = Cosigned(note, at, THEN)
            assert note == (await read_cosigned(source))[1]


def test_a_server_that_is_down_is_no_answer(seen: Seen) -> None:
    """Neither invalid nor missing."""
    with served(seen.data) as url:
        pass
    seen.check(url, *named(0, 1), code=2)


# ---------------------------------------------------------------- receipts


def test_a_receipt_leads_to_what_witnesses_cosigned(seen: Seen, tmp_path: Path) -> None:
    """If that covers its entry; else too few saw it, which is missing."""
    seen.run("receipt", 3, "-o", tmp_path / "old")
    shown = seen.check(tmp_path / "old", *named(0, 1))
    assert ("verified", SEEN) == (shown["result"], said(shown)[0])
    seen.run("receipt", SEEN, "-o", tmp_path / "new")
    assert "verified" == seen.check(tmp_path / "new")["result"]
    assert "missing" == seen.check(tmp_path / "new", *named(0, 1), code=1)["result"]


# ---------------------------------------------------------------- bundles


def bundle(seen: Seen, *options: object) -> Path:
    """Export a bundle."""
    path = seen.data.with_name("b.zip")
    seen.run("export", "--format", "bundle", "-o", path, "--force", *options)
    return path


@pytest.fixture
def both(
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Verifiers:
    """Return what asks both programs."""
    return Verifiers(seen.keys, monkeypatch, capsys, tmp_path)


def test_a_bundle_holds_what_witnesses_cosigned(seen: Seen, both: Verifiers) -> None:
    """Both programs count those that are named, by key or out of a file."""
    path = seen.data.with_name("b.zip")
    told = seen.run("export", "--format", "bundle", "-o", path, "--to", SEEN - 1)
    assert "so far" not in told
    assert SEEN == said(seen.check(path, *named(0, 1)))[0]
    assert SEEN == said(seen.check(path, *named(0, 1, 2), "--quorum", 2))[0]
    code, told = both.theirs(path, *named(0, 1))
    assert 0 == code
    assert f"Cosigned: the first {SEEN} entries, by at least 2 of your 2 witnesses." in told
    file = seen.data.with_name("witnesses")
    file.write_text(f"https://w1.example {VKEYS[0]}\n\n{VKEYS[2]}\n")
    assert 0 == both.theirs(path, "--witness", file, "--quorum", 1)[0]


def test_of_a_bundle_that_goes_further_it_can_not_be_told(seen: Seen, both: Verifiers) -> None:
    """Its last entries were never shown to a witness."""
    path = seen.data.with_name("b.zip")
    told = seen.run("export", "--format", "bundle", "-o", path)
    assert f"cosigned the first {SEEN} entries so far" in told
    assert f"Give --to {SEEN - 1}" in told
    shown = seen.check(path, *named(0, 1), code=2)
    assert ("unknown", SEEN) == (shown["result"], said(shown)[0])
    code, told = both.theirs(path, *named(0, 1))
    assert 2 == code
    assert f"COULD NOT TELL: 2 of your 2 witnesses cosigned no more than the first {SEEN}" in told


def test_before_witnesses_cosigned_any_of_it_no_end_is_proposed(seen: Seen) -> None:
    """Neither one below zero, nor one before the first entry of the bundle."""
    told = seen.run(
        "export", "--format", "bundle", "-o", seen.data.with_name("b.zip"), "--from", SEEN
    )
    assert "told of the later ones. Export again in a while." in told
    seen.file.unlink()
    told = seen.run("export", "--format", "bundle", "-o", seen.data.with_name("c.zip"))
    assert "The witnesses have cosigned nothing yet" in told
    assert "--to" not in told


def test_too_few_in_a_bundle_are_missing(seen: Seen, both: Verifiers) -> None:
    """Or none at all, when the checkpoint was taken out with its proof."""
    path = bundle(seen, "--to", 2)
    assert "missing" == seen.check(path, *named(0, 1, 2), code=1)["result"]
    code, told = both.theirs(path, *named(0, 1, 2))
    assert (1, "FAILED: missing: no checkpoint") == (code, told[:30])
    files = content(path)
    growth = json.loads(files["proofs/consistency.json"])
    del growth["cosigned"]
    del files["checkpoints/cosigned"]
    without = pack({**files, "proofs/consistency.json": json.dumps(growth).encode()}, path)
    assert "missing" == seen.check(without, *named(0), code=1)["result"]
    assert 1 == both.theirs(without, *named(0))[0]


def test_a_forged_cosignature_in_a_bundle_is_found(seen: Seen, both: Verifiers) -> None:
    """Also one that was taken from another checkpoint."""
    path = bundle(seen, "--to", 2)
    files = content(path)
    note = files["checkpoints/cosigned"].decode()
    log_alone = note.split("\N{EM DASH} witness")[0]
    for text in ("other\n", f"{split_note(note)[0]}more\n"):
        line = COSIGNERS[0].cosign(text, THEN)
        changed = {**files, "checkpoints/cosigned": (log_alone + line).encode()}
        forged = pack(changed, path)
        shown = seen.check(forged, *named(0), code=1)
        assert "invalid" == shown["result"]
        code, told = both.theirs(forged, *named(0))
        assert (1, True) == (code, "witness.example/0 was changed or forged" in told)
    # Dated anew: the time is signed, too.
    moved = COSIGNERS[0].cosign(split_note(note)[0], THEN)
    _, (_, said_then) = split_note(log_alone + moved)
    redated = (THEN + 9).to_bytes(8, "big") + said_then.signature[8:]
    later = said_then._replace(signature=redated).text()
    forged = pack({**files, "checkpoints/cosigned": (log_alone + later).encode()}, path)
    assert "invalid" == seen.check(forged, *named(0), code=1)["result"]
    assert 1 == both.theirs(forged, *named(0))[0]


@pytest.mark.parametrize(
    "options",
    [
        ["--quorum", "1"],
        [*named(0), "--quorum", "2"],
        [*named(0), "--quorum", "0"],
        ["--witness", "nothing"],
    ],
)
def test_what_is_no_quorum_is_refused(
    seen: Seen, both: Verifiers, options: list[str], tmp_path: Path
) -> None:
    """By both programs, before anything is read."""
    tfaudit("verify", seen.data, "--key", seen.keys, *options, code=2)
    with pytest.raises(SystemExit, match="2"):
        both.theirs(tmp_path, *options)


def test_a_logs_key_is_no_witnesss(seen: Seen, both: Verifiers, tmp_path: Path) -> None:
    """Nor the other way round: each is of its own kind."""
    vkey = json.loads(seen.keys.read_text())["checkpoint"]["vkey"]
    tfaudit("verify", seen.data, "--key", seen.keys, "--witness", vkey, code=2)
    tfaudit("verify", seen.data, "--key", VKEYS[0], code=2)
    for options in (["--witness", vkey], ["--key", VKEYS[0]]):
        with pytest.raises(SystemExit, match="2"):
            both.theirs(tmp_path, *options)


# ---------------------------------------------------------------- whose word


def test_a_file_names_witnesses_as_the_configuration_does(tmp_path: Path) -> None:
    """One a line, with or without an address, and with comments."""
    file = tmp_path / "witnesses"
    file.write_text(f"# ours\nhttps://w.example/ {VKEYS[0]}\n\n  {VKEYS[1]}\n")
    quorum = parse_quorum([str(file), VKEYS[2]], None)
    assert [each.verifier for each in COSIGNERS] == list(quorum.witnesses)
    assert 3 == quorum.wanted


def test_one_key_does_not_count_twice(tmp_path: Path) -> None:
    """Under whatever name."""
    again = Cosigner("other.example", Ed25519PrivateKey.from_private_bytes(b"%32d" % 0))
    with pytest.raises(InvalidInputError, match="one key twice"):
        parse_quorum([VKEYS[0], again.verifier.vkey], None)
    (tmp_path / "empty").touch()
    with pytest.raises(InvalidInputError, match="holds no witness's key"):
        parse_quorum([str(tmp_path / "empty")], None)


def test_the_largest_checkpoint_counts_and_the_time_by_which_a_quorum_spoke(seen: Seen) -> None:
    """Not the newest word of one of them."""
    old = checkpoint(seen.data)
    commit(seen.data, appends(range(1)))
    notes = [cosigned(old, (0, 1, 2)), cosigned(checkpoint(seen.data), (0, 2))]
    quorum = parse_quorum(VKEYS, 2)
    vkey = json.loads(seen.keys.read_text())["checkpoint"]["vkey"]
    size = verify_checkpoint(notes[1], NoteVerifier.parse(vkey)).size
    names = ("witness.example/0", "witness.example/2")
    assert Witnessed(size, THEN, names, 3) == quorum.newest(notes)


def test_a_date_beyond_all_years_is_no_fault() -> None:
    """A witness may sign any time; it is told as the last there is."""
    assert Witnessed(1, 2**62, ("w",), 1).time.startswith("9999-12-31T23:59:59")
