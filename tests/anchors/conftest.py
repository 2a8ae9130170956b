"""A log and a place of its anchors, of each kind."""

from pathlib import Path

import pytest

from tests.anchors.scenes import Scene, a_spot
from tests.receivers.aws import Aws, shared_aws


@pytest.fixture(scope="session")
def aws() -> Aws:
    """Run moto's server once; each test uses names of its own."""
    return shared_aws()


@pytest.fixture(params=["file", "directory", "git", "s3"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, aws: Aws) -> Scene:
    """Begin with an empty log and an empty place."""
    return Scene(tmp_path, a_spot(request.param, tmp_path, aws))
