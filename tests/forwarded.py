"""What is forwarded to sinks: signed events, batches, and what a sink gets from the program."""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from proxy.config import Secret
from proxy.errors import ConfigError
from proxy.sinks.contract import Batch, Context, Event
from proxy.timestamps import rfc3339, uuid7
from proxy.tlog.entry import Record, canonical, key_id, signing_input
from proxy.tlog.merkle import leaf_hash
from tests.fakes import ENTRY_KEY, ORIGIN, START

NOW = datetime.fromtimestamp(START / 1e6, UTC)
"""The present of a_context."""
CHECKPOINT = f"{ORIGIN}\n1000\nAAAA\n\n— {ORIGIN} AAAA\n"
"""As a sink sees it: a text that it passes on."""


def an_entry(index: int = 0, **fields: Any) -> dict[str, Any]:
    """Return an entry about a state that was written; its ID tells its index."""
    return {
        "v": 1,
        "id": uuid7(START + index * 1000, index.to_bytes(8, "big")),
        "time": rfc3339(START + index * 1000),
        "event": "state.written",
        "outcome": "success",
        "message": f"alice wrote prod/network, serial {index} -> {index + 1}: 1 added",
        "actor": {"type": "user", "id": "id-of-alice", "name": "alice"},
        "source": {"ip": "10.0.0.7", "user_agent": "Terraform/1.11.4"},
        "request": {
            "id": f"request-{index}",
            "via": "terraform",
            "method": "POST",
            "path": "/state/prod/network",
            "status": 200,
        },
        "workspace": "prod/network",
        **fields,
    }


def an_event(index: int = 0, **fields: Any) -> Event:
    """Return a committed entry with a signature that holds."""
    return an_event_of(an_entry(index, **fields), index)


def an_event_of(entry: dict[str, Any], index: int = 0) -> Event:
    """Return an entry as if it was committed."""
    encoded = canonical(entry)
    public = key_id(ENTRY_KEY.public_key().public_bytes_raw())
    signature = ENTRY_KEY.sign(signing_input(encoded))
    return Event(Record(index, encoded, leaf_hash(encoded), signature, public), entry)


def a_batch(*events: Event) -> Batch:
    """Return what is sent at once."""
    return Batch(events, CHECKPOINT, ORIGIN)


def batch_of(count: int, first: int = 0) -> Batch:
    """Return so many events in a row."""
    return a_batch(*(an_event(index) for index in range(first, first + count)))


def ids_of(batch: Batch) -> list[str]:
    """Return the entries' IDs."""
    return [event.entry["id"] for event in batch.events]


def a_context(
    secrets: Mapping[str, str] | None = None, *, name: str = "siem", now: datetime = NOW
) -> Context:
    """Return what a sink gets; it never really waits."""

    def secret(wanted: str) -> Secret:
        if secrets is None or wanted not in secrets:
            raise ConfigError(f"there is no secret {wanted}")
        return Secret(secrets[wanted])

    return Context(name, secret, lambda: now, lambda _: asyncio.sleep(0), os.urandom)


def parsed(batch: Batch) -> list[dict[str, Any]]:
    """Return the signed bytes as JSON."""
    return [orjson.loads(event.record.entry) for event in batch.events]
