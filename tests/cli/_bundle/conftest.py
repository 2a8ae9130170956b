"""One log with its bundles for all tests, and the two programs that check them."""

from pathlib import Path

import pytest

from tests.cli._bundle.bundles import Sample, Verifiers, a_sample


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Return the log; its directory must not be changed."""
    return a_sample(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def both(
    sample: Sample,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Verifiers:
    """Return what asks both programs."""
    return Verifiers(sample.keys, monkeypatch, capsys, tmp_path)
