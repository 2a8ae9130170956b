"""The program without its HTTP face: keys, store and services; alone knows the concrete store."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec

from proxy.admin_service import AdminService
from proxy.anchors.keeping import Anchors
from proxy.audit_log import AuditLog
from proxy.auth.password_hasher import PasswordHasher
from proxy.auth.people import People
from proxy.auth.sessions import SessionKeeper
from proxy.config import Config
from proxy.contracts import Store
from proxy.cosigned import CosignedCheckpoint
from proxy.directory_service import DirectoryService
from proxy.errors import ConfigError, TfauditError
from proxy.keys import (
    MASTER,
    KeyRing,
    open_keys,
    pending_keys,
    pending_master,
    pending_path,
    rotating,
    settle_pending,
)
from proxy.last_checkpoint import LastCheckpoint, Verify
from proxy.lock_service import LockService
from proxy.preparation import Keys, is_opened_by
from proxy.preparers import WorkerPool
from proxy.proof_service import ProofService
from proxy.reading_log import ReadingLog
from proxy.retention_service import RetentionService
from proxy.sealing import HEAD_BYTES, master_id
from proxy.secret_service import SecretService
from proxy.server_lock import halted, is_served
from proxy.sink_service import SinkService
from proxy.sinks.opening import SinkOpener
from proxy.sinks.secrets import NamedSecrets
from proxy.state_service import StateService
from proxy.storage.reader import is_master_in_force, newest_signatures
from proxy.storage.sqlite import SQLiteStore
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteVerifier
from proxy.tlog.rotation import PURPOSES, key_ids_of
from proxy.tlog.signing import public_key_of
from proxy.token_exchange import TokenExchange
from proxy.workspace_service import WorkspaceService


def clock() -> int:
    """Return microseconds since 1970."""
    return time.time_ns() // 1000


def now() -> datetime:
    """Return the present, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Program:
    """The parts, put together and open."""

    config: Config
    keys: KeyRing
    store: Store
    states: StateService
    locks: LockService
    admin: AdminService
    proofs: ProofService
    readings: ReadingLog
    directory: DirectoryService
    exchange: TokenExchange
    people: People
    workspaces: WorkspaceService
    retention: RetentionService
    secrets: SecretService
    sinks: SinkService
    open_sink: SinkOpener
    last_checkpoint: LastCheckpoint
    anchors: Anchors
    halt: Callable[[str], None]
    cosigned: CosignedCheckpoint
    policy: Policy
    refusal: str = ""
    """Why the log must not grow, so that nothing is put on record; empty when it may."""


@asynccontextmanager
async def open_program(  # noqa: PLR0913 - each opens it for another purpose
    config: Config,
    *,
    create: bool,
    on_commit: Callable[[int, int, float], None] | None = None,
    workers: int = 0,
    is_recovery: bool = False,
    may_only_read: bool = False,
) -> AsyncIterator[Program]:
    """Open the keys and the store, check that the log is the one it was, build the services.

    Args:
        config: what to open.
        create: make the data directory, keys and database when there are none, and hide what the
            configuration says: a server does. Whoever works beside it hides what is in force.
        on_commit: told the number of jobs and entries and the seconds of each commit.
        workers: processes that prepare uploads; none prepares them in this one.
        is_recovery: the log is known not to be what it was, and is to go on all the same.
        may_only_read: when the log must not grow, open it all the same, to be read: the store takes
            no job, and ``refusal`` tells why.

    Raises:
        ConfigError: something is missing, unreadable, or not what it was.
    """
    directory = config.data.directory
    if create:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the data directory {directory} can't be made: {error}") from error
    keys = keys_in_force(config, create=create)
    audit = AuditLog(keys.entry, keys.checkpoint, keys.origin, clock=clock, random=os.urandom)
    store = SQLiteStore(config.data.database, audit, create=create, on_commit=on_commit)
    verifier = NoteVerifier.parse(keys.vkey)
    entry_key = keys.entry.public_key
    last_checkpoint = LastCheckpoint(config.data.last_checkpoint, verifier, entry_key)
    cosigned = CosignedCheckpoint(
        config.data.cosigned_checkpoint,
        verifier,
        [each.verifier for each in config.witness.listed],
        config.witness.wanted,
    )
    anchors = anchors_of(config, store, last_checkpoint.verified)
    secrets = Keys(keys.master, keys.redaction)
    open_sink = SinkOpener(NamedSecrets(config), now, config.data.directory)
    async with AsyncExitStack() as after, store:
        # After all that they may have to sign.
        after.callback(keys.close)
        after.push_async_callback(anchors.aclose)
        _require_opens(config, keys.master)
        refusal = ""
        if not is_recovery:
            try:
                await last_checkpoint.check(store)
                await _check_anchors(anchors, directory, is_server=create)
            except ConfigError as error:
                if not may_only_read:
                    raise
                refusal = str(error)
        await cosigned.load(lambda note: last_checkpoint.contained(store, note))
        policy = config.redaction.policy() if create else await _policy_in_force(store)
        if refusal:
            store.halt(refusal)
        readings = ReadingLog(store, window=config.audit.reading_window, now=now)
        async with PasswordHasher() as hasher, WorkerPool(secrets, workers, policy) as preparer:
            store.crowd = preparer.load
            yield Program(
                config=config,
                keys=keys,
                store=store,
                states=StateService(
                    store,
                    secrets,
                    clock=clock,
                    random=os.urandom,
                    accept_unlocked_force=config.server.accept_unlocked_force,
                    preparer=preparer,
                    policy=policy,
                ),
                locks=LockService(store),
                admin=AdminService(store, now, os.urandom),
                proofs=ProofService(
                    store,
                    readings,
                    verifier,
                    entry_key=entry_key,
                    cosigned=cosigned,
                    is_public=config.audit.public_log,
                ),
                readings=readings,
                directory=DirectoryService(store, now, os.urandom),
                exchange=TokenExchange(store, clock, os.urandom),
                people=_people(config, store, hasher),
                workspaces=WorkspaceService(
                    store, now, os.urandom, grace_days=config.data.deletion_grace
                ),
                retention=RetentionService(store, config.retention.rules, clock),
                secrets=SecretService(store, secrets),
                sinks=SinkService(store, open_sink, keys.origin, now, os.urandom),
                open_sink=open_sink,
                last_checkpoint=last_checkpoint,
                anchors=anchors,
                halt=store.halt,
                cosigned=cosigned,
                policy=policy,
                refusal=refusal,
            )
        if not is_recovery and not refusal:
            with suppress(TfauditError, OSError):
                await last_checkpoint.note(store)


def anchors_of(config: Config, store: Store, verify: Verify) -> Anchors:
    """Return the anchors that a configuration names, without I/O.

    Raises:
        ConfigError: with all that is wrong with them.
    """
    if not config.anchors:
        return Anchors((), store, verify)
    from proxy.anchors.settings import open_anchors  # noqa: PLC0415 - commands start quicker

    return open_anchors(config, store, verify, now)


async def _check_anchors(anchors: Anchors, directory: Path, *, is_server: bool) -> None:
    """Pass when the anchors show nothing that the log does not contain.

    Beside a server its word is enough: it compares them all the time, with its own rights.

    Raises:
        ConfigError: one does, or the server that runs signs nothing on.
    """
    if is_server or not is_served(directory):
        await anchors.check()
    elif reason := halted(directory):
        raise ConfigError(f"the server that runs here signs nothing on: {reason}")


def keys_in_force(config: Config, *, create: bool) -> KeyRing:
    """Return the keys that the log goes on with; a rotation that was cut short is finished here.

    It was cut short before its entry was committed, and the new key is of no use; or after that,
    and the former key is. The log alone tells which; of a master key, the stored states.

    Raises:
        ConfigError: a key is missing or can't be used, the log can't be asked, or a key is being
            rotated at this moment.
    """
    if any(pending_path(config, purpose).exists() for purpose in (*PURPOSES, MASTER)):
        with rotating(config):
            settle(config)
    return open_keys(config, create=create)


def _require_opens(config: Config, master_key: bytes) -> None:
    """Pass when the master key opens what was stored last; where nothing is, it is the newest.

    Nothing may be sealed with another one, which would soon be all that opens what is new.

    Raises:
        ConfigError: it does not.
    """
    try:
        is_in_force = _is_in_force(config, master_key)
    except ConfigError:
        return  # a page is damaged: whoever has to read it says so
    if is_in_force is False:
        raise ConfigError(
            f"the master key does not open the stored states: {master_id(master_key)} is not the "
            "one they are stored under. If it was rotated, give the new one (`tfaudit log --event "
            "key.rotated` tells its ID); else restore the right one from a backup"
        )


def _is_in_force(config: Config, master_key: bytes) -> bool | None:
    """Tell whether a master key is the one in force; None when nothing in the database tells."""
    is_opened = partial(is_opened_by, master_key)
    return is_master_in_force(config.data.database, master_id(master_key), is_opened, HEAD_BYTES)


def settle(config: Config) -> None:
    """Put each pending key in its place if it is in force, else drop it.

    Call it under ``rotating``.

    Raises:
        ConfigError: the log can't be asked, or the files can't be changed.
    """
    entry_key_id, note = newest_signatures(config.data.database)
    origin = note.partition("\n")[0]
    for purpose, signer in pending_keys(config).items():
        is_in_force = key_id(signer.public_key) == entry_key_id
        if purpose == "checkpoint" and note:
            verifier = NoteVerifier(origin, public_key_of(signer))
            is_in_force = key_ids_of(note, origin)[-1:] == [verifier.key_id]
        settle_pending(config, purpose, is_in_force=is_in_force)
    master_key = pending_master(config)
    if master_key is not None:
        settle_pending(config, MASTER, is_in_force=bool(_is_in_force(config, master_key)))


def _people(config: Config, store: Store, hasher: PasswordHasher) -> People:
    idle, lifetime = (
        timedelta(seconds=seconds)
        for seconds in (config.auth.session_idle, config.auth.session_lifetime)
    )
    return People(store, hasher, SessionKeeper(store, now, idle, lifetime))


async def _policy_in_force(store: Store) -> Policy:
    """Return the policy that the last start of a server put on record.

    Raises:
        ConfigError: it can't be read.
    """
    packed = (await store.write(lambda transaction: transaction.policy())).value
    if packed is None:
        return STANDARD
    try:
        return Policy.unpack(packed)
    except (msgspec.DecodeError, TypeError) as error:
        raise ConfigError(
            "the redaction policy in force can't be read from the database, so nothing was done: "
            "start the server, which puts the configured one in force"
        ) from error
