"""The kinds of sinks: which class serves which type name, ours and those that others install.

A package adds one through the entry-point group ``tfaudit.sinks``: the entry point's name is the
type, and it names a class as ``contract.Sink`` describes. One of ours can't be replaced.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast

from proxy.fields import FieldError, read_fields
from proxy.sinks.contract import Context, Options, Sink
from proxy.sinks.options import WORDS

GROUP: Final = "tfaudit.sinks"
"""The entry-point group of sinks that are not ours."""

_OWN: Final[Mapping[str, str]] = {
    "eventbridge": "proxy.sinks.eventbridge:EventBridge",
    "file": "proxy.sinks.file:FileSink",
    "otlp": "proxy.sinks.otlp:Otlp",
    "s3": "proxy.sinks.s3:S3",
    "datadog-logs": "proxy.sinks.datadog_logs:DatadogLogs",
    "datadog-events": "proxy.sinks.datadog_events:DatadogEvents",
    "jira": "proxy.sinks.jira:Jira",
    "pagerduty": "proxy.sinks.pagerduty:PagerDuty",
    "slack": "proxy.sinks.slack:Slack",
    "splunk-hec": "proxy.sinks.splunk_hec:SplunkHec",
    "webhook": "proxy.sinks.webhook:Webhook",
    "syslog": "proxy.sinks.syslog:SyslogSink",
}
"""Module and class of our own sinks by type; imported when one of the type is used."""


@cache
def _installed() -> Mapping[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=GROUP)}


def sink_types() -> list[str]:
    """Return the names of all types, ours first."""
    return [*_OWN, *sorted(_installed().keys() - _OWN.keys())]


def sink_class(of: str) -> type[Sink]:
    """Return the class that serves a type.

    Raises:
        FieldError: there is no such type, or a package's sink can't be loaded.
    """
    if of in _OWN:
        module, _, name = _OWN[of].partition(":")
        return cast("type[Sink]", getattr(import_module(module), name))
    found = _installed().get(of)
    if found is None:
        raise FieldError(
            f"there is no type {of!r} of sink: choose one of {', '.join(sink_types())}", "type"
        )
    try:
        return cast("type[Sink]", found.load())
    except Exception as error:
        raise FieldError(
            f"the sink {of!r} of the package {found.dist.name if found.dist else found.value} "
            f"can't be loaded: {type(error).__name__}: {error}",
            "type",
        ) from error


def default_filter(of: str) -> Mapping[str, Any]:
    """Return the filter of a sink of this type whose own is empty; empty is every entry.

    A notification for each reading of a state would be none: what people get names in its class
    what is worth one. A filter of the sink's own takes its place.

    Raises:
        FieldError: there is no such type, or a package's sink can't be loaded.
    """
    found: Mapping[str, Any] = getattr(sink_class(of), "default_filter", {})
    return found


def read_options(of: str, options: Mapping[str, Any]) -> Options:
    """Return the options of a type, checked.

    Raises:
        FieldError: names the option and what is wrong with it.
    """
    try:
        return read_fields(dict(options), sink_class(of).options_type, f"{of} options", WORDS)
    except FieldError as error:
        field = f"options.{error.field}" if error.field and error.field != "type" else error.field
        raise FieldError(str(error), field) from error


def open_sink(of: str, options: Mapping[str, Any], context: Context) -> Sink:
    """Return a sink that is ready to send.

    Raises:
        InvalidInputError: its options can't be used.
        ConfigError: a secret that it names is not there.
    """
    made: type[Any] = sink_class(of)
    sink: Sink = made(read_options(of, options), context)
    return sink
