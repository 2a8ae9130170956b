"""Names tell as much as docs/redaction-names.md says; nobody makes it less unseen."""

from tests.secret_names import CREDENTIALS, measure, precision, recall_of_everything


def test_names_find_most_secret_attributes() -> None:
    """Before they were tuned on the table they found 67 % and 71 % of all that schemas mark."""
    figures = measure()
    assert figures.by_leaf / figures.rows >= 0.81
    assert figures.by_path / figures.rows >= 0.83
    by_leaf, by_path = recall_of_everything()
    assert by_leaf >= 0.72
    assert by_path >= 0.75


def test_names_take_little_for_secret_that_is_none() -> None:
    """Of the names that AWS does not mark, next to none; of those that are taken, few."""
    figures = measure()
    assert len(figures.wrongly) / figures.names <= 0.0025
    assert precision(figures) >= 0.97


def test_every_name_that_was_read_is_still_asked_about() -> None:
    """Else the list of credentials would hide a mistake."""
    assert measure().taken
    assert set(measure().taken) >= CREDENTIALS
