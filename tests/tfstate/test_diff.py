"""What a comparison finds: all that differs, and nothing that is the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.diff import (
    ABSENT,
    Changes,
    Difference,
    Number,
    ResourceChange,
    Value,
    _compare_resources,
    _differing,
    _document_outputs,
    _odd_resource,
    _output,
    _resource,
    _sort_key,
    attributes,
    decode,
    diff,
    differences,
    outputs_in,
)
from proxy.tfstate.document import NOTHING, Document, Slice, parse
from tests.strategies import attribute_values, names, odd_states, states


def resource(name: str = "a", **instance: object) -> dict[str, Any]:
    """A resource with one instance."""
    return {
        "mode": "managed",
        "type": "aws_instance",
        "name": name,
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [{"schema_version": 0, "attributes": {}} | instance],
    }


def state(*resources: dict[str, Any], **members: object) -> Document:
    """A state of version 4 with these resources."""
    return parse(json.dumps({"version": 4, "serial": 1, "resources": resources} | members).encode())


def only(changes: Changes) -> ResourceChange:
    """The one resource that changed."""
    (change,) = changes.resources
    return change


def change(before: dict[str, Any], after: dict[str, Any]) -> ResourceChange:
    """What happened to one resource."""
    return only(diff(state(before), state(after)))


@given(odd_states())
def test_a_state_does_not_differ_from_itself(body: bytes) -> None:
    """However oddly it is written."""
    assert diff(parse(body), parse(body)).is_empty


@given(states())
def test_white_space_and_key_order_are_no_difference(value: dict[str, Any]) -> None:
    """OpenTofu writes compact JSON, Terraform indented; keys have no order."""
    compact = json.dumps(value, separators=(",", ":")).encode()
    indented = json.dumps(value, indent=3, sort_keys=True).encode()
    assert diff(parse(compact), parse(indented)).is_empty


@given(states(), st.data())
def test_exactly_the_changed_attribute_is_named(value: dict[str, Any], data: st.DataObject) -> None:
    """One attribute set to something else is one difference, at its path, with both values."""
    if not value["resources"]:
        return
    number = data.draw(st.integers(0, len(value["resources"]) - 1))
    name = data.draw(names)
    old, new = data.draw(st.lists(_scalars, min_size=2, max_size=2, unique_by=json.dumps))
    before, after = (_with_attribute(value, number, name, side) for side in (old, new))
    found = only(diff(before, after))
    assert (Difference((name,), old, new),) == found.differences
    assert found.action == "update"
    assert value["resources"][number]["name"] == found.address.name


_scalars = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii"))


def _with_attribute(value: dict[str, Any], number: int, name: str, side: object) -> Document:
    copy = json.loads(json.dumps(value))
    copy["resources"][number]["instances"][0]["attributes"][name] = side
    return parse(json.dumps(copy).encode())


@given(states(), states())
def test_two_states_differ_where_their_resources_do(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    """The changes name every resource that is not the same in both, and no other."""

    def by_address(value: dict[str, Any]) -> dict[tuple[object, ...], str]:
        return {
            (
                found.get("module", ""),
                found["mode"],
                found["type"],
                found["name"],
                found["instances"][0].get("index_key"),
            ): json.dumps(found["instances"][0]["attributes"], sort_keys=True)
            for found in value["resources"]
        }

    old, new = by_address(first), by_address(second)
    expected = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    changes = diff(parse(json.dumps(first).encode()), parse(json.dumps(second).encode()))
    assert expected == {tuple(change.address)[:5] for change in changes.resources}


@given(attribute_values, attribute_values)
def test_applying_the_differences_gives_the_other_value(old: Value, new: Value) -> None:
    """Nothing that differs is left out."""
    assert json.dumps(new, sort_keys=True) == json.dumps(_patched(old, new), sort_keys=True)


def _patched(old: Value, new: Value) -> object:
    root: dict[str, Any] = {"root": json.loads(json.dumps(old))}
    for difference in differences(old, new, ("root",)):
        place: Any = root
        for step in difference.path[:-1]:
            place = place[step]
        if difference.after is ABSENT:
            del place[difference.path[-1]]
        else:
            place[difference.path[-1]] = difference.after
    return root["root"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (1, "1"), (0, False), (None, False), ("", None), ([], {}), ([1], [1, 1])],
)
def test_types_count(old: Value, new: Value) -> None:
    """Values that Python or HCL would take for equal are not."""
    assert [Difference((), old, new)] == list(differences(old, new))


def test_a_number_keeps_its_digits() -> None:
    """Neither big integers nor decimals are rounded."""
    before = state(resource(attributes={"a": 1}))
    body = bytes(before.body).replace(b'"a": 1', b'"a": 0.10, "b": 12345678901234567890123')
    found = only(diff(before, parse(body)))
    assert (
        Difference(("a",), 1, Number("0.10")),
        Difference(("b",), ABSENT, 12345678901234567890123),
    ) == found.differences


def test_new_and_gone_resources() -> None:
    """A new object shows what it has, a gone one what it had; null is nothing."""
    changes = diff(
        state(resource("gone", attributes={"x": 1, "y": None})),
        state(resource("new", attributes={"z": "2"})),
    )
    gone, new = changes.resources
    assert ("gone", "delete") == (gone.address.name, gone.action)
    assert (Difference(("x",), 1, ABSENT),) == gone.differences
    assert ("new", "create") == (new.address.name, new.action)
    assert (Difference(("z",), ABSENT, "2"),) == new.differences


def test_the_first_version_is_all_new() -> None:
    """There is nothing to compare with."""
    assert only(diff(None, state(resource()))).action == "create"


def test_keys_of_count_and_for_each() -> None:
    """Only the instance that changed is named, with its key; 0 and "0" are two keys."""

    def body(third: int) -> dict[str, Any]:
        instances = [
            {"index_key": 0, "attributes": {"x": 1}},
            {"index_key": "0", "attributes": {"x": third}},
            {"index_key": "b", "attributes": {"x": 1}},
        ]
        return resource() | {"instances": instances}

    assert change(body(1), body(2)).address.instance_key == "0"


def test_modules() -> None:
    """The same resource in another module is another one."""
    changes = diff(state(resource()), state(resource() | {"module": "module.m"}))
    assert [("", "delete"), ("module.m", "create")] == [
        (found.address.module, found.action) for found in changes.resources
    ]


def test_deposed_objects() -> None:
    """A replacement that is half done leaves the old object; later that one is gone."""
    current, old = {"attributes": {"id": "2"}}, {"deposed": "1a2b3c4d", "attributes": {"id": "1"}}
    half = resource() | {"instances": [current, old]}
    done = resource() | {"instances": [current]}
    assert ("depose", "1a2b3c4d") == (change(done, half).action, change(done, half).address.deposed)
    assert change(half, done).action == "delete"


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ({}, {"status": "tainted"}, "taint"),
        ({"status": "tainted"}, {}, "untaint"),
        ({}, {"status": "tainted", "attributes": {"x": 1}}, "update"),
        ({}, {"private": "e30="}, "no-op"),
        ({}, {"dependencies": ["aws_vpc.v"]}, "no-op"),
        ({}, {"schema_version": 1}, "no-op"),
        ({}, {"identity": {"id": "1"}}, "no-op"),
        ({}, {"sensitive_attributes": [[{"type": "get_attr", "value": "x"}]]}, "no-op"),
        ({}, {"provider": 'provider["registry.opentofu.org/a/b"].k["x"]'}, "update"),
    ],
)
def test_what_happened_beside_the_attributes(
    before: dict[str, Any], after: dict[str, Any], action: str
) -> None:
    """Taints and providers have their action; Terraform's own bookkeeping is no change."""
    assert change(resource(**before), resource(**after)).action == action


def test_a_provider_of_the_resource_counts_for_each_instance() -> None:
    """`state replace-provider` changes it for all."""
    found = change(resource(), resource() | {"provider": "p"})
    assert found.action == "update"
    assert [("provider",)] == [setting.path for setting in found.settings]


def test_scattered_changes() -> None:
    """What is equal between two changes is not among them."""
    before = [resource(name, attributes={"x": 1}) for name in "abcde"]
    after = [resource(name, attributes={"x": 2 if name in "ae" else 1}) for name in "abcde"]
    changes = diff(state(*before), state(*after))
    assert ["a", "e"] == [found.address.name for found in changes.resources]


def test_two_resources_of_one_address_are_both_compared() -> None:
    """No state has them, but nothing may hide behind a first one."""
    hidden = resource(attributes={"x": 1})
    changes = diff(state(resource(), resource()), state(resource(), hidden))
    assert len(changes.resources) == 1


def test_outputs() -> None:
    """An output differs by value, type or mark."""
    changes = diff(
        state(outputs={"a": {"value": 1, "type": "number"}, "b": {"value": 1}}),
        state(outputs={"a": {"value": 1, "type": "number", "sensitive": True}, "c": {"value": {}}}),
    )
    assert [("a", "update"), ("b", "delete"), ("c", "create")] == [
        (found.name, found.action) for found in changes.outputs
    ]
    assert (Difference(("sensitive",), False, True),) == changes.outputs[0].differences


def test_terraform_version_and_unknown_members() -> None:
    """The one with both values, the others by name."""
    changes = diff(
        state(terraform_version="1.6.6", x={"a": 1}, y=1),
        state(terraform_version="1.11.4", x={"a": 2}, y=1),
    )
    assert changes.terraform_version == ("1.6.6", "1.11.4")
    assert changes.other == ("x",)


def test_check_results() -> None:
    """A check is named by the object it is about."""

    def checks(status: str, *messages: str) -> list[dict[str, Any]]:
        objects = [{"object_addr": "check.c", "status": status, "failure_messages": messages}]
        return [{"object_kind": "check", "config_addr": "check.c", "objects": objects}]

    changes = diff(state(check_results=checks("pass")), state(check_results=checks("fail", "no")))
    (found,) = changes.checks
    assert found.address == "check.c"
    assert (
        Difference(("failure_messages",), ABSENT, ["no"]),
        Difference(("status",), "pass", "fail"),
    ) == found.differences


def v3(resources: dict[str, Any], *path: str, **outputs: object) -> Document:
    """A state of version 3 with one module."""
    modules = [{"path": ["root", *path], "outputs": outputs, "resources": resources}]
    return parse(json.dumps({"version": 3, "serial": 1, "modules": modules}).encode())


def test_version_3() -> None:
    """Addresses are those of today; attributes are flat; taints and deposed objects are seen."""
    before = v3({"aws_instance.web.1": {"primary": {"attributes": {"tags.%": "1"}}}}, "m", "n")
    primary = {"attributes": {"tags.%": "2"}, "tainted": True}
    after = v3(
        {
            "aws_instance.web.1": {"primary": primary, "deposed": [{"attributes": {"id": "x"}}]},
            "data.aws_ami.x": {"primary": {"attributes": {}}},
        },
        "m",
        "n",
    )
    data, web, deposed = diff(before, after).resources
    assert ("module.m.module.n", "data", "aws_ami", "x", None, "") == data.address
    assert ("module.m.module.n", "managed", "aws_instance", "web", 1, "") == web.address
    assert (Difference(("tags.%",), "1", "2"),) == web.differences
    assert ("depose", "0") == (deposed.action, deposed.address.deposed)


def test_version_3_outputs() -> None:
    """They are kept in their modules."""
    changes = diff(v3({}, o={"value": "1"}), v3({}, o={"value": "2"}))
    assert [("", "o", "update")] == [(o.module, o.name, o.action) for o in changes.outputs]


def test_from_version_3_to_4() -> None:
    """Terraform 0.12 writes every object anew; only values that are known to differ count."""
    flat = {"id": "i-1", "tags.%": "1", "tags.a": "1", "ebs.123.size": "8"}
    nested = {"id": "i-1", "tags": {"a": "2"}, "ebs": [{"size": 8}], "more": True}
    found = only(
        diff(
            v3({"aws_instance.a": {"primary": {"attributes": flat}, "provider": "provider.aws"}}),
            state(resource(attributes=nested)),
        )
    )
    assert (Difference(("tags.a",), "1", "2"),) == found.differences


def test_flat_attributes_in_version_4() -> None:
    """Terraform 0.12 keeps what it has not refreshed yet as it was."""
    before = {"instances": [{"attributes_flat": {"tags.a": "1"}}]}
    after = {"instances": [{"attributes_flat": {"tags.a": "2"}}]}
    found = change(resource() | before, resource() | after)
    assert (Difference(("tags.a",), "1", "2"),) == found.differences


def test_encrypted_states_are_opaque() -> None:
    """Nothing is known but that they are encrypted, or no longer."""
    sealed = parse(b'{"serial":1,"encryption_version":"v0","encrypted_data":"eA=="}')
    assert diff(sealed, state(resource())) == Changes(encrypted=(True, False))
    assert diff(None, sealed).resources == ()
    assert diff(sealed, sealed).is_empty


@pytest.mark.parametrize(
    "odd",
    [
        {"instances": None},
        {"instances": [1, {"attributes": []}, {"index_key": {}, "attributes": 1}]},
        {"instances": [{"index_key": True}, {"index_key": 1.5}, {"status": 7, "deposed": []}]},
        {"name": 1, "type": None, "mode": []},
    ],
)
def test_odd_resources_are_compared_all_the_same(odd: dict[str, Any]) -> None:
    """What no client writes must not stop the record of what it did write."""
    changes = diff(state(resource()), state(resource() | odd))
    assert all(isinstance(found.differences, tuple) for found in changes.resources)
    assert not changes.is_empty


def test_bytes_that_are_no_utf_8_are_read_as_go_reads_them() -> None:
    """They become U+FFFD in the record; the state itself is kept as it is."""
    body = bytes(state(resource(attributes={"x": "??"})).body)
    found = only(diff(None, parse(body.replace(b"??", b"\xff\xfe"))))
    assert (Difference(("x",), ABSENT, "\ufffd\ufffd"),) == found.differences


def test_a_value_nested_very_deep_is_compared() -> None:
    """As deep as a state may be, without an error."""
    before, after = (
        parse(b'{"version":4,"outputs":{"o":{"value":' + b"[" * 400 + end + b"]" * 400 + b"}}}")
        for end in (b"1", b"2")
    )
    (found,) = diff(before, after).outputs
    assert len(found.differences) == 1


def test_equal_slices_are_never_decoded() -> None:
    """Even a resource that can't be read doesn't matter as long as it doesn't change."""
    broken = Slice(b"{not json")
    before, after = (
        Document(b"", "v4", 1, "", resources=(broken, Slice(b'{"type":"%b"}' % kind), broken))
        for kind in (b"a", b"b")
    )
    assert diff(before, after).is_empty  # neither has an instance


def test_no_object_has_no_attributes() -> None:
    """Attributes of nothing, and of an object whose attributes are no object."""
    assert attributes(None) == {}
    assert decode(NOTHING) is None


# ---------------------------------------------------------------- the short ways


@given(states().map(lambda value: json.dumps(value).encode()) | odd_states(versions=(4,)))
def test_usual_resources_are_read_as_odd_ones_are(body: bytes) -> None:
    """Reading all texts at once gives what reading them one by one gives."""
    for slice_ in parse(body).resources:
        (address, usual), (expected_address, expected) = _resource(slice_), _odd_resource(slice_)
        assert expected_address == address
        assert expected.shared == usual.shared
        assert list(expected.instances) == list(usual.instances)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"module":null,"mode":"managed","type":"t","name":"n","instances":[]}',
        b'{"name":"\\u006e","n\\u0061me":"m","instances":[1]}',
        b'{"name":1.50,"type":{},"x":1,"each":"list"}',
        b'{"name":"\xff","instances":null,"provider":null}',
        b'{"provider":"a","provider":"b","instances":[{}],"instances":[]}',
        b"[]",
        b"{}",
    ],
)
def test_odd_resources_are_read_alike(odd: bytes) -> None:
    """Whatever the typed decoder does not take goes the long way."""
    slice_ = Slice(odd)
    (address, read), (expected_address, expected) = _resource(slice_), _odd_resource(slice_)
    assert expected_address == address
    assert expected.shared == read.shared
    assert list(expected.instances) == list(read.instances)


@given(states(), states(), st.data())
def test_comparing_by_place_is_comparing_all(
    first: dict[str, Any], second: dict[str, Any], data: st.DataObject
) -> None:
    """What is equal at the same place can be left out, whatever stands around it."""
    kept = data.draw(st.lists(st.booleans(), min_size=4, max_size=4))
    for number, keep in enumerate(kept):
        if keep and number < min(len(first["resources"]), len(second["resources"])):
            second["resources"][number] = first["resources"][number]
    taken = {json.dumps(_address(found)) for found in second["resources"]}
    if len(taken) < len(second["resources"]):
        return  # no state has two of one address; which of them got a number may differ
    before, after = (parse(json.dumps(side).encode()) for side in (first, second))
    found: list[ResourceChange] = []
    _compare_resources(before.resources, after.resources, found, {})
    assert sorted(found, key=_sort_key) == list(diff(before, after).resources)


def _address(found: dict[str, Any]) -> tuple[object, ...]:
    return found.get("module", ""), found["mode"], found["type"], found["name"]


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_is_left_out_is_the_same_on_both_sides(first: list[str], second: list[str]) -> None:
    """Nothing that only one side has is ever left out."""
    old, new = ([Slice(json.dumps(x).encode()) for x in side] for side in (first, second))
    left_old, left_new = _differing(old, new)
    for value in "abc":
        slice_ = Slice(json.dumps(value).encode())
        gone = list(old).count(slice_) - list(left_old).count(slice_)
        assert gone == list(new).count(slice_) - list(left_new).count(slice_)


@given(odd_states(versions=(4,)))
def test_outputs_are_read_alike(body: bytes) -> None:
    """All at once, or one by one."""
    document = parse(body)
    expected = {key: _output(slice_) for key, slice_ in _document_outputs(document).items()}
    assert expected == outputs_in("v4", document.outputs)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [(b"true", True), (b"false", False), (b"null", False), (b"1", True), (b'"false"', True)],
)
def test_whatever_is_not_plainly_false_is_sensitive(mark: bytes, expected: bool) -> None:
    """Also in an output that no client writes."""
    body = b'{"version":4,"outputs":{"o":{"value":1,"sensitiv\\u0065":%b}}}' % mark
    (output,) = outputs_in("v4", parse(body).outputs).values()
    assert expected == output.sensitive


def test_attributes_that_are_no_object_have_no_members() -> None:
    """What took their place, or was in their place before, is new or gone."""
    found = change(resource(attributes=[1]), resource(attributes={"x": 1}))
    assert found.roots is None
    assert (Difference(("x",), ABSENT, 1),) == found.differences


def test_changes_show_no_content() -> None:
    """Their text ends up in messages and logs; the content may hold secrets."""
    changes = diff(
        state(resource(attributes={"x": 1})), state(resource(attributes={"x": "hunter2"}))
    )
    assert "hunter2" not in repr(changes)
    assert "hunter2" not in repr(changes.resources)
