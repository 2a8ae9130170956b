"""A bucket of Amazon S3 and what is written into it: once, and kept by Object Lock."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta

from proxy.fields import FieldError
from proxy.sinks._aws import Aws, AwsError, AwsOptions
from proxy.sinks.contract import Context, NotTakenError
from proxy.sinks.options import ACCOUNT_PATTERN, BUCKET_PATTERN, PREFIX_PATTERN

_LONGEST_RETENTION: Final = 36_500
HINTS: Final = {
    "403": "allow s3:ListBucket and s3:PutObject on it",
    "404": "there is no such bucket: make it, or correct bucket",
    "NoSuchBucket": "there is no such bucket: make it, or correct bucket",
    "AccessDenied": "allow s3:PutObject on it, with retention s3:PutObjectRetention, and the use "
    "of its key",
    "ObjectLockConfigurationNotFoundError": "the bucket has no Object Lock: turn it on, or leave "
    "retention_mode out",
}
"""What to do about S3's own errors."""

_Prefix: TypeAlias = Annotated[str, Meta(pattern=PREFIX_PATTERN, max_length=500)]
_Account: TypeAlias = Annotated[str, Meta(pattern=ACCOUNT_PATTERN)]
_Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2048)]


class BucketOptions(AwsOptions, frozen=True):
    """Which bucket, what objects are called, and how they are kept."""

    bucket: Annotated[str, Meta(pattern=BUCKET_PATTERN, description="Name of the bucket.")]
    prefix: Annotated[
        _Prefix | None, Meta(description="What keys begin with, without a slash at the end.")
    ] = None
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

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        AwsOptions.__post_init__(self)
        if (self.retention_mode is None) != (self.retention_days == 0):
            raise FieldError("retention_mode and retention_days go together", "retention_days")


class Bucket:
    """The bucket that options name.

    Args:
        options: of whoever writes to it.
        context: the world around.
        hints: what to do about S3's own errors.
    """

    def __init__(
        self, options: BucketOptions, context: Context, hints: Mapping[str, str] = HINTS
    ) -> None:
        self._options = options
        self.hints = hints
        self._now = context.now
        self.aws = Aws("s3", options, context, f"the bucket {options.bucket}")

    @property
    def owned(self) -> dict[str, str]:
        """The bucket, and whose it must be, as each request names them."""
        owner = self._options.bucket_owner
        return {"Bucket": self._options.bucket, **({"ExpectedBucketOwner": owner} if owner else {})}

    async def look(self) -> None:
        """Look whether it is there.

        Raises:
            NotTakenError: it is not, or it does not say.
        """
        client = await self.aws.client()
        async with self.aws.told("show itself", self.hints):
            await client.head_bucket(**self.owned)

    async def lock_rule(self) -> Mapping[str, Any]:
        """Return by which rule new objects are kept, if any, in a bucket that has Object Lock.

        Raises:
            NotTakenError: it has none, or it does not say.
        """
        client = await self.aws.client()
        async with self.aws.told("show itself", self.hints):
            found = await client.get_object_lock_configuration(**self.owned)
        lock: Mapping[str, Any] = found.get("ObjectLockConfiguration", {})
        if lock.get("ObjectLockEnabled") != "Enabled":
            hint = self.hints["ObjectLockConfigurationNotFoundError"]
            raise NotTakenError(f"{self.aws.who} can't be used: {hint}", needs_repair=True)
        rule: Mapping[str, Any] = lock.get("Rule", {})
        return rule

    async def write(self, key: str, content: bytes, about: Mapping[str, str]) -> bool:
        """Write one object, unless one of its name is there; tell whether it was written.

        Args:
            key: of the object.
            content: of it.
            about: kept beside it.

        Raises:
            NotTakenError: nobody knows whether it is there; AwsError when there is an answer.
        """
        options = self._options
        more: dict[str, Any] = {}
        if options.retention_mode is not None:
            more["ObjectLockMode"] = options.retention_mode.upper()
            more["ObjectLockRetainUntilDate"] = self._now() + timedelta(days=options.retention_days)
        if options.kms_key is not None:
            more |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": options.kms_key}
        client = await self.aws.client()
        try:
            async with self.aws.told("take an object", self.hints):
                await client.put_object(
                    **self.owned,
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
            raise
        return True
