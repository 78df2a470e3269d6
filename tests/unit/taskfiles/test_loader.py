"""Task files: what people write is understood as they meant it, and every fault is told in one go."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.domain.task import NEVER_STARTED, TaskSpec
from functions.domain.validation import FIELD_SUGGESTIONS, WRITTEN_LIKE, FileProblem
from functions.taskfiles.loader import LoadResult, read_task_files
from functions.taskfiles.validation import check_task

Write = Callable[..., Path]
READS_WITHIN_S = 5.0
GOOD: dict[str, Any] = {
    "id": "shop-front",
    "title": "Shop front answers",
    "type": "health_check_url",
    "schedule": "*/5 * * * *",
    "params": {"url": "https://example.com"},
}
EXAMPLE = """
tasks:
  - id: shop-front
    title: Shop front answers
    type: health_check_url
    schedule: "*/5 * * * *"
    timezone: Europe/Riga
    priority: high
    params: {url: "https://example.com", expectedStatus: 200}
    notify: [{on: [failure, recovery], channels: [feishu]}]
"""
ONE = """
id: shop-front
title: Shop front answers
type: health_check_url
schedule: daily
params: {url: "https://example.com"}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into a folder of its own; return its path."""

    def file(text: str | bytes, name: str = "tasks.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return file


def said(loaded: LoadResult) -> list[str]:
    """The faults without the folders of their files."""
    return [f"{fault.field}: {fault.reason}" if fault.field else fault.reason for fault in loaded.problems]


def reasons(**changes: Any) -> dict[str, str]:
    """What is wrong with an otherwise good task, by field; a change to None leaves the field out."""
    given = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    checked = check_task(given)
    return {} if isinstance(checked, TaskSpec) else {one.field: one.reason for one in checked}


# -- what is understood ----------------------------------------------------------------------------------


def test_the_documented_example_is_a_task(write: Write) -> None:
    loaded = read_task_files([write(EXAMPLE)])

    [spec] = loaded.specs
    assert () == loaded.problems
    assert ("shop-front", "Europe/Riga", "high") == (spec.id, spec.timezone, spec.priority)
    assert spec.notify is not None
    assert (("failure", "recovery"), ("feishu",)) == (spec.notify[0].on, spec.notify[0].channels)


def test_a_file_may_be_one_task(write: Write) -> None:
    loaded = read_task_files([write(ONE)])

    assert ["shop-front"] == [spec.id for spec in loaded.specs]


def test_json_says_the_same_as_yaml(write: Write) -> None:
    yaml = read_task_files([write(EXAMPLE)])
    given = {**GOOD, "timezone": "Europe/Riga", "priority": "high"}
    given["params"] = {"url": "https://example.com", "expectedStatus": 200}
    given["notify"] = [{"on": ["failure", "recovery"], "channels": ["feishu"]}]

    loaded = read_task_files([write(json.dumps({"tasks": [given]}, indent="\t"), "tasks.json")])

    assert (yaml.specs, yaml.problems) == (loaded.specs, loaded.problems)


def test_a_folder_is_read_whole_in_order_without_hidden_files(write: Write, tmp_path: Path) -> None:
    for name in ("b.yml", "a/z.json", "a.yaml", ".git/x.yaml", ".hidden.yaml", "notes.txt"):
        write(json.dumps({**GOOD, "id": name.strip(".").replace("/", "-")}), name)

    loaded = read_task_files([tmp_path])

    assert () == loaded.problems
    assert ["a-z.json", "a.yaml", "b.yml"] == sorted(spec.id for spec in loaded.specs)


def test_a_suffix_counts_in_any_case(write: Write, tmp_path: Path) -> None:
    for name in ("A.YAML", "b.Yml", "c.JSON"):
        write(json.dumps({**GOOD, "id": name[:1].lower()}), name)

    loaded = read_task_files([tmp_path])

    assert (["a", "b", "c"], ()) == (sorted(spec.id for spec in loaded.specs), loaded.problems)


def test_links_within_a_folder_are_followed(write: Write, tmp_path: Path) -> None:
    shared = write(ONE, "elsewhere/shared/shop.yaml").parent
    folder = write(json.dumps({**GOOD, "id": "own"}), "tasks/own.json").parent
    (folder / "shared").symlink_to(shared)
    (folder / "around").symlink_to(folder)

    loaded = read_task_files([folder])

    assert (["own", "shop-front"], ()) == (sorted(spec.id for spec in loaded.specs), loaded.problems)


def test_a_link_to_nothing_in_a_folder_is_an_error(write: Write, tmp_path: Path) -> None:
    write(ONE)
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "elsewhere" / "gone.yaml")

    loaded = read_task_files([tmp_path])

    assert ["is a link to nothing"] == said(loaded)


def test_a_folder_that_cannot_be_read_is_an_error(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ONE)
    shut = write(json.dumps({**GOOD, "id": "inside"}), "shut/tasks.json").parent
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)

    loaded = read_task_files([tmp_path])

    assert [f"{shut}: the folder cannot be read: Permission denied"] == [str(one) for one in loaded.problems]


def test_a_path_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    loaded = read_task_files([tmp_path / "tasks"])

    assert ["there is no such file or folder"] == said(loaded)


@pytest.mark.parametrize("text", ["shop: {type: http}", "jobs: [{id: a}]", "task:\n  - {id: a}", "{}"])
def test_a_file_without_a_field_of_a_task_is_told_what_it_lacks(write: Write, text: str) -> None:
    loaded = read_task_files([write(text)])

    assert [
        "has no field of a task; write a list under tasks:, each with id, type, schedule and params"
    ] == said(loaded)


def test_a_file_named_twice_is_read_once(write: Write, tmp_path: Path) -> None:
    file = write(ONE)

    loaded = read_task_files([file, tmp_path, tmp_path / "." / file.name])

    assert (1, ()) == (len(loaded.specs), loaded.problems)


def test_the_default_zone_is_for_tasks_that_name_none(write: Write) -> None:
    text = EXAMPLE + "  - {id: b, title: B, type: http, schedule: daily, params: {url: 'http://b.example'}}\n"

    loaded = read_task_files([write(text)], default_timezone="Asia/Tokyo")

    assert ["Europe/Riga", "Asia/Tokyo"] == [spec.timezone for spec in loaded.specs]


def test_defaults_can_be_shared_by_an_anchor(write: Write) -> None:
    text = """
x-web: &web {type: health_check_url, schedule: daily, timeoutSeconds: 5}
tasks:
  - {<<: *web, id: a, title: A, params: {url: "https://a.example"}}
  - {id: b, title: B, <<: *web, timeoutSeconds: 7, params: {url: "https://b.example"}}
"""
    loaded = read_task_files([write(text)])

    assert () == loaded.problems
    assert [("a", 5.0), ("b", 7.0)] == [(spec.id, spec.timeout_seconds) for spec in loaded.specs]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("10:30", "10:30"),
        ("2026-12-01", "2026-12-01"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1e999", "1e999"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("5", 5),
        ("-1001234567890123456", -1001234567890123456),
        ("12345678901234567890123", 12345678901234567890123),
        ("yes", "yes"),
        ("y", "y"),
        ("0o17", "0o17"),
        ("12e03", 12000.0),
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00Z"),
        (".inf", ".inf"),
        ("=", "="),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
    ],
)
def test_values_mean_what_they_look_like(write: Write, written: str, meant: object) -> None:
    """YAML 1.1 reads a country as false, a time of day as 630 and a name as true; 1.2 does not.

    Where 1.2 loses what was written (the zeros of 007, the form of a date), it stays text; a number that
    JSON has as well stays exact, such as the id of a chat, which has 19 digits.
    """
    text = ONE.replace("health_check_url", "http").replace("}", f", method: POST, json: {{v: {written}}}}}")

    [spec] = read_task_files([write(text)]).specs

    assert (meant, type(meant)) == (spec.params["json"]["v"], type(spec.params["json"]["v"]))


EVENT_TYPE = "must be lower-case letters, digits, dots, hyphens and underscores, such as order.paid"

# -- what is refused: fields -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"shedule": "daily"}, "shedule", "unknown field; did you mean schedule?"),
        ({"timeout_seconds": 5}, "timeout_seconds", "unknown field; did you mean timeoutSeconds?"),
        ({"status": "paused"}, "status", "is kept by the scheduler, and cannot be set; leave it out"),
        ({"nextRunAt": "x"}, "nextRunAt", "is kept by the scheduler, and cannot be set; leave it out"),
        ({"event": "order.paid"}, "event", "unknown field; did you mean onEvent?"),
        ({"cron": "x"}, "cron", "unknown field; did you mean schedule?"),
        ({"retry": {"maxAttemps": 2}}, "retry.maxAttemps", "unknown field; did you mean maxAttempts?"),
        ({"title": None}, "title", "is required"),
        ({"schedule": None}, "schedule", NEVER_STARTED),
        ({"schedule": ""}, "schedule", NEVER_STARTED),
        ({"after": [{"task": "a", "onn": "x"}]}, "after[0].onn", "unknown field; did you mean on?"),
        (
            {"after": [{"task": "a", "on": "fail"}]},
            "after[0].on",
            "must be one of success, failure or finished; did you mean failure?",
        ),
        ({"onEvent": [{"type": "Order Paid"}]}, "onEvent[0].type", EVENT_TYPE),
        ({"schedule": 5}, "schedule", "must be text; put the value in quotes"),
        ({"title": 5}, "title", "must be text; put the value in quotes"),
        ({"title": ["x"]}, "title", "must be text"),
        ({"timeoutSeconds": 0}, "timeoutSeconds", "must be greater than 0"),
        ({"timeoutSeconds": 3001}, "timeoutSeconds", "must be at most 3000"),
        ({"timeoutSeconds": "20s"}, "timeoutSeconds", "must be a number; write it like 300"),
        ({"maxRuns": 0}, "maxRuns", "must be at least 1"),
        ({"maxRuns": 1.5}, "maxRuns", "must be a whole number"),
        ({"enabled": "perhaps"}, "enabled", "must be true or false"),
        ({"tags": "garden"}, "tags", "must be a list; write it like [shop, nightly]"),
        ({"maxRuns": 10**30}, "maxRuns", "must be at most 1000000000000"),
        ({"every": "5m"}, "every", "unknown field; did you mean schedule?"),
        ({"depends_on": ["a"]}, "depends_on", "unknown field; did you mean after?"),
        ({"url": "https://example.com"}, "url", "unknown field; did you mean params.url?"),
        ({"max_retries": 3}, "max_retries", "unknown field; did you mean retry.maxAttempts?"),
        ({"tags": ["a"] * 11}, "tags", "must have at most 10 entries"),
        ({"retry": 3}, "retry", "must be a mapping of names to values; write it like {maxAttempts: 3}"),
        (
            {"params": "x"},
            "params",
            "must be a mapping of names to values; write it like {url: https://example.com}",
        ),
        ({"title": "x" * 201}, "title", "must have at most 200 characters"),
        (
            {"priority": "hihg"},
            "priority",
            "must be one of urgent, high, medium or low; did you mean high?",
        ),
        (
            {"notify": [{"on": "failure"}]},
            "notify[0].on",
            "must be a list; write it like [failure, recovery]",
        ),
        (
            {"after": ["water"]},
            "after[0]",
            "must be a mapping of names to values; write it like {task: nightly-export}",
        ),
        ({"jitterSeconds": "30s"}, "jitterSeconds", "must be a whole number; write it like 60"),
        (
            {"title": "Caf\udce9"},
            "title",
            "must be UTF-8 text; write it anew",
        ),
        ({"misfire": {"graceSeconds": -1}}, "misfire.graceSeconds", "must be at least 0 or auto"),
        (
            {"retry": {"minBackoffSeconds": 10, "maxBackoffSeconds": 1}},
            "retry",
            "maxBackoffSeconds must not be smaller than minBackoffSeconds",
        ),
        (
            {"startAt": "2026-12-02T00:00:00Z", "endAt": "2026-12-01T00:00:00Z"},
            "",
            "endAt must not be earlier than startAt",
        ),
    ],
)
def test_a_fault_is_told_in_plain_words(changes: dict[str, Any], field: str, reason: str) -> None:
    assert {field: reason} == reasons(**changes)


@pytest.mark.parametrize(("place", "example"), WRITTEN_LIKE.items())
def test_what_a_fault_says_to_write_is_understood(place: str, example: str, write: Write) -> None:
    first, *steps = place.replace("[]", ".[]").split(".")
    for step in reversed(steps):
        example = f"[{example}]" if step == "[]" else f"{{{step}: {example}}}"
    others = json.dumps({name: value for name, value in GOOD.items() if name != first})

    assert () == read_task_files([write(f"tasks: [{others[:-1]}, {first}: {example}}}]")]).problems


@pytest.mark.parametrize("wrong", FIELD_SUGGESTIONS)
def test_the_field_that_is_meant_exists(wrong: str) -> None:
    assert {wrong} == set(reasons(**{wrong: "x"}))
    assert FIELD_SUGGESTIONS[wrong].split(".")[0] in {
        field.alias or name for name, field in TaskSpec.model_fields.items()
    }


def test_an_unknown_field_of_the_task_itself_is_sent_to_the_params() -> None:
    found = reasons(xyzzy=1, retry={"xyzzy": 1})

    assert found["xyzzy"].startswith("unknown field; known are id, title, ")
    assert found["xyzzy"].endswith("; what the task type needs goes under params")
    assert (
        "unknown field; known are maxAttempts, minBackoffSeconds, maxBackoffSeconds" == found["retry.xyzzy"]
    )


@pytest.mark.parametrize("value", [20261201, 1.5, "2026-12-01", "2026-12-01T09:00:00", "tomorrow"])
def test_a_moment_without_an_offset_is_refused_and_never_guessed(value: object) -> None:
    """Neither UTC nor the task's zone would be what everybody meant; 20261201 would be in 1970."""
    assert {"startAt": "must be a moment with its offset, such as 2026-12-01T09:00:00Z"} == reasons(
        startAt=value
    )


@pytest.mark.parametrize("place", ["maxRuns", "timeoutSeconds", "jitterSeconds"])
def test_true_is_not_a_number(place: str) -> None:
    assert "must not be true or false" in reasons(**{place: True})[place]


def test_true_is_not_a_number_within_a_list_either() -> None:
    assert ["notify[0].after"] == list(reasons(notify=[{"on": ["failure"], "after": True}]))


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"schedule": "61 * * * *"}, "schedule", "0 to 59"),
        ({"schedule": "0 0 31 2 *"}, "schedule", ""),
        ({"timezone": "Europe/Rigga"}, "timezone", "Europe/Riga"),
        ({"timezone": "+02:00"}, "timezone", "offset"),
        ({"type": "health_chek_url"}, "type", "did you mean health_check_url?"),
        ({"params": {"urll": "https://example.com"}}, "params.urll", "did you mean url?"),
        ({"params": {}}, "params.url", "required"),
    ],
)
def test_schedule_zone_type_and_params_are_checked_by_who_knows_them(
    changes: dict[str, Any], field: str, part: str
) -> None:
    found = reasons(**changes)

    assert part in found[field]


def test_all_faults_of_a_task_are_told_at_once() -> None:
    found = reasons(
        title=None, schedule="99 * * * *", timezone="Nowhere", type="nothing", timeoutSeconds=-1, colour="red"
    )

    assert {"title", "schedule", "timezone", "type", "timeoutSeconds", "colour"} == set(found)


def test_a_title_that_makes_no_id_asks_for_one() -> None:
    assert "write an id" in reasons(id=None, title="给植物浇水")["id"]


def test_an_id_is_made_from_the_title() -> None:
    spec = check_task({name: value for name, value in GOOD.items() if name != "id"})

    assert isinstance(spec, TaskSpec)
    assert "shop-front-answers" == spec.id


def test_h_may_be_used_before_the_id_is_known() -> None:
    assert {} == reasons(schedule="H * * * *")


@pytest.mark.parametrize("given", [17, "x", None, ["a"]])
def test_what_is_not_a_mapping_is_not_a_task(given: object) -> None:
    checked = check_task(given)

    assert isinstance(checked, list)
    [problem] = checked
    assert ("", True) == (problem.field, "mapping" in problem.reason)


# -- what is refused: files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", None, "the file is empty"),
        ("   \n\n", None, "the file is empty"),
        ("# only a comment\n", None, "the file is empty but for comments"),
        ("tasks:\n  - id: a\n    schedule: */5 * * * *\n", 3, "goes in quotes"),
        ("tasks:\n  - id: a\n    schedule: @daily\n", 3, "goes in quotes"),
        ("tasks:\n  - id: a\n    title: a: b\n", 3, "colon"),
        ("tasks:\n\t- id: a\n", 2, "tabs"),
        ("tasks: [1, 2\nid: b\n", 2, "a bracket is not closed, or a comma is missing"),
        ("id: 'a\n", 2, "a quote is not closed"),
        ('id: a\ntitle: "A" or b\n', 2, "stands behind a closing quote"),
        ("tasks:\n  - id: a\n   title: b\n", 3, "does not line up"),
        ('id: "C:\\Users"\n', 1, "a backslash is written twice"),
        ('id: "\\d"\n', 1, "a backslash is written twice"),
        ("tasks: - id: a\n", 1, "the first hyphen of a list begins a line of its own"),
        ("id: a\ntitle\nschedule: daily\n", 3, "a field lacks its colon"),
        ("id: a\n\u00a0title: b\n", 2, "U+00A0 is no space of YAML"),
        ("id: a\ntitle: b\ntype:\u00a0http\nschedule: daily\n", 3, "U+00A0 is no space of YAML"),
        ("id: a\ntype:\u00a0http\n", 2, "U+00A0 is no space of YAML"),
        ("id: a\n\u200btitle: b\n", 2, "U+200B is no space of YAML"),
        ("tasks:\n\u3000- id: a\n", 2, "U+3000 is no space of YAML"),
        ('id: a\nparams: {url:\u00a0"http://a.example"}\n', 2, "U+00A0 is no space of YAML"),
        ("id: a\n---\nid: b\n", 2, "second document"),
        ("id: *nobody\n", 1, "stands for nothing"),
        ("a: &a [*a]\n", 1, "stands for nothing"),
        ("id: !!python/object/apply:os.system [true]\n", 1, "is not accepted"),
        ("id: !!binary aGk=\n", 1, "is not accepted"),
        ("id: !!set {a}\n", 1, "is not accepted"),
        ("id: a\ntitle: " + "9" * 5000 + "\n", 2, "too long"),
        ("? [a]\n: b\n", 1, "name of a field"),
        ("id: a\nparams:\n  token: {{secret:SHOP_KEY}}\n", 3, "a text that starts with { goes in quotes"),
        ("id: a\nheaders: {x: {{ secret:SHOP_KEY }}/y}\n", 2, "a text that starts with { goes in quotes"),
        ("<<: 5\n", 1, "<<"),
        ("id: a\ntitle: \x01\n", 2, "U+0001 is no character of a text"),
        ("tasks:\n- id: a\n\ttitle: b\n", 3, "tabs do not indent; write spaces"),
        ("- hello\n", 1, "mapping of names to values"),
        ("hello\n", 1, "a list of tasks"),
        ("tasks:\n", 1, "must be a list"),
        ("tasks: {a: b}\n", 1, "must be a list"),
        ("tasks: []\nschedule: daily\n", 2, "inside the list"),
        ("a: " + "[" * 130 + "]" * 130, 1, "levels deep"),
    ],
)
def test_a_file_that_is_no_task_file_says_why_and_where(
    write: Write, text: str, line: int | None, part: str
) -> None:
    loaded = read_task_files([write(text)])

    [fault] = loaded.problems
    assert ((), line) == (loaded.specs, fault.line)
    assert part in fault.reason


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('{"tasks": [}', 1, "not JSON"),
        ('{"tasks": [{"id": "a"}, ]}', 1, "a comma stands before the bracket"),
        ('{"tasks": [,]}', 1, "a comma stands before the bracket"),
        ('{\n"id": NaN}', None, "not finite"),
        ('{"id": ' + "9" * 5000 + "}", None, "too long"),
        ("[" * 100_000, None, "levels deep"),
        ('{"a": ' + "[" * 130 + "]" * 130 + "}", None, "levels deep"),
        ('"tasks"', 1, "a list of tasks"),
    ],
)
def test_a_json_file_that_is_no_task_file_says_why(
    write: Write, text: str, line: int | None, part: str
) -> None:
    [fault] = read_task_files([write(text, "tasks.json")]).problems

    assert line == fault.line
    assert part in fault.reason


def test_a_name_given_twice_is_refused_in_yaml_with_both_lines(write: Write) -> None:
    """Otherwise one of the two would be dropped in silence."""
    loaded = read_task_files([write(ONE + "schedule: hourly\n")])

    assert ["schedule: is given twice; the first is on line 5"] == said(loaded)
    assert 7 == loaded.problems[0].line


def test_a_name_given_twice_is_refused_in_json(write: Write) -> None:
    text = json.dumps({"tasks": [GOOD]}, indent=1).replace('"title":', '"id": "other",\n"title":')
    loaded = read_task_files([write(text, "tasks.json")])

    assert ["tasks[0].id: is given twice; give it once"] == said(loaded)
    assert 5 == loaded.problems[0].line


@pytest.mark.parametrize("name", ["tasks.yaml", "tasks.json"])
def test_a_fault_names_file_line_task_and_field(write: Write, name: str) -> None:
    tasks = [GOOD, {**GOOD, "id": "b", "retry": {"maxAttempts": 0}}]
    file = write(json.dumps({"tasks": tasks}, indent=1), name)

    [fault] = read_task_files([file]).problems

    assert FileProblem(str(file), 21, "b", "retry.maxAttempts", "must be at least 1") == fault
    assert f"{file}:21: b: retry.maxAttempts: must be at least 1" == str(fault)


def test_a_task_without_an_id_is_called_by_its_title_or_number(write: Write) -> None:
    text = "tasks:\n - {title: Water}\n - {}\n"

    assert {"Water", "task 2"} == {fault.task for fault in read_task_files([write(text)]).problems}


def test_an_id_used_in_two_files_is_refused_and_both_places_named(write: Write, tmp_path: Path) -> None:
    write(ONE, "a.yaml")
    write("# a line more\n" + ONE, "b.yaml")

    loaded = read_task_files([tmp_path])

    [fault] = loaded.problems
    assert (f"{tmp_path}/b.yaml", 3, "id") == (fault.file, fault.line, fault.field)
    assert f"{tmp_path}/a.yaml:2" in fault.reason


def test_ids_made_from_titles_must_differ_as_well(write: Write) -> None:
    task = "{title: Water, type: http, schedule: daily, params: {url: 'http://a.example'}}"

    assert ["id"] == [one.field for one in read_task_files([write(f"tasks: [{task}, {task}]")]).problems]


def test_faults_of_all_files_are_told_and_good_tasks_kept(write: Write, tmp_path: Path) -> None:
    write("tasks: 5\n", "a.yaml")
    write(ONE, "b.yaml")
    write("{", "c.json")

    loaded = read_task_files([tmp_path, tmp_path / "nowhere.yaml"])

    assert ["a.yaml", "c.json", "nowhere.yaml"] == [Path(fault.file).name for fault in loaded.problems]
    assert ["shop-front"] == [spec.id for spec in loaded.specs]


def test_a_path_that_holds_nothing_is_a_fault(tmp_path: Path, write: Write) -> None:
    """An empty list would make apply remove every task."""
    folder = tmp_path / "empty"
    folder.mkdir()

    loaded = read_task_files([folder, tmp_path / "nope", write("x", "tasks.txt")])

    assert 3 == len(loaded.problems)
    assert () == loaded.specs


def test_text_must_be_utf_8_and_a_byte_order_mark_is_no_harm(write: Write) -> None:
    good = read_task_files([write("\ufeff" + ONE, "a.yaml")])
    bad = read_task_files([write(b"id: a\ntitle: \xff\n", "b.yaml")])

    assert 1 == len(good.specs)
    assert (2, True) == (bad.problems[0].line, "UTF-8" in bad.problems[0].reason)


# -- what would do harm ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60)),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 150)),
        "[" * 500_000,
        "- " * 400_000,
        "{a: " * 200_000,
        "tasks: [" + "1," * 400_000 + "1]",
        ONE + "x" * 1_100_000,
    ],
    ids=["doubling", "merging", "deep", "brackets", "hyphens", "braces", "many", "large"],
)
def test_a_hostile_file_is_refused_soon(write: Write, text: str) -> None:
    began = time.process_time()

    loaded = read_task_files([write(text)])

    assert ((), 1) == (loaded.specs, len(loaded.problems))
    assert time.process_time() - began < READS_WITHIN_S


# -- what we ship ----------------------------------------------------------------------------------------


def test_the_sample_files_have_no_fault() -> None:
    loaded = read_task_files(sorted((Path(__file__).parents[3] / "samples").glob("*.yaml")))

    assert () == loaded.problems
    assert len(loaded.specs) >= 6


OLDER = [
    {"id": "daily_briefing", "frequency": "daily", "params": {"timeout_sec": 30}},
    {
        "id": "health_check_url",
        "frequency": "every_minute",
        "params": {"url": "https://example.com/", "expected_status": 204, "timeout_sec": 7},
    },
    {
        "id": "rss_watch",
        "frequency": "hourly",
        "params": {"feed_url": "https://example.com/f", "max_items": 3},
    },
]


@pytest.mark.parametrize("content", [OLDER, {"tasks": OLDER}], ids=["a list", "a list under tasks"])
def test_a_file_of_an_older_scheduler_is_read_as_it_is(tmp_path: Path, content: object) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps(content))

    loaded = read_task_files([tmp_path / "tasks.json"])

    assert () == loaded.problems
    briefing, check, feed = loaded.specs
    assert ("daily_briefing", "daily", 30.0, {}) == (
        briefing.type,
        briefing.schedule,
        briefing.timeout_seconds,
        briefing.params,
    )
    assert {"url": "https://example.com/", "expected_status": 204, "timeoutSeconds": 7} == check.params
    assert ("rss_watch", "hourly", "Rss watch") == (feed.type, feed.schedule, feed.title)


def test_one_task_of_an_older_scheduler_is_a_file_as_well(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(OLDER[1]))

    [spec] = read_task_files([tmp_path / "one.json"]).specs

    assert ("health_check_url", "every_minute") == (spec.type, spec.schedule)


def test_two_names_of_the_schedule_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text(json.dumps({**OLDER[2], "schedule": "daily"}))

    [problem] = read_task_files([tmp_path / "two.json"]).problems

    assert "frequency: is another name of schedule; write one of the two" in str(problem)


def test_an_id_that_is_no_types_name_says_nothing_about_the_type(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text(json.dumps({"id": "shop_front", "frequency": "hourly"}))

    [problem] = read_task_files([tmp_path / "no.json"]).problems

    assert "type: is required" in str(problem)


@pytest.mark.parametrize(
    ("schedule", "most"), [("* * * * *", 59), ("every 10m", 599), ("0,5 9 * * 1", 299), ("*/50 * * * *", 599)]
)
def test_jitter_is_shorter_than_the_time_between_two_runs(schedule: str, most: int) -> None:
    fields = {
        "id": "a",
        "title": "A",
        "type": "http",
        "schedule": schedule,
        "params": {"url": "https://a.example"},
    }

    assert isinstance(check_task(fields | {"jitterSeconds": most}), TaskSpec)
    refused = check_task(fields | {"jitterSeconds": most + 1})
    assert isinstance(refused, list)
    assert [("jitterSeconds",)] == [one.path for one in refused]
    assert refused[0].reason.endswith(f"write at most {most}")


def test_a_number_beyond_all_numbers_is_refused(write: Write) -> None:
    """Python reads 1e999 as infinity, which no JSON can hold."""
    text = json.dumps({**GOOD, "type": "http", "params": {"url": "https://example.com", "json": {"a": "?"}}})

    loaded = read_task_files([write(text.replace('"?"', "1e999"), "tasks.json")])

    assert ["a number is too long or not finite"] == said(loaded)
