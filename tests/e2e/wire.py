"""The captured requests of real Terraform clients: reading them, and sending them again raw.

Format and origin of the traces: tests/data/wire/README.md. The requests go out byte for byte as a
Go client frames them (header spelling and order, chunked empty bodies, a DELETE without length),
which no HTTP client library for Python would do.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import http.client
import json
import lzma
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from proxy.access import Caller, Role
from proxy.app import SYSTEM, create_app
from proxy.config import AuditConfig, Config, DataConfig, ServerConfig
from proxy.contracts import LogQuery, Store
from proxy.program import open_program
from proxy.server.connections import Runner

DATA = Path(__file__).parent.parent / "data" / "wire"

GO_HEADER_ORDER = (
    "User-Agent",
    "Content-Length",
    "Transfer-Encoding",
    "Authorization",
    "Content-Md5",
    "Content-Type",
    "Referer",
    "Accept-Encoding",
)
"""How Go writes them: Host first, then as WIRE section 1 observed."""

READ, LOCK, UNLOCK, FORCE_UNLOCK, WRITE, REDIRECTED = (
    "read",
    "lock",
    "unlock",
    "force-unlock",
    "write",
    "redirected",
)


@dataclass(frozen=True)
class Command:
    """A command that the client was started with; its requests follow on a new connection."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Exit:
    """The end of a command, with its exit code."""

    code: int


@dataclass(frozen=True)
class Request:
    """One recorded request.

    Attributes:
        method: as sent.
        target: path and query as sent.
        headers: those that differ between requests; names spelled as sent.
        framing: ``length``, ``chunked`` (no chunk) or ``none`` (neither length nor body).
        body: None when there was none.
        status: what the recording backend answered; None when it hung up instead.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    framing: str
    body: bytes | None
    status: int | None

    @cached_property
    def path(self) -> str:
        """Give the target without its query."""
        return self.target.partition("?")[0]

    @cached_property
    def place(self) -> str:
        """Give the recorded name of the state: the path without ``/state/`` and ``/lock``."""
        return self.path.removeprefix("/state/").removesuffix("/lock")

    @cached_property
    def kind(self) -> str:
        """Tell what the request wants, in whichever dialect."""
        if self.method == "GET":
            # no client sends these with a read: a redirect made this GET of something else
            return REDIRECTED if "Content-Md5" in self.headers else READ
        if self.method == "LOCK" or (self.method == "POST" and self.path.endswith("/lock")):
            return LOCK
        if self.method in ("UNLOCK", "DELETE"):
            return UNLOCK if self.body else FORCE_UNLOCK
        return WRITE

    @cached_property
    def lock_id(self) -> str | None:
        """Give the lock ID it names: in the lock info, or in an upload's query."""
        if self.kind in (LOCK, UNLOCK):
            return str(self.content["ID"])
        return parse_qs(urlsplit(self.target).query).get("ID", [None])[0]

    @cached_property
    def content(self) -> dict[str, Any]:
        """Decode the body."""
        content: dict[str, Any] = json.loads(self.body or b"{}")
        return content


@dataclass(frozen=True)
class Scenario:
    """What one client sent while one thing was tried."""

    client: str
    group: str
    name: str
    note: str
    steps: tuple[Command | Request | Exit, ...]

    @cached_property
    def requests(self) -> list[Request]:
        """Give the requests alone, in order."""
        return [step for step in self.steps if isinstance(step, Request)]


def _step(step: dict[str, Any]) -> Command | Request | Exit:
    if "command" in step:
        return Command(tuple(step["command"]))
    if "exit" in step:
        return Exit(step["exit"])
    return Request(
        method=step["method"],
        target=step["target"],
        headers=step["headers"],
        framing=step["framing"],
        body=step["body"].encode() if "body" in step else None,
        status=step["status"],
    )


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Read all traces, in the order of clients and of recording."""
    found = []
    for path in sorted(DATA.glob("*.jsonl.xz")):
        for line in lzma.decompress(path.read_bytes()).decode().splitlines():
            record = json.loads(line)
            found.append(
                Scenario(
                    client=record["client"],
                    group=record["group"],
                    name=record["scenario"],
                    note=record["note"],
                    steps=tuple(_step(step) for step in record["steps"]),
                )
            )
    return tuple(found)


def basic(password: str, user: str = "terraform") -> str:
    """Write credentials as the Authorization header's value."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Reply:
    """An answer, with its body decoded as Go decodes it (gzip is undone)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Connection:
    """A keep-alive connection that writes requests as Go's client does.

    Attributes:
        host: where to connect to.
        port: and on which port.
        timeout: seconds to wait for an answer.
    """

    host: str
    port: int
    timeout: float = 20.0
    _socket: socket.socket | None = field(default=None, init=False, repr=False)
    _method: str = field(default="", init=False, repr=False)

    def send(self, request: Request, target: str, authorization: str | None) -> None:
        """Write one request.

        Args:
            request: what was recorded.
            target: path and query to send instead of the recorded ones.
            authorization: the header's value; None sends none.
        """
        headers = {
            **request.headers,
            "User-Agent": "Go-http-client/1.1",
            "Accept-Encoding": "gzip",
        }
        headers.pop("Authorization", None)
        if authorization is not None:
            headers["Authorization"] = authorization
        lines = [f"{request.method} {target} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {headers[name]}" for name in GO_HEADER_ORDER if name in headers]
        body = b"0\r\n\r\n" if request.framing == "chunked" else request.body or b""
        if self._socket is None:
            self._socket = socket.create_connection((self.host, self.port), self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._method = request.method
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def receive(self) -> Reply:
        """Read the answer to the request sent last."""
        if self._socket is None:
            msg = "nothing was sent"
            raise RuntimeError(msg)
        with http.client.HTTPResponse(self._socket, method=self._method) as response:
            response.begin()
            body = response.read()
            will_close = response.will_close
        headers = {name.title(): value for name, value in response.getheaders()}
        if will_close:
            self.close()
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return Reply(response.status, headers, body)

    def ask(self, request: Request, target: str, authorization: str | None) -> Reply:
        """Send a request and read its answer."""
        self.send(request, target, authorization)
        return self.receive()

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def digest(body: bytes) -> str:
    """Give the `Content-Md5` value of a body: base64 of its MD5 (RFC 1864)."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


@dataclass(frozen=True)
class InProcess:
    """A server in this process; what it keeps is looked at directly, which leaves no entries.

    Attributes:
        host: it listens on.
        port: it listens on.
        token: of an administrator.
        limited_token: of a reader of workspaces that do not exist.
    """

    host: str
    port: int
    token: str = field(repr=False)
    limited_token: str = field(repr=False)
    _store: Store = field(repr=False)
    _loop: asyncio.AbstractEventLoop = field(repr=False)

    def locks(self) -> dict[str, str]:
        """Return the IDs of the locks that are held, by workspace."""
        held = asyncio.run_coroutine_threadsafe(self._store.locks(), self._loop).result()
        return {lock.workspace: lock.id for lock in held}

    def entries_after(self, index: int) -> list[dict[str, Any]]:
        """Return the log's entries above this index, oldest first."""

        async def collect() -> list[dict[str, Any]]:
            found = self._store.entries(LogQuery(after=index))
            return [json.loads(stored.record.entry) async for stored in found]

        return asyncio.run_coroutine_threadsafe(collect(), self._loop).result()


@contextmanager
def start_server(data: Path, *, accept_unlocked_force: bool = False) -> Iterator[InProcess]:
    """Serve from this data directory on a loopback port, in a thread of this process.

    Args:
        data: the data directory; made if it is not there.
        accept_unlocked_force: the setting of this name.
    """
    config = Config(
        server=ServerConfig(accept_unlocked_force=accept_unlocked_force),
        data=DataConfig(directory=data),
        # every failed login of the scenarios is looked for in the log
        audit=AuditConfig(flood_immediate=1000),
    )
    started: Future[InProcess] = Future()
    stop = threading.Event()

    async def serve() -> None:
        async with open_program(config, create=True) as program:
            admin = Caller(SYSTEM, "", "", "cli", "test", "")
            create = program.admin.create_token
            minted = await create(admin, "wire", Role.ADMIN, ("*",), None)
            limited = await create(admin, "limited", Role.READER, ("elsewhere/*",), None)
            runner = Runner(create_app(program), access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                host, port = runner.addresses[0]
                loop = asyncio.get_running_loop()
                started.set_result(
                    InProcess(host, port, minted.text, limited.text, program.store, loop)
                )
                await asyncio.to_thread(stop.wait)
            finally:
                await runner.cleanup()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield started.result()
    finally:
        stop.set()
        thread.join()
