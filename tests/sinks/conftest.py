"""What tests of sinks share: one AWS for all of them."""

import pytest

from tests.receivers.aws import Aws, shared_aws


@pytest.fixture(scope="session")
def aws() -> Aws:
    """Run moto's server once; each test uses names of its own."""
    return shared_aws()
