"""Tests of bundles of a log whose keys were rotated: who trusts any of its keys can check all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.tlog.checkpoint import parse, sign
from proxy.tlog.note import NoteSigner, NoteVerifier
from proxy.tlog.rotation import Purpose, Rotation
from tests.cli._bundle.bundles import (
    Content,
    Verifiers,
    appends,
    commit,
    content,
    encoded,
    export,
    pack,
    with_json,
)
from tests.cli.tile_logs import tfaudit

THIEF = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Content]:
    """Return a directory with the keys before and after, and the bundle of all."""
    directory = tmp_path_factory.mktemp("rotated")
    data = directory / "data"
    commit(data, appends(range(5)))
    (directory / "old").write_text(tfaudit("key", "show", "--json", "--data", data).stdout)
    for purpose in ("entry", "checkpoint", "entry"):
        tfaudit("key", "rotate", purpose, "--yes", "--data", data)
        commit(data, appends(range(3)))
    (directory / "new").write_text(tfaudit("key", "show", "--json", "--data", data).stdout)
    (directory / "all").write_text(tfaudit("key", "export-public", "--json", "--data", data).stdout)
    export(data, directory / "b.zip")
    return directory, content(directory / "b.zip")


def vkey(path: Path) -> str:
    """Return a checkpoint key."""
    return str(json.loads(path.read_text())["checkpoint"]["vkey"])


@pytest.mark.parametrize("name", ["old", "new", "all"])
def test_any_key_of_the_log_leads_to_all(
    both: Verifiers, rotated: tuple[Path, Content], name: str
) -> None:
    """By the hand-overs in the bundle, forwards and back; also from a checkpoint key alone."""
    directory, files = rotated
    both.accept(files, key=directory / name)
    both.accept(files, key=vkey(directory / name))


def test_a_hand_over_is_needed(both: Verifiers, rotated: tuple[Path, Content]) -> None:
    """Without it, or with one that nobody signed, the old keys prove nothing of what came after."""
    directory, files = rotated
    without = with_json(files, "keys.json", lambda keys: keys.update(rotations=[]))
    both.refuse(without, "checkpoint", key=directory / "old")

    def forge(keys: dict[str, list[dict[str, dict[str, str]]]]) -> None:
        for each in keys["rotations"]:
            each["signatures"]["old"] = each["signatures"]["new"]

    both.refuse(with_json(files, "keys.json", forge), "checkpoint", key=directory / "old")


def test_a_thief_can_not_vouch_for_himself(both: Verifiers, rotated: tuple[Path, Content]) -> None:
    """Whoever trusts a checkpoint key alone is not led away by an entry key that was made up."""
    directory, files = rotated
    true = NoteVerifier.parse(vkey(directory / "new"))
    raw = true.public_key.public_bytes_raw()

    def made(purpose: Purpose, old: bytes, index: int) -> dict[str, object]:
        is_lost = purpose == "checkpoint"
        new = (THIEF if is_lost else OTHER).public_key().public_bytes_raw()
        one = Rotation(index, purpose, true.name, old, new, is_lost)
        signers = {"vouched": OTHER, "new": THIEF} if is_lost else {"old": THIEF, "new": OTHER}
        signed = {name: key.sign(one.statement()) for name, key in signers.items()}
        return {"index": one.index, **replace(one, signatures=signed).part()}

    named = {"purpose": "entry", "public_key": encoded(OTHER.public_key().public_bytes_raw())}
    text = files["checkpoints/newest"].decode().rpartition("\n\n")[0] + "\n"
    forged = {
        **files,
        "checkpoints/newest": sign(parse(text), NoteSigner(true.name, THIEF)).encode(),
    }
    stranger = THIEF.public_key().public_bytes_raw()
    for first, second in ((0, 1), (1, 0)):
        rotations = [made("entry", stranger, first), made("checkpoint", raw, second)]
        for told in (rotations, rotations[::-1]):
            keys = {"rotations": told, "keys": [named]}
            changed = {**forged, "keys.json": json.dumps(keys).encode()}
            both.refuse(changed, key=vkey(directory / "new"))
            both.refuse(changed, key=directory / "new")


def test_rotations_stand_in_the_logs_order(both: Verifiers, rotated: tuple[Path, Content]) -> None:
    """In another a key that was retired could be the last: one program sorts, one refuses."""
    directory, files = rotated
    turned = with_json(files, "keys.json", lambda keys: keys["rotations"].reverse())
    answers = both.ask(pack(turned, directory / "turned.zip"), directory / "new")
    assert [0, 1] == [code for code, _ in answers]
