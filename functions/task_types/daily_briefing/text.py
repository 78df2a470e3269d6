"""The words of a briefing: one sentence that says it all, and a section for each thing worth reading."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from functions.task_types.daily_briefing.facts import Facts, Failing, Found, Stopped

SECTION_CHARS = 500
NAMED = 3  # problems called by name in the sentence
_TITLE_CHARS = 60
_NOTE_CHARS = 120
_DAYS = {-1: "yesterday", 0: "today", 1: "tomorrow"}


def sentence(facts: Facts, zone: ZoneInfo, *, title: str = "") -> str:
    """E.g. `Good morning: 42 runs since yesterday 08:00, all went well; 0 problems`.

    Args:
        title: Stands in place of the greeting.
    """
    opening = title or _greeting(facts.now.astimezone(zone))
    return f"{opening}: {_runs(facts)} since {_moment(facts.since, facts.now, zone)}{_verdict(facts)}"


def sections(facts: Facts, zone: ZoneInfo) -> tuple[dict[str, str], ...]:
    """What to read below the sentence: titles and texts, the troubles first; empty sections are left out."""
    told = (
        (f"Failing now ({len(facts.failing)})", [_failing(one, facts, zone) for one in facts.failing]),
        (f"Stopped ({len(facts.stopped)})", [_stopped(one) for one in facts.stopped]),
        (f"Recovered ({len(facts.recovered)})", [_short(title) for title in facts.recovered]),
        ("Found", [_found(one) for one in facts.found]),
        ("Runs", _counts(facts)),
        ("Slowest", [f"{_short(title)}: {_duration(ms)}" for title, ms in facts.slowest]),
        (
            f"Next ({zone.key})",
            [f"{_moment(at, facts.now, zone)} {_short(title)}" for at, title in facts.ahead],
        ),
    )
    return tuple({"title": title, "text": _fitting(lines)} for title, lines in told if lines)


def _greeting(local: datetime) -> str:
    if local.hour < 12:
        return "Good morning"
    return "Good afternoon" if local.hour < 18 else "Good evening"


def _runs(facts: Facts) -> str:
    return "no runs" if not facts.runs else _many(facts.runs, "run")


def _verdict(facts: Facts) -> str:
    """How the runs went, then what needs somebody now."""
    went = ""
    if facts.failed:
        went = f", {facts.failed} failed"
    elif facts.runs:
        went = ", all went well" if not facts.cancelled else ", none failed"
    names = [one.title for one in facts.failing] + [one.title for one in facts.stopped if not one.by_person]
    named = ", ".join(_short(name) for name in names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{went}; {_many(len(names), 'problem')}" + (f": {named}{more}" if names else "")


def _failing(one: Failing, facts: Facts, zone: ZoneInfo) -> str:
    since = f" since {_moment(one.since, facts.now, zone)}" if one.since else ""
    if not one.failures:  # it did not fail: it did not run, or not to its end
        return f"{_short(one.title)}: no success{since}"
    times = "once" if one.failures == 1 else f"{one.failures} times in a row"
    return f"{_short(one.title)}: failed {times}{since}" + (f": {_note(one.error)}" if one.error else "")


def _stopped(one: Stopped) -> str:
    return f"{_short(one.title)}: {one.status}" + (f" ({_note(one.note)})" if one.note else "")


def _found(one: Found) -> str:
    headlines = "; ".join(_short(headline) for headline in one.headlines[:NAMED])
    return f"{_short(one.title)}: {one.count} new" + (f": {headlines}" if headlines else "")


def _counts(facts: Facts) -> list[str]:
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


def _fitting(lines: Sequence[str]) -> str:
    """As many whole lines as fit, and how many more there are."""
    kept: list[str] = []
    for line in lines:
        left = len(lines) - len(kept) - 1
        longer = "\n".join((*kept, line, *_more(left)))
        if len(longer) > SECTION_CHARS:
            break
        kept.append(line)
    return "\n".join((*kept, *_more(len(lines) - len(kept))))


def _more(left: int) -> Iterable[str]:
    return [f"and {left} more"] if left else []


def _moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """*at* on the clocks of *zone*, its day as said on the day of *now*."""
    local = at.astimezone(zone)
    days: timedelta = local.date() - now.astimezone(zone).date()
    day = _DAYS.get(days.days) or f"{local:%a} {local.day} {local:%b}"
    return f"{day} {local:%H:%M}"


def _duration(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms // 60_000} min {ms % 60_000 // 1000} s"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _short(title: str) -> str:
    return _line(title, _TITLE_CHARS)


def _note(text: str) -> str:
    return _line(text, _NOTE_CHARS)


def _line(text: str, limit: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
