"""Tests of proxy.server.replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidInputError
from proxy.server.replies import PageParameters, page_of

NAMES = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=12).map(sorted)


def identity(name: str) -> str:
    """Return what a name is sorted by."""
    return name


@given(names=NAMES, limit=st.integers(1, 5))
def test_all_pages_together_are_the_list(names: list[str], limit: int) -> None:
    """Whatever the names, in their order, each once; only the last page has no next."""
    seen: list[str] = []
    parameters = PageParameters(limit=limit)
    while True:
        page, following = page_of(names, identity, parameters)
        assert limit >= len(page)
        seen += page
        if following is None:
            break
        assert limit == len(page)
        parameters = PageParameters(limit=limit, cursor=following)
    assert names == seen


@given(before=NAMES, after=NAMES)
def test_a_cursor_holds_its_place_while_the_list_changes(
    before: list[str], after: list[str]
) -> None:
    """What comes after it is what is sorted after the last one that was shown."""
    page, following = page_of(before, identity, PageParameters(limit=1))
    if following is not None:
        rest, _ = page_of(after, identity, PageParameters(limit=1000, cursor=following))
        assert [name for name in after if name > page[0]] == rest


@pytest.mark.parametrize(
    "cursor", ["x", "é", "YQ", "YWZ0ZXI", "YWZ0ZXI6/w", "====", "\x00", "a" * 99]
)
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    """It is told as such, and never taken for the beginning."""
    with pytest.raises(InvalidInputError, match="parameter cursor"):
        page_of(["a"], identity, PageParameters(cursor=cursor))
