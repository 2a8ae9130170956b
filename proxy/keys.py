"""Where the signing and encryption keys come from, and the rules they are kept by."""

import base64
import binascii
import contextlib
import os
import re
import secrets
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.command_signer import CommandSigner
from proxy.config import Config, KeysConfig, Secret
from proxy.errors import ConfigError, InvalidInputError
from proxy.tlog.cosignature import Cosigner
from proxy.tlog.entry import key_id
from proxy.tlog.note import NoteSigner
from proxy.tlog.rotation import PURPOSES, Purpose
from proxy.tlog.signer import Signer
from proxy.tlog.signing import PrivateKeySigner

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

MASTER = "master"

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
        pending: keys that a rotation made and may have brought in before it was cut short.
        pending_master: so a master key; None when there is none.
    """

    entry: Signer = field(repr=False)
    checkpoint: Signer = field(repr=False)
    origin: str
    redaction: bytes = field(repr=False)
    master: bytes = field(repr=False)
    pending: Mapping[Purpose, Signer] = field(default_factory=dict, repr=False)
    pending_master: bytes | None = field(default=None, repr=False)

    @property
    def entry_key_id(self) -> str:
        """The ID by which signatures name the entry key, hex."""
        return key_id(self.entry.public_key)

    @property
    def entry_public(self) -> str:
        """The entry key's public part, base64 of the raw 32 bytes."""
        return base64.b64encode(self.entry.public_key).decode()

    @property
    def vkey(self) -> str:
        """The checkpoint key's public part as a C2SP verifier key."""
        return NoteSigner(self.origin, self.checkpoint).vkey

    def signer(self, purpose: Purpose) -> Signer:
        """Return what signs with the key of a purpose."""
        return self.entry if purpose == "entry" else self.checkpoint

    def close(self) -> None:
        """End the programs that sign."""
        for each in (self.entry, self.checkpoint, *self.pending.values()):
            each.close()


def open_keys(
    config: Config, *, create: bool, instead: Mapping[Purpose, Signer] = MappingProxyType({})
) -> KeyRing:
    """Take each key from the configuration, or from the data directory.

    Args:
        config: says where.
        create: make what is missing, if this is the first start. A key is never made beside a
            database that exists: its states could not be read, or its log would have two ends.
        instead: signers that take the place of keys that are lost.

    Raises:
        ConfigError: a key is missing, malformed, used twice, or readable by others; all such
            mistakes at once.
    """
    keychain = _Keychain(config, create=create)
    entry, checkpoint = (
        instead.get(purpose) or keychain.signer(purpose, config.keys) for purpose in PURPOSES
    )
    redaction = keychain.take("redaction", config.keys.redaction, _read_bytes, _new_bytes)
    master = keychain.take("master", config.keys.master, _read_bytes, _new_bytes)
    origin = keychain.origin()
    if entry and checkpoint and entry.public_key == checkpoint.public_key:
        keychain.mistakes.append("the entry key and the checkpoint key are the same: make two")
    if master and redaction and secrets.compare_digest(master, redaction):
        keychain.mistakes.append("the master key and the redaction key are the same: make two")
    if keychain.mistakes or not (entry and checkpoint and origin and redaction and master):
        listed = "\n".join(f"  - {mistake}" for mistake in keychain.mistakes)
        raise ConfigError(f"the keys can't be used; nothing was started:\n{listed}")
    return KeyRing(
        entry,
        checkpoint,
        origin,
        redaction,
        master,
        pending_keys(config),
        pending_master(config),
    )


def read_signer(path: Path) -> Signer:
    """Return what signs with the private key in a file.

    Raises:
        ConfigError: there is no such key in it.
    """
    return PrivateKeySigner(_read_key(path, _read_private_key), str(path))


def _read_key(path: Path, read: Callable[[str], T]) -> T:
    try:
        return read(_read_private(path))
    except _UnusableError as error:
        raise ConfigError(f"{path} {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error


def command_signer(config: KeysConfig, command: str, public_key: str) -> Signer:
    """Return what signs by a program.

    Args:
        config: says how long it may take.
        command: the program with its arguments.
        public_key: base64 of 32 bytes.

    Raises:
        ConfigError: what of it can't be used.
    """
    try:
        return _command_signer(config, command, public_key)
    except _UnusableError as error:
        raise ConfigError(f"the signing command {error}") from error


def pending_keys(config: Config) -> dict[Purpose, Signer]:
    """Return the keys that a rotation made and did not put in their place.

    Raises:
        ConfigError: one of them can't be read.
    """
    return {
        purpose: read_signer(path)
        for purpose in PURPOSES
        if (path := pending_path(config, purpose)).exists()
    }


def pending_master(config: Config) -> bytes | None:
    """Return the master key that a rotation made and did not put in its place, if there is one.

    Raises:
        ConfigError: it can't be read.
    """
    path = pending_path(config, MASTER)
    return read_master(path) if path.exists() else None


def read_master(path: Path) -> bytes:
    """Return the master key in a file.

    Raises:
        ConfigError: there is no such key in it.
    """
    return _read_key(path, _read_bytes)


@contextlib.contextmanager
def rotating(config: Config) -> Iterator[None]:
    """Keep others from deciding what becomes of a pending key, and from copying keys.

    Raises:
        ConfigError: somebody does that now.
    """
    with _locked(config, LOCK_EX, "a key is being rotated at this moment, or all are being copied"):
        yield


@contextlib.contextmanager
def not_rotating(config: Config) -> Iterator[None]:
    """Keep the keys as they are, so that a copy of them fits what is stored.

    Raises:
        ConfigError: one is being rotated.
    """
    with _locked(config, LOCK_SH, "a key is being rotated at this moment"):
        yield


@contextlib.contextmanager
def _locked(config: Config, how: int, otherwise: str) -> Iterator[None]:
    path = config.data.keys / ".rotation.lock"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} can't be made: {error.strerror}") from error
    try:
        flock(handle, how | LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise ConfigError(f"{otherwise}: try again") from error
    try:
        yield
    finally:
        os.close(handle)


def make_pending(config: Config, purpose: Purpose) -> Signer:
    """Make a signing key beside the one in force, whose successor it is to be; durable on return.

    One that an earlier attempt left is no use to anybody and is made anew.

    Raises:
        ConfigError: it can't be written.
    """
    path = _make_pending(config, purpose, _new_private_key())
    made = _read_private_key(_read_private(path))
    return PrivateKeySigner(made, str(config.data.keys / FILES[purpose]))


def make_pending_master(config: Config) -> bytes:
    """Make a master key, as make_pending does a signing key.

    Raises:
        ConfigError: it can't be written.
    """
    return read_master(_make_pending(config, MASTER, _new_bytes()))


def _make_pending(config: Config, purpose: str, text: str) -> Path:
    path = pending_path(config, purpose)
    try:
        for each in (path, *path.parent.glob(f".{path.name}.*")):  # also drafts of one cut short
            each.unlink(missing_ok=True)
        _write_private(path, text)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
    return path


def pending_path(config: Config, purpose: str) -> Path:
    """Return the file of a key that is to follow the one in force."""
    name = Path(FILES[purpose])
    return config.data.keys / f"{name.stem}.next{name.suffix}"


def settle_pending(config: Config, purpose: str, *, is_in_force: bool) -> None:
    """Put the pending key in the place of the retired one, or drop it; durable on return.

    Args:
        config: says where.
        purpose: what the key is for.
        is_in_force: whether it is the one that is needed from now on.

    Raises:
        ConfigError: the files can't be changed.
    """
    path, pending = config.data.keys / FILES[purpose], pending_path(config, purpose)
    try:
        if is_in_force:
            # Held open, so that its content can be overwritten once its name is the successor's.
            with _held(path) as retired:
                pending.replace(path)
                _sync(path.parent)
                _overwrite(retired)
        else:
            with _held(pending) as unused:
                pending.unlink(missing_ok=True)
                _sync(path.parent)
                _overwrite(unused)
    except OSError as error:
        raise ConfigError(
            f"the {purpose} key in {path.parent} can't be settled after a rotation: "
            f"{error.strerror}; check owner and free space, and try again"
        ) from error


def destroy_key(config: Config, purpose: str) -> None:
    """Remove a retired key from the data directory; durable on return.

    Raises:
        ConfigError: it can't be removed.
    """
    path = config.data.keys / FILES[purpose]
    try:
        with _held(path) as retired:
            path.unlink(missing_ok=True)
            _sync(path.parent)
            _overwrite(retired)
    except OSError as error:
        raise ConfigError(
            f"{path} is retired but could not be removed: {error.strerror}; remove it yourself"
        ) from error


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int | None]:
    """Hold a file open for writing; None when there is none."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _overwrite(handle: int | None) -> None:
    if handle is not None:
        os.pwrite(handle, bytes(os.fstat(handle).st_size), 0)
        os.fsync(handle)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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

    def signer(self, purpose: Purpose, config: KeysConfig) -> Signer | None:
        """Return what signs for a purpose, or None after noting why nothing does."""
        given, command, public_key = (
            (config.entry, config.entry_command, config.entry_public)
            if purpose == "entry"
            else (config.checkpoint, config.checkpoint_command, config.checkpoint_public)
        )
        if (command or public_key) and given is not None:
            self.mistakes.append(
                f"[keys] {purpose}_command stands beside a private key from elsewhere: keep one"
            )
            return None
        if command or public_key:
            try:
                return _command_signer(config, command, public_key)
            except _UnusableError as error:
                self.mistakes.append(f"[keys] {purpose}_command {error}")
                return None
        key = self.take(purpose, given, _read_private_key, _new_private_key)
        place = "the configuration" if given is not None else str(self._directory / FILES[purpose])
        return None if key is None else PrivateKeySigner(key, place)

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
                "a new key would not fit what is stored. If there is none: for a key that signs, "
                "`tfaudit key rotate entry --lost PUBLIC` (or checkpoint) goes on with another; "
                "docs/keys.md has the drill for each"
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
        _sync(directory)


def _command_signer(config: KeysConfig, command: str, public_key: str) -> Signer:
    try:
        raw = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != SECRET_BYTES:
        raise _UnusableError("needs the public key that the program signs with: base64 of 32 bytes")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _UnusableError(f"can't be parted into words: {error}") from error
    if not words:
        raise _UnusableError("names no program: give it with its arguments")
    return CommandSigner(command, raw, seconds=config.command_timeout)


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
