"""Clients that write, read and lock at once, and remember what they were promised.

Each client knows of its workspace what it may find when the server comes back: what was
acknowledged, or what was under way when the connection broke. Nothing else.
"""

import base64
import hashlib
import json
import random
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from uuid import uuid4

from tests.samples import a_lock_info

_OFTEN = 3_000
"""Bytes of a state as most are."""

_RARELY = 400_000
"""Bytes of a large one: takes other ways through the server, and fills the write-ahead log."""


@dataclass(frozen=True)
class Acknowledged:
    """A request that was answered with success.

    Attributes:
        index: the reply's Audit-Index.
        event: what the entry of that index must be.
        workspace: and about what.
        sha256: of the state that was written or read, hex; empty when there was none.
    """

    index: int
    event: str
    workspace: str
    sha256: str = ""


class Broken(Exception):  # noqa: N818 - no error: what a killed server does to a connection
    """The connection ended before an answer came."""


@dataclass
class Connection:
    """A client's keep-alive connection to the server.

    Attributes:
        port: of the loopback address.
        token: the Bearer token.
    """

    port: int
    token: str
    _http: HTTPConnection | None = field(default=None, repr=False)

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, int, bytes]:
        """Send one request.

        Returns:
            The status, the Audit-Index (-1 without one) and the body.

        Raises:
            Broken: no whole answer came.
        """
        if self._http is None:
            self._http = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.token}"}
            self._http.request(method, path, body, headers)
            answer = self._http.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise Broken from error
        return answer.status, int(answer.headers.get("Audit-Index", "-1")), content

    def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            self._http.close()
            self._http = None


@dataclass
class Load:
    """What all clients share.

    Attributes:
        stop: set to end them.
        acknowledged: every promise of the server.
        surprises: answers that no client should have got.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)


class Writer:
    """The only one who writes its workspace: locks, writes some versions, reads, unlocks.

    Attributes:
        workspace: its workspace.
        possible_heads: what the newest state may be: one body, two while a write is under way;
            None is "no state".
        possible_locks: whose lock may be held, the same way.
    """

    def __init__(self, workspace: str, seed: int) -> None:
        self.workspace = workspace
        self.possible_heads: list[bytes | None] = [None]
        self.possible_locks: list[str | None] = [None]
        self._random = random.Random(seed)
        self._lineage = str(uuid4())
        self._serial = 0

    def run(self, connection: Connection, load: Load) -> None:
        """Work until the server is gone or the load is stopped."""
        try:
            while not load.stop.is_set():
                self._release(connection, load)
                self._turn(connection, load)
        except Broken:
            pass
        finally:
            connection.close()

    def _turn(self, connection: Connection, load: Load) -> None:
        lock_id = str(uuid4())
        self.possible_locks = [None, lock_id]
        answer = connection.send("LOCK", f"/state/{self.workspace}", a_lock_info(lock_id))
        if self._is_done(load, "state.locked", answer):
            self.possible_locks = [lock_id]
        for _ in range(self._random.randint(1, 4)):
            self._write(connection, load, lock_id)
            if self._random.random() < 0.5:
                self._read(connection, load)
        if self._random.random() < 0.9:
            self._release(connection, load)

    def _write(self, connection: Connection, load: Load, lock_id: str) -> None:
        self._serial += 1
        body = self._state()
        (head,) = self.possible_heads
        self.possible_heads = [head, body]
        answer = connection.send("POST", f"/state/{self.workspace}?ID={lock_id}", body)
        if self._is_done(load, "state.written", answer, body):
            self.possible_heads = [body]

    def _read(self, connection: Connection, load: Load) -> None:
        (head,) = self.possible_heads
        answer = connection.send("GET", f"/state/{self.workspace}")
        if self._is_done(load, "state.read", answer, head) and answer[2] != head:
            load.surprises.append(f"{self.workspace}: read something else than was written")

    def _release(self, connection: Connection, load: Load) -> None:
        (held,) = self.possible_locks
        if held is None:
            return
        self.possible_locks = [held, None]
        answer = connection.send("UNLOCK", f"/state/{self.workspace}", a_lock_info(held))
        if self._is_done(load, "state.unlocked", answer):
            self.possible_locks = [None]

    def _is_done(
        self, load: Load, event: str, answer: tuple[int, int, bytes], body: bytes | None = None
    ) -> bool:
        status, index, _ = answer
        if status != 200:
            load.surprises.append(f"{self.workspace}: {event} was answered with {answer}")
            return False
        digest = "" if body is None else hashlib.sha256(body).hexdigest()
        load.acknowledged.append(Acknowledged(index, event, self.workspace, digest))
        return True

    def _state(self) -> bytes:
        size = _RARELY if self._random.random() < 0.04 else _OFTEN
        noise = base64.b64encode(self._random.randbytes(size)).decode()
        resource = {
            "mode": "managed",
            "type": "terraform_data",
            "name": "main",
            "provider": 'provider["terraform.io/builtin/terraform"]',
            "instances": [{"schema_version": 0, "attributes": {"id": "1", "input": noise}}],
        }
        document = {
            "version": 4,
            "terraform_version": "1.11.4",
            "serial": self._serial,
            "lineage": self._lineage,
            "outputs": {},
            "resources": [resource],
        }
        return json.dumps(document, indent=2).encode()

    # ------------------------------------------------------------ after a crash

    def check(self, head: bytes | None, lock_id: str | None) -> None:
        """Take what the server has now for the truth, once it is one of what it may have.

        Args:
            head: the newest state, None when there is none.
            lock_id: of the lock that is held, if one is.
        """
        assert head in self.possible_heads, f"{self.workspace}: an acknowledged write is lost"
        assert lock_id in self.possible_locks, f"{self.workspace}: the lock is not who had it"
        self.possible_heads = [head]
        self.possible_locks = [lock_id]


class Contender:
    """One of several who want the same lock.

    Attributes:
        lock_id: its own.
        may_hold: whether the lock may be this one's: True, False, or None while that is open.
    """

    workspace = "shared"

    def __init__(self, name: str) -> None:
        self.lock_id = name
        self.may_hold: bool | None = False

    def run(self, connection: Connection, load: Load, others: list["Contender"]) -> None:
        """Take the lock and release it, again and again."""
        address, body = f"/state/{self.workspace}", a_lock_info(self.lock_id)
        try:
            while not load.stop.is_set():
                if not self.may_hold:
                    self.may_hold = None
                    status, index, _ = connection.send("LOCK", address, body)
                    self.may_hold = status == 200
                    if status not in {200, 423}:
                        load.surprises.append(f"the lock was answered with {status}")
                    if status != 200:
                        continue
                    load.acknowledged.append(Acknowledged(index, "state.locked", self.workspace))
                if any(other.may_hold for other in others if other is not self):
                    load.surprises.append("two clients held one lock")
                self.may_hold = None
                status, index, _ = connection.send("UNLOCK", address, body)
                if status != 200:
                    load.surprises.append(f"the unlock was answered with {status}")
                self.may_hold = False
                load.acknowledged.append(Acknowledged(index, "state.unlocked", self.workspace))
        except Broken:
            pass
        finally:
            connection.close()


def check_contenders(contenders: list[Contender], holder: str | None) -> None:
    """Hold the lock that was found against what each contender was told."""
    for contender in contenders:
        is_holder = contender.lock_id == holder
        assert contender.may_hold in {None, is_holder}, f"the lock is {holder!r}'s"
        contender.may_hold = is_holder
    assert holder in {None, *(contender.lock_id for contender in contenders)}


class Crowd:
    """All clients of one data directory, through as many crashes as there are.

    Args:
        seed: of all that they decide by chance.
    """

    def __init__(self, seed: int) -> None:
        self.load = Load()
        self.writers = [Writer(f"prod/w{number}", seed + number) for number in range(5)]
        self.contenders = [Contender(f"contender-{number}") for number in range(3)]
        self._threads: list[threading.Thread] = []

    def start(self, port: int, token: str) -> None:
        """Let everybody work against the server."""
        self.load.stop.clear()

        def thread(work: threading.Thread) -> None:
            work.start()
            self._threads.append(work)

        for writer in self.writers:
            arguments = (Connection(port, token), self.load)
            thread(threading.Thread(target=writer.run, args=arguments))
        for contender in self.contenders:
            shared = (Connection(port, token), self.load, self.contenders)
            thread(threading.Thread(target=contender.run, args=shared))

    def join(self) -> None:
        """Wait until everybody has noticed that the server is gone."""
        self.load.stop.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a client hangs"
        self._threads.clear()
