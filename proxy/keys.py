"""Where the signing and encryption keys come from, and the rules they are kept by."""

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.config import Config, Secret
from proxy.errors import ConfigError, InvalidInputError
from proxy.tlog.cosignature import Cosigner
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteSigner

T = TypeVar("T")

SECRET_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ORIGIN = re.compile(r"[!-*,-~]{1,255}")

FILES = {
    "entry": "entry.pem",
    "checkpoint": "checkpoint.pem",
    "redaction": "redaction.key",
    "master": "master.key",
}
"""Purpose -> name of the file in the data directory's ``keys``."""

_ORIGIN_FILE = "origin"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one log, each for one purpose and no other.

    Attributes:
        entry: signs entries.
        checkpoint: signs checkpoints and nothing else.
        origin: the log's name in its checkpoints, and so the name of the checkpoint key.
        redaction: keys the commitments of redacted values, 32 bytes.
        master: wraps the keys of the stored states, 32 bytes.
    """

    entry: Ed25519PrivateKey = field(repr=False)
    checkpoint: Ed25519PrivateKey = field(repr=False)
    origin: str
    redaction: bytes = field(repr=False)
    master: bytes = field(repr=False)

    @property
    def entry_key_id(self) -> str:
        """The ID by which signatures name the entry key, hex."""
        return key_id(self.entry.public_key().public_bytes_raw())

    @property
    def entry_public(self) -> str:
        """The entry key's public part, base64 of the raw 32 bytes."""
        return base64.b64encode(self.entry.public_key().public_bytes_raw()).decode()

    @property
    def vkey(self) -> str:
        """The checkpoint key's public part as a C2SP verifier key."""
        return NoteSigner(self.origin, self.checkpoint).vkey


def open_keys(config: Config, *, create: bool) -> KeyRing:
    """Take each key from the configuration, or from the data directory.

    Args:
        config: says where.
        create: make what is missing, if this is the first start. A key is never made beside a
            database that exists: its states could not be read, or its log would have two ends.

    Raises:
        ConfigError: a key is missing, malformed, used twice, or readable by others; all such
            mistakes at once.
    """
    keychain = _Keychain(config, create=create)
    entry = keychain.take("entry", config.keys.entry, _read_private_key, _new_private_key)
    checkpoint = keychain.take(
        "checkpoint", config.keys.checkpoint, _read_private_key, _new_private_key
    )
    redaction = keychain.take("redaction", config.keys.redaction, _read_bytes, _new_bytes)
    master = keychain.take("master", config.keys.master, _read_bytes, _new_bytes)
    origin = keychain.origin()
    if entry and checkpoint and entry.private_bytes_raw() == checkpoint.private_bytes_raw():
        keychain.mistakes.append("the entry key and the checkpoint key are the same: make two")
    if master and redaction and secrets.compare_digest(master, redaction):
        keychain.mistakes.append("the master key and the redaction key are the same: make two")
    if keychain.mistakes or not (entry and checkpoint and origin and redaction and master):
        listed = "\n".join(f"  - {mistake}" for mistake in keychain.mistakes)
        raise ConfigError(f"the keys can't be used; nothing was started:\n{listed}")
    return KeyRing(entry, checkpoint, origin, redaction, master)


_WITNESS_KEY, _WITNESS_NAME = "witness.pem", "witness-name"


def open_witness_key(directory: Path, name: str | None, *, is_known: bool) -> Cosigner:
    """Take a witness's key and name from its directory, made on its first start.

    Args:
        directory: of the witness; its keys are in ``keys``.
        name: of the witness; only the first start needs it, and no later one can change it.
        is_known: the witness cosigned before, so that a new key would be another witness.

    Raises:
        ConfigError: a file is missing, malformed, or readable by others.
    """
    keys = directory / "keys"
    path = keys / _WITNESS_NAME
    try:
        if name is not None and not path.exists() and not is_known:
            Cosigner(name, Ed25519PrivateKey.generate())  # refuses what can't be a name
            # The name last: a first start that was cut off can be done again.
            _write_private(keys / _WITNESS_KEY, _new_private_key())
            _write_private(path, f"{name}\n")
        if not path.exists():
            raise ConfigError(
                f"{directory} holds no witness: give --name once, such as "
                "--name witness.example.com/1, which makes one"
                if not is_known
                else f"{path} is missing while this witness cosigned before: restore it from a "
                "backup"
            )
        stored = _read_private(path).strip()
        if name not in {None, stored}:
            raise ConfigError(
                f"--name is {name!r}, but this witness is {stored!r}: logs know it by that name; "
                "leave --name out, or name another directory with --data"
            )
        path = keys / _WITNESS_KEY
        return Cosigner(stored, _read_private_key(_read_private(path)))
    except _UnusableError as error:
        raise ConfigError(f"{path} {error}") from error
    except OSError as error:
        raise ConfigError(f"{error.filename or path} can't be used: {error.strerror}") from error
    except (UnicodeError, InvalidInputError) as error:
        raise ConfigError(f"{path} can't be used: {error}") from error


class _UnusableError(Exception):
    """What is wrong with a key, worded to be read after the name of its place."""


class _Keychain:
    """The keys' directory, and the mistakes found so far."""

    def __init__(self, config: Config, *, create: bool) -> None:
        self.mistakes: list[str] = []
        self._directory = config.data.keys
        self._database = config.data.database
        self._origin = config.audit.origin
        self._create = create

    def take(
        self, purpose: str, given: Secret | None, read: Callable[[str], T], new: Callable[[], str]
    ) -> T | None:
        """Return the key, or None after noting why there is none."""
        path = self._directory / FILES[purpose]
        try:
            if given is not None:
                place = f"the {purpose} key from the configuration"
                return read(given.reveal())
            place = str(path)
            return read(self._load(path, new))
        except _UnusableError as error:
            self.mistakes.append(f"{place} {error}")
            return None

    def origin(self) -> str | None:
        """Return the log's name, which never changes once it is made."""
        path = self._directory / _ORIGIN_FILE
        try:
            if self._origin and not self._create and not path.exists():
                return self._origin
            stored = self._load(
                path,
                lambda: f"{self._origin or f'tfaudit.local/{secrets.token_hex(8)}'}\n",
                make=self._create and (bool(self._origin) or not self._database.exists()),
            ).strip()
        except _UnusableError as error:
            self.mistakes.append(f"{path} {error}")
            return None
        if not _ORIGIN.fullmatch(stored):
            self.mistakes.append(f"{path} does not hold a log's name: restore it from a backup")
            return None
        if self._origin and self._origin != stored:
            self.mistakes.append(
                f"[audit] origin is {self._origin!r}, but this log was begun as {stored!r}: "
                "a log keeps its name; set it back, or begin a new data directory"
            )
            return None
        return stored

    def _load(self, path: Path, new: Callable[[], str], *, make: bool | None = None) -> str:
        """Return the file's text, made first when it may be.

        Raises:
            _UnusableError: what is wrong, to be read after the path.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                return _read_private(path)
            if make is None:
                make = self._create and not self._database.exists()
            if make:
                _write_private(path, new())
                return _read_private(path)
        except OSError as error:
            raise _UnusableError(f"can't be used: {error.strerror}") from error
        except UnicodeDecodeError:
            raise _UnusableError("is not a text file") from None
        if self._database.exists():
            raise _UnusableError(
                f"is missing while {self._database} exists: restore it from a backup; "
                "a new key would not fit what is stored"
            )
        raise _UnusableError("does not exist: start the server once, which makes it")


def _read_private(path: Path) -> str:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & _OTHERS:
            raise _UnusableError(
                f"can be used by others (mode {stat.S_IMODE(mode):04o}): run chmod 600 {path}"
            )
        return file.read().decode("ascii")


def _write_private(path: Path, text: str) -> None:
    """Make the file whole, durable and 0600, or not at all; one that exists is left alone."""
    keys, data = path.parent, path.parent.parent
    for directory in (data, keys):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Another first start at the same moment may have won; then its key is everybody's.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    # A key must not be lost in a power cut after which the database is still there.
    for directory in (keys, data, data.parent):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_private_key(text: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise _UnusableError("is encrypted with a pass phrase: store it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        # Not chained: a parser's message may quote the key.
        raise _UnusableError("is not a private key in PEM (PKCS #8)") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _UnusableError("is not an Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
    return key


def _new_private_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read_bytes(text: str) -> bytes:
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _UnusableError("is not base64: openssl rand -base64 32 makes a key") from None
    if len(key) != SECRET_BYTES:
        raise _UnusableError(f"has {len(key)} bytes instead of {SECRET_BYTES}")
    return key


def _new_bytes() -> str:
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode() + "\n"
