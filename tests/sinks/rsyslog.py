"""A real rsyslog that writes what it receives into a file."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tests.certificates import Authority
from tests.conftest import missing
from tests.e2e.server import free_port

_TLS = """
global(DefaultNetstreamDriver="ossl"
       DefaultNetstreamDriverCAFile="{directory}/ca.pem"
       DefaultNetstreamDriverCertFile="{directory}/server.pem"
       DefaultNetstreamDriverKeyFile="{directory}/server-key.pem")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1"
       StreamDriver.AuthMode="{mode}")
input(type="imtcp" address="127.0.0.1" port="{port}")
"""
_PLAIN = """
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
"""
_WRITE = """
global(workDirectory="{directory}"{more})
template(name="whole" type="string" string="%jsonmesg%\\n")
action(type="omfile" file="{directory}/received" template="whole")
"""


class Rsyslog(NamedTuple):
    """A receiver that listens.

    Attributes:
        port: on 127.0.0.1.
        directory: of its files.
        process: rsyslogd.
    """

    port: int
    directory: Path
    process: "subprocess.Popen[bytes]"

    def received(self, count: int) -> list[dict[str, Any]]:
        """Wait until it has written so many messages; return all, oldest first."""
        deadline = time.monotonic() + 10
        path = self.directory / "received"
        while time.monotonic() < deadline:
            lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
            if len(lines) >= count:
                return [orjson.loads(line) for line in lines]
            time.sleep(0.01)
        raise AssertionError(f"rsyslog has {len(lines)} messages of {count}:\n{self.log()}")

    def log(self) -> str:
        """Return what it says of itself."""
        return (self.directory / "log").read_text()

    def stop(self) -> None:
        """End it."""
        self.process.kill()  # it would take a second to say goodbye
        self.process.wait(10)


@contextmanager
def an_rsyslog(
    directory: Path, ca: Authority | None = None, mode: str = "anon", port: int = 0, more: str = ""
) -> Iterator[Rsyslog]:
    """Run rsyslog.

    Args:
        directory: for its files.
        ca: of its certificate and of the clients'; None listens on plain TCP and UDP.
        mode: ``anon``, or ``x509/certvalid`` to want a certificate of clients.
        port: to listen on; 0 is a free one.
        more: further global settings.
    """
    program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
    driver = list(Path("/usr/lib").glob("**/rsyslog/lmnsd_ossl.so"))
    if program is None or (ca is not None and not driver):
        missing("rsyslog is not installed: apt-get install rsyslog rsyslog-openssl")
    directory.mkdir(exist_ok=True)
    port = port or free_port()
    if ca is not None:
        ca.server().files(directory, "server")
        (directory / "ca.pem").write_text(ca.pem)
    listening = (_TLS if ca is not None else _PLAIN).format(
        directory=directory, mode=mode, port=port
    )
    config = directory / "rsyslog.conf"
    config.write_text(_WRITE.format(directory=directory, more=more) + listening)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-n", "-f", str(config), "-i", str(directory / "pid")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    rsyslog = Rsyslog(port, directory, process)
    try:
        _wait(rsyslog)
        yield rsyslog
    finally:
        rsyslog.stop()


def _wait(rsyslog: Rsyslog) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", rsyslog.port), 1).close()
        except OSError:
            if rsyslog.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"rsyslog did not start:\n{rsyslog.log()}") from None
            time.sleep(0.02)
        else:
            return
