"""What is secret in the objects of a type, whatever their state says: knowledge, not marks.

A state below Terraform 1.8 marks hardly anything, providers forget, and data sources copied from
resources lose what was marked there. The table beside this file knows better, path by path; rows
of a type hold for resources and data sources alike. `tests/knowledge_table.py` checks it, and
adds to it what a provider's own schema marks.
"""

import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import orjson

from proxy.tfstate.marks import ANY_INDEX, ANY_KEY, MarkPath
from proxy.tfstate.names import is_plain_name

FILES: Final = ("marked.json", "unmarked.json", "added.json")
"""In `data/`, each `{provider: {type: [path]}}`: what the providers' schemas mark; what they do not
mark though it is secret; what was found in other providers' schemas and documents."""
READABLE: Final = "readable.json"
"""Of the same form: what is no secret though its name says so."""

_STEP: Final = re.compile(r"([A-Za-z0-9_-]+)(\[\]|\{\})?")
_WILDCARDS: Final = {"[]": ANY_INDEX, "{}": ANY_KEY}

_STORE_TYPE: Final = re.compile(r"secret|ssm_parameter|password|credential")
_STORE_ATTRIBUTES: Final = (
    "binary_data",
    "content",
    "data",
    "data_json",
    "data_wo",
    "insecure_value",
    "payload",
    "plaintext",
    "secret_binary",
    "secret_data",
    "secret_string",
    "string_data",
    "value",
    "value_wo",
)
_STORE_DATA_ATTRIBUTES: Final = ("entries", "items", "json", "map", "raw", "text", "values")
"""Where data sources of stores keep what they read, beside that."""
_ALWAYS: Final[dict[str, tuple[MarkPath, ...]]] = {
    "terraform_remote_state": (("config",), ("defaults",)),
}
"""The configuration of a backend, its password included."""


@lru_cache(maxsize=8_192)
def known_marks(resource_type: str, mode: str) -> tuple[MarkPath, ...]:
    """What is secret in every object of a type, though its state may not mark it.

    Some of it is harmless in itself, see `is_harmless_mark`. Types whose name says that they store
    secrets keep them under names that say nothing, and so do their data sources.

    Args:
        resource_type: as the state has it, such as `aws_db_instance`.
        mode: `managed`, or `data` of a data source.
    """
    paths = dict.fromkeys(_ALWAYS.get(resource_type, ()))
    if _STORE_TYPE.search(resource_type):
        paths |= dict.fromkeys((name,) for name in _STORE_ATTRIBUTES)
        if mode == "data":
            paths |= dict.fromkeys((name,) for name in _STORE_DATA_ATTRIBUTES)
    paths |= dict.fromkeys(map(parse, _table().get(resource_type, ())))
    return tuple(paths)


@lru_cache(maxsize=8_192)
def is_harmless_mark(path: MarkPath) -> bool:
    """Whether a mark hides what is no secret in itself: a user's name, a certificate, an ID.

    Terraform hides it, so it is hidden at its path; but it is not to be hunted for elsewhere,
    else half of a record would be hidden.
    """
    names = [step for step in path if isinstance(step, str)]
    return bool(names) and is_plain_name(names[-1])


@lru_cache(maxsize=8_192)
def known_readable(resource_type: str) -> tuple[MarkPath, ...]:
    """What is no secret in every object of a type, though its name says that it were one.

    The name at the end of such a path is not to be judged; names below it are. A mark, of the
    state or of the table, is stronger.
    """
    return tuple(map(parse, _readable().get(resource_type, ())))


def parse(path: str) -> MarkPath:
    """A row of the table: `a[].b` lies in a list or set, `a{}.b` in a map, `a.b` in an object.

    Raises:
        ValueError: it is none.
    """
    steps: list[str | int] = []
    for part in path.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise ValueError(f"{path!r} is no path of the knowledge table")
        steps.append(match[1])
        if match[2]:
            steps.append(_WILDCARDS[match[2]])
    return tuple(steps)


def rows(*files: str) -> Iterator[tuple[str, str, str, str]]:
    """All rows of some files of the table: file, provider, type, path."""
    for file in files:
        for provider, types in _read(file).items():
            for type_, paths in types.items():
                for path in paths:
                    yield file, provider, type_, path


@lru_cache(maxsize=1)
def _table() -> dict[str, list[str]]:
    """The secret paths of every type. Read once, when first asked for."""
    return _by_type(FILES)


@lru_cache(maxsize=1)
def _readable() -> dict[str, list[str]]:
    """The readable paths of every type. Read once, when first asked for."""
    return _by_type((READABLE,))


def _by_type(files: Iterable[str]) -> dict[str, list[str]]:
    """The paths of every type in some files."""
    table: dict[str, list[str]] = {}
    for file in files:
        for types in _read(file).values():
            for type_, paths in types.items():
                table[type_] = table[type_] + paths if type_ in table else paths
    return table


def _read(file: str) -> dict[str, dict[str, list[str]]]:
    """One file of the table."""
    data = pkgutil.get_data(__name__, f"data/{file}")  # importlib.resources takes 10 ms to wake up
    if data is None:  # an importer that keeps no files: better no program than none of its marks
        raise FileNotFoundError(file)
    table: dict[str, dict[str, list[str]]] = orjson.loads(data)
    return table
