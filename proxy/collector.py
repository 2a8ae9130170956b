"""How often Python's collector of reference cycles runs, in the server and in its workers."""

import gc
from typing import Final

_NEW_OBJECTS: Final = 50_000
"""Containers made, and not let go, before the collector looks at the young ones. Python's own 700
are made in a few requests: it would look at each request under way again and again, a twentieth
of all of a server's work, and hardly ever find a cycle. So many take some 10 MB at most."""


def settle() -> None:
    """Leave all that was made so far alone, and look seldom at the rest.

    Call it once a program is ready for its work: modules, classes and tables stay to its end.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
