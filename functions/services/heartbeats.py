"""The addresses of heartbeats, and what is written when one is called.

An address is a signed name, as of a public link, so that a guess costs no read of the store; how many were
revoked is kept in the task. A call costs one read and one write; its output, or a failure, a record more.
"""

from collections.abc import Callable
from datetime import datetime

from functions.domain.heartbeat.model import HEARTBEAT, HeartbeatState, Ping
from functions.domain.heartbeat.transitions import receive_ping
from functions.domain.lifecycle.complete import Transition
from functions.domain.task import Task
from functions.errors import InputError, NotFoundError, StateError
from functions.interfaces import TaskStore
from functions.services.access.public_links import read_name, sign_name, task_subject
from functions.services.access.signing import NOTHING_TO_SIGN_WITH, Signer
from functions.services.compare_and_set import update_task

NOTHING_THERE = "There is nothing at this address"


async def ping_name(signer: Signer, task: Task) -> str:
    """Return the name of the heartbeat in its address, `/ping/NAME`.

    Raises:
        StateError: The task is no heartbeat.
        InputError: There is no secret to sign with.
    """
    if task.type != HEARTBEAT:
        raise StateError(f"{task.id} is no heartbeat, so it has no address to call: its type is {task.type}")
    if not signer.is_ready:
        raise InputError(NOTHING_TO_SIGN_WITH)
    return await sign_name(signer, "ping", task_subject(task), revoked=_address_number(task))


async def is_ping_name(signer: Signer, name: str) -> bool:
    """Whether *name* is one that we signed; reads nothing."""
    return await read_name(signer, "ping", name) is not None


async def record_ping(
    store: TaskStore, signer: Signer, name: str, ping: Ping, *, now: datetime, new_id: Callable[[], str]
) -> Task:
    """Write what follows from a call of the address `/ping/NAME`; return the task after it.

    Raises:
        NotFoundError: There is no such address, or no longer.
        StoreUnavailableError: It is not known whether the call was written.
    """
    found = await read_name(signer, "ping", name)
    if found is None:
        raise NotFoundError(NOTHING_THERE)
    subject, number = found

    def decide(task: Task) -> Transition:
        if task.type != HEARTBEAT or (task_subject(task), _address_number(task)) != (subject, number):
            raise NotFoundError(NOTHING_THERE)
        return receive_ping(task, ping, now=now)

    task_id = subject.partition("~")[0]
    return (await update_task(store, task_id, decide, now=now, new_id=new_id)).task


def revoke_address(task: Task) -> Transition:
    """Revoke the address of a heartbeat; the next one cannot be derived from it.

    Raises:
        StateError: The task is no heartbeat.
    """
    if task.type != HEARTBEAT:
        raise StateError(f"{task.id} is no heartbeat, so it has no address to revoke")
    state = task.heartbeat or HeartbeatState()
    return Transition({"heartbeat": state.model_copy(update={"address": state.address + 1})}, ())


def _address_number(task: Task) -> int:
    return task.heartbeat.address if task.heartbeat else 0
