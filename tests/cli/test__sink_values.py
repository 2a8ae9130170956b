"""Tests of proxy.cli._sink_values."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from proxy.cli._sink_values import age_text, read_filter, read_index, read_options
from proxy.errors import InvalidInputError
from proxy.sinks.contract import Options


class AnyOptions(Options, frozen=True):
    """One option of each kind."""

    text: str = ""
    word: Literal["1", "a"] = "a"
    flag: bool = False
    count: Annotated[int, Meta(ge=0)] | None = None
    names: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    labels: dict[str, str] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["text=1"], {"text": "1"}),
        (["text=true"], {"text": "true"}),
        (["text=a=b"], {"text": "a=b"}),
        (["text=@x"], {"text": "@x"}),
        (["word=1"], {"word": "1"}),
        (["flag=true"], {"flag": True}),
        (["flag=false"], {"flag": False}),
        (["flag=yes"], {"flag": "yes"}),
        (["count=7"], {"count": 7}),
        (["count=-7"], {"count": -7}),
        (["count=7.5"], {"count": "7.5"}),
        (["count=99999999999999999"], {"count": "99999999999999999"}),
        (["names=a", "names=1"], {"names": ["a", "1"]}),
        (['names=["a", "b"]'], {"names": ["a", "b"]}),
        (["names="], {"names": None}),
        (["ports=1", "ports=2"], {"ports": [1, 2]}),
        (["ports=x"], {"ports": ["x"]}),
        (['labels={"a": "b"}'], {"labels": {"a": "b"}}),
        (["text="], {"text": None}),
        (["unknown=1"], {"unknown": "1"}),
        ([], {}),
    ],
)
def test_a_value_is_read_as_its_option_wants_it(texts: list[str], expected: dict[str, Any]) -> None:
    """What can't be is left as it is: the check of the options has the words for it."""
    assert expected == read_options(AnyOptions, texts)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["text"], "KEY=VALUE, not 'text'"),
        (["=x"], "KEY=VALUE"),
        (["text=a", "text=b"], "text is given twice"),
        (["names=a", "names="], "names is given twice"),
        (["names=", "names=a"], "names is given in two ways"),
        (["labels=x"], "is not JSON"),
        (["names=[x"], "is not JSON"),
    ],
)
def test_what_is_no_option_is_told(texts: list[str], message: str) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(InvalidInputError, match=message):
        read_options(AnyOptions, texts)


def test_a_filter_stands_on_the_line_or_in_a_file(tmp_path: Path) -> None:
    """An empty text lets every event through."""
    path = tmp_path / "filter.json"
    path.write_text('{"event": ["run.errored"]}')
    expected = {"event": ["run.errored"]}
    assert [expected, expected, {}] == [
        read_filter(text) for text in ('{"event":["run.errored"]}', f"@{path}", " ")
    ]


def test_a_filter_that_is_none_is_told(tmp_path: Path) -> None:
    """With the file that it stands in."""
    path = tmp_path / "filter.json"
    path.write_text("[]")
    for text, message in (
        ("{", "the filter is not JSON"),
        ('"x"', "must be a JSON object"),
        (f"@{path}", f"the filter in {path} must be a JSON object"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_filter(text)
    path.write_text("x" * 70_000)
    with pytest.raises(InvalidInputError, match="too long to be a filter"):
        read_filter(f"@{path}")


def test_an_index_is_a_number_or_the_beginning() -> None:
    """Nothing else."""
    assert [0, 0, 17] == [read_index(text, "--from") for text in ("beginning", "0", "17")]
    for text in ("", "-1", "1.0", "end", "\u0661"):
        with pytest.raises(InvalidInputError, match="--from is an index"):
            read_index(text, "--from")


def test_an_age_is_short() -> None:
    """Two of the next unit make it that one."""
    assert ["0s", "119s", "2m", "119m", "2h", "47h", "2d"] == [
        age_text(seconds) for seconds in (0.9, 119, 120, 7199, 7200, 172_799, 172_800)
    ]
