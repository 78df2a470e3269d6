"""The commands of the command line: what each does, whatever reads the words typed.

A command is `async (session, **options) -> exit code`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from functions.cli import admin, transfer
from functions.cli import apply as files
from functions.cli import doctor as doctor_command
from functions.cli import tasks as task_commands
from functions.cli.options import (
    EXIT_FAILED,
    CommandContext,
    InstantOption,
    JsonOption,
    NameArgument,
    PathsArgument,
    PruneOption,
    TaskIdArgument,
    TaskIdsArgument,
    complete_task_ids,
    option_parser,
    parse_instant,
    parse_limit,
    parse_note,
    parse_optional_seconds,
    parse_seconds,
)
from functions.cli.serve import command

# The words of commands with verbs of their own (`channels`, `events`, ...), and of `export` and `import`.

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
def _channels_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, admin.list_channels, as_json=as_json)


@CHANNELS.command(name="list")
def channels_list(as_json: JsonOption = False) -> CommandContext:
    """All channels that are set up."""
    return CommandContext(admin.list_channels, as_json, {}, EXIT_FAILED)


@CHANNELS.command(name="test")
def channels_test(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Send a test message, and say what the vendor answers."""
    return CommandContext(admin.test_channel, as_json, {"name": name}, EXIT_FAILED)


@CHANNELS.command(name="enable")
def channels_enable(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Switch a channel on, whoever switched it off."""
    return CommandContext(admin.enable_channel, as_json, {"name": name}, EXIT_FAILED)


@CHANNELS.command(name="disable")
def channels_disable(name: NameArgument, as_json: JsonOption = False) -> CommandContext:
    """Switch a channel off."""
    return CommandContext(admin.disable_channel, as_json, {"name": name}, EXIT_FAILED)


@CHANNELS.command(name="set")
def channels_set(
    name: NameArgument,
    settings: Annotated[str, typer.Argument(metavar="JSON", help="Such as '{\"ratePerMinute\": 10}'.")],
    as_json: JsonOption = False,
) -> CommandContext:
    """Set quiet hours, maintenance, a rate or a daily digest."""
    return CommandContext(admin.set_channel, as_json, {"name": name, "settings": settings}, EXIT_FAILED)


@EVENTS.callback()
def _events_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, admin.list_events, as_json=as_json)


@EVENTS.command(name="list")
def events_list(as_json: JsonOption = False) -> CommandContext:
    """What tasks listen to."""
    return CommandContext(admin.list_events, as_json, {}, EXIT_FAILED)


@EVENTS.command(name="publish")
def events_publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as order.paid.")],
    data: Annotated[str, typer.Option(metavar="JSON", help="Such as '{\"total\": 12}'.")] = "",
    source: Annotated[str, typer.Option(metavar="NAME", help="Who says so.")] = "cli",
    subject: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    to: Annotated[str, typer.Option(metavar="ID", help="The one task that it is for.")] = "",
    event_id: Annotated[str, typer.Option("--id", metavar="ID", help="The same event is heard once.")] = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Send an event."""
    options = {"event_type": event_type, "data": data, "source": source, "subject": subject, "to": to}
    return CommandContext(admin.publish_event, as_json, options | {"event_id": event_id}, EXIT_FAILED)


@KEYS.callback()
def _keys_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, admin.list_keys, as_json=as_json)


@KEYS.command(name="list")
def keys_list(as_json: JsonOption = False) -> CommandContext:
    """All keys."""
    return CommandContext(admin.list_keys, as_json, {}, EXIT_FAILED)


@KEYS.command(name="create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, or what for.")],
    scope: Annotated[list[ScopeName], typer.Option(help="What it may do; may be repeated.")],
    owner: Annotated[
        str, typer.Option(metavar="ID", help="Whose tasks it sees; everybody's if not given.")
    ] = "",
    expires: InstantOption = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Make a key, and show it this once."""
    options = {"name": name, "scopes": [str(one) for one in scope], "owner": owner, "expires": expires}
    return CommandContext(admin.create_key, as_json, options, EXIT_FAILED)


@KEYS.command(name="revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its public name, as keys list shows it.")],
    as_json: JsonOption = False,
) -> CommandContext:
    """End a key for good."""
    return CommandContext(admin.revoke_key, as_json, {"key_id": key_id}, EXIT_FAILED)


@OWNERS.callback()
def _owners_default(context: typer.Context, as_json: JsonOption = False) -> CommandContext | None:
    return _default_command(context, admin.list_owners, as_json=as_json)


@OWNERS.command(name="list")
def owners_list(as_json: JsonOption = False) -> CommandContext:
    """All owners that have an account."""
    return CommandContext(admin.list_owners, as_json, {}, EXIT_FAILED)


@OWNERS.command(name="show")
def owners_show(
    owner: Annotated[str, typer.Argument(metavar="ID")], as_json: JsonOption = False
) -> CommandContext:
    """One owner's credits, used and set aside."""
    return CommandContext(admin.show_owner, as_json, {"owner": owner}, EXIT_FAILED)


@OWNERS.command(name="set")
def owners_set(
    owner: Annotated[str, typer.Argument(metavar="ID")],
    plan: Annotated[str | None, typer.Option(metavar="NAME", help="A word for people and bills.")] = None,
    monthly_credits: Annotated[
        float | None, typer.Option(metavar="N", help="A calendar month, in UTC.")
    ] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="No limit of credits.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Give an owner a plan, or credits a month."""
    options = {"owner": owner, "plan": plan, "monthly_credits": monthly_credits, "unlimited": unlimited}
    return CommandContext(admin.set_owner, as_json, options, EXIT_FAILED)


@BITABLE.callback()
def _bitable_group() -> None:
    """A table of Feishu as the store."""  # a group of one command would else be that command itself


@BITABLE.command(name="setup")
def bitable_setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is missing.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Make the columns and tables that the store needs; again does no harm."""
    return CommandContext(admin.set_up_bitable, as_json, {"dry_run": dry_run}, EXIT_FAILED)


def _default_command(
    context: typer.Context, handler: Callable[..., Awaitable[int]], *, as_json: bool
) -> CommandContext | None:
    """The wish of a group that was typed without a verb."""
    return CommandContext(handler, as_json, {}, EXIT_FAILED) if context.invoked_subcommand is None else None


def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], as_json: JsonOption = False
) -> CommandContext:
    """Write everything the store keeps into a file: tasks, history, channels, owners, keys."""
    return CommandContext(transfer.export_store, as_json, {"path": path}, EXIT_FAILED)


def import_(
    paths: PathsArgument,
    format_name: Annotated[
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
    as_json: JsonOption = False,
) -> CommandContext:
    """What export wrote, or the files of another scheduler, into the store; again does no harm."""
    options: dict[str, Any] = {
        "paths": paths,
        "format_name": format_name,
        "dry_run": dry_run,
        "replace": replace,
    }
    options |= {"write": write, "timezone": timezone, "timeout_s": timeout}
    return CommandContext(transfer.import_file, as_json, options)


# The words of the command line: every command with its arguments and options, and what carries it out.

app = typer.Typer(
    name="scheduler",
    help="Cronfire's command line, over the same store and settings as the function.",
    epilog="Exit codes: 0 done, 1 some task failed or was refused, 2 wrong usage or settings.",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# -- files -------------------------------------------------------------------------------------------------


@app.command()
def apply(paths: PathsArgument, prune: PruneOption = True, as_json: JsonOption = False) -> CommandContext:
    """Make the store match task files."""
    return CommandContext(files.apply_files, as_json, {"paths": paths, "prune": prune, "dry_run": False})


@app.command()
def plan(paths: PathsArgument, prune: PruneOption = True, as_json: JsonOption = False) -> CommandContext:
    """Show what apply would change, in fire times as well as fields, and what it would cost."""
    return CommandContext(files.apply_files, as_json, {"paths": paths, "prune": prune, "dry_run": True})


@app.command()
def cost(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Task files; else the store's tasks.")
    ] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """What tasks cost on Google Cloud, and how much of that is free."""
    return CommandContext(files.show_cost, as_json, {"paths": paths or []})


# -- looking -----------------------------------------------------------------------------------------------


@app.command(name="list")
def list_(as_json: JsonOption = False) -> CommandContext:
    """All tasks."""
    return CommandContext(task_commands.list_tasks, as_json)


@app.command()
def show(task_id: TaskIdArgument, as_json: JsonOption = False) -> CommandContext:
    """One task whole."""
    return CommandContext(task_commands.show_task, as_json, {"task_id": task_id}, EXIT_FAILED)


@app.command()
def runs(
    task_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", autocompletion=complete_task_ids, show_default=False)
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", parser=option_parser(parse_limit), help="How many.")
    ] = 20,
    as_json: JsonOption = False,
) -> CommandContext:
    """The newest runs, of one task or of all."""
    return CommandContext(task_commands.show_runs, as_json, {"task_id": task_id, "limit": limit}, EXIT_FAILED)


@app.command()
def status(as_json: JsonOption = False) -> CommandContext:
    """How many tasks there are, and when the last tick was."""
    return CommandContext(task_commands.show_status, as_json)


@app.command()
def types(as_json: JsonOption = False) -> CommandContext:
    """The task types, with examples."""
    return CommandContext(task_commands.list_types, as_json)


@app.command(name="next")
def next_(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="'30 9 * * 1-5', 'every 15m', ...")],
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Such as Europe/Riga.")] = None,
    after: InstantOption = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many.")] = 5,
    anchor: InstantOption = None,
    task_id: Annotated[str, typer.Option("--id", metavar="ID", help="The task that H is drawn from.")] = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """When a schedule's occurrences are; needs no store."""
    options = {"expression": expression, "timezone": timezone, "after": after, "count": count}
    return CommandContext(task_commands.show_next, as_json, options | {"anchor": anchor, "task_id": task_id})


@app.command()
def doctor(
    send: Annotated[bool, typer.Option(help="Send a test message on each channel.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Check settings, store, secrets, clock, pinger and channels; 1 when something is wrong."""
    return CommandContext(doctor_command.run_doctor, as_json, {"send": send})


# -- steering ----------------------------------------------------------------------------------------------


@app.command()
def run(ids: TaskIdsArgument, as_json: JsonOption = False) -> CommandContext:
    """Ask for a run at the next tick."""
    return CommandContext(task_commands.request_runs, as_json, {"task_ids": ids}, EXIT_FAILED)


@app.command()
def pause(
    task_id: TaskIdArgument,
    note: Annotated[str, typer.Option(parser=option_parser(parse_note), metavar="TEXT", help="Why.")] = "",
    until: InstantOption = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Stop a task, until it is resumed or until the instant given."""
    return CommandContext(
        task_commands.pause_task, as_json, {"task_id": task_id, "note": note, "until": until}, EXIT_FAILED
    )


@app.command()
def resume(
    task_id: TaskIdArgument,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Run what was missed as well.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """End a pause or a quarantine."""
    return CommandContext(
        task_commands.resume_task, as_json, {"task_id": task_id, "catch_up": catch_up}, EXIT_FAILED
    )


@app.command()
def cancel(task_id: TaskIdArgument, as_json: JsonOption = False) -> CommandContext:
    """End the run in hand."""
    return CommandContext(task_commands.cancel_task, as_json, {"task_id": task_id}, EXIT_FAILED)


@app.command()
def backfill(
    task_id: TaskIdArgument,
    first: Annotated[
        datetime, typer.Option("--from", metavar="INSTANT", parser=option_parser(parse_instant))
    ],
    until: Annotated[datetime, typer.Option("--to", metavar="INSTANT", parser=option_parser(parse_instant))],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Run past occurrences that have not succeeded."""
    options = {"task_id": task_id, "first": first, "until": until, "dry_run": dry_run}
    return CommandContext(task_commands.backfill_task, as_json, options, EXIT_FAILED)


@app.command()
def tick(as_json: JsonOption = False) -> CommandContext:
    """One tick in this process; 1 if a task failed."""
    return CommandContext(task_commands.run_tick, as_json)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="0 means any that is free.")] = 8080,
    every: Annotated[
        int, typer.Option(metavar="SECONDS", parser=option_parser(parse_seconds), help="Between two ticks.")
    ] = 60,
    status_every: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            parser=option_parser(parse_optional_seconds),
            help="Between two states; 0: none.",
        ),
    ] = 30,
    tasks: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Applied, and again when it changes.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where lines go; put aside when full.")
    ] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """The function on this machine, with a pinger of its own."""
    manner = command.ServeOptions(port, every, status_every, tuple(tasks or ()), log)
    return CommandContext(command.serve, as_json, {"options": manner})


app.command()(export)
app.command(name="import")(import_)
GROUPS = {"channels": CHANNELS, "events": EVENTS, "keys": KEYS, "owners": OWNERS, "bitable": BITABLE}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
