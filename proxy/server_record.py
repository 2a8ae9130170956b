"""The record of the server itself: that it started, with what, how it stopped last, and stops."""

from typing import Any

import orjson

from proxy.access import Caller
from proxy.audit_log import draft
from proxy.contracts import LogQuery, Store, Transaction
from proxy.tfstate.policy import Policy

_LAST_START = LogQuery(event="audit.started", limit=1, newest_first=True)


async def record_start(
    store: Store, caller: Caller, *, config: dict[str, Any], keys: dict[str, str], policy: Policy
) -> None:
    """Commit ``audit.started``, and before it whatever is news since the last start.

    That is ``audit.unclean_shutdown`` when no stop was recorded, ``key.rotated`` when keys come
    into use for the first time (a rotation records itself), and ``config.changed`` with each
    setting before and after. The redaction policy comes into force with it, for the command line,
    too.

    Args:
        store: keeps the entries.
        caller: the system itself.
        config: settings by ``section.key``, without any secret.
        keys: what identifies the public parts of the keys.
        policy: what is hidden from now on, as ``config`` says.

    Raises:
        UnavailableError: the entries could not be committed: don't serve.
    """
    last: dict[str, Any] = {}
    async for stored in store.entries(_LAST_START):
        last = orjson.loads(stored.record.entry)

    def job(transaction: Transaction) -> None:
        if transaction.is_running():
            transaction.append(
                draft(
                    "audit.unclean_shutdown",
                    "error",
                    f"the server that started at {last.get('time', 'an unknown time')} left no "
                    "record of its stop: it was killed, or the machine failed",
                    caller,
                )
            )
        if not last:
            transaction.append(
                draft(
                    "key.rotated",
                    "success",
                    "keys came into use: " + ", ".join(f"{k} {v}" for k, v in keys.items()),
                    caller,
                    keys={"before": None, "after": keys},
                )
            )
        changes = _changes(last.get("config", {}), config)
        if last and changes:
            transaction.append(
                draft(
                    "config.changed",
                    "success",
                    f"the configuration changed: {', '.join(changes)}",
                    caller,
                    changes=changes,
                )
            )
        transaction.append(
            draft(
                "audit.started",
                "success",
                "the server started",
                caller,
                config=config,
                keys=keys,
                sinks=_places(transaction),
            )
        )
        if transaction.policy() != policy.packed:
            transaction.set_policy(policy.packed)
        transaction.set_running(running=True)

    await store.write(job)


async def record_stop(store: Store, caller: Caller) -> None:
    """Commit ``audit.stopped``: the next start finds that this one ended in order.

    It says how far each sink is. So does each start: who moves one on in between, so that it is
    never given what waits for it, is found out.

    Raises:
        UnavailableError: the entry could not be committed.
    """

    def job(transaction: Transaction) -> None:
        sinks = _places(transaction)
        transaction.append(
            draft("audit.stopped", "success", "the server stopped", caller, sinks=sinks)
        )
        transaction.set_running(running=False)

    await store.write(job)


def _places(transaction: Transaction) -> list[dict[str, Any]]:
    """Return how far each sink is that was ever given anything."""
    sinks = transaction.directory().objects("sink")
    found = ((each, transaction.delivery(each.id)) for each in sinks)
    return [
        {"id": each.id, "name": each.name, "cursor": delivery.cursor}
        for each, delivery in found
        if delivery is not None
    ]


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {
        key: {"before": before.get(key), "after": after.get(key)}
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }
