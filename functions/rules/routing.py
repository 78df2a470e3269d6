"""Where each notice goes now, where it waits, and what need not be said any more once the wait is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.rules.channels import ChannelSettings, held_until
from functions.rules.listeners import DEFAULT
from functions.rules.notice import Notice, NoticeKind
from functions.rules.patience import Holds

LONG = timedelta(hours=2)  # what was over sooner, while nobody was to be disturbed, is not worth a word

_WRONG: frozenset[NoticeKind] = frozenset({"failure", "reminder", "silent"})


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one notice.

    Attributes:
        send: Channels to tell now; empty for none.
        held: Until when others are closed to it.
    """

    send: tuple[str, ...]
    held: Holds = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switchboard:
    """All that is known of the channels.

    Attributes:
        settings: Of each channel there is.
        fingerprints: Of what each channel was set up with.
        busy: Until when channels take no message, whatever it is.
    """

    settings: Mapping[str, ChannelSettings]
    fingerprints: Mapping[str, str]
    busy: Mapping[str, datetime] = field(default_factory=dict)

    def is_open(self, name: str) -> bool:
        """Whether there is such a channel and anything may be said there."""
        return name in self.settings and self.settings[name].is_open(self.fingerprints.get(name, ""))


def route(notice: Notice, board: Switchboard, *, now: datetime) -> Route:
    """Where *notice* goes. Channels that are off are left out; names that no channel has are kept."""
    send: list[str] = []
    held: dict[str, datetime] = {}
    for name in _names(notice, board):
        if name not in board.settings:
            send.append(name)  # whoever sends says that there is no such channel
            continue
        if not board.is_open(name):
            continue
        until = held_until(board.settings[name], notice, now) or now
        until = max(until, board.busy.get(name, now))
        if until > now:
            held[name] = until
        else:
            send.append(name)
    return Route(tuple(send), held)


def still_worth_saying(pending: Sequence[Notice], routes: Sequence[Route]) -> list[Route]:
    """*routes* of one task's *pending* notices, without those that a later one has made idle.

    Of a failure that nobody was told of, because its channel was closed, the newest word stands for all. If
    it is over as well, only its end is told, and not even that if it lasted less than LONG.
    """
    kept = list(routes)
    for name in dict.fromkeys(name for one in routes for name in one.held):
        waiting: list[int] = []
        for number, notice in enumerate(pending):
            if name not in routes[number].held:
                continue
            if notice.kind in _WRONG:
                waiting = _dropped(kept, name, waiting, pending, since=notice.since)
                waiting.append(number)
            elif notice.kind == "recovery" and any(pending[one].since == notice.since for one in waiting):
                waiting = _dropped(kept, name, waiting, pending, since=notice.since)
                if notice.since is not None and notice.at - notice.since < LONG:
                    _drop(kept, name, number)
    return kept


def _names(notice: Notice, board: Switchboard) -> tuple[str, ...]:
    names: list[str] = []
    for name in notice.channels or (DEFAULT,):
        spelt_out = name == DEFAULT and name not in board.settings and bool(board.settings)
        names.extend(board.settings if spelt_out else (name,))
    return tuple(dict.fromkeys(names))


def _dropped(
    kept: list[Route], name: str, waiting: Sequence[int], pending: Sequence[Notice], *, since: datetime | None
) -> list[int]:
    """Drop those of *waiting* that tell of the failure that began at *since*; return the others."""
    for number in waiting:
        if pending[number].since == since:
            _drop(kept, name, number)
    return [number for number in waiting if pending[number].since != since]


def _drop(kept: list[Route], name: str, number: int) -> None:
    held = {other: until for other, until in kept[number].held.items() if other != name}
    kept[number] = replace(kept[number], held=held)
