"""What sinks of AWS share: how late they load, whom they trust, what they never say."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from proxy.sinks import open_sink, sink_types
from proxy.sinks.contract import NotTakenError
from tests.certificates import Authority
from tests.contracts.sink_contract import require_clean
from tests.forwarded import a_context, batch_of
from tests.receivers.aws import KEYS, REGION, SECRET
from tests.receivers.far_side import Reply, a_far_side, server_tls


def test_no_start_waits_for_the_libraries_of_a_sink() -> None:
    """Neither does whoever asks what a sink's options are: AWS's take seconds to load."""
    code = (
        "import sys, proxy.cli, proxy.app\n"
        "from proxy.sinks.describing import describe\n"
        f"for each in {sink_types()}: describe(each)\n"
        "print([x for x in ('aiobotocore', 'botocore', 'google.protobuf') if x in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"[]" == found.stdout.strip()


async def test_a_far_side_that_is_not_trusted_gets_nothing(tmp_path: Path) -> None:
    """With its authority in ``ca`` it is."""
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    async with a_far_side(lambda _: Reply(), server_tls(authority, tmp_path)) as far:
        options = {"region": REGION, "endpoint_url": far.url, "bucket": "audit", **KEYS}
        sink = open_sink("s3", options, a_context({"aws_key": SECRET}))
        with pytest.raises(NotTakenError, match="name the file of its authority in the option ca"):
            await sink.send(batch_of(1))
        assert [] == far.seen
        await sink.aclose()
        options["ca"] = str(tmp_path / "ca.pem")
        sink = open_sink("s3", options, a_context({"aws_key": SECRET}))
        await sink.send(batch_of(1))
        await sink.aclose()
        assert ["HEAD", "PUT", "PUT"] == [each.method for each in far.seen]


async def test_a_secret_that_is_missing_is_told_by_its_name() -> None:
    """It is somebody's to mend, and costs no event."""
    options = {"region": REGION, "endpoint_url": "http://127.0.0.1:1", "bus": "a", **KEYS}
    sink = open_sink("eventbridge", options, a_context({}))
    with pytest.raises(NotTakenError, match="there is no secret aws_key") as caught:
        await sink.send(batch_of(1))
    assert caught.value.needs_repair
    await sink.aclose()
    with pytest.raises(NotTakenError, match="the sink is closed"):
        await sink.send(batch_of(1))


async def test_an_error_has_neither_the_secret_nor_the_signature(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Though the far side repeats the whole request."""
    caplog.set_level("DEBUG", logger="tfaudit")

    async with a_far_side(
        lambda seen: Reply(403, f"<Error><Code>X</Code><Message>{seen.headers}</Message>".encode())
    ) as far:
        options = {"region": REGION, "endpoint_url": far.url, "bucket": "audit", **KEYS}
        sink = open_sink("s3", options, a_context({"aws_key": SECRET}))
        with pytest.raises(NotTakenError) as caught:
            await sink.send(batch_of(1))
        await sink.aclose()
    told = "".join(traceback.format_exception(caught.value))
    require_clean(told + caplog.text, {"aws_key": SECRET})
    assert "Signature=" not in str(caught.value)
