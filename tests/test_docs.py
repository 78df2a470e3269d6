"""What people read is complete: each setting, each command and each form of schedule is in it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.cli.main import build
from functions.config.dotenv import parse_dotenv
from functions.config.settings import Settings
from functions.domain.schedule.parse import NAMED_SCHEDULES, read_schedule
from functions.stores.bitable.schema import TASKS

ROOT = Path(__file__).parents[1]
FORMS = (*NAMED_SCHEDULES, "every 15m", "at 2026-12-01T09:00")
DIALECTS = ("L", "5L", "#", "MON-FRI", "H")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "infra/**/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def env_example() -> dict[str, str]:
    return parse_dotenv((ROOT / ".env.example").read_text(encoding="utf-8"))


def commands() -> list[str]:
    return sorted(build().commands)


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives the headings of a document."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(document: str) -> list[str]:
    """The links of a document to files, or to headings of documents, that do not exist."""
    path = ROOT / document
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_has_a_target(document: str) -> None:
    assert [] == broken_links(document)


def sources() -> list[Path]:
    """The files that may name a document: code, scripts, Terraform, workflows, samples, other documents."""
    folders = ("docs", "functions", "infra", "samples", "scripts", ".ci", ".github")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [*ROOT.glob("*.md"), ROOT / ".env.example", ROOT / "main.py"]
    kinds = ("", ".md", ".py", ".tf", ".yaml", ".yml", ".example")
    return [path for path in files if path.suffix in kinds and path.is_file()]


def test_every_document_that_a_file_names_exists() -> None:
    missing = {
        name: path.relative_to(ROOT).as_posix()
        for path in sources()
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }

    assert {} == missing


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_readme(name: str) -> None:
    """A knob nobody can read about does not exist."""
    assert f"`{name.upper()}`" in readme()


def test_the_example_of_an_environment_has_every_setting_and_no_other() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(env_example())


def test_the_example_of_an_environment_holds_the_defaults() -> None:
    """Who copies it and changes nothing gets what who copies nothing gets."""
    copied = Settings.from_env(env_example(), door=False)

    assert Settings.from_env({}, door=False) == copied


@pytest.mark.parametrize("name", commands())
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"scheduler {name}\b|`{name}\b", readme())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_schedule_is_in_the_readme_and_accepted(form: str) -> None:
    read_schedule(form, timezone="Europe/Riga", anchor=datetime(2026, 11, 20, tzinfo=UTC))

    assert form in readme()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_cron_is_in_the_readme(dialect: str) -> None:
    assert f"`{dialect}`" in readme()


@pytest.mark.parametrize("name", [column.name for column in TASKS])
def test_every_column_of_a_feishu_table_is_explained(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "how-to" / "bitable-store.md").read_text(encoding="utf-8")
