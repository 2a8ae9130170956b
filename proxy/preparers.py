"""Where uploads are prepared: on the spot, on a thread, or by worker processes.

A worker costs a small write some microseconds of the event loop instead of some hundred. Bodies
too large to be handed over cheaply are prepared on a thread; and those that would hold everybody
up even there, by a worker of their own, so that small ones need not wait for it either.
"""

import asyncio
import os
import subprocess
import sys
from collections import OrderedDict
from itertools import count
from pathlib import Path
from typing import IO, Final, Self, cast

from proxy.errors import UnavailableError
from proxy.logs import Logger
from proxy.preparation import KEPT, SMALL, Failed, Keys, Order, Preparation, Prepared, error_of
from proxy.tfstate.policy import STANDARD, Policy
from proxy.worker import LENGTH, Messages, Setup, decode_answer, encode, encode_order, write

_AT_ONCE: Final = 65_536
"""Bytes of a body that are prepared on the event loop when there is no worker."""

_HANDED_OVER: Final = 1 << 20
"""Bytes of a body that are handed to a worker; larger ones go to a thread."""

_IDLE: Final = 900.0
"""Seconds without an order after which the worker for large bodies gives its memory back. It
remembers what the resources of a state taught it, so the next upload costs more then."""

_PATIENCE: Final = 5.0
"""Seconds that a worker may take to end by itself."""

_COMMAND: Final = (sys.executable, "-P", "-m", "proxy.worker")
"""Without -P it would take modules from wherever the server was started, and give them the keys."""
_ENVIRONMENT: Final = {"PYTHONPATH": str(Path(__file__).parents[1])}
"""Nothing of the server's configuration or secrets, but where its modules are."""

_log = Logger("tfaudit.worker")


class LocalPreparer:
    """Prepares in this process: small bodies at once, larger ones on a thread.

    Args:
        keys: for sealing and for redaction.
        policy: what is hidden.
    """

    def __init__(self, keys: Keys, policy: Policy = STANDARD) -> None:
        self._preparation = Preparation(keys, policy)

    async def prepare(self, order: Order) -> Prepared:
        """Carry out one order; see preparation.Preparer."""
        if len(order.body) <= _AT_ONCE:
            return self._preparation.carry_out(order)
        return await asyncio.to_thread(self._preparation.carry_out, order)


class _Memory:
    """Which versions a worker remembers, so that their bodies need not be sent to it again.

    It answers in the order in which it was asked. So what it has answered tells what it has at
    least, and by what it has not, it may since have dropped no more than that many.
    """

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def add(self, order: Order) -> None:
        """Note that the worker has prepared a version."""
        if len(order.body) > SMALL or order.version_id in self._numbers:
            return
        self._count += 1
        self._numbers[order.version_id] = self._count
        if len(self._numbers) > KEPT:
            self._numbers.popitem(last=False)

    def holds(self, version_id: str, unanswered: int) -> bool:
        """Whether a version is remembered still after so many orders without an answer."""
        number = self._numbers.get(version_id)
        return number is not None and self._count - number + unanswered < KEPT


class _Worker(asyncio.SubprocessProtocol):
    """One worker process and the orders it has not answered."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._messages = Messages()
        self._memory = _Memory()
        self._waiting: dict[int, tuple[asyncio.Future[Prepared], Order]] = {}
        self._numbers = count(1)
        self._outgoing: list[bytes] = []
        self._process: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.is_alive = True

    @property
    def load(self) -> int:
        """The number of orders under way."""
        return len(self._waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over keys and policy; through the pipe, where no other process can see them."""
        self._process = cast("asyncio.SubprocessTransport", transport)
        self._input = cast("asyncio.WriteTransport", self._process.get_pipe_transport(0))
        self._input.write(encode(self._setup))

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - asyncio's form
        """Answer whoever waits for the orders that are done."""
        for message in self._messages.feed(data):
            answer = decode_answer(message)
            waiting, order = self._waiting.pop(answer.number)
            if isinstance(answer, Prepared):
                self._memory.add(order)
                if not waiting.done():
                    waiting.set_result(answer)
            elif not waiting.done():
                waiting.set_exception(error_of(answer))

    def process_exited(self) -> None:
        """Let those who wait do without this worker."""
        waiting, self._waiting = self._waiting, {}
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(_WorkerLostError())
        self.is_alive = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's form
        """Note that the process and its pipes are gone."""
        if self._process is not None:
            self._process.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def submit(self, order: Order) -> asyncio.Future[Prepared]:
        """Hand an order over; what one round of the loop hands over goes out together."""
        future: asyncio.Future[Prepared] = self._loop.create_future()
        order.number = next(self._numbers)
        known = order.base is not None and self._memory.holds(order.base.id, self.load)
        self._waiting[order.number] = future, order
        self._outgoing.append(encode(order.without_base() if known else order))
        if len(self._outgoing) == 1:
            self._loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._input is not None:
            self._input.write(b"".join(outgoing))

    def close(self) -> None:
        """End the input, and so the worker."""
        if self._input is not None:
            self._input.close()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()


class _WorkerLostError(Exception):
    """The worker ended before it answered."""


class _LargeWorker:
    """A worker process for large bodies, one after another; there is none until one comes.

    Threads talk to it, since a pipe takes 64 KB at a time: the event loop would be asked a thousand
    times to go on with one body.

    Args:
        setup: what it works with.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._is_free = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def prepare(self, order: Order) -> Prepared:
        """Carry out one order; see preparation.Preparer.

        Raises:
            UnavailableError: the process was lost, or none could be started.
        """
        async with self._is_free:
            if self._idle is not None:
                self._idle.cancel()
            try:
                answer = await asyncio.to_thread(self._carry_out, order)
            except BaseException:
                self._kill()  # nobody waits for what it does
                raise
            self._idle = asyncio.get_running_loop().call_later(_IDLE, self._kill)
        if isinstance(answer, Failed):
            raise error_of(answer)
        return answer

    async def aclose(self) -> None:
        """End the process, if there is one."""
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.to_thread(self._kill)

    def _carry_out(self, order: Order) -> Prepared | Failed:
        try:
            if self._process is None:
                self._process = self._start()
        except OSError as error:
            raise UnavailableError(
                "no process could be started that prepares large uploads: "
                f"{error.strerror or error}; look at the server's log, and try again"
            ) from error
        try:
            source, target = _pipes_of(self._process)
            for piece in encode_order(order):
                write(target.fileno(), piece)
            length = int.from_bytes(source.read(LENGTH), "big")
            answer = source.read(length)
        except BrokenPipeError as error:
            raise _lost(order) from error
        if not answer or len(answer) < length:
            raise _lost(order)
        return decode_answer(answer)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - a program of our own
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_ENVIRONMENT
        )
        write(_pipes_of(process)[1].fileno(), encode(self._setup))
        return process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _pipes_of(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Return its standard output and its standard input."""
    return cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stdin)


def _lost(order: Order) -> UnavailableError:
    return UnavailableError(
        f"the process that prepares large uploads ended before it was done with one of "
        f"{len(order.body)} bytes: try again; if it stays so, look at the server's log, and give "
        "the machine more memory: an upload needs several times its size"
    )


class WorkerPool:
    """Hands small orders to worker processes, and does without one that was lost.

    Args:
        keys: for sealing and for redaction.
        size: number of worker processes.
        policy: what is hidden.
    """

    def __init__(self, keys: Keys, size: int, policy: Policy = STANDARD) -> None:
        self._setup = Setup(keys.master, keys.redaction, policy)
        self._size = size
        self._local = LocalPreparer(keys, policy)
        self._workers: list[_Worker] = []
        self._lost: list[_Worker] = []
        self._large = _LargeWorker(self._setup)
        self._starting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start the workers."""
        for _ in range(self._size):
            await self._start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """End the workers and wait for that."""
        await asyncio.gather(*self._starting, return_exceptions=True)
        for worker in self._workers:
            worker.close()
        await self._large.aclose()
        endings = [worker.ended for worker in (*self._workers, *self._lost)]
        if endings:
            _, slow = await asyncio.wait(endings, timeout=_PATIENCE)
            for worker in self._workers:
                if worker.ended in slow:
                    worker.kill()
            await asyncio.gather(*endings)

    def load(self) -> int:
        """Return how many orders the workers have before them; any thread may ask."""
        return sum(worker.load for worker in self._workers)

    async def prepare(self, order: Order) -> Prepared:
        """Carry out one order; see preparation.Preparer."""
        if order.is_large:
            return await self._large.prepare(order)
        if len(order.body) <= _HANDED_OVER:
            worker = self._least_busy()
            if worker is not None:
                try:
                    return await worker.submit(order)
                except _WorkerLostError:
                    self._replace_lost()
        return await self._local.prepare(order)

    def _least_busy(self) -> _Worker | None:
        found: _Worker | None = None
        for worker in self._workers:
            if worker.is_alive and (found is None or worker.load < found.load):
                found = worker
        return found

    def _replace_lost(self) -> None:
        for worker in [worker for worker in self._workers if not worker.is_alive]:
            _log.error("a worker was lost: preparing here, and starting another")
            self._workers.remove(worker)
            self._lost = [other for other in self._lost if not other.ended.done()] + [worker]
            task = asyncio.create_task(self._start(), name="start a worker")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        _, worker = await loop.subprocess_exec(
            lambda: _Worker(self._setup),
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
            env=_ENVIRONMENT,
        )
        self._workers.append(worker)


def spare_cores() -> int:
    """Return how many workers this machine has room for beside the event loop."""
    return max(0, min(4, len(os.sched_getaffinity(0)) - 1))
