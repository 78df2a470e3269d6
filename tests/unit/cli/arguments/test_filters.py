"""`list` and `runs` show what is asked for, and say which store was looked at."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Scheduler, WriteTasks


@pytest.fixture
def filled(scheduler: Scheduler, write_tasks: WriteTasks, site: str) -> Scheduler:
    scheduler(
        "apply",
        write_tasks(
            {"id": "shop", "title": "Shop front", "tags": ["web"], "owner": "ann", "params": {"url": site}},
            {"id": "broken", "params": {"url": f"{site}/broken"}},
            {"id": "idle", "type": "daily_briefing", "params": {}},
        ),
    )
    scheduler("run", "shop", "broken")
    scheduler("tick")
    scheduler("pause", "idle", "--until", "2h")
    return scheduler


CASES: list[tuple[tuple[str, ...], set[str], set[str]]] = [
    ((), {"shop", "broken", "idle"}, {"shop", "broken"}),
    (("--status", "paused"), {"idle"}, set()),
    (("--type", "daily_briefing"), {"idle"}, set()),
    (("--tag", "web"), {"shop"}, {"shop"}),
    (("--owner", "ann"), {"shop"}, {"shop"}),
    (("--outcome", "succeeded"), {"shop"}, {"shop"}),
    (("--outcome", "failed"), {"broken"}, {"broken"}),
    (("--since", "1h"), {"shop", "broken"}, {"shop", "broken"}),
    (("--since", "2100-01-01"), set(), set()),
    (("--text", "SHOP"), {"shop"}, {"shop"}),
    (("--text", "500"), {"broken"}, {"broken"}),
    (("--tag", "web", "--outcome", "failed"), set(), set()),
]


@pytest.mark.slow
def test_filters_of_lists_hold_together(filled: Scheduler) -> None:
    for words, tasks, runs in CASES:
        listed = {one["id"] for one in filled("list", *words, "--json").data}
        ran = {one["taskId"] for one in filled("runs", *words, "--json").data}
        assert (words, tasks, runs) == (words, listed, ran)


@pytest.mark.slow
def test_the_limit_counts_what_matches_and_nothing_found_is_not_nothing_there(filled: Scheduler) -> None:
    assert 1 == len(filled("runs", "--outcome", "failed", "--limit", "1", "--json").data)
    assert "No task matches\n" == filled("list", "--tag", "nope").out
    assert "No run matches\n" == filled("runs", "--text", "nope").out


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--json"),
        ("runs",),
        ("status",),
        ("doctor",),
        ("channels",),
        ("events",),
        ("keys",),
        ("owners",),
    ],
)
def test_every_answer_says_which_store_it_is_about(
    scheduler: Scheduler, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert f"Store: sqlite:///{tmp_path}/tasks.db\n" == scheduler(*words).err


def test_a_relative_file_is_named_by_its_whole_path(
    scheduler: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert f"Store: json:///{tmp_path}/t.json\n" == scheduler("list", STORE_URL="json:///t.json").err


def test_what_opens_a_base_is_not_shown(scheduler: Scheduler) -> None:
    said = scheduler(
        "doctor",
        STORE_URL="bitable://canarytoken/tbl1",
        FEISHU_APP_ID="cli_1",
        FEISHU_APP_SECRET="x" * 32,
        FEISHU_BASE_URL="http://127.0.0.1:1",
    )

    assert "Store: bitable://.../tbl1\n" in said.err
    assert "canarytoken" not in said.err


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("--type", "htp"), 2, "--type: there is no task type 'htp'; did you mean http?"),
        (("--type", "zzz"), 2, "--type: there is no task type 'zzz'; known are agent, "),
        (("--type", "http"), 0, ""),
        (("--tag", "wbe"), 0, "No task has the tag 'wbe'; did you mean web?"),
        (("--owner", "anna"), 0, "No task has the owner 'anna'; did you mean ann?"),
        (("--owner", "zzz"), 0, ""),
        (("--tag", "web", "--text", "nope"), 0, ""),
    ],
)
def test_a_name_that_nothing_has_is_named(
    scheduler: Scheduler, write_tasks: WriteTasks, words: tuple[str, ...], code: int, hint: str
) -> None:
    scheduler("apply", write_tasks({"id": "shop", "tags": ["web"], "owner": "ann"}))

    for command in ("list", "runs"):
        said = scheduler(command, *words)
        notes = said.err.partition("Store:")[0].removeprefix("scheduler: ").strip()
        assert (said.code, notes.startswith(hint), bool(notes)) == (code, True, bool(hint)), said.err
