"""What the name of an attribute, output, variable or key tells about its value.

Marks and the knowledge table are better where they know the type; names decide everywhere else:
in types that nobody listed, in maps, in documents inside of texts. How well they do is measured on
the table, see `docs/redaction-names.md`.
"""

import re
from functools import lru_cache
from typing import Final


def _words(text: str) -> frozenset[str]:
    """A set written as text, many words a line."""
    return frozenset(text.split())


_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[a-z0-9]+")

_SECRET_WORD: Final = re.compile(
    r".*(?:password|passwort|passwd|passphrase|passcode|secret|token|credential|apikey|secretkey"
    r"|privatekey|accesskey|authkey|sharedkey|kubeconfig|connectionstring|bindpass|userpass"
    r"|rootpass|adminpass|dbpass)s?[0-9]*"
)
"""A word that ends so is a secret, glued to others or not: `dbpassword`, `tokens`, `secret2`."""

_SECRET_WORDS: Final = _words(
    """
    pass pwd psk pin jwt sas dsn creds cred bearer htpasswd plaintext passkey otp totp
    """
)

_SECRET_PHRASES: Final = re.compile(
    r"(?:^|_)(?:"
    r"(?:access|secret|private|api|app|auth|authorization|account|storage|shared|master|client"
    r"|encryption|signing|service|license|licence|primary|secondary|raw|ssl|tls|sp|sas|hmac|session"
    r"|integration|stream|instrumentation|insights|admin|function|subscription|tsig|dkim_private"
    r"|service_principal|data|wrapping|unseal|recovery|consumer|user|rsa|aes|symmetric|https"
    r"|genie|ops_routing|policy|certificate)_keys?"
    r"|disk_encryption_key|key_(?:material|base64|jwk|contents?)|connection_strings?"
    r"|kube_configs?|sas_ur[il]s?|webhook_urls?|shared_access_signatures?|protected_settings"
    r"|secure_(?:values?|json_data|environment_variables)|(?:plain|clear)_text|pass_phrases?"
    r"|pem_bundle|basic_auths?|auth_(?:data|string)|pre_shared|private_(?:pem|uri)"
    r"|(?:session|auth)_cookies?|service_account_json|pkcs12(?:_base64)?|key_?stores?_(?:data|base64)"
    r")(?:_|$)"
)

_HARMLESS_FIRST: Final = _words(
    """
    enable enabled disable disabled manage managed get require required requires allow allowed
    rotate use uses create has is num number count must force generate auto automount skip
    ignore max maximum min minimum show hide block prevent support supports reset public
    """
)
"""A name that begins so is a setting: `get_password_data`, `enable_key_rotation`."""

_HARMLESS_LAST: Final = _words(
    """
    arn arns name names id ids identifier identifiers ref refs reference references version
    versions ttl type types policy policies spec specs enabled disabled required optional
    length size count counts min max limit limits fingerprint fingerprints thumbprint sha1
    sha256 sha512 md5 etag checksum digest url urls uri uris endpoint endpoints path paths
    expiry expiration expires expired expire lifetime lifespan at on date time timestamp
    duration days hour hours minute minutes second seconds period rotation rotated usage
    algorithm alg source
    status state format mode owner scope scopes audience audiences issuer issuers bits field
    header headers alias aliases class method prefix suffix hint validity created updated
    reset support location region provider engine backend age reuse prevention complexity
    cidrs cidr groups group role roles units unit unused interval window timeout schedule
    selector store namespace accessor recipient
    """
)
"""A name that ends so speaks about a secret: `token_ttl`, `password_policy`, `secret_arn`."""

_ALWAYS_SECRET: Final = frozenset(
    {
        "secret_id",
        "sas_url",
        "sas_uri",
        "webhook_url",
        "private_uri",
        "connection_string_alias",
    }
)
_NEVER_SECRET: Final = frozenset(
    {
        "http_tokens",
        "api_key_source",
        "customer_master_key_spec",
        "primary_key_name",
        "token_reviewer",
    }
)


@lru_cache(maxsize=16_384)
def is_secret_name(name: str) -> bool:
    """Whether an attribute, output, variable or key of this name holds a secret.

    Any spelling is understood: `db_password`, `dbPassword`, `DB-PASSWORD`. The name of a
    container speaks for everything in it.
    """
    words = _WORD.findall(_CAMEL.sub("_", name).lower())
    if not words:
        return False
    joined = "_".join(words)
    if joined in _ALWAYS_SECRET or any(joined.endswith(f"_{end}") for end in _ALWAYS_SECRET):
        return True
    if joined in _NEVER_SECRET or words[0] in _HARMLESS_FIRST or words[-1] in _HARMLESS_LAST:
        return False
    return (
        any(word in _SECRET_WORDS or _SECRET_WORD.fullmatch(word) for word in words)
        or (_SECRET_PHRASES.search(joined) is not None and "public" not in words)
        or _SECRET_WORD.fullmatch("".join(words)) is not None
    )


_PLAIN_NAMES: Final = _words(
    """
    username user loginname name id host hostname port engine dbname database
    region location endpoint type kind apiversion namespace email
    """
)


@lru_cache(maxsize=16_384)
def is_plain_name(name: str) -> bool:
    """Whether a value of this name is no secret in itself, even inside of a secret object.

    It is hidden where it stands, but not hunted for elsewhere.
    """
    return "".join(_WORD.findall(name.lower())) in _PLAIN_NAMES
