"""People who log in over HTTP, for the tests of what they may and of who may not."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

import orjson
from argon2 import PasswordHasher as Argon2

from proxy.auth.attempts import Attempts
from proxy.auth.devices import Devices
from proxy.auth.failures import FailureLog
from proxy.auth.logins import Logins
from proxy.program import Program
from proxy.server import appkeys
from proxy.timestamps import rfc3339
from tests.running import SYSTEM, Answer, Face

PASSWORD: Final = "correct horse battery nail"
OTHER: Final = "another horse with a nail"
WRONG: Final = "wrong horse battery nail"

QUICK: Final = Argon2(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes in no time: how slow a real one is, is the business of one test."""


def quicken(face: Face) -> None:
    """Let the server hash in no time."""
    face.program.people.hasher._argon2 = QUICK


async def a_person(face: Face, name: str = "alice", password: str | None = PASSWORD) -> str:
    """Make a person with a password, or with none; return the ID."""
    made = await face.program.directory.create(
        SYSTEM, "principal", {"name": name, "kind": "person"}
    )
    if password is not None:
        await face.program.people.set_password(SYSTEM, name, password)
    return made.value.id


async def a_grant(face: Face, role: str, workspaces: list[str], name: str = "alice") -> None:
    """Give a person a role."""
    fields = {"name": f"{name}-{role}", "principal": name, "role": role, "workspaces": workspaces}
    await face.program.directory.create(SYSTEM, "grant", fields)


@dataclass(slots=True)
class Browser:
    """What a browser keeps and sends: cookies, and the token of the page.

    Attributes:
        face: the server.
        cookies: by name, as they were set.
        csrf: the page's token; None sends none.
        headers: that each request carries.
    """

    face: Face
    cookies: dict[str, str] = field(default_factory=dict)
    csrf: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    async def ask(
        self,
        method: str,
        path: str,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request with the cookies and keep those that are set."""
        sent = {**self.headers, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        if self.csrf is not None:
            sent.setdefault("X-CSRF-Token", self.csrf)
        body = content if isinstance(content, bytes) else None
        if content is not None and body is None:
            body = orjson.dumps(content)
            sent.setdefault("Content-Type", "application/json")
        client = self.face.client
        async with client.request(
            method, path, data=body, headers=sent, cookies={}, allow_redirects=False
        ) as response:
            client.session.cookie_jar.clear()
            self.set_cookies = response.headers.getall("Set-Cookie", [])
            for each in self.set_cookies:
                name, _, text = each.partition(";")[0].partition("=")
                self.cookies[name] = text.strip('"')
                if not self.cookies[name]:
                    del self.cookies[name]
            named = {name.lower(): text for name, text in response.headers.items()}
            return Answer(response.status, named, await response.read())

    async def login(self, name: str = "alice", password: str = PASSWORD) -> Answer:
        """Log in, and keep the page's token when it succeeds."""
        answer = await self.ask("POST", "/api/v1/login", {"name": name, "password": password})
        if answer.status == 200:
            self.csrf = orjson.loads(answer.body)["csrf_token"]
        return answer

    async def sees(self) -> int:
        """Return the status of the answer to who is logged in."""
        return (await self.ask("GET", "/api/v1/sessions")).status


class Clock:
    """A clock that is set by hand, from the present on."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def now(self) -> datetime:
        """Return the time."""
        return self.time

    def micros(self) -> int:
        """Return the time as the store has it."""
        return int(self.time.timestamp() * 1_000_000)

    def seconds(self) -> float:
        """Return the time as a count of seconds."""
        return self.time.timestamp()

    def go_on(self, **time: float) -> None:
        """Let time pass."""
        self.time += timedelta(**time)

    def text(self) -> str:
        """Return the time as entries have it."""
        return rfc3339(self.micros())


def set_by_hand(face: Face, clock: Clock) -> None:
    """Let sessions and lock-outs of a running server go by this clock."""
    face.program.people.keeper._now = clock.now
    logins = face.client.app[appkeys.LOGINS]
    logins._now = logins._devices._now = clock.now
    logins._attempts._clock = clock.seconds


def logins_of(program: Program, failures: FailureLog, clock: Clock | None = None) -> Logins:
    """Return what begins sessions in a program without a server."""
    now = clock.now if clock is not None else lambda: datetime.now(UTC)
    seconds = clock.seconds if clock is not None else monotonic
    return Logins(
        program.store,
        program.people,
        Attempts(seconds, after=5, first=30, longest=900),
        Devices(bytes(32), now, os.urandom),
        failures,
        lifetime=timedelta(hours=12),
        now=now,
        random=os.urandom,
    )
