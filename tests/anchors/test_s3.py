"""Tests of anchors in S3: objects that nobody deletes, and how the newest is found among many."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.anchors.place import Label
from proxy.anchors.s3 import S3Place, S3Settings
from proxy.errors import UnavailableError
from tests.anchors.scenes import Scene, a_bucket, a_spot
from tests.forwarded import a_context
from tests.receivers.aws import SECRET, Aws
from tests.receivers.far_side import Fault, a_far_side

LABEL = Label(7, "0123456789abcdef")


def a_place(aws: Aws, bucket: str, **options: object) -> S3Place:
    """Return the place alone."""
    settings = S3Settings(**aws.options(bucket=bucket, **options))
    return S3Place(settings, a_context({"aws_key": SECRET}, now=datetime.now(UTC)))


@pytest.mark.parametrize("mode", ["governance", "compliance"])
async def test_an_anchor_can_not_be_deleted(aws: Aws, mode: str) -> None:
    """For the days that were asked for."""
    bucket = a_bucket(aws)
    place = a_place(aws, bucket, retention_mode=mode, retention_days=400)
    await place.put(LABEL, "note\n")
    await place.aclose()
    s3 = aws.client("s3")
    found = s3.head_object(Bucket=bucket, Key=LABEL.name)
    assert (mode.upper(), {"entries": "7"}) == (found["ObjectLockMode"], found["Metadata"])
    left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=399) < left <= timedelta(days=400)
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=LABEL.name, VersionId=found["VersionId"])


async def test_an_anchor_that_is_there_gets_no_second_version(aws: Aws) -> None:
    """Its put may have been done, and the answer lost."""
    bucket = a_bucket(aws)
    place = a_place(aws, bucket, retention_mode="governance", retention_days=1)
    for note in ("note\n", "another\n"):
        await place.put(LABEL, note)
    assert ([LABEL], "note\n") == (await place.seen(9), await place.read(LABEL))
    await place.aclose()
    versions = aws.client("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert [LABEL.name] == [each["Key"] for each in versions]


async def test_a_bucket_that_keeps_nothing_is_refused(aws: Aws) -> None:
    """Without Object Lock, or with it but no retention; unless told otherwise."""
    plain, locked, kept = (a_bucket(aws, is_locked=each) for each in (False, True, True))
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 5}}
    aws.client("s3").put_object_lock_configuration(
        Bucket=kept,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    for bucket, options, said in (
        (plain, {}, "has no Object Lock: turn it on, or set require_object_lock = false"),
        (plain, {"retention_mode": "governance", "retention_days": 1}, "has no Object Lock"),
        (locked, {}, "keeps nothing by itself: set retention_mode and retention_days"),
        ("missing-bucket-0", {}, "there is no such bucket"),
        (kept, {}, ""),
        (plain, {"require_object_lock": False}, ""),
    ):
        place = a_place(aws, bucket, **options)
        if said:
            with pytest.raises(UnavailableError, match=said):
                await place.put(LABEL, "note\n")
        else:
            await place.put(LABEL, "note\n")
            assert [LABEL] == await place.seen(7)
        await place.aclose()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, [90_000, 70_000, 5, 3]),
        (3, [90_000, 70_000, 5, 3]),
        (4, [90_000, 70_000, 5, 3]),
        (69_999, [90_000, 70_000, 5, 3]),
        (70_000, [90_000, 70_000]),
        (71_001, [90_000, 70_000, 5, 3]),
        (91_001, [90_000, 70_000, 5, 3]),
        (10**12, [90_000, 70_000, 5, 3]),
    ],
)
async def test_the_newest_and_all_that_are_larger_are_seen(
    aws: Aws, size: int, expected: list[int]
) -> None:
    """However far below the log's size the newest is; what is far below it need not be."""
    bucket = _many(aws)
    place = a_place(aws, bucket, prefix="p/q")
    found = [each.size for each in await place.seen(size)]
    await place.aclose()
    assert sorted(found, reverse=True) == found
    larger = [each for each in expected if each > size]
    smaller = [each for each in expected if each <= size]
    assert larger == [each for each in found if each > size]
    assert smaller[:1] == [each for each in found if each <= size][:1]


_BUCKETS: dict[str, str] = {}


def _many(aws: Aws) -> str:
    """Make a bucket with some anchors and what is none, once."""
    if aws.url not in _BUCKETS:
        bucket = _BUCKETS[aws.url] = a_bucket(aws)
        names = [Label(each, "0" * 16).name for each in (3, 5, 70_000, 90_000)]
        for key in (*(f"p/q/{each}" for each in names), f"p/{names[-1]}", "p/q/other", "p/q0"):
            aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"")
    return _BUCKETS[aws.url]


async def test_more_than_a_page_is_listed(aws: Aws) -> None:
    """A thousand objects are one answer."""
    bucket = a_bucket(aws, is_locked=False)
    s3 = aws.client("s3")
    for size in range(1, 1002):
        s3.put_object(Bucket=bucket, Key=Label(size, "0" * 16).name, Body=b"")
    place = a_place(aws, bucket)
    assert (1001, 1001) == (len(await place.seen(0)), (await place.seen(5000))[0].size)
    await place.aclose()


async def test_a_bucket_that_is_away_is_told(tmp_path: Path, aws: Aws) -> None:
    """No secret is in what is told; the start goes on."""
    async with a_far_side(lambda _: Fault.CLOSE) as far:
        spot = a_spot("s3", tmp_path, aws)
        spot.table["endpoint_url"] = far.url
        async with Scene(tmp_path, spot).opened() as (_, anchors):
            await anchors.check()
            [error] = anchors.uncompared.values()
    assert re.match(f"the bucket {spot.bucket} closed the connection", error)
    assert SECRET not in error
