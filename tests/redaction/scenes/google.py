"""Scenes of the Google provider."""

from tests.redaction.encodings import go_json
from tests.redaction.planting import Scene, base64_text


def service_account_key(s: Scene) -> None:
    """A key as base64 of JSON of PEM, and the same JSON in a secret of a cluster."""
    key = s.pair("copy", "pem", "table")

    def account(version: int) -> str:
        return go_json(
            {
                "type": "service_account",
                "project_id": "shop-prod",
                "private_key_id": "0123456789abcdef0123456789abcdef01234567",
                "private_key": key[version],
                "client_email": "deploy@shop-prod.iam.gserviceaccount.com",
            },
            indent=2,
        )

    s.add(
        "google_service_account_key",
        lambda v: {
            "id": f"projects/shop-prod/serviceAccounts/deploy/keys/{v}",
            "key_algorithm": "KEY_ALG_RSA_2048",
            "public_key": base64_text("-----BEGIN CERTIFICATE-----\nMIIC\n"),
            "private_key": base64_text(account(v)),
        },
        marks=("private_key",),
    )
    s.add(
        "kubernetes_secret_v1",
        lambda v: {
            "metadata": [{"name": "deploy", "namespace": "ci"}],
            "type": "Opaque",
            "data": {"credentials.json": account(v)},
        },
        marks=("data",),
    )
    s.output("deploy_key", lambda v: base64_text(account(v)), sensitive=True)


def sql_users(s: Scene) -> None:
    """Database users, and the address that an app of Cloud Run connects to."""
    password = s.pair("database password", s.rng.choice(("words", "plain")))
    s.add(
        "google_sql_user",
        lambda v: {
            "name": "app",
            "instance": "shop",
            "deletion_policy": ("ABANDON", "")[v],
            "password": password[v],
        },
        marks=("password",),
    )
    s.add(
        "google_cloud_run_service",
        lambda v: {
            "name": "shop",
            "template": [
                {
                    "spec": [
                        {
                            "containers": [
                                {
                                    "image": f"gcr.io/shop-prod/app:v{v}",
                                    "env": [
                                        {
                                            "name": "DATABASE_URL",
                                            "value": f"mysql://app:{password[v]}@/shop",
                                        },
                                        {"name": "PORT", "value": "8080"},
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ],
        },
    )


def startup_script(s: Scene) -> None:
    """A script in an instance's metadata, once under its own attribute and once in the map."""
    password, token = s.pair("cloud-init", "plain", "format"), s.pair("cloud-init", "plain")

    def script(version: int) -> str:
        return (
            "#!/bin/sh\n"
            f"PGPASSWORD='{password[version]}' psql -h db -U app -c 'select 1'\n"
            f'export API_TOKEN="{token[version]}"\n'
        )

    s.add(
        "google_compute_instance",
        lambda v: {
            "name": "worker",
            "machine_type": ("e2-small", "e2-medium")[v],
            "metadata": {"startup-script": script(v), "enable-oslogin": "TRUE"},
            "metadata_startup_script": script(v),
        },
    )


def secret_manager(s: Scene) -> None:
    """Versions of secrets: written, read, and given to a function in its environment."""
    value = s.pair("secret store", s.rng.choice(("words", "odd", "hexadecimal")), "table")
    s.add(
        "google_secret_manager_secret_version",
        lambda v: {"secret": "projects/1/secrets/smtp", "enabled": True, "secret_data": value[v]},
        marks=("secret_data",),
    )
    s.add(
        "google_secret_manager_secret_version_access",
        lambda v: {"secret": "smtp", "version": str(v + 1), "secret_data": value[v]},
        mode="data",
        marks=("secret_data",),
    )
    s.add(
        "google_cloudfunctions_function",
        lambda v: {"name": "mail", "environment_variables": {"SMTP_LOGIN": f"relay:{value[v]}"}},
    )


def keys_and_tunnels(s: Scene) -> None:
    """Secrets with plain names, and those of the one who runs Terraform."""
    tunnel, hmac = s.pair("schema", "plain", "table"), s.pair("schema", "aws_secret", "table")
    auth, access = s.pair("schema", "uuid", "table"), s.pair("schema", "google_access", "table")
    s.add(
        "google_compute_vpn_tunnel",
        lambda v: {"name": "office", "ike_version": 1 + v, "shared_secret": tunnel[v]},
        marks=("shared_secret",),
    )
    s.add(
        "google_storage_hmac_key",
        lambda v: {"access_id": "GOOG1EXAMPLE", "state": "ACTIVE", "secret": hmac[v]},
        marks=("secret",),
    )
    s.add(
        "google_redis_instance",
        lambda v: {"name": "cache", "memory_size_gb": 1 + v, "auth_string": auth[v]},
        marks=("auth_string",),
    )
    s.add(
        "google_client_config",
        lambda v: {"project": "shop-prod", "region": "europe-west3", "access_token": access[v]},
        mode="data",
        marks=("access_token",),
    )


def cluster_and_alerts(s: Scene) -> None:
    """A cluster's client key, labels of a channel, and a connection with a nested password."""
    key, label = s.pair("schema", "pem", "table"), s.pair("schema", "plain", "table")
    nested = s.pair("schema", "words", "table")
    s.add(
        "google_container_cluster",
        lambda v: {
            "name": "main",
            "min_master_version": ("1.28", "1.29")[v],
            "master_auth": [
                {
                    "client_certificate": "",
                    "client_key": base64_text(key[v]),
                    "cluster_ca_certificate": base64_text("-----BEGIN CERTIFICATE-----\n"),
                }
            ],
        },
    )
    s.add(
        "google_monitoring_notification_channel",
        lambda v: {
            "type": "pagerduty",
            "labels": {},
            "sensitive_labels": [{"auth_token": "", "password": "", "service_key": label[v]}],
        },
        marks=("sensitive_labels[0].service_key",),
    )
    s.add(
        "google_bigquery_connection",
        lambda v: {
            "connection_id": "shop",
            "cloud_sql": [{"database": "shop", "credential": [{"password": nested[v]}]}],
        },
    )


SCENES = (
    service_account_key,
    sql_users,
    startup_script,
    secret_manager,
    keys_and_tunnels,
    cluster_and_alerts,
)
