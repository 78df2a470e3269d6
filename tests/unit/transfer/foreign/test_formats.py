"""Each older shape, from its sample: what it becomes, what is said of it, and that it loads again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.domain.task import Job, TaskSpec
from functions.errors import InputError
from functions.task_types.registry import run_job
from functions.taskfiles.loader import read_task_files
from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults
from functions.transfer.foreign.formats import FORMAT_NAMES, read_foreign
from functions.transfer.foreign.save import render_task_file
from tests.conftest import NOON
from tests.support.older_samples import read_sample
from tests.unit.parsing.test_feeds import rss
from tests.unit.task_types.conftest import answer, make_job, tools_with

__all__ = ["make_job"]  # the fixture

SAMPLES = {
    "tasks": ("tasks.json", "watchers.json"),
    "jobs": ("jobs/nightly.yaml", "jobs/certificates.yml"),
    "scheduler": ("scheduler.yaml",),
    "rows": ("rows.csv", "rows.json"),
    "crontab": ("crontab",),
    "cron.d": ("cron.d",),
}
BECOMES = {
    "tasks": [
        ("shop_front", "health_check_url", "every 5m"),
        ("news", "rss_watch", "every 1h"),
        ("report", "http", "3 9 * * *"),
        ("sync", "command", "every 15m"),
        ("tidy", "command", "0 0 * * 0"),
        ("daily_briefing", "daily_briefing", "0 0 * * *"),
        ("health_check_url", "health_check_url", "every 1m"),
        ("rss_watch", "rss_watch", "hourly"),
    ],
    "jobs": [
        ("nightly-backup", "command", "30 2 * * *"),
        ("warm-the-cache", "command", "every 15m"),
        ("renew-certificates", "command", "0 4 * * MON"),
    ],
    "scheduler": [
        ("send_reminders", "python", "30 9 * * 1-5"),
        ("refresh_rates", "python", "every 15m"),
        ("weekly_digest", "python", "0 8 * * mon"),
        ("heartbeat", "python", "every 1m"),
    ],
    "rows": [
        ("market-notes", "agent", "0 9 * * 1-5"),
        ("site-watch", "health_check_url", "every 30m"),
        ("reca1", "agent", "0 10 * * MON"),
        ("recb2", "agent", "0 */6 * * *"),
    ],
    "crontab": [
        ("nightly-backup-of-the-shop", "command", "30 2 * * *"),
        ("usr-local-bin-copy-orders-all", "command", "*/15 * * * *"),
        ("logrotate-home-shop-logrotate-conf", "command", "@daily"),
        ("tell-the-team", "command", "0 9 * * 1-5"),
    ],
    "cron.d": [
        ("cd-run-parts-report-etc-cron-hourly", "command", "17 * * * *"),
        ("usr-bin-php-srv-shop-cron-php", "command", "25 6 * * *"),
    ],
}
LEFT_OUT = {
    "tasks": [("report", "mood"), ("by-hand", "")],
    "jobs": [("renew-certificates", "retain_logs")],
    "scheduler": [],
    "rows": [("Old idea", "")],
    "crontab": [("", "MAILTO"), ("/usr/local/bin/start-agent", "@reboot"), ("", "")],
    "cron.d": [("cd-run-parts-report-etc-cron-hourly", "user"), ("usr-bin-php-srv-shop-cron-php", "user")],
}


def test_every_shape_has_a_sample() -> None:
    assert set(FORMAT_NAMES) == set(SAMPLES), "give a sample in samples/older, and what becomes of it here"


@pytest.mark.parametrize("shape", SAMPLES)
def test_a_sample_is_recognised_and_becomes_tasks(shape: str) -> None:
    older = read_sample(*SAMPLES[shape])

    assert (shape, ()) == (older.format_name, older.problems)
    assert BECOMES[shape] == [(one.spec.id, one.spec.type, one.spec.schedule) for one in older.tasks]
    assert LEFT_OUT[shape] == [(note.task, note.field) for note in older.notes if note.action == "left out"]


def test_a_name_in_a_mapping_of_entries_may_be_a_type_as_an_id_may() -> None:
    """What a name does not say is still missed: no type is guessed from one that is none."""
    entry = {"frequency": "daily", "params": {"url": "https://example.com/"}}
    text = json.dumps({"tasks": {"health_check_url": entry, "front-page": {"frequency": "daily"}}})

    older = read_foreign([("x.json", text)], ImportDefaults(now=NOON))

    assert [("health-check-url", "health_check_url")] == [(one.spec.id, one.spec.type) for one in older.tasks]
    assert [("front-page", "type")] == [(one.task, one.field) for one in older.problems]


@pytest.mark.parametrize("shape", SAMPLES)
def test_a_sample_is_the_same_when_its_shape_is_named(shape: str) -> None:
    assert read_sample(*SAMPLES[shape]) == read_sample(*SAMPLES[shape], shape=shape)


@pytest.mark.parametrize("shape", SAMPLES)
def test_the_task_file_of_a_sample_loads_again_as_the_same_tasks(shape: str, tmp_path: Path) -> None:
    specs = tuple(one.spec for one in read_sample(*SAMPLES[shape]).tasks)
    file = tmp_path / "tasks.yaml"

    file.write_text(render_task_file(specs, comments=["from a sample: yes\nand no"]), encoding="utf-8")

    loaded = read_task_files([file], default_timezone="Pacific/Chatham")
    assert ((), specs) == (loaded.problems, loaded.specs)


def test_what_an_entry_says_of_itself_is_kept() -> None:
    older = {
        one.spec.id: one for one in read_sample("tasks.json", "jobs/nightly.yaml", "scheduler.yaml").tasks
    }

    assert {"url": "https://example.com/", "expectedStatus": 200} == older["shop_front"].spec.params
    assert "urgent" == older["shop_front"].spec.priority
    assert "Europe/Riga" == older["report"].spec.timezone
    assert not older["sync"].spec.enabled
    assert 3 == older["nightly-backup"].spec.retry.max_attempts
    assert 900 == older["nightly-backup"].spec.timeout_seconds
    assert {"callable": "jobs.rates:refresh"} == older["refresh_rates"].spec.params
    assert 120 == older["refresh_rates"].spec.misfire.grace_seconds
    assert "Europe/Riga" == older["refresh_rates"].spec.timezone


async def test_what_another_scheduler_has_reported_of_a_feed_is_not_reported_again(
    make_job: Callable[..., Job],
) -> None:
    """The id it remembered is a param, of the sample as well; later runs go by what was seen here."""
    [spec] = [one.spec for one in read_sample("watchers.json").tasks if one.spec.type == "rss_watch"]
    feeds = [rss(*(f"<guid>https://example.com/posts/{n}</guid><title>{n}</title>" for n in numbers))
             for numbers in ((43, 42, 41, 40), (44, 43, 42, 41))]  # fmt: skip

    first = await run_job(make_job("rss_watch", spec.params), tools_with(answer(200, feeds[0].encode())))
    second = await run_job(
        make_job("rss_watch", spec.params, memory=first.memory), tools_with(answer(200, feeds[1].encode()))
    )

    assert "https://example.com/posts/41" == spec.params["lastSeenGuid"]
    assert ["43", "42"] == [item["title"] for item in first.items]
    assert ["44"] == [item["title"] for item in second.items]


def test_a_bad_entry_is_told_by_name_and_line_and_loses_nothing_else() -> None:
    text = """jobs:
  - {name: First, command: ls, schedule: daily}
  - name: Second
    command: ls
    schedule: whenever it suits
  - just a word
  - {name: Fourth, command: ls, schedule: "0 9 31 2 *"}
  - {name: Fifth, command: ls, schedule: hourly}
"""

    older = read_foreign([("jobs.yaml", text)], ImportDefaults(NOON))

    assert ["first", "fifth"] == [one.spec.id for one in older.tasks]
    assert [(5, "Second", "schedule"), (6, "", ""), (7, "Fourth", "schedule")] == [
        (fault.line, fault.task, fault.field) for fault in older.problems
    ]


def test_entries_of_one_name_all_come_through() -> None:
    text = "jobs:\n" + '  - {name: Copy, command: "ls", schedule: hourly}\n' * 3

    older = read_foreign([("jobs.yaml", text)], ImportDefaults(NOON))

    assert ["copy", "copy-2", "copy-3"] == [one.spec.id for one in older.tasks]


def test_a_mapping_of_names_to_jobs_is_read_as_well() -> None:
    text = "Back_Up:\n  command: ls\n  schedule: hourly\n"

    [moved] = read_foreign([("jobs.yaml", text)], ImportDefaults(NOON)).tasks

    assert "back-up" == moved.spec.id


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.json", '{"hello": "world"}', "of no shape that is known"),
        ("x.yaml", "tasks:\n  - {id: a, type: http, schedule: hourly, params: {url: x}}", "scheduler apply"),
        ("x.json", "{", "not JSON"),
        ("notes", "Dear diary", "of no shape that is known"),
        ("x.csv", "a,b\n", "no row"),
    ],
)
def test_a_file_of_no_shape_says_so(name: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_foreign([(name, text)], ImportDefaults(NOON))


def test_a_shape_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match="--from: must be one of"):
        read_foreign([("x.json", "[]")], ImportDefaults(NOON), format_name="quartz")


def test_commands_are_told_that_there_was_no_limit_of_time() -> None:
    text = "jobs:\n  - {name: Long, command: ls, schedule: hourly}\n"

    older = read_foreign([("jobs.yaml", text)], ImportDefaults(NOON, timeout_s=600))

    assert 600 == older.tasks[0].spec.timeout_seconds
    assert "an attempt may take 600 s" in next(
        one.reason for one in older.notes if one.field == "timeoutSeconds"
    )


def test_cells_without_a_heading_are_told() -> None:
    text = "title,schedule,scheduleEnabled,agentType,prompt\nA,hourly,yes,writer,Write,more,still\n"

    older = read_foreign([("rows.csv", text)], ImportDefaults(NOON))

    assert ["cells without a heading"] == [one.field for one in older.notes if one.action == "left out"]


def test_text_that_yaml_cannot_print_survives_a_task_file(tmp_path: Path) -> None:
    odd = 'tab\t "quoted" \x7f \x85 \u2028 \U0001f600 : # - yes'
    [moved] = read_foreign(
        [("x.json", '[{"name": "No", "frequency": "daily", "command": "x"}]')], ImportDefaults(NOON)
    ).tasks
    spec = moved.spec.model_copy(update={"description": odd, "params": {"command": odd}})
    file = tmp_path / "tasks.yaml"

    file.write_text(render_task_file([spec]), encoding="utf-8")

    assert (spec,) == read_task_files([file]).specs


def _imported(entries: object) -> dict[str, TaskSpec]:
    read = read_foreign([("older.json", json.dumps(entries))], ImportDefaults(now=NOON))
    assert () == read.problems
    return {one.spec.id: one.spec for one in read.tasks}


def test_a_job_without_retries_was_tried_once_and_the_report_says_so() -> None:
    jobs = [
        {"name": "once", "command": "true", "schedule": "@daily"},
        {"name": "thrice", "command": "true", "schedule": "@daily", "max_retries": 2},
        {"id": "page", "type": "http", "url": "https://example.com/", "frequency": "daily"},
    ]

    read = read_foreign([("jobs.json", json.dumps(jobs))], ImportDefaults(now=NOON))

    attempts = {one.spec.id: one.spec.retry.max_attempts for one in read.tasks}
    assert (1, 3) == (attempts["once"], attempts["thrice"])
    assert attempts["page"] == TaskSpec.model_fields["retry"].default.max_attempts
    [note] = [note for note in read.notes if (note.task, note.field) == ("once", "retry")]
    assert "tried once" in note.reason


@pytest.mark.parametrize("status", ["cancelled", "Canceled", "paused", "disabled", "已取消", "暂停"])
def test_what_was_stopped_there_is_paused_here(status: str) -> None:
    row = {"id": "a", "type": "http", "url": "https://example.com/", "frequency": "daily", "status": status}

    assert _imported([row])["a"].enabled is False


@pytest.mark.parametrize("status", ["pending", "running", "failed", "active", "等待中"])
def test_the_state_of_a_run_there_stops_nothing_here(status: str) -> None:
    row = {"id": "a", "type": "http", "url": "https://example.com/", "frequency": "daily", "status": status}

    assert _imported([row])["a"].enabled is True


@pytest.mark.parametrize("user", ["ou_7d8a6e", 42])
def test_the_user_becomes_the_owner(user: object) -> None:
    row = {"id": "a", "type": "http", "url": "https://example.com/", "frequency": "daily", "userId": user}

    assert str(user) == _imported([row])["a"].owner


def test_a_path_of_a_function_is_a_function_and_a_file_may_hold_several_shapes() -> None:
    tasks = _imported(
        [
            {"id": "a", "function_path": "jobs.mail.digest", "cron": "0 9 * * *"},
            {"id": "rss_watch", "frequency": "hourly", "params": {"feed_url": "https://example.com/f"}},
            {"id": "c", "command": "true", "schedule": "@daily"},
        ]
    )

    assert {"a": "python", "rss_watch": "rss_watch", "c": "command"} == {
        name: task.type for name, task in tasks.items()
    }
    assert {"callable": "jobs.mail:digest"} == tasks["a"].params


def read_one(entry: dict[str, Any]) -> ForeignTasks:
    """A job of its own, with a command."""
    text = json.dumps({"jobs": [{"id": "x", "command": "true", "schedule": "daily", **entry}]})
    return read_foreign([("jobs.json", text)], ImportDefaults(now=NOON))


@pytest.mark.parametrize(
    "entry",
    [
        {"enabled": False, "paused": False},
        {"enabled": True, "active": False},
        {"disabled": False, "suspended": "yes"},
        {"paused": "until monday"},
    ],
)
def test_what_any_field_switches_off_is_switched_off(entry: dict[str, Any]) -> None:
    [moved] = read_one(entry).tasks

    assert not moved.spec.enabled


@pytest.mark.parametrize("entry", [{"enabled": True, "paused": False}, {"paused": "no"}, {"active": None}])
def test_what_no_field_switches_off_stays_on(entry: dict[str, Any]) -> None:
    [moved] = read_one(entry).tasks

    assert moved.spec.enabled


def test_a_field_that_another_one_outdoes_is_told() -> None:
    older = read_one(
        {
            "title": "Nightly", "name": "nightly", "description": "What", "notes": "Ask Eva first",
            "tags": ["a"], "category": "b", "timeout": 5, "max_runtime": 90, "every": "5m", "tz": "UTC",
            "timezone": "Europe/Riga", "retries": 1, "retry_limit": 3,
        }
    )  # fmt: skip

    told = {note.field: note.reason for note in older.notes if note.action == "left out"}
    assert {
        "name": "title is read in its place",
        "notes": "description is read in its place",
        "category": "tags is read in its place",
        "max_runtime": "timeout is read in its place",
        "every": "schedule is read in its place",
        "tz": "timezone is read in its place",
        "retry_limit": "retries is read in its place",
    } == told


@pytest.mark.parametrize(
    "entry",
    [
        {"retries": "inf"},
        {"retries": 10**400},
        {"priority": "--1"},
        {"priority": "\u00b2"},
        {"timeout": "infinity"},
        {"schedule": 10**30},
        {"command": None, "func": "a.b:c", "schedule": None, "interval": {"days": 10**20}},
        {"command": None, "func": "a.b:c", "schedule": None, "interval": 1e30},
        {"command": None, "func": "a.b:c", "schedule": None, "interval": {"minutes": -5}},
        {"command": None, "task": "a.b.c", "schedule": 1e18},
    ],
)
def test_a_number_that_is_none_stops_no_other_entry(entry: dict[str, Any]) -> None:
    odd = {"id": "x", "command": "true", "schedule": "daily", **entry}
    good = {"id": "good", "command": "true", "schedule": "daily"}
    kept = {name: value for name, value in odd.items() if value is not None}

    older = read_foreign([("jobs.json", json.dumps({"jobs": [kept, good]}))], ImportDefaults(now=NOON))

    assert "good" in [moved.spec.id for moved in older.tasks]
    assert older.problems or {"retries", "priority", "timeout"} & {
        note.field for note in older.notes if note.action == "left out"
    }


@pytest.mark.parametrize(
    ("there", "here"),
    [("0-4", "mon-fri"), ("*/2", "mon-sun/2"), ("1,6", "tue,sun"), ("0-4/2", "mon-fri/2"), ("sat", "sat")],
)
def test_days_of_apscheduler_are_counted_from_monday(there: str, here: str) -> None:
    text = json.dumps([{"id": "x", "func": "a.b:c", "trigger": "cron", "day_of_week": there, "hour": 3}])

    [moved] = read_foreign([("x.json", text)], ImportDefaults(now=NOON)).tasks

    assert f"0 3 * * {here}" == moved.spec.schedule


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "jobs.yaml",
            "jobs:\n  a: {command: x, schedule: daily}\n  a: {command: y, schedule: hourly}\n",
            "jobs.yaml:3: jobs.a: is given twice; the first is on line 2",
        ),
        (
            "jobs.json",
            '{"jobs": {"a": {"command": "x", "every": "5m"}, "a": {"command": "y", "every": "5m"}}}',
            "jobs.json:1: jobs.a: is given twice; give it once",
        ),
        (
            "rows.csv",
            "title,schedule,scheduleEnabled,prompt,title\nA,daily,true,Write,B\n",
            "rows.csv: the heading 'title' is given twice; its last column is read",
        ),
        (
            "rows.jsonl",
            '{"command": "x", "every": "5m"}\n{"command": "x", "every": "5m", "every": "1h"}',
            "rows.jsonl:2: [1].every: is given twice; give it once",
        ),
    ],
)
def test_a_name_given_twice_is_told(name: str, text: str, told: str) -> None:
    older = read_foreign([(name, text)], ImportDefaults(now=NOON))

    assert [told] == [str(one) for one in older.problems]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[Unit]\nDescription=x\n[Timer]\nOnCalendar=daily\n", "unit of systemd"),
        ('\ufeff<?xml version="1.0"?>\n<Task/>', "Task Scheduler of Windows"),
        ('[job-exec "a"]\nschedule = @every 5m\n', "Ofelia"),
        ("SHELL=/bin/sh\nRANDOM_DELAY = 45\n\n# days\n1\t5\tcron.daily\tnice run-parts /etc\n", "anacrontab"),
        ('{"kind":"cronfire","version":1}\n{"kind":"end"}\n', "archive of scheduler export"),
        ("@monthly 15 m.job /bin/m\n", "an anacrontab: periods in days"),
        ("# /etc/systemd/system/a.timer\n\n; daily\n[Unit]\nDescription=x\n", "unit of systemd"),
        ("kind: ConfigMap\n---\nkind: CronJob\nspec: {schedule: daily}\n", "Kubernetes"),
        ('{"jobs": [{"jobId": 1, "type": 0, "url": "x", "schedule": {"hours": [-1]}}]}', "cron-job.org"),
        ("apiVersion: v1\nkind: List\nitems:\n  - {kind: CronJob, spec: {schedule: daily}}\n", "Kubernetes"),
    ],
)
def test_a_file_that_cannot_be_run_here_names_what_to_write(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_foreign([("x", text)], ImportDefaults(now=NOON))


@pytest.mark.parametrize(
    ("name", "text", "becomes"),
    [
        (
            "sites.csv",
            "Title,Cron,Active,URL\nShop,*/5 * * * *,Yes,https://example.com\nOld,@daily,No,https://example.com\n",
            [("http", "*/5 * * * *", True), ("http", "@daily", False)],
        ),
        (
            "prompts.json",
            '[{"title": "Brief", "every": "6h", "prompt": "What moved?"}]',
            [("agent", "every 6h", True)],
        ),
    ],
)
def test_entries_that_say_when_and_what_need_no_shape(
    name: str, text: str, becomes: list[tuple[str, str, bool]]
) -> None:
    """They were refused for want of what they had: a url."""
    older = read_foreign([(name, text)], ImportDefaults(now=NOON))

    assert becomes == [(one.spec.type, one.spec.schedule, one.spec.enabled) for one in older.tasks]


def test_retry_is_a_number_of_retries() -> None:
    [moved] = read_one({"retry": 2}).tasks

    assert 3 == moved.spec.retry.max_attempts


@pytest.mark.parametrize(
    ("cron", "is_told"), [("0 9 * * 1-5", True), ("0 9 * * mon-fri", False), ("0 9 * * *", False)]
)
def test_days_of_an_expression_that_apscheduler_counts_otherwise_are_told(cron: str, is_told: bool) -> None:
    text = json.dumps([{"id": "x", "func": "a.b:c", "cron": cron}])

    older = read_foreign([("x.json", text)], ImportDefaults(now=NOON))

    assert is_told == any("from_crontab" in note.reason for note in older.notes)


def test_zone_among_the_settings_of_a_scheduler_is_that_of_its_jobs() -> None:
    jobs = "jobs:\n  - {name: one, command: date, schedule: 0 2 * * *}\n"
    older = read_foreign(
        [("d.yaml", f"scheduler: {{timezone: Europe/Riga, workers: 4}}\n{jobs}")], ImportDefaults(NOON)
    )

    assert ["Europe/Riga"] == [one.spec.timezone for one in older.tasks]
    assert ["scheduler"] == [note.field for note in older.notes if "serve --config" in note.reason]
