"""Prunes the log: the old entries are archived, read back, recorded as pruned, and then dropped.

What can strike between two of these steps, and what is then: before the entry is committed nothing
is pruned, and the next attempt takes the archive that is there; after it the entries are pruned,
and the next attempt, or a running server, drops what is left of them.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from proxy.audit_log import draft
from proxy.cli._archive import Archive, Archived
from proxy.cli._baseline import digest_of
from proxy.cli._common import caller
from proxy.cli._values import parse_moment
from proxy.cli._verification import Mark, TrustedKeys, verify_store
from proxy.contracts import Baseline, LogQuery, Store, Transaction
from proxy.errors import ConflictError, MissingError
from proxy.sink_status import statuses
from proxy.storage.reader import SQLiteReader
from proxy.tlog.tiles import WIDTH

if TYPE_CHECKING:
    from proxy.program import Program


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be pruned.

    Attributes:
        first: index of the first entry.
        until: one more than that of the last.
        keep: for how long entries are kept, as it was said.
        before: all of them are older, RFC 3339.
    """

    first: int
    until: int
    keep: str
    before: str


@dataclass(frozen=True, slots=True)
class Done:
    """What was pruned.

    Attributes:
        plan: which entries.
        archived: where they are now.
        index: of the entry that records it.
    """

    plan: Plan
    archived: Archived
    index: int


async def plan_for(store: Store, keep: str) -> Plan | None:
    """Return what is older than a length of time; None when no whole 256 entries are.

    The newest entries stay whatever their age.

    Raises:
        InvalidInputError: it is no length of time.
    """
    first, size = await store.pruned(), await store.size()
    before = parse_moment(keep, datetime.now(UTC))
    query = LogQuery(since=before, after=first - 1 if first else None, limit=1)
    young = [stored.record.index async for stored in store.entries(query)]
    until = min(young[0] if young else size, size - 1) // WIDTH * WIDTH
    return Plan(first, until, keep, before) if until > first else None


async def require_unneeded(store: Store, until: int) -> None:
    """Pass when no sink has to be given any of the entries.

    Raises:
        ConflictError: names all that have.
    """
    sinks = store.directory().objects("sink")
    found: list[str] = []
    for each in await statuses(store, sinks, datetime.now(UTC)):
        letters = await store.dead_letters(each.id, 0, 1)
        if each.cursor < until:
            found.append(
                f"the sink {each.name} ({each.state}) still has to be given the entries from "
                f"{each.cursor} on: let it catch up, or delete it"
            )
        if letters and letters[0].index < until:
            found.append(
                f"entry {letters[0].index} is set aside for the sink {each.name}: send it with "
                f"`tfaudit sink replay {each.name} --dead-letters`, or delete the sink"
            )
        if any(replay.first < until for replay in each.replays):
            found.append(f"a replay to the sink {each.name} is not done: wait for its end")
    if found:
        raise ConflictError(
            f"the entries before {until} are still needed, so nothing was pruned: "
            + "; ".join(found)
        )


async def prune(program: "Program", plan: Plan, archive: Archive) -> Done:
    """Check the log, archive the entries, record that they are pruned, and drop them.

    Args:
        program: has the log; a server may run beside it.
        plan: what is to be pruned.
        archive: where to.

    Raises:
        VerificationError: the log does not hold: what is wrong with it is evidence.
        ConflictError: something needs the entries, or the archive's name is another's.
        UnavailableError: it could not be done; nothing is dropped that is not archived.
    """
    await require_unneeded(program.store, plan.until)
    while await program.store.keep_tiles():
        pass
    mark = await _known_at(program, plan.until)
    archived = await archive.put(program, plan.first, plan.until - 1)
    await require_unneeded(program.store, plan.until)
    index = await _record(program, plan, mark, archived)
    await drop(program.store)
    return Done(plan, archived, index)


async def drop(store: Store) -> bool:
    """Drop all that is pruned; tell whether there was anything."""
    is_left = False
    while await store.drop_pruned():
        is_left = True
    return is_left


async def _known_at(program: "Program", until: int) -> Mark:
    """Check the whole log, and return what is known at an index."""
    # Bodies of states have no part in it.
    keys = replace(TrustedKeys.of_ring(program.keys), masters=())
    mark = Mark(until)
    async with SQLiteReader(program.config.data.database) as reader:
        await verify_store(reader, keys, [], lambda: None, mark=mark)
    if not mark.packed or not mark.tiles.issuperset(range(until // WIDTH)):
        raise MissingError(
            f"The hashes of the entries before {until} are not all kept, so nothing was pruned: "
            "try again."
        )
    return mark


async def _record(program: "Program", plan: Plan, mark: Mark, archived: Archived) -> int:
    """Commit that the entries are pruned.

    Raises:
        ConflictError: meanwhile they are needed, or others were pruned.
    """
    who = caller("retain")
    known_sinks = {each.id for each in program.store.directory().objects("sink")}
    pruning: dict[str, Any] = {
        "from": plan.first,
        "until": plan.until,
        "keep": plan.keep,
        "before": plan.before,
        "archive": archived.place,
        "sha256": archived.sha256,
        "size": archived.size,
        "baseline_sha256": digest_of(mark.packed),
    }
    message = (
        f"{who.principal.name} pruned entries {plan.first} to {plan.until - 1}, from before "
        f"{plan.before[:10]}: they are archived in {archived.place}"
    )

    def job(tx: Transaction) -> None:
        sinks = {each.id for each in tx.directory().objects("sink")}
        if tx.has_replay_below(plan.until) or not sinks <= known_sinks:
            raise ConflictError("sinks were changed meanwhile, so nothing was pruned: try again")
        if tx.pruned() != plan.first:
            raise ConflictError("somebody else pruned the log meanwhile, so nothing was done")
        tx.set_baseline(Baseline(plan.until, mark.kept, mark.packed))
        tx.append(draft("audit.pruned", "success", message, who, pruning=pruning))

    index = (await program.store.write(job)).index
    assert index is not None  # noqa: S101 - the job appends
    return index
