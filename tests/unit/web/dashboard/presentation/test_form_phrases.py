"""What forms say has a translation: labels, help and choices, which no template names."""

import pytest

from functions.domain.lifecycle.complete import DEFAULT_PAUSE_AFTER_FAILURES
from functions.domain.task import TaskSpec
from functions.web.dashboard.forms import schedule_choices, settings_form, words
from functions.web.dashboard.forms.tables import Rules
from functions.web.dashboard.forms.task_form import TaskForm
from functions.web.dashboard.presentation.phrases import phrasebook
from functions.web.dashboard.rendering import render

ZH = phrasebook("zh-CN").phrases
SETTINGS = (
    settings_form.key_form(owner="", zone="UTC"),
    settings_form.owner_form({}),
    settings_form.channel_form({}, zone="UTC"),
)


def said() -> set[str]:
    """Every phrase."""
    fields = [*words.PARAM_WORDS.values(), *words.TASK_WORDS.values()]
    fields += [words.Words(one.label, one.help) for form in SETTINGS for one in form.fields]
    choices = [*words.CHOICES.values(), Rules.modes, settings_form.SCOPE_WORDS]
    choices += [schedule_choices.WAYS, schedule_choices.UNITS, schedule_choices.DAYS]
    sections = TaskForm({"type": "http"}).sections()
    titles = [section.legend for section in sections]
    titles += [group.title for section in sections for group in section.groups]
    titles += [title for form in SETTINGS for title, _ in form.groups]
    texts = {text for one in fields for text in (one.label, one.help)}
    return (
        texts | {text for some in choices for _, text in some} | set(titles) | set(words.TYPE_WORDS.values())
    )


def test_what_a_form_says_is_translated() -> None:
    untranslated = {text for text in said() - {""} if text not in ZH}

    assert set() == untranslated


def test_every_field_of_a_task_is_in_the_form() -> None:
    form = TaskForm({"type": "http"})
    shown = {one.path[0] for section in form.sections() for group in section.groups for one in group.fields}

    missing = {field.alias or name for name, field in TaskSpec.model_fields.items()} - shown

    assert {"type"} == missing, "give each a place in functions/web/dashboard/forms/layout.py"  # type: above it


def test_the_failures_after_which_a_type_pauses_by_itself_are_in_the_form() -> None:
    said = words.TASK_WORDS["pauseAfterFailures"].help

    assert all(f"for {name}, {limit}" in said for name, limit in DEFAULT_PAUSE_AFTER_FAILURES.items())


@pytest.mark.parametrize(("type_name", "phrase"), [("http", "请求头"), ("agent", "模型")])
def test_a_form_in_chinese_says_little_in_english(type_name: str, phrase: str) -> None:
    html = render("all_fields.html", "zh-CN", sections=TaskForm({"type": type_name, "params": {}}).show({}))

    assert phrase in html
    assert not [word for word in ("Longest", "Empty means", "Default:") if word in html]
