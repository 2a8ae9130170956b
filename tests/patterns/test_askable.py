"""Tests of proxy.patterns.askable."""

from typing import Any

import pytest

from proxy.patterns import parse
from proxy.patterns.askable import mistakes_in


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ({"evnt": ["run.completed"]}, "filter.evnt: no entry has such a field: did you mean event"),
        (
            {"actor": {"nam": ["admin"]}},
            "filter.actor.nam: no entry has such a field: did you mean",
        ),
        ({"actor.nam": ["admin"]}, "did you mean name?"),
        (
            {"actor": ["admin"]},
            'filter.actor is an object: ask for one of its fields, such as {"na',
        ),
        ({"detail": {"event": ["run.errored"]}}, "leave detail out here: a sink's filter is asked"),
        ({"workspace": {"name": ["prod"]}}, "nothing is inside it: give the list of the values"),
        ({"request": {"status": ["200"]}}, 'write 200 in place of "200"'),
        ({"request": {"status": [{"prefix": "4"}]}}, "prefix asks for something else"),
        (
            {"request": {"status": [{"anything-but": ["200"]}]}},
            "status[0].anything-but is a number",
        ),
        ({"workspace": [{"numeric": [">", 1]}]}, "is a text in every entry"),
        ({"workspace": [None]}, "is a text in every entry"),
        ({"workspace": ["prod/*"]}, 'a * stands for itself here: use {"prefix":"prod/"}'),
        ({"workspace": ["*/network"]}, 'use {"wildcard":"*/network"}'),
        ({"event": ["run.*"]}, 'use {"prefix":"run."}'),
        ({"actor": {"type": ["tokn"]}}, "did you mean token?"),
        ({"request": {"via": ["terrform"]}}, "did you mean terraform?"),
        ({"request": {"via": ["moon"]}}, "there are terraform, api, ui, cli"),
        ({"$or": [{"evnt": ["x"]}, {"event": ["run.errored"]}]}, "filter.$or[0].evnt: no entry"),
    ],
)
def test_what_no_entry_can_meet_is_told(pattern: dict[str, Any], told: str) -> None:
    """With its place and what to write there; the pattern itself could be one."""
    parse(pattern)
    [mistake] = mistakes_in(pattern)
    assert told in str(mistake)


@pytest.mark.parametrize(
    "pattern",
    [
        {"actor": {"claims": {"repository": ["example/network"], "any": {"thing": [1]}}}},
        {"object": {"before": [None]}},
        {"object": {"after": {"role": ["admin"]}}},
        {"changes": {"items": {"attributes": {"tags": [True]}}}},
        {"changes.server.port": ["443"]},
        {"run": {"reasons": [{"exists": False}]}},
        {"run": {"reasons": ["tainted", {"prefix": "lock_"}]}},
        {"token": {"expires": [None], "workspaces": ["prod/*"]}},
        {"sink": {"replay": {"only_dead_letters": [True]}}},
        {"request": {"status": [404, {"numeric": [">=", 500]}]}},
        {"source": {"ip": [{"cidr": "10.0.0.0/8"}]}, "workspace": [{"wildcard": "prod/*"}]},
        {"outcome": [{"anything-but": "success"}]},
        {"workspace": [{"anything-but": {"prefix": "dev/"}}]},
    ],
)
def test_what_an_entry_can_meet_is_taken(pattern: dict[str, Any]) -> None:
    """Of objects with free names any path."""
    parse(pattern)
    assert [] == list(mistakes_in(pattern))
