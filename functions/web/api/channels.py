"""Routes about channels: which there are, a test send, and their settings. For administrators."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field, ValidationError

from functions.domain.access import Actor, Entry, Verb
from functions.domain.alerts.routing import ChannelSettings, DailyDigest, Maintenance, Quiet
from functions.errors import InputError, NotAllowedError, NotFoundError
from functions.services import access
from functions.services.apply import sync_digest_task
from functions.web.api.dependencies import ApiParts, Caller, Parts
from functions.web.api.errors import responses
from functions.web.api.schemas import Shape

router = APIRouter(prefix="/api/channels", tags=["channels"])

PATIENCE = timedelta(seconds=15)  # for a vendor's answer to a test
Name = Annotated[str, Path(min_length=1, max_length=50, examples=["feishu"])]


class ChannelOut(ChannelSettings):
    """A channel that is set up. *open* says whether anything is told on it now."""

    name: str
    open: bool


class ChannelList(Shape):
    """All channels that are set up."""

    channels: list[ChannelOut]


class ChannelWish(Shape):
    """What is to be changed; what is left out stays, null is the default."""

    enabled: bool | None = None
    quiet: Annotated[tuple[Quiet, ...], Field(max_length=20)] | None = None
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] | None = None
    rate_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    digest: DailyDigest | None = None


class TestSent(Shape):
    """What became of a test message, in the vendor's words explained."""

    channel: str
    ok: bool
    permanent: bool = Field(description="whether trying again cannot help")
    detail: str


@router.get("", responses=responses(), summary="List channels")
async def list_channels(caller: Caller, wired: Parts) -> ChannelList:
    """All channels whose variables are set, with their settings."""
    must_administer(caller)
    found = await wired.channels.settings()
    return ChannelList(channels=[_out(wired, name, one) for name, one in found.items()])


@router.post("/{name}/test", responses=responses(404), summary="Send a test message")
async def test_channel(caller: Caller, wired: Parts, name: Name) -> TestSent:
    """Say on the channel that it works, once, whatever its settings."""
    return await send_test(caller, wired, name)


@router.patch("/{name}", responses=responses(404), summary="Change a channel's settings")
async def change_channel(caller: Caller, wired: Parts, name: Name, wish: ChannelWish) -> ChannelOut:
    """Switch a channel on or off, or set its quiet hours, maintenance windows, rate or daily digest."""
    wishes = wish.model_dump(mode="json", by_alias=True, exclude_unset=True)
    settings = await change(caller, wired, name, wishes)
    return _out(wired, name, settings)


async def send_test(caller: Actor, wired: ApiParts, name: str) -> TestSent:
    """Send a test message and note who did.

    Raises:
        NotAllowedError: *caller* is no administrator.
        NotFoundError: There is no such channel.
    """
    await _must_exist(caller, wired, name)
    sent = await wired.dispatcher.test(name, within=PATIENCE)
    await _note(caller, wired, "channel tested", name)
    return TestSent(channel=name, ok=sent.ok, permanent=sent.permanent, detail=sent.detail)


async def change(caller: Actor, wired: ApiParts, name: str, wishes: Mapping[str, Any]) -> ChannelSettings:
    """Change what *wishes* names, as JSON values under the API's names; errors as for `send_test`."""
    await _must_exist(caller, wired, name)
    given = {key: value for key, value in wishes.items() if value is not None or key not in ("enabled",)}
    if given.get("enabled"):
        given["disabled"] = None  # a person has looked: what the vendor refused is tried again

    def decide(old: ChannelSettings) -> ChannelSettings:
        whole = old.model_dump(mode="json", by_alias=True) | given
        defaults = {key: value for key, value in whole.items() if value is not None}
        try:
            return ChannelSettings.model_validate(defaults)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    settings = await wired.channels.update_settings(name, decide)
    if "digest" in given:
        await sync_digest_task(wired.store, name, settings.digest, now=wired.now(), new_id=wired.new_id)
    await _note(caller, wired, "channel changed", name, fields=tuple(sorted(given)))
    return settings


def must_administer(caller: Actor) -> None:
    """Let administrators of everything pass.

    Raises:
        NotAllowedError: *caller* is none, or one of a single owner's.
    """
    if not caller.may("admin") or caller.owner:
        raise NotAllowedError("This takes a key with the scope admin that is bound to no owner")


async def _must_exist(caller: Actor, wired: ApiParts, name: str) -> None:
    must_administer(caller)
    if name not in await wired.channels.settings():
        raise NotFoundError(f"There is no channel {name!r}")


async def _note(
    caller: Actor, wired: ApiParts, verb: Verb, name: str, *, fields: tuple[str, ...] = ()
) -> None:
    entry = Entry(at=wired.now(), verb=verb, subject=f"channel.{name}", by=caller.name, fields=fields)
    await access.record_entry(wired.store, entry, new_id=wired.new_id)


def _out(wired: ApiParts, name: str, settings: ChannelSettings) -> ChannelOut:
    given = {field: getattr(settings, field) for field in type(settings).model_fields}
    return ChannelOut(**given, name=name, open=wired.channels.is_open(name, settings))
