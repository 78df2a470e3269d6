"""Forms of settings: of a key, an owner, a channel. They read and show as the form of a task does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from functions.domain.alerts.routing import WEEKDAYS
from functions.domain.validation import Problem
from functions.web.dashboard.forms.fields import (
    SEEN,
    Field,
    changed_labels,
    read_fields,
    value_at,
    version_of,
)
from functions.web.dashboard.forms.layout import zone_names
from functions.web.dashboard.forms.shown import (
    ShownGroup,
    SummaryLine,
    at_rows,
    place_problems,
    show_over,
    summary_of,
)
from functions.web.dashboard.forms.tables import Rows
from functions.web.dashboard.forms.widgets import (
    MISSING,
    Checks,
    Items,
    Line,
    Moment,
    Number,
    Switch,
)

SCOPE_WORDS = (
    ("read", "read: see tasks and runs"),
    ("run", "run: start, pause and resume them"),
    ("write", "write: make, change and remove them"),
    ("admin", "admin: all of it, and keys"),
)
_DAYS = tuple((day, day.capitalize()) for day in WEEKDAYS)


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """A form over settings that are stored.

    Attributes:
        groups: The title of each and its fields; one without a title is not folded.
        base: What is stored, by the names of the API.
    """

    groups: tuple[tuple[str, tuple[Field, ...]], ...]
    base: Mapping[str, Any]

    @property
    def fields(self) -> list[Field]:
        """All its fields."""
        return [one for _, fields in self.groups for one in fields]

    @property
    def version(self) -> str:
        """The version of what is stored of its fields."""
        values = {one.name: value_at(self.base, one.path) for one in self.fields}
        return version_of({name: value for name, value in values.items() if value is not MISSING})

    def conflicts(self, posted: Mapping[str, str]) -> list[str]:
        """Return the labels of what *posted* would replace that was stored since its form was shown."""
        if posted.get(SEEN) in (None, "", self.version):
            return []
        return changed_labels(self.fields, posted, base=self.base)

    def read(self, posted: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
        """Return the settings that *posted* makes of the stored ones, and what is wrong with its texts."""
        return read_fields(self.fields, posted, base=self.base)

    def at_rows(self, posted: Mapping[str, str], problems: Iterable[Problem]) -> list[Problem]:
        """Return *problems* of the settings that *posted* makes, each at the row that shows it."""
        return at_rows(self.fields, posted, problems, base=self.base)

    def show(self, posted: Mapping[str, str], problems: Sequence[Problem] = ()) -> list[ShownGroup]:
        """Return what the page shows."""
        problems = place_problems(self.fields, problems)
        return [
            ShownGroup(
                title,
                any(value_at(self.base, one.path) not in (MISSING, None, "", [], {}) for one in fields),
                tuple(
                    show_over(one, posted, problems, before=value_at(self.base, one.path)) for one in fields
                ),
            )
            for title, fields in self.groups
        ]

    def summary(self, problems: Sequence[Problem]) -> list[SummaryLine]:
        """Return what is wrong, for the list at the head of the page."""
        return summary_of(self.fields, place_problems(self.fields, problems))


def _field(
    name: str, widget: Any, label: str, help_: str = "", example: str = "", *, required: bool = False
) -> Field:
    return Field(tuple(name.split(".")), widget, label, help_, example, required=required)


def _capabilities(types_help: str) -> tuple[Field, ...]:
    return (
        _field("capabilities.types", Items(), "Types of tasks", types_help, "http, health_check_url"),
        _field("capabilities.secrets", Items(), "Secrets", "By name, with commas; * means all", "SHOP_TOKEN"),
        _field("capabilities.channels", Items(), "Channels that notify may name", "* means all", "feishu"),
        _field("capabilities.mcpServers", Items(), "MCP servers of agents", "* means all", "docs"),
        _field("capabilities.operatorToken", Switch("the default: no"), "GITHUB_TOKEN of the operator"),
    )


def key_form(*, owner: str, zone: str) -> SettingsForm:
    """Return the form of a new key; times are on the clock of *zone*."""
    main = (
        _field("name", Line(), "Name", "Who holds it, or what it is for", "Phone of Alice", required=True),
        _field("scopes", Checks(SCOPE_WORDS), "It may"),
        _field(
            "owner", Line(), "Owner", "It sees only the tasks of this owner; empty means all tasks", "alice"
        ),
        _field(
            "expiresAt", Moment(zone, zone), "It ends", "On the clock of your time zone; empty means never"
        ),
    )
    limits = _capabilities("With commas; * means all; empty means all but command and python")
    return SettingsForm(
        (("", main), ("What its tasks may use, if not all that their owner may", limits)), {"owner": owner}
    )


def owner_form(account: Mapping[str, Any]) -> SettingsForm:
    """Return the form of an owner."""
    main = (
        _field("plan", Line(), "Plan", "A name for people; it decides nothing"),
        _field("monthlyCredits", Number(), "Credits a month", "Empty means no limit"),
        _field("maxTasks", Number(), "Tasks at most", "Empty means the default"),
        _field("resetUsed", Switch("no"), "Begin this month's count of used credits anew"),
    )
    limits = _capabilities("With commas; * means all; empty means all but command and python")
    return SettingsForm((("", main), ("What the owner's tasks may use", limits)), account)


def channel_form(preferences: Mapping[str, Any], *, zone: str) -> SettingsForm:
    """Return the form of a channel's preferences; times of maintenance are on the clock of *zone*."""
    zones = Line(options=zone_names())
    quiet = Rows(
        (
            _field("from", Line(), "From", example="22:00"),
            _field("to", Line(), "To", example="07:00"),
            _field("timezone", zones, "Time zone", example="UTC"),
            _field("days", Checks(_DAYS), "Days on which they begin"),
        )
    )
    maintenance = Rows(
        (
            _field("from", Moment(zone, zone), "From"),
            _field("to", Moment(zone, zone), "To"),
            _field("note", Line(), "Note"),
            _field("tags", Items(), "Only tasks with a tag", example="all"),
            _field("tasks", Items(), "Only these tasks", example="all"),
        )
    )
    return SettingsForm(
        (
            (
                "",
                (
                    _field(
                        "quiet",
                        quiet,
                        "Quiet hours",
                        "Only what is urgent is sent then; no day means every day",
                    ),
                ),
            ),
            (
                "",
                (
                    _field(
                        "maintenance",
                        maintenance,
                        "Maintenance",
                        "Notices are held; on the clock of your time zone",
                    ),
                ),
            ),
            (
                "",
                (
                    _field("digest.at", Line(), "Daily summary at", "Empty means none", "08:00"),
                    _field("digest.timezone", zones, "Time zone of the summary", example="UTC"),
                    _field("ratePerMinute", Number(), "Messages a minute at most", "Empty means one a tick"),
                ),
            ),
        ),
        preferences,
    )
