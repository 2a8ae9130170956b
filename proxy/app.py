"""Puts the HTTP face on the program and runs it: start, listen, drain, stop."""

import asyncio
import os
import random
import resource
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import fields
from datetime import timedelta
from functools import partial
from typing import IO, Any, Final

from aiohttp import web

from proxy.access import Caller, Principal, Role, rights_of
from proxy.anchors.keeping import why
from proxy.anchors.settings import on_record
from proxy.auth.attempts import Attempts
from proxy.auth.authenticator import Authenticator
from proxy.auth.devices import Devices, device_key
from proxy.auth.discovery import Discovery
from proxy.auth.failures import FailureLog
from proxy.auth.issuer_keys import IssuerKeys
from proxy.auth.issuers import Issuers
from proxy.auth.logins import Logins
from proxy.collector import settle
from proxy.config import SECTIONS, Config, Secret
from proxy.directory import Object, SinkRecord
from proxy.errors import ConfigError, ConflictError, InvalidInputError, TfauditError
from proxy.forwarding.forwarder import Forwarder, Surroundings
from proxy.forwarding.forwarders import Bell, Forwarders
from proxy.forwarding.pace import Pace
from proxy.housekeeping import SECONDS as HOUSEKEEPING_SECONDS
from proxy.housekeeping import Housekeeper
from proxy.keys import KeyRing
from proxy.last_checkpoint import Lost, recovered_size
from proxy.logs import Logger, configure_logging
from proxy.patterns import parse
from proxy.preparers import spare_cores
from proxy.program import Program, now, open_program
from proxy.server import appkeys
from proxy.server.client_certificates import ClientCertificates
from proxy.server.connections import (
    Runner,
    most_connections,
    most_handshakes,
    request_ids,
)
from proxy.server.handshakes import TLSSite
from proxy.server.metrics import Metrics
from proxy.server.middleware import Gatekeeper, Traffic
from proxy.server.readiness import Readiness
from proxy.server.routes import ENTRANCES, OPEN, PUBLIC, add_routes
from proxy.server.shortcut import Shortcut
from proxy.server.tls import Revocations, open_tls
from proxy.server_lock import only_server, tell_halted
from proxy.server_record import record_start, record_stop
from proxy.sink_status import record_of
from proxy.sinks import default_filter
from proxy.sinks.record import mistakes_of
from proxy.tlog.note import NoteVerifier
from proxy.witness.client import open_client
from proxy.witnesses import Witnesses

_LAST_CHECKPOINT_SECONDS: Final = 1.0
_TILE_SECONDS: Final = 5.0
"""Until full tiles are kept; those that are asked for before are made for whoever asks."""
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread keeps the interpreter from others. With Python's own 5 ms, a small read beside
the preparation of a 50 MB state waits 5 ms each time it touches a socket or the database."""
_WITNESS_PATIENCE: Final = 5.0
"""Seconds that a start waits for the witnesses, before anything is signed."""
_SENDING_POLL_SECONDS: Final = 0.05
_READ_BUFFER: Final = 1 << 18
"""Bytes that aiohttp reads ahead of us for one connection."""

SYSTEM: Final = Principal("system", "server", "tfaudit", rights_of(Role.ADMIN))

_log = Logger("tfaudit")


def create_app(
    program: Program,
    metrics: Metrics | None = None,
    traffic: Traffic | None = None,
    revocations: Revocations | None = None,
) -> web.Application:
    """Return the HTTP application over an open program; its clean-up commits what was counted."""
    metrics = metrics or Metrics()
    config = program.config
    discovery = Discovery(config.auth.issuer_ca)
    issuer_keys = IssuerKeys(discovery, time.monotonic)
    authenticator = Authenticator(
        program.store, now, Issuers(program.store, issuer_keys, now), program.people.keeper
    )
    failures = FailureLog(
        program.store,
        window=config.audit.flood_window,
        immediate=config.audit.flood_immediate,
        now=now,
    )
    auth = config.auth
    attempts = Attempts(
        time.monotonic,
        after=auth.lockout_after,
        first=auth.lockout_first,
        longest=auth.lockout_longest,
    )
    logins = Logins(
        program.store,
        program.people,
        attempts,
        Devices(device_key(program.keys.master), now, os.urandom),
        failures,
        lifetime=timedelta(seconds=auth.session_lifetime),
        now=now,
        random=os.urandom,
    )
    ids = request_ids(os.urandom(6).hex())
    gatekeeper = Gatekeeper(
        program.store,
        authenticator,
        failures,
        metrics,
        traffic or Traffic(),
        open_handlers=OPEN,
        entrances=ENTRANCES,
        public=PUBLIC if config.audit.public_log else frozenset(),
        trusted_proxies=config.server.trusted_proxies,
        request_ids=ids,
        certificates=ClientCertificates(
            config.server.client_certificate_header,
            config.server.client_certificate_form,
            config.server.trusted_proxies,
            revocations or Revocations(None, None),
            now,
        ),
    )
    app = web.Application(middlewares=[gatekeeper.handle])
    app[appkeys.CONFIG] = config
    app[appkeys.STORE] = program.store
    app[appkeys.STATES] = program.states
    app[appkeys.LOCKS] = program.locks
    app[appkeys.COSIGNED] = program.cosigned
    app[appkeys.ANCHORS] = program.anchors
    app[appkeys.ADMIN] = program.admin
    app[appkeys.PROOFS] = program.proofs
    app[appkeys.WORKSPACES] = program.workspaces
    app[appkeys.DIRECTORY] = program.directory
    app[appkeys.SINKS] = program.sinks
    app[appkeys.EXCHANGE] = program.exchange
    app[appkeys.PEOPLE] = program.people
    app[appkeys.LOGINS] = logins
    app[appkeys.AUTHENTICATOR] = authenticator
    app[appkeys.FAILURES] = failures
    app[appkeys.METRICS] = metrics
    app[appkeys.REQUEST_IDS] = ids
    app[appkeys.READINESS] = Readiness(program.store, time.monotonic)
    app[appkeys.SHORTCUT] = Shortcut(app, add_routes(app), gatekeeper.handle)

    async def commit_counts(_: web.Application) -> AsyncIterator[None]:
        yield
        await failures.aclose()
        await program.readings.aclose()

    async def ask_issuers(_: web.Application) -> AsyncIterator[None]:
        async with discovery:
            yield
            await issuer_keys.aclose()

    app.cleanup_ctx.extend((commit_counts, ask_issuers))
    return app


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then finish what runs and record the stop.

    Raises:
        ConfigError: the start is not possible; nothing was served.
    """
    configure_logging(config.log)
    require_sinks(config)
    tls = open_tls(config.server)
    revocations = Revocations(config.server.client_crl, tls)
    sys.setswitchinterval(_SWITCH_SECONDS)
    files = _raise_open_files()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config.data.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with only_server(config) as held, suppress(asyncio.CancelledError):
        metrics, traffic, bell = Metrics(), Traffic(), Bell()

        def on_commit(jobs: int, entries: int, seconds: float) -> None:
            metrics.on_commit(jobs, entries, seconds)
            bell.ring(entries)

        async with (
            open_program(
                config, create=True, on_commit=on_commit, workers=spare_cores()
            ) as program,
            _witnessing(program, partial(_halt, program, held)) as witnesses,
        ):
            caller = _system("serve")
            await record_start(
                program.store,
                caller,
                config=_settings(config),
                keys=_public(program.keys),
                policy=program.policy,
            )
            await _configure_sinks(program, caller)
            runner = Runner(
                create_app(program, metrics, traffic, revocations),
                most=most_connections(files) - most_handshakes(files),
                access_log=None,
                keepalive_timeout=config.server.keepalive,
                read_bufsize=_READ_BUFFER,
                shutdown_timeout=1.0,
            )
            await runner.setup()
            settle()
            try:
                # Rules of grants are read with it, by an engine that takes a second to load.
                await asyncio.to_thread(program.store.directory)
                await _listen(runner, config, tls, most_handshakes(files))
                keepers = [
                    asyncio.create_task(_keep_last_checkpoint(program, revocations)),
                    asyncio.create_task(_keep_house(program)),
                    asyncio.create_task(_keep_tiles(program)),
                ]
                forwarding = _forwarding(program, bell) if config.server.forward else nullcontext()
                anchoring = _anchoring(program, partial(_halt, program, held))
                async with forwarding, _asking(program, witnesses), anchoring:
                    await stop.wait()
                    await _drain(program, traffic, runner)
                for keeper in keepers:
                    keeper.cancel()
            finally:
                await runner.cleanup()
                await record_stop(program.store, caller)
            await _anchor_the_end(program)
    _log.info("stopped")


async def _anchor_the_end(program: Program) -> None:
    if not program.config.server.forward:
        return
    await program.anchors.keep()
    for name, error in program.anchors.failures.items():
        _log.warning("an anchor does not have the end of the log", anchor=name, error=error)


def _halt(program: Program, held: IO[str], reason: str) -> None:
    """Let nothing be signed any more, neither here nor by the command line."""
    _log.error("THE LOG IS NOT SIGNED ON", reason=reason)
    program.halt(reason)
    tell_halted(held, reason)


@asynccontextmanager
async def _forwarding(program: Program, bell: Bell) -> AsyncIterator[None]:
    """Forward to all sinks meanwhile; a batch that is under way at the end may be answered."""
    around = Surroundings(
        store=program.store,
        open_sink=program.open_sink,
        origin=program.keys.origin,
        caller=_system("forwarding"),
        now=now,
        monotonic=time.monotonic,
        sleep=asyncio.sleep,
        chance=random.random,
        pace=Pace(),
    )

    def make(found: Object) -> Forwarder:
        return Forwarder(found, _matcher(record_of(found)), around)

    forwarders = Forwarders(
        program.store,
        make,
        bell,
        sleep=asyncio.sleep,
        monotonic=time.monotonic,
    )
    async with _meanwhile(forwarders.run(), "forwarding"):
        yield


def _keep_proof(program: Program, note: str) -> None:
    """Keep a checkpoint that the log's key signed and the log does not contain."""
    try:
        program.last_checkpoint.contradict(note)
    except OSError as error:
        _log.error("what proves the fork could not be kept", error=str(error), note=note)


@asynccontextmanager
async def _anchoring(program: Program, halt: Callable[[str], None]) -> AsyncIterator[None]:
    """Anchor the log meanwhile, if there are anchors; a drill on a copy only compares."""
    if not program.anchors:
        yield
        return

    def on_lost(lost: Lost) -> None:
        halt(why(lost))
        _keep_proof(program, lost.note)

    is_copy = not program.config.server.forward
    async with _meanwhile(program.anchors.run(on_lost, asyncio.sleep, is_copy=is_copy), "anchors"):
        yield


@asynccontextmanager
async def _witnessing(program: Program, halt: Callable[[str], None]) -> AsyncIterator[Witnesses]:
    """Give what asks the witnesses, after it has asked them for the first time.

    Args:
        program: open.
        halt: lets nothing be signed any more, and says why.

    Raises:
        ConfigError: one of them knows more of the log than there is of it here, or showed that it
            was forked.
    """
    config = program.config.witness
    recovered = await recovered_size(program.store)
    reasons: list[str] = []

    def stop(reason: str) -> None:
        if reason not in reasons:  # told once, not in every round
            halt(reason)
            reasons.append(reason)

    def on_fork(witness: str, note: str) -> None:
        last = program.last_checkpoint
        if last.is_on_record(note):
            return
        stop(
            f"the log was forked: the witness {witness} showed a checkpoint that is signed with "
            f"this log's key, and that is not of the log in this database. It is kept in "
            f"{last.fork}. Put the database back that it is of. If what it promises is lost for "
            "good, stop all servers and run `tfaudit log recover`, which puts that on record"
        )
        _keep_proof(program, note)

    def on_ahead(witness: str, size: int) -> None:
        if size <= recovered:
            return
        stop(
            f"the witness {witness} knows {size} entries of this log, more than there are here: an "
            "older database was put in the place of the newest. Put the newest one back. If "
            "entries after a backup are lost for good, stop all servers and run `tfaudit log "
            f"recover --known-size {size}`, which puts that on record"
        )

    async with open_witnesses(program, on_ahead, on_fork) as witnesses:
        if config.ask:
            # One that does not answer in time delays no start.
            with suppress(TimeoutError, TfauditError, OSError):
                async with asyncio.timeout(_WITNESS_PATIENCE):
                    await witnesses.ask()
        if reasons:
            raise ConfigError(reasons[0])
        yield witnesses


@asynccontextmanager
async def open_witnesses(
    program: Program,
    on_ahead: Callable[[str, int], None],
    on_fork: Callable[[str, str], None],
) -> AsyncIterator[Witnesses]:
    """Give what asks the witnesses that the configuration names; see ``Witnesses``."""
    async with open_client() as client:
        yield Witnesses(
            program.config.witness.listed,
            program.cosigned,
            program.store,
            NoteVerifier.parse(program.keys.vkey),
            entry_key=program.keys.entry.public_key,
            prove=program.proofs.growth,
            root=program.proofs.root,
            post=client.post,
            get=client.get,
            clock=lambda: int(time.time()),
            on_ahead=on_ahead,
            on_fork=on_fork,
        )


@asynccontextmanager
async def _asking(program: Program, witnesses: Witnesses) -> AsyncIterator[None]:
    """Ask the witnesses meanwhile, if there are any."""
    config = program.config.witness
    if not config.ask:
        yield
        return
    async with _meanwhile(witnesses.run(config.interval, asyncio.sleep), "witnesses"):
        yield


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Let work go on meanwhile; at the end it is cancelled, and ends what it must."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _matcher(record: SinkRecord) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether an entry is for a sink."""
    of = record.filter or default_filter(record.type)
    return parse(of).is_match if of else _is_any


def _is_any(_: Mapping[str, Any]) -> bool:
    return True


async def require_address(config: Config) -> None:
    """Pass when the server could listen now: asked before a first start makes anything.

    Raises:
        ConfigError: the address is taken or not this machine's, or the certificate can't be used.
    """
    server, tls = config.server, open_tls(config.server)
    Revocations(server.client_crl, tls)
    try:
        listener = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, server.host, server.port, ssl=tls, start_serving=False
        )
    except OSError as error:
        if config.data.database.exists():
            # The one that is there already may be that of this very directory: then that is told.
            only_server(config).close()
        raise _no_address(config, error) from error
    listener.close()
    await listener.wait_closed()


def require_sinks(config: Config) -> None:
    """Pass when the sinks of the configuration can be made: asked before anything is.

    Raises:
        ConfigError: with all that is wrong with them.
    """
    mistakes = [
        f"[sinks.{record.name}] {mistake}"
        for record in config.sinks.values()
        for mistake in mistakes_of(record)
    ]
    if mistakes:
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise ConfigError(f"sinks of the configuration can't be made:\n{listed}")


async def _configure_sinks(program: Program, caller: Caller) -> None:
    """Put the sinks of the configuration in force.

    Raises:
        ConfigError: one of them is another sink than the one that has its name.
    """
    try:
        done = await program.directory.configure_sinks(caller, program.config.sinks)
    except (ConflictError, InvalidInputError) as error:
        raise ConfigError(str(error)) from error
    for each in done.value:
        about = each.after or each.before
        _log.info("the configuration changed a sink", sink=about and about.name, done=each.action)


def _raise_open_files() -> int:
    """Let this process open as many files as it may at all; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems refuse what they call unlimited: then it stays as it is.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


async def _listen(
    runner: web.AppRunner, config: Config, tls: ssl.SSLContext | None, handshakes: int
) -> None:
    server = config.server
    site: web.TCPSite
    if tls is None:
        site = web.TCPSite(runner, server.host, server.port)
    else:
        site = TLSSite(runner, server.host, server.port, tls, most=handshakes)
    try:
        await site.start()
    except OSError as error:
        raise _no_address(config, error) from error
    _log.info("serving", address=site.name, data=str(config.data.directory))


def _no_address(config: Config, error: OSError) -> ConfigError:
    server = config.server
    return ConfigError(
        f"{server.host}:{server.port} can't be listened on: {error.strerror}; name another "
        "with server.host and server.port"
    )


async def _drain(program: Program, traffic: Traffic, runner: web.AppRunner) -> None:
    """Refuse what is new, let what runs finish; no longer than the configuration says."""
    _log.info("stopping", running=traffic.running)
    program.locks.stop_waiting()
    try:
        async with asyncio.timeout(program.config.server.shutdown_timeout):
            await traffic.drain()
            # What is answered, and on record as read, is still on its way to a slow reader.
            while _is_sending(runner):  # noqa: ASYNC110 - a transport tells of no event
                await asyncio.sleep(_SENDING_POLL_SECONDS)
    except TimeoutError:
        _log.warning("requests were cut off", running=traffic.running)


def _is_sending(runner: web.AppRunner) -> bool:
    connections = runner.server.connections if runner.server is not None else []
    transports = (connection.transport for connection in connections)
    return any(each is not None and each.get_write_buffer_size() for each in transports)


async def _keep_last_checkpoint(program: Program, revocations: Revocations) -> None:
    while True:
        await asyncio.sleep(_LAST_CHECKPOINT_SECONDS)
        revocations.refresh()
        try:
            await program.last_checkpoint.note(program.store)
        except (TfauditError, OSError) as error:
            _log.warning("the newest checkpoint could not be kept", error=str(error))


async def _keep_house(program: Program) -> None:
    """Destroy what is due, and tell of long runs: at the start and each minute from then."""
    keeper = Housekeeper(
        program.store,
        program.workspaces,
        program.states,
        program.locks,
        program.retention,
        _system("housekeeping"),
    )
    rounds = (
        (keeper.alert, "a run holds its lock for longer than its workspace allows"),
        (keeper.tidy, "purged"),
        (keeper.prune, "pruned"),
    )
    while True:
        for work, done in rounds:
            try:
                for name in await work():
                    _log.info(done, workspace=name)
            except TfauditError as error:
                _log.warning("housekeeping is not done yet", error=str(error))
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


async def _keep_tiles(program: Program) -> None:
    """Keep the hashes of whatever the log grew by, off the way of every request.

    And finish a pruning of the log that was cut short.
    """
    while True:
        try:
            while await program.store.keep_tiles():
                pass
            while await program.store.drop_pruned():
                pass
        except TfauditError as error:
            _log.warning("the hashes of the log are not kept yet", error=str(error))
        await asyncio.sleep(_TILE_SECONDS)


def _system(verb: str) -> Caller:
    return Caller(SYSTEM, "", "", "cli", verb, "")


def _public(keys: KeyRing) -> dict[str, str]:
    return {"entry": keys.entry_key_id, "checkpoint": keys.vkey}


def _settings(config: Config) -> dict[str, Any]:
    """Return every setting as text by ``section.key``; of a secret only whether it is given.

    Lists of patterns stay lists.
    """
    settings: dict[str, Any] = {}
    for section in SECTIONS:
        values = getattr(config, section)
        for setting in fields(values):
            value = getattr(values, setting.name)
            if isinstance(value, Secret):
                value = "given"
            elif isinstance(value, tuple) and section == "redaction":
                # A pattern may hold what would part it from the next.
                settings[f"{section}.{setting.name}"] = list(value)
                continue
            elif isinstance(value, tuple):
                value = ", ".join(map(str, value))
            settings[f"{section}.{setting.name}"] = "" if value is None else str(value)
    return settings | on_record(config)
