"""What holds of redaction for all states: it ends, it hides, and it keeps the rest."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.document import parse
from proxy.tfstate.redact import Redactor
from tests.redaction.encodings import Searcher, go_json
from tests.redaction.planting import steps
from tests.strategies import attribute_values, json_values, odd_states, states, texts

KEY = b"k" * 32

_plain_names = st.sampled_from(["size", "region", "tags", "labels", "rules", "zone", "items"])
_secret_names = st.sampled_from(["password", "clientSecret", "api_token", "private_key"])
_plain_texts = st.sampled_from(
    ["", "a", "eu-west-1", "db.t3.micro", "10.0.0.0/16", "ami-0123456789abcdef0", "Ünïcode", "a: b"]
)
_plain_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | _plain_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_plain_names, inner, max_size=3),
    max_leaves=8,
)

_secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
    min_size=8,
    max_size=16,
).map(lambda tail: f"s3:{tail}:q9")
"""Texts that nothing else makes by chance, of any characters."""


def _carried(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts that carry others."""
    return st.one_of(
        inner.map(lambda text: go_json({"a": [text], "password": text})),
        inner.map(lambda text: f"a: 1\nb:\n  - {go_json(text)}\n--- # {text}\nc: |\n  {text}\n"),
        inner.map(lambda text: f"https://user:{text}@host/{text}?q={text}#{text}"),
        inner.map(lambda text: f"[x]\nA={text}\nexport B='{text}' # {text}\n"),
        inner.map(lambda text: f"#!/bin/sh\nrun --password {text} -p={text} <<E\n{text}\nE\n"),
        inner.map(lambda text: f"#cloud-config\nusers: [{{passwd: {text!r}}}]\n"),
        inner.map(lambda text: f"Server=x;Password={text};Y={text}"),
        inner.map(lambda text: f"<a password='{text}'><b>{text}</b></a>"),
        inner.map(lambda text: base64.b64encode(text.encode("utf-8", "replace")).decode()),
        inner.map(lambda text: f"-----BEGIN PRIVATE KEY-----\n{text}\n"),
    )


carriers = st.recursive(texts | _plain_texts, _carried, max_leaves=3)
"""Texts that carry texts that carry texts."""


_idempotent = (
    attribute_values
    | _secrets
    | _plain_texts
    | _secrets.map(lambda text: go_json({"a": [text], "password": text, "b": {"token": text}}))
    | _secrets.map(lambda text: f"a: 1\npassword: {go_json(text)}\n")
    | st.builds("export A_TOKEN={}\nB={}\n".format, _plain_texts, st.integers())
)


def state(attributes: Mapping[str, Any], marks: tuple[str, ...] = (), **more: Any) -> bytes:
    """A state of one object, and perhaps outputs and more."""
    instance = {
        "attributes": attributes,
        "sensitive_attributes": [steps(mark) for mark in marks],
    }
    resource = {"mode": "managed", "type": "x_y", "name": "n", "provider": "p"}
    document = {
        "version": 4,
        "serial": 1,
        "lineage": "l",
        "resources": [resource | {"instances": [instance]}],
    }
    return json.dumps(document | more).encode()


def redacted(old: bytes | None, new: bytes) -> bytes:
    """All that is recorded of a change."""
    before = None if old is None else parse(old)
    changes, summary = Redactor().change(before, parse(new), KEY)
    return orjson.dumps([changes.entry, summary]) + (changes.document or b"")


def shown(attributes: Mapping[str, Any], marks: tuple[str, ...] = ()) -> dict[str, Any]:
    """The attributes of a new object, as they are recorded."""
    changes, _ = Redactor().change(None, parse(state(attributes, marks)), KEY)
    assert changes.document is None
    (item,) = changes.entry["items"]
    return {name: sides["after"] for name, sides in item["attributes"].items()}


@given(odd_states(), odd_states())
def test_never_raises_on_odd_states(old: bytes, new: bytes) -> None:
    """Whatever Terraform or somebody else wrote, of whatever version."""
    for before in (None, old):
        redacted(before, new)
    Redactor().document(parse(new), KEY)


@given(st.lists(carriers, min_size=1, max_size=4), json_values, st.data())
def test_never_raises_on_texts_in_texts(
    found: list[str], marks: object, data: st.DataObject
) -> None:
    """Also where the texts are cut off in the middle, and the marks are anything."""
    cut = [text[: data.draw(st.integers(0, len(text)))] for text in found]
    attributes = {f"a{number}": text for number, text in enumerate(found)}
    body = state(attributes | {"password": cut, "cut": cut})
    odd = json.loads(body)
    odd["resources"][0]["instances"][0]["sensitive_attributes"] = marks
    redacted(body, json.dumps(odd).encode())
    redacted(json.dumps(odd).encode(), state({"cut": found}))


@given(_secrets, attribute_values, carriers, st.data())
def test_no_marked_value_in_any_form(
    secret: str, value: object, text: str, data: st.DataObject
) -> None:
    """A marked value, its copies in texts, and the copies' encodings are gone from the record."""
    copies = data.draw(st.lists(_carried(st.just(secret)) | st.just(secret), max_size=3))
    twice = data.draw(_carried(st.sampled_from(copies or [secret])))
    attributes = {
        "marked": data.draw(st.sampled_from([secret, [secret], {"a": {"b": secret}}])),
        "copies": [*copies, f"{text}{twice}", {secret: value}, f"a{secret}b"],
        "value": value,
    }
    output = {"o": {"value": {"deep": [twice, secret]}, "type": "dynamic"}}
    new = state(attributes, ("marked",), outputs=output)
    searcher = Searcher({"secret": secret})
    for old, now in ((None, new), (state({"value": value}), new), (new, state({"value": 1}))):
        assert [] == list(searcher.find(redacted(old, now)))


@given(states(), _secrets, st.sampled_from(["output", "number", "key"]))
def test_no_secret_output_number_or_key(value: dict[str, Any], secret: str, what: str) -> None:
    """Marked objects are hidden with their keys, marked numbers with all their digits."""
    number = int.from_bytes(secret.encode()[-6:]) + 10**12
    marked = {"output": secret, "number": number, "key": {"a": 1, "b": [secret]}}[what]
    value["outputs"]["o"] = {"value": marked, "type": "dynamic", "sensitive": True}
    value["outputs"]["p"] = {"value": {"text": f"see {secret} or {number}"}, "type": "dynamic"}
    sought = str(number) if what == "number" else secret
    body = redacted(None, json.dumps(value).encode())
    assert [] == list(Searcher({"secret": sought}).find(body))


@given(st.dictionaries(_plain_names, _plain_values, max_size=4))
def test_what_is_not_secret_is_shown_as_it_is(attributes: dict[str, Any]) -> None:
    """Every container, key, number and text."""
    assert {k: v for k, v in attributes.items() if v is not None} == shown(attributes)


@given(
    st.dictionaries(_plain_names, _plain_values, min_size=1, max_size=4),
    _secret_names,
    _secrets,
    st.data(),
)
def test_structure_stays(
    attributes: dict[str, Any], name: str, secret: str, data: st.DataObject
) -> None:
    """Where a secret was put between other values, only it is replaced."""
    place = data.draw(st.sampled_from(sorted(attributes)))
    attributes[place] = [{"size": 1, name: secret, "rules": attributes[place]}, "end"]
    found = shown(attributes)
    hidden = found[place][0].pop(name)
    del attributes[place][0][name]
    assert ["redacted"] == list(hidden)
    assert {k: v for k, v in attributes.items() if v is not None} == found


@given(st.dictionaries(_plain_names | _secret_names, _idempotent, max_size=4))
def test_redacting_what_is_redacted_changes_nothing(attributes: dict[str, Any]) -> None:
    """What stands for a secret is none, and a text with a hole stays as it is."""
    once = shown(attributes)
    assert once == shown(_unescaped(once))


def _unescaped(value: Any) -> Any:
    """A value whose keys are as they were before they were escaped to be ASCII."""
    if isinstance(value, dict):
        return {json.loads(f'"{key}"'): _unescaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list(map(_unescaped, value))
    return value
