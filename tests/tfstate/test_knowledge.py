"""What is known to be secret, type by type."""

import pytest

from proxy.tfstate.knowledge import is_harmless_mark, known_marks, known_readable, parse
from proxy.tfstate.marks import ANY_INDEX, ANY_KEY


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        ("aws_db_instance", ("password",)),
        ("aws_iam_access_key", ("secret",)),
        ("aws_rds_cluster", ("master_password",)),
        ("azurerm_kubernetes_cluster", ("kube_config", ANY_INDEX, "client_key")),
        ("auth0_client", ("client_secret",)),
        ("tls_private_key", ("private_key_pem",)),
        ("random_password", ("result",)),
        ("aws_kms_secrets", ("plaintext",)),
        ("aws_instance", ("password_data",)),
    ],
)
def test_both_tables_are_known(type_: str, path: tuple[str, ...]) -> None:
    """What the schemas mark and what they forgot, for resources and data sources alike."""
    assert path in known_marks(type_, "managed")
    assert path in known_marks(type_, "data")


@pytest.mark.parametrize("mode", ["managed", "data"])
@pytest.mark.parametrize(
    ("type_", "path"),
    [
        ("aws_ssm_parameter", "value"),
        ("aws_ssm_parameter", "insecure_value"),
        ("vault_generic_secret", "data"),
        ("vault_generic_secret", "data_json"),
        ("aws_secretsmanager_secret_version", "secret_string"),
        ("aws_secretsmanager_secret_version", "secret_binary"),
        ("google_secret_manager_secret_version", "secret_data"),
        ("azurerm_key_vault_secret", "value"),
        ("kubernetes_secret", "data"),
        ("kubernetes_secret_v1", "binary_data"),
        ("someones_secret", "value"),
        ("terraform_remote_state", "config"),
        ("terraform_remote_state", "defaults"),
    ],
)
def test_stores_of_secrets_keep_them_under_names_that_say_nothing(
    type_: str, path: str, mode: str
) -> None:
    """The type's name tells it, also of types that nobody listed."""
    assert (path,) in known_marks(type_, mode)


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        ("postgresql_role", ("password",)),
        ("mysql_user", ("plaintext_password",)),
        ("tailscale_tailnet_key", ("key",)),
        ("nomad_variable", ("items",)),
        ("render_env_group", ("env_vars", ANY_KEY, "value")),
        ("aws_wafv2_api_key", ("api_key",)),
    ],
)
def test_other_providers_are_known(type_: str, path: tuple[str, ...]) -> None:
    """Of those that the first table did not cover."""
    assert path in known_marks(type_, "managed")


def test_what_data_sources_of_stores_read() -> None:
    """They keep it in places of their own."""
    assert ("map",) in known_marks("someones_secrets", "data")
    assert ("map",) not in known_marks("someones_secrets", "managed")


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        ("aws_api_gateway_method", ("authorization",)),
        ("aws_secretsmanager_secret_version", ("secret_id",)),
        ("google_secret_manager_secret", ("secret_id",)),
        ("aws_cognito_user_pool_client", ("token_validity_units", ANY_INDEX, "access_token")),
    ],
)
def test_readable_whatever_the_name_says(type_: str, path: tuple[str, ...]) -> None:
    """Settings and references, known by type."""
    assert path in known_readable(type_)


def test_no_type_is_readable_unless_it_is_listed() -> None:
    """In doubt the name decides."""
    assert () == known_readable("aws_db_instance")


@pytest.mark.parametrize("type_", ["aws_vpc", "null_resource", "", "\0", "x" * 100_000])
def test_nothing_is_known_of_other_types(type_: str) -> None:
    """Whatever the type's name is."""
    assert () == known_marks(type_, "managed")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("a[].b", ("a", ANY_INDEX, "b")),
        ("a{}.b", ("a", ANY_KEY, "b")),
        ("a{}", ("a", ANY_KEY)),
    ],
)
def test_rows_are_paths(text: str, path: tuple[str | int, ...]) -> None:
    """Blocks, objects and maps."""
    assert path == parse(text)


@pytest.mark.parametrize("text", ["", "a..b", "a[0]", "a[]b", "a b", ".a"])
def test_what_is_no_path_is_refused(text: str) -> None:
    """The table is checked with the same rule."""
    with pytest.raises(ValueError, match="no path"):
        parse(text)


def test_harmless_marks() -> None:
    """Hidden by Terraform, but no secret in themselves."""
    assert is_harmless_mark(("site_credential", ANY_INDEX, "name"))
    assert is_harmless_mark(("username",))
    assert not is_harmless_mark(("site_credential", ANY_INDEX, "password"))
    assert not is_harmless_mark(("secure_values", ANY_INDEX))
    assert not is_harmless_mark(())
