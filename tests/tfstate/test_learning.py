"""All versions teach, changed or not; what was taught is remembered, and no more than that."""

import base64
import gzip
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.tfstate import learning
from proxy.tfstate.detectors import is_public
from proxy.tfstate.diff import Changes, Instance, diff
from proxy.tfstate.document import Document, parse
from proxy.tfstate.judge import Judge, Subject, Walk
from proxy.tfstate.learning import Learner, Lesson
from proxy.tfstate.policy import STANDARD
from proxy.tfstate.redact import Redactor
from tests.tfstate.test_diff import resource, state, v3
from tests.tfstate.test_redact import KEY, mark, secretive

SECRET = "hunter2-hunter2"


def learned(old: Document | None, new: Document, changes: Changes | None = None) -> Lesson:
    """What a new learner takes from two versions."""
    changes = diff(old, new) if changes is None else changes
    return Learner(Judge(STANDARD)).learn(old, new, changes)


def names(lesson: frozenset[Any]) -> set[str]:
    """The names of some addresses."""
    return {address.name for address in lesson}


# ---------------------------------------------------------------- who teaches


def test_resources_that_did_not_change_teach() -> None:
    """One of them may hold the original of a copy that changed."""
    holder = resource("holder", attributes={"password": SECRET})
    changed = resource(attributes={"a": 1})
    assert {SECRET} == learned(state(holder, resource()), state(holder, changed)).texts


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_mark_in_one_version_counts_for_both(where: str) -> None:
    """What Terraform marks since today was secret yesterday."""
    plain = resource(attributes={"x": SECRET})
    marked = resource(attributes={"x": "other-value"}, sensitive_attributes=[mark("x")])
    old, new = (plain, marked) if where == "after" else (marked, plain)
    assert {SECRET, "other-value"} <= learned(state(old), state(new)).texts


def test_an_object_whose_marks_changed_is_not_clean() -> None:
    """Either version alone holds nothing secret."""
    old = state(resource(attributes={"x": "abc"}))
    new = state(resource(attributes={"x": None}, sensitive_attributes=[mark("x")]))
    assert frozenset() == learned(old, new).clean


@pytest.mark.parametrize(
    "output", [{"value": SECRET, "sensitive": True}, {"value": {"pw": SECRET}}]
)
def test_outputs_teach(output: dict[str, Any]) -> None:
    """By their mark and by names inside, in both versions."""
    holder = state(outputs={"o": output})
    assert SECRET in learned(holder, state()).texts
    assert SECRET in learned(state(), holder).texts


def test_modules_and_the_backend_of_version_3_teach() -> None:
    """Its outputs stand in modules, and its backend has credentials."""
    document = v3({"aws_instance.a": {"primary": {"attributes": {"password": SECRET}}}})
    body = orjson.loads(bytes(document.body))
    body["modules"][0]["outputs"] = {
        "o": {"sensitive": True, "type": "string", "value": "output-1"}
    }
    body["backend"] = {"type": "s3", "config": {"secret_key": "backend-secret"}}
    lesson = learned(None, parse(orjson.dumps(body)))
    assert {SECRET, "output-1", "backend-secret"} <= lesson.texts


def test_an_encrypted_version_teaches_nothing() -> None:
    """There is nothing to read; the other version still teaches."""
    sealed = parse(b'{"serial":1,"encryption_version":"v0","encrypted_data":"eA=="}')
    holder = state(resource(attributes={"password": SECRET}))
    assert {SECRET} == learned(holder, sealed).texts


# ---------------------------------------------------------------- what is learned of a secret


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SECRET, {SECRET}),
        (f"  {SECRET}\n", {SECRET}),
        (123_456, {"123456"}),
        (0.123456789, {"0.123456789"}),
        ([SECRET, ["second-one"]], {SECRET, "second-one"}),
        ({"username": "somebody", "x": {"y": SECRET}}, {SECRET}),
        ({"wJalrXUtnFEMIK7MDENGbPxRfiCY": 1}, {"wJalrXUtnFEMIK7MDENGbPxRfiCY"}),
        ("abc", set()),
        (True, set()),
        (None, set()),
        ("enabled", set()),
        (443, set()),
    ],
)
def test_the_texts_of_a_secret(value: object, expected: set[str]) -> None:
    """Every text in it, but those too short or too common to be hunted for."""
    marked = resource(attributes={"x": value}, sensitive_attributes=[mark("x")])
    assert expected == learned(None, state(marked)).texts


def test_a_secret_that_carries_others_teaches_each() -> None:
    """The password inside secret JSON stands elsewhere by itself; the host is nobody's secret."""
    inside = json.dumps({"password": SECRET, "host": "db.example.com"})
    encoded = base64.b64encode(gzip.compress(inside.encode(), mtime=0)).decode()
    for text in (inside, base64.b64encode(inside.encode()).decode(), encoded):
        marked = resource(attributes={"x": text}, sensitive_attributes=[mark("x")])
        found = learned(None, state(marked)).texts
        assert {text, SECRET} <= found
        assert "db.example.com" not in found


def test_a_manifest_teaches_its_secrets_alone() -> None:
    """Hardly any other line of it is a secret's own text."""
    manifest = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-of-it\ndata:\n"
        f"  password: {SECRET}\n  plain: some-plain-text\n"
    )
    marked = resource(attributes={"x": manifest}, sensitive_attributes=[mark("x")])
    found = learned(None, state(marked)).texts
    assert SECRET in found
    assert "some-plain-text" not in found


# ---------------------------------------------------------------- clean or not


@pytest.mark.parametrize(
    ("attributes", "is_clean"),
    [
        ({"a": "x", "n": [1, {"b": True}]}, True),
        ({"password": None}, True),
        ({"password": SECRET}, False),
        ({"t": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}, False),
        ({"policy": '{"Version": "2012-10-17"}'}, False),
        ({"u": "https://example.com/?q=some-value"}, False),
    ],
)
def test_clean_objects(attributes: dict[str, Any], is_clean: bool) -> None:
    """No secret of their own, and no text in which one of elsewhere may be written in any way."""
    lesson = learned(None, state(resource(attributes=attributes)))
    assert ({"a"} if is_clean else set()) == names(lesson.clean)
    assert (set() if is_clean else {"a"}) == names(lesson.unclean)


def test_one_unclean_version_is_enough() -> None:
    """Both are shown side by side."""
    old, new = state(resource(attributes={"password": "x"})), state(resource(attributes={"a": 1}))
    assert frozenset() == learned(old, new).clean == learned(new, old).clean


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_resources_with_one_address_the_unclean_one_counts(order: int) -> None:
    """Whichever comes first; its values are too short to be hunted for."""
    pair = [resource(attributes={"a": "1"}), resource(attributes={"password": "abc"})]
    entry = Redactor().change(None, state(*pair[::order]), KEY)[0].entry
    assert '"abc"' not in json.dumps(entry)
    assert 2 == len(entry["items"])


def test_an_unchanged_resource_keeps_its_address_from_being_clean() -> None:
    """It is compared with another one of that address, when the number of resources changes."""
    held = resource("q", attributes={"password": "abc", "n": 1})
    old = state(resource("r1"), resource("r2"), held)
    new = state(resource("q", attributes={"n": "2"}), resource("r2", attributes={"x": 1}), held)
    more = state(
        resource("q", attributes={"n": "2"}),
        resource("r2", attributes={"x": 1}),
        held,
        resource("z"),
    )
    for after in (new, more):
        assert '"abc"' not in json.dumps(Redactor().change(old, after, KEY)[0].entry)


# ---------------------------------------------------------------- what is remembered


@settings(max_examples=40)
@given(secretive(), secretive())
def test_a_learner_that_knows_the_slices_says_the_same(
    first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    """Nothing that it met before adds to a lesson or is missing from it."""
    old, new = state(*first), state(*second)
    learner = Learner(Judge(STANDARD))
    learner.learn(None, old, diff(None, old))
    learner.learn(old, new, diff(old, new))
    assert learned(old, new) == learner.learn(old, new, diff(old, new))


def test_a_slice_is_learned_from_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That makes the work follow the change, not the size."""
    learner = Learner(Judge(STANDARD))
    versions = [
        state(*(resource(f"r{n}", attributes={"x": n * (n == 3) * serial}) for n in range(9)))
        for serial in (1, 2)
    ]
    learner.learn(None, versions[0], diff(None, versions[0]))
    seen: list[int] = []
    walk = Walk.object

    def seeing(self: Walk, subject: Subject, instance: Instance, *given: Any) -> None:
        seen.append(1)
        walk(self, subject, instance, *given)

    monkeypatch.setattr(Walk, "object", seeing)
    learner.learn(versions[0], versions[1], diff(*versions))
    assert 1 == len(seen)


def test_equal_slices_teach_by_their_role() -> None:
    """The same bytes are a resource in one place, and outputs in another."""
    learner = Learner(Judge(STANDARD))
    body = {"o": {"value": SECRET, "sensitive": True}}
    first, second = state(x=body), state(outputs=body)
    assert frozenset() == learner.learn(None, first, diff(None, first)).texts
    assert {SECRET} == learner.learn(None, second, diff(None, second)).texts


def test_lessons_are_forgotten_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and nothing is wrong afterwards."""
    monkeypatch.setattr(learning, "_KEPT_LESSONS", 3)
    learner = Learner(Judge(STANDARD))
    held = [resource(f"r{n}", attributes={"password": f"password-{n}"}) for n in range(8)]
    for _ in range(2):
        found = learner.learn(None, state(*held), diff(None, state(*held))).texts
        assert {f"password-{n}" for n in range(8)} == found
        assert len(learner._lessons) <= 3


@given(st.text(max_size=12))
def test_what_is_public_is_never_hunted_for(text: str) -> None:
    """Though a mark calls it secret; nor is what is too short."""
    marked = resource(attributes={"x": text}, sensitive_attributes=[mark("x")])
    found = learned(None, state(marked)).texts
    assert all(len(one) >= 4 and not is_public(one) for one in found)
