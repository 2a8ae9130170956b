"""S3 in moto: objects that are written once, kept, and proved by the checkpoint beside them."""

import gzip
import hashlib
import os
import uuid
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.audit_log import EMPTY_HEAD, AuditLog, draft
from proxy.cli._verification import TrustedKeys, keys_by_id, verify_export
from proxy.errors import InvalidInputError
from proxy.formats import FORMATS
from proxy.sinks import open_sink, read_options
from proxy.sinks.contract import Batch, Event, NotTakenError, RefusedError, Sink
from tests.contracts.sink_contract import require_clean
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY, ORIGIN, START, a_caller
from tests.forwarded import CHECKPOINT, NOW, a_batch, a_context, an_event, batch_of
from tests.receivers.aws import KEYS, REGION, SECRET, Aws
from tests.receivers.far_side import Fault, Reply, Seen, a_far_side

FIRST = "2026/11/22/00000000000000000000-00000000000000000002"


def a_sink(options: dict[str, Any], later: timedelta = timedelta()) -> Sink:
    """Return a sink whose secret is known."""
    return open_sink("s3", options, a_context({"aws_key": SECRET}, now=NOW + later))


@pytest.fixture
def bucket(aws: Aws) -> str:
    """Make a bucket."""
    name = f"audit-{uuid.uuid4()}"
    where = {"LocationConstraint": REGION}
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)
    return name


@pytest.fixture
def locked(aws: Aws) -> str:
    """Make a bucket with Object Lock."""
    name = f"locked-{uuid.uuid4()}"
    aws.client("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    return name


def keys(aws: Aws, bucket: str) -> list[str]:
    """Return the keys of a bucket."""
    found = aws.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [each["Key"] for each in found]


def content(aws: Aws, bucket: str, key: str) -> bytes:
    """Return an object, unpacked."""
    found: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return gzip.decompress(found) if key.endswith(".gz") else found


# ---------------------------------------------------------------- moto


async def test_objects_with_the_whole_log_are_verified(
    aws: Aws, bucket: str, tmp_path: Path
) -> None:
    """Put together in the order of their keys, with the last checkpoint beside them."""
    log = AuditLog(ENTRY_KEY, CHECKPOINT_KEY, ORIGIN, clock=lambda: START, random=os.urandom)
    appended = log.begin(EMPTY_HEAD)
    records = appended.append(
        [draft("audit.read", "success", f"é {number}", a_caller()) for number in range(12)]
    )
    _, note = appended.close()
    events = tuple(Event(record, orjson.loads(record.entry)) for record in records)
    sink = a_sink(aws.options(bucket=bucket, prefix="logs/prod"))
    for part in (events[:3], events[3:11], events[11:]):
        await sink.send(Batch(part, note, ORIGIN))
    await sink.aclose()
    found = keys(aws, bucket)
    assert f"logs/prod/{FIRST}.jsonl.gz" == found[1]
    whole = tmp_path / "log.jsonl"
    parts = [content(aws, bucket, key) for key in found if key.endswith(".gz")]
    whole.write_bytes(b"".join(parts))
    checkpoint = content(aws, bucket, found[-2]).decode()
    trusted = TrustedKeys(keys_by_id([ENTRY_KEY.public_key()]), (log.note_signer.verifier,))
    findings = verify_export(whole, trusted, [checkpoint], lambda: None)
    assert 12 == findings.entries
    assert findings.is_proved


async def test_an_object_says_what_is_in_it(aws: Aws, bucket: str) -> None:
    """Its digest, its indices, and the format that was asked for."""
    sink = a_sink(aws.options(bucket=bucket, format="ocsf", kms_key="alias/audit"))
    batch = batch_of(3)
    receipt = await sink.send(batch)
    await sink.aclose()
    assert f"written as {FIRST}.jsonl.gz" == receipt.said
    lines = content(aws, bucket, f"{FIRST}.jsonl.gz").splitlines()
    assert [FORMATS["ocsf"](event.entry, event.record, ORIGIN) for event in batch.events] == [
        orjson.loads(line) for line in lines
    ]
    found = aws.client("s3").get_object(
        Bucket=bucket, Key=f"{FIRST}.jsonl.gz", ChecksumMode="ENABLED"
    )
    digest = hashlib.sha256(found["Body"].read()).digest()
    assert b64encode(digest).decode() == found["ChecksumSHA256"]
    assert {"first-index": "0", "last-index": "2", "events": "3", "format": "ocsf"} == found[
        "Metadata"
    ]
    assert ("aws:kms", "alias/audit") == (found["ServerSideEncryption"], found["SSEKMSKeyId"])
    assert CHECKPOINT == content(aws, bucket, f"{FIRST}.jsonl.checkpoint").decode()


async def test_a_batch_that_comes_again_is_not_written_again(aws: Aws, locked: str) -> None:
    """No second version of the object, whatever the newest checkpoint is by then."""
    options = aws.options(bucket=locked)
    sink = a_sink(options)
    await sink.send(batch_of(3))
    again = await sink.send(batch_of(3)._replace(checkpoint="a later one"))
    assert f"was there already: {FIRST}.jsonl.gz" == again.said
    versions = aws.client("s3").list_object_versions(Bucket=locked)["Versions"]
    assert [f"{FIRST}.jsonl.checkpoint", f"{FIRST}.jsonl.gz"] == sorted(
        each["Key"] for each in versions
    )
    other = a_sink({**options, "format": "ecs"})
    receipt = await other.send(batch_of(3))
    assert f"written as {FIRST}-" in receipt.said
    assert 4 == len(keys(aws, locked))
    for each in (sink, other):
        await each.aclose()


@pytest.mark.parametrize("mode", ["governance", "compliance"])
async def test_object_lock_keeps_what_was_written(aws: Aws, locked: str, mode: str) -> None:
    """For the days that were asked for; a version can't be deleted before."""
    late = timedelta(days=4_000)  # moto looks at the real clock
    sink = a_sink(aws.options(bucket=locked, retention_mode=mode, retention_days=365), late)
    assert f"the bucket {locked} is there and has Object Lock" == await sink.probe()
    await sink.send(batch_of(3))
    await sink.aclose()
    s3 = aws.client("s3")
    for key in keys(aws, locked):
        found = s3.head_object(Bucket=locked, Key=key)
        assert mode.upper() == found["ObjectLockMode"]
        assert NOW + late + timedelta(days=365) == found["ObjectLockRetainUntilDate"]
        version = found["VersionId"]
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=locked, Key=key, VersionId=version)


async def test_a_bucket_that_is_missing_or_has_no_object_lock_gets_nothing(
    aws: Aws, bucket: str
) -> None:
    """Both are told before the first event is sent, with what to do."""
    gone = a_sink(aws.options(bucket="no-such-bucket-anywhere"))
    plain = a_sink(aws.options(bucket=bucket, retention_mode="compliance", retention_days=1))
    for sink, said in ((gone, "there is no such bucket"), (plain, "has no Object Lock")):
        for ask in (sink.probe, lambda sink=sink: sink.send(batch_of(1))):
            with pytest.raises(NotTakenError, match=said) as caught:
                await ask()
            assert caught.value.needs_repair
        await sink.aclose()
    assert [] == keys(aws, bucket)


# ---------------------------------------------------------------- failures


def error(status: int, code: str) -> Reply:
    """Return what S3 says in place of a success."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return Reply(status, body, {"content-type": "application/xml"})


def answering(put: Reply | Fault) -> Callable[[Seen], Reply | Fault]:
    """Return a far side with a bucket, and what it says to an upload."""
    return lambda seen: Reply() if seen.method == "HEAD" else put


@pytest.mark.parametrize(
    ("reply", "needs_repair", "said"),
    [
        (error(503, "SlowDown"), False, "SlowDown"),
        (error(500, "InternalError"), False, "InternalError"),
        (error(409, "ConditionalRequestConflict"), False, "ConditionalRequestConflict"),
        (error(400, "RequestTimeout"), False, "RequestTimeout"),
        (error(400, "BadDigest"), False, "BadDigest"),
        (error(400, "ExpiredToken"), True, "the credentials ran out"),
        (error(403, "InvalidAccessKeyId"), True, "check the credentials"),
        (error(403, "SignatureDoesNotMatch"), True, "check the credentials"),
        (error(403, "RequestTimeTooSkewed"), True, "this machine's clock"),
        (error(403, "AccessDenied"), True, "allow s3:PutObject on it"),
        (error(404, "NoSuchBucket"), True, "there is no such bucket"),
        (error(400, "KMS.NotFoundException"), True, "check kms_key"),
        (error(400, "InvalidRequest"), True, "InvalidRequest"),
        (Reply(307, b"", {"location": "http://127.0.0.1:1/"}), True, "did not take an object"),
        (Reply(502, b"<html>"), False, "did not take an object"),
        (Fault.RESET, False, "the bucket audit"),
        (Fault.CLOSE, False, "closed the connection"),
        (Fault.SILENCE, False, "did not answer within 0.2 seconds"),
    ],
)
async def test_every_failure_of_an_upload_leaves_the_batch(
    reply: Reply | Fault, needs_repair: bool, said: str
) -> None:
    """And tells whether waiting helps."""
    async with a_far_side(answering(reply)) as far:
        options = {"region": REGION, "endpoint_url": far.url, "bucket": "audit", **KEYS}
        sink = a_sink({**options, "timeout": 0.2})
        with pytest.raises(NotTakenError) as caught:
            await sink.send(batch_of(2))
        await sink.aclose()
    assert caught.value.left is None
    assert needs_repair == caught.value.needs_repair
    assert said in str(caught.value)
    assert caught.value.__cause__ is None
    require_clean(str(caught.value), {"aws_key": SECRET})


async def test_an_object_that_is_too_large_is_halved() -> None:
    """By the forwarder."""
    async with a_far_side(answering(error(400, "EntityTooLarge"))) as far:
        options = {"region": REGION, "endpoint_url": far.url, "bucket": "audit", **KEYS}
        sink = a_sink(options)
        with pytest.raises(RefusedError) as caught:
            await sink.send(batch_of(2))
        await sink.aclose()
    assert {0, 1} == set(caught.value.refused)


async def test_an_upload_whose_answer_was_lost_is_found_to_be_there(aws: Aws, bucket: str) -> None:
    """What was written before the answer broke off is not written again."""
    first = a_sink(aws.options(bucket=bucket))
    await first.send(batch_of(3))
    aws.client("s3").delete_object(Bucket=bucket, Key=f"{FIRST}.jsonl.checkpoint")
    receipt = await first.send(batch_of(3))
    await first.aclose()
    assert "was there already" in receipt.said
    assert f"{FIRST}.jsonl.checkpoint" in keys(aws, bucket)


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bucket": "A"}, "bucket"),
        ({"bucket": "abc", "retention_mode": "compliance"}, "go together"),
        ({"bucket": "abc", "retention_days": 1}, "go together"),
        ({"bucket": "abc", "retention_mode": "legal"}, "retention_mode"),
        ({"bucket": "abc", "prefix": "/a"}, "prefix"),
        ({"bucket": "abc", "access_key_id": "AKIA"}, "go together"),
        ({}, "bucket is missing"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    """With the field and what goes."""
    with pytest.raises(InvalidInputError, match=said):
        read_options("s3", {"region": REGION, **options})


def test_how_much_an_object_holds_is_the_options_to_say() -> None:
    """The forwarder gathers."""
    sink = a_sink({"region": REGION, "bucket": "abc", "events": 5, "pause": 60.0})
    assert (5, 60.0) == (sink.limits.events, sink.limits.pause)


def test_the_key_of_a_batch_tells_its_first_and_last_entry() -> None:
    """Also when a filter left some in between out, and the day is over in the middle."""
    from proxy.sinks.s3 import _key  # noqa: PLC0415

    late = an_event(9, time="2027-01-01T00:00:00.000000Z")
    batch = a_batch(an_event(5, time="2026-12-31T23:59:59.999999Z"), late)
    assert "a/b/2026/12/31/00000000000000000005-00000000000000000009" == _key(batch, "a/b")
