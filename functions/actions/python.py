"""Task type `python`: a function of your own, from the modules that PYTHON_TASKS lists."""

import asyncio
import inspect
import logging
from typing import Annotated, Any

from pydantic import Field, JsonValue, StringConstraints

from functions.actions.callables.answers import outcome_of, raised
from functions.actions.callables.naming import NAME, check_allowed, check_arguments, load, wants_job
from functions.actions.callables.threads import Threads, TooManyError
from functions.actions.tools import Tools
from functions.errors import InputError
from functions.rules.job import Job
from functions.rules.outcome import Outcome, failed
from functions.rules.words import Model, OutcomeKind

EXAMPLE: dict[str, Any] = {
    "callable": "jobs.invoices:send_reminders",
    "args": ["overdue"],
    "kwargs": {"limit": 50},
}
NO_REFERENCES = ("callable",)
SPARE_S = 0.25  # before the attempt's own end, to say that the thread goes on
log = logging.getLogger(__name__)
_threads = Threads()


class Params(Model):
    """What to call.

    Attributes:
        callable: `package.module:function`.
        kwargs: Arguments by name. A function with a parameter `job` is given the job as well.
    """

    callable: Annotated[str, StringConstraints(pattern=NAME, max_length=200)]
    args: Annotated[list[JsonValue], Field(max_length=50)] = Field(default_factory=list)
    kwargs: Annotated[dict[str, JsonValue], Field(max_length=50)] = Field(default_factory=dict)


async def perform(job: Job, params: Params, tools: Tools) -> Outcome:
    """Call the function once: an async one in the loop, any other in a thread of its own."""
    check_allowed(params.callable, tools.python_tasks)
    if _threads.is_running(job.task_id):
        return failed("An earlier run's thread has not ended yet; nothing was started beside it")
    try:
        async with asyncio.timeout(max(job.timeout_s - SPARE_S, job.timeout_s / 2)) as time:
            answer = await _called(job, params, tools)
    except TimeoutError as exc:
        return _timed_out(job, params) if time.expired() else raised(exc)
    except asyncio.CancelledError as exc:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            _tell_if_left(job, params)
            raise
        return raised(exc)  # the function's own doing
    except InputError:
        raise
    except TooManyError:
        return failed("Too many functions are under way in this process; it is tried again later")
    except (Exception, SystemExit) as exc:  # noqa: BLE001  # whatever the function raises is its outcome
        return raised(exc)
    return outcome_of(answer, params.callable)


async def _called(job: Job, params: Params, tools: Tools) -> Any:
    def blocking() -> Any:
        function = load(params.callable, tools.python_tasks)
        kwargs: dict[str, Any] = dict(params.kwargs)
        if wants_job(function):
            kwargs.setdefault("job", job)
        check_arguments(function, params.args, kwargs)
        return function(*params.args, **kwargs)

    answer = await _threads.run(job.task_id, blocking)  # of an async function: what is still to be awaited
    return await answer if inspect.isawaitable(answer) else answer


def _timed_out(job: Job, params: Params) -> Outcome:
    reason = f"{params.callable} did not return within {job.timeout_s:g} s"
    if _tell_if_left(job, params):
        reason += "; its thread cannot be ended and goes on"
    return Outcome(OutcomeKind.TIMED_OUT, reason)


def _tell_if_left(job: Job, params: Params) -> bool:
    """Whether a thread is left behind; then the log says so as well."""
    if not _threads.is_running(job.task_id):
        return False
    log.warning("python_task_goes_on", extra={"task_id": job.task_id, "callable": params.callable})
    return True
