"""Tests of proxy.config."""

import dataclasses
from ipaddress import ip_network
from pathlib import Path

import pytest

from proxy.config import OPTIONS, SECTIONS, Config, Secret, load_config
from proxy.directory import SinkRecord
from proxy.errors import ConfigError
from proxy.retention import KEEP_ALL, Retention
from proxy.tfstate.policy import STANDARD, Policy
from proxy.tlog.cosignature import Cosigner
from tests.fakes import CHECKPOINT_KEY


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no tfaudit.toml lies about."""
    monkeypatch.chdir(tmp_path)


WITNESS = Cosigner("w.example", CHECKPOINT_KEY).verifier.vkey


def toml(folder: Path, text: str) -> Path:
    """Write a configuration file and return its path."""
    path = folder / "written.toml"
    path.write_text(text)
    return path


def mistakes_of(text: str = "", environ: dict[str, str] | None = None) -> list[str]:
    """Return the mistakes that are found, without the introduction."""
    with pytest.raises(ConfigError) as caught:
        load_config(toml(Path(), text), environ or {})
    return [line.removeprefix("  - ") for line in str(caught.value).split("\n")[1:]]


def test_a_witness_that_can_not_be_read_is_told_alone(tmp_path: Path) -> None:
    """Without a quorum that would be too large of none."""
    path = tmp_path / "c.toml"
    path.write_text('[witness]\nask = ["https://w.example"]\nquorum = 1\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert "have the witness's key after its address" in str(caught.value)
    assert "quorum" not in str(caught.value)


def test_nothing_set_gives_the_defaults() -> None:
    """Without file and environment the documented defaults hold."""
    config = load_config(None, {"PATH": "/bin"})
    assert Config() == config
    assert ("127.0.0.1", 8920, 1 << 30, 120.0, False) == (
        config.server.host,
        config.server.port,
        config.server.body_limit,
        config.server.keepalive,
        config.server.accept_unlocked_force,
    )
    assert Path("tfaudit-data/tfaudit.db") == config.data.database
    assert STANDARD == config.redaction.policy()


def test_witnesses_are_an_address_and_a_key() -> None:
    """All are wanted unless it is said how many; requests go below the address."""
    config = load_config(None, {"TFAUDIT_WITNESS_ASK": f"https://w.example/a/ {WITNESS}"})
    (listed,) = config.witness.listed
    assert "https://w.example/a/add-checkpoint" == listed.address
    assert WITNESS == listed.verifier.vkey
    assert 1 == config.witness.wanted
    assert 0 == load_config(None, {}).witness.wanted


def test_everything_is_kept_until_a_rule_says_what_is() -> None:
    """By number, by age, the last of each run."""
    assert KEEP_ALL == load_config(None, {}).retention.rules
    text = """[retention]
    versions = 20
    versions_for = "90d"
    versions_last_of_run = true
    """
    rules = load_config(toml(Path(), text), {}).retention.rules
    assert Retention(20, 90 * 86_400, last_of_run=True) == rules
    environ = {"TFAUDIT_RETENTION_VERSIONS": "0", "TFAUDIT_RETENTION_VERSIONS_FOR": ""}
    rules = load_config(toml(Path(), text), environ).retention.rules
    assert Retention(last_of_run=True) == rules


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("versions = -1", "[retention] versions must be at least 0, not -1"),
        ('versions = "20"', "[retention] versions must be a whole number, not '20'"),
        ("versions = true", "[retention] versions must be a whole number, not True"),
        ("versions_for = 90", "[retention] versions_for must be a text, not 90"),
        ('versions_for = "90"', "[retention] versions_for can't be used: '90' is not a length"),
        (
            'versions_for = "5m"',
            "[retention] versions_for can't be used: '5m' is less than an hour",
        ),
        ("versions_last_of_run = 1", "[retention] versions_last_of_run must be true or false"),
        ("version = 20", "[retention] version is not known: did you mean versions?"),
    ],
)
def test_a_mistake_about_retention_names_the_key(text: str, mistake: str) -> None:
    """And what can be written there."""
    (found,) = mistakes_of(f"[retention]\n{text}\n")
    assert mistake in found


def test_the_environment_wins_over_the_file_and_the_option_over_both() -> None:
    """The more a setting belongs to this one run, the more it counts."""
    path = toml(Path(), '[server]\nport = 1\nhost = "::1"\n[data]\ndirectory = "a"\n')
    environ = {"TFAUDIT_SERVER_PORT": "2", "TFAUDIT_DATA_DIRECTORY": "b"}
    config = load_config(path, environ, data=Path("c"))
    assert ("::1", 2, Path("c")) == (config.server.host, config.server.port, config.data.directory)


@pytest.mark.parametrize(
    ("name", "text", "section", "key", "value"),
    [
        ("TFAUDIT_SERVER_ACCEPT_UNLOCKED_FORCE", "true", "server", "accept_unlocked_force", True),
        ("TFAUDIT_SERVER_ACCEPT_UNLOCKED_FORCE", "1", "server", "accept_unlocked_force", True),
        ("TFAUDIT_SERVER_ACCEPT_UNLOCKED_FORCE", "FALSE", "server", "accept_unlocked_force", False),
        ("TFAUDIT_SERVER_PORT", "0", "server", "port", 0),
        ("TFAUDIT_SERVER_KEEPALIVE", "1.5", "server", "keepalive", 1.5),
        ("TFAUDIT_SERVER_TRUSTED_PROXIES", "", "server", "trusted_proxies", ()),
        (
            "TFAUDIT_SERVER_TRUSTED_PROXIES",
            "10.0.0.0/8, ::1",
            "server",
            "trusted_proxies",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
        ),
        ("TFAUDIT_LOG_FORMAT", "json", "log", "format", "json"),
        ("TFAUDIT_AUDIT_ORIGIN", "log.example.com/tf", "audit", "origin", "log.example.com/tf"),
        ("TFAUDIT_SERVER_CERTIFICATE", "", "server", "certificate", None),
        ("TFAUDIT_REDACTION_MODE", "names-only", "redaction", "mode", "names-only"),
        ("TFAUDIT_REDACTION_HIDDEN", "a.b, c.d[]", "redaction", "hidden", ("a.b", "c.d[]")),
        (
            "TFAUDIT_REDACTION_HIDDEN_VALUES",
            "a{2,3}\nb+\n",
            "redaction",
            "hidden_values",
            ("a{2,3}", "b+"),
        ),
    ],
)
def test_a_variable_is_read_as_its_type(
    name: str, text: str, section: str, key: str, value: object
) -> None:
    """Booleans, numbers, lists and paths are told in the environment as text."""
    assert value == getattr(getattr(load_config(None, {name: text}), section), key)


def test_every_key_can_be_set_in_the_environment() -> None:
    """Each field of each section has a variable of its own."""
    names = {option.variable for option in OPTIONS.values()}
    assert len(OPTIONS) == len(names)
    fields = [
        f"TFAUDIT_{section}_{each.name}".upper()
        for section, of in SECTIONS.items()
        for each in dataclasses.fields(of)
    ]
    assert sorted(fields) == sorted(names)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("[server]\nprot = 1", "[server] prot is not known: did you mean port?"),
        ("[servr]\nport = 1", "[servr] is not known: did you mean server?"),
        ("[data]\nbody_limt = 1", "did you mean body_limit in [server]?"),
        ("[log]\nzzz = 1", "[log] zzz is not known; [log] knows level, format"),
        ("server = 1", "server must be a table: write [server]"),
        ("[server]\nport = 65536", "[server] port must be at most 65535, not 65536"),
        ("[server]\nport = -1", "[server] port must be at least 0, not -1"),
        ('[server]\nport = "1"', "[server] port must be a whole number, not '1'"),
        ("[server]\nport = true", "[server] port must be a whole number, not True"),
        ("[server]\nport = 1.0", "[server] port must be a whole number, not 1.0"),
        ("[server]\nkeepalive = nan", "[server] keepalive must be finite, not nan"),
        ("[server]\nupload_timeout = 0", "[server] upload_timeout must be above 0, not 0"),
        ("[server]\nlock_wait_limit = 3601", "[server] lock_wait_limit must be at most 3600"),
        ("[server]\naccept_unlocked_force = 1", "accept_unlocked_force must be true or false"),
        ("[server]\nhost = 1", "[server] host must be a text, not 1"),
        ('[server]\nhost = ""', "[server] host has characters that are not allowed here: ''"),
        ('[server]\ntrusted_proxies = "::1"', "must be a list of addresses or networks"),
        ('[server]\ntrusted_proxies = ["10.0.0.1/8"]', "such as 10.0.0.0/8, not '10.0.0.1/8'"),
        ("[server]\ntrusted_proxies = [1]", "must hold addresses or networks"),
        ('[server]\ncertificate = "a"', "certificate is set but private_key is not"),
        ('[server]\nprivate_key = "a"', "private_key is set but certificate is not"),
        ('[server]\nclient_ca = "a"', "client_ca is set but certificate and private_key are not"),
        ('[server]\nclient_crl = "a"', "client_crl is set but client_ca is not"),
        (
            "[server]\nrequire_client_certificate = true",
            "require_client_certificate is set but client_ca is not",
        ),
        (
            '[server]\nclient_certificate_header = "Client-Cert"',
            "client_certificate_header is set but trusted_proxies is not",
        ),
        (
            '[server]\nclient_certificate_header = "Cookie"\ntrusted_proxies = ["10.0.0.1"]',
            "client_certificate_header can't be Cookie",
        ),
        ('[server]\nclient_certificate_header = "X Y"', "characters that are not allowed"),
        ('[server]\nclient_certificate_form = "der"', "must be one of rfc9440, pem, subject"),
        ('[data]\ndirectory = ""', "[data] directory must not be empty"),
        ("[data]\ndirectory = 1", "[data] directory must be a path, not 1"),
        ('[log]\nlevel = "trace"', "level must be one of debug, info, warning, error, not 'trace'"),
        ('[audit]\norigin = "a b"', "[audit] origin has characters that are not allowed"),
        ('[audit]\norigin = "a+b"', "[audit] origin has characters that are not allowed"),
        ("[keys]\nentry_file = 1", "[keys] entry_file must be the path of a file"),
        ('[keys]\nentry_file = "none"', "none can't be read: No such file or directory"),
        ('[keys]\nentry_fil = "x"', "did you mean entry_file?"),
        (
            '[redaction]\nmode = "off"',
            "must be one of standard, strict, names-only, not 'off'",
        ),
        ('[redaction]\nhidden = "a.b"', "[redaction] hidden must be a list of texts, not 'a.b'"),
        ("[redaction]\nhidden = [1]", "[redaction] hidden must be a list of texts, not [1]"),
        ('[redaction]\nhidden = ["a.b", "c"]', "hidden holds 'c' that is not TYPE.PATH"),
        ('[redaction]\nreadable = ["a.b["]', "readable holds 'a.b[' that can't be read from"),
        ('[redaction]\nhidden_values = ["("]', "hidden_values holds '(' that is no regular"),
        (
            f'[redaction]\nhidden = ["a.{"b" * 20_000}"]',
            "[redaction] has patterns of 20006 bytes: together they may have 16384",
        ),
        ('[witness]\nask = ["w.example"]', "'w.example' that should begin with the witness's addr"),
        ('[witness]\nask = ["https://w.example"]', "have the witness's key after its address"),
        ('[witness]\nask = ["ftp://w.example k"]', "should begin with the witness's address"),
        ('[witness]\nask = ["https://a@w.example k"]', "should begin with the witness's address"),
        ('[witness]\nask = ["https://w.example k"]', "Not a verifier key"),
        ("[witness]\nquorum = 1", "[witness] quorum is 1, but ask names 0 witnesses"),
        (
            f'[witness]\nask = ["http://a {WITNESS}", "http://b {WITNESS}"]',
            "[witness] ask names one witness twice",
        ),
        ('[data]\ndirectory = "d"\n[secrets]\ndirectory = "d/keys"', "is that of the keys"),
        ('[secrets]\napi_key = "x"', "[secrets] api_key is not known"),
        ("sinks = 1", "sinks must hold a table for each: write [sinks.NAME]"),
        ('[sinks]\ntype = "file"', "[sinks.type] must be a table"),
        ("[sinks.s]", "[sinks.s] the field type is missing"),
        ('[sinks.s]\ntype = "file"\nsite = "x"', "stand in [sinks.s.options]"),
        ('[sinks.s]\ntype = "file"\nenabeld = true', "did you mean enabled?"),
        ('[sinks.s]\ntype = "file"\nmanaged = "x"', "[sinks.s] managed is not known"),
        ('[sinks.s]\ntype = "file"\nname = "x"', "[sinks.s] name is not known"),
        (
            '[sinks.s]\ntype = "file"\nenabled = 1',
            "[sinks.s] enabled: must be true or false, and is a whole number",
        ),
        ('[sinks.s]\ntype = "file"\nstart = -1', "[sinks.s] start: Expected int >= 0"),
        ('[sinks."a b"]\ntype = "file"', "[sinks.a b] name: Expected letters, digits"),
        ("[sinks.s]\ntype = 'file'\noptions = []", "[sinks.s] options: must be an object"),
        ("[server", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, mistake: str) -> None:
    """Each mistake is told with its section, its key and what would be right."""
    (found,) = mistakes_of(text)
    assert mistake in found


@pytest.mark.parametrize(
    ("environ", "mistake"),
    [
        ({"TFAUDIT_SERVER_PROT": "1"}, "is not known: did you mean TFAUDIT_SERVER_PORT?"),
        ({"TFAUDIT_PORT": "9000"}, "TFAUDIT_PORT is not known"),
        ({"TFAUDIT_SERVER_PORT": "x"}, "TFAUDIT_SERVER_PORT must be a whole number, not 'x'"),
        ({"TFAUDIT_SERVER_PORT": ""}, "TFAUDIT_SERVER_PORT must be a whole number, not ''"),
        ({"TFAUDIT_SERVER_ACCEPT_UNLOCKED_FORCE": "yes"}, "must be true, false, 1 or 0, not 'yes'"),
        ({"TFAUDIT_SERVER_KEEPALIVE": "inf"}, "TFAUDIT_SERVER_KEEPALIVE must be finite"),
        ({"TFAUDIT_SERVER_TRUSTED_PROXIES": "x,::1"}, "not 'x'"),
        ({"TFAUDIT_KEYS_ENTRY_FILE": "/none"}, "TFAUDIT_KEYS_ENTRY_FILE: /none can't be read"),
        ({"TFAUDIT_KEYS_ENTRY_FILE": "."}, "can't be read: Is a directory"),
        ({"TFAUDIT_SECRET_": "x"}, "TFAUDIT_SECRET_ names no secret"),
        ({"TFAUDIT_SECRET_api_key": "x"}, "TFAUDIT_SECRET_api_key names no secret"),
        ({"TFAUDIT_SECRET_1": "x"}, "TFAUDIT_SECRET_1 names no secret"),
        ({"TFAUDIT_SECRET_KEY": ""}, "TFAUDIT_SECRET_KEY is empty"),
        ({"TFAUDIT_SECRET_KEY_FILE": ""}, "TFAUDIT_SECRET_KEY_FILE is empty"),
        ({"TFAUDIT_SINKS": "{"}, "TFAUDIT_SINKS is not JSON"),
        ({"TFAUDIT_SINKS": "[]"}, "TFAUDIT_SINKS: sinks must hold a table for each"),
        ({"TFAUDIT_SINKS": '{"s": {}}'}, "TFAUDIT_SINKS: [sinks.s] the field type is missing"),
    ],
)
def test_a_mistake_in_the_environment_is_named(environ: dict[str, str], mistake: str) -> None:
    """Each mistake is told with the variable's name."""
    (found,) = mistakes_of(environ=environ)
    assert mistake in found


def test_a_value_among_the_expressions_is_not_repeated() -> None:
    """It may be the very secret that was to be hidden."""
    (found,) = mistakes_of('[redaction]\nhidden_values = ["a+", "hunter2"]')
    assert "hidden_values holds a text (number 2) that is a plain text" in found
    assert "hunter2" not in found


def test_a_policy_is_read_from_the_file() -> None:
    """Each list as it stands; what stands there twice counts once."""
    path = toml(
        Path(),
        '[redaction]\nmode = "strict"\nhidden = ["*.note", "*.note"]\n'
        "readable = ['a.b[\"x,y\"]']\nhidden_values = ['tok_\\d{2,4}']\n",
    )
    assert Policy("strict", ("*.note",), ('a.b["x,y"]',), (r"tok_\d{2,4}",)) == (
        load_config(path, {}).redaction.policy()
    )


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to start four times to find four mistakes."""
    text = "[server]\nport = -1\nprot = 1\n[nowhere]\n"
    assert 4 == len(mistakes_of(text, {"TFAUDIT_LOG_LEVEL": "loud"}))


def test_a_missing_file_that_was_named_is_a_mistake() -> None:
    """A configuration that was asked for is never passed over."""
    with pytest.raises(ConfigError, match=r"none\.toml can't be read: No such file"):
        load_config(Path("none.toml"), {})
    with pytest.raises(ConfigError, match=r"other\.toml can't be read: No such file"):
        load_config(None, {"TFAUDIT_CONFIG": "other.toml"})


def test_the_file_is_found_without_being_named() -> None:
    """TFAUDIT_CONFIG names it; else the working directory's tfaudit.toml is read."""
    Path("tfaudit.toml").write_text("[server]\nport = 1\n")
    Path("other.toml").write_text("[server]\nport = 2\n")
    assert 1 == load_config(None, {}).server.port
    assert 2 == load_config(None, {"TFAUDIT_CONFIG": "other.toml"}).server.port


def test_paths_in_the_file_are_relative_to_the_file(tmp_path: Path) -> None:
    """A service that starts in / finds the data beside its configuration."""
    folder = tmp_path / "etc"
    folder.mkdir()
    path = toml(folder, '[data]\ndirectory = "data"\n')
    assert folder / "data" == load_config(path, {}).data.directory
    assert Path("data") == load_config(None, {"TFAUDIT_DATA_DIRECTORY": "data"}).data.directory


def test_a_secret_comes_from_a_variable_or_a_file() -> None:
    """NAME, NAME_FILE and the file's own key for a path give the same."""
    Path("key").write_text("hidden")
    for environ in ({"TFAUDIT_KEYS_MASTER": "hidden"}, {"TFAUDIT_KEYS_MASTER_FILE": "key"}):
        assert Secret("hidden") == load_config(None, environ).keys.master
    path = toml(Path(), '[keys]\nmaster_file = "key"\n')
    assert Secret("hidden") == load_config(path, {}).keys.master


def test_a_secret_in_the_file_is_refused_and_not_repeated() -> None:
    """tfaudit.toml may be read by many; what stands there by mistake is not spread further."""
    (found,) = mistakes_of('[keys]\nmaster = "hidden"')
    assert "set TFAUDIT_KEYS_MASTER or TFAUDIT_KEYS_MASTER_FILE" in found
    assert "hidden" not in found


def test_a_secret_given_twice_is_refused() -> None:
    """Which of two keys is meant can't be guessed."""
    (found,) = mistakes_of(
        environ={"TFAUDIT_KEYS_MASTER": "hidden", "TFAUDIT_KEYS_MASTER_FILE": "x"}
    )
    assert "both set: keep one" in found
    assert "hidden" not in found


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_that_is_no_key_is_refused(content: bytes) -> None:
    """A binary or a huge file is not taken for a key, and is not quoted."""
    Path("key").write_bytes(content)
    (found,) = mistakes_of(environ={"TFAUDIT_KEYS_MASTER_FILE": "key"})
    assert "key is " in found


def test_a_secret_does_not_show() -> None:
    """Neither printing the secret nor the whole configuration shows it."""
    config = load_config(None, {"TFAUDIT_KEYS_MASTER": "hidden-value"})
    assert "Secret(hidden)" == str(config.keys.master)
    assert "hidden-value" not in repr(config)
    assert "hidden-value" not in f"{config.keys.master}"


def test_sinks_are_read_from_the_file_and_from_the_environment() -> None:
    """Each is managed by the configuration; options are held against their type elsewhere."""
    path = toml(
        Path(),
        """
        [sinks.siem]
        type = "splunk-hec"
        filter = { event = ["state.written"] }
        description = "of the team"
        start = 0
        enabled = false
        [sinks.siem.options]
        url = "https://siem.example"
        """,
    )
    config = load_config(path, {"TFAUDIT_SINKS": '{"other": {"type": "file"}}'})
    assert {
        "siem": SinkRecord(
            name="siem",
            type="splunk-hec",
            options={"url": "https://siem.example"},
            filter={"event": ["state.written"]},
            enabled=False,
            start=0,
            managed="configuration",
            description="of the team",
        ),
        "other": SinkRecord(name="other", type="file", managed="configuration"),
    } == config.sinks


def test_a_sink_that_is_told_twice_is_refused() -> None:
    """Which of the two is meant can't be guessed."""
    environ = {"TFAUDIT_SINKS": '{"s": {"type": "file"}}'}
    (found,) = mistakes_of('[sinks.s]\ntype = "file"', environ)
    assert "TFAUDIT_SINKS: [sinks.s] stands in the configuration file too: keep one" == found


def test_all_mistakes_of_sinks_are_told_at_once() -> None:
    """Also several of one."""
    text = '[sinks.a]\ntype = "x y"\nsite = 1\nenabled = 1\n[sinks.b]\n'
    assert 4 == len(mistakes_of(text))


def test_secrets_of_sinks_are_named_by_variables() -> None:
    """By their values, which do not show, or by files, which are read when they are needed."""
    config = load_config(
        None, {"TFAUDIT_SECRET_API_KEY": "hidden-value", "TFAUDIT_SECRET_OTHER_FILE": "none"}
    )
    assert {"api_key": Secret("hidden-value")} == config.named_secrets.values
    assert {"other": Path("none")} == config.named_secrets.files
    assert "hidden-value" not in repr(config)


def test_a_secret_of_a_sink_given_twice_is_refused() -> None:
    """Which of the two is meant can't be guessed."""
    environ = {"TFAUDIT_SECRET_KEY": "hidden", "TFAUDIT_SECRET_KEY_FILE": "x"}
    (found,) = mistakes_of(environ=environ)
    assert "TFAUDIT_SECRET_KEY_FILE and TFAUDIT_SECRET_KEY are both set: keep one" == found


def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_mistake() -> None:
    """A service named tfaudit, or tfaudit-server, puts its addresses into every container."""
    config = load_config(
        None,
        {
            "TFAUDIT_SERVICE_HOST": "10.0.0.1",
            "TFAUDIT_SERVICE_PORT": "8920",
            "TFAUDIT_SERVICE_PORT_HTTP": "8920",
            "TFAUDIT_PORT": "tcp://10.0.0.1:8920",
            "TFAUDIT_PORT_8920_TCP": "tcp://10.0.0.1:8920",
            "TFAUDIT_PORT_8920_TCP_PROTO": "tcp",
            "TFAUDIT_PORT_8920_TCP_PORT": "8920",
            "TFAUDIT_PORT_8920_TCP_ADDR": "10.0.0.1",
            "TFAUDIT_SERVER_SERVICE_HOST": "10.0.0.1",
            "TFAUDIT_SERVER_PORT": "tcp://10.0.0.1:8920",
        },
    )
    assert 8920 == config.server.port


def test_the_token_of_a_client_is_no_setting() -> None:
    """Whoever keeps it in the environment can use every command; it is in no Config."""
    config = load_config(None, {"TFAUDIT_TOKEN": "tfa_secret"})
    assert "tfa_secret" not in repr(config)
