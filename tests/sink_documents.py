"""Makes the parts of docs/sinks/ that repeat the code: options, default filters, what arrives.

A page is written by hand; what stands in it between ``<!-- made: … -->`` and ``<!-- end -->`` is
made here. A type whose page has no such block lacks nothing but that block.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from proxy.sinks import default_filter, sink_class, sink_types
from proxy.sinks._http import HttpOptions
from proxy.sinks.contract import Batch, Event
from proxy.sinks.describing import SinkOption, describe
from tests.examples import ORIGIN, entry_of, example
from tests.forwarded import CHECKPOINT

PAGES: Final = Path(__file__).parent.parent / "docs" / "sinks"

_BLOCK: Final = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHARED: Final = frozenset(HttpOptions.__struct_fields__)
# People are told of something else than a SIEM is.
_SAMPLES: Final = {"datadog-events": "run.errored", "slack": "run.errored", "jira": "run.errored"}
_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature", "tfaudit-checkpoint")


def page(of: str) -> str:
    """Return the page of a type with its made blocks made anew."""
    return _made((PAGES / f"{of}.md").read_text("utf-8"), _OF_A_TYPE, of)


def index() -> str:
    """Return the page about all sinks with its table made anew."""
    return _made((PAGES / "README.md").read_text("utf-8"), {"types": lambda _: _types()}, "")


def _made(text: str, blocks: Mapping[str, Callable[[str], str]], of: str) -> str:
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]](of)}{found[3]}", text)


def _types() -> str:
    lines = ["| type | what it is | holds the log |", "|---|---|---|"]
    for of in sorted(sink_types()):
        holds = "no: notifications" if default_filter(of) else "yes"
        lines.append(f"| [`{of}`]({of}.md) | {describe(of).summary} | {holds} |")
    return "\n".join([*lines, ""])


def _options(of: str) -> str:
    found = describe(of).options
    is_http = issubclass(sink_class(of).options_type, HttpOptions)
    own = [each for each in found if not is_http or each.name not in _SHARED]
    shared = [each for each in found if is_http and each.name in _SHARED]
    own.sort(key=lambda each: not each.is_required)
    rows = [row(each) for each in (*own, *shared)]
    return "\n".join(["| option | kind | default | means |", "|---|---|---|---|", *rows, ""])


def row(option: SinkOption) -> str:
    """Return the row of a table about options."""
    default = "**required**" if option.is_required else ""
    if not option.is_required and option.default not in (None, "", [], ()):
        default = f"`{json.dumps(option.default, ensure_ascii=False)}`"
    return f"| `{option.name}` | {option.kind} | {default} | {option.meaning} |"


def _filter(of: str) -> str:
    return f"```json\n{json.dumps(default_filter(of))}\n```\n"


def _sample(of: str) -> str:
    stored = example(_SAMPLES.get(of, "state.written"))
    event = Event(stored.record, entry_of(stored))
    headers, body = asyncio.run(_arrived(of, Batch((event,), CHECKPOINT, ORIGIN)))
    head = [f"{name}: {headers[name]}" for name in _HEADERS if name in headers]
    shown = orjson.dumps(_short(body), option=orjson.OPT_INDENT_2).decode()
    return "\n".join(
        [*(("```http", *head, "```", "") if head else ()), "```json", shown, "```", ""]
    )


def _short(value: Any) -> Any:
    """Return a value without the length of what is shown elsewhere."""
    if isinstance(value, dict):
        cut = {"changes": {"…": "as in the log"}, "routing_key": "…"}
        return {name: cut.get(name, _short(each)) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return value


async def _arrived(of: str, batch: Batch) -> tuple[Mapping[str, str], Any]:
    """Return headers and content of the request that the events are in."""
    # Half of the tests import this module for something else: they need no row of any sink.
    from tests.contracts.sink_contract import HttpRow, an_http_rig  # noqa: PLC0415
    from tests.sinks.rows import ROWS  # noqa: PLC0415

    row = ROWS[of]
    if not isinstance(row, HttpRow):
        raise TypeError(f"{of} speaks no HTTP: what arrives is written by hand")
    async with an_http_rig(of, row) as rig:
        await rig.sink.send(batch)
        seen = next(seen for seen in rig.far.seen if row.ids(seen))
        return seen.headers, seen.json


_OF_A_TYPE: Final[Mapping[str, Callable[[str], str]]] = {
    "options": _options,
    "filter": _filter,
    "sample": _sample,
}

FILES: Final[Mapping[str, Callable[[], str]]] = {
    "sinks/README.md": index,
    **{f"sinks/{of}.md": partial(page, of) for of in sink_types()},
}
"""Name of each file in docs/ and what makes it."""
