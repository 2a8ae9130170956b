"""Values that real providers store and that an auditor must be able to read, by class.

Nothing here is a secret. The values are made up in the form that each provider gives them.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.redaction.drawn import Draw

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _LETTERS.upper()
_DIGITS: Final = "0123456789"


class Case(NamedTuple):
    """A harmless value and where it stands in a state.

    Args:
        type: of the resource.
        path: the attribute, as `a.b[0].c`.
        value: as the provider stores it.
    """

    type: str
    path: str
    value: object


def _cases(*rows: tuple[str, str, object]) -> tuple[Case, ...]:
    return tuple(Case(*row) for row in rows)


def _drawn(
    count: int, rows: Mapping[tuple[str, str], Callable[[Draw], object]]
) -> tuple[Case, ...]:
    """So many of each row, drawn anew but always the same."""
    draw = Draw(7)
    return tuple(
        Case(kind, path, make(draw)) for _ in range(count) for (kind, path), make in rows.items()
    )


def _uuid(draw: Draw) -> str:
    return str(uuid.UUID(bytes=draw.bytes(16), version=4))


def _sha256(draw: Draw) -> str:
    return hashlib.sha256(draw.bytes(8)).hexdigest()


def _b64(octets: int) -> Callable[[Draw], str]:
    return lambda draw: draw.base64(octets)


def _lines(text: str) -> str:
    return "\n".join(text[at : at + 64] for at in range(0, len(text), 64))


def _certificate(draw: Draw) -> str:
    body = base64.b64encode(
        bytes.fromhex("3082036b30820253a00302010202")
        + b"\x14"
        + draw.bytes(20)
        + bytes.fromhex("300d06092a864886f70d01010b0500")
        + draw.bytes(700)
    ).decode()
    return f"-----BEGIN CERTIFICATE-----\n{_lines(body)}\n-----END CERTIFICATE-----\n"


def _spki(draw: Draw) -> str:
    head = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"
    return base64.b64encode(
        bytes.fromhex(head) + draw.bytes(256) + bytes.fromhex("0203010001")
    ).decode()


def _public_key(draw: Draw) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{_lines(_spki(draw))}\n-----END PUBLIC KEY-----\n"


def _ssh_rsa(draw: Draw) -> str:
    body = base64.b64encode(
        b"\x00\x00\x00\x07ssh-rsa\x00\x00\x00\x03\x01\x00\x01\x00\x00\x01\x01\x00" + draw.bytes(256)
    ).decode()
    return f"ssh-rsa {body} {draw.one('deploy@ci', 'ada@laptop', 'root@bastion', '')}".strip()


def _ssh_ed25519(draw: Draw) -> str:
    body = base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + draw.bytes(32))
    return f"ssh-ed25519 {body.decode()} {draw.one('deploy@ci', 'ada@laptop')}"


def _encoded(make: Callable[[Draw], str]) -> Callable[[Draw], str]:
    return lambda draw: base64.b64encode(make(draw).encode()).decode()


def _iam(draw: Draw) -> str:
    account = draw.digits(12)
    name = draw.one("orders", "billing", "AuditTrail", "DataLake", "terraform-state")
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": draw.one(
                        "AllowSSLRequestsOnly", "VisualEditor0", f"Stmt{draw.digits(13)}"
                    ),
                    "Effect": draw.one("Allow", "Deny"),
                    "Principal": {"AWS": f"arn:aws:iam::{account}:role/{name}-deployer"},
                    "Action": draw.one(
                        "s3:GetObject", "secretsmanager:GetSecretValue", "kms:Decrypt"
                    ),
                    "Resource": f"arn:aws:s3:::{name.lower()}-{draw.hex(8)}/*",
                    "Condition": {
                        "StringEquals": {
                            "aws:SourceVpce": f"vpce-0{draw.hex(16)}",
                            "aws:userid": f"AROA{draw.of(_UPPER + '234567', 17)}:*",
                            "sts:ExternalId": _uuid(draw),
                        }
                    },
                }
            ],
        }
    )


def _dkim(draw: Draw) -> str:
    return f"v=DKIM1; k=rsa; p={_spki(draw)}"


def _manifest(draw: Draw) -> str:
    name = draw.one("web", "api", "worker", "ingress")
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: prod\n"
        f"  annotations:\n    checksum/config: {_sha256(draw)}\nspec:\n  replicas: 3\n"
        f"  template:\n    spec:\n      serviceAccountName: {name}\n      containers:\n"
        f"        - name: {name}\n          image: ghcr.io/acme/{name}@sha256:{_sha256(draw)}\n"
        "          env:\n            - name: DB_PASSWORD\n              valueFrom:\n"
        f"                secretKeyRef:\n                  name: {name}-db\n                  key: password\n"
    )


def _base64_of_text(draw: Draw) -> str:
    text = draw.one(
        "#!/bin/bash\nset -euo pipefail\nyum update -y\nyum install -y nginx\nsystemctl start nginx\n",
        "server {\n  listen 80;\n  server_name example.com;\n  location / { root /srv/www; }\n}\n",
        '{"level":"info","format":"json","sampling":{"initial":100,"thereafter":100}}',
        "Hello, World! This is the static page of the load balancer's health check.",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  mode: fast\n",
    )
    return base64.b64encode(f"{text}# revision {draw.digits(4)}\n".encode()).decode()


READABLE: Final[Mapping[str, tuple[Case, ...]]] = {
    "AWS ids": _drawn(
        3,
        {
            ("aws_instance", "ami"): lambda d: f"ami-0{d.hex(16)}",
            ("aws_instance", "id"): lambda d: f"i-0{d.hex(16)}",
            ("aws_instance", "subnet_id"): lambda d: f"subnet-{d.hex(8)}",
            ("aws_instance", "vpc_security_group_ids[0]"): lambda d: f"sg-0{d.hex(16)}",
            ("aws_iam_user", "unique_id"): lambda d: f"AIDA{d.of(_UPPER + '234567', 17)}",
            ("aws_iam_role", "unique_id"): lambda d: f"AROA{d.of(_UPPER + '234567', 17)}",
            ("aws_route53_zone", "zone_id"): lambda d: f"Z{d.of(_UPPER + _DIGITS, 20)}",
            ("aws_cloudfront_distribution", "id"): lambda d: f"E{d.of(_UPPER + _DIGITS, 13)}",
            ("aws_cognito_user_pool", "id"): lambda d: f"eu-west-1_{d.code(9)}",
            ("aws_organizations_account", "parent_id"): lambda d: (
                f"ou-{d.of(_LETTERS + _DIGITS, 4)}-{d.of(_LETTERS + _DIGITS, 8)}"
            ),
            ("aws_api_gateway_rest_api", "root_resource_id"): lambda d: d.of(_LETTERS + _DIGITS, 10),
            ("aws_efs_file_system", "id"): lambda d: f"fs-0{d.hex(16)}",
            ("aws_lb_listener_rule", "arn"): lambda d: (
                f"arn:aws:elasticloadbalancing:eu-west-1:{d.digits(12)}:listener-rule/app/web/"
                f"{d.hex(16)}/{d.hex(16)}/{d.hex(16)}"
            ),
            ("aws_caller_identity", "user_id"): lambda d: (
                f"AROA{d.of(_UPPER + '234567', 17)}:ada@example.com"
            ),
        },
    ),
    "Azure ids": _drawn(
        5,
        {
            ("azurerm_linux_virtual_machine", "id"): lambda d: (
                f"/subscriptions/{_uuid(d)}/resourceGroups/rg-Prod-{d.digits(3)}/providers/"
                "Microsoft.Compute/virtualMachines/vmWebFrontend01"
            ),
            ("azurerm_kubernetes_cluster", "identity[0].principal_id"): _uuid,
            ("azurerm_key_vault", "tenant_id"): _uuid,
            ("azurerm_app_service", "custom_domain_verification_id"): lambda d: _sha256(d).upper(),
            ("azurerm_role_assignment", "role_definition_id"): lambda d: (
                f"/subscriptions/{_uuid(d)}/providers/Microsoft.Authorization/roleDefinitions/{_uuid(d)}"
            ),
        },
    ),
    "Google Cloud ids": _drawn(
        5,
        {
            ("google_compute_instance", "self_link"): lambda d: (
                "https://www.googleapis.com/compute/v1/projects/acme-prod-"
                f"{d.digits(6)}/zones/europe-west1-b/instances/web-{d.of(_LETTERS, 4)}"
            ),
            ("google_compute_network", "numeric_id"): lambda d: d.digits(19),
            ("google_service_account", "unique_id"): lambda d: d.digits(21),
            ("google_project_iam_member", "etag"): lambda d: f"BwX{d.code(8)}=",
            ("google_compute_instance", "label_fingerprint"): lambda d: d.base64(8),
            ("google_kms_crypto_key", "id"): lambda d: (
                f"projects/acme-{d.digits(4)}/locations/eu/keyRings/Prod/cryptoKeys/StateKey"
            ),
        },
    ),
    "access key ids": _drawn(
        4,
        {
            ("aws_iam_access_key", "id"): lambda d: f"AKIA{d.of(_UPPER + '234567', 16)}",
            ("terraform_data", "output"): lambda d: f"ASIA{d.of(_UPPER + '234567', 16)}",
            ("aws_db_instance", "tags.CreatedByKey"): lambda d: f"AKIA{d.of(_UPPER + '234567', 16)}",
            ("google_storage_hmac_key", "access_id"): lambda d: (
                f"GOOG1E{d.of(_UPPER + _DIGITS, 55)}"
            ),
            ("alicloud_ram_access_key", "id"): lambda d: f"LTAI5t{d.code(18)}",
        },
    ),
    "canonical user ids": _drawn(
        12,
        {
            ("aws_s3_bucket", "grant[0].id"): _sha256,
            ("aws_canonical_user_id", "id"): _sha256,
        },
    ),
    "hexadecimal digests": _drawn(
        4,
        {
            ("aws_s3_object", "etag"): lambda d: d.hex(32),
            ("aws_s3_object", "etag_quoted"): lambda d: f'"{d.hex(32)}"',
            ("tls_public_key", "public_key_fingerprint_md5"): lambda d: ":".join(
                d.hex(2) for _ in range(16)
            ),
            ("aws_instance", "user_data"): lambda d: d.hex(40),
            ("local_file", "content_sha512"): lambda d: d.hex(128),
            ("archive_file", "output_sha"): lambda d: d.hex(40),
            ("terraform_data", "triggers_replace.content"): _sha256,
            ("aws_iam_openid_connect_provider", "thumbprint_list[0]"): lambda d: d.hex(40),
            ("null_resource", "triggers.config"): lambda d: d.hex(32),
        },
    ),
    "base64 digests": _drawn(
        4,
        {
            ("aws_lambda_function", "source_code_hash"): _b64(32),
            ("aws_lambda_function", "code_sha256"): _b64(32),
            ("archive_file", "output_base64sha256"): _b64(32),
            ("archive_file", "output_base64sha512"): _b64(64),
            ("local_file", "content_base64sha256"): _b64(32),
            ("google_storage_bucket_object", "md5hash"): _b64(16),
            ("google_storage_bucket_object", "crc32c"): _b64(4),
            ("tls_public_key", "public_key_fingerprint_sha256"): lambda d: (
                f"SHA256:{d.base64(32).rstrip('=')}"
            ),
            ("aws_s3_object", "checksum_sha256"): _b64(32),
            ("null_resource", "triggers.source_hash"): _b64(32),
            ("aws_s3_object", "version_id"): lambda d: d.code(32),
            ("terraform_data", "input.integrity"): lambda d: f"sha384-{d.base64(48)}",
        },
    ),
    "UUIDs": _drawn(
        6,
        {
            ("random_uuid", "result"): _uuid,
            ("azuread_application", "client_id"): _uuid,
            ("aws_kms_key", "key_id"): _uuid,
            ("aws_athena_named_query", "id"): _uuid,
            ("datadog_monitor", "tags[0]"): lambda d: f"run:{_uuid(d)}",
        },
    ),
    "certificates": _drawn(
        4,
        {
            ("aws_acm_certificate", "certificate_body"): _certificate,
            ("tls_self_signed_cert", "cert_pem"): _certificate,
            ("aws_db_instance", "ca"): lambda d: _certificate(d) + _certificate(d),
            ("aws_eks_cluster", "certificate_authority[0].data"): _encoded(_certificate),
            ("azurerm_key_vault_certificate", "certificate_data_base64"): lambda d: "".join(
                _certificate(d).splitlines()[1:-1]
            ),
            ("kubernetes_config_map", "data.ca_crt"): _certificate,
            ("helm_release", "values[0]"): lambda d: (
                "caBundle: |\n" + "".join(f"  {line}\n" for line in _certificate(d).splitlines())
            ),
        },
    ),
    "public keys": _drawn(
        4,
        {
            ("tls_private_key", "public_key_pem"): _public_key,
            ("aws_kms_public_key", "public_key"): _spki,
            ("aws_cloudfront_public_key", "encoded_key"): _public_key,
            ("google_kms_crypto_key_version", "public_key[0].pem"): _public_key,
            ("terraform_data", "output"): _encoded(_public_key),
        },
    ),
    "SSH public keys": _drawn(
        5,
        {
            ("aws_key_pair", "public_key"): _ssh_rsa,
            ("tls_private_key", "public_key_openssh"): _ssh_ed25519,
            ("azurerm_linux_virtual_machine", "admin_ssh_key[0].public_key"): _ssh_rsa,
            ("google_compute_instance", "metadata.ssh-keys"): lambda d: f"ada:{_ssh_ed25519(d)}",
            ("digitalocean_droplet", "user_data"): lambda d: (
                f"#cloud-config\nssh_authorized_keys:\n  - {_ssh_ed25519(d)}\n  - {_ssh_rsa(d)}\n"
            ),
        },
    ),
    "references of secrets": _cases(
        ("aws_db_instance", "master_user_secret[0].secret_arn", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1f0c2b7e-5d0b-4a55-9f1c-0a6c4f1c2d3e-AbC9xZ"),
        ("aws_secretsmanager_secret", "name", "prod/orders/db-password"),
        ("aws_secretsmanager_secret", "arn", "arn:aws:secretsmanager:us-east-1:210987654321:secret:prod/orders/db-password-Xy7QpL"),
        ("aws_ssm_parameter", "name", "/config/admin/PW"),
        ("aws_ssm_parameter", "arn", "arn:aws:ssm:eu-central-1:123456789012:parameter/config/admin/PW"),
        ("aws_ecs_task_definition", "container_definitions", '[{"name":"web","secrets":[{"name":"DB_PASSWORD","valueFrom":"arn:aws:ssm:eu-west-1:123456789012:parameter/prod/db/password"}]}]'),
        ("google_secret_manager_secret", "id", "projects/acme-prod/secrets/db-password"),
        ("google_secret_manager_secret_version", "name", "projects/812345678901/secrets/db-password/versions/3"),
        ("google_cloud_run_service", "template[0].spec[0].containers[0].env[0].value_from[0].secret_key_ref[0].name", "db-password"),
        ("azurerm_key_vault_secret", "id", "https://kv-prod-weu.vault.azure.net/secrets/db-password/3f1c2b7e5d0b4a559f1c0a6c4f1c2d3e"),
        ("azurerm_key_vault_secret", "versionless_id", "https://kv-prod-weu.vault.azure.net/secrets/db-password"),
        ("azurerm_linux_web_app", "app_settings.DB_PASSWORD", "@Microsoft.KeyVault(SecretUri=https://kv-prod-weu.vault.azure.net/secrets/db-password/)"),
        ("kubernetes_deployment", "spec[0].template[0].spec[0].container[0].env[0].value_from[0].secret_key_ref[0].key", "password"),
        ("kubernetes_secret", "metadata[0].name", "orders-db-credentials"),
        ("kubernetes_service_account", "default_secret_name", "default-token-x7k2p"),
        ("vault_generic_secret", "path", "secret/data/orders/db"),
        ("vault_approle_auth_backend_role", "role_name", "orders"),
        ("aws_cloudformation_stack", "parameters.DbPassword", "{{resolve:secretsmanager:prod/db:SecretString:password}}"),
        ("aws_codebuild_project", "environment[0].environment_variable[0].value", "/codebuild/dockerhub/token"),
        ("github_actions_secret", "secret_name", "AWS_SECRET_ACCESS_KEY"),
        ("aws_rds_cluster", "master_user_secret[0].kms_key_id", "arn:aws:kms:eu-west-1:123456789012:key/1f0c2b7e-5d0b-4a55-9f1c-0a6c4f1c2d3e"),
        ("helm_release", "values[0]", "auth:\n  existingSecret: orders-db\n  secretKeys:\n    userPasswordKey: password\n"),
        ("argocd_repository", "id", "op://infrastructure/argocd/password"),
    ),
    "settings with secret-like names": _cases(
        ("aws_instance", "metadata_options[0].http_tokens", "required"),
        ("aws_instance", "get_password_data", False),
        ("aws_db_instance", "manage_master_user_password", True),
        ("aws_kms_key", "customer_master_key_spec", "SYMMETRIC_DEFAULT"),
        ("aws_kms_key", "enable_key_rotation", True),
        ("aws_api_gateway_rest_api", "api_key_source", "HEADER"),
        ("vault_jwt_auth_backend_role", "token_ttl", 3600),
        ("vault_jwt_auth_backend_role", "token_type", "default"),
        ("vault_approle_auth_backend_role", "secret_id_num_uses", 0),
        ("aws_cognito_user_pool", "password_policy[0].minimum_length", 12),
        ("aws_cognito_user_pool_client", "access_token_validity", 60),
        ("aws_cognito_user_pool_client", "token_validity_units[0].access_token", "minutes"),
        ("aws_iam_account_password_policy", "max_password_age", 90),
        ("aws_iam_account_password_policy", "password_reuse_prevention", 24),
        ("azurerm_linux_virtual_machine", "disable_password_authentication", True),
        ("azurerm_kubernetes_cluster", "key_vault_secrets_provider[0].secret_rotation_interval", "2m"),
        ("kubernetes_service_account", "automount_service_account_token", True),
        ("google_container_cluster", "master_auth[0].client_certificate_config[0].issue_client_certificate", False),
        ("random_password", "length", 32),
        ("random_password", "override_special", "!#$%&*()-_=+[]{}<>:?"),
        ("aws_secretsmanager_secret", "recovery_window_in_days", 30),
        ("aws_cloudfront_distribution", "trusted_key_groups[0].enabled", True),
        ("okta_app_oauth", "token_endpoint_auth_method", "client_secret_basic"),
        ("aws_dynamodb_table", "hash_key", "CustomerId"),
    ),
    "JSON policies": _drawn(
        5,
        {
            ("aws_iam_policy", "policy"): _iam,
            ("aws_s3_bucket_policy", "policy"): _iam,
            ("aws_kms_key", "policy"): _iam,
            ("aws_iam_role", "assume_role_policy"): _iam,
            ("aws_ecr_lifecycle_policy", "policy"): lambda d: json.dumps(
                {"rules": [{"rulePriority": int(d.digits(2)), "selection": {"tagStatus": "untagged",
                 "countType": "sinceImagePushed", "countNumber": 14}, "action": {"type": "expire"}}]}
            ),
        },
    ),
    "TXT records": (
        *_drawn(
            4,
            {
                ("aws_route53_record", "records[0]"): _dkim,
                ("cloudflare_record", "content"): _dkim,
                ("google_dns_record_set", "rrdatas[0]"): lambda d: f'"{_dkim(d)}"',
                ("aws_route53_record", "records[1]"): lambda d: (
                    f"google-site-verification={d.url_safe(43)}"
                ),
                ("aws_acm_certificate", "domain_validation_options[0].resource_record_value"): (
                    lambda d: f"_{d.hex(32)}.{d.of(_LETTERS, 10)}.acm-validations.aws."
                ),
            },
        ),
        *_cases(
            ("aws_route53_record", "records[0]", "v=spf1 include:_spf.google.com include:amazonses.com ~all"),
            ("cloudflare_record", "content", "v=DMARC1; p=reject; rua=mailto:dmarc@example.com; adkim=s; aspf=s"),
            ("cloudflare_record", "content", "MS=ms48293017"),
            ("google_dns_record_set", "rrdatas[0]", '0 issue "letsencrypt.org"'),
        ),
    ),
    "the leaf key": _cases(
        ("aws_s3_object", "key", "lambda/orders/v1.42.0/function.zip"),
        ("aws_autoscaling_group", "tag[0].key", "kubernetes.io/cluster/Production"),
        ("terraform_remote_state", "workspace", "default"),
        ("kubernetes_deployment", "toleration[0].key", "node.kubernetes.io/not-ready"),
        ("kubernetes_pod", "volume[0].config_map[0].items[0].key", "application.properties"),
        ("aws_ecs_service", "placement_constraints[0].key", "attribute:ecs.instance-type"),
        ("google_compute_instance", "metadata[0].key", "enable-oslogin"),
        ("aws_s3_bucket_object", "key", "AWSLogs/123456789012/CloudTrail/eu-west-1/2024/05/01/"),
        ("aws_ssm_document", "parameter[0].key", "InstanceTagKeyName"),
        ("aws_imagebuilder_component", "key", "Install-CloudWatch-Agent"),
        ("aws_dynamodb_table_item", "key", "LockID"),
        ("azurerm_app_configuration_key", "key", "Settings:FeatureManagement:BetaBanner"),
        ("consul_keys", "key[0].path", "service/orders/config/maxConnections"),
        ("datadog_synthetics_test", "key", "HTTP-Latency-P99"),
        ("helm_release", "set[0].key", "controller.service.annotations"),
        ("launchdarkly_feature_flag", "key", "enableNewCheckoutFlow2024"),
        ("aws_backup_selection", "condition[0].string_equals[0].key", "aws:ResourceTag/Backup"),
        ("aws_s3_object", "key", "static/js/main.8f3a2c1b.chunk.js"),
        ("aws_resourcegroups_group", "key", "Environment"),
        ("kubernetes_node_taint", "taint[0].key", "nvidia.com/gpu"),
        ("aws_wafv2_rule_group", "rule[0].key", "AWSManagedRulesKnownBadInputsRuleSet"),
    ),
    "URLs": _cases(
        ("aws_sqs_queue", "url", "https://sqs.eu-west-1.amazonaws.com/123456789012/OrdersDeadLetterQueue.fifo"),
        ("aws_eks_cluster", "identity[0].oidc[0].issuer", "https://oidc.eks.eu-west-1.amazonaws.com/id/8F2C1A7B3D4E5F60718293A4B5C6D7E8"),
        ("aws_eks_cluster", "endpoint", "https://8F2C1A7B3D4E5F60718293A4B5C6D7E8.gr7.eu-west-1.eks.amazonaws.com"),
        ("azurerm_storage_account", "primary_blob_endpoint", "https://stprodlogs8271.blob.core.windows.net/"),
        ("azurerm_linux_function_app", "default_hostname", "func-orders-prod-weu.azurewebsites.net"),
        ("google_cloud_run_v2_service", "uri", "https://orders-x7k2mq4tza-ew.a.run.app"),
        ("google_compute_instance", "boot_disk[0].source", "https://www.googleapis.com/compute/v1/projects/acme/zones/europe-west1-b/disks/web-1"),
        ("helm_release", "repository", "https://kubernetes.github.io/ingress-nginx"),
        ("github_repository", "ssh_clone_url", "git@github.com:acme/infrastructure-live.git"),
        ("github_repository", "http_clone_url", "https://github.com/acme/infrastructure-live.git"),
        ("aws_lambda_function_url", "function_url", "https://q7x2k4mzt6vbn3pwr5sy8hfj2e0ulgdc.lambda-url.eu-west-1.on.aws/"),
        ("okta_app_saml", "sso_url", "https://acme.okta.com/app/acme_orders_1/exk1fcia6d6EMsf331d8/sso/saml"),
        ("aws_apigatewayv2_api", "api_endpoint", "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com"),
        ("terraform_data", "input.source", "git::https://github.com/terraform-aws-modules/terraform-aws-vpc.git//modules/vpc-endpoints?ref=v5.1.2"),
        ("datadog_dashboard", "url", "/dashboard/x7k-2mq-4tz/orders-service-overview"),
        ("aws_cloudwatch_dashboard", "url", "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#dashboards:name=Orders"),
        ("grafana_dashboard", "url", "https://grafana.example.com/d/cIBgcSjkk/production-overview?orgId=1&from=now-6h"),
        ("auth0_client", "callbacks[0]", "https://app.example.com:8443/callback?user=a@b.example"),
        ("aws_s3_object", "source_url", "https://releases.hashicorp.com/terraform/1.9.5/terraform_1.9.5_linux_amd64.zip"),
        ("azurerm_cdn_endpoint", "origin[0].url", "https://stprodweb.z6.web.core.windows.net/index.html?v=20240501T120000Z"),
        ("mongodbatlas_cluster", "srv_address", "mongodb+srv://orders.x7k2m.mongodb.net"),
        ("aws_msk_cluster", "zookeeper_connect_string", "z-1.orders.x7k2mq.c3.kafka.eu-west-1.amazonaws.com:2181,z-2.orders.x7k2mq.c3.kafka.eu-west-1.amazonaws.com:2181"),
    ),
    "image references": _drawn(
        4,
        {
            ("aws_lambda_function", "image_uri"): lambda d: (
                f"{d.digits(12)}.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:{_sha256(d)}"
            ),
            ("docker_image", "repo_digest"): lambda d: f"nginx@sha256:{_sha256(d)}",
            ("docker_container", "image"): lambda d: f"sha256:{_sha256(d)}",
            ("kubernetes_deployment", "spec[0].template[0].spec[0].container[0].image"): lambda d: (
                f"registry.k8s.io/ingress-nginx/controller:v1.9.{d.digits(1)}@sha256:{_sha256(d)}"
            ),
            ("google_cloud_run_v2_service", "template[0].containers[0].image"): lambda d: (
                f"europe-docker.pkg.dev/acme/web/Orders-API:{d.hex(40)}"
            ),
        },
    ),
    "host names": _drawn(
        4,
        {
            ("aws_db_instance", "address"): lambda d: (
                f"orders.c{d.of(_LETTERS + _DIGITS, 11)}.eu-west-1.rds.amazonaws.com"
            ),
            ("aws_cloudfront_distribution", "domain_name"): lambda d: (
                f"d{d.of(_LETTERS + _DIGITS, 13)}.cloudfront.net"
            ),
            ("aws_elasticache_replication_group", "primary_endpoint_address"): lambda d: (
                f"master.orders.{d.of(_LETTERS + _DIGITS, 6)}.euw1.cache.amazonaws.com"
            ),
            ("aws_lb", "dns_name"): lambda d: f"Web-ALB-{d.digits(10)}.eu-west-1.elb.amazonaws.com",
            ("aws_opensearch_domain", "endpoint"): lambda d: (
                f"search-orders-{d.of(_LETTERS + _DIGITS, 26)}.eu-west-1.es.amazonaws.com"
            ),
            ("azurerm_kubernetes_cluster", "fqdn"): lambda d: (
                f"aks-prod-{d.hex(8)}.hcp.westeurope.azmk8s.io"
            ),
        },
    ),
    "networks": _cases(
        *(
            ("aws_security_group_rule", f"cidr_blocks[{n}]", cidr)
            for n, cidr in enumerate(
                ["10.0.0.0/16", "172.31.0.0/20", "192.168.1.0/24", "0.0.0.0/0", "::/0", "2001:db8:1234::/56", "fd00:ec2::254", "169.254.169.254", "203.0.113.17/32", "100.64.0.0/10", "10.42.7.0/28", "fe80::1ff:fe23:4567:890a", "198.51.100.0/25", "10.0.128.0/18", "35.191.0.0/16", "130.211.0.0/22", "02:42:ac:11:00:02", "0a:1b:2c:3d:4e:5f", "10.1.2.3:5432", "[2001:db8::1]:443", "ip-10-0-3-17.eu-west-1.compute.internal"]
            )
        )
    ),
    "versions and commits": (
        *_cases(
            *(
                ("helm_release", "version", version)
                for version in ["1.29.3", "v1.28.5-gke.1217000", "4.10.0-rc.1", "15.4", "8.0.mysql_aurora.3.04.0", "1.27.9-20240129", "v2.14.0+build.5114f85", "OpenSearch_2.11", "2024.4.1", "PostgreSQL_15", "Fluent-Bit-2.31.12", "5.0.6-R20240101T0000Z", "nodejs20.x", "python3.12"]
            )
        ),
        *_drawn(
            5,
            {
                ("aws_codepipeline", "tags.Commit"): lambda d: d.hex(40),
                ("helm_release", "set[0].value"): lambda d: f"main-{d.hex(7)}",
                ("google_cloud_run_v2_service", "annotations.revision"): lambda d: d.hex(40),
            },
        ),
    ),
    "Kubernetes manifests": _drawn(
        10,
        {
            ("kubernetes_config_map_v1", "data.manifest"): _manifest,
            ("helm_release", "manifest"): lambda d: _manifest(d) + "---\n" + _manifest(d),
        },
    ),
    "times": _cases(
        *(
            ("aws_cloudwatch_event_rule", "schedule_expression", text)
            for text in (
                *("cron(0 12 * * ? *)", "rate(5 minutes)", "0 3 * * MON-FRI", "@daily", "P30D"),
                *("2024-05-01T12:00:00Z", "2024-05-01T12:00:00.123456+02:00", "2024-05-01", "PT15M"),
                *("Mon:00:00-Mon:03:00", "1714564800", "1714564800123", "sun:05:00-sun:06:00", "72h"),
                *("2024-05-01 12:00:00 +0000 UTC", "Wed, 01 May 2024 12:00:00 GMT", "at(2024-05-01T12:00:00)"),
                *("20240501T120000Z", "12:00", "every 24 hours", "3600s", "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=3"),
            )
        )
    ),
    "tags and descriptions": _cases(
        *(
            ("aws_instance", f"tags.{name}", text)
            for name, text in (
                ("Name", "Prod-Web-Frontend-Blue-01"),
                ("ManagedBy", "Terraform"),
                ("CostCenter", "CC-48213-EMEA"),
                ("Owner", "platform-team@example.com"),
                ("Repository", "github.com/acme/infrastructure-live"),
                ("aws:cloudformation:stack-name", "StackSet-Baseline-Security-4f1c2d3e"),
                ("Backup", "DailyWithMonthlyArchive2024"),
                ("kubernetes.io/cluster/Prod", "owned"),
                ("Description", "Security group for the orders API; opened for the VPN only (see INC-20481)."),
                ("Compliance", "PCI-DSS-4.0/SOC2-Type2/ISO27001"),
                ("Module", "terraform-aws-modules/rds-aurora/aws//modules/DBClusterParameterGroup"),
                ("Schedule", "EU-Office-Hours-0700-1900"),
                ("DataClassification", "Confidential-Level2-NoPII"),
                ("Description", "Rotates the database password every 30 days; the secret is kept in Secrets Manager."),
                ("LaunchTemplate", "EKSManagedNodeGroupLaunchTemplateV3"),
                ("Ticket", "https://acme.atlassian.net/browse/INFRA-20481"),
                ("Project", "CustomerDataPlatform2ndGeneration"),
                ("Image", "amzn2-ami-kernel-5.10-hvm-2.0.20240412.0-x86_64-gp2"),
                ("Image", "Windows_Server-2022-English-Full-Base-2024.04.10"),
                ("Role", "AWSReservedSSO_AdministratorAccess_8f2c1a7b3d4e5f60"),
                ("Runbook", "Wiki/SRE/Runbooks/OrdersService/HighErrorRate5xx"),
                ("Contact", "+49 30 901820"),
            )
        )
    ),
    "base64 of harmless text": _drawn(
        8,
        {
            ("aws_instance", "user_data_base64"): _base64_of_text,
            ("kubernetes_config_map", "binary_data.page"): _base64_of_text,
            ("aws_launch_template", "user_data"): _base64_of_text,
        },
    ),
    "random suffixes": _drawn(
        5,
        {
            ("random_id", "b64_url"): lambda d: d.url_safe(11),
            ("random_id", "b64_std"): lambda d: d.base64(8),
            ("random_id", "hex"): lambda d: d.hex(16),
            ("random_pet", "id"): lambda d: d.one("sure-mongoose", "witty-crab", "apt-eel-7"),
            ("random_string", "result"): lambda d: d.of(_LETTERS + _DIGITS, 8),
            ("aws_s3_bucket", "bucket"): lambda d: f"acme-logs-{d.of(_LETTERS + _DIGITS, 12)}",
        },
    ),
    "SQL and queries": _cases(
        *(
            ("aws_athena_named_query", "query", text)
            for text in (
                "SELECT userIdentity.arn, count(*) FROM cloudtrail_logs WHERE eventName = 'GetSecretValue' GROUP BY 1",
                "CREATE USER app WITH LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;",
                "fields @timestamp, @message | filter @message like /ERROR/ | sort @timestamp desc | limit 20",
                'sum(rate(http_requests_total{status=~"5.."}[5m])) by (service) > 0.05',
                "avg(last_5m):avg:aws.rds.cpuutilization{dbinstanceidentifier:orders} > 90",
                'logs("service:orders status:error").index("*").rollup("count").last("5m") > 100',
                "AzureDiagnostics | where Category == 'AuditEvent' | summarize count() by CallerIPAddress",
                'resource.type="gce_instance" AND severity>=ERROR AND NOT textPayload:"healthz"',
                "SELECT * FROM 'iot/+/telemetry' WHERE temperature > 60",
                "$.detail.eventName",
                "[Environment, Team, Service]",
                '{ $.eventName = ConsoleLogin && $.errorMessage = "Failed authentication" }',
                "ALTER ROLE reporting SET statement_timeout = '30s'",
                "index=main sourcetype=aws:cloudtrail eventName=AssumeRole | stats count by user",
                "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$",
                '(http.request.uri.path contains "/wp-login.php") or (cf.threat_score gt 14)',
                "event.type = 'Purchase' AND user.tier IN ('Gold2024', 'Platinum2024')",
                "INSERT INTO schema_migrations(version) VALUES ('20240501120000_AddOrdersIndex')",
                "count:synthetics.browser.test.runs{check_id:x7k-2mq-4tz,status:failed}.as_count()",
                "SELECT NRQL.apdex FROM Transaction WHERE appName = 'OrdersServiceV2' TIMESERIES 5 minutes",
            )
        )
    ),
    "ARNs and layers": _cases(
        ("aws_lambda_function", "layers[0]", "arn:aws:lambda:eu-west-1:017000801446:layer:AWSLambdaPowertoolsPythonV2:71"),
        ("aws_lambda_function", "layers[1]", "arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:53"),
        ("aws_iam_role_policy_attachment", "policy_arn", "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"),
        ("aws_iam_role_policy_attachment", "policy_arn", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"),
        ("aws_iam_service_linked_role", "arn", "arn:aws:iam::123456789012:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService"),
        ("aws_lb_target_group", "arn_suffix", "targetgroup/Web-Blue/8f2c1a7b3d4e5f60"),
        ("aws_lb", "access_logs[0].bucket", "acme-prod-ALB-AccessLogs-20240501"),
        ("aws_autoscaling_policy", "arn", "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:1f0c2b7e-5d0b-4a55-9f1c-0a6c4f1c2d3e:autoScalingGroupName/web:policyName/CpuTargetTracking70"),
        ("aws_acm_certificate", "arn", "arn:aws:acm:us-east-1:123456789012:certificate/1f0c2b7e-5d0b-4a55-9f1c-0a6c4f1c2d3e"),
        ("aws_sns_topic_subscription", "arn", "arn:aws:sns:eu-west-1:123456789012:OrdersEvents:1f0c2b7e-5d0b-4a55-9f1c-0a6c4f1c2d3e"),
        ("aws_lb_listener", "ssl_policy", "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04"),
        ("aws_cloudfront_distribution", "default_cache_behavior[0].cache_policy_id", "658327ea-f89d-4fab-a63d-7e88639e58f6"),
        ("aws_ssm_association", "name", "AWS-ConfigureCloudWatchOnEC2Instance"),
        ("aws_config_config_rule", "source[0].source_identifier", "EC2_EBS_ENCRYPTION_BY_DEFAULT"),
        ("aws_securityhub_standards_subscription", "standards_arn", "arn:aws:securityhub:eu-west-1::standards/aws-foundational-security-best-practices/v/1.0.0"),
        ("aws_ecs_cluster_capacity_providers", "capacity_providers[0]", "FARGATE_SPOT"),
        ("aws_emr_cluster", "service_role", "EMR_DefaultRole_V2"),
        ("aws_eks_addon", "configuration_values", '{"env":{"ENABLE_PREFIX_DELEGATION":"true","WARM_PREFIX_TARGET":"1"}}'),
        ("aws_db_parameter_group", "family", "aurora-postgresql15"),
        ("aws_elasticache_cluster", "parameter_group_name", "default.redis7.cluster.on"),
        ("aws_instance", "private_dns", "ip-10-0-3-17.eu-west-1.compute.internal"),
    ),
}  # fmt: skip
"""At least twenty of each class of REDACTION section 4 and of its neighbours."""
