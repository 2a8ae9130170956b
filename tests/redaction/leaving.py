"""Brings all canaries to a real server in every way, and collects whatever leaves it.

What leaves: the database's files and rows, the log in each form that it is printed and exported in,
what commands and the API show of states, answers to what was refused, metrics, and all that the
server's process and the commands say. Only a state's own bytes, read with a token, may hold
secrets.
"""

import json
import re
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import zstandard
from typer.testing import CliRunner

from proxy.cli import app
from proxy.tfstate.lock import content_md5
from tests.e2e.server import Reply, Server
from tests.redaction.canaries import Planted
from tests.redaction.encodings import Searcher
from tests.redaction.planting import NEW, OLD, Canary, Stack, lineage

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BODY_LIMIT: Final = 2_000_000
_LARGEST_DOCUMENT: Final = 1 << 28
_AROUND: Final = 40
_KEPT_AS_SENT: Final = {
    ("lock info", "database file while it runs"),
    ("lock info", "database file"),
}
"""What a lock says of itself goes back byte for byte to whoever is refused by it, so the database
has to keep it: the one place and the one kind of text that may be found there."""
_LOCK: Final = {
    "ID": "8f1c2a3b-0d4e-4f5a-9b6c-7d8e9f0a1b2c",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ci@runner",
    "Version": "1.11.4",
    "Created": "2026-01-31T10:00:00.123456789Z",
    "Path": "",
}


class Artifact(NamedTuple):
    """Something that left the server, under a name that tells what it is."""

    name: str
    data: bytes


class Leak(NamedTuple):
    """A canary that left.

    Attributes:
        canary: which.
        artifact: the name of what it stood in.
        form: how it was written.
        place: the address and path of the attribute, or what stood around it.
    """

    canary: Canary
    artifact: str
    form: str
    place: str

    def __str__(self) -> str:
        """All about it but the secret."""
        canary = self.canary
        return (
            f"{canary.name} ({canary.kind}, {canary.shape}, {canary.scene} in "
            f"{canary.workspace or 'a request'}, could be told by: {canary.found_by}) "
            f"as {self.form} in {self.artifact} at {self.place}"
        )


def everything(directory: Path, planted: Planted) -> list[Artifact]:
    """Run a server, send it everything, stop it, and return all that left.

    Args:
        directory: an empty one, or not there yet.
        planted: what to send.
    """
    level = {"TFAUDIT_LOG_LEVEL": "debug", "TFAUDIT_SERVER_BODY_LIMIT": str(_BODY_LIMIT)}
    directory.mkdir(parents=True, exist_ok=True)
    visit = _Visit(Server(directory / "data", env=level), planted)
    with visit.server:
        visit.token = visit.server.token("writer")
        for stack in planted.stacks:
            visit.write(stack)
        visit.be_refused()
        visit.say_secrets()
        visit.ask()
        visit.run_commands(directory)
        visit.keep("database file while it runs", *_files(visit.server.data))
        visit.provoke_bugs()
    visit.keep("database file", *_files(visit.server.data))
    visit.keep("the server's own log", visit.server.stderr.encode())
    visit.artifacts += _rows(visit.server.data)
    return visit.artifacts


class _Visit:
    """One visit at a server, and what it brought away."""

    def __init__(self, server: Server, planted: Planted) -> None:
        self.server = server
        self.planted = planted
        self.artifacts: list[Artifact] = []
        self.token = ""

    def keep(self, name: str, *data: bytes) -> None:
        """Remember what left."""
        self.artifacts += (Artifact(name, each) for each in data)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        expected: int,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, keep the answer, and check that it is the one that is meant."""
        reply = self.server.request(
            method, path, body, token=self.token if token is None else token, headers=headers
        )
        assert expected == reply.status, (method, path.partition("?")[0], reply.status)
        head = "\n".join(f"{name}: {value}" for name, value in reply.headers.items())
        self.keep(f"answer {reply.status}", head.encode() + b"\n" + reply.body)
        return reply

    def write(self, stack: Stack) -> None:
        """Write both versions as a run does: lock, write, unlock."""
        path = f"/state/{stack.workspace}"
        info = json.dumps(_LOCK).encode()
        for version in (OLD, NEW):
            self.send("LOCK", path, info, expected=200)
            body = stack.state(version)
            self.send("POST", f"{path}?ID={_LOCK['ID']}", body, expected=200)
            self.send("UNLOCK", path, info, expected=200)
        read = self.server.request("GET", path, token=self.token)
        assert stack.state(NEW) == read.body

    def be_refused(self) -> None:
        """Send states full of canaries that must not be stored."""
        first, second = self.planted.stacks[:2]
        old, new = first.state(OLD), first.state(NEW)
        alien = new.replace(lineage(first.workspace).encode(), lineage("other").encode())
        path = f"/state/{first.workspace}"
        post = "POST"
        self.send(post, path, old, expected=412)
        self.send(post, path, new + b"\n", expected=409)
        self.send(post, path, alien.replace(b'"serial": 2', b'"serial": 3'), expected=421)
        self.send(post, f"{path}?ID=gone", old, expected=410)
        info = json.dumps(_LOCK).encode()
        self.send("LOCK", path, info, expected=200)
        self.send(post, path, new, expected=428)
        self.send(post, f"{path}?ID=another", new, expected=423)
        self.send("UNLOCK", path, info, expected=200)
        self.send(post, path, new, expected=503, headers={"Content-MD5": content_md5(old)})
        self.send(post, path, new, expected=415, headers={"Content-Encoding": "gzip"})
        self.send(post, path, new + b" " * _BODY_LIMIT, expected=413)
        resources = json.dumps(json.loads(new)["resources"]).encode()
        for other in (
            new[:-20],
            new[len(new) // 2 :],
            new.replace(b":", b" ", 900),
            new.replace(b'"serial": 2', b'"serial": NaN'),
            b"\xff\xfe" + new,
            new + new,
            b'{"format_version": "1.0", "planned_values": %b}' % resources,
            b'{"version": %b}' % resources,
            new.replace(b'"version": 4', b'"version": 9'),
            new.replace(b'"serial": 2', b'"serial": %b' % resources),
            b'{"version": 4, "serial": 1, "lineage": "x", "resources": {"a": %b}}' % resources,
            second.state(OLD).replace(b'"version": 4', b'"version": 4, "encryption_version": "v0"'),
        ):
            reply = self.server.request(post, path, other, token=self.token)
            assert reply.status in {400, 422}, reply.status
            self.keep(f"answer {reply.status}", reply.body)
        self.send(post, path, resources, expected=422)
        self.send("LOCK", path, new[:16_000], expected=400)
        self.send("UNLOCK", path, new[:16_000], expected=400)
        self.send(post, path, new, expected=401, token="tfa_wrong")
        self.send("DELETE", path, expected=405)
        self._cut_off(path, new)

    def _cut_off(self, path: str, body: bytes) -> None:
        """Hang up in the middle of an upload, and say what is no HTTP."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.keep("answer to half an upload", self._raw(head.encode() + body[: len(body) // 2]))
        secret = self._said("line that is no HTTP")
        for line in (
            f"GET /{secret} HTTP/7.{secret}\r\n\r\n",
            f"GET / HTTP/1.1\r\n{secret}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {secret}\r\n\r\n",
            (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                f"Authorization: Bearer {self.token}\r\n\r\n{secret}\r\n"
            ),
        ):
            self.keep("answer to what is no HTTP", self._raw(line.encode()))

    def _raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def _said(self, scene: str) -> str:
        """The secret that a request says in this place."""
        return next(c.value for c in self.planted.canaries if c.scene == scene)

    def say_secrets(self) -> None:
        """Send secrets where a person or a program may put them by mistake."""
        path = f"/state/{self.planted.stacks[0].workspace}"
        said = self._said
        self.send("GET", f"/nothing?password={said('query')}", expected=400)
        self.send("POST", f"{path}?token={said('query')}", b"{}", expected=422)
        admin = self.server.admin_token
        self.send("GET", f"/api/v1/log?token={said('query')}", expected=400, token=admin)
        headers = {
            "X-Vault-Token": said("header"),
            "Cookie": f"session={said('cookie')}",
            "Referer": f"https://ci:{said('header')}@ci.example.com/",
            "X-Forwarded-For": said("header"),
            "Content-MD5": said("header"),
        }
        self.send("POST", path, b"{}", expected=503, headers=headers)
        for kind in ("Bearer", "Basic", "Digest"):
            header = {"Authorization": f"{kind} {said('credentials')}"}
            self.send("GET", path, expected=401, headers=header)
        self.send("GET", path, expected=401, token=said("credentials"))
        agent = {"User-Agent": f"curl/8.5 (+https://x:{said('user agent')}@example.com)"}
        self.send("GET", "/state/none", expected=404, headers=agent)
        info = _LOCK | {"Who": f"ci@{said('lock info')}", "Info": said("lock info")}
        self.send("LOCK", "/state/other", json.dumps(info).encode(), expected=200)
        self.send("UNLOCK", "/state/other", json.dumps(info).encode(), expected=200)
        wish = {"name": "x", "role": "writer", "workspaces": ["*"], "token": said("wish")}
        for body in (json.dumps(wish).encode(), said("wish").encode()):
            self.send(
                "POST",
                "/api/v1/tokens",
                body,
                expected=400,
                token=admin,
                headers={"Content-Type": "application/json"},
            )

    def ask(self) -> None:
        """Ask everything that answers without a state."""
        admin = self.server.admin_token
        for path in (
            "/api/v1/log",
            "/api/v1/tokens",
            "/metrics",
            "/healthz",
            "/readyz",
            "/checkpoint",
        ):
            reply = self.server.request("GET", path, token=admin)
            assert 200 == reply.status, path
            self.keep(path, reply.body)

    def run_commands(self, directory: Path) -> None:
        """Run every command that shows something of what is stored.

        Those that are run for each workspace run in this process, which takes a fraction of the
        time that it takes to start one.
        """
        file = directory / "state.tfstate"
        file.write_bytes(self.planted.stacks[0].state(NEW))
        broken = directory / "broken.tfstate"
        broken.write_bytes(file.read_bytes()[:-9])
        workspaces = [stack.workspace for stack in self.planted.stacks]
        commands = [
            ("log",),
            ("log", "--json", "--since", "1d"),
            ("export",),
            ("export", "--format", "csv"),
            ("state", "list"),
            ("lock", "list"),
            ("verify",),
            ("state", "import", str(file), "--workspace", "imported", "--json"),
            ("state", "import", str(broken), "--workspace", "broken"),
            ("state", "rollback", workspaces[0], "1", "--yes", "--json"),
            ("whose-secret", workspaces[1]),
            ("scan", "--all"),
            ("scan", str(file)),
            ("scan", str(broken)),
        ]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._run_process, commands))
        for workspace in workspaces[1:]:
            secret = next(c for c in self.planted.canaries if c.workspace == workspace)
            self._run_here("whose-secret", workspace, said=secret.value)
            for verb in ("show", "diff"):
                self._run_here("state", verb, workspace)
                self._run_here("state", verb, workspace, "--json")
        self._run_here("state", "versions", workspaces[0], "--json")

    def _run_process(self, command: tuple[str, ...]) -> None:
        done = self.server.cli(*command, check=False)
        self._keep_output(command, done.stdout, done.stderr)

    def _run_here(self, *command: str, said: str = "") -> None:
        arguments = [*command, "--data", str(self.server.data)]
        done = CliRunner().invoke(app, arguments, input=said)
        assert 0 == done.exit_code, done.output
        self._keep_output(command, done.stdout, done.stderr)

    def _keep_output(self, command: tuple[str, ...], stdout: str, stderr: str) -> None:
        name = " ".join(("tfaudit", *(each for each in command if not each.startswith("/"))))
        self.keep(f"{name}, stdout", stdout.encode())
        self.keep(f"{name}, stderr", stderr.encode())

    def provoke_bugs(self) -> None:
        """Take a table away under the server's feet: what is raised then must tell nothing."""
        stack = self.planted.stacks[3]
        with sqlite3.connect(self._database) as connection:
            connection.execute("ALTER TABLE state_version RENAME TO gone")
        connection.close()
        body = stack.state(NEW).replace(b'"serial": 2', b'"serial": 3')
        for path in (f"/state/{stack.workspace}", "/state/new"):
            for method, content in (("POST", body), ("GET", None)):
                reply = self.server.request(method, path, content, token=self.token)
                self.keep(f"answer {reply.status}", reply.body)
        with sqlite3.connect(self._database) as connection:
            connection.execute("ALTER TABLE gone RENAME TO state_version")
        connection.close()

    @property
    def _database(self) -> Path:
        return next(self.server.data.glob("*.db"))


def _files(data: Path) -> Iterator[bytes]:
    """All files of the database; the states in it are encrypted."""
    for file in sorted(data.glob("*.db*")):
        yield file.read_bytes()


def _rows(data: Path) -> Iterator[Artifact]:
    """Each column of each table, also what it holds compressed."""
    (database,) = data.glob("*.db")
    connection = sqlite3.connect(database)
    tables = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    for table in tables:
        found = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - SQLite told the name
        columns = [column[0] for column in found.description]
        for row in found:
            for column, value in zip(columns, row, strict=True):
                data_ = value if isinstance(value, bytes) else str(value).encode()
                if data_.startswith(_ZSTD):
                    data_ = zstandard.decompress(data_, _LARGEST_DOCUMENT)
                yield Artifact(f"database, {table}.{column}", data_)
    connection.close()


# ---------------------------------------------------------------- what was found


def leaks(planted: Planted, artifacts: Iterable[Artifact]) -> list[Leak]:
    """Every canary in what left, once for each name of an artifact."""
    found: dict[tuple[str, str], Leak] = {}
    for artifact in artifacts:
        places: dict[int, dict[str, str]] = {}
        for hit in planted.searcher.find(artifact.data):
            key = hit.name, artifact.name
            scene = planted.by_name[hit.name].scene
            if key in found or (scene, artifact.name) in _KEPT_AS_SENT:
                continue
            begin = artifact.data.rfind(b"\n", 0, hit.start) + 1
            if begin not in places:
                places[begin] = _places(planted.searcher, artifact.data[begin:])
            before = artifact.data[max(begin, hit.start - _AROUND) : hit.start]
            around = repr(re.sub(rb"[^\x20-\x7e]+", b" ", before))
            place = places[begin].get(hit.name, f"behind {around}")
            found[key] = Leak(planted.by_name[hit.name], artifact.name, hit.form, place)
    return list(found.values())


def leaked(found: Iterable[Leak]) -> dict[str, int]:
    """How many canaries of each class leaked."""
    names: dict[str, set[str]] = {}
    for leak in found:
        names.setdefault(leak.canary.kind, set()).add(leak.canary.name)
    return {kind: len(each) for kind, each in sorted(names.items())}


def _places(searcher: Searcher, data: bytes) -> dict[str, str]:
    """Where in a line each canary stands; nothing unless the line is JSON."""
    line = data.partition(b"\n")[0]
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for path, text in _texts(value, ""):
        for hit in searcher.find(text):
            found.setdefault(hit.name, path)
    return found


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """All texts, keys and numbers with their paths; of an item, its address stands for its path."""
    if isinstance(value, dict):
        if "address" in value and "attributes" in value:
            path = f"{value['address']}: "
        for key, inner in value.items():
            yield f"{path} (a key)", key
            yield from _texts(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")
    else:
        yield path, str(value)
