"""The one door through which values of a state leave: everything secret stays behind.

A secret becomes a commitment: a keyed hash that tells whether two values are the same, and that
nobody without the key can test a guess against. Everything else is shown, since a record that
shows nothing is useless. What is secret where it stands is decided in `judge`; what is secret
anywhere is learned in `learning`, from the whole of both versions, and cut out everywhere in
`rendering`.
"""

import hashlib
import sys
from typing import Final

from proxy.tfstate.aftermath import Aftermath, aftermath
from proxy.tfstate.diff import ABSENT, Changes, OutputChange, Value, diff
from proxy.tfstate.document import Document
from proxy.tfstate.fitting import DEFAULT_LIMIT_BYTES, RedactedChanges, fit
from proxy.tfstate.judge import Judge
from proxy.tfstate.learning import Learner, Lesson
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.rendering import WHOLE_DOCUMENT_BYTES, Renderer, Shown, counts
from proxy.tfstate.secrets import MOST_SECRETS, Hunts, Secrets

HIDDEN: Final = {"hidden": True}
"""A value that is not shown at all, not even as a commitment (mode `names-only`)."""


class Redactor:
    """Redacts states and what changes in them; one for a process; threads may share it.

    It remembers what the resources of earlier versions taught, so that the work for the next
    version follows its change, not its size.

    Args:
        policy: what the configuration wants hidden and shown.
    """

    def __init__(self, policy: Policy = STANDARD) -> None:
        self._judge = Judge(policy)
        self._learner = Learner(self._judge)
        self._hunts = Hunts()

    def change(
        self,
        old: Document | None,
        new: Document,
        key: bytes,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
    ) -> tuple[RedactedChanges, str]:
        """Tell what changed between two versions, without their secrets, and in a few words.

        Args:
            old: the version before; None when there was none.
            new: the version now.
            key: the workspace's, see `commitment.workspace_key`.
            limit_bytes: the most that the entry's part may have as canonical JSON; at least 8,192.
        """
        changes, renderer = self._compare(old, new, key)
        return _told(changes, renderer, limit_bytes), summary(changes)

    def save(
        self, old: Document | None, new: Document, key: bytes
    ) -> tuple[RedactedChanges, str, Aftermath]:
        """Tell the same as `change` of what a run saved, and what it leaves behind."""
        changes, renderer = self._compare(old, new, key)
        added, changed, removed = counts(changes.resources).values()
        left = aftermath(
            old,
            new,
            changes,
            (added, changed, removed),
            renderer.address,
            renderer.address_text,
        )
        return _told(changes, renderer, DEFAULT_LIMIT_BYTES), summary(changes), left

    def _compare(self, old: Document | None, new: Document, key: bytes) -> tuple[Changes, Renderer]:
        """What differs between two versions, and what renders it."""
        changes = diff(old, new)
        lesson = Lesson() if changes.is_empty else self._learner.learn(old, new, changes)
        return changes, self._renderer(changes, lesson, key)

    def document(self, document: Document, key: bytes) -> dict[str, Shown]:
        """Show a whole state, without its secrets.

        Returns:
            `kind`, `serial`, `lineage`, `terraform_version`, and, unless it is encrypted,
            `resources` (each with `address`, `attributes`, perhaps `tainted`) and `outputs`.
        """
        changes = diff(None, document)
        lesson = self._learner.learn(None, document, changes)
        renderer = self._renderer(changes, lesson, key, sys.maxsize)
        shown: dict[str, Shown] = {
            "kind": document.kind,
            "serial": document.serial,
            "lineage": renderer.text(document.lineage),
            "terraform_version": renderer.text(document.terraform_version),
        }
        if document.kind == "encrypted":
            return shown
        shown["resources"] = []
        shown["outputs"] = {}
        for item in renderer.items():
            values = {
                path: value.get("after", HIDDEN) for path, value in item["attributes"].items()
            }
            if item["address"].startswith("output.") or ".output." in item["address"]:
                shown["outputs"][item["address"].removeprefix("output.")] = values.get("value")
            elif item["action"] != "check":
                tainted = {"tainted": True} if item.get("tainted") else {}
                shown["resources"].append(
                    {"address": item["address"], "attributes": values} | tainted
                )
        return shown

    def secret_outputs(self, document: Document, workspace: str) -> frozenset[str]:
        """Tell which root outputs hold a secret: by a mark, by what it is, or as a copy of one.

        The policy's mode is left aside: it says what a record may show, and this is none.

        Args:
            document: the whole state, all of which teaches what is secret.
            workspace: whose state, for what is remembered.

        Returns:
            Their names. All, when there are too many secrets to hunt for.
        """
        changes = diff(None, document)
        outputs = [change for change in changes.outputs if not change.module]
        lesson = self._learner.learn(None, document, changes)
        if len(lesson.texts) > MOST_SECRETS:
            return frozenset(change.name for change in outputs)
        secrets = self._hunts.secrets(b"outputs\n" + workspace.encode(), lesson.texts)
        watcher = _Watcher(changes, bytes(32), self._judge, secrets, lesson.clean, "standard")
        return frozenset(change.name for change in outputs if watcher.hides(change))

    def _renderer(
        self,
        changes: Changes,
        lesson: Lesson,
        key: bytes,
        budget_bytes: int = WHOLE_DOCUMENT_BYTES,
    ) -> Renderer:
        """A renderer; one that hides every value when there are too many secrets to hunt for."""
        mode = self._judge.policy.mode
        if len(lesson.texts) <= MOST_SECRETS:
            # Not the key itself: it may be destroyed, and must not live on in memory.
            owner = hashlib.sha256(key).digest()
            secrets = self._hunts.secrets(owner, lesson.texts)
        else:
            secrets = Secrets(lesson.texts, ())
            mode = "strict" if mode == "standard" else mode
        return Renderer(changes, key, self._judge, secrets, lesson.clean, mode, budget_bytes)


class _Watcher(Renderer):
    """A renderer that tells whether it had to hide anything, and shows nothing."""

    _hid = False

    def hides(self, change: OutputChange) -> bool:
        """Whether an output holds a secret, in its value, its keys or its name."""
        self._hid = False
        self._output_item(change)
        return self._hid

    def secret(self, value: Value) -> Shown:
        """Take note of a secret value."""
        self._hid |= value is not None and value is not ABSENT
        return super().secret(value)

    def marker(self, secret: str) -> str:
        """Take note of a secret inside a text."""
        self._hid = True
        return super().marker(secret)


def _told(changes: Changes, renderer: Renderer, limit_bytes: int) -> RedactedChanges:
    """A change as an entry and the document beside it hold it."""
    number = len(changes.resources) + len(changes.outputs) + len(changes.checks)
    return fit(renderer.head(), renderer.items(), number, limit_bytes)


def summary(changes: Changes) -> str:
    """The change in a few words for an entry's message: `1 added, 2 changed, 0 removed`."""
    if any(changes.encrypted):
        return "encrypted, so the changes are unknown"
    words = ", ".join(f"{number} {what}" for what, number in counts(changes.resources).items())
    outputs = len(changes.outputs)
    return words + (f"; {outputs} output{'s'[: outputs > 1]} changed" if outputs else "")
