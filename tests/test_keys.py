"""Tests of proxy.keys."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxy.config import AuditConfig, Config, DataConfig, KeysConfig, Secret
from proxy.errors import ConfigError
from proxy.keys import open_keys
from proxy.tlog.note import NoteVerifier


def settings(folder: Path, *, origin: str = "", **keys: Any) -> Config:
    """Return a configuration whose data directory is a new one in the folder."""
    return Config(
        data=DataConfig(folder / "data"),
        keys=KeysConfig(**{name: as_setting(name, value) for name, value in keys.items()}),
        audit=AuditConfig(origin=origin),
    )


def as_setting(name: str, value: Any) -> Any:
    """Return a secret as one, and whatever else as it is."""
    return Secret(value) if name in {"entry", "checkpoint", "redaction", "master"} else value


def pem(key: Ed25519PrivateKey | None = None) -> str:
    """Return a private key as its file would hold it."""
    key = key or Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def refusal(config: Config, *, create: bool = False) -> str:
    """Return why the keys can't be used."""
    with pytest.raises(ConfigError) as caught:
        open_keys(config, create=create)
    return str(caught.value)


def test_the_first_start_makes_the_keys_and_later_ones_find_them(tmp_path: Path) -> None:
    """What was made once is what is read from then on."""
    config = settings(tmp_path)
    made = open_keys(config, create=True)
    for create in (True, False):
        found = open_keys(config, create=create)
        assert (made.entry_public, made.vkey, made.redaction, made.master, made.origin) == (
            found.entry_public,
            found.vkey,
            found.redaction,
            found.master,
            found.origin,
        )


def test_keys_are_made_for_nobody_else(tmp_path: Path) -> None:
    """Directories are 0700 and files 0600; no draft is left behind."""
    open_keys(settings(tmp_path), create=True)
    modes = {
        str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")
    }
    assert {
        "data": 0o700,
        "data/keys": 0o700,
        "data/keys/entry.pem": 0o600,
        "data/keys/checkpoint.pem": 0o600,
        "data/keys/redaction.key": 0o600,
        "data/keys/master.key": 0o600,
        "data/keys/origin": 0o600,
    } == modes


def test_every_start_of_a_new_log_makes_its_own_keys(tmp_path: Path) -> None:
    """Two data directories share no key and no origin."""
    one = open_keys(settings(tmp_path / "one"), create=True)
    two = open_keys(settings(tmp_path / "two"), create=True)
    assert one.origin != two.origin
    assert one.entry_public != two.entry_public
    assert not {one.master, one.redaction} & {two.master, two.redaction}


def test_public_parts_are_what_a_verifier_takes(tmp_path: Path) -> None:
    """The verifier key names the origin; the entry key is 32 bytes, its ID 8."""
    keys = open_keys(settings(tmp_path, origin="log.example.com/tf"), create=True)
    assert "log.example.com/tf" == keys.origin == NoteVerifier.parse(keys.vkey).name
    assert 32 == len(base64.b64decode(keys.entry_public))
    assert 16 == len(keys.entry_key_id)


def test_a_key_ring_does_not_show_its_keys(tmp_path: Path) -> None:
    """Printing the ring shows the origin alone."""
    keys = open_keys(settings(tmp_path, origin="o"), create=True)
    assert "KeyRing(origin='o')" == repr(keys)


def test_without_a_first_start_there_are_no_keys(tmp_path: Path) -> None:
    """A command on a directory where nothing is makes nothing there."""
    assert "entry.pem does not exist: start the server once" in refusal(settings(tmp_path))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["entry.pem", "checkpoint.pem", "master.key", "origin"])
def test_a_lost_key_is_never_replaced_beside_a_database(tmp_path: Path, name: str) -> None:
    """A new key would make stored states unreadable or the log two logs."""
    config = settings(tmp_path)
    open_keys(config, create=True)
    config.data.database.touch()
    (config.data.keys / name).unlink()
    said = refusal(config, create=True)
    assert f"{name} is missing while" in said
    assert "docs/keys.md has the drill" in said
    assert "--lost" in said
    assert not (config.data.keys / name).exists()


def test_a_start_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    """Keys that are missing while there is no database yet are made; others are kept."""
    config = settings(tmp_path)
    made = open_keys(config, create=True)
    (config.data.keys / "master.key").unlink()
    again = open_keys(config, create=True)
    assert made.vkey == again.vkey
    assert made.master != again.master


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    """The message says which file and how to close it."""
    config = settings(tmp_path)
    open_keys(config, create=True)
    path = config.data.keys / "master.key"
    path.chmod(mode)
    assert f"run chmod 600 {path}" in refusal(config)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody has to start twice to find two bad keys."""
    config = settings(tmp_path, master="x", entry="y")
    assert 2 == refusal(config, create=True).count("\n")


@pytest.mark.parametrize(
    ("purpose", "text", "reason"),
    [
        ("entry", "", "the entry key from the configuration is not a private key in PEM"),
        ("entry", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----", "is not a"),
        (
            "entry",
            generate_private_key(SECP256R1())
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            "is not an Ed25519 key",
        ),
        (
            "checkpoint",
            Ed25519PrivateKey.generate()
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
            .decode(),
            "the checkpoint key from the configuration is encrypted",
        ),
        ("master", "secret", "the master key from the configuration is not base64"),
        ("master", base64.b64encode(bytes(31)).decode(), "has 31 bytes instead of 32"),
        ("redaction", base64.b64encode(bytes(33)).decode(), "has 33 bytes instead of 32"),
        ("redaction", "", "has 0 bytes instead of 32"),
        ("redaction", "\u00e4", "is not base64"),
    ],
)
def test_a_malformed_key_is_refused_and_not_repeated(
    tmp_path: Path, purpose: str, text: str, reason: str
) -> None:
    """The message names the key and what is wrong, never what it holds."""
    message = refusal(settings(tmp_path, **{purpose: text}), create=True)
    assert reason in message
    assert "secret" not in message


def test_a_key_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Raw bytes where base64 belongs are told as such."""
    config = settings(tmp_path)
    open_keys(config, create=True)
    (config.data.keys / "master.key").write_bytes(b"\xff" * 32)
    assert "master.key is not a text file" in refusal(config)


def test_keys_from_the_configuration_are_used_and_not_stored(tmp_path: Path) -> None:
    """What a secret store gives is never copied to the disk."""
    entry, checkpoint = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    keys = open_keys(
        settings(
            tmp_path,
            entry=pem(entry),
            checkpoint=pem(checkpoint),
            redaction=base64.b64encode(b"r" * 32).decode() + "\n",
            master=base64.b64encode(b"m" * 32).decode(),
        ),
        create=True,
    )
    assert (b"r" * 32, b"m" * 32) == (keys.redaction, keys.master)
    assert entry.sign(b"entry") == keys.entry.sign(b"entry")
    assert ["origin"] == [path.name for path in (tmp_path / "data" / "keys").iterdir()]


def test_one_key_for_two_purposes_is_refused(tmp_path: Path) -> None:
    """Keys are separate by purpose, so that no signature can be passed off as another."""
    key, secret = pem(), base64.b64encode(b"s" * 32).decode()
    message = refusal(
        settings(tmp_path, entry=key, checkpoint=key, redaction=secret, master=secret), create=True
    )
    assert "the entry key and the checkpoint key are the same" in message
    assert "the master key and the redaction key are the same" in message


def test_a_log_keeps_its_name(tmp_path: Path) -> None:
    """A changed origin would be another log over the same entries."""
    open_keys(settings(tmp_path, origin="one"), create=True)
    assert "one" == open_keys(settings(tmp_path), create=False).origin
    assert "this log was begun as 'one'" in refusal(settings(tmp_path, origin="two"), create=True)


def test_a_damaged_name_is_refused(tmp_path: Path) -> None:
    """An origin that no checkpoint could carry is not used."""
    config = settings(tmp_path)
    open_keys(config, create=True)
    (config.data.keys / "origin").write_text("two words\n")
    assert "does not hold a log's name" in refusal(config)


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file in the place of the directory is a clear failure, not a traceback."""
    (tmp_path / "data").write_text("")
    assert "entry.pem can't be used: " in refusal(settings(tmp_path), create=True)


def test_two_first_starts_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever links its key first wins; the other one takes that key."""
    config = settings(tmp_path)
    first = open_keys(config, create=True)
    # The second looked before the first had made its files: it goes on to make its own.
    monkeypatch.setattr("proxy.keys._read_private", _blind_once())
    second = open_keys(config, create=True)
    assert (first.vkey, first.master, first.origin) == (second.vkey, second.master, second.origin)


def _blind_once() -> object:
    """Return a reader that finds each file only the second time."""
    from proxy.keys import _read_private  # noqa: PLC0415 - before it is replaced

    seen: set[Path] = set()

    def read(path: Path) -> str:
        if path not in seen:
            seen.add(path)
            raise FileNotFoundError
        return _read_private(path)

    return read


PUBLIC = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


def test_a_key_may_be_a_programs(tmp_path: Path) -> None:
    """Its public half is known from the configuration; nothing is run, and no file is made."""
    ring = open_keys(
        settings(tmp_path, entry_command="/no/such program", entry_public=PUBLIC), create=True
    )
    assert (PUBLIC, "the command /no/such") == (ring.entry_public, ring.entry.place)
    assert not (tmp_path / "data" / "keys" / "entry.pem").exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"entry_command": "sign"}, "needs the public key that the program signs with"),
        ({"entry_command": "sign", "entry_public": "AAAA"}, "base64 of 32 bytes"),
        ({"entry_public": PUBLIC}, "names no program"),
        ({"entry_command": "a 'b", "entry_public": PUBLIC}, "can't be parted into words"),
        (
            {"entry_command": "sign", "entry_public": PUBLIC, "entry": "PEM"},
            "stands beside a private key from elsewhere",
        ),
    ],
)
def test_a_signing_command_that_can_not_be_used_is_refused(
    tmp_path: Path, given: dict[str, str], why: str
) -> None:
    """The setting is named, with what is wrong with it."""
    message = refusal(settings(tmp_path, **given), create=True)
    assert "[keys] entry_command" in message
    assert why in message
