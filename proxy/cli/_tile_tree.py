"""A log as static files (C2SP tlog-tiles): written into a directory, read from anywhere."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from proxy.answers import read_up_to
from proxy.cli._remote import authorization_if_any, is_loopback
from proxy.contracts import LogQuery, Store
from proxy.errors import (
    ConflictError,
    InvalidInputError,
    MissingError,
    UnavailableError,
)
from proxy.tlog.entry import MAX_ENTRY_BYTES
from proxy.tlog.merkle import HASH_SIZE
from proxy.tlog.note import MAX_NOTE_BYTES
from proxy.tlog.tiles import WIDTH, Bundle, Tile, bundles_of, pack_entries, tiles_of

CHECKPOINT: Final = "checkpoint"
COSIGNED: Final = "checkpoint.cosigned"
"""Beside the checkpoint: the newest one that enough witnesses cosigned, if there is any."""
TREE: Final = "tile"
MAX_FILE: Final = max(MAX_NOTE_BYTES, WIDTH * (MAX_ENTRY_BYTES + 2))
"""Bytes of the largest file that is read: a bundle of the longest entries."""

_TILES: Final = 64
"""Tiles read from the store at a time."""
_SECONDS: Final = 60


# ---------------------------------------------------------------- writing


async def write_tree(
    store: Store, directory: Path, note: str, size: int, cosigned: str = ""
) -> int:
    """Write the log's files as of a checkpoint; what is there already stays.

    Of entries that are pruned only the hashes are written (C2SP tlog-tiles, *Pruning*).

    Each file appears whole or not at all, and the checkpoint last, when all that it promises is on
    the disk: whoever reads meanwhile, or after a crash, finds the log as it was before.

    Args:
        store: holds the log.
        directory: is there; a former checkpoint in it is one of this log.
        note: the signed checkpoint.
        size: what it says.
        cosigned: a checkpoint of this size at most that witnesses cosigned; empty if there is none.

    Returns:
        How many files were new, without those of checkpoints.

    Raises:
        UnavailableError: the store can't be read.
        OSError: the directory can't be written.
    """
    written = 0
    waiting = [tile for tile in tiles_of(size) if not (directory / tile.path).exists()]
    for start in range(0, len(waiting), _TILES):
        found = await store.tiles(waiting[start : start + _TILES])
        for tile, content in found.items():
            await asyncio.to_thread(_put, directory, tile, content)
        written += len(found)
    for bundle in bundles_of(size, await store.pruned()):
        if not (directory / bundle.path).exists():
            query = LogQuery(after=bundle.first - 1 if bundle.first else None, limit=bundle.width)
            entries = [stored.record.entry async for stored in store.entries(query)]
            if len(entries) != bundle.width:
                raise UnavailableError(
                    f"the entries of {bundle.path} can't be read: run `tfaudit verify`"
                )
            await asyncio.to_thread(_put, directory, bundle, pack_entries(entries))
            written += 1
    await asyncio.to_thread(os.sync)
    await asyncio.to_thread(_replace, directory / CHECKPOINT, note.encode())
    if cosigned:
        await asyncio.to_thread(_replace, directory / COSIGNED, cosigned.encode())
    return written


def require_room(directory: Path) -> None:
    """Pass when the directory is empty, not there yet, or holds such a tree; it is made.

    Raises:
        InvalidInputError: it holds something else.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    strange = {entry.name for entry in directory.iterdir()} - {CHECKPOINT, COSIGNED, TREE}
    if strange:
        raise InvalidInputError(
            f"{directory} holds something else ({min(strange)}): name a new directory, or one that "
            "tiles were exported to"
        )


def _put(directory: Path, of: Tile | Bundle, content: bytes) -> None:
    path = directory / of.path
    for above in reversed(path.relative_to(directory).parents[:-1]):
        (directory / above).mkdir(mode=0o700, exist_ok=True)
    _replace(path, content)
    if of.width == WIDTH:
        # What the full one replaces for good; only now, as somebody may read it until then.
        rmtree(path.with_name(f"{path.name}.p"), ignore_errors=True)


def _replace(path: Path, content: bytes) -> None:
    handle, fresh = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(fresh).replace(path)
    except OSError:
        Path(fresh).unlink(missing_ok=True)
        raise


# ---------------------------------------------------------------- reading


class Source(Protocol):
    """Where a log's files come from; nothing they say is believed."""

    async def read(self, path: str) -> bytes:
        """Return a file.

        Raises:
            MissingError: there is none, and that is certain.
            UnavailableError: it could not be told.
        """
        ...


class DirectorySource:
    """A directory with a log's files.

    Args:
        directory: holds ``checkpoint`` and ``tile``.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, path: str) -> bytes:
        """Return a file; see Source."""
        return await asyncio.to_thread(self._read, self._directory / path)

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(f"{path} is missing.") from error
        except OSError as error:
            raise UnavailableError(f"{path} can't be read: {error.strerror}") from error
        if len(content) > MAX_FILE:
            raise UnavailableError(f"{path} is longer than any file of a log")
        return content


class HTTPSource:
    """A web server with a log's files: tfaudit itself, or any other.

    Args:
        prefix: its address, without a slash at the end.
        session: asks.
        authorization: the header that proves who asks; empty proves nothing.
    """

    def __init__(self, prefix: str, session: aiohttp.ClientSession, authorization: str) -> None:
        self._prefix = prefix
        self._session = session
        self._headers = {"Authorization": authorization} if authorization else {}

    async def read(self, path: str) -> bytes:
        """Return a file; see Source."""
        url = f"{self._prefix}/{path}"
        try:
            # A redirect could lead the credentials to somebody else.
            async with self._session.get(
                url, headers=self._headers, allow_redirects=False
            ) as response:
                content, is_whole = await read_up_to(response.content, MAX_FILE)
                if not is_whole:
                    raise UnavailableError(f"{url} is longer than any file of a log")
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(
                f"{url} could not be read: {str(error) or 'it did not answer in time'}"
            ) from error
        if status == 200:
            return content
        if status in {404, 410}:
            raise MissingError(f"{url} is missing.")
        if status in {401, 403}:
            raise UnavailableError(
                f"{url} is not for everybody ({status}): set TFAUDIT_TOKEN to an auditor's token"
            )
        raise UnavailableError(f"{url} could not be read: the server answered {status}")


@asynccontextmanager
async def http_source(url: str) -> AsyncIterator[HTTPSource]:
    """Open a source on an address.

    Raises:
        InvalidInputError: that is no address, or credentials would go out in clear.
    """
    parts = urlsplit(url)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidInputError(
            f"{url} is not the address of a log: it should read https://host/prefix; credentials "
            "come from the environment"
        )
    authorization = authorization_if_any()
    if authorization and parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InvalidInputError(
            f"the credentials would go to {parts.hostname} in clear: use https, or unset "
            "TFAUDIT_TOKEN and TF_HTTP_PASSWORD for a log that is public"
        )
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        prefix = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        yield HTTPSource(prefix.removesuffix(f"/{CHECKPOINT}"), session, authorization)


@asynccontextmanager
async def source_of(what: str) -> AsyncIterator[Source]:
    """Open a source on an address or a directory.

    Raises:
        InvalidInputError: as ``http_source``.
    """
    if what.startswith(("http://", "https://")):
        async with http_source(what) as source:
            yield source
    else:
        yield DirectorySource(Path(what))


async def read_file(source: Source, of: Tile | Bundle) -> bytes:
    """Return a tile, or the bytes of a bundle; of a partial one that is gone, of the full one.

    C2SP tlog-tiles, *Partial Tiles*: it may be deleted once the full one is there.

    Raises:
        MissingError: neither is there.
        UnavailableError: it could not be told.
    """
    try:
        return await source.read(of.path)
    except MissingError:
        if of.width == WIDTH:
            raise
        try:
            content = await source.read(of._replace(width=WIDTH).path)
        except MissingError:
            pass
        else:
            return content[: of.width * HASH_SIZE] if isinstance(of, Tile) else _cut(content, of)
        raise


def _cut(content: bytes, of: Bundle) -> bytes:
    """Return the first entries of a bundle, as many as a narrower one has."""
    at = 0
    for _ in range(of.width):
        at += 2 + int.from_bytes(content[at : at + 2], "big")
    return content[:at]


async def read_cosigned(source: Source) -> list[str]:
    """Return the checkpoints of a log that witnesses may have cosigned, unchecked.

    Ask before the newest checkpoint is read for anything else: a log grows meanwhile.

    Raises:
        MissingError: there is no checkpoint at all.
        UnavailableError: it could not be told.
    """
    found = [await source.read(CHECKPOINT)]
    with suppress(MissingError):
        found.append(await source.read(COSIGNED))
    return [each.decode("utf-8", "replace") for each in found]


async def read_all(source: Source, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """Return tiles.

    Raises:
        MissingError, UnavailableError: as ``read_file``.
    """
    return {tile: await read_file(source, tile) for tile in wanted}


def require_same_log(directory: Path, *, is_ours: bool) -> None:
    """Pass when the checkpoint that a directory holds is one of this log.

    Raises:
        ConflictError: it is not: it may be the last that tells of entries that are lost here.
    """
    if not is_ours:
        raise ConflictError(
            f"{directory / CHECKPOINT} is not a checkpoint of this log's past: another log was "
            "exported there, or this one was put back to an older state. Name another directory, "
            "and keep that one for the auditors"
        )
