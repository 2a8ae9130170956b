"""Tests of proxy.cli._baseline: what is written down of a log comes back as it was."""

from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._baseline import Known, frozen, thawed
from proxy.cli._common import run, settings
from proxy.cli._replay import Replay
from proxy.cli._verification import Mark, TrustedKeys, verify_store
from proxy.errors import UnavailableError
from proxy.program import open_program
from proxy.storage.reader import SQLiteReader
from tests.cli.pruned_logs import OLDEST, a_past


def known_of(data: Path) -> Known:
    """Return what is known of a log's oldest entries."""

    async def work() -> Known:
        config = settings(data, None)
        async with open_program(config, create=False) as program:
            while await program.store.keep_tiles():
                pass
            keys = TrustedKeys.of_ring(program.keys)
        mark = Mark(OLDEST)
        async with SQLiteReader(config.data.database) as store:
            await verify_store(store, keys, [], lambda: None, mark=mark)
        return Known.unpack(mark.packed)

    return run(work())


def unlike(value: Any, default: Any) -> set[str]:
    """Return the names of the parts of a value that are not what they begin as."""
    return {
        each.name
        for each in fields(value)
        if getattr(value, each.name) != getattr(default, each.name)
    }


def test_what_is_known_of_a_log_comes_back_as_it_was(tmp_path: Path) -> None:
    """All of it, in the same bytes; the log has something for nearly every part."""
    known = known_of(a_past(tmp_path).data)
    again = Known.unpack(known.packed())
    assert known == again
    assert known.packed() == again.packed()
    empty = {each.name for each in fields(Replay)} - unlike(known.replay, Replay())
    assert {"is_running", "pruned"} == empty
    assert is_dataclass(again.replay.people)
    assert again.replay.people._sessions


@dataclass
class _Older:
    one: int = 1


@dataclass
class _Newer:
    one: int = 1
    two: dict[tuple[str, int], bytes | None] = field(default_factory=dict)
    three: object = None


def test_what_an_older_release_did_not_know_is_the_default() -> None:
    """As a log of then has nothing of it."""
    assert _Newer(5) == thawed(frozen(_Older(5), _Older), _Newer)


def test_what_a_newer_release_knows_is_refused() -> None:
    """It would be lost."""
    newer = frozen(_Newer(two={("a", 1): b"\x00", ("b", 2): None}, three=b"x"), _Newer)
    assert _Newer(two={("a", 1): b"\x00", ("b", 2): None}, three=b"x") == thawed(newer, _Newer)
    newer = frozen(_Newer(5), _Newer)
    with pytest.raises(ValueError, match="has no"):
        thawed(newer, _Older)


@pytest.mark.parametrize("packed", [b"", b"no archive"])
def test_what_can_not_be_read_is_told(packed: bytes) -> None:
    """It may be of another release."""
    with pytest.raises(UnavailableError, match="another release"):
        Known.unpack(packed)


def test_what_can_not_be_written_down_is_a_fault_of_ours() -> None:
    """Of a type that nobody thought of."""
    with pytest.raises(TypeError, match="can't be written down"):
        frozen(1.5, complex)
    with pytest.raises(TypeError, match="can't be written down"):
        thawed(1.5, complex)
