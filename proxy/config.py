"""From tfaudit.toml and the environment to one frozen Config, with every mistake named at once."""

import dataclasses
import hmac
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

import msgspec

from proxy.directory import NOT_GIVEN, SinkRecord, read_record
from proxy.errors import ConfigError, InvalidInputError
from proxy.fields import fields_of, mistakes_in
from proxy.retention import MOST, Retention, parse_period
from proxy.tfstate.policy import (
    LIMIT_BYTES,
    MODES,
    Policy,
    is_literal,
    pattern_mistake,
    size_of,
    value_mistake,
)
from proxy.tlog.witnessing import ListedWitness, parse_listed

T = TypeVar("T")
Network = IPv4Network | IPv6Network

DEFAULT_FILE = Path("tfaudit.toml")
"""Read from the working directory when no other file is named."""

PREFIX = "TFAUDIT_"
FILE_VARIABLE = "TFAUDIT_CONFIG"
"""Names the configuration file when the command line does not."""

CLIENT_TOKEN = "TFAUDIT_TOKEN"  # noqa: S105 - the variable's name
"""What the command line proves itself with to a server; no setting, and read by nothing else."""

SECRET_PREFIX = f"{PREFIX}SECRET_"
"""Begins the variables that give sinks' secrets by their names, or with ``_FILE`` files of them."""

SECRET_PATTERN = r"^[a-z][a-z0-9_]*$(?!\n)"  # noqa: S105 - the form of a name
"""Names of sinks' secrets: also of files, so that no name leads out of a directory."""

SINKS_VARIABLE = "TFAUDIT_SINKS"
ANCHORS_VARIABLE = "TFAUDIT_ANCHORS"
"""Hold tables of ``[sinks]`` and ``[anchors]``, each as one JSON object, for whoever has no
configuration file."""

_ANCHOR_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

_MAX_SECRET_FILE = 65_536
_MAX_SINK_NAME = 100

# Kubernetes puts addresses of services into every container's environment; a service that is
# named tfaudit must not look like a mistake of whoever wrote the configuration.
_SERVICE_LINK = re.compile(
    r"TFAUDIT_(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)"
)
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://")


class _WrongValueError(Exception):
    """What is wrong with a value, worded to be read after the name of its key."""


class Secret:
    """A text that must not show in a log, a traceback or a printed Config."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; whoever calls answers for where it goes."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret has no business as a key


def _setting(default: T, **rules: Any) -> T:  # noqa: ANN401 - each rule has its own type
    """Declare a field with the rules its value must keep.

    They are low, high, above, choices, pattern; what finds a mistake in a text, or in each text of
    a list (``mistake``); and what parts these in the environment (``separator``, else a comma).
    """
    value: T = field(default=default, metadata=rules)
    return value


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """``[server]``: how requests come in."""

    # Address to listen on; 0.0.0.0 or :: for all.
    host: str = _setting("127.0.0.1", pattern=r"[^\s/]+")
    # TCP port; 0 lets the system choose one.
    port: int = _setting(8920, low=0, high=65_535)
    # PEM file with the server's certificate chain; empty serves plain HTTP.
    certificate: Path | None = None
    # PEM file with the certificate's private key.
    private_key: Path | None = None
    # PEM file with the CA certificates whose client certificates prove who is asking; HTTPS only.
    client_ca: Path | None = None
    # PEM file with the revocation lists of those CAs, one of each; read anew when it changes.
    client_crl: Path | None = None
    # Whether a connection without a client certificate is refused, also one with a token.
    require_client_certificate: bool = False
    # Addresses or networks of proxies whose X-Forwarded-For is believed.
    trusted_proxies: tuple[Network, ...] = ()
    # Header in which those proxies pass the client certificate that they verified, and which they
    # take away from whatever a client sends; empty believes none.
    client_certificate_header: str = _setting("", pattern=r"[A-Za-z0-9-]*")
    # What that header holds: `rfc9440` (`:base64:`), `pem` in percent-encoding (nginx's
    # `$ssl_client_escaped_cert`), or only the `subject` (nginx's `$ssl_client_s_dn`).
    client_certificate_form: str = _setting("rfc9440", choices=("rfc9440", "pem", "subject"))
    # Largest request body, bytes.
    body_limit: int = _setting(1 << 30, low=1)
    # How long an idle connection is kept open, seconds.
    keepalive: float = _setting(120.0, low=0)
    # How long an upload may pause, seconds.
    upload_idle_timeout: float = _setting(60.0, above=0)
    # How long an upload may take in all, seconds.
    upload_timeout: float = _setting(900.0, above=0)
    # How long a stopping server waits for running requests, seconds.
    shutdown_timeout: float = _setting(30.0, low=0)
    # Longest wait that `?wait=` on a lock address may ask for, seconds.
    lock_wait_limit: float = _setting(3600.0, low=0, high=3600)
    # Whether an upload without a lock may lower the serial or change the lineage.
    accept_unlocked_force: bool = False
    # Whether events are forwarded to the sinks; false for a drill on a restored copy, whose sinks
    # would send to the real receivers.
    forward: bool = True


@dataclass(frozen=True, slots=True)
class DataConfig:
    """``[data]``: where everything is kept."""

    # Directory of the database and the keys; made on the first start.
    directory: Path = Path("tfaudit-data")
    # How long a deleted workspace can be restored, days; then its states are destroyed.
    deletion_grace: float = _setting(30.0, low=0, high=36_500)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.directory / "tfaudit.db"

    @property
    def keys(self) -> Path:
        """The directory of the keys."""
        return self.directory / "keys"

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint as it was known outside the database."""
        return self.directory / "checkpoint.last"

    @property
    def cosigned_checkpoint(self) -> Path:
        """The newest checkpoint that enough witnesses cosigned."""
        return self.directory / "checkpoint.cosigned"


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """``[keys]``: keys from elsewhere than the data directory.

    Each comes from the environment (``TFAUDIT_KEYS_ENTRY``) or from a file that the environment
    or tfaudit.toml names (``TFAUDIT_KEYS_ENTRY_FILE``, ``entry_file``); None means the data
    directory.
    """

    # Ed25519 private key that signs entries, PEM (PKCS #8).
    entry: Secret | None = None
    # Ed25519 private key that signs checkpoints, PEM (PKCS #8).
    checkpoint: Secret | None = None
    # Key of the commitments that stand for redacted values, base64 of 32 bytes.
    redaction: Secret | None = None
    # Key that wraps the keys of the stored states, base64 of 32 bytes.
    master: Secret | None = None
    # Program that signs entries with a key it keeps, with its arguments: see docs/keys.md.
    entry_command: str = ""
    # Public key that it signs entries with, base64 of 32 bytes.
    entry_public: str = ""
    # Program that signs checkpoints with a key it keeps, with its arguments: see docs/keys.md.
    checkpoint_command: str = ""
    # Public key that it signs checkpoints with, base64 of 32 bytes.
    checkpoint_public: str = ""
    # Seconds in which such a program must give a signature; requests wait for it.
    command_timeout: float = _setting(5.0, above=0, high=60)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """``[log]``: the program's own log on stderr."""

    # Least important level that is shown.
    level: str = _setting("info", choices=("debug", "info", "warning", "error"))
    # Lines for people, or one JSON object a line.
    format: str = _setting("console", choices=("console", "json"))


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """``[audit]``: the audit log."""

    # The log's name in its checkpoints; empty makes one on the first start.
    origin: str = _setting("", pattern=r"[!-*,-~]{0,255}")
    # Failed logins are counted over so many seconds.
    flood_window: float = _setting(60.0, above=0)
    # So many failed logins of one address in a window get an entry each; the rest are counted.
    flood_immediate: int = _setting(10, low=1, high=1000)
    # Whether anybody may read the whole log, with all that its entries say, as tiles (`/tile/`);
    # else `log:read` is wanted, and for entries on all workspaces.
    public_log: bool = False
    # Further tiles that somebody reads are counted over so many seconds.
    reading_window: float = _setting(60.0, above=0)


def _witness_mistake(text: str) -> str | None:
    """Return what is wrong with a witness, to be read after it; None if nothing."""
    try:
        parse_listed(text)
    except InvalidInputError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class WitnessConfig:
    """``[witness]``: others who vouch that the log only grew (C2SP tlog-witness)."""

    # The witnesses to ask, each as its address, a space, and its key (`tfaudit witness key`).
    ask: tuple[str, ...] = _setting((), mistake=_witness_mistake)
    # So many of them must cosign a checkpoint; 0 wants all.
    quorum: int = _setting(0, low=0)
    # Seconds between two times that they are asked about the newest checkpoint.
    interval: float = _setting(5.0, low=0.1, high=3600)

    @property
    def listed(self) -> tuple[ListedWitness, ...]:
        """The witnesses to ask."""
        return tuple(map(parse_listed, self.ask))

    @property
    def wanted(self) -> int:
        """How many cosignatures are wanted."""
        return self.quorum or len(self.ask)


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """``[auth]``: how somebody proves who they are."""

    # PEM file of authorities that issuers' certificates may be from, beside those of the system.
    issuer_ca: Path | None = None
    # A person's session ends when it was not used for so many seconds.
    session_idle: float = _setting(1800.0, low=60, high=86_400)
    # A person's session ends so many seconds after the login, however much it is used.
    session_lifetime: float = _setting(43_200.0, low=60, high=2_592_000)
    # So many wrong passwords for one account from one address, and further tries are refused for a
    # while; of all accounts from one address 4 times, of one account from everywhere 10 times.
    lockout_after: int = _setting(5, low=2, high=100)
    # How long the first such refusal lasts, seconds; each further one lasts twice as long.
    lockout_first: float = _setting(30.0, low=1, high=3600)
    # How long such a refusal lasts at most, seconds.
    lockout_longest: float = _setting(900.0, low=1, high=3600)


@dataclass(frozen=True, slots=True)
class RedactionConfig:
    """``[redaction]``: what is hidden in the record, beyond what tfaudit knows by itself.

    The server's start puts it in force, on record; the command line uses what is in force.
    """

    # `standard` hides secrets, `strict` every value, `names-only` leaves out values altogether.
    mode: str = _setting("standard", choices=MODES)
    # Places that are hidden too, as TYPE.PATH (a resource type, never an address), such as
    # `*.internal_note` or `output.NAME`: at any depth below the type.
    hidden: tuple[str, ...] = _setting((), mistake=pattern_mistake)
    # Places, from the type on, that are shown though their names sound secret; never what the
    # state itself marks, nor a value that is a secret elsewhere.
    readable: tuple[str, ...] = _setting((), mistake=pattern_mistake)
    # Regular expressions (RE2) of values that are hidden wherever they stand; in the environment
    # one a line.
    hidden_values: tuple[str, ...] = _setting((), mistake=value_mistake, separator="\n")

    def policy(self) -> Policy:
        """Return what these settings say."""
        return Policy(self.mode, self.hidden, self.readable, self.hidden_values)  # type: ignore[arg-type] # one of MODES


def _period_mistake(text: str) -> str | None:
    """Return what is wrong with a length of time, to be read after its key; None if nothing."""
    try:
        parse_period(text)
    except InvalidInputError as error:
        return f"can't be used: {error}"
    return None


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """``[retention]``: which versions of states are kept.

    A version that none of these keys keeps is destroyed; as long as none is set, everything is
    kept. The newest version always stays, and the one that the run under way began with. A
    workspace's own setting (`tfaudit workspace update --keep-versions`) takes their place.
    """

    # So many of the newest versions of each state are kept; 0 says nothing.
    versions: int = _setting(0, low=0, high=MOST)
    # Versions that were written in the last so long are kept, such as `90d`; empty says nothing.
    versions_for: str = _setting("", mistake=_period_mistake)
    # Whether the last version of each run is kept, however old: what was written under one lock
    # is a run, and so is each write without one.
    versions_last_of_run: bool = False

    @property
    def rules(self) -> Retention:
        """What these settings say."""
        return Retention(
            self.versions or None,
            parse_period(self.versions_for) if self.versions_for else None,
            self.versions_last_of_run,
        )


@dataclass(frozen=True, slots=True)
class SecretsConfig:
    """``[secrets]``: what sinks prove themselves with, each secret by its name.

    The secret ``datadog_api_key`` is the value of ``TFAUDIT_SECRET_DATADOG_API_KEY``, or what the
    file holds that ``TFAUDIT_SECRET_DATADOG_API_KEY_FILE`` names, or what the file
    ``datadog_api_key`` in the directory holds. Files are read each time a sink is opened.
    """

    # Directory with a file for each secret, which is named as the secret and holds nothing else;
    # empty: `secrets` in the data directory.
    directory: Path | None = None


@dataclass(frozen=True, slots=True)
class NamedSecrets:
    """What the environment says of sinks' secrets.

    Attributes:
        values: the secret by its name.
        files: a file that holds it, by its name.
    """

    values: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set.

    Attributes:
        named_secrets: of sinks, from the environment; no section.
        sinks: the tables ``[sinks.NAME]``, by name; no section.
        anchors: the tables ``[anchors.NAME]``, by name, as they stand there but for their paths,
            which are whole; what they may say is checked by ``proxy.anchors``. No section.
    """

    server: ServerConfig = field(default_factory=ServerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    log: LogConfig = field(default_factory=LogConfig)
    audit: AuditConfig = field(default_factory=AuditConfig)
    witness: WitnessConfig = field(default_factory=WitnessConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    redaction: RedactionConfig = field(default_factory=RedactionConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    secrets: SecretsConfig = field(default_factory=SecretsConfig)
    named_secrets: NamedSecrets = field(default_factory=NamedSecrets)
    sinks: Mapping[str, SinkRecord] = field(default_factory=lambda: MappingProxyType({}))
    anchors: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def secrets_directory(self) -> Path:
        """The directory of sinks' secrets."""
        return self.secrets.directory or self.data.directory / "secrets"


SECTIONS: Mapping[str, Any] = {
    name: of
    for name, of in get_type_hints(Config).items()
    if name not in {"named_secrets", "sinks", "anchors"}
}
"""The sections whose keys are known ahead, with what they are read into."""


@dataclass(frozen=True, slots=True)
class _Option:
    """One key: its place, its type, and the rules of its value."""

    section: str
    key: str
    type: object
    rules: Mapping[str, Any]

    @property
    def is_secret(self) -> bool:
        return self.type == Secret | None

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.section}_{self.key}".upper()


def _options() -> Iterator[_Option]:
    for section, of in SECTIONS.items():
        types = get_type_hints(of)
        for each in dataclasses.fields(of):
            yield _Option(section, each.name, types[each.name], each.metadata)


OPTIONS: Mapping[tuple[str, str], _Option] = {(o.section, o.key): o for o in _options()}
"""Every key there is, by section and name."""


def load_config(
    path: Path | None, environ: Mapping[str, str], *, data: Path | None = None
) -> Config:
    """Read the file, lay the environment over it, and check everything.

    Paths in the file are relative to the file's folder, all others to the working directory.

    Args:
        path: the configuration file; None takes the one that ``TFAUDIT_CONFIG`` names, or
            ``tfaudit.toml`` in the working directory if there is one.
        environ: the environment's variables.
        data: the data directory, over whatever else says so.

    Raises:
        ConfigError: with all mistakes, one a line.
    """
    mistakes: list[str] = []
    values: dict[tuple[str, str], object] = {}
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    if path is not None:
        _take_file(path, values, mistakes)
    _take_environment(environ, values, mistakes)
    if data is not None:
        values["data", "directory"] = data
    mistakes += _server_mistakes(values)
    mistakes += _secrets_mistakes(values)
    is_wrong = any("[witness] ask" in each or "WITNESS_ASK" in each for each in mistakes)
    mistakes += _witness_mistakes(values, is_wrong=is_wrong)
    patterns = [
        text
        for (section, _), value in values.items()
        if section == "redaction" and isinstance(value, tuple)
        for text in value
    ]
    if size_of(patterns) > LIMIT_BYTES:
        mistakes.append(
            f"[redaction] has patterns of {size_of(patterns)} bytes: together they may have "
            f"{LIMIT_BYTES}, since the log must hold them; write fewer that say more"
        )
    if mistakes:
        what = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        listed = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise ConfigError(f"the configuration has {what}; nothing was started:\n{listed}")
    return Config(
        **{
            name: of(**{key: value for (at, key), value in values.items() if at == name})
            for name, of in SECTIONS.items()
        },
        named_secrets=NamedSecrets(
            _taken(values, _SECRET_VALUE, Secret), _taken(values, _SECRET_FILE, Path)
        ),
        sinks=_taken(values, _SINK, SinkRecord),
        anchors=_taken(values, _ANCHOR, dict),
    )


# What is no key of a section, among the values that were read.
_SECRET_VALUE, _SECRET_FILE, _SINK, _ANCHOR = "secret value", "secret file", "sinks", "anchors"


def _taken(values: Mapping[tuple[str, str], object], what: str, of: type[T]) -> Mapping[str, T]:
    return MappingProxyType(
        {
            name: value
            for (at, name), value in values.items()
            if at == what and isinstance(value, of)
        }
    )


_NOT_A_CERTIFICATE: frozenset[str] = frozenset(
    {"authorization", "cookie", "host", "x-forwarded-for", "content-type", "content-length"}
)


def _server_mistakes(values: Mapping[tuple[str, str], object]) -> Iterator[str]:
    """Yield what is wrong with the settings of a server beside each other."""
    server = {
        key: value for (section, key), value in values.items() if section == "server" and value
    }
    for one, other in (("certificate", "private_key"), ("private_key", "certificate")):
        if one in server and other not in server:
            yield f"[server] {one} is set but {other} is not: HTTPS needs both"
    if "client_ca" in server and not server.keys() & {"certificate", "private_key"}:
        yield (
            "[server] client_ca is set but certificate and private_key are not: only HTTPS asks "
            "for client certificates"
        )
    for key in ("client_crl", "require_client_certificate"):
        if key in server and "client_ca" not in server:
            yield f"[server] {key} is set but client_ca is not: no client certificate is asked for"
    header = str(server.get("client_certificate_header", ""))
    if header.lower() in _NOT_A_CERTIFICATE:
        yield f"[server] client_certificate_header can't be {header}: it means something else"
    if header and "trusted_proxies" not in server:
        yield (
            "[server] client_certificate_header is set but trusted_proxies is not: it is believed "
            "of those alone"
        )


def _secrets_mistakes(values: Mapping[tuple[str, str], object]) -> Iterator[str]:
    """Yield that sinks could be given our own keys as if they were secrets of theirs."""
    data = values.get(("data", "directory"), DataConfig().directory)
    keys = DataConfig(Path(str(data))).keys
    directory = values.get(("secrets", "directory"))
    if directory is not None and Path(str(directory)).resolve() == keys.resolve():
        yield "[secrets] directory is that of the keys, which are no sink's: name another"


def _witness_mistakes(values: Mapping[tuple[str, str], object], *, is_wrong: bool) -> Iterator[str]:
    """Yield what is wrong with the witnesses beside each other, once none is by itself."""
    asked = values.get(("witness", "ask"), ())
    if is_wrong:
        return
    quorum = values.get(("witness", "quorum"), 0)
    listed = [parse_listed(text) for text in asked] if isinstance(asked, tuple) else []
    if isinstance(quorum, int) and quorum > len(listed):
        yield (
            f"[witness] quorum is {quorum}, but ask names {len(listed)} witnesses: name more, or "
            "want fewer"
        )
    keys = {each.verifier.public_key.public_bytes_raw() for each in listed}
    names = {each.verifier.name for each in listed}
    if len(keys) < len(listed) or len(names) < len(listed):
        yield "[witness] ask names one witness twice: each key and each name counts once"


def _take_file(path: Path, values: dict[tuple[str, str], object], mistakes: list[str]) -> None:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        mistakes.append(f"{path} can't be read: {error.strerror}")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        mistakes.append(f"{path} is not TOML: {error}")
        return
    for section, table in document.items():
        if section == _SINK:
            _take_sinks(f"{path}: ", table, values, mistakes)
        elif section == _ANCHOR:
            _take_anchors(f"{path}: ", table, path.parent, values, mistakes)
        elif section not in SECTIONS:
            known = [*SECTIONS, _SINK, _ANCHOR]
            mistakes.append(f"{path}: [{section}] is not known{_nearest(section, known)}")
        elif not isinstance(table, dict):
            mistakes.append(f"{path}: {section} must be a table: write [{section}]")
        else:
            for key, value in table.items():
                _take_key(path, section, key, value, values, mistakes)


def _take_key(  # noqa: PLR0913, PLR0917 - where it stands, what it says, where it goes
    path: Path,
    section: str,
    key: str,
    value: object,
    values: dict[tuple[str, str], object],
    mistakes: list[str],
) -> None:
    place = f"{path}: [{section}] {key}"
    option = OPTIONS.get((section, key))
    named = OPTIONS.get((section, key.removesuffix("_file")))
    if option is None and named is not None and named.is_secret:
        if isinstance(value, str) and value:
            _take_secret(place, path.parent / value, named, values, mistakes)
        else:
            mistakes.append(f"{place} must be the path of a file")
    elif option is None:
        mistakes.append(f"{place} is not known{_nearest_key(section, key)}")
    elif option.is_secret:
        mistakes.append(
            f"{place} is a secret and may not stand in this file: "
            f"set {option.variable} or {option.variable}_FILE"
        )
    else:
        try:
            values[section, key] = _checked(option, value, path.parent)
        except _WrongValueError as error:
            mistakes.append(f"{place} {error}")


def _take_sinks(
    place: str,
    tables: object,
    values: dict[tuple[str, str], object],
    mistakes: list[str],
) -> None:
    """Read the tables of sinks; what their types say of the options is checked by ``proxy.sinks``.

    Args:
        place: where they stand, as the beginning of a message.
        tables: what stands there.
        values: take the records.
        mistakes: take what is wrong.
    """
    if not isinstance(tables, dict):
        mistakes.append(f"{place}sinks must hold a table for each: write [sinks.NAME]")
        return
    known = [name for name in fields_of(SinkRecord) if name not in {*NOT_GIVEN, "name"}]
    for name, table in tables.items():
        where = f"{place}[sinks.{name[:_MAX_SINK_NAME]}]"
        if not isinstance(table, dict):
            mistakes.append(f"{where} must be a table with its type")
            continue
        if (_SINK, name) in values:
            mistakes.append(f"{where} stands in the configuration file too: keep one")
            continue
        found = [
            f"{key} is not known{_nearest(key, known)}; options of its type stand in "
            f"[sinks.{name}.options]"
            for key in table
            if key not in known
        ]
        given = {key: value for key, value in table.items() if key in known}
        read = partial(_sink_of, name)
        found += [str(mistake).removeprefix("sink: ") for mistake in mistakes_in(read, given)]
        mistakes += [f"{where} {mistake}" for mistake in found]
        if not found:
            values[_SINK, name] = read(given)


def _sink_of(name: str, fields: Mapping[str, Any]) -> SinkRecord:
    record = read_record("sink", {**fields, "name": name})
    if not isinstance(record, SinkRecord):
        raise TypeError(record)
    return msgspec.structs.replace(record, managed="configuration")


def _take_anchors(
    place: str,
    tables: object,
    folder: Path,
    values: dict[tuple[str, str], object],
    mistakes: list[str],
) -> None:
    """Read the tables of anchors as they stand.

    Args:
        place: where they stand, as the beginning of a message.
        tables: what stands there.
        folder: that their paths are relative to.
        values: take the tables.
        mistakes: take what is wrong.
    """
    if not isinstance(tables, dict):
        mistakes.append(f"{place}anchors must hold a table for each: write [anchors.NAME]")
        return
    for name, table in tables.items():
        where = f"{place}[anchors.{name[:_MAX_SINK_NAME]}]"
        if not _ANCHOR_NAME.fullmatch(name):
            mistakes.append(
                f"{where} has no name of small letters, digits and '-', 40 of them at most"
            )
        elif not isinstance(table, dict):
            mistakes.append(f"{where} must be a table with its type")
        elif (_ANCHOR, name) in values:
            mistakes.append(f"{where} stands in the configuration file too: keep one")
        else:
            values[_ANCHOR, name] = dict(table)
            path = table.get("path")
            if isinstance(path, str) and path:
                values[_ANCHOR, name] = {**table, "path": str(folder / Path(path).expanduser())}


def _tables_in(variable: str, text: str, mistakes: list[str]) -> object:
    """Return what a variable holds as JSON; an empty object after telling what is wrong."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        mistakes.append(f"{variable} is not JSON: {error}")
        return {}


def _take_named(
    variable: str,
    environ: Mapping[str, str],
    values: dict[tuple[str, str], object],
    mistakes: list[str],
) -> None:
    """Take a variable that holds sinks or anchors, or gives a secret, or names a file of it."""
    text = environ[variable]
    if variable == SINKS_VARIABLE:
        place = f"{variable}: "
        _take_sinks(place, _tables_in(variable, text, mistakes), values, mistakes)
        return
    if variable == ANCHORS_VARIABLE:
        place = f"{variable}: "
        _take_anchors(place, _tables_in(variable, text, mistakes), Path(), values, mistakes)
        return
    is_file = variable.endswith("_FILE") and len(variable) > len(f"{SECRET_PREFIX}_FILE")
    name = variable.removesuffix("_FILE") if is_file else variable
    secret = name.removeprefix(SECRET_PREFIX).lower()
    if not re.match(SECRET_PATTERN, secret) or name != name.upper():
        mistakes.append(
            f"{variable} names no secret: write capital letters, digits and '_', as in "
            f"{SECRET_PREFIX}DATADOG_API_KEY"
        )
    elif not text:
        mistakes.append(f"{variable} is empty: give it a value, or take it away")
    elif is_file and name in environ:
        mistakes.append(f"{variable} and {name} are both set: keep one")
    elif is_file:
        values[_SECRET_FILE, secret] = Path(text)
    else:
        values[_SECRET_VALUE, secret] = Secret(text)


def _take_environment(
    environ: Mapping[str, str], values: dict[tuple[str, str], object], mistakes: list[str]
) -> None:
    variables = {option.variable: option for option in OPTIONS.values()}
    files = {f"{name}_FILE": option for name, option in variables.items() if option.is_secret}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in {FILE_VARIABLE, CLIENT_TOKEN}:
            continue
        text = environ[name]
        option = variables.get(name)
        if _SERVICE_ADDRESS.match(text) or (option is None and _SERVICE_LINK.fullmatch(name)):
            continue
        if name in {SINKS_VARIABLE, ANCHORS_VARIABLE} or name.startswith(SECRET_PREFIX):
            _take_named(name, environ, values, mistakes)
        elif name in files:
            if name.removesuffix("_FILE") in environ:
                mistakes.append(f"{name} and {name.removesuffix('_FILE')} are both set: keep one")
            else:
                _take_secret(name, Path(text), files[name], values, mistakes)
        elif option is None:
            mistakes.append(f"{name} is not known{_nearest(name, [*variables, *files])}")
        elif option.is_secret:
            values[option.section, option.key] = Secret(text)
        else:
            try:
                values[option.section, option.key] = _checked(option, _typed(option, text), Path())
            except _WrongValueError as error:
                mistakes.append(f"{name} {error}")


def _take_secret(
    place: str,
    path: Path,
    option: _Option,
    values: dict[tuple[str, str], object],
    mistakes: list[str],
) -> None:
    # The mode is not checked here: container platforms mount secrets readable to all inside.
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_FILE + 1)
        if len(content) > _MAX_SECRET_FILE:
            mistakes.append(f"{place}: {path} is too large to be a key")
            return
        values[option.section, option.key] = Secret(content.decode("utf-8"))
    except OSError as error:
        mistakes.append(f"{place}: {path} can't be read: {error.strerror}")
    except UnicodeDecodeError:
        # Not chained: the decoder's error carries the bytes.
        mistakes.append(f"{place}: {path} is not a text file")


_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _typed(option: _Option, text: str) -> object:
    """Return a variable's text as the TOML value that would say the same."""
    if option.type is bool:
        if text.lower() not in _BOOLEANS:
            raise _WrongValueError(f"must be true, false, 1 or 0, not {text!r}")
        return _BOOLEANS[text.lower()]
    if option.type in {int, float}:
        read: Callable[[str], object] = int if option.type is int else float
        try:
            return read(text)
        except ValueError:
            raise _WrongValueError(f"{_wanted(option)}, not {text!r}") from None
    if option.type in {tuple[Network, ...], tuple[str, ...]}:
        parts = text.split(option.rules.get("separator", ","))
        return [part.strip() for part in parts if part.strip()]
    return text


_WANTED: Mapping[object, str] = {
    bool: "must be true or false",
    int: "must be a whole number",
    float: "must be a number",
    str: "must be a text",
}


def _wanted(option: _Option) -> str:
    return _WANTED.get(option.type, "must be a path")


def _checked(option: _Option, value: object, folder: Path) -> object:
    """Return a TOML value as the field's type.

    Raises:
        _WrongValueError: what is wrong, to be read after the key's name.
    """
    if option.type == tuple[Network, ...]:
        return _networks(value)
    if option.type == tuple[str, ...]:
        return _texts(option, value)
    if option.type in {int, float}:
        return _number(option, value)
    if not isinstance(value, bool if option.type is bool else str):
        raise _WrongValueError(f"{_wanted(option)}, not {value!r}")
    _check_text(option, value)
    if option.type == Path | None:
        return folder / Path(str(value)).expanduser() if value else None
    if option.type is Path:
        if not value:
            raise _WrongValueError("must not be empty")
        return folder / Path(str(value)).expanduser()
    return value


def _check_text(option: _Option, value: str | bool) -> None:  # noqa: FBT001 - a TOML value
    """Pass when a value keeps the rules of its key.

    Raises:
        _WrongValueError: what is wrong, to be read after the key's name.
    """
    choices = option.rules.get("choices")
    if choices and value not in choices:
        raise _WrongValueError(f"must be one of {', '.join(choices)}, not {value!r}")
    find_mistake = option.rules.get("mistake")
    if find_mistake and value and (mistake := find_mistake(value)):
        raise _WrongValueError(mistake)
    pattern = option.rules.get("pattern")
    if pattern and not re.fullmatch(pattern, str(value)):
        raise _WrongValueError(f"has characters that are not allowed here: {value!r}")


def _number(option: _Option, value: object) -> int | float:
    # In Python a bool is an int; in TOML it is not.
    accepted = (int,) if option.type is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise _WrongValueError(f"{_wanted(option)}, not {value!r}")
    if not math.isfinite(value):
        raise _WrongValueError(f"must be finite, not {value!r}")
    rules = option.rules
    if "above" in rules and value <= rules["above"]:
        raise _WrongValueError(f"must be above {rules['above']}, not {value}")
    if "low" in rules and value < rules["low"]:
        raise _WrongValueError(f"must be at least {rules['low']}, not {value}")
    if "high" in rules and value > rules["high"]:
        raise _WrongValueError(f"must be at most {rules['high']}, not {value}")
    return value if option.type is int else float(value)


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise _WrongValueError(f"must be a list of addresses or networks, not {value!r}")
    networks = []
    for text in value:
        try:
            networks.append(ip_network(text if isinstance(text, str) else ""))
        except ValueError:
            raise _WrongValueError(
                f"must hold addresses or networks such as 10.0.0.0/8, not {text!r}"
            ) from None
    return tuple(networks)


def _texts(option: _Option, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _WrongValueError(f"must be a list of texts, not {value!r}")
    find_mistake = option.rules["mistake"]
    for number, text in enumerate(value, start=1):
        mistake = find_mistake(text)
        if mistake is not None:
            # What is no expression may be the very value that is to be hidden.
            is_value = find_mistake is value_mistake and is_literal(text)
            shown = f"a text (number {number})" if is_value else repr(text)
            raise _WrongValueError(f"holds {shown} that {mistake}")
    return tuple(dict.fromkeys(value))


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    found = get_close_matches(name, list(known), n=1)
    return f": did you mean {found[0]}?" if found else f"; known are {', '.join(known)}"


def _nearest_key(section: str, key: str) -> str:
    mine = [
        option.key + "_file" * option.is_secret
        for option in OPTIONS.values()
        if option.section == section
    ]
    if found := get_close_matches(key, mine, n=1):
        return f": did you mean {found[0]}?"
    others = {option.key: option.section for option in OPTIONS.values()}
    if found := get_close_matches(key, list(others), n=1, cutoff=0.8):
        return f" here: did you mean {found[0]} in [{others[found[0]]}]?"
    return f"; [{section}] knows {', '.join(mine)}"
