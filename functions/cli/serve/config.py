"""Reads the settings file of an older job scheduler for `serve`, and says what became of each setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.domain.validation import DocumentSyntaxError
from functions.errors import InputError
from functions.taskfiles.parser import parse_text

MAX_CONFIG_BYTES = 65_536
MIN_INTERVAL_S, MAX_INTERVAL_S = 5, 86_400  # as of --every
MAX_SLOTS = 1000  # as of MAX_CONCURRENCY
LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "warning": "WARNING", "error": "ERROR"}
CONCURRENCY = {
    "concurrency",
    "maxconcurrency",
    "maxconcurrent",
    "maxconcurrentjobs",
    "maxconcurrenttasks",
    "maxworkers",
}
INTERVALS = {"pollinterval", "checkinterval", "tickinterval", "pollingrate"}
JOBS = {"jobs", "tasks", "jobsfile", "tasksfile", "jobsdir", "tasksdir"}


@dataclass(slots=True)
class OlderConfig:
    """What a settings file comes to.

    Attributes:
        environment: Settings by the names of variables.
        tick_interval_s: For `--every`; None when the file does not say.
        log_path: For `--log`.
        report: A line for each setting of the file.
    """

    environment: dict[str, str] = field(default_factory=dict)
    tick_interval_s: int | None = None
    log_path: Path | None = None
    report: list[str] = field(default_factory=list)


def read_config(path: Path) -> OlderConfig:
    """Read the file at *path*, YAML or JSON.

    Raises:
        InputError: It cannot be read, or holds no settings.
    """
    try:
        with path.open("rb") as opened:
            text = opened.read(MAX_CONFIG_BYTES + 1).decode("utf-8-sig")
        parsed = parse_text(text, as_json=path.suffix == ".json").value
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"--config: {path} cannot be read ({type(exc).__name__})") from None
    except DocumentSyntaxError as exc:
        raise InputError(f"--config: {path}: {exc}") from None
    if not isinstance(parsed, Mapping) or len(text) > MAX_CONFIG_BYTES:
        raise InputError(f"--config: {path}: must be settings by name, at most {MAX_CONFIG_BYTES // 1024} KB")
    return convert_config(parsed)


def convert_config(given: Mapping[str, Any]) -> OlderConfig:
    """Return what the settings in *given* come to here.

    Example: `{"scheduler": {"max_concurrency": 5, "poll_interval": 9}}` is `MAX_CONCURRENCY=5`, `--every 9`.
    """
    config = OlderConfig()
    for path, value in _leaves(given, ()):
        config.report.append(f"config: {'.'.join(path)}: {_convert(config, path, value)}")
    return config


def _leaves(given: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping) and _plain(name) not in JOBS:
            yield from _leaves(value, (*place, str(name)))
        else:
            yield (*place, str(name)), value


def _convert(config: OlderConfig, path: tuple[str, ...], value: Any) -> str:
    name, group = _plain(path[-1]), _plain(path[-2]) if len(path) > 1 else ""
    name = name.removesuffix("seconds").removesuffix("secs").removesuffix("sec")
    if name in CONCURRENCY:
        return _convert_concurrency(config, value)
    if name in INTERVALS:
        return _convert_interval(config, value)
    is_log = group in ("log", "logging")
    if name == "loglevel" or (is_log and name == "level"):
        return _convert_level(config, value)
    if name in ("logfile", "logpath") or (is_log and name in ("file", "path", "filename")):
        config.log_path = Path(str(value))
        return f"read, as --log {value}"
    if name in ("timezone", "defaulttimezone") and isinstance(value, str):
        config.environment["DEFAULT_TIMEZONE"] = value
        return f"read, as DEFAULT_TIMEZONE={value}"
    if name in JOBS:
        return "left out; scheduler import reads jobs, --tasks task files"
    return "left out; there is no such setting here"


def _convert_concurrency(config: OlderConfig, value: Any) -> str:
    if type(value) is not int or value < 1:
        return "left out; it must be a whole number from 1 on"
    slots = min(value, MAX_SLOTS)
    config.environment["MAX_CONCURRENCY"] = str(slots)
    return f"{'read' if slots == value else 'changed'}, as MAX_CONCURRENCY={slots}"


def _convert_interval(config: OlderConfig, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return "left out; it must be a number of seconds"
    seconds = min(max(round(value), MIN_INTERVAL_S), MAX_INTERVAL_S)
    config.tick_interval_s = seconds
    return f"{'read' if seconds == value else 'changed'}, as --every {seconds}"


def _convert_level(config: OlderConfig, value: Any) -> str:
    level = LEVELS.get(str(value).lower())
    if level is None:
        return f"left out; it must be one of {', '.join(sorted(set(LEVELS.values())))}"
    config.environment["LOG_LEVEL"] = level
    return f"read, as LOG_LEVEL={level}"


def _plain(name: object) -> str:
    return str(name).lower().replace("_", "").replace("-", "")
