"""The commands for administration: channels, events, API keys, owners, and the Feishu table as a store."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from functions.cli.arguments.moments import Moment
from functions.cli.console import Cell, Screen
from functions.cli.options import format_local
from functions.cli.session import CliContext
from functions.cli.tasks import PRINCIPAL_NAME
from functions.domain.access import (
    ADMINISTRATOR,
    ApiKey,
    AuditEntry,
    AuditVerb,
    ListedKey,
    Scope,
    audit_subject,
)
from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.credits import Account
from functions.domain.events import Event
from functions.domain.lifecycle.permissions import ANY, Capabilities
from functions.domain.validation import validation_sentence
from functions.errors import InputError, NotFoundError
from functions.services.access import audit
from functions.services.access.accounts import set_owner_plan
from functions.services.apply import sync_digest_task
from functions.services.dependencies import all_subscribers
from functions.stores.bitable.store import BitableStore
from functions.task_types.registry import type_names

TEST_TIMEOUT = timedelta(seconds=15)  # for the vendor's response
CHANNEL_EXAMPLES = {
    "quiet": '{"quiet": [{"from": "22:00", "to": "07:00", "timezone": "Europe/Riga"}]}',
    "maintenance": '{"maintenance": [{"from": "2026-12-01T09:00:00Z", "to": "2026-12-01T11:00:00Z"}]}',
    "ratePerMinute": '{"ratePerMinute": 10}',
    "digest": '{"digest": {"at": "08:00", "timezone": "Europe/Riga"}}',
}
CHANNEL_FIELDS = CHANNEL_EXAMPLES.keys()


async def list_channels(context: CliContext) -> int:
    """Show the channels that are set up, and whether they are open."""
    found = await context.app.channels.settings()
    rows = [
        (name, _channel_state(context, name, one), _describe_settings(one)) for name, one in found.items()
    ]
    lines = context.screen.format_table(("CHANNEL", "STATE", "SETTINGS"), rows)
    none = ["No channel is set up: set FEISHU_WEBHOOK_URL, SLACK_WEBHOOK_URL or another variable"]
    context.screen.show(
        [_channel_to_json(context, name, one) for name, one in found.items()], lines if rows else none
    )
    context.show_store()
    return 0


async def test_channel(context: CliContext, *, name: str) -> int:
    """Send one test message on a channel; 1 when its vendor refuses it."""
    await _require_channel(context, name)
    with context.screen.show_progress(f"Sending to {name}"):
        sent = await context.app.dispatcher.test(name, within=TEST_TIMEOUT)
    data = {"channel": name, "ok": sent.ok, "permanent": sent.permanent, "detail": sent.detail}
    if sent.ok:
        line = f"{name}: the test message was accepted" + (f" ({sent.detail})" if sent.detail else "")
    else:
        advice = "; a retry will not help" if sent.permanent else "; a retry may help"
        line = f"{name}: the test message was not accepted: {sent.detail or 'no reason given'}{advice}"
    context.screen.show(data, [line])
    return 0 if sent.ok else 1


async def enable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel on."""
    return _show_channel(context, name, await context.app.channels.enable(name), "is on")


async def disable_channel(context: CliContext, *, name: str) -> int:
    """Switch a channel off until it is enabled; notifications meanwhile are not sent on it later."""
    return _show_channel(context, name, await context.app.channels.disable(name), "is off")


async def set_channel(context: CliContext, *, name: str, settings: str) -> int:
    """Change the named settings of a channel; the others stay."""
    changes = _parse_changes(settings)
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
    return _show_channel(context, name, new, "is set")


async def _require_channel(context: CliContext, name: str) -> None:
    known = await context.app.channels.settings()
    if name not in known:
        raise InputError(f"there is no channel {name!r}: scheduler channels list shows all")


def _parse_changes(settings: str) -> dict[str, Any]:
    try:
        changes = json.loads(settings)
    except ValueError:
        changes = None
    if not isinstance(changes, dict):
        raise InputError('settings: must be a JSON object, such as {"ratePerMinute": 10}')
    if unknown := sorted(changes.keys() - CHANNEL_FIELDS):
        raise InputError(
            f"{unknown[0]}: is not a setting; the settings are {', '.join(sorted(CHANNEL_FIELDS))}"
        )
    return changes


def _channel_state(context: CliContext, name: str, settings: ChannelPreferences) -> Cell:
    if context.app.channels.is_open(name, settings):
        if settings.problem is None:
            return Cell("open", "green")
        word = "failing" if settings.problem.failures else "open, with a loss"
        return Cell(f"{word}: {settings.problem.reason}", "yellow")
    if settings.enabled and settings.disabled is not None:
        return Cell(f"refused: {settings.disabled.reason}", "red")
    return Cell("off", "yellow")


def _describe_settings(settings: ChannelPreferences) -> str:
    """Return the settings that differ from the defaults, in a few words."""
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
    """Show the event types that start tasks, with these tasks."""
    subscribers = await all_subscribers(context.store)
    none = ["No task subscribes to an event: give one onEvent: [{type: order.paid}]"]
    lines = [f"{type_}: {', '.join(tasks)}" for type_, tasks in subscribers.items()] or none
    data = [{"type": type_, "tasks": list(tasks)} for type_, tasks in subscribers.items()]
    context.screen.show(data, lines)
    context.show_store()
    return 0


async def publish_event(
    context: CliContext,
    *,
    event_type: str,
    data: str,
    source: str,
    subject: str,
    to: str,
    event_id: str,
    all_owners: bool,
) -> int:
    """Start the tasks that subscribe to an event; the same event, by source and id, starts a task once."""
    event = _parse_event(
        {
            "id": event_id or context.new_id(),
            "type": event_type,
            "source": source,
            "subject": subject,
            "time": context.now(),
            "data": parse_json_object(data),
            "to": to,
            "reach": "all" if all_owners or to else "owner",
        }
    )
    published = await context.app.publish_event(event)
    result = {
        "id": event.id,
        "type": event.type,
        "started": list(published.started),
        "skipped": list(published.skipped),
        "duplicate": list(published.duplicate),
    }
    context.screen.show(result, result_lines(event.type, result))
    return 0


def _parse_event(given: dict[str, object]) -> Event:
    try:
        return Event.model_validate(given)
    except ValidationError as exc:
        raise InputError(validation_sentence(exc, given)) from None


def parse_json_object(text: str) -> dict[str, object]:
    """Return the JSON object in *text*; raises InputError when it is none."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'") from None
    if not isinstance(data, dict):
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'")
    return data


def result_lines(event_type: str, result: Mapping[str, Any]) -> list[str]:
    """Return the result of an event in sentences."""
    phrases = {
        "started": "run at the next tick",
        "skipped": "subscribe, but are paused or have ended; the skip is recorded",
        "duplicate": "have received it before",
        "refused": "may not be started by this key",
    }
    lines = [f"{', '.join(result[name])} {phrase}" for name, phrase in phrases.items() if result.get(name)]
    return lines or [f"No task subscribes to {event_type}"]


# The commands about API keys: `keys create`, `keys list` and `keys revoke`.

PRINCIPAL = ADMINISTRATOR  # access to the store is access to everything in it


async def create_key(
    context: CliContext,
    *,
    name: str,
    scopes: Sequence[Scope],
    owner: str,
    expires: Moment | None,
    allowed: Mapping[str, Any],
) -> int:
    """Create a key and show its token once."""
    context.make_signing_secret()
    key, token = await context.app.keys.create(
        name=name,
        scopes=tuple(scopes),
        owner=owner,
        expires_at=expires.resolve(context.now(), context.settings.default_timezone) if expires else None,
        capabilities=_allow(Capabilities(), allowed) if allowed else None,
        by=PRINCIPAL,
    )
    await _audit_key(context, "key issued", key)
    data = {"key": key.model_dump(mode="json", by_alias=True), "token": token}
    context.screen.show(data, [token, "Save it now: it is shown only once and is not stored."])
    return 0


async def list_keys(context: CliContext) -> int:
    """Show all keys, newest first."""
    found = await context.app.keys.list_keys(by=PRINCIPAL)
    rows = [
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.owner or "all",
            _describe_capabilities(key),
            format_local(key.created_at.replace(microsecond=0), "UTC"),
            _key_state(key, context.now()),
        )
        for key in found.keys
    ]
    for key_id in found.unreadable:
        context.screen.warn(
            f"The key {key_id} cannot be read and is refused: scheduler keys revoke {key_id} removes it"
        )
    head = ("KEY", "NAME", "SCOPES", "OWNER", "ITS TASKS MAY USE", "CREATED", "STATE")
    table = context.screen.format_table(head, rows)
    none = ["There are no keys yet: scheduler keys create NAME creates one"]
    data = [key.model_dump(mode="json", by_alias=True) for key in found.keys]
    context.screen.show(data, table if rows else none)
    context.show_store()
    return 0


def _describe_capabilities(key: ApiKey) -> str:
    if key.capabilities is not None:
        return key.capabilities.describe()
    return f"what {key.owner} may" if key.owner else "all"


def _allow(before: Capabilities, allowed: Mapping[str, Any]) -> Capabilities:
    """Return *before* with what is *allowed* in place of its fields."""
    known = (*type_names(), ANY)
    for name in allowed.get("types") or ():
        if name not in known:
            raise InputError(f"--allow-type: there is no task type {name!r}; known are {', '.join(known)}")
    try:
        return Capabilities.model_validate(before.model_dump() | dict(allowed))
    except ValidationError as exc:
        raise InputError(validation_sentence(exc, allowed, model=Capabilities)) from None


async def revoke_key(context: CliContext, *, key_id: str) -> int:
    """Revoke a key permanently."""
    key = await context.app.keys.revoke(key_id, by=PRINCIPAL)
    await _audit_key(context, "key revoked", key)
    context.screen.show(key.model_dump(mode="json", by_alias=True), [f"{key.name} is revoked"])
    return 0


def _key_state(key: ListedKey, now: datetime) -> Cell:
    if key.revoked_at is not None:
        return Cell("revoked", "red")
    if key.signature == "invalid":
        return Cell("refused: not signed", "red")
    if key.signature == "previous" and key.is_active(now):
        return Cell("active, signed by the secret being retired", "yellow")
    return Cell("active", "green") if key.is_active(now) else Cell("expired", "dim")


async def _audit_key(context: CliContext, verb: AuditVerb, key: ApiKey) -> None:
    entry = AuditEntry(
        at=context.now(),
        verb=verb,
        subject=audit_subject("key", key.id),
        by=PRINCIPAL_NAME,
        note=key.name,
    )
    await audit.record_entry(context.store, entry, new_id=context.new_id)


# The commands about owners: `owners list`, `show` and `set`.


async def list_owners(context: CliContext) -> int:
    """Show all accounts, by name."""
    found = await context.app.accounts.list_accounts()
    none = ["No owner has an account yet: scheduler owners set ID --monthly-credits N creates one"]
    lines = _format_accounts(context.screen, found.accounts) if found.accounts else none
    for name in found.unreadable:
        context.screen.warn(
            f"The account of {name} cannot be read: scheduler owners set ID --monthly-credits N repairs it"
        )
    context.screen.show([account_to_json(account) for account in found.accounts], lines)
    context.show_store()
    return 0


async def show_owner(context: CliContext, *, owner: str) -> int:
    """Show one account."""
    account = await context.app.accounts.get(owner)
    context.screen.show(account_to_json(account), _format_accounts(context.screen, [account]))
    return 0


async def set_owner(
    context: CliContext,
    *,
    owner: str,
    plan: str | None,
    monthly_credits: float | None,
    unlimited: bool,
    max_tasks: int | None,
    default_max_tasks: bool,
    reset_used: bool,
    allowed: Mapping[str, Any],
    close: bool,
) -> int:
    """Set what an owner has and may use; an option that is not given changes nothing.

    Args:
        allowed: Fields of `Capabilities` to replace.
        close: Whether all that was allowed before is taken back first.
    """
    is_given = any(one is not None for one in (plan, monthly_credits, max_tasks))
    if not (allowed or close or unlimited or default_max_tasks or reset_used or is_given):
        raise InputError(
            "owners set: nothing to change; give --plan, --monthly-credits, --unlimited, --max-tasks, "
            "--default-max-tasks, --reset-used, --allow-... or --close"
        )
    capabilities = None
    if allowed or close:
        before = Capabilities() if close else await _capabilities_of(context, owner)
        capabilities = _allow(before, allowed)
    account = await set_owner_plan(
        context.app.accounts,
        context.store,
        owner,
        {
            "plan": plan,
            "monthly_credits": monthly_credits,
            "unlimited": unlimited,
            "max_tasks": max_tasks,
            "default_max_tasks": default_max_tasks,
            "reset_used": reset_used,
            "capabilities": capabilities,
        },
        by=replace(PRINCIPAL, name=PRINCIPAL_NAME),
        now=context.now(),
        new_id=context.new_id,
    )
    credits = (
        "no limit" if account.monthly_credits is None else f"{account.monthly_credits:g} credits a month"
    )
    of_plan = f" (plan {account.plan})" if account.plan else ""
    lines = [f"{owner} has {credits}{of_plan}"]
    if capabilities is not None:
        lines.append(f"Its tasks may use: {account.capabilities.describe()}")
    if default_max_tasks:
        lines.append("It may have the usual number of tasks")
    elif max_tasks is not None:
        lines.append(f"It may have {max_tasks} tasks")
    context.screen.show(account_to_json(account), lines)
    return 0


async def _capabilities_of(context: CliContext, owner: str) -> Capabilities:
    try:
        return (await context.app.accounts.get(owner)).capabilities
    except NotFoundError:
        return Capabilities()


def account_to_json(account: Account) -> dict[str, Any]:
    """Return *account* as JSON values, without its list of reservations."""
    data = account.model_dump(mode="json", by_alias=True, exclude={"reservations", "notified_level"})
    remaining = None if account.monthly_credits is None else max(0.0, account.remaining)
    return data | {"remainingCredits": remaining}


def _format_accounts(screen: Screen, accounts: Iterable[Account]) -> list[str]:
    rows = [
        (
            one.name,
            one.plan or "-",
            one.month,
            Cell(f"{one.used_credits:g}", {0: "", 80: "yellow", 100: "red"}[one.level]),
            f"{one.reserved_credits:g}",
            "no limit" if one.monthly_credits is None else f"{one.monthly_credits:g}",
            "usual" if one.max_tasks is None else str(one.max_tasks),
            one.capabilities.describe(),
        )
        for one in accounts
    ]
    head = ("OWNER", "PLAN", "MONTH", "USED", "RESERVED", "CREDITS", "MAX TASKS", "ITS TASKS MAY USE")
    return screen.format_table(head, rows)


# The command `bitable setup`: creates the columns and tables that the store needs in a Feishu base.

STATE_COLOURS = {"there": "dim", "made": "green", "missing": "yellow", "wrong": "red"}


async def set_up_bitable(context: CliContext, *, dry_run: bool) -> int:
    """Create the missing columns and tables; 1 when one has a wrong type or is still missing."""
    store = context.store
    if not isinstance(store, BitableStore):
        raise InputError("STORE_URL: names no Feishu table; write bitable://APP_TOKEN/TABLE_ID")
    steps = await store.set_up(types=type_names(), dry_run=dry_run)
    screen = context.screen
    rows = [(Cell(one.state, STATE_COLOURS[one.state]), one.subject, one.remedy) for one in steps]
    lines = screen.format_table(("STATE", "WHAT", "TO DO"), rows)
    wrong = sum(one.state == "wrong" for one in steps)
    made = sum(one.state in ("made", "missing") for one in steps)
    if wrong:
        last = f"{wrong} wrong, so nothing was created: fix that, then run this again"
    elif not made:
        last = "Everything exists"
    else:
        last = f"{made} to create: leave out --dry-run" if dry_run else f"{made} created; the rest exists"
    screen.show([asdict(one) for one in steps], [*lines, "", last])
    return 1 if wrong or (dry_run and made) else 0
