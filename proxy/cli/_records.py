"""One committed entry as a row of CSV, and as a line for people."""

from typing import Any, Final

import orjson
import typer

from proxy.cli._output import clean, time_text
from proxy.contracts import StoredRecord

_COLOURS: Final = {"denied": "red", "conflict": "yellow", "error": "red"}
_ATTENTION: Final = "run.needs_attention"
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "time": ("time",),
    "event": ("event",),
    "outcome": ("outcome",),
    "actor_type": ("actor", "type"),
    "actor_id": ("actor", "id"),
    "actor_name": ("actor", "name"),
    "actor_principal": ("actor", "principal"),
    "actor_issuer": ("actor", "issuer"),
    "actor_claims": ("actor", "claims"),
    "source_ip": ("source", "ip"),
    "user_agent": ("source", "user_agent"),
    "workspace": ("workspace",),
    "message": ("message",),
    "request_id": ("request", "id"),
    "via": ("request", "via"),
    "method": ("request", "method"),
    "path": ("request", "path"),
    "status": ("request", "status"),
    "run_id": ("run", "id"),
    "operation": ("run", "operation"),
    "who": ("run", "who"),
    "run_reasons": ("run", "reasons"),
    "lineage": ("state", "lineage"),
    "serial": ("state", "serial"),
    "state_version": ("state", "version"),
    "state_sha256": ("state", "sha256"),
    "id": ("id",),
}
CSV_COLUMNS: Final = ("index", *_PATHS, "leaf_hash")


def csv_row(stored: StoredRecord) -> list[str]:
    """Return the record's cells, in the order of CSV_COLUMNS, safe to open in a spreadsheet."""
    entry = orjson.loads(stored.record.entry)
    cells = [_cell(_find(entry, path)) for path in _PATHS.values()]
    return [str(stored.record.index), *cells, stored.record.leaf_hash.hex()]


def people_line(stored: StoredRecord) -> str:
    """Return the record as a line for people: time, index, event, outcome, who, where, what."""
    entry = orjson.loads(stored.record.entry)
    outcome = str(entry.get("outcome", ""))
    actor = _text(entry, "actor", "name") or _text(entry, "actor", "type")
    if principal := _text(entry, "actor", "principal"):
        actor += f" of {principal}"
    place = _text(entry, "workspace") or "-"
    head = (
        f"{time_text(_text(entry, 'time'))}  {stored.record.index:>6}  "
        f"{_text(entry, 'event'):<21}  {outcome:<8}  {actor:<14}  "
        f"{_text(entry, 'source', 'ip') or '-':<15}  {place:<20}  "
    )
    colour = "yellow" if entry.get("event") == _ATTENTION else _COLOURS.get(outcome)
    return (typer.style(head, fg=colour) if colour else head) + _text(entry, "message")


def _find(entry: dict[str, Any], path: tuple[str, ...]) -> object:
    found: Any = entry
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _text(entry: dict[str, Any], *path: str) -> str:
    found = _find(entry, path)
    return "" if found is None else clean(str(found))


def _cell(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula (OWASP, *CSV Injection*)."""
    if value is None:
        return ""
    text = clean(value if isinstance(value, str) else orjson.dumps(value).decode())
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text
