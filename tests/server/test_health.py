"""Tests of proxy.server.health."""

import math
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.anchors.anchor import Anchor
from proxy.anchors.files import FilePlace
from proxy.audit_log import draft
from proxy.contracts import DeadLetter, Delivery, HeldLock, Transaction
from proxy.cosigned import CosignedCheckpoint
from proxy.errors import HaltedError
from proxy.server import appkeys
from proxy.tlog.checkpoint import sign, verify_checkpoint
from proxy.tlog.cosignature import add_cosignatures
from proxy.tlog.note import NoteVerifier
from tests.fakes import CHECKPOINT_KEY, ORIGIN, FakeStore, Fault, a_caller
from tests.forwarding.world import World
from tests.server.faces import Client, Serve, api_app
from tests.witness.logs import LOG, WITNESS, at


@pytest.fixture
def store() -> FakeStore:
    """Return an empty store."""
    return FakeStore()


@pytest.fixture
async def client(store: FakeStore, aiohttp_client: Serve) -> Client:
    """Return a client of the server."""
    return await aiohttp_client(api_app(store))


async def samples(client: Client) -> dict[str, float]:
    """Scrape and return each sample by its name and the sorted values of its labels."""
    response = await client.get("/metrics")
    assert (200, "text/plain") == (response.status, response.content_type)
    families = text_string_to_metric_families(await response.text())
    return {
        " ".join([sample.name, *sorted(sample.labels.values())]): sample.value
        for family in families
        for sample in family.samples
    }


async def test_alive_does_not_depend_on_the_store(client: Client, store: FakeStore) -> None:
    """A broken disk must not make the platform restart the program again and again."""
    store.is_readable = False
    store.fault = Fault.NOT_PERSISTED
    response = await client.get("/healthz")
    assert (200, "ok\n") == (response.status, await response.text())


async def test_ready_when_the_store_takes_writes(client: Client) -> None:
    """A store that commits, with a head that fits, is ready; nobody needs a token to ask."""
    assert 200 == (await client.get("/readyz")).status


async def test_not_ready_when_the_store_does_not_commit(client: Client, store: FakeStore) -> None:
    """The answer is 503 with Retry-After, and tells a stranger nothing of the reason."""
    store.fault = Fault.NOT_PERSISTED
    response = await client.get("/readyz")
    assert (503, "10") == (response.status, response.headers["Retry-After"])
    assert "fake" not in await response.text()


async def test_not_ready_when_the_log_must_not_grow(
    client: Client,
    store: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That is named, without the reason, which may name files; the log told it once before."""

    async def halted(_: object) -> None:
        raise HaltedError("the fork is kept in /var/lib/tfaudit/checkpoint.fork")

    monkeypatch.setattr(store, "write", halted)
    response = await client.get("/readyz")
    assert (503, "10") == (response.status, response.headers["Retry-After"])
    assert (
        "not ready: the log is not signed on, as it is not the one that a witness or an anchor "
        "knows; see the server's log\n"
    ) == await response.text()
    assert "/var/lib" not in caplog.text


async def test_the_checkpoint_is_public_and_signed(client: Client, store: FakeStore) -> None:
    """The note is served as plain text, byte for byte as it was signed."""
    await store.write(lambda tx: tx.append(draft("audit.read", "success", "x", a_caller())))
    response = await client.get("/checkpoint")
    assert (200, "text/plain", "no-cache") == (
        response.status,
        response.content_type,
        response.headers["Cache-Control"],
    )
    verifier = NoteVerifier(ORIGIN, CHECKPOINT_KEY.public_key())
    assert 1 == verify_checkpoint(await response.text(), verifier).size


async def test_an_empty_log_has_no_checkpoint(client: Client) -> None:
    """Before the first entry there is nothing to serve."""
    assert 404 == (await client.get("/checkpoint")).status


async def test_an_unreadable_checkpoint_is_doubt(client: Client, store: FakeStore) -> None:
    """A store that can't be read is 503, never 'no checkpoint'."""
    store.is_readable = False
    assert 503 == (await client.get("/checkpoint")).status


async def test_metrics_tell_requests_by_route_and_status(client: Client) -> None:
    """Requests are counted by route, method and status, without path or workspace."""
    await client.get("/healthz")
    await client.get("/state/prod/hidden-name")
    found = await samples(client)
    assert 1 == found["tfaudit_requests_total 200 GET healthz"]
    assert 1 == found["tfaudit_requests_total 401 GET read"]
    assert not [name for name in found if "hidden-name" in name or "/" in name]


async def test_metrics_tell_the_locks_that_are_held(client: Client, store: FakeStore) -> None:
    """The number is asked of the store at each scrape."""
    assert 0 == (await samples(client))["tfaudit_locks_held"]
    lock = HeldLock("prod/web", "1", b"{}", "", "", "", "", "alice", "2026-11-22T10:00:00.000000Z")
    await store.write(lambda tx: tx.set_lock(lock))
    assert 1 == (await samples(client))["tfaudit_locks_held"]


async def test_metrics_are_there_when_the_store_is_not(client: Client, store: FakeStore) -> None:
    """A scrape during an outage succeeds; what can't be told is not a number, or not there."""
    await World(store).add_sink()
    store.is_readable = False
    found = await samples(client)
    assert "nan" == str(found["tfaudit_locks_held"])
    assert "tfaudit_sink_lag_entries siem" not in found


async def test_metrics_tell_how_each_sink_is_doing(client: Client, store: FakeStore) -> None:
    """How far behind it is, what it took, and its state; readiness does not depend on it."""
    world = World(store)
    failing, paused = await world.add_sink(), await world.add_sink("off", 2, enabled=False)
    await world.append(3)
    kept = Delivery(
        failing.id,
        cursor=3,
        delivered=2,
        retries=4,
        failing_since="2026-11-22T10:00:00.000000Z",
        is_open=True,
    )
    letter = DeadLetter(failing.id, 1, "not valid", "2026-11-22T10:00:00.000000Z")

    def job(tx: Transaction) -> None:
        tx.keep_delivery(kept)
        tx.note_dead_letters([letter])

    await store.write(job)
    found = await samples(client)
    assert (2, 2, 4, 1) == (
        found["tfaudit_sink_lag_entries siem"],
        found["tfaudit_sink_delivered_total siem"],
        found["tfaudit_sink_retries_total siem"],
        found["tfaudit_sink_dead_letters siem"],
    )
    assert (1, 0) == (
        found["tfaudit_sink_state failing siem"],
        found["tfaudit_sink_state ok siem"],
    )
    assert 1 == found[f"tfaudit_sink_state {paused.name} paused"]
    assert 200 == (await client.get("/readyz")).status


async def test_metrics_hold_no_words_of_a_sinks(client: Client, store: FakeStore) -> None:
    """Neither what failed nor why something was set aside, where a secret could stand."""
    failing = await World(store).add_sink()
    since = "2026-11-22T10:00:00.000000Z"
    kept = Delivery(failing.id, 0, error="hunter2", failing_since=since, is_open=True)

    def job(tx: Transaction) -> None:
        tx.keep_delivery(kept)
        tx.note_dead_letters([DeadLetter(failing.id, 0, "hunter3", since)])

    await store.write(job)
    text = await (await client.get("/metrics")).text()
    assert 'tfaudit_sink_state{sink="siem",state="failing"} 1.0' in text
    assert "hunter" not in text


async def test_without_witnesses_nothing_is_said_of_them(client: Client) -> None:
    """Neither a line nor a number."""
    assert "ready\n" == await (await client.get("/readyz")).text()
    assert not [name for name in await samples(client) if "cosigned" in name]
    assert 404 == (await client.get("/checkpoint/cosigned")).status


async def test_the_age_of_the_newest_cosigned_checkpoint_is_told(
    client: Client, tmp_path: Path
) -> None:
    """By readiness, which it never denies, and by the metrics; infinite when there is none."""
    now = int(time.time())
    cosigned = CosignedCheckpoint(tmp_path / "file", LOG.verifier, [WITNESS.verifier], 1)
    client.app[appkeys.COSIGNED].__dict__.update(cosigned.__dict__)
    response = await client.get("/readyz")
    assert (200, "ready\nno checkpoint is cosigned yet\n") == (
        response.status,
        await response.text(),
    )
    assert math.inf == (await samples(client))["tfaudit_cosigned_checkpoint_age_seconds"]
    note = add_cosignatures(sign(at(7), LOG), [WITNESS.cosign(at(7).text(), now - 1000)])
    await client.app[appkeys.COSIGNED].keep(note)
    response = await client.get("/readyz")
    assert (200, True) == (response.status, "is 100" in await response.text())
    found = await samples(client)
    assert 1000 <= found["tfaudit_cosigned_checkpoint_age_seconds"] < 1100
    assert 7 == found["tfaudit_cosigned_checkpoint_entries"]
    assert note == await (await client.get("/checkpoint/cosigned")).text()


async def test_without_anchors_nothing_is_said_of_them(client: Client) -> None:
    """Neither a line nor a number."""
    assert "ready\n" == await (await client.get("/readyz")).text()
    assert not [name for name in await samples(client) if "anchor" in name]


@pytest.mark.parametrize(
    ("size", "line", "entries", "seconds"),
    [
        pytest.param(3, "has the newest checkpoint", 0, 0, id="newest"),
        pytest.param(1, r"is \d+ s behind the log", 2, None, id="behind"),
        pytest.param(
            None, "could not be compared with the log since the start", 3, math.inf, id="away"
        ),
    ],
)
async def test_how_far_anchors_are_is_told(
    client: Client, size: int | None, line: str, entries: int, *, seconds: float | None
) -> None:
    """By readiness, which they never deny, and by the metrics."""
    await World(client.app[appkeys.STORE]).append(3)
    anchor = Anchor("share", "file", FilePlace("share", Path("note")), 60.0, Path("lock"))
    anchor.size, anchor.is_compared = size, size is not None
    client.app[appkeys.ANCHORS].__dict__["_anchors"] = [anchor]
    response = await client.get("/readyz")
    assert 200 == response.status
    assert re.fullmatch(rf"ready\nthe anchor share {line}\n", await response.text())
    found = await samples(client)
    assert (entries, size is not None) == (
        found["tfaudit_anchor_lag_entries share"],
        found["tfaudit_anchor_compared share"],
    )
    assert seconds in {None, found["tfaudit_anchor_lag_seconds share"]}


async def test_an_anchor_that_was_emptied_is_told(client: Client) -> None:
    """Also when it was given the newest again."""
    await World(client.app[appkeys.STORE]).append(3)
    anchor = Anchor("share", "file", FilePlace("share", Path("note")), 60.0, Path("lock"))
    anchor.size, anchor.is_compared, anchor.gone = 3, True, 2
    client.app[appkeys.ANCHORS].__dict__["_anchors"] = [anchor]
    said = (
        "ready\nthe anchor share had no more the checkpoint of 2 entries that was put there before"
    )
    assert (await (await client.get("/readyz")).text()).startswith(said)
