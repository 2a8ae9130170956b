"""The program's own log: structlog to stderr, for people or as one JSON object a line.

What goes in is chosen where it is logged: never a body, a header's value, a query or a token.
Whatever a library logs through `logging` comes out in the same form.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TextIO

# The libraries' own access lines and wire dumps would repeat addresses with their queries.
_QUIET: Final = ("aiohttp.access", "asyncio")


class _Unquoted(logging.Filter):
    """Takes what a malformed request said out of aiohttp's complaint about it.

    Its parser quotes what it stumbled over, which may hold a token or a piece of a state.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__module__ in {"aiohttp.http_exceptions", "aiohttp.web_protocol"}:
            record.exc_info = None
        return True


_UNQUOTED: Final = _Unquoted()

_NO_FILES_LEFT: Final = "socket.accept() out of system resource"
_NO_FILES_SECONDS: Final = 60.0


class _Once(logging.Filter):
    """Lets asyncio complain once a minute that it can't accept, not for each connection it can't.

    It tries a hundred times a second, with a traceback each, and would fill the disk.
    """

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith(_NO_FILES_LEFT):
            return True
        if record.created < self._quiet_until:
            return False
        self._quiet_until = record.created + _NO_FILES_SECONDS
        record.msg = "no file descriptor is left for a connection: raise the limit of open files"
        record.args = None
        record.exc_info = None
        return True


_ONCE: Final = _Once()


class Logger:
    """What our lines are written with; structlog is loaded with the first of them.

    It takes long to load, and commands log nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **fields: object) -> None:
        """Log what happened, as it should."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what somebody should look at some day."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what somebody should look at now."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log an error with the traceback of what is handled just now."""
        self._write("exception", event, fields)

    def _write(self, method: str, event: str, fields: dict[str, object]) -> None:
        if logging.getLogger().level >= logging.CRITICAL:
            return
        import structlog  # noqa: PLC0415 - see above

        getattr(structlog.get_logger(self._name), method)(event, **fields)


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing of ours or of the libraries be logged, but for what asyncio finds wrong.

    For commands: there what fails is raised, and told once.
    """
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(level)


class Settings(Protocol):
    """What config.LogConfig says."""

    @property
    def level(self) -> str:
        """``debug``, ``info``, ``warning`` or ``error``; less important lines are left out."""
        ...

    @property
    def format(self) -> str:
        """``json`` or ``console``."""
        ...


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send our log and that of the libraries to the stream; may be called again.

    Args:
        settings: the level and the form.
        stream: where lines go; None is stderr. Never stdout, which is for what commands print.
    """
    import structlog  # noqa: PLC0415 - quick start of the command line

    stream = sys.stderr if stream is None else stream
    shared: tuple[structlog.typing.Processor, ...] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    renderer: structlog.typing.Processor
    if settings.format == "json":
        # Local variables of a traceback could hold a state or a token: they are left out.
        traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        errors: structlog.typing.Processor = structlog.processors.ExceptionRenderer(traceback)
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        errors = structlog.processors.format_exc_info
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                errors,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("aiohttp.server").addFilter(_UNQUOTED)
    logging.getLogger("asyncio").addFilter(_ONCE)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
