"""Where states, locks, tokens and the log are kept."""
