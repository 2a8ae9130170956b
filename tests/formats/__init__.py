"""Tests of proxy.formats."""
