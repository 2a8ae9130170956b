"""Scenes about the forms that a secret and its place can have, whoever the provider is."""

from typing import Any

from tests.redaction.encodings import go_json
from tests.redaction.planting import NEW, OLD, Scene, base64_text


def numbers(s: Scene) -> None:
    """Numbers, as marked values, under secret names, and in an output; booleans beside them."""
    one, two = s.pair("number", "integer", "mark"), s.pair("number", "fraction", "mark")
    three = s.pair("number", "integer")
    s.add(
        "acme_door",
        lambda v: {
            "floor": v,
            "code": int(one[v]),
            "offset": float(two[v]),
            "armed": v == 0,
            "admin_pin": int(three[v]),
        },
        own_marks=("code", "offset", "armed"),
    )
    four = s.pair("number", "integer", "mark")
    s.output("door_code", lambda v: int(four[v]), sensitive=True, type_="number")
    s.add("aws_ebs_volume", lambda v: {"size": 10 + v, "tags": {"Door": one[v]}})


def containers(s: Scene) -> None:
    """Marked objects, lists and maps: everything inside, the maps' keys included."""
    inner, listed = s.pair("object", "words", "mark"), s.pair("list", "plain", "mark")
    key, below = s.pair("map key", "plain", "mark"), s.pair("object", "odd", "mark")
    s.add(
        "acme_gateway",
        lambda v: {
            "region": f"r{v}",
            "settings": {"a": {"b": [{"c": below[v]}], "on": True}, "d": inner[v]},
            "peers": [listed[v], f"{listed[v]}/2"],
            "clients": {key[v]: {"limit": 10 + v}},
        },
        own_marks=("settings", "peers", "clients"),
    )
    s.add(
        "null_resource",
        lambda v: {"triggers": {"peer": f"{listed[v]}-{v}", "gateway": go_json({"d": inner[v]})}},
    )


def index_keys(s: Scene) -> None:
    """Resources made with `for_each` over secrets: the keys of objects, and of modules."""
    token, module_key = s.secret("index key", "long", "shape"), s.secret("index key", "plain")
    known = s.secret("index key", "words", "copy")
    s.fate = s.rng.choice(("update", "create", "delete"))
    for key in (token, "eu"):
        s.add("acme_subscriber", lambda v: {"plan": f"p{v}"}, key=key)
    s.add(
        "acme_account",
        lambda v: {"plan": f"p{v}", "api_token": module_key},
        module=f'module.account["{module_key}"]',
        name="own",
    )
    s.add("acme_login", lambda v: {"v": v, "passwords": {"root": known}})
    s.add("acme_login_alias", lambda v: {"v": v}, key=known)


def check_messages(s: Scene) -> None:
    """Failed checks whose messages quote a secret that stands elsewhere in the state."""
    s.fate = "update"
    password = s.pair("check message", "password", "copy")
    s.add("postgresql_role", lambda v: {"name": f"check{v}", "password": password[v]})
    s.check(lambda v: f'The password "{password[v]}" is too weak ({v}).')


def outputs(s: Scene) -> None:
    """Outputs that are marked, that only their name tells, and that are objects."""
    one, two = s.pair("output", "words", "mark"), s.pair("output", "plain")
    three, four = s.pair("output", "odd", "mark"), s.pair("output", "password")
    s.output("bootstrap", lambda v: one[v], sensitive=True)
    s.output("admin_password", lambda v: two[v], sensitive=False)
    s.output(
        "cluster",
        lambda v: {"endpoint": f"https://c{v}", "login": {"user": "a", "word": three[v]}},
        sensitive=True,
        type_=["object", {"endpoint": "string"}],
    )
    s.output(
        "services",
        lambda v: [{"name": f"s{v}", "client_secret": four[v]}],
        sensitive=False,
        type_=["list", ["object", {"name": "string", "client_secret": "string"}]],
    )
    s.add("acme_page", lambda v: {"title": f"v{v}", "text": f"call {one[v]} or {three[v]}"})


def deposed_and_tainted(s: Scene) -> None:
    """An object that a replacement left behind, and one that is to be replaced."""
    s.fate = s.rng.choice(("update", "create", "delete"))
    one, two = s.pair("deposed or tainted", "words"), s.pair("deposed or tainted", "plain", "table")
    s.add(
        "acme_database",
        lambda v: {"size": v, "root_password": one[v]},
        extra={"deposed": s.id(digits=8)},
    )
    s.add(
        "aws_docdb_cluster",
        lambda v: {"engine": f"v{v}", "master_password": two[v]},
        marks=("master_password",),
        extra={"status": "tainted"},
    )


def marked_once(s: Scene) -> None:
    """A value that is sensitive, and marked so, in one of the versions only, with its copies."""
    s.fate = "update"
    marked = s.number % 2
    value = s.secret("mark of one version", s.rng.choice(("words", "odd")), "mark")
    label = [value if version == marked else "blue" for version in (OLD, NEW)]
    for version in (OLD, NEW):
        s.add(
            "acme_label",
            lambda v: {"label": label[v]},
            own_marks=("label",) if version == marked else (),
            fate=("delete", "create")[version],
        )
    s.add(
        "acme_banner",
        lambda v: {"html": f"<b>{label[v]}</b>", "raw": base64_text(f"- {label[v]} -")},
    )


def private_data(s: Scene) -> None:
    """What a provider keeps for itself beside the attributes."""
    value = s.secret("private", "plain", "format")
    s.fate = "update"
    s.add(
        "acme_session",
        lambda v: {"size": v},
        extra={"private": base64_text(go_json({"session_token": value})), "identity": None},
    )


def derived(s: Scene) -> None:
    """One secret in every form that Terraform's functions can give it."""
    value = s.pair("copy", s.rng.choice(("odd", "password", "words")), "copy")

    def forms(version: int) -> dict[str, Any]:
        secret = value[version]
        document = go_json({"a": {"b": secret}})
        return {
            "json": document,
            "json_in_json": go_json({"document": document}),
            "encoded": base64_text(document),
            "header": "Basic " + base64_text(f"user{version}:{secret}"),
            "yaml": f"a:\n  - 'x'\n  - b: {go_json(secret)} # was {version}\n",
            "hcl": f"a = {{\n  b = {go_json(secret)}\n}}\n",
            "sentence": f"version {version} uses {secret}, tell nobody",
            "nested": [{"deep": {"er": [secret]}}],
        }

    s.add(
        "acme_vault_item",
        lambda v: {"title": f"t{v}", "secret_value": value[v]},
        own_marks=("secret_value",),
    )
    s.add("acme_report", lambda v: forms(v) | {"v": v})
    s.add("acme_report", lambda v: {"v": v, "rows": forms(v)}, mode="data")


def secret_names(s: Scene) -> None:
    """Names of secrets in all spellings and depths, in types that nobody knows."""
    names = (
        "dbPassword",
        "DB-PASSWORD",
        "apiKey",
        "client-secret",
        "AuthToken",
        "privateKeyBase64",
        "passphrase",
        "encryptionKey",
    )
    start = s.number % 2 * 4
    secrets = [s.pair("name", s.rng.choice(("words", "plain"))) for _ in range(4)]
    s.add(
        "acme_thing",
        lambda v: {
            "size": v,
            "options": [
                {
                    "nested": {
                        name: secret[v]
                        for name, secret in zip(names[start : start + 4], secrets, strict=True)
                    }
                }
            ],
        },
    )


SCENES = (
    numbers,
    containers,
    index_keys,
    check_messages,
    outputs,
    deposed_and_tainted,
    marked_once,
    private_data,
    derived,
    secret_names,
)
