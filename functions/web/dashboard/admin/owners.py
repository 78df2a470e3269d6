"""The pages of owners: their plan, credits, and what their tasks may use."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from functions.domain.costs.credits import PlanChange
from functions.domain.validation import Problem, problems_of
from functions.errors import InputError, NotFoundError
from functions.services.access.accounts import set_owner_plan
from functions.web.api.admin import OwnerOut
from functions.web.api.channels import require_admin
from functions.web.dashboard.context import CurrentPage, PageContext
from functions.web.dashboard.forms.fields import SEEN
from functions.web.dashboard.forms.settings_form import SettingsForm, owner_form
from functions.web.dashboard.forms.shown import conflict_text
from functions.web.dashboard.rendering import redirect

router = APIRouter(prefix="/dashboard", include_in_schema=False)

OwnerName = Annotated[str, Query(max_length=100)]


@router.get("/owners")
async def list_owners(context: CurrentPage) -> Response:
    """Show the accounts and the credits used this month."""
    require_admin(context.service.principal)
    found = await context.dependencies.accounts.list_accounts()
    rows = [(OwnerOut.from_account(one), one.level) for one in found.accounts]
    return context.render("owners", rows=rows, unreadable=found.unreadable)


@router.get("/owners/edit")
async def edit_owner(context: CurrentPage, name: OwnerName = "") -> Response:
    """Show the form of an owner, who may be new."""
    require_admin(context.service.principal)
    return _render(context, name.strip(), await _form(context, name.strip()))


@router.post("/owners")
async def set_owner(context: CurrentPage) -> Response:
    """Create an account, or change what was touched of it."""
    typed = await context.read_form()
    require_admin(context.service.principal)
    name = typed.get("name", "").strip()[:100]
    form = await _form(context, name)
    fields, problems = form.read(typed)
    change = _change(fields, form.base)
    given = {to_camel(one): value for one, value in change.items()}
    try:
        PlanChange.model_validate(given)
    except ValidationError as exc:
        problems += problems_of(exc, given, model=PlanChange)
    if not name:
        problems.insert(0, Problem(("name",), "is required"))
    if problems or typed.get("do") != "save":
        return _render(context, name, form, typed=typed, problems=problems)
    if labels := form.conflicts(typed):
        is_new = typed[SEEN] == owner_form({}).version
        labels = [context.words(one) for one in labels]
        return _render(
            context,
            name,
            form,
            typed=typed | {SEEN: form.version},
            fault=conflict_text(labels, is_new=is_new),
        )
    try:
        await set_owner_plan(
            context.dependencies.accounts,
            context.dependencies.store,
            name,
            change,
            by=context.service.principal,
            now=context.dependencies.now(),
            new_id=context.dependencies.new_id,
        )
    except InputError as exc:
        return _render(context, name, form, typed=typed, problems=[Problem((), str(exc))])
    return redirect("/dashboard/owners", message=f"{name} is set")


def _change(fields: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `set_plan` is to change; credits always, which repairs an account that cannot be read."""
    amount = fields.get("monthlyCredits")
    change: dict[str, Any] = {}
    if fields.get("plan", "") != base.get("plan", ""):
        change["plan"] = fields.get("plan", "")
    change |= {"monthly_credits": amount, "unlimited": amount is None}
    if fields.get("maxTasks") != base.get("maxTasks"):
        limit = fields.get("maxTasks")
        change |= {"default_max_tasks": True} if limit is None else {"max_tasks": limit}
    if fields.get("resetUsed") is True:
        change["reset_used"] = True
    if fields.get("capabilities") != base.get("capabilities"):
        change["capabilities"] = fields.get("capabilities") or {}
    return change


async def _form(context: PageContext, name: str) -> SettingsForm:
    base: dict[str, Any] = {}
    if name:
        try:
            account = await context.dependencies.accounts.get(name)
            base = OwnerOut.from_account(account).model_dump(mode="json", by_alias=True)
        except (NotFoundError, InputError):
            base = {}  # a new one, or one that cannot be read
    return owner_form(base)


def _render(
    context: PageContext,
    name: str,
    form: SettingsForm,
    *,
    typed: Mapping[str, str] | None = None,
    problems: Sequence[Problem] = (),
    fault: str = "",
) -> Response:
    return context.render(
        "settings_form",
        status=422 if problems or fault else 200,
        title=f"Owner {name}" if name else "New owner",
        action="/dashboard/owners",
        back="/dashboard/owners",
        owner_name=name,
        groups=form.show(typed or {}, problems),
        summary=form.summary(problems),
        fault=fault,
        seen=(typed or {}).get(SEEN) or form.version,
    )
