"""What is computed of an upload before its transaction: check, hash, diff, redact, seal.

All of it depends on the upload, on the version before and on two keys, and on nothing else, so
that it can be done on the spot, on a thread, or by a worker process that gets an Order and
answers Prepared or Failed.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from proxy.access import printable
from proxy.contracts import StateVersion
from proxy.errors import InvalidInputError, TfauditError, UnavailableError
from proxy.packing import pack
from proxy.refusals import DamagedUploadError
from proxy.sealing import is_wrapped_by, seal, unseal
from proxy.tfstate.aftermath import Aftermath
from proxy.tfstate.commitment import workspace_key
from proxy.tfstate.document import Document, NotAStateError, NotJsonError, parse
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.redact import Redactor
from proxy.uploads import check_md5

SMALL: Final = 65_536
"""Bytes of a body up to which its slices are kept in memory: they are what the next write needs."""

LARGE: Final = 8 << 20
"""Bytes of a state from which on a server has it prepared by a process of its own. Several steps
of that run through all of a body at once; each takes some 2 ms for a megabyte, in which nothing
else happens in a process that does it."""

KEPT: Final = 1024
"""So many small documents are kept, by the order in which their versions were first prepared."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The two secrets that states need; never shown."""

    master: bytes
    redaction: bytes

    def __repr__(self) -> str:
        return "Keys(…)"


class Order(msgspec.Struct, array_like=True, tag=True):
    """What is to be prepared.

    Attributes:
        workspace: whose state.
        salt: of the workspace's commitments, 32 bytes.
        version_id: the ID that the upload gets if it is stored.
        body: the upload.
        content_md5: base64, as the client sent it; None when it sent none.
        base: the version to compare with; None when there is none.
        base_body: that version's body, if it is at hand.
        base_sealed: else its sealed body.
        number: tells orders apart that are under way together.
        is_of_run: whether to tell what it leaves behind, too.
        is_body_apart: whether the body follows in a message of its own.
    """

    workspace: str
    salt: bytes
    version_id: str
    body: bytes
    content_md5: str | None = None
    base: StateVersion | None = None
    base_body: bytes | None = None
    base_sealed: bytes | None = None
    number: int = 0
    is_of_run: bool = False
    is_body_apart: bool = False

    @property
    def is_large(self) -> bool:
        """Whether the upload, or the version before it, is."""
        before = 0 if self.base is None else self.base.size
        return max(len(self.body), before) > LARGE

    def without_base(self) -> "Order":
        """Return the order for who remembers the version before."""
        return Order(
            self.workspace,
            self.salt,
            self.version_id,
            self.body,
            self.content_md5,
            self.base,
            number=self.number,
            is_of_run=self.is_of_run,
        )


class Prepared(msgspec.Struct, array_like=True, tag=True):
    """Everything about an upload that can be known before the transaction.

    Attributes:
        kind: as in contracts.StateVersion, with the next five.
        lineage: see there.
        serial: see there.
        terraform_version: see there.
        sha256: see there.
        size: see there.
        sealed: the body for keeping, bound to the order's version ID.
        changes: the entry's ``changes`` as canonical JSON.
        document: the whole redacted change document, packed, when ``changes`` had to be cut.
        summary: the changes in a few words.
        number: the order's.
        aftermath: what it leaves behind, when the order asks for that.
    """

    kind: str
    lineage: str
    serial: int
    terraform_version: str
    sha256: str
    size: int
    sealed: bytes
    changes: bytes
    document: bytes | None
    summary: str
    number: int = 0
    aftermath: Aftermath | None = None


class Failed(msgspec.Struct, array_like=True, tag=True):
    """An order that could not be carried out: the error's name and text."""

    error: str
    message: str
    number: int = 0


_ERRORS: Final[dict[str, type[TfauditError]]] = {
    error.__name__: error
    for error in (
        NotJsonError,
        NotAStateError,
        InvalidInputError,
        DamagedUploadError,
        UnavailableError,
    )
}


def failure_of(error: Exception, number: int) -> Failed:
    """Return the failure as a worker tells it; of a bug only its kind: its text may hold data."""
    if type(error).__name__ in _ERRORS:
        return Failed(type(error).__name__, str(error), number)
    return Failed("", f"the upload could not be prepared: {type(error).__name__}", number)


def error_of(failed: Failed) -> TfauditError:
    """Return the error that a worker told."""
    return _ERRORS.get(failed.error, UnavailableError)(failed.message)


class Preparer(Protocol):
    """Carries out orders, wherever it does that."""

    async def prepare(self, order: Order) -> Prepared:
        """Carry out one order.

        Raises:
            NotJsonError, NotAStateError: the body is no state.
            DamagedUploadError: it is not what its Content-MD5 says.
            UnavailableError: it could not be done; nothing is known.
        """


class Preparation:
    """Carries out orders on the spot; remembers the slices of small states that it has seen.

    Args:
        keys: for sealing and for redaction.
        policy: what is hidden.
    """

    def __init__(self, keys: Keys, policy: Policy = STANDARD) -> None:
        self._keys = keys
        self._redactor = Redactor(policy)
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def carry_out(self, order: Order) -> Prepared:
        """Check, hash, compare, redact and seal an upload.

        Raises:
            NotJsonError, NotAStateError, DamagedUploadError: see Preparer.
            UnavailableError: the version before can't be opened; perhaps the master key is not
                the right one, and then nothing may be sealed with it.
        """
        body = order.body
        check_md5(body, order.content_md5)
        document = parse(body)
        key = workspace_key(self._keys.redaction, order.workspace, order.salt)
        base, left = self._base(order), None
        if order.is_of_run:
            redacted, summary, left = self._redactor.save(base, document, key)
        else:
            redacted, summary = self._redactor.change(base, document, key)
        sealed = seal(
            body,
            master_key=self._keys.master,
            workspace=order.workspace,
            version_id=order.version_id,
            lineage=document.lineage,
        )
        self._keep(order.version_id, document)
        return Prepared(
            document.kind,
            document.lineage,
            document.serial,
            printable(document.terraform_version, 64),
            hashlib.sha256(body).hexdigest(),
            len(body),
            sealed,
            redacted.canonical,
            None if redacted.document is None else pack(redacted.document),
            summary,
            order.number,
            left,
        )

    def _base(self, order: Order) -> Document | None:
        """Return the version before as a document.

        Raises:
            UnavailableError: it can't be opened.
        """
        base = order.base
        if base is None:
            return None
        known = self._documents.get(base.id)
        if known is not None:
            return known
        body = order.base_body
        if body is None and order.base_sealed is not None:
            body = open_sealed(base, order.base_sealed, self._keys.master)
        if body is None:
            raise UnavailableError("the version before is not at hand")
        return parse(body)

    def _keep(self, version_id: str, document: Document) -> None:
        if isinstance(document.body, bytes) and len(document.body) <= SMALL:
            self._documents[version_id] = document
            if len(self._documents) > KEPT:
                self._documents.popitem(last=False)


def is_opened_by(master_key: bytes, version: StateVersion, head: bytes) -> bool:
    """Tell whether a master key opens a version's sealed body, by its first HEAD_BYTES."""
    bound: tuple[object, ...] = (version.workspace, version.id, version.lineage)
    found: object = head
    if not isinstance(found, bytes) or not all(isinstance(part, str) for part in bound):
        return False  # an altered database may hold anything
    return is_wrapped_by(
        head,
        master_key=master_key,
        workspace=version.workspace,
        version_id=version.id,
        lineage=version.lineage,
    )


def open_sealed(version: StateVersion, sealed: bytes, master_key: bytes) -> bytes:
    """Return a version's body, checked against the digest it was recorded with.

    Raises:
        UnavailableError: it can't be opened, or is not what was stored.
    """
    body = unseal(
        sealed,
        master_key=master_key,
        workspace=version.workspace,
        version_id=version.id,
        lineage=version.lineage,
    )
    if hashlib.sha256(body).hexdigest() != version.sha256:
        raise UnavailableError(
            f"the stored state of {version.workspace}, version {version.number}, is not what was "
            "written: restore it from a backup"
        )
    return body
