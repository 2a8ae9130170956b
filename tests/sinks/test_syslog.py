"""Syslog: what a real rsyslog writes down, and what is noticed when nothing acknowledges."""

import json
import re
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import InvalidInputError
from proxy.sinks import open_sink, read_options
from proxy.sinks.contract import NotTakenError, Sink
from tests.certificates import Authority
from tests.e2e.server import free_port
from tests.forwarded import CHECKPOINT, a_batch, a_context, an_event, batch_of
from tests.sinks.rsyslog import an_rsyslog
from tests.sinks.syslog_row import a_peer

PEN = 32473
"""The number that RFC 5612 keeps for examples."""


def a_syslog(port: int, **options: Any) -> Sink:
    """Return a sink for a receiver on this machine, by TCP unless told otherwise."""
    found = {"host": "127.0.0.1", "port": port, "transport": "tcp", "timeout": 5, **options}
    return open_sink("syslog", found, a_context())


async def closed(sink: Sink) -> None:
    """Close twice, which is allowed."""
    await sink.aclose()
    await sink.aclose()


# ---------------------------------------------------------------- a real receiver


async def test_rsyslog_over_tls_has_every_event_whole_and_in_order(tmp_path: Path) -> None:
    """By octet counting, with structured data, and JSON that can be read back."""
    batch = a_batch(
        *(an_event(index, message=f'Zoë said "{index}]" \\ 日本') for index in range(300)),
        an_event(300, outcome="denied", event="access.denied"),
    )
    with an_rsyslog(tmp_path, Authority()) as rsyslog:
        ca = str(rsyslog.directory / "ca.pem")
        sink = a_syslog(
            rsyslog.port, transport="tls", ca=ca, enterprise_number=PEN, facility="local3"
        )
        assert "took a connection by TLSv1." in await sink.probe()
        receipt = await sink.send(batch)
        received = rsyslog.received(301)
        await closed(sink)
    assert not sink.limits.is_acknowledged
    assert "sent, unacknowledged: 301 messages" == receipt.said
    found = [json.loads(each["msg"]) for each in received]
    assert [event.entry for event in batch.events] == [each["entry"] for each in found]
    assert list(range(301)) == [each["index"] for each in found]
    assert CHECKPOINT == found[-1]["checkpoint"]
    first, last = received[0], received[-1]
    assert ("19", "6") == (first["syslogfacility"], first["syslogseverity"])
    assert ("access.denied", "4") == (last["msgid"], last["syslogseverity"])
    assert "tfaudit" == first["app-name"]
    assert first["timereported"] == batch.events[0].entry["time"]
    record = batch.events[0].record
    assert f'[tfaudit@{PEN} index="0" ' in first["structured-data"]
    assert f'leafHash="{record.leaf_hash.hex()}"' in first["structured-data"]


async def test_rsyslog_wants_a_certificate_of_the_client(tmp_path: Path) -> None:
    """Without one, the refusal is noticed though TLS 1.3 had said yes to us already."""
    ca = Authority()
    with an_rsyslog(tmp_path, ca, "x509/certvalid") as rsyslog:
        certificate, key = ca.issue().files(tmp_path, "client")
        options = {"transport": "tls", "ca": str(rsyslog.directory / "ca.pem")}
        without = a_syslog(rsyslog.port, **options)
        with pytest.raises(NotTakenError, match=r"hung up|ends TLS"):
            await without.probe()
        with pytest.raises(NotTakenError, match=r"hung up|ends TLS"):
            await without.send(batch_of(1))
        shown = {"client_certificate": str(certificate), "client_key": str(key)}
        sink = a_syslog(rsyslog.port, **options, **shown)
        await sink.send(batch_of(2))
        assert [0, 1] == [json.loads(each["msg"])["index"] for each in rsyslog.received(2)]
        await closed(sink)
        await closed(without)


async def test_rsyslog_cuts_nothing_of_an_event_that_is_longer_than_it_takes(
    tmp_path: Path,
) -> None:
    """The event fits by what it leaves out and names, on TCP with both framings and on UDP."""
    items = [{"address": f"aws_instance.web[{n}]", "action": "update"} for n in range(800)]
    long = an_event(5, changes={"items": items, "omitted": 0}, message="ü" * 1000)
    with an_rsyslog(tmp_path) as rsyslog:
        for number, options in enumerate(({}, {"framing": "newline"}, {"transport": "udp"})):
            sink = a_syslog(rsyslog.port, **options)
            await sink.send(a_batch(long))
            received = rsyslog.received(number + 1)[number]
            assert len(received["rawmsg"]) <= 8192
            found = json.loads(received["msg"])
            assert "entry.changes.items" == found["trimmed"]
            assert long.entry["id"] == found["entry"]["id"]
            assert long.record.leaf_hash.hex() == found["leaf_hash"]
            await closed(sink)


async def test_a_receiver_that_was_restarted_gets_the_next_batch(tmp_path: Path) -> None:
    """The old connection is noticed to be dead before anything is written into it."""
    port = free_port()
    sink = a_syslog(port)
    with an_rsyslog(tmp_path / "one", port=port) as rsyslog:
        await sink.send(batch_of(1))
        rsyslog.received(1)
    with pytest.raises(NotTakenError, match="refuses the connection: nobody listens there"):
        await sink.send(batch_of(1, first=1))
    with an_rsyslog(tmp_path / "two", port=port) as rsyslog:
        await sink.send(batch_of(1, first=1))
        assert "state.written" == rsyslog.received(1)[0]["msgid"]
    await closed(sink)


# ---------------------------------------------------------------- the form of a message


async def test_counts_are_bytes_and_text_begins_with_a_byte_order_mark() -> None:
    """RFC 6587 section 3.4.1, RFC 5424 section 6.4; JSON is ASCII and needs none."""
    with a_peer() as peer:
        text = a_syslog(peer.port, message="text", enterprise_number=PEN, hostname="audit-1")
        await text.send(a_batch(an_event(0, message="Zoë\nwrote 日本")))
        as_json = a_syslog(peer.port)
        await as_json.send(a_batch(an_event(1, message="Zoë")))
        await closed(text)
        await closed(as_json)
        peer.wait(2)
        [first] = peer.messages(0)
        [second] = peer.messages(1)
    head, _, message = first.partition(b"\xef\xbb\xbf")
    assert "Zoë wrote 日本" == message.decode()
    assert re.fullmatch(
        r"<110>1 2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z audit-1 tfaudit \d+ state\.written "
        r'\[origin software="tfaudit" swVersion="[^"]+"\]\[tfaudit@32473 index="0" [^\n]+"\] ',
        head.decode("ascii"),
    )
    assert second.isascii()
    assert "Zoë" == json.loads(second[second.index(b"] {") + 2 :])["entry"]["message"]


async def test_a_line_end_in_an_event_makes_no_second_message() -> None:
    """Nobody forges a line of the log by a name or a user agent."""
    forged = an_event(
        0,
        message="x\n<110>1 - - - - - - forged",
        actor={"type": "user", "id": "1", "name": 'a"]\n\u2028<1>1'},
    )
    with a_peer() as peer:
        for options in ({"message": "text", "enterprise_number": PEN}, {"message": "json"}):
            sink = a_syslog(peer.port, framing="newline", **options)
            await sink.send(a_batch(forged))
            await closed(sink)
        peer.wait(2)
        assert [1, 1] == [bytes(each).count(b"\n") for each in peer.received]
        assert [True, True] == [each.endswith(b"\n") for each in peer.received]
    assert b'actor="a\\"\\]  <1>1"' in peer.received[0]


async def test_a_datagram_is_never_longer_than_there_can_be() -> None:
    """The largest of IPv4 arrives whole; a longer event leaves its changes out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = a_syslog(receiver.getsockname()[1], transport="udp", max_bytes=65_507)
        await sink.send(a_batch(an_event(0, changes={"sha256": "a" * 64_500})))
        await sink.send(a_batch(an_event(1, changes={"sha256": "\0" * 10_650}, extra="b" * 800)))
        first, second = receiver.recv(70_000), receiver.recv(70_000)
        await closed(sink)
    assert 64_500 < len(first) <= 65_507
    assert b'"trimmed"' not in first
    found = json.loads(second[second.index(b"] {") + 2 :])
    assert "entry.extra" == found["trimmed"]
    assert "\0" * 10_650 == found["entry"]["changes"]["sha256"]


# ---------------------------------------------------------------- failures


async def test_a_peer_that_hung_up_is_noticed_before_the_next_batch() -> None:
    """Into such a connection one can write, and it is lost without an error."""
    with a_peer() as peer:
        sink = a_syslog(peer.port)
        await sink.send(batch_of(1))
        peer.settle()
        peer.connections[0].shutdown(socket.SHUT_RDWR)
        await sink.send(batch_of(1, first=1))
        await closed(sink)
        peer.wait(2)
        assert [1, 1] == [len(peer.messages(0)), len(peer.messages(1))]


async def test_a_peer_that_resets_while_a_batch_is_sent_makes_it_come_again() -> None:
    """Nobody knows what of it was taken, so none counts as sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sink = a_syslog(listening.getsockname()[1])

        def reset() -> None:
            taken, _ = listening.accept()
            taken.recv(10)
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            taken.close()

        threading.Thread(target=reset, daemon=True).start()
        big = a_batch(*(an_event(n, extra="x" * 6000) for n in range(100)))
        with pytest.raises(NotTakenError, match="hung up") as caught:
            await sink.send(big)
        assert caught.value.left is None
        await closed(sink)


async def test_a_peer_that_never_reads_is_given_up() -> None:
    """The batch is not in its hands as long as its system has not taken the bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sink = a_syslog(listening.getsockname()[1], timeout=0.3)
        events = [an_event(n, extra="x" * 7000) for n in range(200)]
        big = a_batch(*events * 5)  # more than the systems of both sides hold
        with pytest.raises(NotTakenError, match="did not take the messages in time"):
            await sink.send(big)
        await closed(sink)


async def test_a_receiver_whose_certificate_is_not_trusted_gets_nothing(tmp_path: Path) -> None:
    """Also when only its name is another, and no plain receiver is taken for one with TLS."""
    ca, other = Authority(), Authority("CN=Other")
    certificate, key = ca.server().files(tmp_path, "server")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    for name, authority in (("ca", ca), ("other", other)):
        (tmp_path / name).write_text(authority.pem)
    with a_peer(tls) as peer:
        sink = a_syslog(peer.port, transport="tls", ca=str(tmp_path / "other"))
        with pytest.raises(NotTakenError, match=r"is not trusted: .*option ca") as caught:
            await sink.send(batch_of(1))
        assert caught.value.needs_repair
        wrong = a_syslog(peer.port, transport="tls", ca=str(tmp_path / "ca"), host="127.0.0.2")
        with pytest.raises(NotTakenError, match=r"is not trusted: IP address mismatch|refuses"):
            await wrong.send(batch_of(1))
        assert not b"".join(peer.received)
        missing_file = a_syslog(peer.port, transport="tls", ca=str(tmp_path / "none"))
        with pytest.raises(NotTakenError, match="option ca: No such file"):
            await missing_file.probe()
        key_alone = a_syslog(peer.port, transport="tls", client_certificate=str(key))
        with pytest.raises(NotTakenError, match="option client_certificate: holds no PEM"):
            await key_alone.probe()
    with a_peer() as plain:
        sink = a_syslog(plain.port, transport="tls", ca=str(tmp_path / "ca"), timeout=0.3)
        with pytest.raises(NotTakenError, match=r"in time|ends TLS|hung up"):
            await sink.send(batch_of(1))
        assert b"alice" not in b"".join(plain.received)


async def test_udp_tells_what_it_can() -> None:
    """Nobody listening is told by the system after the first message; a name must be found."""
    sink = a_syslog(free_port(), transport="udp")
    assert "UDP can't tell whether anybody listens" in await sink.probe()
    with pytest.raises(NotTakenError, match="nobody listens there"):
        await sink.send(batch_of(50))
    unknown = a_syslog(514, transport="udp", host="no-such-host.invalid")
    with pytest.raises(NotTakenError, match="no resolver knows its name"):
        await unknown.probe()
    await closed(sink)
    with pytest.raises(NotTakenError, match="is closed"):
        await sink.send(batch_of(1))


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "a b"}, "host"),
        ({"host": "a", "transport": "udp", "max_bytes": 70_000}, "at most 65,507 with udp"),
        ({"host": "a", "transport": "tls", "framing": "newline"}, "with tcp alone"),
        ({"host": "a", "message": "text"}, "text needs your enterprise_number"),
        ({"host": "a", "transport": "tcp", "ca": "/ca.pem"}, "are for tls alone"),
        ({"host": "a", "facility": "local9"}, "choose one of alert, audit"),
        ({"host": "a", "max_bytes": 100}, "max_bytes"),
        ({"host": "a", "app_name": "a b"}, "app_name"),
    ],
)
def test_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    """With the field and what goes."""
    with pytest.raises(InvalidInputError, match=said):
        read_options("syslog", options)
