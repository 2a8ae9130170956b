"""What the configuration says of anchors, ``[anchors.NAME]``, and the anchors made of it."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

from proxy.anchors.anchor import Anchor
from proxy.anchors.files import DirectoryPlace, FilePlace
from proxy.anchors.git import GitPlace
from proxy.anchors.keeping import Anchors
from proxy.anchors.place import Place
from proxy.client_text import require_plain
from proxy.config import Config
from proxy.contracts import Store
from proxy.errors import ConfigError
from proxy.fields import FieldError, mistakes_in, read_fields
from proxy.last_checkpoint import Verify
from proxy.sinks.contract import Context, Options
from proxy.sinks.options import WORDS
from proxy.sinks.secrets import NamedSecrets

MOST: Final = 16
"""Anchors that one log may have: each is compared before a start."""

_REMOTE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$(?!\n)"
_AUTHOR_PATTERN: Final = r"^[^<>\n]+ <[^<>\s]+>$(?!\n)"
_WORDS: Final = WORDS | {
    _REMOTE_PATTERN: "the name of a remote of the repository, such as origin",
    _AUTHOR_PATTERN: "a name and an address, as tfaudit <tfaudit@example.com>",
}
_Path: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4096)]
_Interval: TypeAlias = Annotated[
    float, Meta(ge=1, le=86_400, description="Seconds between two anchors, at least.")
]


class FileSettings(Options, frozen=True, kw_only=True):
    """The settings of a file that always holds the newest checkpoint."""

    path: Annotated[
        _Path, Meta(description="The file, in a directory that is there; replaced in one step.")
    ]
    interval: _Interval = 60.0


class DirectorySettings(Options, frozen=True, kw_only=True):
    """The settings of a directory with a file for each anchor."""

    path: Annotated[
        _Path, Meta(description="The directory, which must be there; files in it never change.")
    ]
    interval: _Interval = 600.0


class GitSettings(Options, frozen=True, kw_only=True):
    """The settings of a repository with a commit for each anchor."""

    path: Annotated[
        _Path,
        Meta(description="The working tree of a repository, or a directory in it, which is there."),
    ]
    remote: Annotated[
        Annotated[str, Meta(pattern=_REMOTE_PATTERN, max_length=200)] | None,
        Meta(
            description="Remote that each commit is pushed to, on the branch that is checked out."
        ),
    ] = None
    author: Annotated[
        Annotated[str, Meta(pattern=_AUTHOR_PATTERN, max_length=200)],
        Meta(description="Whom the commits are by."),
    ] = "tfaudit <tfaudit@localhost>"
    interval: _Interval = 600.0


TYPES: Final = ("file", "directory", "git", "s3")
"""Kinds of places."""


def settings_type(of: str) -> type[Options]:
    """Return what the settings of a type are read as."""
    match of:
        case "file":
            return FileSettings
        case "directory":
            return DirectorySettings
        case "git":
            return GitSettings
    from proxy.anchors.s3 import S3Settings  # noqa: PLC0415 - commands start quicker without it

    return S3Settings


def read_settings(name: str, table: Mapping[str, Any]) -> Options:
    """Return the settings of one anchor, checked.

    Args:
        name: of the anchor.
        table: as the configuration has it.

    Raises:
        FieldError: names the setting and what is wrong with it.
    """
    of = table.get("type")
    if not isinstance(of, str) or of not in TYPES:
        raise FieldError(f"type must be one of {', '.join(TYPES)}", "type")
    for key, value in table.items():
        if isinstance(value, str):
            require_plain(value, f"{key} of the anchor {name}")
    given = {key: value for key, value in table.items() if key != "type"}
    return read_fields(given, settings_type(of), f"{of} anchor", _WORDS)


def mistakes_of(config: Config) -> Iterator[str]:
    """Yield all that is wrong with the anchors of a configuration, each to be read alone."""
    if len(config.anchors) > MOST:
        yield f"[anchors] holds {len(config.anchors)} anchors, of {MOST} allowed"
    places: dict[object, str] = {}
    for name, table in config.anchors.items():

        def read(fields: dict[str, Any], name: str = name) -> object:
            return read_settings(name, fields)

        found = list(mistakes_in(read, table))
        yield from (f"[anchors.{name}] {mistake}" for mistake in found)
        if found:
            continue
        path = table.get("path")
        if path and Path(path).resolve().is_relative_to(config.data.directory.resolve()):
            yield (
                f"[anchors.{name}] path is inside the data directory, and would be restored with "
                "it: name a place elsewhere"
            )
        where = Path(path).resolve() if path else (table["bucket"], table.get("prefix"))
        if where in places:
            yield f"[anchors.{name}] is the same place as [anchors.{places[where]}]: keep one"
        places[where] = name


def open_anchors(
    config: Config, store: Store, verify: Verify, now: Callable[[], datetime]
) -> Anchors:
    """Return the anchors that a configuration names, without I/O.

    Args:
        config: has their tables.
        store: has the log.
        verify: checks a checkpoint of it.
        now: the present, UTC.

    Raises:
        ConfigError: with all that is wrong with them.
    """
    made = []
    for name, place in open_places(config, now).items():
        table = config.anchors[name]
        settings: Any = read_settings(name, table)
        lock = config.data.directory / f"anchor.{name}.lock"
        made.append(Anchor(name, table["type"], place, settings.interval, lock))
    return Anchors(made, store, verify)


def open_places(config: Config, now: Callable[[], datetime]) -> dict[str, Place]:
    """Return the places of the anchors that a configuration names, by their names, without I/O.

    Args:
        config: has their tables.
        now: the present, UTC.

    Raises:
        ConfigError: with all that is wrong with them.
    """
    mistakes = list(mistakes_of(config))
    if mistakes:
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise ConfigError(f"anchors of the configuration can't be used:\n{listed}")
    return {
        name: _place(name, read_settings(name, table), config, now)
        for name, table in config.anchors.items()
    }


def _place(name: str, settings: Options, config: Config, now: Callable[[], datetime]) -> Place:
    match settings:
        case FileSettings(path=path):
            return FilePlace(name, Path(path))
        case DirectorySettings(path=path):
            return DirectoryPlace(name, Path(path))
        case GitSettings(path=path, remote=remote, author=author):
            return GitPlace(name, Path(path), remote, author)
    from proxy.anchors.s3 import S3Place, S3Settings  # noqa: PLC0415 - as above

    if not isinstance(settings, S3Settings):
        raise TypeError(settings)
    return S3Place(settings, Context(name, NamedSecrets(config), now, asyncio.sleep, os.urandom))


def on_record(config: Config) -> dict[str, str]:
    """Return what ``audit.started`` says of the anchors: each setting as text, by its place.

    None is a secret: those have names of their own.
    """
    return {
        f"anchors.{name}.{key}": str(value)
        for name, table in config.anchors.items()
        for key, value in table.items()
    }
