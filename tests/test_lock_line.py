"""Tests of proxy.lock_line."""

import asyncio

import pytest

from proxy.lock_line import LockLines


async def test_the_first_who_came_is_served_first() -> None:
    """Ten wait; they get their turn in the order in which they came."""
    lines, served = LockLines(), []

    async def wait(number: int) -> None:
        async with lines.turn("prod"):
            await asyncio.sleep(0)
            served.append(number)

    await asyncio.gather(*map(wait, range(10)))
    assert list(range(10)) == served


async def test_workspaces_do_not_wait_for_each_other() -> None:
    """Each has a line of its own."""
    lines = LockLines()
    async with lines.turn("prod"), asyncio.timeout(1), lines.turn("dev"):
        pass


async def test_a_release_wakes_the_first_in_line() -> None:
    """At once, and only in the line of that workspace."""
    lines = LockLines()
    async with lines.turn("prod") as prod, lines.turn("dev") as dev:
        lines.wake("prod")
        assert (True, False) == (prod.is_set(), dev.is_set())


async def test_all_are_woken_when_the_server_stops() -> None:
    """So that nobody holds up the stop."""
    lines = LockLines()
    async with lines.turn("prod") as prod, lines.turn("dev") as dev:
        lines.wake_all()
        assert prod.is_set()
        assert dev.is_set()


async def test_a_release_that_nobody_waits_for_is_nothing() -> None:
    """And makes no line."""
    lines = LockLines()
    lines.wake("prod")
    assert {} == lines._lines


async def test_whoever_gives_up_leaves_the_line() -> None:
    """The ones behind move up, and an empty line is not kept."""
    lines = LockLines()

    async def wait() -> None:
        async with lines.turn("prod"):
            await asyncio.sleep(60)

    first = asyncio.create_task(wait())
    second = asyncio.create_task(wait())
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    for task in (first, second):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {} == lines._lines
    async with asyncio.timeout(1), lines.turn("prod"):
        pass
