"""The filters that ``log`` and ``export`` share: their options, and the query they make."""

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Annotated, Final

import typer

from proxy.cli._common import notice
from proxy.cli._values import parse_moment
from proxy.contracts import LogQuery, Store
from proxy.errors import InvalidInputError
from proxy.events import EVENTS, OUTCOMES
from proxy.pruned_entries import prunings, unsearched

WorkspaceFilter = Annotated[
    str | None,
    typer.Option("--workspace", metavar="GLOB", help="Only these workspaces; * matches / too."),
]
EventFilter = Annotated[
    str | None,
    typer.Option("--event", metavar="GLOB", help="Only these events, such as 'state.*'."),
]
ActorFilter = Annotated[
    str | None,
    typer.Option(
        "--actor",
        metavar="NAME|ID",
        help="Only what this actor did, a principal also by its tokens; anonymous: whoever proved "
        "nothing.",
    ),
]
SourceFilter = Annotated[
    str | None, typer.Option("--source-ip", metavar="IP", help="Only from this address.")
]
OutcomeFilter = Annotated[
    str | None, typer.Option("--outcome", help=f"Only this outcome: {', '.join(OUTCOMES)}.")
]
SinceFilter = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only from then on: 2026-11-22T10:00:00Z, 2026-11-22 (UTC), or 2h, 7d ago.",
    ),
]
UntilFilter = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only before then; as --since.")
]
ClaimFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--claim",
        metavar="NAME=VALUE",
        help="Only what an identity did of which its issuer says so, such as "
        "repository=acme/infra. Give it again for more, which must all hold.",
    ),
]
LimitFilter = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many entries.")
]


_SHOWN: Final = 2
"""Archives that are named: there may be many."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person asked for; None asks for everything."""

    workspace: str | None = None
    event: str | None = None
    actor: str | None = None
    source_ip: str | None = None
    outcome: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None
    claims: tuple[str, ...] = ()

    @property
    def is_plain_workspace(self) -> bool:
        """Tell whether the workspace is a name, not a glob."""
        return self.workspace is not None and not set("*?") & set(self.workspace)

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is left out."""
        return self == Filters()

    def query(self, now: datetime, *, newest_first: bool) -> LogQuery:
        """Return the query for the store.

        Args:
            now: what relative times count from.
            newest_first: the order.

        Raises:
            InvalidInputError: a time or an address that is none, an outcome or event that can't
                occur.
        """
        if self.source_ip is not None and not _is_source(self.source_ip):
            raise InvalidInputError(
                f"{self.source_ip!r} is no IP address: write one, such as 10.0.0.7 or 2001:db8::7"
            )
        if self.outcome is not None and self.outcome not in OUTCOMES:
            raise InvalidInputError(
                f"no entry has the outcome {self.outcome!r}: use one of {', '.join(OUTCOMES)}"
            )
        if self.event is not None and not any(fnmatchcase(name, self.event) for name in EVENTS):
            raise InvalidInputError(
                f"no event matches {self.event!r}: the events are {', '.join(EVENTS)}"
            )
        return LogQuery(
            workspace=self.workspace,
            event=self.event,
            actor=self.actor,
            source_ip=self.source_ip,
            outcome=self.outcome,
            since=parse_moment(self.since, now) if self.since else None,
            until=parse_moment(self.until, now) if self.until else None,
            limit=self.limit,
            newest_first=newest_first,
            claims=tuple(map(_claim, self.claims)),
        )

    def as_entry(self) -> dict[str, object]:
        """Return what was asked for, for the entry that records the asking."""
        named = {
            "workspace": self.workspace,
            "event": self.event,
            "actor": self.actor,
            "source_ip": self.source_ip,
            "outcome": self.outcome,
            "since": self.since,
            "until": self.until,
            "limit": self.limit,
            "claims": list(self.claims) or None,
        }
        return {name: value for name, value in named.items() if value is not None}


async def tell_nothing(store: Store, filters: Filters) -> None:
    """Say on stderr that nothing matches, and where it may be found instead."""
    hint = ""
    if filters.is_plain_workspace:
        inner = f"{filters.workspace}/*"
        async for _ in store.entries(LogQuery(workspace=inner, limit=1)):
            hint = f"; there are entries of --workspace '{inner}'"
    notice(f"No entry matches{hint}.")


async def tell_pruned(store: Store, query: LogQuery) -> None:
    """Say on stderr that older entries may match that were pruned, and where they are."""
    until = await unsearched(store, query)
    if until:
        places = ", ".join(each.archive for each in (await prunings(store))[-_SHOWN:])
        notice(
            f"Entries before {until} were pruned, so they are not among these. They are archived, "
            f"the newest in {places}: `tfaudit log --event audit.pruned` lists all archives."
        )


def _claim(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not (name and is_pair):
        raise InvalidInputError(
            f"{text[:100]!r} is no claim: write NAME=VALUE, such as repository=acme/infra"
        )
    return name, value


def _is_source(text: str) -> bool:
    """Tell whether entries can name it: an address, or the /64 of a counted flood's IPv6."""
    try:
        ip_address(text)
    except ValueError:
        try:
            return ip_network(text).prefixlen == 64 and ":" in text
        except ValueError:
            return False
    return True
