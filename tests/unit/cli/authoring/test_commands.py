"""`create`, `edit` and `rm` as a person types them."""

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from functions.cli.main import main
from tests.unit.cli.conftest import Said, Scheduler, WriteTasks

CREATE = ("create", "My site answers", "--type", "health_check_url", "--param", "url=https://example.com")
WHEN = ("--schedule", "every 5 minutes")
Editor = Callable[[str], str]


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    """The value of EDITOR for one that replaces some text, `old -> new`."""

    def make(change: str) -> str:
        old, _, new = change.partition(" -> ")
        script = tmp_path / "editor.py"
        script.write_text(
            "import pathlib, sys\n"
            "file = pathlib.Path(sys.argv[-1])\n"
            f"file.write_text(file.read_text().replace({old!r}, {new!r}))\n"
        )
        return f"{sys.executable} -S -E {script}"

    return make


@pytest.fixture
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where texts that are being edited lie."""
    folder = tmp_path / "drafts"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_task_is_made_from_options(scheduler: Scheduler) -> None:
    more = ("--set", "retry.maxAttempts=2", "--tag", "web", "--tag", "shop", "--param", "expectedStatus=204")
    said = scheduler(*CREATE, *WHEN, *more)

    assert 0 == said.code
    assert said.out.startswith("my-site-answers is created; next run ")
    task = scheduler("show", "my-site-answers", "--json").data
    assert {"url": "https://example.com", "expectedStatus": 204} == task["params"]
    assert (2, ["web", "shop"], "every 5 minutes") == (
        task["retry"]["maxAttempts"],
        task["tags"],
        task["schedule"],
    )


def test_a_text_stays_a_text_and_a_number_a_number(scheduler: Scheduler) -> None:
    scheduler(
        *("create", "Post", "--type", "http", *WHEN, "--param", "url=https://example.com"),
        *("--param", "body=0012", "--param", "method=POST", "--param", 'headers={"X": "1"}'),
    )

    params = scheduler("show", "post", "--json").data["params"]

    assert ("0012", {"X": "1"}) == (params["body"], params["headers"])


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("--schedule", "every monday"), 2, "cron fields"),
        ((*WHEN, "--param", "urll=x"), 2, "urll"),
        ((*WHEN, "--param", "url"), 2, "NAME=VALUE"),
        ((*WHEN, "--set", "retry.maxAttempts=many"), 2, "retry.maxAttempts"),
        ((*WHEN, "--timezone", "Mars"), 2, "timezone"),
        ((), 2, "schedule"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    scheduler: Scheduler, words: tuple[str, ...], code: int, part: str
) -> None:
    said = scheduler(*CREATE, *words)

    assert (code, "") == (said.code, said.out)
    assert part in said.err
    assert [] == scheduler("list", "--json").data


def test_an_id_that_exists_is_a_refusal(scheduler: Scheduler) -> None:
    scheduler(*CREATE, *WHEN)

    said = scheduler(*CREATE, *WHEN)

    assert (1, True) == (said.code, "already" in said.err)


def test_options_change_what_they_name(scheduler: Scheduler) -> None:
    scheduler(*CREATE, *WHEN, "--tag", "web")
    before = scheduler("show", "my-site-answers", "--json").data

    said = scheduler("edit", "my-site-answers", "--schedule", "hourly", "--param", "expectedStatus=204")

    after = scheduler("show", "my-site-answers", "--json").data
    assert (0, True) == (said.code, "is changed" in said.out)
    assert before["params"] | {"expectedStatus": 204} == after["params"]
    assert {"schedule", "params"} == {
        name for name in before if before[name] != after[name] and not name.startswith(("next", "updated"))
    }


def test_a_task_without_a_schedule_can_be_changed(scheduler: Scheduler, tmp_path: Path) -> None:
    """It was made by `run --file`; a schedule that is there cannot be taken away."""
    file = tmp_path / "once.yaml"
    file.write_text("{id: once, type: http, params: {url: 'https://example.com'}}")
    scheduler("run", "--file", str(file))
    scheduler(*CREATE, *WHEN)

    assert 0 == scheduler("edit", "once", "--set", "params.url=https://example.org").code
    assert "https://example.org" == scheduler("show", "once", "--json").data["params"]["url"]
    assert "schedule: is required" in scheduler("edit", "my-site-answers", "--set", 'schedule=""').err


@pytest.mark.slow
def test_the_editor_changes_what_is_touched_and_leaves_no_file(
    scheduler: Scheduler, editor: Editor, drafts: Path
) -> None:
    scheduler(*CREATE, *WHEN)

    untouched = scheduler("edit", "my-site-answers", EDITOR="true")
    changed = scheduler("edit", "my-site-answers", EDITOR=editor("every 5 minutes -> every 2 hours"))

    assert (0, "my-site-answers: nothing is changed\n") == (untouched.code, untouched.out)
    assert "is changed; next run" in changed.out
    assert "every 2 hours" == scheduler("show", "my-site-answers", "--json").data["schedule"]
    assert [] == list(drafts.iterdir())


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("every 5 minutes -> every monday", "cron fields"),
        ("id: my-site-answers -> id: other", "an id never changes"),
        ("title: -> titel:", "titel"),
        ("params: -> params: [", "YAML"),
    ],
)
def test_an_error_in_the_text_changes_nothing(
    scheduler: Scheduler, editor: Editor, drafts: Path, change: str, part: str
) -> None:
    scheduler(*CREATE, *WHEN)
    before = scheduler("show", "my-site-answers", "--json").data

    said = scheduler("edit", "my-site-answers", EDITOR=editor(change))

    assert (True, True) == (said.code in (1, 2), part in said.err)
    assert before == scheduler("show", "my-site-answers", "--json").data
    kept = list(drafts.iterdir())
    assert all(str(file) in said.err and 0o600 == file.stat().st_mode & 0o777 for file in kept)


def test_an_editor_that_fails_or_is_not_there(scheduler: Scheduler, drafts: Path) -> None:
    scheduler(*CREATE, *WHEN)

    failed = scheduler("edit", "my-site-answers", EDITOR="false")
    removed = scheduler("edit", "my-site-answers", EDITOR="rm")
    missing = scheduler("edit", "my-site-answers", EDITOR="no-such-editor-here")

    assert (1, True) == (failed.code, "nothing was changed" in failed.err)
    assert (1, True) == (removed.code, "cannot be read: No such file" in removed.err)
    assert (2, True) == (missing.code, "EDITOR" in missing.err)
    assert [] == list(drafts.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("meanwhile", "code", "title"),
    [
        (("pause", "my-site-answers"), 0, "Typed"),
        (("edit", "my-site-answers", "--title", "Theirs"), 1, "Theirs"),
    ],
)
def test_what_was_typed_in_an_editor_is_not_lost_to_another_writer(
    scheduler: Scheduler,
    environment: dict[str, str],
    tmp_path: Path,
    drafts: Path,
    meanwhile: tuple[str, ...],
    code: int,
    title: str,
) -> None:
    """A tick writes the task each minute, which a person types longer than; another edit is a conflict."""
    scheduler(*CREATE, *WHEN)
    script = tmp_path / "slow-editor.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "file = pathlib.Path(sys.argv[-1])\n"
        "file.write_text(file.read_text().replace('My site answers', 'Typed'))\n"
        f"sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from functions.cli.main import main\n"
        f"sys.exit(main({meanwhile!r}, {environment!r}, out=sys.stderr, err=sys.stderr))\n"
    )

    said = scheduler("edit", "my-site-answers", EDITOR=f"{sys.executable} {script}")

    assert (code, title) == (said.code, scheduler("show", "my-site-answers", "--json").data["title"]), (
        said.err
    )
    kept = list(drafts.iterdir())
    assert [True] * code == [str(one) in said.err and "title: Typed" in one.read_text() for one in kept]


def test_a_task_of_a_file_says_that_the_file_wins(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    assert "the next apply of it changes it back" in scheduler("edit", "a", "--schedule", "hourly").err


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y", 0, 0), ("yes", 0, 0), ("n", 1, 1), ("", 1, 1), (None, 2, 1)]
)
def test_rm_asks_first(
    scheduler: Scheduler, environment: dict[str, str], answer: str | None, code: int, left: int
) -> None:
    scheduler(*CREATE, *WHEN)

    out, err = StringIO(), StringIO()
    ask = None if answer is None else lambda: answer
    said = Said(main(("rm", "my-site-answers"), environment, out=out, err=err, ask=ask), "", err.getvalue())

    assert code == said.code
    assert ("--yes" if answer is None else "Remove my-site-answers (My site answers)? [y/N]") in said.err
    assert left == len(scheduler("list", "--json").data)


def test_rm_removes_all_or_none(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}, {"id": "b"}))

    assert 1 == scheduler("rm", "a", "nobody", "--yes").code
    assert 2 == len(scheduler("list", "--json").data)
    assert 0 == scheduler("rm", "a", "b", "--yes").code
    assert [] == scheduler("list", "--json").data


def test_rm_removes_tasks_with_those_that_run_after_them(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    after = [{"id": name, "after": [{"task": before}]} for name, before in (("b", "a"), ("c", "b"))]
    scheduler("apply", write_tasks({"id": "a"}, *after))

    refused, removed = scheduler("rm", "a", "c", "--yes"), scheduler("rm", "a", "c", "b", "--yes")

    assert (1, 0) == (refused.code, removed.code), removed.err
    assert [] == scheduler("list", "--json").data


def test_edit_without_options_needs_an_editor_or_somebody(
    scheduler: Scheduler, write_tasks: WriteTasks
) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    said = scheduler("edit", "a")

    assert (2, True) == (said.code, "edit: nobody is here to edit it" in said.err)


def test_an_id_is_not_changed_by_an_option(scheduler: Scheduler, write_tasks: WriteTasks) -> None:
    scheduler("apply", write_tasks({"id": "a"}))

    said = scheduler("edit", "a", "--set", "id=z")

    assert (2, "scheduler: id: must stay 'a'; an id never changes\n") == (said.code, said.err)
