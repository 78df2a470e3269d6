"""Feeds of the corpus: what they served, run after run, and a look at them through the task type."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.domain.task import Job
from functions.domain.types import OutcomeKind
from functions.http_client.httpx import httpx
from functions.task_types.registry import run_job
from tests.unit.task_types.conftest import answer, tools_with

URL = "https://blog.example.com/feed.xml"
HOME = "https://blog.example.com"


@dataclass(frozen=True)
class Case:
    """What one feed served at each run, and what is expected of the runs after the first.

    Attributes:
        source: Where it was reported, or the situation.
        served: The bodies, or responses, of the runs.
        told: For each run after the first: the titles that it reports, or a part of its failure's summary.
    """

    source: str
    served: Sequence[bytes | str | httpx.Response]
    told: Sequence[set[str] | str]
    params: dict[str, Any] = field(default_factory=dict)


def item(title: str, **parts: str) -> str:
    return f"<item><title>{title}</title>{elements(parts)}</item>"


def elements(parts: dict[str, str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())


def rss(*items: str, link: str = HOME) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Blog</title>'
        f"<link>{link}</link>{''.join(items)}</channel></rss>"
    )


def entry(title: str, *, id: str, link: str = "", kind: str = "", **parts: str) -> str:
    typed = f' type="{kind}"' if kind else ""
    href = f'<link href="{link}"/>' if link else ""
    return f"<entry><title{typed}>{title}</title><id>{id}</id>{href}{elements(parts)}</entry>"


def atom(*entries: str) -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title>{"".join(entries)}</feed>'


def json_feed(*items: dict[str, Any], version: str = "https://jsonfeed.org/version/1.1", **more: Any) -> str:
    return json.dumps({"version": version, "title": "Blog", "items": items} | more)


def day(number: int, clock: str = "08:15:30") -> str:
    return f"{number:02} Nov 2026 {clock} GMT"


def served(body: bytes | str, content_type: str, **headers: str) -> httpx.Response:
    data = body.encode() if isinstance(body, str) else body
    return answer(200, data, headers={"content-type": content_type} | headers)


def dated(number: int, **parts: str) -> str:
    """One of a blog's entries, by its day."""
    given = {"guid": f"{HOME}/{number}", "link": f"{HOME}/{number}", "pubDate": day(number)}
    return item(f"n{number}", **given | parts)


BLOG = [dated(n) for n in range(9, 4, -1)]


def as_response(given: bytes | str | httpx.Response) -> httpx.Response:
    return given if isinstance(given, httpx.Response) else served(given, "application/xml")


async def check(case: Case, make_job: Callable[..., Job]) -> None:
    """Run the task once for each response, with the memory of the run before."""
    memory: Mapping[str, Any] = {}
    params = {"feedUrl": URL, "maxItems": 20} | case.params
    for given, expected in zip(case.served, ["Recorded", *case.told], strict=True):
        outcome = await run_job(make_job("rss_watch", params, memory=memory), tools_with(as_response(given)))
        memory = outcome.memory if outcome.memory is not None else memory
        if isinstance(expected, str):
            assert expected in outcome.summary
            assert (expected == "Recorded") is (outcome.kind is OutcomeKind.SUCCEEDED)
        else:
            assert OutcomeKind.SUCCEEDED is outcome.kind, outcome.summary
            assert expected == {shown["title"] for shown in outcome.items}
            assert bool(expected) is outcome.has_news
            assert len(expected) == outcome.metrics["new"]
