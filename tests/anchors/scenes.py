"""One place of anchors of each kind, as those see it who look into it from outside."""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy.access import Caller
from proxy.anchors.keeping import Anchors
from proxy.anchors.settings import open_anchors
from proxy.app import SYSTEM
from proxy.audit_log import draft
from proxy.config import Config, DataConfig, NamedSecrets, Secret
from proxy.contracts import Store
from proxy.last_checkpoint import LastCheckpoint
from proxy.tlog.note import NoteSigner
from tests.fakes import CHECKPOINT_KEY, ORIGIN
from tests.receivers.aws import REGION, SECRET, Aws
from tests.samples import a_draft, an_open_store

NAME = "offsite"
VERIFIER = NoteSigner(ORIGIN, CHECKPOINT_KEY).verifier
_OPERATOR = Caller(SYSTEM, "", "", "cli", "log recover", "")


def git(directory: Path, *arguments: str) -> str:
    """Run git as a person would; return what it prints."""
    names = {
        f"GIT_{role}_{part}": "test"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env={**os.environ, **names},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def a_repository(path: Path) -> Path:
    """Make an empty repository."""
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch", "main")
    return path


def a_bucket(aws: Aws, *, is_locked: bool = True) -> str:
    """Make a bucket, with Object Lock or without."""
    name = f"anchors-{uuid.uuid4()}"
    aws.client("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=is_locked,
    )
    return name


@dataclass
class Spot:
    """A place, by what stands in it.

    Attributes:
        table: what the configuration says of it.
        path: of the file, the directory or the working tree; of a bucket, where it is copied to.
        aws: that has the bucket.
    """

    table: dict[str, Any]
    path: Path
    aws: Aws | None = None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return str(self.table["bucket"])

    def contents(self) -> dict[str, str]:
        """Return what stands there by its name, as an auditor gets it."""
        if self.aws is not None:
            for each in self.path.iterdir():
                each.unlink()
            s3 = self.aws.client("s3")
            found = s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
            for each in found:
                s3.download_file(self.bucket, each["Key"], str(self.path / Path(each["Key"]).name))
        files = [self.path] if self.path.is_file() else [*self.path.glob("*checkpoint*")]
        return {each.name: each.read_text() for each in sorted(files) if each.is_file()}

    def add(self, name: str, text: str) -> None:
        """Let somebody else put something there; a file has it in place of what it had."""
        if self.aws is not None:
            key = f"{self.table['prefix']}/{name}"
            self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        elif self.table["type"] == "file":
            self.path.write_text(text)
        else:
            (self.path / name).write_text(text)

    def empty(self) -> None:
        """Let somebody take all away."""
        if self.aws is not None:
            for name in self.contents():
                key = f"{self.table['prefix']}/{name}"
                self.aws.client("s3").delete_object(Bucket=self.bucket, Key=key)
        else:
            for name in self.contents():
                path = self.path if self.path.name == name else self.path / name
                path.unlink()


def a_spot(kind: str, directory: Path, aws: Aws) -> Spot:
    """Make an empty place of a kind."""
    path = directory / "place"
    match kind:
        case "file":
            path.mkdir()
            path /= "checkpoint"
            return Spot({"type": kind, "path": str(path)}, path)
        case "directory":
            path.mkdir()
            return Spot({"type": kind, "path": str(path)}, path)
        case "git":
            a_repository(path)
            return Spot({"type": kind, "path": str(path)}, path)
    path.mkdir()
    retention = {"retention_mode": "governance", "retention_days": 1}
    options = aws.options(bucket=a_bucket(aws), prefix="anchors/prod", **retention)
    return Spot({"type": kind, **options}, path, aws)


@dataclass
class Scene:
    """A log and one place of its anchors.

    Attributes:
        directory: of the data.
        spot: the place.
    """

    directory: Path
    spot: Spot

    def __post_init__(self) -> None:
        """Begin with no log."""
        self.data.mkdir()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @asynccontextmanager
    async def opened(self, **more: Any) -> AsyncIterator[tuple[Store, Anchors]]:
        """Open the log and its anchors, as a start does.

        Args:
            more: settings of the anchor beside the spot's own.
        """
        config = Config(
            data=DataConfig(self.data),
            named_secrets=NamedSecrets(values={"aws_key": Secret(SECRET)}),
            anchors={NAME: {**self.spot.table, **more}},
        )
        last = LastCheckpoint(self.data / "checkpoint.last", VERIFIER)
        async with an_open_store(self.data) as store:
            anchors = open_anchors(config, store, last.verified, lambda: datetime.now(UTC))
            try:
                yield store, anchors
            finally:
                await anchors.aclose()

    async def grown(self, entries: int) -> None:
        """Let the log grow, and anchor it."""
        async with self.opened() as (store, anchors):
            await grow(store, entries)
            assert [] == await anchors.keep()
            assert {} == anchors.failures

    def back_up(self) -> None:
        """Copy the database of a log that is closed."""
        shutil.copy(self.data / "tfaudit.db", self.directory / "backup.db")

    def restore(self) -> None:
        """Put the copy in the place of the newest."""
        for each in self.data.glob("tfaudit.db*"):
            each.unlink()
        shutil.copy(self.directory / "backup.db", self.data / "tfaudit.db")


async def grow(store: Store, entries: int) -> None:
    """Append so many entries, each with a checkpoint of its own."""
    for _ in range(entries):
        await store.write(lambda tx: tx.append(a_draft()))


async def recover(store: Store, known: int) -> None:
    """Put on record that the log once had so many entries."""
    part = {"size": await store.size(), "known_size": known}
    entry = draft("audit.recovered", "success", "lost", _OPERATOR, recovery=part)
    await store.write(lambda tx: tx.append(entry))
