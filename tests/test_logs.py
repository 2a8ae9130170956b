"""Tests of proxy.logs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from proxy.config import LogConfig
from proxy.logs import Logger, configure_logging, quiet


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Give the process its own logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def configured(level: str = "info", form: str = "json") -> io.StringIO:
    """Return the stream that lines go to from now on."""
    stream = io.StringIO()
    configure_logging(LogConfig(level=level, format=form), stream)
    return stream


def test_json_is_one_object_a_line() -> None:
    """Each line holds time, level, logger, event and what was added."""
    stream = configured()
    structlog.get_logger("proxy.test").info("started", port=8920)
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert ("started", "info", "proxy.test", 8920) == (
        entry["event"],
        entry["level"],
        entry["logger"],
        entry["port"],
    )
    assert entry["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form() -> None:
    """What goes through `logging` is JSON as well."""
    stream = configured()
    logging.getLogger("aiohttp.server").error("refused %s", "x")
    assert "refused x" == json.loads(stream.getvalue())["event"]


def test_a_logger_of_ours_writes_what_was_added() -> None:
    """With its own name, and with the traceback of what it handles if it is asked for that."""
    stream = configured()
    log = Logger("proxy.test")
    log.info("started", port=8920)
    log.warning("slow")
    log.error("full")
    try:
        int("x")
    except ValueError:
        log.exception("broken")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert ["info", "warning", "error", "error"] == [line["level"] for line in lines]
    assert ["started", "slow", "full", "broken"] == [line["event"] for line in lines]
    assert ("proxy.test", 8920) == (lines[0]["logger"], lines[0]["port"])
    assert "ValueError" == lines[3]["exception"][0]["exc_type"]


def test_nothing_is_logged_while_it_is_quiet() -> None:
    """A command tells what failed by itself, once; asyncio may still say what was forgotten."""
    stream = configured("info")
    with quiet():
        Logger("proxy.test").error("broken")
        logging.getLogger("other").error("broken")
        logging.getLogger("asyncio").error("never retrieved")
    Logger("proxy.test").info("loud")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert ["never retrieved", "loud"] == events


def test_less_important_lines_are_left_out() -> None:
    """The level holds for our own lines and for those of libraries."""
    stream = configured("warning")
    structlog.get_logger("proxy.test").info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger("proxy.test").warning("loud")
    assert ["loud"] == [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


def test_a_lack_of_files_is_told_once_a_minute() -> None:
    """Once for a thousand connections that can't be accepted; other lines go on."""
    stream = configured()
    logger = logging.getLogger("asyncio")
    for _ in range(1000):
        logger.error("socket.accept() out of system resource\nsocket: %s", "<socket>")
    logger.error("another")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert ["another"] == events[1:]
    assert "file descriptor" in events[0]


def test_access_lines_with_their_queries_never_show() -> None:
    """The access lines of aiohttp would repeat whole addresses."""
    stream = configured("debug")
    logging.getLogger("aiohttp.access").info("GET /state/x?ID=secret")
    assert "" == stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values(form: str) -> None:
    """The local variables of a failing function stay out of the log."""
    stream = configured(form=form)

    def fail(body: str) -> None:
        raise ValueError(len(body))

    try:
        fail("hunter2" * 2)
    except ValueError:
        structlog.get_logger("proxy.test").exception("internal error")
    assert "ValueError" in stream.getvalue()
    assert "hunter2hunter2" not in stream.getvalue()


def test_console_lines_hold_no_colours_outside_a_terminal() -> None:
    """A file or a journal gets plain text."""
    stream = configured(form="console")
    structlog.get_logger("proxy.test").info("started", port=8920)
    assert "\x1b" not in stream.getvalue()
    assert "started" in stream.getvalue()
