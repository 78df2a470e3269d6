"""The words of commands that have verbs of their own: `channels`, `keys`, `owners`."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from functions.commands import channels, events, keyring, owners
from functions.commands.serving import Manner, serve
from functions.commands.session import Session


def add_channels(command: Any, *, input_code: int) -> None:
    """Let the command line understand `channels`; *input_code* is for what is refused."""
    one = command("channels", channels.list_channels, "the channels of notices, and whether they are open")
    verbs = one.add_subparsers(metavar="VERB", parser_class=type(one))
    for verb, does, about in (
        ("list", channels.list_channels, "all channels that are set up (default)"),
        ("test", channels.test_channel, "send a test message, and say what the vendor answers"),
        ("enable", channels.enable_channel, "switch a channel on, whoever switched it off"),
        ("disable", channels.disable_channel, "switch a channel off"),
        ("set", channels.set_channel, "set quiet hours, maintenance, a rate or a daily digest"),
    ):
        two = _added(one, verbs, verb, does, about, input_code=input_code)
        if verb != "list":
            two.add_argument("name", metavar="NAME")
        if verb == "set":
            two.add_argument("settings", metavar="JSON", help="such as '{\"ratePerMinute\": 10}'")


def add_keys(command: Any, *, input_code: int, instant: Callable[[str], datetime]) -> None:
    """Let the command line understand `keys`.

    Args:
        input_code: For what is refused.
        instant: Reads a moment.
    """
    one = command("keys", keyring.list_keys, "keys for the API and the dashboard")
    verbs = one.add_subparsers(metavar="VERB", parser_class=type(one))
    _added(one, verbs, "list", keyring.list_keys, "all keys (default)", input_code=input_code)
    two = _added(
        one, verbs, "create", keyring.create, "make a key, and show it this once", input_code=input_code
    )
    two.add_argument("name", metavar="NAME", help="whose it is, or what for")
    two.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=("read", "run", "write", "admin"),
        required=True,
        help="what it may do; may be repeated",
    )
    two.add_argument("--owner", default="", metavar="ID", help="whose tasks it sees; default everybody's")
    two.add_argument("--expires", type=instant, metavar="INSTANT", help="when it is over; default never")
    two = _added(one, verbs, "revoke", keyring.revoke, "end a key for good", input_code=input_code)
    two.add_argument("key_id", metavar="KEY", help="its public name, as keys list shows it")


def add_owners(command: Any, *, input_code: int) -> None:
    """Let the command line understand `owners`; *input_code* is for what is refused."""
    one = command("owners", owners.list_owners, "owners and their credits")
    verbs = one.add_subparsers(metavar="VERB", parser_class=type(one))
    for verb, does, about in (
        ("list", owners.list_owners, "all owners that have an account (default)"),
        ("show", owners.show_owner, "one owner's credits, used and set aside"),
        ("set", owners.set_owner, "give an owner a plan, or credits a month"),
    ):
        two = _added(one, verbs, verb, does, about, input_code=input_code)
        if verb != "list":
            two.add_argument("owner", metavar="ID")
        if verb == "set":
            two.add_argument("--plan", metavar="NAME", help="a word for people and bills")
            two.add_argument("--monthly-credits", type=float, metavar="N", help="a calendar month, in UTC")
            two.add_argument("--unlimited", action="store_true", help="no limit of credits")


def add_events(command: Any, *, input_code: int) -> None:
    """Let the command line understand `events`; *input_code* is for what is refused."""
    one = command("events", events.list_events, "events that start tasks")
    verbs = one.add_subparsers(metavar="VERB", parser_class=type(one))
    about = "what tasks listen to (default)"
    _added(one, verbs, "list", events.list_events, about, input_code=input_code)
    two = _added(one, verbs, "publish", events.publish, "send an event", input_code=input_code)
    two.add_argument("event_type", metavar="TYPE", help="such as order.paid")
    two.add_argument("--data", default="", metavar="JSON", help="such as '{\"total\": 12}'")
    two.add_argument("--source", default="cli", metavar="NAME", help="who says so; default cli")
    two.add_argument("--subject", default="", metavar="TEXT", help="what it is about")
    two.add_argument("--to", default="", metavar="ID", help="the one task that it is for")
    two.add_argument(
        "--id",
        dest="event_id",
        default="",
        metavar="ID",
        help="the same event is heard once; default a new one",
    )


def add_serve(command: Any) -> None:
    """Let the command line understand `serve`."""
    one = command("serve", _serve, "the function on this machine, with a tick each minute")
    one.add_argument("--port", type=int, default=8080, help="default 8080; 0 means any that is free")
    one.add_argument(
        "--every",
        dest="every_s",
        type=_seconds(5),
        default=60,
        metavar="SECONDS",
        help="between two ticks; default 60",
    )
    one.add_argument(
        "--status-every",
        dest="status_every_s",
        type=_seconds(0),
        default=30,
        metavar="SECONDS",
        help="between two lines about the state; default 30, 0 for none",
    )
    one.add_argument(
        "--tasks",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="a file or folder that is applied, and again when it changes; may be repeated",
    )
    one.add_argument(
        "--log", type=Path, metavar="FILE", help="where lines go; put aside at 10 MB, five of them are kept"
    )


async def _serve(session: Session, **how: Any) -> int:
    return await serve(session, manner=Manner(**how | {"tasks": tuple(how["tasks"])}))


def _seconds(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= 86_400:  # a day
            raise ArgumentTypeError(f"must be a number of seconds from {least} to 86400")
        return int(text)

    return read


def _added(one: Any, verbs: Any, verb: str, does: Any, about: str, *, input_code: int) -> ArgumentParser:
    two: Any = verbs.add_parser(verb, help=about, description=f"{about[0].upper()}{about[1:]}.")
    two.out = one.out
    two.add_argument("--json", dest="as_json", action="store_true", help="answer as JSON")
    two.set_defaults(command=does, input_code=input_code)
    parser: ArgumentParser = two
    return parser
