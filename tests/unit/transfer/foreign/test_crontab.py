"""Crontabs: variables, percent signs, users, comments, and what cannot be moved."""

import time

import pytest

from functions.transfer.foreign.entry import ForeignTasks, ImportDefaults, TaskIds
from functions.transfer.foreign.formats import read_foreign
from tests.conftest import NOON


def read(text: str, *, name: str = "crontab", shape: str | None = None) -> ForeignTasks:
    return read_foreign([(name, text)], ImportDefaults(NOON), format_name=shape)


def params(older: ForeignTasks) -> list[dict[str, object]]:
    return [one.spec.params for one in older.tasks]


def test_a_percent_sign_ends_the_command_and_lines_of_its_input() -> None:
    older = read(r"0 9 * * * mail -s 100\% team%Hello,%it is 9.")

    assert [{"command": "mail -s 100% team", "shell": True, "stdin": "Hello,\nit is 9.\n"}] == params(older)


@pytest.mark.parametrize(
    ("behind", "stdin"), [("%a%%b%", "a\n\nb\n"), ("%a", "a\n"), ("%%", "\n"), ("%", None)]
)
def test_input_ends_with_one_end_of_a_line_as_of_cron(behind: str, stdin: str | None) -> None:
    """As in the example of crontab(5), `mail joe%Joe,%%Where are your kids?%`; cron adds a missing one."""
    [found] = params(read(f"0 9 * * * cat{behind}"))

    assert stdin == found.get("stdin")


def test_variables_hold_for_what_stands_below_them() -> None:
    older = read("0 1 * * * one\nA='x y'\nHOME=/srv/shop\n0 2 * * * two\nSHELL=/bin/bash\n0 3 * * * three\n")

    assert [
        {"command": "one", "shell": True},
        {
            "command": "two",
            "shell": True,
            "env": {"A": "x y", "HOME": "/srv/shop"},
            "workingDirectory": "/srv/shop",
        },
        {
            "command": ["/bin/bash", "-c", "three"],
            "env": {"A": "x y", "HOME": "/srv/shop"},
            "workingDirectory": "/srv/shop",
        },
    ] == params(older)


@pytest.mark.parametrize(
    "line", ["1 5 LW * * one", "@daily 7z a backup", "1 5 L jan * one", "1 5 * * * 7z a b"]
)
def test_no_entry_of_a_crontab_is_taken_for_one_of_anacron(line: str) -> None:
    found = read(line, shape="crontab")

    assert 1 == len(found.tasks) + len(found.problems)


def test_a_zone_holds_for_what_stands_below_it() -> None:
    older = read("0 1 * * * one\nCRON_TZ=Asia/Tokyo\n0 2 * * * two\n")

    assert ["UTC", "Asia/Tokyo"] == [one.spec.timezone for one in older.tasks]


@pytest.mark.parametrize(
    ("crontab", "zone", "is_said"),
    [
        ("0 1 * * * one", "UTC", True),
        ("0 1 * * * one\nCRON_TZ=Asia/Tokyo\n0 2 * * * two\n", "UTC", True),
        ("CRON_TZ=Asia/Tokyo\n0 2 * * * two\n", "UTC", False),
        ("0 1 * * * one", "Europe/Riga", False),
    ],
)
def test_tasks_whose_zone_nobody_named_say_that_they_are_in_utc(
    crontab: str, zone: str, is_said: bool
) -> None:
    older = read_foreign([("crontab", crontab)], ImportDefaults(NOON, zone))

    assert is_said == any("cron ran by the clock of its machine" in note.reason for note in older.notes)


def test_cron_tries_nothing_twice_and_neither_do_its_tasks() -> None:
    assert 1 == read("0 1 * * * one").tasks[0].spec.retry.max_attempts


def test_the_sixth_field_is_a_user_where_the_file_lies_in_cron_d() -> None:
    older = read("0 1 * * * shop  php /srv/cron.php --all\n", name="/etc/cron.d/shop")

    assert ("cron.d", [{"command": "php /srv/cron.php --all", "shell": True}]) == (
        older.format_name,
        params(older),
    )
    assert ["user"] == [note.field for note in older.notes if note.action == "left out"]


def test_the_sixth_field_is_a_command_elsewhere() -> None:
    assert [{"command": "shop --all now", "shell": True}] == params(read("0 1 * * * shop --all now\n"))


def test_a_comment_right_above_is_the_title_and_headings_are_not() -> None:
    older = read(
        "# Our tasks\n# m h dom mon dow command\n0 1 * * * one\n\n# Far away\n\n0 2 * * * two\n# Near\n"
        "# and more of it\n0 3 * * * three\n"
    )

    assert [("one", ""), ("two", ""), ("Near", "and more of it")] == [
        (one.spec.title, one.spec.description) for one in older.tasks
    ]


def test_what_starts_with_the_machine_is_left_out_with_the_reason() -> None:
    older = read("@reboot /usr/bin/agent\n@daily ls\n")

    [note] = [note for note in older.notes if note.action == "left out"]
    assert (1, "@reboot") == (note.line, note.field)
    assert ["@daily"] == [one.spec.schedule for one in older.tasks]


def test_an_entry_that_was_commented_out_is_told_and_is_no_title() -> None:
    older = read("#0 5 * * 1 tar home\n0 6 * * * ls\n")

    assert [1] == [note.line for note in older.notes if note.action == "left out"]
    assert "ls" == older.tasks[0].spec.title


def test_a_bad_line_is_told_by_its_number_and_loses_nothing_else() -> None:
    older = read("0 1 * * * one\n99 1 * * * two\nrubbish\n0 3 * * * three\n", shape="crontab")

    assert ["one", "three"] == [one.spec.id for one in older.tasks]
    assert [(2, "two"), (3, "")] == [(fault.line, fault.task) for fault in older.problems]


def test_the_same_command_twice_makes_two_tasks() -> None:
    assert ["sync", "sync-2"] == [one.spec.id for one in read("0 1 * * * sync\n0 13 * * * sync\n").tasks]


def test_thousands_of_equal_lines_are_numbered_without_counting_anew_for_each() -> None:
    ids, began = TaskIds(), time.process_time()
    for _ in range(10_000):
        ids.take(ids.free("sync"))

    assert ("sync-10001", "x" * 90 + "-2") == (ids.free("sync"), _second(ids, "x" * 100))
    assert time.process_time() - began < 3  # it was 10 s


def _second(ids: TaskIds, name: str) -> str:
    ids.take(ids.free(name))
    return ids.free(name)


def test_columns_may_be_separated_by_tabs() -> None:
    """As in Debian's own /etc/crontab."""
    older = read(
        "17 *\t* * *\troot\tcd / && run-parts /etc/cron.hourly\n@daily\troot\ttidy\n", name="/etc/crontab"
    )

    assert () == older.problems
    assert ["cd / && run-parts /etc/cron.hourly", "tidy"] == [one["command"] for one in params(older)]
    assert ["it ran as root"] * 2 == [one.reason.split(";")[0] for one in older.notes if one.field == "user"]


def test_a_byte_order_mark_is_no_harm() -> None:
    older = read("\ufeff# Nightly\n0 1 * * * one\n")

    assert ["Nightly"] == [one.spec.title for one in older.tasks]


def test_the_length_of_every_belongs_to_the_schedule() -> None:
    older = read("@every 1h30m curl example.com\n@daily tidy\n")

    assert [("every 1h30m", "curl example.com"), ("@daily", "tidy")] == [
        (one.spec.schedule.removeprefix("@"), one.spec.params["command"])
        if "every" in one.spec.schedule
        else (one.spec.schedule, one.spec.params["command"])
        for one in older.tasks
    ]


def test_variables_of_cron_itself_are_none_of_the_command() -> None:
    older = read("RANDOM_DELAY=45\nSTART_HOURS_RANGE=3-22\n0 1 * * * one\n")

    assert [{"command": "one", "shell": True}] == params(older)
    assert ["RANDOM_DELAY", "START_HOURS_RANGE"] == [
        note.field for note in older.notes if note.action == "left out"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "0 */5 * * * * /bin/six",
        "*/10 * * * * * * /bin/seven",
        "0 9 * * 1-5 2026 /bin/year",
        "0 0 9 ? * MON-FRI /bin/quartz",
    ],
)
@pytest.mark.parametrize("shape", [None, "cron.d"])
def test_a_line_with_more_than_five_fields_is_refused(line: str, shape: str | None) -> None:
    """The sixth was read as the command, and what ran every fifth minute ran every fifth hour."""
    older = read(f"{line}\n0 9 * * * app a x\n", shape=shape)

    assert ["app a x" if shape is None else "a x"] == [one.spec.title for one in older.tasks]
    assert ["more than the five fields" in one.reason for one in older.problems] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "# m h dom mon dow user\tcommand\n0 1 * * * app backup --full\n@daily web /srv/x\n",
        "# *  *  *  *  * user-name command to be executed\n0 1 * * * app backup --full\n",
        "0 1 * * * root backup --full\n@daily web /srv/x\n",
    ],
)
def test_a_user_is_known_by_the_heading_or_where_no_program_has_its_name(text: str) -> None:
    older = read(text)

    assert "backup --full" == older.tasks[0].spec.params["command"]


@pytest.mark.parametrize(
    "text",
    [
        "# the user runs this command\n0 1 * * * backup --full\n0 2 * * * curl x\n",
        "0 1 * * * backup\n0 2 * * * /bin/x y\n",
    ],
)
def test_a_program_is_no_user(text: str) -> None:
    assert read(text).tasks[0].spec.params["command"].startswith("backup")


@pytest.mark.parametrize(
    "command",
    [
        "mysqldump -u root -phunter22 db",
        "mariadb --batch -phunter22",
        "curl -su bob:hunter22 --fail https://x.example",
        "sync --api-key hunter22 --all",
        "sync --token=hunter22",
        "PGPASSWORD=hunter22 pg_dump shop",
        "curl -H 'Authorization: Bearer hunter22' https://u:hunter22@x.example/?token=hunter22",
    ],
)
def test_a_secret_in_a_command_is_not_in_what_the_task_is_called(command: str) -> None:
    """The id is in links, and the title in notifications and on status pages."""
    [moved] = read(f"0 1 * * * {command}\n").tasks

    assert "hunter22" not in moved.spec.id + moved.spec.title
    assert command == moved.spec.params["command"]


def test_letters_that_look_like_an_option_of_another_program_stay() -> None:
    [moved] = read("0 1 * * * mkdir -p /srv/x && tar -pzcf x.tgz /srv/x && ssh -p22 host\n").tasks

    assert moved.spec.params["command"] == moved.spec.title


def test_a_bad_line_at_the_beginning_hides_no_crontab() -> None:
    older = read("0 9 * * * one\nMAILTO\n0 10 * * * two\n")

    assert ["one", "two"] == [one.spec.title for one in older.tasks]
    assert ["crontab:2: is no entry of a crontab"] == [
        str(one).partition(": five")[0] for one in older.problems
    ]
