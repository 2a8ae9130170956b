"""Tests of proxy.packing."""

import pytest
import zstandard

from proxy.packing import pack, unpack

DOCUMENT = b'{"items":[' + b",".join([b'{"address":"a.b"}'] * 1000) + b"]}"


def test_a_document_comes_back_byte_for_byte() -> None:
    """Its digest stands in a signed entry."""
    assert DOCUMENT == unpack(pack(DOCUMENT))


def test_a_packed_document_is_smaller() -> None:
    """Everybody waits for its commit."""
    assert len(pack(DOCUMENT)) < len(DOCUMENT) // 50


def test_what_an_earlier_release_kept_is_returned_as_it_stands() -> None:
    """It kept documents unpacked."""
    assert DOCUMENT == unpack(DOCUMENT)


@pytest.mark.parametrize(
    "damaged",
    [
        pack(DOCUMENT)[:-3],
        pack(DOCUMENT)[:5],
        pack(DOCUMENT)[:20] + b"\0\0\0\0" + pack(DOCUMENT)[24:],
        zstandard.FRAME_HEADER,
        b"",
    ],
)
def test_what_was_altered_is_not_the_document(damaged: bytes) -> None:
    """No error: whoever compares digests tells what is wrong."""
    assert DOCUMENT != unpack(damaged)


def test_a_frame_that_claims_a_monstrous_size_is_not_unpacked() -> None:
    """A forged database could otherwise fill the memory of whoever verifies it."""
    bomb = zstandard.FRAME_HEADER + bytes([0xE0]) + (1 << 50).to_bytes(8, "little") + b"\1\0\0"

    assert 1 << 50 == zstandard.frame_content_size(bomb)
    assert bomb == unpack(bomb)


def test_a_frame_that_tells_no_size_is_not_unpacked() -> None:
    """None of ours does."""
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(DOCUMENT)

    assert packed == unpack(packed)


def test_a_document_that_is_too_large_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not be unpacked again."""
    monkeypatch.setattr("proxy.packing._MOST", len(DOCUMENT) - 1)

    assert DOCUMENT == pack(DOCUMENT) == unpack(pack(DOCUMENT))
