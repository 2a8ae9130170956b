"""The closed catalogue of events: one table from which documentation and schema are made."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Event(NamedTuple):
    """One kind of entry."""

    group: str
    meaning: str


OUTCOMES: Final = ("success", "denied", "conflict", "error")
"""``success``: done. ``denied``: not allowed. ``conflict``: allowed, but what is stored forbids
it. ``error``: the request was malformed or failed."""

EVENTS: Final[Mapping[str, Event]] = {
    "state.read": Event("state access", "a workspace's newest state was asked for and sent"),
    "state.version_read": Event("state access", "an older or named version was sent"),
    "state.written": Event("state access", "a new version was stored, or the same bytes again"),
    "state.write_refused": Event("state access", "an upload was refused and nothing changed"),
    "state.rolled_back": Event("state access", "an older version was stored again as the newest"),
    "state.locked": Event("locks", "the lock was taken, or confirmed to its holder"),
    "state.lock_refused": Event("locks", "the lock was not given"),
    "state.unlocked": Event("locks", "the lock was released by its holder, or was free already"),
    "state.unlock_refused": Event("locks", "the lock was not released"),
    "state.force_unlocked": Event("locks", "the lock was released without its holder's ID"),
    "workspace.created": Event("objects", "the first version of a workspace was stored"),
    "auth.failed": Event("authentication", "credentials were missing or wrong; may be counted"),
    "access.denied": Event("authentication", "somebody known asked for what they may not"),
    "token.created": Event("administration", "a token was made"),
    "token.revoked": Event("administration", "a token was taken out of force"),
    "token.expired": Event("administration", "a token was refused because its time was over"),
    "key.rotated": Event("administration", "a key was added, replaced or destroyed"),
    "config.changed": Event("administration", "the configuration or the stored data was changed"),
    "audit.started": Event("the log itself", "a server began to serve"),
    "audit.stopped": Event("the log itself", "a server stopped in order"),
    "audit.unclean_shutdown": Event("the log itself", "the last stop left no record of itself"),
    "audit.read": Event("the log itself", "somebody searched or followed the log"),
    "audit.exported": Event("the log itself", "entries were exported, or a backup was made"),
    "audit.verified": Event("the log itself", "the log was verified, with the result"),
}
