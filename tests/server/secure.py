"""The whole program behind HTTPS, for the tests of client certificates."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector

from proxy.app import create_app
from proxy.config import Config
from proxy.program import Program, open_program
from proxy.server.connections import Runner
from proxy.server.handshakes import TLSSite
from proxy.server.tls import Revocations, open_tls
from tests.certificates import Authority, Pair, authority, client_context
from tests.running import SYSTEM, Answer, a_config
from tests.samples import log_of


@dataclass(slots=True)
class SecureFace:
    """The running program, asked over HTTPS.

    Attributes:
        program: its parts.
        port: on 127.0.0.1.
        ca: that signed the server's certificate.
        directory: for clients' files.
        revocations: of the server.
    """

    program: Program
    port: int
    ca: Authority
    directory: Path
    revocations: Revocations

    def context(self, pair: Pair | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return how a client with this certificate connects."""
        return client_context(self.ca, self.directory, pair, version)

    @asynccontextmanager
    async def session(
        self, pair: Pair | None = None, version: ssl.TLSVersion | None = None
    ) -> AsyncIterator[ClientSession]:
        """Keep a client with this certificate, and its connection."""
        connector = TCPConnector(ssl=self.context(pair, version), limit=1)
        base = f"https://127.0.0.1:{self.port}"
        async with ClientSession(base, connector=connector) as session:
            yield session

    async def ask(
        self,
        pair: Pair | None = None,
        method: str = "GET",
        path: str = "/state/prod/network",
        **options: Any,
    ) -> Answer:
        """Send one request on a connection of its own."""
        async with self.session(pair) as session:
            return await asked(session, method, path, **options)

    async def names(self, principal: str, *names: str, **fields: Any) -> None:
        """Make a principal with these certificates, who may write everything."""
        directory = self.program.directory
        await directory.create(
            SYSTEM, "principal", {"name": principal, "certificates": names, **fields}
        )
        grant = {"name": principal, "principal": principal, "role": "writer", "workspaces": ["*"]}
        await directory.create(SYSTEM, "grant", grant)

    async def last(self) -> dict[str, Any]:
        """Return the newest entry."""
        return (await log_of(self.program.store))[-1]


async def asked(
    session: ClientSession, method: str = "GET", path: str = "/state/prod/network", **options: Any
) -> Answer:
    """Send one request and read its answer."""
    async with session.request(method, path, **options) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, await response.read())


def secure_config(directory: Path, ca: Authority, **server: Any) -> Config:
    """Return a configuration with HTTPS and client certificates of a CA."""
    certificate, key = ca.server().files(directory, "server")
    (directory / "ca.pem").write_text(ca.pem)
    config = a_config(directory, certificate=certificate, private_key=key)
    return replace(
        config, server=replace(config.server, **({"client_ca": directory / "ca.pem"} | server))
    )


@asynccontextmanager
async def a_secure_face(
    directory: Path, *, handshakes: dict[str, Any] | None = None, **server: Any
) -> AsyncIterator[SecureFace]:
    """Run the application over a new store behind HTTPS; handshakes are TLSSite's limits."""
    ca = authority()
    config = secure_config(directory, ca, **server)
    tls = open_tls(config.server)
    assert tls is not None
    revocations = Revocations(config.server.client_crl, tls)
    async with open_program(config, create=True) as program:
        runner = Runner(create_app(program, revocations=revocations), shutdown_timeout=0.1)
        await runner.setup()
        site = TLSSite(runner, "127.0.0.1", 0, tls, **{"most": 50} | (handshakes or {}))
        await site.start()
        try:
            yield SecureFace(program, site.port, ca, directory, revocations)
        finally:
            await runner.cleanup()
