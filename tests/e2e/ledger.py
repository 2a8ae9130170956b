"""What one end-to-end test did to a shared server, told by the server's own log."""

import json
import time
from base64 import b64encode
from hashlib import md5
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from typer.testing import CliRunner

from proxy.cli import app
from tests.e2e.server import Record, Reply, Server

APPLY: Final = "OperationTypeApply"
PLAN: Final = "OperationTypePlan"
REFRESH: Final = "OperationTypeRefresh"
INVALID: Final = "OperationTypeInvalid"
"""What ``console`` and ``import`` say of themselves."""
PUSH: Final = "state-push"
SOURCE: Final = "migration source state"
DESTINATION: Final = "migration destination state"

VALUE: Final = """
variable "value" { default = "one" }
resource "terraform_data" "a" { input = var.value }
output "value" { value = terraform_data.a.output }
"""
"""A configuration with one resource, one output and something to change."""

BLOCKED: Final = """
variable "value" { default = "one" }
resource "terraform_data" "a" {
  triggers_replace = var.value
  provisioner "local-exec" {
    command = "echo under way; for i in $(seq 600); do [ -e go ] && exit; sleep 0.05; done; exit 1"
  }
}
output "value" { value = terraform_data.a.triggers_replace }
"""
"""One that prints "under way" in mid-apply and goes on when its folder holds a file "go"."""

HOLDER: Final = "11111111-2222-3333-4444-555555555555"
"""The lock ID with which `Ledger.hold` takes the lock."""

_NOT_STEPS: Final = ("audit.", "token.created", "run.")
"""Entries of the test's own questions and preparations, and what is inferred from steps."""


class Step(NamedTuple):
    """What the log says of one request.

    Attributes:
        event: for example ``state.read``.
        operation: of the lock under which it happened, or that was asked for; empty without one.
        status: of the HTTP answer.
        outcome: ``success``, ``denied``, ``conflict`` or ``error``.
        workspace: without the test's own prefix; None where no workspace is named.
    """

    event: str
    operation: str = ""
    status: int = 200
    outcome: str = "success"
    workspace: str | None = "main"

    def at(self, workspace: str) -> "Step":
        """Return the same step on another workspace of the test."""
        return self._replace(workspace=workspace)


READ: Final = Step("state.read")
NOTHING: Final = Step("state.read", status=404)
"""A read that found no state."""
CREATED: Final = Step("workspace.created")
FORCED: Final = Step("state.force_unlocked")


def locked(operation: str) -> Step:
    """Return the step of a lock that was given."""
    return Step("state.locked", operation)


def lock_refused(operation: str) -> Step:
    """Return the step of a lock that somebody else held."""
    return Step("state.lock_refused", operation, 423, "conflict")


def written(operation: str = "") -> Step:
    """Return the step of an upload that was stored."""
    return Step("state.written", operation)


def write_refused(status: int, operation: str = "") -> Step:
    """Return the step of an upload that was refused with this status."""
    return Step("state.write_refused", operation, status, "conflict")


def unlocked(operation: str) -> Step:
    """Return the step of a lock that its holder released."""
    return Step("state.unlocked", operation)


def under_lock(operation: str, *steps: Step) -> list[Step]:
    """Return these steps between taking the lock and releasing it."""
    return [locked(operation), *steps, unlocked(operation)]


def early(version: str, step: Step = READ) -> list[Step]:
    """Return the read that Terraform 1.15 and later send before all else; older ones do not."""
    return [step] if version.startswith("1.15") else []


class Ledger:
    """One test's workspaces on a shared server, and what the log says of them.

    Attributes:
        server: the server.
        name: the test's prefix: its workspaces are ``<name>/main`` and so on.
        token: of an operator for exactly these workspaces, named as `name`.
    """

    def __init__(self, server: Server, name: str) -> None:
        """Begin a ledger.

        Args:
            server: a running server.
            name: unique on this server.
        """
        self.server = server
        self.name = name
        self._next = 0
        self._inferred: list[Record] = []
        self.token = self.new_token("operator", name)
        self.skip()

    def workspace(self, short: str = "main") -> str:
        """Return the full name of one of the test's workspaces."""
        return f"{self.name}/{short}"

    def new_token(self, role: str, name: str, *, workspaces: str | None = None) -> str:
        """Make a token, by default for the test's workspaces alone."""
        return self.server.token(role, workspaces or f"{self.name}/*", name=name)

    # -- Terraform's settings

    def backend(
        self, short: str = "main", *, dialect: str = "terraform", wait: int | None = None
    ) -> dict[str, str]:
        """Return the TF_HTTP_* variables for a workspace; see `Server.backend`."""
        return self.server.backend(self.workspace(short), self.token, dialect=dialect, wait=wait)

    def credentials(self) -> dict[str, str]:
        """Return the TF_HTTP_* variables that hold the credentials alone."""
        return {"TF_HTTP_USERNAME": "terraform", "TF_HTTP_PASSWORD": self.token}

    def block(self, short: str = "main") -> str:
        """Return a backend block with a workspace's addresses written out."""
        address = self.server.state_url(self.workspace(short))
        return (
            'terraform {\n  backend "http" {\n'
            f'    address        = "{address}"\n'
            f'    lock_address   = "{address}"\n'
            f'    unlock_address = "{address}"\n'
            "  }\n}\n"
        )

    # -- requests of another client

    def hold(self, short: str = "main") -> bytes:
        """Take the lock as alice on her build host would; return the body, for `release`."""
        body = json.dumps(
            {
                "ID": HOLDER,
                "Operation": APPLY,
                "Info": "",
                "Who": "alice@buildhost",
                "Version": "1.11.4",
                "Created": "2026-01-02T03:04:05.678Z",
                "Path": "",
            }
        ).encode()
        assert 200 == self.send("LOCK", body, short).status
        return body

    def release(self, body: bytes) -> None:
        """Release the lock that `hold` took."""
        assert 200 == self.send("UNLOCK", body).status

    def send(self, method: str, body: bytes | None = None, short: str = "main") -> Reply:
        """Send one request to a workspace with the headers that Terraform sends."""
        headers = {}
        if body is not None:
            digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
            headers = {"Content-Type": "application/json", "Content-MD5": digest}
        path = f"/state/{self.workspace(short)}"
        return self.server.request(method, path, body, token=self.token, headers=headers)

    # -- what is on record

    def command(self, *args: str) -> str:
        """Run a ``tfaudit`` command on the server's data and return what it printed.

        It runs beside the server but in this process: one of its own, as `Server.cli` starts,
        takes half a second longer.

        Raises:
            AssertionError: it ended with an exit code other than 0.
        """
        result = CliRunner().invoke(app, [*args, "--data", str(self.server.data)])
        assert 0 == result.exit_code, result.output
        return result.stdout

    def locks(self) -> list[dict[str, Any]]:
        """Return the locks held on the test's workspaces, as ``tfaudit lock list`` has them."""
        listed: list[dict[str, Any]] = json.loads(self.command("lock", "list", "--json"))
        return [lock for lock in listed if lock["workspace"].startswith(f"{self.name}/")]

    def records(self) -> list[Record]:
        """Return what was recorded since the last time this was asked, oldest first.

        What was inferred of runs is left out, and kept for `runs`.
        """
        found = self._read(self._next)
        if found:
            self._next = found[-1].index + 1
        self._inferred += [record for record in found if record.event.startswith("run.")]
        return [record for record in found if not record.event.startswith(_NOT_STEPS)]

    def runs(self) -> list[Record]:
        """Return what was inferred of runs since the last time this was asked, oldest first."""
        self.records()
        found, self._inferred = self._inferred, []
        return found

    def steps(self) -> list[Step]:
        """Return the same as `records`, each as a step."""
        return [self._step(record) for record in self.records()]

    def skip(self) -> None:
        """Leave out what was recorded so far."""
        self.runs()

    def wait_for(self, step: Step, timeout: float = 30) -> None:
        """Wait until this step is on record after those that were returned already.

        Raises:
            TimeoutError: it was not within so many seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            seen = [
                self._step(record)
                for record in self._read(self._next)
                if not record.event.startswith(_NOT_STEPS)
            ]
            if step in seen:
                return
            if time.monotonic() > deadline:
                message = f"waited in vain for {step}; on record: {seen}"
                raise TimeoutError(message)
            time.sleep(0.05)

    def _read(self, first: int) -> list[Record]:
        query = {"after": str(first - 1)} if first else {}
        path = f"/api/v1/log?{urlencode(query)}"
        reply = self.server.request("GET", path, token=self.server.admin_token)
        assert 200 == reply.status, reply.body
        return [Record(**json.loads(line)) for line in reply.body.splitlines()]

    def _step(self, record: Record) -> Step:
        entry = record.entry
        workspace = entry.get("workspace")
        return Step(
            record.event,
            entry.get("run", {}).get("operation", ""),
            entry["request"].get("status", 0),
            entry["outcome"],
            None if workspace is None else workspace.removeprefix(f"{self.name}/"),
        )
