"""The table of what is known to be secret is sound, and grows from a provider's schema."""

import json
from pathlib import Path

import pytest

from proxy.tfstate.knowledge import FILES, rows
from tests import knowledge_table


def test_the_table_is_sound() -> None:
    """Every path can be read, stands once, belongs to its provider, and has its source."""
    assert [] == list(knowledge_table.problems())


def test_nothing_of_the_table_was_lost() -> None:
    """It only grows; what is taken away is said here, and why in `readable.json`."""
    marked, unmarked, added = (len(list(rows(file))) for file in FILES)
    assert marked >= 2_888
    assert unmarked >= 295
    assert added >= 153


def test_marks_of_a_schema() -> None:
    """Attributes, blocks of every nesting, nested attributes, whole blocks' attributes."""
    secret = {"type": "string", "sensitive": True}
    plain = {"type": "string"}
    block = {
        "attributes": {
            "a": secret,
            "b": plain,
            "c": {"nested_type": {"nesting_mode": "map", "attributes": {"d": secret, "e": plain}}},
            "f": {"nested_type": {"nesting_mode": "list", "attributes": {"g": secret}}},
        },
        "block_types": {
            "h": {"nesting_mode": "set", "block": {"attributes": {"i": secret}}},
            "j": {"nesting_mode": "single", "block": {"attributes": {"k": secret}}},
        },
    }
    schemas = {"resource_schemas": {"x_y": {"block": block}}}
    found = list(knowledge_table.schema_marks({"provider_schemas": {"r.io/z/x": schemas}}))
    assert [("x", "x_y", path) for path in ("a", "c{}.d", "f[].g", "h[].i", "j.k")] == found


def test_a_schema_adds_what_is_not_known_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its source; what is known already is left alone."""
    monkeypatch.setattr(knowledge_table, "DATA", tmp_path)
    monkeypatch.setattr(knowledge_table, "SOURCES", tmp_path / "sources.json")
    (tmp_path / "added.json").write_text('{"x": {"x_old": ["a"]}}')
    (tmp_path / "sources.json").write_text('{"added": {"x_old": "a page"}, "readable": {}}')
    secret = {"type": "string", "sensitive": True}
    body = {"block": {"attributes": {"password": secret, "new": secret}}}
    schemas = {"resource_schemas": {"aws_db_instance": body}}
    schema = {"provider_schemas": {"r.io/hashicorp/aws": schemas}}
    assert 1 == knowledge_table.add(schema, "here")
    assert {"aws": {"aws_db_instance": ["new"]}, "x": {"x_old": ["a"]}} == json.loads(
        (tmp_path / "added.json").read_text()
    )
    sources = json.loads((tmp_path / "sources.json").read_text())
    assert "here" in sources["added"]["aws_db_instance"]
