"""Fixtures that every test can use, and how a missing part is treated."""

import gc
import os
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# The same examples for everybody in CI, run after run: half as many as each run elsewhere draws
# anew. A deadline would only measure how busy the machine is.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Ten thousand tests are made and kept: looking for cycles among them takes a seventh of the time.
_THRESHOLDS = gc.get_threshold()
gc.set_threshold(50_000)

_OURS_TO_KEEP = frozenset({"TFAUDIT_TERRAFORM", "TEST_PROVIDER_MIRROR"})


def pytest_collection_finish() -> None:
    """Let Python's collector of cycles leave the collected tests alone, and run as ever again."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def missing(reason: str) -> NoReturn:
    """End the test for want of a part of this machine: skipped here, failed in CI.

    Raises:
        pytest.skip.Exception: the variable CI is not set.
        pytest.fail.Exception: it is: CI has every part, so nothing may go untested there.
    """
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests away from them."""
    for name in os.environ:
        if name.startswith(("TFAUDIT_", "TF_")) and name not in _OURS_TO_KEEP:
            monkeypatch.delenv(name)
