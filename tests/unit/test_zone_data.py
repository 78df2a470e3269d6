"""Zones have one source: whatever zone data the machine has, all times are those of the pinned tzdata."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.cli.options import format_local
from functions.domain.alerts.routing import ChannelPreferences, earliest_send_time
from functions.domain.schedule.describe import build_preview
from functions.domain.types import TZDATA_DIR, find_timezone, timezone_names
from functions.notifications.rendering.formatting import format_instant
from functions.transfer.foreign.timing import parse_instant
from functions.web.dashboard.presentation.formatting import absolute_time
from functions.web.dashboard.rendering import parse_local_instant
from tests.unit.domain.alerts.test_routing_hours import a_notice

VANCOUVER = "America/Vancouver"
NOW = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
NINE = datetime(2026, 7, 1, 16, 0, tzinfo=UTC)  # 9:00 in Vancouver


@pytest.fixture(autouse=True)
def _other_tables(tmp_path: Path) -> Iterator[None]:
    """A machine on which Vancouver has the clock of Tokyo, and where there is a zone nobody knows."""
    for name in (VANCOUVER, "Mars/Olympus"):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_bytes((TZDATA_DIR / "zoneinfo/Asia/Tokyo").read_bytes())
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


def test_a_preview_shows_the_time_that_the_schedule_names() -> None:
    preview = build_preview("0 9 * * *", timezone=VANCOUVER, task_id="a", now=NOW, count=1)

    [(instant, local)] = preview.next_runs
    assert (NINE, "09:00") == (instant, f"{local:%H:%M}")


def test_everything_that_shows_a_time_agrees_with_the_schedule() -> None:
    assert "2026-07-01 09:00" in format_local(NINE, VANCOUVER)
    assert "09:00" in absolute_time(NINE, VANCOUVER)
    assert format_instant(NINE, VANCOUVER).startswith("2026-07-01 09:00")


def test_everything_that_reads_a_time_agrees_with_the_schedule() -> None:
    assert NINE == parse_local_instant("2026-07-01T09:00", VANCOUVER)
    assert NINE == parse_instant("2026-07-01 09:00", VANCOUVER)


def test_quiet_hours_agree_with_the_schedule() -> None:
    quiet = {"quiet": [{"from": "08:00", "to": "10:00", "timezone": VANCOUVER}]}
    notice = a_notice(at=NINE)

    until = earliest_send_time(ChannelPreferences.model_validate(quiet), notice, NINE)

    assert datetime(2026, 7, 1, 17, 0, tzinfo=UTC) == until


def test_a_zone_that_only_the_machine_knows_is_none() -> None:
    """Another machine of the same deployment would refuse the task."""
    assert find_timezone("Mars/Olympus") is None


def test_every_zone_is_in_the_package() -> None:
    assert all(find_timezone(name) is not None for name in timezone_names())
