"""Names, arguments and options of `create`, `edit` and `rm`."""

from typing import Annotated

import typer

from functions.cli.options import (
    CommandContext,
    JsonOption,
    TaskIdArgument,
    complete_task_ids,
    invoke,
    invoke_refusable,
)
from functions.domain.types import Priority

IdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID...", autocompletion=complete_task_ids, show_default=False)
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="NAME=VALUE", help="A param of the type; may be repeated."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any other field, such as retry.maxAttempts=3."),
]
TaskTypeOption = Annotated[str, typer.Option("--type", metavar="TYPE", help="See scheduler types.")]
ScheduleOption = Annotated[str, typer.Option(metavar="SCHEDULE", help="'every 5 minutes', '30 9 * * 1-5'.")]
ZoneOption = Annotated[str, typer.Option(metavar="ZONE", help="Such as Europe/Riga.")]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="May be repeated.")]
PriorityOption = Annotated[Priority | None, typer.Option(show_default=False)]


def create(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="Such as 'My site answers'.")],
    type_: TaskTypeOption,
    schedule: ScheduleOption = "",
    params: ParamOption = None,
    task_id: Annotated[str, typer.Option("--id", metavar="ID", help="Else made from the title.")] = "",
    timezone: ZoneOption = "",
    tags: TagsOption = None,
    priority: PriorityOption = None,
    owner: Annotated[str, typer.Option(metavar="ID", help="Whose task it is.")] = "",
    others: SetOption = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Create a task, e.g. create 'My site' --type health_check_url --schedule hourly --param url=https://x.org."""
    from functions.cli.authoring.fields import FieldOptions  # with the task types, for these commands alone

    fields = FieldOptions(
        task_id,
        title,
        type_,
        schedule,
        timezone,
        owner,
        priority or "",
        tags or (),
        params or (),
        others or (),
    )
    return invoke("authoring.commands:create_task", as_json, fields=fields)


def edit(
    task_id: TaskIdArgument,
    title: Annotated[str, typer.Option(metavar="TITLE")] = "",
    type_: TaskTypeOption = "",
    schedule: ScheduleOption = "",
    params: ParamOption = None,
    timezone: ZoneOption = "",
    tags: TagsOption = None,
    priority: PriorityOption = None,
    others: SetOption = None,
    as_json: JsonOption = False,
) -> CommandContext:
    """Change a task by options, or without any in $EDITOR; what is not touched is not changed."""
    from functions.cli.authoring.fields import FieldOptions  # with the task types, for these commands alone

    fields = FieldOptions(
        "", title, type_, schedule, timezone, "", priority or "", tags or (), params or (), others or ()
    )
    return invoke("authoring.commands:edit_task", as_json, task_id=task_id, fields=fields)


def rm(
    ids: IdsArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> CommandContext:
    """Remove tasks; their history stays until it expires."""
    return invoke_refusable("authoring.commands:remove_tasks", as_json, task_ids=ids, yes=yes)


def add_commands(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (create, edit, rm):
        app.command()(command)
