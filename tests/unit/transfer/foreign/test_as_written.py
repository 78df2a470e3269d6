"""Files of older schedulers as people write them: read, or refused with file, line and remedy."""

import json

import pytest

from functions.domain.task import TaskSpec
from functions.errors import InputError
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults
from functions.transfer.foreign.formats import read_foreign
from tests.conftest import NOON

URL = {"url": "https://example.com/"}


def read(name: str, text: str) -> ForeignTasks:
    return read_foreign([(name, text)], ImportDefaults(NOON))


def spec_of(name: str, text: str) -> TaskSpec:
    found = read(name, text)
    assert ((), 1) == (found.problems, len(found.tasks))
    return found.tasks[0].spec


@pytest.mark.parametrize(
    ("timing", "schedule"),
    [("interval: 300", "every 5m"), ("every: 10 minutes", "every 10m"), ('cron: "0 3 * * *"', "0 3 * * *")],
)
def test_jobs_may_say_interval_every_or_cron(timing: str, schedule: str) -> None:
    assert schedule == spec_of("jobs.yaml", f"jobs:\n  - name: A\n    command: ls\n    {timing}\n").schedule


def test_null_in_params_and_flags_says_nothing() -> None:
    entry = {
        "id": "rss_watch", "type": None, "frequency": "every 30 minutes", "enabled": None, "priority": None,
        "params": {"feed_url": "https://example.com/feed", "max_items": None, "last_seen_guid": None},
    }  # fmt: skip

    found = spec_of("tasks.json", json.dumps([entry]))

    assert ({"feedUrl": "https://example.com/feed"}, True) == (found.params, found.enabled)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_cells_may_be_separated_by_semicolons_or_tabs(separator: str) -> None:
    rows = [
        ("id", "title", "schedule", "scheduleEnabled", "agentType", "prompt"),
        ("1", "A", "daily", "TRUE", "x", "B, C"),
    ]
    text = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)

    assert "B, C" == spec_of("rows.csv", text).params["goal"]


def test_a_value_on_each_line_is_a_list_of_entries() -> None:
    lines = [
        {"id": "a", "type": "daily_briefing", "frequency": "daily"},
        {"id": "b", "type": "nope", "frequency": 1},
    ]
    text = "\n\n".join(json.dumps(one) for one in lines)

    found = read("tasks.jsonl", text)
    with pytest.raises(InputError, match=r"tasks\.ndjson:2: this is not JSON"):
        read("tasks.ndjson", '{"id": "a"}\n{')

    assert (["a"], [3]) == ([one.spec.id for one in found.tasks], [one.line for one in found.problems])


@pytest.mark.parametrize(
    ("schedule", "becomes"),
    [
        ("300.0", "every 5m"),
        ("{minute: 30, hour: 7, day_of_week: 0}", "30 7 * * 0"),  # from Sunday, as cron counts
        ("\"crontab(minute='0,30', hour=3)\"", "0,30 3 * * *"),
        ('"crontab(hour=3)"', "* 3 * * *"),  # Celery leaves the minute open
        ('"*/5 * * * *"', "*/5 * * * *"),
        ("\"crontab(0, '7,8', 'mon-fri')\"", "0 7,8 * * mon-fri"),  # the third is the day of the week
        ("\"celery.schedules.crontab(0, 0, day_of_month='2-30/2')\"", "0 0 2-30/2 * *"),
        ('"timedelta(hours=1, minutes=30)"', "every 1h30m"),
        ('"datetime.timedelta(2)"', "every 2d"),
    ],
)
def test_celerys_beat(schedule: str, becomes: str) -> None:
    text = f"beat_schedule:\n  add:\n    task: jobs.tasks.add\n    args: [1, 2]\n    schedule: {schedule}\n"

    found = spec_of("celery.yaml", text)

    assert (becomes, "jobs.tasks:add", [1, 2]) == (
        found.schedule,
        found.params["callable"],
        found.params["args"],
    )


def test_rqs_cron() -> None:
    job = {"id": "rq:job:1", "func_name": "app.jobs.sync", "cron_string": "0 * * * *", "timeout": 180}

    found = spec_of("rq.json", json.dumps([job]))

    assert ("rq-job-1", "0 * * * *", 180.0) == (found.id, found.schedule, found.timeout_seconds)


@pytest.mark.parametrize(
    ("text", "line", "field", "reason"),
    [
        ("schdule: hourly\n    type: http", 3, "schdule", "unknown field; did you mean schedule?"),
        (
            "frequency: hourly\n    type: helth_check_url",
            4,
            "type",
            "no type; did you mean health_check_url?",
        ),
    ],
)
def test_a_misspelt_word_is_named_with_the_right_one(text: str, line: int, field: str, reason: str) -> None:
    """It was taken for a task without a schedule, or for one without a type."""
    good = "  - {id: ok, type: daily_briefing, frequency: daily}\n"

    found = read("tasks.yaml", f'tasks:\n  - id: shop\n    {text}\n    params: {{url: "x"}}\n{good}')

    [fault] = found.problems
    assert (line, field, True) == (fault.line, fault.field, fault.reason.endswith(reason)), fault


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", '// ours\n{"tasks": []}', r"a\.json:1: this is not JSON: it has no comments"),
        ("a.json", '[\n {"id": "a"},\n]', r"a\.json:\d: this is not JSON: a comma stands before the bracket"),
        ("a.json", "{'id': 1}", r"a\.json:1: this is not JSON: texts and names stand in double quotes"),
        ("a.json", '[{"id": "a"}', r"a\.json:1: this is not JSON: it ends too early"),
        (
            "ci.yml",
            'name: N\non:\n  schedule:\n    - cron: "1 3 * * *"\njobs: {b: {}}',
            r"ci\.yml:\d: .*github_dispatch",
        ),
        ("k.yaml", "kind: CronJob\nspec: {schedule: '* * * * *'}", r"k\.yaml:1: .*type command"),
        (
            "vercel.json",
            '{"crons": [{"path": "/a", "schedule": "0 5 * * *"}]}',
            r"vercel\.json:1: .*type http",
        ),
        ("bull.json", '[{"name": "a", "pattern": "0 9 * * *", "tz": null}]', r"bull\.json:1: .*BullMQ"),
        (
            "bull.json",
            '[{"key": "a::1", "name": "a", "every": 300000, "next": 17645760000}]',
            "in milliseconds",
        ),
        ("bull.json", '[{"key": "a::1", "name": "a", "cron": "0 9 * * *", "next": 17645760000}]', "BullMQ"),
        ("dags.yaml", 'dags:\n  a: {schedule_interval: "@daily"}', r"dags\.yaml:1: .*Airflow"),
        (
            "x.yaml",
            "- name: a\n  when: daily",
            r"x\.yaml:1: has only name, when; say when it runs \(schedule",
        ),
    ],
)
def test_what_is_refused_has_its_place_and_its_remedy(name: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(name, text)


def entry_spec(**fields: object) -> TaskSpec:
    return spec_of("jobs.json", json.dumps([{"name": "a", "command": "x", **fields}]))


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ({"schedule": "daily", "time": "9:30 PM"}, "30 21 * * *"),
        ({"schedule": "daily", "at": "12am"}, "0 0 * * *"),
        ({"schedule": "@daily", "time": "09:30"}, "30 9 * * *"),
        ({"schedule": "weekly on friday", "time": "17:00:00"}, "0 17 * * 5"),
        ({"schedule": "once", "run_at": "2026-12-24 18:00"}, "at 2026-12-24T18:00"),
        ({"schedule": "0 9 * * *", "time": "2026-10-01T00:00:00Z"}, "0 9 * * *"),
    ],
)
def test_a_time_of_day_beside_a_schedule_is_read(fields: dict[str, str], schedule: str) -> None:
    assert schedule == entry_spec(**fields).schedule


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"schedule": "daily", "time": "09:30:15"}, "time: must be a time of day, such as 09:30"),
        ({"schedule": "daily", "time": "25:00"}, "time: must be a time of day"),
        ({"schedule": "daily", "at": "13pm"}, "at: must be a time of day"),
        ({"schedule": "hourly", "time": "00:30"}, "0:30 stands beside it; write one cron expression"),
        ({"schedule": "0 9 * * *", "at": "10:00"}, "10:00 stands beside it; write one cron expression"),
        ({"interval": 1, "unit": "days", "time": "10:00"}, "10:00 stands beside it"),
        ({"schedule": "weekly", "day": "friday"}, "day: is not read beside schedule"),
        ({"schedule": "daily", "hour": 7}, "hour: is not read beside schedule"),
    ],
)
def test_what_cannot_be_read_beside_a_schedule_is_refused(fields: dict[str, object], told: str) -> None:
    """These ran at midnight, on Sunday, or by the schedule alone, "for the file names no time of day"."""
    found = read("jobs.json", json.dumps([{"name": "a", "command": "x", **fields}]))

    assert ((), [True]) == (found.tasks, [told in str(one) for one in found.problems])


def test_a_moment_that_has_passed_is_left_out() -> None:
    entry = {"name": "a", "command": "x", "schedule": "once", "run_at": "2020-01-01 18:00"}

    found = read("jobs.json", json.dumps([entry]))

    assert ((), ()) == (found.tasks, found.problems)
    assert "at a moment that has passed" in found.notes[0].reason


def test_the_first_and_the_last_day_of_a_job_hold() -> None:
    spec = entry_spec(schedule="daily", start_date="2027-01-01", end_date="2027-02-01", tz="Asia/Tokyo")

    assert ("2026-12-31 15:00:00+00:00", "2027-01-31 15:00:00+00:00") == (
        str(spec.start_at),
        str(spec.end_at),
    )


@pytest.mark.parametrize(
    "field",
    [{"enable": False}, {"disable": True}, {"suspend": True}, {"isDisabled": 1}, {"archived": "yes"}],
)
def test_what_is_off_by_another_name_is_off_here(field: dict[str, object]) -> None:
    assert not entry_spec(schedule="daily", **field).enabled


@pytest.mark.parametrize(
    "zone", ["tz: Asia/Tokyo", "CELERY_TIMEZONE: Asia/Tokyo", "scheduler: {timeZone: Asia/Tokyo}"]
)
def test_the_zone_of_a_file_may_have_another_name(zone: str) -> None:
    spec = spec_of("jobs.yaml", f"{zone}\njobs: [{{name: a, command: x, schedule: daily}}]\n")

    assert "Asia/Tokyo" == spec.timezone


@pytest.mark.parametrize(
    "env",
    [["TOKEN=hunter22"], [{"name": "TOKEN", "value": "hunter22"}], [{"key": "TOKEN", "value": "hunter22"}]],
)
def test_variables_may_be_a_list(env: list[object]) -> None:
    assert {"TOKEN": "hunter22"} == entry_spec(schedule="daily", environment=env).params["env"]


@pytest.mark.parametrize("env", ["hunter22", {"TOKEN": "hunter22"}, ["hunter22"]])
def test_a_variable_that_is_none_is_told_without_its_value(env: object) -> None:
    [problem] = read("jobs.json", json.dumps([{"command": "x", "schedule": "daily", "env": [env]}])).problems

    assert "env: each must be NAME=value" in str(problem)
    assert "hunter22" not in str(problem)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (
            "jobs:\n  shop: [{name: a, command: x, every: 5m}]\n  mail: [{name: b, command: x, every: 5m}]\n",
            ["a", "b"],
        ),
        (
            "jobs: [{name: a, command: x, every: 5m}]\nschedules: [{name: b, command: x, every: 5m}]\n",
            ["a", "b"],
        ),
        (
            "backup: {command: x, every: 5m}\ndata: {command: x, every: 5m, env: {A: b}}\n",
            ["backup", "data"],
        ),
        ("data: {items: [{name: a, command: x, every: 5m}], total: 1}\n", ["a"]),
    ],
)
def test_entries_are_found_wherever_they_stand(text: str, ids: list[str]) -> None:
    """Groups of lists were a traceback; a second list, and all that stood beside `data`, were left out."""
    found = read("jobs.yaml", text)

    assert ((), ids) == (found.problems, [one.spec.id for one in found.tasks])


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"url": "https://example.com/?t=${TOKEN}"}, "params.url"),
        ({"prompt": "Greet {{ name }}"}, "params.goal"),
        ({"command": "deploy ${{ secrets.TOKEN }}"}, "params.command"),
        ({"command": "docker ps --format '{{.Names}}' ${HOME}"}, ""),
        ({"url": "https://example.com/", "headers": {"X-Key": "{{secret:KEY}}"}}, ""),
    ],
)
def test_a_placeholder_that_nothing_fills_in_is_told(fields: dict[str, object], place: str) -> None:
    found = read("tasks.json", json.dumps([{"id": "a", "schedule": "daily", **fields}]))

    assert [place] * bool(place) == [one.field for one in found.notes if "placeholder" in one.reason]


def test_cells_may_say_yes_and_no_in_chinese() -> None:
    rows = "title,schedule,scheduleEnabled,prompt\n\u65e5,daily,\u662f,x\n\u6708,daily,\u5426,x\n"

    assert [True, False] == [one.spec.enabled for one in read("rows.csv", rows).tasks]


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        ("jobs: [{name: a, command: x, schedule: 0 9 * * *}]\n", True),
        ("jobs: [{name: a, command: x, schedule: daily}, {name: b, command: x, every: 5m}]\n", True),
        ("jobs: [{name: a, command: x, every: 5m}, {name: b, command: x, cron: '*/5 * * * *'}]\n", False),
        ("jobs: [{name: a, command: x, schedule: daily, tz: UTC}]\n", False),
        ("timezone: UTC\njobs: [{name: a, command: x, schedule: daily}]\n", False),
    ],
)
def test_times_whose_zone_nobody_named_say_that_they_are_in_utc(text: str, is_said: bool) -> None:
    """Only a crontab said so; most schedulers run by the clock of their machine."""
    notes = read("jobs.yaml", text).notes

    assert is_said == any("are read in UTC; give --timezone" in note.reason for note in notes)
    assert not any(
        "UTC" in note.reason
        for note in read_foreign(
            [("jobs.yaml", text.replace("UTC", "Asia/Tokyo"))], ImportDefaults(NOON, timezone="Asia/Tokyo")
        ).notes
    )


@pytest.mark.parametrize(("last_run", "is_said"), [("2026-10-31 08:15", True), ("2026-10-28 08:15", False)])
def test_a_day_that_not_every_month_has_is_told(last_run: str, is_said: bool) -> None:
    found = read("jobs.json", json.dumps([{"command": "x", "schedule": "monthly", "last_run": last_run}]))

    assert ["15 8 28 * *"] == [one.spec.schedule for one in found.tasks]
    assert is_said == any(
        "not every month has day 31; L is its last day" in one.reason for one in found.notes
    )
