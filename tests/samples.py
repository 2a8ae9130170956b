"""What clients send, and a real store to send it to: states, lock infos, callers, a database."""

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from proxy.access import Caller, Principal, Role, rights_of
from proxy.audit_log import AuditLog
from proxy.contracts import Draft, HeldLock, LogQuery, StateVersion, Store
from proxy.storage.sqlite import SQLiteStore
from proxy.timestamps import rfc3339, uuid7
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN, START

LINEAGE = "b3da4ef1-0000-4000-8000-000000000001"
OTHER_LINEAGE = "b3da4ef1-0000-4000-8000-000000000002"
WORKSPACE = "prod/network"
EVERYTHING = LogQuery()


def a_state(serial: int = 1, value: str = "one", *, lineage: str = LINEAGE) -> bytes:
    """Return a v4 state with one resource, written as Terraform writes it."""
    document = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": serial,
        "lineage": lineage,
        "outputs": {},
        "resources": [
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": "main",
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": [
                    {
                        "schema_version": 0,
                        "attributes": {"id": "1", "input": {"value": value, "type": "string"}},
                        "sensitive_attributes": [],
                    }
                ],
            }
        ],
        "check_results": None,
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def an_encrypted_state(serial: int = 1) -> bytes:
    """Return what OpenTofu sends when it encrypts states."""
    document = {
        "serial": serial,
        "lineage": LINEAGE,
        "meta": {"key_provider.pbkdf2.main": "eyJzYWx0IjoiIn0="},
        "encrypted_data": base64.b64encode(b"opaque" * 20).decode(),
        "encryption_version": "v0",
    }
    return json.dumps(document).encode()


def a_lock_info(
    lock_id: str = "lock-1", operation: str = "OperationTypeApply", who: str = "alice@laptop"
) -> bytes:
    """Return the body of a LOCK as Terraform sends it, byte for byte as Go writes it."""
    info = {
        "ID": lock_id,
        "Operation": operation,
        "Info": "",
        "Who": who,
        "Version": "1.11.4",
        "Created": "2026-11-22T10:00:00.123456789Z",
        "Path": "",
    }
    return json.dumps(info, separators=(",", ":")).encode()


def md5_of(body: bytes) -> str:
    """Return the Content-MD5 of a body."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def a_caller(
    role: Role | None = Role.ADMIN,
    *,
    name: str = "alice",
    workspaces: tuple[str, ...] = ("*",),
    method: str = "POST",
) -> Caller:
    """Return somebody with a role who uses Terraform; no token, which the store would ask for."""
    principal = Principal("user", f"id-of-{name}", name, rights_of(role, *workspaces))
    return Caller(principal, "10.0.0.7", "request-1", "terraform", method, "/state/prod/network")


def a_draft(message: str = "something happened", *, event: str = "state.read") -> Draft:
    """Return an entry that is ready to be appended."""
    return Draft(
        {
            "event": event,
            "outcome": "success",
            "message": message,
            "actor": {"type": "user", "id": "id-of-alice", "name": "alice"},
            "source": {"ip": "10.0.0.7"},
            "request": {"id": "request-1", "via": "terraform", "method": "GET", "path": "/"},
        }
    )


def a_version(number: int = 1, *, workspace: str = WORKSPACE) -> StateVersion:
    """Return the description of a stored version."""
    return StateVersion(
        id=uuid7(START + number, os.urandom(8)),
        workspace=workspace,
        number=number,
        lineage=LINEAGE,
        serial=number,
        sha256=hashlib.sha256(b"%d" % number).hexdigest(),
        size=100 + number,
        terraform_version="1.11.4",
        kind="v4",
        created=rfc3339(START + number),
    )


def a_held_lock(lock_id: str = "lock-1", *, workspace: str = WORKSPACE) -> HeldLock:
    """Return a lock as it is kept."""
    info = a_lock_info(lock_id)
    return HeldLock(
        workspace=workspace,
        id=lock_id,
        info=info,
        md5=md5_of(info),
        operation="OperationTypeApply",
        who="alice@laptop",
        version="1.11.4",
        actor="alice",
        taken=rfc3339(START),
    )


class Clock:
    """A clock that a test sets; a step forward at each look by default.

    Attributes:
        micros: microseconds since 1970.
        step: added at each look.
    """

    def __init__(self, micros: int = START, step: int = 1000) -> None:
        self.micros = micros
        self.step = step

    def __call__(self) -> int:
        """Return the present."""
        self.micros += self.step
        return self.micros


def an_audit_log(clock: Callable[[], int] | None = None) -> AuditLog:
    """Return what signs entries and checkpoints, with the tests' keys."""
    return AuditLog(ENTRY_KEY, CHECKPOINT_KEY, ORIGIN, clock=clock or Clock(), random=os.urandom)


@asynccontextmanager
async def an_open_store(directory: Path) -> AsyncIterator[SQLiteStore]:
    """Open the real store in a directory; made when it is not there."""
    async with SQLiteStore(directory / "tfaudit.db", an_audit_log(), create=True) as store:
        yield store


async def log_of(store: Store, query: LogQuery = EVERYTHING) -> list[dict[str, Any]]:
    """Return the committed entries, parsed, oldest first."""
    return [orjson.loads(stored.record.entry) async for stored in store.entries(query)]


async def last_of(store: Store) -> dict[str, Any]:
    """Return the newest entry that was not inferred from others, parsed."""
    return [entry for entry in await log_of(store) if "inferred_from" not in entry][-1]


async def events_of(store: Store) -> list[str]:
    """Return the names of the committed events, oldest first, without what was inferred."""
    return [entry["event"] for entry in await log_of(store) if "inferred_from" not in entry]


async def runs_of(store: Store) -> list[dict[str, Any]]:
    """Return the entries that were inferred from others, parsed, oldest first."""
    return [entry for entry in await log_of(store) if "inferred_from" in entry]


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until the condition holds.

    Raises:
        TimeoutError: it did not in so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition knows no event
            await asyncio.sleep(0.005)
