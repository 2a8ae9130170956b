"""One call of a sink, with a deadline and with every failure in the words of the contract."""

import asyncio
from collections.abc import Coroutine
from traceback import format_tb
from typing import Any, Final, TypeVar

from proxy.errors import ConfigError
from proxy.logs import Logger
from proxy.sinks.contract import NotTakenError, RefusedError, Sink, SinkGoneError

T = TypeVar("T")

DEADLINE: Final = 120.0
"""Seconds that a sink has for one batch; it may part it into several requests."""

PATIENCE: Final = 2.0
"""Seconds that a sink has to let go once it is told to."""

_log = Logger("tfaudit.sinks")


class StuckError(NotTakenError):
    """It let its deadline pass and did not let go: it must not be called again."""


async def call(name: str, work: Coroutine[Any, Any, T], seconds: float = DEADLINE) -> T:
    """Return what a sink returns.

    When the caller is cancelled so is the sink's call; one that does not end is left behind.

    Args:
        name: of the sink, for the program's own log.
        work: its call.
        seconds: until it counts as not taken.

    Raises:
        NotTakenError, RefusedError, SinkGoneError: as the sink says; whatever else it raises is a
            bug of its own, which is logged, and NotTakenError here.
        StuckError: it neither answered nor ended.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(name, task)
        raise
    if not task.done():
        message = f"the far side has not answered within {seconds:g} s"
        if await _end(name, task):
            raise NotTakenError(message)
        raise StuckError(f"{message}, and the sink did not end")
    try:
        return task.result()
    except (NotTakenError, RefusedError, SinkGoneError):
        raise
    except ConfigError as error:
        raise NotTakenError(str(error), needs_repair=True) from error
    except asyncio.CancelledError as error:
        raise NotTakenError("the sink gave up its call by itself") from error
    except Exception as error:  # noqa: BLE001 - a foreign sink may raise anything
        # What it says may hold anything, a secret, too: where it was raised is what a fix needs.
        place = "".join(format_tb(error.__traceback__))
        kind = type(error).__name__
        _log.error("a sink failed in a way that it must not", sink=name, kind=kind, place=place)
        raise NotTakenError(
            f"the sink has a fault of its own ({kind}): see the server's log"
        ) from None


async def _end(name: str, task: asyncio.Future[Any]) -> bool:
    """Cancel a call; tell whether it ended."""
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
    if not task.done():
        _log.error("a sink does not end its call, which is left behind", sink=name)
        return False
    if not task.cancelled():
        task.exception()  # so that nobody misses it
    return True


async def close(name: str, sink: Sink) -> None:
    """Close a sink, whatever it does."""
    try:
        async with asyncio.timeout(PATIENCE):
            await sink.aclose()
    except Exception as error:  # noqa: BLE001 - whatever it raises, nobody could do anything
        _log.error("a sink could not be closed", sink=name, kind=type(error).__name__)
