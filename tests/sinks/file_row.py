"""The row of the sink that writes a file of this machine."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from proxy.sinks import open_sink
from proxy.sinks.contract import Sink
from tests.contracts.sink_contract import Row
from tests.forwarded import a_context


@dataclass
class _FileRig:
    sink: Sink
    path: Path
    secrets: Mapping[str, str] = field(default_factory=dict)

    async def arrived(self) -> list[str]:
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        return [orjson.loads(line)["entry"]["id"] for line in lines]


@asynccontextmanager
async def _a_file(directory: Path) -> AsyncIterator[_FileRig]:
    path = directory / "audit.jsonl"
    sink = open_sink("file", {"path": str(path)}, a_context())
    yield _FileRig(sink, path)
    await sink.aclose()


FILE_ROW = Row(_a_file)
