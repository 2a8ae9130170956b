"""What an attacker tried and got away with once: each stays closed."""

import base64
import gzip
import json
from typing import Any

import pytest

from proxy.tfstate.document import parse
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tfstate.redact import Redactor
from tests.tfstate.test_diff import resource

SECRET = "correct-horse-battery"
KEY = b"k" * 32


def of(type_: str, marks: tuple[str, ...] = (), **attributes: object) -> dict[str, Any]:
    """Return a resource of a type, with some of its attributes marked."""
    steps = [[{"type": "get_attr", "value": name}] for name in marks]
    return resource(attributes=attributes, sensitive_attributes=steps) | {"type": type_}


def body(*resources: dict[str, Any], **members: object) -> bytes:
    """Return a state."""
    document = {"version": 4, "serial": 1, "lineage": "l", "resources": resources} | members
    return json.dumps(document).encode()


def shown(
    new: bytes,
    old: bytes | None = None,
    redactor: Redactor | None = None,
    policy: Policy = STANDARD,
) -> str:
    """Return all that leaves of a change."""
    before = None if old is None else parse(old)
    redacted, _ = (redactor or Redactor(policy)).change(before, parse(new), KEY)
    return json.dumps(redacted.entry, ensure_ascii=False) + (redacted.document or b"").decode()


def encoded(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "copy",
    [
        encoded(gzip.compress(SECRET.encode(), mtime=0)),
        encoded(encoded(SECRET.encode()).encode()),
        '{"a": "' + "".join(f"\\u{ord(letter):04x}" for letter in SECRET) + '"}',
    ],
)
def test_a_copy_is_found_in_an_object_that_holds_no_secret_of_its_own(copy: str) -> None:
    """However it is wrapped there: the short way for such objects must look inside as well."""
    state = body(of("random_password", ("result",), result=SECRET), of("http", rendered=copy))
    assert copy not in shown(state)
    assert copy not in shown(state, body(of("http", rendered="")))


def test_a_short_secret_with_space_around_it_is_found() -> None:
    """A file's line end makes no other text of it."""
    state = body(of("random_password", ("result",), result="tiger7"), of("f", content="tiger7\n"))
    assert "tiger7" not in shown(state)


def test_a_huge_number_hides_nothing_else_of_its_object() -> None:
    """Python reads no integer of so many digits; the rest of the object is read all the same."""
    state = body(of("a_b", password="swordfish-9", n=0, size=7), of("c_d", z="u:swordfish-9"))
    redacted = shown(state.replace(b'"n": 0', b'"n": 1' + b"0" * 5000))
    assert "swordfish-9" not in redacted
    assert '"size": {"after": 7}' in redacted


def test_what_was_too_deep_to_be_looked_into_is_not_remembered_as_harmless() -> None:
    """Else one workspace could prepare what another one will not hide."""
    text = wrapped = "password=hunter2xyz and some more text"
    for _ in range(8):
        wrapped = encoded(wrapped.encode())
    redactor = Redactor()
    shown(body(of("a_b", note=wrapped)), redactor=redactor)
    assert "hunter2xyz" not in shown(body(of("c_d", note=text)), redactor=redactor)


def test_what_lies_too_deep_is_hidden() -> None:
    """In doubt it is a secret."""
    wrapped = f"password={SECRET}"
    for _ in range(12):
        wrapped = json.dumps({"a": wrapped}) if len(wrapped) < 5_000 else encoded(wrapped.encode())
    assert SECRET not in shown(body(of("a_b", note=wrapped)))


def test_the_type_of_a_sensitive_output_tells_no_key() -> None:
    """Terraform writes the keys of an object into its type."""
    output = {
        "value": {"my-secret-key": "x"},
        "type": ["object", {"my-secret-key": "string"}],
        "sensitive": True,
    }
    assert "my-secret-key" not in shown(body(outputs={"o": output}))


def test_a_forged_commitment_is_hidden_where_it_is_marked() -> None:
    """A client can write what looks like ours; the mark is believed."""
    forged = "hmac-sha256:AAAAAAAAAAA="
    assert forged not in shown(body(of("a_b", ("zeug",), zeug=forged)))


def test_a_flag_names_the_argument_behind_it() -> None:
    """Container commands are lists."""
    state = body(of("aws_x", command=["run", "--db-password", SECRET, "--port", "80"]))
    assert SECRET not in shown(state)
    assert '"--port", "80"' in shown(state)


def test_a_large_value_leaves_the_other_objects_on_record() -> None:
    """It alone is too large to be told."""
    state = body(of("aaa_a", z="x" * (33 << 20)), of("aws_iam_policy", policy="EVIL"))
    assert "EVIL" in shown(state)


def test_a_secret_that_is_called_like_a_type_blanks_no_address() -> None:
    """The provider chose the type."""
    state = body(of("random_password", ("result",), result="aws_iam_policy"), of("aws_iam_policy"))
    assert '"address": "aws_iam_policy.a"' in shown(state)


@pytest.mark.parametrize(
    "text",
    [
        "a://b:c@d " * 30_000,
        "export PASSWORD=hunter2-and-more\n" * 10_000,
        "-----BEGIN+PRIVATE+KEY" * 20_000,
    ],
)
def test_many_cuts_cost_linear_time(text: str) -> None:
    """With a square in it, none of these ends before the test's time-out."""
    assert "hunter2" not in shown(body(of("a_b", user_data=text)))


def test_marked_json_does_not_eat_what_is_like_it_elsewhere() -> None:
    """One sensitive variable marks a whole text; its keys and settings are nobody's secret."""
    definitions = [
        {
            "name": "web",
            "image": "acme/web:41",
            "command": ["serve"],
            "environment": [
                {"name": "LOG_LEVEL", "value": "info"},
                {"name": "PEPPER", "value": "Zx81-kQ7v-Mmn4"},
            ],
        }
    ]
    text = json.dumps(definitions)
    other = json.dumps([definitions[0] | {"environment": [{"name": "P", "value": "1"}]}])
    state = body(
        of("aws_ecs_a", ("container_definitions",), container_definitions=text),
        of("aws_ecs_b", container_definitions=other, tag="uses Zx81-kQ7v-Mmn4"),
    )
    redacted = shown(state)
    assert json.dumps(other)[1:-1] in redacted
    assert "Zx81-kQ7v-Mmn4" not in redacted


def test_the_order_of_marks_is_no_change() -> None:
    """Terraform 1.11 writes them in any order."""
    old, new = (body(of("a_b", marks, x=1, y=2)) for marks in (("x", "y"), ("y", "x")))
    redacted, _ = Redactor().change(parse(old), parse(new), KEY)
    assert [] == redacted.entry["items"]


def test_the_words_for_types_are_shown() -> None:
    """Terraform keeps the type of a dynamic value beside it, by the names of its members."""
    state = body(of("terraform_data", input={"type": ["object", {"password": "string"}]}))
    assert '["object", {"password": "string"}]' in shown(state)
