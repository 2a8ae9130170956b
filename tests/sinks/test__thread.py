"""A sink's own thread: one call after the other, and nobody else's thread."""

import asyncio
import threading

import pytest

from proxy.sinks._thread import OneThread
from proxy.sinks.contract import NotTakenError


async def test_a_call_that_was_given_up_ends_before_the_next_begins() -> None:
    """The forwarder may stop to wait; what writes a file must not be joined by another."""
    thread = OneThread("siem")
    begun, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def slow() -> None:
        begun.set()
        may_end.wait(10)
        order.append("slow")

    first = asyncio.create_task(thread.run(slow))
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    second = asyncio.create_task(thread.run(lambda: order.append("next")))
    await asyncio.sleep(0)
    assert [] == order
    may_end.set()
    await second
    assert ["slow", "next"] == order
    await thread.aclose(lambda: order.append("closed"))
    await thread.aclose(lambda: order.append("closed again"))
    assert ["slow", "next", "closed"] == order
    with pytest.raises(NotTakenError, match="the sink siem is closed"):
        await thread.run(lambda: None)


async def test_it_is_no_thread_of_the_event_loop() -> None:
    """Those serve requests."""
    thread = OneThread("siem")
    assert (await thread.run(threading.current_thread)).name.startswith("sink-siem")
    await thread.aclose(lambda: None)
