"""Tests of proxy.durable."""

import os
from pathlib import Path

import pytest

from proxy.durable import replace_text


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """Whatever it was."""
    path = tmp_path / "file"
    for text in ("one", "…two\n"):
        replace_text(path, text)
        assert text == path.read_text("utf-8")
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_can_not_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The disk is full, or the directory can't be written."""
    path = tmp_path / "file"
    replace_text(path, "one")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fails)
    with pytest.raises(OSError, match="No space"):
        replace_text(path, "two")
    monkeypatch.undo()
    assert ("one", [path]) == (path.read_text(), list(tmp_path.iterdir()))
