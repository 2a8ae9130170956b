"""AWS as far as moto's server plays it, in a process of its own."""

import atexit
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.request import urlopen

import boto3

from tests.e2e.server import free_port

REGION = "eu-central-1"
KEYS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "access_key_secret": "aws_key"}
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # from AWS's own documentation


class Aws(NamedTuple):
    """A running one.

    Attributes:
        url: of every service.
    """

    url: str

    def client(self, service: str) -> Any:
        """Return a client to set up and to read back with."""
        return _client(self.url, service)

    def options(self, **options: Any) -> dict[str, Any]:
        """Return a sink's options."""
        return {"region": REGION, "endpoint_url": self.url, **KEYS, **options}

    def a_bus(self, name: str) -> str:
        """Make a bus whose events go to a queue and to a log group; return its ARN.

        Both have the bus's name. What they need of policies in AWS, moto does not look at.
        """
        events, sqs, logs = self.client("events"), self.client("sqs"), self.client("logs")
        arn: str = events.create_event_bus(Name=name)["EventBusArn"]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        logs.create_log_group(logGroupName=name)
        [group] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        pattern = json.dumps({"source": ["tfaudit"]})
        events.put_rule(Name="all", EventBusName=name, EventPattern=pattern)
        events.put_targets(
            Rule="all",
            EventBusName=name,
            Targets=[
                {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]},
                {"Id": "group", "Arn": group["arn"].removesuffix(":*")},
            ],
        )
        return arn

    def queued(self, name: str) -> list[dict[str, Any]]:
        """Take the events out of a queue."""
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found: list[dict[str, Any]] = []
        while messages := sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            found += [json.loads(each["Body"]) for each in messages]
            taken = [
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
                for number, each in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=queue, Entries=taken)
        return found

    def logged(self, group: str) -> list[dict[str, Any]]:
        """Read the events in a log group, oldest first."""
        logs = self.client("logs")
        found: list[dict[str, Any]] = []
        for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
            events = logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
            found += [json.loads(each["message"]) for each in events]
        return found


@cache
def _client(url: str, service: str) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=SECRET,
    )


@contextmanager
def an_aws(directory: Path) -> Iterator[Aws]:
    """Run moto's server on a free port.

    Args:
        directory: for its log.
    """
    port = free_port()
    aws = Aws(f"http://127.0.0.1:{port}")
    with (directory / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.receivers.moto_server",
                "-H",
                "127.0.0.1",
                "-p",
                str(port),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(process, aws, directory / "moto.log")
            yield aws
        finally:
            process.kill()
            process.wait(10)


@cache
def shared_aws() -> Aws:
    """Run one for all tests of this process; each uses names of its own."""
    running = ExitStack()
    directory = running.enter_context(TemporaryDirectory(prefix="tfaudit-aws-"))
    atexit.register(running.close)
    return running.enter_context(an_aws(Path(directory)))


def _wait(process: "subprocess.Popen[bytes]", aws: Aws, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urlopen(f"{aws.url}/moto-api/data.json", timeout=5).close()  # noqa: S310 - our own
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"moto did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
