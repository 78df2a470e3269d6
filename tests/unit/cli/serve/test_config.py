"""The settings file of an older job scheduler: each setting is read, or said to be left out."""

from pathlib import Path

import pytest

from functions.cli.serve.config import convert_config, read_config
from functions.errors import InputError


def test_each_setting_is_read_or_reported(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    file.write_text(
        "scheduler:\n  max_concurrency: 5\n  poll_interval: 1\n  timezone: Europe/Riga\n  colour: red\n"
        "logging: {level: warn, file: logs/jobs.log}\njobs: [{id: a}]\n"
    )

    config = read_config(file)

    assert {"MAX_CONCURRENCY": "5", "DEFAULT_TIMEZONE": "Europe/Riga", "LOG_LEVEL": "WARNING"} == (
        config.environment
    )
    assert (5, Path("logs/jobs.log")) == (config.tick_interval_s, config.log_path)
    assert [
        "config: scheduler.max_concurrency: read, as MAX_CONCURRENCY=5",
        "config: scheduler.poll_interval: changed, as --every 5",
        "config: scheduler.timezone: read, as DEFAULT_TIMEZONE=Europe/Riga",
        "config: scheduler.colour: left out; there is no such setting here",
        "config: logging.level: read, as LOG_LEVEL=WARNING",
        "config: logging.file: read, as --log logs/jobs.log",
        "config: jobs: left out; scheduler import reads jobs, --tasks task files",
    ] == config.report


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_concurrency", "many"), ("max_workers", 0), ("pollInterval", True), ("log_level", "loud")],
)
def test_a_value_that_says_nothing_is_left_out_with_its_reason(name: str, value: object) -> None:
    config = convert_config({name: value})

    assert ({}, None) == (config.environment, config.tick_interval_s)
    assert "left out; it must be" in config.report[0]


@pytest.mark.parametrize("text", ["- a list\n", "a: [", "", None])
def test_what_holds_no_settings_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "scheduler.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(InputError, match=r"--config: .*scheduler\.yaml"):
        read_config(file)
