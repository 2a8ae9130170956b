"""Tests of proxy.patterns."""
