"""docs/sinks/ has a page for each type, and what it tells to type is taken."""

import re
import shlex
import tomllib
from typing import Any

import pytest

from proxy.patterns import parse
from proxy.sinks import read_options, sink_class, sink_types
from proxy.sinks.describing import kinds_of
from tests.sink_documents import PAGES


def test_every_type_has_a_page_and_no_page_is_left() -> None:
    """Whoever adds a type writes its guide."""
    assert {*sink_types(), "README"} == {page.stem for page in PAGES.glob("*.md")}


def tables(of: str) -> list[dict[str, Any]]:
    """Return the sinks in the pieces of configuration on a page."""
    text = (PAGES / f"{of}.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    found = [tomllib.loads(block).get("sinks", {}) for block in blocks]
    return [sink for sinks in found for sink in sinks.values()]


@pytest.mark.parametrize("of", [*sink_types(), "README"])
def test_the_configuration_of_a_page_is_taken(of: str) -> None:
    """Each option, and each filter."""
    found = tables(of)
    assert found
    for sink in found:
        read_options(sink["type"], sink.get("options", {}))
        if sink.get("filter"):
            parse(sink["filter"])
    if of != "README":
        assert of in {sink["type"] for sink in found}


@pytest.mark.parametrize("of", sink_types())
def test_a_page_shows_every_option(of: str) -> None:
    """In the table that is made, and in commands none that there is not."""
    text = (PAGES / f"{of}.md").read_text("utf-8")
    known = kinds_of(sink_class(of).options_type)
    for name in known:
        assert f"\n| `{name}` | " in text
    for line in re.findall(r"^tfaudit sink create .*(?:\n  .*)*", text, re.MULTILINE):
        words = shlex.split(line.replace("\\\n", " "))
        assert of == words[words.index("--type") + 1]
        given = [words[at + 1] for at, word in enumerate(words) if word == "--option"]
        assert {each.partition("=")[0] for each in given} <= set(known)
