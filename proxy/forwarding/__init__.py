"""Forwards the committed log to sinks: in order, at least once, beside requests and never in one.

``forwarders`` follows the directory and runs one ``forwarder`` for each sink that is enabled. That
takes its entries from a ``source``, gives them to its sink in a ``window``, waits as ``pace`` says,
and keeps in the ``ledger`` how far it is.
"""
