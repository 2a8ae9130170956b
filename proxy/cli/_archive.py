"""Where pruned entries go: a bundle in a directory, or in a bucket of Amazon S3.

A file or an object that is there already is never replaced: it is taken as the archive when it is
one of exactly these entries of this very log, as after an attempt that was cut short, and else
refused.
"""

import asyncio
import hashlib
import os
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from proxy.cli._bundle.checking import Proved, check_bundle
from proxy.cli._bundle.writing import digest_of
from proxy.cli._bundle_export import write_bundle_file
from proxy.cli._regular import open_regular
from proxy.cli._verification import TrustedKeys
from proxy.errors import ConflictError, InvalidInputError, VerificationError

if TYPE_CHECKING:
    from proxy.program import Program
    from proxy.sinks._aws import Aws

_S3: Final = "s3://"
_S3_PLACE: Final = re.compile(r"s3://(?P<bucket>[a-z0-9.-]{3,63})(?:/(?P<prefix>[^\s?#]+?))?/?")
_STRANGE: Final = re.compile(r"[^A-Za-z0-9.-]+")
_PIECE: Final = 1 << 20
MAX_OBJECT: Final = 5 * 10**9
"""Bytes of the largest object that S3 takes in one request."""


@dataclass(frozen=True, slots=True)
class Archived:
    """An archive that was read back and holds.

    Attributes:
        place: its path, or its address ``s3://bucket/key``.
        sha256: of the file, hex.
        size: of the file, bytes.
    """

    place: str
    sha256: str
    size: int


class Archive(Protocol):
    """Takes bundles."""

    async def put(self, program: "Program", first: int, last: int) -> Archived:
        """Archive entries, read them back and check them whole.

        Args:
            program: has the log.
            first: index of the first.
            last: of the last.

        Raises:
            ConflictError: something else has the name.
            UnavailableError: it could not be written or read back; it may be there.
        """
        ...


def archive_of(
    text: str, region: str | None, endpoint: str | None, scratch: Path
) -> "DirectoryArchive | S3Archive":
    """Return the archive that a person named.

    Args:
        text: a directory that is there, or ``s3://bucket/prefix``.
        region: of the bucket; None is the environment's.
        endpoint: address that speaks S3's API; None is AWS's.
        scratch: directory for what is under way, in the data directory.

    Raises:
        InvalidInputError: it is neither.
    """
    if not text.startswith(_S3):
        if region or endpoint:
            raise InvalidInputError("--s3-region and --s3-endpoint are for --archive s3://…")
        directory = Path(text)
        if not directory.is_dir():
            raise InvalidInputError(
                f"--archive {text} is no directory: make it, or write s3://BUCKET/PREFIX"
            )
        directory = directory.resolve()
        if directory.is_relative_to(scratch.parent.resolve()):
            raise InvalidInputError(
                f"--archive {text} is inside the data directory, and would be lost with it: name "
                "one elsewhere, best on another machine's disk"
            )
        return DirectoryArchive(directory)
    found = _S3_PLACE.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"--archive {text!r} is no place in S3: write s3://BUCKET/PREFIX")
    region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise InvalidInputError(
            f"the region of {found['bucket']} is not known: give --s3-region, or set AWS_REGION"
        )
    return S3Archive(found["bucket"], found["prefix"] or "", region, endpoint, scratch)


def name_of(origin: str, first: int, last: int) -> str:
    """Return the name of an archive; names sort as the log does."""
    return f"{_STRANGE.sub('_', origin)}-{first:012d}-{last:012d}.zip"


async def _checked(program: "Program", path: Path, first: int, last: int, where: str) -> Archived:
    """Read an archive and pass when it is one of exactly these entries of this very log.

    Raises:
        ConflictError: it is something else.
        UnavailableError: the log can't be read.
    """
    keys = TrustedKeys.of_ring(program.keys)
    try:
        proved, archived = await asyncio.to_thread(_read, path, keys, where)
        if (proved.first, proved.last, proved.is_whole) == (first, last, True):
            if proved.root == (await program.proofs.root(proved.size) or b"").hex():
                return archived
            why = (
                f"its entries are of another history of the log, in which other entries were among "
                f"the first {proved.size}, as before an older backup was restored: it may be all "
                "that is left of them."
            )
        else:
            why = f"it is of entries {proved.first} to {proved.last}."
    except (InvalidInputError, VerificationError) as error:
        why = str(error)
    except FileNotFoundError:
        why = "it is a link that leads nowhere."
    raise ConflictError(
        f"{where} is there and is not the archive of entries {first} to {last}: {why} Nothing was "
        "pruned; see what it is, and move it away or name another place with --archive"
    )


def _read(path: Path, keys: TrustedKeys, where: str) -> tuple[Proved, Archived]:
    """Check a bundle and take its digest, of one and the same file whatever gets its name.

    Raises:
        InvalidInputError: it is no file.
        VerificationError: it is no bundle, or does not hold.
        OSError: it can't be read.
    """
    with open_regular(path) as file:
        proved = check_bundle(file, keys.entry, keys.checkpoint, [], lambda: None)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return proved, Archived(where, digest, file.tell())


@dataclass(frozen=True, slots=True)
class DirectoryArchive:
    """Bundles in a directory.

    Attributes:
        directory: is there.
    """

    directory: Path

    async def put(self, program: "Program", first: int, last: int) -> Archived:
        """Write a bundle; see ``Archive``."""
        path = self.directory / name_of(program.keys.origin, first, last)
        if not path.exists() and not path.is_symlink():
            await write_bundle_file(program, path, first, last, verb="retain")
        return await _checked(program, path, first, last, str(path))


@dataclass(frozen=True, slots=True)
class S3Archive:
    """Bundles in a bucket.

    Attributes:
        bucket: its name.
        prefix: what keys begin with, without a slash at the end.
        region: of the bucket.
        endpoint: address that speaks S3's API; None is AWS's.
        scratch: directory for the file that is sent.
    """

    bucket: str
    prefix: str
    region: str
    endpoint: str | None
    scratch: Path

    async def put(self, program: "Program", first: int, last: int) -> Archived:
        """Write a bundle, send it, and compare what is there; see ``Archive``."""
        name = name_of(program.keys.origin, first, last)
        key = f"{self.prefix}/{name}" if self.prefix else name
        where = f"{_S3}{self.bucket}/{key}"
        sent, got = self.scratch / name, self.scratch / f"{name}.back"
        client = self._client()
        try:
            if not await self._get(client, key, got):
                await write_bundle_file(program, sent, first, last, verb="retain")
                if sent.stat().st_size > MAX_OBJECT:
                    raise InvalidInputError(
                        f"the archive would have {sent.stat().st_size:,} bytes, of {MAX_OBJECT:,} "
                        "that S3 takes at once: prune in steps, a larger --keep first"
                    )
                await self._send(client, key, sent)
                if not await self._get(client, key, got):
                    raise ConflictError(f"{where} was sent, and is not there: nothing was pruned")
            return await _checked(program, got, first, last, where)
        finally:
            await client.aclose()
            for path in (sent, got):
                path.unlink(missing_ok=True)

    def _client(self) -> "Aws":
        from proxy.config import Secret  # noqa: PLC0415 - quick start
        from proxy.sinks._aws import Aws, AwsOptions  # noqa: PLC0415
        from proxy.sinks.contract import Context  # noqa: PLC0415

        def none(name: str) -> Secret:
            raise InvalidInputError(f"there is no secret {name} here")

        options = AwsOptions(region=self.region, endpoint_url=self.endpoint, timeout=300)
        context = Context(
            name="archive",
            secret=none,
            now=lambda: datetime.now(UTC),
            sleep=asyncio.sleep,
            random=os.urandom,
        )
        return Aws("s3", options, context, f"the bucket {self.bucket}")

    async def _send(self, aws: "Aws", key: str, path: Path) -> None:
        """Send a file, unless an object of its name is there."""
        from proxy.sinks._aws import AwsError  # noqa: PLC0415 - quick start

        digest = bytes.fromhex(await asyncio.to_thread(digest_of, path))
        client = await aws.client()
        try:
            with path.open("rb") as file:
                async with aws.told("take the archive", _HINTS):
                    await client.put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=file,
                        ContentType="application/zip",
                        ChecksumAlgorithm="SHA256",
                        ChecksumSHA256=b64encode(digest).decode(),
                        IfNoneMatch="*",
                    )
        except AwsError as error:
            if error.code != "PreconditionFailed":  # somebody put one there: it is looked at
                raise

    async def _get(self, aws: "Aws", key: str, path: Path) -> bool:
        """Read an object into a file; False when there is none."""
        from proxy.sinks._aws import AwsError  # noqa: PLC0415 - quick start

        client = await aws.client()
        try:
            async with aws.told("show the archive", _HINTS):
                found = await client.get_object(Bucket=self.bucket, Key=key)
                with path.open("wb") as file:
                    async for piece in found["Body"].iter_chunks(_PIECE):
                        await asyncio.to_thread(file.write, piece)
        except AwsError as error:
            if error.code == "NoSuchKey":
                return False
            raise
        return True


_HINTS: Final = {
    "NoSuchBucket": "there is no such bucket: make it, or correct --archive",
    "AccessDenied": "allow s3:PutObject, s3:GetObject and s3:ListBucket on it",
}
