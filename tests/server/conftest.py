"""The whole program over a real store, for the tests of what Terraform asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.running import Face, a_face


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """Run the application over an empty store."""
    async with a_face(tmp_path) as running:
        yield running
