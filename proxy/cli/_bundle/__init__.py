"""A part of the log as one file that proves itself to whoever holds a public key.

``writing`` makes it, ``checking`` checks it, ``verify.py`` goes with it and checks it without us.
"""
