"""Delivers the notices that wait in tasks, and writes down what is left of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from functions.books import Books, Decided
from functions.ports import Tell
from functions.rules.notice import Notice
from functions.rules.settlement import Settlement
from functions.rules.storage import Stored
from functions.rules.task import Task
from functions.rules.telling import told

log = logging.getLogger(__name__)

AT_MOST = timedelta(seconds=10)  # for all channels together; they are told in parallel
AT_LEAST = timedelta(seconds=0.5)  # even of a tick that has used up its time

Delivered = Mapping[str, tuple[Notice, tuple[str, ...]]]


async def deliver(
    tasks: Sequence[Stored],
    *,
    tell: Tell,
    books: Books,
    clock: Callable[[], datetime],
    answer_by: datetime | None,
) -> None:
    """Tell people what is pending in *tasks*: one message a channel. What fails waits for a later tick."""
    notices = [notice for stored in tasks for notice in stored.task.alert.pending]
    if not notices:
        return
    within = AT_MOST if answer_by is None else min(AT_MOST, max(AT_LEAST, answer_by - clock()))
    remaining = await tell(notices, within=within)
    outcome = {notice.id: (notice, left) for notice, left in zip(notices, remaining, strict=True)}
    now = clock()
    await books.settle([_told(stored, outcome, now=now) for stored in tasks])


def _told(stored: Stored, outcome: Delivered, *, now: datetime) -> Decided:
    mine = [outcome[notice.id] for notice in stored.task.alert.pending]
    changes, given_up = told(stored.task, mine, now=now)
    for notice in given_up:
        log.error("notice_given_up", extra={"task_id": notice.task_id, "kind": notice.kind})

    def again(task: Task) -> Settlement:
        return Settlement(told(task, mine, now=now)[0], ())

    return Decided(stored, Settlement(changes, ()), again)
