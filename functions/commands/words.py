"""The words of the command line: every command with its arguments and options, and what carries it out.

Importing this module builds the application. A command function only gathers what was typed; the
work is done afterwards, so that what is typed wrong never reaches a store.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from functions.commands import (
    checkup,
    costing,
    files,
    looking,
    occurrences,
    serving,
    steering,
    ticking,
)
from functions.commands.completing import task_ids
from functions.commands.groups import BITABLE, CHANNELS, EVENTS, KEYS, OWNERS, export, import_
from functions.commands.times import instant
from functions.commands.wish import (
    REFUSED,
    Id,
    Ids,
    Instant,
    Json,
    Paths,
    Prune,
    Wish,
    limit_number,
    note_text,
    read_as,
    seconds_between,
    seconds_or_none,
)

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
    manner = serving.Manner(port, every, status_every, tuple(tasks or ()), log)
    return Wish(serving.serve, as_json, {"manner": manner})


app.command()(export)
app.command(name="import")(import_)
GROUPS = {"channels": CHANNELS, "events": EVENTS, "keys": KEYS, "owners": OWNERS, "bitable": BITABLE}
for name, group in GROUPS.items():
    app.add_typer(group, name=name)
