"""In which state of their life a workspace and its versions are, in words."""

from proxy.cli._output import count_text, time_text
from proxy.contracts import StateVersion, WorkspaceSummary
from proxy.directory import WorkspaceRecord
from proxy.workspace_rules import standing


def life_text(record: WorkspaceRecord) -> str:
    """Return whether a workspace is deleted or purged; nothing when it is in use."""
    if record.purged:
        return f"purged, deleted {time_text(record.deleted or '')}"
    if record.deleted is not None:
        return f"deleted, restorable until {time_text(record.restorable_until or '')}"
    return ""


def destroyed_text(record: WorkspaceRecord) -> str:
    """Return how many versions of a workspace a purge destroyed; nothing when there are none."""
    number = record.destroyed_versions
    return f"{count_text(number, 'version')} destroyed" if number else ""


def gone_text(found: WorkspaceSummary) -> str:
    """Return of how many versions only the record is left, and why; nothing when there are none."""
    pruned = f"{found.pruned} pruned" if found.pruned else ""
    return ", ".join(text for text in (destroyed_text(found.record), pruned) if text)


def is_destroyed(version: StateVersion, record: WorkspaceRecord) -> bool:
    """Tell whether a purge or retention destroyed a version: only the record of it is left."""
    return standing(version, record) is None or version.pruned is not None


def version_text(version: StateVersion, record: WorkspaceRecord) -> str:
    """Return what became of a version; nothing when it is kept."""
    if standing(version, record) is None:
        return "destroyed"
    if version.pruned is not None:
        return f"pruned {time_text(version.pruned)}, entry {version.pruned_by}"
    return ""
