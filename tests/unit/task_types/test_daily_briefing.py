"""`daily_briefing`: what is counted, what is told, and in which words."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from functions.domain.run import Outcome, Run
from functions.domain.task import Job, Task
from functions.domain.types import OutcomeKind
from functions.errors import InputError
from functions.task_types import daily_briefing
from functions.task_types.daily_briefing.facts import collect_facts
from functions.task_types.daily_briefing.text import build_sections, build_summary
from functions.task_types.registry import check_params, run_job
from tests.unit.task_types.conftest import FakeRecords, tools_with

EIGHT = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)  # in Riga
YESTERDAY = EIGHT - timedelta(hours=24)
RIGA = ZoneInfo("Europe/Riga")
MakeTask = Callable[..., Task]


def run(task_id: str, outcome: str = "succeeded", *, ago: float = 60, took_s: float = 1, **more: Any) -> Run:
    """A run that ended *ago* minutes before the briefing."""
    finished = EIGHT - timedelta(minutes=ago)
    given = {
        "task_id": task_id,
        "occurrence": finished,
        "attempt": 1,
        "outcome": outcome,
        "started_at": finished - timedelta(seconds=took_s),
        "finished_at": finished,
    }
    return Run.model_validate(given | more)


@pytest.fixture
def brief(make_job: Callable[..., Job]) -> Callable[..., Any]:
    """Give a briefing about these tasks and runs at eight in Riga."""

    async def give(
        tasks: tuple[Task, ...] = (),
        runs: tuple[Run, ...] = (),
        memory: Mapping[str, Any] | None = None,
        timezone: str = "Europe/Riga",
        **params: Any,
    ) -> Outcome:
        job = make_job(
            "daily_briefing",
            params,
            task_id="briefing",
            timezone=timezone,
            started_at=EIGHT,
            memory=memory or {},
        )
        return await run_job(job, tools_with(records=FakeRecords(tasks, runs)))

    return give


def text_of(outcome: Outcome) -> str:
    """The whole briefing as a person would read it."""
    return "\n".join([outcome.summary, *(f"\n# {item['title']}\n{item['text']}" for item in outcome.items)])


async def test_a_day_when_all_went_well(brief: Callable[..., Any], make_task: MakeTask) -> None:
    tasks = (
        make_task("shop-front", next_occurrence=EIGHT + timedelta(minutes=5), last_outcome="succeeded"),
        make_task("backup", next_occurrence=EIGHT + timedelta(hours=17), last_outcome="succeeded"),
    )
    runs = (
        *(run("shop-front", ago=5 * n, took_s=0.084) for n in range(1, 41)),
        run("backup", took_s=75),
        run("shop-front", "skipped", count=2, skip_reason="overlap", attempt=0),
    )

    outcome = await brief(tasks, runs)

    assert """\
Good morning: 41 runs since yesterday 08:00, all went well; 0 problems

# Runs
41 succeeded
2 skipped: 2 overlap

# Slowest
Backup: 1 min 15 s
Shop front: 84 ms

# Next (Europe/Riga)
today 08:05 Shop front
tomorrow 01:00 Backup""" == text_of(outcome)
    assert outcome.has_news
    assert {"runs": 41, "failed": 0, "failing": 0, "stopped": 0} == outcome.metrics
    assert {"lastAt": "2026-11-20T06:00:00Z", "failing": []} == outcome.memory


async def test_a_day_with_troubles(brief: Callable[..., Any], make_task: MakeTask) -> None:
    tasks = (
        make_task(
            "shop-front",
            consecutive_failures=3,
            last_error="Answered 503, expected 200",
            alert={"failing_since": EIGHT - timedelta(days=2, hours=3)},
            next_occurrence=EIGHT + timedelta(minutes=5),
        ),
        make_task("mirror", consecutive_failures=1, last_error="No answer within 10 s", next_occurrence=None),
        make_task("backup", last_outcome="succeeded", next_occurrence=EIGHT + timedelta(days=3)),
        make_task(
            "report", last_outcome="succeeded", status="retrying", retry_at=EIGHT + timedelta(minutes=1)
        ),
        make_task(
            "billing",
            status="paused",
            next_run_at=None,
            consecutive_failures=5,
            pause={"note": "Failed 5 times in a row: Answered 500", "by": "scheduler"},
        ),
        make_task("winter", status="paused", next_run_at=None, pause={"note": "until spring", "by": "ann"}),
        make_task("crasher", status="quarantined", next_run_at=None, last_error="It took the process down"),
        make_task("garden-news", type="rss_watch", status="ended", next_run_at=None),
    )
    found = ({"title": "Frost tonight"}, {"title": "Bulbs\nare in"})
    runs = (
        run("shop-front", "failed", final=False),
        run("shop-front", "failed", ago=59, attempt=2),
        run("mirror", "timed_out", took_s=10),
        run("backup", "abandoned", ago=300),
        run("backup", ago=200, took_s=61),
        run("report", "cancelled"),
        run("garden-news", has_news=True, metrics={"new": 5}, items=found),
        run("gone", took_s=2.26),
        run("winter", "skipped", skip_reason="misfire", attempt=0),
        run("mirror", "skipped", count=3, skip_reason="overlap", attempt=0),
    )

    outcome = await brief(tasks, runs, title="Garden", maxNext=3)

    assert """\
Garden: 7 runs since yesterday 08:00, 3 failed; 4 problems: Shop front, Mirror, Billing and 1 more

# Failing now (2)
Shop front: failed 3 times in a row since Wed 18 Nov 05:00: Answered 503, expected 200
Mirror: failed once: No answer within 10 s

# Stopped (3)
Billing: paused (Failed 5 times in a row: Answered 500)
Crasher: quarantined (It took the process down)
Winter: paused (until spring)

# Recovered (1)
Backup

# Found
Garden news: 5 new: Frost tonight; Bulbs are in

# Runs
3 succeeded, 3 failed, 1 cancelled, 1 tried again
4 skipped: 3 overlap, 1 misfire

# Slowest
Backup: 1 min 1 s
Mirror: 10.0 s
gone: 2.3 s

# Next (Europe/Riga)
today 08:01 Report
today 08:05 Shop front
today 14:00 Mirror""" == text_of(outcome)
    assert ["shop-front", "mirror"] == outcome.memory["failing"]


async def test_success_that_is_overdue_is_a_problem(brief: Callable[..., Any], make_task: MakeTask) -> None:
    """A digest that says "0 problems" of a task that stands still would be worse than none."""
    silent = make_task(
        "still", alert={"missing_success_notified": True, "failing_since": EIGHT - timedelta(hours=26)}
    )

    outcome = await brief((silent,))

    assert "1 problem: Still" in outcome.summary
    assert "Still: no success since" in outcome.items[0]["text"]


async def test_nothing_at_all(brief: Callable[..., Any]) -> None:
    assert "Good morning: no runs since yesterday 08:00; 0 problems" == text_of(await brief())


@pytest.mark.parametrize(
    ("hour", "greeting"),
    [(0, "Good morning"), (11, "Good morning"), (12, "Good afternoon"), (18, "Good evening")],
)
def test_the_greeting_follows_the_clock_on_the_wall(hour: int, greeting: str) -> None:
    now = datetime(2026, 7, 1, hour, 30, tzinfo=RIGA)
    facts = collect_facts((), (), since=now - timedelta(days=1), now=now)

    assert build_summary(facts, RIGA).startswith(f"{greeting}: ")


async def test_it_goes_on_where_the_last_one_ended(make_job: Callable[..., Job]) -> None:
    """Every run is told of once: not before the last briefing, not after the start of this one."""
    ends = {-1: "failed", 0: "failed", 1: "succeeded", 599: "succeeded", 600: "cancelled", 601: "failed"}
    records = FakeRecords((), [run("a", outcome, ago=ago, took_s=0) for ago, outcome in ends.items()])
    job = make_job(
        "daily_briefing",
        task_id="briefing",
        started_at=EIGHT,
        memory={"lastAt": "2026-11-19T20:00:00Z"},
    )

    outcome = await run_job(job, tools_with(records=records))

    assert [EIGHT - timedelta(minutes=600)] == records.asked_since
    assert (3, 0) == (outcome.metrics["runs"], outcome.metrics["failed"])


@pytest.mark.parametrize(
    ("last_at", "span"),
    [
        ("2020-01-01T00:00:00Z", timedelta(days=31)),
        ("2030-01-01T00:00:00Z", timedelta(days=1)),
        ("2026-11-19T20:00:00", timedelta(days=1)),
        ("yesterday", timedelta(days=1)),
        (7, timedelta(days=1)),
        (None, timedelta(days=1)),
    ],
)
async def test_a_last_time_that_cannot_be_believed_is_not(
    last_at: object, span: timedelta, make_job: Callable[..., Job]
) -> None:
    records = FakeRecords()
    job = make_job("daily_briefing", started_at=EIGHT, memory={"lastAt": last_at})

    await run_job(job, tools_with(records=records))

    assert [EIGHT - span] == records.asked_since


async def test_it_says_nothing_about_itself(brief: Callable[..., Any], make_task: MakeTask) -> None:
    outcome = await brief((make_task("briefing", consecutive_failures=2),), (run("briefing", "failed"),))

    assert "Good morning: no runs since yesterday 08:00; 0 problems" == text_of(outcome)


async def test_tags_choose_the_tasks(brief: Callable[..., Any], make_task: MakeTask) -> None:
    tasks = (make_task("mine", tags=("garden", "x")), make_task("other", tags=("house",)))
    runs = (run("mine"), run("other", "failed"), run("gone", "failed"))

    outcome = await brief(tasks, runs, tags=["garden", "lawn"])

    assert 1 == outcome.metrics["runs"]
    assert "other" not in text_of(outcome).lower()


async def test_what_comes_next_can_be_left_out(brief: Callable[..., Any], make_task: MakeTask) -> None:
    outcome = await brief((make_task("mine"),), includeNext=False)

    assert () == outcome.items


async def test_a_task_that_failed_at_the_last_briefing_is_seen_to_recover(
    brief: Callable[..., Any], make_task: MakeTask
) -> None:
    """It failed before this span and only succeeded in it: the last briefing's reader wants to know."""
    tasks = (
        make_task("well", last_outcome="succeeded"),
        make_task("ill", consecutive_failures=1),
        make_task("idle", last_outcome="cancelled"),
    )

    outcome = await brief(tasks, memory={"failing": ["well", "ill", "idle", "removed", 7]})

    assert {"title": "Recovered (1)", "text": "Well"} in outcome.items


def test_a_success_that_is_overdue_is_no_recovery(make_task: MakeTask) -> None:
    """Its last attempt succeeded, and that was too long ago."""
    silent = make_task("a", last_outcome="succeeded", alert={"missingSuccessNotified": True})

    facts = collect_facts([silent], [], since=YESTERDAY, now=EIGHT, previously_failing=["a"])

    assert (["a"], ()) == ([one.task_id for one in facts.failing], facts.recovered)


def test_a_second_try_that_worked_is_no_recovery(make_task: MakeTask) -> None:
    """The occurrence never failed."""
    runs = [run("a", "failed", ago=2, final=False), run("a", ago=1, attempt=2)]

    facts = collect_facts([make_task("a", last_outcome="succeeded")], runs, since=YESTERDAY, now=EIGHT)

    assert ((), 1) == (facts.recovered, facts.retries)


@pytest.mark.parametrize(("days", "told"), [(0, 1), (2, 0)])
def test_a_one_off_that_failed_is_told_of_once(days: int, told: int, make_task: MakeTask) -> None:
    """It never runs again, so that it would be a problem for ever."""
    task = make_task(
        status="ended",
        consecutive_failures=1,
        last_run_at=EIGHT - timedelta(days=days, hours=1),
        next_run_at=None,
    )

    assert told == len(collect_facts([task], (), since=YESTERDAY, now=EIGHT).failing)


def test_a_running_task_is_announced_for_its_next_occurrence(make_task: MakeTask) -> None:
    """Its `next_run_at` is the end of its claim."""
    upcoming = EIGHT + timedelta(minutes=5)
    task = make_task(status="running", next_occurrence=upcoming, next_run_at=EIGHT + timedelta(seconds=30))

    assert ((upcoming, task.title),) == collect_facts([task], (), since=YESTERDAY, now=EIGHT).upcoming


def test_long_lists_are_cut_between_lines_and_counted(make_task: MakeTask) -> None:
    """No channel shows a hundred lines, and half a line helps nobody."""
    tasks = [
        make_task(
            f"task-{n:03}", title=f"Task {n:03} " + "x" * 150, consecutive_failures=1, last_error="e" * 400
        )
        for n in range(100)
    ]
    facts = collect_facts(tasks, (), since=YESTERDAY, now=EIGHT, max_next=20)

    told = {section["title"]: section["text"] for section in build_sections(facts, RIGA)}

    lines = told["Failing now (100)"].split("\n")
    assert f"and {100 - (len(lines) - 1)} more" == lines[-1]
    assert all(line.endswith("…") for line in lines[:-1])
    assert len(lines) > 2
    assert all(len(text) <= 500 for text in told.values())
    assert len(build_summary(facts, RIGA)) <= 400


async def test_an_unknown_zone_does_not_silence_it(brief: Callable[..., Any]) -> None:
    outcome = await brief(timezone="Atlantis/Centre")

    assert "Good morning: no runs since yesterday 06:00; 0 problems" == outcome.summary


def test_the_same_facts_make_the_same_words(make_task: MakeTask) -> None:
    """Whatever order a store answers in."""
    tasks = [make_task(name, consecutive_failures=1) for name in ("a", "b", "c")]
    runs = [run(name, "failed") for name in ("a", "b", "c")]

    one = collect_facts(tasks, runs, since=YESTERDAY, now=EIGHT, previously_failing=("b", "a"))
    other = collect_facts(tasks[::-1], runs[::-1], since=YESTERDAY, now=EIGHT, previously_failing=("a", "b"))

    assert one == other


def test_every_way_to_fail_counts_as_failed() -> None:
    kinds = [OutcomeKind.FAILED, OutcomeKind.TIMED_OUT, OutcomeKind.ABANDONED]

    facts = collect_facts((), [run("a", kind) for kind in kinds], since=YESTERDAY, now=EIGHT)

    assert (3, 0, 3) == (facts.failed, facts.succeeded, facts.runs)


@pytest.mark.parametrize("params", [{"maxNext": 0}, {"maxNext": 21}, {"tags": [""]}, {"title": "x" * 101}])
def test_what_cannot_be_told_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"params.{next(iter(params))}"):
        check_params("daily_briefing", params)


async def test_too_many_tasks_and_runs_are_cut_and_the_briefing_says_so(
    make_job: Callable[..., Job], make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_briefing, "MAX_TASKS_READ", 2)
    monkeypatch.setattr(daily_briefing, "MAX_RUNS_READ", 3)
    records = FakeRecords(
        (make_task("a"), make_task("b")), tuple(run("a", ago=number) for number in range(3))
    )
    job = make_job("daily_briefing", {}, task_id="briefing", started_at=EIGHT)

    outcome = await run_job(job, tools_with(records=records))

    assert "only the first 2 tasks, by id and only the newest 3 runs" in text_of(outcome)
