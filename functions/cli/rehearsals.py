"""The command `rehearse`, and its lines in `plan`: what alert rules would have sent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from functions.cli.options import UsageError, format_local, parse_json
from functions.cli.session import CliContext
from functions.domain.task import Task, TaskSpec
from functions.domain.types import parse_stored_instant
from functions.domain.validation import validation_sentence
from functions.errors import InputError
from functions.services.access.view import OwnerView
from functions.services.apply import PlannedChange
from functions.services.rehearsals import ChannelPlan, RehearsalReport, rehearse_for
from functions.taskfiles.validation import check_task, merge_fields

MAX_REHEARSED = 20  # tasks of a plan; each reads up to 2,000 records
RULE_FIELDS = {"notify", "pauseAfterFailures", "expectSeconds", "priority"}
SHOWN = 40  # messages; the others are in --json


async def rehearse_task(context: CliContext, *, task_id: str, notify: str, quiet: str) -> int:
    """Show which messages rules would have sent in the last 30 days."""
    task = await context.get_task(task_id)
    body = _read_body(notify, quiet, zone=task.timezone)
    if context.is_remote:
        data = await context.api.request("POST", f"/api/tasks/{task_id}/rehearse", body)
    else:
        data = to_json(await _rehearse_here(context, task, body))
    context.screen.show(data, list(lines_of(data, task.timezone)))
    return 0


def _read_body(notify: str, quiet: str, *, zone: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if notify:
        rules = parse_json(notify, "--notify", 'JSON, such as \'[{"on": ["failure"], "after": 2}]\'')
        body["notify"] = rules if isinstance(rules, list) else [rules]
    if quiet:
        start, dash, end = quiet.partition("-")
        if not dash:
            raise UsageError("--quiet: must be hours of the task's zone, such as 22:00-07:00")
        body["quiet"] = [{"from": start.strip(), "to": end.strip(), "timezone": zone}]
    return body


async def _rehearse_here(context: CliContext, task: Task, body: Mapping[str, Any]) -> RehearsalReport:
    given = {name: value for name, value in body.items() if name in RULE_FIELDS}
    spec = check_task(merge_fields(task, given), runs_when_asked=True)
    if not isinstance(spec, TaskSpec):
        raise InputError("; ".join(f"{problem.field}: {problem.reason}" for problem in spec))
    return await rehearse_for(OwnerView(context.store, ""), context.app, task, spec, plan=_plan_of(body))


def _plan_of(body: Mapping[str, Any]) -> ChannelPlan:
    hours = {name: value for name, value in body.items() if name not in RULE_FIELDS}
    try:
        return ChannelPlan.model_validate(hours)
    except ValidationError as exc:
        raise InputError(validation_sentence(exc, hours, model=ChannelPlan)) from None


async def rehearse_changes(
    context: CliContext, changes: Sequence[PlannedChange], specs: Sequence[TaskSpec]
) -> dict[str, dict[str, Any]]:
    """Return what the new rules of changed tasks would have sent; of the first `MAX_REHEARSED` of them."""
    changed = [one.id for one in changes if one.action == "update" and RULE_FIELDS & set(one.fields)]
    known = {spec.id: spec for spec in specs}
    found = await context.store.get_tasks(changed[:MAX_REHEARSED])
    return {
        stored.task.id: await _rehearse_change(context, stored.task, known[stored.task.id])
        for stored in found.tasks
    }


async def _rehearse_change(context: CliContext, task: Task, spec: TaskSpec) -> dict[str, Any]:
    if not context.is_remote:
        return to_json(await rehearse_for(OwnerView(context.store, ""), context.app, task, spec))
    given = spec.model_dump(mode="json", by_alias=True)
    body = {name: given[name] for name in sorted(RULE_FIELDS)}
    report: dict[str, Any] = await context.api.request("POST", f"/api/tasks/{task.id}/rehearse", body)
    return report


def summaries_of(rehearsed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each task of `rehearse_changes`."""
    return [f"{task_id}: {report['summary']}" for task_id, report in rehearsed.items()]


def to_json(report: RehearsalReport) -> dict[str, Any]:
    """Return *report* as the API does."""
    return {
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "records": report.records,
        "summary": report.summary(),
        "messages": [
            {"at": one.at.isoformat(), "channel": one.channel, "kinds": list(one.kinds), "text": one.text}
            for one in report.messages
        ],
        "present": report.present,
        "held": list(report.held),
        "notes": list(report.notes),
    }


def lines_of(data: Mapping[str, Any], zone: str) -> Iterator[str]:
    """Yield a rehearsal, as the API returns it, for people."""
    read = "1 run record" if data["records"] == 1 else f"{data['records']:,} run records"
    yield f"{data['summary']} ({read} read)"
    for one in data["messages"][:SHOWN]:
        yield ""
        yield f"{format_local(parse_stored_instant(one['at']), zone)}  to {one['channel']}"
        yield from (f"  {line}" for line in one["text"].splitlines())
    if len(data["messages"]) > SHOWN:
        yield f"... and {len(data['messages']) - SHOWN} more; --json has all"
    if data["held"]:
        yield ""
        yield "still held back now:"
        yield from (f"  {text.splitlines()[0]}" for text in data["held"] if text)
    if data["notes"]:
        yield ""
        yield from (f"note: {note}" for note in data["notes"])
