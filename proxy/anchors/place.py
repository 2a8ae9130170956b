"""What a place of anchors is: it lists, gives back and takes checkpoints; nothing else.

What stands there is somebody else's word until its signature was checked, which is not done here.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from proxy.tlog.checkpoint import Checkpoint

MAX_BYTES: Final = 65_536
"""Of a checkpoint with all its signatures."""

_NAME: Final = re.compile(r"([0-9]{20})-([0-9a-f]{16})\.checkpoint")
_HEX: Final = 16


class Label(NamedTuple):
    """Which checkpoint it is: two histories of one size have two labels.

    Attributes:
        size: how many entries it covers.
        root: the first 16 hex digits of its root.
    """

    size: int
    root: str

    @property
    def name(self) -> str:
        """What it is called where each has a name; names sort as sizes do."""
        return f"{self.size:020d}-{self.root}.checkpoint"


def label_of(checkpoint: Checkpoint) -> Label:
    """Return the label of a checkpoint."""
    return Label(checkpoint.size, hint_of(checkpoint.root))


def hint_of(root: bytes) -> str:
    """Return what a label has of a root."""
    return root.hex()[:_HEX]


def label_in(name: str) -> Label | None:
    """Return the label that a name holds; None when it is no anchor's."""
    found = _NAME.fullmatch(name)
    return None if found is None else Label(int(found[1]), found[2])


class Place(Protocol):
    """Where checkpoints are kept. Made without I/O; its calls never overlap.

    Every call may raise UnavailableError: it could not be asked, or did not answer. ``aclose``
    does not.

    Attributes:
        where: it is, for people, without any secret.
        is_settled: whether all that was ever put is where it is to end up. Until then the newest
            is put again.
    """

    where: str
    is_settled: bool

    async def seen(self, size: int) -> Sequence[Label]:
        """Return what stands there, the largest first.

        Args:
            size: all that are larger are wanted, and at least the largest that is not.

        Raises:
            InvalidInputError: something else stands in its place.
        """
        ...

    async def read(self, label: Label) -> str:
        """Return the signed checkpoint of one that was seen."""
        ...

    async def put(self, label: Label, note: str) -> None:
        """Keep a checkpoint; when this returns it is there, also after a power cut.

        One that is there already is left as it is.
        """
        ...

    async def aclose(self) -> None:
        """Let go of whatever is open; safe to call twice."""
        ...
