"""docs/ says what the code does today."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from proxy.cli._access_file import read_access_file, require_known
from proxy.config import load_config
from proxy.contracts import LogQuery
from proxy.directory import Directory
from proxy.events import EVENTS, OUTCOMES
from proxy.formats import FORMATS
from proxy.patterns import parse as parse_pattern
from proxy.patterns.askable import mistakes_in
from proxy.server.openapi import path_of
from proxy.server.routes import ROUTES
from proxy.tfstate.document import parse
from proxy.tfstate.redact import Redactor
from tests.documents import (
    DOCS,
    FILES,
    FILTERS,
    PLACES,
    SHAPE,
    SHOWN,
    check_entries,
    entry_shape,
    passed,
)
from tests.examples import EXAMPLES, ORIGIN, entry_of, example
from tests.patterns.reference import is_match


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_documents_are_up_to_date(name: str) -> None:
    """What repeats the code was made from this code: else run ``python -m tests.documents``."""
    assert FILES[name]() == (DOCS / name).read_text("utf-8")


def test_what_a_filter_can_ask_for_is_what_the_schema_says() -> None:
    """Else run ``python -m tests.documents``."""
    assert entry_shape() == SHAPE.read_text("utf-8")


@pytest.mark.parametrize("event", EVENTS)
def test_whatever_stands_in_an_example_can_be_asked_for(event: str) -> None:
    """By its place and value: no filter that some entry meets is refused."""
    for name, value in entry_of(example(event)).items():
        for pattern in asking(value):
            assert [] == [str(each) for each in mistakes_in({name: pattern})]


def asking(value: Any) -> Iterator[Any]:
    """Yield patterns that a value meets, one for each thing in it."""
    if isinstance(value, dict):
        yield from ({key: each} for key, found in value.items() for each in asking(found))
    elif isinstance(value, list):
        yield from (each for found in value for each in asking(found))
    else:
        yield [value]


def test_every_event_has_an_example() -> None:
    """A new event of the catalogue needs one in tests/examples.py, and none is left behind."""
    assert set(EVENTS) == set(EXAMPLES)


@pytest.mark.parametrize("event", EVENTS)
def test_an_example_is_a_real_entry(event: str) -> None:
    """It fits the published schema and is of the event that it stands for."""
    entry = entry_of(example(event))
    check_entries([entry])
    assert event == entry["event"]


def test_examples_are_the_same_each_time_and_all_different() -> None:
    """So that the documents change only with what they say."""
    once, again = ([example.__wrapped__(event).record for event in EVENTS] for _ in range(2))
    assert once == again
    assert len(once) == len({record.index for record in once})


def test_things_stand_where_the_document_says() -> None:
    """Each row of the table in docs/formats.md, by the event that is shown there."""
    stored = example(SHOWN)
    made = {name: make(entry_of(stored), stored.record, ORIGIN) for name, make in FORMATS.items()}
    for ours, places in PLACES.items():
        wanted = str(_at(made["native"], ours))
        found = [
            str(_at(made[name], place))
            for name, place in zip(("cloudevents", "ocsf", "ecs"), places, strict=True)
        ]
        assert [wanted] * 3 == found, ours


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path; a number is a position in a list."""
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


@pytest.mark.parametrize("pattern", FILTERS.values(), ids=FILTERS)
def test_a_documented_filter_lets_some_events_through(pattern: dict[str, Any]) -> None:
    """Some, not all; and a rule on a bus that gets the entry as its detail takes the same ones."""
    through = passed(pattern)
    assert 0 < len(through) < 12
    rule = {"detail": pattern}
    assert through == [
        event for event in EVENTS if is_match(rule, {"detail": entry_of(example(event))})
    ]


def test_every_filter_in_the_documents_is_taken() -> None:
    """As it is typed there, with the events that there are."""
    texts = [path.read_text("utf-8") for path in (*DOCS.glob("*.md"), DOCS.parent / "README.md")]
    found = re.findall(r"--filter '(\{.*?\})'", "\n".join(texts))
    for each in found:
        parse_pattern(json.loads(each), known={"event": EVENTS, "outcome": OUTCOMES})


def test_the_policy_of_the_readme_is_taken(tmp_path: Path) -> None:
    """As it stands there."""
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```toml\n(\[redaction\].*?)```", readme, flags=re.DOTALL)
    path = tmp_path / "tfaudit.toml"
    path.write_text(block, "utf-8")
    policy = load_config(path, {}).redaction.policy()
    assert policy.verdict("output", ("break_glass_root",)) is True
    assert policy.verdict("aws_lambda_function", ("environment", 0, "variables")) is None
    assert [(2, 23)] == policy.find_values("x ACME-0123456789ABCDEF")


def test_every_address_beside_the_states_is_documented() -> None:
    """docs/api.md names each with its method, and each parameter of the log."""
    text = (DOCS / "api.md").read_text("utf-8")
    for route in ROUTES:
        if not route.path.startswith("/state/"):
            assert f"`{route.method} {path_of(route)}`" in text
    for field in fields(LogQuery):
        if field.name != "view":  # those are the reader's own limits
            name = field.name if field.name != "claims" else "claim"
            assert f"\n| `{name}` | " in text


def test_the_readme_shows_an_entry_as_it_is_made() -> None:
    """The change before redaction and the one after it belong together."""
    blocks = re.search(
        r"<!-- leaves: before -->\n```json\n(.*?)```\n<!-- leaves: after -->\n```json\n(.*?)```\n",
        (DOCS.parent / "README.md").read_text("utf-8"),
        re.DOTALL,
    )
    assert blocks is not None
    database = json.loads(blocks[1])
    definitions = {"container_definitions": database.pop("container_definitions")}
    before, after = (
        parse(
            json.dumps(
                {
                    "version": 4,
                    "serial": version,
                    "lineage": "l",
                    "resources": [
                        {
                            "mode": "managed",
                            "type": type_,
                            "name": name,
                            "instances": [
                                {
                                    "attributes": {
                                        key: sides[version] for key, sides in attributes.items()
                                    }
                                }
                            ],
                        }
                        for type_, name, attributes in (
                            ("aws_db_instance", "main", database),
                            ("aws_ecs_task_definition", "web", definitions),
                        )
                    ],
                }
            ).encode()
        )
        for version in (0, 1)
    )
    redacted, _ = Redactor().change(before, after, bytes(32))
    assert json.loads(blocks[2]) == redacted.entry


def test_the_access_file_that_is_documented_can_be_applied(tmp_path: Path) -> None:
    """As it stands there: every table is one, and every grant is for somebody in it."""
    page = (DOCS / "access-file.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    path = tmp_path / "access.toml"
    file = read_access_file(str(path), text.encode())
    require_known(str(path), file, Directory())
    assert {"principal", "grant", "issuer", "workspace", "sink"} == file.kinds
