"""Reads, writes, compares, imports and rolls back states: one unit of work, one entry, each.

Each method decides who may, prepares what is costly off the transaction, and then runs one job
in the store's transaction, where the rules are applied to what is stored at that moment. A
refusal is committed as an entry first and raised afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn, cast

from proxy import run_entries
from proxy.access import Caller, Permission
from proxy.audit_log import draft
from proxy.body_cache import BodyCache
from proxy.client_text import client_path, client_text
from proxy.contracts import Committed, HeldLock, Salt, StateVersion, Store, Transaction
from proxy.directory import WorkspaceRecord
from proxy.errors import (
    ConflictError,
    InvalidInputError,
    LockedError,
    NotFoundError,
    TfauditError,
    UnavailableError,
)
from proxy.gate import gate
from proxy.outputs import Outputs, OutputsTaker
from proxy.preparation import Keys, Order, Prepared, Preparer, is_opened_by, open_sealed
from proxy.preparers import LocalPreparer
from proxy.refusals import (
    DamagedUploadError,
    ForgedReadError,
    NoOutputsError,
    ProtectedError,
    PrunedError,
    WorkspaceDeletedError,
)
from proxy.sealing import HEAD_BYTES, master_id
from proxy.state_entries import (
    created,
    holder_of,
    name_of,
    outputs_read,
    refused,
    repeated,
    run_of,
    state_of,
    upload_of,
    written,
)
from proxy.statuses import status_of
from proxy.tfstate import document as documents
from proxy.tfstate.commitment import SALT_BYTES, workspace_key
from proxy.tfstate.fitting import RedactedChanges
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.redact import Redactor
from proxy.tfstate.scan import Finding, matched, scan
from proxy.timestamps import pooled, uuid7
from proxy.upload_rules import Accepted, Upload, judge
from proxy.workspace_rules import (
    require_alive,
    require_kept,
    require_lock,
    require_size,
    require_unpruned,
    require_writable,
    standing,
)

_REMEMBERED: Final = 10_000
"""Workspaces whose newest version is remembered as a guess."""

_ATTEMPTS: Final = 20
"""How often a write is prepared anew because somebody else wrote in between."""


@dataclass(slots=True)
class Reading:
    """What a read gives: no version means that there is certainly no state."""

    version: StateVersion | None
    body: bytes | None
    index: int | None


@dataclass(slots=True)
class Written:
    """What a write gives; ``repeated`` when the same bytes were stored already."""

    version: StateVersion
    index: int | None
    repeated: bool


class _Moved(NamedTuple):
    """The newest version is not the one that the work was prepared for."""

    head: StateVersion


class _Base(NamedTuple):
    """What an upload is prepared for; the transaction checks that it is still so.

    Attributes:
        head: the newest version that exists.
        salt: of the workspace's commitments.
        number: of the newest version that was ever stored; 0 without any.
    """

    head: StateVersion | None
    salt: Salt | None
    number: int


class _Attempt(NamedTuple):
    """An upload that is ready to be stored."""

    version_id: str
    prepared: Prepared
    base: _Base
    salt: bytes
    master_id: str
    is_opened: Callable[[StateVersion, bytes], bool]


_Judge = Callable[[Prepared, StateVersion | None, HeldLock | None, WorkspaceRecord], Accepted]


class StateService:
    """The one place where a state is read or changed.

    Args:
        store: where it is kept.
        keys: for bodies at rest and for redaction.
        clock: microseconds since 1970.
        random: gives so many random bytes.
        cache_limit: bytes of bodies kept in memory.
        accept_unlocked_force: see upload_rules.judge.
        preparer: where uploads are prepared; by default in this process.
        policy: what is hidden; the preparer's, too.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, and three settings
        self,
        store: Store,
        keys: Keys,
        *,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        cache_limit: int = 64 << 20,
        accept_unlocked_force: bool = False,
        preparer: Preparer | None = None,
        policy: Policy = STANDARD,
    ) -> None:
        self._store = store
        self._keys = keys
        self._master_id = master_id(keys.master)
        self._is_opened = partial(is_opened_by, keys.master)
        self._clock = clock
        self._random = random
        self._random_of_id = pooled(random)
        self._bodies = BodyCache(cache_limit)
        self._newest: dict[str, _Base] = {}
        self._accept_unlocked_force = accept_unlocked_force
        self._preparer = preparer or LocalPreparer(keys, policy)
        self._policy = policy
        self._redactor = Redactor(policy)
        self._taker = OutputsTaker(self._redactor)

    # ------------------------------------------------------------ reading

    async def read(self, caller: Caller, workspace: str) -> Reading:
        """Return the newest state; its entry is durable before this returns.

        Raises:
            ForbiddenError: recorded as ``access.denied``.
            UnavailableError: the state could not be read, or the entry not be committed.
        """
        if _may_read_outputs_alone(caller, workspace):
            return await self._read_outputs(caller, workspace)
        await gate(self._store, caller, Permission.STATE_READ, workspace)
        carried: dict[str, bytes] = {}

        def job(transaction: Transaction) -> Reading | _Moved | WorkspaceDeletedError:
            record = transaction.directory().workspace(workspace)
            head = standing(transaction.head(workspace), record)
            if record.deleted is not None:
                return _refuse_read("state.read", transaction, caller, record)
            if head is None:
                transaction.append(
                    draft(
                        "state.read",
                        "success",
                        f"{name_of(caller)} read {workspace}: there is no state yet",
                        caller,
                        404,
                        workspace=workspace,
                    )
                )
                return Reading(None, None, None)
            body = carried.get(head.id) or self._bodies.get(head.id)
            if body is None:
                return _Moved(head)
            transaction.append(
                draft(
                    "state.read",
                    "success",
                    f"{name_of(caller)} read {workspace}, serial {head.serial}",
                    caller,
                    200,
                    workspace=workspace,
                    state=state_of(head),
                )
            )
            return Reading(head, body, None)

        for _ in range(_ATTEMPTS):
            committed = await self._store.write(job)
            value = committed.value
            if isinstance(value, Reading):
                return Reading(value.version, value.body, committed.index)
            if isinstance(value, WorkspaceDeletedError):
                value.audit_index = committed.index
                raise value
            with suppress(PrunedError):  # somebody wrote meanwhile: it is not the newest any more
                carried = {value.head.id: await self._load_for(caller, value.head)}
        raise _too_busy(workspace)

    async def _read_outputs(self, caller: Caller, workspace: str) -> Reading:
        """Return the newest state with what of its root outputs the caller may see, and no more.

        Raises:
            NoOutputsError: outputs can't be taken out of a state of this kind.
            UnavailableError: as ``read``.
        """
        decision = caller.principal.rights.decide(Permission.OUTPUTS_READ, workspace)
        sensitive = decision.grant is not None and decision.grant.sensitive_outputs
        carried: dict[str, Outputs | NoOutputsError] = {}
        taker = self._taker

        def job(transaction: Transaction) -> Reading | _Moved | TfauditError:
            record = transaction.directory().workspace(workspace)
            head = standing(transaction.head(workspace), record)
            if record.deleted is not None:
                return _refuse_read("state.outputs_read", transaction, caller, record)
            if head is None:
                transaction.append(outputs_read(caller, workspace, None, None))
                return Reading(None, None, None)
            found = carried.get(head.id) or taker.known(head.id, sensitive=sensitive)
            if found is None:
                return _Moved(head)
            if isinstance(found, NoOutputsError):
                transaction.append(
                    refused("state.outputs_read", "conflict", found, caller, workspace)
                )
                return found
            transaction.append(outputs_read(caller, workspace, head, found))
            return Reading(head, found.body, None)

        for _ in range(_ATTEMPTS):
            committed = await self._store.write(job)
            value = committed.value
            if isinstance(value, Reading):
                return Reading(value.version, value.body, committed.index)
            if isinstance(value, TfauditError):
                value.audit_index = committed.index
                raise value
            with suppress(PrunedError):  # somebody wrote meanwhile: it is not the newest any more
                taken = await self._take(caller, value.head, sensitive=sensitive)
                carried = {value.head.id: taken}
        raise _too_busy(workspace)

    async def _take(
        self, caller: Caller, head: StateVersion, *, sensitive: bool
    ) -> Outputs | NoOutputsError:
        """Return the outputs of a version, or why they can't be told apart."""
        body = await self._load_for(caller, head, "state.outputs_read")
        take = partial(self._taker.take, head, body, sensitive=sensitive)
        try:
            return await asyncio.to_thread(take)
        except NoOutputsError as error:
            return error

    def forget_bodies(self) -> None:
        """Let go of all states in memory, because some of them were destroyed.

        And of which version is the newest: a destroyed one is no base for an upload.
        """
        self._bodies.clear()
        self._newest.clear()
        self._taker.forget()

    def forget_versions(self, version_ids: Sequence[str]) -> None:
        """Let go of versions in memory, because retention destroyed them."""
        self._bodies.drop(version_ids)
        self._taker.drop(version_ids)

    async def _load_for(
        self, caller: Caller, version: StateVersion, event: str = "state.read"
    ) -> bytes:
        """Load a body; that it can't be is on record, too."""
        try:
            return await self._load(version)
        except UnavailableError as error:
            failure = refused(event, "error", error, caller, version.workspace)
            error.audit_index = (await self._store.write(lambda tx: tx.append(failure))).index
            raise

    async def _load_found(self, caller: Caller, version: StateVersion) -> bytes:
        """Load a version that somebody wants to look at; that it was pruned is on record, too."""
        try:
            return await self._load(version)
        except PrunedError as error:
            await self._refuse_look(caller, version.workspace, error)

    async def read_version(self, caller: Caller, workspace: str, reference: str) -> Reading:
        """Return one version by its number or ID.

        Raises:
            NotFoundError: there is no such version.
            ForbiddenError, UnavailableError: as ``read``.
        """
        await gate(self._store, caller, Permission.STATE_READ, workspace)
        version = await self._find_for(caller, workspace, reference)
        body = await self._load_found(caller, version)
        committed = await self._record_version_read(caller, "read", version)
        return Reading(version, body, committed.index)

    async def show(
        self, caller: Caller, workspace: str, reference: str | None = None
    ) -> dict[str, Any]:
        """Return a version (the newest by default) as a redacted document.

        Raises:
            NotFoundError, ForbiddenError, UnavailableError: as ``read_version``.
        """
        await gate(self._store, caller, Permission.STATE_READ, workspace)
        version = await self._find_for(caller, workspace, reference)
        body = await self._load_found(caller, version)
        await self._record_version_read(caller, "looked at", version)
        key = await self._key(workspace)
        return await asyncio.to_thread(lambda: self._redactor.document(documents.parse(body), key))

    async def scan(self, caller: Caller, workspace: str) -> tuple[list[Finding], frozenset[str]]:
        """Return which secrets lie in the newest state, and which patterns match anything in it.

        Those for where the secrets lie and how that is known; these are of the policy in force.

        Raises:
            InvalidInputError: the state is encrypted, so that nothing can be told.
            NotFoundError, ForbiddenError, UnavailableError: as ``read_version``.
        """
        await gate(self._store, caller, Permission.STATE_READ, workspace)
        version = await self._find_for(caller, workspace, None)
        body = await self._load_found(caller, version)
        await self._record_version_read(caller, "scanned", version)

        def work() -> tuple[list[Finding], frozenset[str]]:
            findings = findings_in(body, self._policy)
            return findings, matched(documents.parse(body), self._policy)

        return await asyncio.to_thread(work)

    async def compare(
        self, caller: Caller, workspace: str, old: str | None, new: str | None
    ) -> tuple[RedactedChanges, StateVersion | None, StateVersion]:
        """Return what changed between two versions, redacted, and the versions.

        Args:
            caller: who asks.
            workspace: whose state.
            old: number or ID; None is the version before ``new``, if there is one.
            new: number or ID; None is the newest.

        Raises:
            NotFoundError, ForbiddenError, UnavailableError: as ``read_version``.
        """
        await gate(self._store, caller, Permission.STATE_READ, workspace)
        after = await self._find_for(caller, workspace, new)
        record = self._store.directory().workspace(workspace)
        if old is None and after.number - 1 > record.destroyed_versions:
            old = str(after.number - 1)
        before = None if old is None else await self._find_for(caller, workspace, old)
        first = None if before is None else await self._load_found(caller, before)
        second = await self._load_found(caller, after)
        for version in (before, after):
            if version is not None:
                await self._record_version_read(caller, "compared", version)
        key = await self._key(workspace)

        def work() -> RedactedChanges:
            start = None if first is None else documents.parse(first)
            return self._redactor.change(start, documents.parse(second), key)[0]

        return await asyncio.to_thread(work), before, after

    # ------------------------------------------------------------ writing

    async def write(
        self,
        caller: Caller,
        workspace: str,
        receive: Callable[[int | None], Awaitable[bytes | bytearray]],
        lock_id: str | None,
        content_md5: str | None,
    ) -> Written:
        """Store an upload as the newest state; durable when this returns.

        Args:
            caller: who asks.
            workspace: whose state.
            receive: reads the body, up to so many bytes or (None) the server's limit; called only
                when the caller may write at all.
            lock_id: the query's ``ID``; None when there is none.
            content_md5: the request's header, base64; None when there is none.

        Raises:
            BodyTooLargeError, SlowUploadError: from ``receive``.
            documents.NotJsonError, documents.NotAStateError: it is no state.
            DamagedUploadError: it is not what its Content-MD5 (base64) says.
            LockedError, ConflictError: the families of upload_rules.judge's refusals.
            WorkspaceDeletedError, ProtectedError: the workspace takes nothing in, or not from them.
            ForbiddenError, UnavailableError: as ``read``.
        """
        await gate(self._store, caller, Permission.STATE_WRITE, workspace)
        known = self._store.directory().workspace(workspace)
        try:
            require_writable(known, caller.principal)
        except (WorkspaceDeletedError, ProtectedError):
            # What was looked at may be a second old; the transaction decides, and records.
            await self._require_writable(caller, workspace, lock_id)
        try:
            body = await receive(known.body_limit)
        except InvalidInputError as error:
            await self._refuse_write(caller, workspace, "error", error, lock_id)

        def decide(
            found: Prepared,
            head: StateVersion | None,
            lock: HeldLock | None,
            record: WorkspaceRecord,
        ) -> Accepted:
            require_lock(record, lock)
            upload = Upload(
                workspace,
                found.lineage,
                found.serial,
                found.sha256,
                lock_id or None,
                caller.principal,
            )
            return judge(upload, head, lock, accept_unlocked_force=self._accept_unlocked_force)

        return await self._store_version(
            caller, workspace, body, decide, content_md5=content_md5, lock_id=lock_id
        )

    async def _require_writable(self, caller: Caller, workspace: str, lock_id: str | None) -> None:
        """Pass when the caller may write there, before any byte of the upload is read.

        Raises:
            WorkspaceDeletedError, ProtectedError: on record.
        """

        def job(transaction: Transaction) -> TfauditError | None:
            try:
                require_writable(transaction.directory().workspace(workspace), caller.principal)
            except (WorkspaceDeletedError, ProtectedError) as error:
                _refuse_save(transaction, _outcome(error), error, caller, workspace, lock_id)
                return error
            return None

        committed = await self._store.write(job)
        if committed.value is not None:
            committed.value.audit_index = committed.index
            raise committed.value

    async def refuse_forged_read(self, caller: Caller, name: str) -> NoReturn:
        """Record and refuse what no client sends: a GET with an upload's headers.

        Go's HTTP client turns a redirected POST, LOCK or UNLOCK into a GET without a body. To
        answer that with 200 would tell Terraform that its state is saved.

        Args:
            caller: who asks.
            name: what stands in the path after ``/state/``: a workspace, perhaps with ``/lock``
                or ``/unlock`` behind it.

        Raises:
            ForgedReadError: always.
        """
        name = client_path(name)
        error = ForgedReadError(
            f"a GET of {name} carries the headers of an upload: something in front of this "
            "server answers with a redirect; use the final https address in the backend block"
        )
        await self._refuse_write(caller, name, "error", error, None)

    async def import_state(
        self, caller: Caller, workspace: str, body: bytes | bytearray
    ) -> Written:
        """Store an existing state with its bytes, lineage and serial as they are.

        Raises:
            ConflictError: the workspace has a state already, and not this one.
            LockedError: the workspace is locked.
            documents.NotJsonError, documents.NotAStateError, ForbiddenError, UnavailableError:
                as ``write``.
        """
        await gate(self._store, caller, Permission.STATE_WRITE, workspace)

        def decide(
            found: Prepared, head: StateVersion | None, lock: HeldLock | None, _: WorkspaceRecord
        ) -> Accepted:
            _require_unlocked(workspace, lock)
            if head is not None and head.sha256 != found.sha256:
                raise ConflictError(
                    f"{workspace} already holds serial {head.serial} of lineage {head.lineage}: "
                    "import into a new workspace, or use `terraform state push`"
                )
            return Accepted(repeated=head is not None, note="imported")

        return await self._store_version(caller, workspace, body, decide)

    async def roll_back(self, caller: Caller, workspace: str, reference: str) -> Written:
        """Store an older version again as the newest, with the next serial.

        Only the digits of the serial differ from the older version's bytes, so that saved plans
        of the present state are stale, as they must be, and every client goes on from there.

        Raises:
            NotFoundError: no such version.
            LockedError: the workspace is locked.
            ConflictError: the version belongs to another lineage, or is the newest already.
            InvalidInputError: the state is encrypted; says what to run instead.
            ForbiddenError, UnavailableError: as ``write``.
        """
        await gate(self._store, caller, Permission.ROLL_BACK, workspace)
        try:
            head, body, number = await self._older(workspace, reference)
        except (NotFoundError, ConflictError, InvalidInputError) as error:
            await self._refuse_write(caller, workspace, "conflict", error, None)
        except UnavailableError as error:
            await self._refuse_write(caller, workspace, "error", error, None)

        def decide(
            _: Prepared, present: StateVersion | None, lock: HeldLock | None, __: WorkspaceRecord
        ) -> Accepted:
            _require_unlocked(workspace, lock)
            if present is None or present.id != head.id:
                raise ConflictError(f"{workspace} was written just now: look at it and try again")
            return Accepted(note=f"rolled back to version {number}")

        return await self._store_version(caller, workspace, body, decide, event="state.rolled_back")

    async def _older(self, workspace: str, reference: str) -> tuple[StateVersion, bytes, int]:
        """Return the newest version, an older one's body with the next serial, and its number."""
        head = await self._find(workspace, None)
        target = await self._find(workspace, reference)
        if target.id == head.id:
            raise ConflictError(f"version {reference} is the newest state of {workspace} already")
        if target.kind == "encrypted":
            raise InvalidInputError(
                f"version {target.number} of {workspace} is encrypted by OpenTofu, and its serial "
                f"can't be changed from outside: run `tfaudit state pull {workspace} --version "
                f"{target.number} > old.tfstate`, decrypt and raise its serial with `tofu`, then "
                "`tofu state push -force old.tfstate`"
            )
        if target.lineage != head.lineage:
            raise ConflictError(
                f"version {target.number} of {workspace} has lineage {target.lineage}, the newest "
                f"has {head.lineage}: pull it and use `terraform state push -force`"
            )
        body = documents.with_serial(await self._load(target), head.serial + 1)
        return head, body, target.number

    async def _store_version(  # noqa: PLR0913 - the parts of one upload
        self,
        caller: Caller,
        workspace: str,
        body: bytes | bytearray,
        decide: _Judge,
        *,
        event: str = "state.written",
        content_md5: str | None = None,
        lock_id: str | None = None,
    ) -> Written:
        """Prepare the upload for the newest version, judge and store it in one transaction."""
        base = self._newest.get(workspace)
        if base is None:
            base = (await self._store.write(partial(_base, workspace))).value
        version_id = uuid7(self._clock(), self._random_of_id())
        for _ in range(_ATTEMPTS):
            salt = self._random(SALT_BYTES) if base.salt is None else base.salt.value
            order = Order(workspace, salt, version_id, cast("bytes", body), content_md5, base.head)
            order.is_of_run = bool(lock_id)
            try:
                prepared = await self._prepare(order)
            except (InvalidInputError, DamagedUploadError) as error:
                await self._refuse_write(caller, workspace, "error", error, lock_id)
            except UnavailableError as error:
                # What was remembered as the newest may be destroyed: only a look can tell.
                present = (await self._store.write(partial(_base, workspace))).value
                if present == base:
                    await self._refuse_write(caller, workspace, "error", error, lock_id)
                base = present
                continue

            attempt = _Attempt(version_id, prepared, base, salt, self._master_id, self._is_opened)
            job = partial(_store, caller, attempt, self._policy, decide, event, workspace, lock_id)
            committed = await self._store.write(job)
            value = committed.value
            if isinstance(value, Written):
                self._bodies.put(value.version.id, body)
                if not value.repeated:
                    self._remember(value.version, base.salt or Salt(salt, value.version.created))
                return Written(value.version, committed.index, value.repeated)
            if isinstance(value, TfauditError):
                value.audit_index = committed.index
                raise value
            base = value
        raise _too_busy(workspace)

    async def _prepare(self, order: Order) -> Prepared:
        """Have an order carried out, with the body of the version before."""
        if order.base is not None:
            if not order.is_large:  # else it would cost more to hand it over than to open it there
                order.base_body = self._bodies.get(order.base.id)
            if order.base_body is None:
                order.base_sealed = await self._store.sealed(order.base.id)
        return await self._preparer.prepare(order)

    def _remember(self, version: StateVersion, salt: Salt) -> None:
        """Keep what the next upload builds on: a guess, which its transaction checks."""
        if len(self._newest) >= _REMEMBERED:
            self._newest.clear()
        self._newest[version.workspace] = _Base(version, salt, version.number)

    async def _refuse_write(
        self,
        caller: Caller,
        workspace: str,
        outcome: str,
        error: TfauditError,
        lock_id: str | None,
    ) -> NoReturn:

        def job(transaction: Transaction) -> None:
            _refuse_save(transaction, outcome, error, caller, workspace, lock_id)

        error.audit_index = (await self._store.write(job)).index
        raise error

    # ------------------------------------------------------------ shared

    async def _find_for(
        self, caller: Caller, workspace: str, reference: str | None
    ) -> StateVersion:
        """Return a version that somebody wants to look at; that none is given out is on record."""
        try:
            return await self._find(workspace, reference)
        except WorkspaceDeletedError as error:
            await self._refuse_look(caller, workspace, error)

    async def _refuse_look(
        self, caller: Caller, workspace: str, error: WorkspaceDeletedError
    ) -> NoReturn:
        """Record that no version is given out, and why."""
        entry = refused("state.version_read", "conflict", error, caller, workspace)
        error.audit_index = (await self._store.write(lambda tx: tx.append(entry))).index
        raise error

    async def _find(self, workspace: str, reference: str | None) -> StateVersion:
        """Return a version by its number or ID; None asks for the newest.

        Raises:
            NotFoundError: there is none.
            WorkspaceDeletedError: the workspace is deleted, or the version was destroyed or pruned.
        """

        def job(transaction: Transaction) -> StateVersion | WorkspaceDeletedError | None:
            record = transaction.directory().workspace(workspace)
            try:
                require_alive(record)
                if reference is None:
                    return standing(transaction.head(workspace), record)
                version = transaction.version(workspace, reference)
                if version is not None:
                    require_kept(version, record)
            except WorkspaceDeletedError as error:
                return error
            return version

        found = (await self._store.write(job)).value
        if isinstance(found, WorkspaceDeletedError):
            raise found
        if found is None:
            if reference is None or not await self._store.versions(workspace):
                raise NotFoundError(
                    f"{workspace} has no state: `tfaudit state list` shows all workspaces"
                )
            raise NotFoundError(
                f"{workspace} has no version {reference}: `tfaudit state versions {workspace}` "
                "lists them"
            )
        return found

    async def _key(self, workspace: str) -> bytes:
        """Return the key that values are hidden with when somebody looks at them.

        Without a salt nothing on record was hidden with a key that still exists, so any will do.
        """
        salt = (await self._store.write(lambda transaction: transaction.salt(workspace))).value
        value = self._random(SALT_BYTES) if salt is None else salt.value
        return workspace_key(self._keys.redaction, workspace, value)

    async def _load(self, version: StateVersion) -> bytes:
        """Return a version's body, checked against the digest it was recorded with.

        Raises:
            PrunedError: it was destroyed since the version was found.
            UnavailableError: it can't be read, opened, or is not what was stored.
        """
        body = self._bodies.get(version.id)
        if body is not None:
            return body
        try:
            sealed = await self._store.sealed(version.id)
        except UnavailableError:
            find = partial(_again, version)
            require_unpruned((await self._store.write(find)).value)
            raise

        body = await asyncio.to_thread(open_sealed, version, sealed, self._keys.master)
        self._bodies.put(version.id, body)
        return body

    async def _record_version_read(
        self, caller: Caller, verb: str, version: StateVersion
    ) -> Committed[int]:
        entry = draft(
            "state.version_read",
            "success",
            f"{name_of(caller)} {verb} {version.workspace}, version {version.number} "
            f"(serial {version.serial})",
            caller,
            200,
            workspace=version.workspace,
            state=state_of(version),
        )
        return await self._store.write(lambda tx: tx.append(entry))


def findings_in(body: bytes, policy: Policy) -> list[Finding]:
    """Return which secrets lie in a state, where, and how that is known.

    Raises:
        documents.NotJsonError, documents.NotAStateError: it is no state.
        InvalidInputError: it is encrypted, so that nothing can be told.
    """
    document = documents.parse(body)
    if document.kind == "encrypted":
        raise InvalidInputError(
            "the state is encrypted by OpenTofu, so nobody can tell from outside what lies in it"
        )
    return scan(document, policy)


def _base(workspace: str, transaction: Transaction) -> _Base:
    newest = transaction.head(workspace)
    record = transaction.directory().workspace(workspace)
    number = 0 if newest is None else newest.number
    return _Base(standing(newest, record), transaction.salt(workspace), number)


def _again(version: StateVersion, transaction: Transaction) -> StateVersion:
    """Return the version as it is now."""
    return transaction.version(version.workspace, version.id) or version


def _outcome(error: TfauditError) -> str:
    return "denied" if isinstance(error, ProtectedError) else "conflict"


def _may_read_outputs_alone(caller: Caller, workspace: str) -> bool:
    rights = caller.principal.rights
    return (
        not rights.decide(Permission.STATE_READ, workspace).allowed
        and rights.decide(Permission.OUTPUTS_READ, workspace).allowed
    )


def _refuse_read(
    event: str, transaction: Transaction, caller: Caller, record: WorkspaceRecord
) -> WorkspaceDeletedError:
    """Return why nothing of a deleted workspace is given out, once that is an entry."""
    try:
        require_alive(record)
    except WorkspaceDeletedError as error:
        transaction.append(refused(event, "conflict", error, caller, record.name))
        return error
    raise AssertionError("it is not deleted")


def _store(  # noqa: PLR0913, PLR0917 - all but the transaction is bound before it
    caller: Caller,
    attempt: _Attempt,
    policy: Policy,
    decide: _Judge,
    event: str,
    workspace: str,
    lock_id: str | None,
    transaction: Transaction,
) -> Written | TfauditError | _Base:
    """Judge an upload by what is stored now, and store it if it was prepared for that."""
    prepared = attempt.prepared
    base = _base(workspace, transaction)
    head = base.head
    _require_in_force(policy, transaction)
    transaction.require_master(attempt.master_id, attempt.is_opened, HEAD_BYTES)
    lock = transaction.lock(workspace)
    run = None if lock is None else transaction.run(workspace)
    said = run_of(lock, caller)
    directory = transaction.directory()
    record = directory.workspace(workspace)
    try:
        require_writable(record, caller.principal)
        require_size(record, prepared.size)
        accepted = decide(prepared, head, lock, record)
    except TfauditError as error:
        parts = {**said, **upload_of(prepared)}
        _refuse_save(transaction, _outcome(error), error, caller, workspace, lock_id, **parts)
        return error
    if accepted.repeated and head is not None:
        index = transaction.append(repeated(event, caller, head, accepted.note, said))
        if run is not None:
            run_entries.save_again(transaction, run, index)
        return Written(head, None, repeated=True)
    if base != attempt.base:
        return base
    version = _version(workspace, attempt.version_id, prepared, base.number + 1, transaction.time)
    if lock is not None:
        version = version._replace(run=lock.taken)
    if base.salt is None:
        transaction.set_salt(workspace, attempt.salt)
    if head is None and not directory.is_set(workspace):  # else it was made ahead
        transaction.append(created(caller, workspace))
    transaction.add_version(version, prepared.sealed)
    if run is not None:
        said["run"] |= run_entries.left_by(prepared)
    index = transaction.append(
        written(event, caller, version, head, prepared, note=accepted.note, run=said)
    )
    if run is not None:
        run_entries.save(transaction, caller, run, prepared, version, accepted.forced, index)
    return Written(version, None, repeated=False)


def _refuse_save(  # noqa: PLR0913, PLR0917 - the parts of one refusal
    transaction: Transaction,
    outcome: str,
    error: TfauditError,
    caller: Caller,
    workspace: str,
    lock_id: str | None,
    **parts: Any,  # noqa: ANN401 - JSON of any shape
) -> None:
    """Record the refusal of an upload, and whether it was one of the run that holds the lock."""
    lock = transaction.lock(workspace) if lock_id else None
    is_named = lock is not None and lock.id == lock_id
    is_own = lock is not None and is_named and lock.is_of(caller.principal)
    if is_own:
        parts |= run_of(lock, caller)
        parts["run"]["unsaved"] = True
    elif lock is not None and is_named:  # everybody who was refused the lock knows its ID
        parts |= {"run": {"id": client_text(lock_id or "")}, "holder": holder_of(lock)}
    elif lock_id and "run" not in parts:
        parts["run"] = {"id": client_text(lock_id)}
    index = transaction.append(
        refused("state.write_refused", outcome, error, caller, workspace, **parts)
    )
    if is_own:
        run_entries.refuse_save(transaction, workspace, status_of(error), index)


def _require_in_force(policy: Policy, transaction: Transaction) -> None:
    """Pass when what was prepared was hidden as the record says that things are hidden."""
    in_force = transaction.policy()
    if in_force is not None and in_force != policy.packed:
        raise UnavailableError(
            "the redaction policy in force is another than this process began with, so nothing "
            "was done: try again; if it stays so, run `tfaudit verify` and start the server anew"
        )


def _version(
    workspace: str,
    version_id: str,
    prepared: Prepared,
    number: int,
    time: str,
) -> StateVersion:
    return StateVersion(
        version_id,
        workspace,
        number,
        prepared.lineage,
        prepared.serial,
        prepared.sha256,
        prepared.size,
        prepared.terraform_version,
        prepared.kind,
        time,
    )


def _require_unlocked(workspace: str, lock: HeldLock | None) -> None:
    if lock is not None:
        raise LockedError(
            f"{workspace} is locked by {lock.who or lock.actor} ({lock.operation}) since "
            f"{lock.taken}: wait for it, or `tfaudit lock release {workspace}`"
        )


def _too_busy(workspace: str) -> UnavailableError:
    return UnavailableError(
        f"{workspace} is being written by others all the time: try again in a moment"
    )
