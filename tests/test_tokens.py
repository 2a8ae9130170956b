"""Tests of proxy.tokens."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import tokens


@given(random=st.binary(min_size=32, max_size=32))
def test_every_minted_token_is_well_formed(random: bytes) -> None:
    """Whatever the random bytes are, the token has 47 characters and a right checksum."""
    token = tokens.mint(lambda _: random)
    assert 47 == len(token)
    assert tokens.is_well_formed(token)


def test_tokens_differ() -> None:
    """A thousand tokens are a thousand different texts."""
    assert 1000 == len({tokens.mint(secrets.token_bytes) for _ in range(1000)})


def test_every_typing_error_of_one_character_is_found() -> None:
    """The checksum tells a token from one with any single character replaced."""
    token = tokens.mint(lambda size: bytes(range(size)))
    for place, character in enumerate(token):
        other = "x" if character != "x" else "y"
        assert not tokens.is_well_formed(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("text", ["", "tfa_", "tfa_" + "0" * 43, "admin", "tfa_" + "\u0660" * 43])
def test_other_texts_are_not_well_formed(text: str) -> None:
    """A prefix, a wrong checksum and digits of another script are refused."""
    assert not tokens.is_well_formed(text)


def test_a_trailing_newline_is_refused() -> None:
    """A token pasted with its line's end is not the token."""
    assert not tokens.is_well_formed(tokens.mint(bytes) + "\n")


def test_the_digest_is_the_sha256_of_the_text() -> None:
    """The digest is what `sha256sum` prints, so an operator can find a leaked token's row."""
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == (
        tokens.digest("abc").hex()
    )
