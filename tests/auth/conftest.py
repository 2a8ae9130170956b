"""Fixtures of the tests of proxy.auth."""

from tests.oidc.fixtures import issuer, provider

__all__ = ["issuer", "provider"]
