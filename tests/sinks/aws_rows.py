"""The rows of AWS over moto's server: a bus whose rule fills a queue, and a bucket."""

import gzip
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from proxy.sinks import open_sink
from proxy.sinks.contract import Sink
from tests.contracts.sink_contract import Row
from tests.forwarded import a_context
from tests.receivers.aws import REGION, SECRET, Aws, shared_aws

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


@dataclass
class _BucketRig:
    sink: Sink
    aws: Aws
    name: str
    secrets: Mapping[str, str] = field(default_factory=lambda: SECRETS)

    async def arrived(self) -> list[str]:
        s3 = self.aws.client("s3")
        found = s3.list_objects_v2(Bucket=self.name).get("Contents", [])
        keys = [each["Key"] for each in found if each["Key"].endswith(".gz")]
        bodies = [s3.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys]
        lines = [line for body in bodies for line in gzip.decompress(body).splitlines()]
        return [orjson.loads(line)["entry"]["id"] for line in lines]


@asynccontextmanager
async def _a_bucket(_: Path) -> AsyncIterator[_BucketRig]:
    aws, name = shared_aws(), f"bucket-{uuid.uuid4()}"
    where = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)
    sink = open_sink("s3", aws.options(bucket=name), a_context(SECRETS))
    yield _BucketRig(sink, aws, name)
    await sink.aclose()


S3_ROW = Row(_a_bucket)
EVENTBRIDGE_ROW = Row(_a_bus)
