"""Tests of proxy.sealing."""

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import UnavailableError
from proxy.sealing import seal, unseal

KEY = bytes(range(32))


def sealed_body(body: bytes | bytearray, *, workspace: str = "prod/network") -> bytes:
    """Seal a body under the tests' key."""
    return seal(body, master_key=KEY, workspace=workspace, version_id="0193", lineage="b3da")


def opened(
    sealed: bytes,
    *,
    master_key: bytes = KEY,
    workspace: str = "prod/network",
    version_id: str = "0193",
    lineage: str = "b3da",
) -> bytes:
    """Open what sealed_body gave."""
    return unseal(
        sealed,
        master_key=master_key,
        workspace=workspace,
        version_id=version_id,
        lineage=lineage,
    )


@given(st.binary(max_size=3000))
def test_a_body_comes_back_byte_for_byte(body: bytes) -> None:
    """Whatever was sealed is what is opened."""
    assert body == opened(sealed_body(body))


@pytest.mark.parametrize("size", [(1 << 20) - 40, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_a_large_body_comes_back_byte_for_byte(size: int) -> None:
    """Bodies that don't compress and are encrypted in pieces; the borders of a piece."""
    body = os.urandom(size)
    assert body == opened(sealed_body(bytearray(body)))


def test_a_sealed_body_shows_nothing_of_the_body() -> None:
    """Neither the text nor an equal text of another version can be recognised."""
    body = b'{"password": "hunter2"}' * 10
    first, second = sealed_body(body), sealed_body(body)
    assert b"hunter2" not in first
    assert first != second


@pytest.mark.parametrize("body", [b"{}" * 100, os.urandom(1_500_000)], ids=["small", "in pieces"])
@pytest.mark.parametrize("place", [0, 1, 20, 61, 75, -1, -20])
def test_a_flipped_bit_anywhere_is_found(body: bytes, place: int) -> None:
    """Format, nonces, wrapped key, ciphertext and tag are all covered."""
    sealed = bytearray(sealed_body(body))
    sealed[place] ^= 1
    with pytest.raises(UnavailableError, match="prod/network, version 0193"):
        opened(bytes(sealed))


@pytest.mark.parametrize("cut", [0, 1, 60, 88, -1])
def test_a_cut_body_is_found(cut: int) -> None:
    """Any prefix, the empty one too, is refused and never an empty state."""
    with pytest.raises(UnavailableError):
        opened(sealed_body(b"{}")[:cut])


@pytest.mark.parametrize(
    "open_as",
    [
        lambda sealed: opened(sealed, workspace="dev/network"),
        lambda sealed: opened(sealed, version_id="0194"),
        lambda sealed: opened(sealed, lineage="0c83"),
        lambda sealed: opened(sealed, master_key=bytes(32)),
        lambda sealed: opened(sealed, version_id="0193b", lineage="3da"),
    ],
    ids=["workspace", "version", "lineage", "key", "shifted border"],
)
def test_a_body_can_not_be_passed_off_as_anothers(open_as: Callable[[bytes], bytes]) -> None:
    """Workspace, version and lineage are bound, and so is where one ends and the next begins."""
    with pytest.raises(UnavailableError, match="was altered, or the master key"):
        open_as(sealed_body(b"{}"))


def test_a_lineage_that_is_no_text_can_be_bound() -> None:
    """A lone surrogate in a state's lineage doesn't break sealing."""
    sealed = seal(b"{}", master_key=KEY, workspace="a", version_id="1", lineage="\ud800")
    again = unseal(sealed, master_key=KEY, workspace="a", version_id="1", lineage="\ud800")
    assert b"{}" == again
