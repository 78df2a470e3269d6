"""`doctor`: settings that are valid and yet do nothing are told, each with its remedy."""

import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import pytest

from functions.config.settings import Settings, overlooked_variables
from tests.unit.cli.conftest import Said, Scheduler

VALUE = "c4nary-value-that-nobody-may-see"


def found_by(said: Said, check: str) -> list[tuple[str, str]]:
    assert "c4nary" not in said.out + said.err
    return [
        (one["status"], f"{one['text']} -> {one['remedy']}") for one in said.data if one["check"] == check
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAX_CONCURENCY", "MAX_CONCURRENCY"),
        ("CRON_SECERT", "CRON_SECRET"),
        ("Slack_Webhook_URL", "SLACK_WEBHOOK_URL"),
        ("TICK_BUDGET_SECOND", "TICK_BUDGET_SECONDS"),
    ],
)
def test_a_misspelt_setting_is_told_with_the_one_that_was_meant(
    scheduler: Scheduler, name: str, meant: str
) -> None:
    """Unknown variables are ignored, as there are many others: this one was to change something."""
    told = found_by(scheduler("doctor", "--json", **{name: VALUE}), "settings")

    assert ("warn", f"{name} is no setting, and has no effect -> set {meant}, if that was meant") in told


def test_a_file_for_what_is_no_secret_is_told(scheduler: Scheduler) -> None:
    told = found_by(scheduler("doctor", "--json", PUBLIC_URL_FILE="/etc/hostname"), "settings")

    text = "PUBLIC_URL_FILE has no effect: only secrets are read from files"
    assert ("warn", f"{text} -> set PUBLIC_URL, if that was meant") in told


def test_other_variables_are_nobody_s_business(scheduler: Scheduler) -> None:
    others = {
        "HOME": "/root",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_TOKEN_FILE": "/etc/hostname",
        "TASK_SECRET_CRON_SECRETS": VALUE,
        "SCHEDULER_KEY": VALUE,
        "MAX_CONCURENCY": "",
        "K_SERVICE": "cronfire",
    }

    assert {} == overlooked_variables(others)


def test_no_setting_is_taken_for_a_misspelt_other() -> None:
    """The similarity that is asked for is more than any two settings have."""
    names = [field.upper() for field in Settings.model_fields]

    for name, other in permutations(names, 2):
        assert {} == overlooked_variables({name: "x", other: "x"})


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SMTP_URL": f"{VALUE}.example.com"}, "email: SMTP_URL: give smtp+starttls://"),
        ({"SMTP_URL": "smtps://u:p@mail.example.com:465"}, "email: NOTIFY_EMAIL_TO: give the recipients"),
        ({"TELEGRAM_BOT_TOKEN": f"12:{VALUE}"}, "telegram: TELEGRAM_CHAT_ID: give the chat"),
        ({"NTFY_URL": "https://ntfy.sh/"}, "ntfy: NTFY_URL: give the address of a topic"),
    ],
)
def test_a_channel_with_wrong_settings_fails(
    scheduler: Scheduler, variables: Mapping[str, str], told: str
) -> None:
    """In the log it is one line; `doctor` called an installation well that told nobody anything."""
    said = scheduler("doctor", "--json", **variables)

    [(status, text)] = found_by(said, "channels")
    assert (1, "FAIL") == (said.code, status)
    assert text.startswith(told)
    assert text.endswith("correct it; until then nothing is sent there")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("NOTIFY_EMAIL_TO", "SMTP_URL"),
        ("TELEGRAM_CHAT_ID", "TELEGRAM_BOT_TOKEN"),
        ("NTFY_TOKEN", "NTFY_URL"),
        ("FEISHU_WEBHOOK_SECRET", "FEISHU_WEBHOOK_URL"),
        ("DINGTALK_SECRET", "DINGTALK_WEBHOOK_URL"),
        ("WEBHOOK_SECRET_PREVIOUS", "WEBHOOK_URL"),
    ],
)
def test_half_of_a_channel_is_told_beside_one_that_is_whole(
    scheduler: Scheduler, given: str, missing: str
) -> None:
    whole = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}

    told = found_by(scheduler("doctor", "--json", **whole, **{given: VALUE}), "channels")

    assert any(status == "FAIL" and f"{given} is set, but {missing} is not" in text for status, text in told)
    assert any(text.startswith("slack is set up") for _, text in told)


def test_a_package_that_a_setting_needs_is_no_fault_of_the_store(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    said = scheduler("doctor", "--json", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")

    [(status, text)] = found_by(said, "settings")
    assert (1, "FAIL") == (said.code, status)
    assert "pip install -r requirements-otel.txt" in text
    assert [] == found_by(said, "store")


def test_a_task_type_that_cannot_be_imported_is_a_finding(scheduler: Scheduler) -> None:
    said = scheduler("doctor", "--json", TASK_TYPES="no_such_module_anywhere.stock")

    [(status, text)] = found_by(said, "settings")
    assert (1, "FAIL") == (said.code, status)
    assert "no_such_module_anywhere" in text


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="on Windows modes do not say who reads a file")
@pytest.mark.parametrize("name", ["own.json", "own.state.json", "own.documents.json", "own.history.jsonl"])
def test_each_file_of_a_store_that_others_can_read_is_told(
    scheduler: Scheduler, tmp_path: Path, name: str
) -> None:
    """The history and the accounts of a store in JSON are beside its file; a folder may have a space."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    url = f"json:///{folder}/own.json"
    scheduler("doctor", STORE_URL=url)
    (folder / name).touch()
    (folder / name).write_text((folder / name).read_text() or "{}")
    (folder / name).chmod(0o644)

    [(status, text)] = found_by(scheduler("doctor", "--json", STORE_URL=url), "files")

    assert ("warn", True) == (status, f"can read {name} -> " in text)
    subprocess.run(["sh", "-c", text.partition(" -> ")[2]], check=True)
    assert [] == found_by(scheduler("doctor", "--json", STORE_URL=url), "files")
