"""Secrets in states: what must never leave, and what must stay readable."""
