"""Checks the table of what is known to be secret, and adds to it what a schema marks.

`python -m tests.knowledge_table` tells what is wrong with it, writes its files anew in their
order, and counts. With the output of `terraform providers schema -json` as a file, and a text that
says where it is from, it first adds every attribute that is marked there and not known yet:

    python -m tests.knowledge_table schema.json 'hashicorp/aws 5.100.0'
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import proxy.tfstate
from proxy.tfstate.knowledge import FILES, READABLE, known_marks, parse, rows
from proxy.tfstate.marks import Marks
from proxy.tfstate.names import is_secret_name

DATA: Final = Path(proxy.tfstate.__file__).parent / "data"
SOURCES: Final = Path(__file__).parent / "data" / "knowledge_sources.json"
"""Where each type of `added.json` was found, and why each path of `readable.json` is readable."""

_NESTED: Final = {"list": "[]", "set": "[]", "map": "{}", "single": "", "group": ""}


def problems() -> Iterator[str]:
    """What is wrong with the table; each a sentence."""
    sources = json.loads(SOURCES.read_text("utf-8"))
    seen: dict[tuple[str, str], str] = {}
    for file, provider, type_, path in rows(*FILES, READABLE):
        place = f"{file}: {type_} {path}"
        if not f"{type_}_".startswith(f"{provider}_"):
            yield f"{place}: does not belong to {provider}"
        if (type_, path) in seen:
            yield f"{place}: stands in {seen[type_, path]} already"
        seen[type_, path] = file
    for _, _, type_, path in rows(READABLE):
        *_, name = (step for step in parse(path) if isinstance(step, str))
        if not is_secret_name(name):
            yield f"{READABLE}: {type_} {path}: is readable by its name"
        if _is_marked(type_, path):
            yield f"{READABLE}: {type_} {path}: is marked as well"
    added = {type_ for *_, type_, _ in rows("added.json")}
    readable = {f"{type_} {path}" for *_, type_, path in rows(READABLE)}
    for row in sorted((added ^ sources["added"].keys()) | (readable ^ sources["readable"].keys())):
        yield f"{SOURCES.name}: {row}: a row and its source belong together"
    for file in (*FILES, READABLE):
        text = (DATA / file).read_text("utf-8")
        if text != _written(json.loads(text)):
            yield f"{file}: not in order; run python -m tests.knowledge_table"


def _is_marked(type_: str, path: str) -> bool:
    """Whether a mark covers a path."""
    marks = Marks()
    for mark in known_marks(type_, "managed"):
        marks.add(mark)
    node: Marks | None = marks
    for step in parse(path):
        node = node.at(step) if node is not None else None
        if node is not None and node.secret:
            return True
    return False


def schema_marks(schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each attribute that a schema marks: provider, type, path."""
    for address, provider in schema["provider_schemas"].items():
        for kind in ("resource_schemas", "data_source_schemas"):
            for type_, body in provider.get(kind, {}).items():
                for path in _block_marks(body["block"], ""):
                    yield address.rpartition("/")[2], type_, path


def _block_marks(block: dict[str, Any], above: str) -> Iterator[str]:
    """The marked paths of a block or a nested attribute."""
    for name, attribute in block.get("attributes", {}).items():
        nested = attribute.get("nested_type")
        if attribute.get("sensitive"):
            yield above + name
        elif nested is not None:
            yield from _block_marks(nested, f"{above}{name}{_NESTED[nested['nesting_mode']]}.")
    for name, inner in block.get("block_types", {}).items():
        yield from _block_marks(inner["block"], f"{above}{name}{_NESTED[inner['nesting_mode']]}.")


def add(schema: dict[str, Any], source: str) -> int:
    """Add what a schema marks and the table does not know; return how much that was."""
    added = json.loads((DATA / "added.json").read_text("utf-8"))
    sources = json.loads(SOURCES.read_text("utf-8"))
    number = 0
    for provider, type_, path in schema_marks(schema):
        paths = added.setdefault(provider, {}).setdefault(type_, [])
        if not _is_marked(type_, path) and path not in paths:
            paths.append(path)
            sources["added"][type_] = f"`terraform providers schema -json` of {source}"
            number += 1
    kept = {provider: {t: p for t, p in types.items() if p} for provider, types in added.items()}
    (DATA / "added.json").write_text(_written(kept), "utf-8")
    SOURCES.write_text(json.dumps(sources, indent=2, sort_keys=True) + "\n", "utf-8")
    return number


def _written(table: dict[str, dict[str, list[str]]]) -> str:
    """A file of the table: sorted, a type a line, so that changes are easy to review."""
    providers = (
        f"{json.dumps(provider)}: {{\n"
        + ",\n".join(
            f"  {json.dumps(type_)}: {json.dumps(sorted(set(paths)))}"
            for type_, paths in sorted(types.items())
        )
        + "\n}"
        for provider, types in sorted(table.items())
    )
    return "{\n" + ",\n".join(providers) + "\n}\n"


def main(arguments: list[str]) -> int:
    """Return 0 if all is well."""
    if arguments:
        file, source = arguments
        print(f"{add(json.loads(Path(file).read_text('utf-8')), source)} added")  # noqa: T201
    for file in (*FILES, READABLE):
        (DATA / file).write_text(_written(json.loads((DATA / file).read_text("utf-8"))), "utf-8")
        found = list(rows(file))
        types, providers = len({row[2] for row in found}), len({row[1] for row in found})
        print(f"{file}: {len(found)} paths, {types} types, {providers} providers")  # noqa: T201
    wrong = list(problems())
    print(*wrong, sep="\n", end="\n" if wrong else "")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
