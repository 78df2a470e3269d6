"""The words of commands with verbs of their own (`channels`, `events`, ...), and of `export` and `import`."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from functions.commands import bitable, channels, events, keyring, moving, owners
from functions.commands.wish import REFUSED, Instant, Json, Name, Paths, Wish

CHANNELS = typer.Typer(
    help="The channels of notices, and whether they are open.", invoke_without_command=True
)
EVENTS = typer.Typer(help="Events that start tasks.", invoke_without_command=True)
KEYS = typer.Typer(help="Keys for the API and the dashboard.", invoke_without_command=True)
OWNERS = typer.Typer(help="Owners and their credits.", invoke_without_command=True)
BITABLE = typer.Typer(help="A table of Feishu as the store.", no_args_is_help=True)


class ScopeName(StrEnum):
    """What a key may do."""

    READ = "read"
    RUN = "run"
    WRITE = "write"
    ADMIN = "admin"


@CHANNELS.callback()
def _channels_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, channels.list_channels, as_json=as_json)


@CHANNELS.command(name="list")
def channels_list(as_json: Json = False) -> Wish:
    """All channels that are set up."""
    return Wish(channels.list_channels, as_json, {}, REFUSED)


@CHANNELS.command(name="test")
def channels_test(name: Name, as_json: Json = False) -> Wish:
    """Send a test message, and say what the vendor answers."""
    return Wish(channels.test_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="enable")
def channels_enable(name: Name, as_json: Json = False) -> Wish:
    """Switch a channel on, whoever switched it off."""
    return Wish(channels.enable_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="disable")
def channels_disable(name: Name, as_json: Json = False) -> Wish:
    """Switch a channel off."""
    return Wish(channels.disable_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="set")
def channels_set(
    name: Name,
    settings: Annotated[str, typer.Argument(metavar="JSON", help="Such as '{\"ratePerMinute\": 10}'.")],
    as_json: Json = False,
) -> Wish:
    """Set quiet hours, maintenance, a rate or a daily digest."""
    return Wish(channels.set_channel, as_json, {"name": name, "settings": settings}, REFUSED)


@EVENTS.callback()
def _events_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, events.list_events, as_json=as_json)


@EVENTS.command(name="list")
def events_list(as_json: Json = False) -> Wish:
    """What tasks listen to."""
    return Wish(events.list_events, as_json, {}, REFUSED)


@EVENTS.command(name="publish")
def events_publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as order.paid.")],
    data: Annotated[str, typer.Option(metavar="JSON", help="Such as '{\"total\": 12}'.")] = "",
    source: Annotated[str, typer.Option(metavar="NAME", help="Who says so.")] = "cli",
    subject: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    to: Annotated[str, typer.Option(metavar="ID", help="The one task that it is for.")] = "",
    event_id: Annotated[str, typer.Option("--id", metavar="ID", help="The same event is heard once.")] = "",
    as_json: Json = False,
) -> Wish:
    """Send an event."""
    options = {"event_type": event_type, "data": data, "source": source, "subject": subject, "to": to}
    return Wish(events.publish, as_json, options | {"event_id": event_id}, REFUSED)


@KEYS.callback()
def _keys_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, keyring.list_keys, as_json=as_json)


@KEYS.command(name="list")
def keys_list(as_json: Json = False) -> Wish:
    """All keys."""
    return Wish(keyring.list_keys, as_json, {}, REFUSED)


@KEYS.command(name="create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, or what for.")],
    scope: Annotated[list[ScopeName], typer.Option(help="What it may do; may be repeated.")],
    owner: Annotated[
        str, typer.Option(metavar="ID", help="Whose tasks it sees; everybody's if not given.")
    ] = "",
    expires: Instant = None,
    as_json: Json = False,
) -> Wish:
    """Make a key, and show it this once."""
    options = {"name": name, "scopes": [str(one) for one in scope], "owner": owner, "expires": expires}
    return Wish(keyring.create, as_json, options, REFUSED)


@KEYS.command(name="revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its public name, as keys list shows it.")],
    as_json: Json = False,
) -> Wish:
    """End a key for good."""
    return Wish(keyring.revoke, as_json, {"key_id": key_id}, REFUSED)


@OWNERS.callback()
def _owners_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, owners.list_owners, as_json=as_json)


@OWNERS.command(name="list")
def owners_list(as_json: Json = False) -> Wish:
    """All owners that have an account."""
    return Wish(owners.list_owners, as_json, {}, REFUSED)


@OWNERS.command(name="show")
def owners_show(owner: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> Wish:
    """One owner's credits, used and set aside."""
    return Wish(owners.show_owner, as_json, {"owner": owner}, REFUSED)


@OWNERS.command(name="set")
def owners_set(
    owner: Annotated[str, typer.Argument(metavar="ID")],
    plan: Annotated[str | None, typer.Option(metavar="NAME", help="A word for people and bills.")] = None,
    monthly_credits: Annotated[
        float | None, typer.Option(metavar="N", help="A calendar month, in UTC.")
    ] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No limit of credits.")] = False,
    as_json: Json = False,
) -> Wish:
    """Give an owner a plan, or credits a month."""
    options = {"owner": owner, "plan": plan, "monthly_credits": monthly_credits, "unlimited": unlimited}
    return Wish(owners.set_owner, as_json, options, REFUSED)


@BITABLE.callback()
def _bitable() -> None:
    """A table of Feishu as the store."""  # a group of one command would else be that command itself


@BITABLE.command(name="setup")
def bitable_setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is missing.")] = False,
    as_json: Json = False,
) -> Wish:
    """Make the columns and tables that the store needs; again does no harm."""
    return Wish(bitable.set_up, as_json, {"dry_run": dry_run}, REFUSED)


def _alone(context: typer.Context, does: Callable[..., Awaitable[int]], *, as_json: bool) -> Wish | None:
    """The wish of a group that was typed without a verb."""
    return Wish(does, as_json, {}, REFUSED) if context.invoked_subcommand is None else None


def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], as_json: Json = False
) -> Wish:
    """Write everything the store keeps into a file: tasks, history, channels, owners, keys."""
    return Wish(moving.export_store, as_json, {"path": path}, REFUSED)


def import_(
    paths: Paths,
    shape: Annotated[
        str | None, typer.Option("--from", metavar="SHAPE", help="Found by looking if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would become of it.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="What is there and differs gives way.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a task file, change no store.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Of whatever names none.")] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of whatever names no limit.")
    ] = None,
    as_json: Json = False,
) -> Wish:
    """What export wrote, or the files of another scheduler, into the store; again does no harm."""
    options: dict[str, Any] = {"paths": paths, "shape": shape, "dry_run": dry_run, "replace": replace}
    options |= {"write": write, "timezone": timezone, "timeout_s": timeout}
    return Wish(moving.import_file, as_json, options)
