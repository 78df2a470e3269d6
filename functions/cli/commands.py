"""The commands: names, arguments, options and help texts; each names the handler that runs it.

A handler is `async (context, **options) -> exit code`. A command here returns the call, and `main` runs it.
The handler's module is loaded then, so that no command waits for another's.
"""

from pathlib import Path
from typing import Annotated

import typer

from functions import __version__
from functions.cli.arguments.filters import TaskQuery, with_filter_options
from functions.cli.arguments.moments import Moment, moment_option
from functions.cli.authoring.typed import add_commands
from functions.cli.groups import GROUPS
from functions.cli.options import (
    LOOPBACK,
    CommandContext,
    JsonOption,
    OptionalTaskIdsArgument,
    PathsArgument,
    PruneOption,
    SourceOption,
    TaskIdArgument,
    complete_task_ids,
    invoke,
    invoke_refusable,
    option_parser,
    parse_limit,
    parse_note,
    parse_optional_seconds,
    parse_seconds,
)

app = typer.Typer(
    name="scheduler",
    help="Cronfire's command line, over the same store and settings as the function.",
    epilog="Exit codes: 0 done, 1 some task failed or was refused, 2 wrong usage or settings.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# -- files -------------------------------------------------------------------------------------------------


@app.command()
def apply(
    paths: PathsArgument,
    prune: PruneOption = True,
    source: SourceOption = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Make the store match task files."""
    return invoke("apply:apply_files", as_json, paths=paths, prune=prune, dry_run=False, source=source)


@app.command()
def plan(
    paths: PathsArgument,
    prune: PruneOption = True,
    source: SourceOption = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Show what apply would change, in run times as well as fields, and what it would cost."""
    return invoke("apply:apply_files", as_json, paths=paths, prune=prune, dry_run=True, source=source)


@app.command()
def cost(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Task files; else the store's tasks.")
    ] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Estimate what tasks cost on Google Cloud, and how much of that is free."""
    return invoke("apply:show_cost", as_json, paths=paths or [])


# -- showing -----------------------------------------------------------------------------------------------


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Show the help, or the version, when no command is given."""
    if version:
        typer.echo(f"scheduler {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(name="list")
@with_filter_options
def list_(*, query: TaskQuery, as_json: JsonOption = False) -> CommandContext:
    """List the tasks; an outcome is that of the last run."""
    return invoke("tasks:list_tasks", as_json, query=query)


@app.command()
def show(task_id: TaskIdArgument, as_json: JsonOption = False) -> CommandContext:
    """Show a task with all its fields."""
    return invoke_refusable("tasks:show_task", as_json, task_id=task_id)


@app.command()
@with_filter_options
def runs(
    task_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", autocompletion=complete_task_ids, show_default=False)
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", parser=option_parser(parse_limit), help="How many.")
    ] = 20,
    *,
    query: TaskQuery,
    as_json: JsonOption = False,
) -> CommandContext:
    """Show the newest runs of one task or of all."""
    return invoke_refusable("tasks:show_runs", as_json, task_id=task_id, limit=limit, query=query)


@app.command()
def status(as_json: JsonOption = False) -> CommandContext:
    """Show how many tasks there are, and when the last tick was."""
    return invoke("tasks:show_status", as_json)


@app.command()
def types(
    type_name: Annotated[
        str, typer.Argument(metavar="[TYPE]", help="Show this one, with its params.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """List the task types, with examples."""
    return invoke("tasks:list_types", as_json, type_name=type_name)


@app.command()
def schema(
    type_name: Annotated[
        str, typer.Argument(metavar="[TYPE]", help="Print that of its params instead.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Print the JSON Schema of task files, for editors."""
    return invoke("tasks:show_schema", as_json, type_name=type_name)


@app.command(name="next")
def next_(
    expression: Annotated[str, typer.Argument(metavar="EXPRESSION", help="'30 9 * * 1-5', 'every 15m', ...")],
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Such as Europe/Riga.")] = None,
    after: Annotated[Moment | None, moment_option(help="Those after it; now if not given.")] = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many.")] = 5,
    anchor: Annotated[Moment | None, moment_option(help="What an interval counts from.")] = None,
    start: Annotated[
        Moment | None, moment_option("--start-at", help="None before it; intervals count from it.")
    ] = None,
    end: Annotated[Moment | None, moment_option("--end-at", help="None after it.")] = None,
    max_runs: Annotated[
        int | None, typer.Option("--max-runs", min=0, metavar="N", help="How many runs are left.")
    ] = None,
    task_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="The task id that H is derived from.")
    ] = "",
    excluded: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="DAY", help="A day without a run: 12-25, weekends, holidays:LV."),
    ] = None,
    on_excluded: Annotated[
        str, typer.Option("--on-excluded", metavar="WHAT", help="skip, next or previous.")
    ] = "skip",
    as_json: JsonOption = False,
) -> CommandContext:
    """Show the next occurrences of a schedule; needs no store, unless --except names a calendar."""
    return invoke(
        "tasks:show_next",
        as_json,
        expression=expression,
        timezone=timezone,
        after=after,
        count=count,
        anchor=anchor,
        start=start,
        end=end,
        max_runs=max_runs,
        task_id=task_id,
        excluded=excluded or [],
        on_excluded=on_excluded,
    )


@app.command()
def doctor(
    send: Annotated[bool, typer.Option(help="Send a test message on each channel.")] = False,
    mend: Annotated[
        bool, typer.Option(help="Undo what a clock that was far ahead did; this machine's must be right.")
    ] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Check settings, store, secrets, clock, pinger and channels; exit code 1 when something is wrong."""
    return invoke("local.doctor:run_doctor", as_json, send=send, mend=mend)


add_commands(app)


@app.command()
def heartbeat(
    task_id: TaskIdArgument,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make another address; the one in use ends.")
    ] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Show the address that the program of a heartbeat calls."""
    return invoke_refusable("heartbeats:show_heartbeat", as_json, task_id=task_id, renew=renew)


@app.command()
def ping(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="As scheduler heartbeat ID shows it.", show_default=False)
    ],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- COMMAND...]", help="The program to run and report.", show_default=False),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Say that a run begins.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Say that a run failed.")] = False,
) -> CommandContext:
    """Call a heartbeat, or run a program and report its start, exit code and output.

    The exit code is the program's, whether or not the call was taken: `scheduler ping ADDRESS -- backup.sh`
    """
    if start and fail:
        raise typer.BadParameter("choose one of --start and --fail")
    if command and (start or fail):
        raise typer.BadParameter("--start and --fail are for calls without a command")
    what = "/start" if start else "/fail" if fail else ""
    return invoke("heartbeats:ping", False, address=address, what=what, command=command or [])


# -- control -----------------------------------------------------------------------------------------------


@app.command()
def run(
    ids: OptionalTaskIdsArgument = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Create the tasks of a file, which need no schedule, and run them."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Run them here and wait; exit code 1 unless they succeed.")
    ] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Run tasks once: at the next tick, or here with --wait."""
    return invoke_refusable("run:run_tasks", as_json, task_ids=ids or [], file=file, wait=wait)


@app.command()
def rehearse(
    task_id: TaskIdArgument,
    notify: Annotated[
        str, typer.Option(metavar="JSON", help="Rules to rehearse, as in a task file; else the stored ones.")
    ] = "",
    quiet: Annotated[
        str, typer.Option(metavar="FROM-TO", help="Quiet hours for every channel, in the task's zone.")
    ] = "",
    as_json: JsonOption = False,
) -> CommandContext:
    """Show which messages alert rules would have sent in the last 30 days; nothing is sent."""
    return invoke("rehearsals:rehearse_task", as_json, task_id=task_id, notify=notify, quiet=quiet)


@app.command()
def pause(
    task_id: TaskIdArgument,
    note: Annotated[
        str, typer.Option(parser=option_parser(parse_note), metavar="TEXT", help="The reason.")
    ] = "",
    until: Annotated[Moment | None, moment_option(help="When it is resumed; by hand if not given.")] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Pause a task until it is resumed, or until a time: --until 2h, --until 2026-12-01T09:00 (its zone)."""
    return invoke_refusable("tasks:pause_task", as_json, task_id=task_id, note=note, until=until)


@app.command()
def resume(
    task_id: TaskIdArgument,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Also run the occurrences missed.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """End a pause or a quarantine."""
    return invoke_refusable("tasks:resume_task", as_json, task_id=task_id, catch_up=catch_up)


@app.command()
def cancel(task_id: TaskIdArgument, as_json: JsonOption = False) -> CommandContext:
    """Cancel the current run of a task."""
    return invoke_refusable("tasks:cancel_task", as_json, task_id=task_id)


@app.command()
def backfill(
    task_id: TaskIdArgument,
    first: Annotated[Moment, moment_option("--from", help="The first: 3d, 2026-12-01T09:00 (its zone).")],
    until: Annotated[Moment, moment_option("--to", help="The last; 'now' for all until now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which would run.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Run past occurrences that have not succeeded."""
    return invoke_refusable(
        "tasks:backfill_task", as_json, task_id=task_id, first=first, until=until, dry_run=dry_run
    )


@app.command()
def tick(as_json: JsonOption = False) -> CommandContext:
    """Run one tick in this process; exit code 1 if a task failed."""
    return invoke("tasks:run_tick", as_json)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="0 means any free port.")] = 8080,
    every: Annotated[
        int,
        typer.Option(
            metavar="SECONDS", parser=option_parser(parse_seconds), help="Seconds between two ticks."
        ),
    ] = 60,
    status_every: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            parser=option_parser(parse_optional_seconds),
            help="Seconds between two status lines; 0 for none.",
        ),
    ] = 30,
    tasks: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Task files to apply, and to apply again when they change."),
    ] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Log file, rotated when full.")] = None,
    source: SourceOption = "",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 for everybody who reaches it.")
    ] = LOOPBACK,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="Print a link to the dashboard that signs in once, and the key.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The settings file of an older scheduler, read as far as it goes."),
    ] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Serve the function on this machine and trigger its ticks."""
    if Path("-") in (tasks or ()):
        raise typer.BadParameter("--tasks: standard input cannot be read again when it changes; name a file")
    from functions.cli.serve.command import ServeOptions  # with the server's parts, for this alone

    options = ServeOptions(port, every, status_every, tuple(tasks or ()), log, source, host, sign_in, config)
    return invoke("serve.command:serve", as_json, options=options)


@app.command()
def mcp(
    owner: Annotated[str, typer.Option(metavar="ID", help="Only the tasks of this owner.")] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may change nothing.")] = False,
) -> CommandContext:
    """Let an assistant see and change tasks, by MCP over standard input and output."""
    return invoke("assistant:serve_assistant", False, owner=owner, read_only=read_only)


# -- transfer ---------------------------------------------------------------------------------------------


@app.command()
def export(
    path: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], as_json: JsonOption = False
) -> CommandContext:
    """Write the whole store into a file: tasks, history, channels, owners; no keys."""
    return invoke_refusable("transfer:export_store", as_json, path=path)


@app.command(name="import")
def import_(
    paths: PathsArgument,
    format_name: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Detected if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what differs in the store.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a task file instead of changing the store.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone of tasks without one.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="The time limit of tasks without one.")
    ] = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Import an export, or the files of another scheduler; repeating it is harmless."""
    return invoke(
        "transfer:import_file",
        as_json,
        paths=paths,
        format_name=format_name,
        dry_run=dry_run,
        replace=replace,
        write=write,
        timezone=timezone,
        timeout_s=timeout,
    )


for group_name, group in GROUPS.items():
    app.add_typer(group, name=group_name)
