"""Tests of entries as CSV and as lines for people."""

import csv
from io import StringIO

import orjson
import pytest
import typer

from proxy.cli._records import CSV_COLUMNS, csv_row, people_line
from proxy.contracts import StoredRecord
from proxy.tlog.entry import Record


def stored(**fields: object) -> StoredRecord:
    """Return a record whose entry has these fields over the usual ones."""
    entry = {
        "v": 1,
        "id": "0193",
        "time": "2026-11-22T10:00:00.123456Z",
        "event": "state.locked",
        "outcome": "success",
        "message": "alice locked prod",
        "actor": {"type": "token", "id": "7", "name": "alice"},
        "source": {"ip": "10.0.0.7"},
        "request": {"id": "r1", "via": "terraform", "method": "LOCK", "path": "/state/prod"},
        "workspace": "prod",
        **fields,
    }
    return StoredRecord(Record(12, orjson.dumps(entry), b"\xab" * 32, b"", "k"), None)


def row(**fields: object) -> dict[str, str]:
    """Return the cells of such a record by column."""
    return dict(zip(CSV_COLUMNS, csv_row(stored(**fields)), strict=True))


def test_a_row_has_who_what_when_and_where() -> None:
    """The columns that people sort by are there, and the hash that finds the entry again."""
    cells = row()
    assert ("12", "alice", "10.0.0.7", "prod") == tuple(
        cells[name] for name in ("index", "actor_name", "source_ip", "workspace")
    )
    assert "ab" * 32 == cells["leaf_hash"]


def test_a_row_tells_on_whose_behalf() -> None:
    """The principal of a token; the issuer of an identity, and what it said of it, as JSON."""
    of_alice = {"type": "token", "id": "7", "name": "laptop", "principal": "alice"}
    cells = row(actor=of_alice)
    assert ("laptop", "alice", "") == (
        cells["actor_name"],
        cells["actor_principal"],
        cells["actor_claims"],
    )
    said = {"repository": "acme/infra", "groups": ["a", "b"]}
    cells = row(actor={"type": "oidc", "id": "ci:x", "name": "x", "issuer": "ci", "claims": said})
    assert "ci" == cells["actor_issuer"]
    assert said == orjson.loads(cells["actor_claims"])


def test_a_line_tells_whose_token_it_was() -> None:
    """Beside the token's name."""
    of_alice = {"type": "token", "id": "7", "name": "alice-laptop", "principal": "alice"}
    assert "  alice-laptop of alice  10.0.0.7" in people_line(stored(actor=of_alice))


def test_what_an_entry_does_not_have_is_empty() -> None:
    """A login has no serial; its cell says nothing, not None."""
    assert not row()["serial"]


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\t="]
)
def test_no_cell_is_a_formula(start: str) -> None:
    """A user agent such as =HYPERLINK(…) stays text in a spreadsheet."""
    cell = row(source={"ip": "10.0.0.7", "user_agent": f"{start}cmd|' /C calc'!A0"})["user_agent"]
    assert cell.startswith(("'", "\\u0009"))


def test_one_entry_is_one_line_of_csv() -> None:
    """A line break in a message does not become one in the file."""
    out = StringIO()
    csv.writer(out).writerow(csv_row(stored(message='one\r\ntwo, "three"')))
    assert 1 == out.getvalue().count("\n")


def test_a_line_tells_the_story() -> None:
    """Time, index, event, outcome, actor, address, workspace, message."""
    assert [
        "2026-11-22", "10:00:00Z", "12", "state.locked", "success", "alice", "10.0.0.7", "prod",
        "alice", "locked", "prod",
    ] == people_line(stored()).split()  # fmt: skip


@pytest.mark.parametrize(
    ("event", "outcome", "colour"),
    [
        ("run.needs_attention", "success", "yellow"),
        ("run.needs_attention", "conflict", "yellow"),
        ("run.errored", "error", "red"),
        ("run.completed", "success", None),
    ],
)
def test_a_run_that_somebody_should_look_at_stands_out(
    event: str, outcome: str, colour: str | None
) -> None:
    """Whatever its outcome; and a sheet has the reasons."""
    run = {"id": "1", "operation": "OperationTypeApply", "who": "bob", "reasons": ["tainted"]}
    line = people_line(stored(event=event, outcome=outcome, run=run))
    assert line.startswith("2026" if colour is None else typer.style("2026", fg=colour)[:9])
    assert '["tainted"]' == row(event=event, outcome=outcome, run=run)["run_reasons"]


def test_a_line_obeys_no_client() -> None:
    """Escape sequences that a client put into its name are shown, not obeyed."""
    line = people_line(stored(actor={"type": "token", "id": "7", "name": "\x1b[2Jme\n"}))
    assert "\\u001b[2Jme\\u000a" in line
    assert "\x1b[2J" not in line
