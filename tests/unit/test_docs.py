"""The documents are complete and their links work: each setting, command, field and schedule is in them."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions import __version__
from functions.cli.main import build_command
from functions.config.dotenv import parse_dotenv
from functions.config.settings import Settings
from functions.domain.schedule.parse import NAMED_SCHEDULES, parse_schedule
from functions.domain.task import TaskSpec
from functions.domain.types import Status
from functions.notifications import channel_modules
from functions.observability.exposition import render_metrics
from functions.observability.metrics import Metrics
from functions.stores.bitable.schema import TASK_COLUMNS
from functions.taskfiles.loader import read_task_files
from tests.unit.architecture import LAYERS

ROOT = Path(__file__).parents[2]
FORMS = (*NAMED_SCHEDULES, "every 15m", "at 2026-12-01T09:00")
DIALECTS = ("L", "5L", "#", "MON-FRI", "H")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "infra/**/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def env_example() -> dict[str, str]:
    return parse_dotenv(document(".env.example"))


def commands() -> list[str]:
    return sorted(build_command().commands)


def channel_names() -> list[str]:
    return [module.__name__.rpartition(".")[2] for module in channel_modules()]


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives the headings of a document."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(name: str) -> list[str]:
    """The links of a document to other files of the repository, and to its own headings."""
    found = re.findall(r"\]\(([^)\s]+)\)", document(name))
    return [link for link in found if not re.match(r"https?:|mailto:", link)]


def broken_links(source: str) -> list[str]:
    """The links of a document to files, or to headings of documents, that do not exist."""
    path = ROOT / source
    broken = []
    for link in links(source):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_of_a_document_has_a_target(name: str) -> None:
    assert [] == broken_links(name)


def sources() -> list[Path]:
    """The files that may name a document: code, scripts, Terraform, workflows, samples, other documents."""
    folders = ("docs", "functions", "infra", "samples", "scripts", ".ci", ".github")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [*ROOT.glob("*.md"), ROOT / ".env.example", ROOT / "main.py"]
    kinds = ("", ".md", ".py", ".tf", ".yaml", ".yml", ".example")
    return [path for path in files if path.suffix in kinds and path.is_file()]


@pytest.mark.slow
def test_every_document_that_a_file_names_exists() -> None:
    missing = {
        name: path.relative_to(ROOT).as_posix()
        for path in sources()
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }

    assert {} == missing


def test_every_file_of_tests_that_a_document_names_exists() -> None:
    """By its path, or by its name alone."""
    paths = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    known = paths | {path.rpartition("/")[2] for path in paths}
    named = [
        (name, file)
        for name in DOCUMENTS
        for file in re.findall(r"`(tests/[\w/]+\.py|test_\w+\.py)`", document(name))
    ]

    assert len(named) > 20
    assert [] == [one for one in named if one[1] not in known]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_page_on_settings(name: str) -> None:
    """A knob nobody can read about does not exist."""
    assert f"`{name.upper()}`" in document("docs/settings.md")


def test_the_example_of_an_environment_has_every_setting_and_no_other() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(env_example())


def test_the_example_of_an_environment_holds_the_defaults() -> None:
    """Who copies it and changes nothing gets what who copies nothing gets."""
    copied = Settings.from_env(env_example(), serves_http=False)

    assert Settings.from_env({}, serves_http=False) == copied


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_page_on_the_command_line(name: str) -> None:
    assert re.search(rf"^\|.*(scheduler {name}\b|`{name}\b)", document("docs/reference/cli.md"), re.M)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_schedule_is_in_the_page_on_task_files_and_accepted(form: str) -> None:
    parse_schedule(form, timezone="Europe/Riga", anchor=datetime(2026, 11, 20, tzinfo=UTC))

    assert form in document("docs/reference/task-files.md")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_cron_is_in_the_page_on_task_files(dialect: str) -> None:
    assert f"`{dialect}`" in document("docs/reference/task-files.md")


@pytest.mark.parametrize("name", sorted(TaskSpec.model_fields))
def test_every_field_of_a_task_is_in_the_page_on_task_files(name: str) -> None:
    alias = TaskSpec.model_fields[name].alias or name
    assert re.search(rf"^\|[^|]*`{alias}`", document("docs/reference/task-files.md"), re.M)


def task_files_in(name: str) -> list[str]:
    """The YAML in a document that is a task file."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", document(name), re.M | re.S)
    return [text for text in blocks if re.search(r"^(tasks|id):", text, re.M)]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if task_files_in(name)])
def test_every_task_file_that_a_document_shows_can_be_applied(name: str, tmp_path: Path) -> None:
    for number, text in enumerate(task_files_in(name)):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")

    loaded = read_task_files([tmp_path], default_timezone="UTC")

    assert [] == list(loaded.problems)
    assert loaded.specs


@pytest.mark.parametrize("name", channel_names())
def test_every_channel_is_in_the_page_on_notifications(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", document("docs/reference/notifications.md"), re.M)


def test_every_metric_is_in_the_page_on_operations() -> None:
    names = re.findall(r"^# TYPE cronfire_(\w+?)(?:_total)? counter", render_metrics(Metrics(), None), re.M)

    page = document("docs/how-to/operations.md")
    assert [] == [name for name in names if f"`{name}`" not in page and f"`cronfire_{name}_total" not in page]


def test_the_table_of_packages_is_the_rule_that_is_tested() -> None:
    text = document("docs/architecture.md")
    table = text.partition("<!-- layers -->")[2].partition("<!-- end of layers -->")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", table, re.M)

    assert {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in rows} == LAYERS


@pytest.mark.parametrize("status", Status)
def test_every_status_is_in_the_picture_and_in_the_table(status: Status) -> None:
    text = document("docs/architecture.md")

    assert re.search(rf"^ +\w+ --> {status}:|^ +\[\*\] --> {status}:", text, re.M)
    assert f"| `{status}` |" in text


def test_one_version_is_in_the_code_the_project_and_the_changelog() -> None:
    project = tomllib.loads(document("pyproject.toml"))["project"]["version"]
    [newest, *_] = re.findall(r"^## (\d+\.\d+\.\d+)", document("CHANGELOG.md"), re.M)

    assert __version__ == project == newest


@pytest.mark.slow
def test_every_event_of_the_log_is_in_its_page_with_its_level() -> None:
    page = document("docs/reference/logs.md")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    levels = {name: level.strip() for _, names, level, *_ in rows for name in re.findall(r"`(\w+)`", names)}
    logged: dict[str, str] = {}
    for path in (ROOT / "functions").rglob("*.py"):
        for level, names in re.findall(
            r"\blog\.(info|warning|error)\(\s*([^,)\n]*)", path.read_text("utf-8")
        ):
            logged |= dict.fromkeys(re.findall(r'"(\w+)"', names), level.upper())

    assert logged
    assert logged == {name: levels.get(name) for name in logged}


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file()))
def test_every_script_is_in_the_page_on_the_command_line(name: str) -> None:
    assert f"`scripts/{name}`" in document("docs/reference/cli.md")


def test_the_index_of_decisions_has_each_with_its_date_and_status() -> None:
    text = document("docs/decisions.md")
    index = re.findall(r"^\| (\d+) \| \[(.+)\]\(#.+\) \| (\S+) \| (.+) \|$", text, re.M)
    entries = re.findall(r"^## (\d+)\. (.+)\n\n\*(\S+), (.+)\*$", text, re.M)

    assert index == entries
    numbers = [int(number) for number, *_ in entries]
    assert sorted(set(numbers)) == numbers  # a number that is not there was never given
    assert len(re.findall(r"^## ", text, re.M)) == len(entries)


def test_the_readme_can_be_read_in_one_sitting() -> None:
    assert len(document("README.md").splitlines()) <= 150


def test_the_index_of_the_documents_names_each() -> None:
    linked = {(ROOT / "docs" / link).resolve() for link in links("docs/README.md")}
    there = {path.resolve() for path in (ROOT / "docs").rglob("*.md")}

    assert {ROOT / "docs" / "README.md"} == there - linked


@pytest.mark.parametrize("name", [column.name for column in TASK_COLUMNS])
def test_every_column_of_a_feishu_table_is_explained(name: str) -> None:
    assert f"`{name}`" in document("docs/how-to/bitable-store.md")
