"""terraform-examples/event-driven, applied with the AWS provider, then fed by other runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.events import EVENTS
from proxy.patterns import parse
from proxy.sinks.datadog_logs import described
from tests.conftest import missing
from tests.e2e.conftest import MakeServer, MakeTerraform
from tests.e2e.server import HTTP_BACKEND, Server
from tests.e2e.terraform import Terraform
from tests.examples import entry_of, example
from tests.receivers.aws import KEYS, REGION, SECRET, Aws, an_aws
from tests.samples import a_lock_info

EXAMPLE = Path(__file__).parents[2] / "terraform-examples" / "event-driven"
DATADOG = sorted((EXAMPLE / "datadog").rglob("*.json"))
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEYS["access_key_id"],
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
}
PROVIDER = "registry.terraform.io/hashicorp/aws"


@pytest.fixture
def mirror() -> Path:
    """Find the AWS provider on this machine: nothing is downloaded for a test."""
    named = os.environ.get("TEST_PROVIDER_MIRROR")
    home = Path.home()
    # The directories that Terraform itself looks into ("Implied Local Mirror Directories").
    implied = [
        home / ".terraform.d" / "plugins",
        home / ".local" / "share" / "terraform" / "plugins",
        Path("/usr/local/share/terraform/plugins"),
        Path("/usr/share/terraform/plugins"),
    ]
    found = [each for each in ([Path(named)] if named else implied) if (each / PROVIDER).is_dir()]
    if not found:
        missing(
            f"the provider {PROVIDER} is not on this machine: name the folder of a filesystem "
            "mirror in TEST_PROVIDER_MIRROR"
        )
    return found[0]


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """Run an AWS of the test's own."""
    with an_aws(tmp_path) as running:
        yield running


def applied(terraform: Terraform, server: Server, aws: Aws, mirror: Path) -> None:
    """Do what the example's README says, against moto."""
    shutil.copytree(EXAMPLE, terraform.workdir, dirs_exist_ok=True)
    text = (EXAMPLE / "main.tf").read_text("utf-8")
    terraform.write(text.replace("http://127.0.0.1:8920", server.url))
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "after_apply.zip", "after_apply.py"],
        cwd=terraform.workdir,
        check=True,
    )
    settings = Path(terraform.env["TF_CLI_CONFIG_FILE"])
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    terraform.env |= {
        # A provider's socket stands there, and its path may have no more than 107 characters.
        "TMPDIR": tempfile.gettempdir(),
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": aws.url,
        "TF_VAR_mail": '["oncall@example.com"]',
        "TF_VAR_phones": '["+491701234567"]',
        "TF_HTTP_PASSWORD": server.token("writer", "event-driven"),
    }
    terraform.run("init")
    terraform.apply()


def wait_for(
    found: Callable[[], dict[int, dict[str, Any]]], count: int, server: Server
) -> dict[int, dict[str, Any]]:
    """Return what is found, as soon as there is so much of it."""
    deadline = time.monotonic() + 20
    while len(arrived := found()) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(arrived)} of {count} arrived:\n{server.stderr[-3000:]}")
        time.sleep(0.05)
    return arrived


def listening(aws: Aws) -> Callable[[], list[str]]:
    """Subscribe to the example's topic; return what gives the messages since."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    [topic] = sns.list_topics()["Topics"]
    queue = sqs.create_queue(QueueName="listener")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn)
    return lambda: [each["Message"] for each in aws.queued("listener")]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_apply_elsewhere_starts_what_the_example_says(
    make_server: MakeServer, make_terraform: MakeTerraform, mirror: Path, aws: Aws
) -> None:
    """All events in the queue and the log group; a new workspace, a run in production."""
    server = make_server(env=CREDENTIALS)
    infrastructure = make_terraform(name="event-driven")
    applied(infrastructure, server, aws, mirror)
    outputs = json.loads(infrastructure.run("output", "-json").stdout)
    bus, group = outputs["bus"]["value"], outputs["log_group"]["value"]
    options = {"bus": bus, "region": outputs["region"]["value"], "endpoint_url": aws.url}
    assert REGION == outputs["region"]["value"]
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    server.cli("sink", "create", "bus", "--type", "eventbridge", *given)
    first = server.log()[-1].index + 1

    for workspace in ("prod/app", "test/app"):
        terraform = make_terraform(
            name=workspace.replace("/", "-"),
            env={
                "TF_HTTP_ADDRESS": server.state_url(workspace),
                "TF_HTTP_LOCK_ADDRESS": server.state_url(workspace),
                "TF_HTTP_UNLOCK_ADDRESS": server.state_url(workspace),
                "TF_HTTP_USERNAME": "tfaudit",
                "TF_HTTP_PASSWORD": server.token("writer", workspace),
            },
        )
        terraform.write(f'{HTTP_BACKEND}resource "terraform_data" "main" {{ input = "one" }}\n')
        terraform.run("init")
        terraform.apply()

    heard = listening(aws)
    # A run whose lock somebody else breaks went wrong.
    operator = server.token("operator", "test/app")
    path = "/state/test/app"
    assert 200 == server.request("LOCK", path, a_lock_info(), token=operator).status
    assert 200 == server.request("UNLOCK", path, token=operator).status

    log = [record for record in server.log() if record.index >= first]
    wanted = {record.index for record in log}

    def arrived(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        found = {each["detail"]["evidence"]["index"]: each for each in events}
        return {index: each for index, each in found.items() if index in wanted}

    logged = wait_for(lambda: arrived(aws.logged(group)), len(wanted), server)
    queued = arrived(aws.queued("tfaudit-events"))
    assert logged == queued
    for record in log:
        detail = queued[record.index]["detail"]
        assert record.leaf_hash == detail.pop("evidence")["leaf_hash"]
        assert record.entry == detail

    [completed] = aws.logged("/aws/lambda/tfaudit-after-apply")
    assert ("run.completed", "prod/app") == (
        completed["detail-type"],
        completed["detail"]["workspace"],
    )
    states = aws.client("stepfunctions")
    [machine] = states.list_state_machines()["stateMachines"]
    executions = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    inputs = [
        json.loads(states.describe_execution(executionArn=each["executionArn"])["input"])
        for each in executions
    ]
    [alarm] = heard()
    assert "A run on test/app went wrong: " in alarm
    assert {"prod/app", "test/app"} == {each["detail"]["workspace"] for each in inputs}
    assert 0 == server.verify().returncode


# ---------------------------------------------------------------- without AWS


def test_the_lambda_tells_what_a_run_did() -> None:
    """Its code as it stands, with an event as the sink sends it."""
    entry = entry_of(example("run.completed"))
    code: dict[str, Any] = {}
    exec(compile((EXAMPLE / "after_apply.py").read_text(), "after_apply.py", "exec"), code)  # noqa: S102
    told = code["handler"]({"detail": {**entry, "evidence": {"index": 7}}}, None)
    assert (entry["id"], 7, entry["workspace"]) == (told["id"], told["index"], told["workspace"])
    assert entry["message"] == told["message"]


def test_the_rules_name_events_that_there_are() -> None:
    """And what is under ``detail`` is a filter that the product's own sinks understand."""
    text = (EXAMPLE / "main.tf").read_text("utf-8")
    named = re.findall(r'event = \["([a-z._]+)"\]', text)
    assert ["run.completed", "workspace.created", "run.errored"] == named
    assert set(named) <= set(EVENTS)
    pattern = parse({"event": ["run.completed"], "workspace": [{"prefix": "prod/"}]})
    entry = {**entry_of(example("run.completed")), "workspace": "prod/app"}
    assert pattern.is_match(entry)
    assert not pattern.is_match({**entry, "workspace": "test/app"})


@pytest.mark.parametrize("path", DATADOG, ids=lambda path: path.name)
def test_what_datadog_gets_asks_for_what_the_sink_sends(path: Path) -> None:
    """Each attribute in a query is one of the logs', each event one of the catalogue."""
    text = re.sub(r"\S+@example\.com", "", path.read_text("utf-8"))
    json.loads(path.read_text("utf-8"))
    found = [_flat(described(entry_of(example(event)))) for event in EVENTS]
    known = {name for each in found for name in each}
    # In a message an attribute is followed by ".name", for its value.
    asked = re.findall(r"@([a-z][a-z._-]*[a-z])(?=[:\"}\\])", text)
    assert {name.removesuffix(".name") if name not in known else name for name in asked} <= known
    assert set(re.findall(r'"sources": \[\s*"([^"]+)"', text)) <= known
    for query in re.findall(r"@evt\.name:(\([^)]*\)|[a-z._*]+)", text):
        for name in re.findall(r"[a-z][a-z._]*\*?", query.replace("OR", "")):
            prefix = name.removesuffix("*")
            is_known = prefix in EVENTS or (name != prefix and _begins(prefix))
            assert is_known, name


def _begins(prefix: str) -> bool:
    return any(event.startswith(prefix) for event in EVENTS)


def _flat(value: dict[str, Any], above: str = "") -> set[str]:
    found = set()
    for name, each in value.items():
        found.add(f"{above}{name}")
        if isinstance(each, dict):
            found |= _flat(each, f"{above}{name}.")
    return found
