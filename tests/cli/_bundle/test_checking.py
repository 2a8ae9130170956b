"""Tests that `verify.py` and `tfaudit verify` find whatever is changed in a bundle."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._bundle import verify
from tests.cli._bundle.bundles import (
    AT_DOCUMENT,
    FIRST,
    LAST,
    Content,
    Sample,
    Verifiers,
    appends,
    checkpoint,
    commit,
    content,
    encoded,
    export,
    lines,
    pack,
    with_json,
    with_lines,
)
from tests.cli.tile_logs import tfaudit


def test_a_true_bundle_is_proved(sample: Sample, both: Verifiers) -> None:
    """All of its entries, that none is missing, and that the log only grew."""
    theirs, ours = both.accept(sample.whole)
    assert "60 entries from 230 to 289" in theirs
    assert "Nothing between them is missing." in theirs
    assert "only grew from 20 entries" in theirs
    assert "only grew from 25 entries" in theirs
    assert "first=230, last=289, entries=60, is_whole=True" in ours
    assert "grown_from=(20, 25)" in ours


def test_a_choice_is_proved_and_told_to_be_one(sample: Sample, both: Verifiers) -> None:
    """Each entry; never that there are no others."""
    theirs, ours = both.accept(sample.chosen)
    assert "NOT PROVED: that nothing is missing" in theirs
    assert "is_whole=False" in ours
    assert "whether entries are missing that the filter would have let through" in ours


def test_an_unpacked_bundle_is_proved_too(sample: Sample, both: Verifiers, tmp_path: Path) -> None:
    """As somebody has it who looked into it."""
    for name, each in sample.whole.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each)
    both.accept(tmp_path / "unpacked")
    (tmp_path / "unpacked" / "entries.jsonl").write_bytes(sample.whole["entries.jsonl"][:-1])
    both.refuse(tmp_path / "unpacked", "289")


def test_a_checkpoint_key_alone_is_enough(sample: Sample, both: Verifiers) -> None:
    """It proves the entries; whose key signed them one by one is then not known."""
    key = json.loads(sample.keys.read_text())["checkpoint"]["vkey"]
    theirs, ours = both.accept(sample.whole, key=key)
    assert "checked with the keys in the bundle" in theirs
    assert "the one in the bundle" in ours


@pytest.mark.parametrize("key", [[], ["--key", "nothing"], ["--key", "{}"]])
def test_a_bundle_alone_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: list[str]
) -> None:
    """Without a key from outside nothing is told; tfaudit says the same: see test_verify."""
    monkeypatch.setattr(sys, "argv", ["verify.py", str(tmp_path), *key])
    with pytest.raises(SystemExit, match="2"):
        verify.main()


def test_a_mistyped_key_or_witness_is_none_of_the_bundle(
    sample: Sample,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Which file it is, and what is wrong with it."""
    (tmp_path / "audit.csv").write_text("index,time\n")
    command = ["verify.py", str(pack(sample.whole, tmp_path / "b.zip")), "--key"]
    for words, said in (
        (
            ["nope.json"],
            "nope.json is no public key, nor a file of such: No such file or directory",
        ),
        ([str(tmp_path / "audit.csv")], "audit.csv is no public key, nor a file of such: it holds"),
        (
            [str(sample.keys), "--witness", "w.txt"],
            "w.txt is no public key, nor a file of such: No",
        ),
        ([str(sample.keys), "--witness", str(sample.keys)], "it holds none of this kind"),
    ):
        monkeypatch.setattr(sys, "argv", [*command, *words])
        with pytest.raises(SystemExit, match="2"):
            verify.main()
        assert said in capsys.readouterr().err


def test_a_since_that_is_no_checkpoint_does_not_accuse_the_bundle(
    sample: Sample, both: Verifiers, tmp_path: Path
) -> None:
    """Whichever file was taken for it, it is named."""
    bundle = pack(sample.whole, tmp_path / "b.zip")
    wrong = tmp_path / "audit.csv"
    for text in ("index,time\n", "", "a\nb\nc\n\n\N{EM DASH} d e\n"):
        wrong.write_text(text)
        told = f"COULD NOT TELL: no proof leads from {wrong}: is it the right one? Or ask for one"
        code, said = both.theirs(bundle, "--since", wrong)
        assert (2, told) == (code, said.strip())
    wrong.unlink()
    assert 2 == both.theirs(bundle, "--since", wrong)[0]


def test_keys_are_taken_from_a_pipe(sample: Sample, both: Verifiers, tmp_path: Path) -> None:
    """As a shell gives them: ``--key <(…)``."""
    bundle = pack(sample.whole, tmp_path / "b.zip")
    reading, writing = os.pipe()
    os.write(writing, sample.keys.read_bytes())
    os.close(writing)
    assert 0 == both.theirs(bundle, key=f"/dev/fd/{reading}")[0]
    os.close(reading)


def _swap(files: Content) -> Content:
    all_lines = lines(files)
    all_lines[3], all_lines[4] = all_lines[4], all_lines[3]
    return with_lines(files, "entries.jsonl", all_lines)


def _in_line(at: int, old: bytes, new: bytes) -> Callable[[Content], Content]:
    def change(files: Content) -> Content:
        all_lines = lines(files)
        assert old in all_lines[at]
        all_lines[at] = all_lines[at].replace(old, new)
        return with_lines(files, "entries.jsonl", all_lines)

    return change


def _signature(files: Content) -> Content:
    all_lines = lines(files)
    other = json.loads(all_lines[8])["signature"]["value"].encode()
    mine = json.loads(all_lines[7])["signature"]["value"].encode()
    all_lines[7] = all_lines[7].replace(mine, other)
    return with_lines(files, "entries.jsonl", all_lines)


def _proof(files: Content) -> Content:
    proofs = lines(files, "proofs/entries.jsonl")
    run = json.loads(proofs[1])
    run["right"][0] = encoded(bytes(32))
    proofs[1] = json.dumps(run).encode() + b"\n"
    return with_lines(files, "proofs/entries.jsonl", proofs)


def _without_proof(files: Content) -> Content:
    return with_lines(files, "proofs/entries.jsonl", lines(files, "proofs/entries.jsonl")[:-1])


def _growth(files: Content) -> Content:
    def change(proofs: Any) -> None:
        proofs["since"]["left"][0] = encoded(bytes(32))

    return with_json(files, "proofs/consistency.json", change)


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Content], Content]:
    return lambda files: with_lines(files, "entries.jsonl", change(lines(files)))


def _manifest(**values: object) -> Callable[[Content], Content]:
    return lambda files: with_json(files, "manifest.json", lambda about: about.update(values))


def _put(name: str, content: bytes) -> Callable[[Content], Content]:
    return lambda files: {**files, name: content}


def _without(part: str) -> Callable[[Content], Content]:
    return lambda files: {name: each for name, each in files.items() if part not in name}


CHANGES: dict[str, tuple[Callable[[Content], Content], list[str]]] = {
    "an entry's byte": (_in_line(5, b"number 235", b"number 236"), ["235", "leaf hash"]),
    "a signature": (_signature, ["237", "signature"]),
    "a line's end": (_in_line(2, b'=="}}', b'=="}} '), ["232"]),
    "a proof's hash": (_proof, ["256"]),
    "a proof left away": (_without_proof, ["256"]),
    "the proof of growth": (_growth, ["rewritten", "20"]),
    "a line left away": (_lines(lambda all_: all_[:9] + all_[10:]), ["239 is missing"]),
    "the last line": (_lines(lambda all_: all_[:-1]), ["289 is missing"]),
    "a line twice": (_lines(lambda all_: all_[:9] + all_[8:]), ["239 is missing"]),
    "a line more at the end": (_lines(lambda all_: [*all_, all_[-1]]), ["289"]),
    "two lines swapped": (_swap, ["233 is missing"]),
    "a line laid out anew": (_in_line(1, b'{"index":231,', b'{"index": 231,'), ["231"]),
    "a document": (_put(f"documents/{AT_DOCUMENT}.json", b"{}"), ["240", "document"]),
    "a document more": (_put("documents/241.json", b"{}"), ["documents/241.json"]),
    "a document less": (_without("documents"), ["240", "missing"]),
    "a checkpoint less": (_without("checkpoints/newest"), ["missing"]),
    "an older checkpoint less": (_without("checkpoints/since"), ["missing"]),
    "another true checkpoint": (
        lambda files: {**files, "checkpoints/newest": files["checkpoints/since"]},
        [],
    ),
    "a wider range": (_manifest(**{"from": 229}), ["229 is missing"]),
    "a longer range": (_manifest(to=290), []),
    "a narrower range": (_manifest(to=288), ["288"]),
    "no manifest": (_put("manifest.json", b"[]"), []),
    "no keys": (_put("keys.json", b"{}"), []),
    "proofs that are none": (_put("proofs/entries.jsonl", b"\xff\n"), []),
    "a proof of half a hash": (
        lambda files: with_lines(
            files,
            "proofs/entries.jsonl",
            [each.replace(b'=",', b'",') for each in lines(files, "proofs/entries.jsonl")],
        ),
        [],
    ),
}


@pytest.mark.parametrize(("change", "told"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_is_found_and_named(
    sample: Sample, both: Verifiers, change: Callable[[Content], Content], told: list[str]
) -> None:
    """By both, with exit code 1."""
    both.refuse(change(sample.whole), *told)


def test_a_choice_can_be_no_other(sample: Sample, both: Verifiers) -> None:
    """A line left away, and a choice that calls itself whole."""
    both.refuse(
        with_lines(sample.chosen, "entries.jsonl", lines(sample.chosen)[1:]), "0 is missing"
    )
    is_whole = with_json(sample.chosen, "manifest.json", lambda m: m.update({"complete": True}))
    both.refuse(is_whole, "1 is missing")


def test_entries_can_not_be_told_twice(sample: Sample, both: Verifiers) -> None:
    """By a proof that ends before it begins, after which one starts over."""
    entries, proofs = lines(sample.chosen), lines(sample.chosen, "proofs/entries.jsonl")
    back = json.dumps({"from": 8, "to": -1, "left": [], "right": []}).encode() + b"\n"
    files = with_lines(sample.chosen, "entries.jsonl", [entries[0], *entries])
    files = with_lines(files, "proofs/entries.jsonl", [proofs[0], back, *proofs])
    both.refuse(files, "1 is missing")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Content]:
    """Return another log's keys and its bundle of the same range."""
    directory = tmp_path_factory.mktemp("other")
    data, keys = directory / "data", directory / "keys.json"
    commit(data, appends(range(25)), appends(range(25, 300)))
    keys.write_text(tfaudit("key", "show", "--json", "--data", data).stdout)
    export(data, directory / "b.zip", "--from", FIRST, "--to", LAST)
    return keys, content(directory / "b.zip")


def test_another_logs_bundle_is_refused(
    both: Verifiers, other: tuple[Path, Content], sample: Sample
) -> None:
    """Also with this log's keys in it, and its own checkpoint in ours."""
    keys, files = other
    both.accept(files, key=keys)
    both.refuse(files, "checkpoint")
    both.refuse({**files, "keys.json": sample.whole["keys.json"]}, "checkpoint")
    both.refuse({**sample.whole, "checkpoints/newest": files["checkpoints/newest"]})
    both.refuse({**sample.whole, "entries.jsonl": files["entries.jsonl"]}, "230", "key")


def test_keys_in_a_bundle_are_not_trusted(
    both: Verifiers, other: tuple[Path, Content], sample: Sample
) -> None:
    """Whoever swaps them gains nothing, and loses nothing."""
    swapped = {**sample.whole, "keys.json": other[1]["keys.json"]}
    both.accept(swapped)  # the keys from outside count
    vkey = json.loads(sample.keys.read_text())["checkpoint"]["vkey"]
    both.refuse(swapped, "230", key=vkey)


def test_a_checkpoint_that_was_kept_shows_growth(
    sample: Sample, both: Verifiers, other: tuple[Path, Content], tmp_path: Path
) -> None:
    """One in the bundle proves it; of one that is not it can't be told; another log's is none."""
    both.accept(sample.whole, since=sample.kept)
    later, others = tmp_path / "later", tmp_path / "others"
    later.write_text(checkpoint(sample.data))
    answers = both.ask(pack(sample.chosen, tmp_path / "chosen.zip"), since=later)
    assert [2, 2] == [code for code, _ in answers]
    others.write_bytes(other[1]["checkpoints/newest"])
    answers = both.ask(pack(sample.whole, tmp_path / "whole.zip"), since=others)
    assert [1, 1] == [code for code, _ in answers]


def test_every_bit_of_a_line_counts(sample: Sample, both: Verifiers) -> None:
    """Whichever byte of an entry's line is another, neither takes it."""
    all_lines = lines(sample.chosen)
    line = all_lines[1]
    for at in range(0, len(line), 23):
        changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        both.refuse(
            with_lines(sample.chosen, "entries.jsonl", [all_lines[0], changed, *all_lines[2:]])
        )


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "number", ["NaN", "1e400", "-Infinity", "-1", "60.0", "true", '"9"', "999"]
)
@pytest.mark.parametrize("whole", [True, False])
def test_an_index_in_the_manifest_is_a_number_of_an_entry(
    sample: Sample, both: Verifiers, name: str, number: str, *, whole: bool
) -> None:
    """Comparisons with NaN are all false: what can't be told would be called proved."""
    files = sample.whole if whole else sample.chosen
    written = b'"%s":%d' % (name.encode(), json.loads(files["manifest.json"])[name])
    assert written in files["manifest.json"]
    forged = files["manifest.json"].replace(written, f'"{name}":{number}'.encode())
    both.refuse({**files, "manifest.json": forged}, "manifest.json")


@pytest.mark.parametrize("number", ["NaN", "1e400", "289.0", "true", "-1"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_an_index_in_a_proof_is_a_number_of_an_entry(
    sample: Sample, both: Verifiers, name: str, number: str
) -> None:
    """As those in the manifest."""
    *proofs, last = lines(sample.whole, "proofs/entries.jsonl")
    forged = re.sub(rb'"%s":\d+' % name.encode(), f'"{name}":{number}'.encode(), last)
    assert forged != last
    both.refuse(with_lines(sample.whole, "proofs/entries.jsonl", [*proofs, forged]))
