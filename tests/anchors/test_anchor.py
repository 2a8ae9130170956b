"""Tests of what holds of anchors of every kind: what is put, found, and never undone."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.anchors.anchor import Anchor
from proxy.anchors.place import Label
from proxy.cli._anchors import read_anchors
from proxy.errors import ConfigError, UnavailableError
from proxy.tlog.checkpoint import sign
from tests.anchors.scenes import NAME, VERIFIER, Scene, grow, recover
from tests.witness.logs import LOG, at


def sizes(scene: Scene) -> list[int]:
    """Return the sizes of what `verify --against` finds in the place."""
    scene.spot.contents()
    found = read_anchors([scene.spot.path], [VERIFIER])
    assert ([], frozenset()) == (found.wrong, found.others)
    return [each.checkpoint.size for each in found.found]


def kept(scene: Scene, *expected: int) -> list[int]:
    """Return which of the sizes a place still has: a file has but the last."""
    return list(expected[-1:] if scene.spot.table["type"] == "file" else expected)


async def test_the_newest_checkpoint_is_put_there(scene: Scene) -> None:
    """As the log signed it, where `verify --against` finds it; only the newest each time."""
    async with scene.opened() as (store, anchors):
        await anchors.check()
        for entries in (3, 4):
            await grow(store, entries)
            assert [] == await anchors.keep()
            assert await store.checkpoint() in scene.spot.contents().values()
        assert ({}, {}) == (anchors.failures, anchors.uncompared)
    assert kept(scene, 3, 7) == sizes(scene)


async def test_an_empty_log_puts_nothing(scene: Scene) -> None:
    """There is no checkpoint yet."""
    async with scene.opened() as (_, anchors):
        assert [] == await anchors.keep()
        assert ({}, {}) == (anchors.failures, scene.spot.contents())


async def test_a_log_that_did_not_grow_puts_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a start."""
    await scene.grown(3)
    before = scene.spot.contents()
    async with scene.opened() as (_, anchors):
        await anchors.check()
        await anchors.keep()
        monkeypatch.setattr(Anchor, "_compare", None)  # it is not even looked at
        assert [] == await anchors.keep()
        assert {} == anchors.failures
    assert before == scene.spot.contents()


async def test_a_log_that_grew_without_its_anchor_passes(scene: Scene) -> None:
    """As after a kill, or while the place was down."""
    await scene.grown(3)
    async with scene.opened() as (store, anchors):
        await grow(store, 2)
        await anchors.check()
        assert {} == anchors.uncompared


async def test_a_restored_backup_does_not_start(scene: Scene) -> None:
    """The place knows more; what to do is told."""
    await scene.grown(3)
    scene.back_up()
    await scene.grown(4)
    scene.restore()
    before = scene.spot.contents()
    async with scene.opened() as (_, anchors):
        with pytest.raises(ConfigError) as told:
            await anchors.check()
        assert f"not the one that the anchor {NAME} knows with 7 entries" in str(told.value)
        assert "tfaudit log recover" in str(told.value)
        assert [7] == [each.size for each in await anchors.keep()]
    assert before == scene.spot.contents()


async def test_a_fork_that_grew_past_its_anchor_does_not_start(scene: Scene) -> None:
    """As long as what the place knows, and longer, but of other entries."""
    await scene.grown(3)
    scene.back_up()
    await scene.grown(4)
    scene.restore()
    async with scene.opened() as (store, anchors):
        await grow(store, 9)
        with pytest.raises(ConfigError, match="with 7 entries: an older or another database"):
            await anchors.check()


async def test_what_is_lost_on_record_blocks_nothing(scene: Scene) -> None:
    """The log goes on, and is anchored, also below the size that it once had; nothing is undone."""
    await scene.grown(3)
    scene.back_up()
    for _ in range(4):
        await scene.grown(1)
    lost = scene.spot.contents()
    scene.restore()
    async with scene.opened() as (store, anchors):
        await recover(store, 7)
        await anchors.check()
        for _ in range(5):
            await grow(store, 1)
            assert [] == await anchors.keep()
            assert {} == anchors.failures
            assert await store.checkpoint() in scene.spot.contents().values()
    async with scene.opened() as (_, anchors):
        await anchors.check()
    if scene.spot.table["type"] == "file":
        beside = scene.spot.path.with_name("checkpoint.lost-7")
        assert lost[scene.spot.path.name] == beside.read_text()
    else:
        assert lost.items() <= scene.spot.contents().items()


async def test_a_loss_on_record_covers_no_later_one(scene: Scene) -> None:
    """A backup that is restored once more is found all the same."""
    await scene.grown(3)
    scene.back_up()
    await scene.grown(1)
    scene.restore()
    async with scene.opened() as (store, anchors):
        await recover(store, 4)
        await grow(store, 5)
        assert [] == await anchors.keep()
    scene.restore()
    async with scene.opened() as (_, anchors):
        with pytest.raises(ConfigError, match="knows with 9 entries"):
            await anchors.check()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("nonsense\n", id="no checkpoint"),
        pytest.param("", id="empty"),
        pytest.param(sign(at(7), LOG), id="another log"),
        pytest.param("@altered", id="altered"),
    ],
)
async def test_what_is_no_checkpoint_of_the_log_is_left_alone(scene: Scene, text: str) -> None:
    """No start, nothing overwritten; while the log grows, a failure that tells."""
    name = Label(7, "0" * 16).name
    async with scene.opened() as (store, anchors):
        await grow(store, 3)
        note = await store.checkpoint()
        if text == "@altered":
            name, text = Label(4, "0" * 16).name, note.replace("\n3\n", "\n4\n")
        scene.spot.add(name, text)
        before = scene.spot.contents()
        with pytest.raises(ConfigError, match=f"the anchor {NAME}: .*it is left as it is"):
            await anchors.check()
        assert [] == await anchors.keep()
        assert "another place" in anchors.failures[NAME]
    assert before == scene.spot.contents()


async def test_other_files_are_passed_over(scene: Scene) -> None:
    """A README, another log's anchors by other names."""
    for name, text in (("README.md", "What this is.\n"), ("x.checkpoint", sign(at(7), LOG))):
        if scene.spot.table["type"] == "file":
            scene.spot.path.with_name(name).write_text(text)
        else:
            scene.spot.add(name, text)
    async with scene.opened() as (store, anchors):
        await anchors.check()
        await grow(store, 3)
        assert [] == await anchors.keep()
        assert {} == anchors.failures


async def test_an_anchor_that_lost_all_is_not_written_anew(scene: Scene) -> None:
    """It may not be mounted. A start begins anew."""
    async with scene.opened() as (store, anchors):
        await grow(store, 3)
        await anchors.keep()
        scene.spot.empty()
        await grow(store, 1)
        assert [] == await anchors.keep()
        assert "has no more the checkpoint of 3 entries" in anchors.failures[NAME]
        assert {} == scene.spot.contents()
    async with scene.opened() as (_, anchors):
        await anchors.check()
        assert [3] == [each.gone for each in await anchors.statuses(datetime.now(UTC))]
    await scene.grown(1)
    assert [5] == sizes(scene)


async def test_only_what_was_put_into_this_place_is_missed_there(scene: Scene) -> None:
    """Not in another that the anchor was given, nor what is on record as lost."""
    await scene.grown(3)
    record = scene.data / f"anchor.{NAME}.lock"
    size, _, where = record.read_text().partition(" ")
    for text, gone in (
        (f"{size} /elsewhere\n", None),
        (f"9 {where}", 9),
        (f"nine {where}", None),
        ("", None),
    ):
        record.write_text(text)
        async with scene.opened() as (_, anchors):
            await anchors.check()
            assert [gone] == [each.gone for each in await anchors.statuses(datetime.now(UTC))]
    record.write_text(f"9 {where}")
    async with scene.opened() as (store, anchors):
        await recover(store, 9)
        await anchors.check()
        assert [None] == [each.gone for each in await anchors.statuses(datetime.now(UTC))]


@pytest.mark.parametrize("landed", [False, True])
async def test_a_put_that_fails_is_done_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """Whether it was done and the answer lost, or not."""
    async with scene.opened() as (store, anchors):
        place: Any = anchors._anchors[0]._place
        put = place.put

        async def cut(label: Label, note: str) -> None:
            if landed:
                await put(label, note)
            raise UnavailableError("cut")

        await grow(store, 3)
        with monkeypatch.context() as patch:
            patch.setattr(place, "put", cut)
            await anchors.keep()
        assert {NAME: "cut"} == anchors.failures
        await grow(store, 2)
        await anchors.keep()
        assert {} == anchors.failures
    assert kept(scene, *([3, 5] if landed else [5])) == sizes(scene)


async def test_two_at_once_never_go_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line beside the server: who comes late with less puts nothing."""
    async with scene.opened() as (store, server), scene.opened() as (other, beside):
        for _ in range(3):
            await grow(store, 1)
            await asyncio.gather(server.keep(), beside.keep())
            assert ({}, {}) == (server.failures, beside.failures)
        assert 3 == sizes(scene)[-1]
        newest = store.checkpoint

        async def earlier(size: int | None = None) -> str:
            return await newest(2 if size is None else size)

        beside._anchors[0].size = 1
        monkeypatch.setattr(other, "checkpoint", earlier)
        assert [] == await beside.keep()
        assert {} == beside.failures
    assert kept(scene, 1, 2, 3) == sizes(scene)


async def test_one_that_writes_meanwhile_is_waited_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not without an end."""
    monkeypatch.setattr("proxy.anchors.anchor._TRIES", 2)
    async with scene.opened() as (store, anchors), scene.opened() as (_, other):
        await grow(store, 1)
        async with other._anchors[0]._held():
            await anchors.keep()
        assert "another tfaudit is at the anchor" in anchors.failures[NAME]
        await anchors.keep()
        assert {} == anchors.failures


def test_the_lock_is_no_file_of_the_place(tmp_path: Path, scene: Scene) -> None:
    """It stands with the data."""
    asyncio.run(scene.grown(1))
    assert (tmp_path / "data" / f"anchor.{NAME}.lock").exists()
