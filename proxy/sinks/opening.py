"""Makes the sink of an object: its options checked, its secrets at hand, the world around it."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime

from proxy.config import Secret
from proxy.directory import Directory, Object
from proxy.sinks import open_sink
from proxy.sinks.contract import Context, Sink


class SinkOpener:
    """Makes sinks; ``contract.Opener`` says what is raised.

    Args:
        secret: gives the secret of a name; asked anew for each sink that is made.
        now: the present, UTC.
    """

    def __init__(self, secret: Callable[[str], Secret], now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._now = now

    def __call__(self, found: Object) -> Sink:
        """Return the sink of an object of the directory."""
        record = Directory.sink_record(found)
        context = Context(
            name=record.name,
            secret=self._secret,
            now=self._now,
            sleep=asyncio.sleep,
            random=os.urandom,
        )
        return open_sink(record.type, record.options, context)
