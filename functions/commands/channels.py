"""The commands about channels: `channels list`, `test`, `enable`, `disable` and `set`."""

import json
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from functions.commands.screen import Cell
from functions.commands.session import Session
from functions.digests import keep_digest
from functions.errors import InputError
from functions.rules.channels import ChannelSettings

PATIENCE = timedelta(seconds=15)  # for a vendor's answer to a test
SETTABLE = {"quiet", "maintenance", "ratePerMinute", "digest"}


async def list_channels(session: Session) -> int:
    """Show the channels that are set up, and whether they are open."""
    found = await session.wired.channels.all()
    rows = [(name, _state(session, name, one), _wishes(one)) for name, one in found.items()]
    lines = session.screen.table(("CHANNEL", "STATE", "SETTINGS"), rows)
    none = ["No channel is set up: FEISHU_WEBHOOK_URL, SLACK_WEBHOOK_URL or another variable makes one"]
    session.screen.answer([_data(session, name, one) for name, one in found.items()], lines if rows else none)
    return 0


async def test_channel(session: Session, *, name: str) -> int:
    """Say on one channel that it works, once; 1 when its vendor did not take it."""
    await _must_exist(session, name)
    with session.screen.working(f"{name} is told"):
        sent = await session.wired.teller.test(name, within=PATIENCE)
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

    new = await channels.change(name, decide)
    if "digest" in wishes:
        await keep_digest(session.store, name, new.digest, now=session.now(), new_id=session.new_id)
    return _done(session, name, new, "is set")


async def _must_exist(session: Session, name: str) -> None:
    known = await session.wired.channels.all()
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


def _state(session: Session, name: str, settings: ChannelSettings) -> Cell:
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
