"""Amazon S3: batches as objects that nobody can change, when the bucket has Object Lock.

An object's key tells which entries are in it, and the same batch always has the same key and the
same bytes: one that comes again is noticed to be there. The newest checkpoint stands beside each.
"""

import asyncio
import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta

from proxy.fields import FieldError
from proxy.sinks._aws import Aws, AwsError, AwsOptions
from proxy.sinks._rendering import json_line
from proxy.sinks.contract import (
    Batch,
    Context,
    Limits,
    NotTakenError,
    Options,
    Receipt,
    RefusedError,
)
from proxy.sinks.options import ACCOUNT_PATTERN, BUCKET_PATTERN, PREFIX_PATTERN, Format

_LONGEST_RETENTION: Final = 36_500
_HINTS: Final = {
    "403": "allow s3:ListBucket and s3:PutObject on it",
    "404": "there is no such bucket: make it, or correct bucket",
    "NoSuchBucket": "there is no such bucket: make it, or correct bucket",
    "AccessDenied": "allow s3:PutObject on it, with retention s3:PutObjectRetention, and the use "
    "of its key",
    "ObjectLockConfigurationNotFoundError": "the bucket has no Object Lock: turn it on, or leave "
    "retention_mode out",
}

_Prefix: TypeAlias = Annotated[str, Meta(pattern=PREFIX_PATTERN, max_length=500)]
_Account: TypeAlias = Annotated[str, Meta(pattern=ACCOUNT_PATTERN)]
_Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2048)]


class S3Options(AwsOptions, frozen=True):
    """Which bucket, what objects are called, and how they are kept."""

    bucket: Annotated[str, Meta(pattern=BUCKET_PATTERN, description="Name of the bucket.")]
    prefix: Annotated[
        _Prefix | None, Meta(description="What keys begin with, without a slash at the end.")
    ] = None
    format: Annotated[Format, Meta(description="How each event is written, one a line.")] = "native"
    retention_mode: Annotated[
        Literal["governance", "compliance"] | None,
        Meta(
            description="Object Lock: nobody deletes or changes an object for `retention_days`; "
            "with `compliance` not even the account's owner. The bucket must have Object Lock."
        ),
    ] = None
    retention_days: Annotated[
        int, Meta(ge=0, le=_LONGEST_RETENTION, description="For so many days from the upload on.")
    ] = 0
    kms_key: Annotated[
        _Key | None,
        Meta(description="ID or ARN of the KMS key; else the bucket's own encryption is used."),
    ] = None
    bucket_owner: Annotated[
        _Account | None,
        Meta(description="Account that the bucket must be of, so that no other is written to."),
    ] = None
    events: Annotated[int, Meta(ge=1, le=50_000, description="Events in an object, at most.")] = (
        10_000
    )
    pause: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds between two objects, at least: fewer, larger."),
    ] = 10.0

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        AwsOptions.__post_init__(self)
        if (self.retention_mode is None) != (self.retention_days == 0):
            raise FieldError("retention_mode and retention_days go together", "retention_days")


class S3:
    """Writes each batch as one object, once."""

    options_type: ClassVar[type[Options]] = S3Options

    def __init__(self, options: S3Options, context: Context) -> None:
        self.limits = Limits(events=options.events, pause=options.pause)
        self._options = options
        self._now = context.now
        self._aws = Aws("s3", options, context, f"the bucket {options.bucket}")
        self._was_seen = False

    async def send(self, batch: Batch) -> Receipt:
        """Write the batch and the checkpoint beside it."""
        if not self._was_seen:
            await self._look_at_bucket()
        key = _key(batch, self._options.prefix)
        content = await asyncio.to_thread(_packed, batch, self._options.format)
        digest = hashlib.sha256(content).digest()
        about = {
            "first-index": str(batch.events[0].record.index),
            "last-index": str(batch.events[-1].record.index),
            "events": str(len(batch.events)),
            "format": self._options.format,
        }
        is_new = await self._write(f"{key}.jsonl.gz", content, batch, about)
        if not is_new and not await self._is_there(f"{key}.jsonl.gz", digest):
            # Others than these stand there, as after a change of the sink's format or filter.
            key = f"{key}-{digest[:8].hex()}"
            is_new = await self._write(f"{key}.jsonl.gz", content, batch, about)
        await self._write(f"{key}.jsonl.checkpoint", batch.checkpoint.encode(), batch, {})
        return Receipt(f"{'written as' if is_new else 'was there already:'} {key}.jsonl.gz")

    async def probe(self) -> str:
        """Look whether the bucket is there, and has Object Lock if that is asked for."""
        await self._look_at_bucket()
        mode = self._options.retention_mode
        return f"{self._aws.who} is there" + (" and has Object Lock" if mode else "")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._aws.aclose()

    @property
    def _owned(self) -> dict[str, str]:
        owner = self._options.bucket_owner
        return {"Bucket": self._options.bucket, **({"ExpectedBucketOwner": owner} if owner else {})}

    async def _look_at_bucket(self) -> None:
        client = await self._aws.client()
        async with self._aws.told("show itself", _HINTS):
            if self._options.retention_mode is None:
                await client.head_bucket(**self._owned)
                found: Mapping[str, Any] = {}
            else:
                found = await client.get_object_lock_configuration(**self._owned)
        if self._options.retention_mode is not None:
            lock = found.get("ObjectLockConfiguration", {})
            if lock.get("ObjectLockEnabled") != "Enabled":
                hint = _HINTS["ObjectLockConfigurationNotFoundError"]
                raise NotTakenError(f"{self._aws.who} takes no events: {hint}", needs_repair=True)
        self._was_seen = True

    async def _write(
        self, key: str, content: bytes, batch: Batch, about: Mapping[str, str]
    ) -> bool:
        """Write one object, unless one of its name is there; tell whether it was written.

        Raises:
            NotTakenError: nobody knows whether it is there.
            RefusedError: it is too large.
        """
        options = self._options
        more: dict[str, Any] = {}
        if options.retention_mode is not None:
            more["ObjectLockMode"] = options.retention_mode.upper()
            more["ObjectLockRetainUntilDate"] = self._now() + timedelta(days=options.retention_days)
        if options.kms_key is not None:
            more |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.kms_key}
        client = await self._aws.client()
        try:
            async with self._aws.told("take an object", _HINTS):
                await client.put_object(
                    **self._owned,
                    Key=key,
                    Body=content,
                    ContentType="application/gzip" if key.endswith(".gz") else "text/plain",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=b64encode(hashlib.sha256(content).digest()).decode(),
                    IfNoneMatch="*",
                    Metadata=dict(about),
                    **more,
                )
        except AwsError as error:
            if error.code == "PreconditionFailed":
                return False
            self._was_seen = False
            if error.code == "EntityTooLarge":
                every = range(len(batch.events))
                raise RefusedError(str(error), refused=every, heard=error.heard) from None
            raise
        return True

    async def _is_there(self, key: str, digest: bytes) -> bool:
        """Tell whether the object has exactly this content."""
        client = await self._aws.client()
        async with self._aws.told("show an object", _HINTS):
            found = await client.head_object(**self._owned, Key=key, ChecksumMode="ENABLED")
        return bool(found.get("ChecksumSHA256") == b64encode(digest).decode())


def _key(batch: Batch, prefix: str | None) -> str:
    """Return ``prefix/YYYY/MM/DD/first-last``; keys sort as the log does."""
    first, last = batch.events[0], batch.events[-1]
    year, month, day = first.entry["time"][:10].split("-")
    name = f"{year}/{month}/{day}/{first.record.index:020d}-{last.record.index:020d}"
    return f"{prefix}/{name}" if prefix else name


def _packed(batch: Batch, form: Format) -> bytes:
    lines = b"".join(json_line(form, event, batch.origin) for event in batch.events)
    return gzip.compress(lines, 6, mtime=0)
