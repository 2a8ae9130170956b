"""The shapes in which a committed entry leaves: our own, CloudEvents, OCSF and ECS.

Each is a function of the entry, its record and the log's origin, and loses nothing: what a shape
has no field for stands in its place for such. The signature, the index and the leaf hash travel
along, so that whoever receives an event can prove it against any checkpoint.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from proxy.formats.cloudevents import cloudevents
from proxy.formats.ecs import ecs
from proxy.formats.native import native
from proxy.formats.ocsf import ocsf
from proxy.tlog.entry import Record

Format: TypeAlias = Callable[[Mapping[str, Any], Record, str], dict[str, Any]]

FORMATS: Final[Mapping[str, Format]] = {
    "native": native,
    "cloudevents": cloudevents,
    "ocsf": ocsf,
    "ecs": ecs,
}
"""The function of each format by the name that options use."""
