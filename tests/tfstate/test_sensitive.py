"""Which names and marks make a value secret, and which must stay readable."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.sensitive import (
    _SECRET_SHAPES,
    ANY_INDEX,
    Marks,
    has_shape,
    implied_marks,
    is_public,
    is_random,
    is_reference,
    is_secret_name,
    mark_paths,
    may_have_shape,
    replace_shapes,
)


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


def test_marks_cover_everything_below() -> None:
    """A path may name a whole block."""
    marks = Marks()
    marks.add(("block", ANY_INDEX, "inner"))
    block = marks.at("block")
    assert block is not None
    element = block.at(7)
    assert element is not None
    inner = element.at("inner")
    assert inner is not None
    assert inner.secret
    assert element.at("other") is None


def test_marks_are_read_from_a_state() -> None:
    """Attribute steps, index steps with a number, index steps with a key."""
    state = [
        [{"type": "get_attr", "value": "password"}],
        [
            {"type": "get_attr", "value": "list"},
            {"type": "index", "value": {"value": 0, "type": "number"}},
            {"type": "index", "value": {"value": "k", "type": "string"}},
        ],
    ]
    assert [("password",), ("list", ANY_INDEX, "k")] == list(mark_paths(state))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, []),
        ([], []),
        ({}, [()]),
        ([1], [()]),
        ([[{"type": "get_attr", "value": "a"}, {"type": "new"}]], [("a",)]),
        ([[{"type": "get_attr", "value": "a"}, {"type": "index", "value": True}]], [("a",)]),
    ],
)
def test_marks_that_cannot_be_understood_mark_more(state: object, expected: list[object]) -> None:
    """At worst everything, never less."""
    assert expected == list(mark_paths(state))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("a", "b"), "text", True),
        (("a", "b"), 1, True),
        (("a", "b"), [{"b": 1}], True),
        (("a", ANY_INDEX), {"b": 1}, True),
        (("a", "b"), {"b": 1}, False),
        (("a", ANY_INDEX), [1], False),
        (("a", "b"), None, False),
        (("a", "b"), {}, False),
    ],
)
def test_a_value_of_another_type_contradicts_its_marks(
    path: tuple[str | int, ...], value: object, *, expected: bool
) -> None:
    """The secret may then be anywhere in it."""
    marks = Marks()
    marks.add(path)
    inner = marks.at("a")
    assert inner is not None
    assert expected is inner.contradicts(value)


def test_types_that_store_secrets() -> None:
    """Their names tell what the names of their attributes don't."""
    assert ("config",) in implied_marks("terraform_remote_state")
    assert ("value",) in implied_marks("aws_ssm_parameter")
    assert ("data",) in implied_marks("kubernetes_secret_v1")
    assert implied_marks("aws_instance") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pg://admin:pa?ss@db:5432/x", "pg://X@db:5432/x"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y", "x X y"),
        ("-----BEGIN CERTIFICATE-----\nabc", "-----BEGIN CERTIFICATE-----\nabc"),
        ("token ghp_" + "a1B2" * 9, "token X"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_shapes_that_give_themselves_away(text: str, expected: str) -> None:
    """Private keys, tokens and passwords in URLs; never certificates or key IDs."""
    assert expected == replace_shapes(text, lambda _: "X")


def test_keys_that_look_random() -> None:
    """No person names a thing so."""
    assert is_random("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEX")
    assert not is_random("prod-network-10.0.0.0")
    assert not is_random("3fa85f64-5717-4562-b3fc-2c963f66afa6")
    assert not is_random("arn:aws:iam::123456789012:role/MyRole")


def test_references_are_no_secrets() -> None:
    """They only say where one is kept."""
    assert is_reference("arn:aws:secretsmanager:eu-west-1:1:secret:x")
    assert is_reference("projects/p/secrets/s")
    assert not is_reference("arnold")


def test_what_is_too_common_to_be_looked_for() -> None:
    """Else half of a record would be hidden."""
    assert is_public("us-east-1")
    assert is_public("Password")
    assert is_public("-----BEGIN CERTIFICATE-----\nabc")
    assert not is_public("hunter2hunter2")


_FRAGMENTS = (
    *("-----BEGIN ", "RSA ", "PRIVATE KEY", " BLOCK", "-----", "-----END ", "\n", " ", '"', "\\"),
    *("ghp_", "gh", "github_pat_", "glpat-", "xoxb-", "xox", "hvs.", "hv", "tfa_", "eyJ", "."),
    *("://", "https://", ":", "@", "/", "user", "p@ss", "a" * 8, "Ab1" * 8, "é", "\x01", "\u3000"),
)


@given(st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join))
def test_the_fast_search_for_shapes_finds_what_is_replaced(text: str) -> None:
    """Exactly in a text; at least, in many texts at once."""
    found = _SECRET_SHAPES.search(text) is not None
    assert found == has_shape(text)
    if found:
        assert may_have_shape(orjson.dumps({"a": ["x", text, "y"]}))


@pytest.mark.parametrize("glued", ["", "jwt_", "Bearer%20", "eyJ", "-", "x."])
def test_a_web_token_is_replaced_with_what_is_glued_to_it(glued: str) -> None:
    """Whatever stands before it without a space."""
    token = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"
    assert "eyJhbGciOiJI" not in replace_shapes(f"a {glued}{token} b", lambda _: "***")
