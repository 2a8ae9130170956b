"""What tests of sinks share: the far sides as their vendors document them, and one AWS."""

from collections.abc import AsyncIterator

import pytest

from tests.receivers.aws import Aws, shared_aws
from tests.receivers.intake import Intake, an_intake


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    """Run the far sides as their vendors document them."""
    async with an_intake() as running:
        yield running


@pytest.fixture(scope="session")
def aws() -> Aws:
    """Run moto's server once; each test uses names of its own."""
    return shared_aws()
