"""What is shown of a change: the same by every way, less in every stricter mode."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.tfstate.diff import Changes, diff
from proxy.tfstate.document import Document, parse
from proxy.tfstate.judge import Judge
from proxy.tfstate.learning import Learner, Lesson
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.redact import Redactor
from proxy.tfstate.rendering import Renderer
from proxy.tfstate.secrets import Hunts, Secrets
from tests.strategies import texts
from tests.tfstate.test_diff import resource, state, v3
from tests.tfstate.test_redact import KEY, is_commitment, mark, secretive

SECRET = "hunter2-hunter2"
ODD = "hunter2<&>hunter2"
VALUE = "some-plain-value"
MARKER = "[redacted hmac-sha256:"


def shown(
    old: Document | None, new: Document, policy: Policy = STANDARD, *, clean: bool = True
) -> list[dict[str, Any]]:
    """The items of a change, with or without the short way for clean objects."""
    changes = diff(old, new)
    lesson = Learner(Judge(policy)).learn(old, new, changes)
    known = Hunts().secrets(b"", lesson.texts)
    short = lesson.clean if clean else frozenset()
    renderer = Renderer(changes, KEY, Judge(policy), known, short, policy.mode)
    return list(renderer.items())


def attributes(value: dict[str, Any], policy: Policy = STANDARD, *marked: Any) -> dict[str, Any]:
    """What is shown of a new resource."""
    (item,) = shown(None, state(resource(attributes=value, sensitive_attributes=marked)), policy)
    return {name: sides["after"] for name, sides in item["attributes"].items()}


def assert_gone(found: object, *secrets: str) -> None:
    """None of them is in what was rendered."""
    text = json.dumps(found, ensure_ascii=False)
    for secret in secrets:
        assert secret not in text


# ---------------------------------------------------------------- the short way


@settings(max_examples=30)
@given(secretive(), secretive())
def test_the_short_way_shows_what_the_long_one_does(
    first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    """A clean object holds no secret of its own; those of elsewhere are hidden by both."""
    old, new = state(*first), state(*second)
    for before, after in ((None, new), (old, new), (new, old)):
        assert shown(before, after, clean=False) == shown(before, after)


_copies = st.sampled_from((SECRET, ODD, "hunt2", "  hunt2 ", "plain", 4711)) | texts


@given(
    st.dictionaries(st.sampled_from("abc"), _copies | st.lists(_copies, max_size=2), max_size=3),
    st.dictionaries(st.sampled_from("abc"), _copies | st.lists(_copies, max_size=2), max_size=3),
)
def test_copies_are_hidden_by_the_short_way_as_well(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Long ones and short ones, with space around or not."""
    holder = resource("h", attributes={"password": {"a": SECRET, "b": ODD, "c": "hunt2"}})
    old = state(holder, resource("x", attributes=before))
    new = state(holder, resource("x", attributes=after))
    for was in (None, old):
        assert shown(was, new, clean=False) == shown(was, new)


@pytest.mark.parametrize(
    "carrier",
    [
        '{"a": "hunter2\\u003c\\u0026\\u003ehunter2"}',
        "eyJhIjogImh1bnRlcjJcdTAwM2NcdTAwMjZcdTAwM2VodW50ZXIyIn0=",
        "a: 'hunter2<&>hunter2'\nb: c\n",
        "https://example.com/?q=hunter2%3c%26%3Ehunter2",
    ],
)
def test_texts_of_clean_objects_are_looked_into(carrier: str) -> None:
    """A secret of another object may be written in any way there."""
    holder = resource("h", attributes={"password": ODD})
    old = state(holder, resource("x", attributes={"t": "-"}))
    new = state(holder, resource("x", attributes={"t": carrier}))
    for was in (None, old):
        text = json.dumps([item for item in shown(was, new) if item["address"].endswith("x")])
        assert carrier not in json.loads(text)[0]["attributes"]["t"]["after"]
        assert_gone(json.loads(text), ODD, "hunter2")


def test_a_mark_of_the_other_version_hides_what_is_too_short_to_be_hunted_for() -> None:
    """Neither version holds a secret by itself."""
    old = state(resource(attributes={"x": "abc"}))
    new = state(resource(attributes={"x": None}, sensitive_attributes=[mark("x")]))
    for before, after in ((old, new), (new, old)):
        assert_gone(shown(before, after), "abc")


# ---------------------------------------------------------------- stricter modes


def _everywhere(value: str, number: int) -> dict[str, Any]:
    return {
        "resources": [
            resource(
                attributes={"a": value, "m": {"k": [value, number]}, "t": f'{{"x": "{value}"}}'}
            )
            | {"provider": f"provider {value}"},
            resource("b", attributes={"password": f"held-{number}"}, dependencies=[f"x.{value}"]),
        ],
        "outputs": {
            "o": {"value": {"a": value}},
            "n": {"value": number},
            "s": {"value": f"kept-{number}", "sensitive": True},
        },
        "check_results": [
            {
                "object_kind": "check",
                "config_addr": "check.c",
                "objects": [
                    {"object_addr": "check.c", "status": "fail", "failure_messages": [value]}
                ],
            }
        ],
    }


def _document(value: str, number: int) -> Document:
    return parse(json.dumps({"version": 4, "serial": 1} | _everywhere(value, number)).encode())


@pytest.mark.parametrize("mode", ["strict", "names-only"])
@pytest.mark.parametrize("is_new", [True, False])
def test_stricter_modes_show_no_value_at_all(mode: Any, is_new: bool) -> None:
    """Of attributes, outputs, checks and settings."""
    before, after = _document("first-value", 471_100), _document(VALUE, 471_101)
    old = None if is_new else before
    policy = Policy(mode=mode)
    items = shown(old, after, policy)
    assert VALUE in json.dumps(shown(old, after))
    assert_gone(items, VALUE, "first-value", "4711")
    assert_gone(Redactor(policy).document(after, KEY), VALUE, "4711")


@pytest.mark.parametrize("mode", ["strict", "names-only"])
def test_stricter_modes_name_every_place(mode: Any) -> None:
    """The same objects and attributes as the standard mode."""
    before, after = _document("first-value", 471_100), _document(VALUE, 471_101)
    names = [
        [(item["address"], item["action"], list(item["attributes"])) for item in items]
        for items in (shown(before, after), shown(before, after, Policy(mode=mode)))
    ]
    assert names[0] == names[1]


def test_strict_mode_keeps_commitments_and_names_only_none() -> None:
    """The one tells whether two values are the same, the other that something changed."""
    before, after = _document("first-value", 471_100), _document(VALUE, 471_101)
    strict = shown(before, after, Policy(mode="strict"))[0]["attributes"]["a"]
    assert is_commitment(strict["before"])
    assert is_commitment(strict["after"])
    items = shown(before, after, Policy(mode="names-only"))
    assert {"changed": True} == items[0]["attributes"]["a"]
    assert_gone(items, "hmac-sha256")


@pytest.mark.parametrize("mode", ["strict", "names-only"])
def test_stricter_modes_hide_the_keys_that_the_standard_one_hides(mode: Any) -> None:
    """Below a secret's name, and below what is marked as a whole."""

    def version(value: int) -> Document:
        inside = {"credentials": {"a key & secret": value}, "x": {"another one!": value}}
        return state(resource(attributes=inside, sensitive_attributes=[mark("x")]))

    items = shown(version(1), version(2), Policy(mode=mode))
    assert 2 == len(items[0]["attributes"])
    assert_gone(items, "a key & secret", "another one!")


@pytest.mark.parametrize("mode", ["standard", "strict", "names-only"])
def test_keys_that_are_secrets_are_hidden_in_every_mode(mode: Any) -> None:
    """In paths, in addresses, in flat maps."""
    holder = resource("h", attributes={"password": SECRET})

    def version(value: int) -> Document:
        return state(holder, resource("x", attributes={"m": {SECRET: value}}, index_key=SECRET))

    items = shown(version(1), version(2), Policy(mode=mode))
    assert 1 == len(items)
    assert_gone(items, SECRET)


# ---------------------------------------------------------------- flat maps


def _flat(inside: dict[str, str]) -> Document:
    held = {"primary": {"attributes": {"password": SECRET}}}
    return v3({"aws_instance.h": held, "aws_instance.x": {"primary": {"attributes": inside}}})


@pytest.mark.parametrize("mode", ["standard", "strict", "names-only"])
@pytest.mark.parametrize(
    "key",
    [f"tags.{SECRET}", f"tags.a-{SECRET}", "tags.wJalrXUtnFEMIK7MDENGbPxRfiCY"],
)
def test_keys_of_flat_maps_hold_no_secret(mode: Any, key: str) -> None:
    """Though the object holds none of its own."""
    items = shown(None, _flat({key: "v"}), Policy(mode=mode))
    assert_gone(items, SECRET, "wJalr")


def test_a_secret_with_dots_in_a_flat_key() -> None:
    """It is several steps of the key."""
    dotted = "one.two.three-four"
    held = {"primary": {"attributes": {"password": dotted, f"tags.{dotted}": "x"}}}
    assert_gone(shown(None, v3({"aws_instance.h": held})), dotted)


def test_flat_values_by_policy() -> None:
    """Readable ones are shown though their names sound secret."""
    policy = Policy(readable=("aws_instance.token",))
    items = shown(None, _flat({"token": VALUE, "other_token": "second-value"}), policy)
    assert {"after": VALUE} == items[1]["attributes"]["token"]
    assert_gone(items, "second-value")


# ---------------------------------------------------------------- policy


@pytest.mark.parametrize("value", ["123", 123, 1.23, ["123"], {"k": "123"}, '{"a": "123"}'])
def test_hidden_values_are_hidden_in_texts_and_numbers(value: object) -> None:
    """However short they are."""
    policy = Policy(hidden_values=(r"1\.?23",))
    assert_gone(attributes({"x": value}, policy), "123", "1.23")
    old, new = state(resource(attributes={"x": "-"})), state(resource(attributes={"x": value}))
    assert_gone(shown(old, new, policy), "123", "1.23")


@pytest.mark.parametrize("is_new", [True, False])
def test_a_readable_container_keeps_what_is_hidden_in_it(is_new: bool) -> None:
    """By a mark of the state, or by another pattern; all else is shown."""
    policy = Policy(readable=("aws_instance.m",), hidden=("aws_instance.m.b",))

    def version(n: int) -> Document:
        inside = {"m": {"a": f"marked-{n}", "b": f"hidden-{n}", "password": f"shown-{n}"}}
        return state(resource(attributes=inside, sensitive_attributes=[mark("m", "a")]))

    items = shown(None if is_new else version(1), version(2), policy)
    assert_gone(items, "marked-", "hidden-")
    assert "shown-2" in json.dumps(items)


def test_a_readable_container_that_becomes_another_one() -> None:
    """The difference is the container itself."""
    policy = Policy(readable=("aws_instance.m",), hidden=("aws_instance.m.b",))
    old = state(resource(attributes={"m": "text"}))
    new = state(resource(attributes={"m": {"b": "hidden-2", "c": "shown-2"}}))
    for items in (shown(old, new, policy), shown(new, old, policy)):
        assert_gone(items, "hidden-2")
        assert "shown-2" in json.dumps(items)


# ---------------------------------------------------------------- inside texts


def test_what_carries_others_keeps_its_shape() -> None:
    """JSON stays JSON, with the secret's place held."""
    text = json.dumps({"password": SECRET, "size": 3, "list": [f"x {SECRET}", "y"]})
    found = json.loads(attributes({"t": text})["t"])
    assert ["password", "size", "list"] == list(found)
    assert (3, "y") == (found["size"], found["list"][1])
    assert found["password"].startswith(MARKER)
    assert found["list"][0].startswith(f"x {MARKER}")


def test_a_secret_that_crosses_places_is_cut_out() -> None:
    """Parts of the carrier that it swallows go with it; the rest stays."""
    crossing = '1", "b": "2222222'
    text = f'{{"a": "x{crossing}y", "c": "kept"}}'
    found = attributes({"password": crossing, "t": text})["t"]
    assert_gone(found, crossing, "2222222")
    assert "kept" in found


@given(texts, texts, st.sampled_from(("{}", '["{}"]', '{{"a": "{}"}}', "a={}\nb=c", "x: {}\ny: z")))
def test_no_copy_of_a_secret_is_left_in_a_text(before: str, after: str, shape: str) -> None:
    """Whatever stands around it."""
    text = shape.format(f"{before}{SECRET}{after}")
    assert_gone(attributes({"password": SECRET, "t": text}), SECRET)


def test_a_long_text_is_shortened_without_its_secrets() -> None:
    """Also those that lie across the cut."""
    text = "a" * 1_020 + SECRET + "b" * 9_000
    found = attributes({"password": SECRET, "t": text})["t"]
    assert 1_024 == len(found["text"])
    assert len(text) == found["bytes"]
    assert_gone(found, "hunt")


def test_half_a_surrogate_pair_inside_a_text() -> None:
    """JSON can write it, UTF-8 can't: it is taken as any other character."""
    text = '{"password": "\\ud800xxxxxxxx", "b": "long enough \\ud800"}'
    found = attributes({"t": text})["t"]
    assert_gone(found, "xxxxxxxx")
    assert "long enough" in found
    assert orjson.dumps(found)


# ---------------------------------------------------------------- keys and structure


@pytest.mark.parametrize(
    ("key", "is_shown"),
    [("username", True), ("a.b/c-d", True), ("a key & secret", False), ("0815", False)],
)
def test_keys_below_a_secret_name(key: str, is_shown: bool) -> None:
    """Those that look like names are shown, others may be the secret."""
    (found,) = attributes({"credentials": {key: 1}})["credentials"]
    assert is_shown == (found == key)


@given(
    st.recursive(
        st.sampled_from((1, True, None, "x")),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        ),
        max_leaves=8,
    ).filter(lambda value: value is not None)
)
def test_structure_is_kept(value: Any) -> None:
    """What holds no secret comes out as it is; by the long way too."""
    assert {"x": value} == attributes({"x": value})
    assert {"password": None, "x": value} | {"password": {}} == attributes(
        {"password": {}, "x": value}
    )


def test_too_many_secrets_to_hunt_for_hide_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies can't be found any more, so nothing is shown."""
    from proxy.tfstate import redact  # noqa: PLC0415

    monkeypatch.setattr(redact, "MOST_SECRETS", 2)
    held = resource("h", attributes={"password": ["first-secret", "second-one", "third-one!"]})
    entry = Redactor().change(None, state(held, resource(attributes={"a": VALUE})), KEY)[0].entry
    assert "strict" == entry["mode"]
    assert_gone(entry, VALUE, "first-secret")


def test_a_renderer_of_nothing() -> None:
    """No change, no item."""
    lesson = Lesson()
    renderer = Renderer(
        Changes(), KEY, Judge(STANDARD), Secrets(lesson.texts, ()), lesson.clean, "standard"
    )
    assert [] == list(renderer.items())
