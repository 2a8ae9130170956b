"""``tfaudit log``: searches the audit log, or follows it as it grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    caller,
    notice,
    opened,
    run,
    settings,
)
from proxy.cli._counts import CountBy, counted, print_counts
from proxy.cli._filters import (
    ActorFilter,
    ClaimFilter,
    EventFilter,
    Filters,
    LimitFilter,
    OutcomeFilter,
    SinceFilter,
    SourceFilter,
    UntilFilter,
    WorkspaceFilter,
    tell_nothing,
    tell_pruned,
)
from proxy.cli._output import clean
from proxy.cli._records import people_line
from proxy.cli._recovery import recover
from proxy.contracts import LogQuery, StoredRecord
from proxy.errors import InvalidInputError
from proxy.records import json_line

if TYPE_CHECKING:
    from proxy.program import Program

_BACKLOG: Final = 10
"""Entries that `--follow` begins with, unless told otherwise."""
_POLL_SECONDS: Final = 0.5


app = typer.Typer()
app.command()(recover)


@app.callback(invoke_without_command=True)
def log(
    context: typer.Context,
    *,
    workspace: WorkspaceFilter = None,
    event: EventFilter = None,
    actor: ActorFilter = None,
    source_ip: SourceFilter = None,
    outcome: OutcomeFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    claim: ClaimFilter = None,
    limit: LimitFilter = None,
    count_by: Annotated[
        CountBy | None,
        typer.Option(
            "--count-by",
            help="Count the entries that match by this instead of showing them; what was folded "
            "into one entry in a flood counts as often as it happened.",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            help=f"Begin with the newest {_BACKLOG} entries (--limit N: the newest N; --since: all "
            "from then on), then go on printing new ones until Ctrl-C.",
        ),
    ] = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a line: index, entry, leaf_hash, signature."),
    ] = False,
) -> None:
    """Show the audit log: newest entries first, or oldest first with --since or --follow.

    Reading the log is an entry of the log itself.
    """
    if context.invoked_subcommand is not None:
        return
    filters = Filters(
        workspace, event, actor, source_ip, outcome, since, until, limit, tuple(claim or ())
    )
    if follow and count_by:
        raise InvalidInputError("--count-by counts what there is: leave --follow away")
    if follow and not (since or limit):
        filters = replace(filters, limit=_BACKLOG)
    # The newest N are found from the end; _followed turns them round.
    query = filters.query(
        datetime.now(UTC), newest_first=not since or (follow and limit is not None)
    )

    async def action() -> None:
        async with opened(settings(data, config), may_only_read=True) as program:
            records = _followed(program, query) if follow else _matching(program, query)
            if count_by is not None:
                counts = await counted(records, count_by)
                await tell_pruned(program.store, query)
                print_counts(counts, count_by, as_json=as_json)
                return
            shown, last, size = 0, -1, await program.store.size()
            async for stored in records:
                shown, last = shown + 1, stored.record.index
                if as_json:
                    typer.echo(clean(json_line(stored).decode()))
                else:
                    typer.echo(people_line(stored))
            if not shown:
                await tell_nothing(program.store, filters)
            if not query.newest_first or limit is None or shown < limit:
                await tell_pruned(program.store, query)
            await _tell_more(program, query, last, size)

    with suppress(*([KeyboardInterrupt] if follow else [])):
        run(action())


async def _tell_more(program: "Program", query: LogQuery, last: int, size: int) -> None:
    """Say on stderr that newer entries match than those that were shown, if any do.

    Args:
        program: open.
        query: that was asked; with the oldest first and a limit some may be left.
        last: index of the last that was shown.
        size: of the log before it was read: the reading itself is not counted.
    """
    if query.newest_first or query.limit is None:
        return
    following = replace(query, after=last, limit=1)
    if [each async for each in program.store.entries(following) if each.record.index < size]:
        notice(
            "These are the oldest that match, and there are more: raise --limit, or leave --since "
            "away for the newest."
        )


def _matching(program: "Program", query: LogQuery) -> AsyncIterator[StoredRecord]:
    if program.refusal:
        return program.store.entries(query)
    return program.admin.read_log(caller("log"), query)


async def _followed(program: "Program", query: LogQuery) -> AsyncIterator[StoredRecord]:
    """Yield what matches now, oldest first, then, without an end, what matches as it is committed.

    Args:
        program: open.
        query: newest first when it has a limit, which holds for what matches now.
    """
    seen = await program.store.size() - 1
    if query.newest_first:
        newest = [stored async for stored in _matching(program, query)]
        for stored in reversed(newest):
            yield stored
            seen = max(seen, stored.record.index)
    else:
        async for stored in _matching(program, query):
            yield stored
            seen = max(seen, stored.record.index)
    while True:
        size = await program.store.size()
        if size - 1 > seen:
            fresh = replace(query, after=seen, limit=None, newest_first=False)
            async for stored in program.store.entries(fresh):
                yield stored
                seen = stored.record.index
            seen = max(seen, size - 1)
        await asyncio.sleep(_POLL_SECONDS)
