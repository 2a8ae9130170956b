"""Tests of proxy.anchors."""
