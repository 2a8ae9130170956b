"""A real OpenID provider to ask for keys, in a process of its own."""
