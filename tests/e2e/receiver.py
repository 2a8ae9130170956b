"""A receiver of webhooks on this machine, which keeps what it gets and can be down."""

import base64
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Receiver:
    """Takes signed webhooks (Standard Webhooks) of CloudEvents.

    Attributes:
        got: each event that was taken, with the ``webhook-id`` that it came with, in order.
        is_down: whether every request is refused with 503.
        key: that the webhooks must be signed with.
        refused: how many requests were.
    """

    def __init__(self, key: bytes) -> None:
        """Listen on a free port.

        Args:
            key: that the webhooks must be signed with.
        """
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.is_down = False
        self.refused = 0
        self.key = key
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self) -> None:
                self._answer(503 if receiver.is_down else 204)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._answer(receiver.take(headers, body))

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Keep an event whose signature is right; return the status of the answer."""
        if self.is_down:
            self.refused += 1
            return 503
        identity = headers["webhook-id"]
        signed = f"{identity}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.digest(self.key, signed, "sha256")).decode()
        if headers["webhook-signature"] != f"v1,{right}":
            return 401
        self.got.append((identity, json.loads(body)))
        return 204

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def types(self) -> list[str]:
        """The types of the events that came, in order."""
        return [event["type"] for _, event in self.got]

    def wait_for(self, ending: str, count: int = 1, seconds: float = 20) -> None:
        """Wait until so many events came whose type ends so.

        Raises:
            AssertionError: they did not within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while sum(each.endswith(ending) for each in self.types) < count:
            assert time.monotonic() < deadline, (ending, self.types)
            time.sleep(0.02)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
