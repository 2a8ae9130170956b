"""The transparency log as pure functions: signed bytes, tree, notes, checkpoints, verification."""
