"""Tests of proxy.sinks.calls: whatever a sink does, it ends in time and in the contract's words."""

import asyncio
import contextlib

import pytest

from proxy.errors import ConfigError
from proxy.sinks import calls
from proxy.sinks.calls import StuckError, call, close
from proxy.sinks.contract import NotTakenError, RefusedError, SinkGoneError
from tests.fakes import FakeSink


async def answer() -> str:
    """Answer."""
    return "taken"


async def fail(error: BaseException) -> str:
    """Fail in this way."""
    raise error


async def cling(release: asyncio.Event) -> str:
    """Don't end when told to, but when released."""
    while not release.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await release.wait()
    return ""


async def test_an_answer_is_passed_on() -> None:
    """As it is."""
    assert "taken" == await call("siem", answer())


@pytest.mark.parametrize(
    "error", [NotTakenError("503"), RefusedError("400", refused=[0]), SinkGoneError("410")]
)
async def test_what_the_contract_names_is_passed_on(error: Exception) -> None:
    """As it is, too."""
    with pytest.raises(type(error)) as caught:
        await call("siem", fail(error))
    assert caught.value is error


async def test_a_missing_secret_is_for_somebody_to_mend() -> None:
    """And says which."""
    with pytest.raises(NotTakenError, match="no secret x") as caught:
        await call("siem", fail(ConfigError("there is no secret x")))
    assert caught.value.needs_repair


@pytest.mark.parametrize("error", [ValueError("hunter2"), KeyError("hunter2"), OSError("hunter2")])
async def test_anything_else_is_a_fault_of_the_sink(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of what it says is repeated: it may hold a secret."""
    with pytest.raises(NotTakenError) as caught:
        await call("siem", fail(error))
    assert type(error).__name__ in str(caught.value)
    assert "hunter2" not in str(caught.value) + capsys.readouterr().out
    assert caught.value.__cause__ is None


async def test_a_sink_that_gives_up_by_itself_took_nothing() -> None:
    """Its own cancellation is not the forwarder's."""
    with pytest.raises(NotTakenError):
        await call("siem", fail(asyncio.CancelledError()))


async def test_no_answer_in_time_is_none() -> None:
    """The call is ended."""
    with pytest.raises(NotTakenError, match=r"has not answered within 0\.01 s"):
        await call("siem", asyncio.sleep(60, "late"), 0.01)


async def test_a_call_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not keep the forwarder, nor be called again."""
    monkeypatch.setattr(calls, "PATIENCE", 0.01)
    release = asyncio.Event()
    with pytest.raises(StuckError):
        await call("siem", cling(release), 0.01)
    release.set()
    await asyncio.sleep(0)


async def test_whoever_is_cancelled_ends_the_call() -> None:
    """A stop does not wait for the far side."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(call("siem", work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_sink_that_can_not_be_closed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it raises or hangs."""
    monkeypatch.setattr(calls, "PATIENCE", 0.01)

    class Faulty(FakeSink):
        async def aclose(self) -> None:
            raise RuntimeError("hunter2")

    class Hanging(FakeSink):
        async def aclose(self) -> None:
            await asyncio.Event().wait()

    await close("siem", Faulty())
    await close("siem", Hanging())
