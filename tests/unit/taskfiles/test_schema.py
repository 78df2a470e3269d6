"""The JSON Schema of task files: it accepts what is applied, and refuses what an editor should mark."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from functions.task_types.registry import type_names
from functions.taskfiles.loader import read_task_files
from functions.taskfiles.parser import parse_text
from functions.taskfiles.schema import example_task, params_schema_of, render_schema, task_file_schema
from functions.taskfiles.validation import check_task

ROOT = Path(__file__).parents[3]
COPY = ROOT / "docs" / "reference" / "task-file.schema.json"
SAMPLES = sorted((ROOT / "samples").glob("*.yaml"))  # those below are of other schedulers
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED_YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
VALIDATOR = jsonschema_rs.validator_for(task_file_schema())


def examples() -> list[tuple[str, str]]:
    """The task files in the documentation."""
    return [
        (page.name, text)
        for page in PAGES
        for text in FENCED_YAML.findall(page.read_text(encoding="utf-8"))
        if re.search(r"^[ -]*type: ", text, re.MULTILINE)
    ]


def task(**changes: Any) -> dict[str, Any]:
    return {
        key: value for key, value in (example_task("health_check_url") | changes).items() if value is not None
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_valid_and_names_its_schema(sample: Path) -> None:
    text = sample.read_text(encoding="utf-8")

    VALIDATOR.validate(parse_text(text, as_json=False).value)

    [named] = re.findall(r"^# yaml-language-server: \$schema=(.*)$", text, re.MULTILINE)
    assert COPY == (sample.parent / named).resolve()


@pytest.mark.parametrize(("page", "text"), examples())
def test_an_example_of_the_documentation_is_valid(page: str, text: str) -> None:
    VALIDATOR.validate(parse_text(text, as_json=False).value)


def test_there_are_examples() -> None:
    assert 10 <= len(examples())
    assert "README.md" in {page for page, _ in examples()}


def test_the_copy_beside_the_documentation_is_current() -> None:
    is_current = render_schema(task_file_schema()) == COPY.read_text(encoding="utf-8")
    assert is_current, "run scripts/scheduler schema > docs/reference/task-file.schema.json"


def test_it_is_of_a_draft_that_editors_know() -> None:
    schema = task_file_schema()

    assert "http://json-schema.org/draft-07/schema#" == schema["$schema"]
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize("name", type_names())
def test_the_example_of_a_type_is_valid_by_schema_and_check(name: str) -> None:
    given = example_task(name)

    VALIDATOR.validate([given])
    jsonschema_rs.validate(params_schema_of(name), given["params"])
    assert not isinstance(check_task(given), list)


@pytest.mark.parametrize("name", type_names())
def test_the_params_of_a_type_are_described_and_their_defaults_are_valid(name: str) -> None:
    schema = params_schema_of(name)

    for alias, one in schema["properties"].items():
        if one.get("default") is not None:
            jsonschema_rs.validate({**one, "$defs": schema.get("$defs", {})}, one["default"])
        assert "title" not in one, alias
    assert 1 <= sum("description" in one for one in schema["properties"].values())


@pytest.mark.parametrize(
    "given",
    [
        task(),
        task(title=None, id="shop"),
        task(schedule=None, after=[{"task": "other"}]),
        task(schedule=None, onEvent=[{"type": "order"}]),
        task(schedule=None, frequency="daily"),
        task(params={"url": "https://e.com", "expectedStatus": ["200-299", 304]}),
        task(params={"url": "https://e.com", "timeoutSeconds": "{{secret:SECONDS}}"}),
        task(type="daily_briefing", params=None),
        [task(id="a"), task(id="b")],
        {"tasks": [task()], "x-anchors": {"any": 1}},
    ],
)
def test_what_is_applied_is_valid(given: Any, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(given), encoding="utf-8")

    assert () == read_task_files([file]).problems
    VALIDATOR.validate(given)


@pytest.mark.parametrize(
    "given",
    [
        task(type="health_check"),
        task(type=None),
        task(title=None),
        task(schedule=None),
        task(colour="blue"),
        task(priority="highest"),
        task(retry={"attempts": 3}),
        task(params={"url": "https://e.com", "expectedStatus": "2yy"}),
        task(params={"url": "https://e.com", "expectedStatus": 42}),
        task(params={"url": "https://e.com", "timeoutSeconds": 0}),
        task(params={"url": "https://e.com", "timeoutSeconds": "soon"}),
        task(params={"address": "https://e.com"}),
        task(params={}),
        task(params=None),
        task(type="http", params={"url": "https://e.com", "method": "FETCH"}),
        {"tasks": [task()], "anchors": {}},
        {"tasks": task()},
        "a word",
    ],
)
def test_what_is_refused_is_marked(given: Any, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(given), encoding="utf-8")

    assert read_task_files([file]).problems
    assert not VALIDATOR.is_valid(given)


def test_a_schema_in_a_folder_of_tasks_is_no_task_file(tmp_path: Path) -> None:
    (tmp_path / "task-file.schema.json").write_text(render_schema(task_file_schema()), encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(task(id="a")), encoding="utf-8")

    loaded = read_task_files([tmp_path])

    assert ((), ["a"]) == (loaded.problems, [spec.id for spec in loaded.specs])
