"""In which state of its life a workspace is, in words."""

from proxy.cli._output import time_text
from proxy.directory import WorkspaceRecord


def life_text(record: WorkspaceRecord) -> str:
    """Return whether a workspace is deleted or purged; nothing when it is in use."""
    if record.purged:
        return f"purged, deleted {time_text(record.deleted or '')}"
    if record.deleted is not None:
        return f"deleted, restorable until {time_text(record.restorable_until or '')}"
    return ""
