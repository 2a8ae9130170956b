"""A real nginx that ends TLS in front of a server and passes the client's certificate on."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.certificates import Authority
from tests.conftest import missing
from tests.e2e.server import free_port

SERVER: Final = """
server {
  listen 127.0.0.1:PORT ssl;
  ssl_certificate server.pem;
  ssl_certificate_key server-key.pem;

  # The client's certificate is checked when there is one; never "optional_no_ca".
  ssl_client_certificate client-ca.pem;
  ssl_verify_client optional;

  location / {
    proxy_pass http://127.0.0.1:8920;
    # Both replace whatever the client sent.
    proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    proxy_set_header X-Forwarded-For $remote_addr;
  }
  client_max_body_size 0;
}
"""
"""What stands in the guide."""

_AROUND: Final = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  SERVER
}
"""


@contextmanager
def an_nginx(
    directory: Path, ca: Authority, upstream: int, variable: str = "$ssl_client_escaped_cert"
) -> Iterator[int]:
    """Run nginx in front of a port; yield its own.

    Args:
        directory: for its files.
        ca: of its certificate and of the clients'.
        upstream: the server's port.
        variable: what it passes in ``X-Client-Cert``.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        missing("nginx is not installed: apt-get install nginx")
    directory.mkdir()
    ca.server().files(directory, "server")
    (directory / "client-ca.pem").write_text(ca.pem)
    port = free_port()
    server = SERVER.replace("PORT", str(port)).replace("127.0.0.1:8920", f"127.0.0.1:{upstream}")
    config = directory / "nginx.conf"
    config.write_text(
        _AROUND.replace("SERVER", server.replace("$ssl_client_escaped_cert", variable))
    )
    command = [program, "-p", str(directory), "-c", str(config), "-e", "error.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait(process, port, directory / "error.log")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"nginx did not start:\n{log.read_text()}") from None
            time.sleep(0.02)
        else:
            return
