"""The formats that a string of a state may carry: one file a format.

Each finds where the values of its format stand in a text, and how another text must be written
there so that the format stays what it is.
"""
