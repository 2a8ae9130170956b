"""What the table of runs must hold, by what the entries of the log say happened under the locks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from proxy import runs
from proxy.cli._comparing import printed
from proxy.errors import VerificationError
from proxy.runs import Evidence, Run, Save

_ENDS: Final = frozenset({"run.completed", "run.errored"})
_RUN: Final = msgspec.json.Decoder(Run)


@dataclass(slots=True)
class RunsReplay:
    """The runs that are under way after the entries so far.

    A run begins with its ``run.created``: one whose lock an older release gave has none.
    """

    _open: dict[str, tuple[int, Run]] = field(default_factory=dict)
    _locked: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def note(self, index: int, entry: Mapping[str, Any]) -> None:
        """Follow the next entry, whatever its outcome.

        Raises:
            VerificationError: it tells of a run what does not follow from the entries before it.
            LookupError, TypeError, ValueError, AttributeError: it is not what its kind must be.
        """
        event, outcome = entry.get("event"), entry.get("outcome")
        if event == "state.locked" and outcome == "success":
            self._locked[entry["workspace"]] = index, entry["run"]["id"]
        elif event == "run.created":
            self._begin(index, entry)
        elif isinstance(event, str) and event.startswith("run."):
            self._follow(index, event, entry)
        elif event == "state.written" and outcome == "success":
            self._note_save(index, entry)
        elif event == "state.write_refused" and entry.get("run", {}).get("unsaved"):
            found = self._open.get(entry["workspace"])
            if found is not None:
                status = entry["request"]["status"]
                changed = runs.save_refused(found[1], status, index)
                self._open[entry["workspace"]] = found[0], changed

    def _begin(self, index: int, entry: Mapping[str, Any]) -> None:
        workspace, said = entry["workspace"], entry["run"]
        (evidence,) = (Evidence(**each) for each in entry["inferred_from"])
        if workspace in self._open or self._locked.get(workspace) != (evidence.index, said["id"]):
            raise VerificationError(
                f"Entry {index} says that a run began on {workspace}, but entry {evidence.index} "
                "did not give it the lock.",
                index,
            )
        run = Run(
            workspace,
            said["id"],
            said["operation"],
            said["who"],
            said["terraform_version"],
            said["started"],
            (evidence,),
        )
        self._open[workspace] = index, run

    def _follow(self, index: int, event: str, entry: Mapping[str, Any]) -> None:
        workspace, said = entry["workspace"], entry["run"]
        first, run = self._open.get(workspace, (index, None))
        if run is None or run.id != said["id"]:
            raise VerificationError(
                f"Entry {index} tells of a run on {workspace} that was not under way.", index
            )
        if event in _ENDS:
            del self._open[workspace]
        else:
            self._open[workspace] = first, runs.told(run, tuple(said["reasons"]))

    def _note_save(self, index: int, entry: Mapping[str, Any]) -> None:
        found = self._open.get(entry["workspace"])
        said = entry.get("run", {})
        if found is None or found[1].id != said.get("id"):
            return
        first, run = found
        changes = entry.get("changes")
        if changes is None:  # the same bytes again
            self._open[entry["workspace"]] = first, runs.saved_again(run, index)
            return
        resources = changes["resources"]
        counts = resources["added"], resources["changed"], resources["removed"]
        save = Save(
            entry["state"]["serial"],
            None if "encrypted" in changes else counts,
            *(runs.listed(said, name) for name in ("tainted", "untainted", "failed_checks")),
        )
        self._open[entry["workspace"]] = first, runs.saved(run, save, index)

    def check(self, rows: Iterable[tuple[object, object]]) -> None:
        """Compare the runs of the store with those that are under way by the log.

        Args:
            rows: workspace and document of each.

        Raises:
            VerificationError: naming the workspace and the entry that says something else.
        """
        left = dict(self._open)
        for workspace, document in rows:
            first, run = left.pop(str(workspace), (None, None))
            if run is None:
                raise VerificationError(
                    f"The run on {printed(workspace)} is not one that the log began, or it is "
                    "over: it was put there behind its back."
                )
            if _read(document) != run:
                raise VerificationError(
                    f"What the store says of the run on {workspace}, which entry {first} began, is "
                    "not what the log makes of it.",
                    first,
                )
        for workspace, (first, _) in left.items():
            raise VerificationError(
                f"The run on {workspace} that entry {first} began is gone from the store, and no "
                "entry ended it.",
                first,
            )


def _read(document: object) -> Run | None:
    """Return the run that a row holds; None when it is none."""
    try:
        return _RUN.decode(document)  # type: ignore[arg-type] # of an altered database anything
    except (msgspec.DecodeError, TypeError):
        return None
