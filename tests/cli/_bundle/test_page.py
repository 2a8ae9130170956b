"""Tests of the page for people: all is counted, nothing runs."""

import re
from html.parser import HTMLParser
from typing import Any

from proxy.cli._bundle.page import MAX_LISTED, Summary, page

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202e&amp;{{7*7}}"
ABOUT = {
    "origin": "log.example",
    "from": 0,
    "to": 9,
    "size": 20,
    "filters": {},
    "says": "Nothing is missing.",
}


class Elements(HTMLParser):
    """Keeps what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.text += data


def an_entry(**changes: Any) -> dict[str, Any]:
    """Return an entry."""
    return {
        "event": "state.read",
        "outcome": "success",
        "time": "2026-11-22T10:00:00.000000Z",
        "message": "alice read prod",
        "actor": {"type": "user", "name": "alice"},
        "source": {"ip": "10.0.0.7"},
        "workspace": "prod",
        **changes,
    }


def parsed(*entries: dict[str, Any], **about: object) -> Elements:
    """Return the page of these entries."""
    summary = Summary()
    for index, entry in enumerate(entries):
        summary.add(index, entry)
    elements = Elements()
    elements.feed(page(summary, {**ABOUT, **about}))
    return elements


def test_hostile_texts_are_inert() -> None:
    """Of each member that a client can choose: shown as text, as no element or attribute."""
    hostile = an_entry(
        event="auth.failed",
        outcome="denied",
        message=HOSTILE,
        actor={"type": "anonymous", "name": HOSTILE},
        source={"ip": HOSTILE},
        workspace=HOSTILE,
    )
    elements = parsed(hostile, origin=HOSTILE, filters={"actor": HOSTILE}, says=HOSTILE)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "img", "a", "iframe", "link", "form", "object", "svg"}
    attributes = {name for _, attrs in elements.found for name in attrs}
    assert {"lang", "charset", "http-equiv", "content", "name", "class"} == attributes
    assert 7 <= elements.text.count("<script>alert(1)</script>")
    assert "\x1b" not in elements.text
    assert "\u202e" not in elements.text


def test_the_page_forbids_what_could_run() -> None:
    """Should one escape be forgotten after all: no script, no image, nothing from elsewhere."""
    elements = parsed(an_entry())
    policies = [attrs["content"] for _, attrs in elements.found if "http-equiv" in attrs]
    assert [
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ] == (policies)
    assert not re.search(r"https?:", page(Summary(), ABOUT))


def test_who_did_what_is_counted() -> None:
    """Actors, workspaces, events, outcomes; refusals, failed logins and changes one by one."""
    text = parsed(
        an_entry(),
        an_entry(),
        an_entry(event="auth.failed", outcome="denied", message="somebody guessed"),
        an_entry(event="state.lock_refused", outcome="conflict", message="bob had to wait"),
        an_entry(event="grant.created", message="carol gave a role"),
    ).text
    for told in ("alice (user)5", "prod5", "outcome success3", "outcome denied1", "entries5"):
        assert told in re.sub(r"\s", "", text).replace("(user)", " (user)").replace(
            "outcome", "outcome "
        )
    failed, refusals = text.index("Failed logins"), text.index("Refusals")
    changes = text.index("Administrative changes")
    assert failed < text.index("somebody guessed") < refusals
    assert refusals < text.index("bob had to wait") < changes < text.index("carol gave a role")


def test_the_page_stays_short() -> None:
    """However many entries there are, and however many names somebody makes up."""
    entries = [
        an_entry(event="auth.failed", outcome="denied", workspace=f"w{number}")
        for number in range(MAX_LISTED + 300)
    ]
    summary = Summary()
    for index, entry in enumerate(entries):
        summary.add(index, entry)
    text = page(summary, ABOUT)
    assert "And 300 more" in text
    assert "(others)" in text
    assert f">w{MAX_LISTED}<" not in text
    assert f">w{MAX_LISTED - 1}<" in text
