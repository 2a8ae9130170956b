"""The three that are compared, each a process of its own that comes and goes."""

import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import orjson

from tests.bench import bare, ideal, states
from tests.e2e.server import Server, free_port

WORKSPACE = "bench/read"
PATH = f"/state/{WORKSPACE}"
WORKSPACES = 512
"""Uploads go to so many in turn: four times the clients, so that none overtakes its forerunner."""


class Candidate(Protocol):
    """A server to measure.

    Attributes:
        name: in the table.
        token: what its requests carry; empty for none.
    """

    name: str
    token: str

    @property
    def url(self) -> str:
        """The root of its addresses, without a final slash."""

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""


class Program:
    """One of our two measures: a program whose first argument is its port."""

    token = ""

    def __init__(self, name: str, program: str, arguments: Sequence[str]) -> None:
        self.name = name
        self._command = [sys.executable, program]
        self._arguments = arguments
        self._port = 0
        self._process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The root of its addresses, without a final slash."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer within 30 seconds.
        """
        self._port = free_port()
        self._process = subprocess.Popen([*self._command, str(self._port), *self._arguments])
        deadline = time.monotonic() + 30
        while True:
            try:
                ask(self._port, "GET", PATH)
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not start") from None
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(30)


class Ours:
    """``tfaudit serve`` with a token and a state to read."""

    name = "ours"

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory)
        self.token = ""

    @property
    def url(self) -> str:
        """The root of its addresses, without a final slash."""
        return self.server.url

    @property
    def pid(self) -> int:
        """The number of the running process."""
        return self.server.pid

    def __enter__(self) -> Self:
        """Start it; the first time also make a token."""
        self.server.start()
        if not self.token:
            self.token = self.server.token("admin", name="bench")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.server.stop()

    def fill(self) -> dict[str, Any]:
        """Store what is read and written later, and return the entry of one read."""
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        upload(connection, PATH, self.token, states.small(1))
        for number in range(WORKSPACES):
            body = states.small(0).replace(
                states.LINEAGE.encode(), f"00000000-0000-4000-8000-{number:012}".encode()
            )
            upload(connection, f"/state/bench/w{number}", self.token, body)
        connection.close()
        ask(self.server.port, "GET", PATH, self.token)
        return self.newest_entry("state.read")

    def newest_entry(self, event: str) -> dict[str, Any]:
        """Return the newest entry of this event."""
        query = f"/api/v1/log?event={event}&limit=1&newest_first=true"
        entry: dict[str, Any] = orjson.loads(ask(self.server.port, "GET", query, self.token))
        return dict(entry["entry"])


def ask(port: int, method: str, path: str, token: str = "") -> bytes:
    """Send one request on a connection of its own and return the body of its answer.

    Raises:
        RuntimeError: the answer is not 200.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, headers=credentials(token))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path} was answered with {answer.status}: {body[:500]!r}")
    return body


def upload(connection: HTTPConnection, path: str, token: str, body: bytes) -> bytes:
    """Send a state on an open connection and return the body of its answer.

    Raises:
        RuntimeError: the answer is not 200.
    """
    headers = {"Content-Type": "application/json", **credentials(token)}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"POST {path} was answered with {answer.status}: {text[:500]!r}")
    return text


def upload_once(port: int, path: str, token: str, body: bytes) -> bytes:
    """Send a state on a connection of its own; returns the answer's body, which is empty."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        return upload(connection, path, token, body)
    finally:
        connection.close()


def credentials(token: str) -> dict[str, str]:
    """Return the header that Terraform sends; none without a token."""
    if not token:
        return {}
    pair = b64encode(f"terraform:{token}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def candidates(directory: Path, ours: Ours) -> list[Candidate]:
    """Return all three, ready to be started one after another; ``ours`` is filled here.

    Args:
        directory: an empty one on the disk to be measured.
        ours: not running.
    """
    state, entry = directory / "state.json", directory / "entry.json"
    state.write_bytes(states.small(1))
    with ours:
        entry.write_bytes(orjson.dumps(ours.fill()))
    database = directory / "ideal.db"
    return [
        Program("bare", bare.__file__, [str(state)]),
        Program("ideal", ideal.__file__, [str(state), str(database), str(entry)]),
        ours,
    ]
