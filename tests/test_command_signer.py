"""Tests of proxy.command_signer with a real program, which fails in every way it can."""

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.command_signer import CommandSigner
from proxy.errors import UnavailableError
from tests import signing_program
from tests.fakes import ENTRY_KEY
from tests.signing_program import KEY

MESSAGE = b"tfaudit-entry-v1\n{}"


def command(how: str, *told: object) -> str:
    """Return the command line of the program."""
    return shlex.join([sys.executable, signing_program.__file__, how, *map(str, told)])


@contextmanager
def a_signer(how: str, *told: object, seconds: float = 30.0) -> Iterator[CommandSigner]:
    """Give a signer by the program, and end it."""
    public_key = KEY.public_key().public_bytes_raw()
    signer = CommandSigner(command(how, *told), public_key, seconds=seconds)
    yield signer
    signer.close()


def test_a_program_signs_and_is_started_once(tmp_path: Path) -> None:
    """Also an entry that is larger than a pipe; the signatures are the key's own."""
    with a_signer("sign", tmp_path / "starts") as signer:
        for message in (MESSAGE, b"", b"x" * 70_000):
            assert KEY.sign(message) == signer.sign(message)
    assert "started\n" == (tmp_path / "starts").read_text()


def test_a_program_ends_with_its_signer(tmp_path: Path) -> None:
    """By the end of its input; closing twice is safe, and signing again starts another."""
    with a_signer("sign", tmp_path / "starts") as signer:
        signer.sign(MESSAGE)
        process = signer._process
        assert process is not None
        signer.close()
        signer.close()
        assert 0 == process.returncode
        assert KEY.sign(MESSAGE) == signer.sign(MESSAGE)
    assert 2 == len((tmp_path / "starts").read_text().splitlines())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("die", "ended with status 3 without giving a signature"),
        ("other", "is not the configured public key's"),
        ("refuse", "refused to sign: the key is disabled"),
        ("babble", "gave an answer that is no base64 line"),
        ("twice", "gave an answer that is no base64 line"),
    ],
)
def test_a_program_that_does_not_sign_is_a_failure_that_says_why(how: str, why: str) -> None:
    """No signature leaves that is not the key's."""
    with a_signer(how) as signer, pytest.raises(UnavailableError, match=why):
        signer.sign(MESSAGE)


def test_a_signature_by_another_key_is_refused() -> None:
    """The public key of the configuration decides, not the program."""
    public_key = ENTRY_KEY.public_key().public_bytes_raw()
    signer = CommandSigner(command("sign"), public_key, seconds=30.0)
    with pytest.raises(UnavailableError, match="is not the configured public key's"):
        signer.sign(MESSAGE)
    signer.close()


def test_a_program_that_can_not_be_run_is_a_failure(tmp_path: Path) -> None:
    """Named with what the system said."""
    signer = CommandSigner(str(tmp_path / "none"), bytes(32), seconds=30.0)
    with pytest.raises(UnavailableError, match="can't be run: No such file"):
        signer.sign(MESSAGE)


def test_a_program_that_is_too_slow_is_killed_and_left_alone_for_a_while() -> None:
    """Those who queue are refused at once, and not each after the same wait."""
    with a_signer("hang", seconds=0.05) as signer:
        with pytest.raises(UnavailableError, match=r"gave no signature within 0\.05 s"):
            signer.sign(MESSAGE)
        assert signer._process is None
        signer._rests_until = time.monotonic() + 60
        with pytest.raises(UnavailableError, match="too slow a moment ago"):
            signer.sign(MESSAGE)
        signer._rests_until = 0.0
        with pytest.raises(UnavailableError, match="gave no signature within"):
            signer.sign(MESSAGE)


def test_a_program_that_ended_is_started_again(tmp_path: Path) -> None:
    """What ended between two signatures costs a start and no signature."""
    with a_signer("once", tmp_path / "starts") as signer:
        assert KEY.sign(MESSAGE) == signer.sign(MESSAGE)
        process = signer._process
        assert process is not None
        process.wait()
        assert KEY.sign(MESSAGE) == signer.sign(MESSAGE)
    assert 2 == len((tmp_path / "starts").read_text().splitlines())
