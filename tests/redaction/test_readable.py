"""What an auditor needs is not mistaken for a secret."""

import re

import pytest

from proxy.tfstate.detectors import find
from tests.redaction.readable import READABLE, Case

_LEAF = re.compile(r"([^.\[\]]+)(?:\[\d+\])*$")


def _is_readable(case: Case) -> bool:
    """Whether no detector finds anything in it."""
    leaf = _LEAF.search(case.path)
    assert leaf is not None
    return not isinstance(case.value, str) or not find(case.value, leaf[1])


def test_the_corpus_is_large_enough() -> None:
    """Twenty values each of fifteen classes and more; few are the same."""
    assert len(READABLE) >= 25
    for name, cases in READABLE.items():
        assert len(cases) >= 20, name
        assert len({str(case.value) for case in cases}) >= 14, name


@pytest.mark.parametrize("name", READABLE)
def test_each_class_stays_readable(name: str) -> None:
    """At least 98 of 100 values."""
    hidden = [case for case in READABLE[name] if not _is_readable(case)]
    assert len(hidden) <= 0.02 * len(READABLE[name]), hidden


def test_the_corpus_stays_readable() -> None:
    """At least 98 of 100 values of all classes."""
    cases = [case for cases in READABLE.values() for case in cases]
    assert sum(map(_is_readable, cases)) >= 0.98 * len(cases)
