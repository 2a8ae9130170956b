"""What the members of one map say about each other.

A value may be named by the member beside it (`{"name": "DB_PASSWORD", "value": "…"}`), and a map
may say what it is (`kind: Secret`). What a map says holds for a range of the places inside it;
ranges lie inside each other as the maps do, so one sweep over all places applies them all.
"""

from typing import Final, NamedTuple

from proxy.tfstate.carriers.place import Place

_NAMES: Final = frozenset(
    {
        *("name", "Name", "NAME", "key", "Key", "KEY", "key_name", "keyName", "KeyName"),
        *("header", "header_name", "headerName", "HeaderName", "variable", "variable_name"),
        *("parameter_key", "parameterKey", "ParameterKey", "parameter_name", "parameterName"),
        *("ParameterName", "option", "option_name", "OptionName", "property", "setting"),
        *("env", "env_var", "envVar", "field", "attribute", "id", "label"),
    }
)
_VALUES: Final = frozenset(
    {
        *("value", "Value", "VALUE", "values", "Values", "default", "Default", "content"),
        *("Content", "default_value", "defaultValue", "DefaultValue", "string_value"),
        *("stringValue", "StringValue", "string_values", "StringValues", "header_value"),
        *("headerValue", "HeaderValue", "parameter_value", "parameterValue", "ParameterValue"),
        *("variable_value", "secret_value", "val", "data", "text"),
    }
)
_WEAK_NAMES: Final = frozenset({"env", "field", "attribute", "id", "label", "setting"})
"""A member of this name names its sibling only if no better one does."""

_KINDS: Final = frozenset({"kind", "auths", "users", "stringData", "type", "private_key"})
NOTED: Final = _NAMES | _VALUES | _KINDS | {"auth"}
"""The members whose map must be told of them, see `Siblings.note`."""

_LEAVES: Final = {
    "kubeconfig": frozenset(
        {
            *("token", "password", "client-key-data", "client-key", "id-token", "refresh-token"),
            *("access-token", "client-secret", "secret"),
        }
    ),
    "docker-config": frozenset(
        {"auth", "password", "identitytoken", "registrytoken", "secret", "token"}
    ),
    "service-account": frozenset({"private_key"}),
}
"""Of these formats, only the members of these names are secret."""


class Range(NamedTuple):
    """What holds for the places of one member, by their indexes in the list of places."""

    start: int
    end: int
    label: str = ""
    why: str = ""


class Siblings:
    """Collects what the members of one map say about each other."""

    __slots__ = ("_kind", "_members", "_name", "_weak_name")

    def __init__(self) -> None:
        self._name = ""
        self._weak_name = ""
        self._kind = ""
        self._members: list[tuple[str, int, int]] = []

    def note(self, key: str, value: str | None, start: int, end: int) -> None:
        """Tell of a member.

        Args:
            key: one of `NOTED`.
            value: its text, or None if it is no text.
            start: the index in the list of places of the first inside it.
            end: the index behind the last.
        """
        if value is not None:
            if key in _NAMES and not self._name:
                if key in _WEAK_NAMES:
                    self._weak_name = self._weak_name or value
                else:
                    self._name = value
            elif key == "kind" or (key == "type" and not self._kind):
                self._kind = value
        self._members.append((key, start, end))

    def ranges(self, start: int, end: int) -> list[Range]:
        """What all members say, as ranges of places.

        Args:
            start: the index of the first place inside the map.
            end: the index behind the last.
        """
        found = []
        name = self._name or self._weak_name
        for key, first, last in self._members:
            if first == last:
                continue
            if self._kind == "Secret" and key in {"data", "stringData"}:
                found.append(Range(first, last, why="kubernetes-secret"))
            elif self._kind == "Config" and key == "users":
                found.append(Range(first, last, why="kubeconfig"))
            elif key == "auths" or (key == "auth" and not name):
                found.append(Range(first, last, why="docker-config"))
            elif name and key in _VALUES:
                found.append(Range(first, last, label=name))
        if self._kind == "service_account":
            found.append(Range(start, end, why="service-account"))
        return found


def apply(places: list[Place], ranges: list[Range]) -> list[Place]:
    """The places with what the ranges say; of two ranges, the inner one names."""
    if not ranges:
        return places
    ordered = sorted(ranges, key=lambda range_: (range_.start, -range_.end))
    found: list[Place] = []
    open_: list[tuple[int, str, str]] = []
    following = 0
    for index, place in enumerate(places):
        while open_ and open_[-1][0] <= index:
            open_.pop()
        while following < len(ordered) and ordered[following].start <= index:
            range_ = ordered[following]
            following += 1
            if range_.end > index:
                _, label, why = open_[-1] if open_ else (0, "", "")
                open_.append((range_.end, range_.label or label, range_.why or why))
        if open_ and not place.is_key:
            _, label, why = open_[-1]
            leaves = _LEAVES.get(why)
            if leaves is not None and (not place.path or place.path[-1] not in leaves):
                why = ""
            place = place._replace(label=place.label or label, why=place.why or why)  # noqa: PLW2901
        found.append(place)
    return found
