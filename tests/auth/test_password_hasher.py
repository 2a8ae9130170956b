"""Tests of proxy.auth.password_hasher."""

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Any

import pytest
from argon2 import PasswordHasher as Argon2

from proxy.auth.password_hasher import AT_ONCE, WAITING, PasswordHasher
from proxy.errors import UnavailableError
from tests.people import PASSWORD, QUICK, WRONG


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    """Return one that hashes in no time."""
    async with PasswordHasher(QUICK) as hasher:
        yield hasher


async def test_a_password_is_known_by_its_hash(hasher: PasswordHasher) -> None:
    """And by no other; two hashes of one password differ."""
    hashed = await hasher.hash(PASSWORD)
    assert await hasher.verify(hashed, PASSWORD, is_known=False)
    assert not await hasher.verify(hashed, WRONG, is_known=True)
    assert hashed != await hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$")


@pytest.mark.parametrize("password", [PASSWORD, "", "nobody's password"])
async def test_without_a_hash_nothing_is_right(hasher: PasswordHasher, password: str) -> None:
    """Not even what the hash that is verified instead was made of."""
    assert not await hasher.verify(None, password, is_known=False)


@pytest.mark.parametrize("hashed", ["", "x", "é", "$argon2id$v=19$m=8,t=1,p=1$x$y", "$2b$12$abc"])
async def test_what_is_no_hash_lets_nobody_in(hasher: PasswordHasher, hashed: str) -> None:
    """Somebody altered the database."""
    assert not await hasher.verify(hashed, "", is_known=False)


async def test_the_parameters_are_those_of_the_rfc() -> None:
    """RFC 9106 section 4, the second recommended option: 64 MiB, three passes, four lanes."""
    async with PasswordHasher() as hasher:
        assert "$argon2id$v=19$m=65536,t=3,p=4$" in await hasher.hash(PASSWORD)


async def test_an_outdated_hash_is_known(hasher: PasswordHasher) -> None:
    """Of other parameters than those of today."""
    assert not hasher.is_outdated(await hasher.hash(PASSWORD))
    assert hasher.is_outdated(Argon2(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD))


async def test_nobody_costs_as_much_as_a_wrong_password() -> None:
    """By the processor's time of each, which other load on the machine does not change much."""
    async with PasswordHasher(Argon2(memory_cost=8192, parallelism=1)) as hasher:
        hashed = await hasher.hash(PASSWORD)
        await hasher.verify(None, WRONG, is_known=False)  # makes what stands for nobody's
        spent: dict[str | None, list[float]] = {hashed: [], None: []}
        for _ in range(9):
            for each, times in spent.items():
                started = time.process_time()
                await hasher.verify(each, WRONG, is_known=False)
                times.append(time.process_time() - started)
    known, nobody = (median(times) for times in spent.values())
    assert 0.5 < nobody / known < 2


class Slow:
    """An Argon2 that waits until it is let go on, and counts how many do at once."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.go_on = False

    def hash(self, password: str) -> str:
        """Return no hash that any would be compared with."""
        return password

    def verify(self, *_: Any) -> bool:
        """Wait."""
        self.running += 1
        self.most = max(self.most, self.running)
        while not self.go_on:
            time.sleep(0.001)
        self.running -= 1
        return True


async def test_few_are_made_at_once_and_few_wait() -> None:
    """The memory is bounded; whoever is too many is told so, and what waits is not lost."""
    slow = Slow()
    async with PasswordHasher(slow) as hasher:  # type: ignore[arg-type] # what is asked of it
        verify = [hasher.verify("x", "x", is_known=False) for _ in range(AT_ONCE + WAITING + 5)]
        tasks = [asyncio.ensure_future(each) for each in verify]
        await asyncio.sleep(0.05)
        refused = [task for task in tasks if task.done()]
        assert 5 == len(refused)
        assert all(isinstance(task.exception(), UnavailableError) for task in refused)
        # Who logged in before has a place of their own.
        known = asyncio.ensure_future(hasher.verify("x", "x", is_known=True))
        await asyncio.sleep(0.05)
        assert AT_ONCE + 1 == slow.running
        slow.go_on = True
        assert await known
        assert AT_ONCE + WAITING == sum(
            [await task for task in tasks if task not in refused], start=0
        )
        assert AT_ONCE + 1 == slow.most
        assert await hasher.verify("x", "x", is_known=False)
