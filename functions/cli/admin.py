"""The commands about channels: `channels list`, `test`, `enable`, `disable` and `set`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from functions.cli.console import Cell, Screen
from functions.cli.options import local
from functions.cli.session import Session
from functions.cli.tasks import BY
from functions.domain.access import ADMINISTRATOR, Entry, Key, Scope, Verb
from functions.domain.alerts.routing import ChannelSettings
from functions.domain.credits import Account
from functions.domain.events import Event
from functions.domain.task_budget import MOST_CREDITS
from functions.errors import InputError
from functions.services import access
from functions.services.apply import sync_digest_task
from functions.services.dependencies import all_subscribers
from functions.stores.bitable.store import BitableStore
from functions.task_types.registry import type_names

PATIENCE = timedelta(seconds=15)  # for a vendor's answer to a test
SETTABLE = {"quiet", "maintenance", "ratePerMinute", "digest"}


async def list_channels(session: Session) -> int:
    """Show the channels that are set up, and whether they are open."""
    found = await session.wired.channels.settings()
    rows = [(name, _channel_state(session, name, one), _wishes(one)) for name, one in found.items()]
    lines = session.screen.table(("CHANNEL", "STATE", "SETTINGS"), rows)
    none = ["No channel is set up: FEISHU_WEBHOOK_URL, SLACK_WEBHOOK_URL or another variable makes one"]
    session.screen.answer([_data(session, name, one) for name, one in found.items()], lines if rows else none)
    return 0


async def test_channel(session: Session, *, name: str) -> int:
    """Say on one channel that it works, once; 1 when its vendor did not take it."""
    await _must_exist(session, name)
    with session.screen.working(f"{name} is told"):
        sent = await session.wired.dispatcher.test(name, within=PATIENCE)
    data = {"channel": name, "ok": sent.ok, "permanent": sent.permanent, "detail": sent.detail}
    if sent.ok:
        line = f"{name}: the test message was taken" + (f" ({sent.detail})" if sent.detail else "")
    else:
        again = "; trying again will not help" if sent.permanent else "; it may work later"
        line = f"{name}: the test message was not taken: {sent.detail or 'no reason given'}{again}"
    session.screen.answer(data, [line])
    return 0 if sent.ok else 1


async def enable_channel(session: Session, *, name: str) -> int:
    """Switch a channel on."""
    return _done(session, name, await session.wired.channels.enable(name), "is on")


async def disable_channel(session: Session, *, name: str) -> int:
    """Switch a channel off until somebody enables it; what is said meanwhile is not said there later."""
    return _done(session, name, await session.wired.channels.disable(name), "is off")


async def set_channel(session: Session, *, name: str, settings: str) -> int:
    """Change some of a channel's settings; those that are not named stay."""
    wishes = _read(settings)
    channels = session.wired.channels

    def decide(old: ChannelSettings) -> ChannelSettings:
        whole = old.model_dump(mode="json", by_alias=True) | wishes
        try:
            return ChannelSettings.model_validate(whole)
        except ValidationError as exc:
            raise InputError(_fault(exc)) from None

    new = await channels.update_settings(name, decide)
    if "digest" in wishes:
        await sync_digest_task(session.store, name, new.digest, now=session.now(), new_id=session.new_id)
    return _done(session, name, new, "is set")


async def _must_exist(session: Session, name: str) -> None:
    known = await session.wired.channels.settings()
    if name not in known:
        raise InputError(f"there is no channel {name!r}: scheduler channels list shows all")


def _read(settings: str) -> dict[str, Any]:
    try:
        wishes = json.loads(settings)
    except ValueError:
        wishes = None
    if not isinstance(wishes, dict):
        raise InputError('settings: must be a JSON object, such as {"ratePerMinute": 10}')
    if unknown := sorted(wishes.keys() - SETTABLE):
        raise InputError(f"{unknown[0]}: is not a setting; those are {', '.join(sorted(SETTABLE))}")
    return wishes


def _fault(exc: ValidationError) -> str:
    first = exc.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _channel_state(session: Session, name: str, settings: ChannelSettings) -> Cell:
    if session.wired.channels.is_open(name, settings):
        return Cell("open", "green")
    if settings.enabled and settings.disabled is not None:
        return Cell(f"refused: {settings.disabled.reason}", "red")
    return Cell("off", "yellow")


def _wishes(settings: ChannelSettings) -> str:
    """What was asked for, in a few words."""
    days = [f"quiet {one.start}-{one.end} {one.timezone}" for one in settings.quiet]
    spans = [f"maintenance until {one.end:%Y-%m-%d %H:%M} UTC" for one in settings.maintenance]
    rate = [f"{settings.rate_per_minute} a minute"] if settings.rate_per_minute else []
    digest = [f"digest {settings.digest.at} {settings.digest.timezone}"] if settings.digest else []
    return ", ".join([*days, *spans, *rate, *digest])


def _data(session: Session, name: str, settings: ChannelSettings) -> dict[str, Any]:
    whole = settings.model_dump(mode="json", by_alias=True)
    return {"name": name, "open": session.wired.channels.is_open(name, settings)} | whole


def _done(session: Session, name: str, settings: ChannelSettings, what: str) -> int:
    session.screen.answer(_data(session, name, settings), [f"{name} {what}"])
    return 0


# The commands about events: `events list` and `events publish`.


async def list_events(session: Session) -> int:
    """Show the types of events that tasks listen to, with these tasks."""
    heard = await all_subscribers(session.store)
    none = ["No task listens to an event: give one onEvent: [{type: order.paid}]"]
    told = [f"{type_}: {', '.join(tasks)}" for type_, tasks in heard.items()] or none
    session.screen.answer([{"type": type_, "tasks": list(tasks)} for type_, tasks in heard.items()], told)
    return 0


async def publish(
    session: Session, *, event_type: str, data: str, source: str, subject: str, to: str, event_id: str
) -> int:
    """Let the tasks that listen hear an event; the same one, by source and id, is heard once."""
    event = _event(
        {
            "id": event_id or session.new_id(),
            "type": event_type,
            "source": source,
            "subject": subject,
            "time": session.now(),
            "data": object_of(data),
            "to": to,
        }
    )
    heard = await session.wired.publish_event(event)
    answer = {
        "id": event.id,
        "type": event.type,
        "started": list(heard.started),
        "skipped": list(heard.skipped),
        "known": list(heard.duplicate),
    }
    session.screen.answer(answer, list(lines(event.type, answer)))
    return 0


def _event(given: dict[str, object]) -> Event:
    try:
        return Event.model_validate(given)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InputError(f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}") from None


def object_of(text: str) -> dict[str, object]:
    """The JSON object that was typed. Raises InputError when it is none."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'") from None
    if not isinstance(data, dict):
        raise InputError("--data: must be a JSON object, such as '{\"total\": 12}'")
    return data


def lines(event_type: str, answer: Mapping[str, Any]) -> list[str]:
    """What became of an event, in sentences."""
    said = {
        "started": "run at the next tick",
        "skipped": "listen, but are paused or have ended; it is on record",
        "known": "had heard it before",
    }
    told = [f"{', '.join(answer[name])} {words}" for name, words in said.items() if answer[name]]
    return told or [f"No task listens to {event_type}"]


# The commands about API keys: `keys create`, `keys list` and `keys revoke`.

HERE = ADMINISTRATOR  # whoever reaches the store itself may do anything in it


async def create(
    session: Session, *, name: str, scopes: Sequence[Scope], owner: str, expires: datetime | None
) -> int:
    """Make a key and show it, this once."""
    key, token = await access.create_key(
        session.store,
        name=name,
        scopes=tuple(scopes),
        owner=owner,
        expires_at=expires,
        by=HERE,
        now=session.now(),
        new_id=session.new_id,
        new_secret=session.wired.new_secret,
    )
    await _note(session, "key issued", key)
    data = {"key": key.model_dump(mode="json", by_alias=True), "token": token}
    session.screen.answer(data, [token, "Keep it now: it is shown this once, and kept nowhere."])
    return 0


async def list_keys(session: Session) -> int:
    """Show all keys, newest first."""
    found = await access.list_keys(session.store, by=HERE)
    rows = [
        (
            key.id,
            key.name,
            ", ".join(key.scopes),
            key.owner or "everybody",
            local(key.created_at.replace(microsecond=0), "UTC"),
            _key_state(key, session.now()),
        )
        for key in found
    ]
    table = session.screen.table(("KEY", "NAME", "MAY", "OWNER", "MADE", "STATE"), rows)
    none = ["There are no keys yet: scheduler keys create NAME makes one"]
    data = [key.model_dump(mode="json", by_alias=True) for key in found]
    session.screen.answer(data, table if rows else none)
    return 0


async def revoke(session: Session, *, key_id: str) -> int:
    """End a key for good."""
    key = await access.revoke_key(session.store, key_id, by=HERE, now=session.now())
    await _note(session, "key revoked", key)
    session.screen.answer(key.model_dump(mode="json", by_alias=True), [f"{key.name} opens nothing any more"])
    return 0


def _key_state(key: Key, now: datetime) -> Cell:
    if key.revoked_at is not None:
        return Cell("revoked", "red")
    return Cell("live", "green") if key.is_live(now) else Cell("over", "dim")


async def _note(session: Session, verb: Verb, key: Key) -> None:
    entry = Entry(at=session.now(), verb=verb, subject=key.id, by=BY, note=key.name)
    await access.record_entry(session.store, entry, new_id=session.new_id)


# The commands about owners: `owners list`, `show` and `set`.


async def list_owners(session: Session) -> int:
    """Show all accounts, by name."""
    accounts = await session.wired.accounts.list_accounts()
    none = ["No owner has an account yet: scheduler owners set ID --monthly-credits N makes one"]
    lines = _table(session.screen, accounts) if accounts else none
    session.screen.answer([owner_data(account) for account in accounts], lines)
    return 0


async def show_owner(session: Session, *, owner: str) -> int:
    """Show one account."""
    account = await session.wired.accounts.get(owner)
    session.screen.answer(owner_data(account), _table(session.screen, [account]))
    return 0


async def set_owner(
    session: Session, *, owner: str, plan: str | None, monthly_credits: float | None, unlimited: bool
) -> int:
    """Give an owner a plan or credits a month; what is not named stays."""
    if plan is None and monthly_credits is None and not unlimited:
        raise InputError("owners set: say what to change: --plan, --monthly-credits or --unlimited")
    if monthly_credits is not None and not 0 <= monthly_credits <= MOST_CREDITS:
        raise InputError(f"--monthly-credits: must be a number from 0 to {MOST_CREDITS:.0f}")
    account = await session.wired.accounts.set_plan(
        owner, plan=plan, monthly_credits=monthly_credits, unlimited=unlimited
    )
    credits = (
        "no limit" if account.monthly_credits is None else f"{account.monthly_credits:g} credits a month"
    )
    of_plan = f" (plan {account.plan})" if account.plan else ""
    session.screen.answer(owner_data(account), [f"{owner} has {credits}{of_plan}"])
    return 0


def owner_data(account: Account) -> dict[str, Any]:
    """*account* as JSON values, without the list of what is set aside."""
    data = account.model_dump(mode="json", by_alias=True, exclude={"held", "told"})
    left = None if account.monthly_credits is None else max(0.0, account.left)
    return data | {"leftCredits": left}


def _table(screen: Screen, accounts: Iterable[Account]) -> list[str]:
    rows = [
        (
            one.name,
            one.plan or "-",
            one.period,
            Cell(f"{one.used_credits:g}", {0: "", 80: "yellow", 100: "red"}[one.level]),
            f"{one.reserved_credits:g}",
            "no limit" if one.monthly_credits is None else f"{one.monthly_credits:g}",
        )
        for one in accounts
    ]
    return screen.table(("OWNER", "PLAN", "MONTH", "USED", "SET ASIDE", "CREDITS"), rows)


# The command `bitable setup`: makes in a Feishu base what the store needs, or says what is in the way.

COLOURS = {"there": "dim", "made": "green", "missing": "yellow", "wrong": "red"}


async def set_up(session: Session, *, dry_run: bool) -> int:
    """Make the columns and tables that are missing; 1 when something is in the way, or is left to make."""
    store = session.store
    if not isinstance(store, BitableStore):
        raise InputError("STORE_URL: names no table of Feishu; write bitable://APP_TOKEN/TABLE_ID")
    steps = await store.set_up(types=type_names(), dry_run=dry_run)
    screen = session.screen
    rows = [(Cell(one.state, COLOURS[one.state]), one.subject, one.remedy) for one in steps]
    lines = screen.table(("STATE", "WHAT", "TO DO"), rows)
    wrong = sum(one.state == "wrong" for one in steps)
    made = sum(one.state in ("made", "missing") for one in steps)
    if wrong:
        last = f"{wrong} in the way, so nothing was made: mend that, then run this again"
    elif not made:
        last = "Everything was there"
    else:
        last = f"{made} to make: leave out --dry-run" if dry_run else f"{made} made; the rest was there"
    screen.answer([asdict(one) for one in steps], [*lines, "", last])
    return 1 if wrong or (dry_run and made) else 0
