"""Start, stop and ask a real ``tfaudit serve`` in a process of its own."""

import base64
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HTTP_BACKEND = 'terraform {\n  backend "http" {}\n}\n'
"""A backend block that takes all its settings from the environment (Terraform 0.13 and later)."""

_TOKEN = re.compile(r"\btfa_[0-9A-Za-z]{43}\b")

PROGRAM = (sys.executable, "-m", "proxy")

ONLY_LOCAL = {"SSL_CERT_FILE": os.devnull}
"""For servers that talk to nobody but a test: to read the world's CAs is a tenth of a start."""


@dataclass(frozen=True)
class Record:
    """One line of ``tfaudit log --json``: an entry and what stands around it."""

    index: int
    entry: dict[str, Any]
    leaf_hash: str
    signature: dict[str, Any] = field(repr=False)

    @property
    def event(self) -> str:
        """The name of the event, for example ``state.written``."""
        return str(self.entry["event"])


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, its body read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """One data folder and the server process on it, which may come and go."""

    def __init__(
        self,
        data: Path,
        *,
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Choose a port and describe the server; `start` starts it.

        Args:
            data: the data folder; the server makes it if it is not there.
            env: variables on top of this process's, for example TFAUDIT_SERVER_BODY_LIMIT.
            options: further options of ``tfaudit serve``.
            program: what is ``tfaudit`` here.
        """
        self.data = data
        self.port = free_port()
        # How to connect when it serves HTTPS; whoever gives it such options sets this.
        self.tls: ssl.SSLContext | None = None
        self._options = tuple(options)
        self._program = tuple(program)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TFAUDIT_")}
        self.env = {
            **inherited,
            "TFAUDIT_DATA_DIRECTORY": str(data),
            "TFAUDIT_SERVER_PORT": str(self.port),
            "TFAUDIT_LOG_FORMAT": "json",
            # What it says is in the file at once, also when it is killed.
            "PYTHONUNBUFFERED": "1",
            **(env or {}),
        }
        self._errors = data.with_name(f"{data.name}.stderr")
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens = 0

    @property
    def url(self) -> str:
        """The root of all addresses, without a final slash."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}"

    def state_url(self, workspace: str) -> str:
        """Return the address of a workspace's state."""
        return f"{self.url}/state/{workspace}"

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    @property
    def stderr(self) -> str:
        """All that the server's processes on this folder have said so far."""
        return self._errors.read_text("utf-8", "replace") if self._errors.exists() else ""

    # -- life

    def start(self, timeout: float = 30) -> Self:
        """Start the process and wait until ``/readyz`` answers 200.

        Raises:
            AssertionError: it ended, or was not ready within so many seconds.
        """
        assert self._process is None, "the server runs already"
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._program, "serve", *self._options],
                cwd=self.data.parent,
                env={**self.env, **ONLY_LOCAL},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None:
                code = self._process.returncode
                self._process = None
                message = f"tfaudit serve ended with {code}:\n{self.stderr}"
                raise AssertionError(message)
            if time.monotonic() > deadline:
                self.kill()
                message = f"tfaudit serve was not ready after {timeout} s:\n{self.stderr}"
                raise AssertionError(message)
            time.sleep(0.02)
        return self

    def is_ready(self) -> bool:
        """Tell whether ``/readyz`` answers 200 now."""
        try:
            return self.request("GET", "/readyz", timeout=5).status == 200
        except (OSError, HTTPException):
            return False

    def stop(self, timeout: float = 40) -> int:
        """Send SIGTERM, wait for the graceful end and return the exit code; kill it if it hangs."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self) -> int:
        """Send SIGKILL: the process has no chance to finish anything."""
        return self._end(signal.SIGKILL, 10)

    def restart(self) -> Self:
        """Stop gracefully and start again on the same folder and port."""
        self.stop()
        return self.start()

    def _end(self, number: signal.Signals, timeout: float) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            message = f"tfaudit serve still ran {timeout} s after {number.name}:\n{self.stderr}"
            raise AssertionError(message) from None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    # -- asking

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Reply:
        """Send one request on a connection of its own, as written, and read the whole answer.

        Raises:
            OSError: no connection, or none within so many seconds.
            http.client.HTTPException: the answer was cut off or is not HTTP.
        """
        sent = dict(headers or {})
        if token is not None:
            credentials = base64.b64encode(f"terraform:{token}".encode()).decode()
            sent.setdefault("Authorization", f"Basic {credentials}")
        connection = (
            HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            if self.tls is None
            else HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)
        )
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def cli(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another ``tfaudit`` command on the same data folder.

        Raises:
            AssertionError: it ended with an exit code other than 0, and `check` is on.
        """
        done = subprocess.run(
            [*PROGRAM, *args],
            cwd=self.data.parent,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            message = f"tfaudit {' '.join(args)} ended with {done.returncode}\n{done.stderr}"
            raise AssertionError(message)
        return done

    @property
    def admin_token(self) -> str:
        """The administrator's token that the first start printed.

        Raises:
            AssertionError: it printed none: the data folder had tokens before.
        """
        found = _TOKEN.search(self.stderr)
        assert found is not None, f"no token was printed:\n{self.stderr}"
        return found.group()

    def token(self, role: str = "operator", *workspaces: str, name: str | None = None) -> str:
        """Create a token of this role and return it.

        Over HTTP, which takes no time; `cli` is there for whoever means the command.

        Args:
            role: a role's name.
            workspaces: globs; none means all workspaces.
            name: chosen here when not given.
        """
        self._tokens += 1
        wish = {
            "name": name or f"{role}-{self._tokens}",
            "role": role,
            "workspaces": workspaces or ("*",),
        }
        created = self.request(
            "POST",
            "/api/v1/tokens",
            json.dumps(wish).encode(),
            token=self.admin_token,
            headers={"Content-Type": "application/json"},
        )
        assert 201 == created.status, created
        return str(json.loads(created.body)["token"])

    def log(self) -> list[Record]:
        """Return all entries of the log, oldest first.

        From the running server over HTTP; from the data folder by ``tfaudit log`` when it is down.
        Either way the reading becomes an entry too, which is not among those returned.
        """
        if self._process is None:
            text = self.cli("log", "--json", "--since", "2000-01-01T00:00:00Z").stdout
        else:
            reply = self.request("GET", "/api/v1/log", token=self.admin_token)
            assert 200 == reply.status, reply
            text = reply.body.decode()
        return [Record(**json.loads(line)) for line in text.splitlines()]

    def events(self, workspace: str) -> list[str]:
        """Return the names of a workspace's events, oldest first, without what was inferred."""
        return [
            record.event
            for record in self.log()
            if record.entry.get("workspace") == workspace and "inferred_from" not in record.entry
        ]

    def verify(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run ``tfaudit verify``; exit code 0: whole, 1: tampered with, 2: could not tell."""
        return self.cli("verify", *args, check=False)

    # -- Terraform's settings

    def backend(
        self, workspace: str, token: str, *, dialect: str = "terraform", wait: int | None = None
    ) -> dict[str, str]:
        """Return the TF_HTTP_* variables that point Terraform at a workspace.

        Args:
            workspace: its name.
            token: becomes the Basic password.
            dialect: ``terraform`` (LOCK and UNLOCK), ``gitlab`` (POST and DELETE), ``post`` (all
                POST) or ``unlocked`` (no lock addresses at all).
            wait: seconds that a LOCK may be held open.
        """
        address = self.state_url(workspace)
        query = "" if wait is None else f"?wait={wait}"
        settings = {"ADDRESS": address, "USERNAME": "terraform", "PASSWORD": token}
        match dialect:
            case "terraform":
                settings |= {"LOCK_ADDRESS": address + query, "UNLOCK_ADDRESS": address}
            case "gitlab":
                settings |= {
                    "LOCK_ADDRESS": f"{address}/lock{query}",
                    "LOCK_METHOD": "POST",
                    "UNLOCK_ADDRESS": f"{address}/lock",
                    "UNLOCK_METHOD": "DELETE",
                }
            case "post":
                settings |= {
                    "LOCK_ADDRESS": f"{address}/lock{query}",
                    "LOCK_METHOD": "POST",
                    "UNLOCK_ADDRESS": f"{address}/unlock",
                    "UNLOCK_METHOD": "POST",
                }
            case "unlocked":
                pass
            case _:
                raise ValueError(dialect)
        return {f"TF_HTTP_{name}": value for name, value in settings.items()}
