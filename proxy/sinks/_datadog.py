"""What Datadog's sinks share: its sites, its key, its clock, and how the key is tried."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta

from proxy.sinks._http import Http, HttpOptions, header_secret, is_there
from proxy.sinks.contract import Context
from proxy.sinks.options import SecretName, Tag, Url

MAX_AGE: Final = timedelta(hours=17, minutes=30)
"""Older events get the present time: Datadog takes no time of an event older than 18 hours."""

Site: TypeAlias = Literal[
    "datadoghq.com",
    "us3.datadoghq.com",
    "us5.datadoghq.com",
    "datadoghq.eu",
    "ap1.datadoghq.com",
    "ap2.datadoghq.com",
    "uk1.datadoghq.com",
    "ddog-gov.com",
    "us2.ddog-gov.com",
]


class DatadogOptions(HttpOptions, frozen=True, kw_only=True):
    """Which Datadog, and how events are marked there."""

    api_key_secret: Annotated[
        SecretName, Meta(description="Name of the secret that is an API key of the organisation.")
    ]
    site: Annotated[Site, Meta(description="Datadog site of the organisation.")] = "datadoghq.com"
    tags: Annotated[
        tuple[Tag, ...], Meta(max_length=50, description="Tags of every event: `env:prod`.")
    ] = ()
    hostname: Annotated[
        str, Meta(max_length=255, description="Host that events are said to be from.")
    ] = ""
    url: (
        Annotated[
            Url,
            Meta(
                description="Address in place of the site's, with the same paths below it: of a "
                "private endpoint, a relay or an Observability Pipelines worker."
            ),
        ]
        | None
    ) = None


class Datadog:
    """One organisation of Datadog.

    Args:
        options: the sink's.
        context: the sink's.
        intake: the host's name before the site's.
        path: of the intake.
    """

    def __init__(self, options: DatadogOptions, context: Context, intake: str, path: str) -> None:
        key = header_secret(context, options.api_key_secret)
        own = f"https://{intake}.{options.site}"
        base = (options.url or own).rstrip("/")
        self.http = Http(options, context, f"Datadog at {base}", [key])
        self.url = base + path
        self.headers: Mapping[str, str] = {"DD-API-KEY": key, "Content-Type": "application/json"}
        self._is_own = options.url is None
        self._validate = (
            f"https://api.{options.site}" if options.url is None else base
        ) + "/api/v1/validate"

    async def probe(self) -> str:
        """Ask whether the key is valid.

        Raises:
            NotTakenError: it is not, or Datadog can't be asked.
        """
        answer = await self.http.ask("GET", self._validate, self.headers)
        if answer.status == 404 and not self._is_own:
            return is_there(self.http, answer)
        return f"{self.http.require_well(answer)}: the key is valid"


def tags_of(entry: Mapping[str, Any], tags: tuple[str, ...]) -> list[str]:
    """Return the tags of an event: the sink's, and what one filters by."""
    found = [*tags, f"event:{entry['event']}", f"outcome:{entry['outcome']}"]
    if workspace := entry.get("workspace"):
        found.append(f"workspace:{workspace}"[:200])
    return found
