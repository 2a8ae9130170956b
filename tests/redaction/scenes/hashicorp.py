"""Scenes of Vault and of the small providers: tls, random, null, local, archive, http, external."""

from urllib.parse import quote

from tests.redaction.encodings import go_json
from tests.redaction.planting import Scene, base64_text


def vault_stores(s: Scene) -> None:
    """What Vault keeps, as JSON and as a map beside it, written and read."""
    shapes = ("words", "plain", "hexadecimal")
    one, two, three = (s.pair("secret store", shape, "store") for shape in shapes)
    s.add(
        "vault_generic_secret",
        lambda v: {
            "path": "secret/billing",
            "disable_read": False,
            "data_json": go_json({"login": one[v], "url": f"https://b{v}.example.com"}),
            "data": {"login": one[v], "url": f"https://b{v}.example.com"},
        },
        mode=("managed", "data")[s.number % 2],
        marks=("data", "data_json"),
    )
    s.add(
        "vault_kv_secret_v2",
        lambda v: {
            "mount": "kv",
            "name": "mail",
            "path": "kv/data/mail",
            "data_json": go_json({"relay": {"login": two[v]}, "pin": three[v]}),
            "data": {"relay": go_json({"login": two[v]}), "pin": three[v]},
            "metadata": {"version": str(v + 1)},
        },
        mode="data",
        marks=("data", "data_json"),
    )


def vault_access(s: Scene) -> None:
    """Tokens, secret IDs, and connections of secret engines."""
    token, secret_id = s.pair("schema", "vault", "table"), s.pair("schema", "uuid", "table")
    engine, database = s.pair("schema", "aws_secret", "table"), s.pair("connection URL", "words")
    s.add(
        "vault_token",
        lambda v: {"policies": ["ci"], "ttl": f"{24 + v}h", "client_token": token[v]},
        marks=("client_token", "wrapped_token", "wrapping_accessor"),
    )
    s.add(
        "vault_approle_auth_backend_role_secret_id",
        lambda v: {"role_name": "ci", "accessor": s.id(digits=32), "secret_id": secret_id[v]},
        marks=("secret_id",),
    )
    s.add(
        "vault_aws_secret_backend",
        lambda v: {
            "path": "aws",
            "region": ("eu-west-1", "eu-central-1")[v],
            "access_key": "AKIAIOSFODNN7EXAMPLE",
            "secret_key": engine[v],
        },
        marks=("access_key", "secret_key"),
    )
    s.add(
        "vault_database_secret_backend_connection",
        lambda v: {
            "name": "shop",
            "verify_connection": v == 1,
            "postgresql": [
                {
                    "connection_url": f"postgres://vault:{database[v]}@db:5432/shop",
                    "username": "vault",
                    "password": database[v],
                }
            ],
        },
    )


def private_keys(s: Scene) -> None:
    """One key in three formats and where it goes: a request, a file, a script's heredoc."""
    pem, pkcs8 = s.pair("PEM", "pem", "table"), s.pair("PEM", "pem", "table")
    openssh = s.pair("PEM", "openssh", "table")
    public = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBg\n-----END PUBLIC KEY-----\n"
    s.add(
        "tls_private_key",
        lambda v: {
            "algorithm": "RSA",
            "rsa_bits": (2048, 4096)[v],
            "private_key_pem": pem[v],
            "private_key_pem_pkcs8": pkcs8[v],
            "private_key_openssh": openssh[v],
            "public_key_pem": public,
            "public_key_openssh": "ssh-rsa AAAAB3NzaC1yc2E=",
        },
        marks=("private_key_pem", "private_key_pem_pkcs8", "private_key_openssh"),
    )
    s.add(
        "tls_self_signed_cert",
        lambda v: {"validity_period_hours": 12 + v, "private_key_pem": pem[v], "cert_pem": ""},
        marks=("private_key_pem",),
    )
    indented = [key.replace("\n", "\n    ") for key in pkcs8]
    s.add(
        "local_file",
        lambda v: {
            "filename": "tls.yaml",
            "content": f"tls:\n  enabled: true\n  bundle: |\n    {indented[v]}\n",
        },
    )
    s.add(
        "null_resource",
        lambda v: {
            "id": s.id(digits=19),
            "triggers": {"key": openssh[v].replace("\n", "\r\n"), "run": str(v)},
        },
    )


def random_values(s: Scene) -> None:
    """Drawn passwords: the marked original, its hash, and the places it was drawn for."""
    result, hashed = s.pair("copy", "password", "table"), s.pair("schema", "bcrypt", "table")
    data = s.pair("schema", "hexadecimal", "table")
    s.add(
        "random_password",
        lambda v: {"id": "none", "length": 24 + v, "result": result[v], "bcrypt_hash": hashed[v]},
        marks=("bcrypt_hash", "result"),
    )
    s.add(
        "random_bytes",
        lambda v: {
            "length": 32,
            "hex": data[v],
            "base64": base64_text(data[v]),
            "keepers": {"on": str(v)},
        },
        marks=("base64", "hex"),
    )
    s.add(
        "terraform_data",
        lambda v: {
            "input": {
                "type": ["object", {"dsn": "string"}],
                "value": {"dsn": f"app:{result[v]}@tcp(db:3306)/app"},
            },
            "triggers_replace": {"value": f"{result[v]}/{v}", "type": "string"},
        },
    )
    s.output("endpoint", lambda v: f"redis://:{quote(result[v])}@cache:6379/0", sensitive=False)


def files(s: Scene) -> None:
    """Files and archives that are made of templates."""
    shapes = ("words", "plain", "plain")
    one, two, three = (s.pair("carrier", shape, "format") for shape in shapes)
    s.add(
        "local_file",
        lambda v: {
            "filename": ".env",
            "content": f"STAGE=s{v}\nMYSQL_ROOT_PASSWORD={one[v]}\n"
            f"export SENTRY_AUTH_TOKEN={two[v]}\n",
            "content_md5": s.id(digits=32),
        },
    )
    s.add(
        "archive_file",
        lambda v: {
            "type": "zip",
            "output_sha": s.id(digits=40),
            "source": [
                {
                    "filename": "config.json",
                    "content": go_json({"level": v, "credentials": {"password": three[v]}}),
                }
            ],
        },
        mode="data",
    )
    sensitive = s.pair("schema", "odd", "table")
    s.add(
        "local_sensitive_file",
        lambda v: {"filename": "note", "content": f"line {v}\n{sensitive[v]}"},
        marks=("content", "content_base64"),
    )


def answers(s: Scene) -> None:
    """What was asked over HTTP and of a program, and what came back."""
    bearer, token = s.pair("carrier", "plain", "format"), s.pair("carrier", "jwt", "format")
    password, client = s.pair("carrier", "words"), s.pair("carrier", "plain", "format")
    s.add(
        "http",
        lambda v: {
            "url": f"https://id.example.com/token?client_secret={client[v]}&v={v}",
            "request_headers": {
                "Accept": "application/json",
                "Authorization": f"Bearer {bearer[v]}",
            },
            "status_code": 200,
            "response_body": go_json({"access_token": token[v], "expires_in": 3600 + v}),
            "body": go_json({"access_token": token[v], "expires_in": 3600 + v}),
        },
        mode="data",
    )
    s.add(
        "external",
        lambda v: {
            "program": ["bash", "login.sh"],
            "query": {"env": f"e{v}"},
            "result": {"user": "ci", "password": password[v]},
        },
        mode="data",
    )


def triggers(s: Scene) -> None:
    """Triggers and inputs that carry a whole connection along."""
    one, two = s.pair("carrier", "words"), s.pair("carrier", "password")
    s.add(
        "null_resource",
        lambda v: {
            "triggers": {
                "host": f"db{v}",
                "password": one[v],
                "command": f"mysql -h db{v} -u root --password={one[v]} < schema.sql",
            }
        },
    )
    s.add(
        "terraform_data",
        lambda v: {
            "input": {
                "value": {"user": "root", "secret_key": two[v], "v": v},
                "type": ["object", {"user": "string", "secret_key": "string", "v": "number"}],
            },
            "output": {
                "value": {"user": "root", "secret_key": two[v], "v": v},
                "type": ["object", {"user": "string", "secret_key": "string", "v": "number"}],
            },
        },
    )


def remote_state(s: Scene) -> None:
    """Another state's address: the backend's whole configuration, and the outputs it gave."""
    backend, output = s.pair("remote state", "plain", "table"), s.pair("remote state", "words")
    kind, config = s.rng.choice(
        (
            ("http", {"address": "https://tf.example.com/state/base", "username": "ci"}),
            ("s3", {"bucket": "tfstate", "key": "base", "region": "eu-central-1"}),
            ("azurerm", {"storage_account_name": "tfstate", "container_name": "base"}),
        )
    )
    name = {"http": "password", "s3": "secret_key", "azurerm": "access_key"}[kind]
    s.add(
        "terraform_remote_state",
        lambda v: {
            "backend": kind,
            "config": {"value": {**config, name: backend[v]}, "type": ["object", {}]},
            "outputs": {
                "value": {"vpc_id": f"vpc-{v}", "db_password": output[v]},
                "type": ["object", {"vpc_id": "string", "db_password": "string"}],
            },
            "workspace": None,
            "defaults": None,
        },
        mode="data",
    )
    conn = s.pair("remote state", "plain", "table")
    s.add(
        "terraform_remote_state",
        lambda v: {
            "backend": "pg",
            "config": {
                "value": {"conn_str": f"postgres://tf:{conn[v]}@db{v}/state"},
                "type": ["object", {"conn_str": "string"}],
            },
            "outputs": {"value": {}, "type": ["object", {}]},
        },
        mode="data",
        name="pg",
    )


SCENES = (
    vault_stores,
    vault_access,
    private_keys,
    random_values,
    files,
    answers,
    triggers,
    remote_state,
)
