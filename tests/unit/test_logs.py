"""The log tells what happened, holds no secret, and costs nobody anything when it cannot be written."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
import structlog

from dbwatch import logs
from dbwatch.errors import ConfigError
from dbwatch.secret import Secret
from tests.own_logging import own_logging

PLAIN = "hunter2hunter2"
log: structlog.stdlib.BoundLogger = structlog.get_logger("dbwatch.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with own_logging():
        yield


def written(stream: io.StringIO) -> list[dict[str, object]]:
    logs.close()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_the_time_in_utc() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log.info("check changed", target="orders", findings=3, since=None, nested={"a": [1, "x\ny"]})
    (event,) = written(stream)
    assert list(event)[:4] == ["timestamp", "level", "event", "logger"]
    assert str(event["timestamp"]).endswith("Z")
    assert abs(time.time() - _seconds(str(event["timestamp"]))) < 60
    del event["timestamp"]
    assert event == {
        "level": "info",
        "event": "check changed",
        "logger": "dbwatch.test",
        "target": "orders",
        "findings": 3,
        "since": None,
        "nested": {"a": [1, "x\ny"]},
    }


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_lower_levels_are_left_out(level: str) -> None:
    stream = io.StringIO()
    logs.configure(level, "json", stream)
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("event", said=name)
    said = [event["said"] for event in written(stream)]
    assert said == ["debug", "info", "warning", "error"][["debug", "info", "warning", "error"].index(level) :]


def test_auto_is_console_on_a_terminal_and_json_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    logs.configure("info", "auto", terminal)
    log.info("serving", address="127.0.0.1:10187")
    logs.close()
    assert "\x1b[" in terminal.getvalue()
    assert "address" in terminal.getvalue()
    logs.configure("info", "auto", pipe)
    log.info("serving")
    assert written(pipe)[0]["event"] == "serving"


def test_no_color_is_honoured_and_control_characters_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    logs.configure("info", "console", terminal)
    log.warning("target down", error="\x1b[31mred\x1b[0m\rfake line\n2026 [info] forged")
    logs.close()
    assert "\x1b" not in terminal.getvalue()
    assert "\\x1b" in terminal.getvalue()
    assert len(terminal.getvalue().splitlines()) == 1


@pytest.mark.parametrize("output_format", ["json", "console"])
def test_no_event_holds_a_secret(output_format: str) -> None:
    stream = io.StringIO()
    logs.configure("debug", output_format, stream)
    url = f"postgresql://u:{PLAIN}@h/db"
    event = f"cannot reach {url}"
    log.error(event, url=url, nested={"list": [url, (url,)], url: 1}, secret=Secret(PLAIN))
    logging.getLogger("some.library").error("failed: %s", f"password={PLAIN} host=h")
    try:
        password = PLAIN
        raise RuntimeError(f"connection to {url} failed: {len(password)}")
    except RuntimeError:
        log.exception("check crashed")
        logging.getLogger("some.library").exception("it failed")
    logs.close()
    text = stream.getvalue()
    assert text.count("RuntimeError") >= 2
    assert "test_no_event_holds_a_secret" in text
    assert PLAIN not in text


def test_a_traceback_shows_no_value_of_a_variable() -> None:
    stream = io.StringIO()
    logs.configure("info", "console", stream)

    def connect(password: str) -> None:
        raise RuntimeError(f"refused after {len(password)} characters")

    try:
        connect(PLAIN)
    except RuntimeError as error:
        log.error("failed", exc_info=error)
    logs.close()
    assert "refused after 14 characters" in stream.getvalue()
    assert "in connect" in stream.getvalue()
    assert PLAIN not in stream.getvalue()


def test_libraries_are_quiet_and_routed_the_same_way() -> None:
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    for name in ("apscheduler.scheduler", "psycopg.pool", "redis.connection", "uvicorn.access"):
        logging.getLogger(name).warning("retrying")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("psycopg").error("server %s broke", "orders")
    (event,) = written(stream)
    assert (event["level"], event["event"], event["logger"]) == ("error", "server orders broke", "psycopg")


def test_python_warnings_are_events() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old thing", UserWarning, stacklevel=1)
    (event,) = written(stream)
    assert "old thing" in str(event["event"])


def test_a_crash_of_a_thread_is_an_event() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)

    def crash() -> None:
        raise RuntimeError(f"postgres://u:{PLAIN}@h")

    thread = threading.Thread(target=crash, name="lane-7")
    thread.start()
    thread.join()
    (event,) = written(stream)
    assert (event["event"], event["thread"]) == ("thread crashed", "lane-7")
    assert "RuntimeError" in str(event["exception"])
    assert PLAIN not in str(event)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_costs_one_event_its_text() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log.info("event", value=Unshowable())
    logging.getLogger("lib").error("%d and %d", "one")
    log.info("numbers", nan=float("nan"), big=10**400, deep=_nested(50))
    events = written(stream)
    assert [event["event"] for event in events] == ["log event not shown", "log event not shown", "numbers"]
    assert events[2]["nan"] == "nan"


def _nested(depth: int) -> object:
    return {"k": _nested(depth - 1)} if depth else 1


def test_a_very_long_text_keeps_its_start_and_its_end() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log.info("long", text="start" + "x" * 50_000 + "end")
    text = str(written(stream)[0]["text"])
    assert len(text) < 11_000
    assert text.startswith("start")
    assert text.endswith("end")


@pytest.mark.parametrize(("level", "output_format"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_word_is_refused_with_the_known_ones(level: str, output_format: str) -> None:
    with pytest.raises(ConfigError, match=r"is not known \(one of "):
        logs.configure(level, output_format, io.StringIO())


def test_a_process_whose_stderr_nobody_reads_still_ends() -> None:
    program = textwrap.dedent(
        """
        import structlog
        from dbwatch.logs import configure
        configure("info", "json")
        log = structlog.get_logger("x")
        for number in range(2000):
            log.info("event", number=number, text="x" * 200)
        print("done", flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "done\n"
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_what_is_queued_at_the_end_is_written() -> None:
    program = (
        "import structlog; from dbwatch.logs import configure; configure('info', 'json');"
        "[structlog.get_logger('x').info('event', number=n) for n in range(500)]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert [json.loads(line)["number"] for line in done.stderr.splitlines()] == list(range(500))
    assert done.stdout == ""
