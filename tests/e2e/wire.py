"""The captured requests of real Terraform clients: reading them, and sending them again raw.

Format and origin of the traces: tests/data/wire/README.md. The requests go out byte for byte as a
Go client frames them (header spelling and order, chunked empty bodies, a DELETE without length),
which no HTTP client library for Python would do.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import lzma
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

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

    @property
    def path(self) -> str:
        """Give the target without its query."""
        return self.target.partition("?")[0]

    @property
    def place(self) -> str:
        """Give the recorded name of the state: the path without ``/state/`` and ``/lock``."""
        return self.path.removeprefix("/state/").removesuffix("/lock")

    @property
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

    @property
    def lock_id(self) -> str | None:
        """Give the lock ID it names: in the lock info, or in an upload's query."""
        if self.kind in (LOCK, UNLOCK):
            return str(self.content["ID"])
        return parse_qs(urlsplit(self.target).query).get("ID", [None])[0]

    @property
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

    @property
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
