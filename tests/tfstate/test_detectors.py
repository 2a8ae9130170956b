"""What gives itself away as a secret, and what is never one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.tfstate.credentials import RULES
from proxy.tfstate.detectors import KINDS, Hit, find, is_public, is_random, is_reference
from tests.redaction.drawn import DRAWN, secrets


def _cut(text: str, name: str = "") -> str:
    """The text with an X for each hit."""
    for hit in reversed(find(text, name)):
        text = f"{text[: hit.start]}X{text[hit.end :]}"
    return text


_PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB\n"
    "aFDrBz9vFqU4zTYVy3k=\n-----END RSA PRIVATE KEY-----"
)
_CERTIFICATE = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIDazCCAlOgAwIBAgIUWq3x9T5Kz7u1qZp0x4vJtC7m9Q8wDQYJKoZIhvcNAQEL\n"
    "BQAwRTELMAkGA1UEBhMCQVUxEzARBgNVBAgMClNvbWUtU3RhdGUxITAfBgNVBAoM\n"
    "-----END CERTIFICATE-----"
)


def test_every_kind_is_described_and_every_rule_has_one() -> None:
    """KINDS is closed: nothing else is ever reported."""
    assert {rule.kind for rule in RULES} | {"high-entropy"} == set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in DRAWN if not kind.startswith("random, ")])
def test_credentials_are_found_by_their_shape(kind: str) -> None:
    """Whole, under a name that tells nothing."""
    missed = [
        text
        for secret, text in secrets(kind, 40)
        if not any(
            hit.start <= text.index(secret) and hit.end >= text.index(secret) + len(secret)
            for hit in find(text, "value")
        )
    ]
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("kind", sorted(DRAWN))
@pytest.mark.parametrize(
    "around",
    ["#!/bin/sh\nexport X='%s'\nrun\n", '{"a":"%s","b":1}', "x = %s; y", "<v>%s</v>", "a=%s&b=c"],
)
def test_credentials_are_found_inside_longer_texts(kind: str, around: str) -> None:
    """No tail of them is left, wherever they stand."""
    left = 0
    for secret, text in secrets(kind, 20):
        cut = _cut(around % text)
        left += any(secret[at : at + 8] in cut for at in range(0, len(secret) - 7, 4))
    assert left <= 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_PEM, "X"),
        (_PEM.replace("\n", "\\n"), "X"),
        (_PEM.replace("\n", "\r\n"), "X"),
        (_PEM.replace("\n", " "), "X"),
        (_PEM.replace("\n", "\n      "), "X"),
        (f"a: |\n  {_PEM}\nb: 1", "a: |\n  X\nb: 1"),
        (_PEM[:90], "X"),
        (f"{_PEM[:90]}\n{_CERTIFICATE}", f"X{_CERTIFICATE}"),
        (f"{_CERTIFICATE}\n{_PEM}", f"{_CERTIFICATE}\nX"),
        (_CERTIFICATE, _CERTIFICATE),
        (_CERTIFICATE[:100], _CERTIFICATE[:100]),
        (_PEM.replace(" ", "+"), "X"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nx\n-----END PGP PRIVATE KEY BLOCK-----", "X"),
        (
            "---- BEGIN SSH2 PRIVATE KEY ----\nP2\n---- END SSH2 PRIVATE KEY ----",
            "X",
        ),
    ],
)
def test_private_keys_in_pem(text: str, expected: str) -> None:
    """However their lines are broken, and only they."""
    assert expected == _cut(text)


def test_a_private_key_in_base64_behind_a_certificate() -> None:
    """A bundle is hidden as a whole, a certificate alone is not."""
    bundle = base64.b64encode(f"{_CERTIFICATE}\n{_PEM}".encode()).decode()
    assert "X" == _cut(bundle)
    certificate = base64.b64encode(_CERTIFICATE.encode()).decode()
    assert certificate == _cut(certificate)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pg://admin:pa?ss@db:5432/x", "pg://admin:X@db:5432/x"),
        ("postgres://u:p@ss/w:rd@db:5432/x", "postgres://u:X@db:5432/x"),
        ("https://u:p@ss@h/x", "https://u:X@h/x"),
        ("https://u:p@h/x@y", "https://u:X@h/x@y"),
        ("redis://:hunter2@cache:6379/0", "redis://:X@cache:6379/0"),
        ("see amqp://a:b1@h1,amqp://c:d1@h2 .", "see amqp://a:X@h1,amqp://c:X@h2 ."),
        ("mongodb+srv://u:p%40ss@c0.mongodb.net", "mongodb+srv://u:X@c0.mongodb.net"),
        ("mysql://u:it's@h/db", "mysql://u:X@h/db"),
        ("root:s3cret@tcp(db:3306)/app", "root:X@tcp(db:3306)/app"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("https://example.com:8080/a@b", "https://example.com:8080/a@b"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("docker://nginx:1.25@sha256:abc", "docker://nginx:1.25@sha256:abc"),
        ("postgres://u:${DB_PASSWORD}@h/x", "postgres://u:${DB_PASSWORD}@h/x"),
        ("postgres://u:****@h/x", "postgres://u:****@h/x"),
        ("ssh://git@github.com:22/org/repo.git", "ssh://git@github.com:22/org/repo.git"),
        ("https://0123456789abcdef0123456789abcdef@h/1", "https://X@h/1"),
    ],
)
def test_passwords_in_urls(text: str, expected: str) -> None:
    """Only the password, also one with punctuation that should have been escaped."""
    assert expected == _cut(text)


@pytest.mark.parametrize("glued", ["", "jwt_", "Bearer%20", "eyJ", "-", "x."])
def test_a_web_token_is_found_whatever_is_glued_to_it(glued: str) -> None:
    """Its readable parts too."""
    token = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"
    assert "eyJhbGciOiJI" not in _cut(f"a {glued}{token} b")


@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0",
        "eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp2ojaHV7.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZo",
    ],
)
def test_web_tokens_without_a_signature_or_encrypted(token: str) -> None:
    """RFC 7519 section 6 and RFC 7516."""
    assert [Hit(0, len(token), "jwt")] == find(token)


def test_an_access_key_id_stays_and_its_secret_goes() -> None:
    """The id says who; only the 40 characters beside it let one in."""
    text = "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYzK3Xp9QaLs"
    assert "AKIAIOSFODNN7EXAMPLE:X" == _cut(text)


@pytest.mark.parametrize("name", ["source_code_hash", "etag", "outputBase64sha256", "id", "md5"])
def test_a_name_can_explain_random_text(name: str) -> None:
    """Under a neutral name, 32 octets in base64 may be a key."""
    digest = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert digest == _cut(digest, name)
    assert "X" == _cut(digest, "value")


def test_a_name_never_excuses_a_credential() -> None:
    """A token under `id` is a token."""
    assert "X" == _cut("ghp_" + "a1B2" * 9, "id")


def test_overlapping_hits_become_one() -> None:
    """Of the kind that tells more."""
    text = "https://x-access-token:ghp_" + "a1B2" * 9 + "@github.com/o/r.git"
    assert [Hit(23, 63, "github-token")] == find(text)


@pytest.mark.timeout(60)  # a square of that takes longer, however fast each step
@pytest.mark.parametrize(
    "part",
    [
        *(
            "eyJ",
            "-----BEGIN ",
            "-----BEGIN RSA PRIVATE KEY-----",
            "A",
            "a:b@",
            "://",
            "://a:",
            "\ud800",
        ),
        *(
            "sk-",
            "ghp_",
            "SG.",
            "SG.a",
            "MII",
            "$6$",
            "LS0tLS1CRUdJTi",
            "aA1",
            "aA1+",
            "Basic ",
            "/a",
            "a1B",
        ),
        *(
            "://a:b@",
            "@tcp(",
            ":a@tcp(",
            ".atlasv1.",
            "A.",
            "00",
            "xoxb-",
            "a.b:c@",
            "{{",
            "${",
            "é",
            "Q~",
        ),
    ],
)
def test_hostile_texts_take_linear_time(part: str) -> None:
    """Megabytes of the beginning of something: a square of that would never end."""
    size = 2_000_000 if part in {"eyJ", "-----BEGIN ", "A", "a:b@", "://"} else 1_000_000
    text = part * (size // len(part))
    for hit in find(text):
        assert hit.start < hit.end
    is_public(text)
    is_reference(text)
    is_random(text)


_FRAGMENTS = (
    *("-----BEGIN ", "RSA ", "PRIVATE KEY", " BLOCK", "-----", "-----END ", "\n", " ", '"', "\\"),
    *("ghp_", "github_pat_", "glpat-", "xoxb-", "hvs.", "tfa_", "eyJ", ".", "AccountKey=", "sig="),
    *("://", "https://", ":", "@", "/", "user", "p@ss", "a" * 8, "Ab1" * 8, "é", "\x01", "\u3000"),
    *("MIIEpAIBAAKC", "LS0tLS1CRUdJTi", "\ud800", "Basic ", "Bearer ", "$2b$12$", "0" * 40),
)


@given(st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join))
def test_hits_are_apart_and_in_order(text: str) -> None:
    """For any text; the kinds are those of the table."""
    end = 0
    for hit in find(text):
        assert end <= hit.start < hit.end <= len(text)
        assert hit.kind in KINDS
        end = hit.end
    is_public(text)
    is_reference(text)
    is_random(text)


@given(st.text(alphabet="ab \ud800\u3000é", max_size=12))
def test_what_is_in_a_long_text_is_found_as_in_a_short_one(text: str) -> None:
    """Long texts are searched in another way."""
    token = "glpat-" + "x9" * 10
    long = text + " " * 70_000 + token
    assert [Hit(len(long) - len(token), len(long), "gitlab-token")] == find(long)
    assert [Hit(len(text) + 1, len(text) + 1 + len(token), "gitlab-token")] == find(
        f"{text} {token}"
    )


def test_keys_that_look_random() -> None:
    """No person names a thing so."""
    assert is_random("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEX")
    assert is_random("x7Kp2mQ9vT4sLw8Z")
    assert not is_random("prod-network-10.0.0.0")
    assert not is_random("3fa85f64-5717-4562-b3fc-2c963f66afa6")
    assert not is_random("arn:aws:iam::123456789012:role/MyRole")
    assert not is_random("AmazonSSMManagedInstanceCore")


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbC123",
        "projects/my-project/secrets/db-password/versions/latest",
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg",
        "https://kv-prod.vault.azure.net/secrets/db-password/0a1b2c",
        "/config/admin/PW",
        "/prod/db01/password",
        "secret/data/app/db",
        "vault:secret/data/db#password",
        "op://vault/item/field",
        "${var.db_password}",
        "{{resolve:secretsmanager:MySecret:SecretString:password}}",
        "@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/x/)",
        "$DB_PASSWORD",
        "(sensitive value)",
    ],
)
def test_references_are_no_secrets(text: str) -> None:
    """They only say where one is kept."""
    assert is_reference(text)
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    [
        "arnold",
        "/K7MDENGbPxRfiCYEXk3/q8ZzTy1",
        "$ecret",
        "vault",
        "secretary",
        "/root",
        "",
        "a/b/c",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    """A password may begin like one."""
    assert not is_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        *("us-east-1", "europe-west4-b", "westeurope", "Password", "true", "443", "10.0.0.0/16"),
        *(
            "db.t3.medium",
            "Standard_D2s_v3",
            "n2-standard-4",
            "vpc-0a1b2c3d4e5f60718",
            "ami-12345678",
        ),
        *("AKIAIOSFODNN7EXAMPLE", "AROAJ7KQ2EXAMPLEID123", "123456789012", "1.29.3", "2024-05-01"),
        *(
            "-----BEGIN CERTIFICATE-----\nabc",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me",
            "",
            "30d",
        ),
        *("-----BEGIN PUBLIC KEY-----\nMFkw", "application/json", "PT15M", "kubernetes.io/tls"),
    ],
)
def test_what_is_too_common_to_be_looked_for(text: str) -> None:
    """Else half of a record would be hidden."""
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    [
        *("hunter2hunter2", "dragon-fire7", "my-secret1", "pass-12345678", "P@ssw0rd!", "482913"),
        *("Summer2024", "correct.horse.battery", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "a-b-1"),
        *("admin123", "test1", "rootroot", "$ecret", "db-password1", "mysql57", "/Ab3/xK9q"),
        f"{_CERTIFICATE}\n{_PEM}",
    ],
)
def test_passwords_are_not_public(text: str) -> None:
    """However poor they are."""
    assert not is_public(text)
