"""The groups of commands for administration: `channels`, `calendars`, `events`, `keys`, ...."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from functions.cli.arguments.moments import Moment, moment_option
from functions.cli.options import (
    CommandContext,
    JsonOption,
    NameArgument,
    invoke,
    invoke_refusable,
)

CHANNELS = typer.Typer(help="Notification channels, and whether they are open.", invoke_without_command=True)
CALENDARS = typer.Typer(help="Named lists of days that tasks exclude.", invoke_without_command=True)
EVENTS = typer.Typer(help="Events that start tasks.", invoke_without_command=True)
KEYS = typer.Typer(help="Keys for the API and the dashboard.", invoke_without_command=True)
OWNERS = typer.Typer(help="Owners and their credits.", invoke_without_command=True)
BITABLE = typer.Typer(help="A Feishu table as the store.", no_args_is_help=True)


GROUPS = {
    "channels": CHANNELS,
    "calendars": CALENDARS,
    "events": EVENTS,
    "keys": KEYS,
    "owners": OWNERS,
    "bitable": BITABLE,
}


def _default_command(context: typer.Context, target: str, *, as_json: bool) -> CommandContext | None:
    """Return the command of a group that is typed without a verb."""
    return invoke_refusable(target, as_json) if context.invoked_subcommand is None else None


AllowType = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE", help="A task type that may be used, or *; may be repeated."),
]
AllowSecret = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A {{secret:NAME}} that may be used, or *; may be repeated."),
]
AllowChannel = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A channel that notify may name, or *; may be repeated."),
]
AllowMcpServer = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="An MCP server that agents may use, or *; may be repeated."),
]
AllowOperatorToken = Annotated[
    bool, typer.Option("--allow-operator-token", help="Tasks without a token may use GITHUB_TOKEN.")
]


def _given(
    types: list[str] | None,
    secrets: list[str] | None,
    channels: list[str] | None,
    mcp_servers: list[str] | None,
    *,
    operator_token: bool,
) -> dict[str, Any]:
    """Return the options that were given, as fields of `Capabilities`."""
    named = {
        "types": types,
        "secrets": secrets,
        "channels": channels,
        "mcp_servers": mcp_servers,
        "operator_token": operator_token,
    }
    return {name: value for name, value in named.items() if value}


class ScopeName(StrEnum):
    """What a key may do."""

    READ = "read"
    RUN = "run"
    WRITE = "write"
    ADMIN = "admin"


@CHANNELS.callback()
def _channels_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, "admin.channels:list_channels", as_json=as_json)


@CHANNELS.command(name="list")
def channels_list(as_json: JsonOption = False) -> CommandContext:
    """List the channels that are set up."""
    return invoke_refusable("admin.channels:list_channels", as_json)


@CHANNELS.command(name="test")
def channels_test(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Send a test message, and show the vendor's response."""
    return invoke_refusable("admin.channels:test_channel", as_json, name=name)


@CHANNELS.command(name="enable")
def channels_enable(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Switch a channel on, also one that was switched off after an error."""
    return invoke_refusable("admin.channels:enable_channel", as_json, name=name)


@CHANNELS.command(name="disable")
def channels_disable(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Switch a channel off."""
    return invoke_refusable("admin.channels:disable_channel", as_json, name=name)


@CHANNELS.command(name="set")
def channels_set(
    name: NameArgument,
    settings: Annotated[str, typer.Argument(metavar="JSON", help="Such as '{\"ratePerMinute\": 10}'.")],
    as_json: JsonOption = False,
) -> CommandContext:
    """Set quiet hours, maintenance, a rate or a daily digest."""
    return invoke("admin.channels:set_channel", as_json, name=name, settings=settings)


CalendarArgument = Annotated[str, typer.Argument(metavar="NAME", help="The calendar, such as company.")]
CalendarOwner = Annotated[str, typer.Option("--owner", metavar="ID", help="Whose calendar it is.")]


@CALENDARS.callback()
def _calendars_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, "admin.calendars:list_calendars", as_json=as_json)


@CALENDARS.command(name="list")
def calendars_list(as_json: JsonOption = False) -> CommandContext:
    """List the calendars with their days."""
    return invoke_refusable("admin.calendars:list_calendars", as_json)


@CALENDARS.command(name="show")
def calendars_show(
    name: CalendarArgument, owner: CalendarOwner = "", as_json: JsonOption = False
) -> CommandContext:
    """Show the days of a calendar, an entry a line."""
    return invoke("admin.calendars:show_calendar", as_json, name=name, owner=owner)


@CALENDARS.command(name="set")
def calendars_set(
    name: CalendarArgument,
    days: Annotated[
        list[str],
        typer.Argument(metavar="DAY...", help="All its days: 2026-12-24, 12-24..01-02, holidays:LV."),
    ],
    owner: CalendarOwner = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Create or replace a calendar; the tasks that use it have its new days at once."""
    return invoke("admin.calendars:set_calendar", as_json, name=name, days=days, owner=owner)


@CALENDARS.command(name="remove")
def calendars_remove(
    name: CalendarArgument, owner: CalendarOwner = "", as_json: JsonOption = False
) -> CommandContext:
    """Remove a calendar; refused while tasks use it."""
    return invoke_refusable("admin.calendars:remove_calendar", as_json, name=name, owner=owner)


@EVENTS.callback()
def _events_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, "admin.events:list_events", as_json=as_json)


@EVENTS.command(name="list")
def events_list(as_json: JsonOption = False) -> CommandContext:
    """List the event types that start tasks."""
    return invoke_refusable("admin.events:list_events", as_json)


@EVENTS.command(name="publish")
def events_publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as order.paid.")],
    data: Annotated[str, typer.Option(metavar="JSON", help="Such as '{\"total\": 12}'.")] = "",
    source: Annotated[str, typer.Option(metavar="NAME", help="The event's source.")] = "cli",
    subject: Annotated[str, typer.Option(metavar="TEXT", help="The event's subject.")] = "",
    to: Annotated[str, typer.Option(metavar="ID", help="Start this task only.")] = "",
    event_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Publishing the same id again starts nothing.")
    ] = "",
    all_owners: Annotated[
        bool, typer.Option("--all-owners", help="Start tasks of every owner, not only those without one.")
    ] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Send an event."""
    return invoke(
        "admin.events:publish_event",
        as_json,
        event_type=event_type,
        data=data,
        source=source,
        subject=subject,
        to=to,
        event_id=event_id,
        all_owners=all_owners,
    )


@KEYS.callback()
def _keys_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, "admin.keys:list_keys", as_json=as_json)


@KEYS.command(name="list")
def keys_list(as_json: JsonOption = False) -> CommandContext:
    """List the keys."""
    return invoke_refusable("admin.keys:list_keys", as_json)


@KEYS.command(name="create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The holder or the purpose.")],
    scope: Annotated[list[ScopeName], typer.Option(help="What the key may do; may be repeated.")],
    owner: Annotated[str, typer.Option(metavar="ID", help="Restrict it to this owner's tasks.")] = "",
    expires: Annotated[
        Moment | None, moment_option(help="When it ends: 90d, 2027-01-01; never if not given.")
    ] = None,
    allow_type: AllowType = None,
    allow_secret: AllowSecret = None,
    allow_channel: AllowChannel = None,
    allow_mcp_server: AllowMcpServer = None,
    allow_operator_token: AllowOperatorToken = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Create a key and show it once.

    Without --allow-... its tasks may use all that their owner may. With one, nothing that is not named;
    command and python must always be named.
    """
    return invoke(
        "admin.keys:create_key",
        as_json,
        name=name,
        scopes=[str(one) for one in scope],
        owner=owner,
        expires=expires,
        allowed=_given(
            allow_type, allow_secret, allow_channel, allow_mcp_server, operator_token=allow_operator_token
        ),
    )


@KEYS.command(name="revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as keys list shows it.")],
    as_json: JsonOption = False,
) -> CommandContext:
    """Revoke a key permanently."""
    return invoke_refusable("admin.keys:revoke_key", as_json, key_id=key_id)


@OWNERS.callback()
def _owners_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, "admin.owners:list_owners", as_json=as_json)


@OWNERS.command(name="list")
def owners_list(as_json: JsonOption = False) -> CommandContext:
    """List the owners that have an account."""
    return invoke_refusable("admin.owners:list_owners", as_json)


@OWNERS.command(name="show")
def owners_show(
    owner: Annotated[str, typer.Argument(metavar="ID")], as_json: JsonOption = False
) -> CommandContext:
    """Show an owner's credits: used, reserved and available."""
    return invoke_refusable("admin.owners:show_owner", as_json, owner=owner)


@OWNERS.command(name="set")
def owners_set(
    owner: Annotated[str, typer.Argument(metavar="ID")],
    plan: Annotated[
        str | None, typer.Option(metavar="NAME", help="The plan's name, for information.")
    ] = None,
    monthly_credits: Annotated[
        float | None, typer.Option(metavar="N", help="Credits for a calendar month, in UTC.")
    ] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No credit limit.")] = False,
    max_tasks: Annotated[
        int | None, typer.Option(metavar="N", help="How many tasks it may have; else MAX_TASKS_PER_OWNER.")
    ] = None,
    default_max_tasks: Annotated[
        bool, typer.Option("--default-max-tasks", help="Take back --max-tasks: MAX_TASKS_PER_OWNER counts.")
    ] = False,
    reset_used: Annotated[
        bool, typer.Option("--reset-used", help="Begin this month's count of used credits anew.")
    ] = False,
    allow_type: AllowType = None,
    allow_secret: AllowSecret = None,
    allow_channel: AllowChannel = None,
    allow_mcp_server: AllowMcpServer = None,
    allow_operator_token: AllowOperatorToken = False,
    close: Annotated[bool, typer.Option("--close", help="Take back all that was allowed before.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Set an owner's plan, monthly credits, and what its tasks may use.

    Each --allow-... replaces what was named before; other settings stay.
    """
    from functions.cli.admin.owners import OwnerChanges  # with the accounts, which no other command needs

    return invoke(
        "admin.owners:set_owner",
        as_json,
        owner=owner,
        changes=OwnerChanges(
            plan=plan,
            monthly_credits=monthly_credits,
            unlimited=unlimited,
            max_tasks=max_tasks,
            default_max_tasks=default_max_tasks,
            reset_used=reset_used,
        ),
        allowed=_given(
            allow_type, allow_secret, allow_channel, allow_mcp_server, operator_token=allow_operator_token
        ),
        close=close,
    )


@BITABLE.callback()
def _bitable_group() -> None:
    """A Feishu table as the store."""  # without it, typer makes a group of one command that command


@BITABLE.command(name="setup")
def bitable_setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is missing.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Create the columns and tables that the store needs; repeating it is harmless."""
    return invoke_refusable("admin.bitable:set_up_bitable", as_json, dry_run=dry_run)
