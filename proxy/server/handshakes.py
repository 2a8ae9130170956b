"""TLS handshakes: how long one may take, and how many there may be at once.

aiohttp learns of a connection only when its handshake is over, and asyncio would wait a minute for
each, however many there are. Whoever opens many and says nothing would have all of the process's
file descriptors, the store's among them.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import web

HANDSHAKE_SECONDS: Final = 10.0
"""Within which a connection's handshake is over."""

_TOLD_SECONDS: Final = 1.0
"""A refused certificate is told in the log; of many in a moment one, and how many there were."""

_log = structlog.get_logger("tfaudit.server")


class TLSSite(web.TCPSite):
    """Listens, and gives to the runner's server what has finished its handshake.

    Args:
        runner: set up.
        host: address to listen on.
        port: TCP port.
        context: of TLS.
        most: handshakes at once; for one more the oldest is given up.
        seconds: that a handshake may take.
    """

    __slots__ = ("_context", "_most", "_seconds", "_told", "_under_way", "_untold")

    def __init__(  # noqa: PLR0913 - where, how, and the two bounds
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        context: ssl.SSLContext,
        *,
        most: int,
        seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        super().__init__(runner, host, port, ssl_context=context)
        self._context = context
        self._most = most
        self._seconds = seconds
        self._under_way: dict[_Handshake, asyncio.Task[None]] = {}
        self._told = 0.0
        self._untold = 0

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the address can't be listened on.
        """
        await super(web.TCPSite, self).start()
        server = self._runner.server
        assert server is not None  # noqa: S101 - BaseSite looked
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Handshake(self, server), self._host, self._port, backlog=self._backlog
        )
        self._bound_port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and give up the handshakes under way."""
        for task in list(self._under_way.values()):
            task.cancel()
        await super().stop()

    def begin(self, handshake: "_Handshake") -> None:
        """Start a handshake; when there are too many, the oldest makes room."""
        if len(self._under_way) >= self._most:
            next(iter(self._under_way)).abort()
        task = asyncio.create_task(handshake.shake(self._context, self._seconds))
        self._under_way[handshake] = task
        task.add_done_callback(lambda _: self._under_way.pop(handshake, None))

    def tell(self, error: ssl.SSLCertVerificationError, address: str) -> None:
        """Say in the program's log why a client certificate was refused: nothing else will."""
        self._untold += 1
        now = asyncio.get_running_loop().time()
        if now >= self._told:
            why = error.verify_message
            _log.warning("refused a certificate", why=why, address=address, times=self._untold)
            self._told, self._untold = now + _TOLD_SECONDS, 0


class _Handshake(asyncio.Protocol):
    """A connection until its handshake is over; keeps what comes in the moment of handing over."""

    def __init__(self, site: TLSSite, make: Callable[[], asyncio.Protocol]) -> None:
        self._site = site
        self._make = make
        self._raw: Any = None
        self._early: list[bytes] = []
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._raw = transport
        self._raw.pause_reading()  # the first bytes are TLS's
        self._site.begin(self)

    def data_received(self, data: bytes) -> None:
        """Keep what came with the end of the handshake."""
        self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Remember that there is nobody to hand over."""
        self._has_ended = True

    def abort(self) -> None:
        """Give up, whatever is under way."""
        self._raw.abort()

    async def shake(self, context: ssl.SSLContext, seconds: float) -> None:
        """Finish the handshake and hand over; nothing is told of one that fails."""
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._raw, self, context, server_side=True, ssl_handshake_timeout=seconds
            )
        except ssl.SSLCertVerificationError as error:
            self._site.tell(error, str(self._raw.get_extra_info("peername", [""])[0]))
            return
        except OSError:  # of TLS, of the network, or too late: all are errors of the system
            return
        if transport is None or self._has_ended:
            return
        connection = self._make()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for data in self._early:
            connection.data_received(data)
