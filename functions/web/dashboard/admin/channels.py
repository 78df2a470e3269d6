"""The pages of channels: their state and last error, a test, and their preferences."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.validation import Problem
from functions.errors import InputError, NotFoundError
from functions.web.api.channels import apply_channel_changes, require_admin, send_test
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms.fields import SEEN
from functions.web.dashboard.forms.settings_form import SettingsForm, channel_form
from functions.web.dashboard.forms.shown import conflict_text
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

ChannelName = Annotated[str, Path(max_length=50)]
PREFERENCES = ("quiet", "maintenance", "digest", "ratePerMinute")


@router.get("/channels")
async def list_channels(context: CurrentPage) -> Response:
    """Show the configured channels: whether they are open, and what their last messages met."""
    require_admin(context.service.principal)
    found = await context.dependencies.channels.settings()
    rows = [(name, one, context.dependencies.channels.is_open(name, one)) for name, one in found.items()]
    return context.render("channels", rows=rows)


@router.get("/channels/{name}")
async def edit_channel(context: CurrentPage, name: ChannelName) -> Response:
    """Show the form with the preferences of a channel."""
    return _render(context, name, await _preferences(context, name))


@router.post("/channels/{name}")
async def update_channel(context: CurrentPage, name: ChannelName) -> Response:
    """Change the preferences that were touched in the form."""
    typed = await context.read_form()
    stored = await _preferences(context, name)
    form = _form(context, stored)
    fields, problems = form.read(typed)
    if typed.get("do") != "save" or problems:
        return _render(context, name, stored, typed=typed, problems=problems)
    if labels := form.conflicts(typed):
        fault = conflict_text([context.words(one) for one in labels])
        return _render(context, name, stored, typed=typed | {SEEN: form.version}, fault=fault)
    changes = {one: fields.get(one) for one in PREFERENCES if fields.get(one) != form.base.get(one)}
    try:
        if changes:
            await apply_channel_changes(context.service.principal, context.dependencies, name, changes)
    except InputError as exc:
        field, _, reason = str(exc).partition(": ")
        steps = tuple(step for step in field.replace("[", ".").replace("]", "").split(".") if step)
        problems = form.at_rows(typed, [Problem(steps, reason)])
        return _render(context, name, stored, typed=typed, problems=problems)
    return redirect("/dashboard/channels", message=f"{name} is changed")


@router.post("/channels/{name}/{verb}")
async def run_channel_action(context: CurrentPage, name: ChannelName, verb: str) -> Response:
    """Send a test message, or enable or disable the channel."""
    await context.read_form()
    try:
        if verb == "test":
            sent = await send_test(context.service.principal, context.dependencies, name)
            message = f"{name}: the test message was {'accepted' if sent.ok else 'not accepted'}"
            message += f" ({sent.detail})" if sent.detail else ""
        else:
            await apply_channel_changes(
                context.service.principal, context.dependencies, name, {"enabled": verb == "enable"}
            )
            message = f"{name} is {'on' if verb == 'enable' else 'off'}"
    except InputError as exc:
        message = str(exc)
    return redirect("/dashboard/channels", message=message)


async def _preferences(context: PageContext, name: str) -> ChannelPreferences:
    require_admin(context.service.principal)
    found = (await context.dependencies.channels.settings()).get(name)
    if found is None:
        raise NotFoundError(f"There is no channel {name!r}")
    return found


def _form(context: PageContext, stored: ChannelPreferences) -> SettingsForm:
    return channel_form(stored.model_dump(mode="json", by_alias=True), zone=context.zone)


def _render(
    context: PageContext,
    name: str,
    stored: ChannelPreferences,
    *,
    typed: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
    fault: str = "",
) -> Response:
    form = _form(context, stored)
    return context.render(
        "settings_form",
        status=422 if problems or fault else 200,
        title=f"Channel {name}",
        action=f"/dashboard/channels/{name}",
        back="/dashboard/channels",
        groups=form.show(typed or {}, problems),
        summary=form.summary(problems),
        fault=fault,
        seen=(typed or {}).get(SEEN) or form.version,
    )
