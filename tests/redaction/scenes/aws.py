"""Scenes of the AWS provider."""

import base64
from urllib.parse import quote

from tests.redaction.encodings import go_json, gzip64
from tests.redaction.planting import Attributes, Scene, base64_text

_REGION = "eu-central-1"
_ACCOUNT = "123456789012"


def rds_instance(s: Scene) -> None:
    """A database whose password ends in a URL in a parameter and in an output."""
    password = s.pair("database password", s.rng.choice(("password", "words")))
    host = f"orders.{s.id(digits=12)}.{_REGION}.rds.amazonaws.com"

    def url(version: int) -> str:
        return f"postgresql://orders:{quote(password[version], safe='')}@{host}:5432/orders"

    s.add(
        "aws_db_instance",
        lambda v: {
            "id": f"orders-{s.number}",
            "engine": "postgres",
            "instance_class": ("db.t3.medium", "db.r6g.large")[v],
            "address": host,
            "username": "orders",
            "password": password[v],
            "manage_master_user_password": None,
        },
        marks=("password",),
    )
    s.add(
        "aws_ssm_parameter",
        lambda v: {
            "name": "/orders/database/url",
            "type": "SecureString",
            "value": url(v),
            "insecure_value": None,
        },
        marks=("value",),
    )
    s.output("orders_database_url", url, sensitive=True)


def aurora_and_secret(s: Scene) -> None:
    """A cluster's password in Secrets Manager as JSON, read again by a data source."""
    password = s.pair("copy", "password", "table")
    arn = f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:billing-{s.id(digits=6)}"

    def secret_string(version: int) -> str:
        return go_json(
            {"username": "billing", "password": password[version], "engine": "mysql", "port": 3306}
        )

    s.add(
        "aws_rds_cluster",
        lambda v: {
            "cluster_identifier": "billing",
            "engine": "aurora-mysql",
            "engine_version": ("8.0.mysql_aurora.3.04.0", "8.0.mysql_aurora.3.05.2")[v],
            "master_username": "billing",
            "master_password": password[v],
        },
        marks=("master_password",),
    )
    s.add(
        "aws_secretsmanager_secret_version",
        lambda v: {"id": f"{arn}|AWSCURRENT", "secret_id": arn, "secret_string": secret_string(v)},
        marks=("secret_string", "secret_binary"),
    )
    s.add(
        "aws_secretsmanager_secret_version",
        lambda v: {
            "id": f"{arn}|AWSCURRENT",
            "secret_id": arn,
            "secret_string": secret_string(v),
            "version_stages": ["AWSCURRENT"],
        },
        name="read",
        mode="data",
        marks=("secret_string",),
    )


def parameter_read(s: Scene) -> None:
    """Parameters that data sources read, one of them under `insecure_value` as well."""
    one = s.pair("secret store", "plain", "store")
    two = s.pair("secret store", "words", "store")
    s.add(
        "aws_ssm_parameter",
        lambda v: {
            "name": "/config/payments/endpoint",
            "type": "SecureString",
            "value": one[v],
            "insecure_value": one[v],
            "version": v + 1,
        },
        mode="data",
        marks=("value",),
    )
    s.add(
        "aws_ssm_parameters_by_path",
        lambda v: {
            "path": "/config/mail",
            "names": ["/config/mail/host", "/config/mail/login"],
            "types": ["String", "SecureString"],
            "values": ["smtp.example.com", two[v]],
        },
        mode="data",
        marks=("values",),
    )


def access_key(s: Scene) -> None:
    """An access key and the environment of a function that uses it."""
    secret = s.pair("schema", "aws_secret", "table")
    smtp = s.pair("schema", "short_key", "table")
    key_id = "AKIA" + s.id(digits=16).upper()
    s.add(
        "aws_iam_access_key",
        lambda v: {
            "id": key_id,
            "user": "uploader",
            "status": "Active",
            "secret": secret[v],
            "ses_smtp_password_v4": smtp[v],
        },
        marks=("secret", "ses_smtp_password_v4"),
    )
    s.add(
        "aws_lambda_function",
        lambda v: {
            "function_name": "uploader",
            "runtime": ("python3.11", "python3.12")[v],
            "environment": [
                {"variables": {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret[v]}}
            ],
        },
    )


def lambda_environment(s: Scene) -> None:
    """What functions are told through their environment: by name, by shape, inside a URL."""
    password = s.pair("carrier", "words")
    token = s.pair("token", s.rng.choice(("github", "stripe", "slack", "sendgrid")), "shape")
    queue = s.pair("connection URL", "plain", "format")
    s.add(
        "aws_lambda_function",
        lambda v: {
            "function_name": "notifier",
            "memory_size": (128, 256)[v],
            "source_code_hash": base64.b64encode(bytes(range(v, v + 32))).decode(),
            "environment": [
                {
                    "variables": {
                        "LOG_LEVEL": "info",
                        "SMTP_PASSWORD": password[v],
                        "UPSTREAM": token[v],
                        "BROKER": f"amqps://worker:{queue[v]}@mq.example.com:5671/%2F",
                    }
                }
            ],
        },
    )


def task_definition(s: Scene) -> None:
    """Containers as JSON in a string with Go's escapes; a known secret in a command."""
    password = s.pair("carrier", "password", "format")
    hook = s.pair("token", "slack_webhook", "shape")
    arn = f"arn:aws:ssm:{_REGION}:{_ACCOUNT}:parameter/config/admin/PW"

    def definitions(version: int) -> str:
        return go_json(
            [
                {
                    "name": "web",
                    "image": f"nginx:1.{25 + version}",
                    "command": ["serve", f"--admin-password={password[version]}"],
                    "environment": [
                        {"name": "ADMIN_PASSWORD", "value": password[version]},
                        {
                            "name": "ALERTS",
                            "value": "https://hooks.slack.com/services/T0123ABCDEF/B0456GHIJKL/"
                            + hook[version],
                        },
                    ],
                    "secrets": [{"name": "OTHER_PASSWORD", "valueFrom": arn}],
                }
            ]
        )

    s.add(
        "aws_ecs_task_definition",
        lambda v: {"family": "web", "cpu": "256", "container_definitions": definitions(v)},
    )


def user_data(s: Scene) -> None:
    """A shell script in an instance, in a launch template as base64, and in gzip."""
    password = s.pair("cloud-init", "plain", "format")
    token = s.pair("cloud-init", "plain", "format")

    def script(version: int) -> str:
        return (
            "#!/bin/bash\nset -euo pipefail\n"
            f"export DB_PASSWORD={password[version]}\n"
            f"# rotate with: mysqladmin -u root --password={password[version]} reload\n"
            f'curl -H "Authorization: Bearer {token[version]}" https://agent.example.com/install\n'
            "systemctl restart app\n"
        )

    s.add(
        "aws_instance",
        lambda v: {
            "ami": "ami-0123456789abcdef0",
            "instance_type": ("t3.small", "t3.large")[v],
            "get_password_data": False,
            "user_data": script(v),
        },
    )
    s.add(
        "aws_launch_template",
        lambda v: {"name": "web", "user_data": base64_text(script(v)), "latest_version": v + 1},
    )
    s.add("aws_spot_instance_request", lambda v: {"user_data_base64": gzip64(script(v))})


def cloud_config(s: Scene) -> None:
    """The same text three times: template, rendered, and in the instance."""
    root, key = s.pair("cloud-init", "words", "format"), s.pair("cloud-init", "openssh", "format")

    def config(version: int) -> str:
        indented = key[version].replace("\n", "\n      ").rstrip()
        return (
            "#cloud-config\n"
            "users:\n  - name: deploy\n    lock_passwd: false\n"
            f"    plain_text_passwd: {root[version]}\n"
            "write_files:\n"
            "  - path: /home/deploy/.ssh/id_ed25519\n    permissions: '0600'\n"
            f"    content: |\n      {indented}\n"
            f"  - path: /etc/app.env\n    encoding: b64\n"
            f"    content: {base64_text(f'ROOT_PASSWORD={root[version]}')}\n"
            f"# former password: {root[version]}\n"
            f"runcmd:\n  - [systemctl, restart, 'app-{version}']\n"
        )

    s.add(
        "template_file",
        lambda v: {
            "template": "#cloud-config\n${users}",
            "vars": {"root_password": root[v], "hostname": "web"},
            "rendered": config(v),
        },
        mode="data",
    )
    s.add(
        "template_cloudinit_config",
        lambda v: {
            "gzip": True,
            "base64_encode": True,
            "part": [
                {"content": config(v), "content_type": "text/cloud-config", "filename": "init.cfg"}
            ],
            "rendered": gzip64(f"MIME-Version: 1.0\n\n{config(v)}"),
        },
        mode="data",
    )
    s.add("aws_instance", lambda v: {"ami": "ami-0a1", "user_data": config(v)}, name="web")


def beanstalk(s: Scene) -> None:
    """Settings as pairs of name and value, and a stack's parameters."""
    one, two, three = (s.pair("carrier", shape) for shape in ("words", "password", "plain"))
    s.add(
        "aws_elastic_beanstalk_environment",
        lambda v: {
            "name": "shop",
            "setting": [
                {
                    "namespace": "aws:elasticbeanstalk:application:environment",
                    "name": "RDS_PASSWORD",
                    "resource": "",
                    "value": one[v],
                },
                {
                    "namespace": "aws:autoscaling:asg",
                    "name": "MaxSize",
                    "resource": "",
                    "value": ("2", "4")[v],
                },
            ],
        },
    )
    s.add(
        "aws_cloudformation_stack",
        lambda v: {
            "name": "legacy",
            "capabilities": ["CAPABILITY_IAM"],
            "parameters": {
                "DBPassword": two[v],
                "GitHubOAuthToken": three[v],
                "InstanceType": ("t3.micro", "t3.small")[v],
            },
        },
    )


def caches_and_queues(s: Scene) -> None:
    """Passwords inside blocks and lists, which the plugin SDK forgets to mark."""
    auth = s.pair("schema", "plain", "table")
    users = [s.pair("schema", "words", "table") for _ in range(2)]
    master = s.pair("schema", "password", "table")
    s.add(
        "aws_elasticache_replication_group",
        lambda v: {
            "replication_group_id": "sessions",
            "node_type": ("cache.t3.micro", "cache.t3.small")[v],
            "transit_encryption_enabled": True,
            "auth_token": auth[v],
        },
        marks=("auth_token",),
    )
    s.add(
        "aws_mq_broker",
        lambda v: {
            "broker_name": "events",
            "engine_version": ("3.11.20", "3.12.13")[v],
            "user": [
                {"username": "app", "password": users[0][v], "console_access": False},
                {"username": "ops", "password": users[1][v], "console_access": True},
            ],
        },
    )
    s.add(
        "aws_opensearch_domain",
        lambda v: {
            "domain_name": "logs",
            "advanced_security_options": [
                {
                    "enabled": True,
                    "master_user_options": [
                        {"master_user_name": "admin", "master_user_password": master[v]}
                    ],
                }
            ],
        },
    )


def vpn(s: Scene) -> None:
    """Preshared keys, and the XML that tells a router all of them."""
    keys = [s.pair("copy", "plain", "table") for _ in range(2)]

    def configuration(version: int) -> str:
        tunnels = "".join(
            "<ipsec_tunnel><ike><authentication_protocol>sha1</authentication_protocol>"
            f"<pre_shared_key>{key[version]}</pre_shared_key></ike></ipsec_tunnel>"
            for key in keys
        )
        return f'<?xml version="1.0"?>\n<vpn_connection id="vpn-0ab1">{tunnels}</vpn_connection>'

    s.add(
        "aws_vpn_connection",
        lambda v: {
            "type": "ipsec.1",
            "static_routes_only": v == 0,
            "tunnel1_preshared_key": keys[0][v],
            "tunnel2_preshared_key": keys[1][v],
            "customer_gateway_configuration": configuration(v),
        },
        marks=(
            "customer_gateway_configuration",
            "tunnel1_preshared_key",
            "tunnel2_preshared_key",
        ),
    )


def certificates(s: Scene) -> None:
    """Private keys beside their certificates, one with line ends of Windows."""
    one, two = s.pair("PEM", "pem", "table"), s.pair("PEM", "pem", "shape")
    body = f"-----BEGIN CERTIFICATE-----\n{s.id(digits=64)}\n-----END CERTIFICATE-----\n"
    s.add(
        "aws_iam_server_certificate",
        lambda v: {"name": "edge", "certificate_body": body, "private_key": one[v]},
        marks=("private_key",),
    )
    s.add(
        "aws_s3_object",
        lambda v: {
            "bucket": "edge-config",
            "key": "haproxy.pem",
            "content": (body + two[v]).replace("\n", "\r\n"),
            "content_base64": base64_text(body + two[v]),
        },
    )


def integrations(s: Scene) -> None:
    """Connections, builds and deliveries with credentials in maps and pairs."""
    names = ("jdbc", "build", "delivery", "gateway")
    jdbc, build, delivery, gateway = (s.pair("carrier", "plain") for _ in names)
    s.add(
        "aws_glue_connection",
        lambda v: {
            "name": "warehouse",
            "connection_properties": {
                "JDBC_CONNECTION_URL": f"jdbc:redshift://dwh.example.com:5439/dwh?ssl={v == 0}",
                "USERNAME": "etl",
                "PASSWORD": jdbc[v],
            },
        },
        marks=("connection_properties",),
    )
    s.add(
        "aws_codebuild_project",
        lambda v: {
            "name": "site",
            "environment": [
                {
                    "compute_type": "BUILD_GENERAL1_SMALL",
                    "environment_variable": [
                        {"name": "NPM_TOKEN", "type": "PLAINTEXT", "value": build[v]},
                        {"name": "STAGE", "type": "PLAINTEXT", "value": ("dev", "prod")[v]},
                    ],
                }
            ],
        },
    )
    s.add(
        "aws_kinesis_firehose_delivery_stream",
        lambda v: {
            "name": "logs",
            "http_endpoint_configuration": [
                {"url": "https://http-intake.example.com/v1", "access_key": delivery[v]}
            ],
        },
    )
    s.add(
        "aws_api_gateway_api_key",
        lambda v: {"name": "partner", "enabled": v == 1, "value": gateway[v]},
        marks=("value",),
    )


def unchanged_original(s: Scene) -> None:
    """The marked original doesn't change; what changes holds copies of it only."""
    s.fate = "update"
    password = s.secret("copy of an unchanged secret", s.rng.choice(("words", "odd")), "copy")
    s.add(
        "aws_redshift_cluster",
        lambda _: {"cluster_identifier": "dwh", "master_password": password},
        marks=("master_password",),
        fate="same",
    )

    def tags(version: int) -> Attributes:
        return {"Owner": "data", "Note": f"login etl / {password} ({version})"}

    s.add("aws_s3_bucket", lambda v: {"bucket": "dwh-unload", "tags": tags(v)})
    s.add(
        "aws_iam_policy",
        lambda v: {
            "name": "etl",
            "description": f"for {password}",
            "policy": go_json(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Action": ("s3:GetObject", "s3:*")[v],
                            "Resource": f"arn:aws:s3:::dwh/{quote(password, safe='')}/*",
                        }
                    ],
                }
            ),
        },
    )


def cluster_auth(s: Scene) -> None:
    """A token to a cluster in a data source, and a registry's password in a pull secret."""
    token = s.pair("schema", "plain", "table")
    registry = s.pair("copy", "plain", "table")
    s.add(
        "aws_eks_cluster_auth",
        lambda v: {"name": "prod", "token": f"k8s-aws-v1.{token[v]}"},
        mode="data",
        marks=("token",),
    )
    s.add(
        "aws_ecr_authorization_token",
        lambda v: {
            "user_name": "AWS",
            "password": registry[v],
            "authorization_token": base64_text(f"AWS:{registry[v]}"),
            "proxy_endpoint": f"https://{_ACCOUNT}.dkr.ecr.{_REGION}.amazonaws.com",
        },
        mode="data",
        marks=("authorization_token", "password"),
    )
    s.add(
        "local_file",
        lambda v: {
            "filename": "config.json",
            "content": go_json(
                {"auths": {"registry.example.com": {"auth": base64_text(f"AWS:{registry[v]}")}}}
            ),
        },
    )


SCENES = (
    rds_instance,
    aurora_and_secret,
    parameter_read,
    access_key,
    lambda_environment,
    task_definition,
    user_data,
    cloud_config,
    beanstalk,
    caches_and_queues,
    vpn,
    certificates,
    integrations,
    unchanged_original,
    cluster_auth,
)
