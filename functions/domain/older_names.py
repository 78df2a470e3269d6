"""What files of older schedulers call otherwise: read as it is, wherever a task is written."""

from collections.abc import Collection, Mapping
from typing import Any

TYPES_BY_ID = frozenset({"daily_briefing", "health_check_url", "rss_watch"})
STOPPED_STATUSES = frozenset({
    "cancelled", "canceled", "paused", "disabled", "inactive", "stopped", "suspended", "archived", "off",
    "已取消", "取消", "已暂停", "暂停", "已停用", "停用", "禁用", "已禁用",
})  # fmt: skip
TYPES_WITH_TIMEOUT = frozenset({"health_check_url", "rss_watch", "http"})  # as a param of their own


def with_current_names(
    given: Mapping[str, Any], *, types: Collection[str] = TYPES_BY_ID
) -> Mapping[str, Any]:
    """Return *given* with the names of today for what older files call otherwise; nothing else changes.

        frequency                      schedule
        a list of schedules            one text, with semicolons between them
        an id that is a type's name    also the type, where none is given
        params.timeout_sec             the param timeoutSeconds of the type, or else the task's own

    Args:
        types: The names that say the type when they are an id.
    """
    found = dict(given)
    if "frequency" in found and "schedule" not in found:
        found["schedule"] = found.pop("frequency")
    several = found.get("schedule")
    if isinstance(several, (list, tuple)) and several and all(isinstance(one, str) for one in several):
        found["schedule"] = "; ".join(several)
    if "type" not in found and found.get("id") in types:
        found["type"] = found["id"]
    params = found.get("params")
    if isinstance(params, Mapping) and "timeout_sec" in params:
        others = {name: value for name, value in params.items() if name != "timeout_sec"}
        if found.get("type") in TYPES_WITH_TIMEOUT:
            others.setdefault("timeoutSeconds", params["timeout_sec"])
        else:
            found.setdefault("timeoutSeconds", params["timeout_sec"])
        found["params"] = others
    return found
