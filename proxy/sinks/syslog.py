"""Syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587) or UDP (RFC 5426).

Syslog has no acknowledgement: what is sent counts as sent, not as received. What can be known is
looked at: that the far side has not hung up before and after a batch, and, on TCP and TLS, that its
system has taken every byte.
"""

import errno
import fcntl
import json
import os
import re
import socket
import ssl
import struct
import termios
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta

from proxy.fields import FieldError
from proxy.sinks._fitting import fitted
from proxy.sinks._rendering import rendered, with_checkpoint
from proxy.sinks._thread import OneThread
from proxy.sinks._trust import trusting
from proxy.sinks.contract import Batch, Context, Event, Limits, NotTakenError, Options, Receipt
from proxy.sinks.options import HOST_PATTERN, PRINTABLE_PATTERN, Format

_BOM: Final = b"\xef\xbb\xbf"
_LARGEST_DATAGRAM: Final = 65_507
"""IPv4: 65,535 bytes less 20 of the IP header and 8 of UDP's."""
_SMALLEST: Final = 2_048
"""RFC 5425 section 4.3.1: every receiver must take so many bytes, and should take 8,192."""
_SETTLE: Final = 0.25
"""Seconds that a new TLS connection gets to be refused: in TLS 1.3 the far side looks at our
certificate after the handshake is over for us."""
_LOOK: Final = 0.01

_FACILITIES: Final = {
    "user": 1,
    "daemon": 3,
    "auth": 4,
    "authpriv": 10,
    "audit": 13,
    "alert": 14,
    **{f"local{number}": 16 + number for number in range(8)},
}
_SEVERITIES: Final = {"success": 6, "conflict": 5, "denied": 4, "error": 3}
"""RFC 5424 table 2: informational, notice, warning, error."""


class SyslogOptions(Options, frozen=True):
    """Where messages go, and in which of syslog's forms."""

    host: Annotated[
        str,
        Meta(pattern=HOST_PATTERN, max_length=253, description="Name or address of the receiver."),
    ]
    transport: Annotated[
        Literal["tls", "tcp", "udp"],
        Meta(
            description="`tls` alone hides the messages from others on the way, and proves the "
            "receiver; `udp` loses messages without anybody knowing."
        ),
    ] = "tls"
    port: Annotated[
        int,
        Meta(
            ge=0, le=65_535, description="Port; 0 is the usual one: 6514 for TLS, 601 TCP, 514 UDP."
        ),
    ] = 0
    framing: Annotated[
        Literal["octet-counting", "newline"],
        Meta(
            description="How messages are parted on TCP (RFC 6587): by their length in bytes "
            "before each, or a line end after each. TLS always counts."
        ),
    ] = "octet-counting"
    message: Annotated[
        Literal["json", "text"],
        Meta(
            description="`json` is the whole event in ASCII; `text` one sentence, with the rest "
            "as structured data."
        ),
    ] = "json"
    format: Annotated[Format, Meta(description="What `json` looks like.")] = "native"
    enterprise_number: Annotated[
        int,
        Meta(
            ge=0,
            le=2**32 - 1,
            description="Your private enterprise number (IANA): adds structured data "
            "`[tfaudit@NUMBER index=… …]`; 0 adds none.",
        ),
    ] = 0
    facility: Annotated[
        Literal[
            "user",
            "daemon",
            "auth",
            "authpriv",
            "audit",
            "alert",
            "local0",
            "local1",
            "local2",
            "local3",
            "local4",
            "local5",
            "local6",
            "local7",
        ],
        Meta(description="Facility (RFC 5424 table 1); the severity follows the outcome."),
    ] = "audit"
    app_name: Annotated[
        str, Meta(pattern=PRINTABLE_PATTERN, min_length=1, max_length=48, description="APP-NAME.")
    ] = "tfaudit"
    hostname: Annotated[
        str,
        Meta(
            pattern=PRINTABLE_PATTERN,
            max_length=255,
            description="HOSTNAME; empty is this machine's.",
        ),
    ] = ""
    max_bytes: Annotated[
        int,
        Meta(
            ge=_SMALLEST,
            le=1_048_576,
            description="Longest message that the receiver takes. A longer event is sent without "
            "its longest parts, and names them in `trimmed`. Receivers cut what is longer "
            "without a word: raise this only with theirs.",
        ),
    ] = 8_192
    ca: Annotated[
        str,
        Meta(
            max_length=4096,
            description="PEM file on the server with authorities that are trusted beside those of "
            "the system.",
        ),
    ] = ""
    client_certificate: Annotated[
        str, Meta(max_length=4096, description="PEM file with a certificate to show (TLS).")
    ] = ""
    client_key: Annotated[
        str,
        Meta(
            max_length=4096,
            description="PEM file with that certificate's key, if it is not in the same file.",
        ),
    ] = ""
    timeout: Annotated[
        float,
        Meta(gt=0, le=300, description="Seconds within which the receiver must take a batch."),
    ] = 30.0

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.transport == "udp" and self.max_bytes > _LARGEST_DATAGRAM:
            raise FieldError(
                f"max_bytes is at most {_LARGEST_DATAGRAM:,} with udp: no datagram is longer",
                "max_bytes",
            )
        if self.transport != "tcp" and self.framing != "octet-counting":
            raise FieldError("framing can be chosen with tcp alone", "framing")
        if self.message == "text" and not self.enterprise_number:
            raise FieldError(
                "text needs your enterprise_number, for the structured data that holds the rest of "
                "the event: get one at https://www.iana.org/assignments/enterprise-numbers",
                "enterprise_number",
            )
        if self.transport != "tls" and (self.ca or self.client_certificate or self.client_key):
            raise FieldError("ca, client_certificate and client_key are for tls alone", "transport")


class SyslogSink:
    """Sends each event as one message."""

    options_type: ClassVar[type[Options]] = SyslogOptions

    def __init__(self, options: SyslogOptions, context: Context) -> None:
        self.limits = Limits(events=500, is_acknowledged=False)
        self._options = options
        self._thread = OneThread(context.name)
        port = options.port or {"tls": 6514, "tcp": 601, "udp": 514}[options.transport]
        self._address = options.host, port
        self._who = f"the syslog receiver {options.host} port {port} ({options.transport})"
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        release = version("tfaudit")[:32]
        self._origin = _element("origin", {"software": "tfaudit", "swVersion": release})
        host = options.hostname or socket.gethostname()
        self._between = (
            f"{re.sub('[^!-~]', '-', host)[:255] or '-'} {options.app_name} {os.getpid()}"
        )

    async def send(self, batch: Batch) -> Receipt:
        """Hand the messages to the network."""
        return await self._thread.run(lambda: self._send(batch))

    async def probe(self) -> str:
        """Connect, and see whether the far side hangs up."""
        return await self._thread.run(self._probe)

    async def aclose(self) -> None:
        """Hang up; a batch that is being sent fails."""
        waiting = self._socket
        if waiting is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which would have the rest of a batch go out without TLS.
                socket.socket.shutdown(waiting, socket.SHUT_RDWR)
        await self._thread.aclose(self._hang_up)

    # ------------------------------------------------------------ the far side

    def _send(self, batch: Batch) -> Receipt:
        messages = self._messages(batch)
        with self._told():
            if self._options.transport == "udp":
                connected = self._connected()
                for message in messages:
                    connected.send(message)
            else:
                content = b"".join(map(self._framed, messages))
                connected = self._connected()
                connected.sendall(content)
                self._wait_until_taken(connected)
            _require_open(connected)
        return Receipt(f"sent, unacknowledged: {len(messages)} messages")

    def _probe(self) -> str:
        self._hang_up()
        with self._told():
            connected = self._connected()
            if self._options.transport == "udp":
                return f"{self._who} has an address; UDP can't tell whether anybody listens"
            over = f" by {connected.version()}" if isinstance(connected, ssl.SSLSocket) else ""
            return f"{self._who} took a connection{over}; it can't acknowledge messages"

    def _connected(self) -> socket.socket:
        """Return the connection, a new one if the far side hung up on the old."""
        if self._socket is not None:
            try:
                _require_open(self._socket)
            except OSError:
                self._hang_up()
        if self._socket is None:
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        if self._options.transport == "udp":
            return self._udp()
        timeout = self._options.timeout
        connected = socket.create_connection(self._address, min(10.0, timeout))
        try:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout * 1000))
            if self._options.transport == "tls":
                if self._tls is None:
                    self._tls = trusting(self._options, self._who, _why)
                connected = self._tls.wrap_socket(connected, server_hostname=self._options.host)
                connected.settimeout(_SETTLE)
                _require_open(connected, may_wait=True)
            connected.settimeout(timeout)
        except BaseException:
            connected.close()
            raise
        return connected

    def _udp(self) -> socket.socket:
        family, kind, protocol, _, address = socket.getaddrinfo(
            *self._address, type=socket.SOCK_DGRAM
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.connect(address)
            made.settimeout(self._options.timeout)
        except BaseException:
            made.close()
            raise
        return made

    def _wait_until_taken(self, connected: socket.socket) -> None:
        """Wait until the far side's system has taken every byte (``tcp(7)``, SIOCOUTQ)."""
        deadline = time.monotonic() + self._options.timeout
        while True:
            _require_open(connected)
            answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
            if not struct.unpack("i", answer)[0]:
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_LOOK)

    def _hang_up(self) -> None:
        connected, self._socket = self._socket, None
        if connected is None:
            return
        with suppress(OSError, ValueError):
            connected.settimeout(0)
            if isinstance(connected, ssl.SSLSocket):
                connected.unwrap()  # says that we are done (RFC 5425 section 4.4), and waits not
        connected.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in words what the network refused; what was sent so far is sent again."""
        try:
            yield
        except NotTakenError:
            self._hang_up()
            raise
        except OSError as error:
            self._hang_up()
            said, needs_repair = _reason(error)
        else:
            return
        raise NotTakenError(f"{self._who} {said}", needs_repair=needs_repair)

    # ------------------------------------------------------------ messages

    def _framed(self, message: bytes) -> bytes:
        """Part the message from the next (RFC 6587 sections 3.4.1 and 3.4.2, RFC 5425 4.3)."""
        if self._options.framing == "newline":
            return message + b"\n"
        return b"%d %b" % (len(message), message)

    def _messages(self, batch: Batch) -> list[bytes]:
        """Return the batch in the form of RFC 5424 section 6; the last carries the checkpoint."""
        last = batch.events[-1]
        return [
            self._message(event, batch.origin, batch.checkpoint if event is last else "")
            for event in batch.events
        ]

    def _message(self, event: Event, origin: str, checkpoint: str) -> bytes:
        entry = event.entry
        severity = _SEVERITIES.get(entry["outcome"], 5)
        priority = _FACILITIES[self._options.facility] * 8 + severity
        head = (
            f"<{priority}>1 {entry['time']} {self._between} {entry['event'][:32]} "
            f"{self._structured(event, origin, checkpoint)} "
        ).encode()
        room = self._options.max_bytes - len(head)
        if self._options.message == "text":
            return head + _BOM + _cut(_one_line(entry["message"]), room - len(_BOM))
        document = rendered(self._options.format, event, origin)
        if checkpoint:
            document = with_checkpoint(self._options.format, document, checkpoint)
        # In ASCII: a message in UTF-8 would have to begin with a byte order mark (section 6.4),
        # and few receivers take one for the beginning of JSON.
        return head + _ascii_json(fitted(document, room, _ascii_json))

    def _structured(self, event: Event, origin: str, checkpoint: str) -> str:
        """Return the STRUCTURED-DATA (section 6.3); ``origin`` is IANA's (section 7.2)."""
        found = self._origin
        number = self._options.enterprise_number
        if not number:
            return found
        record, entry = event.record, event.entry
        values = {
            "index": str(record.index),
            "id": entry["id"],
            "event": entry["event"],
            "outcome": entry["outcome"],
            "actor": entry.get("actor", {}).get("name"),
            "ip": entry.get("source", {}).get("ip"),
            "workspace": entry.get("workspace"),
            "requestId": entry.get("request", {}).get("id"),
            "log": origin,
            "leafHash": record.leaf_hash.hex(),
            "keyId": record.key_id,
            "signature": b64encode(record.signature).decode(),
            "checkpoint": b64encode(checkpoint.encode()).decode(),
        }
        given = {name: value[:1000] for name, value in values.items() if value}
        return found + _element(f"tfaudit@{number}", given)


def _element(name: str, values: dict[str, str]) -> str:
    parts = (f'{each}="{_escaped(value)}"' for each, value in values.items())
    return f"[{name} {' '.join(parts)}]"


def _escaped(value: str) -> str:
    """Escape a PARAM-VALUE (RFC 5424 section 6.3.3)."""
    return re.sub(r'(["\\\]])', r"\\\1", _one_line(value))


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


def _cut(text: str, room: int) -> bytes:
    encoded = text.encode()
    if len(encoded) <= room:
        return encoded
    return encoded[: room - 3].decode("utf-8", "ignore").encode() + "…".encode()


def _ascii_json(value: Any) -> bytes:  # noqa: ANN401 - JSON of any shape
    return json.dumps(value, separators=(",", ":")).encode()


def _require_open(connected: socket.socket, *, may_wait: bool = False) -> None:
    """Pass while the far side has not hung up; whatever it says is thrown away.

    Raises:
        OSError: it has.
    """
    timeout = connected.gettimeout()
    if not may_wait:
        connected.settimeout(0)
    try:
        while connected.recv(4096):
            pass
    except (BlockingIOError, ssl.SSLWantReadError, TimeoutError):
        return
    finally:
        connected.settimeout(timeout)
    if connected.type != socket.SOCK_DGRAM:
        raise ConnectionResetError(errno.ECONNRESET, "hung up")


def _reason(error: OSError) -> tuple[str, bool]:
    """Return what went wrong, and whether waiting does not help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name the file of its authority in the option ca"
        return f"is not trusted: {error.verify_message}; {hint}", True
    for kinds, said in _KINDS:
        if isinstance(error, kinds):
            return said, False
    if isinstance(error, ssl.SSLError):
        alert = (error.reason or "unknown").replace("_", " ").lower()
        needs_repair = "certificate" in alert
        hint = "; check client_certificate and client_key" if needs_repair else ""
        return f"ends TLS: {alert}{hint}", needs_repair
    return f"can't be reached: {os.strerror(error.errno or 0)}", False


_Kinds: TypeAlias = tuple[type[OSError], ...]
_KINDS: Final[tuple[tuple[_Kinds, str], ...]] = (
    (
        (ssl.SSLZeroReturnError, ssl.SSLEOFError, ConnectionResetError, BrokenPipeError),
        "hung up: look into its own log for the reason",
    ),
    ((socket.gaierror,), "can't be found: no resolver knows its name"),
    ((ConnectionRefusedError,), "refuses the connection: nobody listens there"),
    ((TimeoutError,), "did not take the messages in time"),
)


def _why(error: OSError | ValueError) -> str:
    """Return why a PEM file can't be used."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno or 0)
    return "holds no PEM that fits"
