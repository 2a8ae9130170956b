"""Tests of proxy.forwarding."""
