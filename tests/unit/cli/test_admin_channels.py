"""The commands about channels, over a store, with a vendor's stand-in on this machine."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from functions.cli.admin.channels import CHANNEL_EXAMPLES
from tests.support.serving import in_a_thread
from tests.unit.cli.conftest import Scheduler

QUIET_HOURS = '{"from": "22:00", "to": "07:00", "timezone": "Europe/Riga", "days": ["sat", "sun"]}'
QUIET = f'{{"quiet": [{QUIET_HOURS}], "ratePerMinute": 10}}'


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(410 if self.path == "/gone" else 503 if self.path == "/busy" else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads this log."""


@pytest.fixture
def hook() -> Iterator[str]:
    """The address of a receiver that takes all but what is sent to /gone and /busy."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_without_channels_the_list_says_how_to_have_one(scheduler: Scheduler) -> None:
    said = scheduler("channels")

    assert (0, True) == (said.code, "FEISHU_WEBHOOK_URL" in said.out)
    assert [] == scheduler("channels", "list", "--json").data


def test_list_names_the_channels_and_never_their_addresses(scheduler: Scheduler, hook: str) -> None:
    said = scheduler("channels", "list", WEBHOOK_URL=f"{hook}/canary")
    shown = scheduler("channels", "list", "--json", WEBHOOK_URL=f"{hook}/canary")

    assert [("webhook", True)] == [(one["name"], one["open"]) for one in shown.data]
    assert "open" in said.out
    assert "canary" not in said.out + shown.out


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/", 0, "was accepted"),
        ("/gone", 1, "HTTP 410: the receiver accepts no more; unset WEBHOOK_URL; a retry will not help"),
        ("/busy", 1, "HTTP 503; a retry may help"),
    ],
)
def test_test_says_what_the_vendor_answered(
    path: str, code: int, words: str, scheduler: Scheduler, hook: str
) -> None:
    said = scheduler("channels", "test", "webhook", WEBHOOK_URL=hook + path)

    assert code == said.code
    assert words in said.out
    assert scheduler("channels", "--json", WEBHOOK_URL=hook + path).data[0]["open"]


def test_channel_is_switched_off_and_on(scheduler: Scheduler, hook: str) -> None:
    def is_open() -> bool:
        return bool(scheduler("channels", "--json", WEBHOOK_URL=hook).data[0]["open"])

    seen = [is_open()]
    for verb in ("disable", "enable"):
        assert 0 == scheduler("channels", verb, "webhook", WEBHOOK_URL=hook).code
        seen.append(is_open())

    assert [True, False, True] == seen


def test_settings_are_kept_and_shown(scheduler: Scheduler, hook: str) -> None:
    scheduler("channels", "set", "webhook", QUIET, WEBHOOK_URL=hook)
    scheduler("channels", "set", "webhook", '{"ratePerMinute": 5}', WEBHOOK_URL=hook)

    said = scheduler("channels", WEBHOOK_URL=hook)

    assert "quiet 22:00-07:00 Europe/Riga on sat sun, 5 a minute" in said.out


def test_digest_is_a_task_that_comes_and_goes_with_the_wish(scheduler: Scheduler, hook: str) -> None:
    digest = '{"digest": {"at": "08:30", "timezone": "Asia/Shanghai"}}'

    scheduler("channels", "set", "webhook", digest, WEBHOOK_URL=hook)
    task = scheduler("show", "digest.webhook", "--json").data
    scheduler("channels", "set", "webhook", '{"digest": {"at": "09:00"}}', WEBHOOK_URL=hook)
    [later] = scheduler("list", "--json").data
    scheduler("channels", "set", "webhook", '{"digest": null}', WEBHOOK_URL=hook)

    assert ("daily_briefing", "30 8 * * *", "Asia/Shanghai", ["webhook"]) == (
        task["type"],
        task["schedule"],
        task["timezone"],
        task["notify"][0]["channels"],
    )
    assert ("0 9 * * *", "UTC") == (later["schedule"], later["timezone"])
    assert [] == scheduler("list", "--json").data


def test_digest_of_a_day_on_which_all_was_well_says_so(scheduler: Scheduler, hook: str) -> None:
    scheduler("channels", "set", "webhook", '{"digest": {}}', WEBHOOK_URL=hook)
    scheduler("run", "digest.webhook")

    said = scheduler("tick", WEBHOOK_URL=hook)

    assert "0 problems" in said.out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("test", "typo"), "there is no channel 'typo'"),
        (("test", "slack"), "slack is not set up: set SLACK_WEBHOOK_URL, in the environment or in .env"),
        (("test", "slak"), "there is no channel 'slak': did you mean slack?"),
        (("enable", "typo"), "there is no channel 'typo'"),
        (("enable", "slack"), "slack is not set up: set SLACK_WEBHOOK_URL"),
        (("disable", "slack"), "slack is not set up: set SLACK_WEBHOOK_URL"),
        (("set", "slack", '{"ratePerMinute": 10}'), "slack is not set up: set SLACK_WEBHOOK_URL"),
        (("set", "webhook", "[]"), "settings: must be a JSON object"),
        (("set", "webhook", "{"), "settings: must be a JSON object"),
        (("set", "webhook", '{"enabled": false}'), "enabled: is not a setting"),
        (
            ("set", "webhook", '{"quiet": [{"from": "25:00", "to": "07:00"}]}'),
            "quiet[0].from: must be a time of day",
        ),
        (
            ("set", "webhook", '{"digest": {"at": "8"}}'),
            'such as 22:00 or 07:30; write it like {"digest": {"at',
        ),
        (("set", "webhook", '{"digest": "08:00"}'), 'write it like {"digest": {"at": "08:00"'),
        (
            ("set", "webhook", '{"quiet": {"from": "22:00"}}'),
            'quiet: must be a list; write it like {"quiet": [{',
        ),
        (("set", "webhook", '{"ratePerMinute": 0}'), "ratePerMinute: must be at least 1; write it like"),
        (
            ("set", "webhook", '{"maintenance": [{"from": "2026-12-01T09:00"}]}'),
            'write it like {"maintenance',
        ),
        (("set", "webhook", '{"digest": {"timezone": "Mars"}}'), "digest.timezone: "),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    words: tuple[str, ...], complaint: str, scheduler: Scheduler, hook: str
) -> None:
    said = scheduler("channels", *words, WEBHOOK_URL=hook)

    assert said.code == (
        1 if "no channel" in complaint or "is not set up" in complaint or "is not open" in complaint else 2
    )
    assert complaint in said.err
    assert "[0-5]" not in said.err, "a pattern is no word"


@pytest.mark.parametrize("command", ["test", "enable"])
def test_channel_whose_settings_are_wrong_says_what_is_wrong(command: str, scheduler: Scheduler) -> None:
    said = scheduler("channels", command, "telegram", TELEGRAM_BOT_TOKEN="123456:abc")

    assert 1 == said.code
    assert "scheduler: telegram is not open: TELEGRAM_CHAT_ID: give the chat" in said.err


def test_null_is_the_default_and_every_example_is_accepted(scheduler: Scheduler, hook: str) -> None:
    for example in CHANNEL_EXAMPLES.values():
        assert 0 == scheduler("channels", "set", "webhook", example, WEBHOOK_URL=hook).code

    none = json.dumps(dict.fromkeys(CHANNEL_EXAMPLES))
    said = scheduler("channels", "set", "webhook", none, "--json", WEBHOOK_URL=hook)

    assert 0 == said.code
    assert ([], [], None, None) == tuple(said.data[one] for one in CHANNEL_EXAMPLES)
