"""Tests of proxy.storage."""
