"""Connections that hear no far side out for ever: what it sends for one request has an end.

aiohttp reads as many interim answers (RFC 9110 section 15.2) as come, all that arrived at once
without letting anybody else run; and a body for as long as its reader wants more. Requests of
others are served by the same event loop.
"""

import asyncio
from functools import partial
from typing import Any, Final, cast

from aiohttp import BaseConnector, ClientError
from aiohttp.client_proto import ResponseHandler

MAX_HEADS: Final = 10
"""Answers to one request, interim ones and the last."""
MAX_HEAD: Final = 65_536
"""Bytes until the last answer's content begins."""
MAX_RAW: Final = 524_288
"""Bytes for one request, with all that frames the content."""
_SLICE: Final = 4_096
"""Bytes that are parsed before anybody counts."""
_PATIENCE: Final = 0.1
"""Seconds that a reader has to take what is there before it is told that nothing more comes."""
_LAST: Final = 200


class EndlessAnswerError(ClientError):
    """The far side did not stop talking."""


def bounded(connector: BaseConnector) -> None:
    """Have all connections that a connector makes from now on hang up on an endless answer."""
    # It has no parameter for it; all of its kinds take their protocol from here.
    made = partial(_Bounded, loop=connector._loop)  # noqa: SLF001
    connector._factory = cast("partial[ResponseHandler]", made)  # noqa: SLF001


class _Bounded(ResponseHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._heads = 0
        self._received = 0
        self._has_last = False
        self._held = b""
        self._end: asyncio.TimerHandle | None = None

    def set_response_params(self, **given: Any) -> None:  # noqa: ANN401 - as the base takes them
        """Begin with one request."""
        self._heads = self._received = 0
        self._has_last = False
        super().set_response_params(**given)

    def feed_data(self, data: Any, size: int = 0) -> None:  # noqa: ANN401 - as the base has it
        """Count an answer's head."""
        self._heads += 1
        self._has_last = self._has_last or data[0].code >= _LAST
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as it is within the bounds."""
        if not data:  # the base goes on with what it has
            super().data_received(data)
        self._held += data
        # The base may pause; with no data it says that it goes on.
        while self._held and not self._reading_paused:
            part, self._held = self._held[:_SLICE], self._held[_SLICE:]
            self._received += len(part)
            if self._heads > MAX_HEADS or (self._received > MAX_HEAD and not self._has_last):
                self._hang_up()
            elif self._received > MAX_RAW:
                self._stop_reading()
            else:
                super().data_received(part)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Be done."""
        if self._end is not None:
            self._end.cancel()
        held, self._held = self._held, b""
        if held and not self.is_eof():
            super().data_received(held)
        super().connection_lost(exc)

    def _stop_reading(self) -> None:
        """Leave what there is to the reader, who may have enough of it, and then hang up."""
        self._held = b""
        self._pause_reading_for_buffer()
        if self._end is None:
            self._end = self._loop.call_later(_PATIENCE, self._hang_up)

    def _hang_up(self) -> None:
        self._held = b""
        error = EndlessAnswerError()
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)
        if self.transport is not None:
            self.transport.abort()
