"""``tfaudit log``: searches the audit log, or follows it as it grows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from proxy.cli._common import ConfigOption, DataOption, caller, opened, run, settings
from proxy.cli._filters import (
    ActorFilter,
    EventFilter,
    Filters,
    LimitFilter,
    OutcomeFilter,
    SinceFilter,
    SourceFilter,
    UntilFilter,
    WorkspaceFilter,
)
from proxy.cli._output import clean
from proxy.cli._records import people_line
from proxy.contracts import LogQuery, StoredRecord
from proxy.records import json_line

if TYPE_CHECKING:
    from proxy.program import Program

_POLL_SECONDS: Final = 0.5


def log(
    *,
    workspace: WorkspaceFilter = None,
    event: EventFilter = None,
    actor: ActorFilter = None,
    source_ip: SourceFilter = None,
    outcome: OutcomeFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    limit: LimitFilter = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing new entries until Ctrl-C.")
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
    filters = Filters(workspace, event, actor, source_ip, outcome, since, until, limit)
    query = filters.query(datetime.now(UTC), newest_first=not (since or follow))

    async def action() -> None:
        async with opened(settings(data, config)) as program:
            async for stored in _records(program, query, follow=follow):
                if as_json:
                    typer.echo(clean(json_line(stored).decode()))
                else:
                    typer.echo(people_line(stored))

    try:
        run(action())
    except KeyboardInterrupt:
        if not follow:
            raise


async def _records(
    program: "Program", query: LogQuery, *, follow: bool
) -> AsyncIterator[StoredRecord]:
    """Yield what matches now, then, when following, what matches as it is committed."""
    seen = await program.store.size() - 1
    left = query.limit
    async for stored in program.admin.read_log(caller("log"), query):
        yield stored
        seen = max(seen, stored.record.index)
        left = left - 1 if left is not None else None
    while follow and left != 0:
        size = await program.store.size()
        if size - 1 > seen:
            fresh = replace(query, after=seen, limit=left)
            async for stored in program.store.entries(fresh):
                yield stored
                seen = stored.record.index
                left = left - 1 if left is not None else None
            seen = max(seen, size - 1)
        await asyncio.sleep(_POLL_SECONDS)
