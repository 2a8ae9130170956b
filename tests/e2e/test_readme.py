"""The README's commands run as they stand there, from top to bottom, on one server."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy import app
from proxy.config import load_config
from tests.conftest import missing
from tests.e2e.conftest import MakeServer, MakeTerraform
from tests.e2e.receiver import Receiver
from tests.e2e.server import Server
from tests.verifiers.test_go import PACKAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTED = "127.0.0.1:8920"


def blocks(language: str, heading: str) -> Iterator[str]:
    """Yield the code blocks of a language below a heading, up to the next heading."""
    section = re.split(r"^#{2,3} ", README, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading + "\n")]
    yield from re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands(heading: str) -> list[str]:
    """Return the commands below a heading, one a line."""
    return [line for block in blocks("console", heading) for line in block.splitlines()]


def state(serial: int) -> bytes:
    """Return a small state of one lineage."""
    return json.dumps(
        {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": serial,
            "lineage": "6c5f0a52-7f4e-4a0e-9d5c-1f3f2d8a1b11",
            "outputs": {"o": {"value": str(serial), "type": "string"}},
            "resources": [],
        }
    ).encode()


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a line of the README in bash and returns what it printed."""

    def run(line: str, server: Server, answer: str | None = None, code: int = 0) -> str:
        backup = tmp_path / "backup"
        line = line.replace(DOCUMENTED, f"127.0.0.1:{server.port}")
        line = line.replace("/backup/tfaudit", str(backup)).replace(
            "/var/lib/tfaudit", str(tmp_path / "restored")
        )
        line = line.replace(".venv/bin/tfaudit", "tfaudit")
        path = f"{Path(sys.executable).parent}:{server.env['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env={**server.env, "PATH": path},
            input=answer,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code == done.returncode, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_the_two_commands_are_targets() -> None:
    """`make serve` and `make test` stand in the README and in the Makefile."""
    listed = [line.split("#")[0].strip() for line in commands("Try it")]

    assert ["make serve", "make test"] == listed[:2]
    for command in listed[:2]:
        subprocess.run([*command.split(), "-n"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_make_serve(tmp_path: Path, make_server: MakeServer) -> None:
    """`make serve` prints a token and a block that Terraform takes as it is, and serves."""
    if not (ROOT / ".venv" / ".runtime").exists():
        missing("this test wants the environment that `make venv` builds")
    server = make_server(start=False)
    errors = tmp_path / "serve.log"
    with errors.open("wb") as output:
        process = subprocess.Popen(
            ["make", "serve"],
            cwd=ROOT,
            # Not with the options of a `make test ARGS=…` around this.
            env={k: v for k, v in server.env.items() if k not in {"ARGS", "MAKEFLAGS", "MFLAGS"}},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        for _ in range(300):
            if server.is_ready():
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        said = errors.read_text("utf-8")
        assert server.is_ready(), said
        assert re.search(r"tfa_[0-9A-Za-z]{43}", said)
        assert f'address        = "{server.url}/state/' in said
    finally:
        if process.poll() is None:
            subprocess.run(["pkill", "-TERM", "-g", str(process.pid)], check=False)
            process.wait(30)


def test_try_it(server: Server, make_terraform: MakeTerraform, shell: Callable[..., str]) -> None:
    """The pasted block gives a working apply; the commands below it show what is on record."""
    (block,) = blocks("hcl", "Try it")
    terraform = make_terraform(env={"TF_HTTP_PASSWORD": server.admin_token})
    terraform.write(
        block.replace(DOCUMENTED, f"127.0.0.1:{server.port}")
        + 'variable "v" {\n  default = "1"\n}\n'
        + 'resource "terraform_data" "a" {\n  input = var.v\n}\n'
    )
    terraform.run("init")
    terraform.apply()
    terraform.apply("-var", "v=2")

    shown = [shell(line, server) for line in commands("Try it") if "/tfaudit" in line]

    assert "state.written" in shown[0]
    assert "Verified" in shown[1]
    assert "terraform_data.a" in shown[2]


def test_dialects(server: Server, make_terraform: MakeTerraform) -> None:
    """The block of the all-POST dialect, with a waiting lock, works."""
    (block,) = blocks("hcl", "Addresses and dialects")
    terraform = make_terraform(env={"TF_HTTP_PASSWORD": server.token("writer", "prod/*")})
    terraform.write(
        block.replace("https://tfaudit.example.com", server.url)
        + 'resource "terraform_data" "a" {\n}\n'
    )

    terraform.run("init")
    terraform.apply()

    assert ["state.locked", "state.written", "state.unlocked"] == [
        event
        for event in server.events("prod/network")
        if event in {"state.locked", "state.written", "state.unlocked"}
    ]


def _require_programs() -> None:
    for part in ("curl", "jq"):
        if shutil.which(part) is None:
            missing(f"the README's commands need {part}: apt-get install {part}")


@pytest.mark.parametrize("heading", ["Who may do what", "Workspaces"])
def test_guides_of_several_lines(server: Server, shell: Callable[..., str], heading: str) -> None:
    """Each block is one script, since a line may need what the one before it was told."""
    _require_programs()
    for block in blocks("console", heading):
        script = f"export TF_HTTP_PASSWORD={server.admin_token}\nset -e\n{block}"
        shell(script, server, answer="correct horse battery nail\n")


def test_guides(server: Server, shell: Callable[..., str], tmp_path: Path) -> None:
    """Every `tfaudit` command of the guides does what it says, in the README's order."""
    _require_programs()
    (tmp_path / "terraform.tfstate").write_bytes(state(1))
    imported, _ = commands("Move existing states here")
    shell(imported, server)
    address = server.state_url("prod/network").removeprefix(server.url)
    for serial in range(2, 6):
        reply = server.request("POST", address, state(serial), token=server.admin_token)
        assert 200 == reply.status

    for line in commands("Look at states, go back"):
        if "lock release" in line:
            info = b'{"ID":"1","Operation":"OperationTypeApply","Who":"a@b"}'
            assert 200 == server.request("LOCK", address, info, token=server.admin_token).status
        shell(line, server, answer="y\n")
    newest = json.loads(server.request("GET", address, token=server.admin_token).body)
    assert (6, "3") == (newest["serial"], newest["outputs"]["o"]["value"])

    for line in commands("The log"):
        if "--follow" not in line:
            shell(line, server)

    (tmp_path / "leaked.txt").write_text("3\n")
    for heading in (
        "Find the secrets in a state",
        "A value leaked: where was it?",
        "Runs",
        "Prove it",
        "Prove it yourself",
        "Hand it to an auditor",
        "Operate it",
    ):
        for line in commands(heading):
            shell(line, server)
    # At the end: a search for a leaked value can't reach versions that are gone.
    for line in commands("Old versions"):
        shell(line, server)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_prove_it_yourself(server: Server, shell: Callable[..., str], tmp_path: Path) -> None:
    """As a reader who trusts nobody: yes for the true log, no for one in which a byte was changed.

    By the Go tool for tiles and receipts, and by the bundle's own program.
    """
    _require_programs()
    if shutil.which("go") is None or not PACKAGES.is_dir():
        missing("this test needs golang-go and golang-golang-x-mod-dev: make test-parts")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for serial in range(1, 6):
        address = server.state_url("prod/network").removeprefix(server.url)
        server.request("POST", address, state(serial), token=server.admin_token)
    keys, *_ = commands("Prove it")
    shell("\n".join(("set -e", keys, *commands("Prove it yourself"))), server)
    shell("\n".join(("set -e", *commands("Hand it to an auditor"))), server)
    (block,) = [each for each in blocks("text", "Prove it yourself") if "./verifier" in each]
    build, tiles, receipt = block.splitlines()
    bundle = commands("Hand it to an auditor")[-1]
    cache = os.environ.get("GOCACHE") or Path("~/.cache/go-build").expanduser()
    shell(f"CGO_ENABLED=0 GOCACHE={cache} {build}", server)

    assert "entries" in shell(tiles, server)
    assert "entry 4 of" in shell(receipt, server)
    assert "VERIFIED" in shell(bundle, server)

    (entries,) = (tmp_path / "public/tile/entries").rglob("*.p/*")
    _flip(entries)
    shell(tiles, server, code=1)
    _flip(tmp_path / "apply.tlog-proof")
    shell(receipt, server, code=1)
    _flip(tmp_path / "audit" / "entries.jsonl")
    assert shell(bundle.replace("audit.zip", "audit"), server, code=1).startswith("FAILED")


def test_follow(server: Server) -> None:
    """`tfaudit log --follow --json` prints an entry as it is committed, until it is stopped."""
    (line,) = [line for line in commands("The log") if "--follow" in line]
    path = f"{Path(sys.executable).parent}:{server.env['PATH']}"
    with subprocess.Popen(
        line.split(), env={**server.env, "PATH": path}, stdout=subprocess.PIPE, text=True
    ) as follower:
        try:
            server.request("GET", "/state/followed", token=server.admin_token)
            assert follower.stdout is not None
            for text in follower.stdout:
                entry = json.loads(text)["entry"]
                if entry["event"] == "state.read":
                    break
        finally:
            follower.send_signal(signal.SIGINT)

    assert "followed" == entry["workspace"]


def test_forward_events(server: Server, shell: Callable[..., str], tmp_path: Path) -> None:
    """A first sink in three commands, its test, its filter, its pause, and a replay."""
    events = tmp_path / "events"
    events.mkdir()
    with Receiver(b"") as receiver:

        def run(line: str) -> str:
            line = line.replace("tfaudit-data/", f"{server.data}/")
            line = line.replace("/var/log/tfaudit", str(events))
            return shell(line.replace("https://hooks.example.com/tfaudit", receiver.url), server)

        create_file, test_file, make_secret, create, test, *rest = commands("Forward events")
        assert "Created" in run(create_file)
        assert "Taken" in run(test_file)
        assert b"sink.tested" in (events / "events.jsonl").read_bytes()
        run(make_secret)
        text = (server.data / "secrets" / "hook").read_text("utf-8").strip()
        receiver.key = base64.b64decode(text.removeprefix("whsec_"))
        assert "Probed: " in run(create)
        assert "Taken" in run(test)
        for line in rest:
            if "replay" in line:
                receiver.wait_for("sink.enabled")
                deadline = time.monotonic() + 20
                while '"ok"' not in server.cli("sink", "show", "hook", "--json").stdout:
                    assert time.monotonic() < deadline
            run(line)
        for line in commands("Filters: which events a sink gets"):
            run(line)
        receiver.wait_for("audit.started")  # from before the sink was made
        assert "tfaudit.sink.tested" in receiver.types


def test_forward_events_by_configuration(tmp_path: Path) -> None:
    """The table can be used as it stands there."""
    (table,) = blocks("toml", "Forward events")
    path = tmp_path / "tfaudit.toml"
    path.write_text(table, "utf-8")
    config = load_config(path, {})
    assert ["siem"] == list(config.sinks)
    app.require_sinks(config)
