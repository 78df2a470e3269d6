"""How each kind of notice looks: a sign before its sentence, and a tone each channel has a colour for."""

from dataclasses import dataclass
from typing import Literal

from functions.rules.notice import NoticeKind

Tone = Literal["bad", "warning", "good", "news", "calm"]


@dataclass(frozen=True, slots=True)
class Look:
    """What is common to all channels.

    Attributes:
        tone: `bad` and `warning` are problems, `good` ends one, the other two are neither.
    """

    icon: str
    tone: Tone


LOOKS: dict[NoticeKind, Look] = {
    "failure": Look("🔴", "bad"),
    "paused": Look("⏸️", "warning"),
    "recovery": Look("🟢", "good"),
    "news": Look("📰", "news"),
    "success": Look("✅", "calm"),
    "reminder": Look("🔴", "bad"),
    "flapping": Look("🟠", "warning"),
    "stable": Look("🟢", "good"),
    "late": Look("🟡", "warning"),
    "silent": Look("🔴", "bad"),
    "channel": Look("🟠", "warning"),
    "credits": Look("🟡", "warning"),
    "test": Look("✅", "calm"),
}
