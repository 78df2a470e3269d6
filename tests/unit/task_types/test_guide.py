"""Task types as people meet them: the documents have each of them whole."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from functions.domain.task import TaskSpec
from functions.task_types import registry
from functions.taskfiles.validation import check_task

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "reference" / "task-types.md").read_text(encoding="utf-8")
TASK_FILES = (ROOT / "docs" / "reference" / "task-files.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """What the guide says of a type; empty when there is nothing."""
    found = re.search(rf"^## `{name}`\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def params_of(name: str) -> dict[str, Any]:
    fields = registry._find_type(name).params.model_fields
    return {field.alias or python_name: field for python_name, field in fields.items()}


def rows(text: str) -> dict[str, str]:
    """The rows of the table of params: their last cell by their name."""
    table = text.partition("| param |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \|.*\| *(.*?) *\|$", table, re.MULTILINE))


@pytest.mark.parametrize("name", registry.type_names())
def test_the_guide_has_a_type_with_all_its_params_and_no_other(name: str) -> None:
    assert params_of(name).keys() == rows(section(name)).keys()


@pytest.mark.parametrize("name", registry.type_names())
def test_the_guide_says_which_params_are_required(name: str) -> None:
    required = {alias for alias, field in params_of(name).items() if field.is_required()}

    assert required == {alias for alias, default in rows(section(name)).items() if default == "required"}


@pytest.mark.parametrize("name", registry.type_names())
def test_the_guide_tells_numbers_and_switches_as_they_are(name: str) -> None:
    told = rows(section(name))
    defaults = {
        alias: json.dumps(field.default)
        for alias, field in params_of(name).items()
        if isinstance(field.default, int | float)
    }

    assert {alias: value.removesuffix(".0") for alias, value in defaults.items()} == {
        alias: told[alias] for alias in defaults
    }


@pytest.mark.parametrize("name", registry.type_names())
def test_the_guide_shows_a_task_that_can_be_applied(name: str) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", section(name), re.DOTALL)

    spec = check_task(yaml.safe_load(text))

    assert isinstance(spec, TaskSpec), spec
    assert name == spec.type
    assert registry.example_params(name) == spec.params


@pytest.mark.parametrize("name", registry.type_names())
def test_the_page_on_task_files_lists_each_type_with_its_params(name: str) -> None:
    [row] = re.findall(rf"^\| `{name}` \|.*$", TASK_FILES, re.MULTILINE)

    assert [] == [alias for alias in params_of(name) if f"`{alias}`" not in row]


@pytest.mark.parametrize("name", registry.type_names())
def test_the_readme_names_each_type(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_there_is_no_word_of_a_type_that_does_not_exist() -> None:
    assert set(registry.type_names()) == set(re.findall(r"^## `(\w+)`$", GUIDE, re.MULTILINE))
