"""States that somebody made to cost time or memory, or to smuggle a secret out.

No time is measured: what costs the square of its size doesn't end before a test's time-out, and
what costs much memory is killed in a process of its own.
"""

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from proxy.tfstate.document import NotJsonError, parse
from proxy.tfstate.redact import Redactor
from proxy.tfstate.scan import scan
from tests.e2e.server import Server
from tests.redaction.encodings import Searcher

SECRET: Final = "Granit-qfx0417"
MEBIBYTE: Final = 1 << 20
KEY: Final = b"k" * 32

pytestmark = pytest.mark.timeout(60)


def state(attributes: str) -> bytes:
    """A state of one object, whose attributes are written as given, and a secret beside it."""
    return (
        '{"version": 4, "serial": 1, "lineage": "l", "resources": [{"mode": "managed", '
        '"type": "x_y", "name": "n", "provider": "p", "instances": [{"attributes": '
        f"{attributes}}}]}}, "
        '{"mode": "managed", "type": "x_z", "name": "n", "provider": "p", "instances": '
        f'[{{"attributes": {{"password": "{SECRET}"}}}}]}}]}}'
    ).encode("utf-8", "surrogatepass")


def texts(*values: str) -> str:
    """Attributes that hold these texts, each with the secret behind it."""
    return json.dumps({f"a{n}": f"{value} {SECRET}" for n, value in enumerate(values)})


def deep(count: int, opening: str, closing: str) -> str:
    """A secret in the middle of many brackets."""
    return f"{opening * count}{json.dumps(SECRET)}{closing * count}"


def laughs(levels: int = 40) -> str:
    """YAML whose aliases multiply: ten times as many at each level."""
    lines = [f"a0: &a0 [{SECRET}, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join([*lines, f"password: {SECRET}", ""])


def bomb() -> str:
    """100 MB of nothing in base64 of gzip."""
    return base64.b64encode(gzip.compress(bytes(100 * MEBIBYTE))).decode()


STATES: Final[dict[str, Callable[[], str]]] = {
    "nested arrays": lambda: f'{{"a": {deep(900, "[", "]")}}}',
    "nested objects": lambda: (
        f'{{"a": {deep(900, chr(123) + chr(34) + "b" + chr(34) + ":", "}")}}}'
    ),
    "arrays nested in a text": lambda: json.dumps({"a": deep(100_000, "[", "]")}),
    "objects nested in a text": lambda: json.dumps({"a": deep(50_000, '{"b":', "}")}),
    "YAML nested in a text": lambda: texts("a: " + "[" * 50_000, "- " * 50_000),
    "indented YAML": lambda: texts("\n".join(f"{' ' * n}k{n}:" for n in range(700))),
    "JSON in JSON in JSON": lambda: texts(_layers(json.dumps, 12)),
    "base64 of base64": lambda: texts(
        _layers(lambda text: base64.b64encode(text.encode()).decode(), 20)
    ),
    "billion laughs": lambda: json.dumps({"a": laughs(), "b": laughs(9)}),
    "a gzip bomb": lambda: json.dumps({"a": bomb(), "user_data_base64": bomb(), "p": SECRET}),
    "names written twice": lambda: (
        f'{{"password": "{SECRET}1", "password": 5, "a": "{SECRET}1", "b": {{"c": 1, "c": 2}}}}'
    ),
    "huge numbers": lambda: f'{{"a": {"9" * 4_000}, "b": 1e999, "c": -0.0, "d": {"1" * 400}.5e-9}}',
    "a map of 100,000": lambda: json.dumps({"a": {f"k{n}": f"v{n}" for n in range(100_000)}}),
    "20,000 secret names": lambda: json.dumps(
        {"a": {f"password{n}": f"{SECRET}{n}" for n in range(20_000)}}
    ),
    "a list of 40,000": lambda: json.dumps({"a": ["x", 1, None, SECRET] * 10_000}),
    "a text of 2 MB": lambda: texts("x" * 2 * MEBIBYTE),
    "words": lambda: texts("lorem ipsum " * 70_000),
    "dots and colons": lambda: texts("a.b:c=d;" * 15_000),
    "quotes": lambda: texts('"' * 40_000, "'" * 40_000, "\\" * 40_000, "`${" * 20_000),
    "starts of keys": lambda: texts("-----BEGIN PRIVATE KEY-----" * 4_000, "-----BEGIN " * 10_000),
    "starts of tokens": lambda: texts("eyJ" * 40_000, "ghp_" * 20_000, "AKIA" * 20_000),
    "starts of tokens with dots": lambda: texts("eyJhbGciOiJI." * 10_000, "SG." * 20_000),
    "starts of addresses": lambda: texts("http://" * 16_000, "a:b@" * 20_000, "://a:" * 20_000),
    "starts of pairs": lambda: texts("password=" * 4_000, "password: " * 4_000, "a=" * 40_000),
    "starts of options": lambda: texts("--password " * 10_000, "-p" * 40_000, "curl -u " * 10_000),
    "starts of markup": lambda: texts("<a " * 20_000, "<password>" * 10_000, "<!--" * 16_000),
    "starts of MIME": lambda: texts(
        "Content-Type: multipart/mixed; boundary=x\n\n" + "--x\n\n" * 10_000,
    ),
    "spaces and line breaks": lambda: texts(" " * 100_000, "\n" * 60_000, "\t:" * 40_000),
    "percent signs": lambda: texts("%" * 60_000, "%41" * 40_000, "http://h/?" + "a&" * 40_000),
    "hexadecimal digits": lambda: texts("0123456789abcdef" * 8_000, "aA0/" * 20_000),
    "base64 without an end": lambda: texts("QUJD" * 40_000, "H4sI" * 20_000),
}


def _layers(wrap: Callable[[str], str], count: int) -> str:
    text = SECRET
    for _ in range(count):
        text = wrap(text)
    return text


@pytest.fixture(scope="module", params=STATES)
def body(request: pytest.FixtureRequest) -> bytes:
    """A hostile state."""
    return state(STATES[request.param]())


def test_a_hostile_state_is_redacted(body: bytes) -> None:
    """In time, and without the secret, as a first version and as a change; and it is scanned."""
    document = parse(body)
    searcher = Searcher({"secret": SECRET})
    other = parse(state(json.dumps({"a": 0})))
    redactor = Redactor()
    for old, new in ((None, document), (other, document), (document, other)):
        changes, summary = redactor.change(old, new, KEY)
        recorded = orjson.dumps([changes.entry, summary]) + (changes.document or b"")
        assert [] == list(searcher.find(recorded))
    assert scan(document)


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "0x10", "'a'", "undefined", '"\\ud800 \\udfff"']
)
def test_what_is_not_json_is_refused(literal: str) -> None:
    """Other parsers take it; the message doesn't quote what stands around it."""
    with pytest.raises(NotJsonError) as refused:
        parse(state(f'{{"{SECRET}": {literal}}}'))
    assert SECRET not in str(refused.value)


def test_bytes_that_are_no_utf_8() -> None:
    """They are shown as U+FFFD, and the secret beside them is still found."""
    broken = state(texts("x")).replace(b"x ", b"\xff\xfe\x80 ")
    changes, _ = Redactor().change(None, parse(broken), KEY)
    assert [] == list(Searcher({"secret": SECRET}).find(orjson.dumps(changes.entry)))


def test_a_thousand_secrets_that_share_their_beginning() -> None:
    """Each is told from the others, and none is left where they stand side by side."""
    secrets = [f"shared-beginning-{number:04}-ending" for number in range(1_000)]
    assert_none_shown(secrets, " ".join(secrets))


def test_a_thousand_secrets_that_contain_each_other() -> None:
    """The longest is cut out whole: of none is a rest left."""
    secrets = [f"<{'0123456789'[number % 10] * (8 + number)}>" for number in range(1_000)]
    whole = assert_none_shown(secrets, "".join(secrets[-3:]))
    assert b"000000" not in whole


def test_secrets_that_overlap() -> None:
    """Where the end of one is the beginning of another, both are gone."""
    assert b"efghijkl" not in assert_none_shown(
        ["abcdefghijkl", "efghijklmnop"], "abcdefghijklmnop"
    )


def assert_none_shown(secrets: list[str], text: str) -> bytes:
    """Redact a state that has these secrets, and this text beside them; return what is shown."""
    attributes = {"passwords": secrets, "text": f"a {text} b", "items": [f"x{s}y" for s in secrets]}
    changes, _ = Redactor().change(None, parse(state(json.dumps(attributes))), KEY)
    whole = orjson.dumps(changes.entry) + (changes.document or b"")
    assert not [secret for secret in secrets if secret.encode() in whole]
    return whole


_LIMITED: Final = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from tests.redaction import test_hostile as hostile
for name in hostile.STATES:
    hostile.Redactor().change(None, hostile.parse(hostile.state(hostile.STATES[name]())), b"k")
    print(name, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_memory_stays_bounded() -> None:
    """One process redacts them all with a gigabyte of address space and a minute of processor."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert list(STATES) == done.stdout.splitlines(), done.stderr[-2_000:]
    assert 0 == done.returncode


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_real_server_takes_them(tmp_path: Path) -> None:
    """It stores or refuses each, answers others meanwhile, and its record tells no secret."""
    with Server(tmp_path / "data", env={"TFAUDIT_LOG_LEVEL": "debug"}) as server:
        token = server.token("writer")
        said: list[bytes] = []
        for number, make in enumerate(STATES.values()):
            path = f"/state/hostile/{number}"
            reply = server.request("POST", path, state(make()), token=token, timeout=60)
            assert reply.status in {200, 400, 422}, path
            assert 200 == server.request("GET", "/healthz").status
            said.append(reply.body)
        log = server.request("GET", "/api/v1/log", token=server.admin_token).body
        said += [log, server.cli("export").stdout.encode(), server.stderr.encode()]
    searcher = Searcher({"secret": SECRET})
    assert [] == [hit for each in said for hit in searcher.find(each)]
    assert len(STATES) == log.count(b'"event":"state.written"')


def test_the_states_are_hostile() -> None:
    """Each holds the secret, so that a leak would be seen."""
    searcher = Searcher({"secret": SECRET})
    bodies: dict[str, Any] = {name: state(make()) for name, make in STATES.items()}
    assert [] == [name for name, body in bodies.items() if not list(searcher.find(body))]
