"""Tests of proxy/tlog."""
