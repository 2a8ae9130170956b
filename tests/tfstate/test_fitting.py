"""An entry's part fits its limit, says what it leaves out, and the whole is kept beside it."""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate import fitting
from proxy.tfstate.fitting import RedactedChanges, fit

HEAD: dict[str, Any] = {
    "resources": {"added": 1, "changed": 0, "removed": 0},
    "outputs": {"added": 0, "changed": 0, "removed": 0},
    "items": [],
    "omitted": 0,
}
LIMIT = 8_192


def item(number: int, *sizes: int, address_size: int = 0, **more: Any) -> dict[str, Any]:
    """An item whose attributes have values of so many bytes."""
    return {
        "address": f"aws_instance.r{number}{'n' * address_size}",
        "action": "create",
        "attributes": {f"a{index}": {"after": "y" * size} for index, size in enumerate(sizes)},
    } | more


def fitted(items: list[dict[str, Any]], limit_bytes: int = LIMIT) -> RedactedChanges:
    """What becomes of some items."""
    return fit(dict(HEAD), iter(items), len(items), limit_bytes)


_items = st.lists(
    st.builds(
        lambda number, sizes, address_size: item(number, *sizes, address_size=address_size),
        st.integers(0, 99),
        st.lists(st.integers(0, 3_000), max_size=6),
        st.sampled_from((0, 0, 0, 100, 5_000)),
    ),
    max_size=24,
)


@given(_items, st.integers(LIMIT, 12_000))
def test_an_entry_never_exceeds_its_limit(items: list[dict[str, Any]], limit_bytes: int) -> None:
    """In canonical form; every item is in it or counted."""
    found = fitted(items, limit_bytes)
    assert len(rfc8785.dumps(found.entry)) <= limit_bytes
    assert len(items) == len(found.entry["items"]) + found.entry["omitted"]


@given(_items)
def test_what_is_cut_is_kept_whole_beside_it(items: list[dict[str, Any]]) -> None:
    """Its digest stands in the entry; what is not cut has none."""
    found = fitted([dict(one) for one in items])
    if found.document is None:
        assert HEAD | {"items": items} == found.entry
    else:
        assert rfc8785.dumps(HEAD | {"items": items}) == found.document
        assert hashlib.sha256(found.document).hexdigest() == found.entry["sha256"]


@given(_items)
def test_every_attribute_is_shown_or_counted(items: list[dict[str, Any]]) -> None:
    """What is shown of an item is a part of it."""
    whole = {one["address"]: one["attributes"] for one in items}
    if len(whole) < len(items):
        return
    for one in fitted(items).entry["items"]:
        of = whole[one["address"]]
        assert one["attributes"].items() <= of.items()
        assert len(of) == len(one["attributes"]) + one.get("omitted", 0)


@given(_items)
def test_few_items_fit_as_many_do(items: list[dict[str, Any]]) -> None:
    """Both ways come to the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_FEW_ITEMS", 99)
        few = fitted(items)
        patch.setattr(fitting, "_FEW_ITEMS", -1)
        assert few == fitted(items)


def test_a_change_of_exactly_the_limit_is_whole() -> None:
    """One byte more is cut."""
    size = LIMIT - len(orjson.dumps(HEAD | {"items": [item(0, 0)]}))
    many = [item(0, size)]
    assert fitted(many, LIMIT + 1).document is None
    assert fitted([item(0, size + 2)]).document is not None


def test_an_item_that_is_cut_loses_its_settings() -> None:
    """They are the least of it, and counted by nobody; its mark as tainted stays."""
    cut = item(0, *[1_000] * 9, settings={"private": {"changed": True}}, tainted=True)
    (found,) = fitted([cut]).entry["items"]
    assert "settings" not in found
    assert found["tainted"] is True
    assert 9 == len(found["attributes"]) + found["omitted"]


def test_what_was_omitted_before_is_still_counted() -> None:
    """An item beyond the budget of rendering comes with a number of its own."""
    (found,) = fitted([item(0, *[3_000] * 9, omitted=5)]).entry["items"]
    assert 14 == len(found["attributes"]) + found["omitted"]


def test_an_item_whose_address_does_not_fit_makes_room_for_the_next() -> None:
    """It is counted."""
    found = fitted([item(0, address_size=9_000), item(1, 10)]).entry
    assert ["aws_instance.r1"] == [one["address"] for one in found["items"]]
    assert 1 == found["omitted"]


def test_the_items_are_asked_for_once() -> None:
    """They are made as they are needed."""

    def once() -> Iterator[dict[str, Any]]:
        yield from (item(number, 500) for number in range(40))

    assert 40 == len(orjson.loads(fit(dict(HEAD), once(), 40, LIMIT).document or b"")["items"])
