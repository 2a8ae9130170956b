"""Learns all secret texts of two versions of a state, changed or not.

The same secret stands again in siblings and in what was derived from it, also where nothing marks
it. So everything found secret anywhere is hunted for everywhere; and since a resource that did not
change may hold the original, all resources are learned from. What one slice taught is remembered:
the next version has the same slices but a few.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final, NamedTuple

from proxy.tfstate.detectors import is_public, is_random
from proxy.tfstate.diff import (
    Address,
    Changes,
    Instance,
    Path,
    ResourceChange,
    Value,
    decode,
    objects_in,
    outputs_in,
)
from proxy.tfstate.document import Document, Kind, Slice
from proxy.tfstate.inside import Carrier, Place, look
from proxy.tfstate.judge import CARRIERS, DEPTH, Judge, Walk, leaf_name, subject_of
from proxy.tfstate.names import is_plain_name, is_secret_name
from proxy.tfstate.secrets import EXACT_CHARACTERS, SUBSTRING_CHARACTERS


class Lesson(NamedTuple):
    """What one slice, or a whole change, teaches.

    Attributes:
        texts: every secret text.
        clean: the objects that hold no secret of their own, and no text that carries others, in
            which one of elsewhere may be written in any way. In a change, those of slices that
            differ, of which no version holds any.
        unclean: the other ones.
    """

    texts: frozenset[str] = frozenset()
    clean: frozenset[Address] = frozenset()
    unclean: frozenset[Address] = frozenset()


_MANIFEST: Final = frozenset({"apiVersion", "kind"})
"""What every manifest of Kubernetes has: hardly anything else in one is a secret's own text."""

_WRAPPINGS: Final = frozenset({"base64", "gzip", "mime"})
"""Carriers whose place is all that they carry."""
_ADDRESSES: Final = frozenset({"url", "dsn"})
"""Carriers of which everything but what is known to be secret is public."""
_ORDINARY: Final = re.compile(r"[a-z0-9_./:@ -]*|[A-Z0-9_ -]*")
"""What settings look like: an image, a command, a level. Not what was drawn at random."""
_ORDINARY_KEY: Final = re.compile(r"[A-Za-z_./-]*[0-9]{0,3}")
_WORD: Final = re.compile(r"[a-z]{1,7}")

_KEPT_LESSONS: Final = 200_000
_NOBODY: Final[frozenset[Address]] = frozenset()
_OBJECT: Final = "object"
_OUTPUT: Final = "output"
_OTHER: Final = "other"
_MANY_SLICES: Final = 256
_KEPT_BODIES: Final = 4
_LARGEST_BODY_BYTES: Final = 1 << 24
_KEPT_SMALL_BODIES: Final = 1_024
_SMALL_BODY_BYTES: Final = 1 << 16
_CARRIED_CHARACTERS: Final = 1 << 24
_KEPT_CHARACTERS: Final = 1 << 26


class Learner:
    """Collects secret texts; remembers what each slice taught. Threads may share it.

    Args:
        judge: says what is secret.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._lessons: dict[tuple[str, Kind, int, int], Lesson] = {}
        self._last = _LastLessons()
        self._kept = 0
        self._harmless: set[tuple[str, str]] = set()

    def learn(  # noqa: C901, PLR0912 - one pass over both versions
        self, old: Document | None, new: Document, changes: Changes
    ) -> Lesson:
        """Return all that both versions teach.

        Args:
            old: the version before, if there is one.
            new: the version now.
            changes: what differs: a mark in one version of an object counts for both.
        """
        pupil = _Pupil(self._judge, self._harmless)
        differing: list[Lesson] = []
        texts: set[str] = set()
        unclean: set[Address] = set()
        taught: list[Lesson] = []
        if old is not None and old.kind == new.kind:
            aligned = len(old.resources) == len(new.resources)
            known = self._last.of(old)
            for number, (before, now) in enumerate(zip(old.resources, new.resources, strict=False)):
                if before == now:
                    lesson = self._earlier(known, number, new.kind, before, pupil)
                    taught.append(lesson)
                    if lesson.texts:
                        texts |= lesson.texts
                    if not aligned:  # one that moved may have its address, and be clean
                        unclean |= lesson.unclean
                else:
                    pupil.complete = changes.complete.get(id(now))
                    taught.append(self._lesson(new.kind, now, _OBJECT, pupil.objects))
                    pupil.complete = None
                    differing.append(taught[-1])
                    differing.append(self._earlier(known, number, new.kind, before, pupil))
            shared = min(len(old.resources), len(new.resources))
        else:
            known = None
            shared = 0
        outputs = Lesson()
        for document in (old, new):
            if document is None or document.kind == "encrypted":
                continue
            kind = document.kind
            for slice_ in document.resources[shared:]:
                pupil.complete = changes.complete.get(id(slice_))
                differing.append(self._lesson(kind, slice_, _OBJECT, pupil.objects))
                if document is new:
                    taught.append(differing[-1])
            pupil.complete = None
            outputs = (
                known.outputs
                if known is not None and (document is old or document.outputs == known.raw_outputs)
                else self._lesson(kind, document.outputs, _OUTPUT, pupil.outputs)
            )
            texts |= outputs.texts
            for slice_ in document.other.values():
                texts |= self._lesson(kind, slice_, _OTHER, pupil.other).texts
        for change in filter(_marked_differently, changes.resources):
            pupil.both_versions(change)
            unclean.add(change.address)
        texts |= pupil.taken().texts
        self._last.keep(new, taught, outputs)
        return _together(differing, texts, unclean)

    def _earlier(
        self, known: "_Taught | None", number: int, kind: Kind, slice_: Slice, pupil: "_Pupil"
    ) -> Lesson:
        """What a slice of the version before teaches, as it is known or can be learned."""
        if known is not None:
            return known.resources[number]
        return self._lesson(kind, slice_, _OBJECT, pupil.objects)

    def _lesson(
        self, kind: Kind, slice_: Slice, role: str, learn: Callable[[Kind, Slice], Lesson]
    ) -> Lesson:
        """What a slice teaches, learned once."""
        # Of a format and a role, since equal slices teach different things in others. Python's
        # SipHash is keyed at random, takes half the time of the fastest digest, and whoever could
        # aim at the lesson of a slice would have to know its every byte already.
        body = bytes(slice_)
        known = (role, kind, len(body), hash(body))
        lesson = self._lessons.get(known)
        if lesson is None:
            lesson = learn(kind, slice_)
            self._kept += sum(map(len, lesson.texts))
            if len(self._lessons) >= _KEPT_LESSONS or self._kept > _KEPT_CHARACTERS:
                self._lessons.clear()
                self._kept = 0
            self._lessons[known] = lesson
        return lesson


class _Taught(NamedTuple):
    """What a document taught: each of its resource slices, in their order, and its outputs."""

    body: bytes | bytearray
    resources: tuple[Lesson, ...]
    raw_outputs: Slice
    outputs: Lesson


class _LastLessons:
    """What the last bodies taught, so that no slice of theirs is hashed to be recognised.

    The body that a write is compared with is mostly the very object that came with the write
    before it: that of the only large state, or of one of many small ones. What is neither is not
    worth the memory.
    """

    def __init__(self) -> None:
        self._large: list[_Taught] = []
        self._small: OrderedDict[int, _Taught] = OrderedDict()
        self._lock = Lock()

    def of(self, document: Document) -> _Taught | None:
        """What a document taught, if its body is one of the last."""
        found = self._small.get(id(document.body))
        if found is not None and found.body is document.body:
            return found
        return next((found for found in self._large if found.body is document.body), None)

    def keep(self, document: Document, lessons: list[Lesson], outputs: Lesson) -> None:
        """Remember a document's lessons, and forget the oldest."""
        if len(lessons) != len(document.resources):
            return
        size = len(document.body)
        taught = _Taught(document.body, tuple(lessons), document.outputs, outputs)
        if size <= _SMALL_BODY_BYTES:
            with self._lock:
                self._small[id(document.body)] = taught
                if len(self._small) > _KEPT_SMALL_BODIES:
                    self._small.popitem(last=False)
        elif len(lessons) >= _MANY_SLICES and size <= _LARGEST_BODY_BYTES:
            self._large = [*self._large[1 - _KEPT_BODIES :], taught]


def _together(lessons: list[Lesson], texts: set[str], unclean: set[Address]) -> Lesson:
    """Several lessons as one; an object that one of them calls unclean is that."""
    clean: set[Address] = set()
    for lesson in lessons:
        texts |= lesson.texts
        clean |= lesson.clean
        unclean |= lesson.unclean
    return Lesson(frozenset(texts), frozenset(clean - unclean), frozenset(unclean))


def _marked_differently(change: ResourceChange) -> bool:
    """Whether one version of an object has marks that the other hasn't."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.marks != after.marks


class _Pupil:
    """Learns slices for one change.

    Attributes:
        complete: changes that hold all objects of the slice to be learned next, if there are such.
    """

    def __init__(self, judge: Judge, harmless: set[tuple[str, str]]) -> None:
        self._judge = judge
        self._walk = Walk(judge, self._report, harmless)
        self._found: set[str] = set()
        self._is_clean = True
        self.complete: tuple[ResourceChange, ...] | None = None

    def taken(
        self, clean: frozenset[Address] = _NOBODY, unclean: frozenset[Address] = _NOBODY
    ) -> Lesson:
        """What was found since it was last taken."""
        texts = frozenset(self._found)
        self._found.clear()
        return Lesson(texts, clean, unclean)

    def objects(self, kind: Kind, slice_: Slice) -> Lesson:
        """Learn from a resource, or (v3) from a module with its outputs."""
        clean: set[Address] = set()
        unclean: set[Address] = set()
        for address, instance, root in self._objects(kind, slice_):
            self._is_clean, self._walk.carries = True, False
            self._walk.object(subject_of(address.type, address.mode, instance), instance, root)
            (clean if self._is_clean and not self._walk.carries else unclean).add(address)
        if kind != "v4":
            self._from_outputs(kind, slice_)
        return self.taken(frozenset(clean), frozenset(unclean))

    def _objects(
        self, kind: Kind, slice_: Slice
    ) -> Iterator[tuple[Address, Instance, dict[str, Value] | None]]:
        """All objects of a slice, with their attributes if a change has them decoded."""
        if self.complete is None:
            for address, instance in objects_in(kind, (slice_,)).items():
                yield address, instance, None
            return
        for change in self.complete:
            if change.after is not None:
                root = None if change.roots is None else change.roots[1]
                yield change.address, change.after, root

    def outputs(self, kind: Kind, slice_: Slice) -> Lesson:
        """Learn from the outputs of version 4."""
        if kind == "v4":
            self._from_outputs(kind, slice_)
        return self.taken()

    def _from_outputs(self, kind: Kind, slice_: Slice) -> None:
        for (_, name), output in outputs_in(kind, slice_).items():
            self._walk.output(name, decode(output.value), sensitive=output.sensitive)

    def other(self, _: Kind, slice_: Slice) -> Lesson:
        """Learn from a member that is neither, such as v3's backend with its credentials."""
        self._walk.value(decode(slice_))
        return self.taken()

    def both_versions(self, change: ResourceChange) -> None:
        """Learn from an object whose marks changed: what one version marks, the other hides."""
        subject = subject_of(change.address.type, change.address.mode, change.before, change.after)
        for instance in filter(None, (change.before, change.after)):
            self._walk.object(subject, instance)

    # ------------------------------------------------------------ a secret's texts

    def _report(self, path: Path, value: Value, _: str) -> None:
        """Remember every text of a secret value."""
        self._is_clean = False
        if isinstance(value, dict | list) or not is_plain_name(leaf_name(path)):
            self._learn(value, 0)

    def _learn(self, value: Value, depth: int) -> None:
        if depth > DEPTH:
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                if is_random(name) or (
                    len(name) >= SUBSTRING_CHARACTERS and _ORDINARY_KEY.fullmatch(name) is None
                ):
                    self._learn_text(name, depth)
                is_word = isinstance(inner, str) and _WORD.fullmatch(inner) is not None
                if isinstance(inner, dict | list) or not (
                    is_plain_name(name) or (is_word and not is_secret_name(name))
                ):
                    self._learn(inner, depth + 1)
        elif isinstance(value, list):
            for inner in value:
                self._learn(inner, depth + 1)
        elif isinstance(value, str):
            self._learn_text(value, depth)
        elif isinstance(value, int) and not isinstance(value, bool):
            self._learn_text(str(value), depth)

    def _learn_text(self, text: str, depth: int) -> None:
        """Remember a text and, if it carries others, those that may be secret by themselves."""
        text = text.strip()
        if len(text) < EXACT_CHARACTERS or text in self._found or is_public(text):
            return
        self._found.add(text)
        carrier = look(text) if depth < CARRIERS and len(text) <= _CARRIED_CHARACTERS else None
        if carrier is None:
            return
        for place in carrier.places:
            if self._is_part(place, carrier):
                self._learn_text(place.value, depth + 1)

    def _is_part(self, place: Place, carrier: Carrier) -> bool:
        """Whether a place inside a secret text is a secret by itself.

        What stands in a flat document, such as a secret store's, is one unless its name says
        otherwise. In a larger document, marked as a whole for one of its values, most are none.
        """
        if place.is_key:
            return is_random(place.value)
        if self._judge.why_place(place):
            return True
        if carrier.kind in _WRAPPINGS:
            return True
        if carrier.kind in _ADDRESSES or is_plain_name(place.label or leaf_name(place.path)):
            return False
        names = {inner.path[-1] for inner in carrier.places if inner.path}
        if names >= _MANIFEST:
            return False
        is_flat = all(len(inner.path) <= 1 for inner in carrier.places)
        return is_flat or _ORDINARY.fullmatch(place.value) is None
