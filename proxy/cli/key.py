"""``tfaudit key``: shows the public keys with which anybody can check the log, and rotates keys."""

from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli._common import (
    ConfigOption,
    DataOption,
    JsonOption,
    YesOption,
    confirm,
    is_backup,
    notice,
    require_directory,
    run,
    settings,
)
from proxy.cli._output import clean, print_json
from proxy.errors import ConfigError, InvalidInputError

if TYPE_CHECKING:
    from proxy.cli._rotation import Span
    from proxy.config import Config
    from proxy.keys import KeyRing
    from proxy.tlog.rotation import KeyHistory

app = typer.Typer(no_args_is_help=True, help="Show the log's public keys, and rotate its keys.")


class Purpose(StrEnum):
    """Keys that can be rotated."""

    ENTRY = "entry"
    CHECKPOINT = "checkpoint"
    MASTER = "master"


@app.command("show")
def show(data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the public keys of entries and checkpoints. Give them to your auditor now.

    Whoever holds them, from outside this machine, can prove with [bold]tfaudit verify[/] that
    nothing in the log was changed.
    """
    ring = _keys(settings(data, config))
    if as_json:
        print_json(_shown(ring))
        return
    typer.echo(f"origin          {clean(ring.origin)}")
    typer.echo(f"entry key       {ring.entry_public}  (Ed25519, key ID {ring.entry_key_id})")
    typer.echo(f"checkpoint key  {clean(ring.vkey)}")


@app.command("list")
def list_keys(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List all keys of the log, former ones too: what for, from which entry on, where kept."""
    from proxy.sealing import master_id  # noqa: PLC0415 - quick start

    loaded = settings(data, config)
    known = _known(loaded)
    rows = [{**_row(known.ring, each), "kept": _kept(known.ring, each)} for each in known.spans] + [
        {
            "purpose": purpose,
            "algorithm": algorithm,
            "key_id": key_id,
            "from": None,
            "until": None,
            "kept": "the configuration"
            if given is not None
            else str(loaded.data.keys / f"{purpose}.key"),
        }
        for purpose, algorithm, key_id, given in (
            ("redaction", "HMAC-SHA256", None, loaded.keys.redaction),
            ("master", "AES-256-GCM", master_id(known.ring.master), loaded.keys.master),
        )
    ]
    if as_json:
        print_json({"origin": known.ring.origin, "keys": rows})
        return
    for row in rows:
        where = "" if row["from"] is None else f"from entry {row['from']} "
        until = "" if row["until"] is None else f"to {int(str(row['until'])) - 1} "
        typer.echo(
            f"{row['purpose']:<11} {row['key_id'] or '-':<17} {row['algorithm']:<12} "
            f"{where}{until}{clean(str(row['kept']))}"
        )


@app.command("export-public")
def export_public(
    data: DataOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Print all public keys that the log was ever signed with: what an auditor keeps.

    The file that --json makes is what [bold]tfaudit verify --key[/] takes.
    """
    known = _known(settings(data, config))
    rows = [_row(known.ring, each) for each in known.spans]
    if as_json:
        rotations = [{"index": each.index, **each.part()} for each in known.history.rotations]
        print_json({**_shown(known.ring), "keys": rows, "rotations": rotations})
        return
    for row in rows:
        typer.echo(f"{row['purpose']:<11} {clean(str(row.get('vkey') or row['public_key']))}")


@app.command("rotate")
def rotate(
    *,
    purpose: Annotated[Purpose, typer.Argument(metavar="entry|checkpoint|master")],
    to_file: Annotated[
        Path | None,
        typer.Option(
            "--to-file",
            metavar="FILE",
            help="The new private key in PEM (the master key: base64), where keys come from the "
            "configuration. Default: a new one in the data directory.",
        ),
    ] = None,
    to_command: Annotated[
        str,
        typer.Option("--to-command", metavar="COMMAND", help="A program that signs from now on."),
    ] = "",
    to_public: Annotated[
        str,
        typer.Option("--to-public", metavar="BASE64", help="The public key that it signs with."),
    ] = "",
    lost: Annotated[
        str | None,
        typer.Option(
            "--lost",
            metavar="PUBLIC",
            help="The private key is lost, and this is its public half, as 'key show' printed it: "
            "the log's other key vouches for the new one. Verification will always say so.",
        ),
    ] = None,
    yes: YesOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in a new key and destroy the former one. Stop the server first.

    The rotation of a signing key is an entry of the log, signed by both keys: whoever has any
    public key of the log can go on verifying, what is signed already stays valid. Another master
    key wraps the keys of all stored states anew, which is an entry, too.
    """
    from proxy.cli import _rotation as rotation  # noqa: PLC0415
    from proxy.server_lock import only_server  # noqa: PLC0415 - quick start of the command line

    loaded = settings(data, config)
    require_directory(loaded)
    if is_backup(loaded.data.directory):
        raise ConfigError(f"{loaded.data.directory} is a backup, whose log must not grow")
    if purpose is Purpose.MASTER:
        if to_command or to_public or lost is not None:
            raise InvalidInputError(
                "--to-command, --to-public and --lost are of signing keys: a master key that is "
                "lost opens nothing any more (docs/keys.md has the drill)"
            )
        _rotate_master(loaded, to_file, is_confirmed=yes, as_json=as_json)
        return
    if bool(to_command) != bool(to_public) or (to_file is not None and to_command):
        raise InvalidInputError(
            "name the new key once: --to-file, or --to-command together with --to-public"
        )
    if not yes:
        confirm(f"Bring in a new {purpose} key and destroy the former one?")
    with only_server(loaded):
        done = run(
            rotation.rotate(
                loaded,
                "entry" if purpose is Purpose.ENTRY else "checkpoint",
                rotation.Successor(to_file, to_command, to_public),
                None if lost is None else _lost(purpose, lost),
            )
        )
    if as_json:
        print_json({"index": done.rotation.index, **done.rotation.part(), "kept": done.place})
    else:
        typer.echo(
            f"Entry {done.rotation.index} brought in a new {purpose} key, kept in "
            f"{clean(done.place)}."
        )
    if done.is_elsewhere:
        notice(f"Name the new key in [keys] before you start the server: {done.place}")
    if done.was_elsewhere:
        notice("The retired private key is not in the data directory: destroy it where it is kept.")
    notice("Give your auditors the new public keys: tfaudit key export-public --json")


def _rotate_master(
    config: "Config", to_file: Path | None, *, is_confirmed: bool, as_json: bool
) -> None:
    from proxy.cli._rewrapping import rotate_master  # noqa: PLC0415
    from proxy.server_lock import only_server  # noqa: PLC0415 - quick start of the command line

    if not is_confirmed:
        confirm("Wrap the keys of all stored states by a new master key and destroy the former?")
    with only_server(config):
        done = run(rotate_master(config, to_file))
    if as_json:
        print_json(
            {
                "index": done.index,
                "purpose": "master",
                "old": done.old,
                "new": done.new,
                "versions": done.versions,
                "kept": done.place,
            }
        )
    else:
        typer.echo(
            f"Entry {done.index} brought in a new master key, kept in {clean(done.place)}: the "
            f"keys of {done.versions} stored versions are wrapped by it."
        )
    if done.is_elsewhere:
        notice(f"Name the new key in [keys] before you start the server: {done.place}")
    if done.was_elsewhere:
        notice("The retired key is not in the data directory: destroy it where it is kept.")
    notice(
        "Backups made before open with the retired key alone. Make a new backup, and destroy the "
        "old ones together with their keys if somebody may have had that key."
    )


def _lost(purpose: Purpose, text: str) -> bytes:
    from proxy.cli._verification import parse_entry_key  # noqa: PLC0415 - quick start
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    if purpose is Purpose.ENTRY:
        return parse_entry_key(text).public_bytes_raw()
    return NoteVerifier.parse(text).public_key.public_bytes_raw()


def _keys(config: "Config") -> "KeyRing":
    from proxy.program import keys_in_force  # noqa: PLC0415 - quick start of the command line

    require_directory(config)
    return keys_in_force(config, create=False)


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys in force, and how the log came to them."""

    ring: "KeyRing"
    history: "KeyHistory"
    spans: "list[Span]"


def _known(config: "Config") -> _Known:
    from proxy.cli._rotation import spans  # noqa: PLC0415 - quick start
    from proxy.key_history import history_of  # noqa: PLC0415
    from proxy.storage.reader import SQLiteReader  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415
    from proxy.tlog.rotation import PURPOSES  # noqa: PLC0415

    ring = _keys(config)

    async def action() -> "KeyHistory":
        async with SQLiteReader(config.data.database) as store:
            verifiers = (NoteVerifier.parse(ring.vkey),)
            return await history_of(store, (ring.entry.public_key,), verifiers)

    history = run(action())
    found = [
        each
        for purpose in PURPOSES
        for each in spans(history, purpose, ring.signer(purpose).public_key)
    ]
    for purpose in PURPOSES:
        current = ring.signer(purpose).public_key
        if not any(each.public_key == current and each.until is None for each in found):
            raise ConfigError(
                f"the {purpose} key in use is not the one that the log's rotations lead to: run "
                "`tfaudit verify`"
            )
    return _Known(ring, history, found)


def _shown(ring: "KeyRing") -> dict[str, Any]:
    return {
        "entry": {"key_id": ring.entry_key_id, "public_key": ring.entry_public},
        "checkpoint": {"vkey": ring.vkey, "origin": ring.origin},
    }


def _row(ring: "KeyRing", span: "Span") -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - quick start
        Ed25519PublicKey,
    )

    from proxy.tlog.entry import key_id  # noqa: PLC0415
    from proxy.tlog.note import NoteVerifier  # noqa: PLC0415

    row: dict[str, Any] = {
        "purpose": span.purpose,
        "algorithm": "Ed25519",
        "public_key": b64encode(span.public_key).decode(),
        "from": span.since,
        "until": span.until,
        "vouched": span.is_vouched,
    }
    if span.purpose == "entry":
        return row | {"key_id": key_id(span.public_key)}
    verifier = NoteVerifier(ring.origin, Ed25519PublicKey.from_public_bytes(span.public_key))
    return row | {"key_id": verifier.key_id.hex(), "vkey": verifier.vkey}


def _kept(ring: "KeyRing", span: "Span") -> str:
    return "retired" if span.until is not None else ring.signer(span.purpose).place
