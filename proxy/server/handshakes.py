"""TLS handshakes: how long one may take, and how many there may be at once.

aiohttp learns of a connection only when its handshake is over, and asyncio would wait a minute for
each, however many there are. Whoever opens many and says nothing would have all of the process's
file descriptors, the store's among them.
"""

import asyncio
import os
import socket
import ssl
from typing import Final

from aiohttp import web

from proxy.logs import Logger

HANDSHAKE_SECONDS: Final = 10.0
"""Within which a connection's handshake is over."""

_RETRY_SECONDS: Final = 0.5
_TOLD_SECONDS: Final = 1.0
"""A refused certificate is told in the log; of many in a moment one, and how many there were."""

_log = Logger("tfaudit.server")


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

    __slots__ = ("_accepting", "_context", "_most", "_seconds", "_told", "_under_way", "_untold")

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
        self._accepting: list[asyncio.Task[None]] = []
        self._under_way: dict[asyncio.Task[None], None] = {}
        self._told = 0.0
        self._untold = 0

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the address can't be listened on.
        """
        await super(web.TCPSite, self).start()
        loop = asyncio.get_running_loop()
        # Its sockets are bound as for any other site; connections are taken from them here.
        self._server = server = await loop.create_server(
            asyncio.Protocol, self._host, self._port, backlog=self._backlog, start_serving=False
        )
        self._bound_port = server.sockets[0].getsockname()[1]
        for each in server.sockets:
            listener = socket.socket(fileno=os.dup(each.fileno()))
            listener.settimeout(0)
            listener.listen(self._backlog)
            self._accepting.append(asyncio.create_task(self._accept(listener)))

    async def stop(self) -> None:
        """Listen no more, and give up the handshakes under way."""
        for task in (*self._accepting, *self._under_way):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._under_way, return_exceptions=True)
        await super().stop()

    async def _accept(self, listener: socket.socket) -> None:
        """Take each connection that comes; when there are too many handshakes, the oldest goes."""
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, address = await loop.sock_accept(listener)
                except OSError as error:  # no more files, or the client was gone already
                    _log.warning("a connection could not be accepted", error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if len(self._under_way) >= self._most:
                    next(iter(self._under_way)).cancel()
                task = asyncio.create_task(self._shake(connection, str(address[0])))
                self._under_way[task] = None
                task.add_done_callback(self._under_way.pop)

    async def _shake(self, connection: socket.socket, address: str) -> None:
        """Finish the handshake and hand over; nothing is told of one that fails for no reason."""
        server = self._runner.server
        assert server is not None  # noqa: S101 - the site was started
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                server, connection, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except ssl.SSLCertVerificationError as error:
            self.tell(error, address)
        except OSError:  # of TLS, of the network, or too late: all are errors of the system
            pass

    def tell(self, error: ssl.SSLCertVerificationError, address: str) -> None:
        """Say in the program's log why a client certificate was refused: nothing else will."""
        self._untold += 1
        now = asyncio.get_running_loop().time()
        if now >= self._told:
            why = error.verify_message
            _log.warning("refused a certificate", why=why, address=address, times=self._untold)
            self._told, self._untold = now + _TOLD_SECONDS, 0
