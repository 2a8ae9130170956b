"""Tests of proxy.app: the server as a process, from its start to its stop."""

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy import app
from proxy.config import Config, DataConfig, RedactionConfig
from proxy.directory import SinkRecord
from proxy.errors import ConfigError, UnavailableError
from proxy.program import Program, open_program
from proxy.retention import Retention
from proxy.tfstate.policy import Policy
from proxy.tlog.tiles import Tile
from tests.contracts.store_contract import appends, recorded
from tests.e2e.server import ONLY_LOCAL, free_port
from tests.forwarded import an_entry
from tests.running import SYSTEM, Answer, read_answer
from tests.samples import a_lock_info, a_state, log_of, until

ROOT = Path(__file__).parents[1]


@dataclass(slots=True)
class Running:
    """A server process, and a writer's token for it."""

    process: asyncio.subprocess.Process
    port: int
    token: str

    async def connect(
        self, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, limit=1 << 20)

    def head(self, method: str, path: str, length: int = 0) -> bytes:
        """Return the head of a request by the writer."""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()

    async def ask(
        self, method: str, path: str, body: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> Answer:
        """Ask on a connection of its own."""
        reader, writer = await self.connect(tls)
        writer.write(self.head(method, path, len(body)) + body)
        try:
            async with asyncio.timeout(60):
                return await read_answer(reader)
        finally:
            writer.close()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to stop and return its exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


async def start(directory: Path, port: int, **settings: Any) -> asyncio.subprocess.Process:
    """Start a server; it may not come up."""
    environ = {f"TFAUDIT_{name.upper()}": str(value) for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proxy",
        "serve",
        "--data",
        directory,
        env={**os.environ, **ONLY_LOCAL, **environ, "TFAUDIT_SERVER_PORT": str(port)},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def failed_start(directory: Path, **settings: Any) -> tuple[int, str]:
    """Start a server that must not come up; return its exit code and what it said."""
    process = await start(directory, settings.pop("port", free_port()), **settings)
    async with asyncio.timeout(20):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@asynccontextmanager
async def serving(
    directory: Path, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Run a server on a directory until the test is done with it."""
    config = Config(data=DataConfig(directory))
    async with open_program(config, create=True) as program:
        name = f"writer-{os.urandom(4).hex()}"
        minted = await program.admin.create_token(SYSTEM, name, "writer", ("*",), None)
    port = free_port()
    process = await start(directory, port, **settings)
    running = Running(process, port, minted.text)
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    if 200 == (await running.ask("GET", "/readyz", tls=tls)).status:
                        break
                except (OSError, asyncio.IncompleteReadError):
                    assert process.returncode is None, await process.communicate()
                await asyncio.sleep(0.05)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def entries(directory: Path) -> list[dict[str, Any]]:
    """Return the whole log of a server that is not running, verified."""
    async with open_program(Config(data=DataConfig(directory)), create=False) as program:
        return await log_of(program.store)


async def entry_events(directory: Path) -> list[str]:
    """Return the events of the log of a server that is not running."""
    return [entry["event"] for entry in await entries(directory)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Name a data directory that is not there yet."""
    return tmp_path / "data"


# ---------------------------------------------------------------- sinks of the configuration


def test_all_mistakes_of_configured_sinks_are_told_before_anything_is_made(data: Path) -> None:
    """Of all sinks at once, each with its place."""
    good = SinkRecord(name="good", type="syslog", options={"host": "siem.example"})
    wrong = SinkRecord(name="a", type="syslog", options={"hsot": "x", "port": "y"})
    unknown = SinkRecord(name="b", type="fiel")
    config = Config(data=DataConfig(data), sinks={"good": good, "a": wrong, "b": unknown})
    with pytest.raises(ConfigError) as caught:
        app.require_sinks(config)
    mistakes = str(caught.value).split("\n")[1:]
    assert 3 == len(mistakes)
    assert "[sinks.a] syslog options: there is no field 'hsot'" in mistakes[0]
    assert "[sinks.a] syslog options: port: must be a whole number" in mistakes[1]
    assert "[sinks.b] there is no type 'fiel' of sink" in mistakes[2]
    app.require_sinks(Config(data=DataConfig(data), sinks={"good": good}))
    assert not data.exists()


# ---------------------------------------------------------------- start and stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_records_its_start_and_its_stop(data: Path, number: signal.Signals) -> None:
    """From audit.started to audit.stopped, and exits with 0."""
    async with serving(data) as server:
        assert 200 == (await server.ask("POST", "/state/a", a_state(1))).status
        assert 0 == await server.stop(number)
    events = await entry_events(data)
    assert ["workspace.created", "state.written", "audit.stopped"] == events[-3:]
    assert "audit.started" in events
    assert "audit.unclean_shutdown" not in events


async def test_a_server_that_was_killed_is_noticed_at_the_next_start(data: Path) -> None:
    """What it acknowledged is there, and that it left no record of its stop is on record."""
    async with serving(data) as server:
        assert 200 == (await server.ask("POST", "/state/a", a_state(1))).status
        server.process.kill()
        await server.process.communicate()
    async with serving(data) as server:
        assert a_state(1) == (await server.ask("GET", "/state/a")).body
        await server.stop()
    events = [event for event in await entry_events(data) if event != "config.changed"]
    assert ["audit.unclean_shutdown", "audit.started", "state.read", "audit.stopped"] == events[-4:]


async def test_what_runs_is_finished_and_what_is_new_is_refused(data: Path) -> None:
    """A half-sent upload is taken to its end while new requests are told to come again."""
    body = a_state(1)
    async with serving(data) as server:
        reader, writer = await server.connect()
        idle_reader, idle_writer = await server.connect()
        writer.write(server.head("POST", "/state/a", len(body)) + body[:100])
        await writer.drain()
        await asyncio.sleep(0.3)
        server.process.terminate()
        await asyncio.sleep(0.3)
        refused = await server.ask("GET", "/state/a")
        idle_writer.write(server.head("LOCK", "/state/a", len(a_lock_info())) + a_lock_info())
        refused_too = await read_answer(idle_reader)
        writer.write(body[100:])
        finished = await read_answer(reader)
        async with asyncio.timeout(10):
            assert 0 == await server.process.wait()
        for each in (writer, idle_writer):
            each.close()
    assert [(503, "10"), (503, "10")] == [
        (answer.status, answer.headers["retry-after"]) for answer in (refused, refused_too)
    ]
    assert 200 == finished.status
    assert ["state.written", "audit.stopped"] == (await entry_events(data))[-2:]


async def test_a_large_answer_is_sent_to_its_end(data: Path) -> None:
    """To a reader slower than the stop: what was recorded as read must also arrive."""
    body = a_state(1) + b" " * 30_000_000  # nothing that takes time to redact
    async with serving(data) as server:
        assert 200 == (await server.ask("POST", "/state/a", body)).status
        reader, writer = await server.connect()
        writer.write(server.head("GET", "/state/a"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        await asyncio.sleep(0.3)
        server.process.terminate()
        await asyncio.sleep(3)
        received = 0
        async with asyncio.timeout(60):
            while chunk := await reader.read(1 << 20):
                received += len(chunk)
        writer.close()
        assert len(body) == received
        assert 0 == await server.process.wait()


async def test_whoever_waits_for_a_lock_does_not_hold_up_the_stop(data: Path) -> None:
    """It is sent away with a failure that clients try again."""
    async with serving(data) as server:
        await server.ask("LOCK", "/state/a", a_lock_info("lock-1"))
        waiting = asyncio.create_task(server.ask("LOCK", "/state/a?wait=60", a_lock_info("lock-2")))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(20):  # far less than the wait
            assert 0 == await server.stop()
            assert 503 == (await waiting).status


async def test_a_request_that_does_not_end_is_cut_off(data: Path) -> None:
    """After server.shutdown_timeout the stop goes on, and is recorded."""
    async with serving(data, server_shutdown_timeout=0.5) as server:
        _, writer = await server.connect()
        writer.write(server.head("POST", "/state/a", 1000) + b"{")
        await writer.drain()
        await asyncio.sleep(0.3)
        async with asyncio.timeout(10):
            assert 0 == await server.stop()
        writer.close()
    events = await entry_events(data)
    assert "audit.stopped" == events[-1]
    assert "state.written" not in events


async def test_counted_failures_are_committed_at_the_stop(data: Path) -> None:
    """A flood of failed logins is folded, and what was counted is not lost."""
    async with serving(data, audit_flood_immediate=2) as server:
        server.token = "wrong"
        for _ in range(7):
            assert 401 == (await server.ask("GET", "/state/a")).status
        await server.stop()
    failed = [entry for entry in await entries(data) if entry["event"] == "auth.failed"]
    assert [None, None, 5] == [entry.get("count") for entry in failed]


# ---------------------------------------------------------------- what it holds


async def test_as_many_files_may_be_open_as_the_system_allows(data: Path) -> None:
    """A shell's low limit is not the server's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        async with serving(data) as server:
            limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (hard, hard) == limits


async def test_the_servers_lock_is_nobody_elses_to_hold(data: Path) -> None:
    """0600, also when it was there with more: who can open it can keep the server from starting."""
    data.mkdir()
    (data / "server.lock").touch(0o644)
    async with serving(data):
        assert 0o600 == (data / "server.lock").stat().st_mode & 0o777


# ---------------------------------------------------------------- what stops a start


async def test_a_second_server_on_one_directory_is_refused(data: Path) -> None:
    """Two would each keep tokens and waiters in memory; the first is not disturbed."""
    async with serving(data) as server:
        code, said = await failed_start(data)
        assert code != 0
        assert "another server is running" in said
        assert "another server is running" in (await failed_start(data, port=server.port))[1]
        assert "Traceback" not in said
        assert 404 == (await server.ask("GET", "/state/a")).status
        await server.stop()
    assert 1 == (await entry_events(data)).count("audit.started")


async def test_a_port_in_use_stops_the_start(data: Path) -> None:
    """With the setting to change."""
    async with serving(data) as server:
        code, said = await failed_start(data.parent / "other", port=server.port)
    assert code != 0
    assert "can't be listened on" in said
    assert "Traceback" not in said


async def test_a_data_directory_that_can_not_be_made_stops_the_start(tmp_path: Path) -> None:
    """A clear line, and nothing in memory instead."""
    (tmp_path / "file").write_text("not a directory")
    code, said = await failed_start(tmp_path / "file" / "data")
    assert code != 0
    assert "the data directory" in said
    assert "Traceback" not in said


async def test_a_damaged_database_stops_the_start(data: Path) -> None:
    """It is not replaced by an empty one."""
    async with serving(data) as server:
        await server.stop()
    (data / "tfaudit.db").write_bytes(b"damaged" * 1000)
    for path in data.glob("tfaudit.db-*"):
        path.unlink()
    code, said = await failed_start(data)
    assert code != 0
    assert "tfaudit.db" in said
    assert "Traceback" not in said
    assert b"damaged" * 1000 == (data / "tfaudit.db").read_bytes()


async def test_a_restored_backup_stops_the_start(data: Path, tmp_path: Path) -> None:
    """The log would grow again, differently, from a size that it had passed."""
    async with serving(data) as server:
        await server.stop()
    shutil.copytree(data, tmp_path / "older")
    async with serving(data) as server:
        await server.ask("POST", "/state/a", a_state(1))
        await server.stop()
    (tmp_path / "older" / "tfaudit.db").replace(data / "tfaudit.db")
    code, said = await failed_start(data)
    assert code != 0
    assert "an older or another database was put in its place" in " ".join(said.split())


async def test_missing_keys_beside_a_database_stop_the_start(data: Path) -> None:
    """New ones would not fit what is stored."""
    async with serving(data) as server:
        await server.stop()
    (data / "keys" / "master.key").unlink()
    code, said = await failed_start(data)
    assert code != 0
    assert "master.key" in said
    assert not (data / "keys" / "master.key").exists()


# ---------------------------------------------------------------- HTTPS


def a_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tfaudit.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


async def test_https_is_served_with_a_certificate_and_a_key(data: Path, tmp_path: Path) -> None:
    """And plain HTTP is not answered there: no redirect, ever."""
    certificate, key = a_certificate(tmp_path)
    tls = ssl.create_default_context(cafile=str(certificate))
    settings = {"server_certificate": certificate, "server_private_key": key}
    async with serving(data, tls, **settings) as server:
        assert 200 == (await server.ask("POST", "/state/a", a_state(1), tls)).status
        for _ in range(30):  # no connection is lost between its beginning and its handshake
            assert a_state(1) == (await server.ask("GET", "/state/a", tls=tls)).body
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await server.ask("GET", "/state/a")
        assert 0 == await server.stop()


async def test_a_certificate_that_can_not_be_used_stops_the_start(
    data: Path, tmp_path: Path
) -> None:
    """Named, and never plain HTTP instead."""
    certificate, key = a_certificate(tmp_path)
    key.write_text("no key")
    code, said = await failed_start(data, server_certificate=certificate, server_private_key=key)
    assert code != 0
    assert "server.certificate" in said
    assert "Traceback" not in said


async def test_a_changed_policy_is_on_record_and_in_force_everywhere(data: Path) -> None:
    """Before and after; a command without the server's settings works by them all the same."""
    async with serving(data, redaction_hidden="*.note") as server:
        async with open_program(Config(data=DataConfig(data)), create=False) as beside:
            assert Policy(hidden=("*.note",)) == beside.policy
        await server.stop()
    async with serving(data, redaction_mode="strict") as server:
        await server.stop()
    changed = [entry for entry in await entries(data) if entry["event"] == "config.changed"]
    assert {"before": "standard", "after": "strict"} == changed[-1]["changes"]["redaction.mode"]
    assert {"before": ["*.note"], "after": []} == changed[-1]["changes"]["redaction.hidden"]
    weaker = Config(data=DataConfig(data), redaction=RedactionConfig(readable=("*.note",)))
    async with open_program(weaker, create=False) as program:
        assert Policy("strict") == program.policy


async def test_a_running_server_uses_no_key_that_was_destroyed_beside_it(data: Path) -> None:
    """Its files hold nothing of it at once; what it writes then is hidden with a new one."""

    def state(serial: int) -> bytes:
        return a_state(serial).replace(
            b'"id": "1"', b'"id": "1", "password": "hunter2-%d"' % serial
        )

    async def salt(program: Program) -> bytes:
        found = (await program.store.write(lambda tx: tx.salt("a"))).value
        assert found is not None
        return found.value

    async with serving(data) as server:
        await server.ask("POST", "/state/a", state(1))
        async with open_program(Config(data=DataConfig(data)), create=False) as beside:
            old = await salt(beside)
            await beside.secrets.forget(SYSTEM, "a")
        files = [path for path in data.rglob("*") if path.is_file()]
        assert not [path for path in files if old in path.read_bytes()]
        assert 200 == (await server.ask("POST", "/state/a", state(2))).status
        await server.stop()
    async with open_program(Config(data=DataConfig(data)), create=False) as program:
        assert old != await salt(program)
        seen = await program.secrets.find(SYSTEM, "a", "hunter2-1")
        assert ["before"] == [place.side for entry in seen.entries for place in entry.sightings]


async def test_a_server_prunes_versions_by_its_configuration(data: Path) -> None:
    """At its start, on its own behalf, while it serves; and a command beside it does by its own."""

    async def save(program: Program, *serials: int) -> None:
        for serial in serials:

            async def receive(_: int | None, serial: int = serial) -> bytes:
                return a_state(serial, f"value-{serial}")

            await program.states.write(SYSTEM, "a", receive, None, None)

    async with open_program(Config(data=DataConfig(data)), create=True) as program:
        await save(program, 1, 2, 3, 4)
    async with serving(data, retention_versions=2) as server:
        await until(lambda: has_entry(data, "state.versions_pruned"), 20)
        assert [("system", [[1, 2]], "configuration")] == await pruned(data)
        async with open_program(Config(data=DataConfig(data)), create=False) as beside:
            await beside.retention.prune(SYSTEM, "*", Retention(versions=1))
        assert (200, a_state(4, "value-4")) == (
            (read := await server.ask("GET", "/state/a")).status,
            read.body,
        )
        assert 200 == (await server.ask("POST", "/state/a", a_state(5))).status
        await server.stop()
    assert [[3, 3]] == (await pruned(data))[-1][1]


def has_entry(data: Path, event: str) -> bool:
    """Tell whether the log has an entry of an event."""
    with closing(sqlite3.connect(data / "tfaudit.db")) as database:
        sql = "SELECT count(*) FROM entry WHERE event = ?"
        return bool(database.execute(sql, (event,)).fetchone()[0])


async def pruned(data: Path) -> list[tuple[str, list[list[int]], str]]:
    """Return who pruned which versions, by whose rules."""
    return [
        (entry["actor"]["type"], entry["pruned"]["versions"], entry["pruned"]["asked_by"])
        for entry in await entries(data)
        if entry["event"] == "state.versions_pruned"
    ]


async def test_a_policy_in_force_that_can_not_be_read_stops_a_command(data: Path) -> None:
    """It would hide less than the record promises; the server's start sets it right."""
    async with open_program(Config(data=DataConfig(data)), create=True) as program:
        await program.store.write(recorded(lambda tx: tx.set_policy(b"{")))
    with pytest.raises(ConfigError, match="the redaction policy in force can't be read"):
        await entries(data)
    async with serving(data) as server:
        await server.stop()
    assert "audit.stopped" == (await entry_events(data))[-1]


async def test_a_running_server_keeps_the_hashes_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside its requests, also after a turn that failed; nobody need ask for them."""
    monkeypatch.setattr("proxy.app._TILE_SECONDS", 0.0)
    config = Config(data=DataConfig(directory=tmp_path))
    async with open_program(config, create=True) as program:
        keep, turns = program.store.keep_tiles, 0

        async def keep_tiles() -> bool:
            nonlocal turns
            turns += 1
            if turns == 1:
                raise UnavailableError("the disk is full")
            return await keep()

        monkeypatch.setattr(program.store, "keep_tiles", keep_tiles)
        keeper = asyncio.create_task(app._keep_tiles(program))
        await program.store.write(appends(*map(str, range(300))))
        before = await program.store.tiles([Tile(0, 0)])
        with closing(sqlite3.connect(config.data.database)) as connection:
            await until(lambda: bool(connection.execute("SELECT count(*) FROM tile").fetchone()[0]))
            assert before[Tile(0, 0)] == connection.execute("SELECT hashes FROM tile").fetchone()[0]
        keeper.cancel()


async def test_the_log_of_many_starts_verifies(data: Path) -> None:
    """Every start, stop and kill, with the public keys alone."""
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        async with serving(data) as server:
            await server.ask("GET", "/state/a")
            await server.stop(number)
    async with open_program(Config(data=DataConfig(data)), create=False) as program:
        assert await program.store.size() > 6
        assert len(await log_of(program.store)) == await program.store.size()


@pytest.mark.parametrize(
    ("of", "pattern", "events"),
    [
        ("webhook", {}, ["state.read", "run.errored"]),
        ("slack", {}, ["run.errored"]),
        ("slack", {"event": ["state.read"]}, ["state.read"]),
    ],
)
def test_a_sink_gets_what_its_filter_names(
    of: str, pattern: dict[str, Any], events: list[str]
) -> None:
    """Without one a record of the log gets all, people what is notable."""
    is_match = app._matcher(SinkRecord(name="siem", type=of, filter=pattern))
    assert events == [
        event for event in ("state.read", "run.errored") if is_match(an_entry(event=event))
    ]
