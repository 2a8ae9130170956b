"""Anchors in Amazon S3: an object for each, which Object Lock keeps from everybody."""

from typing import Annotated, Any, Final

from msgspec import Meta

from proxy.anchors.place import MAX_BYTES, Label, label_in
from proxy.errors import InvalidInputError, UnavailableError
from proxy.sinks._bucket import HINTS, Bucket, BucketOptions
from proxy.sinks.contract import Context, NotTakenError

_FIRST_WINDOW: Final = 1_000
"""Sizes below the log's own among which the newest anchor is looked for first."""


_HINTS: Final = HINTS | {
    "403": "allow s3:ListBucket, s3:GetObject and s3:PutObject on it",
    "AccessDenied": "allow s3:ListBucket, s3:GetObject, s3:PutObject, "
    "s3:GetBucketObjectLockConfiguration and, with retention, s3:PutObjectRetention on it, and the "
    "use of its key",
    "ObjectLockConfigurationNotFoundError": "the bucket has no Object Lock: turn it on, or set "
    "require_object_lock = false and leave retention_mode out",
}


class S3Settings(BucketOptions, frozen=True):
    """The settings of an anchor in a bucket."""

    require_object_lock: Annotated[
        bool, Meta(description="Whether a bucket is refused that does not keep new objects.")
    ] = True
    interval: Annotated[
        float, Meta(ge=1, le=86_400, description="Seconds between two anchors, at least.")
    ] = 600.0


class S3Place:
    """Objects whose keys sort as the sizes do.

    Args:
        settings: of the anchor.
        context: the world around.
    """

    def __init__(self, settings: S3Settings, context: Context) -> None:
        self._base = f"{settings.prefix}/" if settings.prefix else ""
        self.where = f"s3://{settings.bucket}/{self._base}"
        self.is_settled = True
        self._settings = settings
        self._bucket = Bucket(settings, context, _HINTS)
        self._was_seen = False

    async def seen(self, size: int) -> list[Label]:
        """Return those that are larger, and the next below; see ``Place``.

        A listing goes up alone: so the newest is looked for among the sizes just below first.
        """
        try:
            larger = await self._list(f"{self._base}{size:020d}~", None)
            window = _FIRST_WINDOW
            found: list[Label] = []
            while not found:
                first = max(0, size - window)
                found = await self._list(f"{self._base}{first:020d}", size)
                if first == 0:
                    break
                window *= 8
        except NotTakenError as error:
            raise UnavailableError(str(error)) from error
        return sorted((*larger, *found), reverse=True)

    async def _list(self, after: str, size: int | None) -> list[Label]:
        """Return the anchors whose keys come after another, up to a size."""
        client = await self._bucket.aws.client()
        more: dict[str, Any] = {}
        labels: list[Label] = []
        while True:
            async with self._bucket.aws.told("list its objects", _HINTS):
                page = await client.list_objects_v2(
                    **self._bucket.owned, Prefix=self._base, StartAfter=after, **more
                )
            for each in page.get("Contents", []):
                label = label_in(each["Key"].removeprefix(self._base))
                if label is None:
                    continue
                if size is not None and label.size > size:
                    return labels
                labels.append(label)
            if not page.get("IsTruncated"):
                return labels
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def read(self, label: Label) -> str:
        """Return an object; see ``Place``."""
        try:
            client = await self._bucket.aws.client()
            async with self._bucket.aws.told("give an object", _HINTS):
                found = await client.get_object(
                    **self._bucket.owned, Key=f"{self._base}{label.name}"
                )
                async with found["Body"] as body:
                    content: bytes = await body.read(MAX_BYTES + 1)
        except NotTakenError as error:
            raise UnavailableError(str(error)) from error
        if len(content) > MAX_BYTES:
            raise InvalidInputError(f"{self.where}{label.name} holds no checkpoint")
        return content.decode("utf-8", "replace")

    async def put(self, label: Label, note: str) -> None:
        """Add an object; see ``Place``."""
        try:
            if not self._was_seen:
                await self._require_lock()
            about = {"entries": str(label.size)}
            await self._bucket.write(f"{self._base}{label.name}", note.encode(), about)
        except NotTakenError as error:
            self._was_seen = False
            raise UnavailableError(str(error)) from error

    async def _require_lock(self) -> None:
        """Pass when an object that is put is kept."""
        if self._settings.require_object_lock or self._settings.retention_mode is not None:
            rule = await self._bucket.lock_rule()
            if self._settings.retention_mode is None and "DefaultRetention" not in rule:
                raise NotTakenError(
                    f"{self._bucket.aws.who} has Object Lock, but keeps nothing by itself: set "
                    "retention_mode and retention_days",
                    needs_repair=True,
                )
        self._was_seen = True

    async def aclose(self) -> None:
        """Close the connections."""
        await self._bucket.aws.aclose()
