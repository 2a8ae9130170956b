"""Tests of proxy.sealing."""

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import UnavailableError
from proxy.sealing import HEAD_BYTES, is_wrapped_by, rewrap, seal, unseal

KEY = bytes(range(32))
OTHER = bytes(32)


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


def wrapped_anew(head: bytes, *, master_key: bytes = KEY, workspace: str = "prod/network") -> bytes:
    """Wrap the head of what sealed_body gave by another key."""
    return rewrap(
        head,
        master_key=master_key,
        new_master_key=OTHER,
        workspace=workspace,
        version_id="0193",
        lineage="b3da",
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


# ---------------------------------------------------------------- another master key


@pytest.mark.parametrize("size", [0, 20, 3000, 1_500_000])
def test_a_body_whose_key_is_wrapped_anew_opens_with_the_new_master_key_alone(size: int) -> None:
    """Only its head differs."""
    body = os.urandom(size)
    sealed = sealed_body(body)
    anew = wrapped_anew(sealed[:HEAD_BYTES]) + sealed[HEAD_BYTES:]

    assert len(sealed) == len(anew)
    assert body == opened(anew, master_key=OTHER)
    with pytest.raises(UnavailableError, match=r"check keys\.master"):
        opened(anew)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: head[:-1],
        lambda head: head + b"x",
        lambda head: b"\x02" + head[1:],
        lambda head: head[:20] + bytes([head[20] ^ 1]) + head[21:],
    ],
)
def test_a_damaged_head_is_not_wrapped_anew(spoil: Callable[[bytes], bytes]) -> None:
    """Its key is lost, and another wrapping would hide that."""
    with pytest.raises(UnavailableError):
        wrapped_anew(spoil(sealed_body(b"{}")[:HEAD_BYTES]))


def test_a_head_is_wrapped_anew_for_what_it_is_bound_to_alone() -> None:
    """Nobody passes off one workspace's state as another's this way, nor with another key."""
    head = sealed_body(b"{}")[:HEAD_BYTES]
    with pytest.raises(UnavailableError):
        wrapped_anew(head, workspace="dev")
    with pytest.raises(UnavailableError):
        wrapped_anew(head, master_key=OTHER)


def test_a_head_tells_which_master_key_wraps_it() -> None:
    """Without the rest of the body."""
    head = sealed_body(b"{}")[:HEAD_BYTES]
    found = [
        is_wrapped_by(
            head, master_key=key, workspace="prod/network", version_id="0193", lineage="b3da"
        )
        for key in (KEY, OTHER)
    ]

    assert [True, False] == found
