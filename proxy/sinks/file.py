"""A file of JSON lines on this machine: written through to the disk before it counts as delivered.

The native format is what ``tfaudit export`` writes, and the newest checkpoint stands beside it, so
``tfaudit verify FILE`` proves a file that has the whole log.
"""

import contextlib
import errno
import fcntl
import gzip
import itertools
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Final, Literal

from msgspec import Meta

from proxy.fields import FieldError
from proxy.sinks._lines import Known, Mark, backwards, backwards_of_rotated
from proxy.sinks._rendering import json_line
from proxy.sinks._thread import OneThread
from proxy.sinks.contract import Batch, Context, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import Format

_SUFFIX: Final = ".jsonl"
_CHECKPOINT: Final = ".checkpoint"
_PACKED: Final = ".gz"
_UNFINISHED: Final = ".unfinished"
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_BLOCK: Final = 65_536
_LONGEST_LINE: Final = 1_048_576
_TRIES: Final = 100
_PAUSE: Final = 0.05
"""Seconds between two tries to get at a file that somebody else writes to just now."""
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PERIODS: Final = {"never": "", "hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d"}
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TO_MEND: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENXIO,
    }
)


class FileOptions(Options, frozen=True):
    """Where the file is, and when it is rotated."""

    path: Annotated[
        str,
        Meta(
            max_length=1000,
            description="Absolute path of the file; ends with `.jsonl`. Its directory must exist.",
        ),
    ]
    format: Annotated[Format, Meta(description="How each event is written.")] = "native"
    rotate_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=10**15,
            description="The file is rotated before it grows larger, bytes; 0 never. Only what is "
            "sent at once may be larger.",
        ),
    ] = 100_000_000
    rotate_every: Annotated[
        Literal["never", "hour", "day"],
        Meta(description="The file is rotated when the hour, or the day, is over (UTC)."),
    ] = "never"
    keep: Annotated[
        int,
        Meta(ge=0, le=100_000, description="How many rotated files are kept; 0 keeps all."),
    ] = 0
    compress: Annotated[bool, Meta(description="Whether rotated files are packed by gzip.")] = False
    mode: Annotated[
        Literal["0600", "0640"],
        Meta(description="Who may read the file: its owner, or also its group."),
    ] = "0600"

    def __post_init__(self) -> None:
        """Refuse what can't be a file of events, so that no other file is ever touched."""
        path = Path(self.path)
        if not self.path.isprintable():
            raise FieldError("path has a character that is not printed: write it anew", "path")
        if not path.is_absolute() or ".." in path.parts:
            raise FieldError("path must be absolute, such as /var/log/tfaudit/audit.jsonl", "path")
        if not path.name.endswith(_SUFFIX) or path.name == _SUFFIX:
            raise FieldError(
                f"path must end with {_SUFFIX}: no file of another kind is ever written to", "path"
            )


class FileSink:
    """Appends events to a file; rotates it, and mends what a crash left half-written."""

    options_type: ClassVar[type[Options]] = FileOptions

    def __init__(self, options: FileOptions, context: Context) -> None:
        self.limits = Limits(events=1000)
        self._options = options
        self._now = context.now
        self._sleep = context.sleep
        self._file = _LineFile(Path(options.path), int(options.mode, 8))
        self._thread = OneThread(context.name)
        self._known: Known | None = None
        self._last = -1
        self._period = ""
        self._checkpoint = ""

    async def send(self, batch: Batch) -> Receipt:
        """Append the batch and wait until the disk has it."""
        for _ in range(_TRIES - 1):
            with contextlib.suppress(_BusyError):
                return await self._thread.run(lambda: self._send(batch))
            await self._sleep(_PAUSE)
        return await self._thread.run(lambda: self._send(batch))

    async def probe(self) -> str:
        """Look whether the file could be written to; nothing is changed, and nobody has to wait."""
        return await self._thread.run(self._probe)

    async def aclose(self) -> None:
        """Close the file."""
        await self._thread.aclose(self._file.close)

    def _send(self, batch: Batch) -> Receipt:
        form = self._options.format
        lines = [
            (event.record.index, json_line(form, event, batch.origin)) for event in batch.events
        ]
        with self._told():
            self._open()
            there = 0 if batch.is_replay else self._count_there(lines)
            content = b"".join(line for _, line in lines[there:])
            if not there:
                self._rotate_before(len(content))
            self._file.append(content)
            self._keep_checkpoint(batch.checkpoint)
        if not batch.is_replay:
            self._last = lines[-1][0]
        return Receipt(f"on the disk, {self._file.size:,} bytes in {self._options.path}")

    def _count_there(self, lines: list[tuple[int, bytes]]) -> int:
        """Return how many of the first lines stand there already.

        A crash between the disk and the cursor makes all of the last second come again, perhaps
        from a file that was rotated meanwhile.
        """
        first = lines[0][0]
        if self._known is None or first <= self._last:
            self._known = Known(self._backwards(), first)
        return self._known.count(lines)

    def _backwards(self) -> Iterator[Mark]:
        directory = self._file.path.parent
        names = sorted(self._rotated(), reverse=True)
        rotated = backwards_of_rotated(directory / name for name in names)
        return itertools.chain(self._file.backwards(), rotated)

    def _probe(self) -> str:
        path = self._file.path
        with self._told():
            if not os.path.lexists(path):
                # Not made here: the one who asks may be another than the server's user.
                path.parent.stat()
                if not os.access(path.parent, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                return "will be made with the first event"
            size = _looked_at(path)
        return f"can be written, has {size:,} bytes"

    def _open(self) -> None:
        if self._file.is_locked_and_current():
            return
        self._file.open()
        self._known = None
        self._checkpoint = ""
        self._period = self._period_of(datetime.fromtimestamp(self._file.changed, UTC))
        self._tidy()

    def _rotate_before(self, size: int) -> None:
        """Rotate when the file would grow too large by so many bytes, or its period is over."""
        limit = self._options.rotate_bytes
        period = self._period_of(self._now())
        is_full = limit and self._file.size + size > limit
        if self._file.size and (is_full or period != self._period):
            self._rotate()
        self._period = period

    def _period_of(self, moment: datetime) -> str:
        return moment.strftime(_PERIODS[self._options.rotate_every])

    def _rotate(self) -> None:
        path = self._file.path
        # Names sort by time, also when the clock was set back.
        moment = self._now()
        for name in sorted(self._rotated(), reverse=True)[:1]:
            stamp = name[len(path.name) + 1 :].removesuffix(_PACKED)
            last = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
            moment = max(moment, last + timedelta(microseconds=1))
        target = path.with_name(f"{path.name}.{moment.strftime(_STAMP)}")
        path.rename(target)
        self._file.close()
        self._file.open()
        self._tidy()

    def _rotated(self) -> list[str]:
        path = self._file.path
        return [each.name for each in path.parent.iterdir() if _is_rotated(path.name, each.name)]

    def _tidy(self) -> None:
        """Pack and delete rotated files, also those that a crash kept from it."""
        directory = self._file.path.parent
        if self._options.compress:
            for name in self._rotated():
                if not name.endswith(_PACKED):
                    _pack(directory / name, self._file.mode)
        names = sorted(self._rotated(), reverse=True)
        for name in names[self._options.keep :] if self._options.keep else ():
            (directory / name).unlink(missing_ok=True)

    def _keep_checkpoint(self, checkpoint: str) -> None:
        if checkpoint == self._checkpoint:
            return
        path = self._file.path
        beside = path.with_name(path.name + _CHECKPOINT)
        _replace(beside, checkpoint.encode(), self._file.mode)
        self._checkpoint = checkpoint

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in words what the system refused; let others at the file afterwards."""
        try:
            yield
            self._file.unlock()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            kind = _BusyError if error.errno == errno.EBUSY else NotTakenError
            raise kind(
                f"{self._options.path}: {_reason(error)}", needs_repair=error.errno in _TO_MEND
            ) from error


class _BusyError(NotTakenError):
    """Somebody else writes to the file just now."""


class _LineFile:
    """One file that only ever grows by whole lines; remembers how long it was."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self.mode = mode
        self.size = 0
        self.changed = 0.0
        self._descriptor = -1

    def is_locked_and_current(self) -> bool:
        """Lock the open file; tell whether it still is the one of its name, as long as it was.

        Raises:
            OSError: somebody else writes to it at this moment.
        """
        if self._descriptor < 0:
            return False
        _lock(self._descriptor)
        ours = os.fstat(self._descriptor)
        return ours.st_size == self.size and _is_named(ours, self.path)

    def open(self) -> None:
        """Open or make the file and lock it; cut a half-written last line off.

        Raises:
            OSError: it can't be used, or is not ours to write to.
        """
        self.close()
        is_new = not os.path.lexists(self.path)
        descriptor = os.open(self.path, _FLAGS | os.O_CREAT, self.mode)
        try:
            _require_file(descriptor)
            _lock(descriptor)
            found = os.fstat(descriptor)
            _require_named(found, self.path)
            if is_new:
                _give(descriptor, self.path.parent)
            if stat.S_IMODE(found.st_mode) != self.mode:
                os.fchmod(descriptor, self.mode)
            self.size = _whole(descriptor, found.st_size)
            if self.size != found.st_size:
                os.ftruncate(descriptor, self.size)
                os.fsync(descriptor)
            self.changed = found.st_mtime
            if is_new:
                _sync_directory(self.path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def append(self, content: bytes) -> None:
        """Write whole lines through to the disk; on failure none of them stays.

        Raises:
            OSError: they are not on the disk.
        """
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            # What a failed fsync left in memory may never reach the disk: it is written anew.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
                os.fsync(self._descriptor)
            raise
        self.size += len(content)

    def backwards(self) -> Iterator[Mark]:
        """Return the marks of its lines from the end on."""
        return backwards(self._descriptor, self.size)

    def unlock(self) -> None:
        """Let others write to it, such as a command that tests the sink."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _require_file(descriptor: int) -> os.stat_result:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ENXIO, "is no ordinary file")
    return found


def _lock(descriptor: int) -> None:
    """Keep a second writer away for as long as a call takes: two would mix their lines."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy() from error


def _busy() -> OSError:
    return OSError(
        errno.EBUSY, "somebody else writes to it just now: give each sink a file of its own"
    )


def _is_named(ours: os.stat_result, path: Path) -> bool:
    """Tell whether an open file still is the one of the name."""
    try:
        theirs = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _require_named(ours: os.stat_result, path: Path) -> None:
    """Pass when nobody rotated an open file before it was locked.

    Raises:
        OSError: it has another name by now.
    """
    if not _is_named(ours, path):
        raise _busy()


def _looked_at(path: Path) -> int:
    """Return how long a file is that could be written to.

    Raises:
        OSError: it could not.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        return _whole(descriptor, _require_file(descriptor).st_size)
    finally:
        os.close(descriptor)


def _whole(descriptor: int, size: int) -> int:
    """Return how long a file is without what stands after its last line end.

    That is a line which a crash left half-written.

    Raises:
        OSError: the rest looks like nothing that was begun here, so it is left alone.
    """
    end = size
    rest = b""
    while end and b"\n" not in rest and len(rest) <= _LONGEST_LINE:
        start = max(0, end - _BLOCK)
        rest = os.pread(descriptor, end - start, start) + rest
        end = start
    rest = rest[rest.rfind(b"\n") + 1 :]
    if not rest:
        return size
    # Blocks that were not on the disk when the machine went down are read as zeros.
    if len(rest) > _LONGEST_LINE or not (rest.startswith(b"{") or not rest.strip(b"\0")):
        raise OSError(
            errno.ENXIO, "does not end with a line of JSON: it is no file of events; move it away"
        )
    return size - len(rest)


def _is_rotated(own: str, name: str) -> bool:
    stamp = name.removeprefix(own + ".").removesuffix(_PACKED)
    if not name.startswith(own + "."):
        return False
    try:
        datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _pack(path: Path, mode: int) -> None:
    """Replace a file by its gzip, so that a crash leaves one of them whole."""
    unfinished = path.with_name(path.name + _PACKED + _UNFINISHED)
    with path.open("rb") as source, _made(unfinished, mode) as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            shutil.copyfileobj(source, packed, _BLOCK)
        raw.flush()
        os.fsync(raw.fileno())
    unfinished.rename(path.with_name(path.name + _PACKED))
    path.unlink()
    _sync_directory(path.parent)


def _replace(path: Path, content: bytes, mode: int) -> None:
    unfinished = path.with_name(path.name + _UNFINISHED)
    with _made(unfinished, mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def _made(path: Path, mode: int) -> Iterator[BinaryIO]:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        _give(descriptor, path.parent)
        os.fchmod(descriptor, mode)
        yield file


def _give(descriptor: int, directory: Path) -> None:
    """Give a file that root made to its directory's owner: root may only try the server's sink."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(path: Path) -> None:
    """Make the names of a directory's files durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    words = (error.strerror or str(error)).lower()
    if error.errno in _NO_SPACE:
        return f"{words}: make room on the disk, or rotate earlier and keep fewer files"
    if error.errno == errno.EROFS:
        return f"{words}: mount it for writing, or choose a path elsewhere"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{words}: let the server's user write in its directory"
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return f"{words}: make its directory, and let the server's user write in it"
    if error.errno == errno.ELOOP:
        return f"{words}: it is a symbolic link; name the file itself"
    return words
