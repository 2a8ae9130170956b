"""The secret texts of a change, and where they stand in other texts, as they are or encoded.

A secret is hunted for in every form in which a state may carry it: as it is, escaped as in JSON
(also the way Go does it), percent-encoded, in hexadecimal digits, and in base64 at each of the
three places where it may begin inside a longer encoded text. All forms are searched for in one
pass (Aho-Corasick), so that a thousand secrets cost hardly more than one.
"""

import base64
import html
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

from ahocorasick_rs import AhoCorasick, Implementation

from proxy.tfstate.credentials import public_blocks

SUBSTRING_CHARACTERS: Final = 8
"""A secret of fewer characters is hidden where it is a whole value, not inside other texts."""

EXACT_CHARACTERS: Final = 4
"""One of fewer is hidden only where it stands: `10` and `yes` are too common to be hunted for."""

MOST_SECRETS: Final = 20_000
"""More than that are not hunted for: whoever renders such a change has to hide every value."""

_WHOLE_CHARACTERS: Final = 64
_WINDOW_CHARACTERS: Final = 32
_CHUNK_CHARACTERS: Final = 8_192
_MOST_MATCHES: Final = 20_000
_CROWDED: Final = 16
_COMPARED_CHARACTERS: Final = 1 << 28
"""Of long forms in vain, before all of a text counts as secret: about 20 ms of work."""
_FEW: Final = 8
"""A search is used again while not more than this part of its secrets are others."""

_KEPT_FORMS: Final = 400_000

_LINE_OF_KEY: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]+")
_GO_ESCAPES: Final = re.compile("[<>&\u2028\u2029]")
_ESCAPED_PERCENT: Final = re.compile("%[0-9A-F]{2}")
_BASE64_BEFORE: Final = re.compile(r"[A-Za-z0-9+/_-]{0,2}\Z")
_BASE64_AFTER: Final = re.compile(r"[A-Za-z0-9+/_-]{0,2}={0,2}")


class Span(NamedTuple):
    """Where secrets stand in a text.

    Attributes:
        start: index of the first character.
        end: index behind the last one.
        secret: the secret itself, however it is written there; of several that overlap, all that
            they cover.
    """

    start: int
    end: int
    secret: str


class _Form(NamedTuple):
    """One way in which a secret may be written.

    Attributes:
        text: the whole of it.
        offset: where the part that is searched for begins in it.
        secret: whose form it is.
        loose: whether up to two characters on each side carry bits of the secret, too.
    """

    text: str
    offset: int
    secret: str
    loose: bool


@dataclass(slots=True)
class _Progress:
    """How far a search in a text has come.

    Attributes:
        covered: up to where the last span of each form reaches, by its needle and order.
        crowds: what the last forms with a needle in common, too many to look at each, may cover.
        left: how many characters may still be compared in vain.
    """

    covered: dict[tuple[int, int], int]
    crowds: dict[int, tuple[int, int]]
    left: int = _COMPARED_CHARACTERS


class Hunt:
    """Finds all forms of some secrets in a text.

    What is searched for are needles of at most 64 characters, so that no place of a text can be
    the end of more than 64 of them; of a longer form, a needle is a part from its middle.

    Args:
        secrets: of at least `SUBSTRING_CHARACTERS` each.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = frozenset(secrets)
        forms: dict[str, list[_Form]] = {}
        for secret in self.secrets:
            for form, loose in _forms(secret):
                offset, size = 0, len(form)
                if size > _WHOLE_CHARACTERS:  # the middle is where secrets differ most
                    offset, size = (size - _WINDOW_CHARACTERS) // 2, _WINDOW_CHARACTERS
                needle = _carried(form[offset : offset + size])
                forms.setdefault(needle, []).append(_Form(form, offset, secret, loose))
        self._needles = list(forms)
        self._forms = list(forms.values())
        self._reaches = {
            number: _reach(group)
            for number, group in enumerate(self._forms)
            if len(group) > _CROWDED
        }
        self._automaton = AhoCorasick(
            self._needles, store_patterns=False, implementation=Implementation.ContiguousNFA
        )

    def __len__(self) -> int:
        """How many forms are searched for."""
        return len(self._needles)

    def spans(self, text: str) -> Iterator[Span]:
        """Yield where the secrets stand, in no order, overlapping as they may.

        A text in which they stand more often than anybody can have meant is a secret as a whole.
        """
        progress = _Progress({}, {})
        for chunk_start in range(0, len(text), _CHUNK_CHARACTERS):
            chunk = text
            if len(text) > _CHUNK_CHARACTERS:
                chunk = text[chunk_start : chunk_start + _CHUNK_CHARACTERS + _WHOLE_CHARACTERS]
            chunk = _carried(chunk)
            matches = self._automaton.find_matches_as_indexes(chunk, overlapping=True)
            if matches and len(matches) <= _MOST_MATCHES:
                yield from self._spans(text, chunk_start, matches, progress)
            if len(matches) > _MOST_MATCHES or progress.left < 0:
                yield Span(0, len(text), text)
                return
        for start, end in progress.crowds.values():
            yield Span(start, end, text[start:end])

    def is_met(self, text: str) -> bool:
        """Whether any form of a secret, or the middle of a long one, stands in a text."""
        return bool(self._automaton.find_matches_as_indexes(text))

    def _spans(
        self,
        text: str,
        chunk_start: int,
        matches: list[tuple[int, int, int]],
        progress: "_Progress",
    ) -> Iterator[Span]:
        """The spans that belong to some matches; one that lies in the last of its form is none.

        Args:
            text: all of it.
            chunk_start: where the chunk begins in it that the matches are counted in.
            matches: number of the needle, start, end.
            progress: what earlier chunks came to.
        """
        covered = progress.covered
        for number, start, end in matches:
            start, end = start + chunk_start, end + chunk_start  # noqa: PLW2901 - in the text
            if number in self._reaches:  # too many to look at each
                yield from self._crowd(text, number, start, progress.crowds)
                continue
            for order, form in enumerate(self._forms[number]):
                if end <= covered.get((number, order), 0):
                    continue
                found = _span(text, start, form)
                if found is not None:
                    yield found
                    covered[number, order] = found.end
                elif len(form.text) > _WHOLE_CHARACTERS:
                    progress.left -= len(form.text)
            if progress.left < 0:
                return

    def _crowd(
        self, text: str, number: int, start: int, crowds: dict[int, tuple[int, int]]
    ) -> Iterator[Span]:
        """Take up as much as any form with a certain needle may cover; yield what went before."""
        before, after = self._reaches[number]
        low, high = max(0, start - before), min(len(text), start + after)
        last = crowds.get(number)
        if last is not None and low <= last[1]:
            low = last[0]
        elif last is not None:
            yield Span(*last, text[slice(*last)])
        crowds[number] = (low, high)


class Secrets:
    """All secrets of one change.

    Args:
        texts: what was found to be secret, each as a whole.
        hunts: search for a superset of those that are long enough.
    """

    def __init__(self, texts: frozenset[str], hunts: tuple[Hunt, ...]) -> None:
        self._texts = texts
        self._hunts = hunts

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._texts)

    def __contains__(self, text: str) -> bool:
        """Whether a whole text is a secret that is long enough to be recognised."""
        return len(text) >= EXACT_CHARACTERS and text.strip() in self._texts

    def may_stand_in(self, json_text: str) -> bool:
        """Whether one that is searched for may stand in any text of a JSON document.

        Args:
            json_text: with no more escapes than it must have.
        """
        return any(hunt.is_met(json_text) for hunt in self._hunts)

    def spans(self, text: str) -> list[Span]:
        """Return where secrets stand in a text: disjoint, from left to right."""
        found: list[Span] = []
        for hunt in self._hunts:
            found += hunt.spans(text)
        return merged(found, text) if found else found


class Hunts:
    """Makes the searches for the secrets of changes, and keeps them for the next change.

    Threads may share them.

    The secrets of a workspace hardly differ from one version to the next, so that a search for
    those of the last is used again, with another beside it for the few that are new. What is a
    secret no longer may so be hidden a little longer.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Hunt] = OrderedDict()
        self._forms = 0
        self._lock = Lock()

    def secrets(self, owner: bytes, texts: frozenset[str]) -> Secrets:
        """Return a workspace's secrets.

        Args:
            owner: tells workspaces apart.
            texts: all secrets of both versions; at most `MOST_SECRETS`.
        """
        long = frozenset(text for text in texts if len(text) >= SUBSTRING_CHARACTERS)
        if not long:
            return Secrets(texts, ())
        with self._lock:
            last = self._kept.get(owner)
            if last is not None:
                self._kept.move_to_end(owner)
        if last is not None:
            new = long - last.secrets
            gone = len(last.secrets) + len(new) - len(long)
            if not new and not gone:
                return Secrets(texts, (last,))
            if max(len(new), gone) * _FEW < len(last.secrets):
                return Secrets(texts, (last, Hunt(new)) if new else (last,))
        hunt = Hunt(long)
        with self._lock:
            self._keep(owner, hunt)
        return Secrets(texts, (hunt,))

    def _keep(self, owner: bytes, hunt: Hunt) -> None:
        replaced = self._kept.pop(owner, None)
        self._forms += len(hunt) - (0 if replaced is None else len(replaced))
        self._kept[owner] = hunt
        while self._forms > _KEPT_FORMS and len(self._kept) > 1:
            self._forms -= len(self._kept.popitem(last=False)[1])


def merged(spans: Iterable[Span], text: str) -> list[Span]:
    """Return spans of a text as disjoint ones from left to right.

    Those that overlap become one: the one that holds all others keeps its secret, else what they
    cover together is the secret.
    """
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not found or span.start >= found[-1].end:
            found.append(span)
        elif span.end > found[-1].end:
            start = found[-1].start
            found[-1] = Span(start, span.end, text[start : span.end])
    return found


def _carried(text: str) -> str:
    """The text as UTF-8 can carry it, of the same length: JSON inside a text can hold others."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _reach(forms: list[_Form]) -> tuple[int, int]:
    """How far any of some forms reaches from where their needle starts, to the left and right."""
    loose = 2 * any(form.loose for form in forms)
    before = max(form.offset for form in forms)
    after = max(len(form.text) - form.offset for form in forms)
    return before + loose, after + 2 * loose


def _span(text: str, start: int, form: _Form) -> Span | None:
    """Where a form stands of which a part was found; None if it is only that part."""
    start -= form.offset
    if start < 0 or not text.startswith(form.text, start):
        return None
    end = start + len(form.text)
    if form.loose:
        before = _BASE64_BEFORE.search(text, max(0, start - 2), start)
        after = _BASE64_AFTER.match(text, end)
        start = start if before is None else before.start()
        end = end if after is None else after.end()
    return Span(start, end, form.secret)


def _forms(secret: str) -> Iterator[tuple[str, bool]]:
    """Yield the ways to write a secret, and whether the text around may carry parts of it."""
    yield secret, False
    if not _PLAIN.fullmatch(secret):
        yield from ((form, False) for form in _escaped(secret) - {secret})
    encoded = secret.encode("utf-8", "surrogatepass")
    for form in _in_base64(encoded):
        yield form, True
    digits = encoded.hex()
    yield digits, False
    if not digits.isdecimal():
        yield digits.upper(), False
    if "\n" in secret or "\r" in secret:
        unix = secret.replace("\r\n", "\n").replace("\r", "\n")
        other_ends = {unix, unix.replace("\n", "\r\n")} - {secret}
        yield from ((form, False) for form in sorted(other_ends))
        for line in map(str.strip, _private(unix)):  # a key in PEM, however it is indented
            if _LINE_OF_KEY.fullmatch(line):
                yield line, False


def _private(text: str) -> Iterator[str]:
    """The lines of a text, without the certificates and public keys that stand beside a key."""
    position = 0
    for start, end in [*public_blocks(text), (len(text), len(text))]:
        yield from text[position:start].split("\n")
        position = max(position, end)


def _escaped(secret: str) -> set[str]:
    """The ways to write a secret that is not made of letters, digits and few signs alone."""
    in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    in_go = _GO_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", in_json)
    in_html = html.escape(secret)
    quoted, plus = quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")
    forms = {
        in_json,
        json.dumps(secret)[1:-1],
        json.dumps(in_json, ensure_ascii=False)[1:-1],
        in_go,
        json.dumps(in_go, ensure_ascii=False)[1:-1],
        in_html,
        in_html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),  # as Go writes it
    }
    for form in (quoted, plus, quote(secret, safe="/", errors="replace")):
        forms |= {form, _ESCAPED_PERCENT.sub(lambda match: match[0].lower(), form)}
    return forms


def _in_base64(encoded: bytes) -> Iterator[str]:
    """What a secret looks like in base64, wherever in a longer text it begins.

    Only those characters that it determines alone; `_Form.loose` is for the others.
    """
    for before in range(3):
        whole = base64.b64encode(bytes(before) + encoded).decode("ascii")
        last = len(encoded) + before
        form = whole[(before * 8 + 5) // 6 : last * 8 // 6]
        yield form
        if "+" in form or "/" in form:
            yield form.translate(_URL_SAFE)


_URL_SAFE: Final = str.maketrans("+/", "-_")
