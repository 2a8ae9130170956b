"""Scenes of software as a service, and of providers that no table knows."""

from urllib.parse import quote

from tests.redaction.encodings import go_json
from tests.redaction.forge import TOKENS
from tests.redaction.planting import Scene


def auth0(s: Scene) -> None:
    """A client's secret under its own name, and again in a list that a data source read."""
    secret, twilio = s.pair("schema", "plain", "table"), s.pair("schema", "hexadecimal", "table")
    hook = s.pair("schema", "plain", "table")
    s.add(
        "auth0_client",
        lambda v: {
            "name": "portal",
            "client_id": s.id(digits=32),
            "client_secret": secret[v],
            "callbacks": [f"https://portal{v}.example.com/callback"],
        },
        marks=("client_secret",),
    )
    s.add(
        "auth0_clients",
        lambda v: {"clients": [{"name": "portal", "client_secret": secret[v]}, {"name": f"b{v}"}]},
        mode="data",
    )
    s.add(
        "auth0_connection",
        lambda v: {
            "name": "sms",
            "options": [{"twilio_sid": "AC1", "twilio_token": twilio[v], "from": f"+1{v}"}],
        },
        marks=("options[0].twilio_token",),
    )
    s.add(
        "auth0_action",
        lambda v: {
            "name": "login",
            "code": f"exports.onExecutePostLogin = async () => {{ /* {v} */ }};",
            "secrets": [{"name": "CRM", "value": hook[v]}],
        },
        marks=("secrets[0].value",),
    )


def datadog(s: Scene) -> None:
    """Keys under the bare name `key`, and what monitors are told to send."""
    api, app = s.pair("schema", "hexadecimal", "table"), s.pair("schema", "hexadecimal", "table")
    variable, header = s.pair("schema", "words", "table"), s.pair("carrier", "plain", "format")
    s.add("datadog_api_key", lambda v: {"name": f"agent{v}", "key": api[v]}, marks=("key",))
    s.add("datadog_application_key", lambda v: {"name": f"ci{v}", "key": app[v]}, marks=("key",))
    s.add(
        "datadog_synthetics_global_variable",
        lambda v: {"name": "LOGIN", "secure": True, "tags": [f"v:{v}"], "value": variable[v]},
        marks=("value",),
    )
    s.add(
        "datadog_webhook",
        lambda v: {
            "name": "tickets",
            "url": f"https://tickets.example.com/v{v}",
            "custom_headers": go_json({"Authorization": f"Token {header[v]}", "X-Team": "ops"}),
        },
    )
    s.add(
        "helm_release",
        lambda v: {"name": "datadog", "set": [{"name": "datadog.site", "value": api[v]}]},
        name="datadog",
    )


def github(s: Scene) -> None:
    """Secrets of repositories and webhooks."""
    plain, hook = s.pair("schema", "words", "table"), s.pair("schema", "plain", "table")
    s.add(
        "github_actions_secret",
        lambda v: {
            "repository": "shop",
            "secret_name": "REGISTRY",
            "plaintext_value": plain[v],
            "updated_at": f"2026-01-0{v + 1}",
        },
        marks=("plaintext_value", "encrypted_value"),
    )
    s.add(
        "github_repository_webhook",
        lambda v: {
            "events": ["push", "release"][: v + 1],
            "configuration": [
                {
                    "content_type": "json",
                    "insecure_ssl": False,
                    "secret": hook[v],
                    "url": f"https://ci.example.com/hook?token={hook[v]}",
                }
            ],
        },
        marks=("configuration[0].secret",),
    )
    token = s.pair("carrier", "plain")
    s.add(
        "gitlab_project_variable",
        lambda v: {"key": "DEPLOY_TOKEN", "masked": True, "protected": v == 1, "value": token[v]},
    )


def cloudflare(s: Scene) -> None:
    """A token, a tunnel, and the bindings of a worker."""
    token, tunnel = s.pair("schema", "plain", "table"), s.pair("schema", "short_key", "table")
    text = s.pair("schema", "words", "table")
    s.add(
        "cloudflare_api_token",
        lambda v: {"name": "dns", "status": "active", "expires_on": f"202{v}", "value": token[v]},
        marks=("value",),
    )
    s.add(
        "cloudflare_zero_trust_tunnel_cloudflared",
        lambda v: {"name": f"office{v}", "account_id": s.id(digits=32), "tunnel_secret": tunnel[v]},
        marks=("tunnel_secret",),
    )
    s.add(
        "cloudflare_workers_script",
        lambda v: {
            "script_name": "edge",
            "content": f"export default {{ v: {v} }}",
            "bindings": [{"name": "UPSTREAM", "type": "secret_text", "text": text[v]}],
        },
        marks=("bindings[0].text",),
    )


def mongodb(s: Scene) -> None:
    """A user of a database, and the address with several hosts that an output tells."""
    password = s.pair("database password", s.rng.choice(("words", "password")))
    key = s.pair("schema", "uuid", "table")
    s.add(
        "mongodbatlas_database_user",
        lambda v: {
            "username": "app",
            "auth_database_name": "admin",
            "password": password[v],
            "roles": [{"role_name": ("read", "readWrite")[v], "database_name": "shop"}],
        },
        marks=("password",),
    )
    s.add(
        "mongodbatlas_api_key",
        lambda v: {"description": f"ci{v}", "public_key": "abcdefgh", "private_key": key[v]},
        marks=("private_key",),
    )
    s.output(
        "mongo",
        lambda v: f"mongodb://app:{quote(password[v], safe='')}@a:27017,b:27017/shop?w={v}",
        sensitive=s.rng.random() < 0.5,
    )


def platforms(s: Scene) -> None:
    """Apps of platforms: environment by pairs, addresses of databases, secure JSON."""
    env, database = s.pair("schema", "words", "table"), s.pair("connection URL", "plain", "table")
    grafana, heroku = s.pair("schema", "plain", "table"), s.pair("carrier", "plain", "table")
    s.add(
        "digitalocean_database_cluster",
        lambda v: {
            "name": "shop",
            "node_count": 1 + v,
            "user": "doadmin",
            "password": database[v],
            "uri": f"postgresql://doadmin:{database[v]}@shop.db.example.com:25060/defaultdb",
            "private_uri": f"postgresql://doadmin:{database[v]}@private.example.com:25060/db",
        },
        marks=("password", "uri", "private_uri"),
    )
    s.add(
        "digitalocean_app",
        lambda v: {
            "spec": [
                {
                    "name": "shop",
                    "service": [
                        {
                            "instance_count": 1 + v,
                            "env": [{"key": "LOGIN", "scope": "RUN_TIME", "value": env[v]}],
                        }
                    ],
                }
            ]
        },
    )
    s.add(
        "grafana_data_source",
        lambda v: {
            "name": "metrics",
            "url": f"https://metrics{v}.example.com",
            "json_data_encoded": go_json({"httpMethod": "POST"}),
            "secure_json_data_encoded": go_json({"basicAuthPassword": grafana[v]}),
        },
        marks=("secure_json_data_encoded",),
    )
    s.add(
        "heroku_app",
        lambda v: {
            "name": "shop",
            "config_vars": {"STAGE": f"s{v}"},
            "sensitive_config_vars": {"RELAY": heroku[v]},
            "all_config_vars": {"STAGE": f"s{v}", "RELAY": heroku[v]},
        },
        marks=("sensitive_config_vars", "all_config_vars"),
    )


def operations(s: Scene) -> None:
    """Alerting, identity and warehouses."""
    service, client = s.pair("schema", "hexadecimal", "table"), s.pair("schema", "plain", "table")
    user, custom = s.pair("schema", "words", "table"), s.pair("schema", "plain", "table")
    s.add(
        "pagerduty_service_integration",
        lambda v: {"name": f"alerts{v}", "integration_key": service[v]},
        marks=("integration_key",),
    )
    s.add(
        "okta_app_oauth",
        lambda v: {"label": f"portal{v}", "client_id": s.id("0oa"), "client_secret": client[v]},
        marks=("client_secret", "client_basic_secret"),
    )
    s.add(
        "snowflake_user",
        lambda v: {"name": "ETL", "default_role": f"R{v}", "password": user[v]},
        marks=("password",),
    )
    s.add(
        "newrelic_notification_destination",
        lambda v: {
            "name": f"hook{v}",
            "auth_custom_header": [{"key": "X-Relay", "value": custom[v]}],
        },
        marks=("auth_custom_header[0].value",),
    )


def unlisted(s: Scene) -> None:
    """Providers that no table knows: names alone tell."""
    shapes = ("words", "password", "plain", "words", "words")
    role, user, key, server, broker = (s.pair("unlisted provider", shape) for shape in shapes)
    s.add(
        "postgresql_role",
        lambda v: {"name": "app", "login": True, "superuser": v == 1, "password": role[v]},
    )
    s.add(
        "mysql_user",
        lambda v: {"user": "app", "host": f"10.0.{v}.%", "plaintext_password": user[v]},
    )
    s.add("tailscale_tailnet_key", lambda v: {"reusable": v == 1, "api_key": key[v]})
    s.add(
        "ec_deployment",
        lambda v: {
            "name": "search",
            "version": f"8.{v}.0",
            "elasticsearch_username": "elastic",
            "elasticsearch_password": server[v],
        },
    )
    s.add("rabbitmq_user", lambda v: {"name": "app", "tags": [f"t{v}"], "password": broker[v]})
    s.add(
        "nomad_job",
        lambda v: {
            "jobspec": (
                'job "web" {\n  task "app" {\n    env {\n'
                f'      DB_PASSWORD = "{role[v]}"\n      WORKERS = "{v}"\n    }}\n  }}\n}}\n'
            )
        },
    )


def tokens_by_shape(s: Scene) -> None:
    """Credentials of well-known shapes where no name speaks of them."""
    one, two, three, four = (
        s.pair("token", TOKENS[(s.number * 4 + number) % len(TOKENS)], "shape")
        for number in range(4)
    )
    s.add("null_resource", lambda v: {"triggers": {"first": one[v], "run": str(v)}})
    s.add(
        "aws_ssm_document",
        lambda v: {"name": "setup", "content": f"step {v}: use {two[v]} and go on"},
    )
    s.add("aws_s3_bucket", lambda v: {"bucket": "b", "tags": {"Note": three[v], "V": str(v)}})
    s.output("notice", lambda v: [f"v{v}", {"text": f"see {four[v]}"}], sensitive=False)


SCENES = (
    auth0,
    datadog,
    github,
    cloudflare,
    mongodb,
    platforms,
    operations,
    unlisted,
    tokens_by_shape,
)
