"""The commands for administration over the API, with the output that they have over a store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic.alias_generators import to_camel

from functions.cli.admin import calendars, channels, events, keys, owners
from functions.cli.arguments.moments import Moment
from functions.cli.session import CliContext
from functions.domain.access import ListedKey, Scope
from functions.domain.alerts.routing import ChannelPreferences
from functions.domain.lifecycle.permissions import Capabilities
from functions.domain.types import format_instant
from functions.errors import NotFoundError


async def list_channels(context: CliContext) -> int:
    """As `channels.list_channels`."""
    given = (await context.api.request("GET", "/api/channels"))["channels"]
    return channels.show_channels(context, [_to_row(one) for one in given])


async def test_channel(context: CliContext, *, name: str) -> int:
    """As `channels.test_channel`."""
    with context.screen.show_progress(f"Sending to {name}"):
        result = await context.api.request("POST", f"/api/channels/{name}/test")
    return channels.show_test(context, result)


async def enable_channel(context: CliContext, *, name: str) -> int:
    """As `channels.enable_channel`."""
    return await _change_channel(context, name, {"enabled": True}, "is on")


async def disable_channel(context: CliContext, *, name: str) -> int:
    """As `channels.disable_channel`."""
    return await _change_channel(context, name, {"enabled": False}, "is off")


async def set_channel(context: CliContext, *, name: str, settings: str) -> int:
    """As `channels.set_channel`."""
    return await _change_channel(context, name, channels.parse_changes(settings), "is set")


async def _change_channel(context: CliContext, name: str, changes: Mapping[str, Any], what: str) -> int:
    row = _to_row(await context.api.request("PATCH", f"/api/channels/{name}", changes))
    return channels.show_channel(context, row, what)


def _to_row(given: Mapping[str, Any]) -> channels.ChannelRow:
    settings = {name: value for name, value in given.items() if name not in ("name", "open")}
    return channels.ChannelRow(given["name"], given["open"], ChannelPreferences.model_validate(settings))


async def list_calendars(context: CliContext) -> int:
    """As `calendars.list_calendars`."""
    return calendars.show_calendars(
        context, (await context.api.request("GET", "/api/calendars"))["calendars"]
    )


async def show_calendar(context: CliContext, *, name: str, owner: str) -> int:
    """As `calendars.show_calendar`."""
    found = await context.api.request("GET", f"/api/calendars/{name}", owner=owner or None)
    return calendars.show_entries(context, found)


async def set_calendar(context: CliContext, *, name: str, days: Sequence[str], owner: str) -> int:
    """As `calendars.set_calendar`."""
    results = await _put_calendar(context, name, calendars.split_days(days), owner)
    return calendars.show_results(context, results)


async def put_calendars(context: CliContext, given: Mapping[tuple[str, str], Sequence[str]]) -> None:
    """Write the calendars of files, by owner and name, where they differ."""
    if not given:
        return
    found = (await context.api.request("GET", "/api/calendars"))["calendars"]
    known = {(one["owner"], one["name"]): one for one in found}
    for (owner, name), entries in given.items():
        there = known.get((owner, name))
        if there is None or not there["complete"] or there["entries"] != list(entries):
            await _put_calendar(context, name, entries, owner)


async def _put_calendar(
    context: CliContext, name: str, entries: Sequence[str], owner: str
) -> list[Mapping[str, Any]]:
    path, whose = f"/api/calendars/{name}", owner or None
    results = [await context.api.request("PUT", path, {"entries": list(entries)}, owner=whose)]
    while not results[-1]["calendar"]["complete"]:
        results.append(await context.api.request("POST", f"{path}/refresh", owner=whose))
    return results


async def remove_calendar(context: CliContext, *, name: str, owner: str) -> int:
    """As `calendars.remove_calendar`."""
    await context.api.request("DELETE", f"/api/calendars/{name}", owner=owner or None)
    return calendars.show_removed(context, name)


async def list_events(context: CliContext) -> int:
    """As `events.list_events`."""
    return events.show_events(context, (await context.api.request("GET", "/api/events"))["events"])


async def publish_event(
    context: CliContext, *, event_type: str, data: str, all_owners: bool, **how: str
) -> int:
    """As `events.publish_event`."""
    if how["to"]:
        await context.get_task(how["to"])
    names = {"source": how["source"], "subject": how["subject"], "to": how["to"], "id": how["event_id"]}
    body = {"type": event_type, "data": events.parse_json_object(data)}
    body |= {name: value for name, value in names.items() if value} | ({"reach": "all"} if all_owners else {})
    given = await context.api.request("POST", "/api/events", body)
    context.screen.show(given, events.result_lines(event_type, how["source"], given))
    return 0


async def create_key(
    context: CliContext,
    *,
    name: str,
    scopes: Sequence[Scope],
    owner: str,
    expires: Moment | None,
    allowed: Mapping[str, Any],
) -> int:
    """As `keys.create_key`; for an administrator's key."""
    end = expires.resolve(context.now(), context.settings.default_timezone) if expires else None
    capabilities = keys.allow(Capabilities(), allowed) if allowed else None
    body = {
        "name": name,
        "scopes": list(scopes),
        "owner": owner,
        "expiresAt": format_instant(end) if end else None,
        "capabilities": capabilities.model_dump(mode="json", by_alias=True) if capabilities else None,
    }
    return keys.show_new_key(context, await context.api.request("POST", "/api/keys", body))


async def list_keys(context: CliContext) -> int:
    """As `keys.list_keys`."""
    given = await context.api.request("GET", "/api/keys")
    found = [ListedKey.model_validate(one) for one in given["keys"]]
    return keys.show_keys(context, found, given["unreadable"])


async def revoke_key(context: CliContext, *, key_id: str) -> int:
    """As `keys.revoke_key`."""
    return keys.show_revoked_key(context, await context.api.request("DELETE", f"/api/keys/{key_id}"))


async def list_owners(context: CliContext) -> int:
    """As `owners.list_owners`."""
    given = await context.api.request("GET", "/api/owners")
    return owners.show_owners(context, given["owners"], given["unreadable"])


async def show_owner(context: CliContext, *, owner: str) -> int:
    """As `owners.show_owner`."""
    return owners.show_account(context, await context.api.request("GET", f"/api/owners/{owner}"))


async def set_owner(
    context: CliContext,
    *,
    owner: str,
    changes: owners.OwnerChanges,
    allowed: Mapping[str, Any],
    close: bool,
) -> int:
    """As `owners.set_owner`."""
    owners.check_changes(changes, allowed, close=close)
    body = {to_camel(name): value for name, value in asdict(changes).items()}
    if allowed or close:
        before = Capabilities() if close else await _capabilities_of(context, owner)
        body["capabilities"] = keys.allow(before, allowed).model_dump(mode="json", by_alias=True)
    account = await context.api.request("PUT", f"/api/owners/{owner}", body)
    return owners.show_changed_account(
        context,
        account,
        shows_capabilities="capabilities" in body,
        shows_max_tasks=changes.concern_max_tasks,
    )


async def _capabilities_of(context: CliContext, owner: str) -> Capabilities:
    try:
        account = await context.api.request("GET", f"/api/owners/{owner}")
    except NotFoundError:
        return Capabilities()
    return Capabilities.model_validate(account["capabilities"])
