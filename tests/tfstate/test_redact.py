"""No secret leaves through the door, in whatever place it stands; and the rest stays readable."""

import hashlib
import json
import re
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate import fitting
from proxy.tfstate.commitment import workspace_key
from proxy.tfstate.diff import diff
from proxy.tfstate.document import Document, parse
from proxy.tfstate.fitting import RedactedChanges
from proxy.tfstate.redact import Redactor, summary
from tests.strategies import names, secrets, states, texts
from tests.tfstate.test_diff import resource, state, v3

KEY = workspace_key(b"k" * 32, "prod/network", b"s" * 32)
SECRET = "hunter2-hunter2"
PASSWORD_MARK = [[{"type": "get_attr", "value": "marked"}]]


def mark(*steps: str | int) -> list[dict[str, Any]]:
    """A path of `sensitive_attributes`: a name first, then names and indexes."""
    return [
        {"type": "index", "value": {"value": step, "type": "number"}}
        if isinstance(step, int)
        else {"type": "get_attr", "value": step}
        for step in steps
    ]


def redacted(
    before: Document | None, after: Document, limit_bytes: int = 48_000
) -> RedactedChanges:
    """The redacted change, checked to be what an entry may hold."""
    found, _ = Redactor().change(before, after, KEY, limit_bytes)
    assert_signable(found.entry)
    return found


def item(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """The only item of a change of one resource."""
    old = state(before) if before is not None else None
    (found,) = redacted(old, state(after)).entry["items"]
    assert isinstance(found, dict)
    return found


def attributes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a change of attributes, without marks."""
    found = item(resource(attributes=before), resource(attributes=after))["attributes"]
    assert isinstance(found, dict)
    return found


def assert_signable(value: object) -> None:
    """No float, ASCII keys, integers below 2^53; so sorted orjson is RFC 8785."""
    if isinstance(value, dict):
        for key, inner in value.items():
            assert isinstance(key, str)
            assert key.isascii()
            assert_signable(inner)
    elif isinstance(value, list):
        for inner in value:
            assert_signable(inner)
    elif isinstance(value, int):
        assert abs(value) < 2**53
    else:
        assert value is None or type(value) is str


def is_commitment(value: object) -> bool:
    """Whether a value is hidden as a whole."""
    return (
        isinstance(value, dict)
        and list(value) == ["redacted"]
        and str(value["redacted"]).startswith("hmac-sha256:")
    )


# ---------------------------------------------------------------- what stays readable


def test_what_is_no_secret_is_shown() -> None:
    """The record is of use only if it says what changed."""
    assert {"instance_class": {"before": "db.t3.micro", "after": "db.t3.large"}} == attributes(
        {"instance_class": "db.t3.micro", "port": 1}, {"instance_class": "db.t3.large", "port": 1}
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53 - 1, 2**53 - 1),
        (2**53, {"number": "9007199254740992"}),
        (-(2**70), {"number": "-1180591620717411303424"}),
        (1.5, {"number": "1.5"}),
        (True, True),
        (None, None),
        ("", ""),
        ({"ö": [1.0]}, {"\\u00f6": [{"number": "1.0"}]}),
    ],
)
def test_values_come_in_what_can_be_signed(value: object, expected: object) -> None:
    """Numbers that JSON libraries disagree about become texts."""
    assert {"x": {"before": "-", "after": expected}} == attributes({"x": "-"}, {"x": value})


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("Name", "tags.Name"),
        ("a b", 'tags["a b"]'),
        ("Näme", 'tags["N\\u00e4me"]'),
        ('q"q', 'tags["q\\"q"]'),
        ("a.b", 'tags["a.b"]'),
        ("0", 'tags["0"]'),
        ("", 'tags[""]'),
    ],
)
def test_paths_are_ascii_and_unambiguous(key: str, path: str) -> None:
    """As Terraform writes them, escaped as in JSON."""
    assert [path] == list(attributes({"tags": {key: "1"}}, {"tags": {key: "2"}}))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "aws_instance.a"),
        ({"mode": "data"}, "data.aws_instance.a"),
        ({"module": 'module.m["k"]'}, 'module.m["k"].aws_instance.a'),
    ],
)
def test_addresses(where: dict[str, str], expected: str) -> None:
    """As Terraform writes them."""
    assert item(None, resource() | where)["address"] == expected


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ({"index_key": 0}, "aws_instance.a[0]"),
        ({"index_key": "k"}, 'aws_instance.a["k"]'),
        ({"index_key": 'a"ö'}, 'aws_instance.a["a\\"\\u00f6"]'),
        ({"deposed": "1a2b3c4d"}, "aws_instance.a (deposed object 1a2b3c4d)"),
    ],
)
def test_addresses_of_instances(instance: dict[str, Any], expected: str) -> None:
    """With their keys."""
    assert item(None, resource(**instance))["address"] == expected


def test_references_to_secrets_are_shown() -> None:
    """Where a secret is kept is no secret, unless the state marks it."""
    arn = "arn:aws:secretsmanager:eu-west-1:1:secret:x"
    assert attributes({"secret": None}, {"secret": arn})["secret"]["after"] == arn


def test_taint_settings_and_private() -> None:
    """Terraform's own data is named; `private` may hold anything and never shown."""
    found = item(
        resource(private="c2VjcmV0", dependencies=["aws_vpc.v"]),
        resource(private=SECRET, dependencies=['m.x["y"]'], status="tainted"),
    )
    assert found["action"] == "taint"
    assert found["tainted"] is True
    assert found["settings"] == {
        "dependencies": {"before": ["aws_vpc.v"], "after": ['m.x["y"]']},
        "private": {"changed": True},
    }


def test_counts_and_summary() -> None:
    """Bookkeeping is not counted."""
    before = state(
        *(resource(name) for name in ("changed", "gone", "kept")), outputs={"o": {"value": 1}}
    )
    after = state(
        resource("changed", attributes={"x": 1}),
        resource("kept", private="e30="),
        resource("new"),
        outputs={"o": {"value": 2}},
    )
    entry = redacted(before, after).entry
    assert entry["resources"] == {"added": 1, "changed": 1, "removed": 1}
    assert entry["outputs"] == {"added": 0, "changed": 1, "removed": 0}
    assert summary(diff(before, after)) == "1 added, 1 changed, 1 removed; 1 output changed"
    assert summary(diff(before, before)) == "0 added, 0 changed, 0 removed"


def test_an_encrypted_state_says_so() -> None:
    """Nothing else is known."""
    sealed = parse(b'{"serial":1,"encryption_version":"v0","encrypted_data":"eA=="}')
    entry = redacted(state(resource()), sealed).entry
    assert entry["encrypted"] == {"before": False, "after": True}
    assert entry["items"] == []
    assert summary(diff(None, sealed)) == "encrypted, so the changes are unknown"


# ---------------------------------------------------------------- what is hidden


def assert_gone(found: object, secret: str = SECRET) -> None:
    """The secret is nowhere in what was rendered."""
    assert secret not in json.dumps(found, ensure_ascii=False)
    assert json.dumps(secret)[1:-1] not in json.dumps(found)


@pytest.mark.parametrize("value", [SECRET, 1234, 0.5, {"a": SECRET, SECRET: 1}, [SECRET], True, ""])
def test_marked_values_of_every_type_are_hidden(value: object) -> None:
    """Numbers, booleans and objects too, whichever version marks them."""
    for before_marks, after_marks in ((PASSWORD_MARK, []), ([], PASSWORD_MARK)):
        found = item(
            resource(attributes={"marked": value}, sensitive_attributes=before_marks),
            resource(attributes={"marked": "other-value"}, sensitive_attributes=after_marks),
        )["attributes"]["marked"]
        assert is_commitment(found["before"])
        assert is_commitment(found["after"])


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (("b",), {"b": [{"k": SECRET}]}, {"b": [{"k": "2"}]}),
        (("b", 0, "k"), {"b": [{"k": SECRET}]}, {"b": [{"k": "2"}]}),
        (("b", 0, "k"), {"b": [{"k": "1"}]}, {"b": [{"k": "1"}, {"k": SECRET}]}),
        (("b", 0, "k"), {"b": [{"k": "1"}]}, {"b": {"k": SECRET}}),
        (("b", "k"), {"b": {"k": "1"}}, {"b": [{"k": SECRET}]}),
        (("b", "k"), {"b": {"k": "1"}}, {"b": SECRET}),
        (("b", "k"), {"b": {"k": {"deep": "1"}}}, {"b": {"k": {"deep": SECRET}}}),
        (("b",), {"b": None}, {"b": {SECRET: SECRET}}),
        ((), {"b": "1"}, {"b": SECRET}),
    ],
)
def test_marks_reach_blocks_elements_and_changed_types(
    path: tuple[str | int, ...], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """A mark covers all below it, all elements beside it, and what took its place."""
    found = item(
        resource(attributes=before, sensitive_attributes=[mark(*path)]),
        resource(attributes=after),
    )
    assert_gone(found)


@pytest.mark.parametrize(
    "after",
    [
        {"password": SECRET},
        {"settings": [{"dbPassword": SECRET}]},
        {"credentials": {"a": {"b": [SECRET]}}},
        {"environment": [{"variables": {"API_TOKEN": SECRET}}]},
        {"env": [{"name": "DB_PASSWORD", "value": SECRET}]},
        {"set": [{"value": SECRET, "name": "auth.password"}]},
        {"secret_key": 123456},
    ],
)
def test_names_decide_when_nothing_is_marked(after: dict[str, Any]) -> None:
    """Below Terraform 1.8 a state marks hardly anything."""
    before = json.loads(json.dumps(after).replace(SECRET, "before-secret").replace("123456", "654"))
    found = item(resource(attributes=before), resource(attributes=after))
    assert_gone(found)
    assert_gone(found, "before-secret")
    assert_gone(found, "123456")


@pytest.mark.parametrize(
    ("type_", "attribute"),
    [
        ("terraform_remote_state", "config"),
        ("aws_ssm_parameter", "insecure_value"),
        ("random_password", "result"),
        ("kubernetes_secret", "data"),
    ],
)
def test_types_that_store_secrets(type_: str, attribute: str) -> None:
    """Their attributes have names that say nothing."""
    found = item(None, resource(attributes={attribute: {"x": SECRET}}) | {"type": type_})
    assert_gone(found)


@pytest.mark.parametrize(
    "carrier",
    [
        SECRET,
        f"postgres://admin:{SECRET}@db/x",
        f'{{"password": "{SECRET}"}}',
        {"nested": [f"x {SECRET} y"]},
        {f"key of {SECRET}": 1},
        {SECRET: 1},
        "aHVudGVyMi1odW50ZXIy",
    ],
)
def test_a_secret_is_found_again_wherever_it_stands(carrier: object) -> None:
    """The same value in a sibling is what leaks most; here the secret itself does not change."""
    secret = {"password": SECRET}
    found = item(
        resource(attributes=secret | {"copy": "-"}), resource(attributes=secret | {"copy": carrier})
    )
    assert_gone(found)
    assert_gone(found, "aHVudGVyMi1odW50ZXIy")


@pytest.mark.parametrize("punctuation", ["<&>", "a/b?c", "ä ö", '"q"', "back\\slash", "$(x)`"])
def test_escaped_copies_are_found(punctuation: str) -> None:
    """In JSON, as Go writes it, and in URLs."""
    secret = f"secret{punctuation}secret"
    go = json.dumps(secret, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    go = go.replace("&", "\\u0026")
    found = item(
        None,
        resource(
            attributes={
                "password": secret,
                "plain": f"x{secret}x",
                "json": f"[{json.dumps(secret, ensure_ascii=False)}]",
                "go": f"[{go}]",
            }
        ),
    )
    for form in (secret, json.dumps(secret, ensure_ascii=False)[1:-1], go[1:-1]):
        assert form not in orjson.dumps(found["attributes"]).decode().replace("\\\\", "\\")
        assert all(form not in str(sides) for sides in found["attributes"].values())


def test_keys_and_addresses_hold_no_secret() -> None:
    """`for_each` over secrets puts them into addresses, of modules too, and into settings."""
    one = resource("one", attributes={"password": SECRET})
    two = resource("two", index_key=SECRET) | {"module": f'module.m["{SECRET}"]'}
    found = redacted(None, state(one, two)).entry
    assert_gone(found)
    assert 'module.m["[redacted hmac-sha256:' in found["items"][1]["address"]
    changed = resource("one", attributes={"password": "another-one"})
    needed = resource("two", dependencies=[f'x.y["{SECRET}"]'])
    moved = redacted(state(one, two), state(changed, needed))
    assert_gone(moved.entry)


def test_keys_that_look_random_are_hidden() -> None:
    """Though no attribute is known to hold them."""
    key = "wJalrXUtnFEMIK7MDENGbPxRfiCY"
    assert_gone(item(None, resource(index_key=key, attributes={"m": {key: 1}})), key)


def test_a_secret_of_one_resource_is_cut_out_of_another() -> None:
    """Also in names, Terraform's version and whatever else is rendered."""
    before = state(resource("a", attributes={"password": SECRET}))
    after = state(
        resource("b", attributes={"connection": f"x={SECRET}"}),
        resource(f"n{SECRET}"),
        outputs={f"o{SECRET}": {"value": [SECRET]}},
        terraform_version=SECRET,
        **{f"x{SECRET}": 1},
    )
    assert_gone(redacted(before, after).entry)


def test_many_secrets_are_all_cut_out() -> None:
    """The search changes its way when there are many; the result does not."""
    many = [f"secret-number-{number:03}" for number in range(200)]
    items = [resource(f"r{n}", attributes={"password": secret}) for n, secret in enumerate(many)]
    carrier = resource("carrier", attributes={"text": " ".join(many), "long": "-".join(many) * 3})
    found = redacted(None, state(*items, carrier), 1_000_000).entry
    assert "secret-number-" not in json.dumps(found)


def test_output_values_are_hidden() -> None:
    """By either version's mark, or by name; unchanged ones are cut out of others."""
    before = state(
        outputs={
            "was": {"value": SECRET, "sensitive": True},
            "now": {"value": {"a": SECRET}},
            "db_password": {"value": SECRET},
            "kept": {"value": "kept-secret-value", "sensitive": True},
        }
    )
    after = state(
        resource(attributes={"copy": "x kept-secret-value"}),
        outputs={
            "was": {"value": "1"},
            "now": {"value": {"a": 2}, "sensitive": True},
            "db_password": {"value": 3},
            "kept": {"value": "kept-secret-value", "sensitive": True},
        },
    )
    entry = redacted(before, after).entry
    assert_gone(entry)
    assert_gone(entry, "kept-secret-value")
    for found in entry["items"][1:]:
        assert is_commitment(found["attributes"]["value"]["before"])
        assert is_commitment(found["attributes"]["value"]["after"])


def test_check_messages_quote_no_secret() -> None:
    """They may quote any value of the state, changed or not; the rest of them is shown."""

    def checks(message: str) -> list[dict[str, Any]]:
        objects = [{"object_addr": "check.c", "status": "fail", "failure_messages": [message]}]
        return [{"object_kind": "check", "config_addr": "check.c", "objects": objects}]

    holder = resource(attributes={"password": SECRET})
    before, after = (
        state(holder, check_results=checks(message)) for message in ("other", f"not {SECRET}!")
    )
    (found,) = redacted(before, after).entry["items"]
    assert_gone(found)
    assert found["address"] == "check.c"
    sides = found["attributes"]["failure_messages[0]"]
    assert sides["before"] == "other"
    assert re.fullmatch(r"not \[redacted hmac-sha256:.{12}\]!", sides["after"])


def test_flat_attributes() -> None:
    """By the names in their dotted keys, and beside them; a secret container hides its keys."""

    def flat(secret: str) -> dict[str, Any]:
        attributes = {
            "db.0.password": secret,
            "env.0.name": "DB_PASSWORD",
            "env.0.value": secret,
            f"credentials.{secret}": "x",
            "url": f"x://{secret}@y",
            "size": str(len(secret)),
        }
        return {"aws_instance.a": {"primary": {"attributes": attributes}}}

    (*found,) = redacted(v3(flat("first-secret")), v3(flat(SECRET))).entry["items"]
    assert_gone(found)
    assert_gone(found, "first-secret")
    assert found[0]["attributes"]["size"] == {"before": "12", "after": "15"}


def test_equal_secrets_can_be_recognised_within_a_workspace_only() -> None:
    """A commitment tells equality, and nothing to another workspace."""
    old = state(resource(attributes={"password": SECRET}))
    new = state(resource(attributes={"password": "2", "old_password": SECRET}))

    def commitments(workspace: str) -> tuple[str, str]:
        key = workspace_key(b"k" * 32, workspace, b"s" * 32)
        found = Redactor().change(old, new, key)[0].entry["items"][0]["attributes"]
        return (
            found["password"]["before"]["redacted"],
            found["old_password"]["after"]["redacted"],
        )

    first, again = commitments("a")
    assert first == again
    assert first != commitments("b")[0]


def test_commitments_know_types() -> None:
    """The number 1 and the text 1 are two secrets."""
    found = attributes({"password": "1"}, {"password": 1})["password"]
    assert found["before"] != found["after"]


@given(states(), secrets, st.data())
def test_no_secret_is_ever_rendered(
    value: dict[str, Any], secret: str, data: st.DataObject
) -> None:
    """Put a marked secret anywhere, and copies of it everywhere: none comes out."""
    marked: dict[str, Any] = resource("holder", attributes={"holder": secret})
    marked["instances"][0]["sensitive_attributes"] = [mark("holder")]
    places = data.draw(st.sets(st.sampled_from(range(6)), min_size=1))
    copy = json.loads(json.dumps(value))
    for found in copy["resources"]:
        instance = found["instances"][0]
        if 0 in places:
            instance["attributes"]["plain"] = f"a {secret} b"
        if 1 in places:
            instance["attributes"]["keys"] = {secret: {f"x{secret}": [secret]}}
        if 2 in places:
            instance["index_key"] = secret
        if 3 in places:
            instance["identity"] = {"id": secret}
    if 4 in places:
        copy["outputs"]["o"] = {"value": {"a": [f"{secret}{secret}"]}, "type": "dynamic"}
    if 5 in places:
        copy["terraform_version"] = secret
    copy["resources"].append(marked)
    before, after = (parse(json.dumps(side).encode()) for side in (value, copy))
    for old, new in ((before, after), (after, before), (None, after)):
        assert_gone(redacted(old, new).entry, secret)
    assert_gone(Redactor().document(after, KEY), secret)


# ---------------------------------------------------------------- the size


@given(states(), states())
def test_what_comes_out_can_be_signed(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The entry's canonical form is RFC 8785's, whatever the states hold."""
    before, after = (parse(json.dumps(side).encode()) for side in (first, second))
    entry = redacted(before, after).entry
    assert rfc8785.dumps(entry) == orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("limit_bytes", [8_192, 48_000])
def test_a_long_list_is_cut_and_kept_whole_beside(limit_bytes: int) -> None:
    """The entry fits, says how much it left out, and has the digest of the whole."""
    after = state(*(resource(f"r{n}", attributes={"x": "y" * 500}) for n in range(300)))
    found = redacted(None, after, limit_bytes)
    assert len(orjson.dumps(found.entry)) <= limit_bytes
    assert found.document is not None
    assert hashlib.sha256(found.document).hexdigest() == found.entry["sha256"]
    whole = orjson.loads(found.document)
    assert len(whole["items"]) == 300 == len(found.entry["items"]) + found.entry["omitted"]
    assert (
        found.entry["resources"] == whole["resources"] == {"added": 300, "changed": 0, "removed": 0}
    )
    assert rfc8785.dumps(whole) == found.document


def test_a_single_huge_item_is_cut_by_attributes() -> None:
    """Its address and what fits of it stay; the whole document is kept."""
    after = state(resource(attributes={f"a{n}": "y" * 900 for n in range(100)}))
    found = redacted(None, after)
    (item,) = found.entry["items"]
    assert item["address"] == "aws_instance.a"
    assert len(item["attributes"]) + item["omitted"] == 100
    assert found.document is not None
    assert len(orjson.loads(found.document)["items"][0]["attributes"]) == 100


def test_an_address_that_never_fits_is_counted() -> None:
    """A name has no limit; the entry has."""
    found = redacted(None, state(resource("n" * 100_000), terraform_version="v" * 100_000))
    assert found.entry["omitted"] == 1
    assert len(orjson.dumps(found.entry)) <= 48_000


def test_a_small_change_has_no_document() -> None:
    """The entry says it all."""
    found = redacted(None, state(resource()))
    assert found.document is None
    assert "sha256" not in found.entry
    assert found.entry["omitted"] == 0


def test_long_texts_are_shortened() -> None:
    """Their beginning, their length, and a commitment that tells whether two are the same."""
    text = f"begin {SECRET} " + "é" * 5_000
    found = attributes({"x": "-", "password": SECRET}, {"x": text, "password": SECRET})["x"]
    assert_gone(found)
    assert found["after"]["text"].startswith("begin [redacted hmac-sha256:")
    assert found["after"]["bytes"] == len(text.encode())
    assert found["after"]["digest"].startswith("hmac-sha256:")


def test_a_value_nested_very_deep_is_hidden() -> None:
    """No reader could use it, and no recursion may end in an error."""
    body = b'{"version":4,"outputs":{"o":{"value":' + b"[" * 700 + b"1" + b"]" * 700 + b"}}}"
    (found,) = redacted(None, parse(body)).entry["items"]
    assert "redacted" in json.dumps(found["attributes"]["value"]["after"])


# ---------------------------------------------------------------- a whole state


def test_a_whole_state_is_shown_redacted() -> None:
    """Everything that is no secret is there."""
    shown = Redactor().document(
        state(
            resource(attributes={"password": SECRET, "size": 1.5}, status="tainted"),
            outputs={"o": {"value": 1}, "s": {"value": SECRET, "sensitive": True}},
            lineage="l",
            terraform_version="1.11.4",
        ),
        KEY,
    )
    assert_gone(shown)
    assert shown["serial"] == 1
    (first,) = shown["resources"]
    assert first["address"] == "aws_instance.a"
    assert first["tainted"] is True
    assert first["attributes"]["size"] == {"number": "1.5"}
    assert shown["outputs"]["o"] == 1
    assert is_commitment(shown["outputs"]["s"])


def test_an_encrypted_state_shows_its_header() -> None:
    """There is nothing else to show."""
    sealed = parse(b'{"serial":3,"lineage":"l","encryption_version":"v0","encrypted_data":"eA=="}')
    assert {
        "kind": "encrypted",
        "serial": 3,
        "lineage": "l",
        "terraform_version": "",
    } == Redactor().document(sealed, KEY)


# ---------------------------------------------------------------- the short ways


_SHAPES = (
    "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
    "https://user:pass@host/",
    "ghp_abcdefghijklmnopqrstuvwx",
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln",
)
_KNOWN = (
    "first-known-secret",
    'se"cret\\with\n<all>\x01&ü',
    "4711",
    "wJalrXUtnFEMIK7MDENGbPxRfiCY",
)
_carriers = st.builds(
    "{}{}{}".format, texts, st.sampled_from((*_KNOWN, *_SHAPES)) | texts, texts
) | st.sampled_from(_KNOWN)
_names = names | st.sampled_from(("password", "name", "key", "value", "content", "tags"))
_keys = _names | _carriers
_values: st.SearchStrategy[Any] = st.recursive(
    _carriers
    | st.sampled_from((None, True, 4711, 1.5, 2**70, "x" * 5_000 + "first-known-secret"))
    | _carriers.map(lambda text: json.dumps({"token": text, "text": text}))
    | _carriers.map(lambda text: json.dumps(text).replace("&", "\\u0026")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)
_marks = st.lists(
    st.sampled_from((mark("password"), mark("tags", "x"), mark("value", 0), mark("content"))),
    max_size=2,
)


@st.composite
def secretive(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Resources full of secrets, copies of them, and what looks like one."""
    return [
        resource(
            name,
            attributes=draw(st.dictionaries(_names, _values, max_size=5)),
            sensitive_attributes=draw(_marks),
        )
        | {"type": draw(st.sampled_from(("aws_instance", "random_password")))}
        for name in draw(st.lists(names, max_size=3, unique=True))
    ] + [resource("holder", attributes={"password": dict.fromkeys("abcd", 0) | _held()})]


def _held() -> dict[str, str]:
    return {f"k{number}": secret for number, secret in enumerate(_KNOWN)}


def rendered(
    redactor: Redactor, old: Document | None, new: Document, limit_bytes: int = 1_000_000
) -> bytes:
    """Everything that a redactor gives."""
    found, _ = redactor.change(old, new, KEY, limit_bytes)
    return orjson.dumps(found.entry, option=orjson.OPT_SORT_KEYS) + (found.document or b"")


@given(secretive(), secretive())
def test_what_was_learned_before_is_as_good_as_learning_it_now(
    first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    """A redactor that has seen the slices already gives the same; and no known secret leaves."""
    second[-1]["instances"][0]["attributes"]["changed"] = True
    old, new = state(*first), state(*second)
    redactor = Redactor()
    rendered(redactor, None, old)
    rendered(redactor, old, new)
    again = rendered(redactor, old, new)
    assert rendered(Redactor(), old, new) == again
    for secret in _KNOWN:
        if len(secret) >= 8:
            assert_gone(orjson.loads(again), secret)


@given(secretive(), st.integers(8_192, 12_000))
def test_a_few_items_are_rendered_as_many_are(
    resources: list[dict[str, Any]], limit_bytes: int
) -> None:
    """One size or another, the entry and the document are the same."""
    document = state(*resources)
    few = rendered(Redactor(), None, document, limit_bytes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "_FEW_ITEMS", -1)
        assert rendered(Redactor(), None, document, limit_bytes) == few


def test_a_huge_change_names_every_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the budget only the number of attributes is told; secrets stay hidden."""
    monkeypatch.setattr(Redactor._renderer, "__defaults__", (1_000,))
    resources = [resource(f"r{n:02}", attributes={"x": "y" * 90, "z": SECRET}) for n in range(40)]
    holder = resource("zz", attributes={"password": SECRET})
    entry = redacted(None, state(*resources, holder)).entry
    assert len(entry["items"]) == 41
    assert "omitted" not in entry["items"][0]
    assert ({}, 2) == (entry["items"][-2]["attributes"], entry["items"][-2]["omitted"])
    assert_gone(entry)
    whole = Redactor().document(state(*resources, holder), KEY)
    assert all(len(found["attributes"]) for found in whole["resources"])


def test_a_kubernetes_secret_kept_as_an_object_is_hidden() -> None:
    """Its kind says what its data is, whatever the keys are called; the rest of it is shown."""
    manifest = {"kind": "Secret", "metadata": {"name": "web"}, "data": {"x": "aHVudGVyMg=="}}
    found = item(None, resource(attributes={"manifest": manifest}))["attributes"]["manifest"]
    assert is_commitment(found["after"]["data"])
    assert {"name": "web"} == found["after"]["metadata"]
