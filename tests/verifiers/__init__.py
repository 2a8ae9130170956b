"""Verifiers of others on what we hand out: each says yes to it, and no to a changed copy."""
