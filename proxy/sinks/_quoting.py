"""What a far side says in its own words, for the one who tries a sink, and for no record.

A far side may repeat the credentials that it got, in whatever form: so nothing of its words is
kept, sent on or logged. An administrator who asks what it says is shown them, unless any form of a
secret is found in them.
"""

import base64
import binascii
import html
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.client_text import HIDDEN, client_text

UNSHOWN: Final = "what it says is not shown, for it repeats a secret"
_LOOKED_AT: Final = 4_096
"""Bytes of an answer that are read for it."""
_CUT: Final = 400
_MAX_QUOTED: Final = 200
_SECRET_RUN: Final = 6
"""Characters in a row that an answer may not have in common with a secret,"""
_SENT_RUN: Final = 16
"""nor with what was sent: names of fields are shorter, values that matter are longer."""
_ROUNDS: Final = 2
"""Of encodings, one within the other."""
_MAX_FORMS: Final = 400


def quoted(content: bytes, secrets: Collection[str], sent: bytes = b"") -> str:
    """Return what an answer says, cut: no secret, nothing that was sent, no markup.

    Args:
        content: the answer's.
        secrets: no form of which may be shown.
        sent: the request's content.
    """
    if not content:
        return ""
    text = content[:_LOOKED_AT].decode("utf-8", "replace")
    if _repeats(text, secrets):
        return UNSHOWN
    text = re.sub(r"<[^<>]*>", " ", "".join(x if x.isprintable() else " " for x in text))
    text = " ".join(text.split())[:_CUT]
    text = client_text(_without(text, sent.__contains__), _CUT)
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…"


def _without(text: str, was_sent: Callable[[bytes], bool]) -> str:
    """Return the text with a mark for what consists of runs of bytes that were sent."""
    encoded = text.encode()
    kept = bytearray()
    hidden_until = 0
    for at in range(len(encoded)):
        if at + _SENT_RUN <= len(encoded) and was_sent(encoded[at : at + _SENT_RUN]):
            if at >= hidden_until:
                kept += HIDDEN.encode()
            hidden_until = at + _SENT_RUN
        elif at >= hidden_until:
            kept.append(encoded[at])
    return kept.decode("utf-8", "ignore")


def _repeats(text: str, secrets: Iterable[str]) -> bool:
    """Tell whether a text has a part of a secret, in whatever form."""
    runs = set(_runs(secrets))
    if not runs:
        return False
    known = {text}
    new = [text]
    for _ in range(_ROUNDS):
        made = {form for each in new for form in _decoded(each)} - known
        new = sorted(made, key=len, reverse=True)[: _MAX_FORMS - len(known)]
        known.update(new)
    bare = {_bare(form) for form in known}
    return any(run in form or run in form[::-1] for form in bare for run in runs)


def _runs(secrets: Iterable[str]) -> Iterator[str]:
    """Yield what tells of a secret: each run of characters; of a short one all of it.

    Of an address its host tells nothing, nor does a plain word as ``services`` or ``Bearer``.
    """
    for secret in secrets:
        forms = re.split(r"\s", secret)
        if secret.startswith(("https://", "http://")):
            parts = urlsplit(secret)
            forms = re.split(r"[/?&=#]", f"{parts.path}/{parts.query}/{parts.fragment}")
            forms += parts.netloc.rpartition("@")[0].split(":")
        if len(forms) > 1:
            forms = [form for form in forms if not re.fullmatch("[A-Za-z]{1,10}", form)]
        for form in filter(None, map(_bare, forms)):
            size = min(_SECRET_RUN, len(form))
            yield from (form[at : at + size] for at in range(len(form) - size + 1))


def _bare(text: str) -> str:
    """Return what is left without case, and without what may part a text."""
    return "".join(filter(str.isalnum, text.casefold()))


def _decoded(text: str) -> Iterator[str]:
    """Yield what a text may stand for."""
    whole = re.sub(r"<[^<>]*>", "", text)
    yield whole
    yield html.unescape(whole)
    yield unquote(whole)
    yield re.sub(r"\\(?:u\{?|x)([0-9a-fA-F]{2,6})\}?", _character, whole)
    for joined in {whole, re.sub(r"[^0-9A-Za-z+/=]", "", whole), re.sub(r"[\s.,:;]", "", whole)}:
        for run in re.findall("[0-9a-fA-F]{6,}", joined):
            for at in (0, 1):
                even = run[at : at + (len(run) - at) // 2 * 2]
                yield bytes.fromhex(even).decode("latin-1")
        for run in re.findall("[0-9A-Za-z+/_-]{6,}", joined):
            plain = run.replace("-", "+").replace("_", "/")
            for at in range(4):
                yield _of_base64(plain[at:])


def _character(found: re.Match[str]) -> str:
    number = int(found[1][:4], 16)
    return chr(number)


def _of_base64(text: str) -> str:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4]).decode("latin-1")
    except binascii.Error:
        return ""
