"""Each rule that makes a value secret, what is stronger than what, and where all are found."""

import json
from typing import Any

import pytest

from proxy.tfstate.diff import ABSENT, Number, Path, Value, objects_in
from proxy.tfstate.inside import look
from proxy.tfstate.judge import (
    BY_FORMAT,
    BY_POLICY,
    MARKED,
    NAMED,
    READABLE,
    Judge,
    Subject,
    Walk,
    flat_level,
    is_suspect,
    leaf_name,
    subject_of,
)
from proxy.tfstate.marks import ANY_INDEX, ANY_KEY, MarkPath, Marks
from proxy.tfstate.policy import STANDARD, Policy
from tests.tfstate.test_diff import resource, state
from tests.tfstate.test_redact import mark

SECRET = "hunter2-hunter2"
ARN = "arn:aws:secretsmanager:eu-west-1:1:secret:x"
RANDOM = "wJalrXUtnFEMIK7MDENGbPxRfiCY"


def marks(*paths: MarkPath) -> Marks:
    """A tree of these."""
    tree = Marks()
    for path in paths:
        tree.add(path)
    return tree


def why(
    path: Path,
    value: Value,
    policy: Policy = STANDARD,
    parent: Value = None,
    node: Marks | None = None,
    **subject: Any,
) -> str:
    """What a judge says."""
    return Judge(policy).why(Subject("t", **subject), path, value, node, parent)


def found(attributes: dict[str, Any], policy: Policy = STANDARD, *marked: Any) -> list[Any]:
    """All that a walk reports of an object: path, value, reason."""
    reports: list[Any] = []
    document = state(resource(attributes=attributes, sensitive_attributes=list(marked)))
    walk = Walk(Judge(policy), lambda *report: reports.append(report))
    for address, instance in objects_in("v4", document.resources).items():
        walk.object(subject_of(address.type, address.mode, instance), instance)
    return reports


def paths(attributes: dict[str, Any], policy: Policy = STANDARD, *marked: Any) -> set[Path]:
    """Where a walk finds secrets."""
    return {path for path, _, _ in found(attributes, policy, *marked)}


# ---------------------------------------------------------------- one value


@pytest.mark.parametrize("value", [None, ABSENT])
@pytest.mark.parametrize("policy", [STANDARD, Policy(hidden=("t.password",))])
def test_nothing_is_no_secret(value: Value, policy: Policy) -> None:
    """Neither null nor what is not there, whatever marks it."""
    assert "" == why(("password",), value, policy, node=Marks(secret=True))


@pytest.mark.parametrize(
    "value",
    [{"redacted": "hmac-sha256:AAAAAAAAAAA="}, "[redacted hmac-sha256:AAAAAAAAAAA=]"],
)
def test_what_was_redacted_is_no_secret(value: Value) -> None:
    """It stands for one already; but a mark is believed, whatever the value imitates."""
    assert "" == why(("password",), value)
    assert MARKED == why(("password",), value, node=Marks(secret=True))


@pytest.mark.parametrize("value", [SECRET, "", 1, Number("1.5"), True, {"a": 1}, [1], ARN])
def test_a_mark_hides_values_of_every_type(value: Value) -> None:
    """Also references and settings: whoever marked it knew why."""
    assert MARKED == why(("x",), value, node=Marks(secret=True))


def test_a_mark_inside_hides_what_has_no_inside() -> None:
    """The value changed its type, so that the marked part may be anywhere in it."""
    assert MARKED == why(("x",), "text", node=marks(("b",)))
    assert "" == why(("x",), {"b": 1}, node=marks(("b",)))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("password",), SECRET, NAMED),
        (("a", "dbPassword"), 1234, NAMED),
        (("password",), {"a": 1}, NAMED),
        (("password",), True, ""),
        (("password",), False, ""),
        (("password",), ARN, ""),
        (("password", 0), SECRET, ""),
        (("size",), SECRET, ""),
    ],
)
def test_names(path: Path, value: Value, expected: str) -> None:
    """A name speaks for texts, numbers and what holds them; not for switches and references."""
    assert expected == why(path, value)


def test_what_is_known_to_be_harmless_is_not_judged_by_its_name() -> None:
    """Names below it are, and a mark is stronger."""
    harmless = marks(("password",))
    assert "" == why(("password",), SECRET, harmless=harmless)
    assert NAMED == why(("password", "token"), SECRET, harmless=harmless)
    assert MARKED == why(("password",), SECRET, node=Marks(secret=True), harmless=harmless)


@pytest.mark.parametrize("name", ["name", "key", "header", "variable", "parameter_key", "label"])
@pytest.mark.parametrize("value", ["value", "values", "default", "content"])
def test_pairs(name: str, value: str) -> None:
    """The name beside a value counts as its own."""
    assert NAMED == why((value,), SECRET, parent={name: "DB_PASSWORD", value: SECRET})
    assert "" == why((value,), SECRET, parent={name: "LOG_LEVEL", value: SECRET})
    assert "" == why((value,), ARN, parent={name: "DB_PASSWORD", value: ARN})
    assert "" == why((value,), True, parent={name: "DB_PASSWORD", value: True})


def test_the_data_of_a_kubernetes_secret() -> None:
    """Kept as an object, as `kubernetes_manifest` does; that of others is plain."""
    data = {"a": SECRET}
    assert BY_FORMAT == why(("data",), data, parent={"kind": "Secret", "data": data})
    assert "" == why(("data",), data, parent={"kind": "ConfigMap", "data": data})


# ---------------------------------------------------------------- the policy


def test_a_hidden_place_is_the_strongest() -> None:
    """Stronger than a readable one, and it needs no mark; a switch is hidden as well."""
    policy = Policy(hidden=("t.a",), readable=("t.a",))
    assert BY_POLICY == why(("a",), "x", policy)
    assert BY_POLICY == why(("a", "b"), True, policy)
    assert BY_POLICY == why(("a",), "x", policy, node=Marks(secret=True))


def test_a_readable_place_is_stronger_than_names_and_schemas() -> None:
    """Nothing but what the state itself marks is hidden there."""
    policy = Policy(readable=("t.password",))
    tree = marks(("password",))
    node = tree.at("password")
    assert READABLE == why(("password",), SECRET, policy)
    assert READABLE == why(("password",), SECRET, policy, node=node, marks=tree)
    assert MARKED == why(("password",), SECRET, policy, node=node, marks=tree, stated=tree)


@pytest.mark.parametrize(("value", "expected"), [(4711, BY_POLICY), (Number("4711.5"), BY_POLICY)])
def test_hidden_values_may_be_numbers(value: Value, expected: str) -> None:
    """Their digits are what the expression is about."""
    policy = Policy(hidden_values=("^47",))
    assert expected == why(("x",), value, policy)
    assert "" == why(("x",), 11, policy)
    assert "" == why(("x",), True, Policy(hidden_values=("True",)))


# ---------------------------------------------------------------- places inside texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password": "x1"}', ["name"]),
        ('{"password": "x1", "size": "x"}', ["name", ""]),
        ('{"credentials": {"username": "x", "y": "z"}}', ["", "name"]),
        ('{"password": "true"}', [""]),
        (f'{{"password": "{ARN}"}}', [""]),
        ('[{"name": "DB_PASSWORD", "value": "x1"}]', ["", "name"]),
        ('[{"name": "LOG_LEVEL", "value": "x1"}]', ["", ""]),
        ("https://host/?password=pw", ["name"]),
    ],
)
def test_places(text: str, expected: list[str]) -> None:
    """By the format, by the name beside, and by the names that lead there."""
    carrier = look(text)
    assert carrier is not None
    places = [place for place in carrier.places if not place.is_key]
    reasons = [Judge.why_place(place) for place in places]
    assert expected == reasons


def test_a_format_says_what_is_secret_in_it() -> None:
    """The password in a URL has no name."""
    carrier = look("https://user:pw@host/")
    assert carrier is not None
    assert "url-password" in {Judge.why_place(place) for place in carrier.places}


def test_random_keys_inside_a_text_are_secret() -> None:
    """No one gives a name like that."""
    carrier = look(json.dumps({RANDOM: 1, "name": 2}))
    assert carrier is not None
    keys = {p.value: Judge.why_place(p) for p in carrier.places if p.is_key}
    assert NAMED == keys.get(RANDOM)
    assert "" == keys.get("name", "")


# ---------------------------------------------------------------- the walk


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"a": "x", "n": 1}, set()),
        ({"a": [{"b": {"token": SECRET}}]}, {("a", 0, "b", "token")}),
        ({"credentials": {"a": [SECRET, 1]}}, {("credentials", "a", 0), ("credentials", "a", 1)}),
        ({"credentials": {"username": "u", "port": 1, "on": True, "n": None, "r": ARN}}, set()),
        ({"env": [{"name": "PW", "value": SECRET}]}, {("env", 0, "value")}),
        ({"env": [{"name": "PW", "values": [SECRET]}]}, {("env", 0, "values", 0)}),
        ({"m": {RANDOM: 1}}, {("m", RANDOM)}),
        ({"m": {"text": '{"a": {"password": "xyz"}}'}}, {("m", "text", "a", "password")}),
        ({"t": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}, {("t",)}),
    ],
)
def test_all_secrets_of_an_object_are_found(
    attributes: dict[str, Any], expected: set[Path]
) -> None:
    """Wherever they lie; and nothing else is."""
    assert expected == paths(attributes)


def test_marked_places_are_found_as_a_whole() -> None:
    """Whatever is in them."""
    value = {"x": {"a": [1], "password": "p"}}
    assert [(("m", "x"), value["x"], MARKED)] == found({"m": value}, STANDARD, mark("m", "x"))


def test_many_keys_are_judged_as_few_are() -> None:
    """Their names are not looked up together."""
    many = {f"name_{number}": "plain" for number in range(200)}
    assert {("m", "password"), ("m", RANDOM)} == paths(
        {"m": many | {"password": SECRET, RANDOM: 1, "password_length": 3}}
    )


def test_in_a_readable_container_marks_and_hidden_places_are_found() -> None:
    """The container is readable, and all else in it."""
    policy = Policy(readable=("aws_instance.m",), hidden=("aws_instance.m.b",))
    attributes = {"m": {"a": "1", "b": "2", "password": "3", "l": [{"c": "4", "d": "5"}]}}
    assert {("m", "a"), ("m", "b"), ("m", "l", 0, "c")} == paths(
        attributes, policy, mark("m", "a"), mark("m", "l", 0, "c")
    )


def test_hidden_values_are_found_in_short_texts_and_numbers() -> None:
    """Wherever they stand; what holds none is not."""
    policy = Policy(hidden_values=("^47",))
    assert {("a",), ("b",), ("m", "c"), ("l", 0)} == paths(
        {"a": "47", "b": 4711, "m": {"c": 47.5, "d": 11}, "l": [47, 1], "e": "x47"}, policy
    )


def test_what_is_nested_too_deep_is_a_secret() -> None:
    """Nobody looks there."""
    value: Any = "bottom"
    for _ in range(40):
        value = [value]
    ((path, _, reason),) = found({"a": value})
    assert (33, MARKED) == (len(path), reason)


@pytest.mark.parametrize(
    ("value", "sensitive", "expected"),
    [
        (SECRET, True, {("o",)}),
        (None, True, set()),
        ("x", False, set()),
        ({"password": SECRET}, False, {("o", "password")}),
    ],
)
def test_outputs(value: Value, sensitive: bool, expected: set[Path]) -> None:
    """By their mark, or by the names in them."""
    reports: list[Path] = []
    walk = Walk(Judge(STANDARD), lambda path, _value, _why: reports.append(path))
    walk.output("o", value, sensitive=sensitive)
    assert expected == set(reports)


def test_outputs_by_their_own_name_and_by_policy() -> None:
    """A pattern's type is `output`."""
    reports: list[tuple[Path, str]] = []
    policy = Policy(hidden=("output.size",), readable=("output.api_token",))
    walk = Walk(Judge(policy), lambda path, _, why: reports.append((path, why)))
    for name in ("db_password", "api_token", "size", "other"):
        walk.output(name, SECRET, sensitive=False)
    assert [(("db_password",), NAMED), (("size",), BY_POLICY)] == reports


# ---------------------------------------------------------------- flat maps


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [
        ("size", "1", 0),
        ("password", SECRET, 1),
        ("db.0.password", SECRET, 3),
        ("credentials.any.thing", "x", 1),
        ("password", ARN, 0),
        ("set.%", "2", 0),
    ],
)
def test_flat_keys(key: str, value: str, level: int) -> None:
    """Each step is a name; the level says from where on the key is hidden."""
    assert level == flat_level(Judge(STANDARD), Subject("t"), key, ({key: value},))


def test_flat_keys_of_marked_places() -> None:
    """Elements of lists and keys of maps are steps of a key as well."""
    subject = Subject("t", marks(("a", ANY_INDEX, "b"), ("m", ANY_KEY)))
    judge = Judge(STANDARD)
    assert 3 == flat_level(judge, subject, "a.0.b", ({},))
    assert 0 == flat_level(judge, subject, "a.#", ({},))
    assert 2 == flat_level(judge, subject, "m.key", ({},))
    assert 1 == flat_level(judge, Subject("t", Marks(secret=True)), "any.key", ({},))


def test_flat_pairs() -> None:
    """The name stands in a key of its own, in either version."""
    root: dict[str, Value] = {"env.0.name": "DB_PASSWORD", "env.0.value": "x"}
    plain: dict[str, Value] = {"env.0.name": "SIZE", "env.0.value": "x"}
    judge = Judge(STANDARD)
    assert 3 == flat_level(judge, Subject("t"), "env.0.value", (root,))
    assert 3 == flat_level(judge, Subject("t"), "env.0.value", (plain, root))
    assert 0 == flat_level(judge, Subject("t"), "env.0.value", (plain,))


def test_flat_keys_by_policy() -> None:
    """A readable one is stronger than its name, not than the state's own mark."""
    judge = Judge(Policy(hidden=("t.m.a",), readable=("t.password", "t.token")))
    stated = marks(("token",))
    subject = Subject("t", stated, stated)
    root: dict[str, Value] = {"m.a": "1", "m.b": "2", "password": "3", "token": "4"}
    levels = {key: flat_level(judge, subject, key, (root,)) for key in root}
    assert {"m.a": 2, "m.b": 0, "password": 0, "token": 1} == levels


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [("password", True), ("value", True), ("data", True), (RANDOM, True), ("size", False)],
)
def test_suspects(name: str, expected: bool) -> None:
    """Whatever may be secret for its name must be asked for."""
    assert expected == is_suspect(name)


def test_the_leaf_of_a_path() -> None:
    """An element has its list's name."""
    assert "b" == leaf_name(("a", "b", 0, 1))
    assert "" == leaf_name((0,)) == leaf_name(())
