"""The rows of AWS: a bus whose rule fills a queue, over moto's server."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proxy.sinks import open_sink
from proxy.sinks.contract import Sink
from tests.contracts.sink_contract import Row
from tests.forwarded import a_context
from tests.receivers.aws import SECRET, Aws, shared_aws

SECRETS = {"aws_key": SECRET}


@dataclass
class _BusRig:
    sink: Sink
    aws: Aws
    name: str
    secrets: Mapping[str, str] = field(default_factory=lambda: SECRETS)
    taken: list[str] = field(default_factory=list)

    async def arrived(self) -> list[str]:
        self.taken += [each["detail"]["id"] for each in self.aws.queued(self.name)]
        return list(self.taken)


@asynccontextmanager
async def _a_bus(_: Path) -> AsyncIterator[_BusRig]:
    aws, name = shared_aws(), f"bus-{uuid.uuid4()}"
    aws.a_bus(name)
    sink = open_sink("eventbridge", aws.options(bus=name), a_context(SECRETS))
    yield _BusRig(sink, aws, name)
    await sink.aclose()


EVENTBRIDGE_ROW = Row(_a_bus)
