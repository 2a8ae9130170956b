"""Who there is and what was granted to whom: the administrator's objects, as one view.

Principals, grants, issuers, sinks and the settings of workspaces are small records, changed seldom
and asked for at each request. So all of them are held together, as they stood after some change,
and a number, the generation, tells whether that is still how things stand.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from proxy.access import Grant, Principal, Rights, Role, parse_workspace
from proxy.errors import InvalidInputError
from proxy.fields import FieldError, fields_of, read_fields
from proxy.retention import Retention
from proxy.retention import parse as parse_retention
from proxy.rules import MAX_RULE, check_rule, is_met

MAX_NAME: Final = 100
MAX_GLOBS: Final = 100
_MAX_SHOWN: Final = 80

# In Python "$" also matches before a line's end; in the published schema it does not.
_END: Final = r"$(?!\n)"
NAME_PATTERN: Final = rf"^[A-Za-z0-9][A-Za-z0-9._@+-]*{_END}"
# What no workspace's name can match, such as prod/ or /prod, would give or deny nothing, unnoticed.
GLOB_PATTERN: Final = rf"^[A-Za-z0-9._*?-]+(?:/[A-Za-z0-9._*?-]+)*{_END}"
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

Name: TypeAlias = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN,
        max_length=MAX_NAME,
        description="Letters, digits and any of `._@+-`, beginning with a letter or digit.",
    ),
]
Glob: TypeAlias = Annotated[
    str,
    Meta(
        pattern=GLOB_PATTERN,
        max_length=255,
        description="A workspace's name; `*` stands for anything, also `/`, and `?` for one sign. "
        "No name begins or ends with `/` or has `//` in it.",
    ),
]
Globs: TypeAlias = Annotated[tuple[Glob, ...], Meta(min_length=1, max_length=MAX_GLOBS)]
Text: TypeAlias = Annotated[str, Meta(max_length=500, pattern=rf"^[^\x00-\x1f\x7f]*{_END}")]
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"^[!-~]+{_END}")]
Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""What may sign an identity token: asymmetric algorithms alone (RFC 8725 section 3.1)."""

R = TypeVar("R")

Kind: TypeAlias = Literal["principal", "grant", "issuer", "workspace", "sink"]


class _Record(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all kinds have in common: unknown fields are refused by name, nothing is changed."""


class PrincipalRecord(_Record, frozen=True):
    """Somebody who is known by name: a person, or a program with an account.

    Attributes:
        name: unique; grants and tokens refer to it.
        kind: ``person`` may have a password, ``service`` may not.
        description: for people.
        certificates: subjects or alternative names of client certificates that prove this
            identity, each as ``CN=…,O=…``, ``DNS:…``, ``URI:…`` or ``EMAIL:…``.
        disabled: nothing is allowed, and nobody can log in, until it is enabled again.
    """

    name: Name
    kind: Literal["person", "service"] = "service"
    description: Text = ""
    certificates: Annotated[
        tuple[Annotated[str, Meta(min_length=4, max_length=500)], ...], Meta(max_length=20)
    ] = ()
    disabled: bool = False


class GrantRecord(_Record, frozen=True):
    """A role on some workspaces for a principal, or for whoever an issuer vouches for.

    Attributes:
        name: unique.
        principal: to whom; else ``issuer`` is given.
        issuer: whose identities; else ``principal`` is given.
        when: with ``issuer``: the rule that the identity's claims must meet, for example
            ``repository == "acme/infra" and ref == "refs/heads/main"``.
        role: what is given, or of a denial what is taken away.
        workspaces: globs.
        deny: takes away; a denial wins over everything that is given.
        sensitive_outputs: an ``outputs-reader`` also gets outputs marked as sensitive.
    """

    name: Name
    role: Role
    workspaces: Globs
    principal: Name | None = None
    issuer: Name | None = None
    when: Annotated[str, Meta(max_length=MAX_RULE)] = ""
    deny: bool = False
    sensitive_outputs: bool = False

    def __post_init__(self) -> None:
        """Check what concerns several fields; raises InvalidInputError."""
        if (self.principal is None) == (self.issuer is None):
            raise InvalidInputError("a grant is for a principal or for an issuer: name one of them")
        if self.principal is not None and self.when:
            raise InvalidInputError("when belongs to a grant for an issuer's identities")
        if self.issuer is not None:
            if not self.when:
                raise InvalidInputError(
                    "a grant for an issuer needs the rule that the claims must meet, for example "
                    "when = 'repository == \"acme/infra\"': anybody can be vouched for by a "
                    "public issuer"
                )
            check_rule(self.when)
        if self.sensitive_outputs and self.role is not Role.OUTPUTS_READER:
            raise InvalidInputError("sensitive_outputs belongs to the role outputs-reader")

    def grant(self) -> Grant:
        """Return what it gives or denies."""
        return Grant(self.role, self.workspaces, self.name, self.deny, self.sensitive_outputs)


class IssuerRecord(_Record, frozen=True):
    """A CI system, or another OpenID provider, whose identity tokens are believed.

    Attributes:
        name: unique; grants refer to it.
        url: the ``iss`` claim, and where its keys are found (OpenID Connect Discovery 1.0
            section 4); ``https``, or ``http`` on this machine.
        audience: values of ``aud`` that are meant for this server.
        algorithms: that may sign.
        claims: which claims are put on record, beside those that tell of a run by themselves.
        session_minutes: for so long at most lives a token of ours that an identity token can be
            exchanged for; 0 gives none. A run that takes longer than its identity token lives
            could not write its state otherwise.
        description: for people.
    """

    name: Name
    url: Annotated[str, Meta(max_length=500, pattern=rf"^https?://[!-~]+{_END}")]
    audience: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=20)]
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256")
    claims: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    session_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    description: Text = ""

    def __post_init__(self) -> None:
        """Check the address; raises InvalidInputError."""
        require_issuer_url(self.url)

    def is_meant(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether these are claims of this issuer for this server."""
        audience = claims.get("aud")
        found = audience if isinstance(audience, list) else [audience]
        return claims.get("iss") == self.url and any(each in self.audience for each in found)


def require_issuer_url(url: str) -> None:
    """Pass when keys can be fetched from there (OpenID Connect Discovery 1.0 section 3).

    Raises:
        InvalidInputError: it is no such address, or one whose answers anybody could forge.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username is not None or "?" in url or "#" in url:
        raise InvalidInputError(
            "the url of an issuer is its address alone, with no user, password, query or fragment"
        )
    if parts.scheme != "https" and not is_loopback(host):
        raise InvalidInputError(
            "the url of an issuer begins with https://: whoever is on the way could put their own "
            "keys into what comes by http://"
        )


def is_loopback(host: str) -> bool:
    """Tell whether a host of an address is this machine (RFC 6761 section 6.3)."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class WorkspaceRecord(_Record, frozen=True):
    """How one workspace is kept; one without a record has these defaults.

    Attributes:
        name: the workspace.
        description: for people.
        environment: a label such as ``production``.
        force_unlock: who may release a lock that somebody else holds: whoever has this role, or
            more, there.
        lock_alert_minutes: a lock held for longer needs attention; None never does.
        body_limit: bytes of a state, below the server's own limit; None is the server's.
        require_lock: an upload without a lock is refused.
        protected: states are written, and locked for that, by identities of an issuer alone.
        keep_versions: which versions of its state are kept, in place of what the server's
            ``[retention]`` says: ``20, 90d, last-of-run`` or ``all``, see ``retention.parse``.
            Empty is the server's.
        deleted: RFC 3339 UTC; nothing is given out or taken in. Set by a deletion.
        restorable_until: RFC 3339 UTC; till then it can be brought back. Set by a deletion.
        purged: its states are destroyed for good.
        destroyed_versions: so many of its first versions were destroyed by a purge. They stay in
            the record; the next first write gets the number after them.
    """

    name: Annotated[str, Meta(max_length=255)]
    description: Text = ""
    environment: Annotated[str, Meta(max_length=100, pattern=rf"^[A-Za-z0-9._-]*{_END}")] = ""
    force_unlock: Literal["writer", "operator", "admin"] = "operator"
    lock_alert_minutes: Annotated[int, Meta(ge=1, le=525_600)] | None = None
    body_limit: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    require_lock: bool = False
    protected: bool = False
    keep_versions: Annotated[str, Meta(max_length=100)] = ""
    deleted: str | None = None
    restorable_until: str | None = None
    purged: bool = False
    destroyed_versions: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        """Check the name and the rules of retention; raises InvalidInputError."""
        parse_workspace(self.name)
        if self.keep_versions:
            try:
                parse_retention(self.keep_versions)
            except InvalidInputError as error:
                raise InvalidInputError(f"keep_versions can't be used: {error}") from error

    @property
    def retention(self) -> Retention | None:
        """Which versions of its state are kept; None is what the server says."""
        return parse_retention(self.keep_versions) if self.keep_versions else None


class SinkRecord(_Record, frozen=True):
    """Where events go: one destination outside, fed from the log in its order.

    Attributes:
        name: unique.
        type: which kind of sink it is; ``tfaudit sink types`` lists them.
        options: of the type; a secret stands there by its name alone.
        filter: which entries it gets, as an event pattern of EventBridge; empty is all of them.
        enabled: it is paused otherwise; its place in the log is kept.
        start: index of the first entry that it gets (from 0); None begins with what happens after
            it was made. Fixed from then on: to give it older ones later, replay them.
        managed: ``configuration`` for one that the configuration file holds, and that is changed
            nowhere else.
        description: for people.
    """

    name: Name
    type: Word
    options: dict[str, Any] = {}
    filter: dict[str, Any] = {}
    enabled: bool = True
    start: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    managed: Literal["administration", "configuration"] = "administration"
    description: Text = ""


LIFE: Final = frozenset({"deleted", "restorable_until", "purged", "destroyed_versions"})
"""Fields of a workspace that follow from its deletion and purge, and that nobody sets."""

NOT_GIVEN: Final = LIFE | {"managed"}
"""Fields that follow from what was done, and that no body and no file gives."""

Record: TypeAlias = PrincipalRecord | GrantRecord | IssuerRecord | WorkspaceRecord | SinkRecord

RECORDS: Final[Mapping[str, type[Record]]] = {
    "principal": PrincipalRecord,
    "grant": GrantRecord,
    "issuer": IssuerRecord,
    "workspace": WorkspaceRecord,
    "sink": SinkRecord,
}
"""The kinds of objects that an administrator makes."""


class Object(NamedTuple):
    """One object as it is kept.

    Attributes:
        kind: a key of RECORDS.
        name: unique among the kind's.
        id: UUIDv7; another one if it is deleted and made again.
        created: RFC 3339 UTC.
        updated: RFC 3339 UTC.
        document: the record as JSON with sorted keys.
    """

    kind: str
    name: str
    id: str
    created: str
    updated: str
    document: bytes

    @property
    def record(self) -> Record:
        """The record."""
        return _decoded(self.kind, self.document)


@lru_cache(maxsize=16_384)
def _decoded(kind: str, document: bytes) -> Record:
    return msgspec.json.decode(document, type=RECORDS[kind])


@lru_cache(maxsize=8192)
def _unset(workspace: str) -> WorkspaceRecord:
    return WorkspaceRecord(name=workspace)


def _record(found: Object, of: type[R]) -> R:
    record = found.record
    if not isinstance(record, of):
        raise TypeError(f"{found.name} is a {found.kind}")
    return record


def document_of(record: Record) -> bytes:
    """Return the record as JSON with sorted keys: what is kept, and what its entry says."""
    return msgspec.json.encode(record, order="sorted")


def a_kind(kind: str) -> str:
    """Return a kind of objects with its article: ``an issuer``."""
    return f"an {kind}" if kind.startswith(("a", "e", "i", "o", "u")) else f"a {kind}"


def shown(found: Object) -> dict[str, Any]:
    """Return an object as the API and the command line show it."""
    members: dict[str, Any] = msgspec.to_builtins(found.record)
    return {"id": found.id, **members, "created": found.created, "updated": found.updated}


def difference(before: Record, after: Record) -> str:
    """Return what changed, for people: ``role writer -> admin, disabled no -> yes``."""
    old, new = (dict(_flat(msgspec.to_builtins(record))) for record in (before, after))
    return ", ".join(
        f"{name} {_in_words(old.get(name))} -> {_in_words(new.get(name))}"
        for name in dict.fromkeys([*new, *old])
        if not is_same(new.get(name), old.get(name))
    )


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields, and of what is an object its own: ``options.site``."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            text = " ".join(_element(each) for each in value)
        case _:
            text = "" if value is None else str(value)
    cut = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
    return cut or "nothing"


def _element(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def is_same(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same; to Python ``1`` and ``true`` would be."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def merged(value: object, patch: object) -> object:
    """Return a JSON value with a merge patch applied (RFC 7396 section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    fields = dict(value) if isinstance(value, Mapping) else {}
    for name, each in patch.items():
        if each is None:
            fields.pop(name, None)
        else:
            fields[name] = merged(fields.get(name), each)
    return fields


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes one object of another; empty when they are the same."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if name in before and is_same(old, value):
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            patch[name] = patch_of(old, value)
        else:
            patch[name] = value
    return patch


def read_record(kind: str, fields: Mapping[str, Any]) -> Record:
    """Return a record made of somebody's JSON.

    Args:
        kind: a key of RECORDS.
        fields: its attributes by name.

    Raises:
        InvalidInputError: names the field and what is wrong with it.
    """
    return _converted(dict(fields), RECORDS[kind], kind)


def changed_record(record: Record, changes: Mapping[str, Any]) -> Record:
    """Return the record with some fields changed; a name can't be.

    As a JSON merge patch does (RFC 7396): null takes a field away, which leaves its default, and
    of a field that is itself an object (``options``) the members are changed one by one.

    Raises:
        InvalidInputError: names the field and what is wrong with it.
    """
    kind = next(kind for kind, of in RECORDS.items() if isinstance(record, of))
    if changes.get("name", record.name) != record.name:
        raise FieldError(f"the name of {a_kind(kind)} can't be changed: make a new one", "name")
    fields: dict[str, Any] = msgspec.to_builtins(record)
    for name, value in changes.items():
        fields[name] = merged(fields.get(name), value)
    known = fields_of(RECORDS[kind])
    given = {
        name: value for name, value in fields.items() if value is not None or name not in known
    }
    return read_record(kind, given)


def _converted(fields: dict[str, Any], to: type[Record], kind: str) -> Record:
    # What __post_init__ raises would be wrapped if it were a ValueError; ours passes.
    record = read_fields(fields, to, kind, WORDS)
    name = record.name
    if not isinstance(record, WorkspaceRecord) and (_UUID.fullmatch(name) or name[:4] == "tfa_"):
        raise FieldError(
            f"the name of {a_kind(kind)} may not look like an ID or like a token", "name"
        )
    return record


WORDS: Final = {
    NAME_PATTERN: "letters, digits and any of '._@+-', beginning with a letter or digit",
    GLOB_PATTERN: "a workspace's name in which '*' stands for anything; it neither begins nor ends "
    "with '/', nor has '//' in it",
    rf"^https?://[!-~]+{_END}": "an address such as https://token.example.com",
    rf"^[^\x00-\x1f\x7f]*{_END}": "a text in one line, without control characters",
    rf"^[!-~]+{_END}": "a word without spaces",
    rf"^[A-Za-z0-9._-]*{_END}": "letters, digits and any of '._-'",
}
"""What the regular expressions of the records say, for people."""


class Directory:
    """All objects of one generation.

    Args:
        generation: rises with each change.
        objects: all of them.
    """

    def __init__(self, generation: int = 0, objects: Iterable[Object] = ()) -> None:
        self.generation = generation
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in RECORDS}
        for each in objects:
            self._objects[each.kind][each.name] = each
        self._by_id: dict[str, Object] = {}
        for of in self._objects.values():
            self._by_id.update({each.id: each for each in of.values()})
        self._granted: dict[str, list[GrantRecord]] = {}
        self._vouched: dict[str, list[GrantRecord]] = {}
        for each in self._objects["grant"].values():
            grant = _record(each, GrantRecord)
            if grant.principal is not None:
                self._granted.setdefault(grant.principal, []).append(grant)
            elif grant.issuer is not None:
                self._vouched.setdefault(grant.issuer, []).append(grant)
        self._certified = {
            name: each
            for each in self._objects["principal"].values()
            for name in self.principal_record(each).certificates
        }
        self._issuing = {
            _record(each, IssuerRecord).url: each for each in self._objects["issuer"].values()
        }

    @staticmethod
    def principal_record(found: Object) -> PrincipalRecord:
        """Return the record of an object that is a principal."""
        return _record(found, PrincipalRecord)

    @staticmethod
    def issuer_record(found: Object) -> IssuerRecord:
        """Return the record of an object that is an issuer."""
        return _record(found, IssuerRecord)

    @staticmethod
    def sink_record(found: Object) -> SinkRecord:
        """Return the record of an object that is a sink."""
        return _record(found, SinkRecord)

    def sinks(self) -> list[tuple[Object, SinkRecord]]:
        """Return all sinks with their records, by name."""
        return [(each, self.sink_record(each)) for each in self.objects("sink")]

    def objects(self, kind: str) -> list[Object]:
        """Return all objects of a kind, by name."""
        return [each for _, each in sorted(self._objects[kind].items())]

    def get(self, kind: str, name_or_id: str) -> Object | None:
        """Return the object of this name, or of this ID."""
        found = self._objects[kind].get(name_or_id)
        if found is None:
            known = self._by_id.get(name_or_id)
            found = known if known is not None and known.kind == kind else None
        return found

    def workspace(self, name: str) -> WorkspaceRecord:
        """Return how a workspace is kept."""
        found = self._objects["workspace"].get(name)
        if found is None:
            return _unset(name)
        return _record(found, WorkspaceRecord)

    def is_set(self, workspace: str) -> bool:
        """Tell whether a workspace was made ahead, or its settings were ever changed."""
        return workspace in self._objects["workspace"]

    def issuer_by_url(self, url: str) -> Object | None:
        """Return the issuer whose ``iss`` claim this is, to the letter."""
        return self._issuing.get(url)

    def certified(self, name: str) -> Object | None:
        """Return the principal that a certificate with this subject or alternative name proves."""
        return self._certified.get(name)

    def grants_to(self, principal: str) -> list[GrantRecord]:
        """Return the grants of a principal, by its name."""
        return self._granted.get(principal, [])

    def grants_by(self, issuer: str) -> list[GrantRecord]:
        """Return the grants to identities of an issuer, by its name."""
        return self._vouched.get(issuer, [])

    # ------------------------------------------------------------ rights

    def enabled(self, principal_id: str) -> Object | None:
        """Return the principal of this ID, if there is one and it is not disabled."""
        found = self._by_id.get(principal_id)
        if found is None or found.kind != "principal" or self.principal_record(found).disabled:
            return None
        return found

    def rights_of(self, principal_id: str, scope: Grant | None = None) -> Rights:
        """Return what a principal may, perhaps narrowed by a token; nothing when it is disabled."""
        found = self.enabled(principal_id)
        grants = () if found is None else self.grants_to(found.name)
        return Rights([each.grant() for each in grants], scope)

    def rights_for(self, issuer: str, claims: Mapping[str, Any]) -> Rights:
        """Return what an identity with these claims may.

        A rule that asks for a claim that is not there gives nothing, and denies.
        """
        return Rights(
            each.grant()
            for each in self.grants_by(issuer)
            if is_met(each.when, claims, in_doubt=each.deny)
        )

    def is_still_so(self, principal: Principal) -> bool:
        """Tell whether the principal is still known and may what it was found to.

        Args:
            principal: as found by a directory of this or an earlier generation.
        """
        if principal.generation is None or principal.generation == self.generation:
            return True
        if principal.kind == "certificate":
            known = self.certified(principal.claims["certificate"])
            if known is None or known.id != principal.holder:
                return False
        if principal.issuer:
            found = self._objects["issuer"].get(principal.issuer)
            return (
                found is not None
                and _record(found, IssuerRecord).is_meant(principal.all_claims)
                and self.rights_for(principal.issuer, principal.all_claims) == principal.rights
            )
        return (
            self.enabled(principal.holder) is not None
            and self.rights_of(principal.holder, principal.rights.scope) == principal.rights
        )


EMPTY: Final = Directory()
