"""Far sides for sinks, which tests can look into and tell to misbehave."""
