"""The text of a briefing: one sentence as a summary, and a section for each kind of fact."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from functions.domain.types import to_local
from functions.task_types.daily_briefing.facts import BriefingFacts, FailingTask, NewItems, PausedTask

MAX_SECTION_CHARS = 500
MAX_NAMED = 3  # problems that the summary names
_MAX_TITLE_CHARS = 60
_MAX_NOTE_CHARS = 120
_RELATIVE_DAYS = {-1: "yesterday", 0: "today", 1: "tomorrow"}


def build_summary(facts: BriefingFacts, zone: ZoneInfo, *, title: str = "") -> str:
    """Return the summary, e.g. `Good morning: 42 runs since yesterday 08:00, all went well; 0 problems`.

    Args:
        title: In place of the greeting.
    """
    opening = title or _greeting(to_local(facts.now, zone))
    since = _format_instant(facts.since, facts.now, zone)
    return f"{opening}: {_count_runs(facts)} since {since}{_result_summary(facts)}"


def build_sections(facts: BriefingFacts, zone: ZoneInfo) -> tuple[dict[str, str], ...]:
    """Return the sections below the summary, problems first; empty ones are left out."""
    sections = (
        (f"Failing now ({len(facts.failing)})", [_failing_line(one, facts, zone) for one in facts.failing]),
        (f"Stopped ({len(facts.paused)})", [_paused_line(one) for one in facts.paused]),
        (f"Recovered ({len(facts.recovered)})", [_short_title(title) for title in facts.recovered]),
        ("Found", [_new_items_line(one) for one in facts.new_items]),
        ("Runs", _count_lines(facts)),
        ("Slowest", [f"{_short_title(title)}: {_format_duration(ms)}" for title, ms in facts.slowest]),
        (
            f"Next ({zone.key})",
            [f"{_format_instant(at, facts.now, zone)} {_short_title(title)}" for at, title in facts.upcoming],
        ),
    )
    return tuple({"title": title, "text": _fit_lines(lines)} for title, lines in sections if lines)


def _greeting(local: datetime) -> str:
    if local.hour < 12:
        return "Good morning"
    return "Good afternoon" if local.hour < 18 else "Good evening"


def _count_runs(facts: BriefingFacts) -> str:
    return "no runs" if not facts.runs else _pluralize(facts.runs, "run")


def _result_summary(facts: BriefingFacts) -> str:
    """Return the results of the runs, then the problems that need a user."""
    went = ""
    if facts.failed:
        went = f", {facts.failed} failed"
    elif facts.runs:
        went = ", all went well" if not facts.cancelled else ", none failed"
    names = [one.title for one in facts.failing] + [one.title for one in facts.paused if not one.by_user]
    named = ", ".join(_short_title(name) for name in names[:MAX_NAMED])
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{went}; {_pluralize(len(names), 'problem')}" + (f": {named}{more}" if names else "")


def _failing_line(one: FailingTask, facts: BriefingFacts, zone: ZoneInfo) -> str:
    since = f" since {_format_instant(one.since, facts.now, zone)}" if one.since else ""
    if not one.failures:  # it did not run, or not to its end
        return f"{_short_title(one.title)}: no success{since}"
    times = "once" if one.failures == 1 else f"{one.failures} times in a row"
    return f"{_short_title(one.title)}: failed {times}{since}" + (
        f": {_short_note(one.error)}" if one.error else ""
    )


def _paused_line(one: PausedTask) -> str:
    return f"{_short_title(one.title)}: {one.status}" + (f" ({_short_note(one.note)})" if one.note else "")


def _new_items_line(one: NewItems) -> str:
    headlines = "; ".join(_short_title(headline) for headline in one.headlines[:MAX_NAMED])
    return f"{_short_title(one.title)}: {one.count} new" + (f": {headlines}" if headlines else "")


def _count_lines(facts: BriefingFacts) -> list[str]:
    counted = (
        (facts.succeeded, f"{facts.succeeded} succeeded"),
        (facts.failed, f"{facts.failed} failed"),
        (facts.cancelled, f"{facts.cancelled} cancelled"),
        (facts.retries, f"{facts.retries} tried again"),
    )
    lines = [", ".join(text for count, text in counted if count)]
    if facts.skipped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in facts.skipped)
        lines.append(f"{sum(count for _, count in facts.skipped)} skipped: {reasons}")
    return [line for line in lines if line]


def _fit_lines(lines: Sequence[str]) -> str:
    """Return as many whole lines as fit, and the number of the others."""
    fitting: list[str] = []
    for line in lines:
        left = len(lines) - len(fitting) - 1
        longer = "\n".join((*fitting, line, *_omitted_lines(left)))
        if len(longer) > MAX_SECTION_CHARS:
            break
        fitting.append(line)
    return "\n".join((*fitting, *_omitted_lines(len(lines) - len(fitting))))


def _omitted_lines(left: int) -> Iterable[str]:
    return [f"and {left} more"] if left else []


def _format_instant(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return *at* in *zone*, e.g. `tomorrow 08:00`; the day is relative to *now* where it can be."""
    local = to_local(at, zone)
    days: timedelta = local.date() - to_local(now, zone).date()
    day = _RELATIVE_DAYS.get(days.days) or f"{local:%a} {local.day} {local:%b}"
    return f"{day} {local:%H:%M}"


def _format_duration(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms // 60_000} min {ms % 60_000 // 1000} s"


def _pluralize(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _short_title(title: str) -> str:
    return _single_line(title, _MAX_TITLE_CHARS)


def _short_note(text: str) -> str:
    return _single_line(text, _MAX_NOTE_CHARS)


def _single_line(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
