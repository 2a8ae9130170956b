"""Tests of proxy.witness."""
