"""What tests of sinks share."""

from collections.abc import AsyncIterator

import pytest

from tests.receivers.intake import Intake, an_intake


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    """Run the far sides as their vendors document them."""
    async with an_intake() as running:
        yield running
