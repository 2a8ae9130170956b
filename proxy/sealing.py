"""How a state's body is kept: compressed, then encrypted under a key of its own.

A sealed body is ``format (1 byte, 0x01) || nonce (12) || wrapped key (32 + 16) || nonce (12) ||
ciphertext || tag (16)``. Both layers are AES-256-GCM (NIST SP 800-38D); the associated data of
both binds workspace, version and lineage, so that no body can be passed off as another's. Another
master key needs only the head of a body to be made anew, up to its second nonce.
"""

import hashlib
import os
import threading
from functools import lru_cache
from typing import Final

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from proxy.errors import UnavailableError

_FORMAT: Final = b"\x01"
_NONCE: Final = 12
_TAG: Final = 16
_WRAPPED: Final = 32 + _TAG
_HEAD: Final = 1 + _NONCE + _WRAPPED + _NONCE
HEAD_BYTES: Final = _HEAD
"""Bytes of a sealed body in which its own key stands, wrapped."""
_LEVEL: Final = 3
_PIECE: Final = 1 << 20
"""Bytes encrypted in one call: the interpreter's lock is held for well under a millisecond."""

_CUT: Final = "is cut or not in a known format: restore it from a backup"
_UNOPENED: Final = (
    "can't be opened: it was altered, or the master key is not the one it was stored under; check "
    "keys.master, then restore from a backup"
)

_local = threading.local()


def _compressor() -> zstandard.ZstdCompressor:
    found = getattr(_local, "compressor", None)
    if found is None:
        found = _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=False)
    return found


@lru_cache(maxsize=4)
def _wrapper(master_key: bytes) -> AESGCM:
    return AESGCM(master_key)


def _bound_to(workspace: str, version_id: str, lineage: str) -> bytes:
    first, second = workspace.encode(), version_id.encode()
    third = lineage.encode("utf-8", "surrogatepass")
    return b"tfaudit-state-v1%b%b%b%b%b%b" % (
        len(first).to_bytes(4, "big"),
        first,
        len(second).to_bytes(4, "big"),
        second,
        len(third).to_bytes(4, "big"),
        third,
    )


def master_id(master_key: bytes) -> str:
    """Return what entries name a master key by: nothing leads back from it to the key."""
    return hashlib.sha256(b"tfaudit-master-key-id-v1\n" + master_key).hexdigest()[:16]


def seal(
    body: bytes | bytearray, *, master_key: bytes, workspace: str, version_id: str, lineage: str
) -> bytes:
    """Compress and encrypt a state's body for keeping.

    Args:
        body: the state exactly as it came in.
        master_key: 32 bytes; wraps the version's own random key.
        workspace: bound as associated data, with the next two.
        version_id: the version's ID.
        lineage: the state's lineage.
    """
    bound = _bound_to(workspace, version_id, lineage)
    random = os.urandom(32 + 2 * _NONCE)
    key, wrap_nonce, nonce = random[:32], random[32 : 32 + _NONCE], random[32 + _NONCE :]
    wrapped = _wrapper(master_key).encrypt(wrap_nonce, key, bound)
    packed = _compressor().compress(body)
    head = _FORMAT + wrap_nonce + wrapped + nonce
    if len(packed) <= _PIECE:
        return head + AESGCM(key).encrypt(nonce, packed, bound)
    encryptor = Cipher(AES256(key), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(bound)
    view = memoryview(packed)
    out = bytearray(head)
    for start in range(0, len(view), _PIECE):
        out += encryptor.update(view[start : start + _PIECE])
    out += encryptor.finalize()
    out += encryptor.tag
    return bytes(out)


def unseal(
    sealed: bytes, *, master_key: bytes, workspace: str, version_id: str, lineage: str
) -> bytes:
    """Return the body that ``seal`` was given.

    Raises:
        UnavailableError: the sealed bytes, the key or what they are bound to don't match;
            nothing can be said about the state.
    """
    bound = _bound_to(workspace, version_id, lineage)
    place = f"the stored state of {workspace}, version {version_id},"
    if len(sealed) < _HEAD + _TAG:
        raise UnavailableError(f"{place} {_CUT}")
    nonce = sealed[_HEAD - _NONCE : _HEAD]
    key = _unwrap(sealed[:_HEAD], master_key, bound, place)
    try:
        packed = _decrypt(key, nonce, memoryview(sealed)[_HEAD:], bound)
        return zstandard.ZstdDecompressor().decompress(packed)
    except (InvalidTag, zstandard.ZstdError) as error:
        raise UnavailableError(f"{place} {_UNOPENED}") from error


def rewrap(  # noqa: PLR0913 - two keys, and what a head is bound to
    head: bytes,
    *,
    master_key: bytes,
    new_master_key: bytes,
    workspace: str,
    version_id: str,
    lineage: str,
) -> bytes:
    """Return the head of a sealed body as another master key wraps it; the rest stays as it is.

    Args:
        head: the first HEAD_BYTES of what ``seal`` returned.
        master_key: that it is wrapped by.
        new_master_key: that is to wrap it; 32 bytes.
        workspace: as for ``seal``, with the next two.
        version_id: the version's ID.
        lineage: the state's lineage.

    Raises:
        UnavailableError: as ``unseal``.
    """
    bound = _bound_to(workspace, version_id, lineage)
    place = f"the stored state of {workspace}, version {version_id},"
    key = _unwrap(head, master_key, bound, place)
    nonce = os.urandom(_NONCE)
    return _FORMAT + nonce + _wrapper(new_master_key).encrypt(nonce, key, bound) + head[-_NONCE:]


def is_wrapped_by(
    head: bytes, *, master_key: bytes, workspace: str, version_id: str, lineage: str
) -> bool:
    """Tell whether a master key wraps the key of a sealed body, by its first HEAD_BYTES."""
    try:
        _unwrap(head, master_key, _bound_to(workspace, version_id, lineage), "")
    except UnavailableError:
        return False
    return True


def _unwrap(head: bytes, master_key: bytes, bound: bytes, place: str) -> bytes:
    """Return the key of a body by its head."""
    if len(head) != _HEAD or head[:1] != _FORMAT:
        raise UnavailableError(f"{place} {_CUT}")
    wrap_nonce = head[1 : 1 + _NONCE]
    wrapped = head[1 + _NONCE : 1 + _NONCE + _WRAPPED]
    try:
        return _wrapper(master_key).decrypt(wrap_nonce, wrapped, bound)
    except InvalidTag as error:
        raise UnavailableError(f"{place} {_UNOPENED}") from error


def _decrypt(key: bytes, nonce: bytes, ciphertext: memoryview, bound: bytes) -> bytes:
    if len(ciphertext) <= _PIECE:
        return AESGCM(key).decrypt(nonce, bytes(ciphertext), bound)
    decryptor = Cipher(AES256(key), GCM(nonce, bytes(ciphertext[-_TAG:]))).decryptor()
    decryptor.authenticate_additional_data(bound)
    body = ciphertext[:-_TAG]
    out = bytearray()
    for start in range(0, len(body), _PIECE):
        out += decryptor.update(body[start : start + _PIECE])
    out += decryptor.finalize()
    return bytes(out)
