"""Tests of proxy.docstrings."""

from proxy.docstrings import read_docstring

TEXT = """What it is: ``so``.

    And more.

    Attributes:
        name: unique; as ``a``
            and ``b`` are.
        size: bytes.
    """


def test_a_docstring_is_read_as_markdown() -> None:
    """Its text, and of each attribute a sentence in one line."""
    assert (
        "What it is: `so`.\n\nAnd more.",
        {"name": "Unique; as `a` and `b` are.", "size": "Bytes."},
    ) == read_docstring(TEXT)


def test_a_docstring_without_attributes_is_all_text() -> None:
    """None is none."""
    assert ("", {}) == read_docstring("")
    assert ("One line.", {}) == read_docstring("One line.")
