"""What is not touched is not changed: a form that comes back as a browser sends it is the same task."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from functions.domain.lifecycle.edit import new_task
from functions.task_types.registry import type_names
from functions.web.dashboard.forms.task_form import TaskForm, base_of
from functions.web.dashboard.rendering import render
from tests.conftest import NOON
from tests.support.html_forms import form_fields
from tests.unit.web.dashboard.forms.samples import PARAMS, same_json, specs

pytestmark = pytest.mark.slow  # many requests, or many files: seconds of a processor together


def sent_unchanged(form: TaskForm) -> dict[str, str]:
    """What a browser sends of the fields when nothing was typed."""
    html = render("all_fields.html", sections=form.show({}))
    return form_fields(html, form_id="task")


def test_there_are_samples_of_every_type() -> None:
    assert set(type_names()) == set(PARAMS), "give samples of its params in samples.py"


@pytest.mark.parametrize("type_name", sorted(PARAMS))
@settings(
    max_examples=8,  # 25 ms each: a whole form is rendered, read as HTML, and read as a form
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(data=st.data())
def test_what_is_not_touched_is_not_changed(type_name: str, data: st.DataObject) -> None:
    """Sent back unchanged, or with one other field changed, each value is the same, in its order and type."""
    task = new_task(data.draw(specs(type_name)), now=NOON, origin="test")
    form = TaskForm(base_of(task), is_new=False)
    sent = sent_unchanged(form)

    fields, problems = form.read(sent)
    retitled, more = form.read(sent | {"title": "Another title"})

    assert [] == problems == more
    assert same_json(base_of(task), fields)
    assert same_json(base_of(task) | {"title": "Another title"}, retitled)
