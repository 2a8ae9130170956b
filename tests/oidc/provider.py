"""An OpenID provider that does what it is told: ``python -m tests.oidc.provider``.

It prints its port and serves any number of issuers, each below a path of its own. What one
publishes, and how it fails, is told by ``PUT /<name>``; how often it was asked by ``GET /<name>``.
A run gets its identity token from ``/<name>/run?…&audience=…``, as GitHub Actions gives it.
"""

import json
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers for all issuers."""

    protocol_version = "HTTP/1.1"
    told: dict[str, dict[str, Any]]
    asked: dict[str, Counter[str]]

    def do_PUT(self) -> None:
        """Remember what an issuer is told."""
        name = self.path.strip("/")
        length = int(self.headers["Content-Length"])
        self.told.setdefault(name, {}).update(json.loads(self.rfile.read(length)))
        self.asked.setdefault(name, Counter())
        self._send(200, b"{}")

    def do_GET(self) -> None:
        """Publish the document or the keys of an issuer, as it was told."""
        path, _, query = self.path.partition("?")
        name, _, rest = path.strip("/").partition("/")
        told = self.told.get(name)
        if told is None:
            self._send(404, b"")
        elif not rest:
            self._send(200, json.dumps(self.asked[name]).encode())
        elif rest == "run":
            self.asked[name][query] += 1
            is_right = self.headers["Authorization"] == "Bearer of the run"
            self._send(200 if is_right else 401, json.dumps({"value": told["run"]}).encode())
        else:
            what = "keys" if rest == "jwks" else "document"
            self.asked[name][what] += 1
            self._answer(told, what, f"http://{self.headers['Host']}/{name}")

    def _answer(self, told: dict[str, Any], what: str, url: str) -> None:
        how = told.get(f"fail_{what}", {})
        time.sleep(how.get("delay", 0))
        if how.get("drop"):
            self.close_connection = True
            return
        if what == "keys":
            content: Any = {"keys": told.get("keys", [])}
        else:
            content = {"issuer": told.get("issuer", url), "jwks_uri": f"{url}/jwks"}
            content |= told.get("document", {})
        body = how["body"].encode() if "body" in how else json.dumps(content).encode()
        body += b" " * how.get("padding", 0)
        self._send(how.get("status", 200), body, how.get("headers", {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    Handler.told, Handler.asked = {}, {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)  # noqa: T201 - whoever started it reads this
    server.serve_forever()


if __name__ == "__main__":
    main()
