"""Which names make a value secret, and which must stay readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    "name",
    [
        *("DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "MYSQL_ROOT_PW", "SMTP_PASS", "TF_VAR_db_pass"),
        *("STRIPE_SK", "GITHUB_PAT", "AUTH_SALT", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("GF_SECURITY_ADMIN_PASSWORD", "DJANGO_SECRET_KEY", "SECRET_KEY_BASE", "RAILS_MASTER_KEY"),
        *("OPENAI_API_KEY", "SENTRY_DSN", "JWT_SIGNING_KEY", "SLACK_WEBHOOK", "SLACK_WEBHOOK_URL"),
        *("AZURE_STORAGE_KEY", "SQLAZURECONNSTR_main", "VAULT_SECRET_ID", "LDAP_BIND_PW"),
        *("spring.datasource.password", "requirepass", "ENCRYPTION_KEY", "HMAC_KEY", "NPM_TOKEN"),
    ],
)
def test_names_of_environment_variables(name: str) -> None:
    """As people write them."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("DATABASE_URL", "POSTGRES_USER", "POSTGRES_PASSWORD_FILE", "DB_HOST", "PATH", "PWD_PATH"),
        *("AWS_ACCESS_KEY_ID", "AWS_REGION", "existingSecret", "existingSecretPasswordKey"),
        *(
            "secretName",
            "imagePullSecrets",
            "image_pull_secrets",
            "tokenSecretRef",
            "secret_options",
        ),
        *("max_tokens", "input_tokens", "completion_tokens", "tokens_per_minute", "creation_token"),
        *("lock_token", "dkim_tokens", "next_token", "kms_encryption_key", "kms_key"),
        *("password_authentication", "disable_password_authentication", "store_password"),
        *("secret_description", "token_url_custom_properties", "credentials_parameter"),
        *(
            "jwt_configuration",
            "token_selection",
            "api_key_selection_expression",
            "secret_arn_list",
        ),
        *(
            "case_sensitive",
            "is_sensitive",
            "sensitive",
            "config_nonsensitive",
            "sk",
            "salt",
            "pat",
        ),
        *("binary_authorization", "authorization_type", "authorizer", "jwks", "network_pattern"),
        *(
            "sort_key",
            "range_key",
            "foreign_key",
            "key_type",
            "key_usage",
            "deploy_key",
            "routing_key",
        ),
    ],
)
def test_more_names_that_must_stay_readable(name: str) -> None:
    """Paths, references, counts, tokens that only tell one request from another."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "http_authorization", "authorization_header", "basic_authentication"),
        *("sensitive_config_vars", "config_sensitive", "set_sensitive", "sensitive_settings"),
        *(
            "pfx_blob",
            "certificate_p12",
            "kerberos_keytab",
            "kube_admin_config_raw",
            "talos_config",
        ),
        *("key_pem", "private_key_file_content", "application_key", "customer_key", "mac_key"),
        *(".dockerconfigjson", "docker_config_json", "connStr", "extension_key_1", "auth_code"),
    ],
)
def test_more_names_of_secrets(name: str) -> None:
    """Learned from what the schemas of providers mark."""
    assert is_secret_name(name)


@given(st.text() | st.text("aA_-.tokenSecr ", max_size=600))
def test_any_text_may_be_a_name(name: str) -> None:
    """Keys of maps are written by anyone."""
    assert is_secret_name(name) in {True, False}
    assert not (is_plain_name(name) and is_secret_name(name))


@pytest.mark.parametrize(
    "name",
    [
        *("username", "user", "userName", "POSTGRES_USER", "host", "DB_HOST", "port", "engine"),
        *("dbname", "dbInstanceIdentifier", "apiVersion", "kind", "type", "region", "namespace"),
        *("ca_certificate", "client-certificate-data", "certificate_pem"),
        *("client_id", "access_key_id", "tenant_id", "email", "oauth2_client_secret_sha256"),
    ],
)
def test_plain_names(name: str) -> None:
    """Their values are hidden inside of a secret object, but not hunted for elsewhere."""
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("password", "value", "data", "", "user_password", "hostkey", "username_password", "url"),
        *("secret_id", "pfx_certificate", "certificate_p12", "session_id", "pem", "content", "key"),
    ],
)
def test_names_that_are_not_plain(name: str) -> None:
    """In doubt a value is hunted for."""
    assert not is_plain_name(name)
