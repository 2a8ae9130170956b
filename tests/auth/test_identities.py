"""Tests of proxy.auth.identities: what of an issuer's claims is put on record."""

from typing import Any

import orjson
import pytest

from proxy.auth.identities import identity_of, recorded
from proxy.tlog.entry import canonical

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"  # made up, in GitHub's form


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("main", "main"),
        ("x" * 300, "x" * 256),
        (7, "7"),
        (2**53, None),
        (1.5, None),
        (True, "true"),
        (None, None),
        ({"a": 1}, None),
        (["a", 1, {}, None, "b"], ["a", "1", "b"]),
        (["x"] * 30, ["x"] * 20),
        ("ü\u202e\x00", "ü\u202e\x00"),
        (f"see {TOKEN}", "see [redacted]"),
        ("https://me:hunter2secret@example.com", "https://me:[redacted]@example.com"),
    ],
)
def test_a_claim_is_recorded_as_text(claim: Any, shown: Any) -> None:
    """Cut, without credentials, and nothing that an entry can't hold."""
    found = recorded({"ref": claim})

    assert ({} if shown is None else {"ref": shown}) == found
    assert orjson.loads(canonical(found)) == found


def test_more_claims_are_recorded_when_the_issuer_says_so() -> None:
    """Those alone; what is not there is left out."""
    claims = {"ref": "main", "team": "red", "email": "a@example.com"}

    assert {"ref": "main"} == recorded(claims)
    assert {"ref": "main", "team": "red"} == recorded(claims, ("team", "rank", "ref"))


def test_all_claims_together_leave_room_in_the_entry() -> None:
    """Whatever they hold: the first ones that fit."""
    names = tuple(f"claim{number}" for number in range(50))
    found = recorded({name: ["\x01" * 256] * 20 for name in names} | {"ref": "main"}, names)

    assert {"ref": "main"} == found
    found = recorded(dict.fromkeys(names, "ü" * 256), names)
    assert 5_000 < len(orjson.dumps(found)) < 6_500


@pytest.mark.parametrize("subject", ["x" * 300, f"repo:{TOKEN}", f"repo:{TOKEN[:-1]}b"])
def test_subjects_that_are_cut_stay_apart(subject: str) -> None:
    """The ID does not hold what is hidden, and is not that of another subject."""
    one, two = (identity_of("ci", {"sub": each}) for each in (subject, subject + "2"))

    assert one.id != two.id
    assert "~" in one.id
    assert TOKEN[:20] not in one.id + one.name
    assert len(one.id) < 300
    assert one.id == identity_of("ci", {"sub": subject}).id


def test_a_subject_is_a_name_when_there_is_no_better_one() -> None:
    """Of an issuer that knows no repositories."""
    assert "job_7" == identity_of("ci", {"sub": "job_7", "repository": ["x"]}).name
    assert "acme/infra" == identity_of("ci", {"sub": "job_7", "project_path": "acme/infra"}).name
