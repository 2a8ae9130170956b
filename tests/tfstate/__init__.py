"""Tests of reading, comparing and redacting states."""
