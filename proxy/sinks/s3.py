"""Amazon S3: batches as objects that nobody can change, when the bucket has Object Lock.

An object's key tells which entries are in it, and the same batch always has the same key and the
same bytes: one that comes again is noticed to be there. The newest checkpoint stands beside each.
"""

import asyncio
import gzip
import hashlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from proxy.sinks._aws import AwsError
from proxy.sinks._bucket import HINTS, Bucket, BucketOptions
from proxy.sinks._rendering import json_line
from proxy.sinks.contract import (
    Batch,
    Context,
    Limits,
    Options,
    Receipt,
    RefusedError,
)
from proxy.sinks.options import Format


class S3Options(BucketOptions, frozen=True):
    """Which bucket, what objects are called, and how they are written and kept."""

    format: Annotated[Format, Meta(description="How each event is written, one a line.")] = "native"
    events: Annotated[int, Meta(ge=1, le=50_000, description="Events in an object, at most.")] = (
        10_000
    )
    pause: Annotated[
        float,
        Meta(ge=0, le=3600, description="Seconds between two objects, at least: fewer, larger."),
    ] = 10.0


class S3:
    """Writes each batch as one object, once."""

    options_type: ClassVar[type[Options]] = S3Options

    def __init__(self, options: S3Options, context: Context) -> None:
        self.limits = Limits(events=options.events, pause=options.pause)
        self._options = options
        self._bucket = Bucket(options, context)
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
        return f"{self._bucket.aws.who} is there" + (" and has Object Lock" if mode else "")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bucket.aws.aclose()

    async def _look_at_bucket(self) -> None:
        if self._options.retention_mode is None:
            await self._bucket.look()
        else:
            await self._bucket.lock_rule()
        self._was_seen = True

    async def _write(
        self, key: str, content: bytes, batch: Batch, about: Mapping[str, str]
    ) -> bool:
        """Write one object, unless one of its name is there; tell whether it was written.

        Raises:
            NotTakenError: nobody knows whether it is there.
            RefusedError: it is too large.
        """
        try:
            return await self._bucket.write(key, content, about)
        except AwsError as error:
            self._was_seen = False
            if error.code == "EntityTooLarge":
                every = range(len(batch.events))
                raise RefusedError(str(error), refused=every, heard=error.heard) from None
            raise

    async def _is_there(self, key: str, digest: bytes) -> bool:
        """Tell whether the object has exactly this content."""
        aws = self._bucket.aws
        client = await aws.client()
        async with aws.told("show an object", HINTS):
            found = await client.head_object(**self._bucket.owned, Key=key, ChecksumMode="ENABLED")
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
