"""What is found inside YAML, XML, MIME and files of accounts."""

import base64
import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.inside import look, splice
from tests.strategies import Json, json_values, texts
from tests.tfstate.test_inside import REDACTED, found, labels, reasons, redacted, values
from tests.tfstate.test_inside import all_redacted as all_json_redacted

# ---------------------------------------------------------------- YAML


def loaded(text: str) -> list[Any]:
    """All documents of YAML, every scalar as text."""
    return list(yaml.load_all(text, Loader=yaml.BaseLoader))


def all_redacted(value: Any) -> Any:
    """Loaded YAML with every value replaced in which a secret could be."""
    if isinstance(value, dict):
        return {key: all_redacted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [all_redacted(inner) for inner in value]
    return value if value in ("", "null") else REDACTED


@given(
    st.lists(st.dictionaries(texts, json_values, min_size=1, max_size=4), min_size=1, max_size=3),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.sampled_from([None, True, False]),
)
def test_yaml_stays_yaml(
    documents: list[dict[str, Json]], style: str | None, flow: bool | None
) -> None:
    """In each style, with every value replaced, the same members hold other texts."""
    text = yaml.safe_dump_all(
        documents, default_style=style, default_flow_style=flow, explicit_start=True
    )
    carrier = look(text)
    if carrier is None or not any(place.path for place in carrier.places):
        return
    nulls = style is None
    expected = [
        all_redacted(value)
        if nulls
        else all_redacted(yaml.load(yaml.safe_dump(value), Loader=yaml.BaseLoader))  # noqa: S506
        for value in loaded(text)
    ]

    if nulls:
        assert expected == loaded(redacted(text))
    else:
        assert [list(value) for value in expected] == [
            list(value) for value in loaded(redacted(text))
        ]


ordinary = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=12)
"""Without what YAML takes for a line break and other formats do not."""


@given(
    st.dictionaries(ordinary, ordinary, min_size=1, max_size=4),
    st.sampled_from([None, "'", '"', "|", ">"]),
)
def test_yaml_with_its_own_values_is_the_same_yaml(
    document: dict[str, str], style: str | None
) -> None:
    """What a place's value says is what its encoding writes."""
    text = "---\n" + yaml.safe_dump(document, default_style=style, allow_unicode=True)
    carrier = look(text)
    if carrier is None:
        return
    changes = [(place, place.value) for place in carrier.places]

    assert loaded(text) == loaded(splice(text, changes))


YAML = """\
# password: in-a-comment
host: db.example.com
password: plain   # PASSWORD=behind
"quoted": "a\\tb"
single: 'it''s'
literal: |-
  first
    second
folded: >
  one
  two

list:
- a
- {name: DB_PASSWORD, value: hunter2}
nothing: ~
"""


def test_the_values_of_yaml() -> None:
    """Each style is decoded; comments tell their pairs."""
    expected = {
        ("password",): "plain",
        ("PASSWORD",): "behind",
        ("host",): "db.example.com",
        ("quoted",): "a\tb",
        ("single",): "it's",
        ("literal",): "first\n  second",
        ("folded",): "one two\n",
        ("list", 0): "a",
        ("list", 1, "name"): "DB_PASSWORD",
        ("list", 1, "value"): "hunter2",
    }

    assert expected == values(YAML)
    assert "in-a-comment" in {place.value for place in found(YAML).places}
    assert {"hunter2": "DB_PASSWORD"} == labels(YAML)


def test_comments_and_spaces_of_yaml_stay() -> None:
    """Only the value changes."""
    text = "a:   # first\n    b:   x    # second\n"
    place = next(place for place in found(text).places if place.value == "x")

    assert "a:   # first\n    b:   new    # second\n" == splice(text, [(place, "new")])


def test_a_block_keeps_its_indentation() -> None:
    """A text of several lines replaces one of several lines."""
    text = "a:\n    b: |\n        one\n        two\n    c: d\n"
    value = next(p for p in found(text).places if p.path[-1] == "b" and not p.is_key)
    assert "a:\n    b: |\n        1\n\n        2\n    c: d\n" == splice(text, [(value, "1\n\n2\n")])


def test_both_values_of_one_key_in_yaml_are_places() -> None:
    """A parser that keeps the last would leave the first readable."""
    text = "password: first\npassword: second\n"

    assert ["first", "second"] == [place.value for place in found(text).places if not place.is_key]


def test_an_alias_names_its_anchor() -> None:
    """The value stands where nothing says that it is secret."""
    text = "x: &a hunter2\nuser: *a\npassword: *a\nmore: &b {k: v}\ntoken: *b\n"

    assert {"hunter2": "password", "v": "token"} == labels(text)
    assert f'x: &a "{REDACTED}"\n' in redacted(text)


def test_several_documents_of_yaml() -> None:
    """The number of the document leads the paths."""
    assert {(0, "a"): "b", (1, "a"): "c"} == values("a: b\n---\na: c\n")


KUBERNETES = """\
apiVersion: v1
kind: Secret
metadata:
  name: app
data:
  key: aHVudGVyMg==
stringData:
  any: hunter2
---
apiVersion: v1
kind: ConfigMap
data:
  any: readable
---
apiVersion: v1
kind: Config
users:
- name: bob
  user:
    client-certificate-data: certificate
    client-key-data: key
    token: token
"""


def test_kubernetes_says_what_is_secret() -> None:
    """All of a Secret, and what a kubeconfig logs in with."""
    assert {
        "aHVudGVyMg==": "kubernetes-secret",
        "hunter2": "kubernetes-secret",
        "key": "kubeconfig",
        "token": "kubeconfig",
    } == reasons(KUBERNETES)


CLOUD_CONFIG = """\
#cloud-config
hostname: web
users:
- name: bob
  lock_passwd: false
  hashed_passwd: $6$salt$hash
chpasswd:
  list: |
    root:hunter2
  users:
  - {name: eve, password: hunter3}
write_files:
- path: /etc/app
  encoding: gzip+base64
  content: H4sI
"""


def test_cloud_init_says_what_is_secret() -> None:
    """Passwords of users, in each place that its documentation knows."""
    assert {"$6$salt$hash", "root:hunter2\n", "hunter3"} == set(reasons(CLOUD_CONFIG))


@pytest.mark.parametrize(
    "text",
    [
        "host: {{ .Values.host }}:5432\n{{- if .Values.auth }}\npassword: hunter2\n{{- end }}\n",
        "list: [\npassword: hunter2\n",
        "user: bob\n\tbad: tab\npassword: hunter2\n",
        "user: bob\npassword: hunter2\nbad: 'no end\n",
        "%{ for x in y }\nuser: ${x}\n%{ endfor }\npassword: hunter2\n",
        "key: " + "[" * 200 + "\npassword: hunter2\n",
    ],
)
def test_broken_yaml_still_tells_its_pairs(text: str) -> None:
    """Templates are seldom YAML before they are rendered."""
    assert "hunter2" in {
        place.value for place in found(text).places if place.path[-1:] == ("password",)
    }


def test_a_template_around_a_secret_of_kubernetes() -> None:
    """The expressions don't hide the shape."""
    text = "{{ if .x }}\nkind: Secret\nstringData:\n  any: hunter2{{ .y }}\n{{ end }}\n"

    assert {"hunter2{{ .y }}": "kubernetes-secret"} == reasons(text)


# ---------------------------------------------------------------- yamlencode


def _quoted(text: str) -> str:
    """A string in double quotes, as Terraform's `yamlencode` writes it."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08X}"
        for character in written
    )


def _block_of(text: str, margin: str) -> str | None:
    """A string of several lines as a block, or None if it can't be written as one."""
    lines = text.rstrip("\n").split("\n")
    printable = all(character.isprintable() for line in lines for character in line)
    spaced = any(line.startswith(" ") or line.endswith(" ") for line in lines)
    if "\n" not in text or not printable or spaced or not lines[0]:
        return None
    kept = len(text) - len(text.rstrip("\n"))
    header = "|" + {0: "-", 1: ""}.get(kept, "+")
    return (
        header
        + "".join(f"\n{margin}{line}" if line else "\n" for line in lines)
        + "\n" * max(kept - 1, 0)
    )


def yamlencoded(value: Json, margin: str = "") -> str:
    """A value as Terraform's `yamlencode` writes it, without the last line break.

    Keys sorted, every string and key in double quotes, unless it has several lines; lists stand
    as far to the left as the key of their map.
    """
    if isinstance(value, dict) and value:
        return f"\n{margin}".join(
            _member(_quoted(key) + ":", inner, margin) for key, inner in sorted(value.items())
        )
    if isinstance(value, list) and value:
        return f"\n{margin}".join(f"- {yamlencoded(inner, margin + '  ')}" for inner in value)
    if isinstance(value, str):
        return _block_of(value, margin + "  ") or _quoted(value)
    return json.dumps(value)


def _member(key: str, value: Json, margin: str) -> str:
    """A key of a map with its value."""
    if isinstance(value, dict) and value:
        return f"{key}\n{margin}  {yamlencoded(value, margin + '  ')}"
    if isinstance(value, list) and value:
        return f"{key}\n{margin}{yamlencoded(value, margin)}"
    return f"{key} {yamlencoded(value, margin)}"


def places_of(text: str) -> set[tuple[tuple[str | int, ...], str, bool]]:
    """All places inside a text, keys too; none if only nulls and nothings are there."""
    carrier = look(text)
    places = () if carrier is None else found(text).places
    return {(place.path, place.value, place.is_key) for place in places}


def as_texts(value: Json) -> Any:
    """A value with every scalar as text."""
    if isinstance(value, dict):
        return {key: as_texts(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_texts(inner) for inner in value]
    return value if isinstance(value, str) else json.dumps(value)


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4))
def test_yamlencode_tells_what_jsonencode_tells(value: dict[str, Json]) -> None:
    """The same values at the same paths, whichever of the two wrote them."""
    text = yamlencoded(value) + "\n"

    assert [as_texts(value)] == loaded(text)
    assert places_of(json.dumps(value)) == places_of(text)
    assert places_of(json.dumps(value)) == places_of("#cloud-config\n" + text)


@given(st.lists(st.dictionaries(texts, json_values, min_size=1, max_size=3), min_size=2))
def test_documents_of_yamlencode_tell_what_lines_of_json_tell(
    values_: list[dict[str, Json]],
) -> None:
    """Joined by `---` or by line breaks, the number of each leads its paths."""
    text = "---\n".join(yamlencoded(value) + "\n" for value in values_)

    assert places_of("\n".join(map(json.dumps, values_))) == places_of(text)


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4))
def test_yamlencode_stays_yaml(value: dict[str, Json]) -> None:
    """With every value replaced, the same members hold other texts."""
    text = yamlencoded({"first": 1, **value}) + "\n"

    assert [as_texts(all_json_redacted({"first": 1, **value}))] == loaded(redacted(text))


YAMLENCODED = """\
"apiVersion": "v1"
"data":
  "conn": "aHVudGVyMg=="
"kind": "Secret"
"metadata":
  "name": "shop"
"stringData":
  "any": |
    hunter3
    hunter4
"""


@pytest.mark.parametrize(
    "text",
    [
        YAMLENCODED,
        YAMLENCODED.replace('"', "'"),
        f"# by hand\n---\n{YAMLENCODED}",
        f"\n{YAMLENCODED}...\n",
    ],
)
def test_kubernetes_in_quotes_says_what_is_secret(text: str) -> None:
    """The form in which Terraform itself writes a manifest."""
    assert {"aHVudGVyMg==", "hunter3\nhunter4\n"} == set(reasons(text))


def test_kubernetes_among_documents_in_quotes() -> None:
    """Only what lies in the Secret is one."""
    text = '"kind": "ConfigMap"\n"data":\n  "any": "readable"\n---\n' + YAMLENCODED

    assert {"aHVudGVyMg==", "hunter3\nhunter4\n"} == set(reasons(text))


CLOUD_CONFIG_IN_QUOTES = """\
"chpasswd":
  "list": |
    root:hunter2
"users":
- "name": "bob"
  "plain_text_passwd": "hunter3"
"""


@pytest.mark.parametrize(
    "head", ["#cloud-config\n", "#cloud-config\n---\n", "## template\n#cloud-config\n", ""]
)
def test_cloud_init_in_quotes_says_what_is_secret(head: str) -> None:
    """Also without its first line, which a part of a MIME archive does not need."""
    assert {"root:hunter2\n", "hunter3"} == set(reasons(head + CLOUD_CONFIG_IN_QUOTES))


def test_cloud_init_in_json_says_what_is_secret() -> None:
    """It is YAML too."""
    text = json.dumps({"chpasswd": {"list": "root:hunter2"}, "password": "hunter3"})

    assert {"root:hunter2", "hunter3"} == set(reasons(text))
    assert {"root:hunter2", "hunter3"} == set(reasons(f"#cloud-config\n{text}\n"))


def test_a_list_in_quotes_names_its_values() -> None:
    """What stands beside a value says what it is."""
    text = '"env":\n- "name": "DB_PASSWORD"\n  "value": "hunter2"\n'

    assert {"hunter2": "DB_PASSWORD"} == labels(text)
    assert "hunter2" == values(text)["env", 0, "value"]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ('"password": "hunter2"', "yaml", {("password",): "hunter2"}),
        ("'password': hunter2", "yaml", {("password",): "hunter2"}),
        ('"a": 1\n"b" : {"c": [2]}\n', "yaml", {("a",): "1", ("b", "c", 0): "2"}),
        ('"a": "1",\n"password": "2"\n', "pairs", {("a",): "1", ("password",): "2"}),
        ('"a"\n"b"\n', "json", {(0,): "a", (1,): "b"}),
        ('"a: b"', "json", {(): "a: b"}),
        ('"a"', "json", {(): "a"}),
    ],
)
def test_what_begins_with_a_quote(
    text: str, kind: str, expected: dict[tuple[str | int, ...], str]
) -> None:
    """A key of YAML if a colon follows, else a string of JSON."""
    assert kind == found(text).kind
    assert expected == values(text)


# ---------------------------------------------------------------- other formats

MIME = """\
Content-Type: multipart/mixed; boundary="==B=="
MIME-Version: 1.0

--==B==
Content-Type: text/cloud-config; filename="a.yaml"

#cloud-config
password: hunter2
--==B==
Content-Type: text/x-shellscript
Content-Transfer-Encoding: base64

IyEvYmluL3NoCmV4cG9ydCBQQVNTV09SRD1odW50ZXIyCg==
--==B==--
"""


def test_the_parts_of_mime() -> None:
    """Each is a place, decoded if it says that it is encoded."""
    assert {
        (0, "a.yaml"): "#cloud-config\npassword: hunter2",
        (1, ""): "#!/bin/sh\nexport PASSWORD=hunter2\n",
    } == values(MIME)
    assert {(0, "a.yaml"): REDACTED, (1, ""): REDACTED} == values(redacted(MIME))


XML = """\
<?xml version="1.0"?>
<configuration><!-- <password>old</password> -->
  <password>hun&lt;ter2</password>
  <add key="DB_PASSWORD" value="hunter3" />
  <dict><key>Secret</key><string>hunter4</string></dict>
  <script><![CDATA[password=hunter5]]></script>
</configuration>
"""


def test_the_values_of_xml() -> None:
    """Texts of elements and values of attributes, with the names beside them."""
    inside = values(XML)

    assert "hun<ter2" == inside["configuration", "password"]
    assert "password=hunter5" == inside["configuration", "script"]
    assert {"hunter3": "DB_PASSWORD", "hunter4": "Secret"} == labels(XML)
    root = ET.fromstring(redacted(XML))  # noqa: S314 (our own text)
    assert REDACTED == root.findtext("password")


@pytest.mark.parametrize(
    ("text", "kind", "secret"),
    [
        ("machine example.com login bob password hunter2\n", "netrc", "hunter2"),
        ("machine example.com\n  login bob\n  password hunter2\n", "netrc", "hunter2"),
        ("db.example.com:5432:app:bob:hun\\:ter2", "pgpass", "hun:ter2"),
        ("# all\n*:*:*:bob:hunter2\n", "pgpass", "hunter2"),
        ("bob:$apr1$salt$hash\neve:{SHA}aGFzaA==\n", "htpasswd", "$apr1$salt$hash"),
        ("root:$6$salt$hash:18000:0:99999:7:::", "htpasswd", "$6$salt$hash"),
    ],
)
def test_a_file_of_accounts(text: str, kind: str, secret: str) -> None:
    """Nothing but its shape says what it is."""
    assert kind == found(text).kind
    assert kind == reasons(text)[secret]
    assert secret not in redacted(text)


def test_a_private_key_among_certificates() -> None:
    """The certificates stay readable."""
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    text = f"{certificate}{key}\n{certificate}"

    assert {key: "private-key"} == reasons(text)
    places = [place for place in found(text).places if place.why]
    assert f"{certificate}X\n{certificate}" == splice(text, [(places[0], "X")])


def test_a_certificate_in_base64_is_no_secret() -> None:
    """It can be read, and nothing in it is a secret by its format."""
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    encoded = base64.b64encode(certificate.encode()).decode()

    assert {(): certificate} == values(encoded)
    assert look(certificate) is None


def test_wrapped_base64_in_a_script() -> None:
    """It is one place, whatever lines it stands in."""
    inside = "password=hunter2\n" * 10
    lines = base64.encodebytes(inside.encode()).decode()
    text = f"#!/bin/sh\nbase64 -d > /etc/app <<EOF\n{lines}EOF\n"

    assert inside in {place.value for place in found(text).places}
    assert inside not in {place.value for place in found(redacted(text)).places}
