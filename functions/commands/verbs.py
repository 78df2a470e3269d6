"""The words of commands that have verbs of their own: `channels`, `keys`, `owners`."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime
from typing import Any

from functions.commands import channels, keyring, owners


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


def _added(one: Any, verbs: Any, verb: str, does: Any, about: str, *, input_code: int) -> ArgumentParser:
    two: Any = verbs.add_parser(verb, help=about, description=f"{about[0].upper()}{about[1:]}.")
    two.out = one.out
    two.add_argument("--json", dest="as_json", action="store_true", help="answer as JSON")
    two.set_defaults(command=does, input_code=input_code)
    parser: ArgumentParser = two
    return parser
