"""Every copy of a secret is found, however it is written, and nothing of it is left beside it."""

import base64
import html
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.tfstate import secrets
from proxy.tfstate.secrets import Hunt, Hunts, Secrets, Span, merged
from tests.strategies import texts

PLAIN = "hunter2-hunter2"
ODD = "a\"b\\c<d>&e'f /?g+ü\u2028\nh\x01"

long_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40)
"""Secrets that are long enough to be hunted for."""
few_letters = st.text("ab", min_size=3, max_size=12)
"""Texts that contain each other, share their middles and overlap."""


def left(text: str, *sought: str) -> str:
    """What is left of a text without the secrets that stand in it."""
    found = Secrets(frozenset(sought), (Hunt(sought),)).spans(text)
    pieces, position = [], 0
    for span in found:
        pieces.append(text[position : span.start])
        position = span.end
    return "|".join([*pieces, text[position:]])


def in_go(text: str) -> str:
    """JSON as Go writes it, without quotes."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for character in "<>&\u2028\u2029":
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return escaped


WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in ascii": lambda text: json.dumps(text)[1:-1],
    "go": in_go,
    "json twice": lambda text: (
        json.dumps(json.dumps(text, ensure_ascii=False)[1:-1])[1:-1]
        if text.isascii()
        else json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1]
    ),
    "go twice": lambda text: in_go(in_go(text)),
    "percent": lambda text: quote(text, safe=""),
    "percent, small": lambda text: (
        quote(text, safe="")
        .replace("%C3%BC", "%c3%bc")
        .replace("%5C", "%5c")
        .replace("%3C", "%3c")
        .replace("%3E", "%3e")
        .replace("%2F", "%2f")
        .replace("%3F", "%3f")
        .replace("%2B", "%2b")
        .replace("%E2%80%A8", "%e2%80%a8")
        .replace("%0A", "%0a")
    ),
    "percent, a path": lambda text: quote(text, safe="/"),
    "form": quote_plus,
    "html": html.escape,
    "html of Go": lambda text: (
        html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    ),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


@pytest.mark.parametrize("secret", [PLAIN, ODD, f"{ODD * 8}"], ids=["plain", "odd", "long"])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_write_a_secret_is_known(way: str, secret: str) -> None:
    """The whole of it goes, and nothing but it."""
    assert "before ~ | ~ after" == left(f"before ~ {WAYS[way](secret)} ~ after", secret)


@given(st.binary(max_size=9), long_texts, st.binary(max_size=9), st.booleans(), st.booleans())
@example(b"0" * 9, "0" * 8, b"", False, False)
def test_base64_keeps_nothing_of_a_secret(
    before: bytes, secret: str, after: bytes, urlsafe: bool, padded: bool
) -> None:
    """Wherever it begins in what is encoded, every digit with a bit of it goes."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    text = encode(before + secret.encode() + after).decode()
    text = text if padded else text.rstrip("=")
    spans = Secrets(frozenset({secret}), (Hunt([secret]),)).spans(text)
    covered = {index for span in spans for index in range(span.start, span.end)}
    first_bit, last_bit = 8 * len(before), 8 * (len(before) + len(secret.encode()))
    assert covered.issuperset(range(first_bit // 6, (last_bit + 5) // 6))


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_base64_keeps_what_stands_around_a_secret(before: bytes, after: bytes) -> None:
    """But two bytes on each side at most."""
    text = base64.b64encode(before + PLAIN.encode() + after).decode()
    (found,) = Secrets(frozenset({PLAIN}), (Hunt([PLAIN]),)).spans(text)
    assert found.start * 6 > 8 * len(before) - 18
    assert found.end * 6 < 8 * (len(before) + len(PLAIN)) + 18 + 12 * text.endswith("=")


@pytest.mark.parametrize("lines", ["one\ntwo-two\nthree", "one\r\ntwo-two\r\nthree"])
@pytest.mark.parametrize("written", ["one\ntwo-two\nthree", "one\r\ntwo-two\r\nthree"])
def test_line_breaks_are_no_disguise(lines: str, written: str) -> None:
    """Windows writes two characters where others write one."""
    assert "<|>" == left(f"<{written}>", lines)


@pytest.mark.parametrize("indent", ["", "    ", "\t"])
def test_the_lines_of_a_key_are_found_however_indented(indent: str) -> None:
    """A key in YAML or a here-document stands further to the right."""
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU", "Mzgvd="]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines[:2], "-----END PRIVATE KEY-----"])
    indented = "\r\n".join(indent + line for line in key.split("\n"))
    rest = left(f"key: |\n{indented}\nend", key)
    assert all(line not in rest for line in lines)


def test_a_certificate_beside_a_key_is_not_hunted_for() -> None:
    """It is public, and stands by itself in other attributes."""
    body = "MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa"
    cert = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB"
    key = f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"
    assert cert == left(cert, key + cert)
    assert line not in left(f"  {line}\n", key + cert)


@given(st.lists(few_letters, min_size=1, max_size=6), st.text("ab-", max_size=60))
@example(["aaaa"], "aaaaaaaaaaa")
@example(["abab", "bab"], "-ababab-")
def test_all_that_overlaps_is_found(sought: list[str], text: str) -> None:
    """Every character of every copy is covered, also of those longer than a needle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_WHOLE_CHARACTERS", 4)
        patch.setattr(secrets, "_WINDOW_CHARACTERS", 2)
        patch.setattr(secrets, "_CHUNK_CHARACTERS", 8)
        spans = merged(Hunt(sought).spans(text), text)
    covered = {index for span in spans for index in range(span.start, span.end)}
    for secret in sought:
        for start in range(len(text)):
            if text.startswith(secret, start):
                assert covered.issuperset(range(start, start + len(secret)))


def test_a_secret_that_ends_another_does_not_hide_its_beginning() -> None:
    """They have a middle in common; which is looked at first differs from set to set."""
    middle = "".join(f"{number:02}" for number in range(20, 50))
    for number in range(12):
        short = f"{number:02}{middle}{number:02}{middle}"
        assert "<|>" == left(f"<begin-{short}>", short, f"begin-{short}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_WHOLE_CHARACTERS", 4)
        patch.setattr(secrets, "_WINDOW_CHARACTERS", 2)
        for letter in "bcdefghijklm":
            long = f"{letter * 4}aa"
            assert "|" == left(long, long, long[1:])


@given(st.lists(few_letters, min_size=1, max_size=8), st.text("ab", max_size=60))
def test_a_crowd_hides_at_least_what_its_members_do(sought: list[str], text: str) -> None:
    """Of many with one middle, each copy is covered without being looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_WHOLE_CHARACTERS", 4)
        patch.setattr(secrets, "_WINDOW_CHARACTERS", 2)
        patch.setattr(secrets, "_CHUNK_CHARACTERS", 8)
        each = merged(Hunt(sought).spans(text), text)
        patch.setattr(secrets, "_CROWDED", 0)
        together = merged(Hunt(sought).spans(text), text)
    covered = {index for span in together for index in range(span.start, span.end)}
    assert all(covered.issuperset(range(span.start, span.end)) for span in each)


def test_a_long_member_of_a_crowd_behind_a_short_one() -> None:
    """The reach of the one before says nothing about the next."""
    middle = "M" * 32
    crowd = [f"{number:02}" * 10 + middle + f"{number:02}" * 10 for number in range(20)]
    long = f"{'q1w2e3r4t5' * 40}{middle}{'p0o9i8u7y6' * 40}"
    rest = left(f"<{crowd[0]}{long}{'.' * 500}end>", *crowd, long)
    assert "end>" == rest.split("|")[-1].lstrip(".")
    assert not any(part in rest for part in ("00", "q1", "MM", "y6"))


@given(st.integers(8_100, 8_300), st.sampled_from([8, 63, 64, 65, 300]))
def test_a_secret_across_the_border_of_a_chunk(before: int, size: int) -> None:
    """A long text is searched in parts; what lies in two of them is found."""
    secret = ("0123456789abcdefghijklmnopqrstuvwxyz" * 9)[:size]
    text = f"{'.' * before}{secret}{'.' * 9_000}"
    assert [Span(before, before + size, secret)] == merged(Hunt([secret]).spans(text), text)


def test_a_part_of_a_long_secret_is_none() -> None:
    """Its middle may be what many texts have in common, such as a line of a template."""
    secret = "".join(f"line-{number}." for number in range(40))
    assert secret[50:200] == left(secret[50:200], secret)


def test_more_matches_than_anybody_means_make_the_text_a_secret() -> None:
    """Else a text made for it costs more than it is worth."""
    sought = [f"{'a' * number}" for number in range(8, 20)]
    text = f"b{'a' * 8_000}b"
    assert [Span(0, len(text), text)] == merged(Hunt(sought).spans(text), text)


def test_long_secrets_that_nearly_stand_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would have to be compared too often in vain is a secret as a whole."""
    monkeypatch.setattr(secrets, "_COMPARED_CHARACTERS", 10_000)
    monkeypatch.setattr(secrets._Progress.__init__, "__defaults__", (10_000,))
    secret = f"{'a' * 200}b{'a' * 120}c"
    text = "a" * 5_000
    assert [Span(0, len(text), text)] == merged(Hunt([secret]).spans(text), text)


@pytest.mark.parametrize("secret", ["\ud800broken-half", "pass\udfffword-\ud83d"])
def test_lone_surrogates_are_hunted_for(secret: str) -> None:
    """JSON inside a text can hold them, though UTF-8 can't."""
    assert "<|>" == left(f"<{secret}>", secret)


def test_what_overlaps_is_one_span_with_all_it_covers() -> None:
    """A commitment of a part would not tell what was there."""
    text = "-abcdef-"
    assert [Span(1, 7, "abcdef")] == merged([Span(3, 7, "cdef"), Span(1, 5, "abcd")], text)
    assert [Span(1, 7, "all")] == merged([Span(3, 5, "in"), Span(1, 7, "all")], text)
    assert [Span(1, 3, "a"), Span(3, 5, "b")] == merged([Span(3, 5, "b"), Span(1, 3, "a")], text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abcd", True), ("  abcd\n", True), ("abc", False), ("xabcd", False), ("ab", False)],
)
def test_whole_texts_are_recognised(text: str, expected: bool) -> None:
    """From four characters on, whatever space is around."""
    assert expected == (text in Secrets(frozenset({"abcd", "abc", "ab"}), ()))


@given(st.lists(long_texts, min_size=1, max_size=4), texts, st.data())
def test_what_stands_in_an_object_may_stand_in_its_json(
    sought: list[str], around: str, data: st.DataObject
) -> None:
    """The quick look at a whole object never says no when a text of it says yes."""
    text = around + data.draw(st.sampled_from(sought)) + around
    known = Secrets(frozenset(sought), (Hunt(sought),))
    assert known.spans(text)
    assert known.may_stand_in(json.dumps({"a": [text]}, ensure_ascii=False))


# ---------------------------------------------------------------- from version to version


def _many(number: int) -> list[str]:
    return [f"secret-number-{index:04}" for index in range(number)]


def test_the_search_for_the_same_secrets_is_used_again() -> None:
    """It takes longer to make than to use."""
    hunts = Hunts()
    first = hunts.secrets(b"a", frozenset(_many(50)))
    assert first._hunts == hunts.secrets(b"a", frozenset(_many(50)))._hunts


def test_a_few_new_secrets_are_searched_for_beside_the_others() -> None:
    """All are found; the large search is not made again."""
    hunts = Hunts()
    first = hunts.secrets(b"a", frozenset(_many(50)))
    second = hunts.secrets(b"a", frozenset([*_many(50), "another-secret"]))
    assert first._hunts[0] is second._hunts[0]
    assert [(0, 14), (15, 33)] == [
        (start, end) for start, end, _ in second.spans("another-secret secret-number-0049")
    ]


@given(st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=6))
def test_what_is_secret_now_is_always_found(versions: list[set[int]]) -> None:
    """Whatever the versions before had."""
    hunts = Hunts()
    for version in versions:
        texts = frozenset(_many(41)[index] for index in version)
        known = hunts.secrets(b"a", texts)
        assert all(known.spans(f"x{text}y") == [Span(1, 19, text)] for text in texts)


def test_what_is_no_secret_any_more_is_forgotten_with_the_search() -> None:
    """At the latest when an eighth of them changed."""
    hunts = Hunts()
    hunts.secrets(b"a", frozenset(_many(50)))
    known = hunts.secrets(b"a", frozenset(_many(10)))
    assert [] == known.spans("secret-number-0049")


def test_workspaces_know_nothing_of_each_other() -> None:
    """What is secret in one may be a word in another."""
    hunts = Hunts()
    hunts.secrets(b"a", frozenset(_many(50)))
    assert [] == hunts.secrets(b"b", frozenset(["another-secret"])).spans("secret-number-0049")


def test_the_searches_of_idle_workspaces_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; the one that is used stays, however large."""
    monkeypatch.setattr(secrets, "_KEPT_FORMS", 300)
    hunts = Hunts()
    for owner in (b"a", b"b", b"c"):
        hunts.secrets(owner, frozenset(_many(40)))
        assert hunts._forms == sum(map(len, hunts._kept.values()))
    assert [b"c"] == list(hunts._kept)


def test_threads_may_share_the_searches() -> None:
    """Each finds what is its own."""
    hunts = Hunts()

    def work(number: int) -> bool:
        text = f"own-secret-{number % 7}"
        return bool(hunts.secrets(b"%d" % (number % 3), frozenset([text])).spans(f"<{text}>"))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(300)))
    assert hunts._forms == sum(map(len, hunts._kept.values()))
