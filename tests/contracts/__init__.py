"""The promises of contracts.py, as suites that every implementation passes."""
