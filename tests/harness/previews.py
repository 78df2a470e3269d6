"""The previews of docs/reference/notifications.md: each kind of message as it is rendered today, and mails.

python -m tests.harness.previews   writes both anew; the pictures need chromium
"""

import re
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from functions.domain.alerts.model import Notification, NotificationKind, NotificationTrigger
from functions.notifications.channels import email
from functions.notifications.rendering.digest import LIMITS, Locale, to_plain_text
from tests.conftest import NOON

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "reference" / "notifications.md"
PICTURES = ROOT / "docs" / "images"
MARKS = ("<!-- previews -->\n", "<!-- end of previews -->\n")
VOICE = Locale.from_settings({"PUBLIC_URL": "https://cron.example.com"})
KINDS: tuple[NotificationKind, ...] = tuple(
    dict.fromkeys(
        [
            *get_args(NotificationTrigger),
            *("reminder", "stable", "removed", "channel", "undelivered", "credits", "test"),
        ]
    )
)
SHOP: dict[str, Any] = {
    "task_id": "shop-front",
    "title": "Shop front answers",
    "type": "health_check_url",
    "schedule": "*/5 * * * *",
    "timezone": "Europe/Riga",
    "occurrence": NOON,
    "at": NOON + timedelta(seconds=4),
}
TULIPS = (
    {"title": "Tulips are in", "url": "https://news.example.com/tulips", "text": "First boxes are sold."},
    {"title": "Bulbs get dearer", "url": "https://news.example.com/bulbs"},
    {"title": "A garden show in May", "url": "https://news.example.com/show"},
)
DIFFERENT: dict[NotificationKind, dict[str, Any]] = {
    "failure": {
        "summary": "Answered 503, expected 200",
        "since": NOON,
        "failures": 1,
        "attempt": 3,
        "duration_ms": 3100,
        "last_success_at": NOON - timedelta(minutes=5),
        "next_run_at": NOON + timedelta(minutes=5),
    },
    "recovery": {
        "summary": "Answered 200 in 84 ms",
        "since": NOON - timedelta(hours=2, minutes=10),
        "failures": 26,
        "duration_ms": 84,
    },
    "success": {"summary": "Answered 200 in 84 ms", "duration_ms": 84},
    "paused": {
        "summary": "Failed 5 times in a row: Answered 503, expected 200",
        "since": NOON - timedelta(minutes=20),
        "failures": 5,
    },
    "news": {
        "task_id": "tulips",
        "title": "Tulip prices",
        "type": "agent",
        "schedule": "0 7 * * *",
        "summary": "Three things about tulips since yesterday",
        "items": TULIPS,
        "duration_ms": 8200,
    },
    "flapping": {"summary": "6 changes within its last 20 runs", "since": NOON - timedelta(hours=1)},
    "stable": {"summary": "Answered 200 in 84 ms"},
    "removed": {
        "summary": "by alice; last: Answered 503, expected 200",
        "since": NOON - timedelta(hours=4),
        "failures": 48,
    },
    "late": {"summary": "Due at 2026-11-20T12:00:00Z, looked at 14 min later: was the scheduler pinged?"},
    "silent": {"summary": "No success since 2026-11-20T09:00:00Z", "since": NOON - timedelta(hours=3)},
    "reminder": {
        "summary": "Answered 503, expected 200",
        "since": NOON - timedelta(hours=4),
        "failures": 48,
        "last_success_at": NOON - timedelta(hours=4, minutes=5),
    },
    "channel": {
        "title": "slack",
        "schedule": "",
        "summary": "HTTP 404 no_service: mend SLACK_WEBHOOK_URL. Then: scheduler channels enable slack",
    },
    "undelivered": {
        "summary": "failure: Answered 503, expected 200 (not delivered: email: code 554)",
    },
    "credits": {
        "title": "alice",
        "schedule": "",
        "summary": "80 of the 100 credits of November 2026 are used",
    },
    "test": {"title": "slack", "summary": "Notices of your tasks will look like this"},
}


def sample(kind: NotificationKind, **changes: Any) -> Notification:
    """A notice of *kind* as it might be."""
    given = {**SHOP, "kind": kind, **DIFFERENT[kind], **changes}
    return Notification.model_validate({"id": f"{given['task_id']}#{kind}", **given})


def together() -> list[Notification]:
    """A failure and two recoveries of one tick: one message on each channel."""
    return [
        sample("failure"),
        sample("recovery", task_id="payments", title="Payment API answers"),
        sample("recovery", task_id="office", title="Office router answers", failures=3),
    ]


def shown(notifications: Sequence[Notification]) -> str:
    """The message as plain text."""
    return to_plain_text(VOICE.build_message(notifications, LIMITS[0]))


def section() -> str:
    """All previews, as they stand in the guide."""
    parts = [f"**{kind}**\n\n```text\n{shown([sample(kind)])}\n```\n" for kind in KINDS]
    parts.append(f"**several at once**\n\n```text\n{shown(together())}\n```\n")
    return "\n".join(parts)


def written(guide: str) -> str:
    """*guide* with the previews of today."""
    before, rest = guide.split(MARKS[0], 1)
    _, after = rest.split(MARKS[1], 1)
    return f"{before}{MARKS[0]}\n{section()}\n{MARKS[1]}{after}"


def photograph() -> None:
    """Make the pictures of mails, in a real browser."""
    from selenium.webdriver.common.by import By

    from tests.support.browser import chromium

    mails = {"failure": [sample("failure")], "news": [sample("news")], "several": together()}
    with tempfile.TemporaryDirectory() as folder, chromium(width=720, height=1000) as window:
        for name, notices in mails.items():
            to = ["ann@example.com"]
            mail = email.render(notices, VOICE, sender="cron@example.com", recipients=to, now=NOON)
            page = mail.get_body(("html",))
            assert page is not None
            file = Path(folder) / f"{name}.html"
            file.write_text(page.get_content(), encoding="utf-8")
            window.get(file.as_uri())
            window.find_element(By.TAG_NAME, "body").screenshot(str(PICTURES / f"mail-{name}.png"))


def headings(guide: str) -> list[str]:
    """The kinds that the guide shows."""
    return re.findall(r"^\*\*(\w+)\*\*$", guide, re.M)


def main() -> None:
    """Write the guide and make the pictures."""
    GUIDE.write_text(written(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    photograph()


if __name__ == "__main__":
    main()
