"""Tests of proxy.cosigned: only what holds is kept."""

from pathlib import Path

import pytest

from proxy.cosigned import CosignedCheckpoint
from proxy.errors import VerificationError
from proxy.tlog.checkpoint import Checkpoint, sign, verify_checkpoint
from proxy.tlog.cosignature import Cosigner, add_cosignatures
from tests.fakes import CHECKPOINT_KEY, ENTRY_KEY
from tests.witness.logs import LOG, WITNESS, at

OTHER = Cosigner("witness.example/2", CHECKPOINT_KEY)
THIRD = Cosigner("witness.example/3", ENTRY_KEY)
ALL = (WITNESS, OTHER, THIRD)


def cosigned(size: int, *times: int) -> str:
    """Return a checkpoint cosigned at these times, of the witnesses in order."""
    lines = [who.cosign(at(size).text(), time) for who, time in zip(ALL, times, strict=False)]
    return add_cosignatures(sign(at(size), LOG), lines)


def keeper(path: Path, quorum: int = 2, known: tuple[Cosigner, ...] = ALL) -> CosignedCheckpoint:
    """Keep what so many of them cosigned."""
    return CosignedCheckpoint(path, LOG.verifier, [each.verifier for each in known], quorum)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name the file."""
    return tmp_path / "checkpoint.cosigned"


async def own(note: str) -> Checkpoint:
    """Check as a server does whose key was never rotated."""
    return verify_checkpoint(note, LOG.verifier)


async def test_what_was_kept_is_there_after_a_start(path: Path) -> None:
    """With the time by which a quorum had spoken: the second newest of three."""
    await keeper(path).keep(cosigned(7, 10, 30, 20))
    again = keeper(path)
    await again.load(own)
    assert again.newest is not None
    assert (7, 20) == (again.newest.checkpoint.size, again.newest.seconds)


async def test_what_does_not_hold_is_not_kept(path: Path) -> None:
    """Too few, another log's, or older than what is kept; the file stays."""
    kept = keeper(path)
    await kept.keep(cosigned(7, 10, 10))
    before = path.read_bytes()
    other_log = add_cosignatures(
        sign(at(9), LOG).replace("\n9\n", "\n8\n"), [WITNESS.cosign(at(9).text(), 1)]
    )
    for note in (cosigned(9, 10), other_log, cosigned(6, 10, 10)):
        with pytest.raises(VerificationError):
            await kept.keep(note)
        assert before == path.read_bytes()
    assert kept.newest is not None
    assert 7 == kept.newest.checkpoint.size


@pytest.mark.parametrize("content", [b"", b"\xff", b"nonsense\n"])
async def test_a_file_that_was_altered_is_as_good_as_none(path: Path, content: bytes) -> None:
    """It is replaced by the next."""
    path.write_bytes(content)
    kept = keeper(path)
    await kept.load(own)
    assert kept.newest is None


async def test_a_stricter_policy_asks_anew(path: Path) -> None:
    """Neither too few nor witnesses that count no more suffice."""
    await keeper(path).keep(cosigned(7, 10, 10))
    for stricter in (keeper(path, 3), keeper(path, 1, (THIRD,)), keeper(path, 1, ())):
        await stricter.load(own)
        assert stricter.newest is None
    assert not keeper(path, 0, ()).is_wanted
