"""The commands about events: `events list` and `events publish`."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from functions.commands.session import Session
from functions.errors import InputError
from functions.following import all_listeners
from functions.rules.events import Event


async def list_events(session: Session) -> int:
    """Show the types of events that tasks listen to, with these tasks."""
    heard = await all_listeners(session.store)
    none = ["No task listens to an event: give one onEvent: [{type: order.paid}]"]
    told = [f"{type_}: {', '.join(tasks)}" for type_, tasks in heard.items()] or none
    session.screen.answer([{"type": type_, "tasks": list(tasks)} for type_, tasks in heard.items()], told)
    return 0


async def publish(
    session: Session, *, event_type: str, data: str, source: str, subject: str, to: str, event_id: str
) -> int:
    """Let the tasks that listen hear an event; the same one, by source and id, is heard once."""
    event = _event(
        {
            "id": event_id or session.new_id(),
            "type": event_type,
            "source": source,
            "subject": subject,
            "time": session.now(),
            "data": object_of(data),
            "to": to,
        }
    )
    heard = await session.wired.announce(event)
    answer = {
        "id": event.id,
        "type": event.type,
        "started": list(heard.started),
        "skipped": list(heard.skipped),
        "known": list(heard.known),
    }
    session.screen.answer(answer, list(lines(event.type, answer)))
    return 0


def _event(given: dict[str, object]) -> Event:
    try:
        return Event.model_validate(given)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InputError(f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}") from None


def object_of(text: str) -> dict[str, object]:
    """The JSON object that was typed. Raises InputError when it is none."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'") from None
    if not isinstance(data, dict):
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'")
    return data


def lines(event_type: str, answer: Mapping[str, Any]) -> list[str]:
    """What became of an event, in sentences."""
    said = {
        "started": "run at the next tick",
        "skipped": "listen, but are paused or have ended; it is on record",
        "known": "had heard it before",
    }
    told = [f"{', '.join(answer[name])} {words}" for name, words in said.items() if answer[name]]
    return told or [f"No task listens to {event_type}"]
