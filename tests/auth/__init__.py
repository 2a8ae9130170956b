"""Tests of proxy.auth."""
