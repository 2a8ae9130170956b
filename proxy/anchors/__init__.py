"""Anchors: the newest checkpoint of the log, put where the log itself is not.

One file a kind of place; `place` has what they promise, `anchor` compares and writes one, `keeping`
sees to all of them, `settings` reads what the configuration says.
"""
