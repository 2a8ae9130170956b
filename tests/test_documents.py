"""docs/ says what the code does today."""


import pytest

from tests.documents import DOCS, FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_documents_are_up_to_date(name: str) -> None:
    """What repeats the code was made from this code: else run ``python -m tests.documents``."""
    assert FILES[name]() == (DOCS / name).read_text("utf-8")
