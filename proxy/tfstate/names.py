"""What the name of an attribute, output, variable or key tells about its value.

Marks and the knowledge table are better where they know the type; names decide everywhere else:
in types that nobody listed, in maps, in documents inside of texts. How well they do is measured on
the table, see `docs/redaction-names.md`.
"""

import re
from functools import lru_cache
from string import digits
from typing import Final


def _words(text: str) -> frozenset[str]:
    """A set written as text, many words a line."""
    return frozenset(text.split())


_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[a-z0-9]+")

_LOOKED_AT: Final = 200
"""Characters at the end of a name that are looked at; nobody gives a longer one."""

_SECRET_ENDS: Final = tuple(
    end + plural
    for end in sorted(
        _words(
            """
            password passwort passwd passphrase passcode secret token credential apikey secretkey
            privatekey accesskey authkey sharedkey kubeconfig connectionstring connstr bindpass
            userpass rootpass adminpass dbpass smtppass mailpass dbpw requirepass masterauth
            """
        )
    )
    for plural in ("", "s")
)
"""A word that ends so is a secret, glued to others or not: `dbpassword`, `tokens`, `secret2`."""

_SECRET_WORDS: Final = _words(
    """
    pass pwd pw psk pin jwt jwk sas dsn creds cred bearer htpasswd plaintext passkey otp totp
    pfx p12 pkcs12 keytab mnemonic
    """
)

_SECRET_LAST: Final = _words("sk pat salt")
"""The same, but only at the end of a longer name: `STRIPE_SK`, `GITHUB_PAT`; `sk` is no secret."""

_SECRET_KEYS: Final = (
    "access secret private api app auth authorization account storage shared pre_?shared master"
    " client encryption decryption signing service license licence primary secondary raw ssl tls"
    " sp sas mac hmac session integration stream instrumentation insights admin function"
    " subscription tsig dkim_private service_principal service_role data wrapping unseal recovery"
    " consumer customer user rsa aes symmetric https genie ops_routing policy certificate"
    " application anon fernet server sdk ingest ingestion send segment_write extension"
    " extension_config workspace validation pairing publisher read_?only metrics_publisher eab"
).replace(" ", "|")

_SECRET_PHRASES: Final = re.compile(
    rf"_(?:erlang_cookie|rediscli_auth|(?:{_SECRET_KEYS})_keys?(?:_[0-9])?"
    r"|disk_encryption_key|key_(?:material|base64|jwk|contents?|pem|data|details)"
    r"|connection_strings?|conn_str|(?:kube|talos)_(?:admin_|user_)?configs?(?:_raw)?|docker_?config_?json"
    r"|sas_ur[il]s?|webhook_ur[il]s?|(?:slack|discord|teams|incoming)_webhooks?"
    r"|shared_access_signatures?|protected_(?:settings|parameters?)"
    r"|secure_(?:values?|json_data|environment_variables)|(?:plain|clear)_text|pass_phrases?"
    r"|pem_bundle|basic_auths?|auth_(?:data|string|code)|authorization_(?:code|header)"
    r"|(?:http|proxy|basic)_authorization|pre_shared|private_(?:pem|uri)"
    r"|(?:session|auth)_cookies?|set_cookie|service_account_json|key_?stores?_(?:data|base64)"
    r")_"
)
"""Words that make a secret together."""

_HARMLESS_FIRST: Final = _words(
    """
    enable enabled disable disabled manage managed get require required requires allow allowed
    rotate use uses create has is num number count must force generate auto automount skip
    ignore max maximum min minimum show hide block prevent support supports reset public existing
    retain discard store validate
    """
)
"""A name that begins so is a setting: `get_password_data`, `enable_key_rotation`."""

_HARMLESS_LAST: Final = _words(
    """
    arn arns name names id ids identifier identifiers ref refs reference references version
    versions ttl type types policy policies spec specs enabled disabled required optional
    length size count counts min max limit limits fingerprint fingerprints thumbprint sha1
    sha256 sha512 md5 etag checksum digest url urls uri uris endpoint endpoints path paths
    file files filename dir directory expiry expiration expires expired expire lifetime lifespan
    at on date time timestamp duration days hour hours minute minutes second seconds period
    rotation rotated usage algorithm alg source
    status state format mode owner scope scopes audience audiences issuer issuers bits field
    header headers alias aliases class method prefix suffix hint validity created updated
    reset support location region provider engine backend age reuse prevention complexity
    cidrs cidr groups group role roles units unit unused interval window timeout schedule
    selector store namespace accessor recipient
    config configuration configurations option options setting settings rule rules strategy
    selection expression only list generation properties domains domain message manager
    management authentication protection history strength change changed encryption recovery login
    exchange revocation introspection review process claim claims template templates action
    actions storage trigger triggers param parameter description label labels title tag tags
    username uses
    """
)
"""A name that ends so speaks about a secret: `token_ttl`, `password_policy`, `secret_arn`."""

_ALWAYS_SECRET: Final = re.compile(
    r"_(?:sas_ur[il]|webhook_ur[il]|private_uri|connection_string_alias|basic_authentication"
    r"|(?:kube|talos)_?(?:admin_|user_)?config|docker_?config_?json|auth(?:orization)?_header"
    r"|protected_(?:settings|parameter)|(?:approle|role|token|vault|wrapped)_secret_id)_\Z"
    r"|\A_(?:secret_id|sensitive_(?:config_vars|parameters?|settings|headers))_\Z"
)
"""Secrets, though they end like a setting or a reference."""
_NEVER_SECRET: Final = re.compile(
    r"\A_(?:http_tokens|api_key_source|customer_master_key_spec|primary_key_name|token_reviewer"
    r"|image_pull_secrets?|(?:existing_|secret_)?(?:[a-z]+_)?password_key|tokens?_(?:per|to|for|in|bucket)_.*)_\Z"
    r"|_kms_(?:[a-z0-9]+_){0,3}keys?_"
    r"|_(?:creation|lock|update|version|dkim|next|page|continuation|sync|input|output|prompt"
    r"|completion|total|context|cached|budget)_tokens?_\Z|_per_token_\Z"
)
"""Settings, references and public values, though they end like a secret."""


@lru_cache(maxsize=16_384)
def is_secret_name(name: str) -> bool:
    """Whether an attribute, output, variable or key of this name holds a secret.

    Any spelling is understood: `db_password`, `dbPassword`, `DB-PASSWORD`. The name of a
    container speaks for everything in it.
    """
    words = _WORD.findall(_CAMEL.sub("_", name[-_LOOKED_AT:]).lower())
    if not words:
        return False
    joined = f"_{'_'.join(words)}_"
    if _ALWAYS_SECRET.search(joined) is not None:
        return True
    if (
        words[0] in _HARMLESS_FIRST
        or words[-1] in _HARMLESS_LAST
        or _NEVER_SECRET.search(joined) is not None
    ):
        return False
    return (
        any(word in _SECRET_WORDS or _ends_secret(word) for word in words)
        or (len(words) > 1 and _is_secret_end(words))
        or joined == "_authorization_"
        or (_SECRET_PHRASES.search(joined) is not None and "public" not in words)
        or _ends_secret("".join(words))
    )


def _is_secret_end(words: list[str]) -> bool:
    """Whether the first or last of several words makes a secret of the others."""
    return (
        words[-1] in _SECRET_LAST
        or words[0] == "sensitive"
        or (words[-1] == "sensitive" and words[-2] not in {"case", "is"})
    )


def _ends_secret(word: str) -> bool:
    """Whether a word, or what is glued together in it, ends like a secret; numbers don't count."""
    return word.rstrip(digits).endswith(_SECRET_ENDS)


_PLAIN_NAMES: Final = _words(
    """
    apiversion database dbname issuer namespace owner principal resource
    firstname lastname middlename mobile subject tenant
    """
)
_PLAIN_LAST: Final = _words(
    """
    arn ca cas cert certificate certs certificates chain checksum cloud date dn email emails
    endpoint engine fingerprint host hostname hosts id identifier identity ids issuer kid kind
    location name names port protocol region scheme serial server servername sha1 sha256 sha512
    status thumbprint type user username usernames users version zone
    """
)
"""A name that ends so is public or shared by many: a certificate, a user, a host, an ID."""

_NEVER_PLAIN: Final = re.compile(
    r"(?:secret_?id|pfx|p12|pkcs12|keytab|wallet|private(?!_key_id)|session_id|chat_id|webhook)"
)


@lru_cache(maxsize=16_384)
def is_plain_name(name: str) -> bool:
    """Whether a value of this name is no secret in itself, even inside of a secret object.

    Such as a user's name, a host, a certificate, an ID. It is hidden where something secret is
    hidden as a whole, but not hunted for elsewhere, else half of a record would be hidden.
    """
    words = _WORD.findall(_CAMEL.sub("_", name[-_LOOKED_AT:]).lower())
    if not words or _NEVER_PLAIN.search("_".join(words)) is not None:
        return False
    if words[-1] in {"pem", "content", "base64", "wo", "data"} and len(words) > 1:
        words.pop()  # what it is comes before how it is written
    return (words[-1] in _PLAIN_LAST or "".join(words) in _PLAIN_NAMES) and not is_secret_name(name)
