"""Which names make a value secret, and which must stay readable."""

import pytest

from proxy.tfstate.names import is_plain_name, is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "dbPassword",
        "DB-PASSWORD",
        "PGPASSWORD",
        "password2",
        "master_user_password",
        "passwd",
        "admin_pass",
        "root_pass",
        "passphrase",
        "pwd",
        "psk",
        "token",
        "auth_token",
        "access_token",
        "accessToken",
        "tokens",
        "secret",
        "client_secret",
        "clientSecret",
        "secrets",
        "secret_key",
        "secret_access_key",
        "AWS_SECRET_ACCESS_KEY",
        "secret_id",
        "credentials",
        "credentials_json",
        "private_key",
        "private_key_pem",
        "privateKey",
        "api_key",
        "apiKey",
        "apikey",
        "app_key",
        "account_key",
        "storage_account_access_key",
        "primary_access_key",
        "auth_key",
        "shared_key",
        "client_key",
        "encryption_key",
        "license_key",
        "connection_string",
        "primary_connection_string",
        "connection_string_alias",
        "kube_config",
        "kube_config_raw",
        "kubeconfig",
        "sas_url",
        "sas_token",
        "webhook_url",
        "microsoft_teams_webhook_url",
        "jwt",
        "token_reviewer_jwt",
        "secret_string",
        "secret_data",
        "password_data",
        "password_wo",
        "secret_environment_variables",
        "ses_smtp_password_v4",
        "bcrypt_password_hash",
        "protected_settings",
        "secure_value",
        "shared_access_signature",
        "token_key",
        "access_key_secret",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """In every spelling, with what people put before and behind."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "name",
        "id",
        "arn",
        "tags",
        "Name",
        "key",
        "key_name",
        "key_id",
        "access_key_id",
        "kms_key_id",
        "http_tokens",
        "token_ttl",
        "customer_master_key_spec",
        "get_password_data",
        "manage_master_user_password",
        "api_key_source",
        "enable_key_rotation",
        "password_length",
        "max_password_age",
        "password_policy",
        "secret_arn",
        "secret_name",
        "secretKeyRef",
        "secret_ref",
        "token_type",
        "token_endpoint",
        "public_key",
        "ssh_public_keys",
        "certificate",
        "ca_certificate",
        "certificate_authority",
        "private_key_fingerprint",
        "public_key_fingerprint_md5",
        "secret_version",
        "must_change_password",
        "password_reset_required",
        "tokens_per_second",
        "hash_key",
        "partition_key",
        "tokenizer",
        "secretary",
        "compass",
        "passthrough",
        "author",
        "spinner",
        "user_data",
        "policy",
        "instance_class",
        "client_id",
        "token_validity_units",
        "automount_service_account_token",
    ],
)
def test_names_that_must_stay_readable(name: str) -> None:
    """Settings, references and public halves, though they look like secrets."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["username", "user", "userName", "host", "port", "engine", "dbname", "apiVersion"]
)
def test_plain_names(name: str) -> None:
    """Their values are hidden inside of a secret object, but not hunted for elsewhere."""
    assert is_plain_name(name)


@pytest.mark.parametrize("name", ["password", "value", "data", "", "user_password", "hostkey"])
def test_names_that_are_not_plain(name: str) -> None:
    """In doubt a value is hunted for."""
    assert not is_plain_name(name)
