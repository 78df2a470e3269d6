"""The commands about events: `events list` and `events publish`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from functions.cli.options import UsageError, parse_json
from functions.cli.session import CliContext
from functions.domain.events import Event
from functions.domain.validation import validation_sentence
from functions.errors import InputError
from functions.services.dependencies import all_subscribers


async def list_events(context: CliContext) -> int:
    """Show the event types that start tasks, with these tasks."""
    subscribers = await all_subscribers(context.store)
    return show_events(
        context, [{"type": type_, "tasks": list(tasks)} for type_, tasks in subscribers.items()]
    )


def show_events(context: CliContext, found: Sequence[Mapping[str, Any]]) -> int:
    """Show the event types *found*; return the exit code."""
    none = ["No task subscribes to an event: give one onEvent: [{type: order.paid}]"]
    lines = [f"{one['type']}: {', '.join(one['tasks'])}" for one in found] or none
    context.screen.show(found, lines)
    context.show_store()
    return 0


async def publish_event(
    context: CliContext,
    *,
    event_type: str,
    data: str,
    source: str,
    subject: str,
    to: str,
    event_id: str,
    all_owners: bool,
) -> int:
    """Start the tasks that subscribe to an event; the same event, by source and id, starts a task once."""
    if to:
        await context.get_task(to)
    event = _parse_event(
        {
            "id": event_id or context.new_id(),
            "type": event_type,
            "source": source,
            "subject": subject,
            "time": context.now(),
            "data": parse_json_object(data),
            "to": to,
            "reach": "all" if all_owners or to else "owner",
        }
    )
    published = await context.app.publish_event(event)
    result = {
        "id": event.id,
        "type": event.type,
        "started": list(published.started),
        "skipped": list(published.skipped),
        "duplicate": list(published.duplicate),
    }
    context.screen.show(result, result_lines(event.type, event.source, result))
    return 0


def _parse_event(given: dict[str, object]) -> Event:
    try:
        return Event.model_validate(given)
    except ValidationError as exc:
        raise InputError(validation_sentence(exc, given)) from None


def parse_json_object(text: str) -> dict[str, object]:
    """Return the JSON object in *text*; raises InputError when it is none."""
    kind = "a JSON object, such as '{\"total\": 12}'"
    data = parse_json(text.strip() or "{}", "--data", kind)
    if not isinstance(data, dict):
        raise UsageError(f"--data: must be {kind}")
    return data


def result_lines(event_type: str, source: str, result: Mapping[str, Any]) -> list[str]:
    """Return the result of an event in sentences."""
    phrases = {  # of one task, and of several
        "started": ("runs at the next tick", "run at the next tick"),
        "skipped": (
            "subscribes, but is paused or has ended; the skip is recorded",
            "subscribe, but are paused or have ended; the skips are recorded",
        ),
        "duplicate": ("has received it before", "have received it before"),
        "refused": ("may not be started by this key", "may not be started by this key"),
    }
    lines = [
        f"{', '.join(tasks)} {one if len(tasks) == 1 else several}"
        for name, (one, several) in phrases.items()
        if (tasks := result.get(name))
    ]
    none = f"No task subscribes to {event_type} from {source}; subscribers: scheduler events list"
    return lines or [f"{none}; another source: --source NAME"]
