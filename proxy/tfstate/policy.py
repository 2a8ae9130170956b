"""What a company wants hidden or shown beyond what every state and provider says of itself.

A pattern names a place, ``TYPE.PATH``, and holds for that place and everything below it, in
resources and data sources alike:

- ``TYPE``: a resource type (not an address: no module, no name), or ``output``, whose paths begin
  with the output's name;
- ``PATH``: attribute names and map keys, joined by dots. ``*`` and ``?`` stand for anything and
  for one character inside a name, ``**`` for any number of names; ``["a.b"]`` is a key as it is,
  ``{}`` any key. The brackets of lists, ``[]``, may be written or left out: a pattern holds for
  every element.

What is ``hidden`` is so at any depth, as if ``**.`` stood before its path: a pattern that was meant
for more than its writer thought of hides too much, and not too little. What is ``readable`` is so
only where the path begins at the type.

Values are told by regular expressions in RE2's syntax (https://github.com/google/re2/wiki/Syntax),
whose searches take linear time whatever the text and the expression.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

Mode: TypeAlias = Literal["standard", "strict", "names-only"]
"""``standard``: secrets are hidden. ``strict``: every value is. ``names-only``: no value and no
commitment leaves, only what has changed."""

MODES: Final[tuple[Mode, ...]] = ("standard", "strict", "names-only")

LIMIT_BYTES: Final = 16_384
"""Of all patterns together as JSON: an entry must hold them twice, before and after a change."""

_TYPE: Final = re.compile(r"[A-Za-z0-9_*?-]++\.(?!$)")
_STEP: Final = re.compile(
    r"""(?:^|\.)(?P<name>[^\s\[\]{}".]++)|(?P<list>\[\*?\])|(?P<any>\.?\{\})"""
    r"""|\.?\[(?P<key>"(?:[^"\\]|\\.)++")\]"""
)
_NOT_TYPES: Final = frozenset({"data", "resource", "module"})
_LITERAL: Final = re.compile(r"(?:[^\\.^$*+?()\[\]{}|]|\\[^\w\s])++")
_ANYWHERE: Final = r"(?:[^\x00]*\x00)*"
"""What stands for ``**`` with something behind it."""
_END: Final = "\0"
"""Between the steps of a path that is matched; a key that holds one is changed."""
_MOST_HITS: Final = 256
"""Values found in one text; if there are more, all that follows counts as one. That keeps the
search linear also for an expression that looks far ahead at every place where it matches."""
_REMEMBERED: Final = 16_384


class Policy(msgspec.Struct, frozen=True, dict=True):
    """What is hidden and what is shown, beyond what tfaudit knows by itself.

    Attributes:
        mode: see Mode.
        hidden: patterns of places whose values are secret, at any depth.
        readable: patterns of places whose values are shown though their names sound secret;
            where both match, ``hidden`` wins.
        hidden_values: regular expressions of values that are secret wherever they stand.
    """

    mode: Mode = "standard"
    hidden: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    hidden_values: tuple[str, ...] = ()

    @cached_property
    def packed(self) -> bytes:
        """The policy as JSON: equal bytes are equal policies."""
        return msgspec.json.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "Policy":
        """Return the policy that ``packed`` was made of.

        Raises:
            msgspec.DecodeError: it is none.
        """
        return msgspec.json.decode(packed, type=cls)

    def speaks_of(self, type_: str) -> bool:
        """Tell whether any pattern can match in a type; if not, no verdict need be asked for."""
        return bool(self.hidden or self.readable) and self._places(type_) is not None

    def verdict(self, type_: str, path: tuple[str | int, ...]) -> bool | None:
        """Tell what the patterns say of a place.

        Args:
            type_: the resource type, or ``output``.
            path: names, keys and indexes from the attribute (or the output's name) on; an index
                may also be its decimal text, as in flat states.

        Returns:
            True: hidden. False: readable. None: no pattern says anything.
        """
        if not (self.hidden or self.readable):
            return None
        places = self._places(type_)
        return None if places is None else places.verdict(path)

    def find_values(self, text: str) -> list[tuple[int, int]]:
        """Return where ``hidden_values`` match: disjoint spans (start, end), ascending.

        More than 256 matches of an expression in one text are one from the last of these to the
        text's end.
        """
        if not self.hidden_values or not text:
            return []
        any_of, each = self._values
        text = _carried(text)
        if any_of is not None and any_of.search(text) is None:
            return []
        return _merged(span for expression in each for span in _spans(expression, text))

    @cached_property
    def _values(self) -> tuple[Any, list[Any]]:
        """One expression that tells whether any matches, if they go into one; and each of them."""
        import re2  # noqa: PLC0415 - quick start of the command line

        each = [_compiled(text) for text in self.hidden_values]
        with suppress(re2.error):  # too large together, or two groups of one name
            return _compiled("|".join(f"(?:{text})" for text in self.hidden_values)), each
        return None, each

    @cached_property
    def _known(self) -> dict[str, "_Places | None"]:
        return {}

    def _places(self, type_: str) -> "_Places | None":
        known = self._known
        if type_ not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            hidden = [
                _ANYWHERE + path for of, path in map(_parsed, self.hidden) if _is_like(type_, of)
            ]
            readable = [path for of, path in map(_parsed, self.readable) if _is_like(type_, of)]
            known[type_] = _Places(hidden, readable) if hidden or readable else None
        return known[type_]


STANDARD: Final = Policy()
"""What holds when nobody says anything."""


class _Places:
    """The patterns of one type, as one expression each for what is hidden and what is readable."""

    def __init__(self, hidden: list[str], readable: list[str]) -> None:
        self._hidden = _either(hidden)
        self._readable = _either(readable)
        self._known: dict[tuple[str | int, ...], bool | None] = {}

    def verdict(self, path: tuple[str | int, ...]) -> bool | None:
        """Tell what the patterns say of a path: see Policy.verdict."""
        known = self._known
        if path not in known:
            if len(known) >= _REMEMBERED:
                known.clear()
            known[path] = self._judge(path)
        return known[path]

    def _judge(self, path: tuple[str | int, ...]) -> bool | None:
        keys = [step for step in path if isinstance(step, str)]
        texts = {_joined(keys), _joined([key for key in keys if not _is_index(key)])} - {""}
        for expression, answer in ((self._hidden, True), (self._readable, False)):
            if expression is not None and any(expression.match(text) for text in texts):
                return answer
        return None


def pattern_mistake(text: str) -> str | None:
    """Return what is wrong with a pattern of places, to be read after it; None if it is right."""
    if not text.isprintable():
        return "holds a character that can't be seen"
    head = _TYPE.match(text)
    if head is None or text.startswith("[", head.end()):
        return "is not TYPE.PATH, for example aws_lambda_function.environment[].variables.LOG_LEVEL"
    if head[0][:-1] in _NOT_TYPES:
        return (
            "must begin with a resource type, without module or name: it holds for resources and "
            "data sources alike"
        )
    return _path_mistake(text[head.end() :])


def _path_mistake(path: str) -> str | None:
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return (
                f"can't be read from {path[position : position + 20]!r} on: write names joined by "
                'dots, [] for elements, {} for any key, ["…"] for a key with dots'
            )
        if step["name"] and "**" in step["name"] and step["name"] != "**":
            return "has ** inside a name: it stands for whole names"
        try:
            json.loads(step["key"] or '""')
        except ValueError:
            return f"has a key that is no JSON text: {step['key']}"
        position = step.end()
    return None


def value_mistake(text: str) -> str | None:
    """Return what is wrong with an expression of values, to be read after it; None if right."""
    if not text.isprintable():
        return "holds a character that can't be seen: write \\n, \\t or \\x{…}"
    if is_literal(text):
        return (
            "is a plain text: the configuration stands in the log, so a value itself may not "
            "stand in it; write what all such values look like"
        )
    import re2  # noqa: PLC0415 - quick start of the command line

    try:
        expression = _compiled(text)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        return f"is no regular expression as RE2 reads it: {reason}"
    if expression.search("") is not None:
        return "matches an empty text, so it tells no value from another"
    return None


def is_literal(text: str) -> bool:
    """Tell whether an expression matches one text alone, which it therefore gives away."""
    return _LITERAL.fullmatch(text) is not None


def size_of(texts: Iterable[str]) -> int:
    """Return the bytes of patterns as JSON: see LIMIT_BYTES."""
    return len(msgspec.json.encode(list(texts)))


# ---------------------------------------------------------------- matching


@lru_cache(maxsize=1024)
def _parsed(pattern: str) -> tuple[str, str]:
    """Return a pattern's type, a glob, and the expression of its path and whatever is below."""
    head = _TYPE.match(pattern)
    if head is None:
        raise ValueError(f"{pattern!r} is no pattern of places")
    steps: list[str] = []
    for step in _STEP.finditer(pattern[head.end() :]):
        if step["name"]:
            steps.append("**" if step["name"] == "**" else _glob(step["name"]))
        elif step["any"]:
            steps.append(_glob("*"))
        elif step["key"]:
            steps.append(re.escape(str(json.loads(step["key"])).replace(_END, "\ufffd")))
    expression = ""
    for number, step_text in enumerate(steps):
        is_last = number == len(steps) - 1
        if step_text != "**":
            expression += step_text + ("" if is_last else r"\x00")
        else:
            expression += r"[^\x00]*" if is_last else _ANYWHERE
    return head[0][:-1], expression


def _glob(text: str) -> str:
    """Return the expression of a name with ``*`` and ``?``; RE2 reads Python's escapes."""
    return "".join({"*": r"[^\x00]*", "?": r"[^\x00]"}.get(c) or re.escape(c) for c in text)


def _is_like(type_: str, glob: str) -> bool:
    return glob in {type_, "*"} or _compiled(rf"{_glob(glob)}\z").match(_carried(type_)) is not None


def _either(paths: list[str]) -> Any:  # noqa: ANN401 - RE2 has no types
    if not paths:
        return None
    return _compiled(rf"(?s)(?:{'|'.join(f'(?:{path})' for path in paths)})(?:\x00|\z)")


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Any:  # noqa: ANN401 - RE2 has no types
    import re2  # noqa: PLC0415 - quick start of the command line

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return re2.compile(text, options=options)


def _joined(keys: list[str]) -> str:
    """Return steps as the text that is matched."""
    if any(_END in key for key in keys):
        keys = [key.replace(_END, "\ufffd") for key in keys]
    return _carried(_END.join(keys))


def _carried(text: str) -> str:
    """Return the text as UTF-8 can carry it: a lone surrogate becomes another character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal()


def _spans(expression: Any, text: str) -> Iterable[tuple[int, int]]:  # noqa: ANN401 - see above
    for number, match in enumerate(expression.finditer(text), start=1):
        start, end = match.span()
        if number == _MOST_HITS:
            yield start, len(text)
            return
        if end > start:
            yield start, end


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap or touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
