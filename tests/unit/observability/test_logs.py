"""Logs: structured for Cloud Logging, readable for people, and never with a secret."""

import io
import json
import logging
import logging.config
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.observability import logs
from functions.observability.logs import CloudFormatter, TerminalFormatter

CANARY = "canary-secret-0123456789"
TRACE = "0123456789abcdef0123456789abcdef"
ON_GOOGLE = {"K_SERVICE": "cronfire", "GOOGLE_CLOUD_PROJECT": "project"}


def masked(text: str) -> str:
    return text.replace(CANARY, "***")


def record(message: str = "tick_done", level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "functions.engine.tick", "msg": message, "levelno": level})
    vars(made).update(levelname=logging.getLevelName(level), created=1_795_176_001.25, **fields)
    return made


def failed(text: str) -> logging.LogRecord:
    def fail() -> None:
        raise RuntimeError(text)

    try:
        fail()
    except RuntimeError:
        return record("tick_degraded", logging.ERROR, exc_info=sys.exc_info())
    raise AssertionError("it did not fail")


@pytest.fixture(autouse=True)
def undisturbed() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs.QUIET_LOGGERS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logs.request_headers.set({})


def test_a_structured_line_has_what_cloud_logging_looks_for() -> None:
    line = json.loads(CloudFormatter(masked).format(record(due=5, taskIds=["a", "b"])))

    assert {
        "severity": "INFO",
        "message": "tick_done",
        "time": datetime.fromtimestamp(1_795_176_001.25, UTC).isoformat(),
        "logger": "functions.engine.tick",
        "due": 5,
        "taskIds": ["a", "b"],
    } == line


@pytest.mark.parametrize(
    "level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
)
def test_the_severity_is_the_level(level: int) -> None:
    line = json.loads(CloudFormatter(masked).format(record(level=level)))

    assert logging.getLevelName(level) == line["severity"]


def test_a_field_cannot_pose_as_one_of_ours() -> None:
    line = json.loads(CloudFormatter(masked).format(record(severity="DEBUG", time="never")))

    assert ["INFO", "2026"] == [line["severity"], line["time"][:4]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("two\nlines", "two\nlines"),
        ("\udc80", "\udc80"),
        (datetime(2026, 11, 20, tzinfo=UTC), "2026-11-20 00:00:00+00:00"),
        ({1: {"deep": (CANARY,)}}, {"1": {"deep": ["***"]}}),
        ({CANARY: 1}, {"***": 1}),
        (ValueError(CANARY), "***"),
    ],
)
def test_whatever_a_field_holds_the_line_is_json_without_secrets(value: object, expected: object) -> None:
    """A line that is not JSON loses its severity, and with it the alert on errors."""
    text = CloudFormatter(masked).format(record(field=value))

    assert expected == json.loads(text)["field"]
    assert 1 == len(text.splitlines())
    assert "NaN" not in text


def test_an_exception_is_one_text_with_its_stack_and_without_secrets() -> None:
    line = json.loads(CloudFormatter(masked).format(failed(f"cannot use {CANARY}")))

    assert line["stack_trace"].startswith("Traceback (most recent call last)")
    assert line["stack_trace"].endswith("RuntimeError: cannot use ***")


def test_a_message_is_masked_in_both_forms() -> None:
    spoken = record(f"took {CANARY}", key=CANARY)

    assert [False, False] == [
        CANARY in formatter.format(spoken)
        for formatter in (CloudFormatter(masked), TerminalFormatter(masked))
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-cloud-trace-context": f"{TRACE}/123;o=1"},
        {"x-cloud-trace-context": TRACE.upper()},
        {"traceparent": f"00-{TRACE}-0123456789abcdef-01"},
        {"x-cloud-trace-context": f"{TRACE}/1", "traceparent": f"00-{'f' * 32}-0123456789abcdef-01"},
        {"x-cloud-trace-context": "nonsense", "traceparent": f"00-{TRACE}-0123456789abcdef-01"},
    ],
)
def test_lines_carry_the_trace_of_their_request(headers: dict[str, str]) -> None:
    logs.request_headers.set(headers)

    lines = [json.loads(CloudFormatter(masked, project=name).format(record())) for name in ("project", "")]

    assert [f"projects/project/traces/{TRACE}", TRACE] == [
        line["logging.googleapis.com/trace"] for line in lines
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "x"},
        {"x-cloud-trace-context": f'{TRACE}"}}'},
        {"x-cloud-trace-context": TRACE[1:]},
    ],
)
def test_without_a_trace_there_is_none(headers: dict[str, str]) -> None:
    logs.request_headers.set({"x-cloud-trace-context": TRACE})
    logs.request_headers.set(headers)

    assert "logging.googleapis.com/trace" not in CloudFormatter(masked).format(record())


def test_a_line_for_people_is_short() -> None:
    line = TerminalFormatter(masked).format(record(due=5, started=5, reason="It took too long", empty=""))

    assert re.fullmatch(r"\d\d:\d\d:\d\d", line[:8])
    assert ' INFO  tick_done due=5 started=5 reason="It took too long" empty=""' == line[8:]


def test_a_field_cannot_start_a_new_line_or_colour_the_terminal() -> None:
    """Names of tasks and texts of servers are written by strangers."""
    line = TerminalFormatter(masked).format(record(title="a\n12:00:01 INFO fake", other="\033[31m"))

    assert 1 == len(line.splitlines())
    assert "\033" not in line


@pytest.mark.parametrize(
    "odd", ["\r", "\x9b31m", "\x1b[2J", "\u202e", "\u2066", "\u2028", "\x85", "\ud800", "\x7f"]
)
def test_nothing_in_a_line_steers_the_terminal(odd: str) -> None:
    """Also in the message and the text of an exception, which libraries write from what servers answer."""
    wrong = failed(f"a{odd}b")
    wrong.msg, wrong.title = f"from {odd}", f"a b {odd}"
    line = TerminalFormatter(masked).format(wrong)

    assert odd[0] not in line
    assert line.isascii()


def test_letters_of_every_language_stay_as_they_are() -> None:
    assert "任务 é" in TerminalFormatter(masked).format(record(title="任务 é"))


def test_an_exception_follows_its_line() -> None:
    lines = TerminalFormatter(masked).format(failed(f"cannot use {CANARY}")).splitlines()

    assert lines[0].endswith(" ERROR tick_degraded")
    assert "RuntimeError: cannot use ***" == lines[-1]


def test_only_a_terminal_gets_colours() -> None:
    wrong = record(level=logging.ERROR)

    assert TerminalFormatter(masked, coloured=True).format(wrong).startswith("\033[31m")
    assert "\033" not in TerminalFormatter(masked).format(wrong)


@pytest.mark.parametrize(("env", "stream"), [(ON_GOOGLE, "out"), ({}, "err")])
def test_configured_twice_a_line_is_written_once(
    env: dict[str, str], stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(env, masked)
    logs.configure(env, masked)
    logging.getLogger("functions.somewhere").info("tick_done", extra={"key": CANARY})
    written = capsys.readouterr()

    assert 1 == len(getattr(written, stream).splitlines())
    assert "tick_done" in getattr(written, stream)
    assert CANARY not in written.out + written.err


@pytest.mark.parametrize(("level", "expected"), [("", 2), (" warning ", 1), ("ERROR", 0), ("debug", 3)])
def test_the_level_is_a_setting(level: str, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure({"LOG_LEVEL": level}, masked)
    log = logging.getLogger("functions.somewhere")
    log.debug("a")
    log.info("b")
    log.warning("c")

    assert expected == len(capsys.readouterr().err.splitlines())


@pytest.mark.parametrize(
    "name",
    [
        "httpx",
        "httpcore",
        "httpx2",
        "httpcore2",
        "google.auth",
        "google.cloud.firestore_v1",
        "urllib3.connectionpool",
    ],
)
def test_libraries_that_print_addresses_are_kept_quiet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses of bots are secrets."""
    logs.configure({"LOG_LEVEL": "DEBUG"}, masked)
    logging.getLogger(name).info("POST https://open.example.com/hook/secret")
    logging.getLogger(name).warning("kept")

    assert ["kept"] == [line.split()[-1] for line in capsys.readouterr().err.splitlines()]


def test_a_handler_that_was_replaced_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    """functions-framework does this to us when LOG_EXECUTION_ID is set."""
    log = logging.getLogger("functions.somewhere")
    handler = logs.configure(ON_GOOGLE, masked)
    theirs = {"class": "logging.StreamHandler", "stream": io.StringIO()}
    logging.config.dictConfig(
        {"version": 1, "handlers": {"theirs": theirs}, "root": {"level": "WARNING", "handlers": ["theirs"]}}
    )
    silenced = log.disabled
    logs.install_handler(handler)
    logs.install_handler(handler)
    log.info("tick_done")

    assert silenced
    assert ["tick_done"] == [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert "" == theirs["stream"].getvalue()  # type: ignore[attr-defined]  # the dict holds two types


def test_handlers_of_others_stay() -> None:
    """A test's own tools listen at the root as well."""

    class Listening(logging.Handler):
        pass

    other = Listening()
    logging.getLogger().addHandler(other)
    logs.configure({}, masked)

    assert other in logging.getLogger().handlers
