"""Check a bundle of a tfaudit log: ``python3 -I verify.py BUNDLE.zip --key KEYS``.

It needs Python 3.11 and ``cryptography`` alone. Get the keys from the log's owner, not from the
bundle, whose maker could put others there. Exit codes: 0 it holds; 1 not, and why; 2 can't tell.
Read it from ``check`` on, near the end. The tree is that of RFC 6962 section 2.1, signatures are
Ed25519 (RFC 8032), a checkpoint is a signed note (https://c2sp.org/tlog-checkpoint), which
witnesses may have cosigned (https://c2sp.org/tlog-cosignature).
"""

import argparse
import hashlib
import json
import re
import stat
import sys
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:  # exits with 2
    argparse.ArgumentParser().error("needs a package that is missing: pip install cryptography")

NAMES = re.compile(
    r"README\.txt|verify\.py|index\.html|entries\.csv|(manifest|keys|events|entry\.schema)\.json"
    r"|(proofs/)?entries\.jsonl|proofs/consistency\.json|documents/[0-9]{1,16}\.json"
    r"|checkpoints/(newest|before|since|cosigned)"
)
LINE = re.compile(
    rb'\{"index":([0-9]{1,16}),"entry":(\{.*\}),"leaf_hash":"([0-9a-f]{64})",'
    rb'"signature":\{"key_id":"([0-9a-f]{16})","value":"([A-Za-z0-9+/]{86}==)"\}\}\n'
)
LOG, WITNESS = b"\x01", b"\x04"  # kinds of verifier keys
EVIDENCE = "Only entries.jsonl and documents/ are evidence; entries.csv and index.html are not."


class BadError(Exception):
    """Something does not hold."""


class UnknownError(Exception):
    """It could not be told."""


class Files:
    """The files of a zip, or of a directory it was unpacked into; what no bundle has is refused."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        if archive is None:
            self.root: zipfile.Path | Path = path
            found = [each for each in path.rglob("*") if each.is_symlink() or not each.is_dir()]
            names = [each.relative_to(path).as_posix() for each in found]
            odd = [str(each) for each in found if each.is_symlink() or not each.is_file()]
        else:
            names = archive.namelist()
            odd = [
                each.filename  # a link or a device, or a zip bomb
                for each in archive.infolist()
                if each.file_size > 300 * each.compress_size + 10_000
                or stat.S_IFMT(each.external_attr >> 16) not in {0, stat.S_IFREG}
            ]
            self.root = zipfile.Path(archive)
        odd += [name for name in names if not NAMES.fullmatch(name)]
        if odd or len(set(names)) < len(names):
            raise BadError(f"no bundle holds {min(odd or names)!r}, or holds a file twice")
        self.names = set(names)

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield a file's lines, each with its end."""
        if name not in self.names:
            raise BadError(f"{name} is missing from the bundle")
        with self.root.joinpath(name).open("rb") as file:
            while line := file.readline(70_000):  # an entry has at most 65,535 bytes
                yield line

    def read(self, name: str) -> bytes:
        """Return a small file: its first lines, for none of these has more."""
        return b"".join(islice(self.lines(name), 99))


class Keys:
    """Public keys that are trusted, 32 bytes each, and where which of them signs."""

    def __init__(self) -> None:
        self.origin, self.quorum = "", 0  # the log's name; how many witnesses must have cosigned
        self.trusted: dict[str, set[bytes]] = {"entry": set(), "checkpoint": set()}
        self.rotations: list[dict[str, Any]] = []
        self.witnesses: dict[bytes, str] = {}  # keys of those who vouch for the log, and names

    def add(self, given: str, kind: bytes) -> None:
        """Trust a verifier key, ``name+id+base64``, or a file: of such, or of tfaudit's JSON."""
        is_key = re.fullmatch(r"\S+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*", given)
        text = given if is_key else Path(given).read_text("utf-8")
        if text.startswith("{"):
            shown = json.loads(text)
            for each in (shown["entry"], shown["checkpoint"], *shown.get("keys", [])):
                if each.get("vkey"):
                    self.add(each["vkey"], kind)
                else:
                    self.trusted["entry"].add(b64decode(each["public_key"]))
            return
        for line in filter(str.strip, text.splitlines()):
            name, _, encoded = line.split()[-1].split("+", 2)  # an address may stand before it
            raw = b64decode(encoded)
            if raw[:1] != kind:
                raise ValueError(f"{name} is not of this kind")
            if kind == WITNESS:
                self.witnesses[raw[1:]] = name
            else:
                self.origin = name
                self.trusted["checkpoint"].add(raw[1:])

    def follow(self, rotations: list[dict[str, Any]]) -> None:
        """Trust also the keys that a trusted one handed over to, or took over from.

        Both keys of a rotation sign it; for one that was lost the log's other key does, which must
        be trusted by itself: so this comes before any key of the bundle is used.
        """
        for each in (*reversed(rotations), *rotations):
            mine, (other,) = self.trusted[each["purpose"]], self.trusted.keys() - {each["purpose"]}
            old, new = b64decode(each["old"]), b64decode(each["new"])
            how, giver = ("lost", "vouched") if each["lost"] else ("handed over", "old")
            said = [each[name] for name in ("purpose", "origin", "index", "old", "new")]
            said = ["tfaudit-key-rotation-v1", *said, how]
            message = "".join(f"{line}\n" for line in said).encode()
            given, taken = (b64decode(each["signatures"].get(name, "")) for name in (giver, "new"))
            givers = self.trusted[other] if each["lost"] else {old}
            holds = any(is_signed(key, given, message) for key in givers)
            is_ours = each["origin"] == self.origin and mine & {old, new}
            if is_ours and holds and is_signed(new, taken, message):
                mine |= {old, new}
                self.rotations = [one for one in rotations if one in [*self.rotations, each]]

    def in_force(self, purpose: str, index: int) -> set[bytes]:
        """Return the keys that may sign an entry, or the checkpoint that ends with it."""
        key = None
        for each in self.rotations:
            if each["purpose"] == purpose:
                key = each["new"] if each["index"] <= index else key or each["old"]
        return {b64decode(key)} if key else self.trusted[purpose]


def is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a key signed a message."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def open_checkpoint(note: bytes, keys: Keys) -> tuple[int, bytes]:
    """Return size and root of a checkpoint that a trusted key signed."""
    text, _, signatures = note.decode().rpartition("\n\n")
    origin, size, root = text.split("\n")
    for line in signatures.splitlines():
        _, name, encoded = line.split(" ")
        raw = b64decode(encoded)
        for key in keys.in_force("checkpoint", int(size) - 1):
            key_id = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
            is_known = raw[:4] == key_id and name == origin == keys.origin
            if is_known and is_signed(key, raw[4:], f"{text}\n".encode()):
                return int(size), b64decode(root)
    raise BadError(f"the checkpoint of {size} entries is signed by no key that you trust")


def cosigned(notes: list[bytes], keys: Keys) -> int:
    """Return the size of the largest checkpoint that a quorum of the witnesses cosigned, or 0."""
    largest = 0
    for note in notes:
        text, _, signatures = note.decode().rpartition("\n\n")
        found = set()
        for line in signatures.splitlines():
            _, name, encoded = line.split(" ")
            raw = b64decode(encoded)
            message = f"cosignature/v1\ntime {int.from_bytes(raw[4:12])}\n{text}\n".encode()
            for key, its_name in keys.witnesses.items():
                key_id = hashlib.sha256(name.encode() + b"\n\x04" + key).digest()[:4]
                if (raw[:4], name) == (key_id, its_name):
                    if not is_signed(key, raw[12:], message):
                        raise BadError(f"the cosignature of {name} was changed or forged")
                    found.add(key)
        if len(found) >= keys.quorum:
            largest = max(largest, int(text.split("\n")[1]))
    return largest


class Tree:
    """A tree that grows to the right, as the complete subtrees it consists of: (width, hash)."""

    def __init__(self) -> None:
        self.size = 0
        self.parts: list[tuple[int, bytes]] = []

    def append(self, width: int, subtree: bytes) -> None:
        """Add a complete subtree of so many entries; two neighbours of one width become one."""
        self.size += width
        while self.parts and self.parts[-1][0] == width:
            subtree = hashlib.sha256(b"\x01" + self.parts.pop()[1] + subtree).digest()
            width *= 2
        self.parts.append((width, subtree))

    def fill(self, end: int, hashes: list[str]) -> bytes:
        """Add what is not in the bundle, up to an index; return the root of the tree then."""
        for each in hashes:
            # The widest subtree that can stand here: it begins at a multiple of its width.
            width = self.size & -self.size or 1 << 62
            while self.size + width > end and width > 1:
                width //= 2
            self.append(width, b64decode(each))
        if self.size != end:
            raise BadError(f"a proof leads to {self.size} entries instead of {end}")
        root = self.parts[-1][1] if self.parts else b""
        for _, left in reversed(self.parts[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def check_entry(line: bytes, index: int, keys: Keys, files: Files) -> bytes:
    """Check the line in which an entry should stand, and return its leaf hash."""
    found = LINE.fullmatch(line)
    if not found or int(found[1]) != index:
        raise BadError(f"entry {index} is missing: here is {int(found[1]) if found else 'none'}")
    entry, key_id = found[2], found[4].decode()
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    if leaf.hex().encode() != found[3]:
        raise BadError(f"entry {index} was changed: its leaf hash is another")
    named = {hashlib.sha256(key).hexdigest()[:16]: key for key in keys.in_force("entry", index)}
    if key_id not in named:
        raise BadError(f"entry {index} is signed by a key that you don't trust there, {key_id}")
    if not is_signed(named[key_id], b64decode(found[5]), b"tfaudit-entry-v1\n" + entry):
        raise BadError(f"entry {index} was changed or forged: its signature is wrong")
    if digest := (json.loads(entry).get("changes") or {}).get("sha256"):
        document = hashlib.sha256()
        for part in files.lines(f"documents/{index}.json"):
            document.update(part)
        if document.hexdigest() != digest:
            raise BadError(f"entry {index}: its change document was changed")
        files.names.remove(f"documents/{index}.json")
    return leaf


def check_entries(files: Files, keys: Keys, newest: tuple[int, bytes]) -> str:
    """Check all entries, and that each run of neighbours makes the root with what is around it."""
    about = json.loads(files.read("manifest.json"))
    first, last, is_whole = about["from"], about["to"], about["complete"]
    if not (type(first) is type(last) is int and 0 <= first <= last < newest[0]):
        raise BadError(f"manifest.json: the log has no entries from {first} to {last}")
    lines, following, count = files.lines("entries.jsonl"), first, 0
    for text in files.lines("proofs/entries.jsonl"):
        proof, tree = json.loads(text), Tree()
        start, end = proof["from"], proof["to"]
        if not following <= start <= end or (is_whole and start > following):
            raise BadError(f"entry {following} is missing: the next proof is of {start} to {end}")
        tree.fill(start, proof["left"])
        for index in range(start, end + 1):
            tree.append(1, check_entry(next(lines, b""), index, keys, files))
        if tree.fill(newest[0], proof["right"]) != newest[1]:
            raise BadError(f"entry {start}, or one up to {end}, is not in the log promised")
        following, count = end + 1, count + end + 1 - start
    if odd := [*islice(lines, 1), *(name for name in files.names if name.startswith("documents/"))]:
        raise BadError(f"after entry {following - 1} stands what has no proof: {odd[0][:40]!r}")
    if following > last + 1 or (is_whole and following <= last):
        raise BadError(f"entry {following} is missing, or too much: the last should be {last}")
    told = f"{count} entries from {first} to {last} are in the log {keys.origin} of {newest[0]}."
    if is_whole:
        return f"{told}\nNothing between them is missing."
    return f"{told}\nNOT PROVED: that nothing is missing, for these were chosen: {about['filters']}"


def check(files: Files, keys: Keys, since: Path | None) -> str:
    """Check a bundle and say what it proves."""
    shown = json.loads(files.read("keys.json"))
    keys.follow(sorted(shown["rotations"], key=lambda each: int(each["index"])))
    note = ""
    if not (own := keys.trusted["entry"]):
        own |= {b64decode(k["public_key"]) for k in shown["keys"] if "vkey" not in k}
        note = "\nThe entries' own signatures were checked with the keys in the bundle."
    notes = [files.read("checkpoints/newest")]
    newest = open_checkpoint(notes[0], keys)
    told = check_entries(files, keys, newest) + note
    roots = dict([newest])
    growth = json.loads(files.read("proofs/consistency.json"))
    for name in sorted({"before", "cosigned", "since"} & growth.keys()):
        notes.append(files.read(f"checkpoints/{name}"))
        size, root = open_checkpoint(notes[-1], keys)
        tree, now = Tree(), growth[name]
        if tree.fill(size, now["left"]) != root or tree.fill(newest[0], now["right"]) != newest[1]:
            raise BadError(f"the log was rewritten: it doesn't begin with {size} promised entries")
        roots[size] = root
        told += f"\nThe log only grew from {size} entries to {newest[0]}."
    if since is not None:
        size, root = -1, b""
        with suppress(ValueError):  # some other file
            size, root = open_checkpoint(since.read_bytes(), keys)
        if size not in roots:
            raise UnknownError(f"no proof leads from {since}: is it the right one? Or ask for one")
        if roots[size] != root:
            raise BadError(f"the log was rewritten: its first {size} entries are others")
    if keys.witnesses:
        who = f"{keys.quorum} of your {len(keys.witnesses)} witnesses"
        if not (size := cosigned(notes, keys)):
            raise BadError(f"missing: no checkpoint in the bundle is cosigned by {who}")
        if size <= json.loads(files.read("manifest.json"))["to"]:
            raise UnknownError(f"{who} cosigned no more than the first {size} entries of the log")
        told += f"\nCosigned: the first {size} entries, by at least {who}."
    return told


def main() -> int:
    """Check what the command line names."""
    parser = argparse.ArgumentParser(description="Check a bundle of a tfaudit log.")
    parser.add_argument("bundle", type=Path, help="the zip, or the directory it was unpacked into")
    parser.add_argument("--key", action="append", default=[], help="a file of keys, or a vkey")
    parser.add_argument("--since", type=Path, help="a checkpoint that you kept")
    parser.add_argument("--witness", action="append", default=[], help="a witness's key, or a file")
    parser.add_argument("--quorum", type=int, help="so many of the witnesses must have cosigned")
    given, keys, code = parser.parse_args(), Keys(), 0
    for each, kind in [(key, LOG) for key in given.key] + [(key, WITNESS) for key in given.witness]:
        try:
            keys.add(each, kind)
        except (OSError, ValueError, LookupError, TypeError) as error:
            said = getattr(error, "strerror", "it holds none of this kind")
            parser.error(f"{each} is no public key, nor a file of such: {said}")
    if not keys.trusted["checkpoint"]:
        parser.error("name the log's key with --key; one from the bundle itself proves nothing")
    keys.quorum = len(keys.witnesses) if given.quorum is None else given.quorum
    if given.quorum is not None and not 1 <= given.quorum <= len(keys.witnesses):
        parser.error(f"--quorum is {given.quorum}; --witness names {len(keys.witnesses)}")
    try:
        with nullcontext() if given.bundle.is_dir() else zipfile.ZipFile(given.bundle) as archive:
            told = f"VERIFIED: {check(Files(given.bundle, archive), keys, given.since)}\n{EVIDENCE}"
    except (OSError, UnknownError) as error:
        code, told = 2, f"COULD NOT TELL: {error}"
    except BadError as error:
        code, told = 1, f"FAILED: {error}"
    except Exception as error:  # noqa: BLE001 - whatever a forged bundle may cause
        code, told = 1, f"FAILED: the bundle is damaged or was made by hand: {error!r}"
    sys.stdout.write(told + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
