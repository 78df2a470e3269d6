"""Settings of task types: secrets by name, what may be called, and what a command starts with."""

from pathlib import Path

import pytest

from functions.config.settings import Settings
from functions.errors import SettingsError

CANARY = "canary-value-nobody-may-see"


def settings(**env: str) -> Settings:
    return Settings.from_env(env, serves_http=False)


def fault_of(**env: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(**env)
    return str(caught.value)


def test_secrets_are_named_by_what_follows_the_prefix(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{CANARY}-in-a-file\n")

    found = settings(
        TASK_SECRET_SHOP=f" {CANARY} ",
        TASK_SECRET_tap_2=CANARY,
        TASK_SECRET_KEY_FILE=str(file),
        TASK_SECRET_NONE="",
    )

    assert {"SHOP": CANARY, "tap_2": CANARY, "KEY": f"{CANARY}-in-a-file"} == found.task_secrets()


def test_no_other_variable_is_a_secret_of_tasks() -> None:
    env = {
        "CRON_SECRET": CANARY * 2,
        "GITHUB_TOKEN": CANARY,
        "TASK_SECRETS": CANARY,
        "MY_TASK_SECRET_X": CANARY,
    }

    assert {} == settings(**env).task_secrets()


def test_secrets_of_tasks_are_masked_like_our_own_and_never_shown() -> None:
    found = settings(TASK_SECRET_SHOP=CANARY, GITHUB_TOKEN=f"{CANARY}-2")

    assert {CANARY, f"{CANARY}-2"} <= set(found.secrets())
    assert CANARY not in repr(found)
    assert CANARY not in str(found.model_dump())


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"TASK_SECRET_SHOP": "short-7"}, "TASK_SECRET_SHOP must have 8 to 8192 characters"),
        ({"TASK_SECRET_SHOP": CANARY * 400}, "TASK_SECRET_SHOP must have 8 to 8192 characters"),
        (
            {"TASK_SECRET_SHOP_FILE": "/no/such/file"},
            "TASK_SECRET_SHOP_FILE must be the path of a readable file",
        ),
        ({"TASK_SECRET_A": CANARY, "TASK_SECRET_A_FILE": "/etc/hostname"}, "not both"),
        ({"TASK_SECRET_": CANARY}, "After TASK_SECRET_ must come 1 to 64 letters, digits and _"),
        ({"TASK_SECRET_a-b": CANARY}, "After TASK_SECRET_ must come"),
        ({"TASK_SECRET_1": CANARY}, "After TASK_SECRET_ must come"),
        ({"PYTHON_TASKS": "jobs, a b"}, "PYTHON_TASKS must be modules such as jobs"),
        ({"PYTHON_TASKS": "jobs:_private"}, "PYTHON_TASKS must be"),
        ({"PYTHON_TASKS": ".jobs"}, "PYTHON_TASKS must be"),
        (
            {"BEFORE_TASK": "jobs", "PYTHON_TASKS": "jobs"},
            "BEFORE_TASK must be a function such as jobs.audit:note",
        ),
        ({"BEFORE_TASK": "jobs:_note", "PYTHON_TASKS": "jobs"}, "BEFORE_TASK must be a function"),
        ({"AFTER_TASK": f"jobs:{CANARY} note", "PYTHON_TASKS": "jobs"}, "AFTER_TASK must be a function"),
        (
            {"AFTER_TASK": "jobsite:note", "PYTHON_TASKS": "jobs"},
            "AFTER_TASK names a function that PYTHON_TASKS",
        ),
        ({"AFTER_TASK": "jobs.a:note", "PYTHON_TASKS": "jobs.a:other"}, "AFTER_TASK names a function that"),
        ({"BEFORE_TASK": "jobs:note"}, "BEFORE_TASK names a function that PYTHON_TASKS does not list"),
        ({"ALLOW_COMMANDS": "yes"}, "ALLOW_COMMANDS must be 1, 0, true or false"),
        ({"GITHUB_API_URL": f"ftp://{CANARY}"}, "GITHUB_API_URL must be an address"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(env: dict[str, str], said: str) -> None:
    fault = fault_of(**env)

    assert said in fault
    assert CANARY not in fault
    assert "short-7" not in fault


def test_all_that_is_wrong_is_told_at_once() -> None:
    fault = fault_of(TASK_SECRET_A="x", TASK_SECRET_B="y", TICK_BUDGET_SECONDS="no")

    assert "TICK_BUDGET_SECONDS" in fault
    assert "TASK_SECRET_A" in fault
    assert "TASK_SECRET_B" in fault


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", ()), ("jobs", ("jobs",)), ("jobs, tools.daily:report,", ("jobs", "tools.daily:report"))],
)
def test_what_may_be_called_is_a_list(value: str, expected: tuple[str, ...]) -> None:
    assert expected == settings(PYTHON_TASKS=value).python_tasks


@pytest.mark.parametrize("listed", ["jobs", "jobs.audit", "x, jobs.audit:note"])
def test_a_hook_is_a_function_that_tasks_may_call(listed: str) -> None:
    given = settings(PYTHON_TASKS=listed, BEFORE_TASK="jobs.audit:note", AFTER_TASK="jobs.audit:note")

    assert ("jobs.audit:note", "jobs.audit:note") == (given.before_task, given.after_task)


def test_a_command_starts_with_three_variables_and_no_more() -> None:
    given = settings(PATH="/own/bin", HOME="/home/ann", LANG="de_DE.UTF-8", CRON_SECRET="", PYTHONPATH="/x")

    assert {"PATH": "/own/bin", "HOME": "/home/ann", "LANG": "de_DE.UTF-8"} == given.command_environment()
    assert {"PATH", "HOME", "LANG"} == settings().command_environment().keys()
    assert all(settings().command_environment().values())


def test_windows_starts_no_process_without_its_root() -> None:
    given = settings(SYSTEMROOT="C:\\Windows", CRON_SECRET="")

    assert "C:\\Windows" == given.command_environment()["SYSTEMROOT"]
    assert {"SYSTEMROOT": "C:\\Windows"} == given.system_environment()
    assert {} == settings().system_environment()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", None),
        ("443", ((443, 443),)),
        (" 9000 - 9100, 80,443,80 ", ((80, 80), (443, 443), (9000, 9100))),
        ("1-65535", ((1, 65535),)),
    ],
)
def test_ports_that_tasks_may_call_are_listed(given: str, expected: object) -> None:
    assert expected == settings(ALLOW_PORTS=given).allow_ports


@pytest.mark.parametrize("given", ["any", "0", "65536", ",", "9100-9000", "80;443", "-1", "80-", "443,x"])
def test_ports_that_are_none_are_refused(given: str) -> None:
    assert "ALLOW_PORTS must be ports from 1 to 65535 and ranges of them" in fault_of(ALLOW_PORTS=given)
