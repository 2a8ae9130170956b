"""Marks: the paths of a state's secret values, as a tree that is walked along with a value.

A state lists them itself (Terraform `statefile/version4.go: unmarshalPaths` and `pathStep`), and
the knowledge table knows more. Elements of a list move, so a mark on one is a mark on all; and
what one version of a provider keeps as an object, another keeps as a list of one, so marks fit
both.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

ANY_INDEX: Final = -1
"""The step that stands for every index of a list or set."""
ANY_KEY: Final = -2
"""The step that stands for every key of a map."""

MarkPath: TypeAlias = tuple[str | int, ...]
"""The steps to a secret value; a number is `ANY_INDEX` or `ANY_KEY`. Empty: all of it."""

_MOST_STEPS: Final = 64
"""Of a path that a state gives; a longer one marks all that lies below so many."""


@dataclass(slots=True)
class Marks:
    """Paths to secret values as a tree; everything below a marked place is secret too.

    Attributes:
        secret: everything here is secret.
        inner: the marks below each step. Ask `at`, which knows what a step may stand for.
        any_name: whether a wildcard may mark a step that `inner` does not name.
    """

    secret: bool = False
    inner: dict[str | int, "Marks"] = field(default_factory=dict)
    any_name: bool = False
    _found: dict[str | int, "Marks | None"] | None = field(default=None, compare=False, repr=False)

    def add(self, path: MarkPath) -> None:
        """Mark one path."""
        node = self
        for step in path:
            node._found = None
            node.any_name |= isinstance(step, int)
            node = node.inner.setdefault(step, Marks())
        node.secret = True

    def at(self, step: str | int) -> "Marks | None":
        """The marks below one step, or None if there are none.

        Args:
            step: an index, a name, or a key as a flat map writes it: `0` may be an index or a key.
        """
        if self.any_name:
            return self._at_wildcard(step)
        found = self.inner.get(step)
        if (
            found is None
            and self.inner
            and (isinstance(step, int) or (step < ":" and step.isdecimal()))
        ):
            return self  # an object, kept as a list of one
        return found

    def contradicts(self, value: object) -> bool:
        """Whether marks lie inside a value that has no such inside: it changed its type.

        Then the marked part may be anywhere in it, so all of it must be hidden. A list never
        contradicts them as a whole: its elements must be asked.
        """
        if not self.inner or value is None or isinstance(value, list):
            return False
        if not isinstance(value, dict):
            return True
        if not value or self.inner.keys() != {ANY_INDEX}:
            return False
        element = self.inner[ANY_INDEX]
        return element.secret or element.inner.keys() <= {ANY_INDEX}

    def _at_wildcard(self, step: str | int) -> "Marks | None":
        """The marks below a step for which a wildcard may speak, alone or beside others."""
        normal = normal_step(step)
        if normal != ANY_INDEX and not self._names(normal):
            normal = ANY_KEY
        if self._found is None:
            self._found = {}
        elif normal in self._found:
            return self._found[normal]
        found = self._found[normal] = _union(self._all_at(normal))
        return found

    def _names(self, step: str | int) -> bool:
        """Whether there are marks below this very step, also in a list of one."""
        element = self.inner.get(ANY_INDEX)
        return step in self.inner or (element is not None and step in element.inner)

    def _all_at(self, normal: str | int) -> Iterable["Marks"]:
        """What speaks for a step; numbers are indexes or keys."""
        element = self.inner.get(ANY_INDEX)
        if ANY_KEY in self.inner:
            yield self.inner[ANY_KEY]
        if normal == ANY_INDEX:
            if element is not None:
                yield element
            named: dict[str | int, Marks] = {
                step: node for step, node in self.inner.items() if isinstance(step, str)
            }
            if named:
                yield Marks(inner=named)  # an object, kept as a list of one
            return
        if normal in self.inner and normal != ANY_KEY:
            yield self.inner[normal]
        if element is not None and element.secret:
            yield element
        elif element is not None:  # a list of one, kept as an object
            for inner_step in {normal, ANY_KEY} & element.inner.keys():
                yield element.inner[inner_step]


def _union(nodes: Iterable[Marks]) -> Marks | None:
    """All marks of several trees as one, which is nobody's to change; None if there are none."""
    trees = list(nodes)
    if len(trees) <= 1:
        return trees[0] if trees else None
    union = Marks()
    groups: dict[str | int, list[Marks]] = {}
    for tree in trees:
        union.secret |= tree.secret
        union.any_name |= tree.any_name
        for step, inner in tree.inner.items():
            groups.setdefault(step, []).append(inner)
    for step, group in groups.items():
        merged = _union(group)
        if merged is not None:
            union.inner[step] = merged
    return union


def normal_step(step: str | int) -> str | int:
    """A step as marks have it; numbers written as keys are indexes too, as in a flat map."""
    if isinstance(step, int):
        return ANY_KEY if step == ANY_KEY else ANY_INDEX
    return ANY_INDEX if step.isdecimal() and step.isascii() else step


def mark_paths(sensitive_attributes: object) -> Iterable[MarkPath]:
    """The paths of a decoded `sensitive_attributes`.

    A path that can't be understood marks the place up to which it could be: at worst everything.
    """
    if sensitive_attributes is None:
        return
    if not isinstance(sensitive_attributes, list):
        yield ()
        return
    for path in sensitive_attributes:
        yield _mark_path(path)


def _mark_path(path: object) -> MarkPath:
    """One path, cut before the first step that can't be understood."""
    steps: list[str | int] = []
    for step in path if isinstance(path, list) else ():
        value = step.get("value") if isinstance(step, dict) else None
        if isinstance(value, dict):  # an index step: {"value": 0, "type": "number"}
            value = value.get("value")
        if isinstance(value, bool) or not isinstance(value, str | int):
            break
        if len(steps) == _MOST_STEPS:
            break
        steps.append(ANY_INDEX if isinstance(value, int) else normal_step(value))
    return tuple(steps)
