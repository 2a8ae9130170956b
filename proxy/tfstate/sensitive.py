"""Which values are secret: what a state marks, and what the names of attributes tell.

A mark proves a secret; its absence proves nothing, since states below Terraform 1.8 mark hardly
anything and providers forget. So names decide as well, and in doubt a value is a secret. What
must stay readable is listed by name beside it.

Marks: Terraform `statefile/version4.go: unmarshalPaths` and `pathStep`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

ANY_INDEX: Final = -1
"""The step that stands for every index: elements move, so a mark on one is a mark on all."""

MarkPath: TypeAlias = tuple[str | int, ...]
"""The steps to a secret value; an index is always `ANY_INDEX`. Empty: all of it is secret."""


@dataclass(slots=True)
class Marks:
    """Paths to secret values as a tree; everything below a marked place is secret too."""

    secret: bool = False
    inner: dict[str | int, "Marks"] = field(default_factory=dict)

    def add(self, path: MarkPath) -> None:
        """Mark one path."""
        node = self
        for step in path:
            node = node.inner.setdefault(step, Marks())
        node.secret = True

    def at(self, step: str | int) -> "Marks | None":
        """The marks below one step, or None if there are none."""
        inner = self.inner
        if not inner:
            return None
        found = inner.get(step)
        if found is None and ANY_INDEX in inner and normal_step(step) == ANY_INDEX:
            found = inner[ANY_INDEX]
        return found

    def contradicts(self, value: object) -> bool:
        """Whether marks lie inside a value that has no such inside: it changed its type.

        Then the marked part may be anywhere in it, so all of it must be hidden.
        """
        if not self.inner or value is None:
            return False
        if isinstance(value, dict):
            return not any(isinstance(step, str) for step in self.inner) and bool(value)
        if isinstance(value, list):
            return ANY_INDEX not in self.inner and bool(value)
        return True


def normal_step(step: str | int) -> str | int:
    """A step as marks have it; numbers written as keys are indexes too, as in a flat map."""
    if isinstance(step, int) or (step.isascii() and step.isdecimal()):
        return ANY_INDEX
    return step


def mark_paths(sensitive_attributes: object) -> Iterable[MarkPath]:
    """The paths of a decoded `sensitive_attributes`.

    A path that can't be understood marks the place up to which it could be: at worst everything.
    """
    if sensitive_attributes is None:
        return
    if not isinstance(sensitive_attributes, list):
        yield ()
        return
    for path in sensitive_attributes:
        yield _mark_path(path)


def _mark_path(path: object) -> MarkPath:
    """One path, cut before the first step that can't be understood."""
    steps: list[str | int] = []
    for step in path if isinstance(path, list) else ():
        value = step.get("value") if isinstance(step, dict) else None
        if isinstance(value, dict):  # an index step: {"value": 0, "type": "number"}
            value = value.get("value")
        if isinstance(value, bool) or not isinstance(value, str | int):
            break
        steps.append(normal_step(value))
    return tuple(steps)


# ---------------------------------------------------------------- names


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

_STORE_TYPE: Final = re.compile(r"secret|ssm_parameter|password|credential")
_STORE_ATTRIBUTES: Final = _words(
    """
    value value_wo insecure_value data data_json data_wo string_data binary_data secret_string
    secret_binary secret_data plaintext result bcrypt_hash content payload
    """
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


@lru_cache(maxsize=4_096)
def implied_marks(resource_type: str) -> tuple[MarkPath, ...]:
    """What is secret in every object of a type, though its state never marks it.

    `terraform_remote_state` keeps the whole configuration of a backend, its password included.
    Types whose name says that they store secrets keep them under names that say nothing.
    """
    if resource_type == "terraform_remote_state":
        return (("config",), ("defaults",))
    if _STORE_TYPE.search(resource_type):
        return tuple((name,) for name in sorted(_STORE_ATTRIBUTES))
    return ()


# ---------------------------------------------------------------- values

_TOKENS: Final = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY"
    r"(?: BLOCK)?-----|\Z)"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|hv[sbr]\.[A-Za-z0-9_-]{20,}|tfa_[A-Za-z0-9]{20,}"
)
# From the beginning of a word on, whatever is glued to the token: if a run of "eyJ" were tried at
# each of them, it would cost the square of its length.
_JWT: Final = (
    r"(?<![A-Za-z0-9_-])(?:(?!eyJ)[A-Za-z0-9_-])*+"
    r"eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]+"
)
_USERINFO: Final = r"[^/\s:@\"']*:[^/\s@\"']+(?=@)"
_SECRET_SHAPES: Final = re.compile(f"{_TOKENS}|{_JWT}|(?<=://){_USERINFO}", re.DOTALL)

_find_token: Final = re.compile(_TOKENS, re.DOTALL).search
_find_jwt: Final = re.compile(_JWT).search
_find_userinfo: Final = re.compile(f"://{_USERINFO}").search
_find_userinfo_bytes: Final = re.compile(f"://{_USERINFO}".encode()).search
_BEGINNINGS: Final = (
    b"-----BEGIN ",
    *(b"gh%c_" % kind for kind in b"pousr"),
    b"github_pat_",
    b"glpat-",
    b"xox",
    *(b"hv%c." % kind for kind in b"sbr"),
    b"tfa_",
    b"eyJ",
)
"""How each token begins."""

_RANDOM_CHARACTERS: Final = 16
_RANDOM: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/=_!@#$%^&*.~-]{16,}")
_READABLE: Final = re.compile(
    r"arn:[\w-]+:.*|projects/.*|/subscriptions/.*|organizations/.*"
    r"|https://[\w.-]+\.vault\.azure\.net/.*",
    re.DOTALL,
)

_COMMON: Final = _words(
    """
    true false null none yes no on off enabled disabled default password passwords secret
    secrets token tokens username administrator credentials required optional standard
    localhost opaque string number value private public
    """
)
_PUBLIC_BEGINNINGS: Final = ("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "ssh-")
_PLACE: Final = re.compile(r"[a-z]{2}(?:-[a-z]+){1,2}-?[0-9][a-z]?|[a-z]+-[a-z]+[0-9]+(?:-[a-z])?")


def has_shape(text: str) -> bool:
    """Whether something in a text gives itself away as a secret.

    The patterns begin with letters, or are tried where such letters stand, so that the search is
    fast; the one that replaces begins with a look behind.
    """
    return (
        _find_token(text) is not None
        or ("://" in text and _find_userinfo(text) is not None)
        or ("eyJ" in text and _find_jwt(text) is not None)
    )


def may_have_shape(body: bytes) -> bool:
    """The same of many texts at once, in JSON with no more escapes than it must have.

    False is certain, True is not.
    """
    return any(map(body.__contains__, _BEGINNINGS)) or (
        b"://" in body and _find_userinfo_bytes(body) is not None
    )


def replace_shapes(text: str, replacement: Callable[[re.Match[str]], str]) -> str:
    """Replace what gives itself away as a secret: private keys, tokens, passwords in URLs."""
    return _SECRET_SHAPES.sub(replacement, text) if has_shape(text) else text


def is_random(text: str) -> bool:
    """Whether a key looks drawn at random, as no name that a person gave does."""
    return (
        len(text) >= _RANDOM_CHARACTERS
        and _RANDOM.fullmatch(text) is not None
        and not is_reference(text)
    )


def is_reference(text: str) -> bool:
    """Whether a text only says where a secret is kept; names alone never hide such a one."""
    return _READABLE.fullmatch(text) is not None


def is_public(text: str) -> bool:
    """Whether a text is so common that finding it elsewhere says nothing about a secret."""
    return (
        text.lower() in _COMMON
        or _PLACE.fullmatch(text) is not None
        or is_reference(text)
        or text.startswith(
            ("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "ssh-rsa ")
        )
    )
