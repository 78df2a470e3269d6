"""What people read is complete: each setting, each command and each form of schedule is in it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.cli.main import build_command
from functions.config.dotenv import parse_dotenv
from functions.config.settings import Settings
from functions.domain.schedule.parse import NAMED_SCHEDULES, parse_schedule
from functions.stores.bitable.schema import TASK_COLUMNS

ROOT = Path(__file__).parents[2]
FORMS = (*NAMED_SCHEDULES, "every 15m", "at 2026-12-01T09:00")
DIALECTS = ("L", "5L", "#", "MON-FRI", "H")


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def env_example() -> dict[str, str]:
    return parse_dotenv((ROOT / ".env.example").read_text(encoding="utf-8"))


def commands() -> list[str]:
    return sorted(build_command().commands)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_readme(name: str) -> None:
    """A knob nobody can read about does not exist."""
    assert f"`{name.upper()}`" in readme()


def test_the_example_of_an_environment_has_every_setting_and_no_other() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(env_example())


def test_the_example_of_an_environment_holds_the_defaults() -> None:
    """Who copies it and changes nothing gets what who copies nothing gets."""
    copied = Settings.from_env(env_example(), serves_http=False)

    assert Settings.from_env({}, serves_http=False) == copied


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"scheduler {name}\b|`{name}\b", readme())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_schedule_is_in_the_readme_and_accepted(form: str) -> None:
    parse_schedule(form, timezone="Europe/Riga", anchor=datetime(2026, 11, 20, tzinfo=UTC))

    assert form in readme()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_cron_is_in_the_readme(dialect: str) -> None:
    assert f"`{dialect}`" in readme()


@pytest.mark.parametrize("name", [column.name for column in TASK_COLUMNS])
def test_every_column_of_a_feishu_table_is_explained(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "bitable-store.md").read_text(encoding="utf-8")
