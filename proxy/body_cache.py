"""Bodies of states in memory, so that a read which was read before needs no key and no disk.

The cache is never asked whether a state exists or which version is the newest: that is read in
the transaction. It holds bytes by version ID, and a version's bytes never change.
"""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

_SHARE: Final = 4
"""One body may fill no more than this part (a quarter) of the cache."""


class BodyCache:
    """The least recently used bodies make room first; may be used by several threads.

    Args:
        limit: bytes of all bodies together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, version_id: str) -> bytes | None:
        """Return the version's body if it is at hand."""
        with self._lock:
            body = self._bodies.get(version_id)
            if body is not None:
                self._bodies.move_to_end(version_id)
            return body

    def clear(self) -> None:
        """Let go of all bodies."""
        with self._lock:
            self._bodies.clear()
            self._size = 0

    def drop(self, version_ids: Iterable[str]) -> None:
        """Let go of these bodies."""
        with self._lock:
            for version_id in version_ids:
                self._size -= len(self._bodies.pop(version_id, b""))

    def put(self, version_id: str, body: bytes | bytearray) -> None:
        """Keep a body; one that is too large for the cache is let go at once."""
        if len(body) * _SHARE > self._limit:
            return
        with self._lock:
            if version_id in self._bodies:
                return
            self._bodies[version_id] = bytes(body)
            self._size += len(body)
            while self._size > self._limit:
                _, dropped = self._bodies.popitem(last=False)
                self._size -= len(dropped)
