"""How often Python's collector of reference cycles runs: in commands, server and workers."""

import gc
from typing import Final

_NEW_OBJECTS: Final = 50_000
"""Containers made, and not let go, before the collector looks at the young ones. Python's own 700
are made in a few requests: it would look at each request under way again and again, a twentieth
of all of a server's work, and hardly ever find a cycle. So many take some 10 MB at most."""


def look_seldom() -> None:
    """Look seldom at the objects made from now on.

    Call it before modules are imported: all that they make stays, and a tenth of the start of a
    command went by in looking at it.
    """
    gc.set_threshold(_NEW_OBJECTS)


def settle() -> None:
    """Leave all that was made so far alone, and look seldom at the rest.

    Call it once a program is ready for its work: modules, classes and tables stay to its end. So
    does what is garbage by then: a start leaves some hundred kilobytes, and to look for them among
    all that stays would take a twentieth of it.
    """
    gc.freeze()
    look_seldom()
