"""The commands about channels: `channels list`, `test`, `enable`, `disable` and `set`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from functions.cli.console import Cell, Screen
from functions.cli.options import format_local
from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import ADMINISTRATOR, ApiKey, AuditEntry, AuditVerb, Scope
from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.credits import Account
from functions.domain.events import Event
from functions.domain.task_budget import MAX_CREDITS
from functions.domain.validation import validation_sentence
from functions.errors import InputError
from functions.services import access
from functions.services.apply import sync_digest_task
from functions.services.dependencies import all_subscribers
from functions.stores.bitable.store import BitableStore
from functions.task_types.registry import type_names

TEST_TIMEOUT = timedelta(seconds=15)  # for a vendor's answer to a test
CHANNEL_FIELDS = {"quiet", "maintenance", "ratePerMinute", "digest"}


async def list_channels(context: CliContext) -> int:
    """Show the channels that are set up, and whether they are open."""
    found = await context.app.channels.settings()
    rows = [
        (name, _channel_state(context, name, one), _describe_settings(one)) for name, one in found.items()
    ]
    lines = context.screen.format_table(("CHANNEL", "STATE", "SETTINGS"), rows)
    none = ["No channel is set up: FEISHU_WEBHOOK_URL, SLACK_WEBHOOK_URL or another variable makes one"]
    context.screen.show(
        [_channel_to_json(context, name, one) for name, one in found.items()], lines if rows else none
    )
    return 0


async def test_channel(context: CliContext, *, name: str) -> int:
    """Say on one channel that it works, once; 1 when its vendor did not take it."""
    await _require_channel(context, name)
    with context.screen.show_progress(f"{name} is told"):
        sent = await context.app.dispatcher.test(name, within=TEST_TIMEOUT)
    data = {"channel": name, "ok": sent.ok, "permanent": sent.permanent, "detail": sent.detail}
    if sent.ok:
        line = f"{name}: the test message was taken" + (f" ({sent.detail})" if sent.detail else "")
    else:
        again = "; trying again will not help" if sent.permanent else "; it may work later"
        line = f"{name}: the test message was not taken: {sent.detail or 'no reason given'}{again}"
    context.screen.show(data, [line])
    return 0 if sent.ok else 1


async def enable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel on."""
    return _show_channel(context, name, await context.app.channels.enable(name), "is on")


async def disable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel off until somebody enables it; what is said meanwhile is not said there later."""
    return _show_channel(context, name, await context.app.channels.disable(name), "is off")


async def set_channel(context: CliContext, *, name: str, settings: str) -> int:
    """Change some of a channel's settings; those that are not named stay."""
    wishes = _parse_changes(settings)
    channels = context.app.channels

    def decide(old: ChannelPreferences) -> ChannelPreferences:
        whole = old.model_dump(mode="json", by_alias=True) | wishes
        try:
            return ChannelPreferences.model_validate(whole)
        except ValidationError as exc:
            raise InputError(validation_sentence(exc, whole, model=ChannelPreferences)) from None

    new = await channels.update_settings(name, decide)
    if "digest" in wishes:
        await sync_digest_task(context.store, name, new.digest, now=context.now(), new_id=context.new_id)
    return _show_channel(context, name, new, "is set")


async def _require_channel(context: CliContext, name: str) -> None:
    known = await context.app.channels.settings()
    if name not in known:
        raise InputError(f"there is no channel {name!r}: scheduler channels list shows all")


def _parse_changes(settings: str) -> dict[str, Any]:
    try:
        wishes = json.loads(settings)
    except ValueError:
        wishes = None
    if not isinstance(wishes, dict):
        raise InputError('settings: must be a JSON object, such as {"ratePerMinute": 10}')
    if unknown := sorted(wishes.keys() - CHANNEL_FIELDS):
        raise InputError(f"{unknown[0]}: is not a setting; those are {', '.join(sorted(CHANNEL_FIELDS))}")
    return wishes


def _channel_state(context: CliContext, name: str, settings: ChannelPreferences) -> Cell:
    if context.app.channels.is_open(name, settings):
        return Cell("open", "green")
    if settings.enabled and settings.disabled is not None:
        return Cell(f"refused: {settings.disabled.reason}", "red")
    return Cell("off", "yellow")


def _describe_settings(settings: ChannelPreferences) -> str:
    """What was asked for, in a few words."""
    days = [f"quiet {one.start}-{one.end} {one.timezone}" for one in settings.quiet]
    spans = [f"maintenance until {one.end:%Y-%m-%d %H:%M} UTC" for one in settings.maintenance]
    rate = [f"{settings.rate_per_minute} a minute"] if settings.rate_per_minute else []
    digest = [f"digest {settings.digest.at} {settings.digest.timezone}"] if settings.digest else []
    return ", ".join([*days, *spans, *rate, *digest])


def _channel_to_json(context: CliContext, name: str, settings: ChannelPreferences) -> dict[str, Any]:
    whole = settings.model_dump(mode="json", by_alias=True)
    return {"name": name, "open": context.app.channels.is_open(name, settings)} | whole


def _show_channel(context: CliContext, name: str, settings: ChannelPreferences, what: str) -> int:
    context.screen.show(_channel_to_json(context, name, settings), [f"{name} {what}"])
    return 0


# The commands about events: `events list` and `events publish`.


async def list_events(context: CliContext) -> int:
    """Show the types of events that tasks listen to, with these tasks."""
    heard = await all_subscribers(context.store)
    none = ["No task listens to an event: give one onEvent: [{type: order.paid}]"]
    told = [f"{type_}: {', '.join(tasks)}" for type_, tasks in heard.items()] or none
    context.screen.show([{"type": type_, "tasks": list(tasks)} for type_, tasks in heard.items()], told)
    return 0


async def publish_event(
    context: CliContext, *, event_type: str, data: str, source: str, subject: str, to: str, event_id: str
) -> int:
    """Let the tasks that listen hear an event; the same one, by source and id, is heard once."""
    event = _parse_event(
        {
            "id": event_id or context.new_id(),
            "type": event_type,
            "source": source,
            "subject": subject,
            "time": context.now(),
            "data": parse_json_object(data),
            "to": to,
        }
    )
    heard = await context.app.publish_event(event)
    answer = {
        "id": event.id,
        "type": event.type,
        "started": list(heard.started),
        "skipped": list(heard.skipped),
        "duplicate": list(heard.duplicate),
    }
    context.screen.show(answer, list(result_lines(event.type, answer)))
    return 0


def _parse_event(given: dict[str, object]) -> Event:
    try:
        return Event.model_validate(given)
    except ValidationError as exc:
        raise InputError(validation_sentence(exc, given)) from None


def parse_json_object(text: str) -> dict[str, object]:
    """The JSON object that was typed. Raises InputError when it is none."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'") from None
    if not isinstance(data, dict):
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'")
    return data


def result_lines(event_type: str, answer: Mapping[str, Any]) -> list[str]:
    """What became of an event, in sentences."""
    said = {
        "started": "run at the next tick",
        "skipped": "listen, but are paused or have ended; it is on record",
        "duplicate": "had received it before",
    }
    told = [f"{', '.join(answer[name])} {words}" for name, words in said.items() if answer[name]]
    return told or [f"No task listens to {event_type}"]


# The commands about API keys: `keys create`, `keys list` and `keys revoke`.

PRINCIPAL = ADMINISTRATOR  # whoever reaches the store itself may do anything in it


async def create_key(
    context: CliContext, *, name: str, scopes: Sequence[Scope], owner: str, expires: datetime | None
) -> int:
    """Make a key and show it, this once."""
    key, token = await access.create_key(
        context.store,
        name=name,
        scopes=tuple(scopes),
        owner=owner,
        expires_at=expires,
        by=PRINCIPAL,
        now=context.now(),
        new_id=context.new_id,
        new_secret=context.app.new_secret,
    )
    await _audit_key(context, "key issued", key)
    data = {"key": key.model_dump(mode="json", by_alias=True), "token": token}
    context.screen.show(data, [token, "Keep it now: it is shown this once, and kept nowhere."])
    return 0


async def list_keys(context: CliContext) -> int:
    """Show all keys, newest first."""
    found = await access.list_keys(context.store, by=PRINCIPAL)
    rows = [
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.owner or "everybody",
            format_local(key.created_at.replace(microsecond=0), "UTC"),
            _key_state(key, context.now()),
        )
        for key in found
    ]
    table = context.screen.format_table(("KEY", "NAME", "MAY", "OWNER", "MADE", "STATE"), rows)
    none = ["There are no keys yet: scheduler keys create NAME makes one"]
    data = [key.model_dump(mode="json", by_alias=True) for key in found]
    context.screen.show(data, table if rows else none)
    return 0


async def revoke_key(context: CliContext, *, key_id: str) -> int:
    """End a key for good."""
    key = await access.revoke_key(context.store, key_id, by=PRINCIPAL, now=context.now())
    await _audit_key(context, "key revoked", key)
    context.screen.show(key.model_dump(mode="json", by_alias=True), [f"{key.name} opens nothing any more"])
    return 0


def _key_state(key: ApiKey, now: datetime) -> Cell:
    if key.revoked_at is not None:
        return Cell("revoked", "red")
    return Cell("live", "green") if key.is_active(now) else Cell("over", "dim")


async def _audit_key(context: CliContext, verb: AuditVerb, key: ApiKey) -> None:
    entry = AuditEntry(at=context.now(), verb=verb, subject=key.id, by=PRINCIPAL_NAME, note=key.name)
    await access.record_entry(context.store, entry, new_id=context.new_id)


# The commands about owners: `owners list`, `show` and `set`.


async def list_owners(context: CliContext) -> int:
    """Show all accounts, by name."""
    accounts = await context.app.accounts.list_accounts()
    none = ["No owner has an account yet: scheduler owners set ID --monthly-credits N makes one"]
    lines = _format_accounts(context.screen, accounts) if accounts else none
    context.screen.show([account_to_json(account) for account in accounts], lines)
    return 0


async def show_owner(context: CliContext, *, owner: str) -> int:
    """Show one account."""
    account = await context.app.accounts.get(owner)
    context.screen.show(account_to_json(account), _format_accounts(context.screen, [account]))
    return 0


async def set_owner(
    context: CliContext, *, owner: str, plan: str | None, monthly_credits: float | None, unlimited: bool
) -> int:
    """Give an owner a plan or credits a month; what is not named stays."""
    if plan is None and monthly_credits is None and not unlimited:
        raise InputError("owners set: say what to change: --plan, --monthly-credits or --unlimited")
    if monthly_credits is not None and not 0 <= monthly_credits <= MAX_CREDITS:
        raise InputError(f"--monthly-credits: must be a number from 0 to {MAX_CREDITS:.0f}")
    account = await context.app.accounts.set_plan(
        owner, plan=plan, monthly_credits=monthly_credits, unlimited=unlimited
    )
    credits = (
        "no limit" if account.monthly_credits is None else f"{account.monthly_credits:g} credits a month"
    )
    of_plan = f" (plan {account.plan})" if account.plan else ""
    context.screen.show(account_to_json(account), [f"{owner} has {credits}{of_plan}"])
    return 0


def account_to_json(account: Account) -> dict[str, Any]:
    """*account* as JSON values, without the list of what is set aside."""
    data = account.model_dump(mode="json", by_alias=True, exclude={"reservations", "notified_level"})
    left = None if account.monthly_credits is None else max(0.0, account.remaining)
    return data | {"remainingCredits": left}


def _format_accounts(screen: Screen, accounts: Iterable[Account]) -> list[str]:
    rows = [
        (
            one.name,
            one.plan or "-",
            one.month,
            Cell(f"{one.used_credits:g}", {0: "", 80: "yellow", 100: "red"}[one.level]),
            f"{one.reserved_credits:g}",
            "no limit" if one.monthly_credits is None else f"{one.monthly_credits:g}",
        )
        for one in accounts
    ]
    return screen.format_table(("OWNER", "PLAN", "MONTH", "USED", "SET ASIDE", "CREDITS"), rows)


# The command `bitable setup`: makes in a Feishu base what the store needs, or says what is in the way.

STATE_COLOURS = {"there": "dim", "made": "green", "missing": "yellow", "wrong": "red"}


async def set_up_bitable(context: CliContext, *, dry_run: bool) -> int:
    """Make the columns and tables that are missing; 1 when something is in the way, or is left to make."""
    store = context.store
    if not isinstance(store, BitableStore):
        raise InputError("STORE_URL: names no table of Feishu; write bitable://APP_TOKEN/TABLE_ID")
    steps = await store.set_up(types=type_names(), dry_run=dry_run)
    screen = context.screen
    rows = [(Cell(one.state, STATE_COLOURS[one.state]), one.subject, one.remedy) for one in steps]
    lines = screen.format_table(("STATE", "WHAT", "TO DO"), rows)
    wrong = sum(one.state == "wrong" for one in steps)
    made = sum(one.state in ("made", "missing") for one in steps)
    if wrong:
        last = f"{wrong} in the way, so nothing was made: mend that, then run this again"
    elif not made:
        last = "Everything was there"
    else:
        last = f"{made} to make: leave out --dry-run" if dry_run else f"{made} made; the rest was there"
    screen.show([asdict(one) for one in steps], [*lines, "", last])
    return 1 if wrong or (dry_run and made) else 0
