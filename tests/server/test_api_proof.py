"""Tests of proxy.server.api_proof over a real store: what a stranger gets, and who gets nothing."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.access import Role
from proxy.contracts import LogQuery
from proxy.tlog.checkpoint import Checkpoint, verify_checkpoint
from proxy.tlog.merkle import leaf_hash
from proxy.tlog.note import NoteVerifier
from proxy.tlog.proof import root_hash, root_nodes, verify_consistency
from proxy.tlog.receipt import parse, verify_receipt
from proxy.tlog.tiles import Bundle, Tile, hash_of, tiles_of, unpack_entries
from tests.contracts.store_contract import appends
from tests.documents import check_entries
from tests.running import SYSTEM, Face, a_face
from tests.samples import a_state, log_of

PROOF = "/api/v1/entries/{}/proof"
GROWTH = "/api/v1/proofs/consistency"


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over a log of some hundred entries."""
    async with a_face(tmp_path) as running:
        for role in (Role.AUDITOR, Role.READER):
            await running.token(role)
        await running.program.store.write(appends(*map(str, range(600))))
        yield running


def verifier(face: Face) -> NoteVerifier:
    """Return the log's public checkpoint key."""
    return NoteVerifier.parse(face.program.keys.vkey)


async def newest(face: Face) -> Checkpoint:
    """Return what the newest checkpoint says, as anybody gets it."""
    answer = await face.ask("GET", "/checkpoint", role=None)
    return verify_checkpoint(answer.body, verifier(face))


# ---------------------------------------------------------------- receipts


async def test_a_receipt_proves_its_entry_to_a_stranger(face: Face) -> None:
    """With the public key alone; and its reading is an entry that the answer names."""
    stored = [each async for each in face.program.store.entries(LogQuery())]
    for index in (0, 1, 255, 256, 511, len(stored) - 1):
        answer = await face.ask("GET", PROOF.format(index), role=Role.AUDITOR)
        assert (200, "text/plain; charset=utf-8", "no-store") == (
            answer.status,
            answer.headers["content-type"],
            answer.headers["cache-control"],
        )
        receipt = parse(answer.body)
        assert (index, stored[index].record.entry) == (receipt.index, receipt.entry)
        assert answer.index is not None
        assert answer.index < verify_receipt(receipt, [verifier(face)]).size
        entry = (await log_of(face.program.store))[answer.index]
        assert ("audit.read", {"index": index}) == (entry["event"], entry["query"])
    check_entries(await log_of(face.program.store))


async def test_an_entry_that_there_is_not_has_no_receipt(face: Face) -> None:
    """404 beyond the end, on record; 400 for what is no index."""
    answer = await face.ask("GET", PROOF.format(10**9), role=Role.AUDITOR)
    assert 404 == answer.status
    entry = await face.last()
    assert ("audit.read", "error", 404) == (
        entry["event"],
        entry["outcome"],
        entry["request"]["status"],
    )
    for index in ("01", "-1", "x", "1" * 17):
        assert 400 == (await face.ask("GET", PROOF.format(index), role=Role.AUDITOR)).status


async def test_an_auditor_of_some_workspaces_gets_receipts_of_those_alone(face: Face) -> None:
    """Others are as if they were not there."""
    await face.program.states.import_state(SYSTEM, "prod/network", a_state(1))
    token = await face.token(Role.AUDITOR, ("prod/*",))
    entries = await log_of(face.program.store)
    own = next(
        i for i, entry in enumerate(entries) if entry.get("workspace", "").startswith("prod")
    )
    other = next(i for i, entry in enumerate(entries) if "workspace" not in entry)
    assert 200 == (await face.ask("GET", PROOF.format(own), token=token)).status
    assert 404 == (await face.ask("GET", PROOF.format(other), token=token)).status


async def test_a_damaged_log_gives_no_receipt_that_would_not_hold(face: Face) -> None:
    """It is a failure of ours, 503, and no accusation."""
    change = "UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 1"
    face.program.store._writer.execute(change)  # type: ignore[attr-defined]
    answer = await face.ask("GET", PROOF.format(0), role=Role.AUDITOR)
    assert 503 == answer.status
    assert b"run `tfaudit verify`" in answer.body
    growth = await face.ask("GET", f"{GROWTH}?from=1", role=Role.AUDITOR)
    assert 503 == growth.status


# ---------------------------------------------------------------- growth


async def test_growth_is_proved_between_any_two_sizes(face: Face) -> None:
    """Also up to the newest, which has its checkpoint with it."""
    for old, new in ((0, 5), (1, 2), (3, 3), (255, 600), (256, 512), (300, None), (7, 601)):
        to = "" if new is None else f"&to={new}"
        answer = await face.ask("GET", f"{GROWTH}?from={old}{to}", role=Role.AUDITOR)
        assert 200 == answer.status, answer.body
        told = json.loads(answer.body)
        assert {"from", "to", "proof", "newest"} == set(told)
        first, second = told["from"], told["to"]
        roots = [b64decode(each["root"]) for each in (first, second)]
        proof = list(map(b64decode, told["proof"]))
        assert old == first["size"]
        assert new in {None, second["size"]}
        verify_consistency(old, roots[0], second["size"], roots[1], proof)
        if new is None:
            assert told["newest"] == second["checkpoint"]
            assert roots[1] == verify_checkpoint(told["newest"], verifier(face)).root
    assert {"from": 7, "to": 601} == (await face.last())["query"]
    check_entries([await face.last()])


async def test_sizes_that_can_not_be_are_refused(face: Face) -> None:
    """Beyond the log 404; the wrong way round, missing or no number 400, with the field."""
    assert 404 == (await face.ask("GET", f"{GROWTH}?from=1&to=100000", role=Role.AUDITOR)).status
    assert 404 == (await face.ask("GET", f"{GROWTH}?from=100000", role=Role.AUDITOR)).status
    for query, field in (("from=5&to=4", "from"), ("to=4", "from"), ("from=-1", "from")):
        answer = await face.ask("GET", f"{GROWTH}?{query}", role=Role.AUDITOR)
        assert (400, field) == (answer.status, json.loads(answer.body)["field"])


# ---------------------------------------------------------------- tiles


async def test_the_whole_log_can_be_checked_from_its_tiles(face: Face) -> None:
    """Checkpoint, tiles and entries as the specification has them, each as long as it should be."""
    checkpoint = await newest(face)
    size = checkpoint.size
    tiles: dict[Tile, bytes] = {}
    for tile in tiles_of(size):
        answer = await face.ask("GET", f"/{tile.path}", role=Role.AUDITOR)
        assert (200, "application/octet-stream") == (answer.status, answer.headers["content-type"])
        assert "private, max-age=31536000, immutable" == answer.headers["cache-control"]
        tiles[tile] = answer.body
    nodes = root_nodes(size)
    assert checkpoint.root == root_hash(size, [hash_of(node, tiles, size) for node in nodes])
    for tile in (tile for tile in tiles if tile.level == 0):
        bundle = Bundle(tile.number, tile.width)
        answer = await face.ask("GET", f"/{bundle.path}", role=Role.AUDITOR)
        leaves = map(leaf_hash, unpack_entries(bundle, answer.body))
        assert tiles[tile] == b"".join(leaves)


async def test_every_smaller_tile_is_there_too(face: Face) -> None:
    """Of every size that the log had, as each had its checkpoint."""
    full = (await face.ask("GET", "/tile/0/001", role=Role.AUDITOR)).body
    for width in (1, 2, 100, 255):
        answer = await face.ask("GET", f"/tile/0/001.p/{width}", role=Role.AUDITOR)
        assert full[: 32 * width] == answer.body


ABSENT = {
    "tile/0/002.p/255": 404,
    "tile/0/002": 404,
    "tile/1/000": 404,
    "tile/1/000.p/3": 404,
    "tile/63/000.p/1": 404,
    "tile/entries/002": 404,
    "tile/entries/x999/x999/x999/x999/x999/x999/999": 404,
    "tile/0/0": 400,
    "tile/8/0/000": 400,
    "tile/0/000.p/256": 400,
    "tile/0/000?x=1": 400,
}
"""Paths, and how each is refused."""


async def test_what_the_log_has_not_is_not_given(face: Face) -> None:
    """404 beyond the newest checkpoint, 400 for what is no path of a tile."""
    for path, status in ABSENT.items():
        answer = await face.ask("GET", f"/{path}", role=Role.AUDITOR)
        assert status == answer.status, path


async def test_entries_are_compressed_for_whoever_takes_it(face: Face) -> None:
    """The content is the same; hashes are never compressed, as they can't be made smaller."""
    path = "/tile/entries/000"
    plain = await face.ask("GET", path, role=Role.AUDITOR)
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" == plain.headers["vary"]
    for accepted, is_smaller in (("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False)):
        headers = {"Accept-Encoding": accepted}
        answer = await face.ask("GET", path, role=Role.AUDITOR, headers=headers)
        assert plain.body == answer.body  # the client has unpacked it
        assert is_smaller is (int(answer.headers["content-length"]) < len(plain.body) // 2)
        assert is_smaller is (answer.headers.get("content-encoding") == "gzip")
    tile = await face.ask(
        "GET", "/tile/0/000", role=Role.AUDITOR, headers={"Accept-Encoding": "gzip"}
    )
    assert "content-encoding" not in tile.headers


async def test_reading_tiles_does_not_make_the_log_grow_with_each(face: Face) -> None:
    """The first is an entry that the answer names; the others are counted until the window ends."""
    size = (await newest(face)).size
    answers = [await face.ask("GET", "/tile/entries/000", role=Role.AUDITOR) for _ in range(5)]
    assert [size, None, None, None, None] == [answer.index for answer in answers]
    assert size + 1 == (await newest(face)).size
    await face.program.readings.aclose()
    entry = await face.last()
    assert (4, {"tiles": 0, "bundles": 4, "first": 0, "last": 255}) == (
        entry["count"],
        entry["query"],
    )


async def test_an_auditor_of_some_workspaces_gets_hashes_and_no_entries(face: Face) -> None:
    """Hashes tell nothing of a workspace, bundles hold entries of all."""
    for token in (
        await face.token(Role.AUDITOR, ("prod/*",)),
        await denied_something(face),
    ):
        assert 200 == (await face.ask("GET", "/tile/0/000", token=token)).status
        answer = await face.ask("GET", "/tile/entries/000", token=token)
        assert (403, "access.denied") == (answer.status, (await face.last())["event"])
        assert answer.index == len(await log_of(face.program.store)) - 1


async def denied_something(face: Face) -> str:
    """Return a token of somebody who may read the log of all workspaces but some."""
    directory = face.program.directory
    await directory.create(SYSTEM, "principal", {"name": "eve"})
    for name, deny, glob in (("all", False, "*"), ("but", True, "secret/*")):
        grant = {"name": name, "principal": "eve", "role": "auditor", "workspaces": [glob]}
        await directory.create(SYSTEM, "grant", {**grant, "deny": deny})
    minted = await face.program.admin.create_token(SYSTEM, "eve", "", ["*"], None, principal="eve")
    return minted.text


async def test_nobody_else_reads_the_log(face: Face) -> None:
    """Neither without credentials nor with a role that may not; each refusal is on record."""
    for path in ("/tile/0/000", "/tile/entries/000", PROOF.format(0), f"{GROWTH}?from=1"):
        before = await face.program.store.size()
        assert 401 == (await face.ask("GET", path, role=None)).status
        assert 403 == (await face.ask("GET", path, role=Role.READER)).status
        entries = (await log_of(face.program.store))[before:]
        assert ["auth.failed", "access.denied"] == [entry["event"] for entry in entries]


async def test_a_public_log_is_read_by_anybody(tmp_path: Path) -> None:
    """Without credentials, by caches too, and on record as read by nobody known."""
    async with a_face(tmp_path, public_log=True) as face:
        await face.program.store.write(appends(*map(str, range(300))))
        for path in ("/tile/0/000", "/tile/entries/000", "/tile/0/001.p/44"):
            answer = await face.ask("GET", path, role=None)
            assert (200, "public, max-age=31536000, immutable") == (
                answer.status,
                answer.headers["cache-control"],
            )
        assert 404 == (await face.ask("GET", "/tile/0/009", role=None)).status
        assert 400 == (await face.ask("GET", "/tile/0/9", role=None)).status
        entry = await face.last()
        assert ("anonymous", "127.0.0.1", {"tile": "tile/0/000"}) == (
            entry["actor"]["type"],
            entry["source"]["ip"],
            entry["query"],
        )
        assert 301 == await face.program.store.size()
        assert 401 == (await face.ask("GET", PROOF.format(0), role=None)).status
