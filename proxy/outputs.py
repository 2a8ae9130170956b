"""Takes the outputs out of a state for somebody who may see nothing else of it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from proxy.contracts import StateVersion
from proxy.refusals import NoOutputsError
from proxy.tfstate import document as documents
from proxy.tfstate.outputs import UnsplittableError, only_outputs, root_outputs
from proxy.tfstate.redact import Redactor

_KEPT: Final = 256
"""States that are remembered."""
_LARGEST: Final = 1 << 18
"""Bytes of a state that is remembered."""


class Outputs(NamedTuple):
    """A state with outputs alone.

    Attributes:
        body: the state.
        sent: names of the outputs in it.
        sensitive: how many were left out because the state marks them.
        secret: how many were left out because a secret stands in them, though nothing marks them.
    """

    body: bytes
    sent: tuple[str, ...]
    sensitive: int = 0
    secret: int = 0


class OutputsTaker:
    """Takes the outputs out of states, and remembers what it took.

    Args:
        redactor: knows what is secret without a mark.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._known: dict[tuple[str, bool], Outputs] = {}

    def known(self, version_id: str, *, sensitive: bool) -> Outputs | None:
        """Return what was taken out of a version already, if it is at hand."""
        return self._known.get((version_id, sensitive))

    def forget(self) -> None:
        """Let go of all states."""
        self._known.clear()

    def drop(self, version_ids: Iterable[str]) -> None:
        """Let go of these versions' states."""
        for version_id in version_ids:
            for sensitive in (False, True):
                self._known.pop((version_id, sensitive), None)

    def take(self, version: StateVersion, body: bytes, *, sensitive: bool) -> Outputs:
        """Return the state with the outputs that somebody may see.

        Args:
            version: whose body it is.
            body: the whole state.
            sensitive: whether they may also see what is marked as sensitive, or known to be.

        Raises:
            NoOutputsError: outputs can't be told apart in a state of this kind.
        """
        try:
            document = documents.parse(body)
            outputs = root_outputs(document)
        except UnsplittableError as error:
            raise _no_outputs(version) from error
        kept = outputs
        marked = 0
        if not sensitive:
            secret = self._redactor.secret_outputs(document, version.workspace)
            marked = sum(output.sensitive for output in outputs.values())
            kept = {
                name: output
                for name, output in outputs.items()
                if not output.sensitive and name not in secret
            }
        found = Outputs(
            only_outputs(document, kept), tuple(kept), marked, len(outputs) - len(kept) - marked
        )
        if len(found.body) <= _LARGEST:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[version.id, sensitive] = found
        return found


def _no_outputs(version: StateVersion) -> NoOutputsError:
    if version.kind == "encrypted":
        why = "is encrypted by OpenTofu, so that its outputs can't be told apart here"
    elif version.kind in {"v1", "v2"}:
        why = f"is of format {version.kind}, from before Terraform 0.9"
    else:
        why = "has outputs that are not as Terraform writes them"
    return NoOutputsError(
        f"the state of {version.workspace} {why}: ask its owner to write it with a newer "
        "Terraform, or an administrator for the role reader there"
    )
