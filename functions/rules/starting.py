"""What starts a task, in words: its schedule, the end of other tasks, events."""

from functions.errors import InputError
from functions.rules.schedule_words import in_words
from functions.rules.task import TaskFields

ENDS = {"success": "after {task}", "failure": "when {task} fails", "finished": "whenever {task} ends"}


def starts(task: TaskFields) -> str:
    """What starts *task*, e.g. `Every hour, or after fetch`; a schedule nobody can read stays as it is."""
    found = []
    if task.schedule:
        try:
            found.append(in_words(task.schedule, timezone=task.timezone, task_id=task.id))
        except InputError:
            found.append(task.schedule)
    found += [ENDS[one.on].format(task=one.task) for one in task.after]
    found += [f"on {one.type}" + (f" from {one.source}" if one.source else "") for one in task.on_event]
    words = ", or ".join(found)
    return words[:1].upper() + words[1:] if not task.schedule else words
