"""Owns where log events go and what may stand in them; the only place that configures structlog. Knows no event.

A log must never become the outage: events are queued and written by one thread, so a full disk, a closed pipe or a
pipe nobody reads costs log lines, counted in `dropped()`, and never a check. Every text is scrubbed of URL passwords
and tracebacks are written without the values of variables, because a frame of a driver holds the password.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from enum import StrEnum
from types import TracebackType
from typing import TextIO, TypeAlias, TypeVar

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, Processor, WrappedLogger

from dbwatch.errors import ConfigError
from dbwatch.secret import Secret, scrub, scrub_all
from dbwatch.template import visible

QUEUE_LINES = 10_000
CLOSE_SECONDS = 2.0
_LONGEST_TEXT = 10_000
_LONGEST_SEARCHED = 200_000
_DEEPEST = 6
_FIRST_KEYS = ("timestamp", "level", "event", "logger")
# What libraries say on every retry is said by us once, as a change of a target or a check.
_QUIET = {
    "apscheduler": logging.ERROR,
    "asyncio": logging.WARNING,
    "psycopg": logging.ERROR,
    "redis": logging.ERROR,
    "urllib3": logging.ERROR,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.ERROR,
    "uvicorn.error": logging.WARNING,
}

_Choice = TypeVar("_Choice", bound=StrEnum)
_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """`auto` is console on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def configure(level: str = "info", output_format: str = "auto", stream: TextIO | None = None) -> None:
    """Send every log event of ours and of the libraries to `stream`, stderr by default. May be called again.

    Whoever starts uvicorn passes `log_config=None`, or it installs handlers of its own. Raises ConfigError.
    """
    global _current
    chosen = _one_of(Level, level, "--log-level")
    wanted = _one_of(LogFormat, output_format, "--log-format")
    target = stream if stream is not None else sys.stderr
    close()
    terminal = target.isatty()
    renderer = _console(terminal) if wanted is LogFormat.CONSOLE or (wanted is LogFormat.AUTO and terminal) else _json()
    _current = _Pipeline(target, renderer)
    root = logging.getLogger()
    root.handlers[:] = [_current.handler]
    root.setLevel(chosen.upper())
    for name, lowest in _QUIET.items():
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(lowest, root.level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def dropped() -> int:
    """How many events were lost since the last `configure`, because nobody read them fast enough or at all."""
    return _current.dropped if _current is not None else 0


def close(timeout_seconds: float = CLOSE_SECONDS) -> None:
    """Write what is queued, for at most so long. Later events are lost."""
    global _current
    if _current is not None:
        # Without any handler the standard library would print warnings raw on stderr.
        logging.getLogger().handlers[:] = [logging.NullHandler()]
        logging.captureWarnings(False)
        _current.close(timeout_seconds)
        _current = None


class _Pipeline:
    """A handler, a bounded queue and the thread that writes.

    Not the standard QueueListener: its `stop` waits for ever on a pipe nobody reads, and fails on a full queue.
    """

    def __init__(self, stream: TextIO, renderer: Processor) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        self.handler = _Handler(self, renderer)
        self._queue: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._stream = stream
        self._thread = threading.Thread(target=self._write_all, name="dbwatch-log", daemon=True)
        self._thread.start()
        self._old_hook = threading.excepthook
        threading.excepthook = _log_crash

    def put(self, line: str) -> None:
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._drop()

    def close(self, timeout_seconds: float) -> None:
        threading.excepthook = self._old_hook
        end = time.monotonic() + timeout_seconds
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_seconds)
        self._thread.join(max(0.0, end - time.monotonic()))

    def _write_all(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                _write(self._stream, line + "\n")
            except (OSError, ValueError):
                self._drop()

    def _drop(self) -> None:
        with self._lock:
            self.dropped += 1


class _Handler(logging.Handler):
    """Renders in the thread that logs, while values are what they were, and queues. Never raises, never waits."""

    def __init__(self, pipeline: _Pipeline, renderer: Processor) -> None:
        super().__init__()
        self._pipeline = pipeline
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=[
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.StackInfoRenderer(),
                    _traceback,
                    _scrubbed,
                    renderer,
                ]
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a value that cannot be shown must not end the check that logs it
            line = f'{{"level": "error", "event": "log event not shown", "error": "{type(error).__name__}"}}'
        self._pipeline.put(line)


_current: _Pipeline | None = None
atexit.register(close)


def _write(stream: TextIO, text: str) -> None:
    """Past Python's buffer where there is a file: a thread stuck in it would stop the interpreter from ending."""
    try:
        number = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        stream.write(text)
        stream.flush()
        return
    raw = text.encode("utf-8", "backslashreplace")
    while raw:
        raw = raw[os.write(number, raw) :]


def _traceback(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The traceback as text: Python's own, which shows source lines and no values."""
    given = event.pop("exc_info", None)
    info = sys.exc_info() if given is True else given
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        text = io.StringIO()
        plain_traceback(text, info)
        event["exception"] = scrub_all(text.getvalue().strip("\n"))
    return event


def _scrubbed(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Every value without secrets and of bounded size, the known keys first."""
    clean = {str(key): _clean(value, 0) for key, value in event.items()}
    return {key: clean.pop(key) for key in _FIRST_KEYS if key in clean} | clean


def _clean(value: object, depth: int) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (Mapping, list, tuple, set, frozenset)) and depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {scrub(str(key)): _clean(item, depth + 1) for key, item in value.items()}
        return [_clean(item, depth + 1) for item in value]
    text = str(value) if isinstance(value, (str, Secret, BaseException)) else repr(value)
    text = scrub(text[:_LONGEST_SEARCHED])
    if len(text) <= _LONGEST_TEXT:
        return text
    # A traceback says what happened at its end and where at its start.
    return f"{text[: _LONGEST_TEXT // 2]} … {text[-_LONGEST_TEXT // 2 :]}"


def _json() -> Processor:
    return structlog.processors.JSONRenderer()


def _console(terminal: bool) -> Processor:
    renderer = ConsoleRenderer(colors=terminal and not os.environ.get("NO_COLOR"), exception_formatter=plain_traceback)

    def render(logger: WrappedLogger, name: str, event: MutableMapping[str, object]) -> str:
        """Control characters of a server's message are shown, not sent to the terminal."""
        for key, value in event.items():
            if isinstance(value, str):
                lines = value.splitlines() if key in ("exception", "stack") else [value]
                event[key] = "\n".join(map(visible, lines))
        return renderer(logger, name, event)

    return render


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    """An exception that ended a thread is a log event, not a raw traceback beside the log."""
    if crash.exc_value is None or issubclass(crash.exc_type, SystemExit):
        return
    name = crash.thread.name if crash.thread is not None else "unknown"
    info: _ExcInfo = (crash.exc_type, crash.exc_value, crash.exc_traceback)
    structlog.stdlib.get_logger(__name__).error("thread crashed", thread=name, exc_info=info)


def _one_of(kind: type[_Choice], text: str, source: str) -> _Choice:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError.of(source, f"{text!r} is not known", hint=f"one of {', '.join(kind)}") from None
