"""Brings in a new master key: its file, the entry with all states wrapped anew, the old one's end.

Whenever it is cut short, exactly one key opens the stored states, all of them:

1. The new key is durable beside the old one. Cut here, the next start drops it.
2. One transaction wraps the key of each stored version by the new one and appends the entry. Cut
   here, or with the answer of the commit lost, the next start finds that the new key opens what is
   stored, and puts it in its place.
3. What the old one opened is overwritten in the database and its write-ahead log, then the old key.

The bodies themselves stay as they are, each under the key of its own that only its head holds.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from proxy.audit_log import draft
from proxy.cli._common import caller, opened
from proxy.config import Config
from proxy.contracts import Transaction
from proxy.errors import ConfigError, InvalidInputError, UnavailableError
from proxy.keys import (
    FILES,
    MASTER,
    destroy_key,
    make_pending_master,
    read_master,
    rotating,
    settle_pending,
)
from proxy.program import Program, settle
from proxy.sealing import HEAD_BYTES, master_id, rewrap
from proxy.tlog.rotation import EVENT


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What was done.

    Attributes:
        index: of the entry.
        old: ID of the retired key.
        new: ID of the one in force.
        versions: stored versions that were wrapped anew.
        place: where the new key is kept.
        is_elsewhere: the configuration must name it now.
        was_elsewhere: the retired one is not ours to destroy.
    """

    index: int
    old: str
    new: str
    versions: int
    place: str
    is_elsewhere: bool
    was_elsewhere: bool


async def rotate_master(config: Config, successor: Path | None) -> Rewrapped:
    """Bring in a new master key. Call it while no server runs.

    Args:
        config: names the data directory.
        successor: a file with the new key, base64 of 32 bytes, which the configuration will name;
            None makes one in the data directory.

    Raises:
        ConfigError: it can't be done, and nothing was.
        InvalidInputError: the new key is one of the log's already.
        UnavailableError: a stored state can't be opened, and nothing was done; or the store did not
            commit.
    """
    was_elsewhere = config.keys.master is not None
    if was_elsewhere and successor is None:
        raise ConfigError(
            "the master key does not come from the data directory: make a new one where it is "
            "kept, and name it with --to-file"
        )
    with rotating(config):
        settle(config)
        async with opened(config) as program:
            new = make_pending_master(config) if successor is None else read_master(successor)
            index, old, versions = await _commit(program, new)
        if successor is None:
            settle_pending(config, MASTER, is_in_force=True)
        else:
            destroy_key(config, MASTER)
    place = config.data.keys / FILES[MASTER] if successor is None else successor
    return Rewrapped(
        index, old, master_id(new), versions, str(place), successor is not None, was_elsewhere
    )


async def _commit(program: Program, new: bytes) -> tuple[int, str, int]:
    """Wrap all states anew; return the entry's index, the old key's ID and their number."""
    old = program.keys.master
    if new in {old, program.keys.redaction}:
        raise InvalidInputError("the new key is one that this log has: make a key that is new")
    try:
        committed = await program.store.write(partial(_rewrap_all, old, new))
    except UnavailableError as error:
        raise UnavailableError(
            f"{error}. Whether the new key is in force, the stored states tell at the next command"
        ) from error
    if committed.index is None:
        raise AssertionError("the job appends an entry")
    await program.store.scrub()
    return committed.index, master_id(old), committed.value


def _rewrap_all(old: bytes, new: bytes, transaction: Transaction) -> int:
    """Wrap the keys of all stored versions by the new key, and put it on record."""
    heads = transaction.body_heads(HEAD_BYTES)
    for version, head in heads:
        try:
            anew = rewrap(
                head,
                master_key=old,
                new_master_key=new,
                workspace=version.workspace,
                version_id=version.id,
                lineage=version.lineage,
            )
        except UnavailableError as error:
            raise ConfigError(f"{error}. Nothing was done") from error
        transaction.set_body_head(version.id, anew)
    who = caller("key rotate master")
    transaction.append(
        draft(
            EVENT,
            "success",
            f"{who.principal.name} brought in a new master key, and wrapped the keys of "
            f"{len(heads)} stored versions by it",
            who,
            master={"old": master_id(old), "new": master_id(new), "versions": len(heads)},
        )
    )
    return len(heads)
