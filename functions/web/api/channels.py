"""Routes about channels: list them, send a test message, change settings. For administrators."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field, ValidationError

from functions.domain.access import AuditVerb, Principal, audit_subject
from functions.domain.alerts.routing import ChannelPreferences, DailyDigest, Maintenance, QuietHours
from functions.domain.validation import validation_sentence
from functions.errors import InputError, NotAllowedError, NotFoundError
from functions.services.access import audit
from functions.services.apply import sync_digest_task
from functions.web.api.dependencies import CurrentPrincipal, Dependencies, make_api_router
from functions.web.api.errors import error_responses
from functions.web.api.scheduler import ApiDependencies
from functions.web.api.schemas import Schema

router = make_api_router("/api/channels", "channels")

TEST_TIMEOUT = timedelta(seconds=15)  # for the vendor's response
ChannelName = Annotated[str, Path(min_length=1, max_length=50, examples=["feishu"])]


class ChannelOut(ChannelPreferences):
    """A configured channel. *open* is whether it sends notifications now."""

    name: str
    open: bool


class ChannelList(Schema):
    """The configured channels."""

    channels: list[ChannelOut]


class ChannelRequest(Schema):
    """The settings to change; an absent one stays, null means the default."""

    enabled: bool | None = None
    quiet: Annotated[tuple[QuietHours, ...], Field(max_length=20)] | None = None
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=50)] | None = None
    rate_per_minute: Annotated[int, Field(ge=1, le=600)] | None = None
    digest: DailyDigest | None = None


class TestResult(Schema):
    """The result of a test message, with the vendor's response explained."""

    channel: str
    ok: bool
    permanent: bool = Field(description="whether a retry cannot help")
    detail: str


@router.get("", responses=error_responses(), summary="List channels")
async def list_channels(principal: CurrentPrincipal, dependencies: Dependencies) -> ChannelList:
    """Return the channels whose variables are set, with their settings."""
    require_admin(principal)
    found = await dependencies.channels.settings()
    return ChannelList(channels=[_to_channel_out(dependencies, name, one) for name, one in found.items()])


@router.post("/{name}/test", responses=error_responses(404), summary="Send a test message")
async def test_channel(
    principal: CurrentPrincipal, dependencies: Dependencies, name: ChannelName
) -> TestResult:
    """Send one test message on the channel, whatever its settings."""
    return await send_test(principal, dependencies, name)


@router.patch("/{name}", responses=error_responses(404), summary="Change a channel's settings")
async def update_channel(
    principal: CurrentPrincipal, dependencies: Dependencies, name: ChannelName, body: ChannelRequest
) -> ChannelOut:
    """Enable or disable a channel, or set its quiet hours, maintenance windows, rate or daily digest."""
    changes = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    settings = await apply_channel_changes(principal, dependencies, name, changes)
    return _to_channel_out(dependencies, name, settings)


async def send_test(principal: Principal, dependencies: ApiDependencies, name: str) -> TestResult:
    """Send a test message and record who did.

    Raises:
        NotAllowedError: *principal* is no administrator.
        NotFoundError: There is no such channel.
    """
    await _require_channel(principal, dependencies, name)
    sent = await dependencies.dispatcher.test(name, within=TEST_TIMEOUT)
    await _audit(principal, dependencies, "channel tested", name)
    return TestResult(channel=name, ok=sent.ok, permanent=sent.permanent, detail=sent.detail)


async def apply_channel_changes(
    principal: Principal, dependencies: ApiDependencies, name: str, changes: Mapping[str, Any]
) -> ChannelPreferences:
    """Change the settings in *changes*, JSON values by the API's names; raises as `send_test` does."""
    await _require_channel(principal, dependencies, name)
    given = {key: value for key, value in changes.items() if value is not None or key not in ("enabled",)}
    if given.get("enabled"):
        given["disabled"] = None  # enabled by a user: forget the vendor's last refusal

    def decide(old: ChannelPreferences) -> ChannelPreferences:
        whole = old.model_dump(mode="json", by_alias=True) | given
        defaults = {key: value for key, value in whole.items() if value is not None}
        try:
            return ChannelPreferences.model_validate(defaults)
        except ValidationError as exc:
            raise InputError(validation_sentence(exc, defaults, model=ChannelPreferences)) from None

    settings = await dependencies.channels.update_settings(name, decide)
    if "digest" in given:
        await sync_digest_task(
            dependencies.store, name, settings.digest, now=dependencies.now(), new_id=dependencies.new_id
        )
    await _audit(principal, dependencies, "channel changed", name, fields=tuple(sorted(given)))
    return settings


def require_admin(principal: Principal) -> None:
    """Require an administrator of all owners.

    Raises:
        NotAllowedError: *principal* is none, or is bound to an owner.
    """
    if not principal.has_scope("admin") or principal.owner:
        raise NotAllowedError("This needs a key with the scope admin that is bound to no owner")


async def _require_channel(principal: Principal, dependencies: ApiDependencies, name: str) -> None:
    require_admin(principal)
    if name not in await dependencies.channels.settings():
        raise NotFoundError(f"There is no channel {name!r}")


async def _audit(
    principal: Principal,
    dependencies: ApiDependencies,
    verb: AuditVerb,
    name: str,
    *,
    fields: tuple[str, ...] = (),
) -> None:
    await audit.record_change(
        dependencies.store,
        verb,
        audit_subject("channel", name),
        by=principal.author,
        at=dependencies.now(),
        new_id=dependencies.new_id,
        fields=fields,
    )


def _to_channel_out(dependencies: ApiDependencies, name: str, settings: ChannelPreferences) -> ChannelOut:
    given = {field: getattr(settings, field) for field in type(settings).model_fields}
    return ChannelOut(**given, name=name, open=dependencies.channels.is_open(name, settings))
