"""Fixtures of issuers; a conftest that wants them imports them."""

import re
from collections.abc import Iterator

import pytest

from tests.oidc.issuer import TestIssuer, a_provider


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """A running provider for all tests."""
    with a_provider() as address:
        yield address


@pytest.fixture
def issuer(provider: str, request: pytest.FixtureRequest) -> TestIssuer:
    """An issuer of the test's own that publishes one key."""
    made = TestIssuer(provider, re.sub(r"[^a-z0-9]+", "-", request.node.nodeid.lower())[-80:])
    made.publish()
    return made
