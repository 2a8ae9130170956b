"""Connections: how long one may be silent, how many there may be, what no request is answered.

aiohttp leaves a new connection alone for as long as one that was used; whoever opens many and says
nothing would have all of the process's file descriptors, the store's among them.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, Literal

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from proxy.certificates import ClientCertificate
from proxy.logs import Logger
from proxy.server.appkeys import REQUEST_IDS, SHORTCUT

SERVER_NAME: Final = "tfaudit"
"""Sent as Server: no versions of Python and libraries for whoever asks."""

HEAD_SECONDS: Final = 30.0
"""Within which a new connection has sent its first request's head; on one that was used,
server.keepalive ends the wait for the next."""

_MOST: Final = 10_000
_FIELD_BYTES: Final = 17_000
"""Of one header: an identity token of 12,000 characters as a Basic password, in base64."""
_RESERVED_FILES: Final = 256
"""Descriptors kept for the store, the workers and connections that are just accepted."""
_TOLD_SECONDS: Final = 60.0

_log = Logger("tfaudit.server")


def request_ids(prefix: str) -> Iterator[str]:
    """Return IDs without end; the prefix is unique among servers and restarts."""
    return map((prefix + "-{:x}").format, itertools.count(1))


def most_connections(files: int) -> int:
    """Return how many connections there may be at once, given how many files may be open."""
    return min(_MOST, max(files - _RESERVED_FILES, files // 2))


def most_handshakes(files: int) -> int:
    """Return how many of those connections may be in their TLS handshake."""
    return most_connections(files) // 8


class Runner(web.AppRunner):
    """Runs the application on connections that are bounded in silence and in number.

    Args:
        app: holds REQUEST_IDS, and perhaps a SHORTCUT to its handlers.
        head_seconds: for the head of a connection's first request.
        most: connections at once.
        options: of web.AppRunner.
    """

    __slots__ = ("_head_seconds", "_most")

    def __init__(
        self,
        app: web.Application,
        *,
        head_seconds: float = HEAD_SECONDS,
        most: int = _MOST,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        # Bodies are refused when they are compressed, and never unpacked before that: aiohttp
        # would do it on the event loop, for everybody, even to throw the body away.
        super().__init__(app, auto_decompress=False, max_field_size=_FIELD_BYTES, **options)
        self._head_seconds = head_seconds
        self._most = most

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler: Callable[[Any], Awaitable[web.StreamResponse]] = made.request_handler
        if SHORTCUT in self.app:
            handler = partial(self.app[SHORTCUT].handle, otherwise=handler)
        return _Server(
            handler,
            made.request_factory,
            ids=self.app[REQUEST_IDS],
            head_seconds=self._head_seconds,
            most=self._most,
            **self._kwargs,
        )


class _Server(web.Server):
    """Makes a Connection for each that is accepted, and keeps them few enough."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[web.StreamResponse]],
        make_request: Callable[..., web.BaseRequest],
        *,
        ids: Iterator[str],
        head_seconds: float,
        most: int,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        def make(
            message: RawRequestMessage,
            payload: StreamReader,
            protocol: web.RequestHandler,
            writer: AbstractStreamWriter,
            task: asyncio.Task[None],
        ) -> web.BaseRequest:
            protocol.is_silent = False  # type: ignore[attr-defined] # all are Connections
            return make_request(message, payload, protocol, writer, task)

        super().__init__(handler, request_factory=make, **options)
        self.ids = ids
        self.head_seconds = head_seconds
        self._most = most
        self._told = 0.0

    def __call__(self) -> "Connection":
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._connections) > self._most:
            self._make_room(handler)

    def _make_room(self, newest: web.RequestHandler) -> None:
        """Close the oldest that said nothing yet, or else the oldest idle one, or the newest."""
        others = [
            each
            for each in self._connections
            if isinstance(each, Connection) and each.connected and each is not newest
        ]
        silent = (each for each in others if each.is_silent)
        idle = (each for each in others if each.is_idle)
        next(itertools.chain(silent, idle, [newest])).force_close()
        if self._loop.time() >= self._told:
            self._told = self._loop.time() + _TOLD_SECONDS
            _log.warning("there are too many connections: idle ones are closed", most=self._most)


class Connection(web.RequestHandler):
    """One connection.

    Attributes:
        is_silent: no head of a request has arrived.
        certificate: the client's, as read from the handshake; False when there was none, None
            before anybody asked.
    """

    __slots__ = ("_ids", "_patience", "_silence", "certificate", "is_silent")

    def __init__(self, server: _Server, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(server, **options)
        self._ids = server.ids
        self._patience = server.head_seconds
        self._silence: asyncio.TimerHandle | None = None
        self.is_silent = True
        self.certificate: ClientCertificate | Literal[False] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked that is not answered."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        self._silence = self._loop.call_later(self._patience, self._end_silence)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait no more."""
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

    def _end_silence(self) -> None:
        if self.is_silent:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request of HTTP; without a word of what was sent, which aiohttp quotes.

        Raises:
            ConnectionError: an answer had begun.
        """
        super().handle_error(request, status, exc, message)
        reason = "internal error" if status >= 500 else "this is no request of HTTP that is allowed"
        answer = web.Response(
            status=status,
            text=f"{reason}\n",
            headers={"Request-Id": next(self._ids), hdrs.SERVER: SERVER_NAME},
        )
        answer.force_close()
        return answer
