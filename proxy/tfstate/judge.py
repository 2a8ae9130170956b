"""Decides which values of a state are secret, and finds them all, with the reason for each.

A mark proves a secret; its absence proves nothing, since states below Terraform 1.8 mark hardly
anything and providers forget. So the providers' schemas, the names of attributes and the shape of
texts decide as well, and in doubt a value is a secret. Texts that carry others (JSON, YAML, URLs,
scripts ...) are looked into.

Marks: Terraform `statefile/version4.go: unmarshalPaths` and `pathStep`.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from proxy.tfstate.detectors import find, is_random, is_reference
from proxy.tfstate.diff import (
    ABSENT,
    Instance,
    Number,
    Path,
    Unreadable,
    Value,
    attributes,
    decode,
)
from proxy.tfstate.inside import Carrier, Place, look
from proxy.tfstate.knowledge import known_marks, known_readable
from proxy.tfstate.marks import ANY_INDEX, MarkPath, Marks, mark_paths
from proxy.tfstate.names import is_plain_name, is_secret_name
from proxy.tfstate.policy import Policy

MARKED: Final = "marked"
"""The state marks it, or the provider's schema does."""
NAMED: Final = "name"
"""Its name, or the name beside it, says so."""
BY_POLICY: Final = "policy"
"""The configuration says so."""
TOO_DEEP: Final = "too deep"
"""It lies in texts in texts, too many to be looked into."""
BY_FORMAT: Final = "kubernetes-secret"
"""It lies in the data of a Kubernetes Secret."""
READABLE: Final = "readable"
"""The configuration says that it is none: nothing but a mark of the state's own can hide it."""

DEPTH: Final = 32
"""A value nested deeper is not looked into: it is a secret, or not shown at all."""

CARRIERS: Final = 8
"""So deep are texts looked for in texts: YAML in base64 in JSON."""

_SECRET_DATA: Final = frozenset({"data", "stringData", "string_data"})
_COMMITMENT: Final = re.compile(
    r"hmac-sha256:[A-Za-z0-9+/]{11}=|\[redacted(?: hmac-sha256:[A-Za-z0-9+/]{11}=)?\]"
)
_TOO_SHORT: Final = re.compile(r"[A-Za-z0-9_./ -]{0,15}")
_FEW_NAMES: Final = 64
_FLAG: Final = re.compile(r"--?[A-Za-z][A-Za-z0-9_-]*")
_NO_MARKS: Final[dict[str | int, Marks]] = {}
_PAIR_NAMES: Final = (
    *("name", "key", "header", "variable", "variable_name", "parameter_key", "option_name"),
    *("label", "Name", "Key", "path"),
)
PAIR_VALUES: Final = frozenset(
    {
        "value",
        "values",
        "default",
        "content",
        "string_value",
        "parameter_value",
        "secret_value",
        "Value",
    }
)
_REMEMBERED: Final = 20_000
_REMEMBERED_CHARACTERS: Final = 256


class Subject(NamedTuple):
    """Whose values are judged.

    Attributes:
        type: the resource type; `output` for outputs.
        marks: what its state and its provider's schema mark.
        stated: what its state marks.
        harmless: what has a secret's name, though it is known to be none.
    """

    type: str
    marks: Marks | None = None
    stated: Marks | None = None
    harmless: Marks | None = None


def subject_of(type_: str, mode: str, *instances: Instance | None) -> Subject:
    """The subject of an object, with the marks of all its versions."""
    raw: tuple[bytes, ...] = ()
    for instance in instances:
        if instance is not None and len(memoryview(instance.marks)) > len("[]"):
            raw = (*raw, bytes(instance.marks))
    return _subject(type_, mode, raw)


@lru_cache(maxsize=4_096)
def _subject(type_: str, mode: str, raw_marks: tuple[bytes, ...]) -> Subject:
    """The same from the marks as they are written; objects of a type have the same ones."""
    stated = [path for raw in raw_marks for path in mark_paths(decode(msgspec.Raw(raw)))]
    return Subject(
        type_,
        _tree([*known_marks(type_, mode), *stated]),
        _tree(stated),
        _tree(known_readable(type_)),
    )


def _tree(paths: Iterable[MarkPath]) -> Marks | None:
    """Some paths as a tree; None without any."""
    tree = Marks()
    for path in paths:
        tree.add(path)
    return tree if tree.secret or tree.inner else None


def is_redacted(value: Value) -> bool:
    """Whether a value stands for a secret already, because it was redacted before."""
    if isinstance(value, dict):
        value = value.get("redacted") if len(value) == 1 else None
    return isinstance(value, str) and _COMMITMENT.fullmatch(value) is not None


def _tells_nothing(value: Value) -> bool:
    """Whether a text is a type's name, says where a secret is kept, or stands for one already."""
    return isinstance(value, str) and (
        value in _TYPE_NAMES or is_reference(value) or is_redacted(value)
    )


def _why_by_name(  # noqa: PLR0911 - one for each rule
    subject: Subject, path: Path, value: Value, parent: Value
) -> str:
    """Why a value's name, or what stands beside it, makes it a secret; see `Judge.why`."""
    step = path[-1]
    if isinstance(step, int):
        return NAMED if isinstance(value, str) and _follows_flag(parent, step) else ""
    if value is True or value is False:
        return ""
    if subject.harmless is not None and _ends(subject.harmless, path):
        return ""
    if is_secret_name(step):
        return "" if _tells_nothing(value) else NAMED
    if step in _SECRET_DATA and isinstance(parent, dict) and parent.get("kind") == "Secret":
        return BY_FORMAT
    if step in PAIR_VALUES and isinstance(parent, dict) and _is_named_beside(parent):
        return "" if _tells_nothing(value) else NAMED
    return ""


def _follows_flag(arguments: Value, index: int) -> bool:
    """Whether an element of a list follows a flag for a secret: `["--db-password", "…"]`."""
    if not isinstance(arguments, list) or not 0 < index < len(arguments):
        return False
    flag = arguments[index - 1]
    return isinstance(flag, str) and _FLAG.fullmatch(flag) is not None and is_secret_name(flag)


class Judge:
    """Applies the rules to one value at a time.

    Args:
        policy: of the configuration.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._verdict = policy.verdict if policy.hidden or policy.readable else None
        self.finds_values = bool(policy.hidden_values)
        self.judges_all = self._verdict is not None or self.finds_values

    def why(  # noqa: PLR0911 - one for each rule, the strongest first
        self, subject: Subject, path: Path, value: Value, node: Marks | None, parent: Value
    ) -> str:
        """Why a value is secret as a whole.

        Args:
            subject: whose it is.
            path: leads to it.
            value: what it is; null is never a secret.
            node: the marks at that path.
            parent: what it stands in.

        Returns:
            `MARKED`, `NAMED`, `BY_FORMAT`, `BY_POLICY`; `READABLE`, or "" when nothing is known.
        """
        if value is None or value is ABSENT:
            return ""
        if type(value) is Unreadable:
            return MARKED
        marked = node is not None and (node.secret or node.contradicts(value))
        if self._verdict is not None:
            verdict = self._verdict(subject.type, path)
            if verdict:
                return BY_POLICY
            if verdict is False:
                return MARKED if marked and is_covered(subject.stated, path, value) else READABLE
        if marked:
            return MARKED
        if is_redacted(value):
            return ""
        if self.finds_values and isinstance(value, int | Number) and self._is_hidden(value):
            return BY_POLICY
        return _why_by_name(subject, path, value, parent)

    def _is_hidden(self, number: int | Number) -> bool:
        """Whether the policy hides a number for its digits."""
        return not isinstance(number, bool) and bool(self.policy.find_values(str(number)))

    def may_hold_secrets(self, text: str) -> bool:
        """Whether a text that is no secret as a whole may hold some, as far as a look can tell.

        A few letters and digits carry nothing, and no credential with a shape is so short.
        """
        return self.finds_values or _TOO_SHORT.fullmatch(text) is None

    @staticmethod
    def hides_inherited(path: Path, value: Value) -> bool:
        """Whether a scalar below a secret name is secret: not if its own name is a harmless one."""
        if value is None or value is ABSENT or isinstance(value, bool):
            return False
        name = leaf_name(path)
        return not (is_plain_name(name) or _tells_nothing(value))

    @staticmethod
    def why_place(place: Place) -> str:
        """Why a place inside a text is secret as a whole; "" when nothing is known."""
        if place.why:
            return place.why
        if place.is_key:
            return NAMED if is_random(place.value) else ""
        if place.label and is_secret_name(place.label):
            return "" if _tells_nothing(place.value) else NAMED
        for step in place.path:
            if type(step) is str and is_secret_name(step):
                if _tells_nothing(place.value) or place.value in _NO_SECRETS:
                    return ""
                leaf = leaf_name(place.path)
                return "" if leaf is not step and is_plain_name(leaf) else NAMED
        return ""


@lru_cache(maxsize=16_384)
def is_suspect(name: str) -> bool:
    """Whether what has this name may be secret for its name or the name beside it.

    Anything else is secret only if it is marked, or gives itself away.
    """
    return name in PAIR_VALUES or name in _SECRET_DATA or is_secret_name(name) or is_random(name)


@lru_cache(maxsize=4_096)
def suspects_of(names: tuple[str, ...]) -> frozenset[str]:
    """The suspects among an object's names; objects of one type have the same names."""
    return frozenset(filter(is_suspect, names))


class Walk:
    """Finds all secrets of objects and outputs.

    Args:
        judge: the rules.
        report: told of each secret: its path, its value, and why it is one.
        harmless: names with texts that were found to hold no secret, kept for the next walk.

    Attributes:
        carries: whether a text was met that carries others; to be set back by whoever asks.
    """

    def __init__(
        self, judge: Judge, report: "Report", harmless: set[tuple[str, str]] | None = None
    ) -> None:
        self._judge = judge
        self._report = report
        self._subject = Subject("")
        self._harmless = set() if harmless is None else harmless
        self.carries = False

    def object(
        self, subject: Subject, instance: Instance, root: dict[str, Value] | None = None
    ) -> None:
        """Find the secrets of one version of an object.

        Args:
            subject: what it is.
            instance: the version.
            root: its attributes, if they are decoded already.
        """
        self._subject = subject
        if root is None:
            root = attributes(instance)
        if instance.flat:
            for key, value in root.items():
                if flat_level(self._judge, subject, key, (root,)):
                    self._report((key,), value, NAMED)
                elif isinstance(value, str):
                    self.text(value, key.rpartition(".")[2], (key,), 0)
        elif subject.marks is not None and subject.marks.secret:
            self._report((), root, MARKED)
        else:
            self._members(root, subject.marks, (), 0, inherited=False)

    def output(self, name: str, value: Value, *, sensitive: bool) -> None:
        """Find the secrets of an output."""
        self._subject = OUTPUT
        if sensitive:
            if value is not None:
                self._report((name,), value, MARKED)
        else:
            self._step(value, None, (name,), None, 0, inherited=False)

    def value(self, value: Value) -> None:
        """Find the secrets of what is neither, such as a backend's configuration."""
        self._subject = Subject("")
        self._within(value, None, (), 0, inherited=False)

    def _within(
        self, value: Value, node: Marks | None, path: Path, depth: int, *, inherited: bool
    ) -> None:
        if depth > DEPTH:
            self._report(path, value, MARKED)
        elif isinstance(value, dict):
            self._members(value, node, path, depth, inherited=inherited)
        elif isinstance(value, list):
            below = node.at(ANY_INDEX) if node is not None else None
            for index, inner in enumerate(value):
                self._step(inner, below, (*path, index), value, depth, inherited=inherited)

    def _members(
        self, value: dict[str, Any], node: Marks | None, path: Path, depth: int, *, inherited: bool
    ) -> None:
        suspects: Iterable[str] = ()
        if inherited or self._judge.judges_all or (node is not None and node.any_name):
            suspects = value
        elif len(value) <= _FEW_NAMES:
            suspects = suspects_of(tuple(value))
        else:
            suspects = {name for name in value if is_suspect(name)}
        marked = node.inner if node is not None else _NO_MARKS
        for name, inner in value.items():
            if name in suspects and is_random(name):
                self._report((*path, name), name, NAMED)
            kind = type(inner)
            if inner is None:
                continue
            if name in suspects or name in marked:
                below = node.at(name) if node is not None else None
                self._step(inner, below, (*path, name), value, depth, inherited=inherited)
            elif kind is str:
                if self._judge.may_hold_secrets(inner):
                    self.text(inner, name, (*path, name), 0)
            elif kind is dict or kind is list:
                self._within(inner, None, (*path, name), depth + 1, inherited=False)

    def _step(  # noqa: PLR0913 - a value with all that is known of it
        self,
        value: Value,
        node: Marks | None,
        path: Path,
        parent: Value,
        depth: int,
        *,
        inherited: bool,
    ) -> None:
        why = self._judge.why(self._subject, path, value, node, parent)
        kind = type(value)
        if why is READABLE:
            if kind is dict or kind is list:  # a mark or a pattern may hide a part
                self._within(value, node, path, depth + 1, inherited=False)
            return
        if why and (why is not NAMED or (kind is not dict and kind is not list)):
            self._report(path, value, why)
            return
        if kind is dict or kind is list:
            named = inherited or why is NAMED
            self._within(value, node, path, depth + 1, inherited=named)
        elif inherited and self._judge.hides_inherited(path, value):
            self._report(path, value, NAMED)
        elif kind is str and self._judge.may_hold_secrets(value):  # type: ignore[arg-type]
            self.text(value, leaf_name(path), path, 0)  # type: ignore[arg-type]

    def _carried(self, carrier: Carrier, name: str, path: Path, depth: int) -> None:
        """Find the secrets among the places of a text."""
        for place in carrier.places:
            inner = (*path, *place.path)
            why = self._judge.why_place(place)
            if why:
                self._report(inner, place.value, f"{carrier.kind}: {why}")
            elif not place.is_key and self._judge.may_hold_secrets(place.value):
                name_inside = place.label or leaf_name(place.path) or name
                self.text(place.value, name_inside, inner, depth + 1)

    def text(self, text: str, name: str, path: Path, depth: int) -> None:
        """Find the secrets inside a text that is none as a whole.

        Args:
            text: to be looked into.
            name: of the attribute or key that it is the value of.
            path: leads to it.
            depth: how many texts it stands in.
        """
        if (name, text) in self._harmless:
            return
        clean = depth < CARRIERS  # what was not looked into is not known to be harmless
        carrier = look(text)
        if carrier is not None:
            clean = False
            self.carries = True
            if depth >= CARRIERS:
                self._report(path, text, TOO_DEEP)
            else:
                self._carried(carrier, name, path, depth)
        for start, end, kind in find(text, name):
            clean = False
            self._report(path, text[start:end], f"looks like {kind}")
        for start, end in self._judge.policy.find_values(text):
            clean = False
            self._report(path, text[start:end], BY_POLICY)
        if clean and len(text) <= _REMEMBERED_CHARACTERS:
            if len(self._harmless) >= _REMEMBERED:
                self._harmless.clear()
            self._harmless.add((name, text))


Report: TypeAlias = Callable[[Path, Value, str], None]
"""Takes a path, a secret value and why it is one."""

OUTPUT: Final = Subject("output")
"""The subject of outputs, whose paths begin with the output's name."""

_TYPE_NAMES: Final = frozenset({"string", "number", "bool", "dynamic"})
"""How Terraform writes the types of dynamic values, by the names of their members."""
_NO_SECRETS: Final = frozenset({"", "true", "false", "null", "True", "False", "yes", "no", "~"})


def leaf_name(path: Path) -> str:
    """The last name of a path; an element of a list has the list's."""
    for step in reversed(path):
        if type(step) is str:
            return step
    return ""


def flat_level(
    judge: Judge, subject: Subject, key: str, roots: tuple[dict[str, Value], ...]
) -> int:
    """How many steps of a flat key (`list.0.name`) lead to a secret; 0 when it is none.

    Args:
        judge: the rules.
        subject: whose key it is.
        key: a whole path, as the state has it up to Terraform 0.11.
        roots: the flat maps that have it.
    """
    steps = key.split(".")
    path = tuple(steps)
    values = [root[key] for root in roots if key in root]
    whys = {judge.why(subject, path, value, None, None) for value in values}
    is_readable = READABLE in whys
    node = subject.stated if is_readable else subject.marks
    if node is not None and node.secret:
        return 1
    for number, step in enumerate(steps, start=1):
        node = node.at(step) if node is not None else None
        marked = node is not None and (
            node.secret or (number == len(steps) and bool(node.inner) and step not in {"#", "%"})
        )
        if marked:
            return number
        if is_readable:
            continue
        if is_secret_name(step) and not all(is_reference(str(value)) for value in values):
            return number
    if is_readable:
        return 0
    base, _, last = key.rpartition(".")
    for root in roots:
        beside = {name: root.get(f"{base}.{name}") for name in _PAIR_NAMES}
        if last in PAIR_VALUES and _is_named_beside(beside):
            return len(steps)
    return len(steps) if any(whys) else 0


def _is_named_beside(parent: dict[str, Any]) -> bool:
    """Whether the name beside a value is a secret's."""
    return any(
        isinstance(name := parent.get(pair), str) and is_secret_name(name) for pair in _PAIR_NAMES
    )


def _ends(marks: Marks, path: Path) -> bool:
    """Whether a path is one of those of a tree; not whether it leads on from one."""
    node: Marks | None = marks
    for step in path:
        if node is None or node.secret:
            return False
        node = node.at(step)
    return node is not None and node.secret


def is_covered(marks: Marks | None, path: Path, value: Value) -> bool:
    """Whether marks hide what a path leads to."""
    node = marks
    for step in path:
        if node is None or node.secret:
            break
        node = node.at(step)
    return node is not None and (node.secret or node.contradicts(value))
