"""The whole program over a real store, asked over HTTP: by a client, and byte by byte."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from proxy.access import Caller, Principal, Role, rights_of
from proxy.app import create_app
from proxy.config import AuditConfig, Config, DataConfig, ServerConfig
from proxy.program import Program, open_program
from proxy.server.connections import Runner
from proxy.server.metrics import Metrics
from proxy.server.middleware import Traffic
from tests.samples import last_of, log_of

SYSTEM = Caller(
    Principal("system", "cli", "root", rights_of(Role.ADMIN)), "", "", "cli", "test", ""
)
STATE = "/state/prod/network"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole.

    Attributes:
        status: the number.
        headers: names in lower case.
        body: after whatever its Content-Encoding says was undone.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def index(self) -> int | None:
        """The Audit-Index, None when there is none."""
        text = self.headers.get("audit-index")
        return None if text is None else int(text)


@dataclass(slots=True)
class Face:
    """The running program and those who may ask it.

    Attributes:
        program: its parts.
        client: keeps its connections, as Terraform does.
        traffic: what is under way.
        tokens: the text of a token for each role's name.
    """

    program: Program
    client: TestClient[web.Request, web.Application]
    traffic: Traffic
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        port = self.client.port
        assert port is not None
        return port

    async def token(self, role: Role, workspaces: tuple[str, ...] = ("*",)) -> str:
        """Return a token of this role for all workspaces, made at the first call, or a new one."""
        name = role.value if workspaces == ("*",) else f"{role.value}-{len(self.tokens)}"
        if name not in self.tokens:
            admin = self.program.admin
            minted = await admin.create_token(SYSTEM, name, role.value, workspaces, None)
            self.tokens[name] = minted.text
        return self.tokens[name]

    async def ask(
        self,
        method: str,
        path: str = STATE,
        body: bytes | AsyncIterator[bytes] | None = None,
        *,
        role: Role | None = Role.OPERATOR,
        token: str | None = None,
        **options: Any,
    ) -> Answer:
        """Send a request with the role's token as Basic password, and read the answer."""
        if token is None and role is not None:
            token = await self.token(role)
        headers = {"Accept-Encoding": "identity"} | options.pop("headers", {})
        if token is not None:
            headers["Authorization"] = f"Basic {b64encode(f'terraform:{token}'.encode()).decode()}"
        data = BytesIO(body) if isinstance(body, bytes) else body
        async with self.client.request(
            method, path, data=data, headers=headers, **options
        ) as response:
            return await _answer(response)

    async def raw(self, *parts: bytes | float, seconds: float = 5.0) -> Answer:
        """Send bytes as they are, with pauses in between, and read one answer.

        Args:
            parts: bytes to send, seconds to pause; ``{auth}`` stands for an operator's credentials.
            seconds: to wait for the answer.
        """
        token = await self.token(Role.OPERATOR)
        auth = f"Authorization: Bearer {token}\r\nHost: x\r\n".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part.replace(b"{auth}\r\n", auth))
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
            async with asyncio.timeout(seconds):
                return await read_answer(reader)
        finally:
            writer.close()

    async def last(self) -> dict[str, Any]:
        """Return the newest entry, parsed."""
        return await last_of(self.program.store)

    async def log(self) -> list[dict[str, Any]]:
        """Return all entries but those about the tokens of these tests, oldest first."""
        entries = await log_of(self.program.store)
        return [entry for entry in entries if entry["event"] != "token.created"]


async def _answer(response: ClientResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, await response.read())


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer off the wire."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(head[0].split()[1]), headers, body)


def a_config(directory: Path, *, public_log: bool = False, **server: Any) -> Config:
    """Return a configuration whose waits are short enough for tests."""
    return Config(
        server=replace(ServerConfig(port=0), **server),
        data=DataConfig(directory / "data"),
        audit=AuditConfig(
            origin="tfaudit.test/running", flood_immediate=1000, public_log=public_log
        ),
    )


class _Server(TestServer):
    """A server on the real one's runner, which ends no handler because its client hung up."""

    def __init__(self, app: web.Application, limits: dict[str, Any]) -> None:
        super().__init__(app)
        self._limits = limits

    async def _make_runner(self, **options: Any) -> web.BaseRunner:
        return Runner(self.app, **self._limits, **options | {"handler_cancellation": False})


@asynccontextmanager
async def a_face(
    directory: Path, *, limits: dict[str, Any] | None = None, **server: Any
) -> AsyncIterator[Face]:
    """Run the application over a new store in a directory; limits are Runner's."""
    async with open_program(a_config(directory, **server), create=True) as program:
        traffic = Traffic()
        app = create_app(program, Metrics(), traffic)
        async with TestClient(_Server(app, limits or {})) as client:
            yield Face(program, client, traffic)
