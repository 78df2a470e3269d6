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
from functions.cli import apply as costing
from functions.cli import apply as files
from functions.cli import doctor as checkup
from functions.cli import tasks as looking
from functions.cli import tasks as occurrences
from functions.cli import tasks as steering
from functions.cli import tasks as ticking
from functions.cli.options import (
    REFUSED,
    Id,
    Ids,
    Instant,
    Json,
    Name,
    Paths,
    Prune,
    Wish,
    instant,
    limit_number,
    note_text,
    read_as,
    seconds_between,
    seconds_or_none,
    task_ids,
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
def _channels_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, admin.list_channels, as_json=as_json)


@CHANNELS.command(name="list")
def channels_list(as_json: Json = False) -> Wish:
    """All channels that are set up."""
    return Wish(admin.list_channels, as_json, {}, REFUSED)


@CHANNELS.command(name="test")
def channels_test(name: Name, as_json: Json = False) -> Wish:
    """Send a test message, and say what the vendor answers."""
    return Wish(admin.test_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="enable")
def channels_enable(name: Name, as_json: Json = False) -> Wish:
    """Switch a channel on, whoever switched it off."""
    return Wish(admin.enable_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="disable")
def channels_disable(name: Name, as_json: Json = False) -> Wish:
    """Switch a channel off."""
    return Wish(admin.disable_channel, as_json, {"name": name}, REFUSED)


@CHANNELS.command(name="set")
def channels_set(
    name: Name,
    settings: Annotated[str, typer.Argument(metavar="JSON", help="Such as '{\"ratePerMinute\": 10}'.")],
    as_json: Json = False,
) -> Wish:
    """Set quiet hours, maintenance, a rate or a daily digest."""
    return Wish(admin.set_channel, as_json, {"name": name, "settings": settings}, REFUSED)


@EVENTS.callback()
def _events_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, admin.list_events, as_json=as_json)


@EVENTS.command(name="list")
def events_list(as_json: Json = False) -> Wish:
    """What tasks listen to."""
    return Wish(admin.list_events, as_json, {}, REFUSED)


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
    return Wish(admin.publish, as_json, options | {"event_id": event_id}, REFUSED)


@KEYS.callback()
def _keys_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, admin.list_keys, as_json=as_json)


@KEYS.command(name="list")
def keys_list(as_json: Json = False) -> Wish:
    """All keys."""
    return Wish(admin.list_keys, as_json, {}, REFUSED)


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
    return Wish(admin.create, as_json, options, REFUSED)


@KEYS.command(name="revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its public name, as keys list shows it.")],
    as_json: Json = False,
) -> Wish:
    """End a key for good."""
    return Wish(admin.revoke, as_json, {"key_id": key_id}, REFUSED)


@OWNERS.callback()
def _owners_alone(context: typer.Context, as_json: Json = False) -> Wish | None:
    return _alone(context, admin.list_owners, as_json=as_json)


@OWNERS.command(name="list")
def owners_list(as_json: Json = False) -> Wish:
    """All owners that have an account."""
    return Wish(admin.list_owners, as_json, {}, REFUSED)


@OWNERS.command(name="show")
def owners_show(owner: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> Wish:
    """One owner's credits, used and set aside."""
    return Wish(admin.show_owner, as_json, {"owner": owner}, REFUSED)


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
    return Wish(admin.set_owner, as_json, options, REFUSED)


@BITABLE.callback()
def _bitable() -> None:
    """A table of Feishu as the store."""  # a group of one command would else be that command itself


@BITABLE.command(name="setup")
def bitable_setup(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is missing.")] = False,
    as_json: Json = False,
) -> Wish:
    """Make the columns and tables that the store needs; again does no harm."""
    return Wish(admin.set_up, as_json, {"dry_run": dry_run}, REFUSED)


def _alone(context: typer.Context, does: Callable[..., Awaitable[int]], *, as_json: bool) -> Wish | None:
    """The wish of a group that was typed without a verb."""
    return Wish(does, as_json, {}, REFUSED) if context.invoked_subcommand is None else None


def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], as_json: Json = False
) -> Wish:
    """Write everything the store keeps into a file: tasks, history, channels, owners, keys."""
    return Wish(transfer.export_store, as_json, {"path": path}, REFUSED)


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
    return Wish(transfer.import_file, as_json, options)


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
def apply(paths: Paths, prune: Prune = True, as_json: Json = False) -> Wish:
    """Make the store match task files."""
    return Wish(files.apply_files, as_json, {"paths": paths, "prune": prune, "dry_run": False})


@app.command()
def plan(paths: Paths, prune: Prune = True, as_json: Json = False) -> Wish:
    """Show what apply would change, in fire times as well as fields, and what it would cost."""
    return Wish(files.apply_files, as_json, {"paths": paths, "prune": prune, "dry_run": True})


@app.command()
def cost(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Task files; else the store's tasks.")
    ] = None,
    as_json: Json = False,
) -> Wish:
    """What tasks cost on Google Cloud, and how much of that is free."""
    return Wish(costing.show_cost, as_json, {"paths": paths or []})


# -- looking -----------------------------------------------------------------------------------------------


@app.command(name="list")
def list_(as_json: Json = False) -> Wish:
    """All tasks."""
    return Wish(looking.list_tasks, as_json)


@app.command()
def show(task_id: Id, as_json: Json = False) -> Wish:
    """One task whole."""
    return Wish(looking.show_task, as_json, {"task_id": task_id}, REFUSED)


@app.command()
def runs(
    task_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", autocompletion=task_ids, show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", parser=read_as(limit_number), help="How many.")] = 20,
    as_json: Json = False,
) -> Wish:
    """The newest runs, of one task or of all."""
    return Wish(looking.show_runs, as_json, {"task_id": task_id, "limit": limit}, REFUSED)


@app.command()
def status(as_json: Json = False) -> Wish:
    """How many tasks there are, and when the last tick was."""
    return Wish(looking.show_status, as_json)


@app.command()
def types(as_json: Json = False) -> Wish:
    """The task types, with examples."""
    return Wish(looking.list_types, as_json)


@app.command(name="next")
def next_(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="'30 9 * * 1-5', 'every 15m', ...")],
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Such as Europe/Riga.")] = None,
    after: Instant = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many.")] = 5,
    anchor: Instant = None,
    task_id: Annotated[str, typer.Option("--id", metavar="ID", help="The task that H is drawn from.")] = "",
    as_json: Json = False,
) -> Wish:
    """When a schedule's occurrences are; needs no store."""
    options = {"expression": expression, "timezone": timezone, "after": after, "count": count}
    return Wish(occurrences.show_next, as_json, options | {"anchor": anchor, "task_id": task_id})


@app.command()
def doctor(
    send: Annotated[bool, typer.Option(help="Send a test message on each channel.")] = False,
    as_json: Json = False,
) -> Wish:
    """Check settings, store, secrets, clock, pinger and channels; 1 when something is wrong."""
    return Wish(checkup.doctor, as_json, {"send": send})


# -- steering ----------------------------------------------------------------------------------------------


@app.command()
def run(ids: Ids, as_json: Json = False) -> Wish:
    """Ask for a run at the next tick."""
    return Wish(steering.run, as_json, {"task_ids": ids}, REFUSED)


@app.command()
def pause(
    task_id: Id,
    note: Annotated[str, typer.Option(parser=read_as(note_text), metavar="TEXT", help="Why.")] = "",
    until: Instant = None,
    as_json: Json = False,
) -> Wish:
    """Stop a task, until it is resumed or until the instant given."""
    return Wish(steering.pause, as_json, {"task_id": task_id, "note": note, "until": until}, REFUSED)


@app.command()
def resume(
    task_id: Id,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Run what was missed as well.")] = False,
    as_json: Json = False,
) -> Wish:
    """End a pause or a quarantine."""
    return Wish(steering.resume, as_json, {"task_id": task_id, "catch_up": catch_up}, REFUSED)


@app.command()
def cancel(task_id: Id, as_json: Json = False) -> Wish:
    """End the run in hand."""
    return Wish(steering.cancel, as_json, {"task_id": task_id}, REFUSED)


@app.command()
def backfill(
    task_id: Id,
    first: Annotated[datetime, typer.Option("--from", metavar="INSTANT", parser=read_as(instant))],
    until: Annotated[datetime, typer.Option("--to", metavar="INSTANT", parser=read_as(instant))],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: Json = False,
) -> Wish:
    """Run past occurrences that have not succeeded."""
    options = {"task_id": task_id, "first": first, "until": until, "dry_run": dry_run}
    return Wish(steering.backfill, as_json, options, REFUSED)


@app.command()
def tick(as_json: Json = False) -> Wish:
    """One tick in this process; 1 if a task failed."""
    return Wish(ticking.tick, as_json)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="0 means any that is free.")] = 8080,
    every: Annotated[
        int, typer.Option(metavar="SECONDS", parser=read_as(seconds_between), help="Between two ticks.")
    ] = 60,
    status_every: Annotated[
        int,
        typer.Option(metavar="SECONDS", parser=read_as(seconds_or_none), help="Between two states; 0: none."),
    ] = 30,
    tasks: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Applied, and again when it changes.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where lines go; put aside when full.")
    ] = None,
    as_json: Json = False,
) -> Wish:
    """The function on this machine, with a pinger of its own."""
    manner = command.Manner(port, every, status_every, tuple(tasks or ()), log)
    return Wish(command.serve, as_json, {"manner": manner})


app.command()(export)
app.command(name="import")(import_)
GROUPS = {"channels": CHANNELS, "events": EVENTS, "keys": KEYS, "owners": OWNERS, "bitable": BITABLE}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
