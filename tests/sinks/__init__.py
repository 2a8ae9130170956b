"""Tests of proxy.sinks."""
