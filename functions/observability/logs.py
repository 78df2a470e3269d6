"""Logs: JSON lines for Cloud Logging, short text lines elsewhere; secrets are redacted in both."""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any, TextIO

Redact = Callable[[str], str]

QUIET_LOGGERS = (
    "google",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "urllib3",
)  # at INFO they log complete URLs
COLOURS = {"WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m", "DEBUG": "\033[2m"}
LAYOUT = "\n\t"  # of a stack
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}
_TRACE_HEADERS = (
    ("x-cloud-trace-context", re.compile(r"([0-9a-fA-F]{32})(?:/.*)?")),
    ("traceparent", re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-.*")),
)

# The headers of the request that is served; a line of its log names its trace.
request_headers: ContextVar[Mapping[str, str]] = ContextVar("request_headers", default=MappingProxyType({}))


def configure(env: Mapping[str, str], redact: Redact, *, zone: tzinfo = UTC) -> logging.Handler:
    """Send all logs from `LOG_LEVEL` up through one handler and return it; a second call replaces the first.

    Args:
        env: On Cloud Run (`K_SERVICE`) lines are JSON on standard output, otherwise text on standard error.
        redact: Masks secrets; applied to every text of a line.
        zone: Of the times in text lines; JSON lines are in UTC.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    handler = _Handler("stdout" if "K_SERVICE" in env else "stderr")
    handler.setLevel((env.get("LOG_LEVEL", "").strip() or "INFO").upper())
    if "K_SERVICE" in env:
        handler.setFormatter(CloudFormatter(redact, project=env.get("GOOGLE_CLOUD_PROJECT", "")))
    else:
        handler.setFormatter(TerminalFormatter(redact, zone=zone, coloured=sys.stderr.isatty()))
    install_handler(handler)
    return handler


def install_handler(handler: logging.Handler) -> None:
    """Add *handler*, also when it was removed, and enable disabled loggers.

    With `LOG_EXECUTION_ID` set, as on Cloud Run functions, functions-framework configures logging again
    after it has loaded our code; that removes our handler and disables all loggers.
    """
    root = logging.getLogger()
    for other in root.handlers[:]:
        if type(other) is logging.StreamHandler:  # avoids duplicate lines; the handlers of test tools stay
            root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(handler.level)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger(name).propagate = True  # Google's libraries disable it on import


def _current_trace() -> str:
    """Return the trace of the request that is served; empty without one."""
    headers = request_headers.get()
    matches = (shape.fullmatch(headers.get(name, "")) for name, shape in _TRACE_HEADERS)
    return next((match[1].lower() for match in matches if match), "")


class CloudFormatter(logging.Formatter):
    """Cloud Logging's structured lines: our fields beside `severity`, `message`, `time` and the trace."""

    def __init__(self, redact: Redact, *, project: str = "") -> None:
        super().__init__()
        self._redact = redact
        self._traces = f"projects/{project}/traces/" if project else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON; values of any type become JSON values or text."""
        line = {name: _to_json_value(value, self._redact) for name, value in _fields(record).items()}
        line["severity"] = record.levelname
        line["message"] = self._redact(record.getMessage())
        line["time"] = datetime.fromtimestamp(record.created, UTC).isoformat()
        line["logger"] = record.name
        if trace := _current_trace():
            line["logging.googleapis.com/trace"] = self._traces + trace
        if stack := _stack(self, record):
            line["stack_trace"] = self._redact(stack)
        return json.dumps(line)


class TerminalFormatter(logging.Formatter):
    """One short line: `12:00:01 INFO  tick_done due=5 started=5`."""

    def __init__(self, redact: Redact, *, zone: tzinfo = UTC, coloured: bool = False) -> None:
        super().__init__()
        self._redact = redact
        self._zone = zone
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the stack of an exception below it."""
        moment = f"{datetime.fromtimestamp(record.created, self._zone):%H:%M:%S}"
        fields = [
            f"{name}={_format_value(self._redact(str(value)))}" for name, value in _fields(record).items()
        ]
        message = _escape(self._redact(record.getMessage()))
        line = " ".join([moment, f"{record.levelname:<5}", message, *fields])
        if stack := _stack(self, record):
            line = f"{line}\n{_escape(self._redact(stack), keep=LAYOUT)}"
        line = self._redact(line)
        colour = COLOURS.get(record.levelname, "") if self._coloured else ""
        return f"{colour}{line}\033[0m" if colour else line


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the current standard stream: tests and the framework replace it."""

    def __init__(self, name: str) -> None:
        logging.Handler.__init__(self)
        self._stream_name = name

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # the base class keeps it as an attribute
        stream: TextIO = getattr(sys, self._stream_name)
        return stream


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}


def _stack(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _to_json_value(value: Any, redact: Redact) -> Any:
    """Return *value* as a JSON value with redacted texts."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # NaN and infinity are no JSON
    if isinstance(value, Mapping):
        return {redact(str(name)): _to_json_value(item, redact) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_json_value(item, redact) for item in value]
    return redact(str(value))


def _format_value(text: str) -> str:
    if text and text.isprintable() and " " not in text:
        return text
    return _escape(json.dumps(text, ensure_ascii=False))


def _escape(text: str, *, keep: str = "") -> str:
    """Write what moves the cursor, turns the direction of text or cannot be encoded by its number.

    Args:
        keep: Characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text
    )
