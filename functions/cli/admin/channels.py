"""The commands about notification channels, and how what they found is shown."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from functions.cli.console import Cell
from functions.cli.options import UsageError, parse_json
from functions.cli.session import CliContext
from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.validation import validation_sentence
from functions.errors import InputError, NotFoundError
from functions.http_client.trusted import TrustedHttpClient
from functions.notifications import channel_names, channel_problems, enabling_setting
from functions.services.apply import sync_digest_task

TEST_TIMEOUT = timedelta(seconds=15)  # for the vendor's response
CHANNEL_EXAMPLES = {
    "quiet": '{"quiet": [{"from": "22:00", "to": "07:00", "timezone": "Europe/Riga"}]}',
    "maintenance": '{"maintenance": [{"from": "2026-12-01T09:00:00Z", "to": "2026-12-01T11:00:00Z"}]}',
    "ratePerMinute": '{"ratePerMinute": 10}',
    "digest": '{"digest": {"at": "08:00", "timezone": "Europe/Riga"}}',
}
CHANNEL_FIELDS = CHANNEL_EXAMPLES.keys()


class ChannelRow(NamedTuple):
    """A channel as it is listed."""

    name: str
    is_open: bool
    settings: ChannelPreferences


async def list_channels(context: CliContext) -> int:
    """Show the channels that are set up, and whether they are open."""
    channels = context.app.channels
    found = await channels.settings()
    return show_channels(
        context, [ChannelRow(name, channels.is_open(name, one), one) for name, one in found.items()]
    )


def show_channels(context: CliContext, found: Sequence[ChannelRow]) -> int:
    """Show *found*; return the exit code."""
    rows = [(one.name, _channel_state(one), _describe_settings(one.settings)) for one in found]
    lines = context.screen.format_table(("CHANNEL", "STATE", "SETTINGS"), rows)
    none = ["No channel is set up: set FEISHU_WEBHOOK_URL, SLACK_WEBHOOK_URL or another variable"]
    context.screen.show([_channel_to_json(one) for one in found], lines if rows else none)
    context.show_store()
    return 0


async def test_channel(context: CliContext, *, name: str) -> int:
    """Send one test message on a channel; 1 when its vendor refuses it."""
    await _require_channel(context, name)
    with context.screen.show_progress(f"Sending to {name}"):
        sent = await context.app.dispatcher.test(name, within=TEST_TIMEOUT)
    data = {"channel": name, "ok": sent.ok, "permanent": sent.permanent, "detail": sent.detail}
    return show_test(context, data)


def show_test(context: CliContext, result: Mapping[str, Any]) -> int:
    """Show the result of a test message; return the exit code."""
    name, detail = result["channel"], result["detail"]
    if result["ok"]:
        line = f"{name}: the test message was accepted" + (f" ({detail})" if detail else "")
    else:
        advice = "; a retry will not help" if result["permanent"] else "; a retry may help"
        line = f"{name}: the test message was not accepted: {detail or 'no reason given'}{advice}"
    context.screen.show(result, [line])
    return 0 if result["ok"] else 1


async def enable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel on."""
    await _require_channel(context, name)
    return _show_local_channel(context, name, await context.app.channels.enable(name), "is on")


async def disable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel off until it is enabled; notifications meanwhile are not sent on it later."""
    await _require_channel(context, name)
    return _show_local_channel(context, name, await context.app.channels.disable(name), "is off")


async def set_channel(context: CliContext, *, name: str, settings: str) -> int:
    """Change the named settings of a channel; the others stay."""
    changes = parse_changes(settings)
    await _require_channel(context, name)
    channels = context.app.channels

    def decide(old: ChannelPreferences) -> ChannelPreferences:
        whole = old.model_dump(mode="json", by_alias=True) | changes
        whole = {name: value for name, value in whole.items() if value is not None}  # null: the default
        try:
            return ChannelPreferences.model_validate(whole)
        except ValidationError as exc:
            reason = validation_sentence(exc, whole, model=ChannelPreferences)
            field = reason.partition(":")[0].partition("[")[0].partition(".")[0]
            example = CHANNEL_EXAMPLES.get(field, "")
            raise InputError(f"{reason}; write it like {example}" if example else reason) from None

    new = await channels.update_settings(name, decide)
    if "digest" in changes:
        await sync_digest_task(context.store, name, new.digest, now=context.now(), new_id=context.new_id)
    return _show_local_channel(context, name, new, "is set")


async def _require_channel(context: CliContext, name: str) -> None:
    known = await context.app.channels.settings()
    if name in known:
        return
    if problem := channel_problems(context.settings.channel_settings(), TrustedHttpClient()).get(name):
        raise NotFoundError(f"{name} is not open: {problem}")
    if setting := enabling_setting(name):
        raise NotFoundError(f"{name} is not set up: set {setting}, in the environment or in .env")
    near = get_close_matches(name, [*known, *channel_names()], n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise NotFoundError(f"there is no channel {name!r}: {meant}scheduler channels list shows all")


def parse_changes(settings: str) -> dict[str, Any]:
    """Return the settings of a channel in *settings*; raises InputError when one is not known."""
    kind = 'a JSON object, such as {"ratePerMinute": 10}'
    changes = parse_json(settings, "settings", kind)
    if not isinstance(changes, dict):
        raise UsageError(f"settings: must be {kind}")
    if unknown := sorted(changes.keys() - CHANNEL_FIELDS):
        raise UsageError(
            f"{unknown[0]}: is not a setting; the settings are {', '.join(sorted(CHANNEL_FIELDS))}"
        )
    return changes


def _channel_state(row: ChannelRow) -> Cell:
    settings = row.settings
    if row.is_open:
        if settings.problem is None:
            return Cell("open", "green")
        word = "failing" if settings.problem.failures else "open, with a loss"
        return Cell(f"{word}: {settings.problem.reason}", "yellow")
    if settings.enabled and settings.disabled is not None:
        return Cell(f"refused: {settings.disabled.reason}", "red")
    return Cell("off", "yellow")


def _describe_settings(settings: ChannelPreferences) -> str:
    """Return the settings that differ from the defaults, in a few words."""
    quiet = [
        f"quiet {one.start}-{one.end} {one.timezone}{' on ' if one.days else ''}{' '.join(one.days)}"
        for one in settings.quiet
    ]
    spans = [f"maintenance until {one.end:%Y-%m-%d %H:%M} UTC" for one in settings.maintenance]
    rate = [f"{settings.rate_per_minute} a minute"] if settings.rate_per_minute else []
    digest = [f"digest {settings.digest.at} {settings.digest.timezone}"] if settings.digest else []
    return ", ".join([*quiet, *spans, *rate, *digest])


def _channel_to_json(row: ChannelRow) -> dict[str, Any]:
    whole = row.settings.model_dump(mode="json", by_alias=True)
    return {"name": row.name, "open": row.is_open} | whole


def _show_local_channel(context: CliContext, name: str, settings: ChannelPreferences, what: str) -> int:
    return show_channel(
        context, ChannelRow(name, context.app.channels.is_open(name, settings), settings), what
    )


def show_channel(context: CliContext, row: ChannelRow, what: str) -> int:
    """Show what became of a channel; return the exit code."""
    context.screen.show(_channel_to_json(row), [f"{row.name} {what}"])
    return 0
