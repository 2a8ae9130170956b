"""The closed catalogue of events: one table from which documentation and schema are made."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Event(NamedTuple):
    """One kind of entry."""

    group: str
    meaning: str


OUTCOMES: Final = ("success", "denied", "conflict", "error")
"""``success``: done. ``denied``: not allowed. ``conflict``: allowed, but what is stored forbids
it. ``error``: the request was malformed or failed, or the run errored."""

EVENTS: Final[Mapping[str, Event]] = {
    "state.read": Event("state access", "a workspace's newest state was asked for and sent"),
    "state.outputs_read": Event("state access", "the root outputs of the newest state were sent"),
    "state.version_read": Event("state access", "an older or named version was sent"),
    "state.written": Event("state access", "a new version was stored, or the same bytes again"),
    "state.write_refused": Event("state access", "an upload was refused and nothing changed"),
    "state.rolled_back": Event("state access", "an older version was stored again as the newest"),
    "state.versions_pruned": Event(
        "state access", "older versions were destroyed, as no rule of retention keeps them"
    ),
    "state.locked": Event("locks", "the lock was taken, or confirmed to its holder"),
    "state.lock_refused": Event("locks", "the lock was not given"),
    "state.unlocked": Event("locks", "the lock was released by its holder, or was free already"),
    "state.unlock_refused": Event("locks", "the lock was not released"),
    "state.force_unlocked": Event(
        "locks", "the lock was released by another than its holder, or without its ID"
    ),
    "run.created": Event("runs", "a lock was taken, so that a run began"),
    "run.needs_attention": Event(
        "runs", "a run holds its lock for long, is waited for, or did what is rarely meant"
    ),
    "run.completed": Event("runs", "a run released its lock, and nothing is known to have failed"),
    "run.errored": Event("runs", "a run is over that could not save, left a failure or was broken"),
    "workspace.created": Event("objects", "a workspace was made, by its first write or ahead"),
    "workspace.updated": Event("objects", "a workspace's settings were changed"),
    "workspace.deleted": Event("objects", "a workspace was deleted, and can still be restored"),
    "workspace.restored": Event("objects", "a deleted workspace was brought back"),
    "workspace.purged": Event("objects", "a deleted workspace's states were destroyed for good"),
    "auth.login": Event("authentication", "a person logged in, and a session began"),
    "auth.logout": Event("authentication", "a session was ended, by its owner or an administrator"),
    "auth.locked_out": Event("authentication", "tries to log in are refused for some time"),
    "auth.failed": Event("authentication", "credentials were missing or wrong; may be counted"),
    "access.denied": Event("authentication", "somebody known asked for what they may not"),
    "token.created": Event("administration", "a token was made"),
    "token.rotated": Event("administration", "a token got a successor, and ends a little later"),
    "token.revoked": Event("administration", "a token was taken out of force"),
    "token.expired": Event("administration", "a token was refused because its time was over"),
    "principal.created": Event("administration", "a person or a program was made known"),
    "principal.updated": Event("administration", "a principal was changed, or its password set"),
    "principal.deleted": Event("administration", "a principal was taken away"),
    "grant.created": Event("administration", "somebody was given, or denied, a role"),
    "grant.updated": Event("administration", "a grant was changed"),
    "grant.deleted": Event("administration", "a grant was taken away"),
    "issuer.created": Event("administration", "an issuer of identities is believed"),
    "issuer.updated": Event("administration", "an issuer was changed"),
    "issuer.deleted": Event("administration", "an issuer is no longer believed"),
    "sink.created": Event("administration", "events are forwarded to one more destination"),
    "sink.updated": Event("administration", "a sink was changed"),
    "sink.enabled": Event("administration", "a paused sink goes on from where it stopped"),
    "sink.disabled": Event("administration", "a sink was paused, or its far side wants no more"),
    "sink.deleted": Event("administration", "a sink was taken away"),
    "sink.tested": Event("administration", "this very entry was sent to a sink, to try it"),
    "key.rotated": Event("administration", "a key was added, replaced or destroyed"),
    "config.changed": Event("administration", "the configuration or the stored data was changed"),
    "audit.started": Event("the log itself", "a server began to serve"),
    "audit.stopped": Event("the log itself", "a server stopped in order"),
    "audit.unclean_shutdown": Event("the log itself", "the last stop left no record of itself"),
    "audit.read": Event("the log itself", "somebody searched or followed the log"),
    "audit.exported": Event("the log itself", "entries were exported, or a backup was made"),
    "audit.verified": Event("the log itself", "the log was verified, with the result"),
    "audit.recovered": Event(
        "the log itself", "the log goes on from an older one: entries after it are lost"
    ),
    "audit.pruned": Event(
        "the log itself", "old entries were archived, and are dropped but for their hashes"
    ),
    "sink.failed": Event("the log itself", "a sink takes no events; they wait for it"),
    "sink.recovered": Event("the log itself", "a sink that had failed takes events again"),
    "sink.dead_lettered": Event("the log itself", "entries that a sink refused were set aside"),
    "sink.replayed": Event("the log itself", "entries are to be sent to a sink once more, or were"),
}
