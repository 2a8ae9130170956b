"""A log with entries of three ages, of which the older ones can be pruned."""

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from typer.testing import Result

from proxy import program as programs
from proxy.access import ANONYMOUS
from proxy.app import SYSTEM
from proxy.auth.failures import FailureLog
from proxy.cli import _rotation
from proxy.cli._common import caller, run, settings
from proxy.retention import Retention
from proxy.server_record import record_start, record_stop
from proxy.tfstate.policy import STANDARD
from tests.cli.conftest import NOW, state
from tests.cli.tile_logs import grow, tfaudit
from tests.contracts.store_contract import appends
from tests.people import PASSWORD, QUICK, logins_of
from tests.samples import a_lock_info

_DAY = 86_400 * 10**6
OLDEST = 256
"""Where the log is pruned until by 480 days."""
OLDER = 512
"""Where it is by 400 days."""


@dataclass(frozen=True, slots=True)
class Past:
    """A data directory, an empty directory for archives, and the log's public keys."""

    data: Path
    archive: Path
    keys: Path

    def copy(self, to: Path) -> "Past":
        """Return a copy that a test may change."""
        shutil.copytree(self.data.parent, to, dirs_exist_ok=True)
        return Past(*(to / path.name for path in (self.data, self.archive, self.keys)))

    def run(self, *args: object, code: int = 0, answer: str | None = None) -> Result:
        """Run the command line on the data directory."""
        return tfaudit(*args, "--data", self.data, code=code, answer=answer)

    def retain(self, keep: str = "400d", *args: object, code: int = 0) -> Result:
        """Prune, without a question."""
        where = ("--archive", self.archive, "--yes")
        return self.run("retain", "--keep", keep, *where, *args, code=code)

    @property
    def bundles(self) -> list[Path]:
        """The archives, oldest first."""
        return sorted(self.archive.glob("*.zip"))


@contextmanager
def days_ago(days: int) -> Iterator[None]:
    """Let what is recorded be so old."""
    real = programs.clock

    def past() -> int:
        return real() - days * _DAY

    with mock.patch.object(programs, "clock", past), mock.patch.object(_rotation, "clock", past):
        yield


def a_past(directory: Path) -> Past:
    """Make the log: of each kind of what verification follows, there is something among the oldest.

    Entries of 500 days ago, from 450 days ago, and of now. The public keys of before any rotation
    stand beside those of now in ``first.json``.
    """
    made = Past(*(directory / name for name in ("data", "archive", "keys.json")))
    made.archive.mkdir(parents=True)
    with days_ago(500):
        run(_work(made.data))
        made.keys.with_name("first.json").write_text(made.run("key", "show", "--json").stdout)
        made.run("key", "rotate", "entry", "--yes")
        _grow_to(made.data, 300)
    with days_ago(450):
        made.run("key", "rotate", "checkpoint", "--yes")
        _grow_to(made.data, 530)
    grow(made.data, 5)
    made.keys.write_text(made.run("key", "show", "--json").stdout)
    return made


def _grow_to(data: Path, size: int) -> None:
    async def work() -> None:
        async with programs.open_program(settings(data, None), create=True) as program:
            messages = map(str, range(await program.store.size(), size))
            await program.store.write(appends(*messages))

    run(work())


async def _changed(_: int | None) -> bytes:
    return state(6, input="two", password="hunter2")


def _written(serial: int) -> Callable[[int | None], Awaitable[bytes]]:
    async def receive(_: int | None) -> bytes:
        return state(serial, input=f"value-{serial}")

    return receive


async def a_start(program: programs.Program) -> None:
    """Record that a server starts."""
    keys = {"entry": program.keys.entry_key_id, "checkpoint": program.keys.vkey}
    shown: dict[str, object] = {"redaction.mode": "standard"}
    shown |= {f"redaction.{name}": [] for name in ("hidden", "readable", "hidden_values")}
    system = caller("test")._replace(principal=SYSTEM)
    await record_start(program.store, system, config=shown, keys=keys, policy=STANDARD)


async def _work(data: Path) -> None:
    who = caller("test")
    async with programs.open_program(settings(data, None), create=True) as program:
        await a_start(program)
        await program.states.import_state(who, "prod", state(5, password="hunter1"))
        await program.states.write(who, "prod", _changed, None, None)
        await program.states.roll_back(who, "prod", "1")
        await program.states.import_state(who, "gone", state(1))
        for serial in (1, 2, 3):
            await program.states.write(who, "short", _written(serial), None, None)
        await program.retention.prune(who, "short", Retention(versions=2))
        await program.admin.create_token(who, "ci", "reader", ["x"], None)
        await program.admin.create_token(who, "old", "reader", ["x"], None)
        await program.admin.revoke_token(who, "old")
        await program.locks.lock(who, "prod", a_lock_info(), None)
        await program.workspaces.delete(who, "gone")
        await program.workspaces.purge(who, "gone", at_once=True)
        await program.directory.create(who, "workspace", {"name": "made", "protected": True})
        program.people.hasher._argon2 = QUICK
        await program.directory.create(who, "principal", {"name": "alice", "kind": "person"})
        await program.people.set_password(who, "alice", PASSWORD)
        failures = FailureLog(program.store, window=60, immediate=10, now=lambda: NOW)
        anonymous = who._replace(principal=ANONYMOUS, ip="10.0.0.7")
        await logins_of(program, failures).login(anonymous, "alice", PASSWORD)
        await failures.aclose()
        await record_stop(program.store, who._replace(principal=SYSTEM))
