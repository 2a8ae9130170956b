"""Makes the sink of an object: its options checked, its secrets at hand, the world around it."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from proxy.config import Secret
from proxy.directory import Directory, Object
from proxy.fields import FieldError
from proxy.sinks import open_sink
from proxy.sinks.contract import Context, Sink


class SinkOpener:
    """Makes sinks; ``contract.Opener`` says what is raised.

    Args:
        secret: gives the secret of a name; asked anew for each sink that is made.
        now: the present, UTC.
        private: directory of the program's own data, which no sink writes to.
    """

    def __init__(
        self,
        secret: Callable[[str], Secret],
        now: Callable[[], datetime],
        private: Path | None = None,
    ) -> None:
        self._secret = secret
        self._now = now
        self._private = private

    def __call__(self, found: Object) -> Sink:
        """Return the sink of an object of the directory."""
        record = Directory.sink_record(found)
        if record.type == "file":
            self._require_elsewhere(record.options.get("path"))
        context = Context(
            name=record.name,
            secret=self._secret,
            now=self._now,
            sleep=asyncio.sleep,
            random=os.urandom,
        )
        return open_sink(record.type, record.options, context)

    def _require_elsewhere(self, path: object) -> None:
        if self._private is None or not isinstance(path, str) or "\0" in path:
            return
        # By what links lead to, as far as it is there.
        if Path(path).resolve().is_relative_to(self._private.resolve()):
            raise FieldError(
                "path is inside the server's data directory, which is its own: name a file "
                "elsewhere",
                "options.path",
            )
