"""From credentials to a Principal, and the record of those that failed."""
